//! The validation table of cluster-bus 1.7: for each fault, what the receiver is told to do and in which words.

use crate::{full, id, message, ping};
use baton_wire::{
    Body, Extension, Gossip, IpText, Module, NodeFlags, PING_PACKET_BYTES_MAX, PingBody, Publish, Reject, decode,
    encode, encode_light_publish,
};

fn gossip() -> Gossip {
    Gossip {
        id: id(b'g'),
        ping_sent_s: 0,
        pong_received_s: 1,
        ip: IpText::EMPTY,
        port: 1,
        port_other: 0,
        port_bus: 2,
        flags: NodeFlags::PRIMARY,
    }
}

fn publish() -> Publish {
    Publish { channel: b"chan".to_vec(), message: b"hello".to_vec(), sharded: false }
}

/// Encodes, lets `spoil` at the bytes, sets the announced length to what is there, and gives what decoding says.
fn spoilt(body: Body, spoil: impl FnOnce(&mut Vec<u8>)) -> Result<String, String> {
    let mut packet = match body {
        Body::Ping(body) => encode(&ping(body)),
        body => encode(&message(body)),
    };
    spoil(&mut packet);
    let len = (packet.len() as u32).to_be_bytes();
    packet[4..8].copy_from_slice(&len);
    verdict(&packet)
}

fn verdict(packet: &[u8]) -> Result<String, String> {
    match decode(packet) {
        Ok(packet) => Ok(format!("{packet:?}")),
        Err(reject @ Reject::CloseLink(_)) => Err(format!("close: {reject}")),
        Err(reject @ Reject::Silent(_)) => Err(format!("silent: {reject}")),
        Err(reject @ Reject::Notice(_)) => Err(format!("notice: {reject}")),
        Err(reject @ Reject::Warn(_)) => Err(format!("warning: {reject}")),
    }
}

fn put(offset: usize, bytes: &[u8]) -> impl FnOnce(&mut Vec<u8>) {
    move |packet| packet[offset..offset + bytes.len()].copy_from_slice(bytes)
}

#[test]
fn first_bytes_decide_over_the_link() {
    let close = Err("close: Bad message length or signature received on the Cluster bus.".to_owned());
    assert_eq!(spoilt(Body::MfStart, put(0, b"RCmc")), close);
    assert_eq!(verdict(&encode(&message(Body::MfStart))[..13]), close);
    for len in [0, 16, 2255, PING_PACKET_BYTES_MAX as u32 + 1, u32::MAX] {
        let mut packet = encode(&message(Body::MfStart));
        packet[4..8].copy_from_slice(&len.to_be_bytes());
        assert_eq!(verdict(&packet), close, "{len}");
    }
    let mut light = encode_light_publish(&publish());
    light[7] = 15;
    assert_eq!(verdict(&light), close);
}

#[test]
fn silent_drops() {
    assert_eq!(spoilt(Body::MfStart, put(8, &[0, 2])), Err("silent: protocol version 2".into()));
    let packet = encode(&message(Body::MfStart));
    assert_eq!(verdict(&packet[..2255]), Err("silent: 2255 bytes of 2256".into()));
}

#[test]
fn light_header_on_other_types() {
    let mut light = encode_light_publish(&publish());
    light[13] = 0;
    let text = "Packet of type 'ping' (0) does not support light cluster header. Marking packet as invalid.";
    assert_eq!(verdict(&light), Err(format!("notice: {text}")));
}

#[test]
fn lengths_that_contradict_the_content() {
    let pinged = || Body::Ping(PingBody { gossip: vec![gossip()], ..PingBody::default() });
    let extended = || Body::Ping(PingBody { extensions: vec![Extension::ClientPort(9)], ..PingBody::default() });
    let longer = |packet: &mut Vec<u8>| packet.push(0);
    let shorter = |packet: &mut Vec<u8>| packet.truncate(packet.len() - 1);
    for (found, text) in [
        (
            spoilt(pinged(), put(14, &[0, 2])),
            "Received invalid ping packet with gossip count 2 that exceeds total packet length (2360)",
        ),
        (spoilt(pinged(), longer), "Received invalid ping packet of length 2361 but expected length 2360"),
        (
            spoilt(extended(), put(2214, &[0, 2])),
            "Received invalid ping packet with extension data that exceeds total packet length (2272)",
        ),
        (
            spoilt(extended(), put(2256, &[0, 0, 0, 24])),
            "Received invalid ping packet with extension data that exceeds total packet length (2272)",
        ),
        (spoilt(extended(), put(2256, &[0, 0, 0, 12])), "Received a ping packet without proper padding (12 bytes)"),
        (spoilt(extended(), put(2256, &[0, 0, 0, 0])), "Received a ping packet without proper padding (0 bytes)"),
        (spoilt(extended(), put(2253, &[0])), "Received invalid ping packet of length 2272 but expected length 2256"),
        (
            spoilt(Body::Fail { id: id(b'x') }, longer),
            "Received invalid fail packet of length 2297 but expected length 2296",
        ),
        (spoilt(Body::AuthRequest, longer), "Received invalid auth-req packet of length 2257 but expected length 2256"),
        (
            spoilt(Body::Publish(publish()), put(2256, &[255; 4])),
            "Received invalid publish packet with channel length that exceeds total packet length (2273)",
        ),
        (
            spoilt(Body::Publish(publish()), put(2260, &[255; 4])),
            "Received invalid publish packet with message length that exceeds total packet length (2273)",
        ),
        (
            spoilt(Body::Publish(publish()), longer),
            "Received invalid publish packet of length 2274 but expected length 2273",
        ),
        (
            spoilt(Body::Module(Module { module_id: [1; 8], kind: 1, payload: vec![1] }), shorter),
            "Received invalid module packet with module payload length that exceeds total packet length (2269)",
        ),
    ] {
        assert_eq!(found, Err(format!("warning: {text}")));
    }
}

#[test]
fn ids_and_addresses_of_the_sender() {
    let text = "warning: Received invalid mfstart packet with a malformed node ID".to_owned();
    assert_eq!(spoilt(Body::MfStart, put(40, b"\n")), Err(text.clone()));
    assert_eq!(spoilt(Body::MfStart, put(2128, &[0])), Err(text));
    let text = "warning: Received invalid mfstart packet with a malformed address".to_owned();
    assert_eq!(spoilt(Body::MfStart, put(2168, b"a b\0")), Err(text.clone()));
    assert_eq!(spoilt(Body::MfStart, put(2168, &[b'1'; 46])), Err(text));
}

#[test]
fn stale_bytes_after_an_address_do_not_matter() {
    let mut packet = encode(&message(Body::MfStart));
    packet[2180] = b'9';
    assert_eq!(full(decode(&packet).unwrap()), message(Body::MfStart));
}

#[test]
fn one_bad_gossip_entry_spoils_the_gossip_only() {
    let body = PingBody { gossip: vec![gossip(); 3], extensions: vec![Extension::ClientPort(9)], gossip_malformed: 0 };
    let mut packet = encode(&ping(body));
    packet[2256 + 104] = b'Z';
    let Body::Ping(read) = full(decode(&packet).unwrap()).body else { panic!("not a ping") };
    assert_eq!(read, PingBody { gossip: vec![], gossip_malformed: 1, extensions: vec![Extension::ClientPort(9)] });
}

#[test]
fn bad_payloads_spoil_their_extension_only() {
    for (number, payload, expected) in [
        (0, &b"noterminator"[..], Extension::Malformed(0)),
        (1, b"line\nbreak\0", Extension::Malformed(1)),
        (8, b"\xff\xfe\0", Extension::Malformed(8)),
        (2, b"short", Extension::Malformed(2)),
        (3, b"", Extension::Malformed(3)),
        (3, &[b'Z'; 40], Extension::Malformed(3)),
        (6, b"", Extension::Malformed(6)),
        (0, b"\0", Extension::Hostname(String::new())),
        (77, b"whatever", Extension::Unknown(77)),
    ] {
        let mut packet =
            encode(&ping(PingBody { extensions: vec![Extension::Unknown(number)], ..PingBody::default() }));
        // The text cases fill their payload to the last byte, so that no padding ends them.
        let padded = if payload.contains(&0) { payload.len().next_multiple_of(8) } else { payload.len() / 8 * 8 };
        let mut content = payload.to_vec();
        content.resize(padded, 0);
        packet.extend_from_slice(&content);
        let extension_len = (8 + padded) as u32;
        packet[2256..2260].copy_from_slice(&extension_len.to_be_bytes());
        let len = packet.len() as u32;
        packet[4..8].copy_from_slice(&len.to_be_bytes());
        let Body::Ping(body) = full(decode(&packet).unwrap()).body else { panic!("not a ping") };
        assert_eq!(body.extensions, [expected], "{number} {payload:?}");
    }
}

#[test]
fn unknown_types_keep_their_header() {
    let mut packet = encode(&message(Body::Unknown(300)));
    packet.extend_from_slice(b"anything");
    packet[7] += 8;
    assert_eq!(full(decode(&packet).unwrap()), message(Body::Unknown(300)));
}
