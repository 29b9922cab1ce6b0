//! The append-only file: a log of the replication stream in files of its own, which a restart reads back.
//!
//! Reading order: [`dir`] (the directory and its manifest), [`load`] (the start), [`fresh`] (what the start
//! leaves to be written on), [`sieve`] (what of the stream the log has), [`log`] (the open
//! file), [`Aof`] below (who writes it, and what waits for that), [`sync`] (when it is made durable), [`rewrite`] (new
//! bases), [`switch`] (where it begins and ends), [`status`] (what goes wrong, and what INFO shows).
//!
//! **Who writes.** With `appendfsync always` the thread of [`sync`] writes and syncs, as much at a time as there is, and
//! replies are held until it has ([`crate::write_acks`]). Else a worker writes what the stream has before it lets replies
//! out, so that what was answered survives the process; only while a slow disk is being synced does it not wait for that.

pub mod dir;
pub mod fresh;
pub mod load;
pub mod log;
pub mod rewrite;
pub mod sieve;
pub mod status;
pub mod switch;
pub mod sync;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use baton_aof::Manifest;
use baton_base::{Mono, Offset};
use baton_config::{AppendFsync, Id, Settings};
use parking_lot::Mutex;

use crate::latency::{Event, Measure};
use crate::shared::Shared;
use log::{Goal, NextFile, OpenLog, Trouble};
use status::Status;

/// While the log is being synced, nobody waits for it for longer than this, but for one who then has to.
const POSTPONED_MAX: Duration = Duration::from_secs(2);

/// How far the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// There is none.
    Off = 0,
    /// It is switched on; until its first base is whole it is worth nothing.
    Beginning = 1,
    /// It is written.
    On = 2,
}

/// What threads share about the log.
pub struct Aof {
    phase: AtomicU8,
    /// Replies are let out behind a write to the file.
    through: AtomicBool,
    policy: AtomicU8,
    /// The stream up to here is in the file.
    written: AtomicU64,
    /// It is durable up to here.
    fsynced: AtomicU64,
    /// The file is being synced.
    syncing: AtomicBool,
    /// Since when a write has been put off because of that.
    postponed: Mutex<Option<Mono>>,
    /// Microseconds to wait before each write (DEBUG AOF-FLUSH-SLEEP).
    pub sleep_micros: AtomicU64,
    open: Mutex<Option<OpenLog>>,
    /// The file that is to be gone on in.
    next: Mutex<Option<NextFile>>,
    /// The files, as their manifest was persisted; none before it is known. Locked while the log is closed or its first base
    /// comes into force.
    files: Mutex<Option<Manifest>>,
    /// What goes wrong, and what INFO shows.
    pub status: Status,
    /// Grows whenever a log is opened or closed: the thread of an earlier one ends.
    opened: AtomicU64,
    syncer: Mutex<Option<std::thread::Thread>>,
}

impl Default for Aof {
    fn default() -> Aof {
        Aof {
            phase: AtomicU8::new(Phase::Off as u8),
            through: AtomicBool::new(false),
            policy: AtomicU8::new(AppendFsync::EverySec as u8),
            written: AtomicU64::new(0),
            fsynced: AtomicU64::new(0),
            syncing: AtomicBool::new(false),
            postponed: Mutex::new(None),
            sleep_micros: AtomicU64::new(0),
            open: Mutex::new(None),
            next: Mutex::new(None),
            files: Mutex::new(None),
            status: Status::default(),
            opened: AtomicU64::new(0),
            syncer: Mutex::new(None),
        }
    }
}

impl Aof {
    /// How far it is.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Off,
            1 => Phase::Beginning,
            _ => Phase::On,
        }
    }

    fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    /// Whether the stream is needed for a log.
    pub fn is_open(&self) -> bool {
        self.phase() != Phase::Off
    }

    fn policy(&self) -> AppendFsync {
        match self.policy.load(Ordering::SeqCst) {
            n if n == AppendFsync::Always as u8 => AppendFsync::Always,
            n if n == AppendFsync::No as u8 => AppendFsync::No,
            _ => AppendFsync::EverySec,
        }
    }

    /// The end of the stream that is durable here; none without a log, 0 until its first base is whole (aof 7).
    pub fn fsynced(&self) -> Option<Offset> {
        match self.phase() {
            Phase::Off => None,
            Phase::Beginning => Some(Offset(0)),
            Phase::On => Some(Offset(self.fsynced.load(Ordering::SeqCst))),
        }
    }

    /// Whether the stream is durable here up to this offset.
    pub fn has_synced(&self, offset: Offset) -> bool {
        self.fsynced().is_some_and(|synced| synced >= offset)
    }

    fn written(&self) -> Offset {
        Offset(self.written.load(Ordering::SeqCst))
    }

    /// Bytes of the open file.
    pub fn open_len(&self) -> u64 {
        self.open.lock().as_ref().map_or(0, OpenLog::len)
    }

    /// Bytes that are to be written.
    pub fn waiting_bytes(&self) -> u64 {
        self.open.lock().as_ref().map_or(0, OpenLog::waiting_bytes)
    }

    /// Whether the file is being synced beside everything else.
    pub fn is_syncing(&self) -> bool {
        self.syncing.load(Ordering::Relaxed)
    }

    /// Has everything written that a reply could tell of, before it is let out.
    #[inline]
    pub fn before_reply(&self, shared: &Shared) {
        if self.through.load(Ordering::Relaxed) {
            self.write_through(shared);
        }
    }

    #[cold]
    fn write_through(&self, shared: &Shared) {
        // While writing fails, it is tried again by the thread that syncs.
        if self.written() < shared.journal.end() && !self.status.write_fails() && !self.puts_off(shared) {
            self.write(shared);
        }
    }

    /// Whether a write is put off because the disk is busy with a sync.
    fn puts_off(&self, shared: &Shared) -> bool {
        if !self.is_syncing() {
            return false;
        }
        let now = shared.clock.mono();
        let since = *self.postponed.lock().get_or_insert(now);
        if now.since(since) < POSTPONED_MAX {
            return true;
        }
        *self.postponed.lock() = None;
        self.status.delayed.fetch_add(1, Ordering::Relaxed);
        shared.log.notice(
            "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for fsync \
             to complete, this may slow down the server.",
        );
        false
    }

    /// Writes what the stream has by now. Tells whether all of it is in the file.
    fn write(&self, shared: &Shared) -> bool {
        let mut open = self.open.lock();
        let Some(log) = &mut *open else { return true };
        let (measure, before) = (Measure::begin(shared), self.written());
        self.nap();
        let next = |position| self.next.lock().take_if(|next| next.at == position);
        let stamps = shared.world.peek().settings.bool(Id::AofTimestampEnabled);
        let stamp = stamps.then(|| shared.clock.wall().as_secs());
        let outcome = log.catch_up(|position| self.goal(shared, position), next, stamp);
        measure.end(|| self.write_events(shared, before, &outcome));
        match outcome {
            Ok(reached) => {
                self.written.fetch_max(reached.0, Ordering::SeqCst);
                self.status.write_works(&shared.log);
                true
            }
            Err(Trouble::Detached) => {
                *open = None;
                true
            }
            Err(trouble) => {
                self.status.write_failed(&shared.log, shared.clock.mono(), &trouble);
                if self.policy() == AppendFsync::Always {
                    give_up(
                        shared,
                        "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...",
                    );
                }
                false
            }
        }
    }

    /// What LATENCY calls a write from this offset on: nothing where there was nothing to be written.
    fn write_events(&self, shared: &Shared, from: Offset, outcome: &Result<Offset, Trouble>) -> [Option<Event>; 2] {
        if outcome.as_ref().is_ok_and(|reached| *reached <= from) {
            return [None; 2];
        }
        let is_busy = self.status.rewriting.load(Ordering::SeqCst) || shared.persist.saving.load(Ordering::SeqCst);
        let beside = match (self.is_syncing(), is_busy) {
            (true, _) => Event::AofWritePendingFsync,
            (false, true) => Event::AofWriteActiveChild,
            (false, false) => Event::AofWriteAlone,
        };
        [Some(Event::AofWrite), Some(beside)]
    }

    /// Up to where the stream is to be written. A file that begins at an offset was made known before anything behind that
    /// was appended.
    fn goal(&self, shared: &Shared, position: Offset) -> Option<Goal> {
        let end = shared.journal.end();
        let end = self.next.lock().as_ref().map_or(end, |next| end.min(next.at));
        let replid = shared.repl.history.lock().replid;
        let is_shared = || !shared.repl.replicas.load().is_empty() || shared.world.peek().role.is_replica();
        (end > position).then(|| Goal { end, replid, is_shared: is_shared() })
    }

    fn nap(&self) {
        let micros = self.sleep_micros.load(Ordering::Relaxed);
        if micros > 0 {
            std::thread::sleep(Duration::from_micros(micros));
        }
    }

    /// Puts `appendfsync` in force.
    pub fn set_policy(&self, shared: &Shared, settings: &Settings) {
        let policy: AppendFsync = settings.choice();
        let before = self.policy();
        self.policy.store(policy as u8, Ordering::SeqCst);
        if self.is_open() && policy != before {
            self.follow_policy(shared);
        }
    }

    /// Lets replies wait for what the policy promises.
    fn follow_policy(&self, shared: &Shared) {
        let always = self.policy() == AppendFsync::Always;
        if always {
            shared.write_acks.begin_syncing(Offset(self.fsynced.load(Ordering::SeqCst)));
        } else {
            shared.write_acks.stop_syncing();
            ring_waiting(shared);
        }
        self.through.store(!always, Ordering::SeqCst);
        self.wake();
    }

    /// Goes on with this log, which has the stream up to its present end. The caller keeps that end where it is.
    fn install(&self, shared: &Arc<Shared>, log: OpenLog, phase: Phase) {
        let end = shared.journal.end();
        self.written.store(end.0, Ordering::SeqCst);
        self.fsynced.store(end.0, Ordering::SeqCst);
        *self.next.lock() = None;
        *self.open.lock() = Some(log);
        self.set_phase(phase);
        let opened = self.opened.fetch_add(1, Ordering::SeqCst) + 1;
        self.follow_policy(shared);
        sync::start(shared, opened);
    }

    /// Lets go of the log as it is. Replies wait for nothing any more.
    fn uninstall(&self, shared: &Shared) -> Option<OpenLog> {
        // A rewrite that ends in this moment finds out before or after it.
        let files = self.files.lock();
        self.set_phase(Phase::Off);
        self.through.store(false, Ordering::SeqCst);
        self.opened.fetch_add(1, Ordering::SeqCst);
        drop(files);
        let log = self.open.lock().take();
        *self.next.lock() = None;
        shared.write_acks.stop_syncing();
        ring_waiting(shared);
        self.wake();
        log
    }

    fn wake(&self) {
        if let Some(thread) = &*self.syncer.lock() {
            thread.unpark();
        }
    }
}

/// Lets workers look at replies that wait.
fn ring_waiting(shared: &Shared) {
    if let Some(threads) = shared.threads.get() {
        shared.write_acks.waiting_workers().for_each(|i| threads.workers[i].ring());
    }
}

/// Ends the process: what was promised can't be kept, and going on would promise more.
fn give_up(shared: &Shared, text: &str) -> ! {
    shared.log.warning(text);
    std::process::exit(1)
}
