//! Names and facts of bus links. A link is one TCP connection; this crate never sees the socket, only its identity.

use baton_base::{Mono, NodeId, WallMs};
use std::fmt;

/// Identity of one bus connection for the life of the process. Outbound ids are handed out by the cluster machine in
/// [`Effect::Connect`](crate::Effect::Connect); inbound ids are chosen by whoever accepts, from [`LinkId::inbound`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(u64);

const INBOUND_BIT: u64 = 1 << 63;

impl LinkId {
    /// The id of the n-th accepted connection. `n` must never repeat within a process and stay below 2^63.
    pub const fn inbound(n: u64) -> LinkId {
        LinkId(n | INBOUND_BIT)
    }

    pub(crate) const fn outbound(n: u64) -> LinkId {
        LinkId(n & !INBOUND_BIT)
    }

    /// Whether the peer opened this link.
    pub const fn is_inbound(self) -> bool {
        self.0 & INBOUND_BIT != 0
    }

    /// Its number among the links of its direction.
    pub const fn number(self) -> u64 {
        self.0 & !INBOUND_BIT
    }
}

impl fmt::Debug for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_inbound() { "in" } else { "out" }, self.number())
    }
}

/// What the machine remembers about one link.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// The node at the other end; empty for an inbound link whose first packet has not identified it.
    pub(crate) node: Option<NodeId>,
    /// When the connection was asked for or accepted.
    pub(crate) created: Mono,
    /// The same as the wall clock told it then.
    pub(crate) created_wall: WallMs,
    /// False only for an outbound link whose connection is still being made.
    pub(crate) open: bool,
    /// The peer's address as the socket knows it; empty for outbound links.
    pub(crate) peer_ip: String,
    /// Our own address as the socket knows it.
    pub(crate) local_ip: String,
    /// The peer has answered on it as the node it is taken for.
    pub(crate) confirmed: bool,
    /// The peer has sent at least one packet with EXT_DATA on this link.
    pub(crate) extensions_seen: bool,
}

impl Link {
    pub(crate) fn outbound(node: NodeId, now: Mono, wall: WallMs) -> Link {
        Link {
            node: Some(node),
            created: now,
            created_wall: wall,
            open: false,
            peer_ip: String::new(),
            local_ip: String::new(),
            confirmed: false,
            extensions_seen: false,
        }
    }

    pub(crate) fn inbound(peer_ip: String, local_ip: String, now: Mono, wall: WallMs) -> Link {
        Link {
            node: None,
            created: now,
            created_wall: wall,
            open: true,
            peer_ip,
            local_ip,
            confirmed: false,
            extensions_seen: false,
        }
    }
}
