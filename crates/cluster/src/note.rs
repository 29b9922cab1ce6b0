//! What the machine tells about changes of primaries, for whoever keeps their history. Notes decide nothing, and a machine
//! whose notes are dropped does the same.

use crate::cluster::Cluster;
use crate::effect::Effect;
use baton_base::{Epoch, Mono, NodeId, Offset, ShardId};

/// Who wants a replica to take over without a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// A user, and the primary is to agree.
    User,
    /// A user who answers for the primary not being asked (FORCE).
    Forced,
    /// A user who answers for nobody being asked (TAKEOVER).
    Takeover,
    /// The primary itself, which hands over.
    Primary,
}

/// One step of a change of primary, as this node took or saw it. It happened at the time of the input that caused it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note {
    /// I suspect a primary that serves slots (PFAIL).
    Suspected {
        /// The primary.
        primary: NodeId,
    },
    /// It is agreed that a primary with slots failed (FAIL).
    Failed {
        /// The primary.
        primary: NodeId,
        /// Its shard.
        shard: ShardId,
        /// Epoch of its slots.
        epoch: Epoch,
    },
    /// A node that was suspected, or marked as failed, is neither any more.
    Cleared {
        /// The node.
        node: NodeId,
    },
    /// I was told to take over.
    Told {
        /// By whom.
        by: Asked,
        /// My primary.
        primary: NodeId,
        /// Our shard.
        shard: ShardId,
        /// Epoch of its slots.
        epoch: Epoch,
    },
    /// My primary stands still at this offset.
    Paused {
        /// Its final offset.
        offset: Offset,
    },
    /// I applied everything up to that offset.
    CaughtUp {
        /// My offset.
        offset: Offset,
    },
    /// What I was told to do is over without me as primary.
    GivenUp,
    /// My election is to start at this time.
    Scheduled {
        /// When.
        at: Mono,
    },
    /// I asked for votes.
    Started {
        /// The epoch of the election.
        epoch: Epoch,
    },
    /// I got a vote.
    Vote {
        /// From whom.
        voter: NodeId,
    },
    /// My election is over without a majority.
    Lost,
    /// I am primary now.
    Won {
        /// The primary that I replace.
        old: NodeId,
        /// Me.
        new: NodeId,
        /// Our shard.
        shard: ShardId,
        /// Epoch of my claim.
        epoch: Epoch,
        /// End of my data.
        offset: Offset,
        /// End of the old primary's data as I last heard of it.
        old_offset: Offset,
    },
    /// I voted.
    Granted {
        /// For whom.
        candidate: NodeId,
        /// Its primary.
        primary: NodeId,
        /// Their shard.
        shard: ShardId,
        /// The epoch of the election.
        epoch: Epoch,
        /// The primary was marked as failed.
        failed: bool,
    },
    /// A node took the slots of another one of its shard.
    Claimed {
        /// Who had them.
        old: NodeId,
        /// Who has them.
        new: NodeId,
        /// Their shard.
        shard: ShardId,
        /// Epoch of the claim.
        epoch: Epoch,
        /// The old one was marked as failed.
        failed: bool,
    },
}

impl Cluster {
    pub(crate) fn note(&mut self, note: Note) {
        self.emit(Effect::Note(note));
    }

    /// Notes a suspicion, where it may lead to a change of primary.
    pub(crate) fn note_suspected(&mut self, id: &NodeId) {
        if self.serves(id) {
            self.note(Note::Suspected { primary: *id });
        }
    }

    pub(crate) fn note_failed(&mut self, id: &NodeId) {
        if self.serves(id) {
            let (shard, epoch) = (self.nodes[id].shard, self.effective_epoch(id));
            self.note(Note::Failed { primary: *id, shard, epoch });
        }
    }

    pub(crate) fn note_told(&mut self, by: Asked, primary: NodeId) {
        let (shard, epoch) = (self.myself().shard, self.effective_epoch(&primary));
        self.note(Note::Told { by, primary, shard, epoch });
    }

    pub(crate) fn note_granted(&mut self, candidate: NodeId, epoch: Epoch) {
        let Some(primary) = self.nodes.get(&candidate).and_then(|n| n.primary) else { return };
        let Some(node) = self.nodes.get(&primary) else { return };
        let (shard, failed) = (node.shard, node.failed());
        self.note(Note::Granted { candidate, primary, shard, epoch, failed });
    }

    /// Notes that `new` has what `old` had, if that is a change within one shard.
    pub(crate) fn note_claimed(&mut self, old: NodeId, new: NodeId, epoch: Epoch) {
        if self.same_shard(&old, &new) {
            let node = &self.nodes[&old];
            let (shard, failed) = (node.shard, node.failed());
            self.note(Note::Claimed { old, new, shard, epoch, failed });
        }
    }
}
