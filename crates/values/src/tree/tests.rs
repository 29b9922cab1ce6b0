//! The tree against a sorted vector, with its invariants checked node by node.

use proptest::prelude::*;

use super::node::{CHILDREN_MAX, node_bytes};
use super::*;

/// Numbers in ascending order, six a leaf at most.
#[derive(Clone, Default, Debug)]
struct Numbers(Vec<u32>);

impl Leaf for Numbers {
    type Separator = u32;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn heap_bytes(&self) -> usize {
        self.0.capacity() * 4
    }

    fn is_over(&self) -> bool {
        self.0.len() > 6
    }

    fn is_under(&self) -> bool {
        self.0.len() < 3
    }

    fn fits(&self, right: &Self) -> bool {
        self.0.len() + right.0.len() < 6
    }

    fn split(&mut self, at: SplitAt) -> (u32, Self) {
        let from = match at {
            SplitAt::Middle => self.0.len() / 2,
            SplitAt::End => self.0.len() - 1,
            SplitAt::Start => 1,
        };
        let right = self.0.split_off(from);
        (right[0], Numbers(right))
    }

    fn join(&mut self, right: Self) {
        self.0.extend(right.0);
    }

    fn remove(&mut self, range: std::ops::Range<usize>) {
        self.0.drain(range);
    }
}

/// Checks the invariants below a node; gives its depth.
fn check(node: &Node<Numbers>, is_root: bool) -> usize {
    match node {
        Node::Leaf(leaf) => {
            assert!(is_root || leaf.len() > 0, "an empty leaf");
            assert!(!leaf.is_over());
            0
        }
        Node::Inner(inner) => {
            let count = inner.children.len();
            assert!(count <= CHILDREN_MAX && count > usize::from(is_root), "{count} children");
            assert_eq!((inner.separators.len() + 1, inner.counts.len()), (count, count));
            let depths: Vec<_> = inner.children.iter().map(|child| check(child, false)).collect();
            assert!(depths.windows(2).all(|pair| pair[0] == pair[1]), "{depths:?}");
            for (child, told) in inner.children.iter().zip(&inner.counts) {
                assert_eq!(child.len(), *told);
            }
            depths[0] + 1
        }
    }
}

fn check_tree(tree: &Tree<Numbers>) {
    check(&tree.root, true);
    assert_eq!(tree.len(), tree.root.len());
    assert_eq!(tree.heap_bytes(), tree.root.deep_bytes());
}

fn numbers(tree: &Tree<Numbers>) -> Vec<u32> {
    tree.leaves_from(0).flat_map(|found| found.leaf.0.clone()).collect()
}

fn insert(tree: &mut Tree<Numbers>, n: u32) {
    tree.edit_found(
        |separator| *separator <= n,
        |leaf| {
            let at = leaf.0.partition_point(|m| *m < n);
            leaf.0.insert(at, n);
        },
    );
}

#[test]
fn ascending_numbers_fill_the_leaves() {
    let mut tree = Tree::default();
    (0..20_000).for_each(|n| insert(&mut tree, n));
    check_tree(&tree);
    assert_eq!(numbers(&tree), (0..20_000).collect::<Vec<_>>());
    let leaves = tree.leaves_from(0).count();
    assert!(leaves < 20_000 / 5, "{leaves} leaves");
    assert!(check(&tree.root, true) <= 3);
    tree.remove_range(5..19_995);
    check_tree(&tree);
    assert_eq!(numbers(&tree), [0, 1, 2, 3, 4, 19_995, 19_996, 19_997, 19_998, 19_999]);
    tree.remove_range(0..u64::MAX);
    check_tree(&tree);
    assert!(tree.len() == 0 && tree.heap_bytes() < node_bytes(&Node::Leaf(Numbers(Vec::with_capacity(9)))));
}

#[test]
fn whole_leaves_are_put_behind() {
    let mut tree = Tree::default();
    for n in 0..3000 {
        tree.push_leaf(n * 9, Numbers((n * 9..n * 9 + n % 9).collect()));
    }
    check_tree(&tree);
    assert_eq!(numbers(&tree), (0..3000).flat_map(|n| n * 9..n * 9 + n % 9).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn a_tree_of_leaves_is_as_one_that_grew(sizes in proptest::collection::vec(0u32..9, 0..900), more in 0u32..20_000) {
        let mut begin = 0;
        let leaves = sizes.iter().map(|size| {
            let leaf = Numbers((begin..begin + size).collect());
            begin += size;
            (begin - size, leaf)
        });
        let mut tree = Tree::of_leaves(leaves);
        check_tree(&tree);
        let mut twin: Vec<u32> = (0..sizes.iter().sum()).collect();
        prop_assert_eq!(numbers(&tree), twin.clone());
        insert(&mut tree, more);
        twin.insert(twin.partition_point(|m| *m < more), more);
        tree.remove_range(u64::from(more) / 9..u64::from(more) / 3);
        twin.drain(twin.len().min(more as usize / 9)..twin.len().min(more as usize / 3));
        check_tree(&tree);
        prop_assert_eq!(numbers(&tree), twin);
    }

    #[test]
    fn a_tree_is_a_sorted_vector(
        steps in proptest::collection::vec((0u8..10, 0u32..5000), 0..900),
        start in 0u32..4000,
    ) {
        let mut tree = Tree::default();
        let mut twin: Vec<u32> = (0..start).map(|n| n * 7 % 5000).collect();
        twin.iter().for_each(|n| insert(&mut tree, *n));
        twin.sort_unstable();
        let mut kept: Option<(Tree<Numbers>, Vec<u32>)> = None;
        for (what, n) in steps {
            match what {
                0..=4 => {
                    insert(&mut tree, n);
                    twin.insert(twin.partition_point(|m| *m < n), n);
                }
                5 | 6 => {
                    let from = u64::from(n) * twin.len() as u64 / 5000;
                    let to = from + u64::from(n % 50) * if n % 7 == 0 { 20 } else { 1 };
                    tree.remove_range(from..to);
                    twin.drain(from as usize..twin.len().min(to as usize));
                }
                7 => kept = Some((tree.clone(), twin.clone())),
                8 => {
                    let found = tree.find_ranked(|separator| *separator < n);
                    prop_assert_eq!(&found.leaf.0, &tree.find(|separator| *separator < n).0);
                    let rank = found.start + found.leaf.0.partition_point(|m| *m < n) as u64;
                    prop_assert_eq!(rank, twin.partition_point(|m| *m < n) as u64);
                }
                _ => {
                    let rank = u64::from(n);
                    let found = tree.at(rank);
                    let got = found.leaf.0.get(rank.wrapping_sub(found.start) as usize).copied();
                    prop_assert_eq!(got, twin.get(n as usize).copied());
                    let back: Vec<u32> = tree
                        .leaves_back_from(rank)
                        .flat_map(|found| found.leaf.0.iter().rev().copied().collect::<Vec<_>>())
                        .collect();
                    let whole_leaves = twin.len().min(found.start as usize + found.leaf.len());
                    prop_assert!(back.iter().eq(twin[..whole_leaves].iter().rev()));
                }
            }
        }
        check_tree(&tree);
        prop_assert_eq!(numbers(&tree), twin);
        if let Some((tree, twin)) = kept {
            check_tree(&tree);
            prop_assert_eq!(numbers(&tree), twin);
        }
    }
}
