//! Cluster-bus messages to bytes and back, layouts pinned by golden bytes (cluster-bus 1.1-1.9).
//!
//! [`Framer`] cuts a link's byte stream into packets, [`decode`] turns one into a [`Packet`] or a [`Reject`] that says
//! what the receiver must do with the link, [`encode`] is the way back. This crate must never act on a message, keep
//! anything about a peer, or panic on bytes from outside.

mod decode;
mod encode;
mod extension;
mod field;
mod flags;
mod frame;
mod gossip;
mod header;
mod kind;
mod layout;
mod message;
mod private;
mod reject;

pub use decode::decode;
pub use encode::{encode, encode_light_module, encode_light_publish};
pub use extension::Extension;
pub use field::{BadIpText, IpText};
pub use flags::{MsgFlags, NodeFlags};
pub use frame::Framer;
pub use gossip::Gossip;
pub use header::Header;
pub use kind::Kind;
pub use layout::{GOSSIP_BYTES, HEADER_BYTES, LIGHT_HEADER_BYTES, PING_PACKET_BYTES_MAX, PUBLISH_PACKET_BYTES_MAX};
pub use message::{Body, LightBody, Message, Module, Packet, PingBody, Publish, Update};
pub use private::{PrivateBlob, PrivateTooLong};
pub use reject::{BadFrame, Malformed, Quiet, Reason, Reject};
