//! The votes that were asked for in one epoch, and the leave of the primary to take over by them. An election has one, and so
//! has a canvass, which asks beforehand.

use std::collections::BTreeSet;
use std::time::Duration;

use baton_base::{Epoch, Mono, NodeId};

use crate::leave;

/// What was asked for in one epoch, and what came of it.
#[derive(Debug)]
pub(crate) struct Ballot {
    pub(crate) epoch: Epoch,
    pub(crate) asked_at: Mono,
    /// Voters by id: a repeated vote counts once (S9).
    pub(crate) votes: BTreeSet<NodeId>,
    /// Until when the primary, which lives, lets this node take over by it.
    leave_until: Option<Mono>,
}

impl Ballot {
    pub(crate) fn new(epoch: Epoch, asked_at: Mono) -> Ballot {
        Ballot { epoch, asked_at, votes: BTreeSet::new(), leave_until: None }
    }

    /// The primary gives leave for so long, counted from when it was asked; tells whether for this epoch.
    pub(crate) fn note_leave(&mut self, epoch: Epoch, length: Duration) -> bool {
        let mine = epoch == self.epoch;
        if mine {
            self.leave_until = self.leave_until.max(Some(self.asked_at + leave::counted(length)));
        }
        mine
    }

    /// Whether the primary lets this node take over now.
    pub(crate) fn has_leave(&self, now: Mono) -> bool {
        self.leave_until.is_some_and(|until| now < until)
    }
}
