//! An acknowledged write stays. In a planned handover without faults always (cluster-bus 15.5, architecture 5: nothing
//! lost); with crashes and partitions upstream's asynchronous replication may lose some, which is counted.

use crate::data::Key;
use std::collections::BTreeMap;

/// What clients were told, and what became of it.
#[derive(Default)]
pub struct Ledger {
    /// The largest acknowledged value of each key. Each key has one writer, whose values grow.
    acked: BTreeMap<Key, u64>,
    /// Acknowledgements in all.
    pub count: u64,
    /// Acknowledged writes that were lost, in runs with faults.
    pub lost: u64,
}

impl Ledger {
    /// A client was told that its write is done.
    pub fn note(&mut self, key: Key, value: u64) {
        self.count += 1;
        let entry = self.acked.entry(key).or_default();
        *entry = (*entry).max(value);
    }

    /// Compares with what the primaries have. Losses are forgiven when `strict` is false, and then not counted again.
    pub fn audit(&mut self, strict: bool, found: impl Fn(Key) -> Option<u64>) -> Result<(), String> {
        let mut example = None;
        for (key, value) in &mut self.acked {
            let have = found(*key).unwrap_or(0);
            if have < *value {
                example.get_or_insert((*key, *value, have));
                self.lost += 1;
                *value = have;
            }
        }
        match example {
            Some((key, value, have)) if strict => {
                Err(format!("key {key:?}: value {value} was acknowledged and {have} is there"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_write_is_found_once() {
        let mut ledger = Ledger::default();
        ledger.note((1, 1), 5);
        ledger.note((1, 1), 4);
        assert!(ledger.audit(true, |_| Some(5)).is_ok());
        assert!(ledger.audit(true, |_| Some(6)).is_ok());
        assert!(ledger.audit(false, |_| Some(4)).is_ok());
        assert_eq!(ledger.lost, 1);
        assert!(ledger.audit(true, |_| Some(4)).is_ok());
        assert!(ledger.audit(true, |_| None).is_err());
    }
}
