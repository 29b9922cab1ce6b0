//! Ping extensions: optional facts about the sender after the gossip entries (cluster-bus 1.6).

use crate::field::{array_at, u16_at, u32_at, u64_at};
use crate::layout::EXTENSION_PREFIX_BYTES;
use crate::reject::Reason;
use baton_base::{NodeId, ShardId};

/// One extension. Upstream sends HOSTNAME, HUMAN_NODENAME, the client addresses, AVAILABILITY_ZONE, all
/// FORGOTTEN_NODE and then SHARDID; the order of a [`crate::PingBody`] is the order on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Extension {
    /// Announced hostname.
    Hostname(String),
    /// Announced name for people.
    HumanNodename(String),
    /// A node to forget, and for how long from now, in seconds, not to learn it again.
    ForgottenNode {
        /// The node.
        id: NodeId,
        /// Seconds left.
        ttl_s: u64,
    },
    /// Shard of the sender.
    ShardId(ShardId),
    /// IPv4 address to announce to clients.
    ClientIpv4(String),
    /// IPv6 address to announce to clients.
    ClientIpv6(String),
    /// TCP port to announce to clients.
    ClientPort(u16),
    /// TLS port to announce to clients.
    ClientTlsPort(u16),
    /// Availability zone.
    AvailabilityZone(String),
    /// A type of this number that this release doesn't know: skipped, upstream warns
    /// `Received unknown extension type N`.
    Unknown(u16),
    /// A known type whose payload is too short, not NUL-terminated, or no text or id: to be treated as absent.
    Malformed(u16),
}

const HOSTNAME: u16 = 0;
const HUMAN_NODENAME: u16 = 1;
const FORGOTTEN_NODE: u16 = 2;
const SHARD_ID: u16 = 3;
const CLIENT_IPV4: u16 = 4;
const CLIENT_IPV6: u16 = 5;
const CLIENT_PORT: u16 = 6;
const CLIENT_TLS_PORT: u16 = 7;
const AVAILABILITY_ZONE: u16 = 8;

impl Extension {
    /// Its type on the wire.
    pub fn number(&self) -> u16 {
        match self {
            Extension::Hostname(_) => HOSTNAME,
            Extension::HumanNodename(_) => HUMAN_NODENAME,
            Extension::ForgottenNode { .. } => FORGOTTEN_NODE,
            Extension::ShardId(_) => SHARD_ID,
            Extension::ClientIpv4(_) => CLIENT_IPV4,
            Extension::ClientIpv6(_) => CLIENT_IPV6,
            Extension::ClientPort(_) => CLIENT_PORT,
            Extension::ClientTlsPort(_) => CLIENT_TLS_PORT,
            Extension::AvailabilityZone(_) => AVAILABILITY_ZONE,
            Extension::Unknown(n) | Extension::Malformed(n) => *n,
        }
    }

    /// Takes one extension off the front of `rest`. Only a length that can't be one is an error.
    pub(crate) fn take(rest: &mut &[u8]) -> Result<Extension, Reason> {
        if rest.len() < EXTENSION_PREFIX_BYTES {
            return Err(Reason::ExtensionTooLong);
        }
        let len = u32_at(rest, 0) as usize;
        if !len.is_multiple_of(8) || len < EXTENSION_PREFIX_BYTES {
            return Err(Reason::ExtensionPadding(len));
        }
        let Some((this, after)) = rest.split_at_checked(len) else { return Err(Reason::ExtensionTooLong) };
        *rest = after;
        let number = u16_at(this, 4);
        Ok(Self::of_payload(number, &this[EXTENSION_PREFIX_BYTES..]).unwrap_or(Extension::Malformed(number)))
    }

    fn of_payload(number: u16, payload: &[u8]) -> Option<Extension> {
        Some(match number {
            HOSTNAME => Extension::Hostname(text(payload)?),
            HUMAN_NODENAME => Extension::HumanNodename(text(payload)?),
            FORGOTTEN_NODE if payload.len() >= 48 => {
                Extension::ForgottenNode { id: NodeId::new(array_at(payload, 0)).ok()?, ttl_s: u64_at(payload, 40) }
            }
            SHARD_ID if payload.len() >= 40 => Extension::ShardId(ShardId::new(array_at(payload, 0)).ok()?),
            CLIENT_IPV4 => Extension::ClientIpv4(text(payload)?),
            CLIENT_IPV6 => Extension::ClientIpv6(text(payload)?),
            CLIENT_PORT if payload.len() >= 2 => Extension::ClientPort(u16_at(payload, 0)),
            CLIENT_TLS_PORT if payload.len() >= 2 => Extension::ClientTlsPort(u16_at(payload, 0)),
            AVAILABILITY_ZONE => Extension::AvailabilityZone(text(payload)?),
            FORGOTTEN_NODE | SHARD_ID | CLIENT_PORT | CLIENT_TLS_PORT => return None,
            unknown => Extension::Unknown(unknown),
        })
    }

    pub(crate) fn append_to(&self, packet: &mut Vec<u8>) {
        let start = packet.len();
        packet.extend_from_slice(&[0; 4]);
        packet.extend_from_slice(&self.number().to_be_bytes());
        packet.extend_from_slice(&[0; 2]);
        match self {
            Extension::Hostname(text)
            | Extension::HumanNodename(text)
            | Extension::ClientIpv4(text)
            | Extension::ClientIpv6(text)
            | Extension::AvailabilityZone(text) => {
                // A NUL inside would end the text early at the receiver anyway.
                packet.extend(text.bytes().take_while(|&b| b != 0));
                packet.push(0);
            }
            Extension::ForgottenNode { id, ttl_s } => {
                packet.extend_from_slice(id.as_bytes());
                packet.extend_from_slice(&ttl_s.to_be_bytes());
            }
            Extension::ShardId(id) => packet.extend_from_slice(id.as_bytes()),
            Extension::ClientPort(port) | Extension::ClientTlsPort(port) => {
                packet.extend_from_slice(&port.to_be_bytes());
            }
            Extension::Unknown(_) | Extension::Malformed(_) => {}
        }
        let len = (packet.len() - start).next_multiple_of(8);
        packet.resize(start + len, 0);
        packet[start..start + 4].copy_from_slice(&(len as u32).to_be_bytes());
    }
}

/// Text up to the NUL that must be there. Control characters would let a peer forge lines of the node file, so they
/// make it no text.
fn text(payload: &[u8]) -> Option<String> {
    let end = payload.iter().position(|&b| b == 0)?;
    let text = std::str::from_utf8(&payload[..end]).ok()?;
    (!text.chars().any(char::is_control)).then(|| text.to_owned())
}
