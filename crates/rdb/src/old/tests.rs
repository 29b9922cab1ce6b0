//! Old forms against a naive writer of them, spoilt and not.

use baton_values::Listpack;
use proptest::prelude::*;

use super::{ziplist, zipmap};

fn texts(pack: &Listpack) -> Vec<Vec<u8>> {
    pack.as_ref().iter().map(|text| text.to_vec()).collect()
}

/// Encoding and data of one element of a ziplist.
fn ziplist_data(text: &[u8]) -> Vec<u8> {
    let number =
        std::str::from_utf8(text).ok().and_then(|t| t.parse::<i64>().ok()).filter(|n| n.to_string().as_bytes() == text);
    let le = number.unwrap_or(0).to_le_bytes();
    let fits = |bits: u32| number.is_some_and(|n| n >= -(1 << (bits - 1)) && n < 1 << (bits - 1));
    match number {
        Some(n @ 0..=12) => vec![0xf1 + n as u8],
        Some(_) if fits(8) => vec![0xfe, le[0]],
        Some(_) if fits(16) => [&[0xc0], &le[..2]].concat(),
        Some(_) if fits(24) => [&[0xf0], &le[..3]].concat(),
        Some(_) if fits(32) => [&[0xd0], &le[..4]].concat(),
        Some(_) => [&[0xe0], &le[..]].concat(),
        None => match text.len() {
            len @ ..64 => [&[len as u8], text].concat(),
            len @ ..16384 => [&[0x40 | (len >> 8) as u8, len as u8], text].concat(),
            len => [&[0x80], &(len as u32).to_be_bytes()[..], text].concat(),
        },
    }
}

/// A ziplist; `long` makes all lengths of elements before take five bytes, as updates may leave them.
fn ziplist_of(texts: &[Vec<u8>], long: bool) -> Vec<u8> {
    let mut bytes = vec![0; 10];
    let (mut before, mut last) = (0usize, 10);
    for text in texts {
        last = bytes.len();
        match u8::try_from(before) {
            Ok(short) if short < 254 && !long => bytes.push(short),
            _ => bytes.extend([&[0xfe], &(before as u32).to_le_bytes()[..]].concat()),
        }
        bytes.extend(ziplist_data(text));
        before = bytes.len() - last;
    }
    bytes.push(0xff);
    let total = bytes.len() as u32;
    bytes[..4].copy_from_slice(&total.to_le_bytes());
    bytes[4..8].copy_from_slice(&(last as u32).to_le_bytes());
    bytes[8..10].copy_from_slice(&u16::try_from(texts.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes
}

fn zipmap_of(pairs: &[(Vec<u8>, Vec<u8>)], unused: u8) -> Vec<u8> {
    let length = |len: usize| match len {
        ..254 => vec![len as u8],
        _ => [&[0xfe], &(len as u32).to_le_bytes()[..]].concat(),
    };
    let mut bytes = vec![u8::try_from(pairs.len()).unwrap_or(254).min(254)];
    for (field, value) in pairs {
        bytes.extend([length(field.len()), field.clone(), length(value.len()), vec![unused], value.clone()].concat());
        bytes.extend(vec![0xff; usize::from(unused)]);
    }
    bytes.push(0xff);
    bytes
}

/// Five elements and three fields as Valkey 9.1.2 takes them from a payload.
#[test]
fn bytes_that_the_real_server_takes() {
    let list = b"\x1b\0\0\0\x16\0\0\0\x05\0\0\x01a\x03\xf2\x02\xfe\xff\x03\xc0\x2c\x01\x04\x02hi\xff";
    assert_eq!(list.len(), usize::from(list[0]));
    let read = ziplist::to_listpack(list).expect("a ziplist");
    assert_eq!(texts(&read), [&b"a"[..], b"1", b"-1", b"300", b"hi"]);
    let map = b"\x03\x01a\x01\x001\x01b\x02\x02xyzz\x02cc\x00\x00\xff";
    let read = zipmap::to_listpack(map).expect("a zipmap");
    assert_eq!(texts(&read), [&b"a"[..], b"1", b"b", b"xy", b"cc", b""]);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let good = ziplist_of(&[b"a".to_vec(), b"bcd".to_vec(), b"7".to_vec()], false);
    assert!(ziplist::to_listpack(&good).is_some());
    // Total, last, count, the length of an element before, an encoding, the end.
    for wrong in [0, 4, 8, 10, 13, 14, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[wrong] ^= 1;
        assert_eq!(ziplist::to_listpack(&bytes), None, "byte {wrong}");
    }
    assert_eq!(ziplist::to_listpack(&ziplist_of(&[], false)).map(|pack| pack.as_ref().len()), Some(0));
    for map in [
        &b""[..],
        b"\xff",
        // Empty.
        b"\x00\xff",
        // The count is wrong.
        b"\x02\x01a\x01\x001\xff",
        b"\xff\x01a\x01\x001\xff",
        // No value, no end, something behind the end.
        b"\x01\x01a\xff",
        b"\x01\x01a\x01\x001",
        b"\x01\x01a\x01\x001\xff\xff",
        // A value, and unused bytes, that end behind the end.
        b"\x01\x01a\x05\x001\xff",
        b"\x01\x01a\x01\x091\xff",
        // Lengths in a longer form than they need.
        b"\x01\xfe\x01\x00\x00\x00a\x01\x001\xff",
        b"\x01\x01a\xfe\x01\x00\x00\x00\x001\xff",
    ] {
        assert_eq!(zipmap::to_listpack(map), None, "{map:x?}");
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0u32..63).prop_flat_map(|bits| any::<i64>().prop_map(move |n| (n >> bits).to_string().into_bytes())),
        (-20i64..20).prop_map(|n| n.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..80),
        (200usize..300).prop_map(|len| vec![b'y'; len]),
        (0usize..20_000).prop_map(|len| vec![b'z'; len]),
    ]
}

/// Spoils a byte, cuts, or leaves as it is.
fn spoil(bytes: &mut Vec<u8>, what: u8, place: prop::sample::Index, byte: u8) {
    match what {
        0 => bytes.truncate(place.index(bytes.len())),
        1 => {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        // Near the head, where the lengths are.
        _ => {
            let at = place.index(bytes.len().min(24));
            bytes[at] = byte;
        }
    }
}

proptest! {
    #[test]
    fn whatever_was_written_is_read(elements in proptest::collection::vec(text(), 0..40), long in any::<bool>(), unused in 0u8..5) {
        let read = ziplist::to_listpack(&ziplist_of(&elements, long)).expect("a ziplist");
        prop_assert_eq!(texts(&read), elements.clone());
        let pairs: Vec<_> = elements.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        let read = zipmap::to_listpack(&zipmap_of(&pairs, unused));
        prop_assert_eq!(read.as_ref().map(texts).unwrap_or_default(), elements[..2 * pairs.len()].to_vec());
    }

    #[test]
    fn spoilt_bytes_never_panic_and_cost_no_more_than_they_are(
        elements in proptest::collection::vec(text(), 0..12),
        what in 0u8..4,
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let pairs: Vec<_> = elements.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        for (mut bytes, read) in [
            (ziplist_of(&elements, false), ziplist::to_listpack as fn(&[u8]) -> Option<Listpack>),
            (zipmap_of(&pairs, 1), zipmap::to_listpack),
        ] {
            spoil(&mut bytes, what, place, byte);
            if let Some(pack) = read(&bytes) {
                prop_assert!(pack.heap_bytes() <= 64 + 2 * bytes.len());
                prop_assert!(Listpack::from_bytes(pack.into_bytes()).is_ok());
            }
        }
    }

    #[test]
    fn foreign_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), fix in any::<bool>()) {
        let _ = zipmap::to_listpack(&bytes);
        if fix && bytes.len() > 10 {
            let total = bytes.len() as u32;
            bytes[..4].copy_from_slice(&total.to_le_bytes());
            bytes[8..10].copy_from_slice(&[0xff, 0xff]);
            bytes[10] = 0;
        }
        let _ = ziplist::to_listpack(&bytes);
    }
}
