//! Whether the log is being written and synced as it should, and the numbers that INFO shows of it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use baton_base::Mono;
use parking_lot::Mutex;

use super::log::Trouble;
use crate::listen::text_of;
use crate::log::Log;

/// An error that goes on is told so often.
const LOG_PERIOD: Duration = Duration::from_secs(30);

/// What goes wrong, and what INFO shows.
#[derive(Debug)]
pub struct Status {
    /// Either of the two below: writes are refused.
    fails: AtomicBool,
    write_fails: AtomicBool,
    sync_fails: AtomicBool,
    /// Why.
    why: Mutex<String>,
    told_at: Mutex<Option<Mono>>,
    /// Writes that were put off for long because the disk was busy.
    pub delayed: AtomicU64,
    /// Bytes of all files but the open one.
    pub other_bytes: AtomicU64,
    /// Bytes of all files right after the latest rewrite, or after the start.
    pub base_bytes: AtomicU64,
    /// A rewrite runs.
    pub rewriting: AtomicBool,
    /// One is to begin as soon as it can.
    pub scheduled: AtomicBool,
    /// The running one is to stop.
    pub cancel: AtomicBool,
    /// When it began, unix seconds.
    pub began_secs: AtomicU64,
    /// Seconds that the latest one took, -1 before the first.
    pub last_secs: AtomicI64,
    /// The latest one failed.
    pub last_failed: AtomicBool,
    /// Rewrites that began.
    pub rewrites: AtomicU64,
    /// Rewrites that failed since one worked.
    pub failures: AtomicU64,
    /// When the next automatic one may begin, after failures: unix seconds.
    pub retry_secs: AtomicU64,
}

impl Default for Status {
    fn default() -> Status {
        Status {
            fails: AtomicBool::new(false),
            write_fails: AtomicBool::new(false),
            sync_fails: AtomicBool::new(false),
            why: Mutex::default(),
            told_at: Mutex::new(None),
            delayed: AtomicU64::new(0),
            other_bytes: AtomicU64::new(0),
            base_bytes: AtomicU64::new(0),
            rewriting: AtomicBool::new(false),
            scheduled: AtomicBool::new(false),
            cancel: AtomicBool::new(false),
            began_secs: AtomicU64::new(0),
            last_secs: AtomicI64::new(-1),
            last_failed: AtomicBool::new(false),
            rewrites: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            retry_secs: AtomicU64::new(0),
        }
    }
}

impl Status {
    /// Whether the log can't be written or synced.
    pub fn fails(&self) -> bool {
        self.fails.load(Ordering::Relaxed)
    }

    /// Whether it can't be written.
    pub(super) fn write_fails(&self) -> bool {
        self.write_fails.load(Ordering::Relaxed)
    }

    /// What writers are told while it fails (aof 7).
    pub fn refusal(&self) -> String {
        format!("MISCONF Errors writing to the AOF file: {}", self.why.lock())
    }

    fn settle(&self) {
        let fails = self.write_fails.load(Ordering::SeqCst) || self.sync_fails.load(Ordering::SeqCst);
        self.fails.store(fails, Ordering::SeqCst);
    }

    /// Forgets what was: another log is written.
    pub(super) fn begin_anew(&self) {
        self.write_fails.store(false, Ordering::SeqCst);
        self.sync_fails.store(false, Ordering::SeqCst);
        *self.told_at.lock() = None;
        self.settle();
    }

    pub(super) fn write_works(&self, log: &Log) {
        if self.write_fails() {
            self.write_fails.store(false, Ordering::SeqCst);
            *self.told_at.lock() = None;
            self.settle();
            log.warning("AOF write error looks solved. The server can write again.");
        }
    }

    pub(super) fn write_failed(&self, log: &Log, now: Mono, trouble: &Trouble) {
        let full = || text_of(&io::Error::from_raw_os_error(ENOSPC));
        let (why, line) = match trouble {
            Trouble::Write(e) => (text_of(e), format!("Error writing to the AOF file: {}", text_of(e))),
            Trouble::Short(n, wanted) => {
                let line = format!("Short write while writing to the AOF file: (nwritten={n}, expected={wanted})");
                (full(), line)
            }
            Trouble::Detached => return,
        };
        *self.why.lock() = why;
        let mut told_at = self.told_at.lock();
        if told_at.is_none_or(|at| now.since(at) > LOG_PERIOD) {
            *told_at = Some(now);
            log.warning(&line);
        }
        self.write_fails.store(true, Ordering::SeqCst);
        self.settle();
    }

    pub(super) fn synced(&self, log: &Log, outcome: &io::Result<()>) {
        if let Err(e) = outcome {
            *self.why.lock() = text_of(e);
            if !self.sync_fails.swap(true, Ordering::SeqCst) {
                log.warning(&format!("Fail to fsync the AOF file: {}", text_of(e)));
            }
        } else {
            self.sync_fails.store(false, Ordering::SeqCst);
        }
        self.settle();
    }
}

/// "No space left on device": what a part of a write means.
const ENOSPC: i32 = 28;
