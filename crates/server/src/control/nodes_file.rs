//! The cluster configuration file and, beside it, the record of epochs: what a node must remember to never vote twice.
//!
//! The file is replaced whole (written beside, renamed over); the lock that keeps a second process away is taken on the
//! new file before it takes the old one's place, so it never guards a file that is gone. A vote changes only two
//! numbers, and they are written to a small file of two alternating records, of which one is whole at any time.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use baton_base::Epoch;
use rustix::fs::{FlockOperation, flock};

/// The two files of a cluster node.
pub struct NodesFile {
    path: PathBuf,
    /// Holds the lock for as long as the node lives.
    locked: File,
    epochs: File,
    next_record: u64,
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

/// What the files hold.
pub struct Contents {
    /// Text of the configuration file; empty if it is new.
    pub text: Vec<u8>,
    /// The larger of the recorded epochs: current and last vote.
    pub epochs: Option<(Epoch, Epoch)>,
}

const RECORD_BYTES: usize = 64;

impl NodesFile {
    /// Opens, locks and reads the files in the working directory, creating them if they are missing.
    pub fn open(path: &Path) -> Result<(NodesFile, Contents), NodesFileError> {
        let fail = |source| NodesFileError::System { path: path.to_owned(), source };
        let locked = open_rw(path).map_err(fail)?;
        lock(&locked).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => NodesFileError::Locked(path.to_owned()),
            _ => fail(e),
        })?;
        let text = std::fs::read(path).map_err(fail)?;
        let epochs = open_rw(&epochs_path(path)).map_err(fail)?;
        let records: Vec<_> = (0..2).map(|i| read_record(&epochs, i)).collect();
        let newest = records.iter().flatten().max().copied();
        let next_record = u64::from(records[0].is_some() && records[0] == newest);
        let file = NodesFile { path: path.to_owned(), locked, epochs, next_record };
        Ok((file, Contents { text, epochs: newest }))
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

    /// Records the epochs durably. When it returns, a vote may be sent.
    pub fn save_epochs(&mut self, current: Epoch, last_vote: Epoch) -> io::Result<()> {
        self.epochs.write_all_at(&record(current, last_vote), self.next_record * RECORD_BYTES as u64)?;
        self.epochs.sync_data()?;
        self.next_record ^= 1;
        Ok(())
    }
}

fn epochs_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".epochs");
    name.into()
}

fn open_rw(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn lock(file: &File) -> io::Result<()> {
    Ok(flock(file, FlockOperation::NonBlockingLockExclusive)?)
}

/// `current last_vote checksum`, padded with blanks and ended by a newline: readable, and never half trusted.
fn record(current: Epoch, last_vote: Epoch) -> [u8; RECORD_BYTES] {
    let text = format!("{current} {last_vote}");
    let line = format!("{text} {:04x}", baton_base::slot::crc16(text.as_bytes()));
    let mut out = [b' '; RECORD_BYTES];
    out[..line.len()].copy_from_slice(line.as_bytes());
    out[RECORD_BYTES - 1] = b'\n';
    out
}

fn read_record(file: &File, index: u64) -> Option<(Epoch, Epoch)> {
    let mut bytes = [0; RECORD_BYTES];
    file.read_exact_at(&mut bytes, index * RECORD_BYTES as u64).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let mut words = text.split_ascii_whitespace();
    let (current, last_vote) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (record(Epoch(current), Epoch(last_vote)) == bytes).then_some((Epoch(current), Epoch(last_vote)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("baton-nodes-file-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_torn_record_leaves_the_older_one() {
        let path = folder("torn").join("nodes.conf");
        let (mut f, contents) = NodesFile::open(&path).unwrap();
        assert!(contents.text.is_empty() && contents.epochs.is_none());
        f.save_epochs(Epoch(1), Epoch(1)).unwrap();
        f.save_epochs(Epoch(2), Epoch(1)).unwrap();
        f.save_epochs(Epoch(3), Epoch(3)).unwrap();
        drop(f);
        let (f, contents) = NodesFile::open(&path).unwrap();
        assert_eq!(contents.epochs, Some((Epoch(3), Epoch(3))));
        // The newest record is the first one; tear it.
        f.epochs.write_all_at(b"9", 3).unwrap();
        drop(f);
        let (mut f, contents) = NodesFile::open(&path).unwrap();
        assert_eq!(contents.epochs, Some((Epoch(2), Epoch(1))));
        f.save_epochs(Epoch(4), Epoch(4)).unwrap();
        drop(f);
        assert_eq!(NodesFile::open(&path).unwrap().1.epochs, Some((Epoch(4), Epoch(4))));
    }

    #[test]
    fn the_lock_outlives_a_save() {
        let path = folder("lock").join("nodes.conf");
        let (mut f, _) = NodesFile::open(&path).unwrap();
        f.save("one\n", true).unwrap();
        f.save("two\n", false).unwrap();
        assert!(matches!(NodesFile::open(&path), Err(NodesFileError::Locked(_))));
        drop(f);
        assert_eq!(NodesFile::open(&path).unwrap().1.text, b"two\n");
    }
}
