//! Loads a cluster through the asynchronous client of the `redis` crate in its default configuration, one connection and
//! task a loop, and tells what the application noticed. What the job and the report mean is in `tests/e2e/load.py`; never retries by itself.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::AsyncTypedCommands;
use redis::cluster::ClusterClient;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;

const GAPS_MAX: usize = 50;

#[derive(Deserialize)]
struct Job {
    host: String,
    port: u16,
    keys: Vec<String>,
    loops: usize,
}

#[derive(Default, Serialize)]
struct Report {
    successes: u64,
    errors: Vec<(f64, String)>,
    events: Vec<(f64, String)>,
    gaps: Vec<(f64, f64)>,
    lost: Vec<(String, u64, u64)>,
    #[serde(skip)]
    last: f64,
}

impl Report {
    fn succeeded(&mut self) {
        let at = now();
        self.successes += 1;
        if at - self.last > 1.0 {
            self.gaps.push((self.last, at));
        }
        if self.gaps.len() > 20 * GAPS_MAX {
            self.trim();
        }
        self.last = at;
    }

    fn trim(&mut self) {
        self.gaps.sort_by(|a, b| (b.1 - b.0).total_cmp(&(a.1 - a.0)));
        self.gaps.truncate(GAPS_MAX);
    }
}

/// Milliseconds of the wall clock.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64() * 1000.0
}

struct Load {
    job: Job,
    client: ClusterClient,
    report: Mutex<Report>,
    warm: AtomicUsize,
    ending: AtomicBool,
}

impl Load {
    async fn run(&self, number: usize) {
        let mut connection = self.client.get_async_connection().await.expect("the cluster can be reached");
        let tag = &self.job.keys[number % self.job.keys.len()];
        let key = format!("{tag}:{}:{number}", std::process::id());
        let mut value = 0;
        while !self.ending.load(Ordering::Relaxed) {
            value += 1;
            let done = match connection.set(&key, value).await {
                Ok(()) => {
                    self.report().succeeded();
                    connection.get(&key).await
                }
                Err(error) => Err(error),
            };
            match done {
                Ok(read) => self.note_read(&key, value, read),
                Err(error) => {
                    self.report().errors.push((now(), format!("{:?}: {error}", error.kind())));
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }

    fn note_read(&self, key: &str, value: u64, read: Option<String>) {
        let mut report = self.report();
        report.succeeded();
        let read = read.and_then(|text| text.parse().ok()).unwrap_or(0);
        if read < value {
            report.lost.push((key.to_owned(), value, read));
        }
        if value == 1 && self.warm.fetch_add(1, Ordering::SeqCst) + 1 == self.job.loops {
            println!("ready");
        }
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().expect("nobody panics")
    }
}

#[tokio::main]
async fn main() {
    let words = std::env::args().nth(1).expect("a job");
    let job: Job = serde_json::from_str(&words).expect("the job is JSON");
    let client = ClusterClient::new([format!("redis://{}:{}", job.host, job.port)]).expect("an address");
    let (loops, report) = (job.loops, Mutex::new(Report { last: now(), ..Report::default() }));
    let load = Arc::new(Load { job, client, report, warm: AtomicUsize::new(0), ending: AtomicBool::new(false) });
    for number in 0..loops {
        let load = Arc::clone(&load);
        tokio::spawn(async move { load.run(number).await });
    }
    // An end of the input that is an error is an end, too.
    let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    load.ending.store(true, Ordering::Relaxed);
    let mut report = load.report();
    // The time since the last success is a wait, too.
    let last = report.last;
    report.gaps.push((last, now()));
    report.trim();
    println!("{}", serde_json::to_string(&*report).expect("a report is JSON"));
    std::process::exit(0);
}
