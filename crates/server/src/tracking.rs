//! Client-side caching: who read which key since it last changed, and who wants to hear of all changes under a prefix.
//! Whoever changes a key takes its readers out of here, while he has the key's slot locked, and has them told.
//!
//! A reader is noted while the slot of the key is locked that he reads, so no change of what he saw can miss him. What
//! he is told arrives behind what he read: his own worker writes both, and the reply first.
//!
//! It knows no connection, writes to nobody and forgets those who leave only when their keys change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use baton_base::{Rng, Slot};
use baton_resp::Out;
use baton_store::Store;
use crossbeam_utils::CachePadded;
use indexmap::IndexMap;
use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;

use crate::clients::ClientId;
use crate::pubsub::{Push, Subscriber};

/// Parts of the table with a lock each.
const SHARDS: usize = 64;
/// Readers of a key up to this many are in a list, more in a tree.
const LISTED_MAX: usize = 16;

/// Connections that read a key, each once.
#[derive(Debug)]
enum Readers {
    /// A few.
    Listed(SmallVec<[Subscriber; 2]>),
    /// Many.
    Many(BTreeSet<Subscriber>),
}

impl Readers {
    fn add(&mut self, who: Subscriber) -> bool {
        match self {
            Readers::Listed(list) if list.contains(&who) => false,
            Readers::Listed(list) if list.len() < LISTED_MAX => {
                list.push(who);
                true
            }
            Readers::Listed(list) => {
                *self = Readers::Many(list.drain(..).chain([who]).collect());
                true
            }
            Readers::Many(tree) => tree.insert(who),
        }
    }

    fn len(&self) -> usize {
        match self {
            Readers::Listed(list) => list.len(),
            Readers::Many(tree) => tree.len(),
        }
    }

    /// In the order of their connections.
    fn into_sorted(self) -> Vec<Subscriber> {
        match self {
            Readers::Listed(list) => {
                let mut out = list.into_vec();
                out.sort_unstable();
                out
            }
            Readers::Many(tree) => tree.into_iter().collect(),
        }
    }
}

type Shard = IndexMap<Box<[u8]>, Readers>;

/// Those who are told of changes.
#[derive(Default)]
struct Listeners {
    clients: BTreeSet<Subscriber>,
    /// By prefix; each with whether it wants to hear of its own changes.
    prefixes: BTreeMap<Arc<[u8]>, BTreeMap<Subscriber, bool>>,
}

/// Names of keys that changed and that prefixes may cover, each with who changed it last, if that was a client.
pub type ChangedNames = BTreeMap<Box<[u8]>, Option<ClientId>>;

/// A key that is not followed any more, with those who read it.
pub type Dropped = (Box<[u8]>, Vec<Subscriber>);

/// Everything that is known about the caches of clients.
pub struct Tracking {
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    keys: AtomicUsize,
    items: AtomicUsize,
    listeners: RwLock<Listeners>,
    any_prefix: AtomicBool,
}

impl Default for Tracking {
    fn default() -> Tracking {
        Tracking {
            shards: (0..SHARDS).map(|_| CachePadded::default()).collect(),
            keys: AtomicUsize::new(0),
            items: AtomicUsize::new(0),
            listeners: RwLock::default(),
            any_prefix: AtomicBool::new(false),
        }
    }
}

impl Tracking {
    /// A connection wants to be told of changes from now on; of all changes under these prefixes, if there are any.
    pub fn enter(&self, store: &Store, who: Subscriber, prefixes: &[Arc<[u8]>], hears_own: bool) {
        let mut listeners = self.listeners.write();
        listeners.clients.insert(who);
        for prefix in prefixes {
            listeners.prefixes.entry(Arc::clone(prefix)).or_default().insert(who, hears_own);
        }
        self.any_prefix.store(!listeners.prefixes.is_empty(), Ordering::Relaxed);
        store.note_changes(true);
    }

    /// A connection wants to be told of nothing any more. With the last one the table is empty.
    pub fn leave(&self, store: &Store, who: Subscriber, prefixes: &[Arc<[u8]>]) {
        let mut listeners = self.listeners.write();
        for prefix in prefixes {
            if let Some(set) = listeners.prefixes.get_mut(prefix) {
                set.remove(&who);
                if set.is_empty() {
                    listeners.prefixes.remove(prefix);
                }
            }
        }
        self.any_prefix.store(!listeners.prefixes.is_empty(), Ordering::Relaxed);
        if listeners.clients.remove(&who) && listeners.clients.is_empty() {
            // Who enters next waits for this lock, and nobody else reads.
            store.note_changes(false);
            self.clear();
        }
    }

    fn shard(&self, slot: Slot) -> &Mutex<Shard> {
        &self.shards[slot.index() % SHARDS]
    }

    /// Notes that a connection read a key. The key's slot is locked.
    pub fn remember(&self, slot: Slot, key: &[u8], who: Subscriber) {
        let mut shard = self.shard(slot).lock();
        let new = match shard.get_mut(key) {
            Some(readers) => readers.add(who),
            None => {
                shard.insert(key.into(), Readers::Listed(SmallVec::from_iter([who])));
                self.keys.fetch_add(1, Ordering::Relaxed);
                true
            }
        };
        self.items.fetch_add(usize::from(new), Ordering::Relaxed);
    }

    /// Takes the readers of a key that changed. The key's slot is locked.
    pub fn take(&self, slot: Slot, key: &[u8]) -> Vec<Subscriber> {
        let taken = self.shard(slot).lock().swap_remove(key);
        taken.map_or_else(Vec::new, |readers| self.count_out(readers))
    }

    fn count_out(&self, readers: Readers) -> Vec<Subscriber> {
        self.keys.fetch_sub(1, Ordering::Relaxed);
        self.items.fetch_sub(readers.len(), Ordering::Relaxed);
        readers.into_sorted()
    }

    /// Takes all keys of a slot.
    pub fn take_slot(&self, slot: Slot) -> Vec<Dropped> {
        let mut shard = self.shard(slot).lock();
        let names: Vec<Box<[u8]>> = shard.keys().filter(|name| Slot::of_key(name) == slot).cloned().collect();
        let take = |name: Box<[u8]>| shard.swap_remove(&name).map(|readers| (name, self.count_out(readers)));
        names.into_iter().filter_map(take).collect()
    }

    /// Whether more keys are followed than this many.
    #[inline]
    pub fn is_over(&self, keys_max: usize) -> bool {
        keys_max > 0 && self.keys() > keys_max
    }

    /// Takes keys by chance until no more than this many are left.
    pub fn trim(&self, keys_max: usize, rng: &mut Rng) -> Vec<Dropped> {
        let mut out = Vec::new();
        while self.is_over(keys_max) {
            let (before, first) = (out.len(), rng.below(SHARDS as u64) as usize);
            for at in 0..SHARDS {
                let mut shard = self.shards[(first + at) % SHARDS].lock();
                let index = rng.below(shard.len() as u64) as usize;
                if let Some((name, readers)) = shard.swap_remove_index(index) {
                    out.push((name, self.count_out(readers)));
                    break;
                }
            }
            // Somebody else is taking them right now.
            if out.len() == before {
                break;
            }
        }
        out
    }

    /// Forgets all keys; gives everybody who is told of changes.
    pub fn flush(&self) -> Vec<Subscriber> {
        self.clear();
        self.listeners.read().clients.iter().copied().collect()
    }

    /// Everybody who listens to a prefix.
    pub fn of_prefixes(&self) -> BTreeSet<Subscriber> {
        self.listeners.read().prefixes.values().flat_map(BTreeMap::keys).copied().collect()
    }

    fn clear(&self) {
        for shard in &self.shards {
            let taken = std::mem::take(&mut *shard.lock());
            self.keys.fetch_sub(taken.len(), Ordering::Relaxed);
            self.items.fetch_sub(taken.values().map(Readers::len).sum(), Ordering::Relaxed);
        }
    }

    /// Whether anybody listens to a prefix.
    #[inline]
    pub fn any_prefix(&self) -> bool {
        self.any_prefix.load(Ordering::Relaxed)
    }

    /// What those who listen to prefixes are told of these changes: one message for each prefix.
    pub fn route(&self, changed: &ChangedNames) -> Vec<(Subscriber, Push)> {
        let listeners = self.listeners.read();
        let mut out = Vec::new();
        for (prefix, clients) in &listeners.prefixes {
            let under = || {
                let from = (std::ops::Bound::Included(&**prefix), std::ops::Bound::Unbounded);
                changed.range::<[u8], _>(from).take_while(|(name, _)| name.starts_with(prefix))
            };
            if under().next().is_none() {
                continue;
            }
            let everything = encode(under().map(|(name, _)| &**name));
            for (who, hears_own) in clients {
                let others = || under().filter(|(_, by)| **by != Some(who.client)).map(|(name, _)| &**name);
                if *hears_own {
                    out.push((*who, Push::KeysChanged(Arc::clone(&everything))));
                } else if others().next().is_some() {
                    out.push((*who, Push::KeysChanged(encode(others()))));
                }
            }
        }
        out
    }

    /// How many keys are followed.
    pub fn keys(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }

    /// How many readers they have in all, one that reads several keys counted several times.
    pub fn items(&self) -> usize {
        self.items.load(Ordering::Relaxed)
    }

    /// How many prefixes are listened to.
    pub fn prefixes(&self) -> usize {
        self.listeners.read().prefixes.len()
    }

    /// How many connections are told of changes.
    pub fn clients(&self) -> usize {
        self.listeners.read().clients.len()
    }
}

/// Names as an array of the protocol, which is the same in both of its versions.
pub fn encode<'a>(names: impl Iterator<Item = &'a [u8]> + Clone) -> Arc<[u8]> {
    let mut out = Out::default();
    out.array(names.clone().count());
    names.for_each(|name| out.bulk(name));
    out.buf.into()
}

#[cfg(test)]
mod tests;
