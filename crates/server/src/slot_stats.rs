//! What each slot costs, while `cluster-slot-stats-enabled` says so: time in commands, bytes of requests, bytes of replies
//! and of the stream to replicas. Each lane writes only its own table; readers add them up. Never decides anything.

use std::ops::AddAssign;
use std::sync::OnceLock;

use baton_base::{Slot, SlotBitmap};
use baton_cluster::Topology;

use crate::stats::{Count, Stats};
use crate::world::World;

/// The table of one lane; it takes memory from the first command that is counted on.
#[derive(Debug, Default)]
pub struct SlotTable(OnceLock<Box<[SlotCounts]>>);

#[derive(Debug, Default)]
struct SlotCounts {
    nanos: Count,
    bytes_in: Count,
    bytes_out: Count,
}

/// What a slot cost, in one command or in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotCost {
    /// Nanoseconds in commands.
    pub nanos: u64,
    /// Bytes of requests.
    pub bytes_in: u64,
    /// Bytes of replies and of messages to subscribers, and of the stream to each replica.
    pub bytes_out: u64,
}

impl AddAssign for SlotCost {
    fn add_assign(&mut self, more: SlotCost) {
        self.nanos += more.nanos;
        self.bytes_in += more.bytes_in;
        self.bytes_out += more.bytes_out;
    }
}

impl SlotTable {
    /// Counts; only the owner of the lane may call this.
    pub fn add(&self, slot: Slot, cost: SlotCost) {
        let table = self.0.get_or_init(|| (0..Slot::COUNT).map(|_| SlotCounts::default()).collect());
        let counts = &table[slot.index()];
        counts.nanos.add(cost.nanos);
        counts.bytes_in.add(cost.bytes_in);
        counts.bytes_out.add(cost.bytes_out);
    }

    fn cost(&self, slot: Slot) -> SlotCost {
        self.0.get().map_or_else(SlotCost::default, |table| {
            let counts = &table[slot.index()];
            SlotCost {
                nanos: counts.nanos.value(),
                bytes_in: counts.bytes_in.value(),
                bytes_out: counts.bytes_out.value(),
            }
        })
    }

    /// All zero.
    pub fn reset(&self) {
        Slot::all().for_each(|slot| self.reset_slot(slot));
    }

    fn reset_slot(&self, slot: Slot) {
        if let Some(table) = self.0.get() {
            let counts = &table[slot.index()];
            [&counts.nanos, &counts.bytes_in, &counts.bytes_out].into_iter().for_each(Count::reset);
        }
    }
}

/// What a slot cost in all.
pub fn cost(stats: &Stats, slot: Slot) -> SlotCost {
    let mut sum = SlotCost::default();
    stats.lanes.iter().for_each(|lane| sum += lane.slots.cost(slot));
    sum
}

/// The slots that this node's shard serves.
pub fn served(topology: &Topology) -> SlotBitmap {
    let head = if topology.myself().is_primary { Some(topology.me) } else { topology.primary };
    Slot::all().filter(|slot| head == Some(topology.owners[slot.index()])).collect()
}

/// The slots that this node's shard gained or lost from one world to the next, where slots are counted: their counts
/// begin anew.
pub fn moved(before: &World, after: &World) -> Option<SlotBitmap> {
    let (old, new) = (before.topology.as_ref()?, after.topology.as_ref()?);
    if !after.hot.slot_stats || std::sync::Arc::ptr_eq(old, new) {
        return None;
    }
    let (old, new) = (served(old), served(new));
    let mut moved = old.without(&new);
    moved.insert_all(&new.without(&old));
    (!moved.is_empty()).then_some(moved)
}

/// Begins anew for these slots.
pub fn reset(stats: &Stats, slots: &SlotBitmap) {
    for lane in &stats.lanes {
        slots.iter().for_each(|slot| lane.slots.reset_slot(slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_add_up_and_slots_begin_anew_one_by_one() {
        let stats = Stats::new(3, 1);
        let slot = |n| Slot::new(n).unwrap();
        let one = SlotCost { nanos: 1, bytes_in: 10, bytes_out: 100 };
        for lane in [0, 2] {
            stats.lanes[lane].slots.add(slot(5), one);
            stats.lanes[lane].slots.add(slot(6), one);
        }
        assert_eq!(cost(&stats, slot(5)), SlotCost { nanos: 2, bytes_in: 20, bytes_out: 200 });
        reset(&stats, &[slot(5)].into_iter().collect());
        assert_eq!((cost(&stats, slot(5)), cost(&stats, slot(6)).bytes_in), (SlotCost::default(), 20));
        stats.reset();
        assert_eq!(cost(&stats, slot(6)), SlotCost::default());
    }
}
