//! One element of a listpack as bytes (rdb 5.1). Reading trusts the bytes as far as their meaning goes; [`checked`] does
//! not.

use crate::text::Str;

/// Bytes before the first element.
pub(super) const HEADER_BYTES: usize = 6;
/// The byte behind the last element.
pub(super) const END: u8 = 0xff;
/// The count that says that elements have to be counted.
pub(super) const COUNT_UNKNOWN: u16 = u16::MAX;

const STR_32: u8 = 0xf0;
const INT_16: u8 = 0xf1;
const INT_24: u8 = 0xf2;
const INT_32: u8 = 0xf3;
const INT_64: u8 = 0xf4;

/// The number of elements that the header tells, if it does.
#[inline]
pub(super) fn count(bytes: &[u8]) -> Option<usize> {
    let count = u16::from_le_bytes([bytes[4], bytes[5]]);
    (count != COUNT_UNKNOWN).then_some(usize::from(count))
}

/// What the first byte says: bytes before the data, and bytes of data. None for a byte that begins no element.
#[inline]
fn shape(bytes: &[u8]) -> Option<(usize, usize)> {
    let low = |byte: u8, bits: u32| usize::from(byte) & ((1 << bits) - 1);
    Some(match *bytes {
        [first, ..] if first < 0x80 => (1, 0),
        [first, ..] if first < 0xc0 => (1, low(first, 6)),
        [first, ..] if first < 0xe0 => (2, 0),
        [first, second, ..] if first < 0xf0 => (2, low(first, 4) << 8 | usize::from(second)),
        [STR_32, a, b, c, d, ..] => (5, u32::from_le_bytes([a, b, c, d]) as usize),
        [INT_16, ..] => (1, 2),
        [INT_24, ..] => (1, 3),
        [INT_32, ..] => (1, 4),
        [INT_64, ..] => (1, 8),
        _ => return None,
    })
}

/// The element that begins at `at`, and where the next one does.
#[inline]
pub(super) fn read(bytes: &[u8], at: usize) -> (Str<'_>, usize) {
    let (text, end) = bare::read(bytes, at);
    (text, end + back_bytes(end - at))
}

/// Elements without the length behind them, for those who only read forwards.
pub(crate) mod bare {
    use super::{Str, shape, value};

    /// The text that begins at `at`, and where it ends.
    #[inline]
    pub(crate) fn read(bytes: &[u8], at: usize) -> (Str<'_>, usize) {
        let rest = &bytes[at..];
        // Most are short texts.
        if let [first @ 0x80..0xc0, text @ ..] = rest {
            let len = usize::from(first & 0x3f);
            return (Str::Bytes(&text[..len]), at + 1 + len);
        }
        read_other(rest, at)
    }

    fn read_other(rest: &[u8], at: usize) -> (Str<'_>, usize) {
        let (head, data) = shape(rest).expect("a place is where an element begins");
        (value(rest, head, data), at + head + data)
    }

    /// Bytes that a text takes.
    #[inline]
    pub(crate) fn size(text: Str<'_>) -> usize {
        super::encoded_size(text)
    }

    /// Writes a text.
    pub(crate) fn write(out: &mut Vec<u8>, text: Str<'_>) {
        super::encode(out, text);
    }
}

/// The value of an element whose bytes are there.
#[inline]
fn value(bytes: &[u8], head: usize, data: usize) -> Str<'_> {
    let first = bytes[0];
    let number = match first {
        0..0x80 => i64::from(first),
        0xc0..0xe0 => {
            let bits = i64::from(first & 0x1f) << 8 | i64::from(bytes[1]);
            if bits >= 1 << 12 { bits - (1 << 13) } else { bits }
        }
        INT_16.. => little_endian(&bytes[1..=data]),
        _ => return Str::Bytes(&bytes[head..head + data]),
    };
    Str::Int(number)
}

/// A signed integer of any width.
fn little_endian(bytes: &[u8]) -> i64 {
    let mut wide = [0; 8];
    wide[8 - bytes.len()..].copy_from_slice(bytes);
    i64::from_le_bytes(wide) >> (64 - 8 * bytes.len())
}

/// Where the element that ends right before `at` begins.
#[inline]
pub(super) fn start_before(bytes: &[u8], at: usize) -> usize {
    let (len, back) = back_length(&bytes[..at]).expect("an element ends there");
    at - back - len
}

/// The length that stands backwards at the end of these bytes, and how many bytes it takes.
#[inline]
fn back_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut len = 0;
    for (i, byte) in bytes.iter().rev().take(5).enumerate() {
        len |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((len, i + 1));
        }
    }
    None
}

/// Bytes of the length behind an element of so many bytes.
#[inline]
fn back_bytes(len: usize) -> usize {
    match len {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5,
    }
}

/// An element of bytes that nobody checked: its text, where the next one begins, and whether it is just what [`write`]
/// would write. None if there is no element.
pub(super) fn checked(bytes: &[u8], at: usize) -> Option<(Str<'_>, usize, bool)> {
    let rest = bytes.get(at..)?;
    let (head, data) = shape(rest)?;
    let len = head.checked_add(data)?;
    rest.get(..len)?;
    let text = value(rest, head, data);
    // Some writers take a byte more at the limits, so how long the length is has to be read, not computed.
    let back =
        (1..=5).find(|back| rest.get(..len + back).is_some_and(|bytes| back_length(bytes) == Some((len, *back))))?;
    // Each size has one encoding of integers, and one of texts.
    let canonical = text.to_canonical();
    let is_canonical = std::mem::discriminant(&canonical) == std::mem::discriminant(&text);
    Some((text, at + len + back, is_canonical && size(canonical) == len + back))
}

impl<'a> Str<'a> {
    fn to_canonical(self) -> Str<'a> {
        match self {
            Str::Bytes(text) => Str::of(text),
            number => number,
        }
    }
}

/// Bytes that an element takes.
#[inline]
pub(super) fn size(text: Str<'_>) -> usize {
    let len = encoded_size(text);
    len + back_bytes(len)
}

#[inline]
fn encoded_size(text: Str<'_>) -> usize {
    match text {
        Str::Int(n) => match n {
            0..0x80 => 1,
            -0x1000..0x1000 => 2,
            -0x8000..0x8000 => 3,
            -0x80_0000..0x80_0000 => 4,
            -0x8000_0000..0x8000_0000 => 5,
            _ => 9,
        },
        Str::Bytes(text) => match text.len() {
            0..0x40 => 1 + text.len(),
            0x40..0x1000 => 2 + text.len(),
            _ => 5 + text.len(),
        },
    }
}

/// Writes an element.
pub(super) fn write(out: &mut Vec<u8>, text: Str<'_>) {
    let start = out.len();
    encode(out, text);
    let len = out.len() - start;
    let back = back_bytes(len);
    for i in (0..back).rev() {
        let more = if i + 1 == back { 0 } else { 0x80 };
        out.push((len >> (7 * i)) as u8 & 0x7f | more);
    }
}

fn encode(out: &mut Vec<u8>, text: Str<'_>) {
    match text {
        Str::Int(n) => write_int(out, n),
        Str::Bytes(text) => {
            match text.len() {
                len @ ..0x40 => out.push(0x80 | len as u8),
                len @ ..0x1000 => out.extend_from_slice(&(0xe000 | len as u16).to_be_bytes()),
                len => {
                    out.push(STR_32);
                    let len = u32::try_from(len).expect("an element is shorter than 4 GiB");
                    out.extend_from_slice(&len.to_le_bytes());
                }
            }
            out.extend_from_slice(text);
        }
    }
}

fn write_int(out: &mut Vec<u8>, n: i64) {
    let bytes = n.to_le_bytes();
    let (first, width) = match n {
        0..0x80 => return out.push(n as u8),
        -0x1000..0x1000 => return out.extend_from_slice(&((n as u16 & 0x1fff) | 0xc000).to_be_bytes()),
        -0x8000..0x8000 => (INT_16, 2),
        -0x80_0000..0x80_0000 => (INT_24, 3),
        -0x8000_0000..0x8000_0000 => (INT_32, 4),
        _ => (INT_64, 8),
    };
    out.push(first);
    out.extend_from_slice(&bytes[..width]);
}
