//! Unions, intersections and differences of sorted sets, and of sets, whose members all have the score 1.

use baton_base::num;
use baton_store::Value;
use baton_values::{Limits, Scored, ScoredBatch, Set, Str, ZSet};

use super::aggregate::{Aggregate, weighted};
use super::{reply_head, reply_scored, store};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::{count_or, int};

/// How many members may be gathered in the time in which one is looked up.
const LOOKUP_COST: u64 = 4;

/// How sets are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Union,
    Inter,
    Diff,
}

/// Where the result goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Reply,
    Store,
    Count,
}

/// One of the sets.
struct Source {
    members: Members,
    weight: f64,
}

enum Members {
    Scored(ZSet),
    Plain(Set),
}

impl Members {
    fn len(&self) -> u64 {
        match self {
            Members::Scored(zset) => zset.len(),
            Members::Plain(set) => set.len(),
        }
    }

    fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Members::Scored(zset) => zset.as_ref().score(member),
            Members::Plain(set) => set.as_ref().contains(Str::of(member)).then_some(1.0),
        }
    }

    fn iter(&self) -> impl Iterator<Item = Scored<'_>> {
        let (scored, plain) = match self {
            Members::Scored(zset) => (Some(zset.as_ref().iter_from(0)), None),
            Members::Plain(set) => (None, Some(set.as_ref().iter().map(|member| Scored { member, score: 1.0 }))),
        };
        scored.into_iter().flatten().chain(plain.into_iter().flatten())
    }
}

/// What the words behind the keys say.
struct Options {
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    /// Elements to count, at most; 0 is no limit.
    limit: u64,
}

/// ZUNION numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM|MIN|MAX] [WITHSCORES].
pub(crate) fn zunion(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    combine(x, Op::Union, Use::Reply, "zunion")
}

/// ZINTER numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM|MIN|MAX] [WITHSCORES].
pub(crate) fn zinter(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    combine(x, Op::Inter, Use::Reply, "zinter")
}

/// ZDIFF numkeys key [key ...] [WITHSCORES].
pub(crate) fn zdiff(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    combine(x, Op::Diff, Use::Reply, "zdiff")
}

/// ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM|MIN|MAX].
pub(crate) fn zunionstore(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    combine(x, Op::Union, Use::Store, "zunionstore")
}

/// ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM|MIN|MAX].
pub(crate) fn zinterstore(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    combine(x, Op::Inter, Use::Store, "zinterstore")
}

/// ZDIFFSTORE destination numkeys key [key ...].
pub(crate) fn zdiffstore(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    combine(x, Op::Diff, Use::Store, "zdiffstore")
}

/// ZINTERCARD numkeys key [key ...] [LIMIT limit].
pub(crate) fn zintercard(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    combine(x, Op::Inter, Use::Count, "zintercard")
}

fn combine(x: &mut Exec<'_, '_>, op: Op, used: Use, name: &'static str) -> Result<(), Fail> {
    let count_at = if used == Use::Store { 2 } else { 1 };
    let count = int(&x.args[count_at])?;
    if count < 1 {
        return Err(Fail::Bytes(format!("ERR at least 1 input key is needed for '{name}' command").into_bytes()));
    }
    let count = usize::try_from(count).ok().filter(|count| *count < x.args.len() - count_at).ok_or(Fail::Syntax)?;
    let mut sources = sources(x, count, count_at + 1, used)?;
    let options = Options::parse(x, count_at + 1 + count, count, op, used)?;
    for (source, weight) in sources.iter_mut().zip(&options.weights) {
        source.weight = *weight;
    }
    let mut result = match op {
        Op::Union => union(&mut sources, options.aggregate, &x.limits()),
        Op::Inter => inter(&mut sources, options.aggregate, options.limit, &x.limits()),
        Op::Diff => diff(&sources, &x.limits()),
    };
    match used {
        Use::Count => x.out.int(result.len() as i64),
        Use::Reply => {
            result.order();
            reply_head(x.out, result.len(), options.with_scores);
            result.iter().for_each(|element| reply_scored(x.out, element, options.with_scores));
        }
        Use::Store => {
            let zset = result.into_zset(&x.limits()).expect("members are in a result once");
            store(x, &x.key(0, 1), zset, name);
        }
    }
    Ok(())
}

/// The sets that the keys hold: as they are now, so that the destination may be one of them.
fn sources(x: &mut Exec<'_, '_>, count: usize, first: usize, used: Use) -> Result<Vec<Source>, Fail> {
    let declared_before = usize::from(used == Use::Store);
    (0..count)
        .map(|nth| {
            let key = x.key(declared_before + nth, first + nth);
            let members = match x.view.read(&key, x.touch).map(|entry| entry.value) {
                None => Members::Scored(ZSet::default()),
                Some(Value::ZSet(zset)) => Members::Scored(zset.to_zset()),
                Some(Value::Set(set)) => Members::Plain(set.to_set()),
                Some(_) => return Err(Fail::WrongType),
            };
            Ok(Source { members, weight: 1.0 })
        })
        .collect()
}

impl Options {
    fn parse(x: &Exec<'_, '_>, first: usize, count: usize, op: Op, used: Use) -> Result<Options, Fail> {
        let mut options = Options { weights: Vec::new(), aggregate: Aggregate::Sum, with_scores: false, limit: 0 };
        let is_scored = op != Op::Diff && used != Use::Count;
        let (args, mut at) = (x.args, first);
        while let Some(word) = args.get(at) {
            let left = args.len() - at;
            match word {
                _ if is_scored && left > count && word.eq_ignore_ascii_case(b"WEIGHTS") => {
                    let not_a_weight = || Fail::Text("ERR weight value is not a float");
                    let weights = (at + 1..=at + count).map(|i| num::parse_f64(&args[i]).ok_or_else(not_a_weight));
                    options.weights = weights.collect::<Result<_, _>>()?;
                    at += count;
                }
                _ if is_scored && left > 1 && word.eq_ignore_ascii_case(b"AGGREGATE") => {
                    at += 1;
                    options.aggregate = aggregate_of(&args[at])?;
                }
                _ if used == Use::Reply && word.eq_ignore_ascii_case(b"WITHSCORES") => options.with_scores = true,
                _ if used == Use::Count && left > 1 && word.eq_ignore_ascii_case(b"LIMIT") => {
                    at += 1;
                    options.limit = count_or(&args[at], 0, "ERR LIMIT can't be negative")?;
                }
                _ => return Err(Fail::Syntax),
            }
            at += 1;
        }
        Ok(options)
    }
}

fn aggregate_of(word: &[u8]) -> Result<Aggregate, Fail> {
    match word {
        _ if word.eq_ignore_ascii_case(b"SUM") => Ok(Aggregate::Sum),
        _ if word.eq_ignore_ascii_case(b"MIN") => Ok(Aggregate::Min),
        _ if word.eq_ignore_ascii_case(b"MAX") => Ok(Aggregate::Max),
        _ => Err(Fail::Syntax),
    }
}

/// All members of all. Sums are added from the smallest set to the largest, which decides how they are rounded.
fn union(sources: &mut [Source], aggregate: Aggregate, limits: &Limits) -> ScoredBatch {
    sources.sort_by_key(|source| source.members.len());
    let mut all = gathered(sources, limits);
    if sources.len() > 1 {
        all.join(|a, b| aggregate.join(a, b), |_, _| true);
    }
    all
}

/// The members that are in all; at most `limit`, if that is not 0.
fn inter(sources: &mut [Source], aggregate: Aggregate, limit: u64, limits: &Limits) -> ScoredBatch {
    sources.sort_by_key(|source| source.members.len());
    let mut result = ScoredBatch::new(limits);
    let Some((smallest, others)) = sources.split_first() else { return result };
    if smallest.members.len() == 0 {
        return result;
    }
    if limit == 0 && are_few(smallest, others) {
        let mut all = gathered(sources, limits);
        all.join(|a, b| aggregate.join(a, b), |_, times| times as usize == sources.len());
        return all;
    }
    for element in smallest.members.iter() {
        let mut scratch = itoa::Buffer::new();
        let member = element.member.bytes(&mut scratch);
        let first = Some(weighted(element.score, smallest.weight));
        let score = others.iter().fold(first, |sum, other| {
            let score = other.members.score(member)?;
            Some(aggregate.join(sum?, weighted(score, other.weight)))
        });
        if let Some(score) = score {
            result.push(member, score);
        }
        if limit > 0 && result.len() as u64 >= limit {
            break;
        }
    }
    result
}

/// The members of the first that are in none of the others.
fn diff(sources: &[Source], limits: &Limits) -> ScoredBatch {
    let mut result = ScoredBatch::new(limits);
    let Some((first, others)) = sources.split_first() else { return result };
    if are_few(first, others) {
        let mut all = gathered(sources, limits);
        let own = first.members.len() as usize;
        all.join(|a, _| a, |nth, times| nth < own && times == 1);
        return all;
    }
    for element in first.members.iter() {
        let mut scratch = itoa::Buffer::new();
        let member = element.member.bytes(&mut scratch);
        if !others.iter().any(|other| other.members.score(member).is_some()) {
            result.push(member, element.score);
        }
    }
    result
}

/// Whether the members of the others are so few that going through all of them is less work than looking up those of one.
fn are_few(one: &Source, others: &[Source]) -> bool {
    let members: u64 = others.iter().map(|other| other.members.len()).sum();
    members / LOOKUP_COST <= one.members.len() * others.len() as u64
}

/// All members of all, with the scores that count.
fn gathered(sources: &[Source], limits: &Limits) -> ScoredBatch {
    let mut all = ScoredBatch::new(limits);
    for source in sources {
        for element in source.members.iter() {
            all.push(element.member.bytes(&mut itoa::Buffer::new()), weighted(element.score, source.weight));
        }
    }
    all
}
