//! What must never be seen, one file each, with the source of the rule. The world tells what happens; nothing here acts.

pub mod acknowledged;
pub mod epochs;
pub mod history;
pub mod linear;
pub mod one_vote;
pub mod one_writer;
pub mod readable;
pub mod settled;

use acknowledged::Ledger;
use baton_base::{Mono, NodeId};
use epochs::Epochs;
use history::Histories;
use linear::Linear;
use one_vote::Votes;
use one_writer::Writers;
use readable::Readable;
use std::collections::BTreeMap;
use std::time::Duration;

/// Violations that are kept; more of one run tell nothing new.
const VIOLATIONS_MAX: usize = 8;

/// All invariants of a run.
#[derive(Default)]
pub struct Watch {
    /// A planned handover is going on and nothing else is wrong: what is a cost of crashes is a violation now.
    pub strict: bool,
    /// Since when.
    pub strict_since: Mono,
    /// Who acknowledges writes.
    pub writers: Writers,
    /// Who votes for whom.
    pub votes: Votes,
    /// What epochs were promised.
    pub epochs: Epochs,
    /// What was acknowledged.
    pub ledger: Ledger,
    /// What was acknowledged by replicas, too.
    pub readable: Readable,
    /// What clients did to registers.
    pub linear: Linear,
    /// Who adopts which history.
    pub histories: Histories,
    /// Which node every process is.
    pub names: BTreeMap<usize, NodeId>,
    /// How requests to stop or to hand over ended, by process.
    pub outcomes: Vec<(usize, baton_node::Outcome)>,
    /// The longest that a client waited for one write in the present planned handover.
    pub longest_wait: Duration,
    violations: Vec<String>,
}

impl Watch {
    /// A client got its answer, or gave up.
    pub fn latency(&mut self, now: Mono, since: Mono) {
        // What was asked before may have been lost to a fault of that time.
        if self.strict && since >= self.strict_since {
            self.longest_wait = self.longest_wait.max(now.since(since));
        }
    }

    /// Takes a verdict.
    pub fn judge(&mut self, at: Mono, verdict: Result<(), String>) {
        if let Err(text) = verdict
            && self.violations.len() < VIOLATIONS_MAX
        {
            self.violations.push(format!("at {at:?}: {text}"));
        }
    }

    /// What was violated so far.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }
}
