//! Bytes to messages, with every check of cluster-bus 1.7 in its order. Never panics and never allocates more than a
//! small multiple of what it was given.

use crate::field::{array_at, u16_at, u32_at, u64_at};
use crate::frame::packet_len;
use crate::layout::{
    self, FRAME_PREFIX_BYTES, GOSSIP_BYTES, HEADER_BYTES, ID_BYTES, LIGHT_HEADER_BYTES, MODULE_PREFIX_BYTES,
    PUBLISH_PREFIX_BYTES, UPDATE_BYTES,
};
use crate::reject::{BadFrame, Reason, Reject};
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
    let warn = |reason| Reject::Warn { kind, reason };
    if light && !kind.may_be_light() {
        return Err(warn(Reason::LightNotAllowed));
    }
    let Some(packet) = bytes.get(..len) else {
        return Err(Reject::Silent(Reason::Truncated { held: bytes.len(), announced: len }));
    };
    let version = u16_at(packet, layout::VER);
    if version != layout::VERSION {
        return Err(Reject::Silent(Reason::Version(version)));
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
            Ok(Body::Fail { id: NodeId::new(array_at(body, 0)).map_err(|_| Reason::BadId)? })
        }
        Kind::Publish | Kind::PublishShard => Ok(Body::Publish(publish(body, HEADER_BYTES, kind)?)),
        Kind::AuthRequest => exactly(body, 0).map(|()| Body::AuthRequest),
        Kind::AuthAck => exactly(body, 0).map(|()| Body::AuthAck),
        Kind::Update => {
            exactly(body, UPDATE_BYTES)?;
            Ok(Body::Update(Update {
                config_epoch: Epoch(u64_at(body, 0)),
                id: NodeId::new(array_at(body, 8)).map_err(|_| Reason::BadId)?,
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
    if body.len() == expected {
        Ok(())
    } else {
        Err(Reason::Length { len: HEADER_BYTES + body.len(), expected: HEADER_BYTES + expected })
    }
}

fn ping_body(packet: &[u8]) -> Result<PingBody, Reason> {
    let count = usize::from(u16_at(packet, layout::COUNT));
    let body = &packet[HEADER_BYTES..];
    let too_short = Reason::Length { len: packet.len(), expected: HEADER_BYTES + count * GOSSIP_BYTES };
    let (entries, mut rest) = body.split_at_checked(count * GOSSIP_BYTES).ok_or(too_short)?;

    let has_extensions = MsgFlags::from_bits_retain(packet[layout::MFLAGS]).contains(MsgFlags::EXT_DATA);
    let announced = if has_extensions { u16_at(packet, layout::EXTENSIONS) } else { 0 };
    let mut extensions = Vec::new();
    for _ in 0..announced {
        extensions.push(Extension::take(&mut rest)?);
    }
    if !rest.is_empty() {
        return Err(Reason::Length { len: packet.len(), expected: packet.len() - rest.len() });
    }

    let gossip: Option<Vec<Gossip>> =
        entries.chunks_exact(GOSSIP_BYTES).map(|entry| Gossip::read(&array_at(entry, 0))).collect();
    let gossip_malformed = gossip.is_none();
    Ok(PingBody { gossip: gossip.unwrap_or_default(), gossip_malformed, extensions })
}

fn publish(body: &[u8], header_bytes: usize, kind: Kind) -> Result<Publish, Reason> {
    let bad_length = |expected| Reason::Length { len: header_bytes + body.len(), expected: header_bytes + expected };
    if body.len() < PUBLISH_PREFIX_BYTES {
        return Err(bad_length(PUBLISH_PREFIX_BYTES));
    }
    let channel_len = u32_at(body, 0) as usize;
    let message_len = u32_at(body, 4) as usize;
    let content = &body[PUBLISH_PREFIX_BYTES..];
    if channel_len.checked_add(message_len) != Some(content.len()) {
        return Err(bad_length(PUBLISH_PREFIX_BYTES.saturating_add(channel_len).saturating_add(message_len)));
    }
    let (channel, message) = content.split_at(channel_len);
    Ok(Publish { channel: channel.to_vec(), message: message.to_vec(), sharded: kind == Kind::PublishShard })
}

fn module(body: &[u8], header_bytes: usize) -> Result<Module, Reason> {
    let bad_length = |expected| Reason::Length { len: header_bytes + body.len(), expected: header_bytes + expected };
    if body.len() < MODULE_PREFIX_BYTES {
        return Err(bad_length(MODULE_PREFIX_BYTES));
    }
    let payload_len = u32_at(body, 8) as usize;
    let payload = &body[MODULE_PREFIX_BYTES..];
    if payload_len != payload.len() {
        return Err(bad_length(MODULE_PREFIX_BYTES.saturating_add(payload_len)));
    }
    Ok(Module { module_id: array_at(body, 0), kind: body[12], payload: payload.to_vec() })
}
