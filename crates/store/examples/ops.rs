//! Nanoseconds for a SET and a GET on a million keys, one at a time and in batches of sixteen with the prefetch stages,
//! and with two threads at once; then for deleting and inserting keys by turns, and for deleting all. The keys are chosen at random, so caches help little. Times are processor time of the
//! thread, as Linux accounts it, so that a busy machine disturbs them less. An argument is another number of keys: with
//! a thousand, what is left is the work of the processor itself.

use std::hint::black_box;
use std::sync::Arc;

use baton_base::{Rng, WallMs};
use baton_store::{DbIndex, Expire, Expiry, Key, Store, StoreSettings, Value};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const OPS: usize = 4_000_000;
const BATCH: usize = 16;
const NOW: WallMs = WallMs(1_700_000_000_000);
const DB: DbIndex = DbIndex(0);

fn main() {
    let keys = std::env::args().nth(1).map_or(1_000_000, |n| n.parse().expect("a number of keys"));
    let store = Arc::new(Store::new(StoreSettings { databases: 16, seed: 1 }));
    let names: Vec<[u8; 16]> = (0..keys).map(name).collect();
    let insert = timed(|| names.iter().for_each(|n| set(&store, &store.key(n), 0)));
    println!("insert           {:6.1} ns", insert * OPS as f64 / keys as f64);
    let order = order(1, keys);
    let hashed = timed(|| order.iter().for_each(|&n| _ = black_box(store.key(&name(n)))));
    let made = timed(|| order.iter().for_each(|&n| _ = black_box(name(n))));
    println!("make {made:6.1} ns, with slot and hash {hashed:6.1} ns");
    for round in 0..2 {
        println!("round {round}");
        println!("  get            {:6.1} ns", timed(|| gets(&store, &order)));
        println!("  set            {:6.1} ns", timed(|| sets(&store, &order)));
        println!("  get, batches   {:6.1} ns", timed(|| batches(&store, &order, get)));
        println!("  set, batches   {:6.1} ns", timed(|| batches(&store, &order, |s, k| set(s, k, 1))));
    }
    let whole = |act: &mut dyn FnMut()| timed(act) * OPS as f64 / keys as f64;
    let mut bytes = 0;
    let scan = whole(&mut || {
        store.scan(DB, 0, usize::MAX, NOW, &mut |key, _| bytes += key.len()).unwrap();
    });
    let mut walker = store.snapshot().expect("no other is running");
    let walk = whole(&mut || while walker.step(1000, NOW, &mut |item| bytes += item.key.len()) {});
    println!("a key in a scan {scan:6.1} ns, in a snapshot {walk:6.1} ns");
    black_box(bytes);
    let other = self::order(2, keys);
    let [sets, gets] = std::thread::scope(|scope| {
        let sets = scope.spawn(|| timed(|| batches(&store, &order, |s, k| set(s, k, 2))));
        let gets = scope.spawn(|| timed(|| batches(&store, &other, get)));
        [sets, gets].map(|thread| thread.join().expect("it doesn't panic"))
    });
    println!("two threads, batches: set {sets:6.1} ns, get {gets:6.1} ns");
    let (mut rest, mut rng) = ((0..keys).collect::<Vec<u64>>(), Rng::new(3));
    let churn = timed(|| churn(&store, &mut rest, &mut rng));
    (1..rest.len()).rev().for_each(|i| rest.swap(i, rng.below(i as u64 + 1) as usize));
    let delete = whole(&mut || rest.iter().for_each(|&n| delete(&store, n)));
    println!("delete and insert {churn:6.1} ns, delete all {delete:6.1} ns");
}

fn name(n: u64) -> [u8; 16] {
    let mut out = *b"key:000000000000";
    let mut rest = n;
    for digit in out.iter_mut().rev().take(12) {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out
}

fn order(seed: u64, keys: u64) -> Vec<u64> {
    let mut rng = Rng::new(seed);
    (0..OPS).map(|_| rng.below(keys)).collect()
}

fn timed(act: impl FnOnce()) -> f64 {
    let start = cpu_ns();
    act();
    (cpu_ns() - start) as f64 / OPS as f64
}

/// Nanoseconds that this thread has run.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("it starts with a number")
}

fn get(store: &Store, key: &Key<'_>) {
    let mut view = store.view(key.slot, DB, NOW, Expiry::Delete);
    let Some(entry) = view.read(key, true) else { panic!("every key is there") };
    let Value::Str(text) = entry.value else { panic!("only strings were written") };
    black_box(text.bytes(&mut itoa::Buffer::new())[0]);
}

fn set(store: &Store, key: &Key<'_>, byte: u8) {
    store.view(key.slot, DB, NOW, Expiry::Delete).set_str(key, &[b'a' + byte; 64], Expire::Never);
}

fn delete(store: &Store, n: u64) {
    let name = name(n);
    let key = store.key(&name);
    assert!(store.view(key.slot, DB, NOW, Expiry::Delete).remove(&key), "every key is there");
}

/// Deletes a random key and inserts a new one, again and again, with values of two lengths by turns.
fn churn(store: &Store, names: &mut [u64], rng: &mut Rng) {
    let fresh = names.len() as u64;
    for n in 0..OPS as u64 {
        let place = rng.below(fresh) as usize;
        delete(store, names[place]);
        names[place] = fresh + n;
        let name = name(fresh + n);
        let key = store.key(&name);
        let value = &[b'x'; 72][..64 + (n % 2) as usize * 8];
        store.view(key.slot, DB, NOW, Expiry::Delete).set_str(&key, value, Expire::Never);
    }
}

fn gets(store: &Store, order: &[u64]) {
    for &n in order {
        get(store, &store.key(&name(n)));
    }
}

fn sets(store: &Store, order: &[u64]) {
    for &n in order {
        set(store, &store.key(&name(n)), 1);
    }
}

fn batches(store: &Store, order: &[u64], act: impl Fn(&Store, &Key<'_>)) {
    for batch in order.chunks_exact(BATCH) {
        let names: [[u8; 16]; BATCH] = std::array::from_fn(|i| name(batch[i]));
        let keys: [Key<'_>; BATCH] = std::array::from_fn(|i| store.key(&names[i]));
        store.prefetch(DB, keys.iter());
        keys.iter().for_each(|k| act(store, k));
    }
}
