//! What is counted over all slots: keys, keys with an expiry, keys with elements that end, and changes. Writers on different threads must not share a
//! cache line, so each count is spread over stripes, and a thread finds its stripe by where its stack lies: stacks of
//! different threads are megabytes apart. Two threads that meet on a stripe are slower, not wrong.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::key::DbIndex;

const STRIPES: usize = 16;
/// Databases whose counts share a cache line of one stripe.
const DBS_A_LINE: usize = 4;

#[derive(Default)]
struct DbCount {
    keys: AtomicI64,
    expires: AtomicI64,
    timed: AtomicI64,
}

struct Stripe {
    own: CachePadded<Own>,
    dbs: Box<[CachePadded<[DbCount; DBS_A_LINE]>]>,
}

/// What is counted for all databases together.
#[derive(Default)]
struct Own {
    dirty: AtomicU64,
    drawn: AtomicU64,
}

pub(crate) struct Counters(Box<[Stripe]>);

impl Counters {
    pub(crate) fn new(databases: u32) -> Counters {
        let lines = (databases as usize).div_ceil(DBS_A_LINE);
        let stripe =
            || Stripe { own: CachePadded::default(), dbs: (0..lines).map(|_| CachePadded::default()).collect() };
        Counters((0..STRIPES).map(|_| stripe()).collect())
    }

    #[inline]
    fn mine(&self) -> &Stripe {
        let mark = 0u8;
        let stack = std::hint::black_box(std::ptr::from_ref(&mark)).addr() as u64 >> 20;
        &self.0[(stack.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - STRIPES.ilog2())) as usize]
    }

    #[inline]
    fn of(stripe: &Stripe, db: DbIndex) -> &DbCount {
        &stripe.dbs[db.0 as usize / DBS_A_LINE][db.0 as usize % DBS_A_LINE]
    }

    /// Adds to the counts of a database.
    #[inline]
    pub(crate) fn add(&self, db: DbIndex, keys: i64, expires: i64) {
        let count = Counters::of(self.mine(), db);
        if keys != 0 {
            count.keys.fetch_add(keys, Ordering::Relaxed);
        }
        if expires != 0 {
            count.expires.fetch_add(expires, Ordering::Relaxed);
        }
    }

    /// Adds to the count of keys with elements that end.
    #[cold]
    pub(crate) fn add_timed(&self, db: DbIndex, keys: i64) {
        Counters::of(self.mine(), db).timed.fetch_add(keys, Ordering::Relaxed);
    }

    /// Adds to the count of changes.
    #[inline]
    pub(crate) fn add_dirty(&self, changes: u64) {
        self.mine().own.dirty.fetch_add(changes, Ordering::Relaxed);
    }

    /// A number that nobody can foresee who doesn't know the seed.
    pub(crate) fn draw(&self, seed: u64) -> u64 {
        let drawn = &self.mine().own.drawn;
        let nth = drawn.load(Ordering::Relaxed).wrapping_add(1);
        drawn.store(nth, Ordering::Relaxed);
        baton_base::Rng::new(seed.wrapping_add(nth.wrapping_mul(0x9E37_79B9_7F4A_7C15))).next_u64()
    }

    pub(crate) fn keys(&self, db: DbIndex) -> u64 {
        let sum: i64 = self.0.iter().map(|s| Counters::of(s, db).keys.load(Ordering::Relaxed)).sum();
        // A reader between two halves of a move between threads can see the removal first.
        sum.max(0) as u64
    }

    pub(crate) fn expires(&self, db: DbIndex) -> u64 {
        let sum: i64 = self.0.iter().map(|s| Counters::of(s, db).expires.load(Ordering::Relaxed)).sum();
        sum.max(0) as u64
    }

    pub(crate) fn timed(&self, db: DbIndex) -> u64 {
        let sum: i64 = self.0.iter().map(|s| Counters::of(s, db).timed.load(Ordering::Relaxed)).sum();
        sum.max(0) as u64
    }

    pub(crate) fn dirty(&self) -> u64 {
        self.0.iter().map(|s| s.own.dirty.load(Ordering::Relaxed)).sum()
    }
}
