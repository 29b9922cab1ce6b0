//! Memory of this process, as the allocator and the kernel count it.

use std::fs;

/// Bytes that the program holds, by what it asked the allocator for, in the sizes that it gives; the resident size where
/// another allocator is in use.
pub fn used_bytes() -> u64 {
    match crate::os::allocated_bytes() {
        0 => resident_bytes(),
        bytes => bytes,
    }
}

/// The allocator's own report; says so if there is none.
pub fn allocator_report() -> Vec<u8> {
    let mut text = Vec::new();
    match tikv_jemalloc_ctl::stats_print::stats_print(&mut text, tikv_jemalloc_ctl::stats_print::Options::default()) {
        Ok(()) if !text.is_empty() => text,
        _ => b"Stats not supported for the current allocator".to_vec(),
    }
}

/// Memory by who counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heap {
    /// Bytes in pages that hold something, by the allocator.
    pub active: u64,
    /// Bytes in pages that the allocator has touched.
    pub resident: u64,
    /// Bytes that the kernel counts for the process.
    pub rss: u64,
}

/// Memory now, of which `used` is in use.
pub fn heap(used: u64) -> Heap {
    // Where that fails, older numbers are as good as any.
    let _ = tikv_jemalloc_ctl::epoch::advance();
    let rss = resident_bytes();
    let of = |read: Result<usize, tikv_jemalloc_ctl::Error>, or: u64| read.map_or(or, |n| n as u64).max(used);
    let active = of(tikv_jemalloc_ctl::stats::active::read(), used);
    let resident = of(tikv_jemalloc_ctl::stats::resident::read(), rss);
    Heap { active, resident, rss }
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
