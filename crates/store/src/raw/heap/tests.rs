//! Tests of the heap: what becomes of pieces, pages and slabs.

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

fn slab_bytes(heap: &Heap) -> usize {
    heap.0.pools.iter().map(|pool| pool.pieces.lock().slab_bytes).sum()
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
            prop_assert_eq!(slab_bytes(&heap) - heap.unused_bytes(), sum);
        }
        drop(pieces);
        prop_assert_eq!((slab_bytes(&heap), heap.unused_bytes()), (0, 0));
        prop_assert!(heap.0.chunks.lock().len() <= 1);
    }
}

#[test]
fn slabs_are_filled_to_the_end_and_used_again() {
    let heap = Heap::new();
    for (bytes, fit) in [(88, 92 + 7 * 93), (32, 254 + 7 * 256), (8, 1018 + 7 * 1024), (256, 31 + 7 * 32)] {
        let mut pieces: Vec<Filled> = (0..2 * fit).map(|n| Filled::new(heap.pool(0, 1), bytes, n as u8)).collect();
        assert_eq!(slab_bytes(&heap), 2 * SLAB_BYTES, "{fit} pieces of {bytes} bytes fit into a slab");
        (0..fit).for_each(|n| drop(pieces.swap_remove(n)));
        pieces.extend((0..fit).map(|n| Filled::new(heap.pool(0, 1), bytes, n as u8)));
        assert_eq!(slab_bytes(&heap), 2 * SLAB_BYTES, "{bytes}");
        pieces.clear();
        assert_eq!(slab_bytes(&heap), 0);
    }
}

#[test]
#[expect(unsafe_code, reason = "moves pieces")]
fn pieces_that_may_be_moved_let_a_sparse_pool_shrink() {
    let heap = Heap::new();
    let pool = heap.pool(0, 1);
    let count = if cfg!(miri) { 4000 } else { 60_000 };
    let bytes = |n: usize| if n.is_multiple_of(5) { 40 } else { 88 };
    let mut pieces: Vec<Filled> = (0..count).map(|n| Filled::new(pool, bytes(n), n as u8)).collect();
    let mut rng = baton_base::Rng::new(1);
    let mut used: usize = pieces.iter().map(|piece| rounded(piece.bytes)).sum();
    let mut peak = 0;
    while pieces.len() > count / 50 {
        let gone = pieces.swap_remove(rng.below(pieces.len() as u64) as usize);
        used -= rounded(gone.bytes);
        drop(gone);
        for _ in 0..if pool.is_sparse() { 40 } else { 0 } {
            let index = rng.below(pieces.len() as u64) as usize;
            let piece = &mut pieces[index];
            // SAFETY: the piece came from this pool for so many bytes, and has one owner.
            piece.at = unsafe { pool.moved(piece.at, piece.bytes) }.unwrap_or(piece.at);
        }
        peak = peak.max(slab_bytes(&heap) * 100 / (used + SLACK_BYTES));
    }
    assert!((150..350).contains(&peak), "{peak} % of what is in use, and some slack");
}

#[test]
#[expect(unsafe_code, reason = "gives pieces to other pools")]
fn pieces_that_were_given_to_another_pool_find_their_own() {
    let (heap, other) = (Heap::new(), Heap::new());
    let pools = [heap.pool(0, 2), heap.pool(1, 2), other.pool(0, 1)];
    let mut rng = baton_base::Rng::new(1);
    let mut pieces: Vec<NonNull<u8>> = Vec::new();
    for round in 0..if cfg!(miri) { 500 } else { 50_000 } {
        if rng.below(20_000) > round || pieces.is_empty() {
            pieces.push(pools[rng.below(3) as usize].allocate(120));
        } else {
            let piece = pieces.swap_remove(rng.below(pieces.len() as u64) as usize);
            // SAFETY: it came from one of the pools for so many bytes, and is given back once.
            unsafe { pools[rng.below(3) as usize].free(piece, 120) };
        }
    }
    // SAFETY: as above.
    pieces.drain(..).for_each(|piece| unsafe { pools[2].free(piece, 120) });
    // What lies ready in a pool that counts it as used by others goes back with the next piece of its own.
    for _ in 0..2 {
        // SAFETY: as above.
        pools.iter().for_each(|pool| unsafe { free(pool.allocate(120), 120) });
    }
    for heap in [heap, other] {
        assert_eq!((slab_bytes(&heap), heap.unused_bytes()), (0, 0));
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
