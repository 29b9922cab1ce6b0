//! Every field at its byte: literal offsets of cluster-bus 1.2, 1.4, 1.5 and 1.6, so that a slip in the layout table
//! that reader and writer share shows.

use crate::{full, id, message, ping};
use baton_base::hex::Hex;
use baton_base::{Epoch, ShardId, Slot};
use baton_wire::{
    Body, Extension, Gossip, IpText, Module, NodeFlags, PingBody, PrivateBlob, Publish, Update, decode, encode,
    encode_light_module, encode_light_publish,
};

/// Asserts what lies at an offset; the last argument is hex.
fn check(packet: &[u8], offset: usize, hex: &str) {
    let found = &packet[offset..offset + hex.len() / 2];
    assert_eq!(Hex(found).to_string(), hex, "at {offset}");
}

fn check_text(packet: &[u8], offset: usize, text: &str) {
    assert_eq!(String::from_utf8_lossy(&packet[offset..offset + text.len()]), text, "at {offset}");
}

#[test]
fn header_fields() {
    let mut message = message(Body::AuthRequest);
    let packet = encode(&message);
    assert_eq!(packet.len(), 2256);
    check_text(&packet, 0, "RCmb");
    check(&packet, 4, "000008d0");
    check(&packet, 8, "0001");
    check(&packet, 10, "0102");
    check(&packet, 12, "0005");
    check(&packet, 14, "0000");
    check(&packet, 16, "1112131415161718");
    check(&packet, 24, "2122232425262728");
    check(&packet, 32, "3132333435363738");
    check_text(&packet, 40, &"s".repeat(40));
    check(&packet, 80, "0102000000");
    check(&packet, 2126, "0080");
    check_text(&packet, 2128, &"p".repeat(40));
    check_text(&packet, 2168, "10.0.0.7\0");
    check(&packet, 2176, &"00".repeat(38 + 2 + 30));
    check(&packet, 2246, "0304");
    check(&packet, 2248, "0506");
    check(&packet, 2250, "2012");
    check(&packet, 2252, "01");
    check(&packet, 2253, "010000");

    message.header.replica_of = None;
    message.header.private = Some(PrivateBlob::new(b"lease").unwrap());
    let packet = encode(&message);
    check(&packet, 2128, &"00".repeat(40));
    check_text(&packet, 2216, "BTN\u{1}\u{5}lease\0");
    assert_eq!(full(decode(&packet).unwrap()), message);
}

#[test]
fn private_room_of_somebody_else_reads_as_absent() {
    let mut packet = encode(&message(Body::AuthAck));
    packet[2216..2246].fill(7);
    assert_eq!(full(decode(&packet).unwrap()).header.private, None);
    packet[2216..2221].copy_from_slice(b"BTN\x01\x1a");
    assert_eq!(full(decode(&packet).unwrap()).header.private, None, "longer than the room");
    assert!(PrivateBlob::new(&[0; 25]).is_ok());
    assert!(PrivateBlob::new(&[0; 26]).is_err());
}

#[test]
fn gossip_and_extensions() {
    let gossip = Gossip {
        id: id(b'g'),
        ping_sent_s: 0x0102_0304,
        pong_received_s: 0x1112_1314,
        ip: IpText::new("::1").unwrap(),
        port: 0x2122,
        port_other: 0x3132,
        port_bus: 0x4142,
        flags: NodeFlags::PFAIL | NodeFlags::PRIMARY,
    };
    let extensions = vec![
        Extension::Hostname("seven77".into()),
        Extension::HumanNodename("eight888".into()),
        Extension::ClientPort(0x5152),
        Extension::ClientTlsPort(0x6162),
        Extension::ForgottenNode { id: id(b'f'), ttl_s: 60 },
        Extension::ShardId(ShardId::new([b'h'; 40]).unwrap()),
    ];
    let packet = encode(&ping(PingBody { gossip: vec![gossip; 2], gossip_malformed: 0, extensions }));
    assert_eq!(packet.len(), 2256 + 208 + 16 + 24 + 16 + 16 + 56 + 48);
    check(&packet, 12, "00000002");
    check(&packet, 2214, "0006");
    check(&packet, 2253, "050000");

    let entry = &packet[2360..];
    check_text(entry, 0, &"g".repeat(40));
    check(entry, 40, "0102030411121314");
    check_text(entry, 48, "::1\0");
    check(entry, 94, "21224142");
    check(entry, 98, "0005");
    check(entry, 100, "31320000");

    let at = 2464;
    check(&packet, at, "0000001000000000");
    check_text(&packet, at + 8, "seven77\0");
    check(&packet, at + 16, "0000001800010000");
    check_text(&packet, at + 24, "eight888\0\0\0\0\0\0\0\0");
    check(&packet, at + 40, "00000010000600005152000000000000");
    check(&packet, at + 56, "00000010000700006162000000000000");
    check(&packet, at + 72, "0000003800020000");
    check_text(&packet, at + 80, &"f".repeat(40));
    check(&packet, at + 120, "000000000000003c");
    check(&packet, at + 128, "0000003000030000");
    check_text(&packet, at + 136, &"h".repeat(40));
}

#[test]
fn other_bodies() {
    let packet = encode(&message(Body::Fail { id: id(b'x') }));
    assert_eq!(packet.len(), 2296);
    check_text(&packet, 2256, &"x".repeat(40));

    let slots = Slot::new(8).into_iter().collect();
    let packet = encode(&message(Body::Update(Update { config_epoch: Epoch(0x77), id: id(b'u'), slots })));
    assert_eq!(packet.len(), 4352);
    check(&packet, 2256, "0000000000000077");
    check_text(&packet, 2264, &"u".repeat(40));
    check(&packet, 2304, "0001000000");

    let publish = Publish { channel: b"chan".to_vec(), message: b"hello".to_vec(), sharded: true };
    let packet = encode(&message(Body::Publish(publish.clone())));
    assert_eq!(packet.len(), 2264 + 9);
    check(&packet, 12, "000a");
    check(&packet, 2256, "0000000400000005");
    check_text(&packet, 2264, "chanhello");
    let packet = encode_light_publish(&publish);
    check(&packet, 0, "52436d620000002100010000800a0000");
    check_text(&packet, 24, "chanhello");

    let module = Module { module_id: *b"modulxyz", kind: 3, payload: b"pay".to_vec() };
    let packet = encode(&message(Body::Module(module.clone())));
    assert_eq!(packet.len(), 2269 + 3);
    check_text(&packet, 2256, "modulxyz\0\0\0\u{3}\u{3}pay");
    let packet = encode_light_module(&module);
    assert_eq!(packet.len(), 29 + 3);
    check(&packet, 12, "8009");
}
