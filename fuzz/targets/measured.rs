//! A limit of memory for targets whose input must not cost more than it can stand for: an allocation beyond it ends the process,
//! which is a finding. It decides nothing else.

use std::alloc::System;

use cap::Cap;

/// The allocator of a target that has this file for a module.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// Memory that any input may take, in bytes.
const ANYWAY_BYTES: usize = 256 << 10;

/// Runs something with no more memory than this many bytes for one of input.
pub fn within(bytes_a_byte: usize, input: &[u8], run: impl FnOnce()) {
    MEMORY.set_limit(MEMORY.allocated() + bytes_a_byte * input.len() + ANYWAY_BYTES).expect("more than is in use");
    run();
    MEMORY.set_limit(usize::MAX).expect("no limit");
}
