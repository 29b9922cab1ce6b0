//! Bytes to messages, with every check of cluster-bus 1.7 in its order. Never panics and never allocates more than a
//! small multiple of what it was given.

use crate::field::{array_at, u16_at, u32_at, u64_at};
use crate::frame::packet_len;
use crate::layout::{
    self, FRAME_PREFIX_BYTES, GOSSIP_BYTES, HEADER_BYTES, ID_BYTES, LIGHT_HEADER_BYTES, MODULE_PREFIX_BYTES,
    PUBLISH_PREFIX_BYTES, UPDATE_BYTES,
};
use crate::reject::{BadFrame, Malformed, Quiet, Reason, Reject};
use crate::{
    Body, Extension, Gossip, Header, Kind, LightBody, Message, Module, MsgFlags, Packet, PingBody, Publish, Update,
};
use baton_base::{Epoch, NodeId, SlotBitmap};

/// Reads one packet, usually one that [`crate::Framer`] yielded. Bytes after its announced length are not looked at.
///
/// Not judged here, because it takes knowledge of the link: a light packet from a node that is unknown or still in
/// handshake closes the link (cluster-bus 1.5).
pub fn decode(bytes: &[u8]) -> Result<Packet, Reject> {
    if bytes.len() < FRAME_PREFIX_BYTES {
        return Err(BadFrame.into());
    }
    let len = packet_len(bytes)?;
    let number = u16_at(bytes, layout::TYPE);
    let kind = Kind::from_number(number);
    let light = number & layout::TYPE_LIGHT_BIT != 0;
    let warn = |reason| Reject::Warn(Malformed { kind, len, reason });
    if light && !kind.may_be_light() {
        return Err(Reject::Notice(kind));
    }
    let Some(packet) = bytes.get(..len) else {
        return Err(Reject::Silent(Quiet::Truncated { held: bytes.len(), announced: len }));
    };
    let version = u16_at(packet, layout::VER);
    if version != layout::VERSION {
        return Err(Reject::Silent(Quiet::Version(version)));
    }
    if light {
        return light_body(packet, kind).map(Packet::Light).map_err(warn);
    }
    let message = || Ok(Message { header: Header::read(packet)?, body: full_body(packet, kind)? });
    message().map(Packet::Full).map_err(warn)
}

fn full_body(packet: &[u8], kind: Kind) -> Result<Body, Reason> {
    let body = &packet[HEADER_BYTES..];
    match kind {
        Kind::Ping => Ok(Body::Ping(ping_body(packet)?)),
        Kind::Pong => Ok(Body::Pong(ping_body(packet)?)),
        Kind::Meet => Ok(Body::Meet(ping_body(packet)?)),
        Kind::Fail => {
            exactly(body, ID_BYTES)?;
            Ok(Body::Fail { id: NodeId::new(array_at(body, 0)).map_err(|_| Reason::NodeId)? })
        }
        Kind::Publish | Kind::PublishShard => Ok(Body::Publish(publish(body, HEADER_BYTES, kind)?)),
        Kind::AuthRequest => exactly(body, 0).map(|()| Body::AuthRequest),
        Kind::AuthAck => exactly(body, 0).map(|()| Body::AuthAck),
        Kind::Update => {
            exactly(body, UPDATE_BYTES)?;
            Ok(Body::Update(Update {
                config_epoch: Epoch(u64_at(body, 0)),
                id: NodeId::new(array_at(body, 8)).map_err(|_| Reason::NodeId)?,
                slots: SlotBitmap::from_bytes(&array_at(body, 8 + ID_BYTES)),
            }))
        }
        Kind::MfStart => exactly(body, 0).map(|()| Body::MfStart),
        Kind::Module => Ok(Body::Module(module(body, HEADER_BYTES)?)),
        Kind::Unknown(n) => Ok(Body::Unknown(n)),
    }
}

fn light_body(packet: &[u8], kind: Kind) -> Result<LightBody, Reason> {
    let body = &packet[LIGHT_HEADER_BYTES..];
    match kind {
        Kind::Module => Ok(LightBody::Module(module(body, LIGHT_HEADER_BYTES)?)),
        _ => Ok(LightBody::Publish(publish(body, LIGHT_HEADER_BYTES, kind)?)),
    }
}

fn exactly(body: &[u8], expected: usize) -> Result<(), Reason> {
    if body.len() == expected { Ok(()) } else { Err(Reason::Length(HEADER_BYTES + expected)) }
}

fn ping_body(packet: &[u8]) -> Result<PingBody, Reason> {
    let count = u16_at(packet, layout::COUNT);
    let body = &packet[HEADER_BYTES..];
    let entries_len = usize::from(count) * GOSSIP_BYTES;
    let (entries, mut rest) = body.split_at_checked(entries_len).ok_or(Reason::GossipCount(count))?;

    let has_extensions = MsgFlags::from_bits_retain(packet[layout::MFLAGS]).contains(MsgFlags::EXT_DATA);
    let announced = if has_extensions { u16_at(packet, layout::EXTENSIONS) } else { 0 };
    let mut extensions = Vec::new();
    for _ in 0..announced {
        extensions.push(Extension::take(&mut rest)?);
    }
    if !rest.is_empty() {
        return Err(Reason::Length(packet.len() - rest.len()));
    }

    let mut gossip: Vec<Gossip> =
        entries.chunks_exact(GOSSIP_BYTES).filter_map(|entry| Gossip::read(&array_at(entry, 0))).collect();
    let gossip_malformed = usize::from(count) - gossip.len();
    if gossip_malformed > 0 {
        gossip.clear();
    }
    Ok(PingBody { gossip, gossip_malformed, extensions })
}

fn publish(body: &[u8], header_bytes: usize, kind: Kind) -> Result<Publish, Reason> {
    let (prefix, content) =
        body.split_at_checked(PUBLISH_PREFIX_BYTES).ok_or(Reason::Length(header_bytes + PUBLISH_PREFIX_BYTES))?;
    let channel_len = u32_at(prefix, 0) as usize;
    let message_len = u32_at(prefix, 4) as usize;
    let (channel, message) = content.split_at_checked(channel_len).ok_or(Reason::ChannelTooLong)?;
    match message.len() {
        held if held < message_len => Err(Reason::MessageTooLong),
        held if held > message_len => {
            Err(Reason::Length(header_bytes + PUBLISH_PREFIX_BYTES + channel_len + message_len))
        }
        _ => Ok(Publish { channel: channel.to_vec(), message: message.to_vec(), sharded: kind == Kind::PublishShard }),
    }
}

fn module(body: &[u8], header_bytes: usize) -> Result<Module, Reason> {
    let (prefix, payload) =
        body.split_at_checked(MODULE_PREFIX_BYTES).ok_or(Reason::Length(header_bytes + MODULE_PREFIX_BYTES))?;
    let payload_len = u32_at(prefix, 8) as usize;
    match payload.len() {
        held if held < payload_len => Err(Reason::PayloadTooLong),
        held if held > payload_len => Err(Reason::Length(header_bytes + MODULE_PREFIX_BYTES + payload_len)),
        _ => Ok(Module { module_id: array_at(prefix, 0), kind: prefix[12], payload: payload.to_vec() }),
    }
}
