//! A snapshot file in the making: written beside the old one and renamed over it once it is durable, so that whoever
//! reads finds one that is whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// With incremental syncing the kernel never has more than this to write at once.
const SYNC_EVERY_BYTES: u64 = 4 << 20;

/// What failed, in the words of the log.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The temporary file.
    #[error("Failed opening the temp RDB file {path} (in server root dir {dir}) for saving: {source}")]
    Open {
        /// Its name.
        path: String,
        /// The working folder.
        dir: String,
        /// Why.
        source: io::Error,
    },
    /// Writing or syncing it.
    #[error("Write error while saving DB to the disk({op}): {source}")]
    Write {
        /// Which step.
        op: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Giving it its name.
    #[error("Error moving temp DB file {temp} on the final destination {path} (in server root dir {dir}): {source}")]
    Rename {
        /// Its temporary name.
        temp: String,
        /// Its name.
        path: String,
        /// The working folder.
        dir: String,
        /// Why.
        source: io::Error,
    },
}

/// A file that does not have its name yet. Dropped unfinished, it is removed.
pub struct SnapshotFile {
    temp: PathBuf,
    file: Option<File>,
    incremental: bool,
    unsynced: u64,
}

impl SnapshotFile {
    /// Creates the temporary file in the same folder as `path`. With `incremental` it is synced as it grows.
    pub fn create(path: &Path, incremental: bool) -> Result<SnapshotFile, FileError> {
        SnapshotFile::create_as(path.with_file_name(format!("temp-{}.rdb", std::process::id())), incremental)
    }

    /// The same with this name until it is finished.
    pub fn create_as(temp: PathBuf, incremental: bool) -> Result<SnapshotFile, FileError> {
        match File::create(&temp) {
            Ok(file) => Ok(SnapshotFile { temp, file: Some(file), incremental, unsynced: 0 }),
            Err(source) => Err(FileError::Open { path: shown(&temp), dir: working_folder(), source }),
        }
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes).map_err(|source| FileError::Write { op: "write", source })?;
        self.unsynced += bytes.len() as u64;
        if self.incremental && self.unsynced >= SYNC_EVERY_BYTES {
            self.unsynced = 0;
            file.sync_data().map_err(|source| FileError::Write { op: "fdatasync", source })?;
        }
        Ok(())
    }

    /// Makes the file durable, then gives it its name, then makes that durable.
    pub fn finish(mut self, path: &Path) -> Result<(), FileError> {
        if let Some(file) = self.file.take() {
            let synced = file.sync_all().map_err(|source| FileError::Write { op: "fsync", source });
            if synced.is_err() {
                self.file = Some(file);
                return synced;
            }
        }
        if let Err(source) = fs::rename(&self.temp, path) {
            // What could not be renamed helps nobody.
            let _ = fs::remove_file(&self.temp);
            return Err(FileError::Rename {
                temp: shown(&self.temp),
                path: shown(path),
                dir: working_folder(),
                source,
            });
        }
        super::sync_folder(path).map_err(|source| FileError::Write { op: "fsync", source })
    }
}

impl Drop for SnapshotFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Nobody can use a part of a snapshot; failing to remove it only costs room.
            let _ = fs::remove_file(&self.temp);
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn working_folder() -> String {
    std::env::current_dir().map_or_else(|_| "?".into(), |d| shown(&d))
}
