//! Files: snapshots, and files that are replaced whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

/// What INFO shows of files.
#[derive(Debug, Default)]
pub struct PersistState {
    /// Changes at the time of the last successful save.
    pub saved_dirty: AtomicU64,
    /// A background save is running.
    pub saving: AtomicBool,
    /// The background save is to stop.
    pub cancel: AtomicBool,
    /// When the last save succeeded, unix seconds.
    pub last_save_secs: AtomicU64,
    /// The last background save failed.
    pub last_failed: AtomicBool,
    /// Seconds that the last background save took, -1 if there was none.
    pub last_duration_secs: AtomicI64,
    /// When the running background save began, unix seconds.
    pub began_secs: AtomicU64,
    /// Background saves since the start.
    pub saves: AtomicU64,
    /// Keys written by the running save.
    pub keys_done: AtomicU64,
    /// Keys that the running save has to write.
    pub keys_total: AtomicU64,
    /// Keys of the last load that were due already.
    pub load_expired: AtomicU64,
    /// Keys of the last load.
    pub load_keys: AtomicU64,
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

/// Begins a background save if a save point is reached.
pub fn automatic_save(_shared: &std::sync::Arc<crate::shared::Shared>) {}

/// Loads the snapshot file, if there is one.
pub fn load_at_start(_shared: &std::sync::Arc<crate::shared::Shared>) -> Result<(), crate::start::StartError> {
    Ok(())
}
