//! Primaries that lost all their replicas, and whether I move to one of them (cluster-bus 10). All replicas judge for
//! themselves, by one order, so one of them goes. It must never leave my own primary with fewer than it is to keep.

use crate::cluster::{Cluster, Turn};
use crate::effect::LogLevel;
use crate::node::Node;
use crate::roles::Resync;
use baton_base::NodeId;
use baton_wire::NodeFlags;
use std::collections::BTreeMap;
use std::time::Duration;

/// A primary without replicas is given so long to get one back.
const ORPHAN_DELAY: Duration = Duration::from_secs(5);
/// Nobody moves away from a primary with fewer living replicas.
const SPARE_MIN: usize = 2;

impl Cluster {
    /// Notes which primaries have and had replicas, and moves where that is called for.
    pub(crate) fn watch_orphans(&mut self, turn: &Turn<'_>) {
        let mut counts: BTreeMap<NodeId, Count> = BTreeMap::new();
        for node in self.nodes.values() {
            if let Some(primary) = node.primary {
                let count = counts.entry(primary).or_default();
                count.all += 1;
                count.living += usize::from(!node.failed());
            }
        }
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            let count = counts.get(&id).copied().unwrap_or_default();
            let owner = self.slots.owns_any(&id);
            // Whoever begins to serve where others have replicas is to get one, too.
            let joins = owner && counts.keys().any(|other| *other != id);
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            note_replicas(node, count, joins);
            let orphan = node.is_primary() && !node.failed() && owner && count.living == 0;
            let wants = orphan && node.has(NodeFlags::MIGRATE_TO);
            node.orphaned = if wants { Some(node.orphaned.unwrap_or(turn.now)) } else { None };
            node.serves = owner;
        }
        self.adopt_orphan(turn);
    }

    /// Replica: moves to a primary that has had no replica for long, if it is my turn.
    fn adopt_orphan(&mut self, turn: &Turn<'_>) {
        let Some(head) = self.my_primary().map(|n| n.id) else { return };
        // Who moves away takes a copy of what was acknowledged along, and the others would no longer count on it.
        let stays = !self.settings.allow_replica_migration || self.has_quorum_writes();
        if stays || !self.health.state.is_ok() || self.surpasses_primary(turn) {
            return;
        }
        let Some(orphan) = self.first_orphan(turn) else { return };
        let spare = self.replicas_of(head).filter(|n| n.healthy()).count();
        if u64::try_from(spare).unwrap_or(u64::MAX) <= self.settings.migration_barrier || !self.is_my_turn(&head) {
            return;
        }
        let text =
            format!("Migrating to orphaned primary {} in shard {}", self.named(&orphan), self.nodes[&orphan].shard);
        self.log(LogLevel::Notice, text);
        self.follow(orphan, Resync::Full);
        self.todo.save_durably();
        self.todo.announce = true;
    }

    fn first_orphan(&self, turn: &Turn<'_>) -> Option<NodeId> {
        let ripe = |n: &&Node| n.orphaned.is_some_and(|at| turn.now.since(at) > ORPHAN_DELAY);
        self.nodes.values().find(ripe).map(|n| n.id)
    }

    /// Of all living replicas of the primaries that have most of them, the one with the smallest id goes.
    fn is_my_turn(&self, head: &NodeId) -> bool {
        let living = |id: NodeId| self.replicas_of(id).filter(|n| !n.failed());
        let primaries = || self.nodes.values().filter(|n| n.is_primary());
        let most = primaries().map(|n| living(n.id).count()).max().unwrap_or(0);
        let first = primaries().filter(|n| living(n.id).count() == most).flat_map(|n| living(n.id)).map(|n| n.id).min();
        most >= SPARE_MIN && living(*head).count() == most && first == Some(self.me)
    }
}

#[derive(Clone, Copy, Default)]
struct Count {
    all: usize,
    living: usize,
}

/// Whether replicas may move to this node: it had one that is not gone for good, inherited its slots, or joined those that
/// have some.
fn note_replicas(node: &mut Node, count: Count, joins: bool) {
    let had = std::mem::replace(&mut node.replica_count, count.all);
    if !node.is_primary() {
        node.flags.remove(NodeFlags::MIGRATE_TO);
    } else if count.all > 0 || (joins && !node.serves) {
        node.flags.insert(NodeFlags::MIGRATE_TO);
    } else if had > 0 {
        node.flags.remove(NodeFlags::MIGRATE_TO);
    }
}
