//! The store: all slots with their locks, what is counted over all of them, and how to reach a key.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use baton_base::{Slot, WallMs};
use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::clock::{self, AccessRule, AccessWord};
use crate::counters::Counters;
use crate::hash::KeyHasher;
use crate::held::Held;
use crate::key::{DbIndex, Key, KeyHash};
use crate::raw::heap::{Heap, PoolRef};
use crate::raw::prefetch;
use crate::slot_data::{SlotCell, SlotData, SlotGuard};
use crate::snapshot::{SnapshotWalker, WalkState};
use crate::view::{Expiry, View};
use crate::walk::WalkWord;

/// Keys that are followed to a second bucket without memory of their own.
const FURTHER_ROOM: usize = 64;

/// What a store is made with.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Number of databases, at least 1.
    pub databases: u32,
    /// Seed of the key hash.
    pub seed: u64,
}

/// Says of a slot that somebody waits for whether it is held for long.
type Patience = Box<dyn Fn(Slot) -> bool + Send + Sync>;

/// A slot was not to be had, because somebody holds it for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldForLong(pub Slot);

/// All keys of a node. Shared by all threads; each slot is locked by itself.
///
/// Locks are taken in this order: the state of the snapshot walk, then slots in ascending order.
pub struct Store {
    pub(crate) cells: Box<[SlotCell]>,
    pub(crate) hasher: KeyHasher,
    value_seed: u64,
    heap: Heap,
    pub(crate) walk: WalkWord,
    databases: u32,
    /// Whether views say which keys changed.
    pub(crate) notes_changes: AtomicBool,
    pub(crate) notes_misses: AtomicBool,
    pub(crate) counters: Counters,
    pub(crate) access: AccessWord,
    /// For each database the number it had at the running snapshot's cut.
    pub(crate) cut_dbs: Box<[AtomicU32]>,
    patience: OnceLock<Patience>,
    /// On a line of its own: the walker locks it all the time, and every command reads the fields around.
    pub(crate) walk_state: CachePadded<Mutex<WalkState>>,
}

impl Store {
    /// An empty store.
    pub fn new(settings: StoreSettings) -> Store {
        Store::with_heap(settings, Heap::new())
    }

    fn with_heap(settings: StoreSettings, heap: Heap) -> Store {
        assert!(settings.databases > 0, "a store has a database");
        let hasher = KeyHasher::new(settings.seed);
        Store {
            value_seed: hasher.hash(b"members and fields"),
            cells: (0..Slot::COUNT).map(|_| SlotCell::new(SlotData::new())).collect(),
            hasher,
            heap,
            walk: WalkWord::new(),
            databases: settings.databases,
            notes_changes: AtomicBool::new(false),
            notes_misses: AtomicBool::new(false),
            counters: Counters::new(settings.databases),
            access: AccessWord::default(),
            cut_dbs: (0..settings.databases).map(AtomicU32::new).collect(),
            patience: OnceLock::new(),
            walk_state: CachePadded::new(Mutex::new(WalkState::default())),
        }
    }

    /// An empty store with the same settings, to be filled aside and handed to [`Store::replace_contents`].
    pub fn sibling(&self) -> Store {
        // With one heap for both, what is free in the pages of either is used for the other.
        let settings = StoreSettings { databases: self.databases, seed: self.hasher.seed() };
        let sibling = Store::with_heap(settings, self.heap.clone());
        sibling.access.set(self.access.rule());
        sibling
    }

    /// Sets what entries keep of accesses from now on.
    pub fn set_access_rule(&self, rule: AccessRule) {
        self.access.set(rule);
    }

    /// What a record that is used now keeps of that, and of what it kept.
    #[inline]
    pub(crate) fn touched(&self, now: WallMs, clock: u32) -> u32 {
        match self.access.rule() {
            AccessRule::Recency => clock::at(now),
            rule => self.counted(rule, now, clock),
        }
    }

    #[cold]
    fn counted(&self, rule: AccessRule, now: WallMs, clock: u32) -> u32 {
        rule.touched(now, clock, self.counters.draw(self.value_seed))
    }

    /// Bytes that were taken from the allocator for entries, in large pieces, and are not in use.
    pub fn idle_bytes(&self) -> usize {
        self.heap.idle_bytes()
    }

    /// Whether views are to say which keys changed ([`ViewOutcome::changed`](crate::ViewOutcome::changed)). Exact for a
    /// key whose slot is locked after the switch.
    pub fn note_changes(&self, on: bool) {
        self.notes_changes.store(on, Ordering::Relaxed);
    }

    /// Whether views are to say which keys were looked for in vain ([`ViewOutcome::missed`](crate::ViewOutcome::missed)).
    pub fn note_misses(&self, on: bool) {
        self.notes_misses.store(on, Ordering::Relaxed);
    }

    /// Number of databases.
    pub fn databases(&self) -> u32 {
        self.databases
    }

    /// The seed for the hashes of large collections: theirs and that of keys have nothing in common.
    pub fn value_seed(&self) -> u64 {
        self.value_seed
    }

    /// A key with its slot and hash.
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        Key { bytes, slot: Slot::of_key(bytes), hash: KeyHash(self.hasher.hash(bytes)) }
    }

    /// Brings what looking for these keys will touch on its way, stage by stage, so that the waits for memory overlap.
    #[inline]
    pub fn prefetch<'k>(&self, db: DbIndex, keys: impl Iterator<Item = &'k Key<'k>> + Clone) {
        keys.clone().for_each(|key| self.prefetch_slot(key));
        keys.clone().for_each(|key| self.prefetch_bucket(db, key));
        let further: SmallVec<[&Key<'_>; FURTHER_ROOM]> = keys.filter(|key| self.prefetch_entry(db, key)).collect();
        further.iter().for_each(|key| self.prefetch_further_entry(db, key));
    }

    /// First prefetch stage: the slot's own cache line. Touches nothing that another thread may free.
    #[inline]
    fn prefetch_slot(&self, key: &Key<'_>) {
        self.cells[key.slot.index()].prefetch();
    }

    /// Second stage: the bucket. Takes no lock for database 0 unless the slot holds hundreds of keys; otherwise skipped
    /// where the slot is locked right now.
    #[inline]
    fn prefetch_bucket(&self, db: DbIndex, key: &Key<'_>) {
        let cell = &self.cells[key.slot.index()];
        if db.0 != 0 || !cell.prefetch_bucket(key.hash.0) {
            cell.try_peek(|data| {
                if let Some(table) = data.table(db) {
                    table.prefetch_bucket(key.hash.0);
                }
            });
        }
    }

    /// Third stage: the entry that the tag points at, or where it may be further on, which it tells. Skipped where the slot is
    /// locked right now.
    #[inline]
    fn prefetch_entry(&self, db: DbIndex, key: &Key<'_>) -> bool {
        let mut is_further = false;
        self.cells[key.slot.index()].try_peek(|data| {
            is_further = data.table(db).is_some_and(|table| table.prefetch_record(key.hash.0));
        });
        is_further
    }

    /// Fourth stage: the entry that is further on. Skipped where the slot is locked right now.
    #[inline]
    fn prefetch_further_entry(&self, db: DbIndex, key: &Key<'_>) {
        self.cells[key.slot.index()].try_peek(|data| {
            if let Some(table) = data.table(db) {
                table.prefetch_further_record(key.hash.0);
            }
        });
    }

    /// Behind the other stages: what looking for these fields or members will touch in the key's value, if that is a large one.
    /// Skipped where the slot is locked right now.
    pub fn prefetch_elements(&self, db: DbIndex, key: &Key<'_>, names: &[&[u8]]) {
        self.cells[key.slot.index()].try_peek(|data| {
            let Some(table) = data.table(db) else { return };
            let Some(spot) = table.find(key.hash.0, key.bytes) else { return };
            let record = table.record(spot);
            if record.is_large() {
                record.value().fetch_elements(names, prefetch::line);
            }
        });
    }

    pub(crate) fn lock(&self, slot: Slot) -> SlotGuard<'_> {
        self.cells[slot.index()].lock()
    }

    /// The lock of a slot, if it is free right now.
    pub(crate) fn try_lock(&self, slot: Slot) -> Option<SlotGuard<'_>> {
        self.cells[slot.index()].try_lock()
    }

    /// The lock of a slot, unless somebody holds it for long.
    #[inline]
    pub(crate) fn lock_or_give_up(&self, slot: Slot) -> Result<SlotGuard<'_>, HeldForLong> {
        let cell = &self.cells[slot.index()];
        if let Some(guard) = cell.try_lock() {
            return Ok(guard);
        }
        let is_over = || self.patience.get().is_some_and(|is_over| is_over(slot));
        cell.lock_unless(is_over).ok_or(HeldForLong(slot))
    }

    /// Says who decides whether a slot is held for long: it is asked by those who wait and may give up, every few
    /// milliseconds. Without it all waits last until the slot is free. Only the first call counts.
    pub fn set_patience(&self, is_over: Box<dyn Fn(Slot) -> bool + Send + Sync>) {
        let _ = self.patience.set(is_over);
    }

    /// Where the records of a slot lie.
    #[inline]
    pub(crate) fn pool(&self, slot: Slot) -> PoolRef<'_> {
        self.heap.pool(slot.index(), self.cells.len())
    }

    /// Keys in a database, expired ones that nobody met yet included. Exact while nobody writes.
    pub fn len(&self, db: DbIndex) -> u64 {
        self.counters.keys(db)
    }

    /// Keys with an expiry in a database. Exact while nobody writes.
    pub fn expires_len(&self, db: DbIndex) -> u64 {
        self.counters.expires(db)
    }

    /// Keys with elements that end in a database. Exact while nobody writes.
    pub fn timed_len(&self, db: DbIndex) -> u64 {
        self.counters.timed(db)
    }

    /// Keys of a slot in a database.
    pub fn slot_len(&self, db: DbIndex, slot: Slot) -> u64 {
        self.lock(slot).table(db).map_or(0, |t| t.len() as u64)
    }

    /// Whether no database holds a key.
    pub fn is_empty(&self) -> bool {
        (0..self.databases).all(|db| self.len(DbIndex(db)) == 0)
    }

    /// Changes since the start, as views that were dropped counted them.
    pub fn dirty(&self) -> u64 {
        self.counters.dirty()
    }

    /// Bytes of memory in the entries and tables of a database, or of all together with the slots themselves, what a
    /// running snapshot keeps and what is unused in the pages of the entries. Goes over all slots.
    pub fn memory_bytes(&self, db: Option<DbIndex>) -> u64 {
        let own = if db.is_none() { size_of_val(&*self.cells) + self.heap.unused_bytes() } else { 0 };
        own as u64 + Slot::all().map(|slot| self.slot_memory_bytes(slot, db)).sum::<u64>()
    }

    /// Bytes of memory in the tables of a database without their entries. Goes over all slots and waits for none: what
    /// is in use at the moment is left out.
    pub fn index_bytes(&self, db: DbIndex) -> u64 {
        Slot::all()
            .filter_map(|slot| self.try_lock(slot))
            .filter_map(|slot| slot.table(db).map(|table| table.index_bytes()))
            .sum()
    }

    /// Bytes of memory in the entries and tables of a slot, in one database or all.
    pub fn slot_memory_bytes(&self, slot: Slot, db: Option<DbIndex>) -> u64 {
        self.lock(slot).bytes(db)
    }

    /// Whether a key of this slot may have reached its time. Takes no lock; [`View::expire_due`] does the work.
    #[inline]
    pub fn may_be_due(&self, slot: Slot, now: WallMs) -> bool {
        self.cells[slot.index()].may_be_due(now)
    }

    /// A view of one slot.
    #[inline]
    pub fn view(&self, slot: Slot, db: DbIndex, now: WallMs, expiry: Expiry) -> View<'_> {
        View::of_one(self, slot, db, now, expiry)
    }

    /// A view of several slots, given in ascending order without repetition.
    pub fn view_many(&self, slots: &[Slot], db: DbIndex, now: WallMs, expiry: Expiry) -> View<'_> {
        View::of_many(self, slots, db, now, expiry)
    }

    /// As [`Store::view`], for those who don't wait for whoever holds a slot for long.
    ///
    /// # Errors
    /// The slot is held for long.
    #[inline]
    pub fn view_or_give_up(
        &self,
        slot: Slot,
        db: DbIndex,
        now: WallMs,
        expiry: Expiry,
    ) -> Result<View<'_>, HeldForLong> {
        let held = Held::locked(&self.cells, slot, self.lock_or_give_up(slot)?);
        Ok(View::of_held(self, held, db, now, expiry))
    }

    /// As [`Store::view_many`], for those who don't wait for whoever holds a slot for long.
    ///
    /// # Errors
    /// One of the slots is held for long.
    pub fn view_many_or_give_up(
        &self,
        slots: &[Slot],
        db: DbIndex,
        now: WallMs,
        expiry: Expiry,
    ) -> Result<View<'_>, HeldForLong> {
        let held = Held::many_by(&self.cells, slots, |slot| self.lock_or_give_up(slot))?;
        Ok(View::of_held(self, held, db, now, expiry))
    }

    /// A view that locks slots as they are reached. Only for a caller that has stopped the world (exclusive gate):
    /// two such views at once could wait for each other.
    pub fn view_all(&self, db: DbIndex, now: WallMs, expiry: Expiry) -> View<'_> {
        View::of_all(self, db, now, expiry)
    }

    /// Begins a snapshot of this instant. The caller stops the world for this call only; the walk goes on beside writers.
    /// At most one walk at a time: none if one is running.
    pub fn snapshot(self: &Arc<Self>) -> Option<SnapshotWalker> {
        SnapshotWalker::begin(self)
    }

    /// The number that a database had at the running snapshot's cut.
    pub(crate) fn cut_db(&self, db: DbIndex) -> DbIndex {
        DbIndex(self.cut_dbs[db.0 as usize].load(Ordering::Relaxed))
    }
}
