//! Why a file cannot be read: where, which key, and the words that upstream uses for it (rdb 1.1, 4.1).

use baton_base::quote::quoted;

/// Why a file cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}{}", place(*.offset, .key.as_deref()))]
pub struct RdbError {
    /// Where in the file the record that is wrong begins, in bytes from the start of the magic; the end of the input
    /// for [`RdbErrorKind::ShortRead`].
    pub offset: u64,
    /// The key it happened at, where that is known.
    pub key: Option<Box<[u8]>>,
    /// What is wrong. Its text alone is the line that upstream logs, wherever upstream has such a line.
    pub kind: RdbErrorKind,
}

impl RdbError {
    /// Whether the file was refused by its first bytes, so that nothing of it was looked at and old data must stay
    /// (rdb 1.1, replication 1.7). Otherwise it is damaged or holds what this server can't.
    pub fn is_incompatible(&self) -> bool {
        matches!(
            self.kind,
            RdbErrorKind::WrongSignature(_) | RdbErrorKind::VersionRefused(_) | RdbErrorKind::ForeignType { .. }
        )
    }
}

fn place(offset: u64, key: Option<&[u8]>) -> String {
    match key {
        Some(key) => format!(" (at byte {offset}, key {})", quoted(key)),
        None => format!(" (at byte {offset})"),
    }
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RdbErrorKind {
    /// It doesn't start as such a file does.
    #[error("Wrong signature trying to load DB from file: {}", .0.escape_ascii())]
    WrongSignature([u8; 9]),
    /// Its version is not accepted.
    #[error("Can't handle RDB format version {0}")]
    VersionRefused(u16),
    /// A type or opcode that means something else in the product that wrote the file.
    #[error("Can't handle foreign type or opcode {number} in RDB with version {version}")]
    ForeignType {
        /// The byte found.
        number: u8,
        /// The version of the file.
        version: u16,
    },
    /// A byte that is neither a type nor an opcode.
    #[error("Unknown RDB encoding type {0}")]
    UnknownType(u8),
    /// A string in a form that does not exist.
    #[error("Unknown RDB string encoding type {0}")]
    UnknownStringForm(u8),
    /// A value of a type that can't be held here. Loading must stop, or the value would be lost.
    #[error("Unsupported value type {number} ({name})")]
    UnsupportedType {
        /// Number of the type.
        number: u8,
        /// Name of the type, by [`type_name`](crate::format::type_name).
        name: &'static str,
    },
    /// A record whose meaning can't be kept here and must not be skipped.
    #[error("Unsupported opcode {number} ({name})")]
    UnsupportedOpcode {
        /// The opcode.
        number: u8,
        /// Its name.
        name: &'static str,
    },
    /// Data of a module that is not there.
    #[error("The RDB file contains AUX module data I can't load: no matching module '{0}'")]
    UnknownModule(String),
    /// The database does not exist here.
    #[error(
        "FATAL: Data file was created with a Valkey server configured to handle more than {databases} databases. Exiting"
    )]
    DatabaseOutOfRange {
        /// The database asked for.
        db: u64,
        /// How many there are.
        databases: u32,
    },
    /// The input ended before the file did.
    #[error("Short read or OOM loading DB. Unrecoverable error, aborting now.")]
    ShortRead,
    /// A string longer than the limit.
    #[error("string of {bytes} bytes exceeds the limit of {bytes_max}")]
    StringTooLong {
        /// The length it claims, after decompression.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// The structure is damaged.
    #[error("{0}")]
    Corrupt(&'static str),
    /// The checksum at the end is not that of the bytes before.
    #[error("Wrong RDB checksum expected: ({computed:x}) but got ({stored:x}). Aborting now.")]
    WrongChecksum {
        /// Checksum of the bytes read.
        computed: u64,
        /// Checksum in the file.
        stored: u64,
    },
}
