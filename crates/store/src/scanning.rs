//! Going over the keys of many slots in steps, and over those of one slot.
//!
//! A cursor is the slot in the low 14 bits and above it a place in the scan order of the slot's table, which splits and
//! merges of buckets leave as it is.

use baton_base::{Rng, Slot, SlotBitmap, WallMs};

use crate::key::DbIndex;
use crate::raw::record::RecordRef;
use crate::raw::table::Table;
use crate::slot_data::SlotData;
use crate::store::{HeldForLong, Store};
use crate::value::Entry;
use crate::view::entry_of;

const SLOT_BITS: u32 = 14;

/// Chains visited before a slot is unlocked for others in between.
const CHAINS_A_HOLD: usize = 64;

/// Places tried for a random key, a bucket each, before giving up.
const RANDOM_TRIES: usize = 64;

/// Slots drawn at random before all are looked at.
const RANDOM_SLOTS: usize = 32;

/// What one step of a scan gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Where to go on; 0 when everything was visited. Low 14 bits are the slot.
    pub cursor: u64,
}

impl Store {
    /// Visits about `count` keys from the cursor on. A key present during a whole scan is visited once.
    /// Expired keys are left out (`now`). `visit` runs under the slot's lock and must not use the store.
    ///
    /// # Errors
    /// A slot on the way is held for long.
    pub fn scan(
        &self,
        db: DbIndex,
        cursor: u64,
        count: usize,
        now: WallMs,
        visit: &mut dyn FnMut(&[u8], Entry<'_>),
    ) -> Result<Scanned, HeldForLong> {
        let last = Slot::all().next_back().expect("there are slots");
        Ok(Scanned { cursor: self.scan_through(db, cursor, last, count, now, visit)?.unwrap_or(0) })
    }

    /// As [`Store::scan`], up to the end of the slot `last`; none when everything to there was visited. The cursor goes on
    /// at a slot that has keys.
    ///
    /// # Errors
    /// A slot on the way is held for long.
    pub fn scan_through(
        &self,
        db: DbIndex,
        cursor: u64,
        last: Slot,
        count: usize,
        now: WallMs,
        visit: &mut dyn FnMut(&[u8], Entry<'_>),
    ) -> Result<Option<u64>, HeldForLong> {
        let mut slot = slot_of(cursor);
        // Whatever a client sends as a cursor names some place.
        let mut place = (cursor >> SLOT_BITS) as u32;
        let mut left = count.max(1);
        loop {
            if left == 0 && (place > 0 || self.slot_len_or_give_up(db, slot)? > 0) {
                return Ok(Some(u64::from(place) << SLOT_BITS | u64::from(slot.number())));
            }
            let (seen, next) = self.scan_hold(db, slot, place, left, now, visit)?;
            left = left.saturating_sub(seen);
            match next {
                Some(next) => place = next,
                None => match Slot::new(slot.number() + 1).filter(|next| *next <= last) {
                    Some(next) => (slot, place) = (next, 0),
                    None => return Ok(None),
                },
            }
        }
    }

    /// Visits up to about `count` keys of one slot under one hold of its lock; gives how many entries were seen and the
    /// place where to go on.
    fn scan_hold(
        &self,
        db: DbIndex,
        slot: Slot,
        mut place: u32,
        count: usize,
        now: WallMs,
        visit: &mut dyn FnMut(&[u8], Entry<'_>),
    ) -> Result<(usize, Option<u32>), HeldForLong> {
        let guard = self.lock_or_give_up(slot)?;
        let Some(table) = guard.table(db) else { return Ok((0, None)) };
        let mut seen = 0;
        let from = place;
        for _ in 0..CHAINS_A_HOLD {
            let (chain, next) = table.scan(place);
            chain.for_each(|spot| {
                seen += 1;
                let record = table.record(spot);
                // Since the step before, buckets may have been merged: the first one may begin before the place.
                if place != from || place == 0 || self.place_of(record.key()) >= from {
                    visit_live(record, now, visit);
                }
            });
            match next {
                Some(next) => place = next,
                None => return Ok((seen, None)),
            }
            if seen >= count {
                break;
            }
        }
        Ok((seen, Some(place)))
    }

    /// As [`Store::slot_len`], for those who don't wait for whoever holds a slot for long.
    ///
    /// # Errors
    /// The slot is held for long.
    pub fn slot_len_or_give_up(&self, db: DbIndex, slot: Slot) -> Result<u64, HeldForLong> {
        Ok(self.lock_or_give_up(slot)?.table(db).map_or(0, |table| table.len() as u64))
    }

    /// The place of a key in the scan order of its slot.
    fn place_of(&self, key: &[u8]) -> u32 {
        (self.hasher.hash(key) as u32).reverse_bits()
    }

    /// Visits every key of one slot that is not expired, at one instant; gives how many. `visit` runs under the slot's
    /// lock and must not use the store.
    pub fn scan_slot(&self, db: DbIndex, slot: Slot, now: WallMs, visit: &mut dyn FnMut(&[u8], Entry<'_>)) -> usize {
        let guard = self.lock(slot);
        let Some(table) = guard.table(db) else { return 0 };
        let mut visited = 0;
        for_each_record(table, |record| {
            visited += usize::from(visit_live(record, now, visit));
            true
        });
        visited
    }

    /// Visits every key of one slot in all databases at one instant, those that are due included, and calls `end` before the
    /// slot is unlocked. `visit` and `end` must not use the store.
    pub fn scan_whole_slot(
        &self,
        slot: Slot,
        now: WallMs,
        visit: &mut dyn FnMut(DbIndex, &[u8], Entry<'_>),
        end: impl FnOnce(),
    ) {
        let guard = self.lock(slot);
        for db in (0..self.databases()).map(DbIndex) {
            if let Some(table) = guard.table(db) {
                for_each_record(table, |record| {
                    visit(db, record.key(), entry_of(record, now));
                    true
                });
            }
        }
        end();
    }

    /// Names of up to `max` keys of one slot, expired ones that nobody met yet included.
    pub fn keys_in_slot(&self, db: DbIndex, slot: Slot, max: usize) -> Vec<Vec<u8>> {
        names_in(&self.lock(slot), db, max)
    }

    /// As [`Store::keys_in_slot`], for those who don't wait for whoever holds a slot for long.
    ///
    /// # Errors
    /// The slot is held for long.
    pub fn keys_in_slot_or_give_up(&self, db: DbIndex, slot: Slot, max: usize) -> Result<Vec<Vec<u8>>, HeldForLong> {
        let guard = self.lock_or_give_up(slot)?;
        Ok(names_in(&guard, db, max))
    }

    /// A random key that is not expired, or none. Gives up after a bounded number of tries. Slots are drawn by how many
    /// keys they hold, up to a few times the average; only where that finds none, one pass goes over all of them.
    ///
    /// # Errors
    /// A slot that was drawn is held for long.
    pub fn random_key(&self, db: DbIndex, rng: &mut Rng, now: WallMs) -> Result<Option<Vec<u8>>, HeldForLong> {
        let total = self.len(db);
        let scale = 4 * (total / Slot::COUNT as u64) + 4;
        let mut tries = RANDOM_TRIES;
        for _ in 0..RANDOM_SLOTS {
            let Some(slot) = Slot::new(rng.below(Slot::COUNT as u64) as u16) else { continue };
            if rng.below(scale) < self.slot_len_or_give_up(db, slot)?
                && let Some(key) = self.random_in_slot(db, slot, rng, now, &mut tries)?
            {
                return Ok(Some(key));
            }
        }
        self.random_by_rank(db, rng.below(total), rng, now, &SlotBitmap::new())
    }

    /// As [`Store::random_key`], but of other slots than these.
    ///
    /// # Errors
    /// A slot that was looked at is held for long.
    pub fn random_key_without(
        &self,
        db: DbIndex,
        rng: &mut Rng,
        now: WallMs,
        hidden: &SlotBitmap,
    ) -> Result<Option<Vec<u8>>, HeldForLong> {
        match self.len(db).saturating_sub(self.keys_of_all(db, hidden)?) {
            0 => Ok(None),
            seen => self.random_by_rank(db, rng.below(seen), rng, now, hidden),
        }
    }

    /// Keys of some slots in a database.
    ///
    /// # Errors
    /// One of them is held for long.
    pub fn keys_of_all(&self, db: DbIndex, slots: &SlotBitmap) -> Result<u64, HeldForLong> {
        slots.iter().try_fold(0, |sum, slot| Ok(sum + self.slot_len_or_give_up(db, slot)?))
    }

    /// A random key of the slot that holds the key with this rank, or of one behind it; `hidden` slots are passed by.
    fn random_by_rank(
        &self,
        db: DbIndex,
        mut rank: u64,
        rng: &mut Rng,
        now: WallMs,
        hidden: &SlotBitmap,
    ) -> Result<Option<Vec<u8>>, HeldForLong> {
        // Where the drawn slot holds only expired keys, the next ones are as good.
        let mut tries = RANDOM_TRIES;
        for slot in Slot::all().filter(|slot| !hidden.contains(*slot)) {
            let keys = self.slot_len_or_give_up(db, slot)?;
            let hit = rank < keys;
            rank = rank.saturating_sub(keys);
            if hit && let Some(key) = self.random_in_slot(db, slot, rng, now, &mut tries)? {
                return Ok(Some(key));
            }
            if tries == 0 {
                break;
            }
        }
        Ok(None)
    }

    fn random_in_slot(
        &self,
        db: DbIndex,
        slot: Slot,
        rng: &mut Rng,
        now: WallMs,
        tries: &mut usize,
    ) -> Result<Option<Vec<u8>>, HeldForLong> {
        let guard = self.lock_or_give_up(slot)?;
        let Some(table) = guard.table(db) else { return Ok(None) };
        let mut place = rng.next_u64() as u32;
        for _ in 0..RANDOM_TRIES.min(2 * table.len()) {
            let Some(fewer) = tries.checked_sub(1) else { break };
            *tries = fewer;
            let mut spots = Vec::new();
            let (chain, next) = table.scan(place);
            chain.for_each(|spot| spots.push(spot));
            spots.retain(|spot| table.record(*spot).expire_at().is_none_or(|at| at > now));
            if let Some(spot) = rng.pick(&spots) {
                return Ok(Some(table.record(*spot).key().to_vec()));
            }
            place = next.unwrap_or(0);
        }
        Ok(None)
    }
}

fn slot_of(cursor: u64) -> Slot {
    Slot::new((cursor & ((1 << SLOT_BITS) - 1)) as u16).expect("fourteen bits name a slot")
}

/// Visits a record unless it is expired; tells whether it did.
fn visit_live(record: RecordRef<'_>, now: WallMs, visit: &mut dyn FnMut(&[u8], Entry<'_>)) -> bool {
    let live = record.expire_at().is_none_or(|at| at > now);
    if live {
        visit(record.key(), entry_of(record, now));
    }
    live
}

/// Visits all records of a table that nobody changes meanwhile, until `visit` gives false.
pub(crate) fn for_each_record<'t>(table: &'t Table, mut visit: impl FnMut(RecordRef<'t>) -> bool) {
    let mut place = Some(0);
    let mut more = true;
    while let Some(at) = place.filter(|_| more) {
        let (chain, next) = table.scan(at);
        chain.for_each(|spot| more = more && visit(table.record(spot)));
        place = next;
    }
}

/// Names of up to `max` keys of a slot.
fn names_in(slot: &SlotData, db: DbIndex, max: usize) -> Vec<Vec<u8>> {
    let Some(table) = slot.table(db) else { return Vec::new() };
    let mut keys = Vec::with_capacity(max.min(table.len()));
    for_each_record(table, |record| {
        if keys.len() < max {
            keys.push(record.key().to_vec());
        }
        keys.len() < max
    });
    keys
}
