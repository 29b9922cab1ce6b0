//! Keys to be evicted when memory is full: found by looking at some of them, because the best of a few are nearly as good as
//! the best of all. The best that were seen are remembered from one look to the next.
//!
//! It never decides whether memory is full.

use baton_base::{Rng, Slot, WallMs};

use crate::clock;
use crate::key::{DbIndex, Key};
use crate::raw::record::RecordRef;
use crate::raw::table::Table;
use crate::store::Store;
use crate::view::View;

/// Keys remembered, at most.
const REMEMBERED_MAX: usize = 16;
/// Slots looked into, at most, where there is something to choose from already.
const SLOTS_MAX: usize = 64;
/// Chains of a slot looked through, at most.
const CHAINS_MAX: usize = 64;

/// Which keys go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvictFirst {
    /// Those that were not used for longest.
    LongestIdle,
    /// Those that were used least often.
    LeastUsed {
        /// Minutes after which a counter loses one.
        decay_minutes: u32,
    },
    /// Those that expire next.
    NextDue,
    /// Any.
    Any,
}

/// Which keys are evicted (`maxmemory-policy`, `maxmemory-samples`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvictionRule {
    /// Which go first.
    pub first: EvictFirst,
    /// Only keys that expire.
    pub only_expiring: bool,
    /// How many keys to look at for each that goes.
    pub samples: usize,
}

/// The best keys to evict that were seen so far.
#[derive(Debug, Default)]
pub struct EvictionPool {
    /// In ascending order of worth.
    seen: Vec<Candidate>,
}

#[derive(Debug)]
struct Candidate {
    worth: u64,
    db: DbIndex,
    key: Box<[u8]>,
}

impl EvictionPool {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.seen.clear();
    }

    fn offer(&mut self, worth: u64, db: DbIndex, key: &[u8]) {
        let place = self.seen.partition_point(|other| other.worth < worth);
        if place == 0 && self.seen.len() == REMEMBERED_MAX {
            return;
        }
        if self.seen.iter().any(|other| other.db == db && *other.key == *key) {
            return;
        }
        self.seen.insert(place, Candidate { worth, db, key: key.into() });
        if self.seen.len() > REMEMBERED_MAX {
            self.seen.remove(0);
        }
    }
}

/// One look for keys.
struct Look<'a> {
    rule: EvictionRule,
    spares: &'a dyn Fn(Slot) -> bool,
    db: DbIndex,
    now: WallMs,
    rng: &'a mut Rng,
    pool: &'a mut EvictionPool,
    /// Keys that are still to be seen.
    wanted: usize,
}

impl Store {
    /// A key that is best evicted now; none if there is no key that may be. It may be gone by the time that it is looked
    /// for. Keys of slots that it `spares` stay. Locks slots one by one.
    pub fn to_evict(
        &self,
        rule: EvictionRule,
        spares: &dyn Fn(Slot) -> bool,
        now: WallMs,
        rng: &mut Rng,
        pool: &mut EvictionPool,
    ) -> Option<(DbIndex, Box<[u8]>)> {
        if rule.first == EvictFirst::Any {
            pool.clear();
        }
        let keys = |db| if rule.only_expiring { self.expires_len(db) } else { self.len(db) };
        let total: u64 = (0..self.databases()).map(|db| keys(DbIndex(db))).sum();
        if total == 0 {
            pool.clear();
            return None;
        }
        let mut nth = rng.below(total);
        let drawn = (0..self.databases()).find(|db| {
            let found = nth < keys(DbIndex(*db));
            nth = nth.saturating_sub(keys(DbIndex(*db)));
            found
        })?;
        let mut look = Look { rule, spares, db: DbIndex(drawn), now, rng, pool, wanted: rule.samples.max(1) };
        self.look_around(&mut look, CHAINS_MAX);
        // Few keys among many may be evicted: what was passed by at first is looked through now, at last in all databases.
        for db in (drawn..self.databases()).chain(0..drawn) {
            if !look.pool.seen.is_empty() {
                break;
            }
            look.db = DbIndex(db);
            self.look_around(&mut look, usize::MAX);
        }
        pool.seen.pop().map(|best| (best.db, best.key))
    }

    /// Looks into slot after slot, from any on.
    fn look_around(&self, look: &mut Look<'_>, chains_max: usize) {
        let start = look.rng.below(Slot::COUNT as u64) as usize;
        for (i, slot) in (start..Slot::COUNT).chain(0..start).enumerate() {
            if look.wanted == 0 || (i >= SLOTS_MAX && !look.pool.seen.is_empty()) {
                return;
            }
            let slot = Slot::new(slot as u16).expect("below the count");
            if (look.spares)(slot) {
                continue;
            }
            // Whoever holds the slot may do so for long: another one has keys as well.
            if let Some(guard) = self.try_lock(slot)
                && let Some(table) = guard.table(look.db)
            {
                look.through(table, chains_max);
            }
        }
    }
}

impl Look<'_> {
    /// Looks through a table, from any place on, until enough was seen or everything.
    fn through(&mut self, table: &Table, chains_max: usize) {
        if (if self.rule.only_expiring { table.expires() } else { table.len() }) == 0 {
            return;
        }
        let start = self.rng.next_u64() as u32;
        let (mut place, mut wrapped) = (start, false);
        for _ in 0..chains_max {
            let (chain, next) = table.scan(place);
            chain.for_each(|spot| self.see(table.record(spot)));
            place = match next {
                Some(next) => next,
                None if wrapped => return,
                None => {
                    wrapped = true;
                    0
                }
            };
            if self.wanted == 0 || (wrapped && place > start) {
                return;
            }
        }
    }

    fn see(&mut self, record: RecordRef<'_>) {
        if self.rule.only_expiring && record.expire_at().is_none() {
            return;
        }
        self.wanted = self.wanted.saturating_sub(1);
        let worth = match self.rule.first {
            EvictFirst::LongestIdle => clock::idle_secs(self.now, record.clock()),
            EvictFirst::LeastUsed { decay_minutes } => {
                u64::from(u8::MAX - clock::frequency(self.now, record.clock(), decay_minutes))
            }
            EvictFirst::NextDue => record.expire_at().map_or(0, |WallMs(at)| u64::MAX - at),
            EvictFirst::Any => self.rng.next_u64(),
        };
        self.pool.offer(worth, self.db, record.key());
    }
}

impl View<'_> {
    /// Removes a key of the selected database to make room, due or not; gives the bytes of memory that it took. None if it is
    /// not there, or must not be evicted. Counts as no change.
    pub fn evict(&mut self, key: &Key<'_>, only_expiring: bool) -> Option<usize> {
        let spot = self.find(key)?;
        let record = self.record(key, spot);
        if only_expiring && record.expire_at().is_none() {
            return None;
        }
        let bytes = record.footprint();
        self.remove_at(key, spot);
        Some(bytes)
    }
}
