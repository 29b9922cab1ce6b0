//! The cluster configuration file and, beside it, the record of epochs: what a node must remember to never vote twice,
//! and to be again what it won.
//!
//! The file is replaced whole (written beside, renamed over); the lock that keeps a second process away is taken on the
//! new file before it takes the old one's place, so it never guards a file that is gone. A vote or a won failover
//! changes a few words, and they are written to a small file of two alternating records, of which one is whole at any
//! time. The two files are separate values, so that writing one never waits for the other.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use baton_cluster::EpochRecord;
use rustix::fs::{FlockOperation, flock};

/// The configuration file.
pub struct NodesFile {
    path: PathBuf,
    /// Holds the lock for as long as the node lives.
    locked: File,
}

/// The record of epochs.
pub struct EpochsFile {
    file: File,
    /// Number of the newest record.
    newest: u64,
}

/// Why the node can't use its file.
#[derive(Debug, thiserror::Error)]
pub enum NodesFileError {
    /// Another process uses it.
    #[error(
        "Sorry, the cluster configuration file {0} is already used by a different Cluster node. Please make sure that \
         different nodes use different cluster configuration files."
    )]
    Locked(PathBuf),
    /// The system refused.
    #[error("Can't open or lock {path} in order to acquire a lock: {source}")]
    System {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

const RECORD_BYTES: usize = 256;
const _: () = assert!(EpochRecord::TEXT_MAX + 2 * 21 < RECORD_BYTES);

impl NodesFile {
    /// Opens and locks the file, creating it if it is missing; gives its text, too.
    pub fn open(path: &Path) -> Result<(NodesFile, Vec<u8>), NodesFileError> {
        let fail = |source| NodesFileError::System { path: path.to_owned(), source };
        let locked = open_rw(path).map_err(fail)?;
        lock(&locked).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => NodesFileError::Locked(path.to_owned()),
            _ => fail(e),
        })?;
        let text = std::fs::read(path).map_err(fail)?;
        Ok((NodesFile { path: path.to_owned(), locked }, text))
    }

    /// Replaces the configuration file.
    pub fn save(&mut self, text: &str, sync: bool) -> io::Result<()> {
        let temp = self.path.with_extension(format!("tmp-{}", std::process::id()));
        let written = self.write_locked(&temp, text, sync);
        if written.is_err() {
            // The old file is whole; what is left of the new one helps nobody.
            let _ = std::fs::remove_file(&temp);
        }
        written
    }

    fn write_locked(&mut self, temp: &Path, text: &str, sync: bool) -> io::Result<()> {
        let mut file = open_rw(temp)?;
        lock(&file)?;
        file.set_len(0)?;
        file.write_all(text.as_bytes())?;
        if sync {
            file.sync_all()?;
        }
        std::fs::rename(temp, &self.path)?;
        self.locked = file;
        if sync { crate::persist::sync_folder(&self.path) } else { Ok(()) }
    }
}

impl EpochsFile {
    /// Opens the record that belongs to a configuration file, creating it if it is missing. Whoever holds that file's lock
    /// may.
    pub fn open(nodes: &Path) -> Result<(EpochsFile, Option<EpochRecord>), NodesFileError> {
        let path = with_suffix(nodes, ".epochs");
        let fail = |source| NodesFileError::System { path: path.clone(), source };
        let file = open_rw(&path).map_err(fail)?;
        let newest = (0..2).filter_map(|at| read_record(&file, at)).max_by_key(|(number, _)| *number);
        if newest.is_none() {
            // From here on writing a record changes no length, so that syncing it is one write.
            file.write_all_at(&[b' '; 2 * RECORD_BYTES], 0).and_then(|()| file.sync_all()).map_err(fail)?;
        }
        let number = newest.as_ref().map_or(0, |(number, _)| *number);
        Ok((EpochsFile { file, newest: number }, newest.map(|(_, record)| record)))
    }

    /// Makes the record durable. When it returns, what it says may be spoken of.
    pub fn save(&mut self, record: &EpochRecord) -> io::Result<()> {
        let number = self.newest + 1;
        self.file.write_all_at(&framed(number, record), number % 2 * RECORD_BYTES as u64)?;
        self.file.sync_data()?;
        self.newest = number;
        Ok(())
    }
}

/// Renames the file, and the record of epochs with it, to the first name that is free; gives that name. None if there is
/// no file. Another process that uses it is left alone.
pub fn put_aside(path: &Path) -> Result<Option<PathBuf>, NodesFileError> {
    if !path.exists() {
        return Ok(None);
    }
    let fail = |source| NodesFileError::System { path: path.to_owned(), source };
    let (_locked, _) = NodesFile::open(path)?;
    let aside = (1..).map(|n| with_suffix(path, &format!(".old-{n}"))).find(|name| !name.exists());
    let aside = aside.expect("some number is free");
    let record = with_suffix(path, ".epochs");
    if record.exists() {
        std::fs::rename(&record, with_suffix(&aside, ".epochs")).map_err(fail)?;
    }
    std::fs::rename(path, &aside).map_err(fail)?;
    crate::persist::sync_folder(path).map_err(fail)?;
    Ok(Some(aside))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn open_rw(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn lock(file: &File) -> io::Result<()> {
    Ok(flock(file, FlockOperation::NonBlockingLockExclusive)?)
}

/// `number record checksum`, padded with blanks and ended by a newline: readable, and never half trusted.
fn framed(number: u64, record: &EpochRecord) -> [u8; RECORD_BYTES] {
    let text = format!("{number} {record}");
    let line = format!("{text} {:04x}", baton_base::slot::crc16(text.as_bytes()));
    let mut out = [b' '; RECORD_BYTES];
    out[..line.len()].copy_from_slice(line.as_bytes());
    out[RECORD_BYTES - 1] = b'\n';
    out
}

/// The record in one of the two places, with its number, if it is whole.
fn read_record(file: &File, at: u64) -> Option<(u64, EpochRecord)> {
    let mut bytes = [0; RECORD_BYTES];
    file.read_exact_at(&mut bytes, at * RECORD_BYTES as u64).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?.trim_ascii_end();
    let (text, _) = text.rsplit_once(' ')?;
    let (number, record) = text.split_once(' ')?;
    let (number, record) = (number.parse().ok()?, EpochRecord::parse(record)?);
    (framed(number, &record) == bytes).then_some((number, record))
}

#[cfg(test)]
mod tests {
    use baton_base::{Epoch, NodeId};

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("baton-nodes-file-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn record(current: u64) -> EpochRecord {
        let node = NodeId::parse(&[b'a'; 40]).unwrap();
        EpochRecord { node, current: Epoch(current), last_vote: Epoch(1), victory: None }
    }

    #[test]
    fn a_torn_record_leaves_the_older_one() {
        let path = folder("torn").join("nodes.conf");
        let (mut f, found) = EpochsFile::open(&path).unwrap();
        assert_eq!(found, None);
        // A later record counts even if its numbers are smaller, as after a hard reset.
        for current in [7, 8, 3] {
            f.save(&record(current)).unwrap();
        }
        let (f, found) = EpochsFile::open(&path).unwrap();
        assert_eq!(found, Some(record(3)));
        // The newest record stands in the second place; tear it.
        f.file.write_all_at(b"9", RECORD_BYTES as u64 + 3).unwrap();
        let (mut f, found) = EpochsFile::open(&path).unwrap();
        assert_eq!(found, Some(record(8)));
        f.save(&record(9)).unwrap();
        assert_eq!(EpochsFile::open(&path).unwrap().1, Some(record(9)));
    }

    #[test]
    fn what_is_put_aside_is_kept_and_never_overwritten() {
        let path = folder("aside").join("nodes.conf");
        assert_eq!(put_aside(&path).unwrap(), None);
        for number in 1..=2 {
            let text = format!("text {number}");
            NodesFile::open(&path).unwrap().0.save(&text, true).unwrap();
            EpochsFile::open(&path).unwrap().0.save(&record(number)).unwrap();
            let aside = put_aside(&path).unwrap().unwrap();
            assert!(aside.to_string_lossy().ends_with(&format!("nodes.conf.old-{number}")));
            assert!(!path.exists() && !with_suffix(&path, ".epochs").exists());
            assert_eq!(std::fs::read_to_string(&aside).unwrap(), text);
            assert_eq!(EpochsFile::open(&aside).unwrap().1, Some(record(number)));
        }
        let used = NodesFile::open(&path).unwrap();
        assert!(matches!(put_aside(&path), Err(NodesFileError::Locked(_))));
        drop(used);
    }

    #[test]
    fn the_lock_outlives_a_save() {
        let path = folder("lock").join("nodes.conf");
        let (mut f, text) = NodesFile::open(&path).unwrap();
        assert!(text.is_empty());
        f.save("one\n", true).unwrap();
        f.save("two\n", false).unwrap();
        assert!(matches!(NodesFile::open(&path), Err(NodesFileError::Locked(_))));
        drop(f);
        assert_eq!(NodesFile::open(&path).unwrap().1, b"two\n");
    }
}
