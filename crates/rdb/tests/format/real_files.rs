//! Files that other servers wrote are read exactly, whole and byte by byte. Each holds the same entries, chosen so that
//! every form of string and length occurs; the LRU and LFU variants carry access records too.

use crate::support::{Loaded, OwnedEntry, load, load_in_pieces, noise};
use baton_rdb::{Checksum, DecoderOptions, Encoder, EncoderOptions, VersionTarget};

const VALKEY: &[u8] = include_bytes!("data/valkey-9.1.2.rdb");
const VALKEY_CLUSTER_LRU: &[u8] = include_bytes!("data/valkey-9.1.2-cluster-lru.rdb");
const REDIS_LFU: &[u8] = include_bytes!("data/redis-7.0-lfu.rdb");

/// The entries, sorted, without access records.
fn expected(is_cluster: bool) -> Vec<OwnedEntry> {
    let one = |key: &[u8], value: &[u8]| OwnedEntry::new(0, key, value);
    let mut entries = Vec::new();
    for n in [8u32, 16, 32].map(|bits| 1i64 << (bits - 1)).into_iter().flat_map(|n| [n - 1, n, -n, -n - 1]) {
        entries.push(one(format!("int:{n}").as_bytes(), n.to_string().as_bytes()));
    }
    for n in [0, -1, i64::MAX, i64::MIN] {
        entries.push(one(format!("int:{n}").as_bytes(), n.to_string().as_bytes()));
    }
    let texts = ["", "a", "01", "-0", "+1", "1.5", " 1", "12345678901"].map(String::from);
    let long = ["x".repeat(20), "y".repeat(21), "the quick brown fox ".repeat(40)];
    for text in texts.iter().chain(&long) {
        let start: String = text.chars().take(3).collect();
        entries.push(one(format!("text:{}:{start}", text.len()).as_bytes(), text.as_bytes()));
    }
    entries.push(one(b"bin\x00\xff\r\n", &(0..=255).collect::<Vec<u8>>()));
    entries.push(one(b"noise", &noise(1, 200)));
    entries.push(one(b"p16383", &noise(2, 16384)));
    entries.push(one(b"big", &b"0123456789abcdef".repeat(2000)));
    entries.push(one(b"12345", b"integer key"));
    entries.push(one(&[b'k'; 60], b"compressed key"));
    entries.push(one(b"forever", b"v"));
    entries.push(one(b"later", b"v").expiring(32_503_680_000_123));
    entries.push(one(b"later-int", b"7").expiring(32_503_680_000_000));
    for db in if is_cluster { [].as_slice() } else { &[3, 15] } {
        entries.push(OwnedEntry::new(*db, "in-db", db.to_string()));
        entries.push(OwnedEntry::new(*db, "other-db", "text").expiring(32_503_680_000_000 + u64::from(*db)));
    }
    entries.sort();
    entries
}

/// Reads a file whole and byte by byte; sorts its entries and takes their access records away.
fn read(file: &[u8]) -> (Loaded, Vec<OwnedEntry>) {
    let loaded = load(file).expect("a good file");
    let bytewise = load_in_pieces(file, &[1], DecoderOptions::default()).expect("a good file");
    assert_eq!(loaded, bytewise);
    assert_eq!(loaded.checksum, Some(Checksum::Verified));
    let mut entries = loaded.entries.clone();
    for entry in &mut entries {
        entry.idle_secs = None;
        entry.frequency = None;
    }
    entries.sort();
    (loaded, entries)
}

#[test]
fn a_file_of_valkey() {
    let (loaded, entries) = read(VALKEY);
    assert_eq!(entries, expected(false));
    assert_eq!(loaded.version, 80);
    assert_eq!(loaded.resizes, [(36, 2), (2, 1), (2, 1)]);
    assert_eq!(loaded.aux[0], (b"valkey-ver".to_vec(), b"9.1.2".to_vec()));
    assert_eq!(loaded.aux[1], (b"redis-bits".to_vec(), b"64".to_vec()));
    assert!(loaded.facts.created_at_secs.is_some_and(|secs| secs > 1_700_000_000));
    assert!(!loaded.facts.is_aof_base);
    assert_eq!(loaded.facts.replication(), None);
}

#[test]
fn a_file_of_a_cluster_node_with_idle_times() {
    let (loaded, entries) = read(VALKEY_CLUSTER_LRU);
    assert_eq!(entries, expected(true));
    assert!(loaded.entries.iter().all(|entry| entry.idle_secs.is_some()));
    assert_eq!(loaded.slots.iter().map(|counts| counts.keys).sum::<u64>(), 36);
    assert_eq!(loaded.slots.iter().map(|counts| counts.expires).sum::<u64>(), 2);
}

#[test]
fn a_file_of_redis_with_frequencies() {
    let (loaded, entries) = read(REDIS_LFU);
    assert_eq!(entries, expected(false));
    assert_eq!(loaded.version, 10);
    assert!(loaded.entries.iter().all(|entry| entry.frequency.is_some()));
}

#[test]
fn writing_them_again_loses_nothing() {
    for file in [VALKEY, VALKEY_CLUSTER_LRU, REDIS_LFU] {
        let loaded = load(file).expect("a good file");
        for compress in [false, true] {
            let mut encoder = Encoder::new(EncoderOptions { version: VersionTarget::Legacy, compress, checksum: true });
            for entry in &loaded.entries {
                entry.encode(&mut encoder);
            }
            encoder.finish();
            let again = load(&encoder.take()).expect("own file");
            assert_eq!(again.entries, loaded.entries);
            assert_eq!(again.version, 11);
        }
    }
}

#[test]
fn every_cut_is_a_short_read_and_every_flipped_byte_is_noticed() {
    for cut in 0..200 {
        let error = load(&VALKEY[..cut]).expect_err("cut off");
        assert_eq!(
            error.to_string(),
            format!("Short read or OOM loading DB. Unrecoverable error, aborting now. (at byte {cut})")
        );
    }
    for at in (0..VALKEY.len()).step_by(7) {
        let mut damaged = VALKEY.to_vec();
        damaged[at] ^= 0x20;
        assert!(load(&damaged).is_err(), "byte {at}");
    }
}
