//! Changing one leaf, and what follows for the nodes above it: counts, splits, joins, a higher or a lower root.

use std::mem::{replace, take};
use std::ops::Range;

use triomphe::Arc;

use super::node::{CHILDREN_MAX, Inner, Node, node_bytes};
use super::{Leaf, SplitAt, Tree};

/// Nodes to be put to the right of another, in order, each with where it begins.
pub(super) type Right<L> = Vec<(<L as Leaf>::Separator, Arc<Node<L>>)>;

/// What changed below a node, for the node above it.
struct Change<L: Leaf> {
    /// Elements more or less, those of `right` included.
    len: i64,
    /// Bytes of memory more or less, those of `right` included.
    bytes: isize,
    right: Right<L>,
}

/// Which ends of the tree a node lies at.
#[derive(Clone, Copy)]
struct Ends {
    first: bool,
    last: bool,
}

impl Ends {
    fn of_child(self, child: usize, children: usize) -> Ends {
        Ends { first: self.first && child == 0, last: self.last && child + 1 == children }
    }

    fn split_at(self) -> SplitAt {
        match self {
            Ends { last: true, .. } => SplitAt::End,
            Ends { first: true, .. } => SplitAt::Start,
            _ => SplitAt::Middle,
        }
    }
}

/// Leaves that an edit hands over, to stand to the right of the one it edited.
type NewLeaves<L> = Vec<(<L as Leaf>::Separator, L)>;

impl<L: Leaf> Tree<L> {
    /// Changes the leaf that [`Tree::at`] would give. `edit` is also told the rank at which the leaf begins.
    pub(crate) fn edit_at<R>(&mut self, rank: u64, edit: impl FnOnce(&mut L, u64) -> R) -> R {
        let mut start = 0;
        self.edit_chosen(
            |inner| {
                let (child, before) = inner.child_at(rank - start);
                start += before;
                (child, start)
            },
            |leaf, start, _| edit(leaf, start),
        )
    }

    /// Changes the leaf that [`Tree::find`] would give.
    pub(crate) fn edit_found<R>(
        &mut self,
        reached: impl Fn(&L::Separator) -> bool,
        edit: impl FnOnce(&mut L) -> R,
    ) -> R {
        self.edit_chosen(|inner| (inner.child_by(&reached), 0), |leaf, _, _| edit(leaf))
    }

    /// Puts a whole leaf behind the last one. An empty one is ignored.
    pub(crate) fn push_leaf(&mut self, separator: L::Separator, new: L) {
        if new.len() == 0 {
            return;
        }
        self.edit_chosen(
            |inner| (inner.children.len() - 1, 0),
            |last, _, right| {
                if last.len() == 0 {
                    *last = new;
                } else {
                    right.push((separator, new));
                }
            },
        );
    }

    /// Removes the elements of these ranks; ranks beyond the end are ignored.
    pub(crate) fn remove_range(&mut self, range: Range<u64>) {
        if range.start == 0 && range.end >= self.len {
            *self = Tree::default();
            return;
        }
        let mut left = range.end.min(self.len).saturating_sub(range.start);
        while left > 0 {
            left -= self.edit_at(range.start, |leaf, start| {
                let from = (range.start - start) as usize;
                let to = leaf.len().min(from.saturating_add(left as usize));
                if (from, to) == (0, leaf.len()) {
                    *leaf = L::default();
                } else {
                    leaf.remove(from..to);
                }
                (to - from) as u64
            });
        }
    }

    fn edit_chosen<R>(
        &mut self,
        mut choose: impl FnMut(&Inner<L>) -> (usize, u64),
        edit: impl FnOnce(&mut L, u64, &mut NewLeaves<L>) -> R,
    ) -> R {
        let mut change = Change { len: 0, bytes: 0, right: Vec::new() };
        let ends = Ends { first: true, last: true };
        let out = edit_node(&mut self.root, ends, 0, &mut choose, edit, &mut change);
        self.len = self.len.wrapping_add_signed(change.len);
        self.heap_bytes = self.heap_bytes.wrapping_add_signed(change.bytes);
        self.raise_root(change.right);
        self.lower_root();
        out
    }

    /// Puts what was split off the root, together with it, under a new one.
    fn raise_root(&mut self, mut right: Right<L>) {
        while !right.is_empty() {
            let mut inner = Inner::with_room();
            inner.counts.push(self.len);
            inner.children.push(replace(&mut self.root, Arc::new(Node::Leaf(L::default()))));
            inner.take_in(0, take(&mut right));
            let root = Arc::make_mut(&mut self.root);
            *root = Node::Inner(inner);
            split_inner(root, SplitAt::Middle, &mut right);
            self.heap_bytes += node_bytes(root) + bytes_of(&right);
        }
    }

    /// Takes roots with one child away.
    fn lower_root(&mut self) {
        while let Node::Inner(inner) = &*self.root
            && inner.children.len() <= 1
        {
            self.heap_bytes -= node_bytes(&self.root);
            match inner.children.first() {
                Some(child) => self.root = child.clone(),
                None => *self = Tree::default(),
            }
        }
    }
}

/// Edits a leaf below `node`; gives what the edit gave.
fn edit_node<L: Leaf, R>(
    node: &mut Arc<Node<L>>,
    ends: Ends,
    start: u64,
    choose: &mut impl FnMut(&Inner<L>) -> (usize, u64),
    edit: impl FnOnce(&mut L, u64, &mut NewLeaves<L>) -> R,
    change: &mut Change<L>,
) -> R {
    match unshared(node, &mut change.bytes) {
        Node::Leaf(leaf) => edit_leaf(leaf, ends, start, edit, change),
        Node::Inner(inner) => {
            let (child, start) = choose(inner);
            let ends_of_child = ends.of_child(child, inner.children.len());
            let out = edit_node(&mut inner.children[child], ends_of_child, start, choose, edit, change);
            inner.counts[child] = inner.counts[child].wrapping_add_signed(change.len);
            let is_small = change.len < 0 && (inner.counts[child] == 0 || inner.children[child].is_under());
            if is_small || !change.right.is_empty() {
                settle_child(node, child, ends, change);
            }
            out
        }
    }
}

fn edit_leaf<L: Leaf, R>(
    leaf: &mut L,
    ends: Ends,
    start: u64,
    edit: impl FnOnce(&mut L, u64, &mut NewLeaves<L>) -> R,
    change: &mut Change<L>,
) -> R {
    let (len, bytes) = (leaf.len(), leaf.heap_bytes());
    let mut new = Vec::new();
    let out = edit(leaf, start, &mut new);
    change.len = leaf.len() as i64 - len as i64;
    split_leaf(leaf, ends.split_at(), &mut change.right);
    for (separator, mut leaf) in new {
        change.len += leaf.len() as i64;
        let mut right = Vec::new();
        split_leaf(&mut leaf, SplitAt::Middle, &mut right);
        change.right.push((separator, Arc::new(Node::Leaf(leaf))));
        change.right.append(&mut right);
    }
    change.bytes += leaf.heap_bytes() as isize - bytes as isize + bytes_of(&change.right) as isize;
    out
}

/// Takes in what was split off from a child, or removes or joins one that became small.
fn settle_child<L: Leaf>(node: &mut Arc<Node<L>>, child: usize, ends: Ends, change: &mut Change<L>) {
    let before = node_bytes(node);
    let node = Arc::get_mut(node).expect("it was made ours on the way down");
    let Node::Inner(inner) = node else { return };
    let right = take(&mut change.right);
    if right.is_empty() {
        change.bytes += shrink_child(inner, child);
    } else {
        inner.take_in(child, right);
        split_inner(node, ends.split_at(), &mut change.right);
    }
    change.bytes += node_bytes(node) as isize - before as isize + bytes_of(&change.right) as isize;
}

/// Removes an empty child, or joins a small one with a neighbour; gives the bytes of children that went or came.
fn shrink_child<L: Leaf>(inner: &mut Inner<L>, child: usize) -> isize {
    if inner.counts[child] == 0 {
        let bytes = inner.children[child].deep_bytes() as isize;
        inner.remove_child(child);
        return -bytes;
    }
    let pairs = [child.checked_sub(1), Some(child).filter(|c| c + 1 < inner.children.len())];
    let fitting = pairs.into_iter().flatten().find(|left| inner.children[*left].fits(&inner.children[left + 1]));
    fitting.map_or(0, |left| join_children(inner, left))
}

/// Joins two neighbours; gives the bytes that they take more or less than before.
fn join_children<L: Leaf>(inner: &mut Inner<L>, left: usize) -> isize {
    let before = (node_bytes(&inner.children[left]) + node_bytes(&inner.children[left + 1])) as isize;
    let count = inner.counts.remove(left + 1);
    inner.counts[left] += count;
    let separator = inner.separators.remove(left);
    // Elements of the right node move without a copy where nobody else holds it.
    let right = inner.children.remove(left + 1);
    let right = Arc::try_unwrap(right).unwrap_or_else(|shared| Node::clone(&shared));
    match (unshared(&mut inner.children[left], &mut 0), right) {
        (Node::Leaf(to), Node::Leaf(right)) => to.join(right),
        (Node::Inner(to), Node::Inner(right)) => {
            to.separators.push(separator);
            to.separators.extend(right.separators);
            to.children.extend(right.children);
            to.counts.extend(right.counts);
        }
        _ => unreachable!("all children of a node are equally deep"),
    }
    node_bytes(&inner.children[left]) as isize - before
}

/// The node for change, copied first if somebody else holds it too.
fn unshared<'n, L: Leaf>(node: &'n mut Arc<Node<L>>, bytes: &mut isize) -> &'n mut Node<L> {
    if !node.is_unique() {
        let copy = Node::clone(node);
        *bytes += node_bytes(&copy) as isize - node_bytes(node) as isize;
        *node = Arc::new(copy);
    }
    Arc::get_mut(node).expect("nobody else holds it")
}

/// Splits a leaf until no part is too large.
pub(super) fn split_leaf<L: Leaf>(leaf: &mut L, at: SplitAt, right: &mut Right<L>) {
    if !leaf.is_over() {
        return;
    }
    let (separator, mut split_off) = leaf.split(at);
    split_leaf(leaf, SplitAt::Middle, right);
    let mut further = Vec::new();
    split_leaf(&mut split_off, SplitAt::Middle, &mut further);
    right.push((separator, Arc::new(Node::Leaf(split_off))));
    right.append(&mut further);
}

/// Splits an inner node until no part has too many children.
fn split_inner<L: Leaf>(node: &mut Node<L>, at: SplitAt, right: &mut Right<L>) {
    let Node::Inner(inner) = node else { return };
    while inner.children.len() > CHILDREN_MAX {
        let count = inner.children.len();
        let few = CHILDREN_MAX / 8;
        let from = match at {
            SplitAt::End if count <= CHILDREN_MAX + few => count - few,
            SplitAt::Start if count <= CHILDREN_MAX + few => few,
            _ => count - CHILDREN_MAX / 2,
        };
        let mut split_off = Inner::with_room();
        split_off.children.extend(inner.children.drain(from..));
        split_off.counts.extend(inner.counts.drain(from..));
        split_off.separators.extend(inner.separators.drain(from..));
        let separator = inner.separators.pop().expect("there is one before every child but the first");
        right.insert(0, (separator, Arc::new(Node::Inner(split_off))));
    }
}

fn bytes_of<L: Leaf>(nodes: &Right<L>) -> usize {
    nodes.iter().map(|(_, node)| node_bytes(node)).sum()
}
