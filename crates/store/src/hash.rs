//! The hash of keys: rapidhash with this store's seed.

use rapidhash::v3::{RapidSecrets, rapidhash_v3_micro_inline};

/// Hashes keys under one seed. Tables of stores with different seeds can't be mixed.
#[derive(Clone)]
pub(crate) struct KeyHasher {
    seed: u64,
    secrets: RapidSecrets,
}

impl KeyHasher {
    /// The hasher of this seed.
    pub(crate) fn new(seed: u64) -> KeyHasher {
        KeyHasher { seed, secrets: RapidSecrets::seed(seed) }
    }

    /// The seed it was made with.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// All 64 bits are good: tables take the bucket from the low ones and the tag from the high ones.
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        rapidhash_v3_micro_inline::<true, false>(key, &self.secrets)
    }
}
