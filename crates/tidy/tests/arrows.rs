//! Dependencies point down only, along arrows that the architecture page lists, and pure crates depend on nothing that
//! could reach the world.

use baton_tidy::arrows::{Row, Table, table};
use baton_tidy::manifest::manifests;
use baton_tidy::workspace::files;
use baton_tidy::{PURE, report};

/// Packages that reach sockets, threads, signals, files, terminals or the system, each with what to do instead.
const BANNED_IN_PURE: [(&str, &str); 12] = [
    ("mio", "hand bytes in and out; the event loop is the server's"),
    ("socket2", "hand bytes in and out; sockets are the server's"),
    ("signal-hook", "make the signal an input of the state machine"),
    ("crossbeam-channel", "return effects; queues between threads are the server's"),
    ("rustix", "return an effect; the server does the system call"),
    ("libc", "return an effect; the server does the system call"),
    ("rustyline", "the prompt belongs to the command-line client"),
    ("arc-swap", "return the new value; the server publishes it"),
    ("rand", "take a baton_base::Rng, seeded by the caller"),
    ("getrandom", "take a baton_base::Rng, seeded by the caller"),
    ("tikv-jemallocator", "the allocator is the program's choice"),
    ("tikv-jemalloc-ctl", "take the figure as an input"),
];

/// Pure crates that may hold locks, because slots and the journal are shared between workers.
const MAY_LOCK: [&str; 2] = ["store", "journal"];
const LOCKS: [&str; 2] = ["parking_lot", "lock_api"];

#[test]
fn arrows_are_listed_and_point_down() {
    let files = files();
    let table = table(&files).unwrap_or_else(|missing| panic!("{missing}"));
    let mut findings = level_findings(&table);
    for manifest in manifests(&files) {
        let name = &manifest.crate_name;
        let Some(row) = table.get(name) else {
            findings.push(format!("{name}: not in the table"));
            continue;
        };
        for used in manifest.dependencies.union(&manifest.dev_dependencies).filter_map(|d| d.strip_prefix("baton-")) {
            if !row.may_use.contains(used) {
                findings.push(format!("{name} -> {used}: not listed"));
            }
        }
    }
    report("An arrow between crates must stand in ARCHITECTURE.md, section \"Crates and arrows\":", &findings);
}

fn level_findings(table: &Table) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, Row { level, may_use }) in table {
        for used in may_use {
            match table.get(used) {
                None => findings.push(format!("{name} may use {used}, which the table does not know")),
                Some(row) if row.level > *level => findings.push(format!("{name} -> {used} points up")),
                Some(_) => {}
            }
        }
    }
    findings
}

#[test]
fn pure_crates_reach_nothing() {
    let mut findings = Vec::new();
    let manifests = manifests(&files());
    for name in PURE {
        let Some(manifest) = manifests.iter().find(|m| m.crate_name == name) else {
            findings.push(format!("{name}: no such crate"));
            continue;
        };
        for (package, instead) in BANNED_IN_PURE {
            if manifest.dependencies.contains(package) {
                findings.push(format!("{name} depends on {package}: {instead}"));
            }
        }
        if !MAY_LOCK.contains(&name) {
            for lock in LOCKS.iter().filter(|lock| manifest.dependencies.contains(**lock)) {
                findings.push(format!("{name} depends on {lock}: a pure crate is owned by one thread"));
            }
        }
    }
    report("Pure crates depend on nothing that reaches the world:", &findings);
}

#[test]
fn every_crate_carries_licence_and_lints() {
    let mut findings = Vec::new();
    for manifest in manifests(&files()) {
        let name = &manifest.crate_name;
        if !manifest.has("package.license.workspace = true") && !manifest.has("package.license = \"Apache-2.0\"") {
            findings.push(format!("{name}: no licence; write license.workspace = true"));
        }
        if !manifest.has("lints.workspace = true") {
            findings.push(format!("{name}: no lints; write [lints] workspace = true"));
        }
        if !manifest.has(&format!("package.name = \"baton-{name}\"")) {
            findings.push(format!("{name}: the package must be called baton-{name}"));
        }
    }
    let root = files().into_iter().find(|f| f.path == "Cargo.toml").map(|f| f.text).unwrap_or_default();
    if !root.contains("license = \"Apache-2.0\"") {
        findings.push("Cargo.toml: the workspace's licence is not Apache-2.0".to_owned());
    }
    report("Each manifest says what the workspace promises:", &findings);
}
