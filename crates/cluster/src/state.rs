//! Whether the cluster is up, as this node sees it, and whether it is safe for this node to vote (cluster-bus 5).

use crate::cluster::{Cluster, Turn};
use crate::effect::LogLevel;
use crate::topology::{DownReason, Health};
use baton_base::{Mono, NodeId, Slot};
use std::time::Duration;

/// A primary neither serves nor votes this long after its first evaluation, so that the others can tell it first what
/// happened while it was away.
pub(crate) const WRITABLE_DELAY: Duration = Duration::from_millis(2000);

/// What the evaluation remembers.
#[derive(Debug)]
pub(crate) struct HealthWatch {
    pub(crate) state: Health,
    /// Voting is allowed.
    pub(crate) safe_to_join: bool,
    /// The reason that was logged last.
    reason: Option<DownReason>,
    first_evaluated: Option<Mono>,
    /// I won an election since my start: nobody has to tell me what happened before.
    elected: bool,
    /// When I was last in a minority.
    minority_at: Option<Mono>,
}

impl HealthWatch {
    pub(crate) fn new() -> HealthWatch {
        HealthWatch {
            state: Health::Fail(DownReason::NotReady),
            safe_to_join: false,
            reason: None,
            first_evaluated: None,
            elected: false,
            minority_at: None,
        }
    }

    /// Whoever was just elected is where the majority is, and nobody knows anything newer.
    pub(crate) fn trust_election(&mut self) {
        self.minority_at = None;
        self.elected = true;
    }
}

impl Cluster {
    /// Evaluates the state anew.
    pub(crate) fn update_health(&mut self, turn: &Turn<'_>) {
        if self.homecoming.withholds() && self.is_primary() {
            return self.withhold();
        }
        let first = *self.health.first_evaluated.get_or_insert(turn.now);
        let primary = self.is_primary();
        let young = turn.now.since(first) < WRITABLE_DELAY && !self.health.elected;
        if primary && !self.health.state.is_ok() && young {
            self.health.safe_to_join = false;
            return;
        }
        self.health.safe_to_join = true;
        let next = self.judge_health(turn);
        if next == Health::Fail(DownReason::Minority) {
            self.health.minority_at = Some(turn.now);
        }
        if next == self.health.state {
            return;
        }
        // A majority that lets me write has told me before whatever I missed.
        let rejoining = !self.holds_lease(turn.now)
            && self.health.minority_at.is_some_and(|at| turn.now.since(at) < self.settings.rejoin_delay());
        if next.is_ok() && primary && rejoining {
            return;
        }
        self.log_health(next);
        self.health.state = next;
        self.todo.publish = true;
    }

    /// Others may have more data than this node (see `homecoming`). It votes for whoever of them is to take over.
    fn withhold(&mut self) {
        self.health.safe_to_join = self.homecoming.is_behind();
        let next = Health::Fail(DownReason::NotReady);
        if self.health.state != next {
            self.log_health(next);
            self.health.state = next;
            self.todo.publish = true;
        }
    }

    fn judge_health(&self, turn: &Turn<'_>) -> Health {
        let mut health = Health::Ok;
        if self.settings.require_full_coverage {
            let lost = |id: &NodeId| self.nodes[id].failed() && self.slots.owns_any(id);
            if self.slots.assigned() < Slot::COUNT || self.unwell.iter().any(lost) {
                health = Health::Fail(DownReason::NotFullCoverage);
            }
        }
        let silent = self.silence_limit().is_some_and(|limit| self.lease_lost_for(turn.now) >= limit);
        if !self.reaches_majority() || silent {
            health = Health::Fail(DownReason::Minority);
        }
        health
    }

    fn log_health(&mut self, next: Health) {
        if next.is_ok() != self.health.state.is_ok() {
            let word = if next.is_ok() { "ok" } else { "fail" };
            self.log(LogLevel::Notice, format!("Cluster state changed: {word}"));
        }
        let reason = match next {
            Health::Ok | Health::Fail(DownReason::NotReady) => None,
            Health::Fail(reason) => Some(reason),
        };
        if reason != self.health.reason
            && let Some(reason) = reason
        {
            let why = match reason {
                DownReason::Minority => "I am part of a minority partition.",
                _ => {
                    "At least one hash slot is not served by any available node. Please check the \
                     'cluster-require-full-coverage' configuration."
                }
            };
            self.log(LogLevel::Notice, format!("Cluster is currently down: {why}"));
        }
        self.health.reason = reason;
    }
}
