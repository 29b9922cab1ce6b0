//! Why a packet isn't used, sorted by what the receiver must do about it (cluster-bus 1.7). The texts are upstream's log
//! lines where it has one.

use crate::Kind;
use std::fmt;
use thiserror::Error;

/// What to do with a packet that isn't used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Reject {
    /// The stream can't be trusted to be in step any more: close the link.
    #[error(transparent)]
    CloseLink(#[from] BadFrame),
    /// Drop the packet without a word; the link stays.
    #[error("{0}")]
    Silent(Quiet),
    /// Drop the packet and log the text of this error as a notice; the link stays.
    #[error(
        "Packet of type '{}' ({}) does not support light cluster header. Marking packet as invalid.",
        .0.token(),
        .0.number()
    )]
    Notice(Kind),
    /// Drop the packet and log the text of this error as a warning; the link stays.
    #[error("{0}")]
    Warn(Malformed),
}

/// The first bytes of a packet are none of the bus, or announce a length that no packet has. Upstream ends the line
/// with ` from ip:port` instead of the full stop where the peer is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("Bad message length or signature received on the Cluster bus.")]
pub struct BadFrame;

/// What is wrong with a packet that is dropped in silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Quiet {
    /// It is of another protocol version.
    #[error("protocol version {0}")]
    Version(u16),
    /// Fewer bytes than it announces.
    #[error("{held} bytes of {announced}")]
    Truncated {
        /// Bytes at hand.
        held: usize,
        /// Bytes the packet announces.
        announced: usize,
    },
}

/// A packet whose content contradicts itself or isn't what its type demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Type of the packet.
    pub kind: Kind,
    /// Its announced length.
    pub len: usize,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with the content of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// More gossip entries than fit.
    GossipCount(u16),
    /// An extension reaches over the end of the packet.
    ExtensionTooLong,
    /// An extension announces this length, which is below 8 or no multiple of 8.
    ExtensionPadding(usize),
    /// A channel name reaches over the end of the packet.
    ChannelTooLong,
    /// A pub/sub message reaches over the end of the packet.
    MessageTooLong,
    /// A module's payload reaches over the end of the packet.
    PayloadTooLong,
    /// The packet isn't as long as its type and counts say; the length they say.
    Length(usize),
    /// The id of the sender, its primary or the subject isn't 40 characters of 0-9 and a-z.
    NodeId,
    /// The announced address is no printable text of at most 45 characters.
    IpText,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, len) = (self.kind.token(), self.len);
        let exceeds = |f: &mut fmt::Formatter<'_>, what: &str| {
            write!(f, "Received invalid {kind} packet with {what} that exceeds total packet length ({len})")
        };
        match self.reason {
            Reason::GossipCount(count) => exceeds(f, &format!("gossip count {count}")),
            Reason::ExtensionTooLong => exceeds(f, "extension data"),
            Reason::ExtensionPadding(bytes) => {
                write!(f, "Received a {kind} packet without proper padding ({bytes} bytes)")
            }
            Reason::ChannelTooLong => exceeds(f, "channel length"),
            Reason::MessageTooLong => exceeds(f, "message length"),
            Reason::PayloadTooLong => exceeds(f, "module payload length"),
            Reason::Length(expected) => {
                write!(f, "Received invalid {kind} packet of length {len} but expected length {expected}")
            }
            Reason::NodeId => write!(f, "Received invalid {kind} packet with a malformed node ID"),
            Reason::IpText => write!(f, "Received invalid {kind} packet with a malformed address"),
        }
    }
}

impl std::error::Error for Malformed {}
