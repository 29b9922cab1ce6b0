//! Commands on lists.

mod block;
mod change;
mod find;
mod pop;
mod push;
mod range;
mod transfer;

pub(crate) use block::{blmove, blmpop, blpop, brpop, brpoplpush};
pub(crate) use change::{linsert, lrem, lset, ltrim};
pub(crate) use find::{lindex, lpos};
pub(crate) use pop::{lmpop, lpop, rpop};
pub(crate) use push::{lpush, lpushx, rpush, rpushx};
pub(crate) use range::{llen, lrange};
pub(crate) use transfer::{lmove, rpoplpush};

use baton_store::{Entry, Value};
use baton_values::{List, ListRef};

use crate::fail::Fail;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Where rank 0 is.
    Left,
    /// The other one.
    Right,
}

impl End {
    /// The end that a word names.
    fn parse(word: &[u8]) -> Result<End, Fail> {
        match word {
            _ if word.eq_ignore_ascii_case(b"LEFT") => Ok(End::Left),
            _ if word.eq_ignore_ascii_case(b"RIGHT") => Ok(End::Right),
            _ => Err(Fail::Syntax),
        }
    }

    /// The rank of the element at this end of a list that has some.
    fn outermost(self, len: u64) -> u64 {
        if self == End::Left { 0 } else { len.saturating_sub(1) }
    }

    /// Adds an element here.
    fn push(self, list: &mut List, element: &[u8]) {
        match self {
            End::Left => list.insert(0, element),
            End::Right => list.push_back(element),
        }
    }

    /// The name of the event, and of the command, that adds here.
    fn push_name(self) -> &'static str {
        if self == End::Left { "lpush" } else { "rpush" }
    }

    /// The name of the event, and of the command, that takes from here.
    fn pop_name(self) -> &'static str {
        if self == End::Left { "lpop" } else { "rpop" }
    }

    /// The command that takes from here, as the stream has it.
    fn pop_command(self) -> &'static [u8] {
        if self == End::Left { b"LPOP" } else { b"RPOP" }
    }
}

/// The list of an entry, if it holds one.
fn list_of<'a>(entry: &Entry<'a>) -> Result<ListRef<'a>, Fail> {
    match entry.value {
        Value::List(list) => Ok(list),
        _ => Err(Fail::WrongType),
    }
}
