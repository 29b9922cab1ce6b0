//! Rounds over the keys with an expiry that are interrupted: whatever happens in between, every key goes when it is due.

use baton_base::{Slot, WallMs};
use baton_store::{DbIndex, Expire, Expiry, Store, StoreSettings};

const START: WallMs = WallMs(1_000_000_000);
const HOUR_MS: u64 = 3_600_000;

fn slot() -> Slot {
    Slot::of_key(b"t")
}

/// Writes keys that expire so many hours after the start.
fn fill(store: &Store, db: u32, keys: u32, hours: u64) {
    let mut view = store.view(slot(), DbIndex(db), START, Expiry::Delete);
    for n in 0..keys {
        let name = format!("{{t}}{hours}:{n}");
        view.set_str(&view.key(name.as_bytes()), b"v", Expire::At(WallMs(START.0 + hours * HOUR_MS)));
    }
}

/// One step of a round so many hours after the start; tells whether there may be more to do.
fn expire(store: &Store, hours: u64, max: usize) -> bool {
    let now = WallMs(START.0 + hours * HOUR_MS);
    store.may_be_due(slot(), now) && store.view(slot(), DbIndex(0), now, Expiry::Delete).expire_due(slot(), max)
}

fn keys(store: &Store) -> u64 {
    (0..2).map(|db| store.slot_len(DbIndex(db), slot())).sum()
}

/// Interrupts a round at every point, then looks whether everything goes in its hour.
fn check(interrupt: impl Fn(&Store), due_after: &[(u64, u64)]) {
    for steps in 0..8 {
        let store = Store::new(StoreSettings { databases: 2, seed: 5 });
        fill(&store, 0, 1, 0);
        fill(&store, 0, 300, 3);
        fill(&store, 1, 300, 2);
        (0..steps).for_each(|_| _ = expire(&store, 0, 1));
        interrupt(&store);
        for (hours, left) in due_after {
            while expire(&store, *hours, 10) {}
            assert_eq!(keys(&store), *left, "after {steps} steps and {hours} hours");
        }
    }
}

#[test]
fn nothing_happens() {
    check(|_| {}, &[(0, 600), (1, 600), (2, 300), (3, 0)]);
}

#[test]
fn what_the_round_passed_becomes_due() {
    check(|_| {}, &[(3, 0)]);
}

#[test]
fn a_lone_key_is_swapped_behind_the_rounds_back() {
    for n in 0..40 {
        let store = Store::new(StoreSettings { databases: 2, seed: n });
        fill(&store, 0, 1, 0);
        fill(&store, 0, 300, 3);
        fill(&store, 1, 1, 2);
        (0..3).for_each(|_| _ = expire(&store, 0, 1));
        store.swap_dbs(DbIndex(0), DbIndex(1));
        while expire(&store, 0, 10) {}
        while expire(&store, 2, 10) {}
        assert_eq!(keys(&store), 300);
    }
}

#[test]
fn a_key_is_written_behind_the_rounds_back() {
    check(|store| fill(store, 0, 20, 1), &[(0, 620), (1, 600), (2, 300), (3, 0)]);
}

#[test]
fn databases_are_swapped() {
    check(|store| store.swap_dbs(DbIndex(0), DbIndex(1)), &[(0, 600), (1, 600), (2, 300), (3, 0)]);
}

#[test]
fn the_contents_are_replaced() {
    let replace = |store: &Store| {
        let other = store.sibling();
        fill(&other, 0, 200, 1);
        fill(&other, 1, 200, 4);
        drop(store.replace_contents(other));
    };
    check(replace, &[(0, 400), (1, 200), (3, 200), (4, 0)]);
}

#[test]
fn the_slot_is_cleared_and_filled_again() {
    let refill = |store: &Store| {
        drop(store.view(slot(), DbIndex(0), START, Expiry::Delete).clear_slot(slot()));
        fill(store, 0, 200, 1);
    };
    check(refill, &[(0, 200), (1, 0)]);
}
