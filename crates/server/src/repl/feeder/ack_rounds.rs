//! Acknowledgements on behalf of replies that wait for them ([`crate::write_acks`]): which replicas count, what they have,
//! and the asking, as `baton_replication::reply_holds` says when. It goes through the stream, so it works with replicas of
//! every kind. It must never move a stream whose end somebody holds still.

use std::time::Duration;

use baton_base::Mono;
use baton_cluster::Topology;
use baton_config::Id;
use baton_replication::ReplicaSession;

use super::{Feeder, GETACK};
use crate::world::World;

impl Feeder {
    /// Takes in what replicas have acknowledged, and lets the workers know whose replies wait for it.
    pub(super) fn hear_acks(&self) {
        if !self.news.acked && !self.news.members {
            return;
        }
        let world = self.shared.world.peek();
        if !world.holds_replies || world.hot.write_ack_replicas == 0 {
            return;
        }
        let counting = self.replicas.values().map(|r| &r.session).filter(|s| counts(&world, s));
        let wanted = usize::try_from(world.hot.write_ack_replicas).unwrap_or(usize::MAX);
        let Some(acked) = baton_replication::quorum::offset_acknowledged_by(counting, wanted) else { return };
        if self.shared.write_acks.raise_acked(acked) {
            let workers = &self.shared.threads().workers;
            self.shared.write_acks.waiting_workers().for_each(|i| workers[i].ring());
        }
    }

    /// Asks for acknowledgements while replies wait for them.
    pub(super) fn ask_for_writers(&mut self, now: Mono) {
        let acks = &self.shared.write_acks;
        let (wanted, acked) = (acks.wanted(), acks.acked_by_replicas());
        if self.replicas.is_empty() || !self.rounds.is_due(wanted, acked, now) {
            return;
        }
        // A read waits for something that is appended after it, and the request itself does not count.
        self.feed(&[b"PING"], |feeder| feeder.shared.journal.end() < wanted);
        if let Some(end) = self.feed(&GETACK, |_| true) {
            self.rounds.asked(end, now);
        }
    }

    /// Counts who would acknowledge a write now: whoever counts, follows the stream and was heard lately.
    pub(super) fn count_acknowledging(&self, now: Mono, lag_max: Duration) {
        let world = self.shared.world.peek();
        if world.hot.write_ack_replicas == 0 {
            return;
        }
        let lag_max = if world.settings.uint(Id::MinReplicasMaxLag) == 0 { Duration::MAX } else { lag_max };
        let counting = self.replicas.values().map(|r| &r.session).filter(|s| counts(&world, s));
        let present = baton_replication::quorum::good(counting, now, lag_max);
        self.shared.write_acks.set_present(present as u64);
    }
}

/// Whether an acknowledgement of this replica protects a write: outside of clusters anybody's, in a cluster that of a
/// node which can take over, which a stranger or a node of another shard can't.
fn counts(world: &World, session: &ReplicaSession) -> bool {
    let member = |topology: &Topology| {
        let me = topology.myself().shard;
        session.node_id.and_then(|id| topology.nodes.iter().find(|n| n.id == id)).is_some_and(|n| n.shard == me)
    };
    world.topology.as_deref().is_none_or(member)
}
