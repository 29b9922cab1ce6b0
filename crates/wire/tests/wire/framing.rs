//! Cutting a byte stream into packets, however it arrives.

use crate::{id, message};
use baton_wire::{BadFrame, Body, Framer, Kind, Publish, encode, encode_light_publish};

fn packets() -> Vec<Vec<u8>> {
    let publish = Publish { channel: vec![b'c'; 300], message: vec![b'm'; 70_000], sharded: false };
    vec![
        encode(&message(Body::MfStart)),
        encode_light_publish(&publish),
        encode(&message(Body::Fail { id: id(b'f') })),
        encode_light_publish(&Publish { channel: vec![], message: vec![], sharded: true }),
        encode(&message(Body::Unknown(99))),
    ]
}

#[test]
fn packets_come_out_whole_whatever_the_reads_were() {
    let stream: Vec<u8> = packets().concat();
    for step in [1, 7, 13, 2256, 4000, stream.len()] {
        let mut framer = Framer::new();
        let mut found = Vec::new();
        for read in stream.chunks(step) {
            framer.feed(read);
            while let Some(packet) = framer.next_packet().unwrap() {
                found.push(packet.to_vec());
            }
        }
        assert_eq!(found, packets(), "reads of {step}");
        assert_eq!(framer.pending_bytes(), 0);
    }
}

#[test]
fn garbage_fails_at_the_fourteenth_byte_and_stays_failed() {
    let mut framer = Framer::new();
    framer.feed(b"GET / HTTP/1.");
    assert_eq!(framer.next_packet(), Ok(None));
    framer.feed(b"1");
    assert_eq!(framer.next_packet(), Err(BadFrame));
    framer.feed(&encode(&message(Body::MfStart)));
    assert_eq!(framer.next_packet(), Err(BadFrame));
}

#[test]
fn kinds_of_packets_for_counting() {
    let kinds: Vec<Kind> = packets().iter().map(|packet| Kind::of_packet(packet)).collect();
    assert_eq!(kinds, [Kind::MfStart, Kind::Publish, Kind::Fail, Kind::PublishShard, Kind::Unknown(99)]);
    for (n, kind) in Kind::KNOWN.into_iter().enumerate() {
        assert_eq!((usize::from(kind.number()), Kind::from_number(n as u16)), (n, kind));
    }
}
