//! What the server counts. Each worker writes only its own line of counters; readers add them up.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use crate::slot_stats::SlotTable;

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

    /// Sets it to `n` if that is more.
    pub fn raise(&self, n: u64) {
        if n > self.value() {
            self.set(n);
        }
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
    /// Fields of hashes removed, or written over, because their time had come.
    pub expired_fields: Count,
    /// Memory of the machine that runs its scripts, in bytes.
    pub machine_bytes: Count,
    /// Memory of the machine that loads libraries of functions, in bytes.
    pub loader_bytes: Count,
    /// Keys evicted to make room.
    pub evicted: Count,
    /// Error replies.
    pub errors: Count,
    /// Reads from sockets.
    pub reads: Count,
    /// Writes to sockets.
    pub writes: Count,
    /// Turns of the event loop.
    pub turns: Count,
    /// Microseconds of all turns, waiting excluded.
    pub turn_micros: Count,
    /// Microseconds of the longest turn.
    pub turn_micros_max: Count,
    /// Nanoseconds in commands.
    pub command_nanos: Count,
    /// Most requests executed in one go.
    pub batch_max: Count,
    /// What each slot cost, where that is counted.
    pub slots: SlotTable,
}

/// How often something took how long: each octave of nanoseconds in sixteen parts, so that a percentile is off by 6 % at
/// the most.
#[derive(Debug)]
pub struct Times(Box<[Count]>);

const PARTS_BITS: u32 = 4;
/// Everything above 68 seconds counts as that.
const OCTAVES: u32 = 36;

impl Default for Times {
    fn default() -> Times {
        Times((0..OCTAVES << PARTS_BITS).map(|_| Count::default()).collect())
    }
}

impl Times {
    /// Adds `n` executions that took so many nanoseconds each.
    #[inline]
    pub fn add(&self, nanos: u64, n: u64) {
        self.0[Times::part_of(nanos)].add(n);
    }

    fn part_of(nanos: u64) -> usize {
        let octave = nanos.max(1).ilog2();
        let part = if octave >= PARTS_BITS { nanos >> (octave - PARTS_BITS) } else { nanos << (PARTS_BITS - octave) };
        let index = (octave << PARTS_BITS) as usize + (part as usize & ((1 << PARTS_BITS) - 1));
        index.min((OCTAVES << PARTS_BITS) as usize - 1)
    }

    /// The longest time, in nanoseconds, that counts into this part.
    fn top_of(part: usize) -> u64 {
        let (octave, part) = ((part >> PARTS_BITS) as u32, (part & ((1 << PARTS_BITS) - 1)) as u64);
        let part = (1 << PARTS_BITS) + part;
        // The first octaves have fewer numbers than parts: there each number has a part of its own.
        if octave < PARTS_BITS { part << octave >> PARTS_BITS } else { ((part + 1) << (octave - PARTS_BITS)) - 1 }
    }

    /// The times below which so many per cent of the executions lie, in nanoseconds; none if there were no executions.
    pub fn percentiles(all: &[&Times], wanted: &[f64]) -> Option<Vec<u64>> {
        let parts = (OCTAVES << PARTS_BITS) as usize;
        let sums: Vec<u64> = (0..parts).map(|i| all.iter().map(|t| t.0[i].value()).sum()).collect();
        let total: u64 = sums.iter().sum();
        if total == 0 {
            return None;
        }
        let time_at = |percent: f64| {
            let rank = ((percent / 100.0 * total as f64).ceil() as u64).max(1);
            let mut seen = 0;
            let part = sums.iter().position(|n| {
                seen += n;
                seen >= rank
            });
            Times::top_of(part.unwrap_or(parts - 1))
        };
        Some(wanted.iter().map(|percent| time_at(*percent)).collect())
    }

    /// How many executions took up to so many microseconds, for limits that double from one to the next; only limits that
    /// some execution adds to.
    pub fn doubling(all: &[&Times]) -> Vec<(u64, u64)> {
        let parts = 1 << PARTS_BITS;
        // The first limit is 2^10 nanoseconds; all of the last one's octave is above every other.
        let mut buckets: Vec<(u64, u64)> = Vec::new();
        let (mut total, mut shown) = (0, 0);
        for octave in 0..OCTAVES as usize {
            let of =
                |times: &&Times| times.0[octave * parts..(octave + 1) * parts].iter().map(Count::value).sum::<u64>();
            total += all.iter().map(of).sum::<u64>();
            if octave >= 9 && total > shown {
                // What a histogram with two exact digits takes for the limit.
                let limit = 2u64 << octave;
                buckets.push(((limit + (limit >> 7) - 1) / 1000, total));
                shown = total;
            }
        }
        buckets
    }

    fn reset(&self) {
        self.0.iter().for_each(Count::reset);
    }
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
    times: OnceLock<Box<Times>>,
}

impl CommandStats {
    /// How long executions took. Made at the first.
    #[inline]
    pub fn times(&self) -> &Times {
        self.times.get_or_init(Box::default)
    }

    /// How long executions took, if there were any.
    pub fn times_if_any(&self) -> Option<&Times> {
        self.times.get().map(|times| &**times)
    }

    fn reset(&self) {
        [&self.calls, &self.nanos, &self.rejected, &self.failed].into_iter().for_each(Count::reset);
        if let Some(times) = self.times.get() {
            times.reset();
        }
    }
}

impl WorkerStats {
    fn new(commands: usize) -> WorkerStats {
        WorkerStats { by_command: (0..commands).map(|_| CommandStats::default()).collect(), ..WorkerStats::default() }
    }

    /// Counts a turn of the event loop.
    pub fn count_turn(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.turns.add(1);
        self.turn_micros.add(micros);
        self.turn_micros_max.raise(micros);
    }

    /// Everything but the changes to the dataset, which saves are counted by.
    fn reset(&self) {
        let traffic = [&self.commands, &self.net_in, &self.net_out, &self.reads, &self.writes];
        let keys = [&self.hits, &self.misses, &self.expired, &self.expired_fields, &self.errors];
        self.evicted.reset();
        let turns = [&self.turns, &self.turn_micros, &self.turn_micros_max, &self.command_nanos, &self.batch_max];
        traffic.into_iter().chain(keys).chain(turns).for_each(Count::reset);
        self.by_command.iter().for_each(CommandStats::reset);
        self.slots.reset();
    }
}

/// Counters of the whole server.
#[derive(Default)]
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
    /// Connections closed because they did not read their replies.
    pub output_limit_closed: Count,
    /// Connections closed because all together took too much memory.
    pub evicted_clients: Count,
    /// Connections closed because of a request too large.
    pub query_limit_closed: Count,
    /// Failed password checks.
    pub auth_failures: Count,
    /// Commands that users were refused.
    pub denied_commands: Count,
    /// Keys that users were refused.
    pub denied_keys: Count,
    /// Channels that users were refused.
    pub denied_channels: Count,
    /// Databases that users were refused.
    pub denied_databases: Count,
    /// Commands a second of the latest sample.
    pub ops_per_sec: Count,
    /// Bytes received a second of the latest sample.
    pub in_per_sec: Count,
    /// Bytes sent a second of the latest sample.
    pub out_per_sec: Count,
    /// Bytes received from the primary a second of the latest sample.
    pub repl_in_per_sec: Count,
    /// Bytes sent to replicas a second of the latest sample.
    pub repl_out_per_sec: Count,
    /// Turns of all event loops a second of the latest sample.
    pub turns_per_sec: Count,
    /// Microseconds of a turn, on average over the latest sample.
    pub turn_micros_mean: Count,
    /// Microseconds spent on deleting expired keys in the background.
    pub expire_micros: Count,
    /// Highest memory use seen by the sampler.
    pub memory_peak: Count,
    /// Memory of the links of the cluster bus, as of the control thread's latest look.
    pub bus_link_bytes: Count,
    /// Bytes of messages that are on their way to the bus.
    pub bus_waiting_bytes: AtomicI64,
    /// Memory use when the server was ready.
    pub memory_startup: Count,
}

/// Different first words of errors that are told apart.
const ERROR_WORDS_MAX: usize = 256;
/// The same where a script makes them up.
const SCRIPT_ERROR_WORDS_MAX: usize = 128;
/// What all others are counted as.
const OTHER_ERRORS: &str = "ERRORSTATS_OVERFLOW";

impl Stats {
    /// All zero.
    pub fn new(lanes: usize, commands: usize) -> Stats {
        Stats { lanes: (0..lanes).map(|_| CachePadded::new(WorkerStats::new(commands))).collect(), ..Stats::default() }
    }

    /// Bytes that the links of the cluster bus hold, and those that wait to be sent over them.
    pub fn bus_bytes(&self) -> u64 {
        let waiting = u64::try_from(self.bus_waiting_bytes.load(Ordering::Relaxed)).unwrap_or(0);
        self.bus_link_bytes.value() + waiting
    }

    /// The sum of one counter over all lanes.
    pub fn sum(&self, of: impl Fn(&WorkerStats) -> &Count) -> u64 {
        self.lanes.iter().map(|l| of(l).value()).sum()
    }

    /// Counts an error reply by its first word; the text has no leading `-`.
    pub fn count_error(&self, lane: usize, text: &[u8]) {
        self.count_error_below(lane, text, ERROR_WORDS_MAX);
    }

    /// The same for an error that a script made up: its words are as many as its author likes, so only so many are told
    /// apart, and the others counted together.
    pub fn count_script_error(&self, lane: usize, text: &[u8]) {
        self.count_error_below(lane, text, SCRIPT_ERROR_WORDS_MAX);
    }

    fn count_error_below(&self, lane: usize, text: &[u8], most: usize) {
        self.lanes[lane].errors.add(1);
        let word = text.split(|b| matches!(b, b' ' | b'\r' | b'\n')).next().unwrap_or(b"ERR");
        let word = String::from_utf8_lossy(&word[..word.len().min(64)]);
        let mut words = self.error_words.lock();
        let is_new = !words.contains_key(&*word);
        let word = if is_new && words.len() >= most { OTHER_ERRORS } else { &*word };
        *words.entry(word.to_owned()).or_default() += 1;
    }

    /// CONFIG RESETSTAT.
    pub fn reset(&self) {
        for lane in &self.lanes {
            lane.reset();
        }
        self.error_words.lock().clear();
        let all = [&self.connections, &self.rejected, &self.sync_full, &self.sync_partial_ok, &self.sync_partial_err];
        let more = [&self.repl_in, &self.repl_out, &self.auth_failures, &self.output_limit_closed];
        let last = [&self.query_limit_closed, &self.evicted_clients, &self.expire_micros, &self.memory_peak];
        let denied = [&self.denied_commands, &self.denied_keys, &self.denied_channels, &self.denied_databases];
        all.into_iter().chain(more).chain(last).chain(denied).for_each(Count::reset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_scripts_make_up_are_told_apart_up_to_a_limit() {
        let stats = Stats::new(1, 1);
        (0..140).for_each(|n| stats.count_script_error(0, format!("E{n} text").as_bytes()));
        stats.count_error(0, b"ERR syntax error");
        stats.count_script_error(0, b"E1 text");
        let words = stats.error_words.lock();
        let of = |word: &str| words.get(word).copied();
        assert_eq!((of("E1"), of("E128"), of("ERR"), of(OTHER_ERRORS)), (Some(2), None, Some(1), Some(12)));
    }

    #[test]
    fn a_percentile_is_off_by_one_part_at_the_most() {
        for nanos in [1, 2, 15, 16, 17, 1000, 123_456_789, 1 << 40] {
            let times = Times::default();
            times.add(nanos, 3);
            let shown = Times::percentiles(&[&times], &[50.0]).unwrap()[0];
            assert!(shown >= nanos.min((1 << 36) - 1) && shown <= nanos + nanos / 16 + 1, "{nanos} {shown}");
        }
    }

    #[test]
    fn limits_double() {
        let times = Times::default();
        [500, 1023, 9_000, 15_000, 40_000, 40_001].iter().for_each(|nanos| times.add(*nanos, 1));
        assert_eq!(Times::doubling(&[&times, &times]), [(1, 4), (16, 8), (66, 12)]);
        assert!(Times::doubling(&[]).is_empty());
    }

    #[test]
    fn percentiles_go_by_rank() {
        let times = Times::default();
        times.add(100, 98);
        times.add(10_000, 1);
        times.add(1_000_000, 1);
        let shown = Times::percentiles(&[&times], &[0.0, 50.0, 99.0, 100.0]).unwrap();
        assert!(shown[0] < 110 && shown[1] < 110, "{shown:?}");
        assert!((10_000..11_000).contains(&shown[2]) && shown[3] >= 1_000_000, "{shown:?}");
        assert!(Times::percentiles(&[&Times::default()], &[50.0]).is_none());
    }
}
