//! Lists: one listpack while they are small, a tree of listpacks ordered by place from there on.

mod leaf;

use std::ops::Range;

use crate::limits::Limits;
use crate::listpack::{Listpack, ListpackRef};
use crate::text::Str;
use crate::tree::{Leaf as _, Tree};
use crate::value::Value;

use leaf::ListLeaf;

/// A list. Ranks count from 0 at the head.
#[derive(Clone)]
pub enum List {
    /// All elements in one listpack.
    Packed(Listpack),
    /// Many elements, or large ones.
    Large(LargeList),
}

/// A list too large for one listpack.
#[derive(Clone, Default)]
pub struct LargeList(Tree<ListLeaf>);

/// A borrowed list.
#[derive(Clone, Copy)]
pub enum ListRef<'a> {
    /// All elements in one listpack.
    Packed(ListpackRef<'a>),
    /// Many elements, or large ones.
    Large(&'a LargeList),
}

impl Default for List {
    fn default() -> Self {
        List::Packed(Listpack::new())
    }
}

impl List {
    /// The list for reading.
    pub fn as_ref(&self) -> ListRef<'_> {
        match self {
            List::Packed(pack) => ListRef::Packed(pack.as_ref()),
            List::Large(large) => ListRef::Large(large),
        }
    }

    /// Number of elements.
    pub fn len(&self) -> u64 {
        self.as_ref().len()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory behind it.
    pub fn heap_bytes(&self) -> usize {
        match self {
            List::Packed(pack) => pack.heap_bytes(),
            List::Large(large) => large.0.heap_bytes(),
        }
    }

    /// Makes ready for so many more elements with so many bytes of text in all. To be called before a command adds them: the
    /// form follows from all of them together (rdb section 10).
    pub fn expect(&mut self, elements: usize, text_bytes: usize, limits: &Limits) {
        if let List::Packed(pack) = self {
            let (len, bytes) = (pack.as_ref().len() + elements, pack.as_ref().bytes().len() + text_bytes);
            if !limits.list_node.admits(len, bytes) {
                *self = List::Large(LargeList::of_pack(std::mem::take(pack)));
            }
        }
    }

    /// Goes back to the packed form where at most half of its limit is used: after elements were made shorter.
    pub fn settle(&mut self, limits: &Limits) {
        let List::Large(large) = self else { return };
        let half = limits.list_node.half();
        if large.0.len() > half.entries as u64 || large.0.heap_bytes() > 2 * half.bytes + 1024 {
            return;
        }
        let mut pack = Listpack::new();
        large.0.leaves_from(0).for_each(|found| pack.append(found.leaf.pack()));
        if half.admits(pack.as_ref().len(), pack.as_ref().bytes().len()) {
            *self = List::Packed(pack);
        }
    }

    /// Adds an element before the one with this rank, or at the end if the rank is the length. [`List::expect`] comes first.
    pub fn insert(&mut self, rank: u64, text: &[u8]) {
        match self {
            List::Packed(pack) => {
                let place = match rank {
                    0 => pack.as_ref().first(),
                    _ if rank == pack.as_ref().len() as u64 => None,
                    _ => pack.as_ref().at(rank as usize),
                };
                pack.insert(place.unwrap_or_else(|| pack.as_ref().end()), text);
            }
            List::Large(large) => large.0.edit_at(rank, |leaf, start| leaf.insert((rank - start) as usize, text)),
        }
    }

    /// Adds an element behind the last one. [`List::expect`] comes first.
    pub fn push_back(&mut self, text: &[u8]) {
        match self {
            List::Packed(pack) => pack.push(text),
            List::Large(large) => {
                let len = large.0.len();
                large.0.edit_at(len, |leaf, _| leaf.insert(leaf.len(), text));
            }
        }
    }

    /// Puts another text in the place of an element that is there. [`List::expect`] comes first.
    pub fn replace(&mut self, rank: u64, text: &[u8]) {
        match self {
            List::Packed(pack) => {
                if let Some(place) = pack.as_ref().at(rank as usize) {
                    pack.replace(place, text);
                }
            }
            List::Large(large) => large.0.edit_at(rank, |leaf, start| leaf.replace((rank - start) as usize, text)),
        }
    }

    /// Removes the elements of these ranks; ranks beyond the end are ignored.
    pub fn remove(&mut self, ranks: Range<u64>, limits: &Limits) {
        match self {
            List::Packed(pack) => {
                if let Some(place) = pack.as_ref().at(ranks.start as usize) {
                    pack.remove(place, usize::try_from(ranks.end - ranks.start).unwrap_or(usize::MAX));
                }
            }
            List::Large(large) => large.0.remove_range(ranks),
        }
        self.settle(limits);
    }

    /// Removes elements with this text, `count` at most, beginning at the end if told so; gives their number.
    pub fn remove_equal(&mut self, text: &[u8], count: u64, from_end: bool, limits: &Limits) -> u64 {
        let wanted = Str::of(text);
        let found = self.as_ref().iter_from(0).filter(|element| *element == wanted).count() as u64;
        let removed = found.min(count);
        if removed == 0 {
            return 0;
        }
        let skipped = if from_end { found - removed } else { 0 };
        let mut seen = 0..found;
        let mut is_chosen = |element: Str<'_>| {
            element == wanted && seen.next().is_some_and(|nth| (skipped..skipped + removed).contains(&nth))
        };
        match self {
            List::Packed(pack) => {
                pack.retain(|element| !is_chosen(element));
            }
            List::Large(large) => {
                let places = (0..).zip(ListRef::Large(large).iter_from(0));
                let mut runs: Vec<Range<u64>> = Vec::new();
                for (rank, _) in places.filter(|(_, element)| is_chosen(*element)) {
                    match runs.last_mut() {
                        Some(run) if run.end == rank => run.end += 1,
                        _ => runs.push(rank..rank + 1),
                    }
                }
                // From the end, so that the ranks before stay what they are.
                runs.into_iter().rev().for_each(|run| large.0.remove_range(run));
            }
        }
        self.settle(limits);
        removed
    }

    /// Adds a whole listpack behind the last element: for loading.
    pub fn append_pack(&mut self, pack: Listpack, limits: &Limits) {
        match self {
            List::Packed(own) if own.as_ref().is_empty() => *own = pack,
            _ => {
                self.expect(pack.as_ref().len(), pack.as_ref().bytes().len(), limits);
                match self {
                    List::Packed(own) => own.append(pack.as_ref()),
                    List::Large(large) => large.0.push_leaf((), ListLeaf::new(pack)),
                }
                return;
            }
        }
        self.expect(0, 0, limits);
    }
}

impl LargeList {
    fn of_pack(pack: Listpack) -> LargeList {
        let mut tree = Tree::default();
        tree.push_leaf((), ListLeaf::new(pack));
        LargeList(tree)
    }

    /// Bytes of memory behind it.
    pub fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

impl<'a> ListRef<'a> {
    /// Number of elements.
    pub fn len(self) -> u64 {
        match self {
            ListRef::Packed(pack) => pack.len() as u64,
            ListRef::Large(large) => large.0.len(),
        }
    }

    /// Whether it has no elements.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// A list of its own with the same elements; nothing of a large one is copied.
    pub fn to_list(self) -> List {
        match self {
            ListRef::Packed(pack) => List::Packed(Listpack::trusted(pack.bytes().to_vec())),
            ListRef::Large(large) => List::Large(large.clone()),
        }
    }

    /// The name that OBJECT ENCODING replies.
    pub fn encoding(self) -> &'static str {
        match self {
            ListRef::Packed(_) => "listpack",
            ListRef::Large(_) => "quicklist",
        }
    }

    /// The element of a rank.
    pub fn get(self, rank: u64) -> Option<Str<'a>> {
        match self {
            ListRef::Packed(pack) => pack.at(usize::try_from(rank).ok()?).map(|place| pack.get(place)),
            ListRef::Large(large) => {
                let found = (rank < large.0.len()).then(|| large.0.at(rank))?;
                let pack = found.leaf.pack();
                pack.at((rank - found.start) as usize).map(|place| pack.get(place))
            }
        }
    }

    /// The listpacks it consists of, in order.
    pub fn packs(self) -> impl Iterator<Item = ListpackRef<'a>> {
        let (one, many) = match self {
            ListRef::Packed(pack) => (Some(pack), None),
            ListRef::Large(large) => (None, Some(large.0.leaves_from(0).map(|found| found.leaf.pack()))),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The elements from a rank on.
    pub fn iter_from(self, rank: u64) -> impl Iterator<Item = Str<'a>> {
        let (pack, large) = match self {
            ListRef::Packed(pack) => (Some(pack), None),
            ListRef::Large(large) => (None, Some(large)),
        };
        let small = pack.into_iter().flat_map(move |pack| {
            let place = usize::try_from(rank).ok().and_then(|rank| pack.at(rank));
            pack.iter_from(place.unwrap_or_else(|| pack.end()))
        });
        let large = large.into_iter().flat_map(move |large| {
            large.0.leaves_from(rank).flat_map(move |found| {
                let from = rank.saturating_sub(found.start) as usize;
                found.leaf.pack().iter_from(found.leaf.place(from))
            })
        });
        small.chain(large)
    }

    /// The elements from a rank back to the first; from the last one if there are fewer.
    pub fn iter_back_from(self, rank: u64) -> impl Iterator<Item = Str<'a>> {
        let (pack, large) = match self {
            ListRef::Packed(pack) => (Some(pack), None),
            ListRef::Large(large) => (None, Some(large)),
        };
        let behind = |pack: ListpackRef<'a>, index: u64| {
            let next = usize::try_from(index).ok().and_then(|index| pack.at(index.checked_add(1)?));
            next.unwrap_or_else(|| pack.end())
        };
        let small = pack.into_iter().flat_map(move |pack| pack.iter_back_from(behind(pack, rank)));
        let large = large.into_iter().flat_map(move |large| {
            large.0.leaves_back_from(rank).flat_map(move |found| {
                let pack = found.leaf.pack();
                pack.iter_back_from(behind(pack, rank - found.start.min(rank)))
            })
        });
        small.chain(large)
    }
}

impl<'a> From<ListRef<'a>> for Value<'a> {
    fn from(list: ListRef<'a>) -> Value<'a> {
        Value::List(list)
    }
}

impl PartialEq for ListRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter_from(0).eq(other.iter_from(0))
    }
}

impl std::fmt::Debug for ListRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter_from(0)).finish()
    }
}

#[cfg(test)]
mod tests;
