//! A walk over all entries as they were at one instant, beside writers.

use baton_base::{Slot, WallMs};

use crate::key::DbIndex;
use crate::store::Store;
use crate::value::Value;

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
}

/// A running snapshot. Dropping it ends it, finished or not.
pub struct SnapshotWalker<'s> {
    store: &'s Store,
    next: usize,
}

impl<'s> SnapshotWalker<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        SnapshotWalker { store, next: 0 }
    }

    /// Visits at least one and about `count` more entries, unless the walk is over; tells whether there are more.
    /// No slot stays locked between calls, and none for longer than a bounded number of entries.
    pub fn step(&mut self, count: usize, now: WallMs, visit: &mut dyn FnMut(SnapshotItem<'_>)) -> bool {
        let mut seen = 0;
        while self.next < Slot::COUNT && seen < count {
            let slot = Slot::new(self.next as u16).expect("below the count");
            let data = self.store.lock(slot);
            for (db, table) in &data.tables {
                for (k, item) in table {
                    let e = crate::view::entry_of(k, item, now);
                    visit(SnapshotItem {
                        db: DbIndex(*db),
                        slot,
                        key: k,
                        value: e.value,
                        expire_at: e.expire_at,
                        idle_secs: e.idle_secs,
                    });
                    seen += 1;
                }
            }
            self.next += 1;
        }
        self.next < Slot::COUNT
    }
}
