//! Leaves of the tree of times: when a field ends, and the hash of its name, in ascending order. Who wants the field looks
//! for it by that hash.

use std::ops::Range;

use baton_base::WallMs;

use crate::tree::{Leaf, SplitAt};

/// Entries of a leaf, at most, unless all are equal.
const ENTRIES_MAX: usize = 128;

/// A time in two halves, and a hash: 12 bytes that are ordered as time and hash are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due([u32; 3]);

impl Due {
    pub(super) fn new(at: WallMs, hash: u32) -> Due {
        Due([(at.0 >> 32) as u32, at.0 as u32, hash])
    }

    /// The time.
    pub(super) fn at(self) -> WallMs {
        WallMs(u64::from(self.0[0]) << 32 | u64::from(self.0[1]))
    }

    /// The hash.
    pub(super) fn hash(self) -> u32 {
        self.0[2]
    }
}

/// A leaf. Equal entries are all in one.
#[derive(Clone, Default)]
pub(super) struct TimeLeaf(Vec<Due>);

impl TimeLeaf {
    /// Adds an entry; there may be equal ones.
    pub(super) fn insert(&mut self, due: Due) {
        let needed = self.0.len() + 1;
        if needed > self.0.capacity() {
            self.0.reserve_exact(needed.div_ceil(8) + 1);
        }
        self.0.insert(self.count_before(due), due);
    }

    /// Removes one of the entries that are equal to this one.
    pub(super) fn take(&mut self, due: Due) {
        let place = self.count_before(due);
        if self.0.get(place) == Some(&due) {
            self.remove(place..place + 1);
        }
    }

    /// How many entries come before this one.
    pub(super) fn count_before(&self, due: Due) -> usize {
        self.0.partition_point(|own| *own < due)
    }

    /// The first entry.
    pub(super) fn first(&self) -> Option<Due> {
        self.0.first().copied()
    }

    /// The place nearest to the middle at which another entry begins.
    fn middle(&self) -> usize {
        let half = self.0[self.0.len() / 2];
        match self.count_before(half) {
            0 => self.0.partition_point(|own| *own <= half),
            before => before,
        }
    }
}

impl Leaf for TimeLeaf {
    /// The first entry of the right leaf.
    type Separator = Due;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Due>()
    }

    fn is_over(&self) -> bool {
        self.0.len() > ENTRIES_MAX && self.0.first() != self.0.last()
    }

    fn is_under(&self) -> bool {
        self.0.len() < ENTRIES_MAX / 4
    }

    fn fits(&self, right: &Self) -> bool {
        self.0.len() + right.0.len() <= ENTRIES_MAX * 3 / 4
    }

    /// Later times come later, so the last leaf keeps most of its entries where it is split at the end.
    fn split(&mut self, at: SplitAt) -> (Due, Self) {
        let last = self.0.len() - 1;
        let at = match at {
            SplitAt::End if self.0[last - 1] != self.0[last] => last,
            _ => self.middle(),
        };
        let right = self.0.split_off(at);
        self.0.shrink_to_fit();
        (right[0], TimeLeaf(right))
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
