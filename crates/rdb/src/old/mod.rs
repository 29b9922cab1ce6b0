//! Packed forms that nobody writes any more (rdb 5.3, 5.4): read whole, as listpacks, and never written.
//!
//! The bytes come from anywhere. What the readers give costs memory in proportion to them.

pub(crate) mod ziplist;
pub(crate) mod zipmap;

/// Longest blob that is taken, in bytes. A listpack is not much longer than what it was read from, and it has to stay
/// below 4 GiB; upstream packs nothing beyond this size either (rdb 5.1).
const BLOB_BYTES_MAX: usize = 1 << 30;

#[cfg(test)]
mod tests;
