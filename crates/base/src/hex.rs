//! Bytes as hexadecimal digits, two a byte, and back. No prefixes, blanks or other notations of numbers.

use std::fmt;

/// Every digit at its value, as they are written.
pub const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Bytes that are shown as lower-case digits.
///
/// ```
/// assert_eq!(baton_base::hex::Hex(b"\x00\xfe").to_string(), "00fe");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Hex<'b>(pub &'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The byte that two digits of any case stand for; none if they are not digits.
#[inline]
pub fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    Some((digit(high)? << 4 | digit(low)?) as u8)
}

/// Exactly as many bytes as are asked for, from digits of any case; none if the text is anything else. Allocates nothing.
pub fn array<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (to, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *to = byte(pair[0], pair[1])?;
    }
    Some(out)
}

/// The bytes that a text of digits of any case stands for; none if it is anything else.
pub fn bytes(text: &[u8]) -> Option<Vec<u8>> {
    let pairs = text.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| byte(pair[0], pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_reads_back_in_either_case() {
        let all: Vec<u8> = (0..=255).collect();
        let text = Hex(&all).to_string();
        assert_eq!((&text[..8], &text[504..]), ("00010203", "fcfdfeff"));
        for text in [text.clone(), text.to_uppercase()] {
            assert_eq!(bytes(text.as_bytes()).as_ref(), Some(&all));
            assert_eq!(array::<256>(text.as_bytes()).map(Vec::from).as_ref(), Some(&all));
        }
    }

    #[test]
    fn nothing_else_is_read() {
        assert_eq!((bytes(b""), array(b"")), (Some(Vec::new()), Some([])));
        for bad in [&b"0"[..], b"000", b"0g", b"g0", b"+1", b" 1", b"0x", b"\xff0"] {
            assert_eq!((bytes(bad), array::<1>(bad)), (None, None), "{bad:?}");
        }
        assert_eq!((array::<1>(b"0000"), array::<3>(b"0000")), (None, None));
    }
}
