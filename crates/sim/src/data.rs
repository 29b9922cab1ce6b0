//! The dataset of one process and its journal, as far as the control plane cares: single keys that are set, offsets that
//! count bytes, a backlog that forgets. A plain model of the real store and journal: what is proved here is who may
//! write and who has what, not how commands work.

use baton_base::{NodeId, Offset, Slot};
use baton_cluster::KeyCounts;
use baton_replication::history::BacklogExtent;
use std::collections::{BTreeMap, VecDeque};

/// A key: its slot, and its number among the keys of that slot.
pub type Key = (u16, u32);

/// The register of a slot, a key that all clients read and overwrite.
pub const REGISTER: u32 = 1 << 16;
/// The key in which a slot counts what a client put into its register, so that what was overwritten can be seen to have
/// been there.
const PUTS: u32 = 1 << 17;

/// The key that counts what this client put into the register of this slot.
pub fn puts_of(slot: u16, client: usize) -> Key {
    (slot, PUTS + client as u32)
}

/// One command of the stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// Sets a key. Values of a key only grow, because each key has one writer that counts.
    Set {
        /// Which.
        key: Key,
        /// To what.
        value: u64,
        /// Length of the command.
        bytes: u64,
    },
    /// Overwrites the register of a slot.
    Put {
        /// Of which slot.
        slot: u16,
        /// By whom.
        client: usize,
        /// With what.
        value: u64,
        /// How manieth of this client's in this slot it is at least; a later one has a larger number.
        number: u64,
        /// Length of the command.
        bytes: u64,
    },
    /// A sign of life.
    Ping,
    /// Replicas are to acknowledge.
    AskAck,
    /// This replica is to be primary.
    Order(NodeId),
    /// The keys of these slots are deleted.
    Delete(Vec<u16>),
}

impl Op {
    /// Its length in the stream.
    pub fn bytes(&self) -> u64 {
        match self {
            Op::Set { bytes, .. } | Op::Put { bytes, .. } => *bytes,
            Op::Ping => 14,
            Op::AskAck => 37,
            Op::Order(_) => 110,
            Op::Delete(slots) => 30 * slots.len() as u64,
        }
    }
}

/// Everything at one offset.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    /// The keys.
    pub keys: BTreeMap<Key, u64>,
    /// Up to where the stream is in them.
    pub offset: Offset,
}

impl Snapshot {
    /// About how long it is on the wire.
    pub fn bytes(&self) -> u64 {
        200 + 60 * self.keys.len() as u64
    }
}

/// Keys and journal.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    keys: BTreeMap<Key, u64>,
    per_slot: BTreeMap<u16, u64>,
    /// Retained operations, each with the offset after it.
    log: VecDeque<(u64, Op)>,
    /// The offset before the first retained byte.
    first: u64,
    end: u64,
    backlog_bytes: u64,
}

impl Dataset {
    /// Without keys, at offset 0.
    pub fn new(backlog_bytes: u64) -> Dataset {
        Dataset { backlog_bytes, ..Dataset::default() }
    }

    /// End of the journal.
    pub fn end(&self) -> Offset {
        Offset(self.end)
    }

    /// The keys.
    pub fn keys(&self) -> &BTreeMap<Key, u64> {
        &self.keys
    }

    /// Applies one operation and appends it to the journal.
    pub fn append(&mut self, op: Op) {
        match &op {
            Op::Set { key, value, .. } => self.set(*key, *value),
            Op::Put { slot, client, value, number, .. } => {
                self.set((*slot, REGISTER), 0);
                self.keys.insert((*slot, REGISTER), *value);
                self.set(puts_of(*slot, *client), *number);
            }
            Op::Delete(slots) => slots.iter().for_each(|slot| self.delete_slot(*slot)),
            Op::Ping | Op::AskAck | Op::Order(_) => {}
        }
        self.end += op.bytes();
        self.log.push_back((self.end, op));
        while self.end - self.first > self.backlog_bytes
            && let Some((end, _)) = self.log.pop_front()
        {
            self.first = end;
        }
    }

    fn set(&mut self, key: Key, value: u64) {
        let old = self.keys.get(&key).copied();
        if old.is_none() {
            *self.per_slot.entry(key.0).or_default() += 1;
        }
        // A write whose client gave up long ago must not undo a later one.
        self.keys.insert(key, old.map_or(value, |old| old.max(value)));
    }

    fn delete_slot(&mut self, slot: u16) {
        self.keys.retain(|key, _| key.0 != slot);
        self.per_slot.remove(&slot);
    }

    /// Removes all keys; the journal stays.
    pub fn flush(&mut self) {
        self.keys.clear();
        self.per_slot.clear();
    }

    /// What is retained.
    pub fn extent(&self) -> BacklogExtent {
        BacklogExtent { first: self.first + 1, histlen: self.end - self.first }
    }

    /// The operations after this offset; none if they are no longer retained.
    pub fn since(&self, from: Offset) -> Option<Vec<Op>> {
        if from.0 < self.first || from.0 > self.end {
            return None;
        }
        let start = self.log.partition_point(|(end, _)| *end <= from.0);
        Some(self.log.range(start..).map(|(_, op)| op.clone()).collect())
    }

    /// Everything now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { keys: self.keys.clone(), offset: self.end() }
    }

    /// Becomes what the snapshot holds, with an empty backlog at its offset.
    pub fn restore(&mut self, snapshot: Snapshot) {
        let mut per_slot: BTreeMap<u16, u64> = BTreeMap::new();
        for (slot, _) in snapshot.keys.keys() {
            *per_slot.entry(*slot).or_default() += 1;
        }
        let end = snapshot.offset.0;
        let (keys, backlog_bytes) = (snapshot.keys, self.backlog_bytes);
        *self = Dataset { keys, per_slot, log: VecDeque::new(), first: end, end, backlog_bytes };
    }
}

impl KeyCounts for Dataset {
    fn keys_in(&self, slot: Slot) -> u64 {
        self.per_slot.get(&slot.number()).copied().unwrap_or(0)
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(n: u64) -> Op {
        Op::Set { key: (1, 1), value: n, bytes: 10 }
    }

    #[test]
    fn what_is_retained_can_be_sent_again() {
        let mut data = Dataset::new(30);
        (1..=5).for_each(|n| data.append(set(n)));
        assert_eq!(data.extent(), BacklogExtent { first: 21, histlen: 30 });
        assert_eq!(data.since(Offset(20)).unwrap().len(), 3);
        assert_eq!(data.since(Offset(50)), Some(vec![]));
        assert_eq!(data.since(Offset(10)), None);
        assert_eq!(data.since(Offset(60)), None);
        let mut other = Dataset::new(30);
        other.restore(data.snapshot());
        assert_eq!((other.end(), other.keys()), (data.end(), data.keys()));
        assert_eq!(other.since(Offset(50)), Some(vec![]));
    }
}
