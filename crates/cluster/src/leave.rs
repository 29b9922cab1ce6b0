//! A primary's leave to be replaced while it lives. Whoever hands over holds its writes until a time that it chose; the votes
//! for its successor know nothing of that time, and neither does the order to take over, which may lie in a buffer for long
//! while its reader stands still. So:
//!
//! 1. As long as it holds its writes for a successor, a primary has no lease at all: whatever the timers of its data plane
//!    come to after a pause, nothing is acknowledged before it has heard what happened meanwhile.
//! 2. It answers a request for votes of the replica that it hands over to with its leave, as soon as it holds them: for that
//!    election, and for the time that it goes on holding.
//! 3. That replica takes over only with leave for its election, within three quarters of that time, counted from when it
//!    asked.
//! 4. A primary that calls it off asks for its leave back. The replica gives up whatever election it has, and any other one
//!    takes a leave of its own, so with its answer writes may go on at once.
//!
//! So nobody takes over once the primary serves again, however late it reads what, and who got no leave need not be waited
//! for. A leave elects nobody: that takes the votes, as ever. Exempt are an operator's FORCE, who answers for it, and nodes
//! that don't say that they know of this; and a primary that failed gives none, but then the election is an ordinary one.

use crate::capabilities::Capabilities;
use crate::cluster::{Cluster, Turn};
use crate::effect::Effect;
use crate::manual::{Consent, Manual};
use baton_base::{Epoch, Mono, NodeId};
use baton_wire::Header;
use std::collections::BTreeMap;
use std::time::Duration;

/// A leave that would be over sooner is not given: the claim of whoever takes over by it has to arrive in the last quarter.
const SHORTEST: Duration = Duration::from_secs(1);

/// The primary's side. The other one is in the election that it is for.
#[derive(Debug, Default)]
pub(crate) struct Leave {
    /// Writes are held so that somebody can take over.
    stands_still: bool,
    /// Who may, and until when.
    heir: Option<(NodeId, Mono)>,
    /// The latest election that a replica asked votes for, and when: it may have been before writes are held (`canvass`).
    asked: Option<(NodeId, Epoch, Mono)>,
    /// Who was given leave since writes are held, and the first election that it was for.
    given: BTreeMap<NodeId, Epoch>,
    /// Whose is being taken back, and by what the answer is known.
    recall: Option<(NodeId, u64)>,
}

/// Counted by a replica: less than what was given, by more than clocks differ.
pub(crate) fn counted(given: Duration) -> Duration {
    given - given / 4
}

impl Cluster {
    /// Writes are held for a successor, who may take over until then; nobody may without one.
    pub(crate) fn stand_still(&mut self, turn: &Turn<'_>, heir: Option<(NodeId, Mono)>) {
        // Votes that are as old are asked for anew.
        self.leave.asked = self.leave.asked.filter(|(_, _, at)| turn.now.since(*at) <= self.lease_length());
        self.leave.stands_still = true;
        self.leave.heir = heir;
        if let Some((id, _)) = heir {
            self.give_leave(turn, &id);
        }
    }

    /// Writes are held no longer, or this node is no primary any more.
    pub(crate) fn go_on(&mut self) {
        self.leave = Leave { asked: self.leave.asked, ..Leave::default() };
    }

    /// Whether nothing may be acknowledged because of that.
    pub(crate) fn stands_still(&self) -> bool {
        self.leave.stands_still && self.settings.lease && self.is_primary()
    }

    /// Whether this replica could still win because this node let it: it has leave, where it needs that, and this node's
    /// vote, where it needs that. `before` is the epoch of the latest vote before it was told to take over.
    pub fn may_win(&self, id: &NodeId, before: Epoch) -> bool {
        let first = if self.goes_by_leave(id) { self.leave.given.get(id).copied() } else { Some(before.next()) };
        let voted = |first| self.voted_for() == Some(*id) && self.last_vote_epoch >= first;
        first.is_some_and(|first| self.majority_without_me() || voted(first))
    }

    /// Whether this peer takes over from a living primary only with leave, and gives it as one.
    pub(crate) fn goes_by_leave(&self, id: &NodeId) -> bool {
        self.settings.lease && self.nodes.get(id).is_some_and(|n| n.capabilities.has(Capabilities::LEAVE))
    }

    /// Whether a replica of mine has my leave to take over, or needs none.
    pub(crate) fn has_given_leave(&self, id: &NodeId) -> bool {
        !self.goes_by_leave(id) || self.leave.given.contains_key(id)
    }

    /// A replica asks for votes: it gets leave if it is the one that writes are held for.
    pub(crate) fn answer_with_leave(&mut self, turn: &Turn<'_>, candidate: &NodeId, header: &Header) {
        let heir = self.leave.heir.is_some_and(|(id, _)| id == *candidate);
        if heir || self.nodes[candidate].primary == Some(self.me) {
            self.leave.asked = Some((*candidate, header.current_epoch, turn.now));
            self.give_leave(turn, candidate);
        }
    }

    /// Says it, or says it again on a new link.
    pub(crate) fn give_leave(&mut self, turn: &Turn<'_>, candidate: &NodeId) {
        let heir = self.leave.heir.filter(|(id, _)| id == candidate && self.stands_still());
        let asked = self.leave.asked.filter(|(id, ..)| id == candidate);
        let Some(((_, until), (_, epoch, _))) = heir.zip(asked) else { return };
        let left = until.since(turn.now);
        if left >= SHORTEST.min(self.manual_timeout() / 2) && self.send_leave(turn, candidate, epoch, left) {
            self.leave.given.entry(*candidate).or_insert(epoch);
        }
    }

    /// Takes back what this replica was given. The answer is [`Effect::Recalled`], if one comes.
    pub(crate) fn recall(&mut self, replica: NodeId) {
        let stamp = self.rng.next_u64();
        self.leave.recall = Some((replica, stamp));
        self.send_recall(&replica, stamp);
    }

    /// It may have left on a link whose other end had gone.
    pub(crate) fn repeat_recall(&mut self, replica: &NodeId) {
        if let Some((_, stamp)) = self.leave.recall.filter(|(id, _)| id == replica) {
            self.send_recall(replica, stamp);
        }
    }

    /// Replica: my primary goes on itself. An election that it let me win is over; where I have won, my claim is on its way.
    pub(crate) fn on_recall(&mut self, from: NodeId, stamp: u64) {
        if self.myself().primary != Some(from) {
            return;
        }
        self.canvass = None;
        if self.manual.is_by_consent() {
            self.lose_consent("the primary called it off");
        }
        self.send_recalled(&from, stamp);
    }

    /// Primary: that replica can't win any more.
    pub(crate) fn on_recalled(&mut self, from: NodeId, stamp: u64) {
        if self.leave.recall == Some((from, stamp)) {
            self.leave.recall = None;
            self.emit(Effect::Recalled { replica: from });
        }
    }

    /// My primary lets me take over, in the election of this epoch.
    pub(crate) fn on_leave(&mut self, from: NodeId, epoch: Epoch, length: Duration) {
        if self.myself().primary != Some(from) {
            return;
        }
        self.note_early_leave(epoch, length);
        if self.election.note_leave(epoch, length) {
            self.todo.failover = true;
        }
    }

    /// Whether I stand on the word of a primary that would give its leave.
    pub(crate) fn needs_leave(&self) -> bool {
        let asked = match self.manual {
            Manual::Ready { consent, .. } => consent != Consent::Forced,
            _ => false,
        };
        asked && self.my_primary().is_some_and(|n| self.goes_by_leave(&n.id))
    }

    /// Whether my primary, as far as it is asked, lets me take over now.
    pub(crate) fn leave_allows(&self, now: Mono) -> bool {
        !self.needs_leave() || self.election.has_leave(now)
    }

    /// Whether that can't be any more, as it failed before it said so.
    pub(crate) fn leave_is_lost(&self, now: Mono) -> bool {
        !self.leave_allows(now) && self.my_primary().is_some_and(|n| n.failed())
    }
}
