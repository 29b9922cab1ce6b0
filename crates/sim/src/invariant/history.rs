//! No node that held data adopts a shorter history in a planned handover: neither silently, by following a stream that
//! begins before its own end, nor by a full synchronisation to less (architecture 6 and 8, cluster-bus 15.3 S6).

use baton_base::{NodeId, Offset};
use std::collections::BTreeMap;

/// How far every node was.
#[derive(Default)]
pub struct Histories {
    ends: BTreeMap<NodeId, Offset>,
    /// Full synchronisations in planned handovers, which should be partial ones.
    pub full_syncs: u64,
}

impl Histories {
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
}
