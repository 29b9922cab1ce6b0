//! Listpacks: short runs of texts and integers in one piece of memory, byte for byte as files have them (rdb 5.1).
//!
//! ```text
//! u32 bytes in all | u16 elements, 65535: count them | elements | ff
//! element: encoding and data | length of these, readable backwards
//! ```
//!
//! **Invariant.** What is in a [`Listpack`] is well-formed and canonical: every element that spells a 64-bit integer is
//! one, in its shortest form. Bytes from outside get there through [`Listpack::from_bytes`] only, which walks them whole.

mod element;
mod owned;

use crate::text::Str;

pub(crate) use element::bare;
use element::{END, HEADER_BYTES};
pub use owned::{Damaged, Listpack};

/// Where an element of a listpack begins, in bytes. Valid until the listpack changes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub(crate) usize);

/// A borrowed listpack.
#[derive(Clone, Copy, Debug)]
pub struct ListpackRef<'a>(&'a [u8]);

impl<'a> ListpackRef<'a> {
    /// Bytes that came from a [`Listpack`].
    #[inline]
    pub fn trusted(bytes: &'a [u8]) -> ListpackRef<'a> {
        debug_assert!(bytes.len() > HEADER_BYTES && bytes.last() == Some(&END), "no listpack");
        ListpackRef(bytes)
    }

    /// All its bytes.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Number of elements; has to count them from 65,535 on.
    #[inline]
    pub fn len(self) -> usize {
        match element::count(self.0) {
            Some(count) => count,
            None => self.places().count(),
        }
    }

    /// Whether it has no elements.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0[HEADER_BYTES] == END
    }

    /// The element at a place.
    #[inline]
    pub fn get(self, place: Place) -> Str<'a> {
        element::read(self.0, place.0).0
    }

    /// The element at a place, and the place behind it, which may be [`ListpackRef::end`].
    #[inline]
    pub fn read(self, place: Place) -> (Str<'a>, Place) {
        let (text, next) = element::read(self.0, place.0);
        (text, Place(next))
    }

    /// The first place.
    #[inline]
    pub fn first(self) -> Option<Place> {
        self.place_at(HEADER_BYTES)
    }

    /// The last place.
    #[inline]
    pub fn last(self) -> Option<Place> {
        self.before(self.end())
    }

    /// Where a further element would begin.
    #[inline]
    pub fn end(self) -> Place {
        Place(self.0.len() - 1)
    }

    /// The place behind this one.
    #[inline]
    pub fn next(self, place: Place) -> Option<Place> {
        self.place_at(element::read(self.0, place.0).1)
    }

    /// The place before this one, which may be [`ListpackRef::end`].
    #[inline]
    pub fn before(self, place: Place) -> Option<Place> {
        (place.0 > HEADER_BYTES).then(|| Place(element::start_before(self.0, place.0)))
    }

    #[inline]
    fn place_at(self, at: usize) -> Option<Place> {
        (self.0[at] != END).then_some(Place(at))
    }

    /// The place of the `index`th element; searched from the nearer end.
    pub fn at(self, index: usize) -> Option<Place> {
        let from_end = match element::count(self.0) {
            Some(count) if index >= count => return None,
            Some(count) if index > count / 2 => Some(count - 1 - index),
            _ => None,
        };
        match from_end {
            Some(steps) => (0..steps).try_fold(self.last()?, |place, _| self.before(place)),
            None => (0..index).try_fold(self.first()?, |place, _| self.next(place)),
        }
    }

    /// All places, in order.
    pub fn places(self) -> impl Iterator<Item = Place> {
        std::iter::successors(self.first(), move |place| self.next(*place))
    }

    /// All elements, in order.
    #[inline]
    pub fn iter(self) -> Elements<'a> {
        Elements { pack: self, at: HEADER_BYTES }
    }

    /// The elements from a place on, which may be [`ListpackRef::end`].
    pub fn iter_from(self, place: Place) -> Elements<'a> {
        Elements { pack: self, at: place.0 }
    }

    /// The elements before a place, the nearest first.
    pub fn iter_back_from(self, place: Place) -> impl Iterator<Item = Str<'a>> {
        std::iter::successors(self.before(place), move |place| self.before(*place)).map(move |place| self.get(place))
    }

    /// The first element that is this text, looking at every `step`th only.
    pub fn find(self, text: &[u8], step: usize) -> Option<Place> {
        self.find_text(Str::of(text), step)
    }

    /// The first element that is this text in its canonical form, looking at every `step`th only.
    pub fn find_text(self, wanted: Str<'_>, step: usize) -> Option<Place> {
        let mut at = self.first()?;
        loop {
            if self.get(at) == wanted {
                return Some(at);
            }
            at = (0..step).try_fold(at, |place, _| self.next(place))?;
        }
    }
}

impl ListpackRef<'_> {
    /// Whether two of every `step`th elements are equal.
    pub(crate) fn has_twins(self, step: usize) -> bool {
        let mut names: Vec<Str<'_>> = self.iter().step_by(step).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    }
}

/// The elements of a listpack, in order.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    pack: ListpackRef<'a>,
    at: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Str<'a>;

    #[inline]
    fn next(&mut self) -> Option<Str<'a>> {
        if self.pack.0[self.at] == END {
            return None;
        }
        let (text, next) = element::read(self.pack.0, self.at);
        self.at = next;
        Some(text)
    }
}

#[cfg(test)]
mod tests;
