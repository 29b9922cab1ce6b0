//! In which order shards elect when several of them fail at once. A voter has one vote an epoch, and every request begins
//! a new one, so two requests at the same time take each other's votes. Requests reach all nodes, though: whoever waits
//! hears each of them, and knows that its own may leave as soon as the one before it has.
//!
//! The order is that of upstream's primary ranks, by shard id. It is only a courtesy between candidates: voters know
//! nothing of it, and those that follow upstream's rules wait for fixed times instead (cluster-bus 7.3, 15.2 TL).

use crate::cluster::{Cluster, Turn};
use crate::node::Node;
use baton_base::{Mono, NodeId};
use baton_wire::{Header, NodeFlags};
use std::time::Duration;

/// From somebody else's request to the next one: enough for the first to be everywhere before the second.
const GAP: Duration = Duration::from_millis(3);
/// How long each shard before this one is waited for, from the last request that was heard. It only passes where a
/// candidate that should be next says nothing.
const PATIENCE: Duration = Duration::from_millis(60);
/// An attempt that lost gets out of the way of those that haven't stood yet.
const GAP_LOST: Duration = Duration::from_millis(12);
/// How long a candidate that hears a rival still waits for votes that may be on their way.
const RIVAL_WAIT: Duration = Duration::from_millis(25);

/// How many failed shards come before mine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Before {
    /// Those that have a replica: upstream's primary rank.
    pub(crate) rank: u32,
    /// Of these, those that have not stood since they failed and have a replica that could.
    pub(crate) waiting: u32,
}

/// Whether a replica of this failed primary was heard to stand.
fn has_stood(primary: &Node) -> bool {
    primary.stood_for.is_some_and(|at| primary.fail_time.is_none_or(|failed| at >= failed))
}

impl Cluster {
    /// A replica asks for votes: others may be waiting for that, or see that their own request came to nothing.
    pub(crate) fn note_request(&mut self, turn: &Turn<'_>, candidate: NodeId, header: &Header) {
        self.request_heard = Some(turn.now);
        let primary = self.nodes.get(&candidate).and_then(|n| n.primary);
        if let Some(node) = primary.and_then(|id| self.nodes.get_mut(&id)) {
            node.stood_for = Some(turn.now);
        }
        if self.election.yields_to(header.current_epoch) {
            let wait = RIVAL_WAIT * 2u32.pow(self.election.losses().min(5));
            let jitter = self.jitter(wait);
            self.election.hurry(turn.now + wait + jitter);
        }
        self.review_waiting();
    }

    /// Something changed that may make it my turn.
    pub(crate) fn review_waiting(&mut self) {
        if self.election.deadline().is_some() {
            self.todo.failover = true;
        }
    }

    /// The failed shards that come before mine.
    pub(crate) fn shards_before(&self, turn: &Turn<'_>) -> Before {
        let shard = self.myself().shard;
        let window = self.settings.validity_window();
        let counts = |n: &&Node| {
            let lately = |at| window.is_none_or(|w| turn.now.since(at) <= w);
            n.failed() && n.shard < shard && n.fail_time.is_some_and(lately)
        };
        let unable = NodeFlags::NOFAILOVER | NodeFlags::FAIL | NodeFlags::PFAIL;
        let mut before = Before::default();
        for primary in self.unwell.iter().filter(|id| self.serves(id)).map(|id| &self.nodes[id]).filter(counts) {
            let able = |n: &Node| !n.flags.intersects(unable);
            before.rank += u32::from(self.replicas_of(primary.id).next().is_some());
            before.waiting += u32::from(!has_stood(primary) && self.replicas_of(primary.id).any(able));
        }
        before
    }

    /// When it is my turn, if so many shards before mine still wait and my shard has lost so many attempts.
    pub(crate) fn turn_at(&mut self, turn: &Turn<'_>, waiting: u32, lost: u32) -> Mono {
        let heard = self.request_heard.unwrap_or(Mono::ZERO);
        if lost > 0 {
            let jitter = self.jitter(GAP_LOST * 2);
            return turn.now.max(heard + GAP_LOST) + jitter;
        }
        match waiting {
            0 => turn.now.max(heard + GAP),
            _ => turn.now + PATIENCE * waiting,
        }
    }

    fn jitter(&mut self, below: Duration) -> Duration {
        Duration::from_micros(self.rng.below(u64::try_from(below.as_micros()).unwrap_or(0)))
    }
}
