//! Messages to bytes. What it is given is our own, so a message that can't be sent is a bug here and asserts.

use crate::field::put;
use crate::layout::{self, GOSSIP_BYTES, HEADER_BYTES, LIGHT_HEADER_BYTES};
use crate::{Body, Kind, Message, Module, MsgFlags, PingBody, Publish, Update};

/// The full packet of a message. PING, PONG and MEET get [`MsgFlags::EXT_DATA`] whether the header has it or not, as
/// upstream sends it in each of them (cluster-bus 1.2).
///
/// # Panics
/// When there are 65535 gossip entries or extensions, or more than 4 GiB to publish.
pub fn encode(message: &Message) -> Vec<u8> {
    let mut packet = Vec::with_capacity(packet_bytes_guess(&message.body));
    packet.resize(HEADER_BYTES, 0);
    message.header.write(&mut packet);
    match &message.body {
        Body::Ping(body) | Body::Pong(body) | Body::Meet(body) => append_ping(&mut packet, body),
        Body::Fail { id } => packet.extend_from_slice(id.as_bytes()),
        Body::Publish(body) => append_publish(&mut packet, body),
        Body::Update(body) => append_update(&mut packet, body),
        Body::Module(body) => append_module(&mut packet, body),
        Body::AuthRequest | Body::AuthAck | Body::MfStart | Body::Unknown(_) => {}
    }
    finish(&mut packet, message.kind().number());
    packet
}

/// The light packet of a pub/sub message, for nodes with [`crate::NodeFlags::LIGHT_HDR_PUBLISH`] (cluster-bus 1.5).
///
/// # Panics
/// When there are more than 4 GiB to publish.
pub fn encode_light_publish(body: &Publish) -> Vec<u8> {
    let mut packet = vec![0; LIGHT_HEADER_BYTES];
    append_publish(&mut packet, body);
    finish(&mut packet, body.kind().number() | layout::TYPE_LIGHT_BIT);
    packet
}

/// The light packet of a module's message, for nodes with [`crate::NodeFlags::LIGHT_HDR_MODULE`] (cluster-bus 1.5).
///
/// # Panics
/// When the payload has more than 4 GiB.
pub fn encode_light_module(body: &Module) -> Vec<u8> {
    let mut packet = vec![0; LIGHT_HEADER_BYTES];
    append_module(&mut packet, body);
    finish(&mut packet, Kind::Module.number() | layout::TYPE_LIGHT_BIT);
    packet
}

fn packet_bytes_guess(body: &Body) -> usize {
    HEADER_BYTES
        + match body {
            Body::Ping(body) | Body::Pong(body) | Body::Meet(body) => {
                body.gossip.len() * GOSSIP_BYTES + body.extensions.len() * 56
            }
            Body::Publish(body) => layout::PUBLISH_PREFIX_BYTES + body.channel.len() + body.message.len(),
            Body::Module(body) => layout::MODULE_PREFIX_BYTES + body.payload.len(),
            Body::Fail { .. } => layout::ID_BYTES,
            Body::Update(_) => layout::UPDATE_BYTES,
            Body::AuthRequest | Body::AuthAck | Body::MfStart | Body::Unknown(_) => 0,
        }
}

/// Writes signature, length, version and type.
fn finish(packet: &mut [u8], number: u16) {
    let len = u32::try_from(packet.len()).expect("a packet is shorter than 4 GiB");
    put(packet, 0, &layout::SIGNATURE);
    put(packet, layout::TOTLEN, &len.to_be_bytes());
    put(packet, layout::VER, &layout::VERSION.to_be_bytes());
    put(packet, layout::TYPE, &number.to_be_bytes());
}

fn append_ping(packet: &mut Vec<u8>, body: &PingBody) {
    let count = |n: usize| u16::try_from(n).expect("fewer than 65536 entries").to_be_bytes();
    put(packet, layout::COUNT, &count(body.gossip.len()));
    put(packet, layout::EXTENSIONS, &count(body.extensions.len()));
    packet[layout::MFLAGS] |= MsgFlags::EXT_DATA.bits();
    for entry in &body.gossip {
        entry.append_to(packet);
    }
    for extension in &body.extensions {
        extension.append_to(packet);
    }
}

fn append_publish(packet: &mut Vec<u8>, body: &Publish) {
    let len = |n: usize| u32::try_from(n).expect("a message is shorter than 4 GiB").to_be_bytes();
    packet.extend_from_slice(&len(body.channel.len()));
    packet.extend_from_slice(&len(body.message.len()));
    packet.extend_from_slice(&body.channel);
    packet.extend_from_slice(&body.message);
}

fn append_module(packet: &mut Vec<u8>, body: &Module) {
    let len = u32::try_from(body.payload.len()).expect("a payload is shorter than 4 GiB");
    packet.extend_from_slice(&body.module_id);
    packet.extend_from_slice(&len.to_be_bytes());
    packet.push(body.kind);
    packet.extend_from_slice(&body.payload);
}

fn append_update(packet: &mut Vec<u8>, body: &Update) {
    packet.extend_from_slice(&body.config_epoch.0.to_be_bytes());
    packet.extend_from_slice(body.id.as_bytes());
    packet.extend_from_slice(body.slots.as_bytes());
}
