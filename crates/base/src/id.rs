//! Identities and counters of a cluster: node, shard and replication ids, epochs and replication offsets. They are
//! newtypes so that one can never stand in for another.

use std::fmt;

/// Why forty bytes are not an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadId;

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id is 40 characters of 0-9 and a-z")
    }
}

impl std::error::Error for BadId {}

macro_rules! forty {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name([u8; 40]);

        // Tables by id are searched for every packet and every gossip entry, and ids are random: the first eight
        // characters nearly always decide, which is one comparison of numbers.
        impl Ord for $name {
            #[inline]
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                let first = |id: &Self| u64::from_be_bytes(*id.0.first_chunk().expect("an id is longer"));
                first(self).cmp(&first(other)).then_with(|| self.0.cmp(&other.0))
            }
        }

        impl PartialOrd for $name {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            /// Checks the character set `[0-9a-z]` that the bus accepts (cluster-bus 1.7).
            pub fn new(bytes: [u8; 40]) -> Result<Self, BadId> {
                let ok = bytes.iter().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
                if ok { Ok(Self(bytes)) } else { Err(BadId) }
            }

            /// Reads exactly forty characters.
            pub fn parse(text: &[u8]) -> Result<Self, BadId> {
                Self::new(text.try_into().map_err(|_| BadId)?)
            }

            /// A fresh random id of lower-case hexadecimal digits.
            pub fn random(rng: &mut crate::Rng) -> Self {
                let mut out = [0u8; 40];
                for b in &mut out {
                    *b = crate::hex::DIGITS[rng.below(16) as usize];
                }
                Self(out)
            }

            /// The forty characters.
            pub fn as_bytes(&self) -> &[u8; 40] {
                &self.0
            }

            /// The forty characters as text.
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).expect("an id is ASCII by construction")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.as_str()[..8])
            }
        }
    };
}

forty!(
    /// Identity of a cluster node, kept for its whole life.
    NodeId
);
forty!(
    /// Identity of a shard: a primary and its replicas share it.
    ShardId
);
forty!(
    /// Names one history of a dataset: equal `(ReplId, Offset)` means equal data.
    ReplId
);

impl ReplId {
    /// The id that stands for "no history": forty zeros, as INFO prints it.
    pub const NONE: ReplId = ReplId([b'0'; 40]);
}

/// A logical time of the cluster: later configuration and later elections carry larger epochs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one. Saturates, so that a forged maximum can't wrap to zero.
    #[must_use]
    pub fn next(self) -> Epoch {
        Epoch(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of bytes of replication stream since the base of a history.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Offset(pub u64);

impl Offset {
    /// The offset `bytes` later.
    #[must_use]
    pub fn plus(self, bytes: u64) -> Offset {
        Offset(self.0.saturating_add(bytes))
    }

    /// Bytes from `earlier` to here; zero if `earlier` is not earlier.
    pub fn since(self, earlier: Offset) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ordered_as_their_characters_are() {
        let mut rng = crate::Rng::new(9);
        let mut ids: Vec<NodeId> = (0..200).map(|_| NodeId::random(&mut rng)).collect();
        // Ids that differ late only.
        ids.extend((0..40).map(|at| NodeId::new(std::array::from_fn(|i| if i == at { b'b' } else { b'a' })).unwrap()));
        for a in &ids {
            for b in &ids {
                assert_eq!(a.cmp(b), a.as_bytes().cmp(b.as_bytes()));
                assert_eq!(a == b, a.as_bytes() == b.as_bytes());
            }
        }
    }

    #[test]
    fn ids_accept_only_forty_of_the_charset() {
        assert!(NodeId::parse(&[b'a'; 40]).is_ok());
        assert_eq!(NodeId::parse(&[b'a'; 39]), Err(BadId));
        assert_eq!(NodeId::parse(&[b'A'; 40]), Err(BadId));
        assert_eq!(NodeId::parse(&[0; 40]), Err(BadId));
        let mut rng = crate::Rng::new(7);
        let id = NodeId::random(&mut rng);
        assert_eq!(NodeId::parse(id.as_bytes()), Ok(id));
    }
}
