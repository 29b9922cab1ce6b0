//! The hash of members and fields by which large collections are ordered: 32 bits of rapidhash under a seed that clients
//! don't know. Never the hash of keys.

use rapidhash::v3::{RapidSecrets, rapidhash_v3_micro_inline};

use crate::text::Str;

/// Hashes members under one seed.
#[derive(Clone)]
pub(crate) struct MemberHasher(RapidSecrets);

impl MemberHasher {
    /// The hasher of this seed.
    pub(crate) fn new(seed: u64) -> MemberHasher {
        MemberHasher(RapidSecrets::seed(seed))
    }

    /// The hash of bytes.
    #[inline]
    pub(crate) fn hash(&self, member: &[u8]) -> u32 {
        (rapidhash_v3_micro_inline::<true, false>(member, &self.0) >> 32) as u32
    }

    /// The hash of a text in its canonical form. An integer is not written out for it, so this is not the hash of its
    /// digits.
    #[inline]
    pub(crate) fn hash_text(&self, text: Str<'_>) -> u32 {
        match text {
            Str::Int(n) => self.hash(&n.to_le_bytes()),
            Str::Bytes(bytes) => self.hash(bytes),
        }
    }
}
