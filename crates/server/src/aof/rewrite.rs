//! Rewrites: a new base, written from a snapshot beside everything else, takes the place of all files before. The log goes
//! on in a new file exactly where the snapshot stands in the stream, so base and new file together are the data.
//!
//! A crash at any moment leaves a manifest whose files are whole: it lists the new file before anything is written to it,
//! and the new base only once that is durable. Where the first base is missing yet, the log is written to a file that no
//! manifest lists, until the base is there.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use baton_aof::{BaseFormat, FileName, Manifest};
use baton_base::Offset;
use baton_config::{Id, Settings};
use baton_rdb::{ReplicationPoint, VersionTarget};

use super::dir::{AofDir, DirError};
use super::log::{NextFile, OpenLog};
use super::sieve::Sieve;
use super::{Aof, Phase, fresh};
use crate::gate::Stillness;
use crate::listen::text_of;
use crate::persist::file::SnapshotFile;
use crate::persist::save;
use crate::persist::snapshot::{self, Plan, SaveError, Source, Watch};
use crate::persist::turn::MyTurn;
use crate::shared::Shared;

/// How long to wait for the world, or for the walk over the keys, while somebody else has it.
const NAP: Duration = Duration::from_millis(10);
/// So many failures in a row slow automatic rewrites down.
const FAILURES_UNPUNISHED: u64 = 3;
/// The longest delay of those.
const DELAY_MINUTES_MAX: u64 = 60;

const RUNNING: &str = "ERR Background append only file rewriting already in progress";
const STARTED: &str = "Background append only file rewriting started";
const SCHEDULED: &str = "Background append only file rewriting scheduled";

/// Why there is no new base.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("cancelled")]
    Cancelled,
    #[error(transparent)]
    Dir(#[from] DirError),
    #[error(transparent)]
    Save(#[from] SaveError),
    #[error("{0}: {text}", text = text_of(.1))]
    System(&'static str, std::io::Error),
}

/// What becomes of the log meanwhile.
enum Course {
    /// There is none, only a base is made.
    BaseOnly,
    /// It begins in a file of its own.
    Initial(File),
    /// It goes on in the next file.
    Following(File),
}

/// BGREWRITEAOF; gives the reply.
pub fn ask(shared: &Arc<Shared>, in_transaction: bool) -> Result<&'static str, &'static str> {
    let status = &shared.aof.status;
    if status.rewriting.load(Ordering::SeqCst) {
        return Err(RUNNING);
    }
    // Whoever asks need not wait for the end of a delay.
    status.failures.store(0, Ordering::SeqCst);
    if !in_transaction && begin(shared) {
        return Ok(STARTED);
    }
    status.scheduled.store(true, Ordering::SeqCst);
    Ok(SCHEDULED)
}

/// Begins a rewrite, unless a snapshot file or another base is being written. Tells whether one began.
pub(super) fn begin(shared: &Arc<Shared>) -> bool {
    let Some(turn) = MyTurn::take(shared) else { return false };
    let status = &shared.aof.status;
    status.cancel.store(false, Ordering::SeqCst);
    status.scheduled.store(false, Ordering::SeqCst);
    status.began_secs.store(shared.clock.wall().as_secs(), Ordering::SeqCst);
    status.rewrites.fetch_add(1, Ordering::SeqCst);
    status.rewriting.store(true, Ordering::SeqCst);
    shared.log.notice(&format!("Background append only file rewriting started by pid {}", std::process::id()));
    let (server, format) = (Arc::clone(shared), fresh::base_format(&shared.world.load().settings));
    let work = move || {
        crate::os::lower_thread_priority();
        let outcome = Rewrite::new(&server, format).run();
        finish(&server, &outcome);
        drop(turn);
    };
    if let Err(e) = std::thread::Builder::new().name("baton-rewrite".into()).spawn(work) {
        shared.log.warning(&format!("Can't rewrite append only file in background: {e}"));
        finish(shared, &Err(Failed::System("No thread", e)));
    }
    true
}

/// Has a running rewrite end without a result. Tells whether there is one.
pub fn cancel(shared: &Shared) -> bool {
    let running = shared.aof.status.rewriting.load(Ordering::SeqCst);
    if running {
        shared.aof.status.cancel.store(true, Ordering::SeqCst);
        shared.log.notice(&format!("Killing AOF child, pid {}", std::process::id()));
    }
    running
}

fn finish(shared: &Shared, outcome: &Result<Option<u64>, Failed>) {
    let (status, log, now) = (&shared.aof.status, &shared.log, shared.clock.wall().as_secs());
    let took = now.saturating_sub(status.began_secs.load(Ordering::SeqCst));
    status.last_secs.store(i64::try_from(took).unwrap_or(i64::MAX), Ordering::SeqCst);
    match outcome {
        Ok(_) => {
            status.last_failed.store(false, Ordering::SeqCst);
            status.failures.store(0, Ordering::SeqCst);
            log.notice("Background AOF rewrite finished successfully");
        }
        Err(Failed::Cancelled | Failed::Save(SaveError::Cancelled)) => {
            log.warning("Background AOF rewrite terminated by signal 10");
        }
        Err(e) => {
            match e {
                Failed::Dir(e) => e.log(log),
                other => log.warning(&format!("Error writing the append only file: {other}")),
            }
            log.warning("Background AOF rewrite terminated with error");
            status.last_failed.store(true, Ordering::SeqCst);
            delay(shared, status.failures.fetch_add(1, Ordering::SeqCst) + 1);
        }
    }
    shared.persist.keys_done.store(0, Ordering::Relaxed);
    shared.persist.keys_total.store(0, Ordering::Relaxed);
    if outcome.is_err() && shared.aof.phase() == Phase::Beginning {
        status.scheduled.store(true, Ordering::SeqCst);
    }
    status.rewriting.store(false, Ordering::SeqCst);
    if let Ok(Some(opened)) = outcome {
        shared.aof.count_from_here(shared, *opened);
    }
}

/// After so many failures the next automatic rewrite waits.
fn delay(shared: &Shared, failures: u64) {
    let Some(doublings) = failures.checked_sub(FAILURES_UNPUNISHED) else { return };
    let minutes = 1u64.checked_shl(u32::try_from(doublings).unwrap_or(u32::MAX)).unwrap_or(DELAY_MINUTES_MAX);
    let minutes = minutes.clamp(1, DELAY_MINUTES_MAX);
    shared.aof.status.retry_secs.store(shared.clock.wall().as_secs() + 60 * minutes, Ordering::SeqCst);
    shared.log.warning(&format!(
        "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {minutes} minutes"
    ));
}

/// Begins a rewrite that was scheduled, or that the growth of the log calls for. Called periodically.
pub fn keep_time(shared: &Arc<Shared>) {
    let (aof, status) = (&shared.aof, &shared.aof.status);
    let scheduled = status.scheduled.load(Ordering::Relaxed);
    if !scheduled && aof.phase() != Phase::On {
        return;
    }
    let world = shared.world.load();
    let busy = status.rewriting.load(Ordering::SeqCst) || shared.persist.saving.load(Ordering::SeqCst);
    let waits = status.failures.load(Ordering::SeqCst) >= FAILURES_UNPUNISHED
        && shared.clock.wall().as_secs() < status.retry_secs.load(Ordering::SeqCst);
    if busy || waits || world.loading.is_some() {
        return;
    }
    if scheduled {
        begin(shared);
        return;
    }
    let percentage = world.settings.uint(Id::AutoAofRewritePercentage);
    let (len, base) = (aof.total_bytes(), status.base_bytes.load(Ordering::Relaxed).max(1));
    if percentage == 0 || len <= world.settings.uint(Id::AutoAofRewriteMinSize) {
        return;
    }
    let growth = (len.saturating_mul(100) / base).saturating_sub(100);
    if growth >= percentage {
        shared.log.notice(&format!("Starting automatic rewriting of AOF on {growth}% growth"));
        begin(shared);
    }
}

/// The oldest format that has a form for everything, so that servers of before can read the file.
fn oldest_version(shared: &Shared, plan: &Plan) -> VersionTarget {
    let has_fields_that_end = plan.sizes.iter().any(|(db, ..)| shared.store.timed_len(*db) > 0);
    if has_fields_that_end || !plan.coming.is_empty() { VersionTarget::Current } else { VersionTarget::Oldest }
}

/// What was fixed while the world stood still.
struct Cut {
    plan: Plan,
    source: Source,
    /// Number of the log that was open then.
    opened: u64,
}

/// One rewrite.
struct Rewrite<'a> {
    shared: &'a Arc<Shared>,
    aof: &'a Aof,
    dir: AofDir,
    /// What the base is made of: as it was set when the rewrite was asked for.
    format: BaseFormat,
}

impl<'a> Rewrite<'a> {
    fn new(shared: &'a Arc<Shared>, format: BaseFormat) -> Rewrite<'a> {
        let dir = AofDir::of(&shared.world.peek().settings);
        Rewrite { shared, aof: &shared.aof, dir, format }
    }

    /// Gives the number of the log whose first base this is, if it is a first one.
    fn run(&self) -> Result<Option<u64>, Failed> {
        self.dir.create()?;
        let course = self.prepare()?;
        let is_initial = matches!(course, Course::Initial(_));
        let done = self.cut(course).and_then(|cut| self.write(cut, is_initial));
        if done.is_err() && is_initial {
            self.shared.log.notice(&format!("Removing the temp incr aof file {}", self.dir.temp_incr_path().display()));
            // What no manifest lists is read by nobody.
            let _ = fs::remove_file(self.dir.temp_incr_path());
        }
        done
    }

    /// Opens what the log goes on in.
    fn prepare(&self) -> Result<Course, Failed> {
        match self.aof.phase() {
            Phase::Off => Ok(Course::BaseOnly),
            Phase::Beginning => {
                let path = self.dir.temp_incr_path();
                let made = File::create(&path).and_then(|_| File::options().append(true).open(&path));
                Ok(Course::Initial(made.map_err(|e| Failed::System("Can't open the temp incr file", e))?))
            }
            Phase::On => {
                let mut files = self.aof.files.lock();
                let mut manifest = self.manifest(files.as_ref())?;
                let name = manifest.add_incr(self.dir.stem());
                self.shared.log.notice(&format!("Creating AOF incr file {name} on background rewrite"));
                let file = self.dir.open_log(&name)?;
                // A file of this name that nobody lists is of a time that is over.
                file.set_len(0).map_err(|e| Failed::System("Can't empty the incr file", e))?;
                self.dir.persist(&manifest)?;
                *files = Some(manifest);
                Ok(Course::Following(file))
            }
        }
    }

    fn manifest(&self, known: Option<&Manifest>) -> Result<Manifest, DirError> {
        known.map_or_else(|| Ok(self.dir.read()?.unwrap_or_default()), |known| Ok(known.clone()))
    }

    /// Fixes what the base is. The log goes on in its next file from there.
    fn cut(&self, course: Course) -> Result<Cut, Failed> {
        let (still, source) = match self.stop_world() {
            Ok(stopped) => stopped,
            Err(e) => {
                if let Course::Following(file) = course {
                    self.aof.go_on_in(self.shared, file);
                }
                return Err(e);
            }
        };
        let shared = self.shared;
        crate::repl::begin_history_still(shared);
        if !shared.world.peek().role.is_replica() {
            shared.journal.select_reset();
        }
        let (at, stream_db) = (shared.journal.end(), shared.journal.selected_db());
        let replid = shared.repl.history.lock().replid;
        let mut plan = save::plan(shared);
        plan.point = Some(ReplicationPoint { id: replid, offset: at, stream_db });
        plan.aof_base = Some(self.format);
        plan.version = oldest_version(shared, &plan);
        match course {
            Course::BaseOnly => {}
            Course::Following(file) => *self.aof.next.lock() = Some(NextFile { at, file, replid, stream_db }),
            Course::Initial(file) => {
                let reader = shared.journal.reader(at).expect("the end of an active journal can be read from");
                let mut sieve = Sieve::default();
                sieve.begin_file(stream_db);
                self.aof.install(shared, OpenLog::new(file, 0, reader, sieve, Some(replid)), Phase::Beginning);
            }
        }
        let opened = self.aof.opened.load(Ordering::SeqCst);
        drop(still);
        Ok(Cut { plan, source, opened })
    }

    /// Waits for the world and for the walk over the keys.
    fn stop_world(&self) -> Result<(Stillness<'_>, Source), Failed> {
        let shared = self.shared;
        loop {
            if self.aof.status.cancel.load(Ordering::SeqCst) {
                return Err(Failed::Cancelled);
            }
            if let Some(still) = shared.gate.stop_world_unless(|| shared.running.any())
                && let Some(walker) = shared.store.snapshot()
            {
                return Ok((still, Source::Walk(walker)));
            }
            std::thread::sleep(NAP);
        }
    }

    /// Writes the base and puts it in force.
    fn write(&self, cut: Cut, is_initial: bool) -> Result<Option<u64>, Failed> {
        let (shared, status) = (self.shared, &self.aof.status);
        let Cut { plan, source, opened } = cut;
        let temp = PathBuf::from(format!("temp-rewriteaof-bg-{}.aof", std::process::id()));
        let incremental = plan.settings.bool(Id::AofRewriteIncrementalFsync);
        let mut file = SnapshotFile::create_as(temp.clone(), incremental).map_err(SaveError::from)?;
        let watch = Watch {
            clock: &shared.clock,
            cancel: &status.cancel,
            keys_done: &shared.persist.keys_done,
            key_delay: &shared.persist.key_delay,
        };
        snapshot::write(&plan, source, &mut file, &watch)?;
        shared.log.notice(&format!("Successfully created the temporary AOF base file {}", temp.display()));
        let mut files = self.aof.files.lock();
        if self.aof.opened.load(Ordering::SeqCst) != opened {
            return Err(Failed::Cancelled);
        }
        let mut manifest = self.manifest(files.as_ref())?;
        let base = manifest.replace_base(self.dir.stem(), self.format);
        file.finish(&self.dir.path(&base)).map_err(SaveError::from)?;
        shared.log.notice(&format!("Successfully renamed the temporary AOF base file {} into {base}", temp.display()));
        match self.aof.phase() {
            Phase::On => manifest.supersede_incrs(1),
            _ => manifest.supersede_incrs(0),
        }
        if is_initial {
            let incr = manifest.add_incr(self.dir.stem());
            let renamed = fs::rename(self.dir.temp_incr_path(), self.dir.path(&incr));
            renamed.map_err(|e| Failed::System("Can't rename the temp incr file", e))?;
        }
        self.dir.persist(&manifest)?;
        shared.log.notice("Background AOF rewrite terminated with success");
        if !plan.settings.bool(Id::AofDisableAutoGc) {
            // The new files count already; what could not be deleted only takes room.
            if let Err(e) = self.dir.remove_history(&mut manifest, &shared.log) {
                e.log(&shared.log);
            }
        }
        self.aof.measure(&self.dir, &manifest);
        *files = Some(manifest);
        Ok(is_initial.then_some(opened))
    }
}

impl Aof {
    /// Deletes superseded files that were kept so far (`aof-disable-auto-gc`).
    pub fn remove_history(&self, shared: &Shared, settings: &Settings) {
        if let Some(manifest) = &mut *self.files.lock()
            && let Err(e) = AofDir::of(settings).remove_history(manifest, &shared.log)
        {
            e.log(&shared.log);
        }
    }

    /// Bytes of all files.
    pub fn total_bytes(&self) -> u64 {
        self.status.other_bytes.load(Ordering::Relaxed) + self.open_len()
    }

    /// Notes how large the files are.
    pub(super) fn measure(&self, dir: &AofDir, manifest: &Manifest) {
        let len = |name: &FileName| dir.length(name).unwrap_or(0);
        let open = manifest.incrs().last().filter(|_| self.is_open());
        let all: u64 = manifest.files().map(|file| len(&file.name)).sum();
        let others = all - open.map_or(0, |file| len(&file.name)).min(all);
        self.status.other_bytes.store(others, Ordering::Relaxed);
        self.status.base_bytes.store(others + self.open_len(), Ordering::Relaxed);
    }

    /// There will be no snapshot: the log goes on in the file that the manifest lists already, from where it is.
    fn go_on_in(&self, shared: &Shared, file: File) {
        let _still = shared.gate.stop_world();
        let (at, stream_db) = (shared.journal.end(), shared.journal.selected_db());
        let replid = shared.repl.history.lock().replid;
        if self.phase() == Phase::On {
            *self.next.lock() = Some(NextFile { at, file, replid, stream_db });
        }
    }

    /// The first base is whole: what is durable counts from here on, unless this log was closed meanwhile.
    fn count_from_here(&self, shared: &Shared, opened: u64) {
        let files = self.files.lock();
        if self.opened.load(Ordering::SeqCst) != opened {
            return;
        }
        self.set_phase(Phase::On);
        drop(files);
        let upto = self.fsynced.swap(0, Ordering::SeqCst);
        self.is_durable(shared, Offset(upto));
    }
}
