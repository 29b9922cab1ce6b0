//! A record: header, key and value of one entry in one allocation, behind a thin pointer.
//!
//! ```text
//! byte  0      low four bits: type of the value; high four: encoding (a table of its own below)
//!       1      flags: 1 has an expiry, 2 is a string that was changed in place (OBJECT ENCODING says raw)
//!       2      snapshot epoch
//!       3..6   access clock: seconds modulo 2^24
//!       6..    length of the key, seven bits a byte, lowest first
//!       ..     eight bytes of expiry, if flagged
//!       ..     key
//!       ..     value: int: eight bytes; text: its length like the key's, then its bytes; block: a pointer
//! ```
//!
//! Small records are pieces of a heap, large ones come from the allocator. The size of the allocation follows from the
//! content (rounded to its size class), so it is stored nowhere. Other types take further type numbers and one further
//! encoding: a pointer to a boxed value with its own drop.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, size_of};
use std::ptr::NonNull;

use baton_base::WallMs;

use super::block::Block;
use super::heap::{self, PoolRef};
use super::length::{length_size, read_length, write_length};
use super::size_class;
use crate::value::Str;

const FLAGS_AT: usize = 1;
const EPOCH_AT: usize = 2;
const CLOCK_AT: usize = 3;
const KEY_LEN_AT: usize = 6;

const HAS_EXPIRY: u8 = 1;
const IS_RAW: u8 = 2;

const INT: u8 = 0;
const TEXT: u8 = 1;
const BLOCK: u8 = 2;

const RECORD_ALIGN: usize = 8;

/// Longer texts live in a block of their own.
pub(crate) const INLINE_MAX: usize = 1024;

/// A value on its way into a record.
pub(crate) enum NewValue<'a> {
    /// A canonical integer.
    Int(i64),
    /// Text of any length; it is copied.
    Text(&'a [u8]),
    /// A large text that exists already.
    Block(Block),
}

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
        let value = match value {
            NewValue::Text(text) if text.len() > INLINE_MAX => NewValue::Block(Block::new(text)),
            other => other,
        };
        let key_at = KEY_LEN_AT + length_size(key.len()) + 8 * usize::from(header.expire_at.is_some());
        let value_at = key_at + key.len();
        let size = value_at + value_size(&value);
        let at = if heap::has(size) { pool.allocate(size) } else { allocate_large(size) };
        let flags = if header.expire_at.is_some() { HAS_EXPIRY } else { 0 };
        // SAFETY: all offsets written lie below `value_at + value_size`, hence inside the fresh allocation, which
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

    #[inline]
    fn encoding(self) -> u8 {
        self.byte(0) >> 4
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

    /// The value as a string.
    #[inline]
    pub(crate) fn str(self) -> Str<'a> {
        let at = self.value_at();
        // SAFETY: the encoding tells what lies at the value's offset; all of it is unchanged for `'a`.
        unsafe {
            match self.encoding() {
                INT => Str::Int(self.0.add(at).cast::<i64>().read_unaligned()),
                TEXT => {
                    let (len, size) = read_length(self.0.add(at));
                    Str::Bytes(std::slice::from_raw_parts(self.0.add(at + size).as_ptr(), len))
                }
                _ => {
                    let block = self.block_at(at);
                    let bytes = block.bytes();
                    // The record owns a reference for `'a`, so its bytes outlive the borrow of this second handle.
                    Str::Bytes(std::slice::from_raw_parts(bytes.as_ptr(), bytes.len()))
                }
            }
        }
    }

    /// A second handle for the record's own reference to its block.
    ///
    /// # Safety
    /// The encoding is `BLOCK` and `at` is the value's offset.
    unsafe fn block_at(self, at: usize) -> ManuallyDrop<Block> {
        // SAFETY: such a record has a pointer from `Block::into_raw` there, and owns that reference.
        ManuallyDrop::new(unsafe { Block::from_raw(self.0.add(at).cast::<*mut u8>().read_unaligned()) })
    }

    /// Another reference to the value's block, if it has one.
    fn share_block(self) -> Option<Block> {
        // SAFETY: the encoding was looked at.
        (self.encoding() == BLOCK).then(|| unsafe { self.block_at(self.value_at()) }.share())
    }

    /// The same value for another record, without copying a large one.
    pub(crate) fn value(self) -> NewValue<'a> {
        if let Some(block) = self.share_block() {
            return NewValue::Block(block);
        }
        match self.str() {
            Str::Int(n) => NewValue::Int(n),
            Str::Bytes(text) => NewValue::Text(text),
        }
    }

    /// A record with the same value, expiry and access clock under another key. A large value is shared.
    pub(crate) fn copied(self, key: &[u8], epoch: u8, pool: PoolRef<'_>) -> Record {
        let header = Header { expire_at: self.expire_at(), epoch, clock: self.clock(), raw: self.is_raw() };
        Record::new(key, self.value(), header, pool)
    }

    /// Whether the value lies in a block.
    #[inline]
    pub(crate) fn is_large(self) -> bool {
        self.encoding() == BLOCK
    }

    /// Bytes of the record, before rounding.
    #[inline]
    fn size(self) -> usize {
        let at = self.value_at();
        match self.encoding() {
            TEXT => {
                // SAFETY: a text has its length at the value's offset.
                let (len, size) = unsafe { read_length(self.0.add(at)) };
                at + size + len
            }
            _ => at + 8,
        }
    }

    /// Bytes of memory that the record and its block take.
    #[inline]
    pub(crate) fn footprint(self) -> usize {
        let own = rounded(self.size());
        if self.encoding() == BLOCK {
            // SAFETY: the encoding was looked at.
            own + unsafe { self.block_at(self.value_at()) }.footprint()
        } else {
            own
        }
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

    /// Replaces the value where the record's allocation stays the same; tells whether it did.
    #[inline]
    pub(crate) fn overwrite(&mut self, value: &NewValue<'_>) -> bool {
        let old = self.as_ref();
        if old.encoding() == BLOCK {
            return self.overwrite_block(value);
        }
        let value = match *value {
            NewValue::Int(n) => NewValue::Int(n),
            NewValue::Text(text) if text.len() <= INLINE_MAX => NewValue::Text(text),
            _ => return false,
        };
        let at = old.value_at();
        if rounded(at + value_size(&value)) != rounded(old.size()) {
            return false;
        }
        // SAFETY: the new value ends inside the same rounded allocation, the old one owns nothing, and `value` can't
        // point into this record, which is borrowed for change.
        unsafe { write_value(self.0, at, value) };
        true
    }

    /// Reuses a sole block for a text that fills at least half of it.
    fn overwrite_block(&mut self, value: &NewValue<'_>) -> bool {
        let NewValue::Text(text) = *value else { return false };
        if text.len() <= INLINE_MAX {
            return false;
        }
        self.with_block(|block| {
            let fits = block.is_sole() && text.len() <= block.capacity() && text.len() >= block.capacity() / 2;
            if fits {
                block.resize(text.len(), false).copy_from_slice(text);
            }
            fits
        })
        .unwrap_or(false)
    }

    /// Lends the block, if there is one; it may be replaced by another.
    pub(crate) fn with_block<T>(&mut self, change: impl FnOnce(&mut Block) -> T) -> Option<T> {
        if self.as_ref().encoding() != BLOCK {
            return None;
        }
        let at = self.as_ref().value_at();
        // SAFETY: the encoding was looked at, and the record is borrowed for change. The pointer is written back before
        // anyone can see the record again; should `change` panic, the record keeps the old pointer, which is still
        // owned by it unless the block was replaced, and no closure of this crate panics after replacing.
        unsafe {
            let mut block = self.as_ref().block_at(at);
            let out = change(&mut block);
            self.0.add(at).cast::<*mut u8>().write_unaligned(ManuallyDrop::into_inner(block).into_raw());
            Some(out)
        }
    }

    fn drop_value(&mut self) {
        if self.as_ref().encoding() == BLOCK {
            // SAFETY: the record is being dropped, so its reference is given up exactly once.
            drop(unsafe { ManuallyDrop::into_inner(self.as_ref().block_at(self.as_ref().value_at())) });
        }
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

#[inline]
fn value_size(value: &NewValue<'_>) -> usize {
    match value {
        NewValue::Int(_) | NewValue::Block(_) => 8,
        NewValue::Text(text) => length_size(text.len()) + text.len(),
    }
}

/// Writes encoding and value.
///
/// # Safety
/// `record` is an allocation nobody else uses, with room for `value_size(value)` bytes at offset `at`, and `value` does
/// not point into it.
#[expect(unsafe_code, reason = "writes the layout that the head of this file describes")]
#[inline]
unsafe fn write_value(record: NonNull<u8>, at: usize, value: NewValue<'_>) {
    // SAFETY: the caller's promise covers every offset written here.
    unsafe {
        let place = record.add(at);
        let encoding = match value {
            NewValue::Int(n) => {
                place.cast::<i64>().write_unaligned(n);
                INT
            }
            NewValue::Text(text) => {
                let bytes = write_length(place, text.len());
                bytes.copy_from_nonoverlapping(NonNull::from(text).cast(), text.len());
                TEXT
            }
            NewValue::Block(block) => {
                place.cast::<*mut u8>().write_unaligned(block.into_raw());
                BLOCK
            }
        };
        record.write(encoding << 4);
    }
}

const _: () = assert!(size_of::<Option<Record>>() == size_of::<usize>());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::heap::Heap;

    fn record(key: &[u8], value: NewValue<'_>, expire_at: Option<u64>) -> Record {
        let header = Header { expire_at: expire_at.map(WallMs), epoch: 3, clock: 0x12_3456, raw: false };
        Record::new(key, value, header, Heap::new().pool(0, 1))
    }

    #[test]
    fn sizes_are_those_the_design_counts_on() {
        let key = [b'k'; 16];
        for (value, expire, bytes) in
            [(8, None, 32), (64, None, 88), (64, Some(1), 96), (8, Some(1), 40), (0, None, 24), (1024, None, 1280)]
        {
            let r = record(&key, NewValue::Text(&vec![b'v'; value]), expire);
            assert_eq!(r.as_ref().footprint(), bytes, "{value} {expire:?}");
        }
        assert_eq!(record(&key, NewValue::Int(i64::MIN), None).as_ref().footprint(), 32);
        let big = record(&key, NewValue::Text(&[0; 1025]), None);
        assert_eq!(big.as_ref().footprint(), 32 + size_class::rounded(24 + 1025));
    }

    #[test]
    fn every_field_is_read_back() {
        for key_len in [0, 1, 127, 128, 300, 20_000] {
            for value_len in [0, 1, 127, 128, 1024, 1025, 70_000] {
                for expire in [None, Some(u64::MAX - 1)] {
                    let (key, value) = (vec![b'k'; key_len], vec![b'v'; value_len]);
                    let r = record(&key, NewValue::Text(&value), expire);
                    let r = r.as_ref();
                    assert_eq!(r.key(), key);
                    assert_eq!(r.str(), Str::Bytes(&value));
                    assert_eq!(r.expire_at(), expire.map(WallMs));
                    assert_eq!((r.epoch(), r.clock(), r.is_raw()), (3, 0x12_3456, false));
                }
            }
        }
    }

    #[test]
    fn overwriting_keeps_the_size_class_or_refuses() {
        let mut r = record(b"0123456789abcdef", NewValue::Text(b"00000001"), Some(5));
        assert!(r.as_mut().overwrite(&NewValue::Int(-7)));
        assert_eq!(r.as_ref().str(), Str::Int(-7));
        assert!(r.as_mut().overwrite(&NewValue::Text(b"0123456")));
        assert_eq!(r.as_ref().str(), Str::Bytes(b"0123456"));
        assert_eq!((r.as_ref().key(), r.as_ref().expire_at()), (&b"0123456789abcdef"[..], Some(WallMs(5))));
        assert!(!r.as_mut().overwrite(&NewValue::Text(&[1; 60])));
        assert!(!r.as_mut().overwrite(&NewValue::Text(&[1; 6000])));
        assert_eq!(r.as_ref().str(), Str::Bytes(b"0123456"));
    }

    #[test]
    fn a_block_is_reused_by_its_sole_owner_only() {
        let mut r = record(b"k", NewValue::Text(&[1; 4000]), None);
        let other = r.as_ref().share_block();
        assert!(!r.as_mut().overwrite(&NewValue::Text(&[2; 3900])));
        drop(other);
        assert!(r.as_mut().overwrite(&NewValue::Text(&[2; 3900])));
        assert_eq!(r.as_ref().str(), Str::Bytes(&[2; 3900]));
        assert!(!r.as_mut().overwrite(&NewValue::Text(&[3; 1100])));
    }
}
