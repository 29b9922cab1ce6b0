//! The clients: threads that write one value after the other, each waiting for its acknowledgement, and remember what
//! they were promised. They follow redirects and try again as a client library does; they know nothing of what happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use baton_base::Mono;
use baton_cli::{ClusterClient, Endpoint, Reply, Statistics};

use crate::error::Error;
use crate::ledger::{Found, Ledger, Verdict};
use crate::patience::Clock;
use crate::pauses::{Pause, longest_pause, rate};

/// How many clients.
pub(crate) const WRITERS: usize = 4;
/// Keys of each client: enough to reach every shard every few writes.
const KEYS: usize = 48;
/// Between an acknowledgement and the next write: leaves a small machine time for the servers, so that pauses come from
/// them and not from threads that wait for a core.
const REST: Duration = Duration::from_micros(200);
/// Errors remembered by a client, the first ones; all are counted.
const ERRORS_KEPT: usize = 16;

/// All clients.
pub(crate) struct Writers {
    clock: Clock,
    records: Vec<Arc<Mutex<Record>>>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

/// What one client has been through. It grows by a few bytes a write, for as long as the demonstration lasts.
struct Record {
    /// When each write was acknowledged, ascending.
    acks: Vec<Mono>,
    ledger: Ledger,
    /// When a write failed for good, and the first reasons.
    failures: Vec<Mono>,
    reasons: Vec<String>,
    statistics: Statistics,
}

/// What the clients went through between two moments.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The longest time that a client could not write.
    pub(crate) longest: Pause,
    /// The longest time of each client, ascending.
    pub(crate) each: Vec<Duration>,
    /// Writes that failed for good: what an application would have seen.
    pub(crate) errors: u64,
    /// Acknowledged writes a second, all clients together.
    pub(crate) rate: f64,
}

impl Writers {
    /// Sends the clients off.
    pub(crate) fn start(seeds: &[Endpoint], clock: Clock) -> Result<Writers, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = Writers { clock, records: Vec::new(), threads: Vec::new(), stop };
        for number in 0..WRITERS {
            let record = Arc::new(Mutex::new(Record::new()));
            let (shared, stop) = (Arc::clone(&record), Arc::clone(&writers.stop));
            let client = ClusterClient::new(seeds.iter().cloned());
            let thread = thread::Builder::new()
                .name(format!("writer-{number}"))
                .spawn(move || write_on(number, client, &shared, clock, &stop))
                .map_err(|source| Error::Local { doing: "start a thread".into(), source })?;
            writers.records.push(record);
            writers.threads.push(thread);
        }
        Ok(writers)
    }

    /// What they went through between two moments.
    pub(crate) fn account(&self, from: Mono, to: Mono) -> Account {
        let records: Vec<_> = self.records.iter().map(|r| lock(r)).collect();
        let pauses: Vec<Pause> = records.iter().map(|r| longest_pause(&r.acks, from, to)).collect();
        let mut each: Vec<Duration> = pauses.iter().map(|p| p.length()).collect();
        each.sort_unstable();
        let failed = |r: &Record| r.failures.iter().filter(|at| (from..=to).contains(*at)).count() as u64;
        Account {
            longest: pauses.into_iter().max_by_key(|p| p.length()).unwrap_or(Pause { from, to: from }),
            each,
            errors: records.iter().map(|r| failed(r)).sum(),
            rate: records.iter().map(|r| rate(&r.acks, from, to)).sum(),
        }
    }

    /// Every client has had a write acknowledged after this moment.
    pub(crate) fn all_wrote_since(&self, when: Mono) -> bool {
        self.records.iter().all(|r| lock(r).acks.last().is_some_and(|last| *last > when))
    }

    /// What the clients' library did for them so far, all together.
    pub(crate) fn statistics(&self) -> Statistics {
        self.records.iter().map(|r| lock(r).statistics).fold(Statistics::default(), add)
    }

    /// The first errors.
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.records.iter().flat_map(|r| lock(r).reasons.clone()).collect()
    }

    /// The time by the clients' clock.
    pub(crate) fn now(&self) -> Mono {
        self.clock.now()
    }

    /// Lets the clients finish what they are at, then reads every key and compares it with what was promised.
    pub(crate) fn verify(mut self, seeds: &[Endpoint]) -> Result<Verdict, String> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A client that panicked has printed why; its record up to there still counts.
            let _ = thread.join();
        }
        let mut reader = ClusterClient::new(seeds.iter().cloned());
        let mut sum = Verdict::default();
        for (number, record) in self.records.iter().enumerate() {
            let ledger = &lock(record).ledger;
            for key in 0..ledger.len() {
                let name = key_name(number, key);
                let reply = reader.query(&[b"GET", name.as_bytes()]).map_err(|e| format!("GET {name}: {e}"))?;
                sum = sum.plus(ledger.judge(key, found(&reply).map_err(|e| format!("GET {name}: {e}"))?));
            }
        }
        Ok(sum)
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Record {
    fn new() -> Record {
        Record {
            acks: Vec::new(),
            ledger: Ledger::new(KEYS),
            failures: Vec::new(),
            reasons: Vec::new(),
            statistics: Statistics::default(),
        }
    }
}

fn write_on(number: usize, mut client: ClusterClient, shared: &Mutex<Record>, clock: Clock, stop: &AtomicBool) {
    let names: Vec<String> = (0..KEYS).map(|key| key_name(number, key)).collect();
    let mut value = 0u64;
    while !stop.load(Ordering::Relaxed) {
        value += 1;
        let key = value as usize % KEYS;
        lock(shared).ledger.send(key, value);
        let outcome = client.query(&[b"SET", names[key].as_bytes(), value.to_string().as_bytes()]);
        let now = clock.now();
        let mut record = lock(shared);
        record.statistics = client.statistics();
        let failure = match outcome {
            Ok(reply) if reply.is_ok() => {
                record.ledger.acknowledge(key, value);
                record.acks.push(now);
                None
            }
            Ok(Reply::Error(e)) => Some(e.to_string()),
            Ok(other) => Some(format!("an unexpected reply: {other:?}")),
            Err(e) => Some(e.to_string()),
        };
        if let Some(reason) = failure {
            record.failures.push(now);
            if record.reasons.len() < ERRORS_KEPT {
                record.reasons.push(reason);
            }
        }
        drop(record);
        thread::sleep(REST);
    }
}

fn key_name(writer: usize, key: usize) -> String {
    format!("demo:{writer}:{key}")
}

fn found(reply: &Reply) -> Result<Found, String> {
    match reply {
        Reply::Nil => Ok(Found::Nothing),
        Reply::Error(e) => Err(e.to_string()),
        other => Ok(other.to_text().and_then(|t| t.parse().ok()).map_or(Found::Foreign, Found::Value)),
    }
}

/// A client that panicked leaves a record that is whole: each change is one push.
fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add(a: Statistics, b: Statistics) -> Statistics {
    Statistics {
        queries: a.queries + b.queries,
        attempts: a.attempts + b.attempts,
        redirects_moved: a.redirects_moved + b.redirects_moved,
        redirects_ask: a.redirects_ask + b.redirects_ask,
        redirects_primary: a.redirects_primary + b.redirects_primary,
        refusals: a.refusals + b.refusals,
        connects: a.connects + b.connects,
        reconnects: a.reconnects + b.reconnects,
        connect_failures: a.connect_failures + b.connect_failures,
        links_lost: a.links_lost + b.links_lost,
        map_refreshes: a.map_refreshes + b.map_refreshes,
    }
}
