//! The value of a record: what its first byte says and what lies behind the key. See the head of the module for the layout.

use std::mem::{ManuallyDrop, size_of};
use std::ptr::NonNull;

use baton_base::WallMs;
use baton_values::{Collection, PackedKind, Str, Value};

use super::{RecordMut, RecordRef, rounded};
use crate::raw::block::Block;
use crate::raw::length::{length_size, read_length, write_length};

const INT: u8 = 0;
const TEXT: u8 = 1;
const BLOCK: u8 = 2;
const BOXED: u8 = 3;

/// The kind of a string, beside those of [`PackedKind`].
const STRING: u8 = 0;

/// Longer texts live in a block of their own, and longer packed collections in a box.
pub(crate) const INLINE_MAX: usize = 1024;

/// A value on its way into a record.
pub(crate) enum NewValue<'a> {
    /// A canonical integer.
    Int(i64),
    /// Text of any length; it is copied.
    Text(&'a [u8]),
    /// A large text that exists already.
    Block(Block),
    /// A small collection's bytes, at most [`INLINE_MAX`]; they are copied.
    Packed(PackedKind, &'a [u8]),
    /// Any other collection.
    Boxed(Box<Collection>),
}

impl<'a> NewValue<'a> {
    /// A string.
    #[inline]
    pub(crate) fn of_str(text: Str<'a>) -> NewValue<'a> {
        match text {
            Str::Int(n) => NewValue::Int(n),
            Str::Bytes(text) => NewValue::Text(text),
        }
    }

    /// A collection that stays small enough to lie in its record; none if it doesn't.
    pub(crate) fn of_small(collection: &'a Collection) -> Option<NewValue<'a>> {
        let (kind, bytes) = collection.packed()?;
        (bytes.len() <= INLINE_MAX).then_some(NewValue::Packed(kind, bytes))
    }

    /// A text that is too long for a record becomes a block.
    pub(super) fn placed(self) -> NewValue<'a> {
        match self {
            NewValue::Text(text) if text.len() > INLINE_MAX => NewValue::Block(Block::new(text)),
            other => other,
        }
    }

    /// Bytes that it takes in a record.
    #[inline]
    pub(super) fn size(&self) -> usize {
        match self {
            NewValue::Int(_) | NewValue::Block(_) | NewValue::Boxed(_) => 8,
            NewValue::Text(bytes) | NewValue::Packed(_, bytes) => length_size(bytes.len()) + bytes.len(),
        }
    }
}

#[expect(unsafe_code, reason = "reads the layout that the head of the module describes")]
impl<'a> RecordRef<'a> {
    #[inline]
    fn encoding(self) -> u8 {
        self.byte(0) >> 4
    }

    /// The value.
    #[inline]
    pub(crate) fn value(self) -> Value<'a> {
        let at = self.value_at();
        // SAFETY: the encoding tells what lies at the value's offset; all of it is unchanged for `'a`.
        unsafe {
            match self.encoding() {
                INT => Value::Str(Str::Int(self.0.add(at).cast::<i64>().read_unaligned())),
                TEXT => self.inline_value(at),
                BLOCK => {
                    let block = self.block_at(at);
                    let bytes = block.bytes();
                    // The record owns a reference for `'a`, so its bytes outlive the borrow of this second handle.
                    Value::Str(Str::Bytes(std::slice::from_raw_parts(bytes.as_ptr(), bytes.len())))
                }
                _ => (*self.boxed_at(at)).as_value(),
            }
        }
    }

    /// The value that lies in the record as bytes.
    ///
    /// # Safety
    /// The encoding is `TEXT` and `at` is the value's offset.
    #[inline]
    unsafe fn inline_value(self, at: usize) -> Value<'a> {
        // SAFETY: such a record has a length and as many bytes there, unchanged for `'a`.
        let bytes = unsafe {
            let (len, size) = read_length(self.0.add(at));
            std::slice::from_raw_parts(self.0.add(at + size).as_ptr(), len)
        };
        match PackedKind::from_code(self.byte(0) & 0xf) {
            None => Value::Str(Str::Bytes(bytes)),
            Some(kind) => Value::from_packed(kind, bytes),
        }
    }

    /// The value of a record that is known to hold a string; nothing for any other.
    #[inline]
    pub(crate) fn str(self) -> Str<'a> {
        match self.value() {
            Value::Str(text) => text,
            _ => Str::Bytes(b""),
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

    /// The address of the record's collection.
    ///
    /// # Safety
    /// The encoding is `BOXED` and `at` is the value's offset.
    unsafe fn boxed_at(self, at: usize) -> *mut Collection {
        // SAFETY: such a record has a pointer from `Box::into_raw` there.
        unsafe { self.0.add(at).cast::<*mut Collection>().read_unaligned() }
    }

    /// The collection, if it lies in a box.
    #[inline]
    fn boxed(self) -> Option<&'a Collection> {
        // SAFETY: the encoding was looked at; the record owns the box, and the collection is unchanged for `'a`.
        (self.encoding() == BOXED).then(|| unsafe { &*self.boxed_at(self.value_at()) })
    }

    /// When the first element of the value ends, if any does. Only what lies in a box has such elements.
    #[inline]
    pub(crate) fn next_due(self) -> Option<WallMs> {
        self.boxed()?.next_due()
    }

    /// A second handle for the block, if the value lies in one.
    fn block(self) -> Option<ManuallyDrop<Block>> {
        // SAFETY: the encoding was looked at.
        (self.encoding() == BLOCK).then(|| unsafe { self.block_at(self.value_at()) })
    }

    /// The block of the value, shared, if it lies in one.
    pub(crate) fn shared_block(self) -> Option<Block> {
        self.block().map(|block| block.share())
    }

    /// The same value for another record, without copying a large one.
    pub(crate) fn new_value(self) -> NewValue<'a> {
        if let Some(block) = self.block() {
            return NewValue::Block(block.share());
        }
        if let Some(collection) = self.boxed() {
            return NewValue::Boxed(Box::new(collection.clone()));
        }
        match self.packed() {
            Some((kind, bytes)) => NewValue::Packed(kind, bytes),
            None => NewValue::of_str(self.str()),
        }
    }

    /// The bytes of a collection that lies in the record, if that is what it holds.
    pub(crate) fn packed(self) -> Option<(PackedKind, &'a [u8])> {
        if self.encoding() != TEXT {
            return None;
        }
        let kind = PackedKind::from_code(self.byte(0) & 0xf)?;
        let at = self.value_at();
        // SAFETY: a record of this encoding has a length and as many bytes there, unchanged for `'a`.
        unsafe {
            let (len, size) = read_length(self.0.add(at));
            Some((kind, std::slice::from_raw_parts(self.0.add(at + size).as_ptr(), len)))
        }
    }

    /// Whether the value lies in memory of its own, so that [`RecordRef::new_value`] need not copy it.
    #[inline]
    pub(crate) fn is_large(self) -> bool {
        self.encoding() >= BLOCK
    }

    /// Bytes of the record, before rounding.
    #[inline]
    pub(super) fn size(self) -> usize {
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

    /// Bytes of memory that the record and what it points at take.
    #[inline]
    pub(crate) fn footprint(self) -> usize {
        let block = self.block().map_or(0, |block| block.footprint());
        let boxed = self.boxed().map_or(0, |collection| size_of::<Collection>() + collection.heap_bytes());
        rounded(self.size()) + block + boxed
    }
}

#[expect(unsafe_code, reason = "writes the layout that the head of the module describes")]
impl RecordMut<'_> {
    /// Replaces the value where the record's allocation stays the same; tells whether it did.
    #[inline]
    pub(crate) fn overwrite(&mut self, value: &NewValue<'_>) -> bool {
        let old = self.as_ref();
        match old.encoding() {
            BLOCK => return self.overwrite_block(value),
            BOXED => return false,
            _ => {}
        }
        let value = match *value {
            NewValue::Int(n) => NewValue::Int(n),
            NewValue::Text(text) if text.len() <= INLINE_MAX => NewValue::Text(text),
            NewValue::Packed(kind, bytes) => NewValue::Packed(kind, bytes),
            _ => return false,
        };
        let at = old.value_at();
        if rounded(at + value.size()) != rounded(old.size()) {
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

    /// Lends the collection, if it lies in a box.
    pub(crate) fn boxed(&mut self) -> Option<&mut Collection> {
        if self.as_ref().encoding() != BOXED {
            return None;
        }
        // SAFETY: the encoding was looked at, and the record, which alone owns the box, is borrowed for change.
        Some(unsafe { &mut *self.as_ref().boxed_at(self.as_ref().value_at()) })
    }

    pub(super) fn drop_value(&mut self) {
        let old = self.as_ref();
        // SAFETY: the encoding is looked at, and the record is being dropped, so what it owns is given up exactly once.
        unsafe {
            match old.encoding() {
                BLOCK => drop(ManuallyDrop::into_inner(old.block_at(old.value_at()))),
                BOXED => drop(Box::from_raw(old.boxed_at(old.value_at()))),
                _ => {}
            }
        }
    }
}

/// Writes kind, encoding and value.
///
/// # Safety
/// `record` is an allocation nobody else uses, with room for `value.size()` bytes at offset `at`, and `value` does not
/// point into it.
#[expect(unsafe_code, reason = "writes the layout that the head of the module describes")]
#[inline]
pub(super) unsafe fn write_value(record: NonNull<u8>, at: usize, value: NewValue<'_>) {
    // SAFETY: the caller's promise covers every offset written here.
    unsafe {
        let place = record.add(at);
        let first = match value {
            NewValue::Int(n) => {
                place.cast::<i64>().write_unaligned(n);
                INT << 4 | STRING
            }
            NewValue::Text(bytes) => {
                write_bytes(place, bytes);
                TEXT << 4 | STRING
            }
            NewValue::Packed(kind, bytes) => {
                write_bytes(place, bytes);
                TEXT << 4 | kind.code()
            }
            NewValue::Block(block) => {
                place.cast::<*mut u8>().write_unaligned(block.into_raw());
                BLOCK << 4 | STRING
            }
            NewValue::Boxed(collection) => {
                place.cast::<*mut Collection>().write_unaligned(Box::into_raw(collection));
                BOXED << 4
            }
        };
        record.write(first);
    }
}

/// Writes a length and as many bytes.
///
/// # Safety
/// There is room for them, and they don't overlap it.
#[expect(unsafe_code, reason = "writes the layout that the head of the module describes")]
#[inline]
unsafe fn write_bytes(place: NonNull<u8>, bytes: &[u8]) {
    // SAFETY: by the caller's promise.
    unsafe {
        let behind = write_length(place, bytes.len());
        behind.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
    }
}
