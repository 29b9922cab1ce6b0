//! Genuine packets, spoilt where it matters: lengths, counts, types, flags, ids, addresses, extensions, ends. The codec
//! has to agree with the validation table about every one of them. Seeded, so that a failure repeats.

use crate::observed::every_sample;
use crate::oracle::{self, Verdict};
use crate::{id, message, ping};
use baton_base::{Epoch, Rng, ShardId, Slot};
use baton_wire::{
    Body, Extension, Gossip, IpText, Module, NodeFlags, PingBody, PrivateBlob, Publish, Update, encode,
    encode_light_module, encode_light_publish,
};
use std::collections::{BTreeMap, BTreeSet};

/// Packets of every kind, those that Valkey sent among them.
fn genuine() -> Vec<Vec<u8>> {
    let gossip = |letter: u8| Gossip {
        id: id(letter),
        ping_sent_s: 7,
        pong_received_s: 8,
        ip: IpText::new("10.1.2.3").unwrap(),
        port: 1,
        port_other: 0,
        port_bus: 2,
        flags: NodeFlags::PRIMARY,
    };
    let extensions = vec![
        Extension::Hostname("host.example".into()),
        Extension::ClientPort(6379),
        Extension::ForgottenNode { id: id(b'f'), ttl_s: 60 },
        Extension::ShardId(ShardId::new([b'h'; 40]).unwrap()),
    ];
    let full = PingBody { gossip: b"abc".map(gossip).to_vec(), gossip_malformed: 0, extensions };
    let publish = |sharded| Publish { channel: b"channel".to_vec(), message: vec![b'm'; 90], sharded };
    let module = Module { module_id: *b"BTNlease", kind: 1, payload: vec![7; 12] };
    let slots = Slot::all().filter(|s| s.index() % 3 == 0).collect();
    let mut marked = message(Body::AuthRequest);
    marked.header.private = PrivateBlob::new(&[0xff; 25]).ok();
    let mut out = vec![
        encode(&ping(full.clone())),
        encode(&message(Body::Pong(full.clone()))),
        encode(&message(Body::Meet(PingBody { extensions: Vec::new(), ..full }))),
        encode(&message(Body::Ping(PingBody::default()))),
        encode(&message(Body::Fail { id: id(b'x') })),
        encode(&message(Body::Publish(publish(false)))),
        encode(&message(Body::Publish(publish(true)))),
        encode(&marked),
        encode(&message(Body::AuthAck)),
        encode(&message(Body::Update(Update { config_epoch: Epoch(9), id: id(b'u'), slots }))),
        encode(&message(Body::MfStart)),
        encode(&message(Body::Module(module.clone()))),
        encode(&message(Body::Unknown(4711))),
        encode_light_publish(&publish(false)),
        encode_light_publish(&publish(true)),
        encode_light_module(&module),
    ];
    out.extend(every_sample());
    out
}

struct Mutator {
    rng: Rng,
    genuine: Vec<Vec<u8>>,
}

impl Mutator {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound.max(1) as u64)).unwrap()
    }

    fn any(&mut self) -> Vec<u8> {
        let at = self.below(self.genuine.len());
        self.genuine[at].clone()
    }

    /// A number that tends to be at some limit of this packet.
    fn odd_number(&mut self, packet: &[u8]) -> u64 {
        let len = packet.len() as u64;
        let limits = [0, 1, 7, 8, 12, 16, 40, 48, 2255, 2256, 2264, 65_535, 16 << 20, 528 << 20, u64::from(u32::MAX)];
        match self.below(4) {
            0 => len.wrapping_add(self.rng.below(17)).wrapping_sub(8),
            1 => self.rng.next_u64() >> self.rng.below(64),
            2 => u64::MAX - self.rng.below(9),
            _ => *self.rng.pick(&limits).unwrap(),
        }
    }

    fn put(packet: &mut [u8], at: usize, bytes: &[u8]) {
        if let Some(room) = packet.get_mut(at..at + bytes.len()) {
            room.copy_from_slice(bytes);
        }
    }

    /// Writes a number into a field of this width.
    fn put_number(&mut self, packet: &mut [u8], at: usize, width: usize) {
        let number = self.odd_number(packet).to_be_bytes();
        Self::put(packet, at, &number[8 - width..]);
    }

    /// Where extensions may begin.
    fn extensions_at(packet: &[u8]) -> usize {
        packet.get(14..16).map_or(0, |n| 2256 + 104 * usize::from(u16::from_be_bytes([n[0], n[1]])))
    }

    fn mutate(&mut self, packet: &mut Vec<u8>) {
        match self.below(22) {
            0 => {
                let keep = self.below(packet.len() + 1);
                packet.truncate(keep);
            }
            1 => {
                let more = self.below(200);
                let fill = self.rng.next_u64() as u8;
                packet.resize(packet.len() + more, fill);
            }
            2 => {
                let other = self.any();
                packet.extend_from_slice(&other);
            }
            3 => self.put_number(packet, 4, 4),
            4 => self.put_number(packet, 8, 2),
            5 => {
                let kind = (self.rng.below(13) as u16 | if self.rng.chance(1, 3) { 0x8000 } else { 0 }).to_be_bytes();
                Self::put(packet, 12, &kind);
            }
            6 => {
                let count = (self.rng.below(6) as u16).to_be_bytes();
                Self::put(packet, 14, &count);
            }
            7 => self.put_number(packet, 14, 2),
            8 => {
                let count = (self.rng.below(9) as u16).to_be_bytes();
                Self::put(packet, 2214, &count);
            }
            9 => self.put_number(packet, 2214, 2),
            10 => {
                let at = Self::extensions_at(packet) + 8 * self.below(8);
                let width = if self.rng.chance(1, 3) { 2 } else { 4 };
                self.put_number(packet, at, width);
            }
            11 => self.spoil_id(packet),
            20 | 21 => self.invent_extensions(packet),
            12 => self.spoil_ip(packet),
            13 => {
                let flags = self.rng.next_u64() as u8;
                Self::put(packet, 2253, &[flags]);
            }
            14 => {
                let at = *self.rng.pick(&[16, 24, 32, 2216, 2220, 2250]).unwrap();
                self.put_number(packet, at, 8);
            }
            15 => {
                let light = packet.get(12).is_some_and(|b| b & 0x80 != 0);
                let at = if light { 16 } else { 2256 } + 4 * self.below(4);
                self.put_number(packet, at, 4);
            }
            16 => {
                let at = 2256 + 8 * self.below(40);
                if at < packet.len() {
                    let cut = (8 * (1 + self.below(16))).min(packet.len() - at);
                    packet.drain(at..at + cut);
                }
            }
            17 => {
                let at = 80 + 8 * self.below(256);
                self.put_number(packet, at, 8);
            }
            18 => {
                let other = self.any();
                let at = *self.rng.pick(&[12, 14, 16, 40, 80, 2128, 2168, 2256]).unwrap();
                if at < packet.len() && at < other.len() {
                    packet.truncate(at);
                    packet.extend_from_slice(&other[at..]);
                }
            }
            _ => {
                for _ in 0..=self.below(8) {
                    let (at, bit) = (self.below(packet.len()), self.below(8));
                    if let Some(byte) = packet.get_mut(at) {
                        *byte ^= 1 << bit;
                    }
                }
            }
        }
    }

    /// Extensions whose lengths mostly add up, though some are none that an extension has.
    fn invent_extensions(&mut self, packet: &mut Vec<u8>) {
        let at = Self::extensions_at(packet);
        if packet.len() < 2256 || at > packet.len() {
            return;
        }
        packet.truncate(at);
        let count = self.below(5);
        for _ in 0..count {
            let halves = if self.rng.chance(1, 8) { 20 } else { 1 };
            let len = 8 + 4 * self.below(halves) + 8 * self.below(8);
            let said = if self.rng.chance(1, 8) { len + 8 } else { len };
            let mut extension = (said as u32).to_be_bytes().to_vec();
            extension.extend_from_slice(&(self.rng.below(10) as u16).to_be_bytes());
            let fill = *self.rng.pick(b"\0\0a\xff").unwrap();
            extension.resize(len, fill);
            packet.extend_from_slice(&extension);
        }
        packet[2253] |= 4;
        Self::put(packet, 2214, &(count as u16).to_be_bytes());
    }

    fn spoil_id(&mut self, packet: &mut [u8]) {
        let starts = [40, 2128, 2256, 2264, 2256 + 104, 2256 + 208];
        let at = *self.rng.pick(&starts).unwrap() + self.below(40);
        let odd = *self.rng.pick(b"AZ`{/: \n\0\xff").unwrap();
        Self::put(packet, at, &[odd]);
    }

    fn spoil_ip(&mut self, packet: &mut [u8]) {
        let start = *self.rng.pick(&[2168, 2256 + 48, 2256 + 104 + 48]).unwrap();
        if self.rng.chance(1, 3) {
            Self::put(packet, start, &[b'1'; 46]);
        }
        let odd = *self.rng.pick(b"\0 \n\x7f\xff1").unwrap();
        let at = start + self.below(46);
        Self::put(packet, at, &[odd]);
    }

    /// Mostly lets the packet be as long as it says, as a framer would.
    fn agree_on_length(&mut self, packet: &mut [u8]) {
        if self.rng.chance(3, 4) {
            let len = (packet.len() as u32).to_be_bytes();
            Self::put(packet, 4, &len);
        }
    }
}

#[test]
fn genuine_packets_are_taken() {
    for packet in genuine() {
        assert_eq!(oracle::judge(&packet), Verdict::Take);
        oracle::fuzz(&packet);
    }
}

#[test]
fn the_codec_agrees_with_the_table_about_spoilt_packets() {
    let mut mutator = Mutator { rng: Rng::new(0x0bad_bad5), genuine: genuine() };
    let mut verdicts: BTreeMap<Verdict, usize> = BTreeMap::new();
    let mut refused_kinds = BTreeSet::new();
    for _ in 0..300_000 {
        let mut packet = mutator.any();
        for _ in 0..=mutator.below(4) {
            mutator.mutate(&mut packet);
        }
        mutator.agree_on_length(&mut packet);
        let verdict = oracle::judge(&packet);
        *verdicts.entry(verdict).or_default() += 1;
        if verdict == Verdict::Warn {
            refused_kinds.insert(packet[13]);
        }
        oracle::fuzz(&packet);
    }
    // Mutations that all end in one way would prove nothing.
    let often = [Verdict::Close, Verdict::Silent, Verdict::Notice, Verdict::Warn, Verdict::Take];
    assert!(often.iter().all(|v| verdicts.get(v).is_some_and(|n| *n > 300)), "{verdicts:?}");
    assert!(verdicts.get(&Verdict::TakeWithoutGossip).is_some_and(|n| *n > 50), "{verdicts:?}");
    assert!((0..=10).all(|kind| refused_kinds.contains(&kind)), "{refused_kinds:?}");
}

#[test]
fn streams_of_spoilt_packets_are_cut_where_the_table_says() {
    let mut mutator = Mutator { rng: Rng::new(77), genuine: genuine() };
    for _ in 0..20_000 {
        let mut stream = Vec::new();
        for _ in 0..=mutator.below(5) {
            let mut packet = mutator.any();
            if mutator.rng.chance(1, 3) {
                mutator.mutate(&mut packet);
            }
            mutator.agree_on_length(&mut packet);
            stream.extend_from_slice(&packet);
        }
        oracle::fuzz(&stream);
    }
}
