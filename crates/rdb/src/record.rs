//! One record of a file: what stands between two opcodes or types (rdb 1.2). Reading one has no effect until it is
//! complete, so a record that has arrived in part is simply read again.

use baton_base::{Slot, WallMs};

use crate::aux::SlotCounts;
use crate::cursor::{Cursor, RawStr, Stop};
use crate::error::RdbErrorKind;
use crate::format::{self, TYPE_STRING, opcode};

/// Length of the name of a move of slots.
pub(crate) const SLOT_IMPORT_NAME_BYTES: u64 = 40;

/// A complete record.
#[derive(Debug)]
pub(crate) enum Record {
    /// The next entry expires then, or never.
    ExpireAt(Option<WallMs>),
    /// The next entry was not accessed for that long.
    Idle(u64),
    /// The next entry has this access counter.
    Frequency(u8),
    Aux {
        name: RawStr,
        value: RawStr,
    },
    SelectDb(u64),
    ResizeDb {
        keys: u64,
        expires: u64,
    },
    SlotInfo(SlotCounts),
    Function(RawStr),
    /// Slots that another node sends.
    SlotImport {
        name: RawStr,
        ranges: Vec<(Slot, Slot)>,
    },
    /// An entry of type string.
    String {
        key: RawStr,
        value: RawStr,
    },
    /// An entry of another type, of which only the key was read. The value follows.
    Collection {
        number: u8,
        key: RawStr,
    },
    /// The end, with the checksum if this version has one.
    End {
        trailer: Option<u64>,
    },
}

/// Reads the record that starts here.
pub(crate) fn read_record(
    cursor: &mut Cursor<'_>,
    version: u16,
    is_redis_magic: bool,
    string_bytes_max: u64,
) -> Result<Record, Stop> {
    let number = cursor.byte()?;
    if is_redis_magic && (format::FOREIGN_TYPE_FIRST..=opcode::SLOT_IMPORT).contains(&number) {
        return Err(Stop::Bad(RdbErrorKind::ForeignType { number, version }));
    }
    Ok(match number {
        opcode::EXPIRETIME_MS => Record::ExpireAt(expiry_of(i64::from_le_bytes(cursor.array()?))),
        opcode::EXPIRETIME => Record::ExpireAt(expiry_of(i64::from(i32::from_le_bytes(cursor.array()?)) * 1000)),
        opcode::IDLE => Record::Idle(cursor.length()?),
        opcode::FREQ => Record::Frequency(cursor.byte()?),
        opcode::AUX => Record::Aux { name: cursor.string(string_bytes_max)?, value: cursor.string(string_bytes_max)? },
        opcode::SELECTDB => Record::SelectDb(cursor.length()?),
        opcode::RESIZEDB => Record::ResizeDb { keys: cursor.length()?, expires: cursor.length()? },
        opcode::SLOT_INFO => slot_info(cursor)?,
        opcode::FUNCTION2 => Record::Function(cursor.string(string_bytes_max)?),
        opcode::EOF if version < 5 => Record::End { trailer: None },
        opcode::EOF => Record::End { trailer: Some(u64::from_le_bytes(cursor.array()?)) },
        opcode::FUNCTION_PRE_GA => {
            return Err(Stop::Bad(RdbErrorKind::Corrupt("Pre-release function format not supported.")));
        }
        opcode::SLOT_IMPORT if version >= format::VERSION => slot_import(cursor)?,
        opcode::SLOT_IMPORT => {
            return Err(Stop::Bad(RdbErrorKind::UnsupportedOpcode { number, name: "SLOT_IMPORT" }));
        }
        opcode::MODULE_AUX => return Err(Stop::Bad(RdbErrorKind::UnknownModule(module_name(cursor.length()?)))),
        TYPE_STRING => {
            Record::String { key: cursor.string(string_bytes_max)?, value: cursor.string(string_bytes_max)? }
        }
        _ => Record::Collection { number, key: cursor.string(string_bytes_max)? },
    })
}

/// Minus one means never; any other time before 1970 has long passed.
fn expiry_of(unix_ms: i64) -> Option<WallMs> {
    (unix_ms != -1).then(|| WallMs(u64::try_from(unix_ms).unwrap_or(0)))
}

fn slot_info(cursor: &mut Cursor<'_>) -> Result<Record, Stop> {
    let (slot, keys, expires) = (cursor.length()?, cursor.length()?, cursor.length()?);
    let slot = u16::try_from(slot).ok().and_then(Slot::new);
    let slot = slot.ok_or(Stop::Bad(RdbErrorKind::Corrupt("Invalid slot-info")))?;
    Ok(Record::SlotInfo(SlotCounts { slot, keys, expires, volatile: 0 }))
}

fn slot_import(cursor: &mut Cursor<'_>) -> Result<Record, Stop> {
    let bad = || Stop::Bad(RdbErrorKind::Corrupt("Invalid slot import"));
    let slot = |number| u16::try_from(number).ok().and_then(Slot::new).ok_or_else(bad);
    let name = cursor.string(SLOT_IMPORT_NAME_BYTES)?;
    let count = cursor.length()?;
    if count == 0 || count > Slot::COUNT as u64 {
        return Err(bad());
    }
    let mut ranges = Vec::new();
    for _ in 0..count {
        let (first, last) = (slot(cursor.length()?)?, slot(cursor.length()?)?);
        if first > last {
            return Err(bad());
        }
        ranges.push((first, last));
    }
    Ok(Record::SlotImport { name, ranges })
}

/// The nine characters in the upper 54 bits of a module's id (rdb 4, type 7).
fn module_name(id: u64) -> String {
    const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..9).map(|i| char::from(CHARACTERS[(id >> (58 - 6 * i)) as usize & 63])).collect()
}
