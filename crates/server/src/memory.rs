//! How much memory counts against `maxmemory`, and for how long it was too much.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use baton_base::Mono;
use baton_store::Garbage;

use crate::shared::Shared;

/// What is counted of it.
#[derive(Default)]
pub struct MemoryMeter {
    /// Bytes that were taken out of the store and are being freed by other threads.
    freeing: AtomicU64,
    freeing_objects: AtomicU64,
    freed_objects: AtomicU64,
    /// Since when more is used than allowed, in microseconds; 0 where it isn't.
    over_since_us: AtomicU64,
    /// For how many microseconds in all more was used than allowed, up to the last time that it ended.
    over_us: AtomicU64,
}

impl MemoryMeter {
    /// Whether more than `max` is used of what counts. What is being freed doesn't, nor what connections give back that are
    /// being closed for it.
    pub fn is_over(&self, shared: &Shared, max: u64) -> bool {
        let used = shared.memory_used();
        if used <= max {
            return false;
        }
        let going = self.freeing.load(Ordering::Relaxed) + shared.clients.leaving_bytes();
        used.saturating_sub(going + not_counted(shared)) > max
    }

    /// Takes note that this is about to be freed elsewhere; what is given is to be dropped when it is.
    pub fn begin_freeing(self: &Arc<Self>, garbage: &Garbage) -> Freeing {
        let freeing = Freeing { meter: Arc::clone(self), bytes: garbage.bytes(), objects: garbage.objects() };
        self.freeing.fetch_add(freeing.bytes, Ordering::Relaxed);
        self.freeing_objects.fetch_add(freeing.objects, Ordering::Relaxed);
        freeing
    }

    /// How many values are being freed by other threads, and how many were.
    pub fn freed_elsewhere(&self) -> (u64, u64) {
        (self.freeing_objects.load(Ordering::Relaxed), self.freed_objects.load(Ordering::Relaxed))
    }

    /// Takes note that more is used than allowed.
    pub fn note_over(&self, now: Mono) {
        let since = now.as_micros().max(1);
        // Whoever noted it first is right.
        let _ = self.over_since_us.compare_exchange(0, since, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Takes note that no more is used than allowed.
    pub fn note_enough(&self, now: Mono) {
        if self.over_since_us.load(Ordering::Relaxed) != 0 {
            let since = self.over_since_us.swap(0, Ordering::Relaxed);
            self.over_us.fetch_add(now.as_micros().saturating_sub(since), Ordering::Relaxed);
        }
    }

    /// For how many milliseconds more was used than allowed: in all, and up to now where it still is.
    pub fn over_millis(&self, now: Mono) -> (u64, u64) {
        let since = self.over_since_us.load(Ordering::Relaxed);
        let current = if since == 0 { 0 } else { now.as_micros().saturating_sub(since) };
        ((self.over_us.load(Ordering::Relaxed) + current) / 1000, current / 1000)
    }

    /// Starts the times and counts of what was anew.
    pub fn reset(&self) {
        self.over_us.store(0, Ordering::Relaxed);
        self.freed_objects.store(0, Ordering::Relaxed);
    }
}

/// What is being freed by another thread.
pub struct Freeing {
    meter: Arc<MemoryMeter>,
    bytes: u64,
    objects: u64,
}

impl Drop for Freeing {
    fn drop(&mut self) {
        self.meter.freeing.fetch_sub(self.bytes, Ordering::Relaxed);
        self.meter.freeing_objects.fetch_sub(self.objects, Ordering::Relaxed);
        self.meter.freed_objects.fetch_add(self.objects, Ordering::Relaxed);
    }
}

/// Bytes in use that don't count against the limit: what replicas have yet to be sent, beyond the backlog. If keys were
/// evicted because of it, telling replicas so would take more of it.
pub fn not_counted(shared: &Shared) -> u64 {
    let backlog = shared.world.peek().settings.repl_backlog_bytes();
    (shared.journal.extent().mem_used as u64).saturating_sub(backlog)
}
