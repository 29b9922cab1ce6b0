//! Libraries of functions outside a file: what FUNCTION DUMP replies and FUNCTION RESTORE takes (rdb 8).

use crate::crc64::checksum;
use crate::cursor::{Cursor, RawStr};
use crate::dump::{RestoreError, STRING_BYTES_MAX, checked_body};
use crate::encode::StringEncoder;
use crate::format::{VERSION, VersionPolicy, opcode};
use crate::lzf;

/// The payload of libraries with these texts.
pub fn dump_functions<'a>(sources: impl IntoIterator<Item = &'a [u8]>, compress: bool) -> Vec<u8> {
    let (mut out, mut strings) = (Vec::new(), StringEncoder::new(compress));
    for source in sources {
        out.push(opcode::FUNCTION2);
        strings.bytes(&mut out, source);
    }
    out.extend_from_slice(&VERSION.to_le_bytes());
    let sum = checksum(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// The texts of the libraries in a payload.
///
/// # Errors
/// As [`RestoreError`] says; nothing is read before the checksum was found right.
pub fn restore_functions(payload: &[u8], versions: VersionPolicy) -> Result<Vec<Vec<u8>>, RestoreError> {
    let (_, mut rest) = checked_body(payload, versions)?;
    let mut sources = Vec::new();
    while let Some((&kind, text)) = rest.split_first() {
        if kind != opcode::FUNCTION2 {
            return Err(RestoreError::NoFunction);
        }
        let mut cursor = Cursor::new(text);
        let source = match cursor.string(STRING_BYTES_MAX).map_err(|_| RestoreError::Format)? {
            RawStr::Int(n) => n.to_string().into_bytes(),
            RawStr::Plain(range) => text[range].to_vec(),
            RawStr::Lzf(range, length) => {
                let mut out = Vec::new();
                lzf::decompress(&text[range], &mut out, length).map_err(|_| RestoreError::Format)?;
                out
            }
        };
        sources.push(source);
        rest = &text[cursor.position()..];
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dumped_is_restored() {
        let long = vec![b'x'; 1000];
        let sources: [&[u8]; 3] = [b"#!lua name=a\n", b"12", &long];
        for compress in [false, true] {
            let payload = dump_functions(sources, compress);
            assert_eq!(restore_functions(&payload, VersionPolicy::Strict).unwrap(), sources);
        }
        assert_eq!(restore_functions(&dump_functions([], true), VersionPolicy::Strict), Ok(Vec::new()));
    }

    #[test]
    fn bytes_of_valkey_read_back() {
        let payload = b"\x50\0";
        assert_eq!(restore_functions(payload, VersionPolicy::Strict), Err(RestoreError::Footer));
        let mut spoilt = dump_functions([&b"abc"[..]], true);
        spoilt[0] = 0;
        assert_eq!(restore_functions(&spoilt, VersionPolicy::Strict), Err(RestoreError::Footer));
        let len = spoilt.len();
        let sum = checksum(&spoilt[..len - 8]).to_le_bytes();
        spoilt[len - 8..].copy_from_slice(&sum);
        assert_eq!(restore_functions(&spoilt, VersionPolicy::Strict), Err(RestoreError::NoFunction));
    }
}
