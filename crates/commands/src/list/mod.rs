//! Commands on lists.

mod pop;
mod push;
mod range;

pub(crate) use pop::{lpop, rpop};
pub(crate) use push::{lpush, lpushx, rpush, rpushx};
pub(crate) use range::{llen, lrange};

use baton_store::{Entry, Value};
use baton_values::ListRef;

use crate::fail::Fail;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Where rank 0 is.
    Left,
    /// The other one.
    Right,
}

/// The list of an entry, if it holds one.
fn list_of<'a>(entry: &Entry<'a>) -> Result<ListRef<'a>, Fail> {
    match entry.value {
        Value::List(list) => Ok(list),
        _ => Err(Fail::WrongType),
    }
}
