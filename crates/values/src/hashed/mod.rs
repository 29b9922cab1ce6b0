//! Elements with a name in the order of the hash of that name: what large sets and hashes are. A name is found by its
//! hash, an element by its rank, and a scan goes from hash to hash, so what is there from its begin to its end is visited
//! exactly once, however the rest changes.

mod follower;
mod gathered;
mod in_order;
mod index;
mod leaf;

use smallvec::SmallVec;

use crate::ahead::Fetch;
use crate::hash::MemberHasher;
use crate::text::Str;
use crate::tree::ahead::SEARCHES;
use crate::tree::{Leaf as _, Tree};

pub(crate) use follower::Follower;
pub(crate) use gathered::Gathered;
use in_order::InOrder;
use leaf::HashLeaf;
pub(crate) use leaf::{Beside, Element, Nothing, Text};

/// Elements in the order of hashes.
#[derive(Clone)]
pub(crate) struct Hashed<B: Beside> {
    tree: Tree<HashLeaf<B>>,
    hasher: MemberHasher,
}

impl<B: Beside> Hashed<B> {
    /// No elements; they will be hashed under this seed.
    pub(crate) fn new(seed: u64) -> Hashed<B> {
        Hashed { tree: Tree::default(), hasher: MemberHasher::new(seed) }
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> u64 {
        self.tree.len()
    }

    /// Bytes of memory behind it.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.tree.heap_bytes()
    }

    /// The hash by which a name is found.
    pub(crate) fn hash_of(&self, name: Str<'_>) -> u32 {
        self.hasher.hash_text(name)
    }

    /// The elements whose names have this hash.
    pub(crate) fn with_hash(&self, hash: u32) -> impl Iterator<Item = Element<'_, B>> {
        let elements = self.tree.find(|begin| *begin <= hash).elements_at(hash);
        elements.take_while(move |(own, _)| *own == hash).map(|(_, element)| element)
    }

    /// Asks for what looking for these names will touch.
    pub(crate) fn fetch_ahead<'n>(&self, names: impl Iterator<Item = Str<'n>>, fetch: impl Fetch) {
        let hashes: SmallVec<[u32; SEARCHES]> = names.map(|name| self.hasher.hash_text(name)).collect();
        let leaves = self.tree.find_ahead(&hashes, |hash, begin| begin <= hash, fetch);
        leaves.iter().for_each(|leaf| leaf.fetch_index(fetch));
        hashes.iter().zip(&leaves).for_each(|(hash, leaf)| leaf.fetch_element(*hash, fetch));
    }

    /// What stands beside a name.
    pub(crate) fn get(&self, name: Str<'_>) -> Option<B::Of<'_>> {
        let hash = self.hasher.hash_text(name);
        self.tree.find(|begin| *begin <= hash).get(hash, name)
    }

    /// Adds an element, or changes what stands beside its name; tells whether it is new.
    pub(crate) fn insert(&mut self, name: Str<'_>, beside: B::Of<'_>) -> bool {
        let hash = self.hasher.hash_text(name);
        self.tree.edit_found(|begin| *begin <= hash, |leaf| leaf.insert(hash, name, beside))
    }

    /// Removes the element with this name; tells whether it was there.
    pub(crate) fn remove(&mut self, name: Str<'_>) -> bool {
        let hash = self.hasher.hash_text(name);
        self.tree.edit_found(|begin| *begin <= hash, |leaf| leaf.take(hash, name))
    }

    /// The element of a rank.
    pub(crate) fn at(&self, rank: u64) -> Option<Element<'_, B>> {
        (rank < self.len()).then(|| {
            let found = self.tree.at(rank);
            found.leaf.element((rank - found.start) as usize)
        })
    }

    /// Removes the element of a rank, if there is one.
    pub(crate) fn remove_at(&mut self, rank: u64) {
        self.tree.remove_range(rank..rank.saturating_add(1));
    }

    /// The elements from a rank on.
    pub(crate) fn iter_from(&self, rank: u64) -> impl Iterator<Item = Element<'_, B>> {
        self.tree.leaves_from(rank).flat_map(move |found| {
            let from = rank.saturating_sub(found.start) as usize;
            found.leaf.elements(from.min(found.leaf.len()))
        })
    }

    /// All elements with the hashes of their names, in that order.
    pub(crate) fn iter_hashed(&self) -> impl Iterator<Item = (u32, Element<'_, B>)> {
        self.tree.leaves_from(0).flat_map(|found| found.leaf.elements_at(0))
    }

    /// The elements of both; of two with one name the own one. Both must be hashed under the same seed.
    pub(crate) fn merged(&self, other: &Hashed<B>) -> Hashed<B> {
        let (mut own, mut others) = (self.raw_elements().peekable(), other.raw_elements().peekable());
        let mut merged = InOrder::default();
        loop {
            match (own.peek(), others.peek()) {
                (Some((hash, _)), Some((others_hash, _))) if hash > others_hash => {}
                (None, Some(_)) => {}
                (Some((hash, element)), _) => {
                    merged.push(*hash, element);
                    own.next();
                    continue;
                }
                (None, None) => break,
            }
            // The own ones with this hash are there by now.
            if let Some((hash, element)) = others.next()
                && !merged.holds(hash, element)
            {
                merged.push(hash, element);
            }
        }
        Hashed { tree: merged.into_tree(), hasher: self.hasher.clone() }
    }

    /// All elements as they lie in memory, with the hashes of their names.
    fn raw_elements(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.tree.leaves_from(0).flat_map(|found| found.leaf.raw_elements())
    }

    /// Visits elements from a cursor on, `count` of them and then those that have the last one's hash as well. Gives the
    /// cursor to go on with, 0 at the end; 0 is also where to begin.
    pub(crate) fn scan<'s>(&'s self, cursor: u64, count: usize, mut visit: impl FnMut(Element<'s, B>)) -> u64 {
        let Ok(begin) = u32::try_from(cursor) else { return 0 };
        let start = self.tree.find_ranked(|separator| *separator <= begin).start;
        let mut last = None;
        let elements = self.tree.leaves_from(start).flat_map(|found| found.leaf.elements_at(begin));
        for (visited, (hash, element)) in elements.enumerate() {
            if visited >= count.max(1) && last != Some(hash) {
                return u64::from(hash);
            }
            visit(element);
            last = Some(hash);
        }
        0
    }
}

#[cfg(test)]
mod tests;
