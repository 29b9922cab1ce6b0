//! The thread that makes the log durable: at once and for all writers that wait with `always`, once a second with
//! `everysec`, never with `no`. It also writes what nobody's reply waits for. It is never told of a role or a handover:
//! whoever needs the log complete calls [`close`](super::Aof).

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use baton_base::{Mono, Offset};
use baton_config::{AppendFsync, Id};

use super::{Aof, give_up, ring_waiting};
use crate::latency::{Event, Measure};
use crate::listen::text_of;
use crate::repl::LinkMessage;
use crate::shared::Shared;
use crate::worker::WorkerMessage;

/// How often it looks after what was appended by others than workers.
const TICK: Duration = Duration::from_millis(100);
/// How often the log is synced with `everysec`.
const PERIOD: Duration = Duration::from_secs(1);

/// Starts the thread of the log that was opened as this one.
pub(super) fn start(shared: &Arc<Shared>, opened: u64) {
    let server = Arc::clone(shared);
    let work = move || Syncer::new(server, opened).run();
    if let Err(e) = std::thread::Builder::new().name("baton-aof".into()).spawn(work) {
        give_up(shared, &format!("No thread for the append-only file: {e}. Exiting..."));
    }
}

struct Syncer {
    shared: Arc<Shared>,
    opened: u64,
    bell: baton_journal::Feeder,
    synced_at: Mono,
}

impl Syncer {
    fn new(shared: Arc<Shared>, opened: u64) -> Syncer {
        let me = std::thread::current();
        *shared.aof.syncer.lock() = Some(me.clone());
        let bell = shared.journal.feeder(move || me.unpark());
        Syncer { synced_at: shared.clock.mono(), shared, opened, bell }
    }

    fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let aof = &shared.aof;
        while aof.opened.load(Ordering::SeqCst) == self.opened && !shared.stopping.load(Ordering::Acquire) {
            let policy = aof.policy();
            let whole = aof.write(&shared);
            match policy {
                AppendFsync::Always => self.sync_for_replies(aof),
                AppendFsync::EverySec => self.sync_periodically(aof),
                AppendFsync::No => {}
            }
            // With `always` whoever appends rings; else workers write by themselves what they append.
            let rings = policy == AppendFsync::Always && whole;
            if !rings || self.bell.sleep(aof.written()) {
                std::thread::park_timeout(TICK);
            }
        }
    }

    /// Syncs what was written and lets replies go that waited for it.
    fn sync_for_replies(&mut self, aof: &Aof) {
        let shared = &self.shared;
        let (files, covers) = unsynced(aof);
        if !files.is_empty() && is_spared(shared) {
            put_back(aof, files);
        } else if let Err(e) = measured_sync(shared, &files) {
            let why = text_of(&e);
            give_up(
                shared,
                &format!("Can't persist AOF for fsync error when the AOF fsync policy is 'always': {why}. Exiting..."),
            );
        } else {
            aof.is_durable(shared, covers);
        }
        if shared.write_acks.raise_synced(covers) {
            ring_waiting(shared);
        }
    }

    fn sync_periodically(&mut self, aof: &Aof) {
        let shared = Arc::clone(&self.shared);
        let now = shared.clock.mono();
        if now.since(self.synced_at) < PERIOD || is_spared(&shared) {
            return;
        }
        let (files, covers) = unsynced(aof);
        if files.is_empty() {
            aof.is_durable(&shared, covers);
            return;
        }
        self.synced_at = now;
        aof.syncing.store(true, Ordering::SeqCst);
        let outcome = sync_all(&files);
        aof.syncing.store(false, Ordering::SeqCst);
        *aof.postponed.lock() = None;
        aof.status.synced(&shared.log, &outcome);
        match outcome {
            Ok(()) => aof.is_durable(&shared, covers),
            Err(_) => put_back(aof, files),
        }
        // What was put off meanwhile.
        aof.write(&shared);
    }
}

impl Aof {
    /// The stream up to here is durable: tells who waits for that.
    pub(super) fn is_durable(&self, shared: &Shared, upto: Offset) {
        if self.fsynced.fetch_max(upto.0, Ordering::SeqCst) >= upto.0 {
            return;
        }
        if shared.waiters.load(Ordering::SeqCst) > 0 {
            shared.tell_workers(|| WorkerMessage::Acknowledged);
        }
        if shared.world.peek().role.is_replica() {
            shared.threads().link.send(LinkMessage::AckNow);
        }
    }
}

/// What has to be synced, and up to where the stream is durable then.
pub(super) fn unsynced(aof: &Aof) -> (Vec<Arc<File>>, Offset) {
    let mut open = aof.open.lock();
    let files = open.as_mut().map(super::OpenLog::take_unsynced).unwrap_or_default();
    (files, aof.written())
}

fn put_back(aof: &Aof, files: Vec<Arc<File>>) {
    if let Some(log) = &mut *aof.open.lock() {
        log.put_back(files);
    }
}

pub(super) fn sync_all(files: &[Arc<File>]) -> io::Result<()> {
    files.iter().try_for_each(|file| file.sync_data())
}

/// A sync that replies wait for.
fn measured_sync(shared: &Shared, files: &[Arc<File>]) -> io::Result<()> {
    let measure = Measure::begin(shared);
    let outcome = sync_all(files);
    measure.end(|| [Some(Event::AofFsyncAlways), None]);
    outcome
}

/// `no-appendfsync-on-rewrite`: the disk is left to a snapshot that is being written.
fn is_spared(shared: &Shared) -> bool {
    let (persist, status) = (&shared.persist, &shared.aof.status);
    let writes = persist.saving.load(Ordering::SeqCst) || status.rewriting.load(Ordering::SeqCst);
    writes && shared.world.peek().settings.bool(Id::NoAppendfsyncOnRewrite)
}
