//! A key with its value and what a snapshot stores beside it, borrowed. This crate's own words, so that it depends on
//! no dataset; nothing here knows how a value lies in memory.

use baton_base::WallMs;

/// A string value. Encoders accept any integer as either variant; the decoder gives [`Str::Int`] exactly for strings
/// that lay in the file as integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Str<'a> {
    /// The canonical decimal text of this integer.
    Int(i64),
    /// Any bytes.
    Bytes(&'a [u8]),
}

/// A whole value of one entry.
///
/// Types that lie in the file as one string (all packed collections) become variants here. Types that lie there as many
/// strings get events of their own that follow each other, so that neither side has to hold a large collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A string.
    Str(Str<'a>),
}

/// One entry of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Number of its database.
    pub db: u32,
    /// Its name.
    pub key: &'a [u8],
    /// Its value.
    pub value: Value<'a>,
    /// When it expires; none if never.
    pub expire_at: Option<WallMs>,
    /// Whole seconds since its last access; present only where eviction follows recency (rdb 1).
    pub idle_secs: Option<u64>,
    /// Access counter; present only where eviction follows frequency (rdb 1).
    pub frequency: Option<u8>,
}

impl<'a> Entry<'a> {
    /// An entry that never expires, with no access record.
    pub fn new(db: u32, key: &'a [u8], value: Value<'a>) -> Self {
        Entry { db, key, value, expire_at: None, idle_secs: None, frequency: None }
    }
}
