//! INFO persistence.

use std::sync::atomic::Ordering;

use super::{Lines, View};
use crate::aof::Phase;

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
    // The original makes snapshots for replicas as it saves, and those who watch it look for them here.
    let sending = view.shared.repl.sending_snapshot.load(Ordering::Relaxed);
    lines.put("rdb_bgsave_in_progress", u8::from(saving || sending));
    lines.put("rdb_last_save_time", p.last_save_secs.load(Ordering::Relaxed));
    lines.put("rdb_last_bgsave_status", if p.last_failed.load(Ordering::Relaxed) { "err" } else { "ok" });
    lines.put("rdb_last_bgsave_time_sec", p.last_duration_secs.load(Ordering::Relaxed));
    let current = if saving { now.saturating_sub(p.began_secs.load(Ordering::Relaxed)) as i64 } else { -1 };
    lines.put("rdb_current_bgsave_time_sec", current);
    lines.put("rdb_saves", p.saves.load(Ordering::Relaxed));
    lines.put("rdb_last_cow_size", 0);
    lines.put("rdb_last_load_keys_expired", p.load_expired.load(Ordering::Relaxed));
    lines.put("rdb_last_load_keys_loaded", p.load_keys.load(Ordering::Relaxed));
    aof(view, lines, now);
    lines.put("module_fork_in_progress", 0);
    lines.put("module_fork_last_cow_size", 0);
    lines.put("slot_migration_fork_in_progress", 0);
    aof_files(view, lines);
    if let Some(loading) = &view.world.loading {
        let (read, total) = view.shared.first_load.progress();
        let took = now.saturating_sub(loading.since.as_secs());
        let share = read as f64 / total.max(1) as f64;
        lines.put("loading_start_time", loading.since.as_secs());
        lines.put("loading_total_bytes", total);
        lines.put("loading_loaded_bytes", read);
        lines.put("loading_loaded_perc", format!("{:.2}", share * 100.0));
        // Until something was read there is nothing to go by.
        lines.put(
            "loading_eta_seconds",
            took.checked_mul(total - read).and_then(|left| left.checked_div(read)).unwrap_or(1),
        );
    }
}

/// How the append-only file is (aof 9).
fn aof(view: &View<'_>, lines: &mut Lines, now: u64) {
    let (aof, status) = (&view.shared.aof, &view.shared.aof.status);
    let rewriting = status.rewriting.load(Ordering::Relaxed);
    let word = |failed: bool| if failed { "err" } else { "ok" };
    lines.put("aof_enabled", u8::from(aof.phase() != Phase::Off));
    lines.put("aof_rewrite_in_progress", u8::from(rewriting));
    lines.put("aof_rewrite_scheduled", u8::from(status.scheduled.load(Ordering::Relaxed)));
    lines.put("aof_last_rewrite_time_sec", status.last_secs.load(Ordering::Relaxed));
    let current = if rewriting { now.saturating_sub(status.began_secs.load(Ordering::Relaxed)) as i64 } else { -1 };
    lines.put("aof_current_rewrite_time_sec", current);
    lines.put("aof_last_bgrewrite_status", word(status.last_failed.load(Ordering::Relaxed)));
    lines.put("aof_rewrites", status.rewrites.load(Ordering::Relaxed));
    lines.put("aof_rewrites_consecutive_failures", status.failures.load(Ordering::Relaxed));
    lines.put("aof_last_write_status", word(status.fails()));
    lines.put("aof_last_cow_size", 0);
}

/// What there is to be said of its files, if there are any.
fn aof_files(view: &View<'_>, lines: &mut Lines) {
    let (aof, status) = (&view.shared.aof, &view.shared.aof.status);
    if aof.phase() == Phase::Off {
        return;
    }
    lines.put("aof_current_size", aof.total_bytes());
    lines.put("aof_base_size", status.base_bytes.load(Ordering::Relaxed));
    lines.put("aof_pending_rewrite", u8::from(status.scheduled.load(Ordering::Relaxed)));
    lines.put("aof_buffer_length", aof.waiting_bytes());
    lines.put("aof_pending_bio_fsync", u8::from(aof.is_syncing()));
    lines.put("aof_delayed_fsync", status.delayed.load(Ordering::Relaxed));
}
