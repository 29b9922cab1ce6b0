//! Leaves of trees by hash: elements as they came, one behind the other, and an index of their hashes and places in the
//! order of hashes. Elements with the same hash are all in one leaf, so a hash always leads to one.

use std::marker::PhantomData;
use std::ops::Range;

use crate::listpack::bare;
use crate::text::Str;
use crate::tree::{Leaf, SplitAt};

/// Bytes of elements in a leaf, at most, unless all have one hash.
const LEAF_BYTES: usize = 2048;
/// Elements of a leaf, at most, unless all have one hash.
const LEAF_ELEMENTS: usize = 128;

/// What stands beside the name of an element.
pub(crate) trait Beside: Clone + Default {
    /// It, borrowed.
    type Of<'a>: Copy;

    /// Bytes that it takes.
    fn size(what: Self::Of<'_>) -> usize;

    /// Writes it.
    fn write(out: &mut Vec<u8>, what: Self::Of<'_>);

    /// What was written at this place, and where that ends.
    fn read(bytes: &[u8], at: usize) -> (Self::Of<'_>, usize);
}

/// Nothing: the name is all there is.
#[derive(Clone, Default)]
pub(crate) struct Nothing;

/// A text.
#[derive(Clone, Default)]
pub(crate) struct Text;

impl Beside for Nothing {
    type Of<'a> = ();

    #[inline]
    fn size(_: ()) -> usize {
        0
    }

    #[inline]
    fn write(_: &mut Vec<u8>, _: ()) {}

    #[inline]
    fn read(_: &[u8], at: usize) -> ((), usize) {
        ((), at)
    }
}

impl Beside for Text {
    type Of<'a> = Str<'a>;

    #[inline]
    fn size(text: Str<'_>) -> usize {
        bare::size(text)
    }

    #[inline]
    fn write(out: &mut Vec<u8>, text: Str<'_>) {
        bare::write(out, text);
    }

    #[inline]
    fn read(bytes: &[u8], at: usize) -> (Str<'_>, usize) {
        bare::read(bytes, at)
    }
}

/// An element: its name and what stands beside it.
pub(crate) type Element<'a, B> = (Str<'a>, <B as Beside>::Of<'a>);

/// A leaf.
#[derive(Clone, Default)]
pub(crate) struct HashLeaf<B> {
    index: Vec<Slot>,
    elements: Vec<u8>,
    beside: PhantomData<B>,
}

/// The hash of an element in the upper half, where it begins in the lower one.
#[derive(Clone, Copy)]
struct Slot(u64);

impl Slot {
    fn new(hash: u32, at: usize) -> Slot {
        let at = u32::try_from(at).expect("elements with the same hash are less than 4 GiB");
        Slot(u64::from(hash) << 32 | u64::from(at))
    }

    #[inline]
    fn hash(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    fn at(self) -> usize {
        self.0 as u32 as usize
    }
}

impl<B: Beside> HashLeaf<B> {
    /// The first element whose hash is not below this one.
    #[inline]
    fn first(&self, hash: u32) -> usize {
        self.index.partition_point(|slot| slot.hash() < hash)
    }

    /// The index of the element with this name, or where it would have to be put.
    #[inline]
    fn find(&self, hash: u32, name: Str<'_>) -> Result<usize, usize> {
        let mut i = self.first(hash);
        while let Some(slot) = self.index.get(i)
            && slot.hash() == hash
        {
            if bare::read(&self.elements, slot.at()).0 == name {
                return Ok(i);
            }
            i += 1;
        }
        Err(i)
    }

    /// An element by its place in the order of hashes.
    #[inline]
    pub(super) fn element(&self, index: usize) -> Element<'_, B> {
        let (name, at) = bare::read(&self.elements, self.index[index].at());
        (name, B::read(&self.elements, at).0)
    }

    /// Where the bytes of an element begin, where what stands beside its name does, and where they end.
    fn places(&self, index: usize) -> [usize; 3] {
        let at = self.index[index].at();
        let (_, beside) = bare::read(&self.elements, at);
        [at, beside, B::read(&self.elements, beside).1]
    }

    /// What stands beside a name.
    #[inline]
    pub(super) fn get(&self, hash: u32, name: Str<'_>) -> Option<B::Of<'_>> {
        self.find(hash, name).ok().map(|index| self.element(index).1)
    }

    /// The elements from a hash on, with their hashes.
    pub(super) fn elements_at(&self, hash: u32) -> impl Iterator<Item = (u32, Element<'_, B>)> {
        (self.first(hash)..self.index.len()).map(|i| (self.index[i].hash(), self.element(i)))
    }

    /// The elements from an index on.
    pub(super) fn elements(&self, index: usize) -> impl Iterator<Item = Element<'_, B>> {
        (index..self.index.len()).map(|i| self.element(i))
    }

    /// Adds an element, or changes what stands beside its name; tells whether it is new.
    pub(super) fn insert(&mut self, hash: u32, name: Str<'_>, beside: B::Of<'_>) -> bool {
        match self.find(hash, name) {
            Ok(index) => {
                self.replace(index, beside);
                false
            }
            Err(index) => {
                let at = self.elements.len();
                make_room(&mut self.elements, bare::size(name) + B::size(beside));
                bare::write(&mut self.elements, name);
                B::write(&mut self.elements, beside);
                make_room(&mut self.index, 1);
                self.index.insert(index, Slot::new(hash, at));
                true
            }
        }
    }

    fn replace(&mut self, index: usize, beside: B::Of<'_>) {
        let [_, from, to] = self.places(index);
        let (old, new) = (to - from, B::size(beside));
        if old == new {
            let mut bytes = Vec::with_capacity(new);
            B::write(&mut bytes, beside);
            self.elements[from..to].copy_from_slice(&bytes);
            return;
        }
        // Written anew at the end: elements have no order among each other.
        let [at, ..] = self.places(index);
        let name = self.elements[at..from].to_vec();
        self.cut(at..to);
        make_room(&mut self.elements, name.len() + new);
        self.index[index] = Slot::new(self.index[index].hash(), self.elements.len());
        self.elements.extend_from_slice(&name);
        B::write(&mut self.elements, beside);
        give_room_back(&mut self.elements);
    }

    /// Removes the element with this name; tells whether it was there.
    pub(super) fn take(&mut self, hash: u32, name: Str<'_>) -> bool {
        let found = self.find(hash, name);
        if let Ok(index) = found {
            self.remove(index..index + 1);
        }
        found.is_ok()
    }

    /// Removes bytes, and moves the places behind them.
    fn cut(&mut self, range: Range<usize>) {
        for slot in &mut self.index {
            if slot.at() >= range.end {
                slot.0 -= range.len() as u64;
            }
        }
        self.elements.drain(range);
    }

    /// The index nearest to half of the bytes at which a new hash begins.
    fn middle(&self) -> usize {
        let half = self.elements.len() / 2;
        let mut bytes = 0;
        let middle = (0..self.index.len()).find(|i| {
            let [from, _, to] = self.places(*i);
            bytes += to - from;
            bytes > half
        });
        let middle = middle.unwrap_or(0).max(1);
        let begins = |i: &usize| self.index[*i].hash() != self.index[i - 1].hash();
        let before = (1..=middle).rev().find(begins);
        let behind = (middle..self.index.len()).find(begins);
        match (before, behind) {
            (Some(before), Some(behind)) if middle - before < behind - middle => before,
            (Some(before), None) => before,
            (_, behind) => behind.expect("a leaf with one hash is not split"),
        }
    }

    /// These elements in a leaf of their own, in the order of hashes.
    fn part(&self, range: Range<usize>) -> HashLeaf<B> {
        let bytes = range.clone().map(|i| self.places(i)).map(|[from, _, to]| to - from).sum();
        let mut part = HashLeaf::default();
        make_room(&mut part.elements, bytes);
        make_room(&mut part.index, range.len());
        for i in range {
            let [from, _, to] = self.places(i);
            part.index.push(Slot::new(self.index[i].hash(), part.elements.len()));
            part.elements.extend_from_slice(&self.elements[from..to]);
        }
        part
    }
}

impl<B: Beside> Leaf for HashLeaf<B> {
    /// The lowest hash of the right leaf.
    type Separator = u32;

    fn len(&self) -> usize {
        self.index.len()
    }

    fn heap_bytes(&self) -> usize {
        self.elements.capacity() + self.index.capacity() * size_of::<Slot>()
    }

    fn is_over(&self) -> bool {
        let hashes_differ = match (self.index.first(), self.index.last()) {
            (Some(first), Some(last)) => first.hash() != last.hash(),
            _ => false,
        };
        hashes_differ && (self.elements.len() > LEAF_BYTES || self.index.len() > LEAF_ELEMENTS)
    }

    fn is_under(&self) -> bool {
        self.elements.len() < LEAF_BYTES / 4 && self.index.len() < LEAF_ELEMENTS / 4
    }

    fn fits(&self, right: &Self) -> bool {
        self.elements.len() + right.elements.len() <= LEAF_BYTES * 3 / 4
            && self.index.len() + right.index.len() <= LEAF_ELEMENTS * 3 / 4
    }

    /// Hashes come in no order, so there is no end at which more are to be expected.
    fn split(&mut self, _: SplitAt) -> (u32, Self) {
        let middle = self.middle();
        let right = self.part(middle..self.index.len());
        *self = self.part(0..middle);
        (right.index[0].hash(), right)
    }

    fn join(&mut self, right: Self) {
        let base = self.elements.len();
        make_room(&mut self.elements, right.elements.len());
        self.elements.extend_from_slice(&right.elements);
        make_room(&mut self.index, right.index.len());
        self.index.extend(right.index.iter().map(|slot| Slot::new(slot.hash(), base + slot.at())));
    }

    fn remove(&mut self, range: Range<usize>) {
        for index in range.clone() {
            let [from, _, to] = self.places(index);
            self.cut(from..to);
        }
        self.index.drain(range);
        give_room_back(&mut self.elements);
        give_room_back(&mut self.index);
    }
}

/// Room for so many more, in a piece of memory of the sizes that allocators have: four to each power of two.
fn make_room<T>(vec: &mut Vec<T>, more: usize) {
    let needed = vec.len() + more;
    if needed > vec.capacity() {
        vec.reserve_exact(rounded::<T>(needed) - vec.len());
    }
}

fn give_room_back<T>(vec: &mut Vec<T>) {
    if 2 * vec.len() < vec.capacity() {
        vec.shrink_to(rounded::<T>(vec.len()));
    }
}

fn rounded<T>(count: usize) -> usize {
    let bytes = count * size_of::<T>();
    bytes.next_multiple_of((bytes.next_power_of_two() / 8).max(16)) / size_of::<T>()
}
