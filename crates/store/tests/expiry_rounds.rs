//! Rounds over the keys with an expiry that are interrupted: whatever happens in between, every key goes when it is due.

use baton_base::{Slot, WallMs};
use baton_store::{DbIndex, Expire, Expiry, Missing, Store, StoreSettings, Str, Value};
use baton_values::{FieldValue, Hash, Limits};

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
    store.may_be_due(slot(), now) && store.view(slot(), DbIndex(0), now, Expiry::Delete).expire_due(slot(), max).more
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
        store.swap_dbs(DbIndex(0), DbIndex(1), WallMs(0));
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
    check(|store| store.swap_dbs(DbIndex(0), DbIndex(1), WallMs(0)), &[(0, 600), (1, 600), (2, 300), (3, 0)]);
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

/// A hash with fields that end so many hours after the start, and one that stays if `stays`.
fn fill_hash(store: &Store, db: u32, name: &str, fields: i64, hours: u64, stays: bool) {
    let limits = Limits { seed: store.value_seed(), ..Limits::default() };
    let mut view = store.view(slot(), DbIndex(db), START, Expiry::Delete);
    let key = view.key(name.as_bytes());
    let edited = view.edit(&key, Missing::Create, |hash: &mut Hash| {
        for n in 0..fields {
            let expire_at = Some(WallMs(START.0 + hours * HOUR_MS));
            hash.put(Str::Int(n), FieldValue { text: Str::Int(n), expire_at }, &limits);
        }
        if stays {
            hash.set(Str::Bytes(b"stays"), Str::Int(1), &limits);
        }
        (1, ())
    });
    assert_eq!(edited, Ok(Some(())));
}

/// What goes so many hours after the start: keys with the number of their elements, and whether they are gone.
fn ended(store: &Store, hours: u64) -> Vec<(u32, String, usize, bool)> {
    let now = WallMs(START.0 + hours * HOUR_MS);
    let (mut out, mut more) = (Vec::new(), true);
    while more {
        let expired = store.view(slot(), DbIndex(0), now, Expiry::Delete).expire_due(slot(), 10);
        more = expired.more;
        let shown = expired.elements.into_iter().map(|of_key| {
            let name = String::from_utf8_lossy(&of_key.key).into_owned();
            (of_key.db.0, name, of_key.names.len(), of_key.emptied)
        });
        out.extend(shown);
    }
    out.sort();
    out
}

fn timed(store: &Store) -> [u64; 2] {
    [store.timed_len(DbIndex(0)), store.timed_len(DbIndex(1))]
}

#[test]
fn fields_go_when_they_are_due_and_the_last_takes_its_key_with_it() {
    let store = Store::new(StoreSettings { databases: 2, seed: 5 });
    fill_hash(&store, 0, "{t}all", 20, 1, false);
    fill_hash(&store, 1, "{t}some", 300, 1, true);
    fill_hash(&store, 0, "{t}later", 5, 3, true);
    fill(&store, 0, 50, 2);
    assert_eq!((timed(&store), keys(&store)), ([2, 1], 53));
    assert_eq!(ended(&store, 0), []);
    let all = |n, emptied| (0, "{t}all".to_string(), n, emptied);
    let some = |n| (1, "{t}some".to_string(), n, false);
    assert_eq!(ended(&store, 1), [all(20, true), some(44), some(256)]);
    assert_eq!((timed(&store), keys(&store)), ([1, 0], 52));
    assert_eq!(ended(&store, 2), []);
    assert_eq!((timed(&store), keys(&store)), ([1, 0], 2));
    assert_eq!(ended(&store, 3), [(0, "{t}later".to_string(), 5, false)]);
    assert_eq!((timed(&store), keys(&store)), ([0, 0], 2));
    assert!(!store.may_be_due(slot(), WallMs(START.0 + 9 * HOUR_MS)), "nothing is left to look for");
}

#[test]
fn hashes_with_ends_are_counted_wherever_they_go() {
    let store = Store::new(StoreSettings { databases: 2, seed: 5 });
    fill_hash(&store, 0, "{t}a", 3, 1, true);
    let mut view = store.view(slot(), DbIndex(0), START, Expiry::Delete);
    let [a, b] = ["{t}a", "{t}b"].map(|name| view.key(name.as_bytes()));
    assert!(view.copy_from(DbIndex(0), &a, &b));
    assert_eq!(timed(&store), [2, 0]);
    view.select(DbIndex(1));
    assert!(view.move_from(DbIndex(0), &b, &a));
    assert_eq!(timed(&store), [1, 1]);
    view.begin_undo();
    view.set_str(&a, b"no hash", Expire::Never);
    assert_eq!(timed(&store), [1, 0]);
    view.roll_back();
    assert_eq!(timed(&store), [1, 1]);
    let limits = Limits { seed: store.value_seed(), ..Limits::default() };
    let edited = view.edit(&a, Missing::Skip, |hash: &mut Hash| {
        (0..3).for_each(|n| assert!(hash.set_end(Str::Int(n), None, &limits)));
        (3, ())
    });
    assert_eq!((edited, timed(&store)), (Ok(Some(())), [1, 0]));
    drop(view);
    store.swap_dbs(DbIndex(0), DbIndex(1), WallMs(0));
    assert_eq!(timed(&store), [0, 1]);
    assert_eq!(ended(&store, 1), [(1, "{t}a".to_string(), 3, false)]);
    fill_hash(&store, 0, "{t}c", 3, 1, true);
    drop(store.flush(None));
    assert_eq!(timed(&store), [0, 0]);
}

#[test]
fn a_running_snapshot_sees_fields_that_go_meanwhile() {
    let store = std::sync::Arc::new(Store::new(StoreSettings { databases: 2, seed: 5 }));
    fill_hash(&store, 0, "{t}a", 300, 1, false);
    let mut walker = store.snapshot().expect("no other runs");
    assert_eq!(ended(&store, 1).len(), 2);
    let mut fields = 0;
    while walker.step(10, START, &mut |item| {
        let Value::Hash(hash) = item.value else { panic!("a hash") };
        fields += hash.len();
    }) {}
    assert_eq!((fields, keys(&store)), (300, 0));
}
