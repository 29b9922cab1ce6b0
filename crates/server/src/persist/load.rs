//! Reading a snapshot file into the store: at the start, before anybody is served, and for DEBUG RELOAD. A file that can't
//! be read to its end is never half accepted at the start: the server does not start, and the file stays as it is.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use baton_base::quote::quoted;
use baton_base::{Slot, WallMs};
use baton_config::{Id, Settings};
use baton_rdb::{AuxFacts, Checksum, Decoder, DecoderOptions, Entry, Event, RdbError, RdbErrorKind, ReplicationPoint};
use baton_replication::History;
use baton_store::{Collection, DbIndex, Expiry, Store};

use super::form::SHARD_FACT;
use crate::entries;
use crate::log::Log;
use crate::repl::role::{self, Demotion};
use crate::shared::Shared;
use crate::slot_jobs::{Coming, import};
use crate::start::StartError;
use crate::world::{Role, World};

/// Bytes read from the file at a time.
const READ_BYTES: usize = 256 * 1024;

/// What becomes of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Keys that are due are left out: a primary would delete them first thing. A replica keeps them until its primary
    /// says so.
    pub drop_due: bool,
    /// A key that is there already is replaced; else it is an error.
    pub replace: bool,
}

/// What a file brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Keys in the store.
    pub keys: u64,
    /// Keys that were due and left out.
    pub expired: u64,
    /// Hashes that were left out because all their fields were due.
    pub expired_hashes: u64,
}

/// Why a file can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It can't be opened or read.
    #[error("Fatal error: can't open the RDB file {path} for reading: {source}")]
    System {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Its contents can't be accepted.
    #[error("{}", damage(.path, .error, .last_key))]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong and where.
        error: RdbError,
        /// The last key that was read whole; empty before the first.
        last_key: Vec<u8>,
    },
    /// A library of functions that can't be loaded.
    #[error("Failed loading a library of functions: {why} (file {path})")]
    Function {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// The same key twice.
    #[error("RDB has duplicated key {} in DB {} (file {path})", quoted(.key), .db)]
    Duplicate {
        /// The file.
        path: String,
        /// The key.
        key: Box<[u8]>,
        /// Its database.
        db: u32,
    },
}

fn damage(path: &str, error: &RdbError, last_key: &[u8]) -> String {
    let key = match &error.key {
        Some(key) => format!(", key {}", quoted(key)),
        None if last_key.is_empty() => String::new(),
        None => format!(", after key {}", quoted(last_key)),
    };
    let what = match &error.kind {
        RdbErrorKind::ShortRead => "Unexpected EOF reading RDB file".into(),
        RdbErrorKind::WrongChecksum { .. } => "RDB CRC error".into(),
        other => other.to_string(),
    };
    format!("Internal error in RDB reading offset {} of file {path}{key} -> {what}", error.offset)
}

impl LoadError {
    /// The lines for the log, the most telling ones first as upstream has them.
    pub fn lines(&self) -> Vec<String> {
        let LoadError::Damaged { error, .. } = self else { return vec![self.to_string()] };
        let kind = error.kind.to_string();
        match &error.kind {
            RdbErrorKind::ShortRead | RdbErrorKind::WrongChecksum { .. } => vec![kind, self.to_string()],
            RdbErrorKind::UnknownType(_) => {
                let text = "Unknown type or opcode when loading DB. Unrecoverable error, aborting now.";
                vec![self.to_string(), text.into()]
            }
            _ if error.is_incompatible() => vec![kind],
            _ => vec![self.to_string(), kind],
        }
    }
}

/// Told of what a file says while it is read.
pub trait Listener {
    /// Where the snapshot stands in a history; told before the first entry.
    fn begins(&mut self, point: Option<ReplicationPoint>);
    /// So many bytes of the file were read.
    fn read(&mut self, _bytes: usize) {}
    /// Another key is about to be put into the store; told with how many there were before.
    fn key(&mut self, _number: u64) {}
    /// This key was due and is left out.
    fn due(&mut self, db: u32, key: &[u8]);
    /// These fields of a hash were due and are left out.
    fn fields_due(&mut self, _db: u32, _key: &[u8], _fields: &[Vec<u8>]) {}
    /// Whose data it says to be, in a cluster.
    fn shard(&mut self, _shard: &[u8]) {}
    /// Slots that were on their way when the file was written.
    fn slots_coming(&mut self, _name: &[u8], _ranges: &[(Slot, Slot)]) {}
    /// A library of functions.
    ///
    /// # Errors
    /// Why it can't be taken: then the file can't.
    fn function(&mut self, _code: &[u8]) -> Result<(), String> {
        Ok(())
    }
    /// A line for the log.
    fn line(&mut self, text: &str);
}

/// Reads a whole file into the store. A file of no bytes is an empty dataset.
pub fn read_file(
    path: &Path,
    settings: &Settings,
    store: &Store,
    now: WallMs,
    rules: Rules,
    listener: &mut dyn Listener,
) -> Result<Loaded, LoadError> {
    let name = path.display().to_string();
    let mut file = File::open(path).map_err(|source| LoadError::System { path: name.clone(), source })?;
    if file.metadata().is_ok_and(|found| found.is_file() && found.len() == 0) {
        listener.line(&format!("The RDB file {name} has no bytes: the dataset is empty."));
        return Ok(Loaded::default());
    }
    Ok(read_open(&mut file, &name, &entries::decoder_options(settings, store), store, now, rules, listener)?.loaded)
}

/// What a snapshot was found to be that another kind of file may follow.
pub struct SnapshotRead {
    /// What it brought.
    pub loaded: Loaded,
    /// Its bytes.
    pub bytes: u64,
    /// What was read beyond it.
    pub rest: Vec<u8>,
}

/// Reads the snapshot that an open file begins with.
pub fn read_open(
    file: &mut File,
    name: &str,
    options: &DecoderOptions,
    store: &Store,
    now: WallMs,
    rules: Rules,
    listener: &mut dyn Listener,
) -> Result<SnapshotRead, LoadError> {
    let decoder = Decoder::new(*options);
    let mut reading =
        Reading { decoder, facts: AuxFacts::default(), began: false, loaded: Loaded::default(), last_key: Vec::new() };
    let mut buf = vec![0; READ_BYTES];
    while !reading.decoder.is_finished() {
        let n = match file.read(&mut buf) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(LoadError::System { path: name.to_owned(), source }),
        };
        listener.read(n);
        reading.decoder.feed(&buf[..n]);
        let taken = reading.take_in(store, now, rules, listener);
        taken.map_err(|bad| bad.in_file(name, &reading.last_key))?;
    }
    match reading.decoder.end_of_input() {
        None => {
            let (bytes, rest) = (reading.decoder.consumed_bytes(), reading.decoder.rest().to_vec());
            Ok(SnapshotRead { loaded: reading.loaded, bytes, rest })
        }
        Some(error) => Err(LoadError::Damaged { path: name.to_owned(), error, last_key: reading.last_key }),
    }
}

/// What is wrong, before the file's name is added.
enum Bad {
    Rdb(RdbError),
    Duplicate { key: Box<[u8]>, db: u32 },
    Function(String),
}

impl Bad {
    fn in_file(self, path: &str, last_key: &[u8]) -> LoadError {
        let path = path.to_owned();
        match self {
            Bad::Rdb(error) => LoadError::Damaged { path, error, last_key: last_key.to_vec() },
            Bad::Function(why) => LoadError::Function { path, why },
            Bad::Duplicate { key, db } => LoadError::Duplicate { path, key, db },
        }
    }
}

struct Reading {
    decoder: Decoder,
    facts: AuxFacts,
    began: bool,
    loaded: Loaded,
    last_key: Vec<u8>,
}

impl Reading {
    /// Acts on everything that is complete.
    fn take_in(&mut self, store: &Store, now: WallMs, rules: Rules, listener: &mut dyn Listener) -> Result<(), Bad> {
        loop {
            let Some(event) = self.decoder.poll_event().map_err(Bad::Rdb)? else { return Ok(()) };
            if matches!(event, Event::Entry(_) | Event::End(_)) && !self.began {
                self.began = true;
                listener.begins(self.facts.replication());
            }
            if let Event::Entry(entry) = &event {
                listener.key(self.loaded.keys);
                self.last_key.clear();
                self.last_key.extend_from_slice(entry.key);
            }
            match event {
                Event::Entry(entry) if rules.drop_due && entry.expire_at.is_some_and(|at| at <= now) => {
                    self.loaded.expired += 1;
                    listener.due(entry.db, entry.key);
                }
                Event::Entry(entry) if rules.drop_due && entry.value.next_due().is_some_and(|at| at <= now) => {
                    let left = without_due(&entry, now, listener);
                    if left.is_gone() {
                        self.loaded.expired_hashes += 1;
                    } else {
                        put(store, &Entry { value: left.as_value(), ..entry }, now, rules)?;
                        self.loaded.keys += 1;
                    }
                }
                Event::Entry(entry) => {
                    put(store, &entry, now, rules)?;
                    self.loaded.keys += 1;
                }
                Event::Aux { name, value } => {
                    self.facts.note(name, value);
                    if name == SHARD_FACT {
                        listener.shard(value);
                    }
                    if let Some(line) = fact_line(name, value, now) {
                        listener.line(&line);
                    }
                }
                Event::End(Checksum::Disabled) => {
                    listener.line("RDB file was saved with checksum disabled: no check performed.");
                }
                Event::EmptyEntry { key } => listener.line(&entries::empty_key_line(key)),
                Event::SlotImport { name, ranges } => listener.slots_coming(name, ranges),
                Event::Function(code) => listener.function(code).map_err(Bad::Function)?,
                _ => {}
            }
        }
    }
}

/// What is left of a value when its elements that are due are left out.
fn without_due(entry: &Entry<'_>, now: WallMs, listener: &mut dyn Listener) -> Collection {
    let mut left = entry.value.to_collection().expect("only collections have elements");
    let due: Vec<Vec<u8>> = std::iter::from_fn(|| left.take_due(now)).collect();
    listener.fields_due(entry.db, entry.key, &due);
    left
}

fn put(store: &Store, entry: &Entry<'_>, now: WallMs, rules: Rules) -> Result<(), Bad> {
    let key = store.key(entry.key);
    let mut view = store.view(key.slot, DbIndex(entry.db), now, Expiry::Ignore);
    if !rules.replace && view.exists(&key) {
        return Err(Bad::Duplicate { key: entry.key.into(), db: entry.db });
    }
    entries::to_store(&mut view, &key, entry);
    Ok(())
}

/// The line that a fact makes in the log.
fn fact_line(name: &[u8], value: &[u8], now: WallMs) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    let number = || baton_base::num::parse_i64(value);
    match name {
        b"valkey-ver" => Some(format!("Loading RDB produced by Valkey version {text}")),
        b"redis-ver" => Some(format!("Loading RDB produced by Redis version {text}")),
        b"ctime" => number().map(|at| format!("RDB age {} seconds", (now.as_secs() as i64 - at).max(0))),
        b"used-mem" => {
            number().map(|n| format!("RDB memory usage when created {:.2} Mb", n as f64 / f64::from(1 << 20)))
        }
        [b'%', ..] => Some(format!("RDB '{}': {text}", String::from_utf8_lossy(name))),
        _ => None,
    }
}

/// Loads the snapshot file, if there is one, and goes on with the history that it names (replication 6). Nobody gets at
/// the data yet, and no other thread appends to the journal.
pub fn load_at_start(shared: &Arc<Shared>) -> Result<(), StartError> {
    note_start(shared);
    let world = shared.world.load();
    let settings = &world.settings;
    let path = Path::new(settings.text(Id::DbFilename));
    // A file that is there and can't be looked at is an error, not an empty dataset.
    if matches!(path.try_exists(), Ok(false)) {
        return Ok(());
    }
    let is_replica = starts_as_replica(&world);
    let began = shared.clock.mono();
    shared.first_load.expect(path.metadata().map_or(0, |found| found.len()));
    let mut start = AtStart { shared, is_replica, point: None, coming: Vec::new() };
    let rules = Rules { drop_due: !is_replica, replace: false };
    match read_file(path, settings, &shared.store, shared.clock.wall(), rules, &mut start) {
        Ok(loaded) => {
            let restored = start.point.is_some();
            import::adopt(shared, start.coming, is_replica);
            let seconds = shared.clock.mono().since(began).as_secs_f64();
            note(shared, loaded);
            shared.log.notice(&format!("DB loaded from disk: {seconds:.3} seconds"));
            if restored {
                follow_from_here(shared);
            }
            Ok(())
        }
        Err(e) => Err(refuse(&shared.log, &e)),
    }
}

/// The time of the last save is that of the start before there is one.
pub(crate) fn note_start(shared: &Shared) {
    shared.persist.last_save_secs.store(shared.clock.wall().as_secs(), Ordering::Relaxed);
}

/// Whether this node is going to follow another one: by the cluster's file, or by the configuration.
pub(crate) fn starts_as_replica(world: &World) -> bool {
    match &world.topology {
        _ if world.role.is_replica() => true,
        Some(topology) => !topology.myself().is_primary,
        None => world.settings.replica_of().is_some(),
    }
}

/// Publishes what was loaded.
pub(crate) fn note(shared: &Shared, loaded: Loaded) {
    let Loaded { keys, expired, expired_hashes } = loaded;
    shared.persist.load_keys.store(keys, Ordering::Relaxed);
    shared.persist.load_expired.store(expired, Ordering::Relaxed);
    shared.log.notice(&format!(
        "Done loading RDB, keys loaded: {keys}, keys expired: {expired}, all fields expired hashes: {expired_hashes}."
    ));
}

fn refuse(log: &Log, error: &LoadError) -> StartError {
    error.lines().iter().for_each(|line| log.warning(line));
    let text = "Fatal error loading the DB, check server logs. Exiting.";
    log.warning(text);
    StartError(text.into())
}

/// A node of a cluster was told whom to follow before it knew what its data is: it is told again.
pub(crate) fn follow_from_here(shared: &Arc<Shared>) {
    let role = shared.world.peek().role.clone();
    if let Role::Replica { host, port } = role {
        role::demote(shared, &host, port, Demotion { partial: true, takeover: false }, |_| {});
    }
}

/// Takes the history over while the file is read.
struct AtStart<'a> {
    shared: &'a Arc<Shared>,
    is_replica: bool,
    point: Option<ReplicationPoint>,
    coming: Vec<Coming>,
}

impl Listener for AtStart<'_> {
    fn slots_coming(&mut self, name: &[u8], ranges: &[(Slot, Slot)]) {
        self.coming.push((String::from_utf8_lossy(name).into_owned(), ranges.to_vec()));
    }

    fn begins(&mut self, point: Option<ReplicationPoint>) {
        self.point = point;
        if let Some(at) = point {
            go_on_from(self.shared, self.is_replica, at);
        }
    }

    fn read(&mut self, bytes: usize) {
        self.shared.first_load.count(bytes);
    }

    fn key(&mut self, number: u64) {
        self.shared.first_load.count_key(self.shared, number);
    }

    fn shard(&mut self, shard: &[u8]) {
        note_shard(self.shared, shard);
    }

    /// Whoever continues the history must lose the key, too.
    fn due(&mut self, db: u32, key: &[u8]) {
        let verb: &[u8] = if self.shared.world.peek().hot.lazy_expire { b"UNLINK" } else { b"DEL" };
        self.shared.journal.append_op(db, &[verb, key]);
    }

    /// As [`Listener::due`], a field at a time.
    fn fields_due(&mut self, db: u32, key: &[u8], fields: &[Vec<u8>]) {
        for field in fields {
            self.shared.journal.append_op(db, &[b"HDEL", key, field]);
        }
    }

    fn function(&mut self, code: &[u8]) -> Result<(), String> {
        add_function(self.shared, code, false)
    }

    fn line(&mut self, text: &str) {
        self.shared.log.notice(text);
    }
}

/// The history of replication goes on from here. Nobody gets at the data yet, and no other thread appends to the journal.
pub(crate) fn go_on_from(shared: &Shared, is_replica: bool, at: ReplicationPoint) {
    shared.journal.set_position(at.offset);
    shared.journal.activate();
    shared.write_acks.cover(at.offset);
    *shared.repl.history.lock() = if is_replica {
        shared.journal.set_selected_db(at.stream_db);
        History::restored_as_replica(at.id)
    } else {
        History::restored_as_primary(at.id, at.offset, role::fresh_id())
    };
}

/// Remembers whether the data is that of this node's shard.
pub(crate) fn note_shard(shared: &Shared, shard: &[u8]) {
    let world = shared.world.peek();
    let own = world.topology.as_ref().map(|t| t.myself().shard);
    let foreign = own.is_some_and(|own| own.as_bytes() != shard);
    if foreign {
        shared.log.warning("The RDB file holds the data of another shard than this node's.");
    }
    shared.repl.foreign.store(foreign, Ordering::Release);
}

/// Takes a library of functions that a file brings.
pub(crate) fn add_function(shared: &Shared, code: &[u8], replaces: bool) -> Result<(), String> {
    let added = shared.scripts.add_saved(code, replaces, shared.clock, &shared.log);
    added.map_err(|why| String::from_utf8_lossy(&why).into_owned())
}

/// Reads the snapshot file into the store that is in use. The caller keeps the world still. Tells whether it worked.
pub fn reload(shared: &Shared, replace: bool) -> bool {
    let world = shared.world.load();
    let path = Path::new(world.settings.text(Id::DbFilename));
    let rules = Rules { drop_due: !world.role.is_replica(), replace };
    let now = shared.clock.wall();
    match read_file(path, &world.settings, &shared.store, now, rules, &mut Reloading { shared, replace }) {
        Ok(loaded) => {
            note(shared, loaded);
            true
        }
        Err(e) => {
            e.lines().iter().for_each(|line| shared.log.warning(line));
            false
        }
    }
}

/// Takes libraries of functions, and hears what goes to the log: the history of a running server is its own.
struct Reloading<'a> {
    shared: &'a Shared,
    replace: bool,
}

impl Listener for Reloading<'_> {
    fn begins(&mut self, _point: Option<ReplicationPoint>) {}

    fn due(&mut self, _db: u32, _key: &[u8]) {}

    fn function(&mut self, code: &[u8]) -> Result<(), String> {
        add_function(self.shared, code, self.replace)
    }

    fn line(&mut self, text: &str) {
        self.shared.log.notice(text);
    }
}

#[cfg(test)]
mod tests;
