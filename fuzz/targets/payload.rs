//! Payloads of RESTORE of all types and forms, their checksum made right. It must never check anything that the tests beside
//! the oracle don't, but for the memory that reading takes at its peak.
#![no_main]

#[path = "measured.rs"]
mod measured;
#[path = "../../crates/rdb/tests/format/oracle.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| measured::within(4000, bytes, || {
    oracle::fuzz_payload(bytes);
}));
