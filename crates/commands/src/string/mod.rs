//! Commands on strings.

mod edit;
mod get;
mod incr;
mod lcs;
mod multi;
mod options;
mod set;

pub(crate) use edit::{append, setrange};
pub(crate) use get::{delifeq, get, getdel, getex, getrange, getrange as substr, getset, mget, strlen};
pub(crate) use incr::{decr, decrby, incr, incrby, incrbyfloat};
pub(crate) use lcs::lcs;
pub(crate) use multi::{mset, msetex, msetnx};
pub(crate) use set::{psetex, set, set_key_flags, setex, setnx};

use baton_resp::Out;
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

/// Replies a string.
#[inline]
fn write(out: &mut Out, s: Str<'_>) {
    match s {
        Str::Bytes(b) => out.bulk(b),
        Str::Int(n) => out.bulk_int(n),
    }
}

/// Whether the string reads like these bytes.
fn equals(s: Str<'_>, bytes: &[u8]) -> bool {
    s.bytes(&mut itoa::Buffer::new()) == bytes
}
