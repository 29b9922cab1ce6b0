//! Looking for many names in the order of their hashes: each leaf is looked for once, and walked once.

use super::Hashed;
use super::leaf::{Beside, HashLeaf};
use crate::text::Str;
use crate::tree::Leaf as _;

/// Follows hashes through elements.
pub(crate) struct Follower<'a, B: Beside> {
    elements: &'a Hashed<B>,
    leaf: &'a HashLeaf<B>,
    /// The first element of the leaf whose hash is not below the last one that was asked for.
    at: usize,
}

impl<'a, B: Beside> Follower<'a, B> {
    /// Begins before all hashes.
    pub(crate) fn new(elements: &'a Hashed<B>) -> Follower<'a, B> {
        Follower { elements, leaf: elements.tree.at(0).leaf, at: 0 }
    }

    /// Whether there is an element with this name, whose hash must not be below the last one that was asked for.
    pub(crate) fn holds(&mut self, hash: u32, name: Str<'_>) -> bool {
        let is_beyond = |leaf: &HashLeaf<B>| leaf.hash(leaf.len().wrapping_sub(1)).is_some_and(|last| last < hash);
        if is_beyond(self.leaf) {
            self.leaf = self.elements.tree.find(|begin| *begin <= hash);
            self.at = self.leaf.first(hash);
        }
        while self.leaf.hash(self.at).is_some_and(|own| own < hash) {
            self.at += 1;
        }
        (self.at..).take_while(|at| self.leaf.hash(*at) == Some(hash)).any(|at| self.leaf.element(at).0 == name)
    }
}
