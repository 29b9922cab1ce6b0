//! Commands on sets.

mod members;
mod several;
mod shift;
mod take;

pub(crate) use members::{scard, sismember, smembers, smismember, sscan};
pub(crate) use several::{sdiff, sdiffstore, sinter, sintercard, sinterstore, sunion, sunionstore};
pub(crate) use shift::{sadd, smove, srem};
pub(crate) use take::{spop, srandmember};

use baton_store::{Entry, Value};
use baton_values::SetRef;

use crate::fail::Fail;

/// The set of an entry, if it holds one.
fn set_of<'a>(entry: &Entry<'a>) -> Result<SetRef<'a>, Fail> {
    match entry.value {
        Value::Set(set) => Ok(set),
        _ => Err(Fail::WrongType),
    }
}
