//! Packets of the cluster bus against the validation table of cluster-bus 1.7. It must never check anything that the
//! tests beside the oracle don't.
#![no_main]

#[path = "../../crates/wire/tests/wire/oracle.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oracle::fuzz(bytes));
