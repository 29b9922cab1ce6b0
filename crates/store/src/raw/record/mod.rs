//! A record: header, key and value of one entry in one allocation, behind a thin pointer.
//!
//! ```text
//! byte  0      low four bits: 0, or what a packed collection is; high four: encoding (`value`)
//!       1      flags: 1 has an expiry, 2 is a string that was changed in place (OBJECT ENCODING says raw)
//!       2      snapshot epoch
//!       3..6   access clock: seconds modulo 2^24
//!       6..    length of the key, seven bits a byte, lowest first
//!       ..     eight bytes of expiry, if flagged
//!       ..     key
//!       ..     value: int: eight bytes; text or packed collection: its length like the key's, then its bytes; block, or
//!              boxed collection: a pointer
//! ```
//!
//! Small records are pieces of a heap, large ones come from the allocator. The size of the allocation follows from the
//! content (rounded to its size class), so it is stored nowhere.

mod value;

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, size_of};
use std::ptr::NonNull;

use baton_base::WallMs;

use super::heap::{self, PoolRef};
use super::length::{length_size, read_length, write_length};
use super::size_class;
use value::write_value;
pub(crate) use value::{INLINE_MAX, NewValue};

const FLAGS_AT: usize = 1;
const EPOCH_AT: usize = 2;
const CLOCK_AT: usize = 3;
const KEY_LEN_AT: usize = 6;

const HAS_EXPIRY: u8 = 1;
const IS_RAW: u8 = 2;

const RECORD_ALIGN: usize = 8;

/// What a record's header says beside the value.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub(crate) expire_at: Option<WallMs>,
    pub(crate) epoch: u8,
    pub(crate) clock: u32,
    pub(crate) raw: bool,
}

/// An owned record.
pub(crate) struct Record(NonNull<u8>);

/// A borrowed record.
#[derive(Clone, Copy)]
pub(crate) struct RecordRef<'a>(NonNull<u8>, PhantomData<&'a [u8]>);

/// A record borrowed for change.
pub(crate) struct RecordMut<'a>(NonNull<u8>, PhantomData<&'a mut [u8]>);

// SAFETY: a record is plain memory with a single owner; a block it points at is Send and Sync itself.
#[expect(unsafe_code, reason = "a record owns what it points at")]
unsafe impl Send for Record {}
// SAFETY: a shared record is only read.
#[expect(unsafe_code, reason = "a record owns what it points at")]
unsafe impl Sync for Record {}

#[expect(unsafe_code, reason = "writes the layout that the head of this file describes")]
impl Record {
    /// A record with this content, in a piece of this pool if it is small.
    pub(crate) fn new(key: &[u8], value: NewValue<'_>, header: Header, pool: PoolRef<'_>) -> Record {
        let value = value.placed();
        let key_at = KEY_LEN_AT + length_size(key.len()) + 8 * usize::from(header.expire_at.is_some());
        let value_at = key_at + key.len();
        let size = value_at + value.size();
        let at = if heap::has(size) { pool.allocate(size) } else { allocate_large(size) };
        let flags = if header.expire_at.is_some() { HAS_EXPIRY } else { 0 };
        // SAFETY: all offsets written lie below `value_at + value.size()`, hence inside the fresh allocation, which
        // nobody else knows yet.
        unsafe {
            at.add(FLAGS_AT).write(flags);
            let after = write_length(at.add(KEY_LEN_AT), key.len());
            if let Some(expire_at) = header.expire_at {
                after.cast::<u64>().write_unaligned(expire_at.0);
            }
            at.add(key_at).copy_from_nonoverlapping(NonNull::from(key).cast(), key.len());
            write_value(at, value_at, value);
        }
        let mut record = Record(at);
        let mut fields = record.as_mut();
        fields.set_epoch(header.epoch);
        fields.set_clock(header.clock);
        fields.set_raw(header.raw);
        record
    }

    /// The record for reading.
    #[inline]
    pub(crate) fn as_ref(&self) -> RecordRef<'_> {
        RecordRef(self.0, PhantomData)
    }

    /// The record for change.
    #[inline]
    pub(crate) fn as_mut(&mut self) -> RecordMut<'_> {
        RecordMut(self.0, PhantomData)
    }

    /// Drops the record; quicker where the pool that it lies in is known. Another pool is no harm.
    #[inline]
    pub(crate) fn give_back(mut self, pool: PoolRef<'_>) {
        let size = self.as_ref().size();
        if heap::has(size) {
            self.as_mut().drop_value();
            // SAFETY: a record of this size lies in a piece, and is not used any more.
            unsafe { pool.free(self.into_raw(), size) };
        }
    }

    /// The record, moved to where its pool wants to have it.
    pub(super) fn settled(self, pool: PoolRef<'_>) -> Record {
        let size = self.as_ref().size();
        if !heap::has(size) {
            return self;
        }
        // SAFETY: a record of this size lies in a piece, and nobody else knows its address.
        match unsafe { pool.moved(self.0, size) } {
            Some(at) => {
                let _moved = self.into_raw();
                Record(at)
            }
            None => self,
        }
    }

    /// Gives the record up as a pointer, to be taken back by [`Record::from_raw`] exactly once.
    #[inline]
    pub(super) fn into_raw(self) -> NonNull<u8> {
        ManuallyDrop::new(self).0
    }

    /// Takes a record back.
    ///
    /// # Safety
    /// `at` came from [`Record::into_raw`] and was not taken back since.
    #[inline]
    pub(super) unsafe fn from_raw(at: NonNull<u8>) -> Record {
        Record(at)
    }
}

impl Drop for Record {
    #[expect(unsafe_code, reason = "frees what `new` allocated")]
    fn drop(&mut self) {
        let size = self.as_ref().size();
        self.as_mut().drop_value();
        // SAFETY: the record was allocated for its size, rounded, and changes in place keep that class; both sides of
        // the heap's limit are in different ones.
        unsafe {
            if heap::has(size) {
                heap::free(self.0, size);
            } else {
                dealloc(self.0.as_ptr(), layout_of(size));
            }
        }
    }
}

#[expect(unsafe_code, reason = "reads the layout that the head of this file describes")]
impl<'a> RecordRef<'a> {
    /// A record at this address.
    ///
    /// # Safety
    /// `at` came from [`Record::into_raw`], and for `'a` it is neither freed nor changed.
    #[inline]
    pub(super) unsafe fn at(at: NonNull<u8>) -> RecordRef<'a> {
        RecordRef(at, PhantomData)
    }

    #[inline]
    fn byte(self, at: usize) -> u8 {
        // SAFETY: callers give offsets of the fixed header, which every record has.
        unsafe { self.0.add(at).read() }
    }

    #[inline]
    fn has_expiry(self) -> bool {
        self.byte(FLAGS_AT) & HAS_EXPIRY != 0
    }

    /// Offset and length of the key.
    #[inline]
    fn key_span(self) -> (usize, usize) {
        // SAFETY: a record has its key's length at this offset.
        let (len, size) = unsafe { read_length(self.0.add(KEY_LEN_AT)) };
        (KEY_LEN_AT + size + 8 * usize::from(self.has_expiry()), len)
    }

    #[inline]
    fn value_at(self) -> usize {
        let (at, len) = self.key_span();
        at + len
    }

    /// The key.
    #[inline]
    pub(crate) fn key(self) -> &'a [u8] {
        let (at, len) = self.key_span();
        // SAFETY: the key lies at its span, inside the record, unchanged for `'a`.
        unsafe { std::slice::from_raw_parts(self.0.add(at).as_ptr(), len) }
    }

    /// When the entry expires; none if never.
    #[inline]
    pub(crate) fn expire_at(self) -> Option<WallMs> {
        if !self.has_expiry() {
            return None;
        }
        let at = self.key_span().0 - 8;
        // SAFETY: a flagged record has its expiry right before the key.
        Some(WallMs(unsafe { self.0.add(at).cast::<u64>().read_unaligned() }))
    }

    /// The snapshot epoch.
    #[inline]
    pub(crate) fn epoch(self) -> u8 {
        self.byte(EPOCH_AT)
    }

    /// The access clock: seconds modulo 2^24.
    #[inline]
    pub(crate) fn clock(self) -> u32 {
        u32::from_le_bytes([self.byte(CLOCK_AT), self.byte(CLOCK_AT + 1), self.byte(CLOCK_AT + 2), 0])
    }

    /// Whether the string was changed in place.
    #[inline]
    pub(crate) fn is_raw(self) -> bool {
        self.byte(FLAGS_AT) & IS_RAW != 0
    }

    /// A record with the same value, expiry and access clock under another key. A large value is shared.
    pub(crate) fn copied(self, key: &[u8], epoch: u8, pool: PoolRef<'_>) -> Record {
        let header = Header { expire_at: self.expire_at(), epoch, clock: self.clock(), raw: self.is_raw() };
        Record::new(key, self.new_value(), header, pool)
    }

    /// The address, for a prefetch.
    #[inline]
    pub(super) fn address(self) -> *const u8 {
        self.0.as_ptr()
    }
}

#[expect(unsafe_code, reason = "writes the layout that the head of this file describes")]
impl<'a> RecordMut<'a> {
    /// A record at this address.
    ///
    /// # Safety
    /// `at` came from [`Record::into_raw`], and for `'a` nobody else reaches it.
    #[inline]
    pub(super) unsafe fn at(at: NonNull<u8>) -> RecordMut<'a> {
        RecordMut(at, PhantomData)
    }

    /// The record for reading.
    #[inline]
    pub(crate) fn as_ref(&self) -> RecordRef<'_> {
        RecordRef(self.0, PhantomData)
    }

    #[inline]
    fn set_byte(&mut self, at: usize, byte: u8) {
        // SAFETY: callers give offsets of the fixed header, which every record has.
        unsafe { self.0.add(at).write(byte) }
    }

    /// Sets the snapshot epoch.
    #[inline]
    pub(crate) fn set_epoch(&mut self, epoch: u8) {
        self.set_byte(EPOCH_AT, epoch);
    }

    /// Sets the access clock, modulo 2^24.
    #[inline]
    pub(crate) fn set_clock(&mut self, clock: u32) {
        for (i, byte) in clock.to_le_bytes()[..3].iter().enumerate() {
            self.set_byte(CLOCK_AT + i, *byte);
        }
    }

    /// Sets or clears the mark of a string that was changed in place.
    #[inline]
    pub(crate) fn set_raw(&mut self, raw: bool) {
        let flags = self.as_ref().byte(FLAGS_AT) & !IS_RAW;
        self.set_byte(FLAGS_AT, if raw { flags | IS_RAW } else { flags });
    }

    /// Moves the expiry of a record that has one; tells whether it has.
    #[inline]
    pub(crate) fn set_expire_at(&mut self, expire_at: WallMs) -> bool {
        if !self.as_ref().has_expiry() {
            return false;
        }
        let at = self.as_ref().key_span().0 - 8;
        // SAFETY: a flagged record has its expiry right before the key.
        unsafe { self.0.add(at).cast::<u64>().write_unaligned(expire_at.0) };
        true
    }
}

/// The memory that a record of this size takes.
#[inline]
fn rounded(size: usize) -> usize {
    if heap::has(size) { heap::rounded(size) } else { size_class::rounded(size) }
}

/// The layout of a record that the heap has no pieces for.
fn layout_of(size: usize) -> Layout {
    Layout::from_size_align(rounded(size), RECORD_ALIGN).expect("the length of a key is bounded")
}

#[expect(unsafe_code, reason = "takes memory from the allocator")]
#[cold]
fn allocate_large(size: usize) -> NonNull<u8> {
    let layout = layout_of(size);
    // SAFETY: the size is never zero.
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

const _: () = assert!(size_of::<Option<Record>>() == size_of::<usize>());

#[cfg(test)]
mod tests;
