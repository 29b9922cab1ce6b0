//! Ziplists (rdb 5.3).
//!
//! ```text
//! u32 bytes in all | u32 where the last element begins | u16 elements, 65535: count them | elements | ff
//! element: bytes of the element before, one byte or fe and u32 | encoding and data
//! ```

use baton_values::Listpack;

use super::BLOB_BYTES_MAX;

/// Bytes before the first element.
const HEADER_BYTES: usize = 10;
const END: u8 = 0xff;
/// The number of elements that says that they have to be counted.
const COUNT_UNKNOWN: u16 = u16::MAX;
/// The first byte of a length that takes four more.
const LENGTH_LONG: u8 = 0xfe;

/// A text or an integer.
enum Element<'a> {
    Text(&'a [u8]),
    Int(i64),
}

/// The same elements as a listpack; none if the bytes are no ziplist. Everything that the format says twice is compared.
pub(crate) fn to_listpack(bytes: &[u8]) -> Option<Listpack> {
    let header: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
    let total = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    let last = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    let count = u16::from_le_bytes([header[8], header[9]]);
    if total as usize != bytes.len() || bytes.len() > BLOB_BYTES_MAX {
        return None;
    }
    let mut pack = Listpack::new();
    let (mut at, mut len_before, mut found) = (HEADER_BYTES, 0, 0);
    while *bytes.get(at)? != END {
        let (element, len) = read(&bytes[at..], len_before)?;
        match element {
            Element::Text(text) => pack.push(text),
            Element::Int(n) => pack.push(itoa::Buffer::new().format(n).as_bytes()),
        }
        (at, len_before, found) = (at + len, len, found + 1);
    }
    let is_whole = at + 1 == bytes.len() && last as usize == at - len_before;
    (is_whole && (count == COUNT_UNKNOWN || usize::from(count) == found)).then_some(pack)
}

/// The element that these bytes begin with and how many bytes it takes, if it says of the one before what is true.
fn read(bytes: &[u8], len_before: usize) -> Option<(Element<'_>, usize)> {
    let (told, head) = match *bytes {
        [LENGTH_LONG, a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]) as usize, 5),
        [short, ..] if short < LENGTH_LONG => (usize::from(short), 1),
        _ => return None,
    };
    if told != len_before {
        return None;
    }
    let rest = &bytes[head..];
    let text = |start: usize, len: usize| {
        let end = start.checked_add(len)?;
        Some((Element::Text(rest.get(start..end)?), head + end))
    };
    let int = |width: usize| {
        let mut wide = [0; 8];
        wide[8 - width..].copy_from_slice(rest.get(1..=width)?);
        Some((Element::Int(i64::from_le_bytes(wide) >> (64 - 8 * width)), head + 1 + width))
    };
    match *rest {
        [first @ 0..0x40, ..] => text(1, usize::from(first)),
        [first @ 0x40..0x80, second, ..] => text(2, usize::from(first & 0x3f) << 8 | usize::from(second)),
        [0x80..0xc0, a, b, c, d, ..] => text(5, u32::from_be_bytes([a, b, c, d]) as usize),
        [0xc0, ..] => int(2),
        [0xd0, ..] => int(4),
        [0xe0, ..] => int(8),
        [0xf0, ..] => int(3),
        [0xfe, ..] => int(1),
        [first @ 0xf1..=0xfd, ..] => Some((Element::Int(i64::from(first & 0xf) - 1), head + 1)),
        _ => None,
    }
}
