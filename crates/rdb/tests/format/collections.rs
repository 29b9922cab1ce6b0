//! Sets and hashes in every form that they ever had, as Valkey 9.1.2 dumps them, and what is refused of them.

use baton_base::WallMs;
use baton_rdb::{
    Encoder, EncoderOptions, Entry, RestoreError, RestoreScratch, Value, VersionPolicy, VersionTarget, restore,
};
use baton_values::{FieldValue, Hash, Limits, Set, Str};
use proptest::prelude::*;

use crate::oracle::{dump, sealed};
use crate::support::{hex, shown};

fn set_of<'t>(members: impl IntoIterator<Item = &'t [u8]>) -> Set {
    let mut set = Set::default();
    members.into_iter().for_each(|member| assert!(set.add(Str::of(member), &Limits::default())));
    set
}

type Fields<'t> = &'t [(&'t [u8], &'t [u8])];

fn hash_of(fields: Fields<'_>) -> Hash {
    let mut hash = Hash::default();
    fields.iter().for_each(|(field, value)| assert!(hash.set(Str::of(field), Str::of(value), &Limits::default())));
    hash
}

fn read<R>(payload: &[u8], then: impl FnOnce(Value<'_>) -> R) -> Result<R, RestoreError> {
    restore(payload, VersionPolicy::Strict, &Limits::default(), &mut RestoreScratch::default()).map(then)
}

fn encoding(value: Value<'_>) -> (&'static str, u64) {
    match value {
        Value::Set(set) => (set.encoding(), set.len()),
        Value::Hash(hash) => (hash.encoding(), hash.len()),
        _ => panic!("sets and hashes are expected"),
    }
}

#[test]
fn as_the_real_server_dumps_them() {
    // Nothing in it can be compressed, which leaves one form of it.
    let long: Vec<u8> = (33..98).collect();
    let sets: [(&[&[u8]], &str); 4] = [
        (&[b"3", b"1", b"2"], "0b0e020000000300000001000200030050006a289573f33c2aef"),
        (&[b"1", b"-70000"], "0b10040000000200000090eefeff0100000050005b8bcc78c7bd8bf1"),
        (&[b"a", b"1", b"hello"], "141313000000030081610201018568656c6c6f06ff500084329c3304624abd"),
        (
            &[&long],
            "020140412122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606150006adbefe071fa7b3e",
        ),
    ];
    for (members, expected) in sets {
        let set = set_of(members.iter().copied());
        assert_eq!(shown(&dump(set.as_ref().into())), expected);
        assert_eq!(read(&hex(expected), |value| value == set.as_ref().into()), Ok(true));
    }
    let hashes: [(Fields<'_>, &str); 2] = [
        (&[(b"f", b"v"), (b"n", b"12")], "1012120000000400816602817602816e020c01ff5000ce1c5d104d09ee80"),
        (
            &[(b"12", &long)],
            "0401c00c40412122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606150000ea4e75b9f750a27",
        ),
    ];
    for (fields, expected) in hashes {
        let hash = hash_of(fields);
        assert_eq!(shown(&dump(hash.as_ref().into())), expected);
        assert_eq!(read(&hex(expected), |value| value == hash.as_ref().into()), Ok(true));
    }
}

#[test]
fn servers_without_listpacks_of_sets_get_their_members() {
    let set = set_of([&b"a"[..], b"1"]);
    let written = |version| {
        let mut encoder = Encoder::new(EncoderOptions { version, ..EncoderOptions::default() });
        encoder.entry(&Entry::new(0, b"s", set.as_ref().into()));
        encoder.take()[11..].to_vec()
    };
    assert_eq!(written(VersionTarget::Oldest), b"\x02\x01s\x02\x01a\xc0\x01");
    assert_eq!(written(VersionTarget::Legacy)[0], 20);
}

/// Put together by hand from the description of the old forms (rdb 5.3, 5.4).
#[test]
fn old_forms_are_read() {
    let ziplist = hex("0f0000000c000000020000f302f6ff");
    let two = hash_of(&[(b"2", b"5")]);
    let payload = sealed(&[&[13, ziplist.len() as u8], &ziplist[..]].concat());
    assert_eq!(read(&payload, |value| value == two.as_ref().into()), Ok(true));
    let zipmap = b"\x02\x03foo\x03\x00bar\x01n\x02\x0112 \xff";
    let both = hash_of(&[(b"foo", b"bar"), (b"n", b"12")]);
    let payload = sealed(&[&[9, zipmap.len() as u8], &zipmap[..]].concat());
    assert_eq!(read(&payload, |value| value == both.as_ref().into()), Ok(true));
}

#[test]
fn forms_follow_the_limits_when_read() {
    let members = |count: u8| {
        let texts: Vec<u8> = (0..count).flat_map(|i| [b"\x02m".as_slice(), &[i]].concat()).collect();
        read(&sealed(&[&[2, 0x40, count], &texts[..]].concat()), encoding)
    };
    assert_eq!(members(128), Ok(("listpack", 128)));
    assert_eq!(members(129), Ok(("hashtable", 129)));
    let field = |len: u8| {
        let value = vec![b'v'; usize::from(len)];
        read(&sealed(&[b"\x04\x01\x01f\x40".as_slice(), &[len], &value].concat()), encoding)
    };
    assert_eq!([field(64), field(65)], [Ok(("listpack", 1)), Ok(("hashtable", 1))]);
}

#[test]
fn what_can_not_be_is_refused() {
    let refused: [&[u8]; 9] = [
        b"\x02\x02\x01a\x01a",
        b"\x02\x00",
        b"\x0b\x08\x02\0\0\0\0\0\0\0",
        b"\x0b\x0c\x02\0\0\0\x02\0\0\0\x02\0\x01\0",
        b"\x14\x0d\x0d\0\0\0\x02\0\x81a\x02\x81a\x02\xff",
        b"\x04\x02\x01f\x01v\x01f\x01w",
        b"\x10\x0a\x0a\0\0\0\x01\0\x81a\x02\xff",
        b"\x09\x02\x00\xff",
        b"\x0d\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff",
    ];
    for body in refused {
        assert_eq!(read(&sealed(body), |_| ()), Err(RestoreError::Format), "{body:x?}");
    }
}

proptest! {
    #[test]
    fn whatever_is_dumped_is_restored(texts in proptest::collection::btree_set(proptest::collection::vec(0u8..60, 0..70), 1..200)) {
        let set = set_of(texts.iter().map(Vec::as_slice));
        prop_assert_eq!(read(&dump(set.as_ref().into()), |value| value == set.as_ref().into()), Ok(true));
        let fields: Vec<_> = texts.iter().zip(texts.iter().rev()).map(|(f, v)| (&f[..], &v[..])).collect();
        let hash = hash_of(&fields);
        prop_assert_eq!(read(&dump(hash.as_ref().into()), |value| value == hash.as_ref().into()), Ok(true));
    }

    #[test]
    fn spoilt_payloads_never_panic(
        number in prop::sample::select(vec![2u8, 4, 9, 11, 13, 16, 20]),
        blob in proptest::collection::vec(prop::sample::select(vec![0u8, 1, 2, 4, 8, 12, 0x40, 0x81, 0xf1, 0xfe, 0xff]), 0..40),
    ) {
        let len = blob.len() as u8;
        let _ = read(&sealed(&[&[number, len], &blob[..]].concat()), |_| ());
        let _ = read(&sealed(&[&[number], &blob[..]].concat()), |_| ());
        // A blob whose length is right gets further.
        let told = [&[len + 4, 0, 0, 0], &blob[..]].concat();
        let _ = read(&sealed(&[&[number, len + 4], &told[..]].concat()), |_| ());
    }
}

/// `HSETEX h PXAT 4000000000000 FIELDS 1 f v` on Valkey 9.1.2.
#[test]
fn a_hash_with_an_end_as_the_real_server_dumps_it() {
    let end = |at| FieldValue { text: Str::Bytes(b"v"), expire_at: Some(WallMs(at)) };
    let mut hash = Hash::default();
    hash.put(Str::Bytes(b"f"), end(4_000_000_000_000), &Limits::default());
    let payload = dump(Value::Hash(hash.as_ref()));
    assert_eq!(shown(&payload), "16010166017600409452a30300005000953971d0cc3d2643");
    hash.set(Str::Bytes(b"stays"), Str::Int(5), &Limits::default());
    let payload = dump(Value::Hash(hash.as_ref()));
    assert_eq!(read(&payload, |value| value == Value::Hash(hash.as_ref())), Ok(true));
    let refused: [&[u8]; 4] = [
        b"\x16\x00",
        b"\x16\x01\x01f\x01v\xfe\xff\xff\xff\xff\xff\xff\xff",
        b"\x16\x01\x01f\x01v\x01\0\0\0\0\0\0",
        b"\x16\x02\x01f\x01v\x01\0\0\0\0\0\0\0\x01f\x01v\x01\0\0\0\0\0\0\0",
    ];
    for body in refused {
        assert_eq!(read(&sealed(body), |_| ()), Err(RestoreError::Format), "{body:x?}");
    }
    let all_stay = sealed(b"\x16\x01\x01f\x01v\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_eq!(read(&all_stay, encoding), Ok(("hashtable", 1)));
}

#[test]
fn older_versions_have_no_form_for_ends() {
    let mut hash = Hash::large(&Limits::default());
    hash.set(Str::Bytes(b"f"), Str::Int(1), &Limits::default());
    let fits = |hash: &Hash, version| {
        let mut encoder = Encoder::new(EncoderOptions { version, ..EncoderOptions::default() });
        encoder.entry(&Entry::new(0, b"h", Value::Hash(hash.as_ref())));
        !encoder.is_unwritable()
    };
    assert!(fits(&hash, VersionTarget::Legacy));
    hash.set_end(Str::Bytes(b"f"), Some(WallMs(5)), &Limits::default());
    assert!(fits(&hash, VersionTarget::Current) && !fits(&hash, VersionTarget::Legacy));
}
