//! The packed form: a listpack of member, score, member, score, in order.

use std::cmp::Ordering;

use super::score::{self, order};
use crate::listpack::{Damaged, Listpack, ListpackRef, Place};
use crate::text::Str;

/// Elements of a listpack for each element of a sorted set.
pub(super) const PAIR: usize = 2;

/// An element and where it lies.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) place: Place,
    pub(super) member: Str<'a>,
    pub(super) score: f64,
}

/// The element whose member lies there.
fn pair(pack: ListpackRef<'_>, place: Place) -> Option<(Pair<'_>, Option<Place>)> {
    let score_place = pack.next(place)?;
    let score = score::of_text(pack.get(score_place))?;
    Some((Pair { place, member: pack.get(place), score }, pack.next(score_place)))
}

/// All elements, in order.
pub(super) fn pairs(pack: ListpackRef<'_>) -> impl Iterator<Item = Pair<'_>> {
    let mut next = pack.first();
    std::iter::from_fn(move || {
        let (pair, after) = pair(pack, next?)?;
        next = after;
        Some(pair)
    })
}

/// The elements from a rank back to the first; from the last one if there are fewer.
pub(super) fn pairs_back_from(pack: ListpackRef<'_>, rank: u64) -> impl Iterator<Item = Pair<'_>> {
    let count = (pack.len() / PAIR) as u64;
    let start = pack.at(rank.min(count.saturating_sub(1)) as usize * PAIR);
    let back = move |place| pack.before(place).and_then(|score| pack.before(score));
    std::iter::successors(start, move |place| back(*place)).filter_map(move |place| Some(pair(pack, place)?.0))
}

/// The rank of a member, and where it lies.
pub(super) fn find<'a>(pack: ListpackRef<'a>, member: &[u8]) -> Option<(u64, Pair<'a>)> {
    let wanted = Str::of(member);
    let mut place = pack.first()?;
    for rank in 0.. {
        if pack.get(place) == wanted {
            return Some((rank, pair(pack, place)?.0));
        }
        place = pack.next(place).and_then(|score| pack.next(score))?;
    }
    None
}

/// Adds an element that is not there.
pub(super) fn insert(pack: &mut Listpack, member: &[u8], score: f64) {
    let is_behind = |pair: &Pair<'_>| {
        let mut scratch = itoa::Buffer::new();
        order((pair.score, pair.member.bytes(&mut scratch)), (score, member)) == Ordering::Greater
    };
    let place = pairs(pack.as_ref()).find(is_behind).map_or_else(|| pack.as_ref().end(), |pair| pair.place);
    let mut text = Vec::with_capacity(24);
    score::push_text(&mut text, score);
    pack.insert(place, &text);
    pack.insert(place, member);
}

/// Bytes from anywhere as a packed sorted set: pairs with scores that are numbers, no member twice, in order. What is not
/// in order is put in order.
pub(super) fn checked(bytes: Vec<u8>) -> Result<Listpack, Damaged> {
    let pack = Listpack::from_bytes(bytes)?;
    let len = pack.as_ref().len();
    let mut elements: Vec<(f64, Vec<u8>)> =
        pairs(pack.as_ref()).map(|pair| (pair.score, pair.member.to_vec())).collect();
    if elements.len() * PAIR != len {
        return Err(Damaged);
    }
    let compare = |a: &(f64, Vec<u8>), b: &(f64, Vec<u8>)| order((a.0, &a.1), (b.0, &b.1));
    let is_ordered = elements.is_sorted_by(|a, b| compare(a, b).is_lt());
    if !is_ordered {
        elements.sort_by(compare);
    }
    let mut members: Vec<&[u8]> = elements.iter().map(|(_, member)| &member[..]).collect();
    members.sort_unstable();
    if members.windows(2).any(|two| two[0] == two[1]) {
        return Err(Damaged);
    }
    if is_ordered {
        return Ok(pack);
    }
    Ok(of_ordered(elements.iter().map(|(score, member)| (*score, &member[..]))))
}

/// Elements in order as a listpack.
pub(super) fn of_ordered<'a>(elements: impl Iterator<Item = (f64, &'a [u8])>) -> Listpack {
    let mut pack = Listpack::new();
    let mut text = Vec::with_capacity(24);
    for (score, member) in elements {
        text.clear();
        score::push_text(&mut text, score);
        pack.push(member);
        pack.push(&text);
    }
    pack
}
