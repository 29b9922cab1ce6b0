//! What the checks of the project's own rules share: the list of files, a view of Rust source without comments and
//! strings, manifests, the table of allowed arrows and the ratchet. The rules themselves are the tests of this crate.
//! Only reads; with `BATON_TIDY_SHRINK=1` it also lowers the ratchet. Nothing but the standard library.

pub mod arrows;
pub mod manifest;
pub mod ratchet;
pub mod source;
pub mod workspace;

/// Crates that know no socket, thread, clock, file or unseeded chance: what they need of the world is handed in.
pub const PURE: [&str; 14] = [
    "base",
    "resp",
    "wire",
    "store",
    "journal",
    "config",
    "rdb",
    "aof",
    "commands",
    "acl",
    "replication",
    "cluster",
    "handover",
    "node",
];

/// Fails a check with one line per finding, if there are any.
///
/// # Panics
/// If there are findings: that is how a test says no.
pub fn report(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "\n{rule}\n  {}\n", findings.join("\n  "));
}
