//! No node that held data adopts a shorter history in a planned handover: neither silently, by following a stream that
//! begins before its own end, nor by a full synchronisation to less. After crashes and partitions the history of whoever
//! won may be shorter by what it never got. That somebody who holds keys adopts one without any, as happens where a primary
//! was started again without its data, is forbidden there, too, where replicas acknowledged anything in its shard and the
//! faults left a copy of that; elsewhere it is counted, and scenarios that leave a whole copy demand that it never
//! happens (architecture 6 and 8, cluster-bus 15.3 S6).

use baton_base::{NodeId, Offset};
use std::collections::{BTreeMap, BTreeSet};

/// How far every node was.
#[derive(Default)]
pub struct Histories {
    ends: BTreeMap<NodeId, Offset>,
    /// How often a node gave up all keys it had.
    pub emptied: u64,
    /// Who has keys.
    filled: BTreeSet<NodeId>,
    /// Full synchronisations in planned handovers, which should be partial ones.
    pub full_syncs: u64,
}

impl Histories {
    /// A node with keys or without any. Where there is something to `keep`, nobody may lose all of them.
    pub fn note_keys(&mut self, node: NodeId, has_keys: bool, keep: bool) -> Result<(), String> {
        if has_keys {
            self.filled.insert(node);
        } else if self.filled.remove(&node) {
            self.emptied += 1;
            if keep {
                return Err(format!("{node} held keys and adopted a history without any"));
            }
        }
        Ok(())
    }

    /// A node's dataset ends here now.
    pub fn note(&mut self, node: NodeId, end: Offset, strict: bool) -> Result<(), String> {
        let before = self.ends.insert(node, end).unwrap_or_default();
        if strict && end < before {
            return Err(format!("{node} had data up to {before} and has it up to {end} now"));
        }
        Ok(())
    }

    /// A node starts anew with what its disk holds.
    pub fn restarted(&mut self, node: NodeId, end: Offset) {
        self.ends.insert(node, end);
        self.filled.remove(&node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_back_counts_only_without_faults() {
        let id = NodeId::new([b'a'; 40]).unwrap();
        let mut histories = Histories::default();
        assert!(histories.note(id, Offset(10), true).is_ok());
        assert!(histories.note(id, Offset(5), false).is_ok());
        assert!(histories.note(id, Offset(4), true).is_err());
        histories.restarted(id, Offset(0));
        assert!(histories.note(id, Offset(1), true).is_ok());
    }

    #[test]
    fn nobody_gives_up_all_it_has() {
        let id = NodeId::new([b'a'; 40]).unwrap();
        let mut histories = Histories::default();
        let mut note = |has_keys, keep| histories.note_keys(id, has_keys, keep).is_ok();
        assert!(note(false, true) && note(true, true) && note(false, false));
        assert!(note(true, true) && !note(false, true));
        assert_eq!(histories.emptied, 2);
        assert!(histories.note_keys(id, true, true).is_ok());
        histories.restarted(id, Offset(0));
        assert!(histories.note_keys(id, false, true).is_ok());
        assert_eq!(histories.emptied, 2);
    }
}
