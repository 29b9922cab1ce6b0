//! Requests and replies, whole and in pieces. It must never check anything that the tests beside the oracle don't, but for the
//! memory that reading takes at its peak.
#![no_main]

#[path = "measured.rs"]
mod measured;
#[path = "../../crates/resp/tests/hostile/oracle.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| measured::within(1000, bytes, || oracle::fuzz(bytes)));
