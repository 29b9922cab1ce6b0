//! Acknowledgements on behalf of replies that wait for them ([`crate::write_acks`]): which replicas count, what they have,
//! and when they are asked. Asking goes through the stream, so it works with replicas of every kind. It must never move a
//! stream whose end somebody holds still.

use std::collections::VecDeque;
use std::time::Duration;

use baton_base::{Mono, Offset};
use baton_cluster::Topology;
use baton_config::Id;
use baton_replication::ReplicaSession;

use super::{Feeder, GETACK};
use crate::world::World;

/// Requests that are under way at a time. One would make a write that comes just after it wait twice as long; with many,
/// replicas would be busy with answering.
const ROUNDS_MAX: usize = 4;
/// A request that is not answered for so long is made again: a replica may have come since.
const AGAIN: Duration = Duration::from_millis(100);

/// Length of a request in the stream: `*3` and three bulk strings.
const GETACK_BYTES: u64 = 37;

/// Requests for acknowledgement that are under way: what an answer says to be applied at least, and when it was made.
/// That is all in front of the request: upstream's replicas answer before they count the request itself.
#[derive(Debug, Default)]
pub(super) struct Rounds(VecDeque<(Offset, Mono)>);

impl Rounds {
    /// Whether to ask now, where replies wait for `wanted` and replicas have acknowledged `acked`.
    fn is_due(&mut self, wanted: Offset, acked: Offset, now: Mono) -> bool {
        if wanted <= acked {
            self.0.clear();
            return false;
        }
        self.0.retain(|(upto, at)| *upto > acked && now.since(*at) < AGAIN);
        self.0.len() < ROUNDS_MAX && self.0.back().is_none_or(|(upto, _)| *upto < wanted)
    }

    fn asked(&mut self, upto: Offset, now: Mono) {
        self.0.push_back((upto, now));
    }
}

impl Feeder {
    /// Takes in what replicas have acknowledged, and lets the workers know whose replies wait for it.
    pub(super) fn hear_acks(&self) {
        if !self.news.acked && !self.news.members {
            return;
        }
        let world = self.shared.world.peek();
        if !world.holds_replies {
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
        let (wanted, acked) = (acks.wanted(), acks.acked());
        if self.replicas.is_empty() || !self.rounds.is_due(wanted, acked, now) {
            return;
        }
        // A read waits for something that is appended after it, and the request itself does not count.
        self.feed(&[b"PING"], |feeder| feeder.shared.journal.end() < wanted);
        if let Some(end) = self.feed(&GETACK, |_| true) {
            self.rounds.asked(Offset(end.0.saturating_sub(GETACK_BYTES)), now);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_speaks_for_all_that_came_before_it() {
        let (mut rounds, now) = (Rounds::default(), Mono::from_millis(1));
        assert!(!rounds.is_due(Offset(0), Offset(0), now));
        assert!(rounds.is_due(Offset(10), Offset(5), now));
        rounds.asked(Offset(47), now);
        assert!(!rounds.is_due(Offset(40), Offset(5), now), "what is under way answers it");
        assert!(rounds.is_due(Offset(50), Offset(5), now));
        assert!(!rounds.is_due(Offset(50), Offset(50), now));
    }

    #[test]
    fn only_so_many_are_under_way_and_lost_ones_are_repeated() {
        let (mut rounds, now) = (Rounds::default(), Mono::from_millis(1));
        for end in 1..=ROUNDS_MAX as u64 {
            assert!(rounds.is_due(Offset(end), Offset(0), now));
            rounds.asked(Offset(end), now);
        }
        assert!(!rounds.is_due(Offset(99), Offset(0), now));
        assert!(rounds.is_due(Offset(99), Offset(1), now), "an answer makes room");
        assert!(rounds.is_due(Offset(3), Offset(0), now + AGAIN), "a lost request is made again");
    }
}
