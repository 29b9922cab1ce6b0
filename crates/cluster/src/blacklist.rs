//! Forgotten nodes that must not be learned again from gossip for a while (cluster-bus 2.6).

use baton_base::{Mono, NodeId};
use std::collections::BTreeMap;

/// Ids with the instant until which they stay forgotten.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blacklist(BTreeMap<NodeId, Mono>);

/// More entries than this are never kept: each costs 56 bytes in every ping. The soonest to expire goes first.
const ENTRIES_MAX: usize = 1000;

impl Blacklist {
    pub(crate) fn insert(&mut self, id: NodeId, until: Mono) {
        self.0.insert(id, until);
        if self.0.len() > ENTRIES_MAX {
            let soonest = self.0.iter().min_by_key(|(_, until)| **until).map(|(id, _)| *id);
            if let Some(id) = soonest {
                self.0.remove(&id);
            }
        }
    }

    pub(crate) fn contains(&self, id: &NodeId, now: Mono) -> bool {
        self.0.get(id).is_some_and(|until| *until > now)
    }

    pub(crate) fn remove(&mut self, id: &NodeId) {
        self.0.remove(id);
    }

    pub(crate) fn expire(&mut self, now: Mono) {
        self.0.retain(|_, until| *until > now);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// What is advertised: ids with the whole seconds left. Rounded down, or two nodes that repeat each other's entries
    /// would keep them alive for ever.
    pub(crate) fn entries(&self, now: Mono) -> impl Iterator<Item = (NodeId, u64)> {
        self.0.iter().map(move |(id, until)| (*id, until.ms_since(now) / 1000)).filter(|(_, left)| *left > 0)
    }
}
