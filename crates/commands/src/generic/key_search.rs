//! The search of KEYS, in steps: first it goes over the keys and gathers names, for their number is said before them, then
//! it writes them. Between two steps keys may come and go; one that is there all the time is found, and once.

use std::sync::Arc;

use baton_base::{Slot, SlotBitmap, WallMs, glob};
use baton_resp::Out;
use baton_store::{DbIndex, HeldForLong, Store};

use crate::long_reply::Room;
use crate::scan_filter::{KeyNames, only_slot};

/// Keys that are looked at before the next look at the bounds.
const STEP_KEYS: u64 = 1024;
/// A key is looked at in as much time as several elements are written in: its memory is far from that of the one before.
const EFFORT_OF_KEY: u64 = 4;

/// A search that is under way.
pub(crate) struct KeySearch {
    db: DbIndex,
    now: WallMs,
    pattern: Box<[u8]>,
    /// Where to go on; none when all keys were looked at.
    cursor: Option<u64>,
    /// The last slot that may have some.
    last: Slot,
    /// Slots whose keys are not shown, as they were when it began.
    hidden: Option<Arc<SlotBitmap>>,
    names: KeyNames,
    /// How many of the names are written, once their number is.
    written: Option<usize>,
}

impl KeySearch {
    pub(crate) fn new(db: DbIndex, now: WallMs, pattern: &[u8], hidden: Option<Arc<SlotBitmap>>) -> KeySearch {
        let slot = only_slot(pattern);
        KeySearch {
            db,
            now,
            pattern: pattern.into(),
            cursor: Some(slot.map_or(0, |slot| u64::from(slot.number()))),
            last: slot.or(Slot::all().next_back()).unwrap_or_default(),
            hidden,
            names: KeyNames::default(),
            written: None,
        }
    }

    /// Goes on until a bound is reached.
    ///
    /// # Errors
    /// A script holds a slot for long; nothing was written so far.
    pub(crate) fn write(&mut self, store: &Store, out: &mut Out, room: Room) -> Result<(), HeldForLong> {
        let mut left = room.elements / EFFORT_OF_KEY;
        while let (Some(cursor), true) = (self.cursor, left > 0) {
            self.step(store, cursor, left.min(STEP_KEYS) as usize)?;
            left = left.saturating_sub(STEP_KEYS);
        }
        if self.cursor.is_some() {
            return Ok(());
        }
        let from = self.written.unwrap_or_else(|| {
            out.array(self.names.len());
            0
        });
        self.written = Some(self.names.write_from(from, out, room.bytes));
        Ok(())
    }

    /// Ends the search with nothing more to write.
    pub(crate) fn give_up(&mut self) {
        self.written = Some(self.names.len());
    }

    fn step(&mut self, store: &Store, cursor: u64, count: usize) -> Result<(), HeldForLong> {
        let KeySearch { pattern, names, hidden, .. } = self;
        let everything = **pattern == *b"*";
        let mut visit = |name: &[u8]| {
            if hidden.as_ref().is_some_and(|slots| slots.contains(Slot::of_key(name))) {
                return;
            }
            if everything || glob::matches(pattern, name, false) {
                names.push(name);
            }
        };
        self.cursor = store.scan_through(self.db, cursor, self.last, count, self.now, &mut |name, _| visit(name))?;
        Ok(())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.written == Some(self.names.len())
    }

    /// Bytes of memory of the names.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.names.heap_bytes()
    }
}

impl std::fmt::Debug for KeySearch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a search at {:?} with {} names, {:?} of them written", self.cursor, self.names.len(), self.written)
    }
}
