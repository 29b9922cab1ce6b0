//! Several threads on one store: no update is lost, views of several slots are atomic, and a snapshot that is walked
//! beside writers gives the cut and nothing else.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;

use baton_base::{Rng, Slot, WallMs};
use baton_store::{DbIndex, Entry, Expire, Expiry, Store, StoreSettings, Str, Value};

const DB: DbIndex = DbIndex(0);
const NOW: WallMs = WallMs(1_000_000);
const THREADS: u64 = 4;

fn store() -> Arc<Store> {
    Arc::new(Store::new(StoreSettings { databases: 2, seed: 11 }))
}

fn number(entry: &Entry<'_>) -> i64 {
    let Value::Str(text) = entry.value else { panic!("only strings were written") };
    text.as_i64().expect("only integers were written")
}

#[test]
fn no_increment_is_lost() {
    let store = store();
    let rounds = if cfg!(miri) { 20 } else { 20_000 };
    thread::scope(|scope| {
        for seed in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                let mut rng = Rng::new(seed);
                for _ in 0..rounds {
                    let name = format!("{{t}}{}", rng.below(50));
                    let key = store.key(name.as_bytes());
                    store.prefetch(DB, std::iter::once(&key));
                    store.prefetch_elements(DB, &key, &[b"a", b"b"]);
                    let mut view = store.view(key.slot, DB, NOW, Expiry::Delete);
                    let old = view.read(&key, true).map_or(0, |e| number(&e));
                    view.set_int(&key, old + 1);
                }
            });
        }
    });
    let mut sum = 0;
    store.scan(DB, 0, usize::MAX, NOW, &mut |_, entry| sum += number(&entry)).unwrap();
    assert_eq!(sum, THREADS as i64 * rounds);
    assert_eq!(store.dirty(), THREADS * rounds as u64);
    assert_eq!(store.len(DB), store.slot_len(DB, Slot::of_key(b"t")));
}

#[test]
fn transfers_between_slots_are_atomic() {
    let store = store();
    let accounts: Vec<String> = (0..8).map(|n| format!("account{n}")).collect();
    for name in &accounts {
        let key = store.key(name.as_bytes());
        store.view(key.slot, DB, NOW, Expiry::Delete).set_int(&key, 1000);
    }
    let both = |a: &str, b: &str, act: &mut dyn FnMut(&mut baton_store::View<'_>)| {
        let mut slots = [Slot::of_key(a.as_bytes()), Slot::of_key(b.as_bytes())].to_vec();
        slots.sort();
        slots.dedup();
        act(&mut store.view_many(&slots, DB, NOW, Expiry::Delete));
    };
    thread::scope(|scope| {
        for seed in 0..THREADS {
            let (accounts, both) = (&accounts, &both);
            scope.spawn(move || {
                let mut rng = Rng::new(seed);
                for _ in 0..if cfg!(miri) { 10 } else { 5000 } {
                    let (from, to) = (rng.pick(accounts).unwrap(), rng.pick(accounts).unwrap());
                    let amount = rng.below(10) as i64;
                    both(from, to, &mut |view| {
                        for (name, change) in [(from, -amount), (to, amount)] {
                            let key = view.key(name.as_bytes());
                            let old = number(&view.peek(&key).unwrap());
                            view.set_int(&key, old + change);
                        }
                    });
                }
            });
        }
    });
    let mut sum = 0;
    store.scan(DB, 0, usize::MAX, NOW, &mut |_, entry| sum += number(&entry)).unwrap();
    assert_eq!(sum, 8 * 1000);
}

type Contents = BTreeMap<(u32, Vec<u8>), Vec<u8>>;

fn text(value: Value<'_>) -> Vec<u8> {
    let Value::Str(text) = value else { panic!("only strings were written") };
    text.bytes(&mut itoa::Buffer::new()).to_vec()
}

fn contents(store: &Store) -> Contents {
    let mut out = Contents::new();
    for db in 0..2 {
        for slot in Slot::all() {
            store.scan_slot(DbIndex(db), slot, NOW, &mut |key, e| drop(out.insert((db, key.to_vec()), text(e.value))));
        }
    }
    out
}

/// One change of one of a few hundred keys in a few slots, in either database.
fn change(store: &Store, rng: &mut Rng) {
    let name = format!("{{s{}}}{}", rng.below(3), rng.below(300));
    let key = store.key(name.as_bytes());
    let mut view = store.view(key.slot, DbIndex(rng.below(2) as u32), NOW, Expiry::Delete);
    let large = [rng.next_u64() as u8; 3000];
    match rng.below(8) {
        0..=2 => view.set_str(&key, rng.next_u64().to_string().as_bytes(), Expire::Keep),
        3 => view.set_str(&key, &large, Expire::Keep),
        4 => drop(view.append(&key, b"tail")),
        5 | 6 => drop(view.remove(&key)),
        _ => drop(view.set_expire(&key, Some(WallMs(NOW.0 * 2)))),
    }
}

/// Lets the writers end, however the test ends.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_snapshot_walked_beside_writers_is_the_cut() {
    let store = store();
    let gate = RwLock::new(());
    let over = AtomicBool::new(false);
    let walks = AtomicU32::new(0);
    let mut rng = Rng::new(98);
    (0..if cfg!(miri) { 50 } else { 8000 }).for_each(|_| change(&store, &mut rng));
    thread::scope(|scope| {
        let _over = SetOnDrop(&over);
        for seed in 0..THREADS {
            let (store, gate, over) = (&store, &gate, &over);
            scope.spawn(move || {
                let mut rng = Rng::new(seed);
                while !over.load(Ordering::Relaxed) {
                    let _shared = gate.read().unwrap();
                    (0..16).for_each(|_| change(store, &mut rng));
                }
            });
        }
        let mut rng = Rng::new(99);
        for round in 0..if cfg!(miri) { 2 } else { 30 } {
            let (mut walker, cut) = {
                let _exclusive = gate.write().unwrap();
                (store.snapshot().expect("the one before has ended"), contents(&store))
            };
            let mut given = Contents::new();
            let step = 1 + rng.below(40) as usize;
            let complete = round % 4 != 3;
            let mut flush_at = rng.below(40);
            while walker.step(step, NOW, &mut |item| {
                let twice = given.insert((item.db.0, item.key.to_vec()), text(item.value));
                assert!(twice.is_none(), "{item:?} was given twice");
            }) && (complete || given.len() < 200)
            {
                flush_at = flush_at.wrapping_sub(1);
                if flush_at == 0 {
                    let _exclusive = gate.write().unwrap();
                    store.swap_dbs(DbIndex(0), DbIndex(1), WallMs(0));
                    drop(store.flush((round % 2 == 0).then_some(DB)));
                }
                thread::yield_now();
            }
            if complete {
                assert!(given == cut, "round {round}: the walk gave another picture than the cut");
                walks.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    assert!(walks.load(Ordering::Relaxed) > 0);
    let total = |store: &Store| (0..2).map(|db| store.len(DbIndex(db))).sum::<u64>();
    assert_eq!(total(&store), contents(&store).len() as u64);
    drop(store.flush(None));
    assert_eq!((total(&store), store.is_empty()), (0, true));
    assert_eq!(store.memory_bytes(DB.into()), 0);
}

#[test]
fn walks_that_end_early_never_confuse_the_epochs() {
    let store = store();
    let key = store.key(b"old");
    store.view(key.slot, DB, NOW, Expiry::Delete).set_str(&key, b"v", Expire::Never);
    // The byte of an epoch comes back to its value after 256 walks.
    for unfinished in if cfg!(miri) { 0..1 } else { 253..258 } {
        for _ in 0..unfinished {
            let _ends_at_once = store.snapshot().unwrap();
            assert!(store.snapshot().is_none(), "one walk at a time");
        }
        let mut walker = store.snapshot().unwrap();
        let mut seen = 0;
        while walker.step(10, NOW, &mut |item| {
            assert_eq!((item.key, Str::Bytes(b"v")), (&b"old"[..], Str::Bytes(&text(item.value))));
            seen += 1;
        }) {}
        assert_eq!(seen, 1, "after {unfinished} walks that ended early");
    }
}
