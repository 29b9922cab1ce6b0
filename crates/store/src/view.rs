//! The view: what a command may touch. It holds the locks of the slots that the command declared, and every read and
//! write of keys goes through it, so that expiry, watches, the snapshot's pre-images and the count of changes can't be
//! forgotten by a command. Its writing half is in `writing`, its expiring half in `expiring`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use baton_base::{Slot, WallMs};
use baton_values::{Str, Value, ValueKind};
use smallvec::SmallVec;

use crate::clock;
use crate::held::Held;
use crate::key::{DbIndex, Key};
use crate::raw::record::{Record, RecordRef};
use crate::raw::table::Spot;
use crate::slot_data::Watcher;
use crate::store::Store;
use crate::undo::Undo;
use crate::value::{Entry, SharedText};
use crate::wholesale::Garbage;

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

/// Keys that changed, in order; one may come several times.
#[derive(Debug, Default)]
pub struct ChangedKeys(pub Vec<ChangedKey>);

/// A key that changed, in whatever database.
#[derive(Debug, PartialEq, Eq)]
pub struct ChangedKey {
    /// Its slot.
    pub slot: Slot,
    /// Its name.
    pub name: Box<[u8]>,
    /// It was deleted because its time had come.
    pub expired: bool,
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
    /// Keys that were looked for in vain, in order, where somebody asked for that ([`Store::note_misses`]).
    pub missed: SmallVec<[Box<[u8]>; 0]>,
    /// Keys that changed, where somebody asked for that ([`Store::note_changes`]).
    pub changed: Option<Box<ChangedKeys>>,
    /// Very large values that were taken out, if any; dropping it frees them.
    pub garbage: Option<Box<Garbage>>,
}

/// Access to the keys of the slots that a command declared. Dropping it unlocks them.
pub struct View<'s> {
    pub(crate) store: &'s Store,
    pub(crate) held: Held<'s>,
    pub(crate) db: DbIndex,
    pub(crate) now: WallMs,
    pub(crate) expiry: Expiry,
    changes: Changes<'s>,
    pub(crate) undo: Option<Box<Undo>>,
    /// What was done so far.
    pub outcome: ViewOutcome,
}

/// Changes that the store has not been told of; dropping it does.
struct Changes<'s> {
    store: &'s Store,
    count: u64,
}

impl Drop for Changes<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.count > 0 {
            self.store.counters.add_dirty(self.count);
        }
    }
}

impl<'s> View<'s> {
    #[inline]
    fn new(store: &'s Store, held: Held<'s>, db: DbIndex, now: WallMs, expiry: Expiry) -> View<'s> {
        let changes = Changes { store, count: 0 };
        View { store, held, db, now, expiry, changes, undo: None, outcome: ViewOutcome::default() }
    }

    #[inline]
    pub(crate) fn of_one(store: &'s Store, slot: Slot, db: DbIndex, now: WallMs, expiry: Expiry) -> View<'s> {
        View::new(store, Held::one(&store.cells, slot), db, now, expiry)
    }

    pub(crate) fn of_many(store: &'s Store, slots: &[Slot], db: DbIndex, now: WallMs, expiry: Expiry) -> View<'s> {
        View::new(store, Held::many(&store.cells, slots), db, now, expiry)
    }

    #[inline]
    pub(crate) fn of_held(store: &'s Store, held: Held<'s>, db: DbIndex, now: WallMs, expiry: Expiry) -> View<'s> {
        View::new(store, held, db, now, expiry)
    }

    pub(crate) fn of_all(store: &'s Store, db: DbIndex, now: WallMs, expiry: Expiry) -> View<'s> {
        View::new(store, Held::all(&store.cells), db, now, expiry)
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

    /// Reaches one more slot, if nobody holds that right now; true if it was reached before.
    pub fn try_reach(&mut self, slot: Slot) -> bool {
        self.held.try_add(slot)
    }

    /// The rule for keys whose time has come.
    pub fn expiry_rule(&self) -> Expiry {
        self.expiry
    }

    /// The time by which elements of collections are not seen any more; none where all that are there are seen.
    #[inline]
    pub fn elements_seen_at(&self) -> Option<WallMs> {
        (self.expiry != Expiry::Ignore).then_some(self.now)
    }

    /// A key with slot and hash.
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        self.store.key(bytes)
    }

    /// Takes what was done so far, leaving nothing.
    pub fn take_outcome(&mut self) -> ViewOutcome {
        std::mem::take(&mut self.outcome)
    }

    #[inline]
    pub(crate) fn count_changes(&mut self, count: u64) {
        self.outcome.dirty += count;
        self.changes.count += count;
    }

    /// All changes since there were so many ([`ViewOutcome::dirty`]) are one: an element that goes from key to key.
    pub fn count_as_one(&mut self, before: u64) {
        let more = self.outcome.dirty.saturating_sub(before + 1);
        self.outcome.dirty -= more;
        self.changes.count -= more;
    }

    /// How many changes the view has made in all, outcomes that were taken included.
    pub(crate) fn changes_made(&self) -> u64 {
        self.changes.count
    }

    /// Changes that were counted were taken back: there are so many now.
    pub(crate) fn uncount_changes(&mut self, left: u64) {
        self.changes.count = left;
    }

    /// Finds a key and applies the expiry rule to it.
    #[inline]
    pub(crate) fn locate(&mut self, key: &Key<'_>) -> Option<Spot> {
        let (db, now) = (self.db, self.now);
        let table = self.held.slot(key.slot).table(db)?;
        let spot = table.find(key.hash.0, key.bytes)?;
        match table.record(spot).expire_at() {
            Some(at) if at <= now && self.expiry != Expiry::Ignore => {
                self.meet_expired(key, spot);
                None
            }
            _ => Some(spot),
        }
    }

    #[cold]
    fn meet_expired(&mut self, key: &Key<'_>, spot: Spot) {
        if self.expiry == Expiry::Delete {
            self.remove_at(key, spot);
            self.note_expired(self.db, key.bytes.into());
        }
    }

    /// Notes that the key which was just removed had to go because its time had come.
    pub(crate) fn note_expired(&mut self, db: DbIndex, name: Box<[u8]>) {
        if let Some(last) = self.outcome.changed.as_mut().and_then(|changed| changed.0.last_mut()) {
            last.expired = true;
        }
        self.outcome.expired.push((db, name));
    }

    /// Removes a record, for whatever reason.
    pub(crate) fn remove_at(&mut self, key: &Key<'_>, spot: Spot) {
        let db = self.db;
        let guard = self.held.slot(key.slot);
        let Some(table) = guard.table_mut(db) else { return };
        let record = table.remove(spot);
        table.settle(key.hash.0, self.store.pool(key.slot));
        guard.tidy(db);
        self.store.counters.add(db, -1, -i64::from(record.as_ref().expire_at().is_some()));
        self.note_elements(key, record.as_ref().next_due(), None);
        self.touch(key);
        self.retire(key.slot, record);
    }

    /// Drops a record that was taken out of the selected database, unless a running snapshot still has to see it.
    #[inline]
    pub(crate) fn retire(&mut self, slot: Slot, record: Record) {
        if self.store.walk.keeps(record.as_ref().epoch()) {
            self.keep_preimage(slot, record);
        } else if Garbage::is_worth(record.as_ref()) {
            self.outcome.garbage.get_or_insert_default().add(record);
        } else {
            record.give_back(self.store.pool(slot));
        }
    }

    #[cold]
    fn keep_preimage(&mut self, slot: Slot, record: Record) {
        let cut_db = self.store.cut_db(self.db);
        self.held.slot(slot).side_mut().preimages.push((cut_db, record));
    }

    /// Looks a key up for a reading command: counts a hit or miss and, unless `touch` is off, renews its access clock.
    #[inline]
    pub fn read(&mut self, key: &Key<'_>, touch: bool) -> Option<Entry<'_>> {
        let Some(spot) = self.locate(key) else {
            self.outcome.misses += 1;
            if self.store.notes_misses.load(Ordering::Relaxed) {
                self.outcome.missed.push(key.bytes.into());
            }
            return None;
        };
        self.outcome.hits += 1;
        let (db, now, store) = (self.db, self.now, self.store);
        let table = self.held.slot(key.slot).table_mut(db)?;
        if touch {
            let clock = store.touched(now, table.record(spot).clock());
            table.set_clock(spot, clock);
        }
        Some(entry_of(table.record(spot), now))
    }

    /// Looks a key up without counting and without renewing its access clock: for writing commands, TYPE, TTL, OBJECT.
    #[inline]
    pub fn peek(&mut self, key: &Key<'_>) -> Option<Entry<'_>> {
        let spot = self.locate(key)?;
        let (db, now) = (self.db, self.now);
        Some(entry_of(self.held.slot(key.slot).table(db)?.record(spot), now))
    }

    /// What a key holds, for who only wants to know whether it is worth looking: one whose time has come is not there, and
    /// is left to the next command that reaches it.
    pub fn kind(&mut self, key: &Key<'_>) -> Option<ValueKind> {
        let (db, now) = (self.db, self.now);
        let table = self.held.slot(key.slot).table(db)?;
        let record = table.record(table.find(key.hash.0, key.bytes)?);
        let is_due = record.expire_at().is_some_and(|at| at <= now) && self.expiry != Expiry::Ignore;
        (!is_due).then(|| record.value().kind())
    }

    /// The text of a key, shared; none if it holds no string, or one too small to be worth it.
    pub fn shared_text(&mut self, key: &Key<'_>) -> Option<SharedText> {
        let spot = self.locate(key)?;
        let record = self.record(key, spot);
        match record.value() {
            Value::Str(_) => record.shared_block().map(SharedText),
            _ => None,
        }
    }

    /// Whether the key is there.
    #[inline]
    pub fn exists(&mut self, key: &Key<'_>) -> bool {
        self.locate(key).is_some()
    }

    /// Marks every watcher of this key, and notes the change where somebody asked for that.
    #[inline]
    pub fn touch(&mut self, key: &Key<'_>) {
        let db = self.db;
        if self.store.notes_changes.load(Ordering::Relaxed) {
            self.note_change(key);
        }
        if let Some(side) = self.held.slot(key.slot).side() {
            for watcher in &side.watchers {
                if watcher.db == db && *watcher.key == *key.bytes {
                    watcher.flag.set();
                }
            }
        }
    }

    #[cold]
    fn note_change(&mut self, key: &Key<'_>) {
        let changed = ChangedKey { slot: key.slot, name: key.bytes.into(), expired: false };
        self.outcome.changed.get_or_insert_default().0.push(changed);
    }

    /// Sets the flag when this key of the selected database changes. A key that is there but expired counts as missing
    /// from the start.
    pub fn watch(&mut self, key: &Key<'_>, flag: &WatchFlag) {
        let watcher = Watcher { db: self.db, key: key.bytes.into(), flag: flag.clone() };
        self.held.slot(key.slot).side_mut().watchers.push(watcher);
    }

    /// Ends what [`View::watch`] began, for this flag and key.
    pub fn unwatch(&mut self, key: &Key<'_>, flag: &WatchFlag) {
        let db = self.db;
        let guard = self.held.slot(key.slot);
        if let Some(side) = guard.side_if_any() {
            side.watchers.retain(|w| !(w.db == db && *w.key == *key.bytes && w.flag.same(flag)));
        }
        guard.tidy_side();
    }
}

/// Room that an entry takes in its table on average, for MEMORY USAGE.
const TABLE_SHARE_BYTES: usize = 8;

/// What a record holds, as commands see it.
#[inline]
pub(crate) fn entry_of(record: RecordRef<'_>, now: WallMs) -> Entry<'_> {
    let expire_at = record.expire_at();
    let value = record.value();
    let encoding = match value {
        Value::Str(Str::Int(_)) => "int",
        Value::Str(Str::Bytes(text)) if record.is_raw() || !is_embedded(record.key(), expire_at, text) => "raw",
        Value::Str(Str::Bytes(_)) => "embstr",
        Value::List(list) => list.encoding(),
        Value::Set(set) => set.encoding(),
        Value::Hash(hash) => hash.encoding(),
        Value::ZSet(zset) => zset.encoding(),
        _ => value.kind().name(),
    };
    Entry {
        value,
        expire_at,
        encoding,
        idle_secs: clock::idle_secs(now, record.clock()),
        clock: record.clock(),
        memory_bytes: record.footprint() + TABLE_SHARE_BYTES,
    }
}

/// Whether upstream would keep this string in one allocation with its key (rdb section 10; a key's own header takes
/// three bytes, and five from 32 bytes of key on, as Valkey 9.1.2 shows).
#[inline]
fn is_embedded(key: &[u8], expire_at: Option<WallMs>, text: &[u8]) -> bool {
    let key_size = key.len() + if key.len() < 32 { 3 } else { 5 };
    8 + key_size + 8 * usize::from(expire_at.is_some()) + text.len() + 4 <= 128
}
