//! Elements gathered from anywhere, in one piece of memory: they are put together where members are equal, put in order, and
//! made a sorted set at once.

use baton_base::sort_key;

use super::score::order;
use super::{LargeZSet, Scored, ZSet};
use crate::hash::MemberHasher;
use crate::limits::Limits;
use crate::text::Str;

/// Elements, in the order in which they came until they are put in another.
pub struct ScoredBatch {
    hasher: MemberHasher,
    /// All members, one behind the other.
    members: Vec<u8>,
    elements: Vec<Element>,
}

#[derive(Clone, Copy)]
struct Element {
    score: f64,
    start: usize,
    len: u32,
    hash: u32,
}

impl ScoredBatch {
    /// Nothing.
    pub fn new(limits: &Limits) -> ScoredBatch {
        ScoredBatch { hasher: MemberHasher::new(limits.seed), members: Vec::new(), elements: Vec::new() }
    }

    /// Takes an element. The score is a number.
    ///
    /// # Panics
    /// If the member has 4 GiB or more.
    pub fn push(&mut self, member: &[u8], score: f64) {
        debug_assert!(!score.is_nan(), "a score is a number");
        let len = u32::try_from(member.len()).expect("a member is shorter than 4 GiB");
        self.elements.push(Element { score, start: self.members.len(), len, hash: self.hasher.hash(member) });
        self.members.extend_from_slice(member);
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Bytes of memory behind it.
    pub fn heap_bytes(&self) -> usize {
        self.members.capacity() + self.elements.capacity() * size_of::<Element>()
    }

    /// The elements.
    pub fn iter(&self) -> impl Iterator<Item = Scored<'_>> {
        self.elements.iter().map(|element| Scored { member: Str::Bytes(self.member(*element)), score: element.score })
    }

    fn member(&self, element: Element) -> &[u8] {
        &self.members[element.start..][..element.len as usize]
    }

    /// Makes one element of all with the same member: it stands where the first one stood, and its score is made of theirs in
    /// the order in which they came. `stays` is told how many elements came before the first one and how many it is made of,
    /// and says whether it is kept.
    ///
    /// # Panics
    /// If there are more than 4 Gi elements.
    pub fn join(&mut self, make: impl Fn(f64, f64) -> f64, stays: impl Fn(usize, u32) -> bool) {
        let mut made_of = vec![1u32; self.len()];
        let by_hash = self.by_hash();
        for alike in by_hash.chunk_by(|a, b| a.0 == b.0) {
            for (nth, (_, at)) in alike.iter().enumerate().skip(1) {
                let member = self.member(self.elements[*at as usize]);
                let is_first = |(_, first): &&(u32, u32)| {
                    made_of[*first as usize] > 0 && self.member(self.elements[*first as usize]) == member
                };
                if let Some((_, first)) = alike[..nth].iter().find(is_first).copied() {
                    let joined = make(self.elements[first as usize].score, self.elements[*at as usize].score);
                    self.elements[first as usize].score = joined;
                    made_of[first as usize] += 1;
                    made_of[*at as usize] = 0;
                }
            }
        }
        let mut counts = made_of.into_iter().enumerate();
        self.elements.retain(|_| counts.next().is_some_and(|(nth, count)| count > 0 && stays(nth, count)));
    }

    /// The hash and the place of each element, in the order of hashes and then of places.
    fn by_hash(&self) -> Vec<(u32, u32)> {
        assert!(u32::try_from(self.len()).is_ok(), "a batch has 4 Gi elements at most");
        let keys = self.elements.iter().zip(0..).map(|(element, nth): (_, u64)| u64::from(element.hash) << 32 | nth);
        let mut keys: Vec<u64> = keys.collect();
        keys.sort_unstable();
        keys.into_iter().map(|key| ((key >> 32) as u32, key as u32)).collect()
    }

    /// Puts them in the order of sorted sets.
    pub fn order(&mut self) {
        let key = |element: &Element| (element.score, self.member(*element));
        if self.elements.is_sorted_by(|a, b| order(key(a), key(b)).is_le()) {
            return;
        }
        if self.elements.is_sorted_by(|a, b| order(key(a), key(b)).is_gt()) {
            self.elements.reverse();
            return;
        }
        let skipped = sort_key::common_len(self.elements.iter().map(|element| self.member(*element)));
        let keyed = self.elements.iter().map(|element| {
            (sort_key::of_f64(element.score), sort_key::of_text(self.member(*element), skipped), *element)
        });
        let mut keyed: Vec<(u64, u64, Element)> = keyed.collect();
        // A stable sort, as it takes what is in order in parts for what it is.
        keyed.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| self.member(a.2).cmp(self.member(b.2))));
        self.elements.clear();
        self.elements.extend(keyed.into_iter().map(|(_, _, element)| element));
    }

    /// The sorted set of all elements; none if two have the same member. It has the form that the limits say.
    pub fn into_zset(mut self, limits: &Limits) -> Option<ZSet> {
        let mut zset = ZSet::default();
        let longest = self.elements.iter().map(|element| element.len).max().unwrap_or(0);
        zset.expect(self.len(), longest as usize, limits);
        if matches!(zset, ZSet::Packed(_)) {
            let mut elements = self.elements.iter();
            let are_new = elements.all(|element| zset.put(self.member(*element), element.score, limits).is_none());
            return are_new.then_some(zset);
        }
        let by_hash = self.by_hash();
        let mut alike = by_hash.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike.len() > 1);
        let member = |at: u32| self.member(self.elements[at as usize]);
        let has_twins = alike
            .any(|alike| (1..alike.len()).any(|i| alike[..i].iter().any(|(_, at)| member(*at) == member(alike[i].1))));
        if has_twins {
            return None;
        }
        let hashes: Vec<(u32, f64)> =
            by_hash.into_iter().map(|(hash, at)| (hash, self.elements[at as usize].score)).collect();
        self.order();
        let in_order = self.elements.iter().map(|element| (element.score, self.member(*element)));
        Some(ZSet::Large(LargeZSet::of_ordered(limits.seed, in_order, hashes.into_iter())))
    }
}

impl ZSet {
    /// Adds elements of which none is there yet; false if one is, and then it has some of them.
    pub fn take_in(&mut self, mut batch: ScoredBatch, limits: &Limits) -> bool {
        if self.is_empty() {
            let zset = batch.into_zset(limits);
            let is_whole = zset.is_some();
            *self = zset.unwrap_or_default();
            return is_whole;
        }
        batch.order();
        batch.elements.iter().all(|element| self.put(batch.member(*element), element.score, limits).is_none())
    }
}
