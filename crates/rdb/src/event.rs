//! What a decoder reports, one thing at a time, borrowed from its buffer until the next call.

use baton_base::Slot;

use crate::aux::SlotCounts;
use crate::entry::Entry;

/// One thing found in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The magic is known and the version accepted. Only from here on may old data be dropped (replication 1.7).
    Header {
        /// The version.
        version: u16,
    },
    /// A named fact. Unknown names are to be ignored.
    Aux {
        /// Its name.
        name: &'a [u8],
        /// Its value; integers are given as text.
        value: &'a [u8],
    },
    /// The following entries belong to this database.
    SelectDb(u32),
    /// A hint how large the current database will get.
    ResizeDb {
        /// Number of keys.
        keys: u64,
        /// How many of them expire.
        expires: u64,
    },
    /// A hint how large a slot of the current database will get.
    SlotInfo(SlotCounts),
    /// The source of a function library, to be kept or loaded as it is.
    Function(&'a [u8]),
    /// Slots that another node was sending when the file was written: their keys are not to be shown before they are all
    /// there.
    SlotImport {
        /// The name of the job, 40 bytes.
        name: &'a [u8],
        /// First and last slots.
        ranges: &'a [(Slot, Slot)],
    },
    /// An entry.
    Entry(Entry<'a>),
    /// An entry whose collection has no elements; keys never hold such (rdb 4.1).
    EmptyEntry {
        /// Its name.
        key: &'a [u8],
    },
    /// The file is complete. What follows it is in [`Decoder::rest`](crate::Decoder::rest).
    End(Checksum),
}

/// What became of the checksum at the end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// It is right.
    Verified,
    /// The writer had checksums switched off: it is zero.
    Disabled,
    /// It was not looked at because the reader has checksums switched off.
    Ignored,
    /// Files before version 5 have none.
    Absent,
}
