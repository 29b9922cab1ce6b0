//! Commands on sorted sets.

mod add;
mod aggregate;
mod algebra;
mod block;
mod bounds;
mod lookup;
mod pop;
mod random;
mod range;
mod remove;
mod scan;

pub(crate) use add::{zadd, zadd_changes, zincrby};
pub(crate) use algebra::{zdiff, zdiffstore, zinter, zintercard, zinterstore, zunion, zunionstore};
pub(crate) use block::{bzmpop, bzpopmax, bzpopmin};
pub(crate) use lookup::{zcard, zcount, zlexcount, zmscore, zrank, zrevrank, zscore};
pub(crate) use pop::{zmpop, zpopmax, zpopmin};
pub(crate) use random::zrandmember;
pub(crate) use range::{zrange, zrangebylex, zrangebyscore, zrangestore, zrevrange, zrevrangebylex, zrevrangebyscore};
pub(crate) use remove::{zrem, zremrangebylex, zremrangebyrank, zremrangebyscore};
pub(crate) use scan::zscan;

use baton_resp::{Out, Proto};
use baton_store::{Entry, Expire, Key, Value};
use baton_values::{CollectionType as _, Scored, ZSet, ZSetRef};

use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::reply::ReplyText as _;

/// An end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Where rank 0 is.
    Low,
    /// The other one.
    High,
}

impl End {
    /// The end that a word names.
    fn parse(word: &[u8]) -> Result<End, Fail> {
        match word {
            _ if word.eq_ignore_ascii_case(b"MIN") => Ok(End::Low),
            _ if word.eq_ignore_ascii_case(b"MAX") => Ok(End::High),
            _ => Err(Fail::Syntax),
        }
    }

    /// The name of the event that taking from here is.
    fn pop_name(self) -> &'static str {
        if self == End::Low { "zpopmin" } else { "zpopmax" }
    }

    /// The command that takes from here, as the stream has it.
    fn pop_command(self) -> &'static [u8] {
        if self == End::Low { b"ZPOPMIN" } else { b"ZPOPMAX" }
    }
}

/// The sorted set of an entry, if it holds one.
pub(crate) fn zset_of<'a>(entry: &Entry<'a>) -> Result<ZSetRef<'a>, Fail> {
    match entry.value {
        Value::ZSet(zset) => Ok(zset),
        _ => Err(Fail::WrongType),
    }
}

/// Reads the sorted set of a key by a function; `missing` if there is none.
pub(crate) fn read<R>(
    x: &mut Exec<'_, '_>,
    key: &Key<'_>,
    missing: R,
    run: impl FnOnce(ZSetRef<'_>) -> R,
) -> Result<R, Fail> {
    match x.view.read(key, x.touch) {
        Some(entry) => Ok(run(zset_of(&entry)?)),
        None => Ok(missing),
    }
}

/// The head of a list of `count` elements.
fn reply_head(out: &mut Out, count: usize, with_scores: bool) {
    let is_flat = with_scores && out.proto == Proto::V2;
    out.array(if is_flat { 2 * count } else { count });
}

/// One element of such a list: RESP3 has each with its score as a pair.
pub(crate) fn reply_scored(out: &mut Out, element: Scored<'_>, with_scores: bool) {
    if with_scores && out.proto == Proto::V3 {
        out.array(2);
    }
    out.text(element.member);
    if with_scores {
        out.double(element.score);
    }
}

/// Puts a result in the place of whatever a key holds, tells listeners, and replies how many elements it has. None leaves no
/// key.
pub(crate) fn store(x: &mut Exec<'_, '_>, key: &Key<'_>, result: ZSet, event: &'static str) {
    let len = result.len();
    if len > 0 {
        x.notify_if_new(key);
        x.view.put_collection(key, result.into_collection(), Expire::Never);
        x.notify(EventClass::ZSET, event, key);
    } else if x.view.remove(key) {
        x.notify(EventClass::GENERIC, "del", key);
    }
    x.out.int(len as i64);
}

/// Tells listeners that elements were removed, and the key with the last one.
fn notify_removal(x: &mut Exec<'_, '_>, key: &Key<'_>, event: &'static str, is_gone: bool) {
    x.notify(EventClass::ZSET, event, key);
    if is_gone {
        x.notify(EventClass::GENERIC, "del", key);
    }
}
