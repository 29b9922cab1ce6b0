//! Writing the keyspace, as it was at one instant, to a file. Reaches nothing but the store, so it is the same for every
//! kind of save.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use baton_aof::BaseFormat;
use baton_base::{Slot, WallMs};
use baton_config::Settings;
use baton_rdb::{ReplicationPoint, VersionTarget};
use baton_script::Libraries;
use baton_store::{DbIndex, SnapshotWalker, Store};

use super::file::{FileError, SnapshotFile};
use super::form::Form;
use crate::clock::Clock;
use crate::entries::AccessKept;
use crate::slot_jobs::Coming;

/// Bytes are handed to the file in pieces of about this size.
const PIECE_BYTES: usize = 64 * 1024;
/// Entries visited before the piece's size is looked at.
const STEP_ENTRIES: usize = 64;
/// While a save is slowed down on purpose, it looks this often whether it is to stop.
const NAP: Duration = Duration::from_millis(5);

/// Where the entries come from.
pub enum Source {
    /// The walk beside writers that began at the instant.
    Walk(SnapshotWalker),
    /// The store itself: the caller keeps the world still until everything is written.
    Still(Arc<Store>),
}

/// What a snapshot says and how it is written, as things were at its instant.
pub struct Plan {
    /// Its place in the history of replication.
    pub point: Option<ReplicationPoint>,
    /// In a cluster: the shard whose data it is; empty if that is not the node's.
    pub shard: Option<String>,
    /// Keys and keys with an expiry of each database that has any.
    pub sizes: Vec<(DbIndex, u64, u64)>,
    /// The libraries of functions.
    pub functions: Arc<Libraries>,
    /// Slots that are on their way here.
    pub coming: Vec<Coming>,
    /// The settings.
    pub settings: Arc<Settings>,
    /// It is the base of an append-only file, in this form.
    pub aof_base: Option<BaseFormat>,
    /// The format, where it is no base made of commands.
    pub version: VersionTarget,
}

impl Plan {
    /// The plan for a store at this moment. The caller has stopped the world.
    pub fn of(store: &Store, settings: Arc<Settings>, point: Option<ReplicationPoint>) -> Plan {
        let sizes = (0..store.databases()).map(DbIndex).map(|db| (db, store.len(db), store.expires_len(db)));
        let sizes = sizes.filter(|(_, keys, _)| *keys > 0).collect();
        Plan {
            point,
            shard: None,
            sizes,
            functions: Arc::default(),
            coming: Vec::new(),
            settings,
            aof_base: None,
            version: VersionTarget::Current,
        }
    }

    /// Keys in all databases.
    pub fn keys(&self) -> u64 {
        self.sizes.iter().map(|(_, keys, _)| keys).sum()
    }
}

/// Why a snapshot was not written.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// It is not wanted any more.
    #[error("cancelled")]
    Cancelled,
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What a save in progress shows and hears.
pub struct Watch<'a> {
    /// The time.
    pub clock: &'a Clock,
    /// Set when the save is to stop.
    pub cancel: &'a AtomicBool,
    /// Keys written so far.
    pub keys_done: &'a AtomicU64,
    /// `rdb-key-save-delay`.
    pub key_delay: &'a AtomicI64,
}

/// Writes everything to the file, up to its end.
pub fn write(plan: &Plan, source: Source, file: &mut SnapshotFile, watch: &Watch<'_>) -> Result<(), SaveError> {
    let mut form = Form::begin(plan, watch.clock.wall());
    match source {
        Source::Walk(walker) => write_walk(plan, walker, &mut form, file, watch)?,
        Source::Still(store) => write_still(plan, &store, &mut form, file, watch)?,
    }
    form.finish(plan);
    form.drain(|bytes| file.write(bytes))?;
    Ok(())
}

fn write_walk(
    plan: &Plan,
    mut walker: SnapshotWalker,
    form: &mut Form,
    file: &mut SnapshotFile,
    watch: &Watch<'_>,
) -> Result<(), SaveError> {
    let kept = AccessKept::of(&plan.settings);
    let pace = Pace::of(watch.key_delay);
    let mut more = true;
    while more {
        if watch.cancel.load(Ordering::Relaxed) {
            return Err(SaveError::Cancelled);
        }
        let before = form.pending_bytes();
        let mut visited = 0;
        more = walker.step(pace.step(), watch.clock.wall(), &mut |item| {
            form.entry(&kept.of_walk(item));
            visited += 1;
        });
        debug_assert!(visited == 0 || form.pending_bytes() > before, "an entry takes room");
        watch.keys_done.fetch_add(visited, Ordering::Relaxed);
        if form.pending_bytes() >= PIECE_BYTES {
            form.drain(|bytes| file.write(bytes))?;
        }
        pace.rest(visited, watch.cancel);
    }
    Ok(())
}

fn write_still(
    plan: &Plan,
    store: &Store,
    form: &mut Form,
    file: &mut SnapshotFile,
    watch: &Watch<'_>,
) -> Result<(), SaveError> {
    let (kept, now) = (AccessKept::of(&plan.settings), watch.clock.wall());
    for db in (0..store.databases()).map(DbIndex).filter(|db| store.len(*db) > 0) {
        for slot in Slot::all() {
            // Keys that are due are written, too.
            let visited = store.scan_slot(db, slot, WallMs(0), &mut |key, entry| {
                form.entry(&kept.of_store(db, key, &entry, now));
            });
            watch.keys_done.fetch_add(visited as u64, Ordering::Relaxed);
            if form.pending_bytes() >= PIECE_BYTES {
                form.drain(|bytes| file.write(bytes))?;
            }
        }
    }
    Ok(())
}

/// `rdb-key-save-delay`: how much a save is slowed down, for tests of what happens meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace<'a> {
    /// Microseconds after each key; a negative number is that many keys for one microsecond. May change meanwhile: then the
    /// rest ends.
    delay: &'a AtomicI64,
}

impl Pace<'_> {
    /// Of the present value of the directive.
    pub(crate) fn of(delay: &AtomicI64) -> Pace<'_> {
        Pace { delay }
    }

    fn delay(&self) -> i64 {
        self.delay.load(Ordering::Relaxed)
    }

    /// How many keys to visit before the next rest.
    pub(crate) fn step(&self) -> usize {
        if self.delay() > 0 { 1 } else { STEP_ENTRIES }
    }

    /// Waits for what so many keys cost, unless the save is cancelled.
    pub(crate) fn rest(&self, keys: u64, cancel: &AtomicBool) {
        let delay = self.delay();
        let micros = match u64::try_from(delay) {
            Ok(delay) => delay.saturating_mul(keys),
            Err(_) => keys / delay.unsigned_abs(),
        };
        let mut left = Duration::from_micros(micros);
        while !left.is_zero() && !cancel.load(Ordering::Relaxed) && self.delay() == delay {
            let nap = left.min(NAP);
            std::thread::sleep(nap);
            left -= nap;
        }
    }
}
