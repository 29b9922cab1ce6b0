//! Hashes, fields with values: one listpack of field, value, field, value while they are small, and elements in the order
//! of the fields' hashes from there on. Fields may have an end; a hash with such a field is never a listpack.
//!
//! A field that has ended stays until somebody removes it ([`Hash::take_due`]): what a reader sees is [`HashRef::live`].

mod large;
mod live;
mod time_leaf;

use baton_base::WallMs;

use crate::limits::{Limits, PACK_BYTES_MAX};
use crate::listpack::{Damaged, Listpack, ListpackRef};
use crate::text::Str;
use crate::value::Value;

pub use large::{LargeHash, LargeHashBuilder};
pub use live::LiveHash;

/// Elements of a listpack for each field.
const PAIR: usize = 2;

/// A hash. All texts are to be given as [`Str::of`] makes them.
#[derive(Clone)]
pub enum Hash {
    /// All fields and values in one listpack, in the order in which they came.
    Packed(Listpack),
    /// Many fields, or large ones, or some that have an end.
    Large(LargeHash),
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldValue<'a> {
    /// Its text.
    pub text: Str<'a>,
    /// When it ends; none if it stays.
    pub expire_at: Option<WallMs>,
}

impl FieldValue<'_> {
    /// Whether it has not ended at this time.
    #[inline]
    pub fn is_there(self, now: WallMs) -> bool {
        self.expire_at.is_none_or(|at| at > now)
    }
}

impl<'a> From<Str<'a>> for FieldValue<'a> {
    fn from(text: Str<'a>) -> FieldValue<'a> {
        FieldValue { text, expire_at: None }
    }
}

/// A borrowed hash.
#[derive(Clone, Copy)]
pub enum HashRef<'a> {
    /// All fields and values in one listpack.
    Packed(ListpackRef<'a>),
    /// Many fields, or large ones.
    Large(&'a LargeHash),
}

impl Default for Hash {
    fn default() -> Self {
        Hash::Packed(Listpack::new())
    }
}

impl Hash {
    /// A hash without fields in the large form.
    pub fn large(limits: &Limits) -> Hash {
        Hash::Large(LargeHash::new(limits.seed))
    }

    /// The hash that a listpack from a file is.
    ///
    /// # Errors
    /// If a field is there twice, or has no value.
    pub fn from_listpack(pack: Listpack, limits: &Limits) -> Result<Hash, Damaged> {
        let elements = pack.as_ref().len();
        if !elements.is_multiple_of(PAIR) || pack.as_ref().has_twins(PAIR) {
            return Err(Damaged);
        }
        let mut hash = Hash::Packed(pack);
        if elements / PAIR > limits.hash_entries {
            hash.make_large(limits);
        }
        Ok(hash)
    }

    /// The hash for reading.
    pub fn as_ref(&self) -> HashRef<'_> {
        match self {
            Hash::Packed(pack) => HashRef::Packed(pack.as_ref()),
            Hash::Large(large) => HashRef::Large(large),
        }
    }

    /// Number of fields.
    pub fn len(&self) -> u64 {
        self.as_ref().len()
    }

    /// Whether it has no fields.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory behind it.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Hash::Packed(pack) => pack.heap_bytes(),
            Hash::Large(large) => large.heap_bytes(),
        }
    }

    /// Makes ready for the fields and values that a command names. To be called before it sets them: the form follows from
    /// all of them together, whether they are there already or not (rdb section 10).
    pub fn expect<'t>(&mut self, texts: impl ExactSizeIterator<Item = &'t [u8]>, limits: &Limits) {
        let Hash::Packed(pack) = self else { return };
        let mut bytes = pack.as_ref().bytes().len();
        let is_large = texts.len() / PAIR > limits.hash_entries || { texts }.any(|text| {
            bytes = bytes.saturating_add(text.len());
            text.len() > limits.hash_value_bytes || bytes > PACK_BYTES_MAX
        });
        if is_large {
            self.make_large(limits);
        }
    }

    /// Sets a field to a value that stays; tells whether the field is new.
    pub fn set(&mut self, field: Str<'_>, value: Str<'_>, limits: &Limits) -> bool {
        self.put(field, value.into(), limits)
    }

    /// Sets a field to a value that may have an end; tells whether the field is new.
    pub fn put(&mut self, field: Str<'_>, value: FieldValue<'_>, limits: &Limits) -> bool {
        if let Hash::Packed(pack) = self {
            let bytes = pack.as_ref().bytes().len() + field.len() + value.text.len();
            let longest = field.len().max(value.text.len());
            if longest > limits.hash_value_bytes || bytes > PACK_BYTES_MAX || value.expire_at.is_some() {
                self.make_large(limits);
            }
        }
        match self {
            Hash::Packed(pack) => {
                let is_new = set_packed(pack, field, value.text);
                if is_new && pack.as_ref().len() / PAIR > limits.hash_entries {
                    self.make_large(limits);
                }
                is_new
            }
            Hash::Large(large) => large.set(field, value),
        }
    }

    /// Gives a field another end, or none; tells whether it is there.
    pub fn set_end(&mut self, field: Str<'_>, expire_at: Option<WallMs>, limits: &Limits) -> bool {
        let Some(old) = self.as_ref().get(field) else { return false };
        if old.expire_at != expire_at {
            let text = old.text.to_vec();
            self.put(field, FieldValue { text: old.text.with_bytes(&text), expire_at }, limits);
        }
        true
    }

    /// Removes a field that has ended at this time, and gives its name; none if there is no such field.
    pub fn take_due(&mut self, now: WallMs) -> Option<Vec<u8>> {
        match self {
            Hash::Packed(_) => None,
            Hash::Large(large) => large.take_due(now),
        }
    }

    /// Removes a field; tells whether it was there.
    pub fn remove(&mut self, field: Str<'_>) -> bool {
        match self {
            Hash::Packed(pack) => {
                let place = pack.as_ref().find_text(field, PAIR);
                if let Some(place) = place {
                    pack.remove(place, PAIR);
                }
                place.is_some()
            }
            Hash::Large(large) => large.remove(field),
        }
    }

    fn make_large(&mut self, limits: &Limits) {
        let mut large = LargeHash::new(limits.seed);
        self.as_ref().iter().for_each(|(field, value)| {
            large.set(field, value);
        });
        *self = Hash::Large(large);
    }
}

fn set_packed(pack: &mut Listpack, field: Str<'_>, value: Str<'_>) -> bool {
    let mut scratch = [itoa::Buffer::new(), itoa::Buffer::new()];
    let [field_text, value_text] = &mut scratch;
    let value = value.bytes(value_text);
    match pack.as_ref().find_text(field, PAIR).and_then(|place| pack.as_ref().next(place)) {
        Some(place) => {
            pack.replace(place, value);
            false
        }
        None => {
            pack.push(field.bytes(field_text));
            pack.push(value);
            true
        }
    }
}

impl<'a> HashRef<'a> {
    /// Number of fields.
    pub fn len(self) -> u64 {
        match self {
            HashRef::Packed(pack) => (pack.len() / PAIR) as u64,
            HashRef::Large(large) => large.len(),
        }
    }

    /// Whether it has no fields.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// A hash of its own with the same fields; nothing of a large one is copied.
    pub fn to_hash(self) -> Hash {
        match self {
            HashRef::Packed(pack) => Hash::Packed(Listpack::trusted(pack.bytes().to_vec())),
            HashRef::Large(large) => Hash::Large(large.clone()),
        }
    }

    /// The name that OBJECT ENCODING replies.
    pub fn encoding(self) -> &'static str {
        match self {
            HashRef::Packed(_) => "listpack",
            HashRef::Large(_) => "hashtable",
        }
    }

    /// When the first field ends, if any does.
    #[inline]
    pub fn next_due(self) -> Option<WallMs> {
        match self {
            HashRef::Packed(_) => None,
            HashRef::Large(large) => large.next_due(),
        }
    }

    /// How many fields have ended at this time.
    pub fn due_count(self, now: WallMs) -> u64 {
        match self {
            HashRef::Packed(_) => 0,
            HashRef::Large(large) => large.due_count(now),
        }
    }

    /// The value of a field, ended or not.
    pub fn get(self, field: Str<'_>) -> Option<FieldValue<'a>> {
        match self {
            HashRef::Packed(pack) => {
                let place = pack.next(pack.find_text(field, PAIR)?)?;
                Some(pack.get(place).into())
            }
            HashRef::Large(large) => large.get(field),
        }
    }

    /// The field of a rank with its value: those of a listpack are in the order in which they came, others in an order that
    /// means nothing.
    pub fn at(self, rank: u64) -> Option<(Str<'a>, FieldValue<'a>)> {
        match self {
            HashRef::Packed(pack) => {
                let place = pack.at(usize::try_from(rank).ok()?.checked_mul(PAIR)?)?;
                Some((pack.get(place), pack.get(pack.next(place)?).into()))
            }
            HashRef::Large(large) => large.at(rank),
        }
    }

    /// All fields with their values, in the order of ranks.
    pub fn iter(self) -> impl Iterator<Item = (Str<'a>, FieldValue<'a>)> {
        self.iter_from(0)
    }

    /// The fields from a rank on, with their values.
    pub fn iter_from(self, rank: u64) -> impl Iterator<Item = (Str<'a>, FieldValue<'a>)> {
        let skipped = usize::try_from(rank).unwrap_or(usize::MAX).saturating_mul(PAIR);
        let (mut pack, large) = match self {
            HashRef::Packed(pack) => (Some(pack.iter().skip(skipped)), None),
            HashRef::Large(large) => (None, Some(large)),
        };
        let small = std::iter::from_fn(move || {
            let elements = pack.as_mut()?;
            Some((elements.next()?, elements.next()?.into()))
        });
        small.chain(large.into_iter().flat_map(move |large| large.iter_from(rank)))
    }

    /// Visits fields from a cursor on, about `count` of a large hash and all of a small one. Gives the cursor to go on with, 0
    /// at the end; 0 is also where to begin. A field that is there from the first visit to the last is visited, and once.
    pub fn scan(self, cursor: u64, count: usize, visit: impl FnMut((Str<'a>, FieldValue<'a>))) -> u64 {
        match self {
            HashRef::Large(large) => large.scan(cursor, count, visit),
            small => {
                small.iter().for_each(visit);
                0
            }
        }
    }
}

impl<'a> From<HashRef<'a>> for Value<'a> {
    fn from(hash: HashRef<'a>) -> Value<'a> {
        Value::Hash(hash)
    }
}

impl PartialEq for HashRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(field, value)| other.get(field) == Some(value))
    }
}

impl std::fmt::Debug for HashRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
