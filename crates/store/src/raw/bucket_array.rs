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
    /// Null, the only segment, the directory of segments, or the directory of directories; `len` tells which.
    root: Pointer,
    len: u32,
}

#[expect(unsafe_code, reason = "segments and directories are reached by address")]
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

    /// Bytes of memory: segments and directories.
    pub(crate) fn bytes(&self) -> usize {
        let (full, rest) = (self.len() / SEGMENT, self.len() % SEGMENT);
        let segments = full * segment_bytes(full, SEGMENT) + segment_bytes(full, rest);
        let directories = match self.segments() {
            0 | 1 => 0,
            number if number <= FAN => directory_bytes(number),
            number => directory_bytes(number.div_ceil(FAN)) + number.div_ceil(FAN) * directory_bytes(FAN),
        };
        segments + directories
    }

    /// The bucket at an index. The address holds until the next push or pop.
    #[inline]
    pub(crate) fn at(&self, index: usize) -> NonNull<Bucket> {
        assert!(index < self.len(), "the array has no such bucket");
        let segment = self.segment(index / SEGMENT).cast::<Bucket>();
        // SAFETY: the segment with this number has room for all its buckets below `len`, and is not null.
        unsafe { NonNull::new_unchecked(segment.add(index % SEGMENT)) }
    }

    /// The only segment's address and the number of buckets, where there is only one.
    #[inline]
    pub(crate) fn single_segment(&self) -> Option<(*const Bucket, usize)> {
        (self.len() <= SEGMENT && self.len > 0).then_some((self.root.cast_const().cast(), self.len()))
    }

    /// Number of segments in use.
    #[inline]
    fn segments(&self) -> usize {
        self.len().div_ceil(SEGMENT)
    }

    /// The segment with this number, which is in use.
    #[inline]
    fn segment(&self, number: usize) -> Pointer {
        if self.len() <= SEGMENT {
            return self.root;
        }
        // SAFETY: with several segments in use, the directory has an entry for each.
        unsafe { self.directory(number).add(number % FAN).read() }
    }

    /// The directory with the entry of this segment, in an array with several segments in use.
    #[inline]
    fn directory(&self, number: usize) -> *mut Pointer {
        let root = self.root.cast::<Pointer>();
        if self.segments() <= FAN {
            return root;
        }
        // SAFETY: with more segments than a directory holds, the root has an entry for each directory.
        unsafe { root.add(number / FAN).read() }.cast()
    }

    /// Adds an empty bucket; gives the change of memory in bytes.
    pub(crate) fn push(&mut self) -> isize {
        let (number, used) = (self.len() / SEGMENT, self.len() % SEGMENT);
        let (old, new) = (segment_bytes(number, used), segment_bytes(number, used + 1));
        let mut change = new as isize - old as isize;
        if used == 0 {
            // SAFETY: there is nothing to move from.
            let segment = unsafe { resized(null_mut(), 0, new) };
            change += self.push_segment(number, segment);
        } else if old != new {
            self.resize_last(number, old, new);
        }
        self.len = self.len.checked_add(1).expect("a slot holds fewer than 2^32 keys");
        change
    }

    /// Removes the last bucket, which must be empty; gives the change of memory in bytes.
    pub(crate) fn pop(&mut self) -> isize {
        assert!(self.len > 0, "the array is empty");
        let last = self.len() - 1;
        let (number, used) = (last / SEGMENT, last % SEGMENT);
        let (old, new) = (segment_bytes(number, used + 1), segment_bytes(number, used));
        let mut change = new as isize - old as isize;
        if used == 0 {
            change += self.pop_segment(number, old);
        } else if old != new {
            self.resize_last(number, old, new);
        }
        self.len -= 1;
        change
    }

    /// Moves the last segment to another size.
    fn resize_last(&mut self, number: usize, old: usize, new: usize) {
        // SAFETY: the segment has `old` bytes, and its only address is replaced below.
        let segment = unsafe { resized(self.segment(number), old, new) };
        if self.segments() <= 1 {
            self.root = segment;
        } else {
            // SAFETY: with several segments in use, the directory has an entry for each.
            unsafe { self.directory(number).add(number % FAN).write(segment) };
        }
    }

    /// Adds the segment with this number, the first that is not in use; gives the change of the directories' memory.
    fn push_segment(&mut self, number: usize, segment: Pointer) -> isize {
        if number == 0 {
            self.root = segment;
            return 0;
        }
        let mut change = 0;
        // SAFETY: directories have the sizes that `directory_bytes` gives for the segments in use, all of which are
        // full here, and each is made larger before an entry is written behind its last one.
        unsafe {
            if number == 1 || number == FAN {
                // What was the root becomes the first entry of a directory above it.
                let above = resized(null_mut(), 0, directory_bytes(1)).cast::<Pointer>();
                above.write(self.root);
                self.root = above.cast();
                change += directory_bytes(1) as isize;
            }
            if number < FAN {
                change += grow(&mut self.root, number);
                self.root.cast::<Pointer>().add(number).write(segment);
                return change;
            }
            let (block, place) = (number / FAN, number % FAN);
            let top = if place == 0 {
                change += grow(&mut self.root, block) + directory_bytes(FAN) as isize;
                let top = self.root.cast::<Pointer>();
                top.add(block).write(resized(null_mut(), 0, directory_bytes(FAN)));
                top
            } else {
                self.root.cast::<Pointer>()
            };
            top.add(block).read().cast::<Pointer>().add(place).write(segment);
        }
        change
    }

    /// Frees the segment with this number and size, the last in use, whose buckets but the first were removed; gives the
    /// change of the directories' memory.
    fn pop_segment(&mut self, number: usize, bytes: usize) -> isize {
        let segment = self.segment(number);
        let mut change = 0;
        // SAFETY: as in `push_segment`; every address that is freed is forgotten here.
        unsafe {
            resized(segment, bytes, 0);
            if number == 0 {
                self.root = null_mut();
                return 0;
            }
            let (block, place) = (number / FAN, number % FAN);
            if number < FAN {
                change += shrink(&mut self.root, number);
            } else if place == 0 {
                resized(self.root.cast::<Pointer>().add(block).read(), directory_bytes(FAN), 0);
                change += shrink(&mut self.root, block) - directory_bytes(FAN) as isize;
            }
            if number == 1 || number == FAN {
                let above = self.root;
                self.root = above.cast::<Pointer>().read();
                resized(above, directory_bytes(1), 0);
                change -= directory_bytes(1) as isize;
            }
        }
        change
    }
}

impl Drop for BucketArray {
    fn drop(&mut self) {
        while self.len > 0 {
            // Whole segments at once: a bucket at a time would shrink step by step.
            let last = self.len() - 1;
            let (number, used) = (last / SEGMENT, last % SEGMENT);
            self.pop_segment(number, segment_bytes(number, used + 1));
            self.len = (number * SEGMENT) as u32;
        }
    }
}

/// Bytes of the segment with this number when `used` of its buckets are in use.
#[inline]
fn segment_bytes(number: usize, used: usize) -> usize {
    let bytes = size_class::rounded(used * size_of::<Bucket>());
    match (number, used) {
        (_, 0) => 0,
        (0, _) => bytes,
        _ => bytes.max(SEGMENT_START * size_of::<Bucket>()),
    }
}

/// Bytes of a directory with this many entries.
fn directory_bytes(entries: usize) -> usize {
    size_class::rounded(entries * size_of::<Pointer>())
}

/// Makes room for an entry behind the `entries` that a directory has; gives the change of memory in bytes.
///
/// # Safety
/// `directory` is the only address of a directory with room for exactly that many entries.
#[expect(unsafe_code, reason = "moves a directory")]
unsafe fn grow(directory: &mut Pointer, entries: usize) -> isize {
    let (old, new) = (directory_bytes(entries), directory_bytes(entries + 1));
    // SAFETY: by the caller's promise.
    *directory = unsafe { resized(*directory, old, new) };
    new as isize - old as isize
}

/// Gives up the room behind the first `entries` of a directory that had one more; gives the change of memory in bytes.
///
/// # Safety
/// `directory` is the only address of a directory with room for exactly one entry more.
#[expect(unsafe_code, reason = "moves a directory")]
unsafe fn shrink(directory: &mut Pointer, entries: usize) -> isize {
    let (old, new) = (directory_bytes(entries + 1), directory_bytes(entries));
    // SAFETY: by the caller's promise.
    *directory = unsafe { resized(*directory, old, new) };
    new as isize - old as isize
}

/// Moves an allocation of `old` bytes (none if zero) to one of `new` bytes (none if zero), zeroed where it grows.
///
/// # Safety
/// `from` was given by this function for a size of `old` bytes, and is not used afterwards.
#[expect(unsafe_code, reason = "allocates, copies and frees")]
unsafe fn resized(from: Pointer, old: usize, new: usize) -> Pointer {
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
        // SAFETY: both allocations are at least as long as what is copied, and distinct; the old one was made with this
        // layout and is not used any more.
        unsafe {
            to.copy_from_nonoverlapping(from, old.min(new));
            dealloc(from, layout(old));
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::heap::Heap;
    use crate::raw::record::{Header, NewValue, Record, RecordRef};

    #[expect(unsafe_code, reason = "looks into buckets")]
    fn put(array: &BucketArray, index: usize) {
        let header = Header { expire_at: None, epoch: 0, clock: 0, raw: false };
        let record = Record::new(b"", NewValue::Int(index as i64), header, Heap::new().pool(0, 1));
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
            assert_eq!(array.bytes() as isize, bytes, "{i}");
            put(&array, i);
            let used = (i + 1) * 64;
            assert!(bytes as usize >= used && bytes as usize <= used * 3 / 2 + 8300, "{i}: {bytes}");
        }
        for i in (0..n).rev() {
            assert_eq!(taken(&array, i), i as i64);
            bytes += array.pop();
            assert_eq!(array.bytes() as isize, bytes, "{i}");
        }
        assert_eq!((bytes, array.len()), (0, 0));
        (0..100).for_each(|_| _ = array.push());
    }
}
