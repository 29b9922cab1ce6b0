//! A write that was acknowledged with quorum writes is readable for ever, whatever fails, as long as the faults leave one
//! copy that has everything which was acknowledged (docs/quorum-writes.md: what is promised, and what is not).
//!
//! Precisely: of each shard it is known what its primaries answered with OK. Whenever one of its processes ends and takes a
//! whole copy along, some other process of the shard, or what a disk kept, must be whole, too; else that shard is excused
//! from then on, since the memory of too many was lost at once. In all others what is read, and what the primary has
//! when all is well again, is never older.

use crate::data::Key;
use std::collections::{BTreeMap, BTreeSet};

/// What was acknowledged, and who is excused.
#[derive(Default)]
pub struct Readable {
    promised: BTreeMap<Key, u64>,
    excused: BTreeSet<u16>,
    /// Replies that had to wait.
    pub held: u64,
    /// Processes that ended, and whether they had everything that their shard had promised.
    pub ended: Vec<(usize, bool)>,
}

impl Readable {
    /// A primary says that a write is done: this key has this value, or a later one, from now on.
    pub fn promise(&mut self, key: Key, value: u64) {
        let entry = self.promised.entry(key).or_default();
        *entry = (*entry).max(value);
    }

    /// The value of a key that was promised up to now.
    pub fn promised(&self, key: Key) -> u64 {
        self.promised.get(&key).copied().unwrap_or(0)
    }

    /// Whether these keys have everything that was promised in these slots.
    pub fn is_whole(&self, slots: &[u16], keys: &BTreeMap<Key, u64>) -> bool {
        let mut here = self.promised.iter().filter(|((slot, _), _)| slots.contains(slot));
        here.all(|(key, value)| keys.get(key).is_some_and(|have| have >= value))
    }

    /// Whether anything was promised in these slots.
    pub fn has_any(&self, slots: &[u16]) -> bool {
        self.promised.keys().any(|(slot, _)| slots.contains(slot))
    }

    /// Whether something was promised in these slots, and no fault excuses that it is gone.
    pub fn is_owed(&self, slots: &[u16]) -> bool {
        self.has_any(slots) && slots.iter().all(|slot| self.counts(*slot))
    }

    /// No process of the shard with these slots has everything any more. The one that ended last had it, or not: then it
    /// wasn't a fault that took it.
    pub fn no_copy_left(&mut self, slots: &[u16], fault: bool) -> Result<(), String> {
        if fault {
            self.excused.extend(slots);
        }
        match slots.iter().all(|slot| self.excused.contains(slot)) {
            true => Ok(()),
            false => Err(format!("nobody has all that was acknowledged in slots {slots:?}, and no fault took it")),
        }
    }

    /// Whether the faults of this run spared this slot.
    pub fn counts(&self, slot: u16) -> bool {
        !self.excused.contains(&slot)
    }

    /// How many slots are excused.
    pub fn excused(&self) -> u64 {
        self.excused.len() as u64
    }

    /// A client that read a key saw this, and at least that had been promised before it asked.
    pub fn read(&self, key: Key, seen: u64, promised: u64) -> Result<(), String> {
        if seen < promised && self.counts(key.0) {
            return Err(format!("key {key:?}: {promised} was acknowledged by replicas and {seen} is read"));
        }
        Ok(())
    }

    /// Compares with what the primaries have.
    pub fn audit(&self, found: impl Fn(Key) -> Option<u64>) -> Result<(), String> {
        for (key, value) in self.promised.iter().filter(|(key, _)| self.counts(key.0)) {
            let have = found(*key).unwrap_or(0);
            if have < *value {
                return Err(format!("key {key:?}: {value} was acknowledged by replicas and {have} is there"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lost_memory_excuses() {
        let mut readable = Readable::default();
        readable.promise((1, 1), 5);
        readable.promise((1, 1), 4);
        readable.promise((2, 1), 9);
        let copy = BTreeMap::from([((1, 1), 5)]);
        assert!(readable.is_whole(&[1], &copy) && !readable.is_whole(&[1, 2], &copy));
        assert!(readable.read((1, 1), 5, 5).is_ok() && readable.read((1, 1), 4, 5).is_err());
        assert!(readable.audit(|key| copy.get(&key).copied()).is_err());
        assert!(readable.no_copy_left(&[1, 2], false).is_err());
        assert!(readable.no_copy_left(&[2], true).is_ok());
        assert!(readable.no_copy_left(&[2], false).is_ok());
        assert!(readable.audit(|key| copy.get(&key).copied()).is_ok());
        assert!(readable.read((2, 1), 0, 9).is_ok());
        assert_eq!(readable.excused(), 1);
    }
}
