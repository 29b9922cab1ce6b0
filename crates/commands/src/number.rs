//! Numbers among the arguments.

mod extended;

pub(crate) use extended::{Extended, Parsed};

use baton_base::num;
use baton_store::DbIndex;

use crate::fail::Fail;

/// A 64-bit integer.
#[inline]
pub(crate) fn int(arg: &[u8]) -> Result<i64, Fail> {
    num::parse_i64(arg).ok_or(Fail::NotInteger)
}

/// A 32-bit integer.
pub(crate) fn int32(arg: &[u8]) -> Result<i32, Fail> {
    let out_of_range = "ERR value is out of range, value must between -2147483648 and 2147483647";
    i32::try_from(int(arg)?).map_err(|_| Fail::Text(out_of_range))
}

/// A 64-bit integer, not below `min`.
pub(crate) fn int_from(arg: &[u8], min: i64) -> Result<i64, Fail> {
    let value = int(arg)?;
    if value < min {
        let max = i64::MAX;
        return Err(Fail::Bytes(format!("ERR value is out of range, value must between {min} and {max}").into_bytes()));
    }
    Ok(value)
}

/// A number from `min` on; `refusal` for whatever is none.
pub(crate) fn count_or(arg: &[u8], min: u64, refusal: &'static str) -> Result<u64, Fail> {
    let count = num::parse_i64(arg).and_then(|n| u64::try_from(n).ok()).filter(|n| *n >= min);
    count.ok_or(Fail::Text(refusal))
}

/// How many elements are asked for: not negative.
pub(crate) fn count(arg: &[u8]) -> Result<u64, Fail> {
    count_or(arg, 0, "ERR value is out of range, must be positive")
}

/// The ranks from `start` to `stop`, both included; negative ones count from the end of what has `len` elements.
pub(crate) fn ranks(start: i64, stop: i64, len: u64) -> std::ops::Range<u64> {
    let end = i64::try_from(len).unwrap_or(i64::MAX);
    let place = |rank: i64| if rank < 0 { end.saturating_add(rank).max(-1) } else { rank };
    let (start, stop) = (place(start).max(0), place(stop).min(end - 1));
    if start > stop { 0..0 } else { start as u64..stop as u64 + 1 }
}

/// The index of a database, of which there are `databases`: for SELECT, MOVE and COPY.
pub fn db_index(arg: &[u8], databases: u32) -> Result<DbIndex, Fail> {
    let index = u32::try_from(int32(arg)?).ok().filter(|i| *i < databases);
    index.map(DbIndex).ok_or(Fail::Text("ERR DB index is out of range"))
}
