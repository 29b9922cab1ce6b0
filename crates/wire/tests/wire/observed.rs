//! Packets that Valkey 9.1.2 nodes sent to a listener that had joined their cluster: what they mean, and that encoding
//! the meaning gives the same bytes back.

use crate::full;
use baton_base::{Epoch, NodeId, Offset, ShardId, Slot, hex};
use baton_wire::{
    Body, Extension, Gossip, IpText, LightBody, Message, MsgFlags, NodeFlags, Packet, PingBody, Publish, decode,
    encode, encode_light_publish,
};

/// Reads rows of `offset hex`; bytes without a row are zero.
fn sample(text: &str) -> Vec<u8> {
    let (len, rows) = text.split_once('\n').unwrap();
    let len = len.split_whitespace().nth(1).unwrap().parse().unwrap();
    let mut packet = vec![0; len];
    for row in rows.lines() {
        let (offset, digits) = row.split_once(' ').unwrap();
        let offset = usize::from_str_radix(offset, 16).unwrap();
        let bytes = hex::bytes(digits.as_bytes()).unwrap();
        packet[offset..offset + bytes.len()].copy_from_slice(&bytes);
    }
    packet
}

/// All of them, as they came.
pub(crate) fn every_sample() -> Vec<Vec<u8>> {
    macro_rules! samples {
        ($($name:literal)*) => { vec![$(sample(include_str!(concat!("observed/", $name, ".hex")))),*] };
    }
    samples![
        "auth-ack" "auth-req" "fail" "light-publish" "meet" "mfstart" "ping-primary" "ping-replica" "pong-primary"
        "pong-replica" "publish" "publishshard" "update"
    ]
}

macro_rules! observed {
    ($name:literal) => {{
        let packet = sample(include_str!(concat!("observed/", $name, ".hex")));
        let message = full(decode(&packet).unwrap());
        assert_eq!(encode(&message), packet, "{} reads and writes back", $name);
        message
    }};
}

fn node(text: &str) -> NodeId {
    NodeId::parse(text.as_bytes()).unwrap()
}

fn primary() -> NodeId {
    node("05e57cd1c2898df48e83a7fa9dd1fba944322495")
}

fn replica() -> NodeId {
    node("d8b0bcafcfcb90fe7f75a54c13cbe86dc9c9c7b6")
}

fn assert_from_primary(message: &Message) {
    let header = &message.header;
    assert_eq!(header.sender, primary());
    assert!(header.claims_primary());
    assert_eq!((header.port, header.port_other, header.port_bus), (21801, 0, 31801));
    // A fresh primary's flags (cluster-bus 1.3) and MIGRATE_TO, as it has a replica.
    assert_eq!(header.flags.bits(), 0x1D11);
    assert_eq!(header.slots, (0..100).filter_map(Slot::new).collect());
    assert_eq!(header.ip, IpText::EMPTY);
    assert_eq!(header.private, None);
    assert!(!header.cluster_failed);
}

#[test]
fn ping_of_a_primary_with_every_announcement() {
    let message = observed!("ping-primary");
    assert_from_primary(&message);
    assert_eq!((message.header.current_epoch, message.header.config_epoch), (Epoch(1), Epoch(1)));
    assert_eq!(message.header.mflags, MsgFlags::EXT_DATA);
    let Body::Ping(body) = message.body else { panic!("not a ping") };
    let [gossip] = &body.gossip[..] else { panic!("one entry") };
    assert_eq!((gossip.id, gossip.ip.as_str()), (replica(), "127.0.0.1"));
    assert_eq!((gossip.port, gossip.port_other, gossip.port_bus), (21802, 0, 31802));
    assert_eq!(gossip.flags, NodeFlags::REPLICA | NodeFlags::from_bits_retain(0x1C00));
    let text = str::to_owned;
    assert_eq!(
        body.extensions,
        [
            Extension::Hostname(text("a.example")),
            Extension::HumanNodename(text("alpha")),
            Extension::ClientIpv4(text("127.0.0.9")),
            Extension::ClientIpv6(text("::9")),
            Extension::AvailabilityZone(text("zone-1")),
            Extension::ShardId(ShardId::parse(b"72c37ae61cd52f6b2f3276c18bbc486b4a083ecb").unwrap()),
        ]
    );
}

#[test]
fn pings_and_pongs_of_both_roles() {
    let Body::Pong(body) = observed!("pong-primary").body else { panic!("not a pong") };
    assert_eq!(body.extensions.len(), 6);
    for message in [observed!("ping-replica"), observed!("pong-replica")] {
        assert!(message.header.replica_of.is_some());
        assert!(message.header.flags.contains(NodeFlags::REPLICA));
    }
}

#[test]
fn meet_carries_gossip_and_no_extensions() {
    let message = observed!("meet");
    assert_from_primary(&message);
    let Body::Meet(PingBody { gossip, gossip_malformed: 0, extensions }) = &message.body else { panic!("not a meet") };
    assert_eq!(gossip.iter().map(|g: &Gossip| g.id).collect::<Vec<_>>(), [replica()]);
    assert_eq!(extensions, &[]);
    assert!(message.header.mflags.contains(MsgFlags::EXT_DATA));
}

#[test]
fn publish_full_light_and_sharded() {
    let publish = |channel: &[u8], message: &[u8], sharded| Publish {
        channel: channel.to_vec(),
        message: message.to_vec(),
        sharded,
    };
    assert_eq!(observed!("publish").body, Body::Publish(publish(b"news", b"full", false)));
    assert_eq!(observed!("publishshard").body, Body::Publish(publish(b"c113", b"shardfull", true)));

    let packet = sample(include_str!("observed/light-publish.hex"));
    let light = publish(b"news", b"light", false);
    assert_eq!(decode(&packet), Ok(Packet::Light(LightBody::Publish(light.clone()))));
    assert_eq!(encode_light_publish(&light), packet);
}

#[test]
fn vote_asked_and_given() {
    let request = observed!("auth-req");
    assert_eq!(request.body, Body::AuthRequest);
    assert_eq!(request.header.sender, replica());
    assert_eq!(request.header.replica_of, Some(primary()));
    assert_eq!(request.header.mflags, MsgFlags::FORCEACK);
    assert!(request.header.current_epoch > request.header.config_epoch);
    let vote = observed!("auth-ack");
    assert_eq!(vote.body, Body::AuthAck);
    assert_from_primary(&vote);
}

#[test]
fn update_tells_the_newest_owner() {
    let Body::Update(update) = observed!("update").body else { panic!("not an update") };
    assert_eq!((update.id, update.config_epoch), (primary(), Epoch(1)));
    assert_eq!(update.slots.len(), 100);
}

#[test]
fn fail_and_mfstart() {
    assert_eq!(observed!("fail").body, Body::Fail { id: primary() });
    let message = observed!("mfstart");
    assert_eq!(message.body, Body::MfStart);
    assert_eq!(message.header.replica_of, Some(node(&"f00dfeed".repeat(5))));
    assert!(message.header.offset >= Offset(0));
}
