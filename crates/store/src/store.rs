//! The store: all slots with their locks, what is counted over all of them, and the operations that go over many slots.

use std::sync::atomic::{AtomicU64, Ordering};

use baton_base::{Rng, Slot, WallMs};
use parking_lot::{Mutex, MutexGuard};

use crate::key::{DbIndex, Key, KeyHash};
use crate::slot_data::SlotData;
use crate::snapshot::SnapshotWalker;
use crate::value::Entry;
use crate::view::{Expiry, View};

/// What a store is made with.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Number of databases, at least 1.
    pub databases: u32,
    /// Seed of the key hash.
    pub seed: u64,
}

/// All keys of a node. Shared by all threads; each slot is locked by itself.
pub struct Store {
    slots: Box<[Mutex<SlotData>]>,
    settings: StoreSettings,
    pub(crate) dirty: AtomicU64,
}

/// Memory that was taken out of the store and waits to be freed: drop it away from the data plane.
#[derive(Default)]
pub struct Garbage(Vec<SlotData>);

/// What one step of a scan gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Where to go on; 0 when everything was visited. Low 14 bits are the slot.
    pub cursor: u64,
}

impl Store {
    /// An empty store.
    pub fn new(settings: StoreSettings) -> Store {
        let slots = (0..Slot::COUNT).map(|_| Mutex::new(SlotData::default())).collect();
        Store { slots, settings, dirty: AtomicU64::new(0) }
    }

    /// Number of databases.
    pub fn databases(&self) -> u32 {
        self.settings.databases
    }

    /// A key with its slot and hash.
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        Key { bytes, slot: Slot::of_key(bytes), hash: KeyHash(rapidhash::v3::rapidhash_v3(bytes) ^ self.settings.seed) }
    }

    /// First prefetch stage: the slot's own cache line. Touches nothing that another thread may free.
    pub fn prefetch_slot(&self, _key: &Key<'_>) {}

    /// Second stage: the bucket. Skipped where the slot is locked right now.
    pub fn prefetch_bucket(&self, _db: DbIndex, _key: &Key<'_>) {}

    /// Third stage: the entry that the tag points at. Skipped where the slot is locked right now.
    pub fn prefetch_entry(&self, _db: DbIndex, _key: &Key<'_>) {}

    pub(crate) fn lock(&self, slot: Slot) -> MutexGuard<'_, SlotData> {
        self.slots[slot.index()].lock()
    }

    /// Keys in a database, expired ones that nobody met yet included.
    pub fn len(&self, db: DbIndex) -> u64 {
        Slot::all().map(|s| self.slot_len(db, s)).sum()
    }

    /// Keys with an expiry in a database.
    pub fn expires_len(&self, db: DbIndex) -> u64 {
        let count =
            |s| self.lock(s).tables.get(&db.0).map_or(0, |t| t.values().filter(|i| i.expire_at.is_some()).count());
        Slot::all().map(|s| count(s) as u64).sum()
    }

    /// Keys of a slot in a database.
    pub fn slot_len(&self, db: DbIndex, slot: Slot) -> u64 {
        self.lock(slot).tables.get(&db.0).map_or(0, |t| t.len() as u64)
    }

    /// Whether no database holds a key.
    pub fn is_empty(&self) -> bool {
        (0..self.settings.databases).all(|db| self.len(DbIndex(db)) == 0)
    }

    /// Changes since the start; commands add to it through their views.
    pub fn dirty(&self) -> u64 {
        self.dirty.load(Ordering::Relaxed)
    }

    /// Visits about `count` keys from the cursor on. A key present during a whole scan is visited at least once.
    /// Expired keys are left out (`now`).
    pub fn scan(
        &self,
        db: DbIndex,
        cursor: u64,
        count: usize,
        now: WallMs,
        visit: &mut dyn FnMut(&[u8], Entry<'_>),
    ) -> Scanned {
        let mut slot_number = (cursor & 0x3FFF) as usize;
        let mut seen = 0;
        while slot_number < Slot::COUNT {
            let slot = Slot::new(slot_number as u16).expect("below the count");
            seen += self.scan_slot(db, slot, now, visit);
            slot_number += 1;
            if seen >= count {
                break;
            }
        }
        Scanned { cursor: if slot_number == Slot::COUNT { 0 } else { slot_number as u64 } }
    }

    /// Visits every key of one slot that is not expired; gives how many.
    pub fn scan_slot(&self, db: DbIndex, slot: Slot, now: WallMs, visit: &mut dyn FnMut(&[u8], Entry<'_>)) -> usize {
        let data = self.lock(slot);
        let Some(table) = data.tables.get(&db.0) else { return 0 };
        for (k, item) in table.iter().filter(|(_, i)| i.expire_at.is_none_or(|at| at > now)) {
            visit(k, crate::view::entry_of(k, item, now));
        }
        table.len()
    }

    /// A random key that is not expired, or none. Gives up after a bounded number of tries.
    pub fn random_key(&self, db: DbIndex, rng: &mut Rng, now: WallMs) -> Option<Vec<u8>> {
        let start = rng.below(Slot::COUNT as u64);
        for i in 0..Slot::COUNT as u64 {
            let slot = Slot::new(((start + i) % Slot::COUNT as u64) as u16)?;
            let mut keys = Vec::new();
            self.scan_slot(db, slot, now, &mut |k, _| keys.push(k.to_vec()));
            if let Some(k) = rng.pick(&keys) {
                return Some(k.clone());
            }
        }
        None
    }

    /// Empties one database, or all. The caller stops the world (exclusive gate). Watched keys are touched.
    pub fn flush(&self, db: Option<DbIndex>) -> Garbage {
        let mut out = Garbage::default();
        for slot in Slot::all() {
            let mut data = self.lock(slot);
            let taken = match db {
                None => std::mem::take(&mut data.tables),
                Some(db) => data.tables.remove(&db.0).map(|t| (db.0, t)).into_iter().collect(),
            };
            for (db, key, flag) in &data.watchers {
                if taken.get(db).is_some_and(|t| t.contains_key(key)) {
                    flag.set();
                }
            }
            out.0.push(SlotData { tables: taken, watchers: Vec::new() });
        }
        out
    }

    /// Exchanges two databases. The caller stops the world. Watched keys whose existence or value changes are touched.
    pub fn swap_dbs(&self, a: DbIndex, b: DbIndex) {
        for slot in Slot::all() {
            let mut data = self.lock(slot);
            let (ta, tb) = (data.tables.remove(&a.0), data.tables.remove(&b.0));
            for (db, key, flag) in &data.watchers {
                let here =
                    |t: &Option<_>| t.as_ref().is_some_and(|t: &std::collections::BTreeMap<_, _>| t.contains_key(key));
                if (*db == a.0 || *db == b.0) && (here(&ta) || here(&tb)) {
                    flag.set();
                }
            }
            data.tables.extend(ta.map(|t| (b.0, t)));
            data.tables.extend(tb.map(|t| (a.0, t)));
        }
    }

    /// A view of one slot.
    pub fn view(&self, slot: Slot, db: DbIndex, now: WallMs, expiry: Expiry) -> View<'_> {
        View::of(self, &[slot], db, now, expiry)
    }

    /// A view of several slots, given in ascending order without repetition.
    pub fn view_many(&self, slots: &[Slot], db: DbIndex, now: WallMs, expiry: Expiry) -> View<'_> {
        View::of(self, slots, db, now, expiry)
    }

    /// A view that locks slots as they are reached. Only for a caller that has stopped the world (exclusive gate):
    /// two such views at once could wait for each other.
    pub fn view_all(&self, db: DbIndex, now: WallMs, expiry: Expiry) -> View<'_> {
        View::of(self, &[], db, now, expiry)
    }

    /// Begins a snapshot of this instant. The caller stops the world for this call only; the walk goes on beside writers.
    /// At most one walk at a time: none if one is running.
    pub fn snapshot(&self) -> Option<SnapshotWalker<'_>> {
        Some(SnapshotWalker::new(self))
    }
}
