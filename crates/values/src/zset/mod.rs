//! Sorted sets: members with scores, in the order of score and member. One listpack while they are small; two trees from
//! there on, one in that order and one by the hash of members.

mod batch;
mod hash_leaf;
mod large;
mod packed;
mod score;
mod score_leaf;

use std::ops::Range;

use crate::limits::Limits;
use crate::listpack::{Damaged, Listpack, ListpackRef};
use crate::text::Str;
use crate::value::Value;

pub use batch::ScoredBatch;
pub use large::LargeZSet;

/// A sorted set. Ranks count from 0 at the lowest score. No score is NaN.
#[derive(Clone)]
pub enum ZSet {
    /// All elements in one listpack.
    Packed(Listpack),
    /// Many elements, or large ones.
    Large(LargeZSet),
}

/// A borrowed sorted set.
#[derive(Clone, Copy)]
pub enum ZSetRef<'a> {
    /// All elements in one listpack.
    Packed(ListpackRef<'a>),
    /// Many elements, or large ones.
    Large(&'a LargeZSet),
}

/// An element of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored<'a> {
    /// What it is.
    pub member: Str<'a>,
    /// Where it stands.
    pub score: f64,
}

impl Default for ZSet {
    fn default() -> Self {
        ZSet::Packed(Listpack::new())
    }
}

impl ZSet {
    /// The sorted set for reading.
    pub fn as_ref(&self) -> ZSetRef<'_> {
        match self {
            ZSet::Packed(pack) => ZSetRef::Packed(pack.as_ref()),
            ZSet::Large(large) => ZSetRef::Large(large),
        }
    }

    /// Number of elements.
    pub fn len(&self) -> u64 {
        self.as_ref().len()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory behind it.
    pub fn heap_bytes(&self) -> usize {
        match self {
            ZSet::Packed(pack) => pack.heap_bytes(),
            ZSet::Large(large) => large.heap_bytes(),
        }
    }

    /// Makes ready for so many elements in all, the longest member of so many bytes (rdb section 10). A command that names
    /// members counts all that it names, those included that are there. The packed form does not come back.
    pub fn expect(&mut self, elements: usize, member_bytes_max: usize, limits: &Limits) {
        let ZSet::Packed(pack) = self else { return };
        if elements > limits.zset_entries || member_bytes_max > limits.zset_value_bytes {
            let mut large = LargeZSet::new(limits.seed);
            for pair in packed::pairs(pack.as_ref()) {
                large.put(pair.member.bytes(&mut itoa::Buffer::new()), pair.score);
            }
            *self = ZSet::Large(large);
        }
    }

    /// Gives a member a score, and adds it if it is new. Tells the score it had.
    pub fn put(&mut self, member: &[u8], score: f64, limits: &Limits) -> Option<f64> {
        debug_assert!(!score.is_nan(), "a score is a number");
        if let ZSet::Packed(pack) = self
            && let Some((_, pair)) = packed::find(pack.as_ref(), member)
        {
            let (place, old) = (pair.place, pair.score);
            if old != score {
                pack.remove(place, packed::PAIR);
                packed::insert(pack, member, score);
            }
            return Some(old);
        }
        if let ZSet::Packed(pack) = self {
            let elements = pack.as_ref().len() / packed::PAIR + 1;
            self.expect(elements, member.len(), limits);
        }
        match self {
            ZSet::Packed(pack) => {
                packed::insert(pack, member, score);
                None
            }
            ZSet::Large(large) => large.put(member, score),
        }
    }

    /// Removes a member; tells the score it had.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match self {
            ZSet::Packed(pack) => {
                let (_, pair) = packed::find(pack.as_ref(), member)?;
                let (place, score) = (pair.place, pair.score);
                pack.remove(place, packed::PAIR);
                Some(score)
            }
            ZSet::Large(large) => large.remove(member),
        }
    }

    /// Removes the elements of these ranks; ranks beyond the end are ignored.
    pub fn remove_ranks(&mut self, ranks: Range<u64>) {
        match self {
            ZSet::Packed(pack) => {
                let first = usize::try_from(ranks.start).ok().and_then(|start| start.checked_mul(packed::PAIR));
                if let Some(place) = first.and_then(|first| pack.as_ref().at(first)) {
                    let count = usize::try_from(ranks.end.saturating_sub(ranks.start)).unwrap_or(usize::MAX);
                    pack.remove(place, count.saturating_mul(packed::PAIR));
                }
            }
            ZSet::Large(large) => large.remove_ranks(ranks),
        }
    }

    /// Goes back to the packed form where the limits allow it: for what was just built.
    pub fn pack_if_small(&mut self, limits: &Limits) {
        let ZSet::Large(large) = self else { return };
        if large.len() <= limits.zset_entries as u64
            && large.iter_from(0).all(|(_, member)| member.len() <= limits.zset_value_bytes)
        {
            *self = ZSet::Packed(packed::of_ordered(large.iter_from(0)));
        }
    }

    /// The sorted set of a listpack of members and scores: for loading. It becomes large where the limits say so.
    ///
    /// # Errors
    /// If the bytes are no such listpack, or have a member twice.
    pub fn from_pack(bytes: Vec<u8>, limits: &Limits) -> Result<ZSet, Damaged> {
        let pack = packed::checked(bytes)?;
        let longest = packed::pairs(pack.as_ref()).map(|pair| pair.member.len()).max().unwrap_or(0);
        let elements = pack.as_ref().len() / packed::PAIR;
        let mut zset = ZSet::Packed(pack);
        zset.expect(elements, longest, limits);
        Ok(zset)
    }
}

impl<'a> ZSetRef<'a> {
    /// Number of elements.
    pub fn len(self) -> u64 {
        match self {
            ZSetRef::Packed(pack) => (pack.len() / packed::PAIR) as u64,
            ZSetRef::Large(large) => large.len(),
        }
    }

    /// Whether it has no elements.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// A sorted set of its own with the same elements; nothing of a large one is copied.
    pub fn to_zset(self) -> ZSet {
        match self {
            ZSetRef::Packed(pack) => ZSet::Packed(Listpack::trusted(pack.bytes().to_vec())),
            ZSetRef::Large(large) => ZSet::Large(large.clone()),
        }
    }

    /// The name that OBJECT ENCODING replies.
    pub fn encoding(self) -> &'static str {
        match self {
            ZSetRef::Packed(_) => "listpack",
            ZSetRef::Large(_) => "skiplist",
        }
    }

    /// The score of a member.
    pub fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            ZSetRef::Packed(pack) => packed::find(pack, member).map(|(_, pair)| pair.score),
            ZSetRef::Large(large) => large.score(member),
        }
    }

    /// The rank of a member, and its score.
    pub fn rank(self, member: &[u8]) -> Option<(u64, f64)> {
        match self {
            ZSetRef::Packed(pack) => packed::find(pack, member).map(|(rank, pair)| (rank, pair.score)),
            ZSetRef::Large(large) => large.rank(member),
        }
    }

    /// How many elements come before the first of which this is not true. It must be true up to some place in the order and
    /// untrue from there on; it may be asked about pairs that are no elements.
    pub fn count_while(self, is_before: impl Fn(f64, &[u8]) -> bool) -> u64 {
        match self {
            ZSetRef::Packed(pack) => packed::pairs(pack)
                .take_while(|pair| is_before(pair.score, pair.member.bytes(&mut itoa::Buffer::new())))
                .count() as u64,
            ZSetRef::Large(large) => large.count_while(is_before),
        }
    }

    /// The element of a rank.
    pub fn get(self, rank: u64) -> Option<Scored<'a>> {
        self.iter_from(rank).next()
    }

    /// The elements from a rank on.
    pub fn iter_from(self, rank: u64) -> impl Iterator<Item = Scored<'a>> {
        let (pack, large) = self.forms();
        let skipped = usize::try_from(rank).unwrap_or(usize::MAX);
        let small = pack.into_iter().flat_map(move |pack| packed::pairs(pack).skip(skipped).map(Scored::from));
        small.chain(large.into_iter().flat_map(move |large| large.iter_from(rank).map(Scored::from)))
    }

    /// The elements from a rank back to the first; from the last one if there are fewer.
    pub fn iter_back_from(self, rank: u64) -> impl Iterator<Item = Scored<'a>> {
        let (pack, large) = self.forms();
        let small = pack.into_iter().flat_map(move |pack| packed::pairs_back_from(pack, rank).map(Scored::from));
        small.chain(large.into_iter().flat_map(move |large| large.iter_back_from(rank).map(Scored::from)))
    }

    fn forms(self) -> (Option<ListpackRef<'a>>, Option<&'a LargeZSet>) {
        match self {
            ZSetRef::Packed(pack) => (Some(pack), None),
            ZSetRef::Large(large) => (None, Some(large)),
        }
    }

    /// A step of a scan, which begins with cursor 0: visits about `count` elements or more, in no order, and gives the cursor
    /// of the next step; 0 is the end. Elements that are there all the time are visited, some perhaps twice.
    pub fn scan(self, cursor: u64, count: u64, visit: &mut dyn FnMut(Scored<'_>)) -> u64 {
        match self {
            ZSetRef::Packed(pack) => {
                packed::pairs(pack).map(Scored::from).for_each(visit);
                0
            }
            ZSetRef::Large(large) => large.scan(cursor, count, &mut |member, score| {
                visit(Scored { member: Str::Bytes(member), score });
            }),
        }
    }
}

impl<'a> From<packed::Pair<'a>> for Scored<'a> {
    fn from(pair: packed::Pair<'a>) -> Scored<'a> {
        Scored { member: pair.member, score: pair.score }
    }
}

impl<'a> From<(f64, &'a [u8])> for Scored<'a> {
    /// Large sorted sets keep members as bytes: an integer among them is one by its text only.
    fn from((score, member): (f64, &'a [u8])) -> Scored<'a> {
        Scored { member: Str::Bytes(member), score }
    }
}

impl<'a> From<ZSetRef<'a>> for Value<'a> {
    fn from(zset: ZSetRef<'a>) -> Value<'a> {
        Value::ZSet(zset)
    }
}

impl PartialEq for ZSetRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (Scored<'_>, Scored<'_>)| {
            a.score == b.score && a.member.bytes(&mut itoa::Buffer::new()) == b.member.bytes(&mut itoa::Buffer::new())
        };
        self.len() == other.len() && self.iter_from(0).zip(other.iter_from(0)).all(same)
    }
}

impl std::fmt::Debug for ZSetRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter_from(0)).finish()
    }
}

#[cfg(test)]
mod tests;
