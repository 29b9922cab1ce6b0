//! The checksum of snapshot files and DUMP payloads (rdb 7), fed piece by piece. It finds damage; it proves nothing
//! about who wrote the bytes.

use std::sync::LazyLock;

use crc_fast::{CrcParams, Digest};

/// Constants of the algorithm. Deriving the folding keys costs microseconds, so it happens once.
static PARAMS: LazyLock<CrcParams> =
    LazyLock::new(|| CrcParams::new("CRC-64/REDIS", 64, 0xad93_d235_94c9_35a9, 0, true, 0, 0xe9c6_d914_c4b8_d9ca));

/// A running CRC64 over everything fed so far.
#[derive(Clone, Copy, Debug)]
pub struct Crc64(Digest);

impl Crc64 {
    /// The checksum of nothing, which is zero.
    pub fn new() -> Self {
        Crc64(Digest::new_with_params(*PARAMS))
    }

    /// Goes on with these bytes. Large pieces cost far less per byte than small ones.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of everything fed so far.
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

impl Default for Crc64 {
    fn default() -> Self {
        Crc64::new()
    }
}

/// The checksum of one piece.
pub fn checksum(bytes: &[u8]) -> u64 {
    crc_fast::checksum_with_params(*PARAMS, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The right-shift form of the polynomial, one bit at a time.
    fn naive(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0, |crc, &b| {
            (0..8).fold(crc ^ u64::from(b), |c, _| if c & 1 == 1 { (c >> 1) ^ 0x95ac_9329_ac4b_c9b5 } else { c >> 1 })
        })
    }

    #[test]
    fn the_check_value_holds() {
        assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(Crc64::new().value(), 0);
    }

    proptest! {
        #[test]
        fn any_split_gives_what_the_bitwise_twin_gives(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000),
            cut in any::<proptest::sample::Index>(),
        ) {
            let cut = cut.index(bytes.len() + 1);
            let mut crc = Crc64::new();
            crc.update(&bytes[..cut]);
            crc.update(&bytes[cut..]);
            prop_assert_eq!(crc.value(), naive(&bytes));
            prop_assert_eq!(checksum(&bytes), naive(&bytes));
        }
    }
}
