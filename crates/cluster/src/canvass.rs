//! Votes for a handover that are asked for before writes are held: whoever is to take over asks the voters while its primary
//! still serves, and so, once writes are held, only the last bytes and the primary's leave are waited for.
//!
//! Such votes elect nobody by themselves. They count in the manual failover that they were asked for, with leave for their
//! very epoch (`leave`), which a primary gives only while it holds its writes. If it fails meanwhile that takes an election
//! of its own. Nobody is asked beforehand where the primary or a voter is not of this kind, and a canvass without a majority
//! costs an epoch and a moment: the votes are asked for again once writes are held.

use crate::ballot::Ballot;
use crate::capabilities::Capabilities;
use crate::cluster::{Cluster, Turn};
use crate::effect::Effect;
use baton_base::{Epoch, Mono, NodeId};
use baton_wire::{Body, Header, MsgFlags};
use std::time::Duration;

/// How long a handover waits for the votes before it goes on without them. Longer than a round trip to the voters and their
/// disks; nobody waits meanwhile.
const WAIT_MAX: Duration = Duration::from_millis(20);

/// Who goes on once the votes are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum For {
    /// This node, which was asked to take over by a user.
    User,
    /// Its primary, which wants to hand over.
    Primary,
}

/// What was asked, and what came of it.
#[derive(Debug)]
pub(crate) struct Canvass {
    /// Whom it is to replace.
    primary: NodeId,
    pub(crate) ballot: Ballot,
    /// Who waits for it.
    waiting: Option<For>,
}

impl Cluster {
    /// A primary wants to hand over to this replica, which is to ask for votes beforehand. The answer is
    /// [`Effect::Canvassed`], at once if there is nothing to wait for, or never.
    pub(crate) fn ask_to_canvass(&mut self, replica: NodeId) {
        let fit = self.is_primary() && self.may_be_canvassed_for(&replica);
        if !fit || !self.send_canvass(&replica) {
            self.emit(Effect::Canvassed { replica });
        }
    }

    /// Replica: my primary wants to hand over to me.
    pub(crate) fn on_canvass(&mut self, turn: &Turn<'_>, from: NodeId) {
        if self.myself().primary == Some(from) && !self.canvass(turn, For::Primary) {
            self.send_canvassed(&from);
        }
    }

    /// Primary: a replica has its votes, or does without.
    pub(crate) fn on_canvassed(&mut self, from: NodeId) {
        if self.nodes.get(&from).is_some_and(|n| n.primary == Some(self.me)) {
            self.emit(Effect::Canvassed { replica: from });
        }
    }

    /// Whether all voters, and this peer, know that such votes count only with leave.
    fn may_be_canvassed_for(&self, peer: &NodeId) -> bool {
        self.all_keep_promises() && self.goes_by_leave(peer)
    }

    /// Asks for votes in an epoch of its own. Tells whether there is anything to wait for.
    pub(crate) fn canvass(&mut self, turn: &Turn<'_>, waiting: For) -> bool {
        let Some(primary) = self.my_primary().map(|n| n.id) else { return false };
        let sound = turn.facts.dataset_complete && turn.facts.link_up && self.persist_ok;
        let free = !self.election.is_running() && turn.now >= self.listen_until && !self.nodes[&primary].failed();
        if !sound || !free || !self.slots.owns_any(&primary) || !self.may_be_canvassed_for(&primary) {
            return false;
        }
        self.current_epoch = self.current_epoch.next();
        let epoch = self.current_epoch;
        self.canvass = Some(Canvass { primary, ballot: Ballot::new(epoch, turn.now), waiting: Some(waiting) });
        self.todo.save_epochs();
        if self.take_own_vote(turn, epoch) {
            self.count_early_vote(self.me, epoch);
        }
        self.broadcast(turn, MsgFlags::FORCEACK, Body::AuthRequest);
        true
    }

    /// A vote for what I asked beforehand; tells whether it was one.
    pub(crate) fn on_early_vote(&mut self, voter: NodeId, header: &Header) -> bool {
        let mine = Capabilities::may_be_for(header.private, &self.me) && self.is_voting(&voter);
        mine && self.count_early_vote(voter, header.current_epoch)
    }

    fn count_early_vote(&mut self, voter: NodeId, epoch: Epoch) -> bool {
        let Some(canvass) = self.canvass.as_mut().filter(|c| c.ballot.epoch == epoch) else { return false };
        canvass.ballot.votes.insert(voter);
        true
    }

    /// My primary gives leave for an election, which may be the one that I canvassed for.
    pub(crate) fn note_early_leave(&mut self, epoch: Epoch, length: Duration) {
        if let Some(canvass) = &mut self.canvass {
            canvass.ballot.note_leave(epoch, length);
        }
    }

    /// Whether enough have voted, the primary itself among them: it knows then what to give leave for.
    fn is_carried(&self, canvass: &Canvass) -> bool {
        let votes = &canvass.ballot.votes;
        votes.contains(&canvass.primary) && self.is_majority(|id| votes.contains(id))
    }

    /// When the wait for votes is over.
    pub(crate) fn canvass_wake(&self) -> Mono {
        let waits = self.canvass.as_ref().filter(|c| c.waiting.is_some());
        waits.map_or(Mono::NEVER, |c| c.ballot.asked_at + WAIT_MAX)
    }

    /// Goes on once the votes are there, or were waited for.
    pub(crate) fn run_canvass(&mut self, turn: &Turn<'_>) {
        let Some(canvass) = self.canvass.as_ref().filter(|c| c.waiting.is_some()) else { return };
        if !self.is_carried(canvass) && turn.now < canvass.ballot.asked_at + WAIT_MAX {
            return;
        }
        let primary = canvass.primary;
        match self.canvass.as_mut().and_then(|c| c.waiting.take()) {
            Some(For::User) => self.ask_for_pause(turn, &primary),
            Some(For::Primary) => _ = self.send_canvassed(&primary),
            None => {}
        }
    }

    /// Whether the request to hold writes waits for votes.
    pub(crate) fn canvasses_first(&self) -> bool {
        self.canvass.as_ref().is_some_and(|c| c.waiting == Some(For::User))
    }

    /// What this node asked for beforehand, if it may win with that: a majority so lately that it counts as a lease, too, and
    /// a primary that has to give its leave for it.
    pub(crate) fn take_canvass(&mut self, turn: &Turn<'_>) -> Option<Ballot> {
        let canvass = self.canvass.take()?;
        let fresh = turn.now.since(canvass.ballot.asked_at) < self.lease_length() / 2;
        let same = self.myself().primary == Some(canvass.primary);
        (fresh && same && self.needs_leave() && self.is_carried(&canvass)).then_some(canvass.ballot)
    }
}
