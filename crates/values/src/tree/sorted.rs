//! A set of items in the order of their keys, as a tree: found by key, walked in order, cloned in no time.

use std::cmp::Ordering;
use std::ops::Range;

use super::{Leaf, SplitAt, Tree};

/// An item of a sorted set.
pub(crate) trait Item: Clone {
    /// What separates runs of items.
    type Key: Clone;
    /// What items are looked up by.
    type Wanted: ?Sized;

    /// Items of a run, at most.
    const RUN_MAX: usize;

    /// Its key.
    fn key(&self) -> Self::Key;

    /// How a key compares with a wanted one.
    fn compare(key: &Self::Key, wanted: &Self::Wanted) -> Ordering;

    /// How the item's key compares with a wanted one.
    fn order(&self, wanted: &Self::Wanted) -> Ordering;

    /// Bytes of memory behind it.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// The set.
#[derive(Clone)]
pub(crate) struct Sorted<T: Item>(Tree<Run<T>>);

/// A leaf: items in order.
#[derive(Clone)]
struct Run<T>(Vec<T>);

impl<T> Default for Run<T> {
    fn default() -> Self {
        Run(Vec::new())
    }
}

impl<T: Item> Leaf for Run<T> {
    type Separator = T::Key;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<T>() + self.0.iter().map(Item::heap_bytes).sum::<usize>()
    }

    fn is_over(&self) -> bool {
        self.0.len() > T::RUN_MAX
    }

    fn is_under(&self) -> bool {
        self.0.len() < T::RUN_MAX / 4
    }

    fn fits(&self, right: &Self) -> bool {
        self.0.len() + right.0.len() <= T::RUN_MAX * 3 / 4
    }

    fn split(&mut self, at: SplitAt) -> (T::Key, Self) {
        let from = match at {
            SplitAt::End => self.0.len() - 1,
            SplitAt::Start => 1,
            SplitAt::Middle => self.0.len() / 2,
        };
        let right = self.0.split_off(from);
        self.0.shrink_to_fit();
        (right[0].key(), Run(right))
    }

    fn join(&mut self, right: Self) {
        self.0.extend(right.0);
    }

    fn remove(&mut self, range: Range<usize>) {
        self.0.drain(range);
    }
}

impl<T: Item> Run<T> {
    fn find(&self, wanted: &T::Wanted) -> Result<usize, usize> {
        self.0.binary_search_by(|item| item.order(wanted))
    }
}

impl<T: Item> Default for Sorted<T> {
    fn default() -> Self {
        Sorted(Tree::default())
    }
}

impl<T: Item> Sorted<T> {
    /// Number of items.
    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    /// Bytes of memory behind it.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }

    /// The item with this key.
    pub(crate) fn get(&self, wanted: &T::Wanted) -> Option<&T> {
        let run = self.0.find(reached::<T>(wanted));
        run.find(wanted).ok().map(|at| &run.0[at])
    }

    /// The last item.
    pub(crate) fn last(&self) -> Option<&T> {
        self.0.at(self.0.len()).leaf.0.last()
    }

    /// Adds an item whose key is this one, or puts it in the place of the one that has it already.
    pub(crate) fn put(&mut self, wanted: &T::Wanted, item: T) {
        self.0.edit_found(reached::<T>(wanted), |run| match run.find(wanted) {
            Ok(at) => run.0[at] = item,
            Err(at) => run.0.insert(at, item),
        });
    }

    /// Changes the item with this key, which it keeps; gives what the change gives.
    pub(crate) fn edit<R>(&mut self, wanted: &T::Wanted, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.get(wanted)?;
        self.0.edit_found(reached::<T>(wanted), |run| {
            let at = run.find(wanted).ok()?;
            Some(change(&mut run.0[at]))
        })
    }

    /// Removes the item with this key.
    pub(crate) fn remove(&mut self, wanted: &T::Wanted) -> Option<T> {
        self.get(wanted)?;
        self.0.edit_found(reached::<T>(wanted), |run| run.find(wanted).ok().map(|at| run.0.remove(at)))
    }

    /// All items, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.leaves_from(0).flat_map(|found| &found.leaf.0)
    }

    /// The items from a key on, in order.
    pub(crate) fn iter_from<'s>(&'s self, wanted: &T::Wanted) -> impl Iterator<Item = &'s T> + use<'s, T> {
        let found = self.0.find_ranked(reached::<T>(wanted));
        let rank = found.start + found.leaf.find(wanted).unwrap_or_else(|at| at) as u64;
        self.0.leaves_from(rank).flat_map(move |found| &found.leaf.0[rank.saturating_sub(found.start) as usize..])
    }
}

/// Whether a run begins at a key or before it.
fn reached<T: Item>(wanted: &T::Wanted) -> impl Fn(&T::Key) -> bool {
    move |key| T::compare(key, wanted) != Ordering::Greater
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Pair(u16, u32);

    impl Item for Pair {
        type Key = u16;
        type Wanted = u16;

        const RUN_MAX: usize = 5;

        fn key(&self) -> u16 {
            self.0
        }

        fn compare(key: &u16, wanted: &u16) -> Ordering {
            key.cmp(wanted)
        }

        fn order(&self, wanted: &u16) -> Ordering {
            self.0.cmp(wanted)
        }
    }

    fn pairs<'t>(items: impl Iterator<Item = &'t Pair>) -> Vec<(u16, u32)> {
        items.map(|pair| (pair.0, pair.1)).collect()
    }

    proptest! {
        #[test]
        fn as_a_map_would_do(steps in proptest::collection::vec((0u8..4, 0u16..400, any::<u32>()), 0..1500)) {
            let (mut set, mut twin) = (Sorted::default(), BTreeMap::new());
            let mut kept = None;
            for (step, key, value) in steps {
                match step {
                    0 | 1 => {
                        set.put(&key, Pair(key, value));
                        twin.insert(key, value);
                    }
                    2 => prop_assert_eq!(set.remove(&key).map(|pair| pair.1), twin.remove(&key)),
                    _ => {
                        let seen = set.edit(&key, |pair| std::mem::replace(&mut pair.1, value));
                        prop_assert_eq!(seen, twin.get_mut(&key).map(|old| std::mem::replace(old, value)));
                        kept.get_or_insert((set.clone(), twin.clone()));
                    }
                }
                prop_assert_eq!(set.get(&key).map(|pair| pair.1), twin.get(&key).copied());
                prop_assert_eq!(set.len(), twin.len() as u64);
            }
            for (set, twin) in kept.into_iter().chain([(set, twin)]) {
                prop_assert_eq!(pairs(set.iter()), twin.iter().map(|(k, v)| (*k, *v)).collect::<Vec<_>>());
                prop_assert_eq!(set.last().map(|pair| pair.0), twin.keys().next_back().copied());
                for key in (0..400).step_by(37) {
                    let tail: Vec<_> = twin.range(key..).map(|(k, v)| (*k, *v)).collect();
                    prop_assert_eq!(pairs(set.iter_from(&key)), tail);
                }
            }
        }
    }
}
