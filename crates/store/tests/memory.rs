//! What is deleted gives its memory back, in whatever order: what a store has beyond its entries stays in proportion, as
//! long as there are writes.

use std::sync::Arc;

use baton_base::{Rng, WallMs};
use baton_store::{DbIndex, Expire, Expiry, Store, StoreSettings};

const DB: DbIndex = DbIndex(0);
const NOW: WallMs = WallMs(1_000_000);
const KEYS: u64 = if cfg!(miri) { 2000 } else { 400_000 };

/// What a store may have unused at any time beyond twice what is in use: eight slabs of 64 KiB in each of 16 pools. A pool
/// begins to move entries when it has more than four such slabs, and does so while entries are still deleted.
const SLACK: u64 = 8 << 20;

fn name(n: u64) -> String {
    format!("key:{n:012}")
}

fn set(store: &Store, n: u64, value_bytes: usize, expire: Expire) {
    let name = name(n);
    let key = store.key(name.as_bytes());
    store.view(key.slot, DB, NOW, Expiry::Delete).set_str(&key, &[b'x'; 200][..value_bytes], expire);
}

fn remove(store: &Store, n: u64) {
    let name = name(n);
    let key = store.key(name.as_bytes());
    assert!(store.view(key.slot, DB, NOW, Expiry::Delete).remove(&key));
}

fn shuffled(rng: &mut Rng) -> Vec<u64> {
    let mut order: Vec<u64> = (0..KEYS).collect();
    (1..order.len()).rev().for_each(|i| order.swap(i, rng.below(i as u64 + 1) as usize));
    order
}

/// Bytes in use and unused.
fn bytes(store: &Store) -> (u64, u64) {
    let empty = Store::new(StoreSettings { databases: 1, seed: 3 }).memory_bytes(None);
    let used = store.memory_bytes(Some(DB));
    (used, store.memory_bytes(None) - used - empty)
}

fn full_store() -> Arc<Store> {
    let store = Arc::new(Store::new(StoreSettings { databases: 1, seed: 3 }));
    (0..KEYS).for_each(|n| set(&store, n, 20 + n as usize % 3 * 40, Expire::Never));
    let (used, unused) = bytes(&store);
    assert!(unused < used / 30 + SLACK / 2, "{unused} unused, {used} in use");
    store
}

#[test]
fn deleting_most_keys_gives_their_memory_back() {
    let store = full_store();
    let order = shuffled(&mut Rng::new(1));
    for (i, n) in order.iter().enumerate() {
        remove(&store, *n);
        if i % (order.len() / 40) == 0 {
            let (used, unused) = bytes(&store);
            assert!(unused < 2 * used + SLACK, "{unused} unused, {used} in use after {i} deletions");
        }
    }
    assert_eq!(bytes(&store), (0, 0));
}

#[test]
fn keys_that_change_their_size_leave_nothing_behind() {
    let store = full_store();
    let mut rng = Rng::new(2);
    for round in 0..4 {
        // All keys but a few take another size each time, so that those few would keep the pages of the size before.
        for n in shuffled(&mut rng) {
            if n % 25 > round {
                set(&store, n, 180 - 40 * round as usize, Expire::Never);
            }
        }
        let (used, unused) = bytes(&store);
        assert!(unused < 2 * used + SLACK, "{unused} unused, {used} in use in round {round}");
    }
}

#[test]
fn a_snapshot_sees_entries_that_are_moved_while_it_runs() {
    let store = full_store();
    let order = shuffled(&mut Rng::new(4));
    let (early, rest) = order.split_at(order.len() * 2 / 3);
    let (late, rest) = rest.split_at(rest.len() / 2);
    early.iter().for_each(|n| remove(&store, *n));
    let mut walker = store.snapshot().expect("no other is running");
    let mut seen = Vec::new();
    let mut gone = late.iter();
    while walker.step(64, NOW, &mut |item| seen.push(item.key.to_vec())) {
        gone.by_ref().take(64).for_each(|n| remove(&store, *n));
    }
    drop(walker);
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((count, seen.len()), (late.len() + rest.len(), count), "each entry of the cut is given once");
    let (used, unused) = bytes(&store);
    assert!(unused < 2 * used + SLACK, "{unused} unused, {used} in use");
    for n in rest {
        let name = name(*n);
        let key = store.key(name.as_bytes());
        assert!(store.view(key.slot, DB, NOW, Expiry::Delete).exists(&key));
    }
}

#[test]
fn expired_keys_give_their_memory_back() {
    let store = Arc::new(Store::new(StoreSettings { databases: 1, seed: 3 }));
    for n in 0..KEYS {
        let at = if n % 10 == 0 { Expire::Never } else { Expire::At(WallMs(NOW.0 + n)) };
        set(&store, n, 64, at);
    }
    let later = WallMs(NOW.0 + KEYS + 1000);
    for slot in baton_base::Slot::all() {
        while store.view(slot, DB, later, Expiry::Delete).expire_due(slot, 100).more {}
    }
    assert_eq!(store.len(DB), KEYS / 10);
    // Slots expire one after the other, so their rest was last met when others were full.
    (0..KEYS / 10).for_each(|n| set(&store, KEYS + n, 64, Expire::Never));
    let (used, unused) = bytes(&store);
    assert!(unused < 2 * used + SLACK, "{unused} unused, {used} in use");
}
