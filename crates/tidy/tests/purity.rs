//! Names that must not occur in crates that are driven by a simulator as well as by the server, each with what to use
//! instead. Test code is free: it may have threads and files.

use baton_tidy::source::Source;
use baton_tidy::workspace::{File, TestFiles, rust_files};
use baton_tidy::{PURE, report};

/// Banned in every pure crate and in the simulator.
const BANNED: [(&str, &str); 24] = [
    ("Instant", "take `now: Mono` as an argument"),
    ("SystemTime", "take `wall: WallMs` as an argument"),
    ("std::thread", "return an effect; threads belong to the server"),
    ("thread_local", "keep the state in a value that the caller owns"),
    ("TcpStream", "hand bytes in and out"),
    ("TcpListener", "hand bytes in and out"),
    ("UdpSocket", "hand bytes in and out"),
    ("UnixStream", "hand bytes in and out"),
    ("UnixListener", "hand bytes in and out"),
    ("ToSocketAddrs", "take addresses, not names"),
    ("std::fs", "return an effect; files belong to the server"),
    ("std::os", "return an effect; the system belongs to the server"),
    ("std::process", "return an effect; processes belong to the server"),
    ("std::env", "take the value as an argument"),
    ("env::var", "take the value as an argument"),
    ("println", "return the text, or an effect that logs it"),
    ("eprintln", "return the text, or an effect that logs it"),
    ("print", "return the text, or an effect that logs it"),
    ("eprint", "return the text, or an effect that logs it"),
    ("stdout", "return the text"),
    ("stderr", "return the text"),
    ("stdin", "take bytes as an argument"),
    ("RandomState", "take a seed, or a baton_base::Rng"),
    ("static mut", "keep the state in a value that the caller owns"),
];

/// Banned where iteration order decides what happens: a run must depend on its seed alone.
const BANNED_WHERE_ORDER_COUNTS: [(&str, &str); 2] =
    [("HashMap", "use BTreeMap: its order is defined"), ("HashSet", "use BTreeSet: its order is defined")];
const ORDER_COUNTS: [&str; 5] = ["cluster", "replication", "handover", "node", "sim"];

/// Where `unsafe` may stand: the store's raw layer and the edge of the server.
const UNSAFE_ALLOWED: [&str; 2] = ["crates/store/src/raw/", "crates/server/src/"];

/// The Rust files of the crates that must be pure, test files aside. The simulator's entry point talks to people.
fn pure_files() -> Vec<(File, Source)> {
    let files = rust_files();
    let tests = TestFiles::among(&files);
    let mut found = Vec::new();
    for file in files.into_iter().filter(|f| !tests.contains(&f.path)) {
        // Examples and benches talk to people and read clocks; what they measure does not.
        let library = file.path.contains("/src/");
        let entry_point = file.path.ends_with("/src/main.rs") || file.path.contains("/src/bin/");
        let pure = file.crate_name().is_some_and(|name| PURE.contains(&name) || name == "sim");
        if pure && library && !entry_point {
            let source = Source::new(&file.text);
            found.push((file, source));
        }
    }
    assert!(!found.is_empty(), "no pure crates found");
    found
}

fn findings(file: &File, source: &Source, banned: &[(&str, &str)]) -> Vec<String> {
    let mut found = Vec::new();
    for (words, instead) in banned {
        for at in source.find(words) {
            found.push(format!("{}:{}: {words}: {instead}", file.path, source.line_of(at)));
        }
    }
    found
}

#[test]
fn pure_crates_touch_neither_clock_nor_world() {
    let found: Vec<String> = pure_files().iter().flat_map(|(f, s)| findings(f, s, &BANNED)).collect();
    report("A pure crate takes time, chance and the world as arguments:", &found);
}

#[test]
fn iteration_order_is_defined_where_it_counts() {
    let files = pure_files();
    let counted = files.iter().filter(|(f, _)| f.crate_name().is_some_and(|name| ORDER_COUNTS.contains(&name)));
    let found: Vec<String> = counted.flat_map(|(f, s)| findings(f, s, &BANNED_WHERE_ORDER_COUNTS)).collect();
    report("Equal seeds must give equal runs:", &found);
}

#[test]
fn unsafe_is_fenced() {
    let mut found = Vec::new();
    for file in rust_files() {
        if UNSAFE_ALLOWED.iter().any(|fence| file.path.starts_with(fence)) {
            continue;
        }
        let source = Source::new(&file.text);
        for at in source.find("unsafe") {
            found.push(format!("{}:{}", file.path, source.line_of(at)));
        }
    }
    report("unsafe stands only in the store's raw layer and at the edge of the server:", &found);
}
