//! Streams in every form that they ever had: as Valkey 9.1.2 dumps them, as older servers wrote them, and what is refused.

use baton_rdb::{
    Decoder, DecoderOptions, Encoder, EncoderOptions, Entry, Event, RestoreError, RestoreScratch, Value, VersionPolicy,
    VersionTarget, restore,
};
use baton_values::{Limits, Stream, StreamId};
use proptest::prelude::*;

use crate::oracle::{dump, sealed};
use crate::support::{hex, shown};

fn read(payload: &[u8]) -> Result<Stream, RestoreError> {
    match restore(payload, VersionPolicy::Strict, &Limits::default(), &mut RestoreScratch::default())? {
        Value::Stream(stream) => Ok(stream.clone()),
        _ => panic!("a stream is expected"),
    }
}

/// What the restored value dumps as, whatever it is: a changed first byte makes another type of a stream's payload.
fn dumped_again(payload: &[u8]) -> Result<Vec<u8>, RestoreError> {
    let mut scratch = RestoreScratch::default();
    restore(payload, VersionPolicy::Strict, &Limits::default(), &mut scratch).map(dump)
}

fn two_entries() -> Stream {
    let mut stream = Stream::default();
    stream.append(StreamId::new(1, 1), &[b"a", b"b"], &Limits::default());
    stream.append(StreamId::new(1, 2), &[b"a", b"c"], &Limits::default());
    stream
}

/// `XADD s 5-1 a 1 b 2`, `XADD s 5-3 a x b y`, `XADD s 6-0 c 3`, `XDEL s 5-1`; a group that has read up to 5-3, which it gave
/// to alice at 1000 for the third time; bob, who did nothing.
fn with_group() -> Stream {
    let mut stream = Stream::default();
    stream.append(StreamId::new(5, 1), &[b"a", b"1", b"b", b"2"], &Limits::default());
    stream.append(StreamId::new(5, 3), &[b"a", b"x", b"b", b"y"], &Limits::default());
    stream.append(StreamId::new(6, 0), &[b"c", b"3"], &Limits::default());
    stream.delete(StreamId::new(5, 1));
    stream.create_group(b"g", StreamId::new(5, 3), Some(2));
    stream.edit_group(b"g", |group| {
        group.create_consumer(b"alice", 0x1a1_fe3d_8fbd);
        group.create_consumer(b"bob", 0x1a1_fe3d_8fb7);
        group.assign(StreamId::new(5, 3), b"alice", 1000, 3);
        group.set_times(b"alice", 0x1a1_fe3d_8fbd, Some(0x1a1_fe3d_8fbd));
    });
    stream
}

const WITH_GROUP: &str = "150110000000000000000500000000000000013f3f00000019000201010102018161028162020001030100010001010102010501020100010201817802817902050100010101dfff02010181630203010601ff02060005030501030101670503020100000000000000050000000000000003e803000000000000030205616c696365bd8f3dfea1010000bd8f3dfea1010000010000000000000005000000000000000303626f62b78f3dfea1010000ffffffffffffffff0050000d3a5cdc16d200cd";

#[test]
fn as_the_real_server_dumps_them() {
    let mut empty = Stream::default();
    empty.append(StreamId::new(1, 1), &[b"a", b"b"], &Limits::default());
    empty.delete(StreamId::new(1, 1));
    let cases = [
        (empty, "15000001010000010101005000117c729587effa69"),
        (
            two_entries(),
            "1501100000000000000001000000000000000128280000000f00020100010101816102000102010001000181620204010201000101018163020401ff020102010100000200500061eb2ef2a556f81a",
        ),
        (with_group(), WITH_GROUP),
    ];
    for (stream, expected) in cases {
        assert_eq!(shown(&dump(Value::Stream(&stream))), expected);
        assert_eq!(read(&hex(expected)), Ok(stream));
    }
}

/// What follows the nodes in a file for the version, without key and checksum.
fn written(stream: &Stream, version: VersionTarget) -> (u8, Vec<u8>) {
    let mut encoder = Encoder::new(EncoderOptions { version, ..EncoderOptions::default() });
    encoder.entry(&Entry::new(0, b"s", Value::Stream(stream)));
    let file = encoder.take()[11..].to_vec();
    (file[0], file[3..].to_vec())
}

#[test]
fn older_servers_get_what_they_know() {
    let stream = with_group();
    let (number, body) = written(&stream, VersionTarget::Legacy);
    assert_eq!((number, shown(&body)), (21, WITH_GROUP[2..WITH_GROUP.len() - 20].to_string()));
    let (number, body) = written(&stream, VersionTarget::Oldest);
    // Without the times of activity.
    let expected = WITH_GROUP[2..WITH_GROUP.len() - 20]
        .replacen("bd8f3dfea1010000bd8f3dfea1010000", "bd8f3dfea1010000", 1)
        .replacen("b78f3dfea1010000ffffffffffffffff", "b78f3dfea1010000", 1);
    assert_eq!((number, shown(&body)), (19, expected));
    let again = read(&sealed(&[&[19], &body[..]].concat())).expect("a stream");
    let bob = again.group(b"g").and_then(|group| group.consumer(b"bob")).expect("he is there");
    assert_eq!(bob.active_ms, Some(bob.seen_ms));
}

/// Put together by hand: the first form has neither counts nor the first id.
#[test]
fn the_first_form_is_read() {
    let node = "1000000000000000010000000000000001\
                28280000000f00020100010101816102000102010001000181620204010201000101018163020401ff";
    let groups = |last: &str| format!("0f01{node}0201020101670{last}00 00").replace(' ', "");
    let read_up_to = |last: &str| {
        let stream = read(&sealed(&hex(&groups(last)))).expect("a stream");
        assert_eq!((stream.entries_added(), stream.max_deleted_id()), (2, StreamId::MIN));
        stream.group(b"g").expect("it is there").entries_read
    };
    assert_eq!([read_up_to("102"), read_up_to("101"), read_up_to("000")], [Some(2), Some(1), Some(0)]);
}

#[test]
fn a_file_keeps_streams_without_entries() {
    let mut encoder = Encoder::new(EncoderOptions::default());
    let mut empty = Stream::default();
    empty.create_group(b"g", StreamId::new(7, 7), None);
    encoder.entry(&Entry::new(0, b"empty", Value::Stream(&empty)));
    encoder.entry(&Entry::new(0, b"group", Value::Stream(&with_group())));
    encoder.finish();
    let file = encoder.take();
    for piece in [1, 7, 1000] {
        let mut decoder = Decoder::new(DecoderOptions::default());
        let mut found = Vec::new();
        for bytes in file.chunks(piece) {
            decoder.feed(bytes);
            while let Some(event) = decoder.poll_event().expect("well-formed") {
                if let Event::Entry(Entry { value: Value::Stream(stream), .. }) = event {
                    found.push(stream.clone());
                }
            }
        }
        assert_eq!(found, [empty.clone(), with_group()]);
    }
}

/// What is wrong with a payload: the place in the one above, and other bytes for it.
#[test]
fn what_can_not_be_is_refused() {
    let body = hex(&WITH_GROUP[..WITH_GROUP.len() - 20]);
    let text = WITH_GROUP[..WITH_GROUP.len() - 20].to_string();
    let pending = "0000000000000005000000000000000303626f62";
    let refused = [
        // A key that is no id, a last id below the entries, a length that is not theirs.
        text.replacen("0110000000", "010f000000", 1),
        text.replacen("ff0206000503", "ff0205000503", 1),
        text.replacen("ff0206000503", "ff0306000503", 1),
        // A pending entry without owner, with two, and an owned one that is not pending.
        text.replacen("010000000000000005000000000000000303626f62", "0003626f62", 1),
        text.replacen("ffffffffffffffff00", &format!("ffffffffffffffff01{}", &pending[..32]), 1),
        text.replacen(pending, "0000000000000005000000000000000403626f62", 1),
        // Two consumers of one name.
        text.replacen("03626f62", "05616c696365", 1),
        // Text where a number belongs, a count of elements that is none, an unknown mark.
        text.replacen("8162020001030100", "8162028161020100", 1),
        text.replacen("010201050102", "010201060102", 1),
        text.replacen("020501000101", "020501040101", 1),
    ];
    assert!(read(&sealed(&body)).is_ok());
    for wrong in refused {
        assert_ne!(wrong, text, "nothing was changed");
        assert_eq!(read(&sealed(&hex(&wrong))), Err(RestoreError::Format), "{wrong}");
    }
}

proptest! {
    #[test]
    fn whatever_is_dumped_is_restored(
        steps in proptest::collection::vec((0u64..4, 0u64..9, 0usize..3, 0u8..4), 0..300),
    ) {
        let mut stream = Stream::default();
        stream.create_group(b"one", StreamId::MIN, Some(3));
        stream.create_group(b"", StreamId::MAX, None);
        for (ms, seq, names, who) in steps {
            let last = stream.last_id();
            let id = StreamId::new(last.ms + ms, last.seq + 1 + seq);
            let fields: [&[u8]; 6] = [b"name", b"12", b"other", b"", b"12", b"x"];
            stream.append(id, &fields[..2 + 2 * names], &Limits::default());
            if seq == 3 {
                stream.delete(last);
            }
            stream.edit_group(b"one", |group| {
                group.create_consumer(&[who], ms);
                group.assign(id, &[who], ms, seq)
            });
        }
        prop_assert_eq!(read(&dump(Value::Stream(&stream))), Ok(stream));
    }

    #[test]
    fn spoilt_payloads_never_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        number in prop::sample::select(vec![15u8, 19, 21]),
        end in any::<prop::sample::Index>(),
    ) {
        let mut body = hex(&WITH_GROUP[..WITH_GROUP.len() - 20]);
        body[0] = number;
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(dumped) = dumped_again(&sealed(&body)) {
            prop_assert_eq!(dumped_again(&dumped), Ok(dumped));
        }
        let end = end.index(body.len());
        let _ = dumped_again(&sealed(&body[..end]));
    }
}
