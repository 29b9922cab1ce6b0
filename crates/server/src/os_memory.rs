//! Memory of this process, as the allocator and the kernel count it.

use std::fs;

/// Bytes that the program holds, by the allocator's count; the resident size where another allocator is in use.
pub fn used_bytes() -> u64 {
    let fresh = tikv_jemalloc_ctl::epoch::advance().is_ok();
    match tikv_jemalloc_ctl::stats::allocated::read() {
        Ok(bytes) if fresh && bytes > 0 => bytes as u64,
        _ => resident_bytes(),
    }
}

/// Bytes of memory that the kernel has given to this process.
pub fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").ok();
    let resident = pages.as_deref().and_then(|s| s.split(' ').nth(1)).and_then(|n| n.parse::<u64>().ok());
    resident.unwrap_or(0) * rustix::param::page_size() as u64
}

/// Bytes of memory of the machine.
pub fn total_bytes() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kb = info.lines().find_map(|l| l.strip_prefix("MemTotal:")?.trim().split(' ').next()?.parse::<u64>().ok());
    kb.unwrap_or(0) * 1024
}
