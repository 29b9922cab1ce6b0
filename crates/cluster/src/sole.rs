//! One primary and nobody else who votes: when it is dead, no majority will ever be there to replace it. Then the operator
//! who forces a failover stands for its vote. Nobody but the operator may: a replica that can't reach its primary knows
//! nothing about whether others can.
//!
//! The rule, all of it: a user said FORCE at this replica; upstream's rule decides, and the primary to be replaced is its
//! only voter; and that voter has said nothing since its vote was asked for, although it could. Wherever another voter
//! exists, dead or not, its like decide, and FORCE ends with its time. The epoch is the election's, above all known ones, so
//! that the old primary follows when it is back.

use crate::cluster::{Cluster, Turn};
use crate::effect::LogLevel;
use crate::manual::{Consent, Manual};
use baton_base::NodeId;
use std::time::Duration;

/// A voter that is connected and not suspected has so long to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

impl Cluster {
    /// Whether the operator's word decides the election that I asked votes for.
    pub(crate) fn operator_decides(&mut self, turn: &Turn<'_>) -> bool {
        let forced = matches!(self.manual, Manual::Ready { consent: Consent::Forced, .. });
        let Some(asked) = self.election.started_at().filter(|_| forced && self.voters.are_upstream()) else {
            return false;
        };
        let Some(primary) = self.sole_voter().filter(|id| self.myself().primary == Some(*id)) else { return false };
        let node = &self.nodes[&primary];
        let silent = node.data_received.is_none_or(|at| at < asked);
        let gone = !node.healthy() || self.open_outbound(&primary).is_none();
        if !silent || !(gone || turn.now.since(asked) >= ANSWER_WAIT) {
            return false;
        }
        let text = format!(
            "The only voter, {}, does not answer: the failover was forced, and that stands for its vote.",
            self.named(&primary)
        );
        self.log(LogLevel::Warning, text);
        true
    }

    /// The only primary with slots, if there is only one.
    fn sole_voter(&self) -> Option<NodeId> {
        let mut serving = self.serving_nodes();
        let only = serving.next()?.id;
        serving.next().is_none().then_some(only)
    }
}
