//! Nodes of a tree, and the choice among the children of one.

use std::mem::size_of;

use triomphe::Arc;

use super::Leaf;

/// Children of an inner node, at most, between changes.
pub(super) const CHILDREN_MAX: usize = 64;
/// An inner node with fewer children is joined with a neighbour where the two fit into one.
pub(super) const CHILDREN_FEW: usize = 24;

/// A node.
#[derive(Clone)]
pub(super) enum Node<L: Leaf> {
    /// Elements.
    Leaf(L),
    /// Nodes that are all equally deep.
    Inner(Inner<L>),
}

/// A node above others.
#[derive(Clone)]
pub(super) struct Inner<L: Leaf> {
    /// Where each child but the first begins.
    pub(super) separators: Vec<L::Separator>,
    pub(super) children: Vec<Arc<Node<L>>>,
    /// Elements below each child.
    pub(super) counts: Vec<u64>,
}

impl<L: Leaf> Node<L> {
    /// Elements below it.
    pub(super) fn len(&self) -> u64 {
        match self {
            Node::Leaf(leaf) => leaf.len() as u64,
            Node::Inner(inner) => inner.counts.iter().sum(),
        }
    }

    pub(super) fn is_under(&self) -> bool {
        match self {
            Node::Leaf(leaf) => leaf.is_under(),
            Node::Inner(inner) => inner.children.len() < CHILDREN_FEW,
        }
    }

    /// Whether this node and its right neighbour may become one.
    pub(super) fn fits(&self, right: &Self) -> bool {
        match (self, right) {
            (Node::Leaf(left), Node::Leaf(right)) => left.fits(right),
            (Node::Inner(left), Node::Inner(right)) => left.children.len() + right.children.len() <= CHILDREN_MAX,
            _ => false,
        }
    }

    /// Bytes of memory of this node and all below it.
    pub(super) fn deep_bytes(&self) -> usize {
        let below = match self {
            Node::Leaf(_) => 0,
            Node::Inner(inner) => inner.children.iter().map(|child| child.deep_bytes()).sum(),
        };
        node_bytes(self) + below
    }
}

/// Bytes of memory that a node itself takes, with its count of references.
pub(super) fn node_bytes<L: Leaf>(node: &Node<L>) -> usize {
    let own = size_of::<usize>() + size_of::<Node<L>>();
    own + match node {
        Node::Leaf(leaf) => leaf.heap_bytes(),
        Node::Inner(inner) => inner.heap_bytes(),
    }
}

impl<L: Leaf> Inner<L> {
    /// A node with room for as many children as it may have.
    pub(super) fn with_room() -> Inner<L> {
        Inner {
            separators: Vec::with_capacity(CHILDREN_MAX),
            children: Vec::with_capacity(CHILDREN_MAX + 1),
            counts: Vec::with_capacity(CHILDREN_MAX + 1),
        }
    }

    pub(super) fn child(&self, at: usize) -> &Node<L> {
        &self.children[at]
    }

    /// The child with the element of this rank, or the last one, and how many elements are before that child.
    pub(super) fn child_at(&self, rank: u64) -> (usize, u64) {
        let mut before = 0;
        let last = self.counts.len() - 1;
        for (i, count) in self.counts[..last].iter().enumerate() {
            if rank < before + count {
                return (i, before);
            }
            before += count;
        }
        (last, before)
    }

    /// The last child whose separator was reached.
    pub(super) fn child_by(&self, reached: impl Fn(&L::Separator) -> bool) -> usize {
        self.separators.partition_point(reached)
    }

    pub(super) fn count_before(&self, child: usize) -> u64 {
        self.counts[..child].iter().sum()
    }

    fn heap_bytes(&self) -> usize {
        self.children.capacity() * size_of::<usize>()
            + self.counts.capacity() * size_of::<u64>()
            + self.separators.capacity() * size_of::<L::Separator>()
            + self.separators.iter().map(L::separator_heap_bytes).sum::<usize>()
    }

    /// Puts nodes whose elements the child's count includes to the right of it.
    pub(super) fn take_in(&mut self, child: usize, right: Vec<(L::Separator, Arc<Node<L>>)>) {
        for (i, (separator, node)) in right.into_iter().enumerate() {
            let len = node.len();
            self.counts[child] -= len;
            self.separators.insert(child + i, separator);
            self.counts.insert(child + 1 + i, len);
            self.children.insert(child + 1 + i, node);
        }
    }

    /// Takes a child out, with a separator that is not needed any more.
    pub(super) fn remove_child(&mut self, at: usize) {
        self.children.remove(at);
        self.counts.remove(at);
        if !self.separators.is_empty() {
            self.separators.remove(at.saturating_sub(1));
        }
    }
}
