//! Operations on whole databases or slots: flush, swap, replace, clear. What they take out is given back as garbage, to
//! be freed away from the data plane, or handed to the running snapshot if that has not seen it yet.

use std::sync::atomic::Ordering;

use baton_base::{Slot, WallMs};

use crate::key::DbIndex;
use crate::raw::record::{Record, RecordRef};
use crate::raw::table::Table;
use crate::slot_data::SlotGuard;
use crate::snapshot::WalkState;
use crate::store::Store;
use crate::view::View;

/// Memory that was taken out of the store and waits to be freed: drop it away from the data plane.
#[derive(Default)]
#[must_use = "dropping it frees memory, which may take long"]
pub struct Garbage {
    tables: Vec<Table>,
    records: Vec<Record>,
}

/// Records from this size on are worth a way to another thread: giving their pages back takes longer.
const RECORD_BYTES_MIN: usize = 1 << 20;

impl Garbage {
    /// Whether freeing a record may take long.
    #[inline]
    pub(crate) fn is_worth(record: RecordRef<'_>) -> bool {
        record.is_large() && record.footprint() >= RECORD_BYTES_MIN
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> u64 {
        let records = self.records.iter().map(|record| record.as_ref().footprint() as u64);
        self.tables.iter().map(Table::bytes).chain(records).sum()
    }

    /// How many values it holds, for counts.
    pub fn objects(&self) -> u64 {
        self.tables.iter().map(|table| table.len() as u64).sum::<u64>() + self.records.len() as u64
    }

    /// Adds a record.
    pub(crate) fn add(&mut self, record: Record) {
        self.records.push(record);
    }
}

impl std::fmt::Debug for Garbage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} tables and {} values to be freed", self.tables.len(), self.records.len())
    }
}

impl Store {
    /// Empties one database, or all. The caller stops the world (exclusive gate). Watched keys are touched.
    ///
    /// A running snapshot goes on and still sees what was there at its cut.
    pub fn flush(&self, db: Option<DbIndex>) -> Garbage {
        let mut state = self.walk_state.lock();
        let mut garbage = Garbage::default();
        for slot in Slot::all() {
            let mut guard = self.lock(slot);
            let dbs: Vec<DbIndex> = guard.tables().map(|(d, _)| d).filter(|d| db.is_none_or(|db| *d == db)).collect();
            for db in dbs {
                self.touch_watched(&guard, db);
                let table = guard.take_table(db);
                self.count_out(db, &table);
                self.dispose(&mut state, &mut garbage, slot, db, table);
            }
        }
        garbage
    }

    /// Exchanges two databases. The caller stops the world. Watched keys whose existence or value changes are touched; a key
    /// whose time has come is not there any more.
    ///
    /// A running snapshot goes on and gives every entry with the number that its database had at the cut.
    pub fn swap_dbs(&self, a: DbIndex, b: DbIndex, now: WallMs) {
        if a == b {
            return;
        }
        let mut state = self.walk_state.lock();
        for slot in Slot::all() {
            let mut guard = self.lock(slot);
            self.touch_swapped(&guard, a, b, now);
            self.touch_swapped(&guard, b, a, now);
            let (ta, tb) = (guard.take_table(a), guard.take_table(b));
            for (db, table) in [(a, &ta), (b, &tb)] {
                self.count_out(db, table);
            }
            for (db, table) in [(b, ta), (a, tb)] {
                self.count_in(db, &table);
                guard.put_table(db, table);
            }
            guard.forget_round();
        }
        let cut_a = self.cut_dbs[a.0 as usize].load(Ordering::Relaxed);
        let cut_b = self.cut_dbs[b.0 as usize].swap(cut_a, Ordering::Relaxed);
        self.cut_dbs[a.0 as usize].store(cut_b, Ordering::Relaxed);
        state.restart_slot();
    }

    /// Puts the contents of another store, which must be a [`Store::sibling`], in the place of what is here: a replica's
    /// finished full sync takes over at once. The caller stops the world. Keys that are watched here and exist before or
    /// after are touched; watches in `other` are forgotten. A snapshot of `other` must not be running.
    ///
    /// A running snapshot goes on and still sees what was there at its cut.
    ///
    /// # Panics
    /// If `other` has another seed or number of databases.
    pub fn replace_contents(&self, other: Store) -> Garbage {
        assert!(
            self.hasher.seed() == other.hasher.seed() && self.databases() == other.databases(),
            "only a sibling's tables fit"
        );
        assert!(!other.walk.is_running(), "a snapshot of the other store is running");
        let mut state = self.walk_state.lock();
        let mut garbage = Garbage::default();
        for slot in Slot::all() {
            let (mut guard, mut new) = (self.lock(slot), other.lock(slot));
            for db in (0..self.databases()).map(DbIndex) {
                self.touch_watched(&guard, db);
                let (old, new) = (guard.take_table(db), new.take_table(db));
                self.count_out(db, &old);
                self.count_in(db, &new);
                self.dispose(&mut state, &mut garbage, slot, db, old);
                guard.put_table(db, new);
                self.touch_watched(&guard, db);
            }
            guard.copy_due(&new);
            if let Some(side) = guard.side_if_any() {
                state.adopt_preimages(slot, std::mem::take(&mut side.preimages));
            }
            guard.forget_round();
        }
        state.end_live(&other);
        self.walk.adopt(&other.walk);
        garbage
    }

    /// Hands a table that was taken out to the running snapshot, or to the garbage.
    fn dispose(&self, state: &mut WalkState, garbage: &mut Garbage, slot: Slot, db: DbIndex, table: Table) {
        if table.len() == 0 {
            return;
        }
        match state.adopt_table(slot, self.cut_db(db), table) {
            Ok(()) => {}
            Err(table) => garbage.tables.push(table),
        }
    }

    fn count_in(&self, db: DbIndex, table: &Table) {
        self.counters.add(db, table.len() as i64, table.expires() as i64);
        self.counters.add_timed(db, table.timed() as i64);
    }

    fn count_out(&self, db: DbIndex, table: &Table) {
        self.counters.add(db, -(table.len() as i64), -(table.expires() as i64));
        self.counters.add_timed(db, -(table.timed() as i64));
    }

    /// Marks the watchers of keys that exist in `db`.
    fn touch_watched(&self, guard: &SlotGuard<'_>, db: DbIndex) {
        let Some(side) = guard.side() else { return };
        for watcher in side.watchers.iter().filter(|w| w.db == db) {
            let hash = self.hasher.hash(&watcher.key);
            if guard.table(db).is_some_and(|t| t.find(hash, &watcher.key).is_some()) {
                watcher.flag.set();
            }
        }
    }

    /// Marks the watchers of keys in `db` that anybody sees there now, or in `other`.
    fn touch_swapped(&self, guard: &SlotGuard<'_>, db: DbIndex, other: DbIndex, now: WallMs) {
        let Some(side) = guard.side() else { return };
        for watcher in side.watchers.iter().filter(|w| w.db == db) {
            let hash = self.hasher.hash(&watcher.key);
            let is_seen = |table: &Table| {
                let record = table.find(hash, &watcher.key).map(|spot| table.record(spot));
                record.is_some_and(|r| r.expire_at().is_none_or(|at| at > now))
            };
            if [db, other].into_iter().filter_map(|db| guard.table(db)).any(is_seen) {
                watcher.flag.set();
            }
        }
    }
}

impl View<'_> {
    /// Deletes all keys of one slot in all databases, without applying the expiry rule or reporting names: for a node
    /// that lost the slot. Gives how many there were, and their memory.
    pub fn clear_slot(&mut self, slot: Slot) -> (u64, Garbage) {
        let store = self.store;
        let guard = self.held.slot(slot);
        let dbs: Vec<DbIndex> = guard.tables().map(|(db, _)| db).collect();
        let mut garbage = Garbage::default();
        let mut count = 0;
        for db in dbs {
            store.touch_watched(guard, db);
            let mut table = guard.take_table(db);
            store.count_out(db, &table);
            count += table.len() as u64;
            if store.walk.is_running() {
                let cut_db = store.cut_db(db);
                table.drain(|record: Record| {
                    if store.walk.keeps(record.as_ref().epoch()) {
                        guard.side_mut().preimages.push((cut_db, record));
                    }
                });
            } else {
                garbage.tables.push(table);
            }
        }
        guard.forget_round();
        guard.set_due(None);
        self.count_changes(count);
        (count, garbage)
    }
}
