//! A walk over all entries as they were at one instant, beside writers.
//!
//! The cut bumps the epoch while the world stands still. The walker then goes slot by slot in the scan order of each
//! table, gives every entry whose epoch is not the current one and marks it with the current one. An entry can leave
//! its place in three ways before the walker comes by, and each hands it over:
//!
//! 1. A writer that changes or removes it puts it, as it was, into its slot's list of pre-images (`walk`, rule 2).
//! 2. Whoever takes a whole table out (flush, replace) gives the table to the walk's state.
//! 3. A swap of databases moves it: the walker begins its current slot again, where marks tell what it gave already.
//!
//! So each entry of the cut is given exactly once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use baton_base::{Slot, WallMs};
use baton_values::Value;

use crate::clock;
use crate::key::DbIndex;
use crate::raw::record::{Record, RecordRef};
use crate::raw::table::{Spot, Table};
use crate::store::Store;
use crate::view::entry_of;

/// Entries visited before a slot is unlocked for others in between.
const ENTRIES_A_HOLD: usize = 64;
/// Chains passed before a slot is unlocked, visited entries or not.
const CHAINS_A_HOLD: usize = 64;
/// Walks in a row that may end early before one is made to leave its mark everywhere (`walk`, rule 3).
const UNFINISHED_MAX: u32 = 100;

/// One entry as it was at the snapshot's instant.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotItem<'a> {
    /// Its database.
    pub db: DbIndex,
    /// Its slot.
    pub slot: Slot,
    /// Its name.
    pub key: &'a [u8],
    /// Its value.
    pub value: Value<'a>,
    /// When it expires; none if never. Entries that are due already are still visited.
    pub expire_at: Option<WallMs>,
    /// Whole seconds since its last access at the time of the visit.
    pub idle_secs: u64,
    clock: u32,
    now: WallMs,
}

impl SnapshotItem<'_> {
    /// How often it was used by the time of the visit, from 0 to 255, where that is counted.
    pub fn frequency(&self, decay_minutes: u32) -> u8 {
        clock::frequency(self.now, self.clock, decay_minutes)
    }
}

/// An entry that the walker owns and has yet to give.
struct Kept {
    slot: Slot,
    db: DbIndex,
    record: Record,
}

/// A table that the walker owns and has yet to go through.
struct KeptTable {
    slot: Slot,
    db: DbIndex,
    table: Table,
    place: u32,
}

/// How far a walk is. Whoever holds its lock keeps the walker still.
#[derive(Default)]
pub(crate) struct WalkState {
    running: bool,
    /// Number of the next slot to be finished; [`Slot::COUNT`] when all are.
    slot: usize,
    db: DbIndex,
    place: u32,
    records: Vec<Kept>,
    tables: Vec<KeptTable>,
    /// Walks in a row that ended early.
    unfinished: u32,
}

impl WalkState {
    /// Takes a table that is not in its slot any more, or gives it back where the walk has nothing to look for in it.
    pub(crate) fn adopt_table(&mut self, slot: Slot, db: DbIndex, table: Table) -> Result<(), Table> {
        if !self.running || slot.index() < self.slot {
            return Err(table);
        }
        self.tables.push(KeptTable { slot, db, table, place: 0 });
        Ok(())
    }

    /// Takes pre-images that are not in their slot any more.
    pub(crate) fn adopt_preimages(&mut self, slot: Slot, preimages: Vec<(DbIndex, Record)>) {
        if self.running {
            self.records.extend(preimages.into_iter().map(|(db, record)| Kept { slot, db, record }));
        }
    }

    /// Begins the current slot again.
    pub(crate) fn restart_slot(&mut self) {
        (self.db, self.place) = (DbIndex(0), 0);
    }

    /// Nothing of the cut is in the slots any more; what is there belongs to `other`'s epochs.
    pub(crate) fn end_live(&mut self, other: &Store) {
        self.slot = Slot::COUNT;
        self.unfinished = other.walk_state.lock().unfinished;
    }
}

/// A running snapshot. Dropping it ends it, finished or not. Usable from any thread.
pub struct SnapshotWalker {
    store: Arc<Store>,
    epoch: u8,
}

impl SnapshotWalker {
    pub(crate) fn begin(store: &Arc<Store>) -> Option<SnapshotWalker> {
        let mut state = store.walk_state.lock();
        if state.running {
            return None;
        }
        *state = WalkState { running: true, unfinished: state.unfinished, ..WalkState::default() };
        for (db, cut) in (0..).zip(&store.cut_dbs) {
            cut.store(db, Ordering::Relaxed);
        }
        let epoch = store.walk.begin();
        drop(state);
        Some(SnapshotWalker { store: store.clone(), epoch })
    }

    /// Visits at least one and about `count` more entries, unless the walk is over; tells whether there are more.
    /// No slot stays locked between calls, and none for longer than a bounded number of entries.
    ///
    /// `visit` must neither use the store nor wait: most entries are visited under their slot's lock. Large values are
    /// visited outside of it.
    pub fn step(&mut self, count: usize, now: WallMs, visit: &mut dyn FnMut(SnapshotItem<'_>)) -> bool {
        let mut left = count.max(1);
        loop {
            let mut state = self.store.walk_state.lock();
            if let Some(kept) = state.records.pop() {
                drop(state);
                visit(item_of(kept.record.as_ref(), kept.slot, kept.db, now));
                left = left.saturating_sub(1);
            } else if state.slot < Slot::COUNT {
                left = left.saturating_sub(self.walk_slot(&mut state, left, now, visit));
            } else if let Some(table) = state.tables.pop() {
                drop(state);
                left = left.saturating_sub(self.walk_table(table, left, now, visit));
            } else {
                return false;
            }
            if left == 0 {
                return true;
            }
        }
    }

    /// Visits some entries of the current slot under one hold of its lock; gives how many.
    fn walk_slot(
        &self,
        state: &mut WalkState,
        count: usize,
        now: WallMs,
        visit: &mut dyn FnMut(SnapshotItem<'_>),
    ) -> usize {
        let slot = Slot::new(state.slot as u16).expect("below the count");
        let mut guard = self.store.lock(slot);
        if let Some(side) = guard.side_if_any() {
            state.adopt_preimages(slot, std::mem::take(&mut side.preimages));
            guard.tidy_side();
        }
        let mut visited = 0;
        for _ in 0..CHAINS_A_HOLD {
            let Some((db, _)) = guard.table_from(state.db) else {
                state.slot += 1;
                state.restart_slot();
                if state.slot == Slot::COUNT {
                    state.unfinished = 0;
                    self.store.walk.end();
                }
                return visited;
            };
            if db != state.db {
                (state.db, state.place) = (db, 0);
            }
            if visited >= count.min(ENTRIES_A_HOLD) {
                break;
            }
            let cut_db = self.store.cut_db(db);
            let Some(table) = guard.table_mut(db) else { break };
            let mut unseen: Vec<Spot> = Vec::new();
            let (chain, next) = table.scan(state.place);
            chain.for_each(|spot| {
                if table.record(spot).epoch() != self.epoch {
                    unseen.push(spot);
                }
            });
            // A chain is visited as a whole: what is over `count` is at most what collides in one bucket.
            for spot in unseen {
                let record = table.record(spot);
                if record.is_large() {
                    // Visited later by a record that shares the value, so that its length holds up nobody.
                    let record = record.copied(record.key(), self.epoch, self.store.pool(slot));
                    state.records.push(Kept { slot, db: cut_db, record });
                } else {
                    visit(item_of(record, slot, cut_db, now));
                    visited += 1;
                }
                table.set_epoch(spot, self.epoch);
            }
            match next {
                Some(place) => state.place = place,
                None => (state.db, state.place) = (DbIndex(db.0 + 1), 0),
            }
        }
        guard.unlock_fair();
        visited
    }

    /// Visits some entries of a table that the walker owns; gives how many.
    fn walk_table(
        &self,
        mut kept: KeptTable,
        count: usize,
        now: WallMs,
        visit: &mut dyn FnMut(SnapshotItem<'_>),
    ) -> usize {
        let mut visited = 0;
        loop {
            let mut unseen: Vec<Spot> = Vec::new();
            let (chain, next) = kept.table.scan(kept.place);
            chain.for_each(|spot| {
                if kept.table.record(spot).epoch() != self.epoch {
                    unseen.push(spot);
                }
            });
            for spot in unseen {
                visit(item_of(kept.table.record(spot), kept.slot, kept.db, now));
                kept.table.set_epoch(spot, self.epoch);
                visited += 1;
            }
            match next {
                Some(place) => kept.place = place,
                None => return visited,
            }
            if visited >= count {
                self.store.walk_state.lock().tables.push(kept);
                return visited;
            }
        }
    }
}

impl Drop for SnapshotWalker {
    fn drop(&mut self) {
        let unfinished = self.store.walk_state.lock().unfinished;
        if unfinished >= UNFINISHED_MAX {
            while self.step(ENTRIES_A_HOLD, WallMs::default(), &mut |_| {}) {}
        }
        let mut state = self.store.walk_state.lock();
        let unfinished = state.unfinished + u32::from(state.slot < Slot::COUNT);
        self.store.walk.end();
        // Whoever locks a slot from now on sees that no pre-images are wanted, so none can follow these.
        for slot in Slot::all().skip(state.slot) {
            let mut guard = self.store.lock(slot);
            if let Some(side) = guard.side_if_any() {
                side.preimages = Vec::new();
                guard.tidy_side();
            }
        }
        *state = WalkState { unfinished, ..WalkState::default() };
    }
}

/// A walker is made by one thread and used by another, as is what a flush took out.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<SnapshotWalker>();
    is_send::<crate::Garbage>();
};

fn item_of<'a>(record: RecordRef<'a>, slot: Slot, db: DbIndex, now: WallMs) -> SnapshotItem<'a> {
    let entry = entry_of(record, now);
    SnapshotItem {
        db,
        slot,
        key: record.key(),
        value: entry.value,
        expire_at: entry.expire_at,
        idle_secs: entry.idle_secs,
        clock: entry.clock,
        now,
    }
}
