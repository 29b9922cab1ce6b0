//! Leaves of a large list: listpacks whose elements are counted.

use std::ops::Range;

use crate::listpack::{Listpack, ListpackRef, Place};
use crate::tree::{Leaf, SplitAt};

/// Bytes of a leaf, at most, if it has more than one element. Changes move half of a leaf, lookups by place walk half of
/// it, and each leaf takes some 70 bytes beside its elements.
const LEAF_BYTES: usize = 2048;
/// Elements of a leaf, at most.
const LEAF_ELEMENTS: usize = 256;

/// A leaf.
#[derive(Clone, Default)]
pub(super) struct ListLeaf {
    pack: Listpack,
    len: usize,
}

impl ListLeaf {
    /// A leaf with these elements.
    pub(super) fn new(pack: Listpack) -> ListLeaf {
        ListLeaf { len: pack.as_ref().len(), pack }
    }

    pub(super) fn pack(&self) -> ListpackRef<'_> {
        self.pack.as_ref()
    }

    /// The place of an element, or the end.
    pub(super) fn place(&self, index: usize) -> Place {
        self.pack().at(index).unwrap_or_else(|| self.pack().end())
    }

    pub(super) fn insert(&mut self, index: usize, text: &[u8]) {
        let place = if index == self.len { self.pack().end() } else { self.place(index) };
        self.pack.insert(place, text);
        self.len += 1;
    }

    pub(super) fn replace(&mut self, index: usize, text: &[u8]) {
        self.pack.replace(self.place(index), text);
    }
}

impl Leaf for ListLeaf {
    type Separator = ();

    fn len(&self) -> usize {
        self.len
    }

    fn heap_bytes(&self) -> usize {
        self.pack.heap_bytes()
    }

    fn is_over(&self) -> bool {
        self.len > 1 && (self.pack().bytes().len() > LEAF_BYTES || self.len > LEAF_ELEMENTS)
    }

    fn is_under(&self) -> bool {
        self.pack().bytes().len() < LEAF_BYTES / 4 && self.len < LEAF_ELEMENTS / 4
    }

    fn fits(&self, right: &Self) -> bool {
        self.pack().bytes().len() + right.pack().bytes().len() <= LEAF_BYTES * 3 / 4
            && self.len + right.len <= LEAF_ELEMENTS * 3 / 4
    }

    fn split(&mut self, at: SplitAt) -> ((), Self) {
        let index = match at {
            SplitAt::End => self.len - 1,
            SplitAt::Start => 1,
            SplitAt::Middle => self.middle(),
        };
        let pack = self.pack.split_off(self.place(index));
        let right = ListLeaf { pack, len: self.len - index };
        self.len = index;
        ((), right)
    }

    fn join(&mut self, right: Self) {
        self.pack.append(right.pack());
        self.len += right.len;
    }

    fn remove(&mut self, range: Range<usize>) {
        self.pack.remove(self.place(range.start), range.len());
        self.len -= range.len();
    }
}

impl ListLeaf {
    /// The element that begins nearest to half of the bytes, but neither the first nor the end.
    fn middle(&self) -> usize {
        let half = Place(self.pack().bytes().len() / 2);
        let before = self.pack().places().take_while(|place| *place <= half).count();
        before.clamp(1, self.len - 1)
    }
}
