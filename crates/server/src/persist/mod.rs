//! Files: snapshots, and files that are replaced whole.
//!
//! Reading order: [`PersistState`] (what INFO shows), [`turn`] (one save at a time), [`file`] (a snapshot file is whole or
//! absent), [`snapshot`] (the walk), [`form`] (what it is written as), [`save`] (SAVE, BGSAVE, save points, the final save), [`load`] (the
//! start, DEBUG RELOAD).

pub mod file;
mod form;
pub mod load;
pub mod save;
pub mod snapshot;
pub mod turn;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use baton_config::{Id, Settings};

pub use save::{after_flush_all, automatic_save, save_for_shutdown};

use crate::shared::Shared;
use turn::Turn;

/// What INFO shows of files, and who saves.
#[derive(Debug)]
pub struct PersistState {
    /// Changes at the time of the last successful save.
    pub saved_dirty: AtomicU64,
    /// A background save is running.
    pub saving: AtomicBool,
    /// The background save is to stop.
    pub cancel: AtomicBool,
    /// A background save is to begin as soon as one can.
    pub scheduled: AtomicBool,
    /// When the last background save was tried, unix seconds.
    pub tried_secs: AtomicU64,
    /// When the last save succeeded, unix seconds; the start of the server before the first.
    pub last_save_secs: AtomicU64,
    /// The last background save failed.
    pub last_failed: AtomicBool,
    /// Seconds that the last background save took, -1 if there was none.
    pub last_duration_secs: AtomicI64,
    /// When the running background save began, unix seconds.
    pub began_secs: AtomicU64,
    /// SAVE and BGSAVE since the start, save points included.
    pub saves: AtomicU64,
    /// Keys written by the running save.
    pub keys_done: AtomicU64,
    /// Keys that the running save has to write.
    pub keys_total: AtomicU64,
    /// Keys of the last load that were due already.
    pub load_expired: AtomicU64,
    /// Keys of the last load.
    pub load_keys: AtomicU64,
    /// `rdb-key-save-delay`, for snapshots that are being written.
    pub key_delay: AtomicI64,
    /// Who may write the snapshot file.
    pub turn: Turn,
}

impl Default for PersistState {
    fn default() -> Self {
        PersistState {
            saved_dirty: AtomicU64::new(0),
            saving: AtomicBool::new(false),
            cancel: AtomicBool::new(false),
            scheduled: AtomicBool::new(false),
            tried_secs: AtomicU64::new(0),
            last_save_secs: AtomicU64::new(0),
            last_failed: AtomicBool::new(false),
            last_duration_secs: AtomicI64::new(-1),
            began_secs: AtomicU64::new(0),
            saves: AtomicU64::new(0),
            keys_done: AtomicU64::new(0),
            keys_total: AtomicU64::new(0),
            load_expired: AtomicU64::new(0),
            load_keys: AtomicU64::new(0),
            key_delay: AtomicI64::new(0),
            turn: Turn::default(),
        }
    }
}

/// The refusal of writes while snapshots fail (rdb 9).
pub const MISCONF: &str = "MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to \
disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during \
writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Valkey logs for details about the \
RDB error.";

impl PersistState {
    /// Whether a primary refuses writes, and PING, with [`MISCONF`]: the last background save failed, and these settings
    /// say that it matters.
    pub fn refuses_writes(&self, settings: &Settings) -> bool {
        self.last_failed.load(Ordering::Relaxed)
            && settings.bool(Id::StopWritesOnBgsaveError)
            && !settings.save_points().is_empty()
    }
}

/// Changes since the start, as INFO and save points count them.
pub fn dirty(shared: &Shared) -> u64 {
    shared.stats.sum(|lane| &lane.dirty)
}

/// Replaces a file by these bytes: written beside it, made durable if `sync`, then renamed over it, so that a crash
/// leaves the old one or the new one.
pub fn replace_file(path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let temp = path.with_extension(format!("tmp-{}", std::process::id()));
    let written = write_new(&temp, bytes, sync).and_then(|()| fs::rename(&temp, path));
    if let Err(e) = written {
        // The old file is whole; what is left of the new one helps nobody.
        let _ = fs::remove_file(&temp);
        return Err(e);
    }
    if sync { sync_folder(path) } else { Ok(()) }
}

fn write_new(path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    if sync { file.sync_all() } else { Ok(()) }
}

/// Makes the names in a file's folder durable.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}
