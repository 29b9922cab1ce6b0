//! What CLUSTER's reading subcommands show, as data; the server turns it into RESP for the client's protocol version.

use crate::topology::NodeView;
use baton_base::{NodeId, Offset, ShardId, Slot};

/// One contiguous range of CLUSTER SLOTS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotRange {
    /// First slot.
    pub start: Slot,
    /// Last slot.
    pub end: Slot,
    /// The primary, then its replicas by id, those left out that failed or have no data.
    pub nodes: Vec<NodeView>,
}

/// Health of a member in CLUSTER SHARDS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemberHealth {
    /// `online`.
    Online,
    /// `fail`.
    Fail,
    /// `loading`: a replica without data.
    Loading,
}

impl MemberHealth {
    /// The word of the reply.
    pub fn as_str(self) -> &'static str {
        match self {
            MemberHealth::Online => "online",
            MemberHealth::Fail => "fail",
            MemberHealth::Loading => "loading",
        }
    }
}

/// A member in CLUSTER SHARDS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Who.
    pub node: NodeView,
    /// Its replication offset.
    pub offset: Offset,
    /// Its health.
    pub health: MemberHealth,
}

/// One shard of CLUSTER SHARDS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shard {
    /// Its id.
    pub id: ShardId,
    /// Its slots as inclusive ranges.
    pub slots: Vec<(Slot, Slot)>,
    /// Its members by id.
    pub members: Vec<Member>,
}

/// One link of CLUSTER LINKS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkView {
    /// `to` if true, else `from`.
    pub outbound: bool,
    /// The node at the other end.
    pub node: NodeId,
    /// The link, for whoever knows its buffers.
    pub link: crate::LinkId,
    /// When it was made, unix milliseconds.
    pub create_time_ms: u64,
    /// Bytes that wait to be sent on it. Zero here; filled in by whoever owns the socket.
    pub queued_bytes: u64,
}

/// The answer to a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClusterReply {
    /// `OK`.
    Ok,
    /// A simple string.
    Status(String),
    /// A number.
    Integer(i64),
    /// A verbatim text (NODES, INFO).
    Text(String),
    /// An array of bulk strings (REPLICAS).
    Lines(Vec<String>),
    /// SLOTS.
    Slots(Vec<SlotRange>),
    /// SHARDS.
    Shards(Vec<Shard>),
    /// LINKS.
    Links(Vec<LinkView>),
}
