//! Why a replica does not take over, said in the log now and then. It decides nothing.

use crate::cluster::{Cluster, Turn};
use crate::effect::LogLevel;
use std::time::Duration;

/// A reason for not failing over is repeated in the log after this time.
const RELOG: Duration = Duration::from_secs(1);
/// The same for old data, which does not get younger.
const RELOG_DATA_AGE: Duration = Duration::from_secs(10);

/// Why a replica does not take over now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CantFailover {
    DataAge,
    /// Not upstream's: the dataset is not complete (S5).
    DataIncomplete,
    /// Not upstream's: others may have acknowledged writes that I don't have (see `quorum_writes`).
    AcknowledgedElsewhere,
    WaitingDelay,
    Expired,
    WaitingVotes,
}

impl Cluster {
    /// Acknowledged writes keep me from taking over for now.
    pub(crate) fn note_missing_confirmations(&mut self, turn: &Turn<'_>, needed: usize, confirmed: usize) {
        if self.note_reason(turn, CantFailover::AcknowledgedElsewhere) {
            let text = format!("Needed siblings that have no more: {needed}. Confirmed so far: {confirmed}");
            self.log(LogLevel::Notice, text);
        }
    }

    /// Says why I don't take over, unless that was said lately. Tells whether it was said.
    pub(crate) fn note_reason(&mut self, turn: &Turn<'_>, reason: CantFailover) -> bool {
        let again = if reason == CantFailover::DataAge { RELOG_DATA_AGE } else { RELOG };
        if self.election.reason.is_some_and(|(last, at)| last == reason && turn.now.since(at) < again) {
            return false;
        }
        self.election.reason = Some((reason, turn.now));
        let text = match reason {
            CantFailover::DataAge => {
                "Disconnected from primary for longer than allowed. Please check the \
                 'cluster-replica-validity-factor' configuration option."
            }
            CantFailover::DataIncomplete => "My dataset is not complete.",
            CantFailover::AcknowledgedElsewhere => "Siblings may have acknowledged writes that I don't have.",
            CantFailover::WaitingDelay => "Waiting the delay before I can start a new failover.",
            CantFailover::Expired => "Failover attempt expired.",
            CantFailover::WaitingVotes => "Waiting for votes, but majority still not reached.",
        };
        self.log(LogLevel::Notice, format!("Currently unable to failover: {text}"));
        if matches!(reason, CantFailover::Expired | CantFailover::WaitingVotes) {
            let text = format!(
                "Needed quorum: {}. Number of votes received so far: {}",
                self.quorum(),
                self.election.votes().count()
            );
            self.log(LogLevel::Notice, text);
        }
        true
    }
}
