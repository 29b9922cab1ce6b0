//! A bucket: one cache line with nine record addresses of 48 bits, a one-byte tag of the key's hash for each, and one
//! byte of its own. Where nine are not enough, the ninth place holds the address of a further bucket.
//!
//! A tag is never zero, so a zero tag is an empty place, and the ninth tag of a bucket with a successor is zero too.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use super::record::Record;

/// Records that one bucket holds.
pub(crate) const PLACES: usize = 9;
/// The place that holds the successor's address, if there is one.
const LAST: usize = PLACES - 1;
const TAGS_AT: usize = PLACES * ADDRESS_BYTES;
const OWN_AT: usize = TAGS_AT + PLACES;
const ADDRESS_BYTES: usize = 6;
const ADDRESS_BITS: u32 = 48;

const HAS_NEXT: u8 = 0x80;

/// One cache line. All zeroes is an empty bucket.
#[repr(C, align(64))]
pub(crate) struct Bucket([u8; 64]);

const _: () = assert!(OWN_AT == 63 && size_of::<Bucket>() == 64);

/// Places of a bucket as bits, lowest first.
#[derive(Clone, Copy)]
pub(crate) struct Places(u32);

impl Iterator for Places {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let place = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(place)
    }
}

impl Places {
    /// How many there are.
    #[inline]
    pub(crate) fn count(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// The tag of a hash: bits that the choice of the bucket doesn't use. Never zero.
#[inline]
pub(crate) fn tag_of(hash: u64) -> u8 {
    let tag = (hash >> 56) as u8;
    tag + u8::from(tag == 0)
}

#[expect(unsafe_code, reason = "addresses of 48 bits and SIMD over the tags")]
impl Bucket {
    /// The layout of one bucket of its own.
    const LAYOUT: Layout = Layout::new::<Bucket>();

    /// An empty bucket on the heap, to be freed by [`Bucket::free`].
    pub(crate) fn allocate() -> NonNull<Bucket> {
        // SAFETY: the layout's size is not zero.
        let at = unsafe { alloc_zeroed(Bucket::LAYOUT) };
        NonNull::new(at.cast()).unwrap_or_else(|| handle_alloc_error(Bucket::LAYOUT))
    }

    /// Frees what [`Bucket::allocate`] gave.
    ///
    /// # Safety
    /// `at` came from there and is not used afterwards.
    pub(crate) unsafe fn free(at: NonNull<Bucket>) {
        // SAFETY: by the caller's promise it was allocated with this layout.
        unsafe { dealloc(at.as_ptr().cast(), Bucket::LAYOUT) };
    }

    #[inline]
    fn equal_tags(&self, tag: u8) -> u32 {
        #[cfg(target_arch = "x86_64")]
        {
            use core::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
            // SAFETY: the sixteen bytes end with the bucket, and SSE2 is part of every x86-64.
            let mask = unsafe {
                let tail = _mm_loadu_si128(self.0.as_ptr().add(48).cast());
                _mm_movemask_epi8(_mm_cmpeq_epi8(tail, _mm_set1_epi8(tag as i8)))
            };
            (mask as u32 >> (TAGS_AT - 48)) & ((1 << PLACES) - 1)
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            (self.0[TAGS_AT..OWN_AT].iter().enumerate()).fold(0, |mask, (i, t)| mask | u32::from(*t == tag) << i)
        }
    }

    /// Places whose record may have a key with this tag.
    #[inline]
    pub(crate) fn places_with(&self, tag: u8) -> Places {
        Places(self.equal_tags(tag))
    }

    /// Places with a record.
    #[inline]
    pub(crate) fn taken(&self) -> Places {
        Places(!self.equal_tags(0) & ((1 << PLACES) - 1))
    }

    /// The first place without a record.
    #[inline]
    pub(crate) fn first_free(&self) -> Option<usize> {
        let usable = if self.has_next() { (1 << LAST) - 1 } else { (1 << PLACES) - 1 };
        Places(self.equal_tags(0) & usable).next()
    }

    #[inline]
    fn has_next(&self) -> bool {
        self.0[OWN_AT] & HAS_NEXT != 0
    }

    /// The tag at a place; zero where there is no record.
    #[inline]
    pub(crate) fn tag(&self, place: usize) -> u8 {
        assert!(place < PLACES, "a bucket has nine places");
        self.0[TAGS_AT + place]
    }

    #[inline]
    fn address(&self, place: usize) -> *mut u8 {
        assert!(place < PLACES, "a bucket has nine places");
        // SAFETY: the ninth address ends at byte 54, so the eight bytes read end at byte 56 of 64.
        let word = unsafe { self.0.as_ptr().add(place * ADDRESS_BYTES).cast::<u64>().read_unaligned() };
        // The address alone is stored; its provenance was exposed when it was packed.
        std::ptr::with_exposed_provenance_mut((u64::from_le(word) & ((1 << ADDRESS_BITS) - 1)) as usize)
    }

    #[inline]
    fn set_address(&mut self, place: usize, at: *mut u8) {
        let address = at.expose_provenance() as u64;
        assert!(address >> ADDRESS_BITS == 0, "user space has 48 bits of address");
        let from = place * ADDRESS_BYTES;
        self.0[from..from + ADDRESS_BYTES].copy_from_slice(&address.to_le_bytes()[..ADDRESS_BYTES]);
    }

    /// The record at a place, which must be taken.
    #[inline]
    pub(crate) fn record(&self, place: usize) -> NonNull<u8> {
        debug_assert!(self.tag(place) != 0, "the place is free");
        // SAFETY: a taken place holds the address of a record, which is not null.
        unsafe { NonNull::new_unchecked(self.address(place)) }
    }

    /// Puts a record into a free place.
    #[inline]
    pub(crate) fn put(&mut self, place: usize, tag: u8, record: Record) {
        debug_assert!(tag != 0 && self.tag(place) == 0 && !(self.has_next() && place == LAST));
        self.set_address(place, record.into_raw().as_ptr());
        self.0[TAGS_AT + place] = tag;
    }

    /// Takes the record from a taken place.
    #[inline]
    pub(crate) fn take(&mut self, place: usize) -> (u8, Record) {
        let tag = self.tag(place);
        assert!(tag != 0, "the place is free");
        self.0[TAGS_AT + place] = 0;
        // SAFETY: the place was taken, so its address came from `Record::into_raw`; with the tag gone it is taken back
        // only here.
        (tag, unsafe { Record::from_raw(NonNull::new_unchecked(self.address(place))) })
    }

    /// Puts another record into a taken place; gives the one that was there.
    #[inline]
    pub(crate) fn swap(&mut self, place: usize, record: Record) -> Record {
        let (tag, old) = self.take(place);
        self.put(place, tag, record);
        old
    }

    /// The next bucket of the chain.
    #[inline]
    pub(crate) fn next(&self) -> Option<NonNull<Bucket>> {
        if !self.has_next() {
            return None;
        }
        NonNull::new(self.address(LAST).cast())
    }

    /// Makes `next` the successor of a bucket whose last place is free.
    pub(crate) fn set_next(&mut self, next: NonNull<Bucket>) {
        debug_assert!(!self.has_next() && self.tag(LAST) == 0);
        self.set_address(LAST, next.as_ptr().cast());
        self.0[OWN_AT] |= HAS_NEXT;
    }

    /// Takes the successor off, which is the caller's from then on.
    pub(crate) fn take_next(&mut self) -> Option<NonNull<Bucket>> {
        let next = self.next()?;
        self.0[OWN_AT] &= !HAS_NEXT;
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::heap::Heap;
    use crate::raw::record::{Header, NewValue, RecordRef};

    fn record(n: i64) -> Record {
        let header = Header { expire_at: None, epoch: 0, clock: 0, raw: false };
        Record::new(b"k", NewValue::Int(n), header, Heap::new().pool(0, 1))
    }

    #[test]
    #[expect(unsafe_code, reason = "looks at packed records")]
    fn nine_records_in_one_line() {
        let mut b = Bucket([0; 64]);
        for i in 0..PLACES {
            assert_eq!(b.first_free(), Some(i));
            b.put(i, 100 + (i % 2) as u8, record(i as i64));
        }
        assert_eq!(b.first_free(), None);
        assert_eq!(b.taken().count(), PLACES);
        assert_eq!(b.places_with(101).collect::<Vec<_>>(), [1, 3, 5, 7]);
        assert_eq!(b.places_with(7).count(), 0);
        for i in 0..PLACES {
            // SAFETY: the record at a taken place lives until it is taken below.
            assert_eq!(unsafe { RecordRef::at(b.record(i)) }.str().as_i64(), Some(i as i64));
            assert_eq!(b.take(i).1.as_ref().str().as_i64(), Some(i as i64));
        }
        assert_eq!(b.taken().count(), 0);
    }

    #[test]
    #[expect(unsafe_code, reason = "frees a bucket by hand")]
    fn the_last_place_can_hold_a_successor() {
        let mut b = Bucket([0; 64]);
        let next = Bucket::allocate();
        b.set_next(next);
        (0..LAST).for_each(|i| b.put(i, 1, record(0)));
        assert_eq!((b.first_free(), b.taken().count(), b.next()), (None, LAST, Some(next)));
        assert_eq!(b.take_next(), Some(next));
        assert_eq!((b.first_free(), b.next()), (Some(LAST), None));
        (0..LAST).for_each(|i| drop(b.take(i)));
        // SAFETY: it came from `allocate` and is not used any more.
        unsafe { Bucket::free(next) };
    }

    #[test]
    fn a_tag_is_never_zero() {
        assert_eq!((tag_of(0), tag_of(0x80 << 56), tag_of(u64::MAX)), (1, 0x80, 0xFF));
    }
}
