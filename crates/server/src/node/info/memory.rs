//! INFO memory: what the program, its data and its buffers take, and what the machine has.

use std::sync::Arc;

use baton_config::Id;

use super::{Lines, View, human};
use crate::clients::{ClientFlags, ClientMeta};
use crate::os_memory;
use crate::stats::Stats;

pub(super) fn memory(view: &View<'_>, lines: &mut Lines) {
    let shared = view.shared;
    let used = view.used;
    let heap = os_memory::heap(used);
    let peak = shared.stats.memory_peak.value().max(used);
    shared.stats.memory_peak.set(peak);
    let startup = shared.stats.memory_startup.value();
    let backlog = shared.journal.extent().mem_used as u64;
    let is_normal = |c: &&Arc<ClientMeta>| !c.flags().contains(ClientFlags::REPLICA);
    let clients: u64 = shared.clients.list().iter().filter(is_normal).map(|c| c.memory_bytes()).sum();
    let overhead = startup + backlog + clients;
    let dataset = used.saturating_sub(overhead);
    let percent = |part: u64, whole: u64| format!("{:.2}%", part as f64 / whole.max(1) as f64 * 100.0);
    sized(lines, "used_memory", used);
    sized(lines, "used_memory_rss", heap.rss);
    sized(lines, "used_memory_peak", peak);
    lines.put("used_memory_peak_perc", percent(used, peak));
    lines.put("used_memory_overhead", overhead);
    lines.put("used_memory_startup", startup);
    lines.put("used_memory_dataset", dataset);
    lines.put("used_memory_dataset_perc", percent(dataset, used.saturating_sub(startup)));
    lines.put("allocator_allocated", used);
    lines.put("allocator_active", heap.active);
    lines.put("allocator_resident", heap.resident);
    lines.put("allocator_muzzy", 0);
    sized(lines, "total_system_memory", os_memory::total_bytes());
    scripts(view, lines);
    sized(lines, "maxmemory", view.world.hot.memory_max);
    lines.put("maxmemory_policy", crate::apply::text_of(&view.world.settings, Id::MaxMemoryPolicy));
    ratio(lines, "allocator_frag", heap.active, used);
    ratio(lines, "allocator_rss", heap.resident, heap.active);
    ratio(lines, "rss_overhead", heap.rss, heap.resident);
    lines.put("mem_fragmentation_ratio", format!("{:.2}", heap.rss as f64 / used.max(1) as f64));
    lines.put("mem_fragmentation_bytes", heap.rss as i64 - used as i64);
    lines.put("mem_not_counted_for_evict", crate::memory::not_counted(shared));
    lines.put("mem_replication_backlog", backlog);
    lines.put("mem_total_replication_buffers", backlog);
    lines.put("mem_replicas_repl_buffer", crate::memory::not_counted(shared));
    lines.put("mem_clients_slaves", crate::memory::not_counted(shared));
    lines.put("mem_clients_normal", clients);
    lines.put("mem_cluster_links", shared.stats.bus_bytes());
    lines.zeros(&["mem_cluster_slot_import", "mem_cluster_slot_export"]);
    lines.put("mem_aof_buffer", shared.aof.waiting_bytes());
    lines.put("mem_allocator", "jemalloc");
    lines.zeros(&["mem_overhead_db_hashtable_rehashing", "active_defrag_running"]);
    let (freeing, freed) = shared.memory.freed_elsewhere();
    lines.put("lazyfree_pending_objects", freeing);
    lines.put("lazyfreed_objects", freed);
}

fn sized(lines: &mut Lines, name: &str, bytes: u64) {
    lines.put(name, bytes);
    lines.put(&format!("{name}_human"), human(bytes));
}

fn ratio(lines: &mut Lines, name: &str, of: u64, to: u64) {
    lines.put(&format!("{name}_ratio"), format!("{:.2}", of as f64 / to.max(1) as f64));
    lines.put(&format!("{name}_bytes"), of as i64 - to as i64);
}

/// Texts of scripts and functions, and the machines of all workers: those that run both, and those that load libraries.
fn scripts(view: &View<'_>, lines: &mut Lines) {
    let (scripts, stats) = (&view.shared.scripts, &view.shared.stats);
    let (of_eval, count) = {
        let cache = scripts.cache();
        (cache.bytes() as u64, cache.len())
    };
    let libraries = scripts.functions();
    let of_functions = libraries.bytes() as u64;
    let (machines, loaders) = machine_bytes(stats);
    lines.put("used_memory_lua", machines);
    lines.put("used_memory_vm_eval", machines);
    lines.put("used_memory_lua_human", human(machines));
    lines.put("used_memory_scripts_eval", of_eval);
    lines.put("number_of_cached_scripts", count);
    lines.put("number_of_functions", libraries.function_count());
    lines.put("number_of_libraries", libraries.len());
    lines.put("used_memory_vm_functions", loaders);
    lines.put("used_memory_vm_total", machines + loaders);
    lines.put("used_memory_vm_total_human", human(machines + loaders));
    lines.put("used_memory_functions", of_functions);
    sized(lines, "used_memory_scripts", of_eval + of_functions);
}

/// What runs scripts, and what loads libraries of functions, in bytes.
fn machine_bytes(stats: &Stats) -> (u64, u64) {
    (stats.sum(|lane| &lane.machine_bytes), stats.sum(|lane| &lane.loader_bytes))
}

/// The one language of scripts.
pub(super) fn engines(view: &View<'_>, lines: &mut Lines) {
    let (machines, loaders) = machine_bytes(&view.shared.stats);
    let used = machines + loaders;
    lines.put("engines_count", 1);
    lines.put("engines_total_used_memory", used);
    lines.put("engines_total_memory_overhead", 0);
    lines.put("engine_0", format!("name=LUA,module=lua,abi_version=4,used_memory={used},memory_overhead=0"));
}
