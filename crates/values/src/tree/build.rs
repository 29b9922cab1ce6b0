//! A whole tree at once, from leaves that are in order: what comes sorted need not be put in one by one.

use triomphe::Arc;

use super::edit::{Right, split_leaf};
use super::node::{CHILDREN_MAX, Inner, Node, node_bytes};
use super::{Leaf, SplitAt, Tree};

impl<L: Leaf> Tree<L> {
    /// The tree of these leaves, each with where it begins; what is said of the first one does not count. Empty leaves are
    /// left out, and those that are too large are split.
    pub(crate) fn of_leaves(leaves: impl IntoIterator<Item = (L::Separator, L)>) -> Tree<L> {
        let mut level: Right<L> = Vec::new();
        for (separator, mut leaf) in leaves {
            if leaf.len() > 0 {
                let mut further = Vec::new();
                split_leaf(&mut leaf, SplitAt::Middle, &mut further);
                level.push((separator, Arc::new(Node::Leaf(leaf))));
                level.append(&mut further);
            }
        }
        let mut heap_bytes = 0;
        loop {
            heap_bytes += level.iter().map(|(_, node)| node_bytes(node)).sum::<usize>();
            if level.len() <= 1 {
                break;
            }
            level = above(level);
        }
        match level.pop() {
            Some((_, root)) => Tree { len: root.len(), root, heap_bytes },
            None => Tree::default(),
        }
    }
}

/// The nodes above these, with about as many children each.
fn above<L: Leaf>(level: Right<L>) -> Right<L> {
    let parents = level.len().div_ceil(CHILDREN_MAX);
    let mut left = level.len();
    let mut children = level.into_iter();
    let of = |nth: usize| {
        let count = left.div_ceil(parents - nth);
        left -= count;
        let (separators, nodes): (Vec<_>, Vec<_>) = children.by_ref().take(count).unzip();
        let mut separators = separators.into_iter();
        let begin = separators.next().expect("a node has children");
        let mut inner = Inner::with_room();
        inner.counts.extend(nodes.iter().map(|node| node.len()));
        inner.children.extend(nodes);
        inner.separators.extend(separators);
        (begin, Arc::new(Node::Inner(inner)))
    };
    (0..parents).map(of).collect()
}
