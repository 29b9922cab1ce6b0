//! Reading the append-only file at the start: the base, then the increments in order, and what becomes of a log that ends in
//! the middle. Nobody gets at the data meanwhile. A file that can't be read to its end keeps the server from starting, and stays as it
//! is, but for the end of the last one where the configuration lets it be cut.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::sync::Arc;

use baton_aof::{Cut, Ending, FileName, ListedFile, Manifest, Position, Scanner};
use baton_base::{ReplId, Slot};
use baton_config::Id;
use baton_rdb::ReplicationPoint;

use super::dir::{AofDir, DirError};
use super::fresh;
use crate::entries;
use crate::listen::text_of;
use crate::persist::load::{self, Listener, LoadError, Rules};
use crate::repl::{Replay, Stream, begin_history_still};
use crate::shared::Shared;
use crate::slot_jobs::{Coming, import};
use crate::start::StartError;

/// Bytes read from a file at a time.
const READ_BYTES: usize = 256 * 1024;
/// What snapshots begin with.
const MAGICS: [&[u8]; 2] = [b"REDIS0", b"VALKEY"];
const MAGIC_BYTES: usize = 6;

/// The append-only file as the start leaves it: to be written on.
#[derive(Debug)]
pub struct Opened {
    /// Its directory.
    pub dir: AofDir,
    /// What is listed, as it is on disk.
    pub manifest: Manifest,
    /// The last increment, opened to be appended to.
    pub log: File,
    /// The history that the offsets in the last file are of; none if nothing says so.
    pub noted: Option<ReplId>,
}

/// Why a file can't be loaded.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Dir(#[from] DirError),
    #[error("Fatal error: can't open the append log file {0} for reading: {why}", why = text_of(.1))]
    Open(FileName, io::Error),
    #[error("Unrecoverable error reading the append only file {0}: {why}", why = text_of(.1))]
    Read(FileName, io::Error),
    #[error("Error reading the RDB {what} {0}, AOF loading aborted", what = if *.1 { "preamble of the AOF file" } else { "base file" })]
    Snapshot(FileName, bool, Box<LoadError>),
    #[error(
        "Bad file format reading the append only file {0}: make a backup of your AOF file, then use ./valkey-check-aof --fix \
         <filename.manifest>"
    )]
    Malformed(FileName),
    #[error("Error reading the append only file {0}, error: {1}")]
    Command(FileName, String),
    #[error(
        "Unexpected end of file reading the append only file {0}. You can: 1) Make a backup of your AOF file, then use \
         ./valkey-check-aof --fix <filename.manifest>. 2) Alternatively you can set the 'aof-load-truncated' configuration \
         option to yes and restart the server."
    )]
    Short(FileName),
    #[error("Fatal error: the truncated file is not the last file")]
    ShortBeforeLast,
    #[error("Error truncating the AOF file {0}: {why}", why = text_of(.1))]
    Truncate(FileName, io::Error),
}

impl Refused {
    fn log(&self, shared: &Shared) {
        match self {
            Refused::Dir(e) => return e.log(&shared.log),
            Refused::Snapshot(_, _, e) => e.lines().iter().for_each(|line| shared.log.warning(line)),
            _ => {}
        }
        shared.log.warning(&self.to_string());
    }
}

/// Loads the dataset: from the append-only file where it is on, else from the snapshot file. Gives what the append-only file is
/// written on with.
///
/// # Errors
/// What keeps the server from starting.
pub fn at_start(shared: &Arc<Shared>) -> Result<Option<Opened>, StartError> {
    let settings = Arc::clone(&shared.world.peek().settings);
    if !settings.bool(Id::AppendOnly) {
        load::load_at_start(shared)?;
        return Ok(None);
    }
    load::note_start(shared);
    let loaded = read_and_open(shared, &AofDir::of(&settings));
    loaded.map(Some).map_err(|refused| {
        refused.log(shared);
        StartError("Fatal error loading the DB, check server logs. Exiting.".to_owned())
    })
}

/// Reads the append-only file of a running server into its store, which is empty (DEBUG LOADAOF). The caller has the world
/// stand still, and what was to be written is written. Tells whether it worked.
pub fn reload(shared: &Arc<Shared>) -> bool {
    let dir = AofDir::of(&shared.world.peek().settings);
    let read = dir.read().map_err(Refused::from).and_then(|manifest| {
        let manifest = manifest.unwrap_or_default();
        read_all(shared, &dir, &manifest).map(drop)
    });
    if let Err(refused) = &read {
        refused.log(shared);
    }
    read.is_ok()
}

fn read_and_open(shared: &Arc<Shared>, dir: &AofDir) -> Result<Opened, Refused> {
    let mut manifest = dir.read()?.unwrap_or_default();
    if dir.has_old_file(&manifest) {
        manifest = dir.adopt_old_file(&shared.log)?;
    }
    let mut noted = None;
    if !manifest.is_empty() {
        let began = shared.clock.mono();
        let bytes = dir.total_length(&manifest)?;
        shared.first_load.expect(bytes);
        if bytes > 0 {
            let is_replica = load::starts_as_replica(&shared.world.peek());
            let position = read_all(shared, dir, &manifest)?;
            noted = position.map(|position| position.replid);
            import::end_loading(shared, is_replica);
            if let Some(Position { replid, offset, stream_db }) = position {
                load::go_on_from(shared, is_replica, ReplicationPoint { id: replid, offset, stream_db });
                load::follow_from_here(shared);
            }
        }
        let seconds = shared.clock.mono().since(began).as_secs_f64();
        shared.log.notice(&format!("DB loaded from append only file: {seconds:.3} seconds"));
    }
    if manifest.is_empty() {
        begin_history_still(shared);
        noted = Some(shared.repl.history.lock().replid);
    }
    let (log, manifest) = fresh::open(shared, dir, manifest)?;
    Ok(Opened { dir: dir.clone(), manifest, log, noted })
}

/// Reads all files of a manifest into the store, which is empty. Gives the place in a history that they have reached.
fn read_all(shared: &Arc<Shared>, dir: &AofDir, manifest: &Manifest) -> Result<Option<Position>, Refused> {
    let mut loading = Loading { shared, dir, replay: Replay::new(shared), position: None };
    let last = manifest.files().last();
    for file in manifest.files() {
        let is_base = manifest.base() == Some(file);
        let began = shared.clock.mono();
        let was_read = loading.file(file, is_base, last == Some(file))?;
        if was_read || is_base {
            let kind = if is_base { "base" } else { "incr" };
            let seconds = shared.clock.mono().since(began).as_secs_f64();
            shared.log.notice(&format!("DB loaded from {kind} file {}: {seconds:.3} seconds", file.name));
        }
    }
    Ok(loading.position)
}

/// What carries over from one file to the next.
struct Loading<'a> {
    shared: &'a Arc<Shared>,
    dir: &'a AofDir,
    replay: Replay,
    /// The place in a history that was reached, if the files tell it.
    position: Option<Position>,
}

impl Loading<'_> {
    /// Reads one file; false if it has no bytes.
    fn file(&mut self, listed: &ListedFile, is_base: bool, is_last: bool) -> Result<bool, Refused> {
        let name = &listed.name;
        let read_failed = |e| Refused::Read(name.clone(), e);
        let mut file = File::open(self.dir.path(name)).map_err(|e| Refused::Open(name.clone(), e))?;
        let mut head = Vec::with_capacity(MAGIC_BYTES);
        (&mut file).take(MAGIC_BYTES as u64).read_to_end(&mut head).map_err(read_failed)?;
        if head.is_empty() {
            return Ok(false);
        }
        self.replay.begin_file();
        let mut at = 0;
        if MAGICS.contains(&head.as_slice()) {
            let snapshot = self.snapshot(name, is_base)?;
            (file, at, head) = (snapshot.file, snapshot.bytes, snapshot.rest);
        } else if is_base {
            // A base made of commands names the slots that are coming among them.
            import::adopt(self.shared, Vec::new(), true);
        }
        let scanner = Scanner::at(at, self.position.take());
        let mut stream = Stream::of_log(Arc::clone(&self.shared.world.peek().renames), scanner);
        stream.push(&head);
        let mut buf = Vec::with_capacity(READ_BYTES);
        loop {
            while stream.parse().map_err(|_| Refused::Malformed(name.clone()))? {
                self.replay.apply(&mut stream).map_err(|text| unknown(name, &text))?;
            }
            buf.clear();
            if (&mut file).take(READ_BYTES as u64).read_to_end(&mut buf).map_err(read_failed)? == 0 {
                break;
            }
            self.shared.first_load.count(buf.len());
            stream.push(&buf);
        }
        self.end(name, &stream, is_last)?;
        Ok(true)
    }

    /// Reads the snapshot that a file begins with.
    fn snapshot(&mut self, name: &FileName, is_base: bool) -> Result<Snapshot, Refused> {
        let shared = self.shared;
        let is_old = name == self.dir.stem();
        shared.log.notice(match is_old {
            true => "Reading RDB preamble from AOF file...",
            false => "Reading RDB base file on AOF loading...",
        });
        let path = self.dir.path(name);
        let mut file = File::open(&path).map_err(|e| Refused::Open(name.clone(), e))?;
        let settings = Arc::clone(&shared.world.peek().settings);
        let options = entries::decoder_options(&settings, &shared.store);
        let (now, rules) = (shared.clock.wall(), Rules { drop_due: false, replace: false });
        let mut base = Base { shared, point: None, coming: Vec::new() };
        let shown = path.display().to_string();
        let read = load::read_open(&mut file, &shown, &options, &shared.store, now, rules, &mut base)
            .map_err(|e| Refused::Snapshot(name.clone(), is_old, Box::new(e)))?;
        load::note(shared, read.loaded);
        if is_base {
            import::adopt(shared, base.coming, true);
        }
        self.position = base.point.map(|at| Position { replid: at.id, offset: at.offset, stream_db: at.stream_db });
        if is_old {
            shared.log.notice("Reading the remaining AOF tail...");
        }
        Ok(Snapshot { file, bytes: read.bytes, rest: read.rest })
    }

    /// The file has no more bytes.
    fn end(&mut self, name: &FileName, stream: &Stream, is_last: bool) -> Result<(), Refused> {
        let (scanner, rest) = stream.log().expect("this is a log's");
        self.position = scanner.position();
        if let Some(shard) = scanner.shard() {
            load::note_shard(self.shared, shard.as_ref().map_or(&[], |shard| shard.as_bytes().as_slice()));
        }
        let Ending::Cut(cut) = scanner.ending(rest) else { return Ok(()) };
        let log = &self.shared.log;
        if cut == Cut::Annotation && !is_last {
            // Nothing is appended to this file any more, so the line does no harm.
            return Ok(());
        }
        if cut == Cut::Transaction {
            log.warning(&format!("Revert incomplete MULTI/EXEC transaction in AOF file {name}"));
        }
        let may_cut = cut == Cut::Annotation || self.shared.world.peek().settings.bool(Id::AofLoadTruncated);
        if !may_cut {
            return Err(Refused::Short(name.clone()));
        }
        log.warning(&format!("!!! Warning: short read while loading the AOF file {name}!!!"));
        if !is_last {
            return Err(Refused::ShortBeforeLast);
        }
        let whole = scanner.whole_bytes();
        log.warning(&format!("!!! Truncating the AOF {name} at offset {whole} !!!"));
        let cut_off = OpenOptions::new().write(true).open(self.dir.path(name)).and_then(|file| {
            file.set_len(whole)?;
            file.sync_all()
        });
        cut_off.map_err(|e| Refused::Truncate(name.clone(), e))?;
        log.warning(&format!("AOF {name} loaded anyway because aof-load-truncated is enabled"));
        Ok(())
    }
}

/// A file whose snapshot was read.
struct Snapshot {
    file: File,
    bytes: u64,
    rest: Vec<u8>,
}

fn unknown(name: &FileName, text: &[u8]) -> Refused {
    let text = String::from_utf8_lossy(text);
    Refused::Command(name.clone(), text.strip_prefix("ERR ").unwrap_or(&text).to_owned())
}

/// Hears what a base says besides its keys.
struct Base<'a> {
    shared: &'a Arc<Shared>,
    point: Option<ReplicationPoint>,
    coming: Vec<Coming>,
}

impl Listener for Base<'_> {
    fn begins(&mut self, point: Option<ReplicationPoint>) {
        self.point = point;
    }

    fn read(&mut self, bytes: usize) {
        self.shared.first_load.count(bytes);
    }

    fn key(&mut self, number: u64) {
        self.shared.first_load.count_key(self.shared, number);
    }

    fn due(&mut self, _db: u32, _key: &[u8]) {}

    fn shard(&mut self, shard: &[u8]) {
        load::note_shard(self.shared, shard);
    }

    fn slots_coming(&mut self, name: &[u8], ranges: &[(Slot, Slot)]) {
        self.coming.push((String::from_utf8_lossy(name).into_owned(), ranges.to_vec()));
    }

    fn function(&mut self, code: &[u8]) -> Result<(), String> {
        load::add_function(self.shared, code, false)
    }

    fn line(&mut self, text: &str) {
        self.shared.log.notice(text);
    }
}
