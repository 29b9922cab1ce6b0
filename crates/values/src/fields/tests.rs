//! Hashes against a map, and the limits between their forms.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn limits() -> Limits {
    Limits::default()
}

#[test]
fn forms_change_where_upstreams_do() {
    let of = |count: usize, value: usize| {
        let mut hash = Hash::default();
        for n in 0..count {
            hash.set(Str::Int(n as i64), Str::Bytes(&vec![b'x'; value]), &limits());
        }
        hash.as_ref().encoding()
    };
    assert_eq!([of(512, 1), of(513, 1), of(1, 64), of(1, 65)], ["listpack", "hashtable", "listpack", "hashtable"]);
    let expecting = |texts: &[&[u8]]| {
        let mut hash = Hash::default();
        hash.expect(texts.iter().copied(), &limits());
        hash.as_ref().encoding()
    };
    assert_eq!([expecting(&[&b"f"[..]; 1024]), expecting(&[&b"f"[..]; 1026])], ["listpack", "hashtable"]);
    assert_eq!([expecting(&[b"f", &[b'v'; 64]]), expecting(&[b"f", &[b'v'; 65]])], ["listpack", "hashtable"]);
}

#[test]
fn listpacks_from_outside_need_fields_of_their_own() {
    let pack = |texts: &[&[u8]]| {
        let mut pack = Listpack::new();
        texts.iter().for_each(|text| pack.push(text));
        Hash::from_listpack(pack, &limits()).map(|hash| hash.len())
    };
    assert_eq!(pack(&[b"a", b"b", b"b", b"b"]), Ok(2));
    assert_eq!(pack(&[b"a", b"b", b"a", b"c"]), Err(Damaged));
    assert_eq!(pack(&[b"a", b"b", b"c"]), Err(Damaged));
}

proptest! {
    #[test]
    fn a_hash_is_a_map(
        fill in 0i64..700,
        edits in proptest::collection::vec((0u8..6, 0i64..900, 0usize..70), 0..80),
    ) {
        let limits = limits();
        let (mut hash, mut twin, mut kept) = (Hash::default(), BTreeMap::new(), None);
        let fields = (0..fill).map(|n| (0, n, 1));
        for (what, n, len) in fields.chain(edits) {
            let (field, value) = (n.to_string().into_bytes(), vec![b'v'; len]);
            match what {
                0..=2 => {
                    let is_new = hash.set(Str::of(&field), Str::of(&value), &limits);
                    prop_assert_eq!(is_new, twin.insert(field.clone(), value).is_none());
                }
                3 | 4 => prop_assert_eq!(hash.remove(Str::of(&field)), twin.remove(&field).is_some()),
                _ => kept = Some((hash.clone(), twin.clone())),
            }
            prop_assert_eq!(hash.as_ref().get(Str::of(&field)).map(Str::to_vec), twin.get(&field).cloned());
            let at = hash.as_ref().at(n as u64).map(|(field, value)| (field.to_vec(), value.to_vec()));
            prop_assert_eq!(at.is_some(), (n as usize) < twin.len());
            prop_assert!(at.is_none_or(|(field, value)| twin[&field] == value));
        }
        for (hash, twin) in kept.into_iter().chain([(hash, twin)]) {
            let all: BTreeMap<_, _> = hash.as_ref().iter().map(|(f, v)| (f.to_vec(), v.to_vec())).collect();
            prop_assert_eq!((hash.len() as usize, all), (twin.len(), twin));
        }
    }
}
