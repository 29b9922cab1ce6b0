//! A slab: pages that belong to one pool, with a head that tells all about them, at the start of the first. A page has
//! pieces of one size up to its end; which are free is written in the pieces themselves, and how long they are, whoever
//! has one knows.
//!
//! Slab and page are reached by the address of any piece. Heads are close together, so that a piece can be given back
//! without a far way. Who may touch them, their pool decides: nothing is locked here.

use std::ptr::NonNull;

/// Sizes of pieces and places in a page are counted in units of this many bytes.
pub(super) const UNIT_BYTES: usize = 8;
/// Largest piece. From here on the end of a page would waste as much as the allocator's own classes.
pub(super) const PIECE_BYTES_MAX: usize = 256;
/// Number of sizes, that of no units included.
pub(super) const SIZES: usize = PIECE_BYTES_MAX / UNIT_BYTES + 1;

/// Size and alignment of a slab.
pub(super) const SLAB_BYTES: usize = 64 << 10;
pub(super) const PAGE_BYTES: usize = 8 << 10;
const PAGES: usize = SLAB_BYTES / PAGE_BYTES;
const PAGE_UNITS: usize = PAGE_BYTES / UNIT_BYTES;
const HEAD_UNITS: usize = size_of::<Head>() / UNIT_BYTES;

const ALL_PAGES: u8 = u8::MAX;
/// No place of a piece.
const NONE: u16 = u16::MAX;

const _: () = assert!(PAGES == u8::BITS as usize && HEAD_UNITS * UNIT_BYTES == size_of::<Head>());
const _: () = assert!(size_of::<Head>() + PIECE_BYTES_MAX <= PAGE_BYTES && PAGE_UNITS < NONE as usize);

#[repr(C)]
struct Head {
    /// The pool that the slab belongs to. It doesn't change while a piece is in use.
    pool: *const (),
    /// Number of the chunk. It doesn't change either.
    chunk: u32,
    /// A bit for each page that is not in use.
    free: u8,
    pages: [PageState; PAGES],
}

struct PageState {
    /// The first free piece, which says in its first two bytes where the next one is; [`NONE`] behind the last.
    free: u16,
    /// Pieces in use.
    used: u16,
}

/// The address of a slab. Copying it grants nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slab(NonNull<Head>);

/// The address of a page. Copying it grants nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Page(NonNull<u8>);

/// Something in a chunk, in the order in which memory is to be filled: chunks by number, then by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ranked<T> {
    pub(super) chunk: u32,
    pub(super) it: T,
}

/// Units that a piece of this many bytes takes.
#[inline]
pub(super) const fn units_of(bytes: usize) -> usize {
    bytes.div_ceil(UNIT_BYTES)
}

#[inline]
fn masked(at: NonNull<u8>, align: usize) -> NonNull<u8> {
    NonNull::new(at.as_ptr().map_addr(|at| at & !(align - 1))).expect("nothing lies at address zero")
}

#[expect(unsafe_code, reason = "a head is reached by address")]
impl Slab {
    /// Makes a slab of raw memory, with no page in use.
    ///
    /// # Safety
    /// `at` is the address of [`SLAB_BYTES`] bytes, aligned likewise, that the caller owns.
    pub(super) unsafe fn format<P>(at: NonNull<u8>, pool: *const P, chunk: u32) -> Slab {
        let page = || PageState { free: NONE, used: 0 };
        let head = Head { pool: pool.cast(), chunk, free: ALL_PAGES, pages: std::array::from_fn(|_| page()) };
        // SAFETY: the caller owns the slab, which is longer than a head and aligned for one.
        unsafe { at.cast().write(head) };
        Slab(at.cast())
    }

    /// The slab of a piece.
    #[inline]
    pub(super) fn of(piece: NonNull<u8>) -> Slab {
        Slab(masked(piece, SLAB_BYTES).cast())
    }

    /// The address of its memory.
    pub(super) fn address(self) -> NonNull<u8> {
        self.0.cast()
    }

    /// The pool that [`Slab::format`] was told.
    ///
    /// # Safety
    /// The slab has a piece in use, or belongs to the caller. Others may change the rest of the head meanwhile.
    #[inline]
    pub(super) unsafe fn pool<P>(self) -> *const P {
        // SAFETY: the head is there, and nobody writes this part of it. No reference to the whole is made.
        unsafe { (&raw const (*self.0.as_ptr()).pool).read() }.cast()
    }

    /// Its rank, by the number of the chunk that [`Slab::format`] was told.
    ///
    /// # Safety
    /// As for [`Slab::pool`].
    #[inline]
    pub(super) unsafe fn ranked(self) -> Ranked<Slab> {
        // SAFETY: the head is there, and nobody writes this part of it. No reference to the whole is made.
        Ranked { chunk: unsafe { (&raw const (*self.0.as_ptr()).chunk).read() }, it: self }
    }

    /// The bits of the pages that are not in use.
    ///
    /// # Safety
    /// The slab was formatted, and the lock of its pool is held while the reference is used.
    unsafe fn free<'s>(self) -> &'s mut u8 {
        // SAFETY: the head is there, and this part of it is the caller's. No reference to the whole is made.
        unsafe { &mut (*self.0.as_ptr()).free }
    }

    /// Takes a page that is not in use, of which there must be one, for pieces of this many units, all of them free. Tells
    /// whether it was the last.
    ///
    /// # Safety
    /// The slab was formatted, and the lock of its pool is held.
    pub(super) unsafe fn take_page(self, units: usize) -> (Page, bool) {
        assert!((1..SIZES).contains(&units), "a piece has 1..={PIECE_BYTES_MAX} bytes");
        // SAFETY: by the caller's promise. Places of pieces lie inside the page, and behind the head in the first.
        unsafe {
            let free = self.free();
            let number = free.trailing_zeros() as usize;
            assert!(number < PAGES, "all pages are in use");
            *free &= *free - 1;
            let page = Page(self.address().add(number * PAGE_BYTES));
            // Pieces end with the page: then those whose size divides a cache line don't straddle two.
            let room = if number == 0 { PAGE_UNITS - HEAD_UNITS } else { PAGE_UNITS };
            let first = PAGE_UNITS - room / units * units;
            for place in (first..PAGE_UNITS).step_by(units) {
                let next = if place + units < PAGE_UNITS { (place + units) as u16 } else { NONE };
                page.piece(place as u16).cast::<u16>().write(next);
            }
            *page.state() = PageState { free: first as u16, used: 0 };
            (page, *free == 0)
        }
    }

    /// Takes a page back; tells whether all pages were in use before, and whether none is any more.
    ///
    /// # Safety
    /// The slab was formatted, the lock of its pool is held, and its [`Slab::take_page`] gave the page, which has no
    /// piece in use.
    pub(super) unsafe fn give_page(self, page: Page) -> (bool, bool) {
        let number = (page.0.addr().get() & (SLAB_BYTES - 1)) / PAGE_BYTES;
        // SAFETY: by the caller's promise.
        let free = unsafe { self.free() };
        let before = std::mem::replace(free, *free | 1 << number);
        (before == 0, *free == ALL_PAGES)
    }
}

#[expect(unsafe_code, reason = "pieces and their page's state are reached by address")]
impl Page {
    /// The page of a piece.
    #[inline]
    pub(super) fn of(piece: NonNull<u8>) -> Page {
        Page(masked(piece, PAGE_BYTES))
    }

    /// Its slab.
    #[inline]
    pub(super) fn slab(self) -> Slab {
        Slab::of(self.0)
    }

    /// Its rank.
    ///
    /// # Safety
    /// As for [`Slab::pool`], for its slab.
    #[inline]
    pub(super) unsafe fn ranked(self) -> Ranked<Page> {
        // SAFETY: by the caller's promise.
        Ranked { chunk: unsafe { self.slab().ranked() }.chunk, it: self }
    }

    /// Where its state lies.
    #[inline]
    pub(super) fn state_address(self) -> *mut u8 {
        let number = (self.0.addr().get() & (SLAB_BYTES - 1)) / PAGE_BYTES;
        let offset = std::mem::offset_of!(Head, pages) + number * size_of::<PageState>();
        masked(self.0, SLAB_BYTES).as_ptr().wrapping_add(offset)
    }

    /// Its state.
    ///
    /// # Safety
    /// The page is in use, the lock of its pool is held, and the reference is dropped before the next is made.
    #[inline]
    unsafe fn state<'p>(self) -> &'p mut PageState {
        // SAFETY: the slab has a head with this state, and it is the caller's.
        unsafe { &mut *self.state_address().cast() }
    }

    /// The piece at a place of the page.
    ///
    /// # Safety
    /// The place lies inside the page.
    #[inline]
    unsafe fn piece(self, place: u16) -> NonNull<u8> {
        // SAFETY: by the caller's promise.
        unsafe { self.0.add(usize::from(place) * UNIT_BYTES) }
    }

    /// Takes a free piece, of which there must be one, and tells whether it was the last.
    ///
    /// # Safety
    /// The page is in use, and the lock of its pool is held.
    #[inline]
    pub(super) unsafe fn take(self) -> (NonNull<u8>, bool) {
        // SAFETY: by the caller's promise; a place that `free` names is that of a piece that holds a link.
        unsafe {
            let state = self.state();
            assert!(state.free != NONE, "the page has no free piece");
            let piece = self.piece(state.free);
            state.free = piece.cast::<u16>().read();
            state.used += 1;
            (piece, state.free == NONE)
        }
    }

    /// Takes a piece back; tells whether none was free before, and whether none is in use any more.
    ///
    /// # Safety
    /// The page is in use, the lock of its pool is held, and `piece` came from its [`Page::take`] and is not used any
    /// more.
    #[inline]
    pub(super) unsafe fn give(self, piece: NonNull<u8>) -> (bool, bool) {
        // SAFETY: by the caller's promise; a piece has room for a link and is aligned for it.
        unsafe {
            let state = self.state();
            let place = ((piece.addr().get() & (PAGE_BYTES - 1)) / UNIT_BYTES) as u16;
            let before = std::mem::replace(&mut state.free, place);
            piece.cast::<u16>().write(before);
            state.used -= 1;
            (before == NONE, state.used == 0)
        }
    }
}
