//! A large value's bytes: one allocation with room to grow, counted references, and in-place change only for a sole
//! owner. Sharing is what makes RENAME, COPY, EXPIRE and a snapshot's pre-image of a large value cost nothing.
//!
//! A block is never changed while anybody else holds it.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::mem::size_of;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use super::size_class;

#[repr(C)]
struct Header {
    refs: AtomicU32,
    len: usize,
    /// Bytes of text that fit; `size_of::<Header>() + capacity` is the allocation.
    capacity: usize,
}

/// Below this many bytes a growing block doubles, from there on it grows by this much.
const GROWTH_STEP_MAX: usize = 1 << 20;

/// References beyond this are refused and the bytes copied, so that the count can never wrap.
const REFS_MAX: u32 = u32::MAX / 2;

/// A counted reference to the bytes of a large value.
pub(crate) struct Block(NonNull<Header>);

// SAFETY: the header's count is atomic and the bytes are changed only by a sole owner, which `&mut` makes one thread.
#[expect(unsafe_code, reason = "the reference count makes the block shareable")]
unsafe impl Send for Block {}
// SAFETY: as above; `&Block` only reads.
#[expect(unsafe_code, reason = "the reference count makes the block shareable")]
unsafe impl Sync for Block {}

#[expect(unsafe_code, reason = "an allocation of a header followed by bytes")]
impl Block {
    /// A block with this text and room for `capacity` bytes at least.
    pub(crate) fn with_capacity(text: &[u8], capacity: usize) -> Block {
        let layout = layout_for(capacity.max(text.len()));
        // SAFETY: the layout's size is not zero, as it includes the header.
        let at = unsafe { alloc(layout) }.cast::<Header>();
        let Some(at) = NonNull::new(at) else { handle_alloc_error(layout) };
        let capacity = layout.size() - size_of::<Header>();
        // SAFETY: `at` is a fresh allocation of `layout`, aligned for a header, with `capacity >= text.len()` bytes
        // behind it; it can't overlap `text`, which was there before.
        unsafe {
            at.write(Header { refs: AtomicU32::new(1), len: text.len(), capacity });
            at.add(1).cast::<u8>().copy_from_nonoverlapping(NonNull::from(text).cast(), text.len());
        }
        Block(at)
    }

    /// A block with exactly this text.
    pub(crate) fn new(text: &[u8]) -> Block {
        Block::with_capacity(text, text.len())
    }

    fn header(&self) -> &Header {
        // SAFETY: the pointer is that of a live allocation, made by `with_capacity` and freed by the last owner only.
        unsafe { self.0.as_ref() }
    }

    /// The text.
    pub(crate) fn bytes(&self) -> &[u8] {
        let len = self.header().len;
        // SAFETY: the first `len` bytes behind the header were written, and no owner changes them while `self` is
        // borrowed: changing needs a sole owner borrowed for change.
        unsafe { std::slice::from_raw_parts(self.0.add(1).cast::<u8>().as_ptr(), len) }
    }

    /// Bytes of memory that the block takes.
    pub(crate) fn footprint(&self) -> usize {
        size_of::<Header>() + self.header().capacity
    }

    /// Room for text without a new allocation.
    pub(crate) fn capacity(&self) -> usize {
        self.header().capacity
    }

    /// Another reference to the same bytes; a copy where there are absurdly many already.
    pub(crate) fn share(&self) -> Block {
        if self.header().refs.fetch_add(1, Ordering::Relaxed) >= REFS_MAX {
            self.header().refs.fetch_sub(1, Ordering::Relaxed);
            return Block::new(self.bytes());
        }
        Block(self.0)
    }

    /// Whether nobody else holds these bytes.
    pub(crate) fn is_sole(&self) -> bool {
        // Acquire pairs with the release of the reference that went last: what its owner read, it has read.
        self.header().refs.load(Ordering::Acquire) == 1
    }

    /// Makes the text `len` bytes long, zeroes where it grows, and gives it for change. Copies first where the bytes
    /// are shared. `spare` asks for room beyond `len` when a new allocation is due, for appends that come again.
    pub(crate) fn resize(&mut self, len: usize, spare: bool) -> &mut [u8] {
        let old = self.header().len;
        let wanted = if spare { len.saturating_add(len.min(GROWTH_STEP_MAX)) } else { len };
        if !self.is_sole() {
            let kept = old.min(len);
            *self = Block::with_capacity(&self.bytes()[..kept], if len > old { wanted } else { len });
        } else if len > self.capacity() {
            self.reallocate(wanted);
        }
        let held = self.header().len;
        // SAFETY: the block is solely owned now and borrowed for change; `len <= capacity`, so all touched bytes lie in
        // the allocation, and those from `held` on, which may never have been written, are written before they are lent.
        unsafe {
            let text = self.0.add(1).cast::<u8>().as_ptr();
            if len > held {
                text.add(held).write_bytes(0, len - held);
            }
            self.0.as_mut().len = len;
            std::slice::from_raw_parts_mut(text, len)
        }
    }

    fn reallocate(&mut self, capacity: usize) {
        let (old, new) = (layout_for(self.capacity()), layout_for(capacity));
        // SAFETY: a sole owner's allocation was made with the layout of its capacity; the new size is not zero.
        let at = unsafe { realloc(self.0.as_ptr().cast(), old, new.size()) }.cast::<Header>();
        let Some(at) = NonNull::new(at) else { handle_alloc_error(new) };
        self.0 = at;
        // SAFETY: the header was moved with the bytes and nobody else points at it.
        unsafe { self.0.as_mut() }.capacity = new.size() - size_of::<Header>();
    }

    /// Gives the reference up as a pointer, to be taken back by [`Block::from_raw`] exactly once.
    pub(super) fn into_raw(self) -> *mut u8 {
        std::mem::ManuallyDrop::new(self).0.as_ptr().cast()
    }

    /// Takes a reference back.
    ///
    /// # Safety
    /// `at` came from [`Block::into_raw`], and each such pointer is taken back once (a [`ManuallyDrop`] of the result
    /// doesn't count).
    ///
    /// [`ManuallyDrop`]: std::mem::ManuallyDrop
    pub(super) unsafe fn from_raw(at: *mut u8) -> Block {
        // SAFETY: `into_raw` gave a pointer that is not null, by the caller's promise.
        Block(unsafe { NonNull::new_unchecked(at.cast()) })
    }
}

impl Drop for Block {
    #[expect(unsafe_code, reason = "the last owner frees")]
    fn drop(&mut self) {
        if self.header().refs.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // Everything that other owners did before they let go happens before the memory is reused.
        fence(Ordering::Acquire);
        let layout = layout_for(self.capacity());
        // SAFETY: this was the last reference, and the layout is the one it was allocated with.
        unsafe { dealloc(self.0.as_ptr().cast(), layout) };
    }
}

/// The layout for this much text. Rounding is idempotent, so a block's capacity gives back its own layout.
fn layout_for(capacity: usize) -> Layout {
    let size = size_class::rounded(size_of::<Header>().checked_add(capacity).expect("a value's length is bounded"));
    Layout::from_size_align(size, align_of::<Header>()).expect("a value's length is bounded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_block_is_copied_before_it_changes() {
        let mut a = Block::new(b"hello");
        let b = a.share();
        assert!(!a.is_sole());
        a.resize(7, false)[5..].copy_from_slice(b"!!");
        assert_eq!((a.bytes(), b.bytes()), (&b"hello!!"[..], &b"hello"[..]));
        assert!(a.is_sole() && b.is_sole());
    }

    #[test]
    fn growing_zeroes_and_keeps_room() {
        let mut a = Block::new(&[7; 100]);
        a.resize(50, false);
        assert_eq!(a.resize(60, true)[49..52], [7, 0, 0]);
        a.resize(1000, true);
        assert!(a.capacity() >= 2000);
        assert_eq!(a.bytes().iter().filter(|b| **b == 7).count(), 50);
        assert_eq!(a.footprint(), size_class::rounded(a.footprint()));
    }
}
