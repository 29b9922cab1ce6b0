//! What the server counts. Each worker writes only its own line of counters; readers add them up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

/// A counter that one thread writes and anybody reads.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds; only the owning thread may call this while it wants exact sums.
    #[inline]
    pub fn add(&self, n: u64) {
        // A plain load and store instead of a locked addition: there is one writer.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Adds from any thread.
    pub fn add_shared(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The value.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets it.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Sets it to zero.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Counters of one lane.
#[derive(Debug, Default)]
pub struct WorkerStats {
    /// By the id of the command.
    pub by_command: Box<[CommandStats]>,
    /// Changes to the dataset.
    pub dirty: Count,
    /// Commands executed.
    pub commands: Count,
    /// Bytes received from clients.
    pub net_in: Count,
    /// Bytes sent to clients.
    pub net_out: Count,
    /// Key lookups that found something.
    pub hits: Count,
    /// Key lookups that found nothing.
    pub misses: Count,
    /// Keys deleted because their time had come.
    pub expired: Count,
    /// Error replies.
    pub errors: Count,
    /// Reads from sockets.
    pub reads: Count,
    /// Writes to sockets.
    pub writes: Count,
}

/// Calls of one command.
#[derive(Debug, Default)]
pub struct CommandStats {
    /// Executions.
    pub calls: Count,
    /// Nanoseconds spent.
    pub nanos: Count,
    /// Refused before execution.
    pub rejected: Count,
    /// Ended with an error.
    pub failed: Count,
}

impl CommandStats {
    fn reset(&self) {
        [&self.calls, &self.nanos, &self.rejected, &self.failed].into_iter().for_each(Count::reset);
    }
}

impl WorkerStats {
    fn new(commands: usize) -> WorkerStats {
        WorkerStats { by_command: (0..commands).map(|_| CommandStats::default()).collect(), ..WorkerStats::default() }
    }
}

/// Counters of the whole server.
pub struct Stats {
    /// One line for every lane of the gate.
    pub lanes: Box<[CachePadded<WorkerStats>]>,
    /// Error replies by their first word.
    pub error_words: Mutex<BTreeMap<String, u64>>,
    /// Connections accepted.
    pub connections: Count,
    /// Connections refused for lack of room.
    pub rejected: Count,
    /// Connections that wait in a blocking command.
    pub blocked: AtomicI64,
    /// Full synchronisations served.
    pub sync_full: Count,
    /// Partial synchronisations accepted.
    pub sync_partial_ok: Count,
    /// Partial synchronisations refused.
    pub sync_partial_err: Count,
    /// Bytes received on the link to the primary.
    pub repl_in: Count,
    /// Bytes sent to replicas.
    pub repl_out: Count,
    /// Failed password checks.
    pub auth_failures: Count,
    /// Commands a second of the latest sample.
    pub ops_per_sec: Count,
    /// Bytes received a second of the latest sample.
    pub in_per_sec: Count,
    /// Bytes sent a second of the latest sample.
    pub out_per_sec: Count,
    /// Highest memory use seen by the sampler.
    pub memory_peak: Count,
}

impl Stats {
    /// All zero.
    pub fn new(lanes: usize, commands: usize) -> Stats {
        Stats {
            lanes: (0..lanes).map(|_| CachePadded::new(WorkerStats::new(commands))).collect(),
            error_words: Mutex::default(),
            connections: Count::default(),
            rejected: Count::default(),
            blocked: AtomicI64::new(0),
            sync_full: Count::default(),
            sync_partial_ok: Count::default(),
            sync_partial_err: Count::default(),
            repl_in: Count::default(),
            repl_out: Count::default(),
            auth_failures: Count::default(),
            ops_per_sec: Count::default(),
            in_per_sec: Count::default(),
            out_per_sec: Count::default(),
            memory_peak: Count::default(),
        }
    }

    /// The sum of one counter over all lanes.
    pub fn sum(&self, of: impl Fn(&WorkerStats) -> &Count) -> u64 {
        self.lanes.iter().map(|l| of(l).value()).sum()
    }

    /// Counts an error reply by its first word. At most 128 different words are told apart.
    pub fn count_error(&self, lane: usize, text: &str) {
        self.lanes[lane].errors.add(1);
        let word = text.split([' ', '\r', '\n']).next().unwrap_or("ERR");
        let mut words = self.error_words.lock();
        if let Some(n) = words.get_mut(word) {
            *n += 1;
        } else if words.len() < 128 {
            words.insert(word.to_owned(), 1);
        }
    }

    /// CONFIG RESETSTAT.
    pub fn reset(&self) {
        for lane in &self.lanes {
            let l: &WorkerStats = lane;
            for c in
                [&l.commands, &l.net_in, &l.net_out, &l.hits, &l.misses, &l.expired, &l.errors, &l.reads, &l.writes]
            {
                c.reset();
            }
            l.by_command.iter().for_each(CommandStats::reset);
        }
        self.error_words.lock().clear();
        let all = [&self.connections, &self.rejected, &self.sync_full, &self.sync_partial_ok, &self.sync_partial_err];
        let more = [&self.repl_in, &self.repl_out, &self.auth_failures];
        all.into_iter().chain(more).for_each(Count::reset);
    }
}
