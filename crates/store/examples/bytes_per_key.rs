//! How many bytes a key takes: a million keys of one shape in a fresh store, as the allocator counts them, as the
//! process holds them, and as the store accounts them. One shape a process, so that shapes don't share free memory:
//! `bytes_per_key [value bytes] [ttl]`; without arguments it runs itself for every shape.

use std::process::Command;

use baton_base::WallMs;
use baton_store::{DbIndex, Expire, Expiry, Store, StoreSettings};
use tikv_jemalloc_ctl::{epoch, stats};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const KEYS: u64 = 1_000_000;
const NOW: WallMs = WallMs(1_700_000_000_000);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        println!("{:<24}{:>12}{:>12}{:>12}", "16-byte key and", "allocated", "active", "accounted");
        for shape in [&["8"][..], &["64"], &["64", "ttl"], &["8", "ttl"], &["3", "ttl"], &["1000"]] {
            let me = std::env::current_exe().expect("a running program has a path");
            Command::new(me).args(shape).status().expect("the program starts again");
        }
        return;
    }
    measure(arguments[0].parse().expect("a length"), arguments.len() > 1);
}

fn measure(value_bytes: usize, ttl: bool) {
    let allocated = || {
        epoch::advance().expect("statistics are on");
        [stats::allocated::read(), stats::active::read()].map(|bytes| bytes.expect("statistics are on") as f64)
    };
    let before = allocated();
    let store = Store::new(StoreSettings { databases: 16, seed: 1 });
    let value = format!("{:0>value_bytes$}", 1);
    for n in 0..KEYS {
        let name = format!("key:{n:012}");
        let key = store.key(name.as_bytes());
        let expire = if ttl { Expire::At(WallMs(NOW.0 + n)) } else { Expire::Never };
        store.view(key.slot, DbIndex(0), NOW, Expiry::Delete).set_str(&key, value.as_bytes(), expire);
    }
    let after = allocated();
    let accounted = store.memory_bytes(None) as f64;
    let per_key = |bytes: f64| bytes / KEYS as f64;
    let shape = format!("{value_bytes} bytes{}", if ttl { ", expiry" } else { "" });
    let [a, b] = [0, 1].map(|i| per_key(after[i] - before[i]));
    println!("{shape:<24}{a:>12.1}{b:>12.1}{:>12.1}", per_key(accounted));
}
