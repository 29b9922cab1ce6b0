//! Ranges by rank, score or member, in either direction.

use std::ops::Range;

use baton_resp::Args;
use baton_values::{ScoredBatch, ZSet, ZSetRef};

use super::bounds::{LexRange, ScoreRange};
use super::{End, reply_head, store, zset_of};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::long_reply::{Elements, Shown};
use crate::number::{int, ranks};

/// By what a range is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// What a command says by its name already; the rest are options.
#[derive(Clone, Copy, Debug, Default)]
struct Fixed {
    by: Option<By>,
    from: Option<End>,
    is_stored: bool,
}

/// The bounds.
#[derive(Clone, Copy, Debug)]
enum Bounds<'a> {
    Ranks(i64, i64),
    Scores(ScoreRange),
    Members(LexRange<'a>),
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
struct Wanted<'a> {
    bounds: Bounds<'a>,
    from: End,
    /// Elements to leave out; if negative, the place to begin at, counted from the far end.
    offset: i64,
    /// Elements at most; all if negative.
    limit: i64,
    with_scores: bool,
}

/// ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES].
pub(crate) fn zrange(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply_range(x, Fixed::default())
}

/// ZREVRANGE key start stop [WITHSCORES].
pub(crate) fn zrevrange(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply_range(x, Fixed { by: Some(By::Rank), from: Some(End::High), is_stored: false })
}

/// ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count].
pub(crate) fn zrangebyscore(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply_range(x, Fixed { by: Some(By::Score), from: Some(End::Low), is_stored: false })
}

/// ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count].
pub(crate) fn zrevrangebyscore(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply_range(x, Fixed { by: Some(By::Score), from: Some(End::High), is_stored: false })
}

/// ZRANGEBYLEX key min max [LIMIT offset count].
pub(crate) fn zrangebylex(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply_range(x, Fixed { by: Some(By::Lex), from: Some(End::Low), is_stored: false })
}

/// ZREVRANGEBYLEX key max min [LIMIT offset count].
pub(crate) fn zrevrangebylex(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply_range(x, Fixed { by: Some(By::Lex), from: Some(End::High), is_stored: false })
}

/// ZRANGESTORE destination source start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count].
pub(crate) fn zrangestore(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let wanted = Wanted::parse(x.args.skip(1), Fixed { is_stored: true, ..Fixed::default() })?;
    let (to, from, limits) = (x.key(0, 1), x.key(1, 2), x.limits());
    let mut result = ZSet::default();
    if let Some(entry) = x.view.read(&from, x.touch) {
        let zset = zset_of(&entry)?;
        let ranks = wanted.ranks(zset);
        let count = ranks.end - ranks.start;
        let is_large = matches!(zset, ZSetRef::Large(_)) && count > limits.zset_entries as u64;
        if is_large && count > zset.len() / 2 {
            // A copy costs nothing, so taking off the few that are not wanted is less work.
            result = zset.to_zset();
            result.remove_ranks(ranks.end..zset.len());
            result.remove_ranks(0..ranks.start);
        } else {
            let mut taken = ScoredBatch::new(&limits);
            for element in zset.iter_from(ranks.start).take(count as usize) {
                taken.push(element.member.bytes(&mut itoa::Buffer::new()), element.score);
            }
            result = taken.into_zset(&limits).expect("members are in a sorted set once");
        }
    }
    store(x, &to, result, "zrangestore");
    Ok(())
}

fn reply_range(x: &mut Exec<'_, '_>, fixed: Fixed) -> Result<(), Fail> {
    let wanted = Wanted::parse(x.args, fixed)?;
    let key = x.key(0, 1);
    let Some(entry) = x.view.read(&key, x.touch) else {
        x.out.array(0);
        return Ok(());
    };
    let ranks = wanted.ranks(zset_of(&entry)?);
    reply_head(x.out, (ranks.end - ranks.start) as usize, wanted.with_scores);
    let shown = if wanted.with_scores { Shown::Pairs } else { Shown::Names };
    let elements = Elements { backwards: wanted.from == End::High, ..Elements::forwards(shown, ranks) };
    elements.reply(entry.value, x.out, x.effects, x.waits);
    Ok(())
}

impl<'a> Wanted<'a> {
    /// Reads the arguments, of which the second and third are the bounds.
    fn parse(args: Args<'a>, fixed: Fixed) -> Result<Wanted<'a>, Fail> {
        let Fixed { mut by, mut from, is_stored } = fixed;
        let (mut offset, mut limit, mut with_scores) = (0, -1, false);
        let mut at = 4;
        while let Some(word) = args.get(at) {
            match word {
                _ if !is_stored && word.eq_ignore_ascii_case(b"WITHSCORES") => with_scores = true,
                _ if word.eq_ignore_ascii_case(b"LIMIT") && at + 2 < args.len() => {
                    (offset, limit) = (int(&args[at + 1])?, int(&args[at + 2])?);
                    at += 2;
                }
                _ if from.is_none() && word.eq_ignore_ascii_case(b"REV") => from = Some(End::High),
                _ if by.is_none() && word.eq_ignore_ascii_case(b"BYLEX") => by = Some(By::Lex),
                _ if by.is_none() && word.eq_ignore_ascii_case(b"BYSCORE") => by = Some(By::Score),
                _ => return Err(Fail::Syntax),
            }
            at += 1;
        }
        let (by, from) = (by.unwrap_or(By::Rank), from.unwrap_or(End::Low));
        if limit != -1 && by == By::Rank {
            return Err(Fail::Text(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Lex {
            return Err(Fail::Text("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        let (first, second) = (args.at(2), args.at(3));
        let (low, high) = if from == End::Low { (first, second) } else { (second, first) };
        let bounds = match by {
            By::Rank => Bounds::Ranks(int(first)?, int(second)?),
            By::Score => Bounds::Scores(ScoreRange::parse(low, high)?),
            By::Lex => Bounds::Members(LexRange::parse(low, high)?),
        };
        Ok(Wanted { bounds, from, offset, limit, with_scores })
    }

    /// The ranks of the elements that are wanted.
    fn ranks(&self, zset: ZSetRef<'_>) -> Range<u64> {
        let all = match self.bounds {
            Bounds::Ranks(start, stop) => {
                let range = ranks(start, stop, zset.len());
                return match self.from {
                    End::Low => range,
                    End::High => zset.len() - range.end..zset.len() - range.start,
                };
            }
            Bounds::Scores(range) => range.ranks(zset),
            Bounds::Members(range) => range.ranks(zset),
        };
        let count = all.end - all.start;
        let skipped = match u64::try_from(self.offset) {
            Ok(offset) => offset.min(count),
            // Large ones count from the far end as upstream does, and small ones have nothing there.
            Err(_) => match zset {
                ZSetRef::Large(_) => count.checked_sub(self.offset.unsigned_abs()).unwrap_or(count),
                ZSetRef::Packed(_) => count,
            },
        };
        let taken = u64::try_from(self.limit).unwrap_or(u64::MAX).min(count - skipped);
        match self.from {
            End::Low => all.start + skipped..all.start + skipped + taken,
            End::High => all.end - skipped - taken..all.end - skipped,
        }
    }
}
