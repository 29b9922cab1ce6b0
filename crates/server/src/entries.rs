//! Between the entries of a snapshot, in a file or on a link, and those of the store. The only place that knows both forms
//! of every kind of value.

use baton_base::WallMs;
use baton_config::{Id, MaxMemoryPolicy, RdbVersionCheck, Settings};
use baton_rdb::{DecoderOptions, EncoderOptions, Entry, Str, Value, VersionPolicy, VersionTarget};
use baton_store::{DbIndex, Expire, Key, View};

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
pub fn to_file<'a>(key: &'a [u8], value: baton_store::Value<'a>, beside: Beside) -> Option<Entry<'a>> {
    let value = match value {
        baton_store::Value::Str(baton_store::Str::Int(n)) => Value::Str(Str::Int(n)),
        baton_store::Value::Str(baton_store::Str::Bytes(bytes)) => Value::Str(Str::Bytes(bytes)),
        // The store adds kinds of values together with their form here.
        _ => return None,
    };
    let Beside { db, expire_at, idle_secs } = beside;
    Some(Entry { db: db.0, key, value, expire_at, idle_secs, frequency: None })
}

/// Writes an entry of a file to its key, replacing what was there, whatever its expiry.
pub fn to_store(view: &mut View<'_>, key: &Key<'_>, entry: &Entry<'_>) {
    let expire = entry.expire_at.map_or(Expire::Never, Expire::At);
    match entry.value {
        Value::Str(Str::Bytes(bytes)) => view.set_str(key, bytes, expire),
        Value::Str(Str::Int(n)) => view.set_str(key, itoa::Buffer::new().format(n).as_bytes(), expire),
        // The decoder refuses kinds of values that the store does not hold.
        _ => return,
    }
    if let Some(secs) = entry.idle_secs {
        view.set_idle(key, secs);
    }
}

/// Whether snapshots carry idle times: only where eviction follows recency (rdb 1).
pub fn keeps_idle(settings: &Settings) -> bool {
    matches!(settings.choice(), MaxMemoryPolicy::AllKeysLru | MaxMemoryPolicy::VolatileLru)
}

/// How a snapshot of this version is written.
pub fn encoder_options(settings: &Settings, version: VersionTarget) -> EncoderOptions {
    EncoderOptions { version, compress: settings.bool(Id::RdbCompression), checksum: settings.bool(Id::RdbChecksum) }
}

/// Which snapshots are read.
pub fn decoder_options(settings: &Settings, databases: u32) -> DecoderOptions {
    let versions = match settings.choice() {
        RdbVersionCheck::Strict => VersionPolicy::Strict,
        RdbVersionCheck::Relaxed => VersionPolicy::Relaxed,
    };
    DecoderOptions { versions, databases, verify_checksum: settings.bool(Id::RdbChecksum), ..DecoderOptions::default() }
}
