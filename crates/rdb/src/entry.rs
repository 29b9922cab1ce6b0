//! A key with its value and what a snapshot stores beside it, borrowed.

use baton_base::WallMs;
use baton_values::Value;

/// One entry of a database.
#[derive(Clone, Copy, Debug, PartialEq)]
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
