//! Removing members: by name, or all in a range.

use std::ops::Range;

use baton_store::Missing;
use baton_values::{ZSet, ZSetRef};

use super::bounds::{LexRange, ScoreRange};
use super::{notify_removal, zset_of};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::{int, ranks};

/// ZREM key member [member ...].
pub(crate) fn zrem(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let members = x.args.skip(2);
    remove(x, "zrem", |zset| members.iter().filter(|member| zset.remove(member).is_some()).count() as u64)
}

/// ZREMRANGEBYRANK key start stop; both ends count, negative ones from the highest rank.
pub(crate) fn zremrangebyrank(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (start, stop) = (int(&x.args[2])?, int(&x.args[3])?);
    remove_ranks(x, "zremrangebyrank", |zset| ranks(start, stop, zset.len()))
}

/// ZREMRANGEBYSCORE key min max.
pub(crate) fn zremrangebyscore(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let range = ScoreRange::parse(&x.args[2], &x.args[3])?;
    remove_ranks(x, "zremrangebyscore", |zset| range.ranks(zset))
}

/// ZREMRANGEBYLEX key min max.
pub(crate) fn zremrangebylex(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let args = x.args;
    let range = LexRange::parse(args.at(2), args.at(3))?;
    remove_ranks(x, "zremrangebylex", |zset| range.ranks(zset))
}

/// Removes the elements of ranks that follow from what there is. Where all go, the key does with them.
fn remove_ranks(
    x: &mut Exec<'_, '_>,
    event: &'static str,
    ranks: impl FnOnce(ZSetRef<'_>) -> Range<u64>,
) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let found = x.view.peek(&key).map(|entry| zset_of(&entry).map(|zset| (ranks(zset), zset.len()))).transpose()?;
    match found {
        Some((ranks, len)) if ranks.end - ranks.start == len => {
            x.view.remove_whole(&key, len);
            notify_removal(x, &key, event, true);
            x.out.int(len as i64);
            Ok(())
        }
        found => remove(x, event, |zset| {
            let ranks = found.map_or(0..0, |(ranks, _)| ranks);
            zset.remove_ranks(ranks.clone());
            ranks.end - ranks.start
        }),
    }
}

/// Removes by a function that tells how many elements it removed, which is the reply.
fn remove(x: &mut Exec<'_, '_>, event: &'static str, run: impl FnOnce(&mut ZSet) -> u64) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let done = x.view.edit(&key, Missing::Skip, |zset: &mut ZSet| {
        let removed = run(zset);
        (removed, (removed, zset.is_empty()))
    })?;
    let (removed, is_gone) = done.unwrap_or((0, false));
    if removed > 0 {
        notify_removal(x, &key, event, is_gone);
    }
    x.out.int(removed as i64);
    Ok(())
}
