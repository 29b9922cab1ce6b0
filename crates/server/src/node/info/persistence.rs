//! INFO persistence.

use std::sync::atomic::Ordering;

use super::{Lines, View};

pub(super) fn persistence(view: &View<'_>, lines: &mut Lines) {
    let p = &view.shared.persist;
    let now = view.shared.clock.wall().as_secs();
    let dirty = view.shared.stats.sum(|l| &l.dirty).saturating_sub(p.saved_dirty.load(Ordering::Relaxed));
    let saving = p.saving.load(Ordering::Relaxed);
    lines.put("loading", u8::from(view.world.loading.is_some()));
    lines.put("async_loading", u8::from(view.shared.repl.loading_aside.load(Ordering::Relaxed)));
    lines.put("current_cow_peak", 0);
    lines.put("current_cow_size", 0);
    lines.put("current_cow_size_age", 0);
    lines.put("current_fork_perc", "0.00");
    lines.put("current_save_keys_processed", p.keys_done.load(Ordering::Relaxed));
    lines.put("current_save_keys_total", p.keys_total.load(Ordering::Relaxed));
    lines.put("rdb_changes_since_last_save", dirty);
    lines.put("rdb_bgsave_in_progress", u8::from(saving));
    lines.put("rdb_last_save_time", p.last_save_secs.load(Ordering::Relaxed));
    lines.put("rdb_last_bgsave_status", if p.last_failed.load(Ordering::Relaxed) { "err" } else { "ok" });
    lines.put("rdb_last_bgsave_time_sec", p.last_duration_secs.load(Ordering::Relaxed));
    let current = if saving { now.saturating_sub(p.began_secs.load(Ordering::Relaxed)) as i64 } else { -1 };
    lines.put("rdb_current_bgsave_time_sec", current);
    lines.put("rdb_saves", p.saves.load(Ordering::Relaxed));
    lines.put("rdb_last_cow_size", 0);
    lines.put("rdb_last_load_keys_expired", p.load_expired.load(Ordering::Relaxed));
    lines.put("rdb_last_load_keys_loaded", p.load_keys.load(Ordering::Relaxed));
    lines.put("aof_enabled", 0);
    lines.put("aof_rewrite_in_progress", 0);
    lines.put("aof_rewrite_scheduled", 0);
    lines.put("aof_last_rewrite_time_sec", -1);
    lines.put("aof_current_rewrite_time_sec", -1);
    lines.put("aof_last_bgrewrite_status", "ok");
    lines.put("aof_rewrites", 0);
    lines.put("aof_rewrites_consecutive_failures", 0);
    lines.put("aof_last_write_status", "ok");
    lines.put("aof_last_cow_size", 0);
    lines.put("module_fork_in_progress", 0);
    lines.put("module_fork_last_cow_size", 0);
    lines.put("slot_migration_fork_in_progress", 0);
    if let Some(loading) = &view.world.loading {
        lines.put("loading_start_time", loading.since.as_secs());
        lines.put("loading_total_bytes", loading.total_bytes);
    }
}
