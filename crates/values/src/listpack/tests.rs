//! Listpacks against a vector, against the specification's bytes, and against bytes that are none.

use baton_base::hex::Hex;
use proptest::prelude::*;

use super::*;

fn texts(pack: ListpackRef<'_>) -> Vec<Vec<u8>> {
    pack.iter().map(|text| text.to_vec()).collect()
}

fn pack_of(texts: &[Vec<u8>]) -> Listpack {
    let mut pack = Listpack::new();
    texts.iter().for_each(|text| pack.push(text));
    pack
}

#[test]
fn the_vector_of_the_specification() {
    let mut pack = Listpack::new();
    for text in [&b"a"[..], b"1", b"-1", b"300", b"hello", b"-5000"] {
        pack.push(text);
    }
    let hex = Hex(pack.as_ref().bytes()).to_string();
    assert_eq!(hex, "1d000000060081610201 01dfff02c12c028568656c6c6f06f178ec03ff".replace(' ', ""));
}

#[test]
fn bytes_that_are_no_listpack_are_refused() {
    let good = pack_of(&[b"abc".to_vec(), b"1000000".to_vec(), vec![b'x'; 5000]]).into_bytes();
    assert!(Listpack::from_bytes(good.clone()).is_ok());
    for cut in 0..good.len() {
        assert_eq!(Listpack::from_bytes(good[..cut].to_vec()), Err(Damaged), "{cut}");
    }
    for (at, byte) in [(0, 1), (4, 9), (6, 0xff), (6, 0xf9), (10, 7)] {
        let mut bad = good.clone();
        bad[at] = byte;
        assert_eq!(Listpack::from_bytes(bad), Err(Damaged), "byte {at}");
    }
}

#[test]
fn other_forms_of_the_same_elements_are_written_anew() {
    // "12" as text, 5 as a 64-bit integer, and a length of 127 bytes on two bytes.
    let mut bytes = vec![0; 6];
    bytes.extend([0x82, b'1', b'2', 3, 0xf4, 5, 0, 0, 0, 0, 0, 0, 0, 9]);
    bytes.extend([0xe0, 125]);
    bytes.extend([b'y'; 125]);
    bytes.extend([0x00, 0x80 | 127, 0xff]);
    bytes[4] = 3;
    let total = bytes.len() as u32;
    bytes[..4].copy_from_slice(&total.to_le_bytes());
    let pack = Listpack::from_bytes(bytes).expect("it is well-formed");
    assert_eq!(pack, pack_of(&[b"12".to_vec(), b"5".to_vec(), vec![b'y'; 125]]));
}

#[test]
fn more_elements_than_the_header_can_count() {
    let mut pack = Listpack::new();
    (0..65_534).for_each(|_| pack.push(b"7"));
    assert_eq!(element::count(pack.as_ref().bytes()), Some(65_534));
    pack.push(b"8");
    pack.push(b"9");
    assert_eq!((element::count(pack.as_ref().bytes()), pack.as_ref().len()), (None, 65_536));
    assert_eq!(pack.as_ref().at(65_535).map(|place| pack.as_ref().get(place)), Some(Str::Int(9)));
    pack.remove(pack.as_ref().first().expect("there are many"), 10);
    assert_eq!(element::count(pack.as_ref().bytes()), Some(65_526));
    assert!(Listpack::from_bytes(pack.into_bytes()).is_ok());
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        (-40_000i64..40_000).prop_map(|n| n.to_string().into_bytes()),
        (0u32..63).prop_flat_map(|bits| any::<i64>().prop_map(move |n| (n >> bits).to_string().into_bytes())),
        proptest::collection::vec(any::<u8>(), 0..80),
        (0usize..6000).prop_map(|len| vec![b'z'; len]),
        Just(b"007".to_vec()),
    ]
}

proptest! {
    #[test]
    fn a_listpack_is_a_list(
        start in proptest::collection::vec(text(), 0..20),
        edits in proptest::collection::vec((0u8..6, any::<prop::sample::Index>(), text()), 0..30),
    ) {
        let (mut pack, mut twin) = (pack_of(&start), start);
        for (what, index, text) in edits {
            let i = index.index(twin.len() + 1);
            let place = pack.as_ref().at(i).unwrap_or_else(|| pack.as_ref().end());
            match what {
                0 | 1 => {
                    pack.insert(place, &text);
                    twin.insert(i, text);
                }
                2 if i < twin.len() => {
                    pack.replace(place, &text);
                    twin[i] = text;
                }
                3 => {
                    pack.remove(place, 3);
                    twin.drain(i..twin.len().min(i + 3));
                }
                4 => {
                    let right = pack.split_off(place);
                    prop_assert_eq!(texts(right.as_ref()), &twin[i..]);
                    pack.append(right.as_ref());
                }
                _ => {
                    let found = twin.iter().position(|t| *t == text).and_then(|i| pack.as_ref().at(i));
                    prop_assert_eq!(pack.as_ref().find(&text, 1), found);
                }
            }
            prop_assert_eq!(&texts(pack.as_ref()), &twin);
            prop_assert_eq!(pack.as_ref().len(), twin.len());
            let mut back: Vec<_> = pack.as_ref().iter_back_from(pack.as_ref().end()).map(|t| t.to_vec()).collect();
            back.reverse();
            prop_assert_eq!(&back, &twin);
            let bytes = pack.as_ref().bytes().to_vec();
            prop_assert!(pack.heap_bytes() <= 2 * bytes.len());
            let again = Listpack::from_bytes(bytes);
            prop_assert_eq!(again.as_ref(), Ok(&pack));
        }
    }

    #[test]
    fn foreign_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..60), fix in any::<bool>()) {
        if fix && bytes.len() > 6 {
            let total = bytes.len() as u32;
            bytes[..4].copy_from_slice(&total.to_le_bytes());
        }
        if let Ok(pack) = Listpack::from_bytes(bytes) {
            prop_assert_eq!(pack.as_ref().iter().count(), pack.as_ref().len());
        }
    }
}
