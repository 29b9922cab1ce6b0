//! What must hold for any bytes that somebody hands in as a payload or as a file: no panic, no more memory than the bytes can
//! stand for, the same however they are cut; and what is taken is sound in itself and the same again when it is written and
//! read. It looks at values through what commands use, never at how they lie in memory.
//!
//! [`fuzz_payload`] and [`fuzz_file`] are the whole of a fuzz target each: the tests beside this file call them with spoilt
//! genuine bytes, `fuzz/` hands them to libFuzzer.

use std::collections::BTreeSet;

use baton_rdb::{
    Decoder, DecoderOptions, DumpEncoder, Encoder, EncoderOptions, Entry, Event, RestoreScratch, Str, Value,
    VersionPolicy, VersionTarget, checksum, restore,
};
use baton_values::{HashRef, Limits, ListRef, SetRef, Stream, StreamId, ZSetRef};

/// What a byte of input can stand for at the most: three compressed ones for 264, and an element of two for its place in a tree.
const BYTES_A_BYTE: usize = 400;
/// What the smallest value takes.
const BYTES_ANYWAY: usize = 16 * 1024;

/// A payload of this type number and value.
pub(crate) fn sealed(body: &[u8]) -> Vec<u8> {
    let mut payload = [body, &80u16.to_le_bytes()].concat();
    payload.extend_from_slice(&checksum(&payload).to_le_bytes());
    payload
}

/// The payload of a value, long texts compressed.
pub(crate) fn dump(value: Value<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    DumpEncoder::new(true).encode(value, &mut out);
    out
}

/// Takes the bytes as type number and value of a payload whose checksum is right. Tells whether there is a value in it.
pub(crate) fn fuzz_payload(body: &[u8]) -> bool {
    let (limits, payload) = (Limits::default(), sealed(body));
    let (mut scratch, mut again, mut third) = <(RestoreScratch, RestoreScratch, RestoreScratch)>::default();
    let Ok(value) = restore(&payload, VersionPolicy::Strict, &limits, &mut scratch) else { return false };
    check(value);
    let heap = value.to_collection().map_or(0, |collection| collection.heap_bytes());
    assert!(heap <= BYTES_A_BYTE * body.len() + BYTES_ANYWAY, "{heap} bytes of {}", body.len());
    let first = dump(value);
    let same = restore(&first, VersionPolicy::Strict, &limits, &mut again).expect("what was dumped is a payload");
    assert!(is_same(same, value), "{same:?} is not {value:?}");
    check(same);
    // A large value with few elements may be a small one when it is read: from then on its form stays.
    let second = dump(same);
    let settled = restore(&second, VersionPolicy::Strict, &limits, &mut third).expect("what was dumped is a payload");
    assert_eq!(dump(settled), second);
    assert!(is_same(settled, value), "{settled:?} is not {value:?}");
    check_in_files(value);
    true
}

/// A text that is a number may be either.
fn is_same(one: Value<'_>, other: Value<'_>) -> bool {
    match (one, other) {
        (Value::Str(one), Value::Str(other)) => one.to_vec() == other.to_vec(),
        _ => one == other,
    }
}

/// What is written for servers of every age is read as what it was.
fn check_in_files(value: Value<'_>) {
    for version in [VersionTarget::Current, VersionTarget::Legacy, VersionTarget::Oldest] {
        let mut encoder = Encoder::new(EncoderOptions { version, ..EncoderOptions::default() });
        encoder.entry(&Entry::new(0, b"key", value));
        if encoder.is_unwritable() {
            continue;
        }
        encoder.finish();
        let mut decoder = Decoder::new(DecoderOptions::default());
        decoder.feed(&encoder.take());
        let mut found = 0;
        while let Some(event) = decoder.poll_event().expect("an own file") {
            if let Event::Entry(entry) = event {
                // Times of activity are not in old files.
                assert!(
                    is_same(entry.value, value)
                        || version == VersionTarget::Oldest && matches!(value, Value::Stream(_))
                );
                found += 1;
            }
        }
        assert_eq!(found, 1);
    }
}

/// Takes the bytes as a file, whole and in pieces. Tells how many entries are in it before it ends or is found wrong.
pub(crate) fn fuzz_file(bytes: &[u8]) -> usize {
    let step = 1 + bytes.iter().take(64).map(|b| usize::from(*b)).sum::<usize>() % 700;
    let whole = events(bytes, bytes.len().max(1));
    assert_eq!(events(bytes, step), whole, "in pieces of {step}");
    whole.entries
}

/// What a file held, in short: a checksum of all that was said about it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    entries: usize,
    told: u64,
    ending: String,
}

fn events(bytes: &[u8], step: usize) -> Seen {
    let mut decoder = Decoder::new(DecoderOptions { verify_checksum: false, ..DecoderOptions::default() });
    let (mut entries, mut told, mut failure) = (0, Vec::new(), None);
    'feeding: for piece in bytes.chunks(step) {
        decoder.feed(piece);
        loop {
            match decoder.poll_event() {
                Ok(None) => break,
                Ok(Some(event)) => {
                    if let Event::Entry(entry) = &event {
                        check(entry.value);
                        entries += 1;
                        told.extend_from_slice(&checksum(&dump(entry.value)).to_le_bytes());
                        told.extend_from_slice(format!("{}{:?}{:?}", entry.db, entry.key, entry.expire_at).as_bytes());
                    } else {
                        told.extend_from_slice(format!("{event:?}").as_bytes());
                    }
                }
                Err(e) => {
                    failure = Some(e);
                    break 'feeding;
                }
            }
        }
        let held = decoder.memory_bytes();
        assert!(held <= BYTES_A_BYTE * bytes.len() + BYTES_ANYWAY, "{held} bytes of {}", bytes.len());
    }
    let ending = match (&failure, decoder.end_of_input()) {
        (Some(e), _) => e.to_string(),
        (None, Some(_)) => "short".to_owned(),
        (None, None) => format!("{:?}", decoder.rest()),
    };
    Seen { entries, told: checksum(&told), ending }
}

/// Whether a value is what it says: as many elements as it counts, each found where it is, no two alike where none may be.
fn check(value: Value<'_>) {
    match value {
        Value::Str(_) => {}
        Value::List(list) => check_list(list),
        Value::Set(set) => check_set(set),
        Value::Hash(hash) => check_hash(hash),
        Value::ZSet(zset) => check_zset(zset),
        Value::Stream(stream) => check_stream(stream),
        other => panic!("{other:?} is of a kind that nobody looks at"),
    }
}

/// Ranks to look at: all of a short value, some of a long one.
fn some_ranks(len: u64) -> impl Iterator<Item = u64> {
    (0..len).step_by(usize::try_from(len / 50).unwrap_or_default().max(1))
}

fn check_list(list: ListRef<'_>) {
    let forth: Vec<Vec<u8>> = list.iter_from(0).map(Str::to_vec).collect();
    let mut back: Vec<Vec<u8>> = list.iter_back_from(u64::MAX).map(Str::to_vec).collect();
    back.reverse();
    assert_eq!((forth.len() as u64, &back), (list.len(), &forth));
    for rank in some_ranks(list.len()) {
        assert!(list.get(rank).is_some_and(|text| text.equals(&forth[rank as usize])));
    }
    assert!(list.get(list.len()).is_none());
}

fn check_set(set: SetRef<'_>) {
    let members: BTreeSet<Vec<u8>> = set.iter().map(Str::to_vec).collect();
    assert_eq!((set.iter().count() as u64, members.len() as u64), (set.len(), set.len()));
    assert!(members.iter().all(|member| set.contains(Str::of(member))));
    assert!(some_ranks(set.len()).all(|rank| set.at(rank).is_some()) && set.at(set.len()).is_none());
    let (mut scanned, mut cursor) = (BTreeSet::new(), 0);
    loop {
        cursor = set.scan(cursor, 10, |member| {
            scanned.insert(member.to_vec());
        });
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(scanned, members);
}

fn check_hash(hash: HashRef<'_>) {
    let fields: BTreeSet<Vec<u8>> = hash.iter().map(|(field, _)| field.to_vec()).collect();
    assert_eq!((hash.iter().count() as u64, fields.len() as u64), (hash.len(), hash.len()));
    for (field, value) in hash.iter() {
        let found = hash.get(Str::of(&field.to_vec())).expect("a field is found");
        assert_eq!((found.text.to_vec(), found.expire_at), (value.text.to_vec(), value.expire_at));
    }
    let earliest = hash.iter().filter_map(|(_, value)| value.expire_at).min();
    assert_eq!(hash.next_due(), earliest);
}

fn check_zset(zset: ZSetRef<'_>) {
    let elements: Vec<(f64, Vec<u8>)> = zset.iter_from(0).map(|e| (e.score, e.member.to_vec())).collect();
    let members: BTreeSet<&Vec<u8>> = elements.iter().map(|(_, member)| member).collect();
    assert_eq!((elements.len() as u64, members.len()), (zset.len(), elements.len()));
    assert!(elements.iter().all(|(score, _)| !score.is_nan()));
    assert!(elements.windows(2).all(|pair| pair[0].partial_cmp(&pair[1]).is_some_and(std::cmp::Ordering::is_lt)));
    for (rank, (score, member)) in elements.iter().enumerate() {
        assert_eq!(zset.score(member), Some(*score));
        assert_eq!(zset.rank(member), Some((rank as u64, *score)));
    }
    assert_eq!(zset.iter_back_from(u64::MAX).count(), elements.len());
}

fn check_stream(stream: &Stream) {
    let ids: Vec<StreamId> = stream.iter_from(0).map(|entry| entry.id).collect();
    assert_eq!(ids.len() as u64, stream.len());
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(ids.last().is_none_or(|last| *last <= stream.last_id()));
    assert_eq!(stream.first_id(), ids.first().copied().unwrap_or(StreamId::MIN));
    let mut back: Vec<StreamId> = stream.range_back(StreamId::MAX, StreamId::MIN).map(|entry| entry.id).collect();
    back.reverse();
    assert_eq!(back, ids);
    for entry in stream.iter_from(0) {
        assert_eq!(entry.fields().count(), entry.len());
        assert!(stream.get(entry.id).is_some_and(|found| found.id == entry.id));
    }
    for group in stream.groups() {
        let owned: u64 = group.consumers().map(baton_values::Consumer::pending_count).sum();
        assert_eq!((owned, group.pending_from(StreamId::MIN).count() as u64), (group.pending_count(), owned));
        for pending in group.pending_from(StreamId::MIN) {
            let owner = group.consumer(pending.consumer()).expect("what is pending has a consumer");
            assert!(owner.pending_from(pending.id).next() == Some(pending.id));
        }
    }
}
