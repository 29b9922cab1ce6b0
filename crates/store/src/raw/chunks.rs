//! Slabs of 64 KiB for the heap, cut from chunks of 16 that come from the allocator: it could align single ones to their
//! size only by leaving as much unused between them.
//!
//! A slab is taken from the oldest chunk that has one, so that younger ones can become empty; an empty chunk is given
//! back unless it is the only one with free slabs. It never looks into a slab.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::collections::BTreeSet;
use std::ptr::NonNull;

use super::slab::SLAB_BYTES;

/// Slabs of a chunk: as many as its word has bits.
const CHUNK_SLABS: usize = 16;

const ALL_FREE: u16 = u16::MAX;

/// The chunks of one heap.
#[derive(Default)]
pub(super) struct Chunks {
    /// Chunks by number; none where one was given back.
    chunks: Vec<Option<Chunk>>,
    /// Numbers of the chunks with a free slab.
    open: BTreeSet<u32>,
    /// Numbers that belong to no chunk.
    vacant: BTreeSet<u32>,
}

struct Chunk {
    base: NonNull<u8>,
    /// A bit for each free slab.
    free: u16,
}

// SAFETY: a chunk is plain memory that whoever owns `Chunks` owns, slabs that are in use aside.
#[expect(unsafe_code, reason = "the chunks own what they point at")]
unsafe impl Send for Chunks {}

#[expect(unsafe_code, reason = "allocates chunks and reaches slabs by address")]
impl Chunks {
    const LAYOUT: Layout = match Layout::from_size_align(CHUNK_SLABS * SLAB_BYTES, SLAB_BYTES) {
        Ok(layout) => layout,
        Err(_) => panic!("a chunk is small"),
    };

    /// A slab with undefined contents, and the number of its chunk.
    pub(super) fn take(&mut self) -> (NonNull<u8>, u32) {
        let number = self.open.first().copied().unwrap_or_else(|| self.add());
        let chunk = self.chunk(number);
        let place = chunk.free.trailing_zeros() as usize;
        chunk.free &= chunk.free - 1;
        // SAFETY: an open chunk has a free slab, so the place is below `CHUNK_SLABS`.
        let slab = unsafe { chunk.base.add(place * SLAB_BYTES) };
        if chunk.free == 0 {
            self.open.remove(&number);
        }
        (slab, number)
    }

    /// Takes a slab back.
    ///
    /// # Safety
    /// [`Chunks::take`] of the same chunks gave this slab and this number, and the slab is not used any more.
    pub(super) unsafe fn give(&mut self, slab: NonNull<u8>, number: u32) {
        let chunk = self.chunk(number);
        let place = (slab.addr().get() - chunk.base.addr().get()) / SLAB_BYTES;
        debug_assert!(place < CHUNK_SLABS && chunk.free >> place & 1 == 0, "the slab was in use");
        chunk.free |= 1 << place;
        let is_empty = chunk.free == ALL_FREE;
        self.open.insert(number);
        if is_empty && self.open.len() > 1 {
            self.free(number);
        }
    }

    fn chunk(&mut self, number: u32) -> &mut Chunk {
        self.chunks[number as usize].as_mut().expect("the chunk has a slab in use, or a free one")
    }

    fn add(&mut self) -> u32 {
        // SAFETY: the layout's size is not zero.
        let base = unsafe { alloc(Chunks::LAYOUT) };
        let Some(base) = NonNull::new(base) else { handle_alloc_error(Chunks::LAYOUT) };
        let number = self.vacant.pop_first().unwrap_or_else(|| {
            self.chunks.push(None);
            u32::try_from(self.chunks.len() - 1).expect("no memory holds 2^32 chunks")
        });
        self.chunks[number as usize] = Some(Chunk { base, free: ALL_FREE });
        self.open.insert(number);
        number
    }

    fn free(&mut self, number: u32) {
        let chunk = self.chunks[number as usize].take().expect("the chunk is there");
        self.open.remove(&number);
        self.vacant.insert(number);
        // SAFETY: the chunk was allocated with this layout, all its slabs were given back, and its address is forgotten.
        unsafe { dealloc(chunk.base.as_ptr(), Chunks::LAYOUT) };
    }

    /// Bytes of all chunks.
    pub(super) fn bytes(&self) -> usize {
        self.len() * CHUNK_SLABS * SLAB_BYTES
    }

    /// Number of chunks.
    pub(super) fn len(&self) -> usize {
        self.chunks.len() - self.vacant.len()
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        for number in 0..self.chunks.len() {
            if let Some(chunk) = &self.chunks[number] {
                assert!(chunk.free == ALL_FREE, "whoever has a slab keeps the chunks");
                self.free(number as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "gives slabs back")]
    fn empty_chunks_are_given_back_and_old_ones_filled_first() {
        let mut chunks = Chunks::default();
        let slabs: Vec<_> = (0..3 * CHUNK_SLABS).map(|_| chunks.take()).collect();
        assert_eq!(chunks.len(), 3);
        assert!(slabs.iter().all(|(slab, _)| slab.addr().get() % SLAB_BYTES == 0));
        assert_eq!(slabs.iter().map(|(slab, _)| slab).collect::<BTreeSet<_>>().len(), slabs.len());
        for &(slab, number) in &slabs[CHUNK_SLABS - 1..] {
            // SAFETY: it was taken above and nobody uses it.
            unsafe { chunks.give(slab, number) };
        }
        assert_eq!(chunks.len(), 1, "one chunk is in use and has a free slab");
        assert_eq!(chunks.take(), slabs[CHUNK_SLABS - 1]);
        let (slab, number) = chunks.take();
        assert_eq!(number, 1, "a number is used again");
        // SAFETY: as above.
        unsafe { chunks.give(slab, number) };
        assert_eq!(chunks.len(), 2, "the only chunk with free slabs stays");
        for &(slab, number) in &slabs[..CHUNK_SLABS] {
            // SAFETY: as above.
            unsafe { chunks.give(slab, number) };
        }
        assert_eq!(chunks.len(), 1);
    }
}
