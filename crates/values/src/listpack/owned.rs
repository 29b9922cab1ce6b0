//! A listpack with memory of its own: building and changing it.

use super::element::{self, COUNT_UNKNOWN, END, HEADER_BYTES};
use super::{ListpackRef, Place};
use crate::text::Str;

/// The bytes are no listpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

/// A listpack. Its memory is as large as needed, within an eighth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listpack(Vec<u8>);

impl Default for Listpack {
    fn default() -> Self {
        Listpack::new()
    }
}

impl Listpack {
    /// A listpack without elements.
    pub fn new() -> Listpack {
        Listpack(vec![HEADER_BYTES as u8 + 1, 0, 0, 0, 0, 0, END])
    }

    /// Bytes that came from a [`Listpack`].
    pub fn trusted(bytes: Vec<u8>) -> Listpack {
        debug_assert!(bytes.len() > HEADER_BYTES && bytes.last() == Some(&END), "no listpack");
        Listpack(bytes)
    }

    /// Bytes from anywhere. Every element is looked at; those that are not in the form that this crate writes are
    /// written anew.
    ///
    /// # Errors
    /// If they are no listpack.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Listpack, Damaged> {
        let total: [u8; 4] = bytes.get(..4).and_then(|b| b.try_into().ok()).ok_or(Damaged)?;
        if bytes.len() <= HEADER_BYTES || u32::from_le_bytes(total) as usize != bytes.len() {
            return Err(Damaged);
        }
        let (mut at, mut count, mut is_canonical) = (HEADER_BYTES, 0, true);
        while *bytes.get(at).ok_or(Damaged)? != END {
            let (_, next, canonical) = element::checked(&bytes, at).ok_or(Damaged)?;
            (at, count, is_canonical) = (next, count + 1, is_canonical && canonical);
        }
        if at + 1 != bytes.len() || element::count(&bytes).is_some_and(|told| told != count) {
            return Err(Damaged);
        }
        let told_unknown = element::count(&bytes).is_none();
        if is_canonical && told_unknown == (count >= usize::from(COUNT_UNKNOWN)) {
            return Ok(Listpack(bytes));
        }
        let mut fresh = Listpack::new();
        let mut at = HEADER_BYTES;
        while let Some((text, next, _)) = element::checked(&bytes, at) {
            fresh.push(&text.to_vec());
            at = next;
        }
        Ok(fresh)
    }

    /// The listpack for reading.
    #[inline]
    pub fn as_ref(&self) -> ListpackRef<'_> {
        ListpackRef(&self.0)
    }

    /// Its bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Bytes of memory.
    pub fn heap_bytes(&self) -> usize {
        self.0.capacity()
    }

    /// Bytes that an element with this text takes.
    pub fn element_bytes(text: &[u8]) -> usize {
        element::size(Str::of(text))
    }

    /// Adds an element behind the last one.
    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        self.insert(self.as_ref().end(), text);
    }

    /// Adds an element before the one at a place, or behind the last one for [`ListpackRef::end`].
    pub fn insert(&mut self, place: Place, text: &[u8]) {
        self.splice(place.0..place.0, Str::of(text), 1);
    }

    /// Puts another text in the place of an element.
    pub fn replace(&mut self, place: Place, text: &[u8]) {
        let (_, next) = element::read(&self.0, place.0);
        self.splice(place.0..next, Str::of(text), 0);
    }

    /// Removes elements from a place on, as many as there are up to `count`. What was behind them stands at the place then.
    pub fn remove(&mut self, place: Place, count: usize) {
        let (mut to, mut removed) = (place.0, 0);
        while removed < count && self.0[to] != END {
            (_, to) = element::read(&self.0, to);
            removed += 1;
        }
        self.0.drain(place.0..to);
        self.give_room_back();
        self.finish(-(removed as isize));
    }

    /// Removes the elements that `is_kept` says no to, in one pass; gives their number.
    pub fn retain(&mut self, mut is_kept: impl FnMut(Str<'_>) -> bool) -> usize {
        let (mut from, mut to, mut removed) = (HEADER_BYTES, HEADER_BYTES, 0);
        while self.0[from] != END {
            let (text, next) = element::read(&self.0, from);
            if is_kept(text) {
                self.0.copy_within(from..next, to);
                to += next - from;
            } else {
                removed += 1;
            }
            from = next;
        }
        self.0.truncate(to);
        self.0.push(END);
        self.give_room_back();
        self.finish(-(removed as isize));
        removed
    }

    /// Takes the elements from a place on off.
    pub fn split_off(&mut self, place: Place) -> Listpack {
        let mut right = Listpack::new();
        right.0.splice(HEADER_BYTES..HEADER_BYTES, self.0[place.0..self.0.len() - 1].iter().copied());
        right.0.shrink_to_fit();
        right.recount();
        self.0.truncate(place.0);
        self.0.push(END);
        self.0.shrink_to_fit();
        self.recount();
        right
    }

    /// Adds all elements of another listpack.
    pub fn append(&mut self, other: ListpackRef<'_>) {
        let elements = &other.bytes()[HEADER_BYTES..];
        self.make_room(elements.len());
        self.0.pop();
        self.0.extend_from_slice(elements);
        self.recount();
    }

    /// Adds several elements behind the last one; each is given in its canonical form.
    pub(crate) fn extend<'t>(&mut self, texts: impl Iterator<Item = Str<'t>> + Clone) {
        let (count, bytes) =
            texts.clone().fold((0, 0), |(count, bytes), text| (count + 1, bytes + element::size(text)));
        self.make_room(bytes);
        self.0.pop();
        texts.for_each(|text| element::write(&mut self.0, text));
        self.0.push(END);
        self.finish(count);
    }

    /// Gives room back that is not used: nothing is added any more.
    pub(crate) fn fit(&mut self) {
        self.0.shrink_to_fit();
    }

    fn splice(&mut self, range: std::ops::Range<usize>, text: Str<'_>, more: isize) {
        let (old, new) = (range.len(), element::size(text));
        self.make_room(new.saturating_sub(old));
        let tail = self.0.len() - range.end;
        let mut element = Vec::with_capacity(new);
        element::write(&mut element, text);
        if new >= old {
            self.0.resize(self.0.len() + new - old, 0);
            self.0.copy_within(range.end..range.end + tail, range.start + new);
        } else {
            self.0.copy_within(range.end..range.end + tail, range.start + new);
            self.0.truncate(range.start + new + tail);
            self.give_room_back();
        }
        self.0[range.start..range.start + new].copy_from_slice(&element);
        self.finish(more);
    }

    /// Room for so many more bytes, and an eighth beyond.
    fn make_room(&mut self, more: usize) {
        let needed = self.0.len() + more;
        if needed > self.0.capacity() {
            self.0.reserve_exact(needed + needed / 8 - self.0.len());
        }
    }

    fn give_room_back(&mut self) {
        if 2 * self.0.len() < self.0.capacity() {
            self.0.shrink_to(self.0.len() + self.0.len() / 8);
        }
    }

    fn finish(&mut self, more: isize) {
        match element::count(&self.0) {
            Some(count) => self.set_count(count.saturating_add_signed(more)),
            None if more < 0 => self.recount(),
            None => {}
        }
        let total = u32::try_from(self.0.len()).expect("a listpack is shorter than 4 GiB");
        self.0[..4].copy_from_slice(&total.to_le_bytes());
    }

    fn recount(&mut self) {
        let count = self.as_ref().places().count();
        self.set_count(count);
        self.finish(0);
    }

    fn set_count(&mut self, count: usize) {
        let count = u16::try_from(count).unwrap_or(COUNT_UNKNOWN);
        self.0[4..6].copy_from_slice(&count.to_le_bytes());
    }
}
