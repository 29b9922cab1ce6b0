//! One gossip entry: what the sender knows about a third node (cluster-bus 1.4).

use crate::NodeFlags;
use crate::field::{IpText, array_at, put, u16_at, u32_at};
use crate::layout::{self, GOSSIP_BYTES};
use baton_base::NodeId;

/// What the sender of a PING, PONG or MEET tells about another node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gossip {
    /// The node told about.
    pub id: NodeId,
    /// When the sender's unanswered ping to it left, unix seconds; 0 if none is outstanding.
    pub ping_sent_s: u32,
    /// When the sender last had a PONG from it, unix seconds.
    pub pong_received_s: u32,
    /// Its address; may be empty.
    pub ip: IpText,
    /// Client port, of the transport that the cluster uses first.
    pub port: u16,
    /// The other client port; 0 if none.
    pub port_other: u16,
    /// Port of its bus.
    pub port_bus: u16,
    /// The sender's view of it.
    pub flags: NodeFlags,
}

impl Gossip {
    /// Reads one entry; none if its id or its address can't be one.
    pub(crate) fn read(entry: &[u8; GOSSIP_BYTES]) -> Option<Gossip> {
        use layout::gossip as at;
        Some(Gossip {
            id: NodeId::new(array_at(entry, 0)).ok()?,
            ping_sent_s: u32_at(entry, at::PING_SENT),
            pong_received_s: u32_at(entry, at::PONG_RECEIVED),
            ip: IpText::from_field(array_at(entry, at::IP)).ok()?,
            port: u16_at(entry, at::PORT),
            port_other: u16_at(entry, at::PORT_OTHER),
            port_bus: u16_at(entry, at::PORT_BUS),
            flags: NodeFlags::from_bits_retain(u16_at(entry, at::FLAGS)),
        })
    }

    pub(crate) fn append_to(&self, packet: &mut Vec<u8>) {
        use layout::gossip as at;
        let mut entry = [0; GOSSIP_BYTES];
        put(&mut entry, 0, self.id.as_bytes());
        put(&mut entry, at::PING_SENT, &self.ping_sent_s.to_be_bytes());
        put(&mut entry, at::PONG_RECEIVED, &self.pong_received_s.to_be_bytes());
        put(&mut entry, at::IP, self.ip.as_field());
        put(&mut entry, at::PORT, &self.port.to_be_bytes());
        put(&mut entry, at::PORT_OTHER, &self.port_other.to_be_bytes());
        put(&mut entry, at::PORT_BUS, &self.port_bus.to_be_bytes());
        put(&mut entry, at::FLAGS, &self.flags.bits().to_be_bytes());
        packet.extend_from_slice(&entry);
    }
}
