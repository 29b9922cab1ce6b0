//! Commands on hashes.

mod choose;
mod count;
mod read;
mod write;

pub(crate) use choose::hrandfield;
pub(crate) use count::{hincrby, hincrbyfloat};
pub(crate) use read::{hexists, hget, hgetall, hkeys, hlen, hmget, hscan, hstrlen, hvals};
pub(crate) use write::{hdel, hgetdel, hmset, hset, hsetnx};

use baton_store::{Entry, Value};
use baton_values::HashRef;

use crate::fail::Fail;

/// The hash of an entry, if it holds one.
fn hash_of<'a>(entry: &Entry<'a>) -> Result<HashRef<'a>, Fail> {
    match entry.value {
        Value::Hash(hash) => Ok(hash),
        _ => Err(Fail::WrongType),
    }
}
