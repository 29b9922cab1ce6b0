//! The naive twin of the store: one ordered map, every rule written down as plainly as possible. It must never share
//! code with the store.

use std::collections::BTreeMap;

use baton_base::{Slot, WallMs};
use baton_store::{DbIndex, Expire, Expiry};

/// A database and a key.
pub(crate) type Name = (u32, Vec<u8>);

/// What an entry shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) text: Vec<u8>,
    pub(crate) int: bool,
    pub(crate) raw: bool,
    pub(crate) expire_at: Option<WallMs>,
    pub(crate) access_secs: u64,
}

#[derive(Default)]
pub(crate) struct Naive {
    pub(crate) map: BTreeMap<Name, Item>,
    pub(crate) now: WallMs,
    pub(crate) expired: Vec<Name>,
    /// Everything that left the map or was replaced, for checking scans.
    pub(crate) removed: Vec<Name>,
}

impl Naive {
    fn is_due(&self, name: &Name) -> bool {
        self.map.get(name).and_then(|i| i.expire_at).is_some_and(|at| at <= self.now)
    }

    fn take(&mut self, name: &Name) -> Option<Item> {
        self.removed.push(name.clone());
        self.map.remove(name)
    }

    /// Applies the expiry rule; tells whether the key is there afterwards.
    pub(crate) fn settle(&mut self, name: &Name, rule: Expiry) -> bool {
        if rule == Expiry::Ignore || !self.is_due(name) {
            return self.map.contains_key(name);
        }
        if rule == Expiry::Delete {
            self.take(name);
            self.expired.push(name.clone());
        }
        false
    }

    pub(crate) fn read(&mut self, name: &Name, rule: Expiry, touch: bool) -> Option<Item> {
        if !self.settle(name, rule) {
            return None;
        }
        let now = self.now.as_secs();
        let item = self.map.get_mut(name)?;
        if touch {
            item.access_secs = now;
        }
        Some(item.clone())
    }

    fn put(&mut self, name: &Name, rule: Expiry, (text, int, raw): (Vec<u8>, bool, bool), expire: Expire) {
        self.settle(name, rule);
        let old = self.map.get(name).and_then(|i| i.expire_at);
        let expire_at = match expire {
            Expire::Keep => old,
            Expire::Never => None,
            Expire::At(at) => Some(at),
        };
        self.map.insert(name.clone(), Item { text, int, raw, expire_at, access_secs: self.now.as_secs() });
    }

    pub(crate) fn set_str(&mut self, name: &Name, rule: Expiry, text: &[u8], expire: Expire) {
        let int = std::str::from_utf8(text).ok().and_then(|t| t.parse::<i64>().ok()).map(|n| n.to_string());
        self.put(name, rule, (text.to_vec(), int.is_some_and(|n| n.as_bytes() == text), false), expire);
    }

    pub(crate) fn append(&mut self, name: &Name, rule: Expiry, tail: &[u8]) -> usize {
        if !self.settle(name, rule) {
            self.set_str(name, rule, tail, Expire::Keep);
            return tail.len();
        }
        let text = [&self.map[name].text, tail].concat();
        let len = text.len();
        self.put(name, rule, (text, false, true), Expire::Keep);
        len
    }

    pub(crate) fn set_range(&mut self, name: &Name, rule: Expiry, offset: usize, part: &[u8]) -> usize {
        let there = self.settle(name, rule);
        let mut text = if there { self.map[name].text.clone() } else { Vec::new() };
        if text.len() < offset + part.len() {
            text.resize(offset + part.len(), 0);
        }
        text[offset..offset + part.len()].copy_from_slice(part);
        let len = text.len();
        self.put(name, rule, (text, false, true), Expire::Keep);
        len
    }

    pub(crate) fn remove(&mut self, name: &Name, rule: Expiry) -> bool {
        self.settle(name, rule) && self.take(name).is_some()
    }

    pub(crate) fn set_expire(&mut self, name: &Name, rule: Expiry, at: Option<WallMs>) -> bool {
        if !self.settle(name, rule) {
            return false;
        }
        let old = std::mem::replace(&mut self.map.get_mut(name).unwrap().expire_at, at);
        old.is_some() || at.is_some()
    }

    pub(crate) fn transfer(&mut self, from: &Name, to: &Name, rule: Expiry, remove: bool) -> bool {
        if !self.settle(from, rule) {
            return false;
        }
        let item = if remove { self.take(from).unwrap() } else { self.map[from].clone() };
        self.map.insert(to.clone(), item);
        true
    }

    /// Deletes what is due in a slot; gives the names.
    pub(crate) fn expire_slot(&mut self, slot: Slot) -> Vec<Name> {
        let due: Vec<Name> =
            self.map.keys().filter(|n| Slot::of_key(&n.1) == slot && self.is_due(n)).cloned().collect();
        for name in &due {
            self.take(name);
        }
        due
    }

    /// Deletes a slot; gives how many keys.
    pub(crate) fn clear_slot(&mut self, slot: Slot) -> u64 {
        self.clear(|n| Slot::of_key(&n.1) == slot)
    }

    pub(crate) fn flush(&mut self, db: Option<DbIndex>) {
        self.clear(|n| db.is_none_or(|db| n.0 == db.0));
    }

    fn clear(&mut self, what: impl Fn(&Name) -> bool) -> u64 {
        let names: Vec<Name> = self.map.keys().filter(|n| what(n)).cloned().collect();
        names.iter().for_each(|n| drop(self.take(n)));
        names.len() as u64
    }

    pub(crate) fn swap(&mut self, a: DbIndex, b: DbIndex) {
        let other = |db| {
            if db == a.0 {
                b.0
            } else if db == b.0 {
                a.0
            } else {
                db
            }
        };
        let map = std::mem::take(&mut self.map);
        self.removed.extend(map.keys().filter(|n| n.0 == a.0 || n.0 == b.0).cloned());
        self.map = map.into_iter().map(|((db, key), item)| ((other(db), key), item)).collect();
    }
}
