//! The view: what a command may touch. It holds the locks of the slots that the command declared, and every read and
//! write of keys goes through it, so that expiry, watches, the snapshot's pre-images and the count of changes can't be
//! forgotten by a command.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use baton_base::{Slot, WallMs};
use parking_lot::MutexGuard;
use smallvec::SmallVec;

use crate::key::{DbIndex, Key};
use crate::slot_data::{Item, Owned, SlotData};
use crate::store::Store;
use crate::value::{Entry, Expire, Str, Value};

/// What happens to a key whose time has come, when it is reached (replication 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// A primary deletes it and says so in [`ViewOutcome::expired`].
    Delete,
    /// A replica, or a primary whose writes are held, treats it as missing and leaves it.
    Hide,
    /// The link from the primary, and loading: it is there.
    Ignore,
}

/// Set when a watched key changes; shared by the client that watches and the slots.
#[derive(Clone, Debug, Default)]
pub struct WatchFlag(Arc<AtomicBool>);

impl WatchFlag {
    /// A flag that is not set.
    pub fn new() -> WatchFlag {
        WatchFlag::default()
    }

    /// Marks the watched keys as changed.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether a watched key changed.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn same(&self, other: &WatchFlag) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What a view did, for the one who made it.
#[derive(Debug, Default)]
pub struct ViewOutcome {
    /// How many changes were made; expired keys don't count.
    pub dirty: u64,
    /// Keys that were deleted because their time had come, in order; to be propagated before the command.
    pub expired: SmallVec<[(DbIndex, Box<[u8]>); 0]>,
    /// Lookups that found a key.
    pub hits: u64,
    /// Lookups that found none.
    pub misses: u64,
}

/// Access to the keys of the slots that a command declared. Dropping it unlocks them.
pub struct View<'s> {
    store: &'s Store,
    held: SmallVec<[(Slot, MutexGuard<'s, SlotData>); 2]>,
    all: bool,
    db: DbIndex,
    now: WallMs,
    expiry: Expiry,
    /// What was done so far.
    pub outcome: ViewOutcome,
}

impl<'s> View<'s> {
    pub(crate) fn of(store: &'s Store, slots: &[Slot], db: DbIndex, now: WallMs, expiry: Expiry) -> View<'s> {
        let held = slots.iter().map(|&s| (s, store.lock(s))).collect();
        View { store, held, all: slots.is_empty(), db, now, expiry, outcome: ViewOutcome::default() }
    }

    /// The store behind it.
    pub fn store(&self) -> &'s Store {
        self.store
    }

    /// The database that lookups use.
    pub fn db(&self) -> DbIndex {
        self.db
    }

    /// Makes lookups use another database (MOVE, COPY ... DB, a transaction with SELECT).
    pub fn select(&mut self, db: DbIndex) {
        self.db = db;
    }

    /// The wall-clock time of this command: one value for its whole length.
    pub fn now(&self) -> WallMs {
        self.now
    }

    /// The rule for keys whose time has come.
    pub fn expiry_rule(&self) -> Expiry {
        self.expiry
    }

    /// A key with slot and hash.
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        self.store.key(bytes)
    }

    /// Takes what was done so far, leaving nothing.
    pub fn take_outcome(&mut self) -> ViewOutcome {
        std::mem::take(&mut self.outcome)
    }

    fn data(&mut self, slot: Slot) -> &mut SlotData {
        let i = match self.held.iter().position(|(s, _)| *s == slot) {
            Some(i) => i,
            None => {
                assert!(self.all, "{slot:?} was not declared");
                self.held.push((slot, self.store.lock(slot)));
                self.held.len() - 1
            }
        };
        &mut self.held[i].1
    }

    /// Applies the expiry rule; tells whether the key is there afterwards.
    fn settle(&mut self, key: &Key<'_>) -> bool {
        let (db, now, rule) = (self.db, self.now, self.expiry);
        let found = self.data(key.slot).tables.get(&db.0).and_then(|t| t.get(key.bytes)).map(|i| i.expire_at);
        let Some(expire_at) = found else { return false };
        if rule == Expiry::Ignore || expire_at.is_none_or(|at| at > now) {
            return true;
        }
        if rule == Expiry::Delete {
            self.delete_item(key);
            self.outcome.expired.push((db, key.bytes.into()));
        }
        false
    }

    fn delete_item(&mut self, key: &Key<'_>) -> Option<Item> {
        let db = self.db;
        let item = self.data(key.slot).tables.get_mut(&db.0)?.remove(key.bytes);
        self.touch(key);
        item
    }

    /// Looks a key up for a reading command: counts a hit or miss and, unless `touch` is off, renews its access clock.
    pub fn read(&mut self, key: &Key<'_>, touch: bool) -> Option<Entry<'_>> {
        let there = self.settle(key);
        if there {
            self.outcome.hits += 1;
        } else {
            self.outcome.misses += 1;
            return None;
        }
        let (db, now) = (self.db, self.now);
        let item = self.data(key.slot).tables.get_mut(&db.0)?.get_mut(key.bytes)?;
        if touch {
            item.access_secs = now.as_secs();
        }
        Some(entry_of(key.bytes, item, now))
    }

    /// Looks a key up without counting and without renewing its access clock: for writing commands, TYPE, TTL, OBJECT.
    pub fn peek(&mut self, key: &Key<'_>) -> Option<Entry<'_>> {
        if !self.settle(key) {
            return None;
        }
        let (db, now) = (self.db, self.now);
        let item = self.data(key.slot).tables.get(&db.0)?.get(key.bytes)?;
        Some(entry_of(key.bytes, item, now))
    }

    /// Whether the key is there.
    pub fn exists(&mut self, key: &Key<'_>) -> bool {
        self.settle(key)
    }

    /// Writes a string, replacing whatever was there. Text that is a canonical integer is kept as an integer.
    pub fn set_str(&mut self, key: &Key<'_>, value: &[u8], expire: Expire) {
        let value = match baton_base::num::parse_i64(value) {
            Some(n) if value.len() <= 20 => Owned::Int(n),
            _ => Owned::Bytes { bytes: value.to_vec(), raw: false },
        };
        self.put(key, value, expire);
    }

    /// Writes an integer, keeping the expiry.
    pub fn set_int(&mut self, key: &Key<'_>, value: i64) {
        self.put(key, Owned::Int(value), Expire::Keep);
    }

    /// Appends to a string, creating it if it is missing; gives the new length. The expiry stays.
    ///
    /// The caller has checked that the key is missing or holds a string, and that the result is not too long.
    pub fn append(&mut self, key: &Key<'_>, tail: &[u8]) -> usize {
        let mut bytes = self.text_of(key);
        let existed = self.settle(key);
        bytes.extend_from_slice(tail);
        let len = bytes.len();
        if existed {
            self.put(key, Owned::Bytes { bytes, raw: true }, Expire::Keep);
        } else {
            self.set_str(key, &bytes, Expire::Keep);
        }
        len
    }

    /// Overwrites a part of a string, padding with zero bytes, creating it if it is missing; gives the new length.
    ///
    /// The caller has checked type and length, as for [`View::append`].
    pub fn set_range(&mut self, key: &Key<'_>, offset: usize, part: &[u8]) -> usize {
        let mut bytes = self.text_of(key);
        if bytes.len() < offset + part.len() {
            bytes.resize(offset + part.len(), 0);
        }
        bytes[offset..offset + part.len()].copy_from_slice(part);
        let len = bytes.len();
        self.put(key, Owned::Bytes { bytes, raw: true }, Expire::Keep);
        len
    }

    fn text_of(&mut self, key: &Key<'_>) -> Vec<u8> {
        let mut scratch = itoa::Buffer::new();
        match self.peek(key) {
            Some(Entry { value: Value::Str(s), .. }) => s.bytes(&mut scratch).to_vec(),
            _ => Vec::new(),
        }
    }

    fn put(&mut self, key: &Key<'_>, value: Owned, expire: Expire) {
        self.settle(key);
        let (db, now) = (self.db, self.now);
        let table = self.data(key.slot).tables.entry(db.0).or_default();
        let old = table.get(key.bytes).and_then(|i| i.expire_at);
        let expire_at = match expire {
            Expire::Keep => old,
            Expire::Never => None,
            Expire::At(at) => Some(at),
        };
        table.insert(key.bytes.into(), Item { value, expire_at, access_secs: now.as_secs() });
        self.touch(key);
        self.outcome.dirty += 1;
    }

    /// Removes a key; tells whether it was there.
    pub fn remove(&mut self, key: &Key<'_>) -> bool {
        let there = self.settle(key) && self.delete_item(key).is_some();
        self.outcome.dirty += u64::from(there);
        there
    }

    /// Sets or clears the expiry of a key; tells whether the key is there and something changed.
    pub fn set_expire(&mut self, key: &Key<'_>, expire_at: Option<WallMs>) -> bool {
        if !self.settle(key) {
            return false;
        }
        let db = self.db;
        let Some(item) = self.data(key.slot).tables.get_mut(&db.0).and_then(|t| t.get_mut(key.bytes)) else {
            return false;
        };
        if item.expire_at.is_none() && expire_at.is_none() {
            return false;
        }
        item.expire_at = expire_at;
        self.touch(key);
        self.outcome.dirty += 1;
        true
    }

    /// Sets the access clock to `idle_secs` ago (RESTORE ... IDLETIME, loading).
    pub fn set_idle(&mut self, key: &Key<'_>, idle_secs: u64) {
        let (db, now) = (self.db, self.now);
        if let Some(item) = self.data(key.slot).tables.get_mut(&db.0).and_then(|t| t.get_mut(key.bytes)) {
            item.access_secs = now.as_secs().saturating_sub(idle_secs);
        }
    }

    /// Moves a value with its expiry from `from` in database `from_db` to `to` in the selected database, replacing what
    /// was there. Tells whether `from` was there. Serves RENAME and MOVE without copying large values.
    pub fn move_from(&mut self, from_db: DbIndex, from: &Key<'_>, to: &Key<'_>) -> bool {
        let to_db = self.db;
        self.db = from_db;
        let item = if self.settle(from) { self.delete_item(from) } else { None };
        self.db = to_db;
        let Some(item) = item else { return false };
        self.data(to.slot).tables.entry(to_db.0).or_default().insert(to.bytes.into(), item);
        self.touch(to);
        self.outcome.dirty += 1;
        true
    }

    /// Copies a value with its expiry, replacing what was there. Tells whether `from` was there.
    pub fn copy_from(&mut self, from_db: DbIndex, from: &Key<'_>, to: &Key<'_>) -> bool {
        let to_db = self.db;
        self.db = from_db;
        let there = self.settle(from);
        let item = if there {
            self.data(from.slot).tables.get(&from_db.0).and_then(|t| t.get(from.bytes)).cloned()
        } else {
            None
        };
        self.db = to_db;
        let Some(item) = item else { return false };
        self.data(to.slot).tables.entry(to_db.0).or_default().insert(to.bytes.into(), item);
        self.touch(to);
        self.outcome.dirty += 1;
        true
    }

    /// Marks every watcher of this key.
    pub fn touch(&mut self, key: &Key<'_>) {
        let db = self.db;
        for (d, k, flag) in &self.data(key.slot).watchers {
            if *d == db.0 && **k == *key.bytes {
                flag.set();
            }
        }
    }

    /// Sets the flag when this key of the selected database changes. A key that is there but expired counts as missing
    /// from the start.
    pub fn watch(&mut self, key: &Key<'_>, flag: &WatchFlag) {
        let db = self.db;
        self.data(key.slot).watchers.push((db.0, key.bytes.into(), flag.clone()));
    }

    /// Ends what [`View::watch`] began, for this flag and key.
    pub fn unwatch(&mut self, key: &Key<'_>, flag: &WatchFlag) {
        let db = self.db;
        self.data(key.slot).watchers.retain(|(d, k, f)| !(*d == db.0 && **k == *key.bytes && f.same(flag)));
    }

    /// Deletes up to `max` keys of this slot, in any database, whose time has come; they appear in
    /// [`ViewOutcome::expired`]. Tells whether more may be due. Costs next to nothing where nothing is due.
    pub fn expire_due(&mut self, slot: Slot, max: usize) -> bool {
        let now = self.now;
        let due: Vec<(u32, Box<[u8]>)> = (self.data(slot).tables.iter())
            .flat_map(|(db, t)| {
                t.iter().filter(|(_, i)| i.expire_at.is_some_and(|at| at <= now)).map(move |(k, _)| (*db, k.clone()))
            })
            .take(max)
            .collect();
        let selected = self.db;
        for (db, bytes) in &due {
            self.db = DbIndex(*db);
            let key = self.key(bytes);
            self.delete_item(&key);
            self.outcome.expired.push((DbIndex(*db), bytes.clone()));
        }
        self.db = selected;
        due.len() == max
    }
}

pub(crate) fn entry_of<'a>(key: &[u8], item: &'a Item, now: WallMs) -> Entry<'a> {
    let (value, encoding, size) = match &item.value {
        Owned::Int(n) => (Str::Int(*n), "int", 8),
        Owned::Bytes { bytes, raw } => {
            let embedded =
                !raw && 8 + key.len() + 3 + 8 * usize::from(item.expire_at.is_some()) + bytes.len() + 4 <= 128;
            (Str::Bytes(bytes), if embedded { "embstr" } else { "raw" }, bytes.len())
        }
    };
    let idle_secs = now.as_secs().saturating_sub(item.access_secs);
    Entry {
        value: Value::Str(value),
        expire_at: item.expire_at,
        encoding,
        idle_secs,
        memory_bytes: key.len() + size + 16,
    }
}
