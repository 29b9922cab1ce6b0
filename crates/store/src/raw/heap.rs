//! The heap: where small records lie, without what the allocator's classes of 16 bytes and more would waste on them.
//!
//! ```text
//! chunk (1 MiB, from the allocator) > slab (64 KiB, of one pool) > page (8 KiB, of one size) > piece (8, 16, ... bytes)
//! ```
//!
//! A heap has some pools, each with a lock of its own that is held for a few instructions, so that threads that work on
//! different slots rarely meet. A piece is given back from any thread, without knowing its heap: its slab tells. It lies
//! ready for the next who wants one of its size, and goes back to its page together with others: what is told of a page
//! that was not touched for long is far away, and many are fetched in the time of one. Pages and slabs without a piece
//! in use are free at once for other sizes and pools. The heap lives as long as it has an owner or a piece in use.
//!
//! It must never know what lies in a piece.

use std::collections::BTreeSet;
use std::ptr::NonNull;
use std::sync::{Arc, Weak};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::chunks::Chunks;
use super::prefetch;
use super::slab::{PAGE_BYTES, PIECE_BYTES_MAX, Page, SIZES, Slab, UNIT_BYTES, units_of};

/// Number of pools. Each may have a page that is partly free for each size of records there is.
const POOLS: usize = 16;

/// Pieces that lie ready in one pool, at most.
const READY_MAX: usize = 32;
/// Of pieces that lie ready there is at most one for this many bytes in use, as each may keep a page.
const READY_SHARE_BYTES: usize = PAGE_BYTES;

/// Some pools of memory, to be shared by all that may exchange records.
#[derive(Clone)]
pub(crate) struct Heap(Arc<Shared>);

struct Shared {
    pools: [CachePadded<Pool>; POOLS],
    /// Locked after a pool, if both are.
    chunks: Mutex<Chunks>,
}

struct Pool {
    heap: Weak<Shared>,
    pieces: Mutex<Pieces>,
}

/// What the lock of a pool protects, beside the state of all its pages.
struct Pieces {
    sizes: [Size; SIZES],
    /// Slabs with a page that is not in use.
    slabs: BTreeSet<Slab>,
    /// Pieces that lie ready, of all sizes.
    ready_count: usize,
    /// Bytes of pages in use.
    page_bytes: usize,
    /// Bytes of pieces in use; those that lie ready are not.
    used_bytes: usize,
}

/// Pieces of one size that are not in use.
#[derive(Clone, Copy)]
struct Size {
    /// The first piece that lies ready, which holds the address of the next.
    ready: Option<NonNull<u8>>,
    /// Pages with a free piece.
    open: Option<Page>,
}

/// One pool of a heap.
#[derive(Clone, Copy)]
pub(crate) struct PoolRef<'h> {
    heap: &'h Arc<Shared>,
    index: usize,
}

// SAFETY: pieces that lie ready and pages are reached under the lock of their pool only, and don't depend on a thread.
#[expect(unsafe_code, reason = "a pool owns what it points at")]
unsafe impl Send for Pieces {}

impl Heap {
    /// A heap without memory.
    pub(crate) fn new() -> Heap {
        Heap(Arc::new_cyclic(|heap| {
            let pool = || Pool { heap: heap.clone(), pieces: Mutex::new(Pieces::new()) };
            Shared { pools: std::array::from_fn(|_| CachePadded::new(pool())), chunks: Mutex::new(Chunks::default()) }
        }))
    }

    /// The pool for the `index`th of `count` things that are worked on one by one. Neighbours share a pool, so that
    /// memory comes back in whole pages when a range of them is given up.
    #[inline]
    pub(crate) fn pool(&self, index: usize, count: usize) -> PoolRef<'_> {
        debug_assert!(index < count, "no such thing");
        PoolRef { heap: &self.0, index: index * POOLS / count }
    }

    /// Bytes of memory in pages beyond those of pieces in use.
    pub(crate) fn unused_bytes(&self) -> usize {
        let unused = |pieces: &Pieces| pieces.page_bytes - pieces.used_bytes;
        self.0.pools.iter().map(|pool| unused(&pool.pieces.lock())).sum()
    }
}

/// Whether so many bytes come from a heap. More come from the allocator.
#[inline]
pub(super) const fn has(bytes: usize) -> bool {
    bytes <= PIECE_BYTES_MAX
}

/// The size of the piece for so many bytes.
#[inline]
pub(super) const fn rounded(bytes: usize) -> usize {
    units_of(bytes) * UNIT_BYTES
}

#[expect(unsafe_code, reason = "pages are reached by address")]
impl PoolRef<'_> {
    /// A piece of this many bytes, of which there is one at least and [`has`] says yes to all. It is aligned to 8.
    #[inline]
    pub(super) fn allocate(self, bytes: usize) -> NonNull<u8> {
        let units = units_of(bytes);
        let mut pieces = self.heap.pools[self.index].pieces.lock();
        pieces.used_bytes += units * UNIT_BYTES;
        if let Some(piece) = pieces.sizes[units].ready {
            // SAFETY: a piece that lies ready holds the address of the next.
            pieces.sizes[units].ready = unsafe { piece.cast().read() };
            pieces.ready_count -= 1;
            return piece;
        }
        let page = match pieces.sizes[units].open {
            Some(page) => page,
            None => self.open_page(&mut pieces, units),
        };
        // SAFETY: the page is in its pool's list, hence formatted and with a free piece, and the pool's lock is held.
        unsafe {
            let (piece, was_last) = page.take();
            if was_last {
                page.unlink(&mut pieces.sizes[units].open);
            }
            piece
        }
    }

    #[cold]
    fn open_page(self, pieces: &mut Pieces, units: usize) -> Page {
        let slab = pieces.slabs.first().copied().unwrap_or_else(|| self.open_slab(pieces));
        pieces.page_bytes += PAGE_BYTES;
        // SAFETY: a slab of the pool's set has a page that is not in use, and the pool's lock is held.
        unsafe {
            let (page, was_last) = slab.take_page(units);
            if was_last {
                pieces.slabs.remove(&slab);
            }
            page.link(&mut pieces.sizes[units].open);
            page
        }
    }

    fn open_slab(self, pieces: &mut Pieces) -> Slab {
        let (at, chunk) = self.heap.chunks.lock().take();
        // Each slab owns a reference to the heap, so that its pieces can be given back at any time.
        let heap = Arc::into_raw(self.heap.clone());
        // SAFETY: the slab was just taken from its chunk, and the heap is alive.
        let slab = unsafe {
            let pool: *const Pool = &raw const *(&(*heap).pools)[self.index];
            Slab::format(at, pool, chunk)
        };
        pieces.slabs.insert(slab);
        slab
    }
}

/// Gives a piece back.
///
/// # Safety
/// `piece` came from [`PoolRef::allocate`] for a number of bytes that is [`rounded`] to the same as `bytes`, and is not
/// used any more.
#[expect(unsafe_code, reason = "pages are reached by address")]
#[inline]
pub(super) unsafe fn free(piece: NonNull<u8>, bytes: usize) {
    let units = units_of(bytes);
    // SAFETY: the slab of a piece in use owns a reference to the heap with its pool.
    let pool = unsafe { &*Slab::of(piece).pool::<Pool>() };
    let mut pieces = pool.pieces.lock();
    pieces.used_bytes -= units * UNIT_BYTES;
    let next = pieces.sizes[units].ready.replace(piece);
    // SAFETY: the piece belongs to the pool again; it is aligned to 8 and at least as long as an address.
    unsafe { piece.cast().write(next) };
    pieces.ready_count += 1;
    if pieces.ready_count > READY_MAX.min(pieces.used_bytes / READY_SHARE_BYTES) {
        // SAFETY: the lock is the one of this pool.
        let empty = unsafe { pieces.return_ready() };
        if !empty.is_empty() {
            // The slabs may own the last references to the heap: they are given up when the lock is free.
            let heap = pool.heap.upgrade().expect("the slabs keep it");
            drop(pieces);
            // SAFETY: the pool has forgotten these slabs, and they have no piece in use, so nobody else knows them.
            unsafe { heap.close_slabs(&empty) };
        }
    }
}

impl Pieces {
    const fn new() -> Pieces {
        let size = Size { ready: None, open: None };
        Pieces { sizes: [size; SIZES], slabs: BTreeSet::new(), ready_count: 0, page_bytes: 0, used_bytes: 0 }
    }

    /// Gives the pieces that lie ready to their pages, and forgets slabs that became empty, which are the caller's then.
    ///
    /// # Safety
    /// These are the pieces of a pool whose lock is held.
    #[expect(unsafe_code, reason = "pages are reached by address")]
    #[inline(never)]
    unsafe fn return_ready(&mut self) -> Vec<Slab> {
        let mut returned = [(NonNull::dangling(), 0); READY_MAX + 1];
        let mut count = 0;
        for (units, size) in self.sizes.iter_mut().enumerate() {
            while let Some(piece) = size.ready {
                // SAFETY: a piece that lies ready holds the address of the next.
                size.ready = unsafe { piece.cast().read() };
                prefetch::line(Page::of(piece).state_address());
                returned[count] = (piece, units);
                count += 1;
            }
        }
        self.ready_count = 0;
        let mut empty = Vec::new();
        for &(piece, units) in &returned[..count] {
            let (page, open) = (Page::of(piece), &mut self.sizes[units].open);
            // SAFETY: the lock is held, and the piece came from its page. A page with a free piece is in the list of its
            // size, until it has no piece in use and is in none.
            unsafe {
                let (was_full, is_empty) = page.give(piece);
                if was_full {
                    page.link(open);
                }
                if is_empty {
                    page.unlink(open);
                    empty.extend(self.close_page(Slab::of(piece), page));
                }
            }
        }
        empty
    }

    /// Gives a page back to its slab; gives the slab, forgotten, if that became empty.
    ///
    /// # Safety
    /// The pool of these pieces is locked, and the page of this slab has no piece in use and is in no list.
    #[expect(unsafe_code, reason = "slabs are reached by address")]
    #[cold]
    unsafe fn close_page(&mut self, slab: Slab, page: Page) -> Option<Slab> {
        self.page_bytes -= PAGE_BYTES;
        // SAFETY: by the caller's promise.
        let (was_full, is_empty) = unsafe { slab.give_page(page) };
        if was_full {
            self.slabs.insert(slab);
        }
        if is_empty {
            self.slabs.remove(&slab);
        }
        is_empty.then_some(slab)
    }
}

impl Shared {
    /// Gives slabs back to their chunks, with the references to this heap that they own.
    ///
    /// # Safety
    /// The slabs are those of this heap, and nobody else knows them.
    #[expect(unsafe_code, reason = "gives up what slabs own")]
    #[cold]
    unsafe fn close_slabs(self: &Arc<Shared>, slabs: &[Slab]) {
        let mut chunks = self.chunks.lock();
        for slab in slabs {
            // SAFETY: by the caller's promise; the reference was made by `open_slab`, and isn't the last.
            unsafe {
                chunks.give(slab.address(), slab.chunk());
                Arc::decrement_strong_count(Arc::as_ptr(self));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A piece that is filled with a byte of its own.
    #[derive(Debug)]
    struct Filled {
        at: NonNull<u8>,
        bytes: usize,
        with: u8,
    }

    // SAFETY: a piece may be given back from any thread.
    #[expect(unsafe_code, reason = "a piece belongs to whoever has its address")]
    unsafe impl Send for Filled {}

    impl Filled {
        #[expect(unsafe_code, reason = "fills a piece")]
        fn new(pool: PoolRef<'_>, bytes: usize, with: u8) -> Filled {
            let at = pool.allocate(bytes);
            // SAFETY: the piece has this many bytes and belongs to nobody else.
            unsafe { at.write_bytes(with, bytes) };
            Filled { at, bytes, with }
        }
    }

    impl Drop for Filled {
        #[expect(unsafe_code, reason = "reads a piece and gives it back")]
        fn drop(&mut self) {
            // SAFETY: all bytes were written by `new`, and the piece is given back once.
            unsafe {
                let text = std::slice::from_raw_parts(self.at.as_ptr(), self.bytes);
                assert!(text.iter().all(|byte| *byte == self.with), "somebody else wrote into the piece");
                free(self.at, self.bytes);
            }
        }
    }

    fn page_bytes(heap: &Heap) -> usize {
        heap.0.pools.iter().map(|pool| pool.pieces.lock().page_bytes).sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 3 } else { 60 }, ..ProptestConfig::default() })]
        #[test]
        fn pieces_never_overlap_and_all_memory_comes_back(
            steps in prop::collection::vec((any::<prop::sample::Index>(), 1..=PIECE_BYTES_MAX, 0..10u8), 1..1500),
            grow in 3..9u8,
        ) {
            let heap = Heap::new();
            // The twin: from where to where memory is in use.
            let mut used: BTreeMap<usize, usize> = BTreeMap::new();
            let mut pieces: Vec<Filled> = Vec::new();
            for (i, (index, bytes, choice)) in steps.into_iter().enumerate() {
                if choice < grow {
                    let bytes = if choice < 3 { 88 } else { bytes };
                    let piece = Filled::new(heap.pool(index.index(4), 4), bytes, i as u8);
                    let (from, to) = (piece.at.addr().get(), piece.at.addr().get() + bytes);
                    prop_assert!(from.is_multiple_of(8));
                    prop_assert!(used.range(..to).next_back().is_none_or(|(_, end)| *end <= from), "overlaps");
                    used.insert(from, to);
                    pieces.push(piece);
                } else if !pieces.is_empty() {
                    let piece = pieces.swap_remove(index.index(pieces.len()));
                    used.remove(&piece.at.addr().get());
                }
                let sum: usize = pieces.iter().map(|piece| rounded(piece.bytes)).sum();
                prop_assert_eq!(page_bytes(&heap) - heap.unused_bytes(), sum);
            }
            drop(pieces);
            prop_assert_eq!((page_bytes(&heap), heap.unused_bytes()), (0, 0));
            prop_assert!(heap.0.chunks.lock().len() <= 1);
        }
    }

    #[test]
    fn pages_are_filled_to_the_end_and_used_again() {
        let heap = Heap::new();
        for (bytes, fit) in [(88, 90), (32, 249), (8, 998), (256, 31)] {
            let mut pieces: Vec<Filled> = (0..3 * fit).map(|n| Filled::new(heap.pool(0, 1), bytes, n as u8)).collect();
            assert_eq!(page_bytes(&heap), 3 * PAGE_BYTES, "{fit} pieces of {bytes} bytes fit into a page");
            // One free piece in each page; they are used before another page is opened.
            (0..3).for_each(|n| drop(pieces.swap_remove(n * fit)));
            pieces.extend((0..3).map(|n| Filled::new(heap.pool(0, 1), bytes, n)));
            assert_eq!(page_bytes(&heap), 3 * PAGE_BYTES);
            pieces.truncate(fit / 2);
            assert!(page_bytes(&heap) <= 2 * PAGE_BYTES);
            pieces.clear();
            assert_eq!(page_bytes(&heap), 0);
        }
    }

    #[test]
    fn a_piece_outlives_its_heap_and_is_given_back_anywhere() {
        let heap = Heap::new();
        let count = if cfg!(miri) { 60 } else { 20_000 };
        std::thread::scope(|scope| {
            let (give, take) = std::sync::mpsc::sync_channel(100);
            for seed in 0..3 {
                let (heap, give) = (heap.clone(), give.clone());
                scope.spawn(move || {
                    for n in 0..count {
                        let piece = Filled::new(heap.pool(n % 3, 3), 1 + (n * 7 + seed) % PIECE_BYTES_MAX, n as u8);
                        give.send(piece).expect("the other thread takes all");
                    }
                });
            }
            drop((heap, give));
            let mut kept = Vec::new();
            for (n, piece) in take.into_iter().enumerate() {
                kept.push(piece);
                if n % 3 == 0 {
                    kept.swap_remove((n / 3) % kept.len());
                }
            }
        });
    }
}
