//! The message types of the bus (cluster-bus 1.4): their numbers and the names that statistics and log lines use.

use crate::layout;

/// Type of a packet, without the light-header bit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Probe with gossip; asks for a PONG.
    Ping,
    /// Answer to PING and MEET, also sent unasked to announce a change.
    Pong,
    /// A PING that makes the receiver know the sender.
    Meet,
    /// A node is failing by agreement.
    Fail,
    /// A pub/sub message.
    Publish,
    /// A replica asks for a vote.
    AuthRequest,
    /// A vote.
    AuthAck,
    /// Newer slot configuration of some node.
    Update,
    /// A replica asks its primary to begin a manual failover.
    MfStart,
    /// A message between modules.
    Module,
    /// A sharded pub/sub message.
    PublishShard,
    /// A type this release doesn't know, 11 or higher.
    Unknown(u16),
}

impl Kind {
    /// The known kinds in the order of their numbers.
    pub const KNOWN: [Kind; 11] = [
        Kind::Ping,
        Kind::Pong,
        Kind::Meet,
        Kind::Fail,
        Kind::Publish,
        Kind::AuthRequest,
        Kind::AuthAck,
        Kind::Update,
        Kind::MfStart,
        Kind::Module,
        Kind::PublishShard,
    ];

    /// The kind with this number; the light-header bit is ignored.
    pub fn from_number(number: u16) -> Kind {
        let number = number & !layout::TYPE_LIGHT_BIT;
        Self::KNOWN.get(usize::from(number)).copied().unwrap_or(Kind::Unknown(number))
    }

    /// Its number on the wire, without the light-header bit.
    pub fn number(self) -> u16 {
        match self {
            Kind::Ping => 0,
            Kind::Pong => 1,
            Kind::Meet => 2,
            Kind::Fail => 3,
            Kind::Publish => 4,
            Kind::AuthRequest => 5,
            Kind::AuthAck => 6,
            Kind::Update => 7,
            Kind::MfStart => 8,
            Kind::Module => 9,
            Kind::PublishShard => 10,
            Kind::Unknown(n) => n,
        }
    }

    /// The kind of a packet that [`crate::Framer`] yielded, valid or not: traffic counters are bumped before a packet
    /// is validated (cluster-bus 1.7). A slice too short to carry a type counts as unknown.
    pub fn of_packet(packet: &[u8]) -> Kind {
        match packet.get(layout::TYPE..layout::TYPE + 2) {
            Some(raw) => Kind::from_number(u16::from_be_bytes([raw[0], raw[1]])),
            None => Kind::Unknown(!layout::TYPE_LIGHT_BIT),
        }
    }

    /// Its name in `cluster_stats_messages_*` and in log lines.
    pub fn token(self) -> &'static str {
        match self {
            Kind::Ping => "ping",
            Kind::Pong => "pong",
            Kind::Meet => "meet",
            Kind::Fail => "fail",
            Kind::Publish => "publish",
            Kind::AuthRequest => "auth-req",
            Kind::AuthAck => "auth-ack",
            Kind::Update => "update",
            Kind::MfStart => "mfstart",
            Kind::Module => "module",
            Kind::PublishShard => "publishshard",
            Kind::Unknown(_) => "unknown",
        }
    }

    /// Whether packets of this kind may come with a light header.
    pub fn may_be_light(self) -> bool {
        matches!(self, Kind::Publish | Kind::PublishShard | Kind::Module)
    }
}
