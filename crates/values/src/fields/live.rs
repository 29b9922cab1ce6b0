//! A hash as it is at some time: fields that have ended are not seen, though they are still there.

use baton_base::WallMs;

use super::{FieldValue, HashRef};
use crate::text::Str;

/// The fields of a hash that have not ended.
#[derive(Clone, Copy)]
pub struct LiveHash<'a> {
    hash: HashRef<'a>,
    /// The time, where a field has ended by then. So where none has, nothing is looked at twice.
    now: Option<WallMs>,
}

impl<'a> HashRef<'a> {
    /// The hash as it is at this time; with all its fields if none is given.
    #[inline]
    pub fn live(self, now: Option<WallMs>) -> LiveHash<'a> {
        LiveHash { hash: self, now: now.filter(|now| self.next_due().is_some_and(|at| at <= *now)) }
    }
}

impl<'a> LiveHash<'a> {
    /// Whether no field has ended, so that what is seen is all there is.
    pub fn is_whole(self) -> bool {
        self.now.is_none()
    }

    /// The hash with all that is there.
    pub fn whole(self) -> HashRef<'a> {
        self.hash
    }

    /// Whether a field with this value is seen.
    #[inline]
    pub fn sees(self, value: FieldValue<'_>) -> bool {
        self.now.is_none_or(|now| value.is_there(now))
    }

    /// Number of fields that are seen.
    pub fn len(self) -> u64 {
        self.hash.len() - self.now.map_or(0, |now| self.hash.due_count(now))
    }

    /// Whether no field is seen.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of a field.
    #[inline]
    pub fn get(self, field: Str<'_>) -> Option<FieldValue<'a>> {
        self.hash.get(field).filter(|value| self.sees(*value))
    }

    /// The field of a rank among all that are there, if that one is seen.
    pub fn at(self, rank: u64) -> Option<(Str<'a>, FieldValue<'a>)> {
        self.hash.at(rank).filter(|(_, value)| self.sees(*value))
    }

    /// All fields that are seen, with their values, in the order of ranks.
    pub fn iter(self) -> impl Iterator<Item = (Str<'a>, FieldValue<'a>)> {
        self.hash.iter().filter(move |(_, value)| self.sees(*value))
    }

    /// As [`HashRef::scan`], of the fields that are seen.
    pub fn scan(self, cursor: u64, count: usize, mut visit: impl FnMut((Str<'a>, FieldValue<'a>))) -> u64 {
        self.hash.scan(cursor, count, |element| {
            if self.sees(element.1) {
                visit(element);
            }
        })
    }
}
