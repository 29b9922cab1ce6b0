//! Commands on streams.
//!
//! What depends on the time or on what was there before goes into the replication stream as its result: an entry with its
//! id, a delivery as a claim with all its numbers (replication 3.2).

mod add;
mod claim;
mod delete;
mod deliver;
mod group;
mod ids;
mod info;
mod pending;
mod range;
mod read;
mod reply;
mod trim;

pub(crate) use add::xadd;
pub(crate) use claim::{xautoclaim, xclaim};
pub(crate) use delete::{xdel, xsetid};
pub(crate) use group::{xgroup_create, xgroup_createconsumer, xgroup_delconsumer, xgroup_destroy, xgroup_setid};
pub(crate) use info::{xinfo_consumers, xinfo_groups, xinfo_stream};
pub(crate) use pending::{xack, xpending};
pub(crate) use range::{xlen, xrange, xrevrange};
pub(crate) use read::{keys_of_xread, keys_of_xreadgroup, xread, xreadgroup};
pub(crate) use reply::entry as reply_entry;
pub(crate) use trim::xtrim;

use baton_store::{Entry, Value};
use baton_values::Stream;

use crate::fail::Fail;

/// The stream of an entry, if it holds one.
fn stream_of<'a>(entry: &Entry<'a>) -> Result<&'a Stream, Fail> {
    match entry.value {
        Value::Stream(stream) => Ok(stream),
        _ => Err(Fail::WrongType),
    }
}

/// There is no such group, as commands say that take key and group first.
fn no_group(key: &[u8], group: &[u8]) -> Fail {
    Fail::Bytes([b"NOGROUP No such key '", key, b"' or consumer group '", group, b"'"].concat())
}

/// There is no such group, as XGROUP and XINFO say.
fn no_group_of(key: &[u8], group: &[u8]) -> Fail {
    Fail::Bytes([b"NOGROUP No such consumer group '", group, b"' for key name '", key, b"'"].concat())
}

/// The words behind a subcommand don't fit.
fn bad_subcommand(container: &str, name: &[u8]) -> Fail {
    let name = &name[..name.len().min(128)];
    let end = format!("'. Try {container} HELP.");
    Fail::Bytes([b"ERR unknown subcommand or wrong number of arguments for '", name, end.as_bytes()].concat())
}
