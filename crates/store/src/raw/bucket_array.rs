//! An array of buckets that grows and shrinks by one at either price of a small step: up to 64 buckets lie in one
//! allocation that grows by the allocator's size classes; more lie in segments of 64 behind a directory, and more than
//! 512 segments behind a directory of directories. No push copies more than 4 KiB, however many buckets there are
//! (the top directory copies eight bytes for each 32768 buckets).
//!
//! It knows nothing of what the buckets hold.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::{NonNull, null_mut};

use super::bucket::Bucket;
use super::size_class;

/// Buckets of a full segment.
const SEGMENT: usize = 64;
/// Segments of a full directory.
const FAN: usize = 512;
/// A segment behind others starts with this many buckets, so that it is not copied too often.
const SEGMENT_START: usize = 8;

type Pointer = *mut u8;

/// The array. Owns the memory of its buckets, not what their bytes mean.
pub(crate) struct BucketArray {
    /// Null, the only segment, the directory, or the directory of directories; `len` tells which.
    root: Pointer,
    len: u32,
}

impl BucketArray {
    /// An array without buckets.
    pub(crate) const fn new() -> BucketArray {
        BucketArray { root: null_mut(), len: 0 }
    }

    /// Number of buckets.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// The bucket at an index. The address holds until the next push or pop.
    #[inline]
    pub(crate) fn at(&self, index: usize) -> NonNull<Bucket> {
        assert!(index < self.len(), "the array has no such bucket");
        let at = if self.len() <= SEGMENT { self.root } else { self.segment(index / SEGMENT) };
        offset::<Bucket>(at, if self.len() <= SEGMENT { index } else { index % SEGMENT })
    }

    /// The only segment's address and the number of buckets, where there is only one.
    #[inline]
    pub(crate) fn single_segment(&self) -> Option<(*const Bucket, usize)> {
        (self.len() <= SEGMENT && self.len > 0).then_some((self.root.cast_const().cast(), self.len()))
    }

    /// The segment with this number, of an array that has several.
    #[inline]
    fn segment(&self, number: usize) -> Pointer {
        let segments = self.len().div_ceil(SEGMENT);
        let directory = if segments <= FAN { self.root } else { read(self.root, number / FAN) };
        read(directory, number % FAN)
    }

    /// Adds an empty bucket; gives the change of [`BucketArray::footprint`].
    pub(crate) fn push(&mut self) -> isize {
        let (number, used) = (self.len() / SEGMENT, self.len() % SEGMENT);
        let (old, new) = (segment_size(number, used), segment_size(number, used + 1));
        let mut change = 0;
        if old != new {
            let segment = if used == 0 { null_mut() } else { self.segment_or_root(number) };
            let segment = resized(segment, old * size_of::<Bucket>(), new * size_of::<Bucket>());
            change += (new - old) as isize * size_of::<Bucket>() as isize;
            if used == 0 {
                change += self.push_segment(number, segment);
            } else {
                self.replace_segment(number, segment);
            }
        }
        self.len = self.len.checked_add(1).expect("a slot holds fewer than 2^32 keys");
        change
    }

    /// Removes the last bucket, which must be empty; gives the change of [`BucketArray::footprint`].
    pub(crate) fn pop(&mut self) -> isize {
        assert!(self.len > 0, "the array is empty");
        let last = self.len() - 1;
        let (number, used) = (last / SEGMENT, last % SEGMENT);
        let (old, new) = (segment_size(number, used + 1), segment_size(number, used));
        let mut change = 0;
        if old != new {
            let segment = self.segment_or_root(number);
            let segment = resized(segment, old * size_of::<Bucket>(), new * size_of::<Bucket>());
            change -= (old - new) as isize * size_of::<Bucket>() as isize;
            if used == 0 {
                change += self.pop_segment(number);
            } else {
                self.replace_segment(number, segment);
            }
        }
        self.len -= 1;
        change
    }

    fn segment_or_root(&self, number: usize) -> Pointer {
        if self.len() <= SEGMENT { self.root } else { self.segment(number) }
    }

    fn replace_segment(&mut self, number: usize, segment: Pointer) {
        let segments = self.len().div_ceil(SEGMENT);
        if segments <= 1 {
            self.root = segment;
        } else {
            let directory = if segments <= FAN { self.root } else { read(self.root, number / FAN) };
            write(directory, number % FAN, segment);
        }
    }

    /// Adds the segment with this number, the first one that is not there yet.
    fn push_segment(&mut self, number: usize, segment: Pointer) -> isize {
        if number == 0 {
            self.root = segment;
            return 0;
        }
        if number == 1 {
            let directory = resized(null_mut(), 0, pointers(2));
            write(directory, 0, self.root);
            write(directory, 1, segment);
            self.root = directory;
            return pointers(2) as isize;
        }
        if number < FAN {
            self.root = resized(self.root, pointers(number), pointers(number + 1));
            write(self.root, number, segment);
            return (pointers(number + 1) - pointers(number)) as isize;
        }
        let (block, place) = (number / FAN, number % FAN);
        let mut change = 0;
        if number == FAN {
            let top = resized(null_mut(), 0, pointers(2));
            write(top, 0, self.root);
            self.root = top;
            change += pointers(2) as isize;
        } else if place == 0 {
            self.root = resized(self.root, pointers(block), pointers(block + 1));
            change += (pointers(block + 1) - pointers(block)) as isize;
        }
        if place == 0 {
            write(self.root, block, resized(null_mut(), 0, pointers(FAN)));
            change += pointers(FAN) as isize;
        }
        write(read(self.root, block), place, segment);
        change
    }

    /// Removes the segment with this number, the last one, whose memory is gone already.
    fn pop_segment(&mut self, number: usize) -> isize {
        if number == 0 {
            self.root = null_mut();
            return 0;
        }
        if number == 1 {
            let directory = self.root;
            self.root = read(directory, 0);
            resized(directory, pointers(2), 0);
            return -(pointers(2) as isize);
        }
        if number < FAN {
            self.root = resized(self.root, pointers(number + 1), pointers(number));
            return -((pointers(number + 1) - pointers(number)) as isize);
        }
        let (block, place) = (number / FAN, number % FAN);
        if place > 0 {
            return 0;
        }
        resized(read(self.root, block), pointers(FAN), 0);
        if number == FAN {
            let top = self.root;
            self.root = read(top, 0);
            resized(top, pointers(2), 0);
            return -((pointers(FAN) + pointers(2)) as isize);
        }
        self.root = resized(self.root, pointers(block + 1), pointers(block));
        -((pointers(FAN) + pointers(block + 1) - pointers(block)) as isize)
    }
}

impl Drop for BucketArray {
    fn drop(&mut self) {
        while self.len > 0 {
            // Whole segments at once: a bucket at a time would shrink step by step.
            let last = self.len() - 1;
            let (number, used) = (last / SEGMENT, last % SEGMENT);
            resized(self.segment_or_root(number), segment_size(number, used + 1) * size_of::<Bucket>(), 0);
            self.pop_segment(number);
            self.len = (number * SEGMENT) as u32;
        }
    }
}

/// Buckets that the segment with this number has room for when `used` of them are in use.
#[inline]
fn segment_size(number: usize, used: usize) -> usize {
    let size = size_class::rounded(used * size_of::<Bucket>()) / size_of::<Bucket>();
    match (number, used) {
        (_, 0) => 0,
        (0, _) => size,
        _ => size.max(SEGMENT_START),
    }
}

/// Bytes of a directory with this many pointers.
fn pointers(n: usize) -> usize {
    size_class::rounded(n * size_of::<Pointer>())
}

#[expect(unsafe_code, reason = "growing allocations of buckets and pointers")]
/// Moves an allocation of `old` bytes (none if zero) to one of `new` bytes (none if zero), zeroed where it grows.
fn resized(from: Pointer, old: usize, new: usize) -> Pointer {
    if old == new {
        return from;
    }
    let layout = |size| Layout::from_size_align(size, align_of::<Bucket>()).expect("segments are small");
    let mut to = null_mut();
    if new > 0 {
        // SAFETY: the size is not zero.
        to = unsafe { alloc_zeroed(layout(new)) };
        if to.is_null() {
            handle_alloc_error(layout(new));
        }
    }
    if old > 0 {
        // SAFETY: `from` is an allocation of `old` bytes made here, which nobody uses any more; both are at least as
        // long as what is copied, and distinct.
        unsafe {
            to.copy_from_nonoverlapping(from, old.min(new));
            dealloc(from, layout(old));
        }
    }
    to
}

#[expect(unsafe_code, reason = "indexing into an allocation")]
#[inline]
fn offset<T>(from: Pointer, index: usize) -> NonNull<T> {
    // SAFETY: callers index into an allocation that has such an element, so the result is inside it and not null.
    unsafe { NonNull::new_unchecked(from.cast::<T>().add(index)) }
}

#[expect(unsafe_code, reason = "indexing into a directory")]
#[inline]
fn read(directory: Pointer, index: usize) -> Pointer {
    // SAFETY: callers read entries below the number that was written.
    unsafe { offset::<Pointer>(directory, index).read() }
}

#[expect(unsafe_code, reason = "indexing into a directory")]
fn write(directory: Pointer, index: usize, pointer: Pointer) {
    // SAFETY: callers made the directory large enough for this entry.
    unsafe { offset::<Pointer>(directory, index).write(pointer) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::record::{Header, NewValue, Record, RecordRef};

    #[expect(unsafe_code, reason = "looks into buckets")]
    fn put(array: &BucketArray, index: usize) {
        let header = Header { expire_at: None, epoch: 0, clock: 0, raw: false };
        let record = Record::new(b"", NewValue::Int(index as i64), header);
        // SAFETY: the array has this bucket and nobody else looks at it.
        unsafe { array.at(index).as_mut() }.put(0, 1, record);
    }

    #[expect(unsafe_code, reason = "looks into buckets")]
    fn taken(array: &BucketArray, index: usize) -> i64 {
        // SAFETY: the array has this bucket, nobody else looks at it, and place 0 was filled by `put`.
        unsafe {
            let bucket = array.at(index).as_mut();
            let value = RecordRef::at(bucket.record(0)).str().as_i64().expect("put as an integer");
            drop(bucket.take(0));
            value
        }
    }

    #[test]
    fn buckets_stay_where_they_are_while_it_grows_and_shrinks() {
        let mut array = BucketArray::new();
        let mut bytes = 0;
        let n = if cfg!(miri) { 300 } else { 2 * FAN * SEGMENT + 200 };
        for i in 0..n {
            bytes += array.push();
            put(&array, i);
            let used = (i + 1) * 64;
            assert!(bytes as usize >= used && bytes as usize <= used * 3 / 2 + 8300, "{i}: {bytes}");
        }
        for i in (0..n).rev() {
            assert_eq!(taken(&array, i), i as i64);
            bytes += array.pop();
        }
        assert_eq!((bytes, array.len()), (0, 0));
        (0..100).for_each(|_| _ = array.push());
    }
}
