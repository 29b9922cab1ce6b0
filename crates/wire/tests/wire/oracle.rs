//! The validation table of cluster-bus 1.7, written down a second time as naively as it reads, and the comparison of the
//! codec with it for any bytes. It takes nothing from the codec's own layout or checks, or both could be wrong alike.
//!
//! [`fuzz`] is the whole of a fuzz target: the tests beside this file call it with mutated packets, `fuzz/` hands it to
//! libFuzzer.

use baton_wire::{Body, Framer, LightBody, Packet, PingBody, Reject, decode, encode};

/// What the table says about some bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Verdict {
    /// Signature or length can't be: the link ends.
    Close,
    /// Dropped without a word.
    Silent,
    /// Dropped with a notice: a light header on a type that has none.
    Notice,
    /// Dropped with a warning.
    Warn,
    /// Used, as far as everything in it goes.
    Take,
    /// Used, but for its gossip: an entry in it is malformed.
    TakeWithoutGossip,
}

fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    bytes[at..at + width].iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

fn is_id(bytes: &[u8]) -> bool {
    bytes.len() == 40 && bytes.iter().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
}

fn is_ip(field: &[u8]) -> bool {
    let end = field.iter().position(|b| *b == 0);
    end.is_some_and(|end| field[..end].iter().all(|b| (0x21..=0x7e).contains(b)))
}

/// The announced length of what begins with these bytes, if the first fourteen are sound. The upper limits are ours, as
/// upstream has none.
fn framed(bytes: &[u8]) -> Option<usize> {
    let (len, kind) = (number(bytes, 4, 4) as usize, number(bytes, 12, 2));
    let least = if kind & 0x8000 != 0 { 16 } else { 2256 };
    let most = if matches!(kind & 0x7fff, 4 | 9 | 10) { 528 << 20 } else { 16 << 20 };
    (&bytes[..4] == b"RCmb" && (least..=most).contains(&len)).then_some(len)
}

/// What is to be done with these bytes.
pub(crate) fn judge(bytes: &[u8]) -> Verdict {
    let Some(len) = (bytes.len() >= 14).then(|| framed(bytes)).flatten() else { return Verdict::Close };
    let kind = number(bytes, 12, 2) & 0x7fff;
    let light = number(bytes, 12, 2) & 0x8000 != 0;
    if light && !matches!(kind, 4 | 9 | 10) {
        return Verdict::Notice;
    }
    if len > bytes.len() || number(bytes, 8, 2) != 1 {
        return Verdict::Silent;
    }
    let packet = &bytes[..len];
    let replica_of = &packet.get(2128..2168);
    let header_sound = light
        || is_id(&packet[40..80])
            && replica_of.is_some_and(|id| is_id(id) || id.iter().all(|b| *b == 0))
            && is_ip(&packet[2168..2214]);
    let body = &packet[if light { 16 } else { 2256 }..];
    let sound = header_sound
        && match kind {
            0..=2 => return if header_sound { judge_ping(packet) } else { Verdict::Warn },
            3 => is_id(body),
            4 | 10 => {
                let lens = body.get(..8).map(|b| number(b, 0, 4) + number(b, 4, 4));
                lens.is_some_and(|lens| lens + 8 == body.len() as u64)
            }
            5 | 6 | 8 => body.is_empty(),
            7 => body.len() == 2096 && is_id(&body[8..48]),
            9 => body.get(8..12).is_some_and(|n| number(n, 0, 4) + 13 == body.len() as u64),
            _ => true,
        };
    if sound { Verdict::Take } else { Verdict::Warn }
}

fn judge_ping(packet: &[u8]) -> Verdict {
    let count = number(packet, 14, 2) as usize;
    let mut at = 2256 + 104 * count;
    if at > packet.len() {
        return Verdict::Warn;
    }
    let announced = if packet[2253] & 4 != 0 { number(packet, 2214, 2) } else { 0 };
    for _ in 0..announced {
        if packet.len() - at < 8 {
            return Verdict::Warn;
        }
        let len = number(packet, at, 4) as usize;
        if len < 8 || !len.is_multiple_of(8) || len > packet.len() - at {
            return Verdict::Warn;
        }
        at += len;
    }
    if at != packet.len() {
        return Verdict::Warn;
    }
    let entry = |n: usize| &packet[2256 + 104 * n..2360 + 104 * n];
    let all = (0..count).all(|n| is_id(&entry(n)[..40]) && is_ip(&entry(n)[48..94]));
    if all { Verdict::Take } else { Verdict::TakeWithoutGossip }
}

/// Compares the codec with the table for these bytes. Panics where they differ, where reading costs more memory than a
/// small multiple of the bytes, or where what was read can't be said again.
pub(crate) fn fuzz(bytes: &[u8]) {
    let said = decode(bytes);
    let verdict = match &said {
        Err(Reject::CloseLink(_)) => Verdict::Close,
        Err(Reject::Silent(_)) => Verdict::Silent,
        Err(Reject::Notice(_)) => Verdict::Notice,
        Err(Reject::Warn(_)) => Verdict::Warn,
        Ok(Packet::Full(message)) => match &message.body {
            Body::Ping(body) | Body::Pong(body) | Body::Meet(body) if body.gossip_malformed > 0 => {
                Verdict::TakeWithoutGossip
            }
            _ => Verdict::Take,
        },
        Ok(Packet::Light(_)) => Verdict::Take,
    };
    assert_eq!(verdict, judge(bytes), "{said:?}");
    if let Err(reject) = &said {
        assert!(reject.to_string().len() < 200, "a line of the log has a bound: {reject}");
    }
    if let Ok(packet) = said {
        let packet_bytes = &bytes[..number(bytes, 4, 4) as usize];
        assert_eq!(number(bytes, 12, 2) & 0x8000 != 0, matches!(packet, Packet::Light(_)));
        match packet {
            Packet::Full(message) => {
                check_header(packet_bytes, &message.header);
                check_body(packet_bytes, &message.body);
                let again = decode(&encode(&message)).expect("what was read can be said");
                let Packet::Full(again) = again else { panic!("a full packet stays one") };
                assert_eq!(again.kind(), message.kind());
                assert_eq!(again.header.sender, message.header.sender);
            }
            Packet::Light(LightBody::Publish(p)) => check_parts(packet_bytes, &[&p.channel, &p.message]),
            Packet::Light(LightBody::Module(m)) => check_parts(packet_bytes, &[&m.payload]),
        }
    }
    check_framing(bytes);
}

/// The fields that decide about epochs, slots and roles, from their places.
fn check_header(packet: &[u8], header: &baton_wire::Header) {
    assert_eq!(header.current_epoch.0, number(packet, 16, 8));
    assert_eq!(header.config_epoch.0, number(packet, 24, 8));
    assert_eq!(header.offset.0, number(packet, 32, 8));
    assert_eq!(header.sender.as_bytes(), &packet[40..80]);
    assert_eq!(header.slots.as_bytes()[..], packet[80..2128]);
    assert_eq!(header.claims_primary(), packet[2128..2168].iter().all(|b| *b == 0));
    assert_eq!(header.flags.bits(), number(packet, 2250, 2) as u16);
    assert_eq!(header.mflags.bits(), packet[2253]);
    assert_eq!(header.private.is_some(), &packet[2216..2220] == b"BTN\x01" && packet[2220] <= 25);
}

fn check_body(packet: &[u8], body: &Body) {
    let counted = |body: &PingBody| {
        let count = number(packet, 14, 2) as usize;
        assert_eq!(body.gossip.len(), if body.gossip_malformed > 0 { 0 } else { count });
        assert!(body.gossip.capacity() * 104 <= packet.len() * 2 && body.gossip_malformed <= count);
        assert!(body.extensions.len() * 8 <= packet.len());
        for (n, entry) in body.gossip.iter().enumerate() {
            let at = 2256 + 104 * n;
            assert_eq!(entry.id.as_bytes(), &packet[at..at + 40]);
            assert_eq!(entry.flags.bits(), number(packet, at + 98, 2) as u16);
        }
    };
    match body {
        Body::Ping(body) | Body::Pong(body) | Body::Meet(body) => counted(body),
        Body::Fail { id } => assert_eq!(id.as_bytes(), &packet[2256..]),
        Body::Publish(p) => check_parts(packet, &[&p.channel, &p.message]),
        Body::Module(m) => check_parts(packet, &[&m.payload]),
        Body::Update(update) => {
            assert_eq!(update.config_epoch.0, number(packet, 2256, 8));
            assert_eq!(update.id.as_bytes(), &packet[2264..2304]);
            assert_eq!(update.slots.as_bytes()[..], packet[2304..]);
        }
        Body::AuthRequest | Body::AuthAck | Body::MfStart | Body::Unknown(_) => {}
    }
}

/// The parts lie one after the other at the end of the packet, and cost no more than they are long.
fn check_parts(packet: &[u8], parts: &[&Vec<u8>]) {
    let joined: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
    assert!(packet.ends_with(&joined));
    assert!(parts.iter().all(|part| part.capacity() <= packet.len()));
}

/// Cuts the bytes as a stream, in reads of several sizes, and compares with cutting them all at once.
fn check_framing(stream: &[u8]) {
    let mut expected = Vec::new();
    let mut rest = stream;
    let mut broken = false;
    while rest.len() >= 14 && !broken {
        match framed(rest) {
            Some(len) if len <= rest.len() => {
                expected.push(len);
                rest = &rest[len..];
            }
            Some(_) => break,
            None => broken = true,
        }
    }
    let step = 1 + stream.iter().take(64).map(|b| usize::from(*b)).sum::<usize>() % 5000;
    let mut framer = Framer::new();
    let (mut found, mut failed) = (Vec::new(), false);
    for read in stream.chunks(step) {
        framer.feed(read);
        loop {
            match framer.next_packet() {
                Ok(Some(packet)) => found.push(packet.len()),
                Ok(None) => break,
                Err(_) => {
                    failed = true;
                    break;
                }
            }
        }
        assert!(framer.pending_bytes() <= stream.len(), "an announced length costs nothing");
    }
    assert_eq!((found, failed), (expected, broken));
}
