//! Leaves of the tree by hash: for each element the hash of its member and its score, in ascending order of hashes. Who
//! looks for a member finds candidates here and makes sure of them in the tree by score.

use std::ops::Range;

use crate::ahead::{Fetch, fetch_all};
use crate::room::{give_room_back, make_room, with_room};
use crate::tree::{Leaf, SplitAt};

/// Entries of a leaf, at most, unless all have one hash.
const ENTRIES_MAX: usize = 128;
/// Words of an entry: its hash, and its score in two halves.
const WORDS: usize = 3;

/// A leaf. Entries with the same hash are all in one.
#[derive(Clone, Default)]
pub(super) struct HashLeaf {
    /// All hashes, so that they are looked through side by side, then all scores.
    words: Vec<u32>,
}

fn halves(score: f64) -> [u32; 2] {
    let bits = score.to_bits();
    [bits as u32, (bits >> 32) as u32]
}

fn whole([low, high]: [u32; 2]) -> f64 {
    f64::from_bits(u64::from(low) | u64::from(high) << 32)
}

/// Leaves of entries that come in the order of hashes, each with its lowest hash.
pub(super) fn leaves(entries: impl Iterator<Item = (u32, f64)>) -> Vec<(u32, HashLeaf)> {
    let mut leaves = Vec::new();
    let mut open: Vec<(u32, f64)> = Vec::new();
    for (hash, score) in entries {
        let goes_on = open.last().is_some_and(|last| last.0 == hash);
        if open.len() >= ENTRIES_MAX * 7 / 8 && !goes_on {
            leaves.push((open[0].0, HashLeaf::of(&open)));
            open.clear();
        }
        open.push((hash, score));
    }
    leaves.extend(open.first().map(|first| (first.0, HashLeaf::of(&open))));
    leaves
}

impl HashLeaf {
    fn count(&self) -> usize {
        self.words.len() / WORDS
    }

    /// Asks for all of it.
    #[inline]
    pub(super) fn fetch(&self, fetch: impl Fetch) {
        fetch_all(&self.words[..], fetch);
    }

    #[inline]
    fn hashes(&self) -> &[u32] {
        &self.words[..self.count()]
    }

    #[inline]
    fn scores_from(&self, index: usize) -> impl Iterator<Item = f64> {
        self.words[self.count()..].as_chunks().0[index..].iter().map(|score| whole(*score))
    }

    /// Hashes and scores from an index on.
    #[inline]
    fn entries(&self, index: usize) -> impl Iterator<Item = (u32, f64)> {
        self.hashes()[index..].iter().copied().zip(self.scores_from(index))
    }

    /// The scores of members with this hash.
    #[inline]
    pub(super) fn scores(&self, hash: u32) -> impl Iterator<Item = f64> {
        self.entries(self.first(hash)).take_while(move |(own, _)| *own == hash).map(|(_, score)| score)
    }

    /// Hashes and scores from a hash on.
    pub(super) fn entries_from(&self, hash: u32) -> impl Iterator<Item = (u32, f64)> {
        self.entries(self.first(hash))
    }

    /// Adds an entry.
    pub(super) fn insert(&mut self, hash: u32, score: f64) {
        let (index, count) = (self.first(hash), self.count());
        make_room(&mut self.words, WORDS);
        self.words.splice(count + 2 * index..count + 2 * index, halves(score));
        self.words.insert(index, hash);
    }

    /// Puts another score in the place of one, or removes the entry.
    pub(super) fn change(&mut self, hash: u32, old: f64, new: Option<f64>) {
        let from = self.first(hash);
        let Some(index) = self.scores(hash).position(|score| score == old).map(|at| from + at) else { return };
        match new {
            Some(new) => {
                let at = self.count() + 2 * index;
                self.words[at..at + 2].copy_from_slice(&halves(new));
            }
            None => self.remove(index..index + 1),
        }
    }

    /// Removes the entries that such a list, in the order of hashes, begins with, as far as they are here; gives how many of
    /// the list are done with.
    pub(super) fn remove_first_of(&mut self, list: &[(u32, f64)]) -> usize {
        let last = self.hashes().last().copied().unwrap_or(0);
        // Whoever looks in the right leaf finds its first one here.
        let here = list.partition_point(|(hash, _)| *hash <= last).max(1);
        if here == 1 {
            self.change(list[0].0, list[0].1, None);
            return here;
        }
        let mut left: std::collections::VecDeque<(u32, f64)> = list[..here].iter().copied().collect();
        let stays = |entry: &(u32, f64)| {
            while left.front().is_some_and(|(hash, _)| *hash < entry.0) {
                left.pop_front();
            }
            let same = left.iter().take_while(|(hash, _)| *hash == entry.0).position(|(_, score)| *score == entry.1);
            same.map(|at| left.remove(at)).is_none()
        };
        let staying: Vec<(u32, f64)> = self.entries(0).filter(stays).collect();
        *self = HashLeaf::of(&staying);
        here
    }

    /// A leaf of these entries, which are in order.
    fn of(entries: &[(u32, f64)]) -> HashLeaf {
        let mut words = with_room(WORDS * entries.len());
        words.extend(entries.iter().map(|(hash, _)| *hash));
        words.extend(entries.iter().flat_map(|(_, score)| halves(*score)));
        HashLeaf { words }
    }

    /// The first entry whose hash is not below this one. All are compared, as that takes no longer than to find out where to
    /// go on.
    #[inline]
    fn first(&self, hash: u32) -> usize {
        // Counted in words as wide as hashes, so that four are compared and counted by one step each.
        self.hashes().iter().map(|own| u32::from(*own < hash)).sum::<u32>() as usize
    }

    /// The place nearest to the middle at which another hash begins.
    fn middle(&self) -> usize {
        let hash = self.hashes()[self.count() / 2];
        match self.first(hash) {
            0 => self.hashes().partition_point(|own| *own <= hash),
            first => first,
        }
    }

    fn part(&self, range: Range<usize>) -> HashLeaf {
        let entries: Vec<(u32, f64)> = self.entries(range.start).take(range.len()).collect();
        HashLeaf::of(&entries)
    }
}

impl Leaf for HashLeaf {
    type Separator = u32;

    fn len(&self) -> usize {
        self.count()
    }

    fn heap_bytes(&self) -> usize {
        self.words.capacity() * size_of::<u32>()
    }

    fn is_over(&self) -> bool {
        self.count() > ENTRIES_MAX && self.hashes().first() != self.hashes().last()
    }

    fn is_under(&self) -> bool {
        self.count() < ENTRIES_MAX / 4
    }

    fn fits(&self, right: &Self) -> bool {
        self.count() + right.count() <= ENTRIES_MAX * 3 / 4
    }

    /// Hashes come in no order, so the ends are like any other place.
    fn split(&mut self, _: SplitAt) -> (u32, Self) {
        let middle = self.middle();
        let right = self.part(middle..self.count());
        *self = self.part(0..middle);
        (right.hashes()[0], right)
    }

    fn join(&mut self, right: Self) {
        let both: Vec<(u32, f64)> = self.entries(0).chain(right.entries(0)).collect();
        *self = HashLeaf::of(&both);
    }

    fn remove(&mut self, range: Range<usize>) {
        let count = self.count();
        self.words.drain(count + 2 * range.start..count + 2 * range.end);
        self.words.drain(range);
        give_room_back(&mut self.words);
    }
}
