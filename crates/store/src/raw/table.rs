//! A hash table of records by linear hashing: one bucket more when it gets full, one less when it gets empty, so no
//! operation ever moves more than the records of one bucket. Buckets that are full chain to further ones.
//!
//! A place in the order of a scan is the hash's low 32 bits, reversed. A bucket covers an interval of that order; a
//! split halves an interval and a merge joins two, so a cursor that only grows meets every record that stays.
//!
//! It must never know of databases, expiry rules or snapshots.

mod chain;
mod linear;

use std::ptr::NonNull;

use baton_base::WallMs;

use self::chain::Chain;
use self::linear::{depth_of, home_of};
use super::bucket::{Bucket, tag_of};
use super::bucket_array::BucketArray;
use super::heap::PoolRef;
use super::prefetch;
use super::record::{NewValue, Record, RecordMut, RecordRef};
use crate::hash::KeyHasher;

/// Chains whose records are offered to a sparse pool for each one that is put in or taken out. A slab becomes empty when
/// each of its records was offered once, so chance must meet all of them several times before as many are deleted.
const SETTLED_CHAINS: usize = 8;

/// Records with their keys, in no order.
pub(crate) struct Table {
    buckets: BucketArray,
    keys: u32,
    expires: u32,
    timed: u32,
    bytes: u64,
}

/// Where a lookup found a record: valid until the next change of its table, and harmless after it.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    home: u32,
    depth: u32,
    place: u8,
}

// SAFETY: a table owns its buckets and records, which are plain memory; shared, it is only read.
#[expect(unsafe_code, reason = "a table owns what it points at")]
unsafe impl Send for Table {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "a table owns what it points at")]
unsafe impl Sync for Table {}

#[expect(unsafe_code, reason = "buckets and records are reached by address")]
impl Table {
    /// A table without records, which takes no memory.
    pub(crate) const fn new() -> Table {
        Table { buckets: BucketArray::new(), keys: 0, expires: 0, timed: 0, bytes: 0 }
    }

    /// Number of records.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.keys as usize
    }

    /// Number of records with an expiry.
    #[inline]
    pub(crate) fn expires(&self) -> usize {
        self.expires as usize
    }

    /// Number of records with elements that end.
    #[inline]
    pub(crate) fn timed(&self) -> usize {
        self.timed as usize
    }

    /// Bytes of memory: records with their blocks, buckets and directories.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of memory in buckets and directories alone, without the buckets that hang behind full ones.
    pub(crate) fn index_bytes(&self) -> u64 {
        self.buckets.bytes() as u64
    }

    /// The address of a spot's bucket.
    #[inline]
    fn bucket_at(&self, spot: Spot) -> NonNull<Bucket> {
        let mut at = self.buckets.at(spot.home as usize);
        for _ in 0..spot.depth {
            // SAFETY: the array gives the address of a live bucket, and a chain links live buckets.
            at = unsafe { at.as_ref() }.next().expect("the chain is as long as when it was searched");
        }
        at
    }

    #[inline]
    fn bucket(&self, spot: Spot) -> &Bucket {
        // SAFETY: the bucket is live and unchanged while the table is borrowed.
        unsafe { self.bucket_at(spot).as_ref() }
    }

    #[inline]
    fn bucket_mut(&mut self, spot: Spot) -> &mut Bucket {
        // SAFETY: the bucket is live, and the table is borrowed for change, so nobody else reaches it.
        unsafe { self.bucket_at(spot).as_mut() }
    }

    /// Finds a key.
    #[inline]
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<Spot> {
        if self.buckets.len() == 0 {
            return None;
        }
        let home = home_of(hash, self.buckets.len());
        let tag = tag_of(hash);
        let mut spot = Spot { home: home as u32, depth: 0, place: 0 };
        // SAFETY: the array gives the address of a live bucket, which stays while the table is borrowed.
        let mut bucket = unsafe { self.buckets.at(home).as_ref() };
        loop {
            for place in bucket.places_with(tag) {
                // SAFETY: a place with a tag that is not zero holds a live record of this table.
                if is_same(unsafe { RecordRef::at(bucket.record(place)) }.key(), key) {
                    spot.place = place as u8;
                    return Some(spot);
                }
            }
            let next = bucket.next()?;
            // SAFETY: a chain links live buckets.
            bucket = unsafe { next.as_ref() };
            spot.depth += 1;
        }
    }

    /// The record at a spot.
    #[inline]
    pub(crate) fn record(&self, spot: Spot) -> RecordRef<'_> {
        let bucket = self.bucket(spot);
        assert!(bucket.tag(usize::from(spot.place)) != 0, "the spot is empty");
        // SAFETY: a taken place holds a live record, and it stays unchanged while the table is borrowed.
        unsafe { RecordRef::at(bucket.record(usize::from(spot.place))) }
    }

    #[inline]
    fn record_mut(&mut self, spot: Spot) -> RecordMut<'_> {
        let at = {
            let bucket = self.bucket(spot);
            assert!(bucket.tag(usize::from(spot.place)) != 0, "the spot is empty");
            bucket.record(usize::from(spot.place))
        };
        // SAFETY: a taken place holds a live record, and the table is borrowed for change.
        unsafe { RecordMut::at(at) }
    }

    /// Renews the access clock of a record.
    #[inline]
    pub(crate) fn set_clock(&mut self, spot: Spot, clock: u32) {
        let mut record = self.record_mut(spot);
        // A line that is not written needs not to travel back to memory or between cores.
        if record.as_ref().clock() != clock {
            record.set_clock(clock);
        }
    }

    /// Sets the snapshot epoch of a record.
    pub(crate) fn set_epoch(&mut self, spot: Spot, epoch: u8) {
        self.record_mut(spot).set_epoch(epoch);
    }

    /// Moves the expiry of a record that has one; tells whether it has.
    pub(crate) fn set_expire_at(&mut self, spot: Spot, expire_at: WallMs) -> bool {
        self.record_mut(spot).set_expire_at(expire_at)
    }

    /// Replaces a value in its record's own memory; tells whether it fitted there.
    #[inline]
    pub(crate) fn overwrite(&mut self, spot: Spot, value: &NewValue<'_>, raw: bool, epoch: u8, clock: u32) -> bool {
        let mut record = self.record_mut(spot);
        let done = record.overwrite(value);
        if done {
            record.set_raw(raw);
            record.set_epoch(epoch);
            record.set_clock(clock);
        }
        done
    }

    /// Changes a string that lies in a block, as a whole; none if it doesn't.
    pub(crate) fn change_block<T>(
        &mut self,
        spot: Spot,
        clock: u32,
        change: impl FnOnce(&mut super::block::Block) -> T,
    ) -> Option<T> {
        let mut record = self.record_mut(spot);
        let before = record.as_ref().footprint() as u64;
        let out = record.with_block(change)?;
        record.set_raw(true);
        record.set_clock(clock);
        let after = record.as_ref().footprint() as u64;
        self.bytes = self.bytes - before + after;
        Some(out)
    }

    /// Changes a collection that lies in a box; none if it doesn't.
    pub(crate) fn change_boxed<T>(
        &mut self,
        spot: Spot,
        change: impl FnOnce(&mut baton_values::Collection) -> T,
    ) -> Option<T> {
        let mut record = self.record_mut(spot);
        let collection = record.boxed()?;
        let (bytes_before, timed_before) = (collection.heap_bytes() as u64, collection.next_due().is_some());
        let out = change(collection);
        let (bytes_after, timed_after) = (collection.heap_bytes() as u64, collection.next_due().is_some());
        self.bytes = self.bytes - bytes_before + bytes_after;
        self.timed = self.timed + u32::from(timed_after) - u32::from(timed_before);
        Some(out)
    }

    fn count_in(&mut self, record: RecordRef<'_>) {
        self.keys = self.keys.checked_add(1).expect("a slot holds fewer than 2^32 keys");
        self.expires += u32::from(record.expire_at().is_some());
        self.timed += u32::from(record.next_due().is_some());
        self.bytes += record.footprint() as u64;
    }

    fn count_out(&mut self, record: RecordRef<'_>) {
        self.keys -= 1;
        self.expires -= u32::from(record.expire_at().is_some());
        self.timed -= u32::from(record.next_due().is_some());
        self.bytes -= record.footprint() as u64;
    }

    fn count_bytes(&mut self, change: isize) {
        self.bytes = self.bytes.wrapping_add_signed(change as i64);
    }

    /// Puts another record with the same key into a spot; gives the one that was there.
    pub(crate) fn replace(&mut self, spot: Spot, record: Record) -> Record {
        debug_assert!(self.record(spot).key() == record.as_ref().key(), "a spot belongs to its key");
        self.count_in(record.as_ref());
        let old = self.bucket_mut(spot).swap(usize::from(spot.place), record);
        self.count_out(old.as_ref());
        old
    }

    /// Adds a record whose key is not there yet. `hash` is that of its key.
    pub(crate) fn insert(&mut self, hash: u64, record: Record, hasher: &KeyHasher) {
        debug_assert!(self.find(hash, record.as_ref().key()).is_none(), "the key is there already");
        self.count_in(record.as_ref());
        self.grow(hasher);
        let home = home_of(hash, self.buckets.len());
        self.place(home, tag_of(hash), record);
    }

    /// Takes a record out, and a bucket off if there are too many then.
    #[inline]
    pub(crate) fn remove(&mut self, spot: Spot) -> Record {
        let record = self.remove_only(spot);
        self.shrink();
        record
    }

    /// Takes a record out and leaves the number of buckets alone; [`Table::shrink`] makes up for it.
    pub(crate) fn remove_only(&mut self, spot: Spot) -> Record {
        let (_, record) = self.bucket_mut(spot).take(usize::from(spot.place));
        self.count_out(record.as_ref());
        self.close_gap(spot);
        record
    }

    /// Lets the pool move some records, if much of its memory is unused: to be called when a record with this hash was
    /// put in or taken out, so that many are offered for each. Spots stay what they are.
    #[inline]
    pub(crate) fn settle(&mut self, hash: u64, pool: PoolRef<'_>) {
        if pool.is_sparse() && self.buckets.len() > 0 {
            let home = home_of(hash, self.buckets.len());
            let homes = (home..self.buckets.len()).chain(0..home);
            homes.take(SETTLED_CHAINS).for_each(|home| self.settle_chain(home, pool));
        }
    }

    fn settle_chain(&mut self, home: usize, pool: PoolRef<'_>) {
        let mut next = Some(self.buckets.at(home));
        while let Some(mut at) = next {
            // SAFETY: the array and the chain give live buckets, and the table is borrowed for change.
            let bucket = unsafe { at.as_mut() };
            bucket.taken().for_each(|place| prefetch::line(bucket.record(place).as_ptr()));
            for place in bucket.taken() {
                let (tag, record) = bucket.take(place);
                bucket.put(place, tag, record.settled(pool));
            }
            next = bucket.next();
        }
    }

    /// The spots of the chain that a place in the scan order falls into, and the first place behind its interval; none
    /// behind the last.
    #[inline]
    pub(crate) fn scan(&self, place: u32) -> (Chain<'_>, Option<u32>) {
        let buckets = self.buckets.len();
        if buckets == 0 {
            return (self.chain(0), None);
        }
        let home = home_of(u64::from(place.reverse_bits()), buckets);
        let width_bits = u32::BITS - depth_of(home, buckets);
        let next = ((u64::from(place) >> width_bits) + 1) << width_bits;
        // Whoever goes over a chain reads all its records: they are asked for together, not one after the other.
        // SAFETY: the array gives the address of a live bucket, which stays while the table is borrowed.
        let bucket = unsafe { self.buckets.at(home).as_ref() };
        bucket.taken().for_each(|place| prefetch::line(bucket.record(place).as_ptr()));
        (self.chain(home), u32::try_from(next).ok())
    }

    /// Takes all records out.
    pub(crate) fn drain(&mut self, mut give: impl FnMut(Record)) {
        for home in 0..self.buckets.len() {
            self.empty_chain(home).into_iter().for_each(|(_, record)| give(record));
        }
        *self = Table::new();
    }

    /// The bucket for a hash, asked for into the cache.
    pub(crate) fn prefetch_bucket(&self, hash: u64) {
        if self.buckets.len() > 0 {
            prefetch::line(self.buckets.at(home_of(hash, self.buckets.len())).as_ptr());
        }
    }

    /// The record that a lookup would compare with first, asked for into the cache, or else the second bucket. Tells whether it
    /// was that one, so that the record may be asked for from there.
    #[inline]
    pub(crate) fn prefetch_record(&self, hash: u64) -> bool {
        let Some(bucket) = self.home_bucket(hash) else { return false };
        if prefetch_tagged(bucket, hash) {
            return false;
        }
        let next = bucket.next();
        if let Some(next) = next {
            prefetch::line(next.as_ptr());
        }
        next.is_some()
    }

    /// As [`Table::prefetch_record`], in the second bucket.
    #[inline]
    pub(crate) fn prefetch_further_record(&self, hash: u64) {
        if let Some(next) = self.home_bucket(hash).and_then(Bucket::next) {
            // SAFETY: a chain links live buckets, which stay while the table is borrowed.
            prefetch_tagged(unsafe { next.as_ref() }, hash);
        }
    }

    /// The first bucket of a hash.
    #[inline]
    fn home_bucket(&self, hash: u64) -> Option<&Bucket> {
        // SAFETY: the array gives the address of a live bucket, which stays while the table is borrowed.
        (self.buckets.len() > 0).then(|| unsafe { self.buckets.at(home_of(hash, self.buckets.len())).as_ref() })
    }

    /// Where the bucket of a hash will be looked for, as one word that [`hinted_bucket`] understands; zero where there
    /// is none or it takes a directory to find it.
    #[inline]
    pub(super) fn hint(&self) -> usize {
        let Some((base, buckets)) = self.buckets.single_segment() else { return 0 };
        // A segment is aligned to 64 bytes and has 1..=64 buckets.
        base.addr() | (buckets & 63)
    }
}

/// Asks for the first record of a bucket with the tag of this hash; tells whether there is one.
#[inline]
fn prefetch_tagged(bucket: &Bucket, hash: u64) -> bool {
    let Some(place) = bucket.places_with(tag_of(hash)).next() else { return false };
    let at = bucket.record(place).as_ptr();
    prefetch::line(at);
    // A record is aligned to eight bytes only; with a text of 64 bytes it reaches into the next line or two.
    prefetch::line(at.wrapping_add(64));
    prefetch::line(at.wrapping_add(80));
    true
}

/// The address of the bucket for a hash, from a word that [`Table::hint`] gave at some time; only for prefetching.
#[inline]
pub(super) fn hinted_bucket(hint: usize, hash: u64) -> *const u8 {
    let buckets = if hint & 63 == 0 { 64 } else { hint & 63 };
    std::ptr::without_provenance((hint & !63) + home_of(hash, buckets) * size_of::<Bucket>())
}

impl Drop for Table {
    #[expect(unsafe_code, reason = "frees further buckets")]
    fn drop(&mut self) {
        for home in 0..self.buckets.len() {
            let mut next = Some(self.buckets.at(home));
            let mut first = true;
            while let Some(mut at) = next {
                // SAFETY: the array and the chain give live buckets, and the table is being dropped.
                let bucket = unsafe { at.as_mut() };
                bucket.taken().for_each(|place| drop(bucket.take(place)));
                next = bucket.take_next();
                if !first {
                    // SAFETY: a further bucket came from `allocate`, and its link was just taken off.
                    unsafe { Bucket::free(at) };
                }
                first = false;
            }
        }
    }
}

impl Default for Table {
    fn default() -> Table {
        Table::new()
    }
}

/// Whether two keys are equal. Keys are short, and a call would cost as much as the comparison.
#[inline]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (Some(tail_a), Some(tail_b)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        return a.iter().zip(b).all(|(a, b)| a == b);
    };
    let mut heads = a.chunks_exact(8).zip(b.chunks_exact(8));
    heads.all(|(a, b)| a == b) && tail_a == tail_b
}

#[cfg(test)]
mod tests;
