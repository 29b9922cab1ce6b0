//! Exact bytes of the format, and exact words for what is wrong with a file (rdb 1, 2, 3, 7).

use crate::support::{Loaded, OwnedEntry, load, load_in_pieces};
use baton_base::{Offset, ReplId, Slot, WallMs};
use baton_rdb::{
    Checksum, DecoderOptions, Encoder, EncoderOptions, Entry, Preamble, ReplicationPoint, SlotCounts, Str, Value,
    VersionPolicy, VersionTarget, checksum,
};

fn written(version: VersionTarget, fill: impl FnOnce(&mut Encoder)) -> Vec<u8> {
    let mut encoder = Encoder::new(EncoderOptions { version, ..EncoderOptions::default() });
    fill(&mut encoder);
    encoder.finish();
    encoder.take()
}

/// The body that `fill` writes after the magic of the current version.
fn body(fill: impl FnOnce(&mut Encoder)) -> Vec<u8> {
    let file = written(VersionTarget::Current, fill);
    file[9..file.len() - 9].to_vec()
}

fn string(value: Str<'_>) -> Vec<u8> {
    body(|e| e.entry(&Entry::new(0, b"k", Value::Str(value))))[5..].to_vec()
}

/// A file of this magic and body with a right checksum.
fn sealed(magic: &[u8], body: &[u8]) -> Vec<u8> {
    let mut file = [magic, body, b"\xff"].concat();
    file.extend_from_slice(&checksum(&file).to_le_bytes());
    file
}

fn current(body: &[u8]) -> Result<Loaded, String> {
    load(&sealed(b"VALKEY080", body)).map_err(|e| e.to_string())
}

#[test]
fn whole_files() {
    assert_eq!(written(VersionTarget::Current, |_| {}), b"VALKEY080\xff\x43\x9d\xa4\x8f\xc1\x80\x6c\x23");
    assert_eq!(written(VersionTarget::Legacy, |_| {}), b"REDIS0011\xff\xc0\x22\x8a\x8d\x74\x38\x97\x62");
    let one = written(VersionTarget::Current, |e| {
        e.resize_db(0, 1, 0);
        e.entry(&Entry::new(0, b"k", Value::Str(Str::Bytes(b"v"))));
    });
    assert_eq!(one, b"VALKEY080\xfe\x00\xfb\x01\x00\x00\x01k\x01v\xff\x35\x95\xf4\xc2\x24\xbc\xb3\x5d");
    assert_eq!(load(&one).expect("good").entries, [OwnedEntry::new(0, "k", "v")]);
}

#[test]
fn without_checksum_the_file_ends_in_zeros() {
    let mut encoder = Encoder::new(EncoderOptions { checksum: false, ..EncoderOptions::default() });
    encoder.finish();
    let file = encoder.take();
    assert_eq!(file, b"VALKEY080\xff\0\0\0\0\0\0\0\0");
    assert_eq!(load(&file).expect("good").checksum, Some(Checksum::Disabled));
}

#[test]
fn the_preamble_in_upstreams_order() {
    let replication =
        ReplicationPoint { id: ReplId::new([b'a'; 40]).expect("valid"), offset: Offset(70_000), stream_db: None };
    let preamble = Preamble {
        server_version: "9.1.2",
        created_at: WallMs(1_700_000_000_999),
        used_memory_bytes: 5,
        replication: Some(replication),
        is_aof_base: true,
    };
    let bytes = body(|e| e.preamble(&preamble));
    let expected = [
        b"\xfa\x0avalkey-ver\x059.1.2\xfa\x0aredis-bits\xc0\x40\xfa\x05ctime\xc2\x00\xf1\x53\x65".as_slice(),
        b"\xfa\x08used-mem\xc0\x05\xfa\x0erepl-stream-db\xc0\x00\xfa\x07repl-id",
        // Forty equal characters compress.
        b"\xc3\x05\x28\x00a\xe0\x1e\x00",
        b"\xfa\x0brepl-offset\xc2\x70\x11\x01\x00\xfa\x08aof-base\xc0\x01",
    ]
    .concat();
    assert_eq!(bytes, expected);
    let facts = current(&bytes).expect("good").facts;
    assert_eq!(facts.replication(), Some(ReplicationPoint { stream_db: Some(0), ..replication }));
    assert!(facts.is_aof_base);
    assert_eq!((facts.created_at_secs, facts.used_memory_bytes), (Some(1_700_000_000), Some(5)));
}

#[test]
fn strings_take_their_shortest_form() {
    assert_eq!(string(Str::Int(127)), b"\xc0\x7f");
    assert_eq!(string(Str::Int(-129)), b"\xc1\x7f\xff");
    assert_eq!(string(Str::Int(i64::from(i32::MIN))), b"\xc2\0\0\0\x80");
    assert_eq!(string(Str::Int(1 << 31)), b"\x0a2147483648");
    assert_eq!(string(Str::Bytes(b"-2147483648")), b"\xc2\0\0\0\x80");
    for text in ["-0", "+1", "01", "", "2147483648", "1.0"] {
        assert_eq!(string(Str::Bytes(text.as_bytes()))[1..], *text.as_bytes());
    }
    // Compression starts above twenty bytes.
    assert_eq!(string(Str::Bytes(&[b'a'; 20]))[0], 20);
    assert_eq!(string(Str::Bytes(&[b'a'; 21])), b"\xc3\x05\x15\x00a\xe0\x0b\x00");
    let noise = crate::support::noise(3, 20_000);
    assert_eq!(string(Str::Bytes(&noise[..63]))[..1], [63]);
    assert_eq!(string(Str::Bytes(&noise[..64]))[..2], [0x40, 64]);
    assert_eq!(string(Str::Bytes(&noise[..16_383]))[..2], [0x7f, 0xff]);
    assert_eq!(string(Str::Bytes(&noise[..16_384]))[..5], [0x80, 0, 0, 0x40, 0]);
}

#[test]
fn what_belongs_to_an_entry_stands_before_it() {
    let entry = Entry {
        expire_at: Some(WallMs(0x0102_0304_0506)),
        idle_secs: Some(300),
        frequency: Some(9),
        ..Entry::new(2, b"k", Value::Str(Str::Int(1)))
    };
    let next = Entry::new(2, b"n", Value::Str(Str::Int(2)));
    let bytes = body(|e| {
        e.entry(&entry);
        e.entry(&next);
    });
    assert_eq!(bytes, b"\xfe\x02\xfc\x06\x05\x04\x03\x02\x01\0\0\xf8\x41\x2c\xf9\x09\0\x01k\xc0\x01\0\x01n\xc0\x02");
    assert_eq!(current(&bytes).expect("good").entries, [OwnedEntry::of(&entry), OwnedEntry::of(&next)]);
}

#[test]
fn slots_and_functions() {
    let counts = SlotCounts { slot: Slot::new(16383).expect("valid"), keys: u64::MAX, expires: 2, volatile: 0 };
    let bytes = body(|e| {
        e.function(b"#!lua name=f");
        e.slot_info(1, &counts);
    });
    assert_eq!(bytes, b"\xf5\x0c#!lua name=f\xfe\x01\xfa\x09slot-info\x1e16383,18446744073709551615,2,0");
    let loaded = current(&bytes).expect("good");
    assert_eq!(loaded.slots, [counts]);
    assert_eq!(loaded.functions, [b"#!lua name=f"]);
    // The opcode of older writers says the same.
    let old = current(b"\xf4\x7f\xff\x03\x02").expect("good");
    assert_eq!(old.slots, [SlotCounts { keys: 3, ..counts }]);
}

#[test]
fn old_expiries_and_old_files() {
    let seconds = load(b"REDIS0003\xfe\0\xfd\x10\0\0\0\0\x01k\x01v\xff").expect("good");
    assert_eq!(seconds.entries, [OwnedEntry::new(0, "k", "v").expiring(16_000)]);
    assert_eq!((seconds.version, seconds.checksum), (3, Some(Checksum::Absent)));
    let never = current(b"\xfc\xff\xff\xff\xff\xff\xff\xff\xff\0\x01k\x01v").expect("good");
    assert_eq!(never.entries, [OwnedEntry::new(0, "k", "v")]);
    let long_ago = current(b"\xfd\xfe\xff\xff\xff\0\x01k\x01v").expect("good");
    assert_eq!(long_ago.entries, [OwnedEntry::new(0, "k", "v").expiring(0)]);
}

#[test]
fn what_follows_the_end_is_left_alone() {
    let mut file = sealed(b"VALKEY080", b"");
    file.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
    for size in [1, 7, 1000] {
        let loaded = load_in_pieces(&file, &[size], DecoderOptions::default()).expect("good");
        assert_eq!(loaded.rest, b"*1\r\n$4\r\nPING\r\n");
    }
}

#[test]
fn versions_and_signatures() {
    let relaxed = DecoderOptions { versions: VersionPolicy::Relaxed, ..DecoderOptions::default() };
    let load = |magic: &[u8], options| {
        load_in_pieces(&sealed(magic, b""), &[5], options).map(|l| l.version).map_err(|e| {
            assert!(e.is_incompatible());
            e.kind.to_string()
        })
    };
    for (magic, strict, loose) in [
        ("REDIS0001", None, None),
        ("REDIS0011", None, None),
        ("VALKEY080", None, None),
        ("REDIS0012", Some("Can't handle RDB format version 12"), None),
        ("VALKEY081", Some("Can't handle RDB format version 81"), None),
        ("REDIS0000", Some("Can't handle RDB format version 0"), Some("Can't handle RDB format version 0")),
        ("VALKEY079", Some("Can't handle RDB format version 79"), Some("Can't handle RDB format version 79")),
        ("REDIS0080", Some("Can't handle RDB format version 80"), Some("Can't handle RDB format version 80")),
        (
            "FOOBAR001",
            Some("Wrong signature trying to load DB from file: FOOBAR001"),
            Some("Wrong signature trying to load DB from file: FOOBAR001"),
        ),
        (
            "REDIS1234",
            Some("Wrong signature trying to load DB from file: REDIS1234"),
            Some("Wrong signature trying to load DB from file: REDIS1234"),
        ),
    ] {
        assert_eq!(load(magic.as_bytes(), DecoderOptions::default()).err().as_deref(), strict, "{magic}");
        assert_eq!(load(magic.as_bytes(), relaxed).err().as_deref(), loose, "{magic} relaxed");
    }
}

#[test]
fn what_is_wrong_is_said_with_place_and_key() {
    let cases: [(&[u8], &str); 13] = [
        (b"\x07\x01k\x01x", "Unsupported value type 7 (MODULE_2) (at byte 9, key \"k\")"),
        (b"\0\x01a\x01b\x06\x02k\n\0", "Unsupported value type 6 (MODULE_PRE_GA) (at byte 14, key \"k\\n\")"),
        (b"\x17\x01k\x01x", "Unknown RDB encoding type 23 (at byte 9, key \"k\")"),
        (
            b"\xfe\x10",
            "FATAL: Data file was created with a Valkey server configured to handle more than 16 databases. Exiting (at byte 9)",
        ),
        (b"\xf6", "Pre-release function format not supported. (at byte 9)"),
        (b"\xf3\x01k\x01\0\0", "Invalid slot import (at byte 9)"),
        (
            b"\xf7\x81\0\x01\x02\x03\x04\x05\x06\x07\x02\x01\x02\0\0",
            "The RDB file contains AUX module data I can't load: no matching module 'AAECAwQFB' (at byte 9)",
        ),
        (b"\0\x01k\xc3\x05\x1f\x05aaaaa", "Invalid LZF compressed string (at byte 9, key \"k\")"),
        (b"\0\x01k\xc4", "Unknown RDB string encoding type 4 (at byte 9, key \"k\")"),
        (b"\0\x82", "Unknown length encoding in rdbLoadLen() (at byte 9)"),
        (b"\xfa\x09slot-info\x031,2", "Invalid slot-info (at byte 9)"),
        (
            b"\0\x01k\x81\0\0\0\x02\0\0\0\0",
            "string of 8589934592 bytes exceeds the limit of 4294967296 (at byte 9, key \"k\")",
        ),
        (b"\0\x01k\x0a", "Short read or OOM loading DB. Unrecoverable error, aborting now. (at byte 22)"),
    ];
    for (body, text) in cases {
        assert_eq!(current(body).expect_err(text), text);
    }
    let foreign = load(&sealed(b"REDIS0011", b"\x16\x01k\0")).expect_err("foreign");
    assert_eq!(foreign.kind.to_string(), "Can't handle foreign type or opcode 22 in RDB with version 11");
}

#[test]
fn slots_on_their_way_are_named_with_their_job() {
    let slots = |a, b| (Slot::new(a).expect("a slot"), Slot::new(b).expect("a slot"));
    let (name, ranges) = (*b"8f1c0d9e2b7a4653f0e1d2c3b4a596870213acbd", [slots(5, 5), slots(100, 16383)]);
    let record = [b"\xf3\x28", &name[..], b"\x02\x05\x05\x40\x64\x7f\xff"].concat();
    assert_eq!(body(|e| e.slot_import(&name, &ranges)), record);
    let loaded = current(&record).expect("good");
    assert_eq!(loaded.slot_imports, [(name.to_vec(), ranges.to_vec())]);
    let older = written(VersionTarget::Legacy, |e| e.slot_import(&name, &ranges));
    assert_eq!(older, written(VersionTarget::Legacy, |_| {}));
    assert!(load(&sealed(b"REDIS0011", &record)).is_err());
    for wrong in [&b"\0"[..], b"\x01\x06\x05", b"\x01\0\x80\0\0\x40\0", b"\x80\0\0\x40\x01"] {
        let record = [b"\xf3\x28", &name[..], wrong].concat();
        assert_eq!(current(&record).expect_err("wrong"), "Invalid slot import (at byte 9)", "{wrong:?}");
    }
}

#[test]
fn a_wrong_checksum_is_told_unless_nobody_asks() {
    let file = b"VALKEY080\xfe\0\xfb\x01\0\0\x01k\x01v\xff\x35\x95\xf4\xc2\x24\xbc\xb3\x5e";
    let error = load(file).expect_err("damaged");
    let text = "Wrong RDB checksum expected: (5db3bc24c2f49535) but got (5eb3bc24c2f49535). Aborting now.";
    assert_eq!(error.kind.to_string(), text);
    let options = DecoderOptions { verify_checksum: false, ..DecoderOptions::default() };
    assert_eq!(load_in_pieces(file, &[4], options).expect("ignored").checksum, Some(Checksum::Ignored));
}
