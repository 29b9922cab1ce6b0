//! What a packet says: a full message with header and body, or one of the light ones (cluster-bus 1.4, 1.5).

use crate::{Extension, Gossip, Header, Kind};
use baton_base::{Epoch, NodeId, SlotBitmap};

/// A packet as it came off a link.
#[expect(clippy::large_enum_variant, reason = "nearly all packets are full ones and live for one dispatch")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Packet {
    /// With the full header.
    Full(Message),
    /// With the light header: it refreshes nothing but the time of the last data (cluster-bus 1.5).
    Light(LightBody),
}

/// A packet with the full header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// What the sender says about itself.
    pub header: Header,
    /// What the message is about.
    pub body: Body,
}

/// What a full message is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// Probe; asks for a PONG on the same link.
    Ping(PingBody),
    /// Answer, or announcement of a change.
    Pong(PingBody),
    /// A PING that makes the receiver know the sender.
    Meet(PingBody),
    /// This node is failing by agreement of a majority.
    Fail {
        /// The failed node.
        id: NodeId,
    },
    /// A pub/sub message.
    Publish(Publish),
    /// A replica asks for a vote in `current_epoch` of the header.
    AuthRequest,
    /// A vote for the receiver in `current_epoch` of the header.
    AuthAck,
    /// Newer slot configuration of some node.
    Update(Update),
    /// A replica asks its primary to begin a manual failover.
    MfStart,
    /// A message between modules.
    Module(Module),
    /// A type this release doesn't know. Its header still counts (epochs!); upstream warns
    /// `Received unknown packet type: N`.
    Unknown(u16),
}

/// Body of PING, PONG and MEET.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PingBody {
    /// What the sender knows about other nodes; empty when any entry was malformed.
    pub gossip: Vec<Gossip>,
    /// Entries without a valid id or address. One makes all be ignored, while the rest of the message counts
    /// (cluster-bus 1.7); upstream warns `Node <id> (<name>) gossiped N nodes with invalid IDs.` or
    /// `Unknown node gossiped N nodes with invalid IDs.` Not sent.
    pub gossip_malformed: usize,
    /// Facts about the sender, in wire order.
    pub extensions: Vec<Extension>,
}

/// Body of PUBLISH and PUBLISHSHARD.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Publish {
    /// Channel name.
    pub channel: Vec<u8>,
    /// The message.
    pub message: Vec<u8>,
    /// Whether it is a shard channel.
    pub sharded: bool,
}

/// Body of UPDATE: the newest claim the sender knows of some node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Update {
    /// Epoch of the claim.
    pub config_epoch: Epoch,
    /// Who claims.
    pub id: NodeId,
    /// All slots it claims.
    pub slots: SlotBitmap,
}

/// Body of MODULE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Module {
    /// The module's id in the sender's byte order: opaque.
    pub module_id: [u8; 8],
    /// The module's own message type.
    pub kind: u8,
    /// Its content.
    pub payload: Vec<u8>,
}

/// A packet with the light header. Only to and from nodes that announced that they accept it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LightBody {
    /// A pub/sub message.
    Publish(Publish),
    /// A message between modules.
    Module(Module),
}

impl Message {
    /// Its type.
    pub fn kind(&self) -> Kind {
        self.body.kind()
    }
}

impl Body {
    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Body::Ping(_) => Kind::Ping,
            Body::Pong(_) => Kind::Pong,
            Body::Meet(_) => Kind::Meet,
            Body::Fail { .. } => Kind::Fail,
            Body::Publish(publish) => publish.kind(),
            Body::AuthRequest => Kind::AuthRequest,
            Body::AuthAck => Kind::AuthAck,
            Body::Update(_) => Kind::Update,
            Body::MfStart => Kind::MfStart,
            Body::Module(_) => Kind::Module,
            Body::Unknown(n) => Kind::Unknown(*n),
        }
    }
}

impl Publish {
    /// Its type: PUBLISH or PUBLISHSHARD.
    pub fn kind(&self) -> Kind {
        if self.sharded { Kind::PublishShard } else { Kind::Publish }
    }
}
