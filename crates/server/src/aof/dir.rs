//! The append-only file's directory: which files are there, and each change of that as one step that a crash leaves done or
//! undone. Knows nothing of what stands in the files, and decides nothing: whoever changes the manifest persists it here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use baton_aof::{FileName, Manifest, ManifestError};
use baton_config::{Id, Settings};

use crate::listen::text_of;
use crate::log::Log;

/// What failed, in the words of the log.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// The manifest is there and can't be accepted.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manifest is there and can't be read.
    #[error("Fatal error: can't open the AOF manifest file {0} for reading: {why}", why = text_of(.1))]
    Read(String, io::Error),
    /// The directory can't be made.
    #[error("Can't open or create append-only dir {0}: {why}", why = text_of(.1))]
    Create(String, io::Error),
    /// The new manifest's file can't be made.
    #[error("Can't open the AOF manifest file {0}: {why}", why = text_of(.1))]
    OpenManifest(String, io::Error),
    /// It can't be written.
    #[error("Error trying to write the temporary AOF manifest file {0}: {why}", why = text_of(.1))]
    WriteManifest(String, io::Error),
    /// It can't be made durable.
    #[error("Fail to fsync the temp AOF file {0}: {why}.", why = text_of(.1))]
    SyncManifest(String, io::Error),
    /// It can't take the place of the one before.
    #[error("Error trying to rename the temporary AOF manifest file {0} into {1}: {why}", why = text_of(.2))]
    RenameManifest(String, String, io::Error),
    /// The names in the directory can't be made durable.
    #[error("Fail to fsync AOF directory {0}: {why}.", why = text_of(.1))]
    SyncDir(String, io::Error),
    /// A file of before the manifests can't be moved in.
    #[error("Error trying to move the old AOF file {0} into dir {1}: {why}", why = text_of(.2))]
    Move(String, String, io::Error),
    /// A log can't be opened to be written.
    #[error("Can't open the append-only file {0}: {why}", why = text_of(.1))]
    OpenLog(String, io::Error),
    /// A file that the manifest lists is not there.
    #[error("Unable to obtain the AOF file {0} length. stat: {why}", why = text_of(.1))]
    Length(String, io::Error),
}

impl DirError {
    /// Writes it to the log.
    pub fn log(&self, log: &Log) {
        match self {
            DirError::Manifest(e) => e.lines().iter().for_each(|line| log.warning(line)),
            other => log.warning(&other.to_string()),
        }
    }
}

/// Where the files lie. The path is relative, like every other one: `CONFIG SET dir` takes effect here, too.
#[derive(Clone, Debug)]
pub struct AofDir {
    folder: PathBuf,
    stem: FileName,
}

impl AofDir {
    /// The directory that the settings name.
    pub fn of(settings: &Settings) -> AofDir {
        let stem = FileName::new(settings.bytes(Id::AppendFilename)).expect("the setting's rule lets only names pass");
        AofDir { folder: settings.text(Id::AppendDirname).into(), stem }
    }

    /// What all names in it begin with, and the name of a file of before the manifests.
    pub fn stem(&self) -> &FileName {
        &self.stem
    }

    /// A file of it.
    pub fn path(&self, name: &FileName) -> PathBuf {
        self.folder.join(os(name.as_bytes()))
    }

    fn named(&self, before: &str, after: &str) -> PathBuf {
        let name = [before.as_bytes(), self.stem.as_bytes(), after.as_bytes()].concat();
        self.folder.join(os(&name))
    }

    /// The list of files.
    pub fn manifest_path(&self) -> PathBuf {
        self.named("", ".manifest")
    }

    /// The increment that is written while the first base is (aof 2).
    pub fn temp_incr_path(&self) -> PathBuf {
        self.named("temp-", ".incr")
    }

    /// Makes the directory where it is missing.
    ///
    /// # Errors
    /// [`DirError::Create`].
    pub fn create(&self) -> Result<(), DirError> {
        match fs::DirBuilder::new().mode(0o755).create(&self.folder) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => match self.folder.is_dir() {
                true => Ok(()),
                false => Err(DirError::Create(shown(&self.folder), io::Error::from_raw_os_error(libc::ENOTDIR))),
            },
            Err(e) => Err(DirError::Create(shown(&self.folder), e)),
            Ok(()) => Ok(()),
        }
    }

    /// Reads the manifest; none where there is none.
    ///
    /// # Errors
    /// It is there and can't be read, or not be accepted.
    pub fn read(&self) -> Result<Option<Manifest>, DirError> {
        let path = self.manifest_path();
        match fs::read(&path) {
            Ok(text) => Ok(Some(Manifest::parse(&text)?)),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(e) => Err(DirError::Read(file_name(&path), e)),
        }
    }

    /// Replaces the manifest: written beside it and made durable, then renamed over it, then that made durable. Whoever
    /// calls goes on with the new manifest only behind this.
    ///
    /// # Errors
    /// The step that failed. If it is the last one, the new manifest may be in place already.
    pub fn persist(&self, manifest: &Manifest) -> Result<(), DirError> {
        let bytes = manifest.render();
        let readable = bytes.is_empty() || Manifest::parse(&bytes).is_ok_and(|read| read.render() == bytes);
        let (temp, path) = (self.named("temp-", ".manifest"), self.manifest_path());
        let temp_name = file_name(&temp);
        if !readable {
            let e = io::Error::new(io::ErrorKind::InvalidInput, "a name is too long for its line");
            return Err(DirError::WriteManifest(temp_name, e));
        }
        let mut file = File::create(&temp).map_err(|e| DirError::OpenManifest(temp_name.clone(), e))?;
        file.write_all(&bytes).map_err(|e| DirError::WriteManifest(temp_name.clone(), e))?;
        file.sync_all().map_err(|e| DirError::SyncManifest(temp_name.clone(), e))?;
        let renamed = fs::rename(&temp, &path);
        renamed.map_err(|e| DirError::RenameManifest(temp_name, file_name(&path), e))?;
        self.sync()
    }

    /// Makes the names of the directory durable.
    ///
    /// # Errors
    /// [`DirError::SyncDir`].
    pub fn sync(&self) -> Result<(), DirError> {
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|e| DirError::SyncDir(shown(&self.folder), e))
    }

    /// Opens a log to append to it, and makes it where it is missing. Its name is durable once the manifest is persisted.
    ///
    /// # Errors
    /// [`DirError::OpenLog`].
    pub fn open_log(&self, name: &FileName) -> Result<File, DirError> {
        let opened = OpenOptions::new().append(true).create(true).open(self.path(name));
        opened.map_err(|e| DirError::OpenLog(name.to_string(), e))
    }

    /// The length of a file that the manifest lists.
    ///
    /// # Errors
    /// [`DirError::Length`].
    pub fn length(&self, name: &FileName) -> Result<u64, DirError> {
        let found = fs::metadata(self.path(name));
        found.map(|found| found.len()).map_err(|e| DirError::Length(name.to_string(), e))
    }

    /// The length of all files that are read at a start.
    ///
    /// # Errors
    /// [`DirError::Length`].
    pub fn total_length(&self, manifest: &Manifest) -> Result<u64, DirError> {
        manifest.files().try_fold(0, |sum, file| Ok(sum + self.length(&file.name)?))
    }

    /// Deletes superseded files and forgets them in the manifest, which is persisted without them. What can't be deleted is
    /// nobody's any more: it only takes room.
    ///
    /// # Errors
    /// Why the manifest can't be persisted.
    pub fn remove_history(&self, manifest: &mut Manifest, log: &Log) -> Result<(), DirError> {
        let gone = manifest.take_history();
        if gone.is_empty() {
            return Ok(());
        }
        for file in gone {
            log.notice(&format!("Removing the history file {} in the background", file.name));
            match fs::remove_file(self.path(&file.name)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    log.warning(&format!("Can't remove the history file {}: {}", file.name, text_of(&e)));
                }
                _ => {}
            }
        }
        self.persist(manifest)
    }

    /// Whether a file of before the manifests is to be moved in: it is there, and this directory holds nothing else, or a
    /// move was begun and not finished (aof 5).
    pub fn has_old_file(&self, manifest: &Manifest) -> bool {
        let begun = || {
            let is_old = manifest.base().is_some_and(|base| base.name == self.stem);
            is_old && manifest.incrs().is_empty() && !self.path(&self.stem).exists()
        };
        Path::new(os(self.stem.as_bytes())).exists() && (!self.folder.is_dir() || manifest.is_empty() || begun())
    }

    /// Makes a file of before the manifests the base. The manifest comes first, so a crash in between is told by
    /// [`Self::has_old_file`], and the move is done then.
    ///
    /// # Errors
    /// The step that failed.
    pub fn adopt_old_file(&self, log: &Log) -> Result<Manifest, DirError> {
        self.create()?;
        let manifest = Manifest::of_base(self.stem.clone());
        self.persist(&manifest)?;
        let (stem, folder) = (&self.stem, shown(&self.folder));
        let moved = fs::rename(os(stem.as_bytes()), self.path(stem));
        moved.map_err(|e| DirError::Move(stem.to_string(), folder.clone(), e))?;
        self.sync()?;
        log.notice(&format!("Successfully migrated an old-style AOF file ({stem}) into the AOF directory ({folder})."));
        Ok(manifest)
    }
}

fn os(bytes: &[u8]) -> &std::ffi::OsStr {
    std::ffi::OsStr::from_bytes(bytes)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Level, LogSettings};
    use baton_aof::BaseFormat;

    /// A folder that is gone afterwards.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("baton-aof-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn dir(&self) -> AofDir {
            AofDir { folder: self.0.join("files"), stem: FileName::new(b"a.aof").unwrap() }
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<String> = fs::read_dir(self.0.join("files"))
                .unwrap()
                .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn log() -> Log {
        Log::new(Level::Warning, LogSettings { file: None, json: false })
    }

    #[test]
    fn what_is_persisted_is_read_and_nothing_else_stays() {
        let folder = Folder::new("persist");
        let dir = folder.dir();
        assert!(matches!(dir.read(), Ok(None)), "no directory");
        dir.create().unwrap();
        dir.create().unwrap();
        assert!(matches!(dir.read(), Ok(None)), "no manifest");
        let mut manifest = Manifest::default();
        manifest.replace_base(dir.stem(), BaseFormat::Rdb);
        manifest.add_incr(dir.stem());
        dir.persist(&manifest).unwrap();
        assert_eq!(dir.read().unwrap(), Some(manifest.clone()));
        assert_eq!(folder.names(), ["a.aof.manifest"]);
        let missing = dir.total_length(&manifest).unwrap_err().to_string();
        assert_eq!(missing, "Unable to obtain the AOF file a.aof.1.base.rdb length. stat: No such file or directory");
    }

    #[test]
    fn a_log_is_appended_to_and_history_goes() {
        let folder = Folder::new("log");
        let dir = folder.dir();
        dir.create().unwrap();
        let mut manifest = Manifest::default();
        let first = manifest.add_incr(dir.stem());
        for part in ["ab", "c"] {
            dir.open_log(&first).unwrap().write_all(part.as_bytes()).unwrap();
        }
        assert_eq!(dir.total_length(&manifest).unwrap(), 3);
        let second = manifest.add_incr(dir.stem());
        drop(dir.open_log(&second).unwrap());
        manifest.supersede_incrs(1);
        dir.persist(&manifest).unwrap();
        dir.remove_history(&mut manifest, &log()).unwrap();
        assert_eq!(folder.names(), ["a.aof.2.incr.aof", "a.aof.manifest"]);
        assert_eq!(dir.read().unwrap().map(|read| read.render()), Some(manifest.render()));
    }

    #[test]
    fn a_manifest_that_could_not_be_read_is_not_written() {
        let folder = Folder::new("long");
        let dir = AofDir { stem: FileName::new(&[0xe9; 250]).unwrap(), ..folder.dir() };
        dir.create().unwrap();
        let mut manifest = Manifest::default();
        manifest.add_incr(dir.stem());
        assert!(matches!(dir.persist(&manifest), Err(DirError::WriteManifest(..))));
        assert!(folder.names().is_empty());
    }

    #[test]
    fn a_directory_that_is_a_file_is_refused() {
        let folder = Folder::new("file");
        fs::write(folder.0.join("files"), b"").unwrap();
        let text = folder.dir().create().unwrap_err().to_string();
        assert!(
            text.starts_with("Can't open or create append-only dir ") && text.ends_with(": Not a directory"),
            "{text}"
        );
    }
}
