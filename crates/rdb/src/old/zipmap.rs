//! Zipmaps (rdb 5.4): what small hashes were before ziplists.
//!
//! ```text
//! u8 pairs, 254: count them | pairs | ff
//! pair: length, field | length, u8 unused bytes, value, that many bytes of no meaning
//! length: one byte below 254, or fe and u32
//! ```

use baton_values::Listpack;

use super::BLOB_BYTES_MAX;

const END: u8 = 0xff;
/// The first byte of a length that takes four more, and the count that says nothing.
const LONG: u8 = 0xfe;

/// Its fields and values, alternating, as a listpack; none if the bytes are no zipmap or an empty one. Whether fields
/// repeat is left to the reader of hashes.
pub(crate) fn to_listpack(bytes: &[u8]) -> Option<Listpack> {
    let (&count, _) = bytes.split_first()?;
    if bytes.len() > BLOB_BYTES_MAX {
        return None;
    }
    let mut pack = Listpack::new();
    let (mut at, mut found) = (1, 0);
    while *bytes.get(at)? != END {
        let field = length(bytes, &mut at)?;
        pack.push(take(bytes, &mut at, field)?);
        let value = length(bytes, &mut at)?;
        let unused = usize::from(*bytes.get(at)?);
        at += 1;
        pack.push(take(bytes, &mut at, value)?);
        take(bytes, &mut at, unused)?;
        found += 1;
    }
    let is_whole = at + 1 == bytes.len() && found > 0;
    (is_whole && (count == LONG || usize::from(count) == found)).then_some(pack)
}

/// Reads a length. One that takes more bytes than it has to is refused, as upstream does: what was made for the short form
/// would be read beyond its end.
fn length(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let len = match *bytes.get(*at..)? {
        [LONG, a, b, c, d, ..] => {
            let len = u32::from_le_bytes([a, b, c, d]);
            *at += 5;
            (len >= u32::from(LONG)).then_some(len as usize)?
        }
        [short, ..] if short < LONG => {
            *at += 1;
            usize::from(short)
        }
        _ => return None,
    };
    Some(len)
}

fn take<'a>(bytes: &'a [u8], at: &mut usize, len: usize) -> Option<&'a [u8]> {
    let taken = bytes.get(*at..)?.get(..len)?;
    *at += len;
    Some(taken)
}
