//! Between the entries of a snapshot, in a file or on a link, and those of the store. The only place that knows both forms
//! of every kind of value.

use baton_base::WallMs;
use baton_config::{Id, MaxMemoryPolicy, RdbVersionCheck, Settings};
use baton_rdb::{DecoderOptions, EncoderOptions, Entry, VersionPolicy, VersionTarget};
use baton_store::{DbIndex, Entry as Found, Expire, Key, SnapshotItem, Store, View};
use baton_values::{Limits, ListNodeLimit, Str, Value};

/// Writes an entry of a file to its key, replacing what was there, whatever its expiry.
pub fn to_store(view: &mut View<'_>, key: &Key<'_>, entry: &Entry<'_>) {
    let expire = entry.expire_at.map_or(Expire::Never, Expire::At);
    match (entry.value, entry.value.to_collection()) {
        (_, Some(collection)) => view.put_collection(key, collection, expire),
        (Value::Str(Str::Bytes(bytes)), None) => view.set_str(key, bytes, expire),
        (Value::Str(Str::Int(n)), None) => view.set_str(key, itoa::Buffer::new().format(n).as_bytes(), expire),
        (_, None) => unreachable!("what is no string is a collection"),
    }
    if let Some(secs) = entry.idle_secs {
        view.set_idle(key, secs);
    }
    if let Some(count) = entry.frequency {
        view.set_frequency(key, count);
    }
}

/// What the log says of an entry without elements, which is left out (rdb 4.1).
pub fn empty_key_line(key: &[u8]) -> String {
    format!("rdbLoadObject skipping empty key: {}", String::from_utf8_lossy(key))
}

/// What snapshots carry of accesses: what eviction goes by (rdb 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessKept {
    /// Nothing.
    Nothing,
    /// How long each key was not used.
    Idle,
    /// How often each key was used.
    Frequency {
        /// Minutes after which a counter loses one.
        decay_minutes: u32,
    },
}

impl AccessKept {
    /// What the settings say.
    pub fn of(settings: &Settings) -> AccessKept {
        match settings.choice() {
            MaxMemoryPolicy::AllKeysLru | MaxMemoryPolicy::VolatileLru => AccessKept::Idle,
            MaxMemoryPolicy::AllKeysLfu | MaxMemoryPolicy::VolatileLfu => {
                AccessKept::Frequency { decay_minutes: u32::try_from(settings.int(Id::LfuDecayTime)).unwrap_or(0) }
            }
            _ => AccessKept::Nothing,
        }
    }

    /// An entry of a walk as it stands in a file.
    pub fn of_walk(self, item: SnapshotItem<'_>) -> Entry<'_> {
        let (idle_secs, frequency) = match self {
            AccessKept::Nothing => (None, None),
            AccessKept::Idle => (Some(item.idle_secs), None),
            AccessKept::Frequency { decay_minutes } => (None, Some(item.frequency(decay_minutes))),
        };
        let SnapshotItem { db, key, value, expire_at, .. } = item;
        Entry { db: db.0, key, value, expire_at, idle_secs, frequency }
    }

    /// An entry of the store, at this time, as it stands in a file.
    pub fn of_store<'a>(self, db: DbIndex, key: &'a [u8], entry: &Found<'a>, now: WallMs) -> Entry<'a> {
        let (idle_secs, frequency) = match self {
            AccessKept::Nothing => (None, None),
            AccessKept::Idle => (Some(entry.idle_secs_at(now)), None),
            AccessKept::Frequency { decay_minutes } => (None, Some(entry.frequency(now, decay_minutes))),
        };
        let Found { value, expire_at, .. } = *entry;
        Entry { db: db.0, key, value, expire_at, idle_secs, frequency }
    }
}

/// How a snapshot of this version is written.
pub fn encoder_options(settings: &Settings, version: VersionTarget) -> EncoderOptions {
    EncoderOptions { version, compress: settings.bool(Id::RdbCompression), checksum: settings.bool(Id::RdbChecksum) }
}

/// When collections are packed; large ones are hashed with this seed.
pub fn limits(settings: &Settings, seed: u64) -> Limits {
    let size = |id| usize::try_from(settings.int(id)).unwrap_or(0);
    Limits {
        list_node: ListNodeLimit::from_setting(settings.int(Id::ListMaxListpackSize)),
        hash_entries: size(Id::HashMaxListpackEntries),
        hash_value_bytes: size(Id::HashMaxListpackValue),
        set_ints: size(Id::SetMaxIntsetEntries),
        set_entries: size(Id::SetMaxListpackEntries),
        set_value_bytes: size(Id::SetMaxListpackValue),
        zset_entries: size(Id::ZsetMaxListpackEntries),
        zset_value_bytes: size(Id::ZsetMaxListpackValue),
        stream_node_bytes: size(Id::StreamNodeMaxBytes),
        stream_node_entries: size(Id::StreamNodeMaxEntries),
        seed,
    }
}

/// Which versions of snapshots and payloads are read.
pub fn versions(settings: &Settings) -> VersionPolicy {
    match settings.choice() {
        RdbVersionCheck::Strict => VersionPolicy::Strict,
        RdbVersionCheck::Relaxed => VersionPolicy::Relaxed,
    }
}

/// Which snapshots are read.
pub fn decoder_options(settings: &Settings, store: &Store) -> DecoderOptions {
    DecoderOptions {
        versions: versions(settings),
        databases: store.databases(),
        verify_checksum: settings.bool(Id::RdbChecksum),
        limits: limits(settings, store.value_seed()),
        ..DecoderOptions::default()
    }
}
