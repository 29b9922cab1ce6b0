//! The naive twin of the store: one ordered map, every rule written down as plainly as possible. It must never share
//! code with the store.

use std::collections::BTreeMap;

use baton_base::{Slot, WallMs};
use baton_store::{DbIndex, Expire, Expiry};

/// A database and a key.
pub(crate) type Name = (u32, Vec<u8>);

/// What an entry shows. The text of a list is that of its elements, each with a line feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) text: Vec<u8>,
    pub(crate) int: bool,
    pub(crate) raw: bool,
    pub(crate) list: bool,
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
        self.map.insert(name.clone(), Item { text, int, raw, list: false, expire_at, access_secs: self.now.as_secs() });
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

    /// Adds an element so many times; gives the list's length in bytes, or none where there is a string.
    pub(crate) fn push(&mut self, name: &Name, rule: Expiry, element: &[u8], times: usize) -> Option<usize> {
        let old = if self.settle(name, rule) { Some(self.map[name].clone()) } else { None };
        if old.as_ref().is_some_and(|item| !item.list) {
            return None;
        }
        let mut text = old.map_or_else(Vec::new, |item| item.text);
        (0..times).for_each(|_| text.extend([element, b"\n"].concat()));
        let len = text.len();
        self.put(name, rule, (text, false, false), Expire::Keep);
        self.map.get_mut(name).unwrap().list = true;
        Some(len)
    }

    /// Removes elements of a list from a rank on; tells whether there is a list.
    pub(crate) fn cut(&mut self, name: &Name, rule: Expiry, from: usize, count: usize) -> bool {
        if !self.settle(name, rule) || !self.map[name].list {
            return false;
        }
        let old = self.map[name].text.clone();
        let kept = old.split_inclusive(|b| *b == b'\n').enumerate().filter(|(i, _)| *i < from || *i >= from + count);
        let text: Vec<u8> = kept.flat_map(|(_, element)| element.to_vec()).collect();
        if text.is_empty() {
            self.take(name);
        } else if text.len() < old.len() {
            self.put(name, rule, (text, false, false), Expire::Keep);
            self.map.get_mut(name).unwrap().list = true;
        }
        true
    }

    /// Whether there is a list.
    pub(crate) fn is_list(&self, name: &Name) -> bool {
        self.map.get(name).is_some_and(|item| item.list)
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
