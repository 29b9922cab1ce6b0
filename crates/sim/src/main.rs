//! `baton-sim`: runs seeds, many at once, and says which of them fail and how to see one again.
//!
//! `--seeds N` how many, `--from S` the first one, `--seed S` a single one, `--trace` tells its story; `--plan` runs what a file
//! says, and `--shrink` makes a plan that fails small, to be kept in such a file. `figures` measures
//! failovers and the bus in clusters of several sizes, and `noise` lets one endure
//! pauses and lost packets. Threads and the
//! real clock are used here only, to share the work and to say how fast it went.

use baton_sim::figures::{Subject, measure};
use baton_sim::noise::endure;
use baton_sim::shrink::shrink;
use baton_sim::{Options, Plan, Report, plan_text, run};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Clone)]
struct Arguments {
    from: u64,
    count: u64,
    trace: bool,
    shrink: bool,
    /// A plan other than that of the seed.
    plan: Option<Plan>,
    threads: usize,
}

/// Lets a cluster endure noise for so many minutes.
fn noise(minutes: u64) -> ExitCode {
    match endure(1, Duration::from_secs(60 * minutes)) {
        Ok(noise) => {
            println!("{minutes} min: {noise:?}");
            if noise.epochs == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}

/// Measures clusters of these sizes: with one primary killed, and with a third of them.
fn figures(words: &[String]) -> ExitCode {
    let sizes: Vec<usize> = match words.iter().map(|word| word.parse()).collect() {
        Ok(sizes) => sizes,
        Err(_) => {
            eprintln!("usage: baton-sim figures [NODES]... | noise [MINUTES]");
            return ExitCode::FAILURE;
        }
    };
    let sizes = if sizes.is_empty() { vec![6, 100, 1000] } else { sizes };
    println!(
        "{:>6} {:>7} {:>28} {:>22} {:>11}",
        "nodes", "killed", "served again after, ms", "bytes/s a node", "unserved"
    );
    println!("{:>6} {:>7} {:>9} {:>9} {:>8} {:>11} {:>10}", "", "", "median", "last", "all well", "quiet", "failover");
    let mut whole = true;
    for nodes in sizes {
        let shards = (nodes / 2).max(1);
        whole &= figure(shards);
    }
    if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A third of the primaries dies after the one, where that is more than one.
fn figure(shards: usize) -> bool {
    let killed = if shards < 6 { vec![1] } else { vec![1, shards / 3] };
    let subject = Subject { plan: Plan::steady(shards, 1), killed, seed: 1 };
    let found = match measure(&subject, Options::default()) {
        Ok(found) => found,
        Err(error) => {
            println!("{:>6} {error}", 2 * shards);
            return false;
        }
    };
    for round in &found.rounds {
        let times = &round.failovers_ms;
        let (median, last) = (times.get(times.len() / 2).copied(), times.last().copied());
        let ms = |time: Option<u64>| time.map_or("-".to_owned(), |ms| ms.to_string());
        println!(
            "{:>6} {:>7} {:>9} {:>9} {:>8} {:>11} {:>10} {:>11}",
            2 * shards,
            round.killed,
            ms(median),
            ms(last),
            ms(round.well_ms),
            found.quiet_bytes,
            round.storm_bytes,
            round.unserved
        );
    }
    found.rounds.iter().all(|round| round.unserved == 0)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "figures") {
        return figures(&words[1..]);
    }
    if words.first().is_some_and(|word| word == "noise") {
        let minutes = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(60);
        return noise(minutes);
    }
    let arguments = match read(words.into_iter()) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!(
                "{error}\nusage: baton-sim [--seeds N] [--from S] [--threads N] | --seed S [--trace] [--shrink] | --plan FILE [--trace] [--shrink] | figures [NODES]..."
            );
            return ExitCode::FAILURE;
        }
    };
    match arguments.count {
        1 if arguments.shrink => smaller(&arguments),
        1 => one(&arguments),
        _ => many(&arguments),
    }
}

fn read(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut out = Arguments { from: 1, count: 1000, trace: false, shrink: false, plan: None, threads };
    let mut words = words;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--trace" => out.trace = true,
            "--shrink" => out.shrink = true,
            _ => read_value(&mut out, &word, &words.next().ok_or(format!("{word} wants a value"))?)?,
        }
    }
    Ok(out)
}

fn read_value(out: &mut Arguments, word: &str, value: &str) -> Result<(), String> {
    if word == "--plan" {
        let text = std::fs::read_to_string(value).map_err(|error| format!("{value}: {error}"))?;
        let (seed, plan) = plan_text::read(&text)?;
        (out.from, out.count, out.plan) = (seed, 1, Some(plan));
        return Ok(());
    }
    let value: u64 = value.parse().map_err(|_| format!("{value} is no number"))?;
    match word {
        "--seeds" => out.count = value,
        "--from" => out.from = value,
        "--seed" => (out.from, out.count) = (value, 1),
        "--threads" => out.threads = value.max(1) as usize,
        _ => return Err(format!("unknown option {word}")),
    }
    Ok(())
}

/// Shrinks the plan of a run that fails, and prints what `--plan` reads.
fn smaller(arguments: &Arguments) -> ExitCode {
    let plan = arguments.plan.clone().unwrap_or_else(|| Plan::of(arguments.from));
    let Some(shrunk) = shrink(arguments.from, plan, None) else {
        println!("# seed {} breaks nothing", arguments.from);
        return ExitCode::SUCCESS;
    };
    println!("# baton-sim --plan FILE --trace; after {} runs this still says:", shrunk.runs);
    shrunk.report.violations.iter().for_each(|violation| println!("#   {violation}"));
    print!("{}", plan_text::write(arguments.from, &shrunk.plan));
    ExitCode::FAILURE
}

/// Runs one seed twice, since a failure that can't be repeated is one of this program.
fn one(arguments: &Arguments) -> ExitCode {
    let mut options = Options { plan: arguments.plan.clone(), ..Options::default() };
    if arguments.trace {
        options.listener = Some(Box::new(|at, text| {
            if !text.is_empty() {
                println!("{at:?} {text}");
            }
        }));
    }
    let report = run(arguments.from, options);
    println!("{report:#?}");
    let again = run(arguments.from, Options { plan: arguments.plan.clone(), ..Options::default() });
    if again.hash != report.hash || again.events != report.events {
        println!("NOT DETERMINISTIC: a second run went differently");
        return ExitCode::FAILURE;
    }
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[derive(Default)]
struct Sum {
    failed: Vec<Report>,
    acknowledged: u64,
    lost: u64,
    lossy: u64,
    planned: u64,
    full_syncs: u64,
    hopeless: u64,
    emptied: u64,
    reads: u64,
    held: u64,
    excused: u64,
    virtual_ms: u64,
    events: u64,
    waits_us: Vec<u64>,
    recoveries_ms: Vec<u64>,
}

fn many(arguments: &Arguments) -> ExitCode {
    let started = Instant::now();
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from + arguments.count;
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let report = run(seed, Options::default());
                    add(&mut sum.lock().expect("nobody panics with it"), report);
                }
            });
        }
    });
    let sum = sum.into_inner().expect("nobody panics with it");
    tell(&sum, arguments.count, started.elapsed().as_secs_f64());
    if sum.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn add(sum: &mut Sum, report: Report) {
    sum.acknowledged += report.acknowledged;
    sum.lost += report.lost;
    sum.lossy += u64::from(report.lost > 0);
    sum.planned += report.planned;
    sum.full_syncs += report.full_syncs;
    sum.emptied += report.emptied;
    sum.reads += report.reads;
    sum.held += report.held;
    sum.excused += u64::from(report.excused > 0);
    sum.hopeless += u64::from(report.hopeless);
    sum.virtual_ms += report.virtual_ms;
    sum.events += report.events;
    if report.planned > 0 {
        sum.waits_us.push(report.longest_wait_us);
    }
    sum.recoveries_ms.push(report.recovery_ms);
    if !report.violations.is_empty() {
        println!("FAILED: baton-sim --seed {} --trace", report.seed);
        for violation in &report.violations {
            println!("  {violation}");
        }
        sum.failed.push(report);
    }
}

fn tell(sum: &Sum, count: u64, seconds: f64) {
    let rate = count as f64 / seconds;
    println!("{count} seeds in {seconds:.1} s: {rate:.1} seeds/s, {:.0} a minute", rate * 60.0);
    println!("  {} events, {:.1} h of virtual time", sum.events, sum.virtual_ms as f64 / 3_600_000.0);
    println!("  {} acknowledged writes; {} lost to faults, in {} seeds", sum.acknowledged, sum.lost, sum.lossy);
    println!("  {} planned handovers, {} full synchronisations in them", sum.planned, sum.full_syncs);
    println!("  longest wait of a client in one, ms: {}", percentiles(&sum.waits_us, 1000));
    println!("  from the last fault to peace, ms: {}", percentiles(&sum.recoveries_ms, 1));
    println!(
        "  {} replies waited for replicas, {} reads of registers; {} seeds lost all copies of acknowledged writes",
        sum.held, sum.reads, sum.excused
    );
    println!("  {} times a node gave up all keys it had", sum.emptied);
    println!("  {} seeds left a shard without any whole copy", sum.hopeless);
    println!("  {} failed", sum.failed.len());
}

fn percentiles(values: &[u64], unit: u64) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = |percent: usize| sorted.get((sorted.len().saturating_sub(1)) * percent / 100).map_or(0, |v| v / unit);
    format!("p50 {} p90 {} p99 {} max {}", at(50), at(90), at(99), at(100))
}
