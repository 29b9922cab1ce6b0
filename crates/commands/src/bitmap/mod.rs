//! Commands on strings as rows of bits. Bit 0 is the highest bit of the first byte; what lies behind the end is zero.

mod bits;
mod combine;
mod count;
mod field;
mod field_args;
mod single;

pub(crate) use combine::bitop;
pub(crate) use count::{bitcount, bitpos};
pub(crate) use field::{bitfield, bitfield_key_flags, bitfield_ro};
pub(crate) use single::{getbit, setbit};

use baton_store::{Entry, Key, Str, Value};

use crate::exec::Exec;
use crate::fail::Fail;

/// The string of an entry, if it holds one.
fn string_of<'a>(entry: &Entry<'a>) -> Result<Str<'a>, Fail> {
    match entry.value {
        Value::Str(text) => Ok(text),
        _ => Err(Fail::WrongType),
    }
}

/// Runs with the bytes of a key's string, looked up for reading; without any if there is no key.
fn with_bytes<R>(x: &mut Exec<'_, '_>, key: &Key<'_>, run: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, Fail> {
    let Some(entry) = x.view.read(key, x.touch) else { return Ok(run(None)) };
    Ok(run(Some(string_of(&entry)?.bytes(&mut itoa::Buffer::new()))))
}

/// Where a bit is: a place in a string that may be as long as is allowed.
fn offset(arg: &[u8], x: &Exec<'_, '_>) -> Result<u64, Fail> {
    let offset = baton_base::num::parse_i64(arg).and_then(|n| u64::try_from(n).ok());
    offset.filter(|bit| bit >> 3 < x.env.bulk_bytes_max).ok_or(Fail::Text(OFFSET_REFUSED))
}

const OFFSET_REFUSED: &str = "ERR bit offset is not an integer or out of range";
