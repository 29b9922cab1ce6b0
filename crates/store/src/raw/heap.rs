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
//! What is unused stays bounded while there are writes. Memory is filled in the order of chunks and addresses. When a
//! pool has more than twice what is in use and [`SLACK_BYTES`], it is sparse, and whoever puts something in or gives
//! something back is to offer many other pieces that he can move: they go to the first free place before them, until
//! slabs at the end are empty.
//!
//! It must never know what lies in a piece.

use std::collections::BTreeSet;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crossbeam_utils::CachePadded;
use parking_lot::{Mutex, MutexGuard};

use super::chunks::Chunks;
use super::prefetch;
use super::slab::{PIECE_BYTES_MAX, Page, Ranked, SIZES, SLAB_BYTES, Slab, UNIT_BYTES, units_of};

/// Number of pools. Each may have a page that is partly free for each size of records there is.
const POOLS: usize = 16;

/// Pieces that lie ready in one pool, at most.
const READY_MAX: usize = 32;
/// Heads of slabs that are asked for before they are needed.
const HEADS_AHEAD: usize = 8;
/// Of pieces that lie ready there is at most one for this many bytes in use, as each may keep a page.
const READY_SHARE_BYTES: usize = 8 << 10;

/// What a pool may have beyond twice what is in use: some pages of each size that there may be.
const SLACK_BYTES: usize = 4 * SLAB_BYTES;

/// Some pools of memory, to be shared by all that may exchange records.
#[derive(Clone)]
pub(crate) struct Heap(Arc<Shared>);

struct Shared {
    pools: [CachePadded<Pool>; POOLS],
    /// Locked after a pool, if both are.
    chunks: Mutex<Chunks>,
    /// Bytes of all chunks. Written under their lock, read without.
    chunk_bytes: AtomicUsize,
}

struct Pool {
    heap: Weak<Shared>,
    /// Whether too much is unused. Written under the lock, read without.
    sparse: AtomicBool,
    /// Bytes of pieces in use; those that lie ready are not. A piece that lay ready in another pool than its own counts
    /// here where it was taken and given, so that this may be below zero for a while. Written under the lock, read without.
    used_bytes: AtomicIsize,
    pieces: Mutex<Pieces>,
}

/// What the lock of a pool protects, beside the state of all its pages.
struct Pieces {
    sizes: [Size; SIZES],
    /// Slabs with a page that is not in use.
    slabs: BTreeSet<Ranked<Slab>>,
    /// Pieces that lie ready, of all sizes.
    ready_count: usize,
    /// Bytes of all slabs.
    slab_bytes: usize,
}

/// What is to be done without the lock when pieces were given to their pages.
struct Returned {
    /// Slabs that became empty and were forgotten.
    empty: Vec<Slab>,
    /// Pieces of other pools, with their units.
    foreign: Vec<(NonNull<u8>, usize)>,
}

/// Pieces of one size that are not in use.
#[derive(Default)]
struct Size {
    /// The first piece that lies ready, which holds the address of the next.
    ready: Option<NonNull<u8>>,
    /// The page with a free piece that pieces are taken from.
    current: Option<Page>,
    /// Other pages with a free piece.
    open: BTreeSet<Ranked<Page>>,
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
            let pool = || Pool {
                heap: heap.clone(),
                sparse: AtomicBool::new(false),
                used_bytes: AtomicIsize::new(0),
                pieces: Mutex::new(Pieces::new()),
            };
            Shared {
                pools: std::array::from_fn(|_| CachePadded::new(pool())),
                chunks: Mutex::new(Chunks::default()),
                chunk_bytes: AtomicUsize::new(0),
            }
        }))
    }

    /// The pool for the `index`th of `count` things that are worked on one by one. Neighbours share a pool, so that
    /// memory comes back in whole pages when a range of them is given up.
    #[inline]
    pub(crate) fn pool(&self, index: usize, count: usize) -> PoolRef<'_> {
        debug_assert!(index < count, "no such thing");
        PoolRef { heap: &self.0, index: index * POOLS / count }
    }

    /// Bytes that the heap took from the allocator beyond those of pieces in use.
    pub(crate) fn idle_bytes(&self) -> usize {
        let used: isize = self.0.pools.iter().map(|pool| pool.used()).sum();
        self.0.chunk_bytes.load(Ordering::Relaxed).saturating_sub(used.max(0) as usize)
    }

    /// Bytes of memory in slabs beyond those of pieces in use.
    pub(crate) fn unused_bytes(&self) -> usize {
        let unused = |pool: &Pool| pool.pieces.lock().slab_bytes as isize - pool.used();
        let sum: isize = self.0.pools.iter().map(|pool| unused(pool)).sum();
        sum.max(0) as usize
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
        let pool = &self.heap.pools[self.index];
        let mut pieces = pool.pieces.lock();
        pool.count((units * UNIT_BYTES) as isize);
        if let Some(piece) = pieces.sizes[units].ready {
            // SAFETY: a piece that lies ready holds the address of the next.
            pieces.sizes[units].ready = unsafe { piece.cast().read() };
            pieces.ready_count -= 1;
            return piece;
        }
        let page = match pieces.sizes[units].current {
            Some(page) => page,
            None => self.next_page(&mut pieces, units),
        };
        // SAFETY: the current page is in use and has a free piece, and the pool's lock is held.
        unsafe { pieces.take_from(page, units) }
    }

    /// Makes the first page with a free piece of this size the current one, where there is none.
    /// Gives a piece back. It is best given to the pool that it came from, as [`free`] does, but where that is known the
    /// far way to the slab's head is not needed.
    ///
    /// # Safety
    /// As for [`free`].
    #[inline]
    pub(super) unsafe fn free(self, piece: NonNull<u8>, bytes: usize) {
        // SAFETY: by the caller's promise.
        drop(unsafe { self.heap.pools[self.index].take_back(piece, units_of(bytes)) });
    }

    #[cold]
    fn next_page(self, pieces: &mut Pieces, units: usize) -> Page {
        let page = match pieces.sizes[units].open.pop_first() {
            Some(page) => page.it,
            None => {
                let slab = match pieces.slabs.first() {
                    Some(slab) => slab.it,
                    None => self.open_slab(pieces),
                };
                // SAFETY: a slab of the pool's set has a page that is not in use, and the pool's lock is held.
                unsafe { pieces.open_page(slab, units) }
            }
        };
        pieces.sizes[units].current = Some(page);
        page
    }

    fn open_slab(self, pieces: &mut Pieces) -> Slab {
        let (at, chunk) = self.heap.take_slab();
        // Each slab owns a reference to the heap, so that its pieces can be given back at any time.
        let heap = Arc::into_raw(self.heap.clone());
        // SAFETY: the slab was just taken from its chunk, and the heap is alive.
        let slab = unsafe {
            let pool: *const Pool = &raw const *(&(*heap).pools)[self.index];
            Slab::format(at, pool, chunk)
        };
        pieces.slab_bytes += SLAB_BYTES;
        pieces.slabs.insert(Ranked { chunk, it: slab });
        slab
    }

    /// Whether too much of the pool's memory is unused, so that [`PoolRef::moved`] should be called for pieces that can be
    /// moved.
    #[inline]
    pub(super) fn is_sparse(self) -> bool {
        self.heap.pools[self.index].sparse.load(Ordering::Relaxed)
    }

    /// Moves a piece with its contents to a free place before it, if there is one; gives the new address, and the old one
    /// is not used any more then.
    ///
    /// # Safety
    /// `piece` came from [`PoolRef::allocate`] for a number of bytes that is [`rounded`] to the same as `bytes`; only the
    /// caller uses it.
    pub(super) unsafe fn moved(self, piece: NonNull<u8>, bytes: usize) -> Option<NonNull<u8>> {
        let (units, pool) = (units_of(bytes), &self.heap.pools[self.index]);
        // SAFETY: the slab of a piece in use is there.
        if !std::ptr::eq(unsafe { Slab::of(piece).pool::<Pool>() }, &raw const **pool) {
            return None;
        }
        let mut pieces = pool.pieces.lock();
        // SAFETY: as above. Pages of the pool's set are in use and have a free piece, and the lock is held. Both pieces
        // have as many units, and they are different, as they lie in different pages.
        unsafe {
            let from = Page::of(piece).ranked();
            let target = match pieces.sizes[units].open.first() {
                Some(page) if *page < from => page.it,
                _ => {
                    let slab = *pieces.slabs.first()?;
                    if slab >= from.it.slab().ranked() {
                        return None;
                    }
                    let page = pieces.open_page(slab.it, units);
                    pieces.sizes[units].open.insert(page.ranked());
                    page
                }
            };
            let to = pieces.take_from(target, units);
            to.copy_from_nonoverlapping(piece, units * UNIT_BYTES);
            let empty = pieces.give_back(piece, units);
            pool.note(&pieces);
            drop(pool.give_up(pieces, empty.into_iter().collect()));
            Some(to)
        }
    }
}

/// Gives a piece back.
///
/// # Safety
/// `piece` came from [`PoolRef::allocate`] for a number of bytes that is [`rounded`] to the same as `bytes`, and is not
/// used any more.
#[expect(unsafe_code, reason = "slabs are reached by address")]
pub(super) unsafe fn free(piece: NonNull<u8>, bytes: usize) {
    // SAFETY: the slab of a piece in use owns a reference to the heap with its pool.
    let pool = unsafe { &*Slab::of(piece).pool::<Pool>() };
    // SAFETY: by the caller's promise. What is given is dropped here, when no call has the pool as an argument.
    drop(unsafe { pool.take_back(piece, units_of(bytes)) });
}

#[expect(unsafe_code, reason = "slabs are reached by address")]
impl Pool {
    /// Lets a piece lie ready, and gives all that do to their pages when they are many. As for [`Pool::give_up`], the
    /// caller drops what it is given.
    ///
    /// # Safety
    /// `piece` has so many units, came from this pool or another, and is not used any more.
    #[inline]
    unsafe fn take_back(&self, piece: NonNull<u8>, units: usize) -> Option<Arc<Shared>> {
        let mut pieces = self.pieces.lock();
        self.count(-((units * UNIT_BYTES) as isize));
        let next = pieces.sizes[units].ready.replace(piece);
        // SAFETY: the piece is not used; it is aligned to 8 and at least as long as an address.
        unsafe { piece.cast().write(next) };
        pieces.ready_count += 1;
        if pieces.ready_count <= READY_MAX.min(self.used().max(0) as usize / READY_SHARE_BYTES) {
            return None;
        }
        // SAFETY: the lock is the one of this pool.
        let Returned { empty, foreign } = unsafe { pieces.return_ready(self) };
        self.note(&pieces);
        // SAFETY: the pool has forgotten these slabs, and nobody uses these pieces.
        unsafe {
            let heap = self.give_up(pieces, empty);
            foreign.into_iter().for_each(|(piece, units)| free(piece, units * UNIT_BYTES));
            heap
        }
    }

    /// Bytes of pieces in use.
    #[inline]
    fn used(&self) -> isize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Counts bytes that are in use now, or not any more. The lock is held.
    #[inline]
    fn count(&self, bytes: isize) {
        self.used_bytes.store(self.used() + bytes, Ordering::Relaxed);
    }

    /// Notes whether too much is unused.
    fn note(&self, pieces: &Pieces) {
        let is_sparse = pieces.slab_bytes > 2 * self.used().max(0) as usize + SLACK_BYTES;
        self.sparse.store(is_sparse, Ordering::Relaxed);
    }

    /// Unlocks the pool and gives slabs back to their chunks. Their references to the heap may be the last: the one that
    /// is given keeps the pool until the caller is done with it.
    ///
    /// # Safety
    /// The pool has forgotten these slabs, and they have no piece in use.
    unsafe fn give_up(&self, pieces: MutexGuard<'_, Pieces>, slabs: Vec<Slab>) -> Option<Arc<Shared>> {
        if slabs.is_empty() {
            return None;
        }
        let heap = self.heap.upgrade().expect("the slabs keep it");
        drop(pieces);
        // SAFETY: by the caller's promise, nobody else knows these slabs.
        unsafe { heap.close_slabs(&slabs) };
        Some(heap)
    }
}

#[expect(unsafe_code, reason = "slabs and pages are reached by address")]
impl Pieces {
    fn new() -> Pieces {
        let sizes = std::array::from_fn(|_| Size::default());
        Pieces { sizes, slabs: BTreeSet::new(), ready_count: 0, slab_bytes: 0 }
    }

    /// Takes a piece from a page.
    ///
    /// # Safety
    /// These are the pieces of a pool whose lock is held, and the page is one of those with a free piece of this size.
    #[inline]
    unsafe fn take_from(&mut self, page: Page, units: usize) -> NonNull<u8> {
        // SAFETY: by the caller's promise.
        let (piece, was_last) = unsafe { page.take() };
        if was_last {
            let size = &mut self.sizes[units];
            if size.current == Some(page) {
                size.current = None;
            } else {
                // SAFETY: by the caller's promise, the page is in use.
                size.open.remove(&unsafe { page.ranked() });
            }
        }
        piece
    }

    /// Takes a page for pieces of this size from a slab. It is in no set yet.
    ///
    /// # Safety
    /// These are the pieces of a pool whose lock is held, and the slab is one of those with a page that is not in use.
    unsafe fn open_page(&mut self, slab: Slab, units: usize) -> Page {
        // SAFETY: by the caller's promise.
        unsafe {
            let (page, was_last) = slab.take_page(units);
            if was_last {
                self.slabs.remove(&slab.ranked());
            }
            page
        }
    }

    /// Gives the pieces that lie ready to their pages.
    ///
    /// # Safety
    /// These are the pieces of this pool, whose lock is held.
    #[inline(never)]
    unsafe fn return_ready(&mut self, own: &Pool) -> Returned {
        let mut ready = [(NonNull::dangling(), 0); READY_MAX + 1];
        let mut count = 0;
        for (units, size) in self.sizes.iter_mut().enumerate() {
            while let Some(piece) = size.ready {
                // SAFETY: a piece that lies ready holds the address of the next.
                size.ready = unsafe { piece.cast().read() };
                ready[count] = (piece, units);
                count += 1;
            }
        }
        self.ready_count = 0;
        let head = |(piece, _): &(NonNull<u8>, usize)| prefetch::line(Slab::of(*piece).address().as_ptr());
        // Heads lie so that few of them fit into a cache at once.
        ready[..count].iter().take(HEADS_AHEAD).for_each(head);
        let mut out = Returned { empty: Vec::new(), foreign: Vec::new() };
        for (i, &(piece, units)) in ready[..count].iter().enumerate() {
            ready[..count].get(i + HEADS_AHEAD).into_iter().for_each(head);
            // SAFETY: the slab of a piece that was not given back is there; the lock of its pool is held if it is `own`.
            unsafe {
                if std::ptr::eq(Slab::of(piece).pool::<Pool>(), own) {
                    out.empty.extend(self.give_back(piece, units));
                } else {
                    // It was counted out here, and will be where it came from.
                    own.count((units * UNIT_BYTES) as isize);
                    out.foreign.push((piece, units));
                }
            }
        }
        out
    }

    /// Gives a piece to its page; gives the slab, forgotten, if that became empty.
    ///
    /// # Safety
    /// These are the pieces of a pool whose lock is held; the piece came from [`Pieces::take_from`] and is not used any
    /// more.
    unsafe fn give_back(&mut self, piece: NonNull<u8>, units: usize) -> Option<Slab> {
        let (page, size) = (Page::of(piece), &mut self.sizes[units]);
        // SAFETY: by the caller's promise, the page of the piece is in use.
        let (was_full, is_empty) = unsafe { page.give(piece) };
        if is_empty {
            if size.current == Some(page) {
                size.current = None;
            } else {
                // SAFETY: as above.
                size.open.remove(&unsafe { page.ranked() });
            }
            // SAFETY: the page has no piece in use, and no set knows it any more.
            return unsafe { self.close_page(page) };
        }
        if was_full {
            // SAFETY: as above.
            size.open.insert(unsafe { page.ranked() });
        }
        None
    }

    /// Gives a page back to its slab; gives the slab, forgotten, if that became empty.
    ///
    /// # Safety
    /// These are the pieces of a pool whose lock is held. The page was opened by it, has no piece in use, and is in no set.
    #[cold]
    unsafe fn close_page(&mut self, page: Page) -> Option<Slab> {
        let slab = page.slab();
        // SAFETY: by the caller's promise.
        let ((was_full, is_empty), ranked) = unsafe { (slab.give_page(page), slab.ranked()) };
        if was_full {
            self.slabs.insert(ranked);
        }
        if is_empty {
            self.slabs.remove(&ranked);
            self.slab_bytes -= SLAB_BYTES;
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
                chunks.give(slab.address(), slab.ranked().chunk);
                Arc::decrement_strong_count(Arc::as_ptr(self));
            }
        }
        self.chunk_bytes.store(chunks.bytes(), Ordering::Relaxed);
    }

    /// A slab with undefined contents, and the number of its chunk.
    fn take_slab(&self) -> (NonNull<u8>, u32) {
        let mut chunks = self.chunks.lock();
        let taken = chunks.take();
        self.chunk_bytes.store(chunks.bytes(), Ordering::Relaxed);
        taken
    }
}

#[cfg(test)]
mod tests;
