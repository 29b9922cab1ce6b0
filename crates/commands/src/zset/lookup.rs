//! Reading single members, and counting.

use super::bounds::{LexRange, ScoreRange};
use super::{End, read};
use crate::exec::Exec;
use crate::fail::Fail;

/// ZCARD key.
pub(crate) fn zcard(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let len = read(x, &key, 0, |zset| zset.len())?;
    x.out.int(len as i64);
    Ok(())
}

/// ZCOUNT key min max.
pub(crate) fn zcount(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let range = ScoreRange::parse(&x.args[2], &x.args[3])?;
    let key = x.key(0, 1);
    let ranks = read(x, &key, 0..0, |zset| range.ranks(zset))?;
    x.out.int((ranks.end - ranks.start) as i64);
    Ok(())
}

/// ZLEXCOUNT key min max.
pub(crate) fn zlexcount(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (args, key) = (x.args, x.key(0, 1));
    let range = LexRange::parse(args.at(2), args.at(3))?;
    let ranks = read(x, &key, 0..0, |zset| range.ranks(zset))?;
    x.out.int((ranks.end - ranks.start) as i64);
    Ok(())
}

/// ZSCORE key member.
pub(crate) fn zscore(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (args, key) = (x.args, x.key(0, 1));
    match read(x, &key, None, |zset| zset.score(&args[2]))? {
        Some(score) => x.out.double(score),
        None => x.out.null(),
    }
    Ok(())
}

/// ZMSCORE key member [member ...].
pub(crate) fn zmscore(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (key, members) = (x.key(0, 1), x.args.skip(2));
    let zset = match x.view.read(&key, x.touch) {
        Some(entry) => Some(super::zset_of(&entry)?),
        None => None,
    };
    x.out.array(members.len());
    for member in members.iter() {
        match zset.and_then(|zset| zset.score(member)) {
            Some(score) => x.out.double(score),
            None => x.out.null(),
        }
    }
    Ok(())
}

/// ZRANK key member [WITHSCORE].
pub(crate) fn zrank(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    rank(x, End::Low)
}

/// ZREVRANK key member [WITHSCORE].
pub(crate) fn zrevrank(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    rank(x, End::High)
}

/// Replies a member's rank as counted from an end.
fn rank(x: &mut Exec<'_, '_>, from: End) -> Result<(), Fail> {
    if x.args.len() > 4 {
        return Err(Fail::Arity(if from == End::Low { "zrank" } else { "zrevrank" }));
    }
    if x.args.get(3).is_some_and(|word| !word.eq_ignore_ascii_case(b"WITHSCORE")) {
        return Err(Fail::Syntax);
    }
    let (args, key, with_score) = (x.args, x.key(0, 1), x.args.len() > 3);
    let found = read(x, &key, None, |zset| {
        let (rank, score) = zset.rank(&args[2])?;
        Some((if from == End::Low { rank } else { zset.len() - 1 - rank }, score))
    })?;
    match found {
        Some((rank, score)) if with_score => {
            x.out.array(2);
            x.out.int(rank as i64);
            x.out.double(score);
        }
        Some((rank, _)) => x.out.int(rank as i64),
        None if with_score => x.out.null_array(),
        None => x.out.null(),
    }
    Ok(())
}
