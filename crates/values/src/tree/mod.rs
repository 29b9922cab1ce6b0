//! An ordered tree whose leaves are packed runs of elements. It knows how many elements are below each node, so an
//! element is found by rank as well as by order, and its nodes are counted references: cloning a tree costs nothing, and
//! a change copies the nodes on its way only where somebody else still holds them.
//!
//! What an element is, how it is packed and by what it is ordered is the business of the [`Leaf`]. The tree asks leaves
//! when to split and whether two fit into one; between leaves it keeps separators, which say where the right one of two
//! begins.
//!
//! **Invariants.** All leaves are equally deep. No leaf is empty, except that the root may be an empty leaf. An inner node
//! has one separator less than children, and the count of each child; the root has two children at least.

pub(crate) mod ahead;
mod build;
mod edit;
mod node;
mod sorted;

use triomphe::Arc;

use node::Node;
pub(crate) use sorted::{Item, Sorted};

/// A run of elements in a tree.
pub(crate) trait Leaf: Clone + Default {
    /// What says where a leaf begins. Trees that are ordered by place alone need none: `()`.
    type Separator: Clone;

    /// Number of elements.
    fn len(&self) -> usize;

    /// Bytes of memory behind the leaf, its own struct not counted.
    fn heap_bytes(&self) -> usize;

    /// Whether it is to be split. Only leaves of two elements or more may say yes, and what [`Leaf::split`] leaves must
    /// say so less and less.
    fn is_over(&self) -> bool;

    /// Whether it is so small that it should be joined with a neighbour.
    fn is_under(&self) -> bool;

    /// Whether this leaf and its right neighbour make one that is not to be split soon.
    fn fits(&self, right: &Self) -> bool;

    /// Takes the right part off and says where it begins. Both parts have elements.
    fn split(&mut self, at: SplitAt) -> (Self::Separator, Self);

    /// Takes over all elements of the right neighbour.
    fn join(&mut self, right: Self);

    /// Removes elements by their places in the leaf.
    fn remove(&mut self, range: std::ops::Range<usize>);

    /// Bytes of memory behind a separator.
    fn separator_heap_bytes(_: &Self::Separator) -> usize {
        0
    }
}

/// Where a leaf is best split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SplitAt {
    /// In the middle.
    Middle,
    /// Near the right end: it is the last leaf, and more elements may come behind it.
    End,
    /// Near the left end: it is the first leaf, and more elements may come before it.
    Start,
}

/// A tree of leaves.
#[derive(Clone)]
pub(crate) struct Tree<L: Leaf> {
    root: Arc<Node<L>>,
    len: u64,
    heap_bytes: usize,
}

/// A leaf and where it stands.
pub(crate) struct Found<'t, L> {
    /// The leaf.
    pub(crate) leaf: &'t L,
    /// Rank of its first element.
    pub(crate) start: u64,
}

impl<L: Leaf> Default for Tree<L> {
    fn default() -> Self {
        let root = Node::Leaf(L::default());
        Tree { heap_bytes: node::node_bytes(&root), root: Arc::new(root), len: 0 }
    }
}

impl<L: Leaf> Tree<L> {
    /// Number of elements.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of memory of all nodes, shared ones included, the tree's own struct not.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }

    /// The leaf with the element of this rank, or the last leaf where there is no such element.
    pub(crate) fn at(&self, rank: u64) -> Found<'_, L> {
        let mut node = &*self.root;
        let mut start = 0;
        loop {
            match node {
                Node::Leaf(leaf) => return Found { leaf, start },
                Node::Inner(inner) => {
                    let (child, before) = inner.child_at(rank - start);
                    start += before;
                    node = inner.child(child);
                }
            }
        }
    }

    /// The leaf that an order leads to: the last one whose separator `reached` says yes to, or the first. `reached` must
    /// say yes to separators up to some place and no from there on.
    pub(crate) fn find(&self, reached: impl Fn(&L::Separator) -> bool) -> &L {
        let mut node = &*self.root;
        loop {
            match node {
                Node::Leaf(leaf) => return leaf,
                Node::Inner(inner) => node = inner.child(inner.child_by(&reached)),
            }
        }
    }

    /// As [`Tree::find`], with the rank at which the leaf begins.
    pub(crate) fn find_ranked(&self, reached: impl Fn(&L::Separator) -> bool) -> Found<'_, L> {
        let mut node = &*self.root;
        let mut start = 0;
        loop {
            match node {
                Node::Leaf(leaf) => return Found { leaf, start },
                Node::Inner(inner) => {
                    let child = inner.child_by(&reached);
                    start += inner.count_before(child);
                    node = inner.child(child);
                }
            }
        }
    }

    /// The leaves from the one with this rank on, each with the rank of its first element. Nothing where the rank is not
    /// below the length.
    pub(crate) fn leaves_from(&self, rank: u64) -> impl Iterator<Item = Found<'_, L>> {
        let mut next = rank;
        std::iter::from_fn(move || {
            (next < self.len).then(|| {
                let found = self.at(next);
                next = found.start + found.leaf.len() as u64;
                found
            })
        })
    }

    /// The leaves from the one with this rank back to the first.
    pub(crate) fn leaves_back_from(&self, rank: u64) -> impl Iterator<Item = Found<'_, L>> {
        let mut next = (self.len > 0).then(|| rank.min(self.len.saturating_sub(1)));
        std::iter::from_fn(move || {
            let found = self.at(next?);
            next = found.start.checked_sub(1);
            Some(found)
        })
    }
}

#[cfg(test)]
mod tests;
