//! The full header: what every node says about itself in every full packet (cluster-bus 1.2). Signature, length,
//! version, type and the counts of what follows belong to the packet, not to this struct.

use crate::field::{IpText, array_at, put, u16_at, u64_at};
use crate::layout;
use crate::reject::Reason;
use crate::{MsgFlags, NodeFlags, PrivateBlob};
use baton_base::{Epoch, NodeId, Offset, SlotBitmap};

/// What the sender of a full packet says about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// Client port of the cluster's primary transport: the TLS port under `tls-cluster`, else the TCP port.
    pub port: u16,
    /// The other client port: TCP when `port` is TLS and the other way round; 0 if none.
    pub port_other: u16,
    /// Port of the bus.
    pub port_bus: u16,
    /// The sender's current epoch.
    pub current_epoch: Epoch,
    /// A primary's own configuration epoch; a replica sends its primary's.
    pub config_epoch: Epoch,
    /// A primary's journal end, or what a replica has processed; 0 if it never synced.
    pub offset: Offset,
    /// Who sends.
    pub sender: NodeId,
    /// Slots of the sender, or of its primary if it is a replica.
    pub slots: SlotBitmap,
    /// The primary of the sender; none means that the sender claims to be a primary. This decides, not the flag.
    pub replica_of: Option<NodeId>,
    /// Announced address; empty means that the peer address of the socket counts.
    pub ip: IpText,
    /// The sender's flags about itself.
    pub flags: NodeFlags,
    /// Whether the sender sees the cluster as failed. Receivers ignore it.
    pub cluster_failed: bool,
    /// Flags of this message.
    pub mflags: MsgFlags,
    /// Our own bytes, where the sender is of our kind and put some.
    pub private: Option<PrivateBlob>,
}

impl Header {
    /// A header with this sender and everything else zero, empty or absent.
    pub fn new(sender: NodeId) -> Header {
        Header {
            port: 0,
            port_other: 0,
            port_bus: 0,
            current_epoch: Epoch(0),
            config_epoch: Epoch(0),
            offset: Offset(0),
            sender,
            slots: SlotBitmap::new(),
            replica_of: None,
            ip: IpText::EMPTY,
            flags: NodeFlags::empty(),
            cluster_failed: false,
            mflags: MsgFlags::empty(),
            private: None,
        }
    }

    /// Whether the sender claims to be a primary.
    pub fn claims_primary(&self) -> bool {
        self.replica_of.is_none()
    }

    /// Reads the header of a packet that is known to hold one.
    pub(crate) fn read(packet: &[u8]) -> Result<Header, Reason> {
        let replica_of: [u8; layout::ID_BYTES] = array_at(packet, layout::REPLICA_OF);
        let replica_of = if replica_of == [0; layout::ID_BYTES] {
            None
        } else {
            Some(NodeId::new(replica_of).map_err(|_| Reason::NodeId)?)
        };
        Ok(Header {
            port: u16_at(packet, layout::PORT),
            port_other: u16_at(packet, layout::PORT_OTHER),
            port_bus: u16_at(packet, layout::PORT_BUS),
            current_epoch: Epoch(u64_at(packet, layout::CURRENT_EPOCH)),
            config_epoch: Epoch(u64_at(packet, layout::CONFIG_EPOCH)),
            offset: Offset(u64_at(packet, layout::OFFSET)),
            sender: NodeId::new(array_at(packet, layout::SENDER)).map_err(|_| Reason::NodeId)?,
            slots: SlotBitmap::from_bytes(&array_at(packet, layout::SLOTS)),
            replica_of,
            ip: IpText::from_field(array_at(packet, layout::IP)).map_err(|_| Reason::IpText)?,
            flags: NodeFlags::from_bits_retain(u16_at(packet, layout::FLAGS)),
            cluster_failed: packet[layout::STATE] != 0,
            mflags: MsgFlags::from_bits_retain(packet[layout::MFLAGS]),
            private: PrivateBlob::from_room(&array_at(packet, layout::PRIVATE)),
        })
    }

    /// Writes its fields into a zeroed header.
    pub(crate) fn write(&self, packet: &mut [u8]) {
        put(packet, layout::PORT, &self.port.to_be_bytes());
        put(packet, layout::PORT_OTHER, &self.port_other.to_be_bytes());
        put(packet, layout::PORT_BUS, &self.port_bus.to_be_bytes());
        put(packet, layout::CURRENT_EPOCH, &self.current_epoch.0.to_be_bytes());
        put(packet, layout::CONFIG_EPOCH, &self.config_epoch.0.to_be_bytes());
        put(packet, layout::OFFSET, &self.offset.0.to_be_bytes());
        put(packet, layout::SENDER, self.sender.as_bytes());
        put(packet, layout::SLOTS, self.slots.as_bytes());
        if let Some(primary) = &self.replica_of {
            put(packet, layout::REPLICA_OF, primary.as_bytes());
        }
        put(packet, layout::IP, self.ip.as_field());
        put(packet, layout::FLAGS, &self.flags.bits().to_be_bytes());
        packet[layout::STATE] = u8::from(self.cluster_failed);
        packet[layout::MFLAGS] = self.mflags.bits();
        if let Some(private) = self.private {
            put(packet, layout::PRIVATE, &private.to_room());
        }
    }
}
