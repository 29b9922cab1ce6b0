//! Elements that come in the order of hashes, into a tree that is built at once.

use super::leaf::{Beside, HashLeaf};
use crate::listpack::bare;
use crate::tree::Tree;

/// Takes elements in, hash by hash.
pub(super) struct InOrder<B> {
    /// Full leaves, each with its lowest hash.
    leaves: Vec<(u32, HashLeaf<B>)>,
    open: HashLeaf<B>,
    /// The hash of the last element.
    last: Option<u32>,
}

impl<B: Beside> Default for InOrder<B> {
    fn default() -> Self {
        InOrder { leaves: Vec::new(), open: HashLeaf::default(), last: None }
    }
}

impl<B: Beside> InOrder<B> {
    /// Takes an element as it lies elsewhere. Its hash must not be below that of the last one, and its name must be new.
    pub(super) fn push(&mut self, hash: u32, element: &[u8]) {
        debug_assert!(self.last.is_none_or(|last| last <= hash), "elements come in the order of hashes");
        // Equal hashes stay in one leaf.
        if self.last != Some(hash) && self.open.is_full_with(element.len()) {
            self.close();
        }
        self.open.push_raw(hash, element);
        self.last = Some(hash);
    }

    /// Whether an element with the same name is there, whose hash must not be below that of the last one.
    pub(super) fn holds(&self, hash: u32, element: &[u8]) -> bool {
        let name = || bare::read(element, 0).0;
        self.last == Some(hash) && self.open.get(hash, name()).is_some()
    }

    fn close(&mut self) {
        if let Some(begin) = self.open.hash(0) {
            self.leaves.push((begin, self.open.pour_out()));
        }
    }

    /// The tree of all elements.
    pub(super) fn into_tree(mut self) -> Tree<HashLeaf<B>> {
        self.close();
        Tree::of_leaves(self.leaves)
    }
}
