//! Between the entries of a snapshot, in a file or on a link, and those of the store. The only place that knows both forms
//! of every kind of value.

use baton_base::WallMs;
use baton_config::{Id, MaxMemoryPolicy, RdbVersionCheck, Settings};
use baton_rdb::{DecoderOptions, EncoderOptions, Entry, VersionPolicy, VersionTarget};
use baton_store::{DbIndex, Expire, Key, Store, View};
use baton_values::{Limits, ListNodeLimit, Str, Value};

/// What is written of an entry beside its value.
#[derive(Clone, Copy, Debug)]
pub struct Beside {
    /// Its database.
    pub db: DbIndex,
    /// When it expires.
    pub expire_at: Option<WallMs>,
    /// Seconds since its last access, where snapshots carry that.
    pub idle_secs: Option<u64>,
}

/// An entry of the store as it stands in a file.
pub fn to_file<'a>(key: &'a [u8], value: Value<'a>, beside: Beside) -> Entry<'a> {
    let Beside { db, expire_at, idle_secs } = beside;
    Entry { db: db.0, key, value, expire_at, idle_secs, frequency: None }
}

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
}

/// What the log says of an entry without elements, which is left out (rdb 4.1).
pub fn empty_key_line(key: &[u8]) -> String {
    format!("rdbLoadObject skipping empty key: {}", String::from_utf8_lossy(key))
}

/// Whether snapshots carry idle times: only where eviction follows recency (rdb 1).
pub fn keeps_idle(settings: &Settings) -> bool {
    matches!(settings.choice(), MaxMemoryPolicy::AllKeysLru | MaxMemoryPolicy::VolatileLru)
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
