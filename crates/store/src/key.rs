//! A key with what is computed from it once per command: its slot and its hash.

use baton_base::Slot;

/// Number of a database, 0 up to the configured count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct DbIndex(pub u32);

/// Seeded hash of a key; the table takes its bucket and its tag from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyHash(pub u64);

/// A borrowed key together with its slot and hash. Made by [`Store::key`](crate::Store::key).
#[derive(Clone, Copy, Debug)]
pub struct Key<'k> {
    /// The name.
    pub bytes: &'k [u8],
    /// The slot that owns it.
    pub slot: Slot,
    /// Its hash under this store's seed.
    pub hash: KeyHash,
}
