//! Fixed-size fields: big-endian numbers at known offsets and NUL-padded IP text. Readers here expect that the caller
//! has checked the length of the packet.

use crate::layout::IP_BYTES;
use std::fmt;

/// The `N` bytes at an offset that the caller knows to be inside.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes[offset..offset + N].try_into().expect("a range of N bytes has N bytes")
}

pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_be_bytes(array_at(bytes, offset))
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_be_bytes(array_at(bytes, offset))
}

pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_be_bytes(array_at(bytes, offset))
}

pub(crate) fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    bytes[offset..offset + value.len()].copy_from_slice(value);
}

/// An address as text in the 46-byte field of the bus: at most 45 printable ASCII characters without blanks. Usually an
/// IPv4 or IPv6 address; empty means "use the peer address of the socket" in a header and "unknown" in gossip.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpText {
    bytes: [u8; IP_BYTES],
    len: u8,
}

/// Why a text doesn't fit the IP field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address is at most 45 printable characters without blanks")]
pub struct BadIpText;

impl IpText {
    /// No address.
    pub const EMPTY: IpText = IpText { bytes: [0; IP_BYTES], len: 0 };

    /// Checks length and characters.
    pub fn new(text: &str) -> Result<IpText, BadIpText> {
        let fits = text.len() < IP_BYTES && text.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            return Err(BadIpText);
        }
        let mut bytes = [0; IP_BYTES];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(IpText { bytes, len: text.len() as u8 })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).expect("checked to be ASCII when it was made")
    }

    /// Whether there is no address.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads the field. What follows the first NUL is not looked at: upstream leaves the rest of a longer, earlier
    /// address there.
    pub(crate) fn from_field(field: [u8; IP_BYTES]) -> Result<IpText, BadIpText> {
        let end = field.iter().position(|&b| b == 0).ok_or(BadIpText)?;
        let text = std::str::from_utf8(&field[..end]).map_err(|_| BadIpText)?;
        IpText::new(text)
    }

    pub(crate) fn as_field(&self) -> &[u8; IP_BYTES] {
        &self.bytes
    }
}

impl Default for IpText {
    fn default() -> Self {
        IpText::EMPTY
    }
}

impl fmt::Display for IpText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for IpText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}
