//! When a snapshot file is written and what follows: SAVE, BGSAVE, save points, FLUSHALL, the end of the server. The cut
//! takes the world for an instant; the writing goes on beside the data plane.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use baton_config::Id;
use baton_rdb::ReplicationPoint;

use super::dirty;
use super::file::SnapshotFile;
use super::snapshot::{self, Plan, SaveError, Source, Watch};
use super::turn::MyTurn;
use crate::shared::Shared;

/// After a failure, save points wait this long.
const RETRY_SECS: u64 = 5;

/// Why no save began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// Another save runs.
    Saving,
    /// A snapshot for replicas, or for the append-only file, runs.
    Synchronising,
}

/// A save whose instant has passed and that is to be written.
pub struct Job {
    turn: MyTurn,
    plan: Plan,
    source: Source,
    /// Changes up to the instant.
    dirty: u64,
}

impl Job {
    /// Takes the turn and the cut. The caller has stopped the world.
    pub fn cut(shared: &Arc<Shared>) -> Result<Job, Busy> {
        let turn = take_turn(shared)?;
        let walker = shared.store.snapshot().ok_or(Busy::Synchronising)?;
        Ok(Job::new(turn, shared, Source::Walk(walker)))
    }

    fn new(turn: MyTurn, shared: &Shared, source: Source) -> Job {
        Job { turn, plan: plan(shared), source, dirty: dirty(shared) }
    }

    /// Writes the file on this thread.
    pub fn write(self, shared: &Shared) -> Result<(), SaveError> {
        let Job { turn, plan, source, dirty } = self;
        let path = path(&plan);
        let watch = Watch {
            clock: &shared.clock,
            cancel: &shared.persist.cancel,
            keys_done: &shared.persist.keys_done,
            key_delay: &shared.persist.key_delay,
        };
        let written = write_file(&plan, source, &path, &watch);
        match &written {
            Ok(()) => {
                shared.log.notice("DB saved on disk");
                shared.persist.saved_dirty.store(dirty, Ordering::Relaxed);
                shared.persist.last_save_secs.store(shared.clock.wall().as_secs(), Ordering::Relaxed);
                set_failed(shared, false);
            }
            Err(SaveError::Cancelled) => {}
            Err(e) => shared.log.warning(&e.to_string()),
        }
        drop(turn);
        written
    }

    /// Writes the file on a thread of its own.
    pub fn write_in_background(self, shared: &Arc<Shared>) {
        let p = &shared.persist;
        let now = shared.clock.wall().as_secs();
        p.cancel.store(false, Ordering::SeqCst);
        p.scheduled.store(false, Ordering::Relaxed);
        p.tried_secs.store(now, Ordering::Relaxed);
        p.began_secs.store(now, Ordering::Relaxed);
        p.saves.fetch_add(1, Ordering::Relaxed);
        p.saving.store(true, Ordering::SeqCst);
        shared.log.notice(&format!("Background saving started by pid {}", std::process::id()));
        let server = Arc::clone(shared);
        let work = move || {
            crate::os::lower_thread_priority();
            in_background(&server, self);
        };
        if let Err(e) = std::thread::Builder::new().name("baton-save".into()).spawn(work) {
            shared.log.warning(&format!("Can't save in background: {e}"));
            p.saving.store(false, Ordering::SeqCst);
            set_failed(shared, true);
        }
    }
}

/// Takes the turn. The base of the append-only file is written in the same turn.
fn take_turn(shared: &Arc<Shared>) -> Result<MyTurn, Busy> {
    let rewriting = shared.aof.status.rewriting.load(Ordering::SeqCst);
    MyTurn::take(shared).ok_or(if rewriting { Busy::Synchronising } else { Busy::Saving })
}

/// What a snapshot of this moment says. The caller has stopped the world.
pub(crate) fn plan(shared: &Shared) -> Plan {
    let settings = Arc::clone(&shared.world.peek().settings);
    let mut plan = Plan::of(&shared.store, settings, replication_point(shared));
    plan.functions = shared.scripts.functions();
    plan.shard = shard(shared);
    plan.coming = shared.slot_jobs.coming();
    shared.persist.keys_done.store(0, Ordering::Relaxed);
    shared.persist.keys_total.store(plan.keys(), Ordering::Relaxed);
    plan
}

fn in_background(shared: &Shared, job: Job) {
    let written = job.write(shared);
    match &written {
        Ok(()) => shared.log.notice("Background saving terminated with success"),
        Err(SaveError::Cancelled) => shared.log.warning("Background saving terminated by signal 10"),
        Err(SaveError::File(_)) => {
            shared.log.warning("Background saving error");
            set_failed(shared, true);
        }
    }
    let p = &shared.persist;
    let took = shared.clock.wall().as_secs().saturating_sub(p.began_secs.load(Ordering::Relaxed));
    p.last_duration_secs.store(took as i64, Ordering::Relaxed);
    p.keys_done.store(0, Ordering::Relaxed);
    p.keys_total.store(0, Ordering::Relaxed);
    p.saving.store(false, Ordering::SeqCst);
}

/// Remembers whether saving works: writes may depend on it.
fn set_failed(shared: &Shared, failed: bool) {
    shared.persist.last_failed.store(failed, Ordering::SeqCst);
}

fn path(plan: &Plan) -> PathBuf {
    PathBuf::from(plan.settings.text(Id::DbFilename))
}

/// Writes a snapshot beside `path` and puts it there once it is whole.
pub fn write_file(plan: &Plan, source: Source, path: &Path, watch: &Watch<'_>) -> Result<(), SaveError> {
    let mut file = SnapshotFile::create(path, plan.settings.bool(Id::RdbSaveIncrementalFsync))?;
    snapshot::write(plan, source, &mut file, watch)?;
    file.finish(path)?;
    Ok(())
}

/// In a cluster: the shard whose data this is; empty while it is still another one's.
fn shard(shared: &Shared) -> Option<String> {
    let world = shared.world.peek();
    let shard = world.topology.as_ref()?.myself().shard;
    let foreign = shared.repl.foreign.load(Ordering::Acquire);
    Some(if foreign { String::new() } else { shard.to_string() })
}

/// The place in the history of replication, where there is one (rdb 1). The caller has stopped the world.
fn replication_point(shared: &Shared) -> Option<ReplicationPoint> {
    let journal = &shared.journal;
    let id = shared.repl.history.lock().replid;
    let point = || ReplicationPoint { id, offset: journal.end(), stream_db: journal.selected_db() };
    journal.is_active().then(point)
}

/// Cuts and writes on this thread, which is outside of the gate.
pub fn save_now(shared: &Arc<Shared>) -> Result<Result<(), SaveError>, Busy> {
    let still = shared.gate.stop_world();
    let job = Job::cut(shared)?;
    drop(still);
    shared.persist.cancel.store(false, Ordering::SeqCst);
    Ok(job.write(shared))
}

/// Writes the file while the caller keeps the world still from before to after (DEBUG RELOAD).
pub fn save_still(shared: &Arc<Shared>) -> Result<Result<(), SaveError>, Busy> {
    let turn = MyTurn::take(shared).ok_or(Busy::Saving)?;
    shared.persist.cancel.store(false, Ordering::SeqCst);
    Ok(Job::new(turn, shared, Source::Still(Arc::clone(&shared.store))).write(shared))
}

/// Begins a background save if a save point is reached, or one is scheduled. Called periodically by a thread that is
/// outside of the gate.
pub fn automatic_save(shared: &Arc<Shared>) {
    let p = &shared.persist;
    let world = shared.world.load();
    if p.saving.load(Ordering::Relaxed) || world.loading.is_some() {
        return;
    }
    let now = shared.clock.wall().as_secs();
    let waits =
        p.last_failed.load(Ordering::Relaxed) && now.saturating_sub(p.tried_secs.load(Ordering::Relaxed)) <= RETRY_SECS;
    if waits {
        return;
    }
    let age = now.saturating_sub(p.last_save_secs.load(Ordering::Relaxed)) as i64;
    let changes = dirty(shared).saturating_sub(p.saved_dirty.load(Ordering::Relaxed)) as i64;
    let reached = world.settings.save_points().iter().find(|s| changes >= s.changes && age > s.seconds);
    if reached.is_none() && !p.scheduled.load(Ordering::Relaxed) {
        return;
    }
    // The next tick tries again where a script takes long.
    let Some(still) = shared.gate.stop_world_unless(|| shared.running.any()) else { return };
    let job = Job::cut(shared);
    drop(still);
    let Ok(job) = job else { return };
    if let Some(point) = reached {
        shared.log.notice(&format!("{} changes in {} seconds. Saving...", point.changes, point.seconds));
    }
    job.write_in_background(shared);
}

/// FLUSHALL has emptied everything: a running save would only preserve what is gone, so it is stopped; with save points
/// the empty dataset is written at once, so that a restart does not bring it back (rdb 9). `outside` tells whether the
/// caller is outside of the gate and may wait; else the keeper sees to it.
pub fn after_flush_all(shared: &Arc<Shared>, outside: bool) {
    cancel(shared);
    if shared.world.peek().settings.save_points().is_empty() {
        return;
    }
    // A cancelled save may have its turn for a moment yet.
    if !outside || save_now(shared).is_err() {
        shared.persist.scheduled.store(true, Ordering::Relaxed);
    }
}

/// Tells a running background save to stop; tells whether there is one.
pub fn cancel(shared: &Shared) -> bool {
    let running = shared.persist.saving.load(Ordering::SeqCst);
    if running {
        shared.persist.cancel.store(true, Ordering::SeqCst);
        shared.log.notice(&format!("Killing running RDB child: {}", std::process::id()));
    }
    running
}

/// The save that the end of the server calls for: none with `nosave`, one with `save` or where there are save points. A
/// background save is stopped in any case. The caller is outside of the gate.
pub fn save_for_shutdown(shared: &Arc<Shared>, save: bool, nosave: bool) -> Result<(), String> {
    if shared.persist.saving.load(Ordering::SeqCst) {
        shared.log.warning("There is a child saving an .rdb. Killing it!");
        cancel(shared);
    }
    let turn = MyTurn::wait_for(shared);
    let wanted = save || (!nosave && !shared.world.peek().settings.save_points().is_empty());
    if !wanted {
        return Ok(());
    }
    shared.persist.cancel.store(false, Ordering::SeqCst);
    shared.log.notice("Saving the final RDB snapshot before exiting.");
    let still = shared.gate.stop_world();
    // Where a snapshot for replicas has the walk, the world stands still for as long as this takes.
    let (source, stays_still) = match shared.store.snapshot() {
        Some(walker) => (Source::Walk(walker), false),
        None => (Source::Still(Arc::clone(&shared.store)), true),
    };
    let job = Job::new(turn, shared, source);
    let still = stays_still.then_some(still);
    let written = job.write(shared).map_err(|e| e.to_string());
    drop(still);
    written
}
