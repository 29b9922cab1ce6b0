//! Numbers and names of the file format: versions, opcodes, value types (rdb 1, 4). Facts only, no reading or writing.

/// The version this crate writes unless a replica needs an older one, and the newest it reads.
pub const VERSION: u16 = 80;
/// The version for replicas that do not know [`VERSION`] (replication 1.6).
pub const VERSION_LEGACY: u16 = 11;
/// The oldest version that is written, for peers that report none.
pub const VERSION_OLDEST_WRITTEN: u16 = 10;
/// Versions from here to [`FOREIGN_LAST`] belong to other products (rdb 1.1).
pub const FOREIGN_FIRST: u16 = 12;
/// Last version of other products, and the last that goes with the `REDIS` magic.
pub const FOREIGN_LAST: u16 = 79;
/// From here on values are types of other products when the version or the magic is theirs (rdb 1.1).
pub(crate) const FOREIGN_TYPE_FIRST: u8 = 22;
/// Bytes of the magic with the version.
pub const MAGIC_BYTES: usize = 9;

/// Which files to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum VersionTarget {
    /// `VALKEY080`.
    #[default]
    Current,
    /// `REDIS0011`, for replicas that reported a version between 7.2 and 8.x (replication 1.6).
    Legacy,
    /// `REDIS0010`, for replicas that report no version: Redis 7.0 never does, and takes nothing newer. Everybody who
    /// takes 11 takes 10.
    Oldest,
}

impl VersionTarget {
    /// The version number.
    pub fn number(self) -> u16 {
        match self {
            VersionTarget::Current => VERSION,
            VersionTarget::Legacy => VERSION_LEGACY,
            VersionTarget::Oldest => VERSION_OLDEST_WRITTEN,
        }
    }

    pub(crate) fn magic(self) -> &'static [u8; MAGIC_BYTES] {
        match self {
            VersionTarget::Current => b"VALKEY080",
            VersionTarget::Legacy => b"REDIS0011",
            VersionTarget::Oldest => b"REDIS0010",
        }
    }
}

/// Which versions to read: the configuration `rdb-version-check` (rdb 1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum VersionPolicy {
    /// Only versions that are known: 1 to 11 and 80.
    #[default]
    Strict,
    /// Newer and foreign versions too, as long as they contain nothing unknown.
    Relaxed,
}

impl VersionPolicy {
    /// Whether this version is accepted, magic aside.
    pub fn accepts(self, version: u16) -> bool {
        match self {
            _ if version < 1 => false,
            VersionPolicy::Strict => version <= VERSION && !is_foreign(version),
            VersionPolicy::Relaxed => true,
        }
    }
}

/// Whether a version belongs to another product.
pub fn is_foreign(version: u16) -> bool {
    (FOREIGN_FIRST..=FOREIGN_LAST).contains(&version)
}

/// Bytes that stand where a value type could (rdb 1.2).
pub(crate) mod opcode {
    pub(crate) const SLOT_IMPORT: u8 = 243;
    pub(crate) const SLOT_INFO: u8 = 244;
    pub(crate) const FUNCTION2: u8 = 245;
    pub(crate) const FUNCTION_PRE_GA: u8 = 246;
    pub(crate) const MODULE_AUX: u8 = 247;
    pub(crate) const IDLE: u8 = 248;
    pub(crate) const FREQ: u8 = 249;
    pub(crate) const AUX: u8 = 250;
    pub(crate) const RESIZEDB: u8 = 251;
    pub(crate) const EXPIRETIME_MS: u8 = 252;
    pub(crate) const EXPIRETIME: u8 = 253;
    pub(crate) const SELECTDB: u8 = 254;
    pub(crate) const EOF: u8 = 255;
}

/// The value type of plain strings.
pub(crate) const TYPE_STRING: u8 = 0;

/// First bytes of strings that are not plain (rdb 3).
pub(crate) mod string {
    pub(crate) const INT8: u8 = 0xC0;
    pub(crate) const INT16: u8 = 0xC1;
    pub(crate) const INT32: u8 = 0xC2;
    pub(crate) const LZF: u8 = 0xC3;
    /// Text up to this long may be a 32-bit integer.
    pub(crate) const INT_TEXT_BYTES_MAX: usize = 11;
    /// Compression is tried only above this length.
    pub(crate) const PLAIN_BYTES_MAX: usize = 20;
    /// Compression must save at least this many bytes.
    pub(crate) const LZF_GAIN_MIN: usize = 4;
}

/// The name of a value type (rdb 4); none if the number means nothing.
pub fn type_name(number: u8) -> Option<&'static str> {
    Some(match number {
        0 => "STRING",
        1 => "LIST",
        2 => "SET",
        3 => "ZSET",
        4 => "HASH",
        5 => "ZSET_2",
        6 => "MODULE_PRE_GA",
        7 => "MODULE_2",
        9 => "HASH_ZIPMAP",
        10 => "LIST_ZIPLIST",
        11 => "SET_INTSET",
        12 => "ZSET_ZIPLIST",
        13 => "HASH_ZIPLIST",
        14 => "LIST_QUICKLIST",
        15 => "STREAM_LISTPACKS",
        16 => "HASH_LISTPACK",
        17 => "ZSET_LISTPACK",
        18 => "LIST_QUICKLIST_2",
        19 => "STREAM_LISTPACKS_2",
        20 => "SET_LISTPACK",
        21 => "STREAM_LISTPACKS_3",
        22 => "HASH_2",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_takes_known_versions_and_relaxed_all() {
        let strict: Vec<u16> = (0..=200).filter(|&v| VersionPolicy::Strict.accepts(v)).collect();
        assert_eq!(strict, (1..=11).chain([80]).collect::<Vec<u16>>());
        assert!((1..=999).all(|v| VersionPolicy::Relaxed.accepts(v)));
        assert!(!VersionPolicy::Relaxed.accepts(0));
    }
}
