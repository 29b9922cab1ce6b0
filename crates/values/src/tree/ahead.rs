//! Many searches at once: all of them go down level by level, and what a level needs is asked for while the others go.

use smallvec::SmallVec;

use super::node::Node;
use super::{Leaf, Tree};
use crate::ahead::{Fetch, fetch_all};

/// Searches that are followed without memory of their own.
pub(crate) const SEARCHES: usize = 64;

/// The leaves that searches lead to, in their order.
pub(crate) type Leaves<'t, L> = SmallVec<[&'t L; SEARCHES]>;

impl<L: Leaf> Tree<L> {
    /// The leaves that [`Tree::find`] would give for each search, themselves asked for but not looked at yet.
    pub(crate) fn find_ahead<S>(
        &self,
        searches: &[S],
        reached: impl Fn(&S, &L::Separator) -> bool,
        fetch: impl Fetch,
    ) -> Leaves<'_, L> {
        let mut nodes: SmallVec<[&Node<L>; SEARCHES]> = searches.iter().map(|_| &*self.root).collect();
        // All leaves are equally deep, so what the first node is, all are.
        while let Some(Node::Inner(_)) = nodes.first() {
            for (node, search) in nodes.iter_mut().zip(searches) {
                if let Node::Inner(inner) = node {
                    let child = inner.child_by(|separator| reached(search, separator));
                    fetch_all(&inner.counts[child], fetch);
                    *node = inner.child(child);
                    fetch_all(*node, fetch);
                }
            }
        }
        nodes.iter().filter_map(|node| if let Node::Leaf(leaf) = node { Some(leaf) } else { None }).collect()
    }
}
