//! At most one node acknowledges writes for a slot in one configuration epoch. And while nothing but a planned handover
//! happens, an older epoch is silent once a newer one has spoken: never two writers (architecture 5 and 8).
//!
//! Across epochs, with faults, upstream's rules let an isolated primary go on for a while (cluster-bus 15.3 S1); what
//! that loses is counted by [`super::acknowledged`].

use baton_base::{Epoch, NodeId};
use std::collections::BTreeMap;

/// Who acknowledged what.
#[derive(Default)]
pub struct Writers {
    by_epoch: BTreeMap<(u16, Epoch), NodeId>,
    newest: BTreeMap<u16, Epoch>,
}

impl Writers {
    /// A node acknowledged a write.
    pub fn note(&mut self, slot: u16, epoch: Epoch, node: NodeId, strict: bool) -> Result<(), String> {
        let first = *self.by_epoch.entry((slot, epoch)).or_insert(node);
        if first != node {
            return Err(format!("slot {slot}: {node} and {first} acknowledged writes in epoch {epoch}"));
        }
        let newest = self.newest.entry(slot).or_insert(epoch);
        if epoch < *newest && strict {
            return Err(format!("slot {slot}: {node} acknowledged in epoch {epoch} after epoch {newest} began"));
        }
        *newest = (*newest).max(epoch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_for_each_slot_and_epoch() {
        let (a, b) = (NodeId::new([b'a'; 40]).unwrap(), NodeId::new([b'b'; 40]).unwrap());
        let mut writers = Writers::default();
        assert!(writers.note(1, Epoch(1), a, true).is_ok());
        assert!(writers.note(2, Epoch(1), b, true).is_ok());
        assert!(writers.note(1, Epoch(1), b, false).is_err());
        assert!(writers.note(1, Epoch(2), b, true).is_ok());
        assert!(writers.note(1, Epoch(1), a, false).is_ok());
        assert!(writers.note(1, Epoch(1), a, true).is_err());
    }
}
