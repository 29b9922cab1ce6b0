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

/// The index of a database, of which there are `databases`: for SELECT, MOVE and COPY.
pub fn db_index(arg: &[u8], databases: u32) -> Result<DbIndex, Fail> {
    let index = u32::try_from(int32(arg)?).ok().filter(|i| *i < databases);
    index.map(DbIndex).ok_or(Fail::Text("ERR DB index is out of range"))
}
