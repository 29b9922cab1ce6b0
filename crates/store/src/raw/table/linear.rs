//! Linear hashing: which bucket a hash belongs to, and one bucket more or less as the number of records asks for it. Only
//! the records of the bucket that is halved or joined move.

use super::{Spot, Table};
use crate::hash::KeyHasher;
use crate::raw::bucket::PLACES;
use crate::raw::prefetch;

/// A bucket is added when there are this many records for each bucket, so that many chains have a second one, which batches
/// fetch ahead. With 8, a look in a batch would take 30 of 200 nanoseconds less, and a record 3.5 bytes more, outgrown arrays of
/// buckets included: measured by the examples `ops` and `bytes_per_key`.
const FILL_MAX: usize = 14;
/// A bucket is removed when there are fewer records than this for each bucket.
const FILL_MIN: usize = 3;

impl Table {
    /// Adds a bucket if there are too few for the records.
    #[inline]
    pub(super) fn grow(&mut self, hasher: &KeyHasher) {
        if self.len() > self.buckets.len() * FILL_MAX {
            self.split(hasher);
        }
    }

    /// Takes off one bucket, or the last, if there are too many for the records.
    #[inline]
    pub(crate) fn shrink(&mut self) {
        if self.buckets.len() > 1 && self.len() < self.buckets.len() * FILL_MIN {
            self.merge();
        } else if self.keys == 0 && self.buckets.len() == 1 {
            let change = self.buckets.pop();
            self.count_bytes(change);
        }
    }

    /// Adds a bucket and moves to it what belongs there from the one bucket whose interval it halves.
    fn split(&mut self, hasher: &KeyHasher) {
        let change = self.buckets.push();
        self.count_bytes(change);
        let new = self.buckets.len() - 1;
        if new == 0 {
            return;
        }
        let old = new - (1 << new.ilog2());
        let spots: Vec<Spot> = self.chain(old).collect();
        for spot in &spots {
            prefetch::line(self.record(*spot).address());
        }
        if spots.len() <= PLACES {
            for spot in spots {
                if home_of(hasher.hash(self.record(spot).key()), new + 1) == new {
                    let (tag, record) = self.bucket_mut(spot).take(usize::from(spot.place));
                    self.place(new, tag, record);
                }
            }
            return;
        }
        for (tag, record) in self.empty_chain(old) {
            let home = home_of(hasher.hash(record.as_ref().key()), new + 1);
            self.place(home, tag, record);
        }
    }

    /// Removes the last bucket and moves its records to the one whose interval it joins.
    fn merge(&mut self) {
        let last = self.buckets.len() - 1;
        let into = last - (1 << last.ilog2());
        for (tag, record) in self.empty_chain(last) {
            self.place(into, tag, record);
        }
        let change = self.buckets.pop();
        self.count_bytes(change);
    }
}

/// The bucket that a hash belongs to when there are this many: its low bits, as many as name all buckets; one fewer
/// where that bucket is not there yet.
#[inline]
pub(super) fn home_of(hash: u64, buckets: usize) -> usize {
    let mask = usize::MAX >> (buckets - 1).leading_zeros().min(usize::BITS - 1);
    let mask = if buckets == 1 { 0 } else { mask };
    let home = hash as u32 as usize & mask;
    if home < buckets { home } else { home & (mask >> 1) }
}

/// How many low bits of a hash decide that it belongs to this bucket.
pub(super) fn depth_of(home: usize, buckets: usize) -> u32 {
    if buckets == 1 {
        return 0;
    }
    let depth = (buckets - 1).ilog2() + 1;
    // The upper half of the buckets is there only in part; where a bucket's other half is missing, a bit fewer decides.
    let half = 1 << (depth - 1);
    if home >= half || home + half < buckets { depth } else { depth - 1 }
}
