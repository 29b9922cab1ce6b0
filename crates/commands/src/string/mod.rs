//! Commands on strings.

mod edit;
mod get;
mod incr;
mod lcs;
mod multi;
mod set;

pub(crate) use edit::{append, setrange};
pub(crate) use get::{delifeq, get, getdel, getex, getrange, getrange as substr, getset, mget, strlen};
pub(crate) use incr::{decr, decrby, incr, incrby, incrbyfloat};
pub(crate) use lcs::lcs;
pub(crate) use multi::{mset, msetex, msetnx};
pub(crate) use set::{psetex, set, set_key_flags, setex, setnx};

use baton_store::{Entry, Str, Value};

use crate::fail::Fail;

/// The string of an entry, if it holds one.
#[inline]
fn string_of<'a>(entry: &Entry<'a>) -> Result<Str<'a>, Fail> {
    match entry.value {
        Value::Str(s) => Ok(s),
        _ => Err(Fail::WrongType),
    }
}
