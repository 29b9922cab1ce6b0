//! Why a packet isn't used, sorted by what the receiver must do about it (cluster-bus 1.7).

use crate::Kind;
use thiserror::Error;

/// What to do with a packet that isn't used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Reject {
    /// The stream can't be trusted to be in step any more: close the link.
    #[error(transparent)]
    CloseLink(#[from] BadFrame),
    /// Drop the packet without a word; the link stays.
    #[error("{0}")]
    Silent(Reason),
    /// Drop the packet and log the text of this error as a warning; the link stays.
    #[error("Received invalid {} packet: {reason}", kind.token())]
    Warn {
        /// Type of the packet.
        kind: Kind,
        /// What is wrong with it.
        reason: Reason,
    },
}

/// The first bytes of a packet are none of the bus, or announce a length that no packet has. Upstream's log line for it
/// is `Bad message length or signature received on the Cluster bus` with ` from ip:port` where the peer is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("Bad message length or signature received on the Cluster bus")]
pub struct BadFrame;

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Reason {
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
    /// A light header on a type that has none.
    #[error("light header on a type that has none")]
    LightNotAllowed,
    /// It isn't as long as its type and counts say.
    #[error("length {len} but expected length {expected}")]
    Length {
        /// Announced length.
        len: usize,
        /// Length that the content has; at least this where the content runs over the end.
        expected: usize,
    },
    /// An extension reaches over the end of the packet.
    #[error("extension data that exceeds total packet length")]
    ExtensionTooLong,
    /// An extension's length is below 8 or no multiple of 8.
    #[error("extension without proper padding ({len} bytes)")]
    ExtensionPadding {
        /// Announced length of the extension.
        len: usize,
    },
    /// The id of the sender, its primary or the subject isn't 40 characters of 0-9 and a-z.
    #[error("malformed node id")]
    BadId,
    /// The announced address is no printable text of at most 45 characters.
    #[error("malformed address")]
    BadIpText,
}
