//! INFO memory: what the program, its data and its buffers take, and what the machine has.

use std::sync::atomic::Ordering;

use baton_config::Id;

use super::{Lines, View, human};

pub(super) fn memory(view: &View<'_>, lines: &mut Lines) {
    let shared = view.shared;
    let used = crate::os_memory::used_bytes();
    let resident = crate::os_memory::resident_bytes();
    let peak = shared.stats.memory_peak.value().max(used);
    let total = crate::os_memory::total_bytes();
    let backlog = shared.journal.extent().mem_used as u64;
    let clients: u64 = shared.clients.list().iter().map(|c| c.query_bytes.load(Ordering::Relaxed) + 1024).sum();
    let overhead = backlog + clients;
    let sized = |lines: &mut Lines, name: &str, bytes: u64| {
        lines.put(name, bytes);
        lines.put(&format!("{name}_human"), human(bytes));
    };
    sized(lines, "used_memory", used);
    sized(lines, "used_memory_rss", resident);
    sized(lines, "used_memory_peak", peak);
    lines.put("used_memory_peak_perc", format!("{:.2}%", used as f64 / peak.max(1) as f64 * 100.0));
    lines.put("used_memory_overhead", overhead);
    lines.put("used_memory_startup", 0);
    let dataset = used.saturating_sub(overhead);
    lines.put("used_memory_dataset", dataset);
    lines.put("used_memory_dataset_perc", format!("{:.2}%", dataset as f64 / used.max(1) as f64 * 100.0));
    lines.put("allocator_allocated", used);
    lines.put("allocator_active", used);
    lines.put("allocator_resident", resident);
    sized(lines, "total_system_memory", total);
    let max = view.world.settings.uint(Id::MaxMemory);
    sized(lines, "maxmemory", max);
    lines.put("maxmemory_policy", crate::apply::text_of(&view.world.settings, Id::MaxMemoryPolicy));
    lines.put("mem_fragmentation_ratio", format!("{:.2}", resident as f64 / used.max(1) as f64));
    lines.put("mem_fragmentation_bytes", resident as i64 - used as i64);
    lines.put("mem_not_counted_for_evict", 0);
    lines.put("mem_replication_backlog", backlog);
    lines.put("mem_total_replication_buffers", backlog);
    lines.put("mem_clients_slaves", 0);
    lines.put("mem_clients_normal", clients);
    lines.put("mem_cluster_links", 0);
    lines.put("mem_aof_buffer", 0);
    lines.put("mem_allocator", "jemalloc");
    lines.put("active_defrag_running", 0);
    lines.put("lazyfree_pending_objects", 0);
    lines.put("lazyfreed_objects", 0);
}
