//! Who replicates whom, by primary. In a large cluster the table of nodes is long and the replicas of one primary are few,
//! and they are asked for with every link that ends and every vote. It only mirrors what the nodes say of their primary
//! ([`Node::primary`](crate::node::Node)) and decides nothing.

use crate::cluster::Cluster;
use crate::node::Node;
use baton_base::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Both ways of one relation. Invariants: a replica is in exactly the set of its primary, and no set is empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Replicas {
    primary_of: BTreeMap<NodeId, NodeId>,
    by_primary: BTreeMap<NodeId, BTreeSet<NodeId>>,
}

impl Replicas {
    /// Takes note of whom a node replicates now, if anybody.
    fn note(&mut self, replica: NodeId, primary: Option<NodeId>) {
        if self.primary_of.get(&replica).copied() == primary {
            return;
        }
        if let Some(old) = self.primary_of.remove(&replica)
            && let Some(set) = self.by_primary.get_mut(&old)
        {
            set.remove(&replica);
            if set.is_empty() {
                self.by_primary.remove(&old);
            }
        }
        if let Some(primary) = primary {
            self.primary_of.insert(replica, primary);
            self.by_primary.entry(primary).or_default().insert(replica);
        }
    }

    /// The replicas of a node, in the order of their ids.
    fn of<'a>(&'a self, primary: &NodeId) -> impl Iterator<Item = &'a NodeId> + use<'a> {
        self.by_primary.get(primary).into_iter().flatten()
    }
}

impl Cluster {
    /// The replicas of a node, by id.
    pub(crate) fn replicas_of(&self, primary: NodeId) -> impl Iterator<Item = &Node> {
        self.replicas.of(&primary).filter_map(|id| self.nodes.get(id))
    }

    /// Keeps the relation, after a node got another primary or none, or went.
    pub(crate) fn note_primary(&mut self, id: &NodeId) {
        self.replicas.note(*id, self.nodes.get(id).and_then(|n| n.primary));
    }

    /// Nobody replicates this node any more, which is gone.
    pub(crate) fn orphan_replicas_of(&mut self, id: &NodeId) {
        let replicas: Vec<NodeId> = self.replicas.of(id).copied().collect();
        for replica in replicas {
            if let Some(node) = self.nodes.get_mut(&replica) {
                node.primary = None;
            }
            self.note_primary(&replica);
        }
    }

    /// Checks the relation against a look at all nodes.
    pub(crate) fn validate_replicas(&self) -> Result<(), String> {
        let mut scanned = Replicas::default();
        self.nodes.values().for_each(|n| scanned.note(n.id, n.primary));
        if self.replicas == scanned {
            Ok(())
        } else {
            Err("the replicas of some node are not listed as its".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_base::Rng;
    use proptest::prelude::*;

    proptest! {
        /// The relation against a plain map, whatever becomes whose replica.
        #[test]
        fn lists_whoever_names_a_primary(steps in proptest::collection::vec((0usize..8, 0usize..9), 0..100)) {
            let mut rng = Rng::new(1);
            let ids: Vec<NodeId> = (0..8).map(|_| NodeId::random(&mut rng)).collect();
            let mut replicas = Replicas::default();
            let mut twin: BTreeMap<NodeId, NodeId> = BTreeMap::new();
            for (replica, primary) in steps {
                let primary = ids.get(primary).copied();
                replicas.note(ids[replica], primary);
                let _ = match primary {
                    Some(primary) => twin.insert(ids[replica], primary),
                    None => twin.remove(&ids[replica]),
                };
                for id in &ids {
                    let named = twin.iter().filter(|(_, primary)| *primary == id).map(|(replica, _)| replica);
                    prop_assert!(replicas.of(id).eq(named));
                }
            }
            // Nothing is kept of a relation that ended.
            ids.iter().for_each(|id| replicas.note(*id, None));
            prop_assert_eq!(replicas, Replicas::default());
        }
    }
}
