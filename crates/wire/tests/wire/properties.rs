//! Any message survives the way to bytes and back; no bytes make the codec panic, or make it hand out more than was put
//! in.

use crate::full;
use baton_base::{Epoch, NodeId, Offset, ShardId, Slot, SlotBitmap};
use baton_wire::{
    Body, Extension, Framer, Gossip, Header, IpText, LightBody, Message, Module, MsgFlags, NodeFlags, Packet, PingBody,
    PrivateBlob, Publish, Update, decode, encode, encode_light_module, encode_light_publish,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn node_id() -> impl Strategy<Value = NodeId> {
    "[0-9a-z]{40}".prop_map(|s| NodeId::parse(s.as_bytes()).unwrap())
}

fn ip() -> impl Strategy<Value = IpText> {
    "[!-~]{0,45}".prop_map(|s| IpText::new(&s).unwrap())
}

fn slots() -> impl Strategy<Value = SlotBitmap> {
    vec(0..16384u16, 0..40).prop_map(|s| s.into_iter().filter_map(Slot::new).collect())
}

prop_compose! {
    fn header()(
        ports: (u16, u16, u16), epochs: (u64, u64), offset: u64, sender in node_id(), slots in slots(),
        replica_of in option::of(node_id()), ip in ip(), flags: u16, cluster_failed: bool, mflags in 0..8u8,
        private in option::of(vec(any::<u8>(), 0..=25)),
    ) -> Header {
        Header {
            port: ports.0, port_other: ports.1, port_bus: ports.2,
            current_epoch: Epoch(epochs.0), config_epoch: Epoch(epochs.1), offset: Offset(offset),
            sender, slots, replica_of, ip, cluster_failed,
            flags: NodeFlags::from_bits_retain(flags),
            mflags: MsgFlags::from_bits_retain(mflags),
            private: private.map(|bytes| PrivateBlob::new(&bytes).unwrap()),
        }
    }
}

prop_compose! {
    fn gossip()(id in node_id(), times: (u32, u32), ip in ip(), ports: (u16, u16, u16), flags: u16) -> Gossip {
        Gossip {
            id, ping_sent_s: times.0, pong_received_s: times.1, ip,
            port: ports.0, port_other: ports.1, port_bus: ports.2,
            flags: NodeFlags::from_bits_retain(flags),
        }
    }
}

fn extension() -> impl Strategy<Value = Extension> {
    let text = || "[ -~äß€]{0,20}";
    prop_oneof![
        text().prop_map(Extension::Hostname),
        text().prop_map(Extension::HumanNodename),
        text().prop_map(Extension::ClientIpv4),
        text().prop_map(Extension::ClientIpv6),
        text().prop_map(Extension::AvailabilityZone),
        any::<u16>().prop_map(Extension::ClientPort),
        any::<u16>().prop_map(Extension::ClientTlsPort),
        (node_id(), any::<u64>()).prop_map(|(id, ttl_s)| Extension::ForgottenNode { id, ttl_s }),
        "[0-9a-z]{40}".prop_map(|s| Extension::ShardId(ShardId::parse(s.as_bytes()).unwrap())),
        (9..=u16::MAX).prop_map(Extension::Unknown),
    ]
}

prop_compose! {
    fn ping_body()(gossip in vec(gossip(), 0..5), extensions in vec(extension(), 0..5)) -> PingBody {
        PingBody { gossip, gossip_malformed: 0, extensions }
    }
}

prop_compose! {
    fn publish()(channel: Vec<u8>, message: Vec<u8>, sharded: bool) -> Publish {
        Publish { channel, message, sharded }
    }
}

prop_compose! {
    fn module()(module_id: [u8; 8], kind: u8, payload: Vec<u8>) -> Module {
        Module { module_id, kind, payload }
    }
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        ping_body().prop_map(Body::Ping),
        ping_body().prop_map(Body::Pong),
        ping_body().prop_map(Body::Meet),
        node_id().prop_map(|id| Body::Fail { id }),
        publish().prop_map(Body::Publish),
        Just(Body::AuthRequest),
        Just(Body::AuthAck),
        (any::<u64>(), node_id(), slots()).prop_map(|(epoch, id, slots)| Body::Update(Update {
            config_epoch: Epoch(epoch),
            id,
            slots
        })),
        Just(Body::MfStart),
        module().prop_map(Body::Module),
        (11..0x8000u16).prop_map(Body::Unknown),
    ]
}

prop_compose! {
    fn message()(mut header in header(), body in body()) -> Message {
        if matches!(body, Body::Ping(_) | Body::Pong(_) | Body::Meet(_)) {
            header.mflags |= MsgFlags::EXT_DATA;
        }
        Message { header, body }
    }
}

proptest! {
    #[test]
    fn messages_survive_the_wire(message in message()) {
        let packet = encode(&message);
        prop_assert_eq!(full(decode(&packet).unwrap()), message);
    }

    #[test]
    fn light_messages_survive_the_wire(publish in publish(), module in module()) {
        let packet = encode_light_publish(&publish);
        prop_assert_eq!(decode(&packet), Ok(Packet::Light(LightBody::Publish(publish))));
        let packet = encode_light_module(&module);
        prop_assert_eq!(decode(&packet), Ok(Packet::Light(LightBody::Module(module))));
    }

    /// What is read from spoilt bytes either is refused or is a message that can be sent on.
    #[test]
    fn spoilt_packets_never_panic(
        message in message(),
        light in option::of(publish()),
        spoils in vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        resized in option::of(0..5000usize),
    ) {
        let mut packet = light.map_or_else(|| encode(&message), |publish| encode_light_publish(&publish));
        // Faults in the first 16 bytes and behind the header are the interesting ones.
        for (i, (index, byte)) in spoils.into_iter().enumerate() {
            let from = if i % 2 == 0 { 4 } else { 2200.min(packet.len() - 1) };
            let at = from + index.index(packet.len() - from);
            packet[at] = byte;
        }
        if let Some(len) = resized {
            packet.resize(len, 0);
            if len >= 8 {
                packet[4..8].copy_from_slice(&(len as u32).to_be_bytes());
            }
        }
        if let Ok(Packet::Full(read)) = decode(&packet) {
            let again = full(decode(&encode(&read)).unwrap());
            prop_assert_eq!(again.kind(), read.kind());
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>, with_signature: bool) {
        let mut stream = if with_signature { b"RCmb\0\0".to_vec() } else { Vec::new() };
        stream.extend(bytes);
        let _ = decode(&stream);
        let mut framer = Framer::new();
        framer.feed(&stream);
        let mut yielded = 0;
        while let Ok(Some(packet)) = framer.next_packet() {
            prop_assert!(packet.len() >= 16);
            yielded += packet.len();
        }
        prop_assert!(yielded <= stream.len());
    }
}
