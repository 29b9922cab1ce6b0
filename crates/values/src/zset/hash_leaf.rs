//! Leaves of the tree by hash: for each element the hash of its member and its score, in ascending order of hashes. Who
//! looks for a member finds candidates here and makes sure of them in the tree by score.

use std::ops::Range;

use crate::tree::{Leaf, SplitAt};

/// Entries of a leaf, at most, unless all have one hash.
const ENTRIES_MAX: usize = 128;

/// A leaf. Entries with the same hash are all in one.
#[derive(Clone, Default)]
pub(super) struct HashLeaf(Vec<Entry>);

/// The hash of a member, and its score in two halves: that makes it 12 bytes.
#[derive(Clone, Copy)]
struct Entry {
    hash: u32,
    score: [u32; 2],
}

impl Entry {
    fn new(hash: u32, score: f64) -> Entry {
        let bits = score.to_bits();
        Entry { hash, score: [bits as u32, (bits >> 32) as u32] }
    }

    fn score(self) -> f64 {
        f64::from_bits(u64::from(self.score[0]) | u64::from(self.score[1]) << 32)
    }
}

/// Leaves of entries that come in the order of hashes, each with its lowest hash.
pub(super) fn leaves(entries: impl Iterator<Item = (u32, f64)>) -> Vec<(u32, HashLeaf)> {
    let mut leaves = Vec::new();
    let mut open: Vec<Entry> = Vec::new();
    for (hash, score) in entries {
        let goes_on = open.last().is_some_and(|last| last.hash == hash);
        if open.len() >= ENTRIES_MAX * 7 / 8 && !goes_on {
            leaves.push((open[0].hash, HashLeaf(open.as_slice().into())));
            open.clear();
        }
        open.push(Entry::new(hash, score));
    }
    leaves.extend(open.first().map(|first| (first.hash, HashLeaf(open.as_slice().into()))));
    leaves
}

impl HashLeaf {
    /// The scores of members with this hash.
    #[inline]
    pub(super) fn scores(&self, hash: u32) -> impl Iterator<Item = f64> {
        let from = self.first(hash);
        self.0[from..].iter().take_while(move |entry| entry.hash == hash).map(|entry| entry.score())
    }

    /// Hashes and scores from a hash on.
    pub(super) fn entries_from(&self, hash: u32) -> impl Iterator<Item = (u32, f64)> {
        self.0[self.first(hash)..].iter().map(|entry| (entry.hash, entry.score()))
    }

    /// Adds an entry.
    pub(super) fn insert(&mut self, hash: u32, score: f64) {
        let needed = self.0.len() + 1;
        if needed > self.0.capacity() {
            self.0.reserve_exact(needed.div_ceil(8) + 1);
        }
        self.0.insert(self.first(hash), Entry::new(hash, score));
    }

    /// Puts another score in the place of one, or removes the entry.
    pub(super) fn change(&mut self, hash: u32, old: f64, new: Option<f64>) {
        let from = self.first(hash);
        let same = |entry: &Entry| entry.hash == hash && entry.score() == old;
        let Some(at) = self.0[from..].iter().position(same).map(|at| from + at) else { return };
        match new {
            Some(new) => self.0[at] = Entry::new(hash, new),
            None => self.remove(at..at + 1),
        }
    }

    /// Removes the entries that such a list, in the order of hashes, begins with, as far as they are here; gives how many of
    /// the list are done with.
    pub(super) fn remove_first_of(&mut self, list: &[(u32, f64)]) -> usize {
        let last = self.0.last().map_or(0, |entry| entry.hash);
        // Whoever looks in the right leaf finds its first one here.
        let here = list.partition_point(|(hash, _)| *hash <= last).max(1);
        if here == 1 {
            self.change(list[0].0, list[0].1, None);
            return here;
        }
        let mut left: std::collections::VecDeque<(u32, f64)> = list[..here].iter().copied().collect();
        self.0.retain(|entry| {
            while left.front().is_some_and(|(hash, _)| *hash < entry.hash) {
                left.pop_front();
            }
            let same =
                left.iter().take_while(|(hash, _)| *hash == entry.hash).position(|(_, score)| *score == entry.score());
            same.map(|at| left.remove(at)).is_none()
        });
        self.remove(0..0);
        here
    }

    fn first(&self, hash: u32) -> usize {
        self.0.partition_point(|entry| entry.hash < hash)
    }

    /// The place nearest to the middle at which another hash begins.
    fn middle(&self) -> usize {
        let half = self.0.len() / 2;
        let hash = self.0[half].hash;
        match self.first(hash) {
            0 => self.0.partition_point(|entry| entry.hash <= hash),
            first => first,
        }
    }
}

impl Leaf for HashLeaf {
    type Separator = u32;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Entry>()
    }

    fn is_over(&self) -> bool {
        let ends = self.0.first().zip(self.0.last());
        self.0.len() > ENTRIES_MAX && ends.is_some_and(|(first, last)| first.hash != last.hash)
    }

    fn is_under(&self) -> bool {
        self.0.len() < ENTRIES_MAX / 4
    }

    fn fits(&self, right: &Self) -> bool {
        self.0.len() + right.0.len() <= ENTRIES_MAX * 3 / 4
    }

    /// Hashes come in no order, so the ends are like any other place.
    fn split(&mut self, _: SplitAt) -> (u32, Self) {
        let right = self.0[self.middle()..].to_vec();
        self.0.truncate(self.0.len() - right.len());
        self.0.shrink_to_fit();
        (right[0].hash, HashLeaf(right))
    }

    fn join(&mut self, right: Self) {
        self.0.reserve_exact(right.0.len());
        self.0.extend(right.0);
    }

    fn remove(&mut self, range: Range<usize>) {
        self.0.drain(range);
        if 2 * self.0.len() < self.0.capacity() {
            self.0.shrink_to(self.0.len() + self.0.len() / 8);
        }
    }
}
