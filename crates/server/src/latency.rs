//! What delayed the server: for each kind of event the latest times that were at least as long as
//! `latency-monitor-threshold`. Only those who found something slow come here.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

use baton_base::{Mono, WallMs};
use parking_lot::Mutex;

use crate::shared::Shared;

/// Samples kept of each kind of event.
const SAMPLES_MAX: usize = 160;

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A command.
    Command,
    /// One that should never take long.
    FastCommand,
    /// A look for keys whose time has come.
    ExpireCycle,
    /// A write to the append-only file, whatever else went on. Each is one of the following three, too.
    AofWrite,
    /// One while the file was being synced.
    AofWritePendingFsync,
    /// One while a snapshot or a base was being written.
    AofWriteActiveChild,
    /// One with nothing beside it.
    AofWriteAlone,
    /// A sync of the append-only file that replies waited for.
    AofFsyncAlways,
}

impl Event {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Event::Command => "command",
            Event::FastCommand => "fast-command",
            Event::ExpireCycle => "expire-cycle",
            Event::AofWrite => "aof-write",
            Event::AofWritePendingFsync => "aof-write-pending-fsync",
            Event::AofWriteActiveChild => "aof-write-active-child",
            Event::AofWriteAlone => "aof-write-alone",
            Event::AofFsyncAlways => "aof-fsync-always",
        }
    }
}

/// One time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When, unix seconds.
    pub at_secs: u64,
    /// How long, in milliseconds: the longest of that second.
    pub millis: u64,
}

/// All that is known of a kind of event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// The latest samples, oldest first.
    pub samples: VecDeque<Sample>,
    /// The longest time ever.
    pub millis_max: u64,
    /// The sum of all times.
    pub millis_sum: u64,
    /// How many there were.
    pub count: u64,
}

impl Series {
    fn add(&mut self, at_secs: u64, millis: u64) {
        self.millis_max = self.millis_max.max(millis);
        self.millis_sum += millis;
        self.count += 1;
        match self.samples.back_mut() {
            Some(last) if last.at_secs == at_secs => last.millis = last.millis.max(millis),
            _ => {
                if self.samples.len() == SAMPLES_MAX {
                    self.samples.pop_front();
                }
                self.samples.push_back(Sample { at_secs, millis });
            }
        }
    }
}

/// All events.
#[derive(Default)]
pub struct Latencies(Mutex<BTreeMap<Event, Series>>);

impl Latencies {
    /// Something took long.
    pub fn add(&self, event: Event, now: WallMs, millis: u64) {
        self.0.lock().entry(event).or_default().add(now.as_secs(), millis);
    }

    /// All kinds of events that happened.
    pub fn all(&self) -> Vec<(Event, Series)> {
        self.0.lock().iter().map(|(event, series)| (*event, series.clone())).collect()
    }

    /// The kind of event with this name, if it happened.
    pub fn named(&self, name: &[u8]) -> Option<(Event, Series)> {
        self.all().into_iter().find(|(event, _)| event.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Forgets events of these names, or all if there are none; gives how many kinds.
    pub fn reset(&self, names: &[&[u8]]) -> usize {
        let mut events = self.0.lock();
        let before = events.len();
        let named = |event: &Event| names.iter().any(|n| n.eq_ignore_ascii_case(event.name().as_bytes()));
        events.retain(|event, _| !names.is_empty() && !named(event));
        before - events.len()
    }
}

/// Measures one thing that may take long. Clocks are looked at only while `latency-monitor-threshold` asks for it.
pub struct Measure<'a> {
    shared: &'a Shared,
    began: Option<Mono>,
}

impl<'a> Measure<'a> {
    /// It begins.
    pub fn begin(shared: &'a Shared) -> Measure<'a> {
        let is_on = shared.world.peek().hot.event_nanos != u64::MAX;
        Measure { shared, began: is_on.then(|| shared.clock.mono()) }
    }

    /// It is over, and counts as these events if it took long.
    pub fn end(self, events: impl FnOnce() -> [Option<Event>; 2]) {
        let Some(began) = self.began else { return };
        let (shared, took) = (self.shared, self.shared.clock.mono().since(began));
        if took.as_nanos() >= u128::from(shared.world.peek().hot.event_nanos) {
            let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            events().into_iter().flatten().for_each(|event| shared.latencies.add(event, shared.clock.wall(), millis));
        }
    }
}

/// Rows of a graph.
const ROWS: usize = 4;
/// Marks within a row, lowest first.
const MARKS: [char; 3] = ['_', '-', '`'];

/// LATENCY GRAPH: each sample a column, with its age written below.
pub fn graph(event: Event, series: &Series, now: WallMs) -> String {
    let millis = || series.samples.iter().map(|s| s.millis);
    let (low, high) = (millis().min().unwrap_or(0), millis().max().unwrap_or(0));
    let mut out = format!(
        "{} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        event.name(),
        series.millis_max,
        "-".repeat(80)
    );
    let steps = (ROWS * MARKS.len() - 1) as u64;
    let level = |millis: u64| (((millis - low) * steps) / (high - low).max(1)) as usize;
    for row in (0..ROWS).rev() {
        let mark = |millis: u64| match level(millis) {
            at if at / MARKS.len() == row => MARKS[at % MARKS.len()],
            at if at / MARKS.len() > row => '|',
            _ => ' ',
        };
        out.extend(millis().map(mark));
        out.push('\n');
    }
    out.extend(series.samples.iter().map(|_| ' '));
    out.push('\n');
    let ages: Vec<Vec<char>> = series.samples.iter().map(|s| age(now.as_secs().saturating_sub(s.at_secs))).collect();
    for row in 0..ages.iter().map(Vec::len).max().unwrap_or(0) {
        out.extend(ages.iter().map(|age| age.get(row).copied().unwrap_or(' ')));
        out.push('\n');
    }
    out
}

/// Seconds in the largest unit that fits, one character a row.
fn age(secs: u64) -> Vec<char> {
    let (number, unit) = match secs {
        0..60 => (secs, 's'),
        60..3600 => (secs / 60, 'm'),
        3600..86_400 => (secs / 3600, 'h'),
        _ => (secs / 86_400, 'd'),
    };
    number.to_string().chars().chain([unit]).collect()
}

/// LATENCY DOCTOR: what was slow, and what can be done about it.
pub fn report(all: &[(Event, Series)], threshold: u64) -> String {
    if threshold == 0 && all.is_empty() {
        return "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Valkey instance. You may use \"CONFIG \
                SET latency-monitor-threshold <milliseconds>.\" in order to enable it.\n"
            .into();
    }
    if all.is_empty() {
        return "No latency spike was observed during the lifetime of this Valkey instance, not in the slightest bit.\n".into();
    }
    let mut out = "Latency spikes are observed in this Valkey instance.\n\n".to_owned();
    for (n, (event, series)) in all.iter().enumerate() {
        let count = series.samples.len().max(1) as u64;
        let mean = series.samples.iter().map(|s| s.millis).sum::<u64>() / count;
        let deviation = series.samples.iter().map(|s| s.millis.abs_diff(mean)).sum::<u64>() / count;
        let span = |s: &Series| Some(s.samples.back()?.at_secs - s.samples.front()?.at_secs);
        let period = span(series).unwrap_or(0).max(1) as f64 / count as f64;
        // Writing to a string can't fail.
        let _ = writeln!(
            out,
            "{}. {}: {} latency spikes (average {mean}ms, mean deviation {deviation}ms, period {period:.2} sec). Worst all \
             time event {}ms.",
            n + 1,
            event.name(),
            series.samples.len(),
            series.millis_max
        );
    }
    out.push_str("\nHere is some advice for you:\n\n");
    if all.iter().any(|(event, _)| *event == Event::Command) {
        out.push_str("- Check your Slow Log to understand what are the commands you are running which are too slow to execute.\n");
    }
    if all.iter().any(|(event, _)| *event == Event::FastCommand) {
        out.push_str(
            "- Commands that should never be slow were: the machine may be too busy, swap memory, or stop the process.\n",
        );
    }
    if all.iter().any(|(event, _)| *event == Event::ExpireCycle) {
        out.push_str("- Many keys, or large ones, expire at one time: let them expire at different times.\n");
    }
    let has = |wanted: &[Event]| all.iter().any(|(event, _)| wanted.contains(event));
    if has(&[Event::AofWrite]) {
        out.push_str(
            "- Writes to the append-only file are slow: keep it on a local disk, and other programs that write much away from that disk.\n",
        );
    }
    if has(&[Event::AofWritePendingFsync, Event::AofWriteActiveChild]) {
        out.push_str(
            "- They were while the disk was busy with a sync or a snapshot: 'no-appendfsync-on-rewrite yes' leaves it to snapshots, if the loss \
             that this allows is acceptable.\n",
        );
    }
    if has(&[Event::AofFsyncAlways]) {
        out.push_str("- With 'appendfsync always' each reply waits for the disk: a faster one helps, or 'appendfsync everysec'.\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_one_sample_and_the_oldest_go() {
        let latencies = Latencies::default();
        for n in 0..200 {
            latencies.add(Event::Command, WallMs(n * 500), n);
        }
        let (_, series) = latencies.named(b"COMMAND").unwrap();
        assert_eq!((series.samples.len(), series.count, series.millis_max), (100, 200, 199));
        assert_eq!(series.samples[1], Sample { at_secs: 1, millis: 3 });
        (0..200).for_each(|n| latencies.add(Event::Command, WallMs(n * 1000 + 200_000), 1));
        assert_eq!(latencies.all()[0].1.samples.len(), SAMPLES_MAX);
        assert_eq!((latencies.reset(&[b"x"]), latencies.reset(&[])), (0, 1));
    }

    #[test]
    fn advice_is_about_what_was_slow() {
        let latencies = Latencies::default();
        let report = || report(&latencies.all(), 1);
        latencies.add(Event::AofWrite, WallMs(0), 20);
        latencies.add(Event::AofWriteAlone, WallMs(0), 20);
        assert!(report().contains("keep it on a local disk") && !report().contains("no-appendfsync-on-rewrite"));
        latencies.add(Event::AofWriteActiveChild, WallMs(0), 20);
        assert!(report().contains("no-appendfsync-on-rewrite") && !report().contains("appendfsync always"));
        latencies.add(Event::AofFsyncAlways, WallMs(0), 20);
        assert!(report().contains("appendfsync always"));
    }

    #[test]
    fn a_graph_has_a_column_for_each_sample() {
        let mut series = Series::default();
        for (at, millis) in [(0, 10), (50, 20), (4000, 43)] {
            series.add(at, millis);
        }
        let text = graph(Event::Command, &series, WallMs(4_000_000));
        let rows: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(rows, ["  `", "  |", " _|", "_||", "   ", "110", "hhs"]);
        assert!(text.starts_with("command - high 43 ms, low 10 ms (all time high 43 ms)"));
    }
}
