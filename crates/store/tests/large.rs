//! One slot with so many keys that its table needs directories of directories, and values that are large.

use std::collections::HashSet;
use std::sync::Arc;

use baton_base::{Slot, WallMs};
use baton_store::{DbIndex, Expire, Expiry, Store, StoreSettings, Str, Value, View};

const DB: DbIndex = DbIndex(0);
const NOW: WallMs = WallMs(1_000_000);

fn view(store: &Store) -> View<'_> {
    store.view(Slot::of_key(b"t"), DB, NOW, Expiry::Delete)
}

#[test]
fn a_slot_with_very_many_keys() {
    let store = Store::new(StoreSettings { databases: 1, seed: 5 });
    let keys = if cfg!(miri) { 2_000 } else { 300_000u32 };
    let name = |n: u32| format!("{{t}}{n}");
    for n in 0..keys {
        let mut view = view(&store);
        view.set_int(&view.key(name(n).as_bytes()), i64::from(n));
    }
    let per_key = store.slot_memory_bytes(Slot::of_key(b"t"), None) as f64 / f64::from(keys);
    assert!(per_key < 46.0, "{per_key} bytes a key");
    let (mut seen, mut cursor, mut calls) = (HashSet::new(), Slot::of_key(b"t").number().into(), 0);
    loop {
        cursor = store.scan(DB, cursor, 1000, NOW, &mut |key, _| _ = seen.insert(key.to_vec())).unwrap().cursor;
        calls += 1;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen.len(), keys as usize);
    assert!(calls >= keys / 1100, "a step visits about what it was asked for");
    for n in (0..keys).filter(|n| n % 16 != 0) {
        let mut view = view(&store);
        assert!(view.remove(&view.key(name(n).as_bytes())));
    }
    let left = f64::from(keys / 16);
    let per_key = store.slot_memory_bytes(Slot::of_key(b"t"), None) as f64 / left;
    assert!(per_key < 64.0, "{per_key} bytes a key after most were removed");
    for n in (0..keys).filter(|n| n % 16 == 0) {
        let mut view = view(&store);
        let key = name(n);
        let key = view.key(key.as_bytes());
        let Some(Value::Str(value)) = view.peek(&key).map(|e| e.value) else { panic!("{n} is missing") };
        assert_eq!(value, Str::Int(i64::from(n)));
        view.remove(&key);
    }
    assert_eq!(store.slot_memory_bytes(Slot::of_key(b"t"), None), 0);
}

/// The bytes of a key, and how much memory its slot takes.
fn look(store: &Store, key: &[u8]) -> (Vec<u8>, u64) {
    let mut view = view(store);
    let Some(Value::Str(value)) = view.peek(&view.key(key)).map(|e| e.value) else { panic!("{key:?} is missing") };
    let bytes = value.bytes(&mut itoa::Buffer::new()).to_vec();
    drop(view);
    (bytes, store.slot_memory_bytes(Slot::of_key(b"t"), None))
}

#[test]
fn large_values_are_shared_until_they_change() {
    let store = Arc::new(Store::new(StoreSettings { databases: 1, seed: 5 }));
    let large = vec![b'x'; 1 << 20];
    let mut v = view(&store);
    let (a, b) = (v.key(b"{t}a"), v.key(b"{t}b"));
    v.set_str(&a, &large, Expire::Never);
    v.copy_from(DB, &a, &b);
    v.append(&b, b"tail");
    drop(v);
    assert_eq!(look(&store, b"{t}a").0, large);
    assert_eq!(look(&store, b"{t}b").0, [&large[..], b"tail"].concat());

    let mut walker = store.snapshot().unwrap();
    let mut v = view(&store);
    v.set_range(&a, 0, b"y");
    v.remove(&b);
    drop(v);
    let mut given = Vec::new();
    while walker.step(1, NOW, &mut |item| {
        let Value::Str(Str::Bytes(text)) = item.value else { panic!("both are text") };
        given.push((item.key.to_vec(), text.to_vec()));
    }) {}
    given.sort();
    assert_eq!(given[0], (b"{t}a".to_vec(), large.clone()));
    assert_eq!(given[1], (b"{t}b".to_vec(), [&large[..], b"tail"].concat()));
    assert_eq!(look(&store, b"{t}a").0[..2], *b"yx");
}

#[test]
fn a_swap_in_the_middle_of_a_slot_hides_nothing_from_a_snapshot() {
    let store = Arc::new(Store::new(StoreSettings { databases: 2, seed: 5 }));
    let slot = Slot::of_key(b"t");
    for (db, n) in (0..2).flat_map(|db| (0..300).map(move |n| (db, n))) {
        let mut v = store.view(slot, DbIndex(db), NOW, Expiry::Delete);
        v.set_int(&v.key(format!("{{t}}{n}").as_bytes()), db.into());
    }
    for swap_after in [1, 100, 299, 301, 450, 599] {
        let mut walker = store.snapshot().unwrap();
        let before = store.slot_len(DbIndex(0), slot);
        let mut given = Vec::new();
        let mut swapped = false;
        while walker.step(1, NOW, &mut |item| {
            let Value::Str(value) = item.value else { panic!("all are integers") };
            given.push((value.as_i64(), item.db, item.key.to_vec()));
        }) {
            if !swapped && given.len() >= swap_after {
                store.swap_dbs(DbIndex(0), DbIndex(1), WallMs(0));
                swapped = true;
            }
        }
        assert_eq!((given.len(), before), (600, 300));
        assert_eq!(given.iter().collect::<HashSet<_>>().len(), 600);
        let homes: HashSet<_> = given.iter().map(|(value, db, _)| (value, db)).collect();
        assert_eq!(homes.len(), 2, "each entry comes with the database it was in at the cut");
    }
}

#[test]
fn very_large_values_are_handed_out_for_freeing() {
    let store = Store::new(StoreSettings { databases: 1, seed: 5 });
    let mut v = view(&store);
    let key = v.key(b"{t}a");
    v.set_str(&key, &vec![b'x'; 1 << 20], Expire::Never);
    v.set_str(&key, b"small", Expire::Never);
    assert!(v.take_outcome().garbage.is_some());
    v.set_str(&key, &vec![b'x'; 1 << 19], Expire::Never);
    v.remove(&key);
    assert!(v.take_outcome().garbage.is_none());
}

#[test]
fn appending_byte_by_byte_moves_the_value_rarely() {
    let store = Store::new(StoreSettings { databases: 1, seed: 5 });
    let (mut moves, mut bytes) = (0, 0);
    for n in 0..20_000usize {
        let mut v = view(&store);
        let key = v.key(b"{t}a");
        assert_eq!(v.append(&key, &[n as u8]), n + 1);
        drop(v);
        let now = store.slot_memory_bytes(Slot::of_key(b"t"), None);
        moves += usize::from(now != bytes);
        bytes = now;
    }
    assert!(moves < 50, "{moves} moves");
    assert!((0..20_000usize).map(|n| n as u8).eq(look(&store, b"{t}a").0));
}
