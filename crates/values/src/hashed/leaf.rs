//! Leaves of trees by hash: elements as they came, one behind the other, and an index of their hashes and places in the
//! order of hashes. Elements with the same hash are all in one leaf, so a hash always leads to one.

use std::marker::PhantomData;
use std::ops::Range;

use baton_base::WallMs;

use super::index::Index;
use crate::ahead::{Fetch, fetch_all};
use crate::fields::FieldValue;
use crate::listpack::bare;
use crate::room::{give_room_back, make_room};
use crate::text::Str;
use crate::tree::{Leaf, SplitAt};

/// Bytes of elements in a leaf, at most, unless all have one hash. What a leaf takes beside its elements is shared by them,
/// and a change moves half of their bytes at most.
const LEAF_BYTES: usize = 4096;
/// Elements of a leaf, at most, unless all have one hash.
const LEAF_ELEMENTS: usize = 128;
/// Bytes of an element that are worth being fetched ahead.
const AHEAD_BYTES: usize = 64;

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

/// A text, and until when it is there.
#[derive(Clone, Default)]
pub(crate) struct Text;

/// The byte before a text that is there until some time only; texts themselves never begin with it. Behind it are eight
/// bytes of that time, so that a text without one takes nothing for it.
const UNTIL: u8 = 0xf5;
/// Bytes that the time takes, mark included.
const UNTIL_BYTES: usize = 9;

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
    type Of<'a> = FieldValue<'a>;

    #[inline]
    fn size(value: FieldValue<'_>) -> usize {
        bare::size(value.text) + if value.expire_at.is_some() { UNTIL_BYTES } else { 0 }
    }

    #[inline]
    fn write(out: &mut Vec<u8>, value: FieldValue<'_>) {
        if let Some(WallMs(at)) = value.expire_at {
            out.push(UNTIL);
            out.extend_from_slice(&at.to_le_bytes());
        }
        bare::write(out, value.text);
    }

    #[inline]
    fn read(bytes: &[u8], at: usize) -> (FieldValue<'_>, usize) {
        if bytes[at] == UNTIL {
            return read_until(bytes, at);
        }
        let (text, end) = bare::read(bytes, at);
        (FieldValue { text, expire_at: None }, end)
    }
}

fn read_until(bytes: &[u8], at: usize) -> (FieldValue<'_>, usize) {
    let time = bytes[at + 1..].first_chunk().expect("a time stands behind its mark");
    let (text, end) = bare::read(bytes, at + UNTIL_BYTES);
    (FieldValue { text, expire_at: Some(WallMs(u64::from_le_bytes(*time))) }, end)
}

/// The bytes of the element that begins at a place.
#[inline]
pub(super) fn raw_element<B: Beside>(bytes: &[u8], at: usize) -> &[u8] {
    let (_, beside) = bare::read(bytes, at);
    &bytes[at..B::read(bytes, beside).1]
}

/// Writes an element as it lies in leaves.
pub(super) fn write_element<B: Beside>(out: &mut Vec<u8>, name: Str<'_>, beside: B::Of<'_>) {
    bare::write(out, name);
    B::write(out, beside);
}

/// An element: its name and what stands beside it.
pub(crate) type Element<'a, B> = (Str<'a>, <B as Beside>::Of<'a>);

/// A leaf.
#[derive(Clone, Default)]
pub(crate) struct HashLeaf<B> {
    index: Index,
    elements: Vec<u8>,
    /// Elements begin at multiples of two to the power of this. More than 0 only where large elements share a hash.
    shift: u8,
    beside: PhantomData<B>,
}

impl<B: Beside> HashLeaf<B> {
    /// The first element whose hash is not below this one.
    #[inline]
    pub(super) fn first(&self, hash: u32) -> usize {
        self.index.first(hash)
    }

    /// The index of the element with this name, or where it would have to be put.
    #[inline]
    fn find(&self, hash: u32, name: Str<'_>) -> Result<usize, usize> {
        let mut i = self.first(hash);
        while self.index.hash(i) == Some(hash) {
            if bare::read(&self.elements, self.start(i)).0 == name {
                return Ok(i);
            }
            i += 1;
        }
        Err(i)
    }

    /// Asks for the index.
    #[inline]
    pub(super) fn fetch_index(&self, fetch: impl Fetch) {
        self.index.fetch(fetch);
    }

    /// Asks for the beginning of the element with this hash, if there is one.
    #[inline]
    pub(super) fn fetch_element(&self, hash: u32, fetch: impl Fetch) {
        let index = self.first(hash);
        if self.index.hash(index) == Some(hash) {
            let begin = &self.elements[self.start(index)..];
            fetch_all(&begin[..begin.len().min(AHEAD_BYTES)], fetch);
        }
    }

    /// An element by its place in the order of hashes.
    #[inline]
    pub(super) fn element(&self, index: usize) -> Element<'_, B> {
        let (name, at) = bare::read(&self.elements, self.start(index));
        (name, B::read(&self.elements, at).0)
    }

    /// Where an element begins.
    #[inline]
    fn start(&self, index: usize) -> usize {
        usize::from(self.index.start(index)) << self.shift
    }

    /// Where the bytes of an element begin, where what stands beside its name does, and where they end, bytes that only fill
    /// up included.
    fn places(&self, index: usize) -> [usize; 3] {
        let start = self.start(index);
        let (_, beside) = bare::read(&self.elements, start);
        [start, beside, B::read(&self.elements, beside).1.next_multiple_of(1 << self.shift)]
    }

    /// Puts an element behind the others, with this index.
    fn put(&mut self, index: usize, hash: u32, size: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let start = loop {
            match u16::try_from(self.elements.len() >> self.shift) {
                Ok(start) => break start,
                Err(_) => self.widen(),
            }
        };
        make_room(&mut self.elements, size.next_multiple_of(1 << self.shift));
        write(&mut self.elements);
        self.elements.resize(self.elements.len().next_multiple_of(1 << self.shift), 0);
        self.index.insert(index, hash, start);
    }

    /// Doubles the distance between places at which elements may begin.
    #[cold]
    fn widen(&mut self) {
        let shift = self.shift + 1;
        let mut wide = HashLeaf { shift, ..HashLeaf::default() };
        wide.take_in(self, 0..self.index.len());
        *self = wide;
    }

    /// Puts elements of another leaf behind the own ones, which they follow in the order of hashes.
    fn take_in(&mut self, other: &HashLeaf<B>, range: Range<usize>) {
        let bytes = range.clone().map(|i| other.places(i)).map(|[from, _, to]| to - from).sum();
        make_room(&mut self.elements, bytes);
        self.index.make_room(range.len());
        for i in range {
            let [from, beside, _] = other.places(i);
            let to = B::read(&other.elements, beside).1;
            let element = &other.elements[from..to];
            let hash = other.index.hash(i).expect("the range is of elements that are there");
            self.put(self.index.len(), hash, element.len(), |out| out.extend_from_slice(element));
        }
    }

    /// What stands beside a name.
    #[inline]
    pub(super) fn get(&self, hash: u32, name: Str<'_>) -> Option<B::Of<'_>> {
        self.find(hash, name).ok().map(|index| self.element(index).1)
    }

    /// The hash of an element.
    #[inline]
    pub(super) fn hash(&self, index: usize) -> Option<u32> {
        self.index.hash(index)
    }

    /// All elements as they lie here, with their hashes.
    pub(super) fn raw_elements(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.hashes_from(0).map(|(i, hash)| (hash, raw_element::<B>(&self.elements, self.start(i))))
    }

    /// Whether an element of so many bytes would make it too full to be left alone by a few more.
    pub(super) fn is_full_with(&self, bytes: usize) -> bool {
        self.elements.len() + bytes > LEAF_BYTES * 7 / 8 || self.index.len() >= LEAF_ELEMENTS * 7 / 8
    }

    /// Puts an element, as it lay elsewhere, behind all others; its hash must not be below theirs.
    pub(super) fn push_raw(&mut self, hash: u32, element: &[u8]) {
        self.put(self.index.len(), hash, element.len(), |out| out.extend_from_slice(element));
    }

    /// Gives what it has to a leaf that has no more room than that needs, and keeps its own for the next one's.
    pub(super) fn pour_out(&mut self) -> HashLeaf<B> {
        let mut poured = HashLeaf { shift: self.shift, ..HashLeaf::default() };
        make_room(&mut poured.elements, self.elements.len());
        poured.elements.append(&mut self.elements);
        poured.index = self.index.pour_out();
        self.shift = 0;
        poured
    }

    /// The elements from a hash on, with their hashes.
    pub(super) fn elements_at(&self, hash: u32) -> impl Iterator<Item = (u32, Element<'_, B>)> {
        self.hashes_from(self.first(hash)).map(|(i, hash)| (hash, self.element(i)))
    }

    /// Elements and their hashes, from an index on.
    fn hashes_from(&self, index: usize) -> impl Iterator<Item = (usize, u32)> {
        (index..).map_while(|i| Some((i, self.index.hash(i)?)))
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
                self.put(index, hash, bare::size(name) + B::size(beside), |out| write_element::<B>(out, name, beside));
                true
            }
        }
    }

    fn replace(&mut self, index: usize, beside: B::Of<'_>) {
        let [start, from, _] = self.places(index);
        let to = B::read(&self.elements, from).1;
        if B::size(beside) == to - from {
            self.overwrite(from..to, beside);
            return;
        }
        // Put anew at the end: the bytes of elements have no order among each other.
        let Some(hash) = self.index.hash(index) else { return };
        let mut bytes = Vec::with_capacity(from - start + B::size(beside));
        bytes.extend_from_slice(&self.elements[start..from]);
        B::write(&mut bytes, beside);
        self.remove(index..index + 1);
        self.put(index, hash, bytes.len(), |out| out.extend_from_slice(&bytes));
    }

    /// Puts what takes just as many bytes into the place of what is there. It is written behind all elements first, where there
    /// mostly is room for it.
    fn overwrite(&mut self, place: Range<usize>, beside: B::Of<'_>) {
        let end = self.elements.len();
        if self.elements.capacity() - end >= place.len() {
            B::write(&mut self.elements, beside);
            self.elements.copy_within(end.., place.start);
            self.elements.truncate(end);
        } else {
            let mut bytes = Vec::with_capacity(place.len());
            B::write(&mut bytes, beside);
            self.elements[place].copy_from_slice(&bytes);
        }
    }

    /// Removes the element with this name; tells whether it was there.
    pub(super) fn take(&mut self, hash: u32, name: Str<'_>) -> bool {
        let found = self.find(hash, name);
        if let Ok(index) = found {
            self.remove(index..index + 1);
        }
        found.is_ok()
    }

    /// Removes the bytes of an element, and moves the places behind them.
    fn cut(&mut self, index: usize) {
        let [from, _, to] = self.places(index);
        let (end, gone) = (to >> self.shift, (to - from) >> self.shift);
        self.index.pull(end, gone);
        self.elements.drain(from..to);
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
        let begins = |i: &usize| self.index.hash(*i) != self.index.hash(i - 1);
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
        let mut part = HashLeaf::default();
        part.take_in(self, range);
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
        self.elements.capacity() + self.index.heap_bytes()
    }

    fn is_over(&self) -> bool {
        let hashes_differ = || self.index.hash(0) != self.index.hash(self.index.len() - 1);
        (self.elements.len() > LEAF_BYTES || self.index.len() > LEAF_ELEMENTS) && hashes_differ()
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
        (right.index.hash(0).unwrap_or(0), right)
    }

    fn join(&mut self, right: Self) {
        self.take_in(&right, 0..right.index.len());
    }

    fn remove(&mut self, range: Range<usize>) {
        range.clone().for_each(|index| self.cut(index));
        self.index.remove(range);
        give_room_back(&mut self.elements);
        self.index.give_room_back();
    }
}
