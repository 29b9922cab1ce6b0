//! The promotion of the peer by the request for its stream (replication 7), as the link sees it: asked or not, answered or
//! not, and whether the peer can still be there to answer.

use std::time::Duration;

use baton_base::Mono;

use super::Effect;
use super::machine::{Primary, ReplicaLink};

/// Pause between attempts to reach a peer that is to be promoted: writes are held meanwhile (replication 7).
pub(super) const RETRY: Duration = Duration::from_millis(100);

/// A peer whose address has refused connections for so long, without a break, has ended: a process that listens answers,
/// however busy it is, and one that restarts listens sooner.
const REFUSED_FOR: Duration = Duration::from_secs(2);

/// What a primary says to a request to be promoted.
const PRIMARY_ALREADY: &[u8] = b"-ERR PSYNC FAILOVER can't be sent to a master.";

/// How far the promotion of the peer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Takeover {
    /// It is a primary already.
    None,
    /// It is to be promoted.
    Wanted {
        /// How often the request was sent, each time on a connection of its own.
        requests: u32,
        /// Since when its address refuses connections, if the latest attempt was refused.
        refused_since: Option<Mono>,
    },
    /// It was promoted by a request whose reply got lost: all that is missing is the stream.
    Promoted,
}

impl Takeover {
    /// The state at the start of a link.
    pub(super) fn at_start(wanted: bool) -> Takeover {
        if wanted { Takeover::Wanted { requests: 0, refused_since: None } } else { Takeover::None }
    }

    /// A request for the stream is being sent; tells whether it asks the peer to be primary.
    pub(super) fn count_request(&mut self) -> bool {
        match self {
            Takeover::Wanted { requests, .. } => {
                *requests += 1;
                true
            }
            _ => false,
        }
    }

    /// An attempt to connect ended; tells whether the peer has ended, as far as can be known.
    fn note_attempt(&mut self, now: Mono, refused: bool) -> bool {
        let Takeover::Wanted { refused_since, .. } = self else { return false };
        *refused_since = if refused { Some(refused_since.unwrap_or(now)) } else { None };
        refused_since.is_some_and(|since| now.since(since) >= REFUSED_FOR)
    }
}

impl ReplicaLink {
    /// An attempt to connect to the peer ended.
    pub(super) fn note_attempt(&mut self, now: Mono, refused: bool, out: &mut Vec<Effect>) {
        if self.primary.as_mut().is_some_and(|p| p.takeover.note_attempt(now, refused)) {
            out.push(Effect::TakeoverGone);
        }
    }

    pub(super) fn is_takeover(&self) -> bool {
        self.primary.as_ref().is_some_and(|p| p.takeover != Takeover::None)
    }

    /// Whether the peer says that it is a primary after an earlier request may have made it one: its reply got lost with
    /// the connection. To take that for a refusal would make two primaries.
    pub(super) fn was_promoted_before(&self, line: &[u8]) -> bool {
        let asked_before = |p: &Primary| matches!(p.takeover, Takeover::Wanted { requests, .. } if requests > 1);
        line == PRIMARY_ALREADY && self.primary.as_ref().is_some_and(asked_before)
    }
}
