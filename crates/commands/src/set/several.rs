//! Intersections, unions and differences. The sets are taken as they are at the begin, for which large ones are not
//! copied.

use std::cmp::Reverse;

use baton_base::num::parse_i64;
use baton_store::{CollectionType as _, Expire};
use baton_values::{LargeSetBuilder, Limits, Set, SetRef, Str};

use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::long_reply::{Elements, Shown};
use crate::number::count;
use crate::reply::ReplyText as _;

/// How many times smaller sets have to be for their members to be taken out of a copy of another, one by one.
const FEW: u64 = 8;

/// SINTER key [key ...].
pub(crate) fn sinter(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let sets = sets(x, 1, x.args.len() - 1, 0)?;
    let sets = all_there(&sets);
    let members: Vec<Str<'_>> = intersection(&sets).collect();
    x.out.set(members.len());
    members.into_iter().for_each(|member| x.out.text(member));
    Ok(())
}

/// SINTERSTORE destination key [key ...].
pub(crate) fn sinterstore(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (limits, sets) = (x.limits(), sets(x, 2, x.args.len() - 2, 1)?);
    let mut result = Set::of_members(intersection(&all_there(&sets)), &limits);
    result.settle(&limits);
    store(x, result, "sinterstore")
}

/// SINTERCARD numkeys key [key ...] [LIMIT limit].
pub(crate) fn sintercard(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let keys = parse_i64(x.args.at(1)).filter(|n| *n > 0).ok_or(Fail::Text("ERR numkeys should be greater than 0"))?;
    let keys = usize::try_from(keys).ok().filter(|n| *n <= x.args.len() - 2);
    let keys = keys.ok_or(Fail::Text("ERR Number of keys can't be greater than number of args"))?;
    let mut limit = 0;
    let mut options = x.args.skip(2 + keys);
    while let Some(word) = options.get(0) {
        let value = options.get(1).filter(|_| word.eq_ignore_ascii_case(b"LIMIT")).ok_or(Fail::Syntax)?;
        limit = count(value).map_err(|_| Fail::Text("ERR LIMIT can't be negative"))?;
        options = options.skip(2);
    }
    let sets = sets(x, 2, keys, 0)?;
    let limit = if limit == 0 { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) };
    let common = intersection(&all_there(&sets)).take(limit).count();
    x.out.int(common as i64);
    Ok(())
}

/// SUNION key [key ...].
pub(crate) fn sunion(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (limits, sets) = (x.limits(), sets(x, 1, x.args.len() - 1, 0)?);
    reply_set(x, union(&sets, &limits));
    Ok(())
}

/// SUNIONSTORE destination key [key ...].
pub(crate) fn sunionstore(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (limits, sets) = (x.limits(), sets(x, 2, x.args.len() - 2, 1)?);
    store(x, union(&sets, &limits), "sunionstore")
}

/// SDIFF key [key ...].
pub(crate) fn sdiff(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (limits, sets) = (x.limits(), sets(x, 1, x.args.len() - 1, 0)?);
    reply_set(x, difference(&sets, &limits));
    Ok(())
}

/// SDIFFSTORE destination key [key ...].
pub(crate) fn sdiffstore(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (limits, sets) = (x.limits(), sets(x, 2, x.args.len() - 2, 1)?);
    store(x, difference(&sets, &limits), "sdiffstore")
}

/// The sets of `count` keys from argument `first` on, of which the first is the `nth` declared key; none for a key that
/// is missing.
fn sets(x: &mut Exec<'_, '_>, first: usize, count: usize, nth: usize) -> Result<Vec<Option<Set>>, Fail> {
    let mut sets = Vec::with_capacity(count);
    for i in 0..count {
        let key = x.key(nth + i, first + i);
        sets.push(x.view.cloned::<Set>(&key, x.touch)?);
    }
    Ok(sets)
}

/// The sets, the smallest first, if all are there: without one of them no member is in all.
fn all_there(sets: &[Option<Set>]) -> Vec<SetRef<'_>> {
    let there: Option<Vec<SetRef<'_>>> = sets.iter().map(|set| set.as_ref().map(Set::as_ref)).collect();
    let mut there = there.unwrap_or_default();
    there.sort_by_key(|set| set.len());
    there
}

fn intersection<'s>(sets: &[SetRef<'s>]) -> impl Iterator<Item = Str<'s>> {
    let smallest = sets.split_first().map(|(smallest, others)| smallest.common_with(others));
    smallest.into_iter().flatten()
}

/// Whether a set is so large that every set with its members is in the large form, however it came to be.
fn is_large_anyhow(set: &Set, limits: &Limits) -> bool {
    matches!(set, Set::Large(_)) && set.len() > limits.set_entries.max(limits.set_ints) as u64
}

fn union(sets: &[Option<Set>], limits: &Limits) -> Set {
    let (mut large, small): (Vec<&Set>, Vec<&Set>) =
        sets.iter().flatten().partition(|set| is_large_anyhow(set, limits));
    // Always the two smallest, so that no member is copied often.
    large.sort_by_key(|set| Reverse(set.len()));
    let mut large: Vec<Set> = large.into_iter().cloned().collect();
    let mut result = large.pop().unwrap_or_default();
    while let Some(mut next) = large.pop() {
        next.add_all(result.as_ref(), limits);
        let at = large.partition_point(|set| set.len() > next.len());
        large.insert(at, next);
        result = large.pop().unwrap_or_default();
    }
    small.iter().for_each(|set| result.add_all(set.as_ref(), limits));
    result
}

/// Upstream takes the members of the others out of a copy where that is less work than looking each member up, and such a
/// copy keeps its form, however few members are left: so it has to be here, whichever way it is computed.
fn difference(sets: &[Option<Set>], limits: &Limits) -> Set {
    let Some((Some(first), others)) = sets.split_first() else { return Set::default() };
    let others: Vec<SetRef<'_>> = others.iter().flatten().map(Set::as_ref).collect();
    let lookups = first.len() * (others.len() as u64 + 1) / 2;
    let removals = others.iter().map(|set| set.len()).sum::<u64>();
    let left = first.as_ref().without(&others);
    if lookups <= first.len() + removals {
        return Set::of_members(left, limits);
    }
    if is_large_anyhow(first, limits) && removals > first.len() / FEW {
        let mut result = LargeSetBuilder::new(limits);
        left.for_each(|member| result.push(member));
        return result.finish().expect("members are in a set once");
    }
    let mut result =
        if is_large_anyhow(first, limits) { first.clone() } else { Set::of_members(first.as_ref().iter(), limits) };
    others.iter().flat_map(|set| set.iter()).for_each(|member| {
        result.remove(member);
    });
    result
}

fn reply_set(x: &mut Exec<'_, '_>, set: Set) {
    x.out.set(set.len() as usize);
    let elements = Elements::forwards(Shown::Elements, 0..set.len());
    elements.reply_own(set.into_collection(), x.out, x.effects, x.waits);
}

/// Writes the result over the destination, or removes that if the result is empty, and replies its size.
fn store(x: &mut Exec<'_, '_>, result: Set, event: &'static str) -> Result<(), Fail> {
    let destination = x.key(0, 1);
    let len = result.len();
    if len > 0 {
        x.notify_if_new(&destination);
        x.view.put_collection(&destination, result.into_collection(), Expire::Never);
        x.notify(EventClass::SET, event, &destination);
    } else if x.view.remove(&destination) {
        x.notify(EventClass::GENERIC, "del", &destination);
    }
    x.out.int(len as i64);
    Ok(())
}
