//! What must hold for all inputs: whatever is written is read, however it is cut; damage never panics and never costs
//! more memory than what has arrived can justify.

use crate::support::{OwnedEntry, load_in_pieces};
use baton_rdb::{Decoder, DecoderOptions, Encoder, EncoderOptions, VersionTarget};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        any::<i16>().prop_map(|n| n.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..100),
        proptest::collection::vec(0u8..3, 0..400),
    ]
}

fn entry() -> impl Strategy<Value = OwnedEntry> {
    let expiry = proptest::option::of(0..i64::MAX as u64);
    (0u32..16, text(), text(), expiry, proptest::option::of(any::<u64>()), proptest::option::of(any::<u8>())).prop_map(
        |(db, key, value, expire_at_ms, idle_secs, frequency)| OwnedEntry {
            db,
            key,
            value,
            expire_at_ms,
            idle_secs,
            frequency,
        },
    )
}

fn options() -> impl Strategy<Value = EncoderOptions> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(current, compress, checksum)| EncoderOptions {
        version: if current { VersionTarget::Current } else { VersionTarget::Legacy },
        compress,
        checksum,
    })
}

/// Writes the entries, draining every so many.
fn write(entries: &[OwnedEntry], options: EncoderOptions, drain_every: usize) -> Vec<u8> {
    let mut encoder = Encoder::new(options);
    let mut file = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        entry.encode(&mut encoder);
        match i % (2 * drain_every) {
            0 => file.extend(encoder.take()),
            n if n == drain_every => encoder.drain(|bytes| file.extend_from_slice(bytes)),
            _ => {}
        }
        assert_eq!(encoder.written_bytes(), (file.len() + encoder.pending_bytes()) as u64);
    }
    encoder.finish();
    encoder.drain(|bytes| file.extend_from_slice(bytes));
    file
}

/// Feeds anything at all. The memory held must follow from what was fed: twice a growing buffer, and what compressed
/// bytes can stand for at the very most.
fn survives(file: &[u8], size: usize) {
    let mut decoder = Decoder::new(DecoderOptions { verify_checksum: false, ..DecoderOptions::default() });
    for piece in file.chunks(size) {
        decoder.feed(piece);
        while let Ok(Some(_)) = decoder.poll_event() {}
        assert!(decoder.memory_bytes() <= 64 + 300 * file.len());
    }
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(
        entries in proptest::collection::vec(entry(), 0..40),
        options in options(),
        drain_every in 1usize..10,
        sizes in proptest::collection::vec(1usize..200, 1..20),
    ) {
        let file = write(&entries, options, drain_every);
        let loaded = load_in_pieces(&file, &sizes, DecoderOptions::default()).expect("own file");
        prop_assert_eq!(loaded.entries, entries);
        prop_assert_eq!(loaded.version, options.version.number());
    }

    #[test]
    fn damage_never_panics(
        entries in proptest::collection::vec(entry(), 1..10),
        options in options(),
        hits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        size in 1usize..100,
    ) {
        let mut file = write(&entries, options, 100);
        for (at, byte) in hits {
            let at = at.index(file.len() - 9) + 9;
            file[at] = byte;
        }
        survives(&file, size);
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), size in 1usize..50) {
        survives(&[b"VALKEY080".as_slice(), &bytes].concat(), size);
        survives(&bytes, size);
    }
}

#[test]
fn a_claimed_length_costs_nothing_until_the_bytes_are_there() {
    // Four gigabytes are claimed for a plain string, and for what a few compressed bytes stand for.
    let plain = b"VALKEY080\0\x01k\x80\xff\xff\xff\xff123";
    let packed = b"VALKEY080\0\x01k\xc3\x03\x80\xff\xff\xff\xff\x01ab\xff";
    let mut decoder = Decoder::new(DecoderOptions::default());
    decoder.feed(plain);
    assert!(matches!(decoder.poll_event(), Ok(Some(_))));
    assert!(matches!(decoder.poll_event(), Ok(None)));
    assert!(decoder.memory_bytes() < 1000);
    let mut decoder = Decoder::new(DecoderOptions::default());
    decoder.feed(packed);
    assert!(matches!(decoder.poll_event(), Ok(Some(_))));
    assert!(decoder.poll_event().is_err());
    assert!(decoder.memory_bytes() < 1000);
}

#[test]
fn memory_of_a_large_value_is_given_back() {
    let value = crate::support::noise(7, 5 << 20);
    let entries = [OwnedEntry::new(0, "big", &value), OwnedEntry::new(0, "packed", vec![b'a'; 5 << 20])];
    let file = write(&entries, EncoderOptions::default(), 100);
    let mut decoder = Decoder::new(DecoderOptions::default());
    let mut seen = 0;
    for piece in file.chunks(16 << 10) {
        decoder.feed(piece);
        while let Some(event) = decoder.poll_event().expect("own file") {
            seen += usize::from(matches!(event, baton_rdb::Event::Entry(_)));
        }
    }
    assert_eq!(seen, 2);
    assert!(decoder.is_finished());
    decoder.feed(b"");
    assert!(decoder.poll_event().expect("finished").is_none());
    assert!(decoder.memory_bytes() < 4 << 20, "{}", decoder.memory_bytes());
}
