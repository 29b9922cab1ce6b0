//! What this node knows about one node of the cluster, itself included. Data and questions only; who changes it and
//! when is decided by the handlers.

use crate::capabilities::Capabilities;
use crate::link::LinkId;
use crate::silenced::Silence;
use crate::voters::Digest;
use baton_base::{Epoch, Mono, NodeId, Offset, ShardId};
use baton_wire::{IpText, NodeFlags};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a node is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// Its IP; empty if unknown.
    pub ip: IpText,
    /// Client port without TLS, 0 if it has none.
    pub tcp_port: u16,
    /// Client port with TLS, 0 if it has none.
    pub tls_port: u16,
    /// Port of the bus.
    pub bus_port: u16,
}

impl Address {
    /// Nowhere.
    pub const EMPTY: Address = Address { ip: IpText::EMPTY, tcp_port: 0, tls_port: 0, bus_port: 0 };

    /// From the ports of a header or a gossip entry, whose first port is that of the cluster's own transport.
    pub(crate) fn from_wire(ip: IpText, port: u16, other: u16, bus_port: u16, tls_cluster: bool) -> Address {
        let (tcp_port, tls_port) = if tls_cluster { (other, port) } else { (port, other) };
        Address { ip, tcp_port, tls_port, bus_port }
    }

    /// The client port of the cluster's own transport, and the other one.
    pub(crate) fn wire_ports(&self, tls_cluster: bool) -> (u16, u16) {
        if tls_cluster { (self.tls_port, self.tcp_port) } else { (self.tcp_port, self.tls_port) }
    }
}

/// What a node announces about itself through ping extensions (cluster-bus 1.6).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Labels {
    /// Announced host name, empty if none.
    pub hostname: String,
    /// Name for humans, used in log lines, empty if none.
    pub nodename: String,
    /// IPv4 address for clients, empty if none.
    pub client_ipv4: String,
    /// IPv6 address for clients, empty if none.
    pub client_ipv6: String,
    /// TCP port for clients, 0 if none.
    pub client_port: u16,
    /// TLS port for clients, 0 if none.
    pub client_tls_port: u16,
    /// Availability zone, empty if none.
    pub availability_zone: String,
}

/// One entry of the node table.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Key of the table. Random while in handshake, then the node's own.
    pub(crate) id: NodeId,
    /// When the entry was made; bounds the handshake.
    pub(crate) created: Mono,
    /// Random until the node's SHARDID extension arrives.
    pub(crate) shard: ShardId,
    /// It has arrived, or the file had it.
    pub(crate) shard_told: bool,
    pub(crate) flags: NodeFlags,
    /// Version of its slot claim, if it is a primary. Only moves forward.
    pub(crate) config_epoch: Epoch,
    /// The primary of a replica; empty if unknown here. Always empty for a primary.
    pub(crate) primary: Option<NodeId>,
    pub(crate) address: Address,
    pub(crate) labels: Arc<Labels>,
    /// What its last header said that it can do.
    pub(crate) capabilities: Capabilities,
    /// It says that it is [`Capabilities::BEHIND`] and how far it is, and did so on my link to it.
    pub(crate) behind: Option<Offset>,
    /// What it said last about the voters; empty before its first header, which `capabilities` waits for, too.
    pub(crate) electorate: Option<Digest>,
    /// When the unanswered ping left, if one is outstanding.
    pub(crate) ping_sent: Option<Mono>,
    /// Last PONG on my outbound link, or a trusted gossip about one.
    pub(crate) pong_received: Option<Mono>,
    /// Last packet of any kind from it.
    pub(crate) data_received: Option<Mono>,
    pub(crate) meet_sent: Option<Mono>,
    /// When it was marked FAIL.
    pub(crate) fail_time: Option<Mono>,
    /// When a replica was heard to ask for votes to take its place.
    pub(crate) stood_for: Option<Mono>,
    /// Since when it serves slots without a living replica, though replicas may move to it.
    pub(crate) orphaned: Option<Mono>,
    /// How many replicas it had when that was last looked at, and whether it served slots.
    pub(crate) replica_count: usize,
    pub(crate) serves: bool,
    /// Offset of its last full header.
    pub(crate) offset: Offset,
    /// My link to it, open or being made.
    pub(crate) outbound: Option<LinkId>,
    /// Its link to me.
    pub(crate) inbound: Option<LinkId>,
    /// When the last inbound link went, or the entry was made.
    pub(crate) inbound_freed: Mono,
    /// When I last tried to connect.
    pub(crate) connect_tried: Option<Mono>,
    /// What its connections that ended lately tell, if any did.
    pub(crate) silence: Option<Silence>,
    /// I suspected it because it refused: an answer is another process in its place, not one that was slow.
    pub(crate) proven_dead: bool,
    /// When it was told of a suspicion at once, and when it is to be told of those since.
    pub(crate) told_at: Option<Mono>,
    pub(crate) tell_at: Option<Mono>,
    /// Voters that reported it, with the time up to whole seconds that ages the report.
    pub(crate) reports: BTreeMap<NodeId, Mono>,
    /// Since when its headers say "my primary is FAIL" (bit 13); empty if its last header did not say so.
    pub(crate) primary_fail_said: Option<Mono>,
}

impl Node {
    pub(crate) fn new(id: NodeId, shard: ShardId, flags: NodeFlags, now: Mono) -> Node {
        Node {
            id,
            created: now,
            shard,
            shard_told: false,
            flags,
            config_epoch: Epoch(0),
            primary: None,
            address: Address::EMPTY,
            labels: Arc::default(),
            capabilities: Capabilities::NONE,
            behind: None,
            electorate: None,
            ping_sent: None,
            pong_received: None,
            data_received: None,
            meet_sent: None,
            fail_time: None,
            stood_for: None,
            orphaned: None,
            replica_count: 0,
            serves: false,
            offset: Offset(0),
            outbound: None,
            inbound: None,
            inbound_freed: now,
            connect_tried: None,
            silence: None,
            proven_dead: false,
            told_at: None,
            tell_at: None,
            reports: BTreeMap::new(),
            primary_fail_said: None,
        }
    }

    pub(crate) fn has(&self, flag: NodeFlags) -> bool {
        self.flags.contains(flag)
    }

    pub(crate) fn is_primary(&self) -> bool {
        self.has(NodeFlags::PRIMARY)
    }

    pub(crate) fn is_replica(&self) -> bool {
        self.has(NodeFlags::REPLICA)
    }

    pub(crate) fn is_myself(&self) -> bool {
        self.has(NodeFlags::MYSELF)
    }

    pub(crate) fn in_handshake(&self) -> bool {
        self.has(NodeFlags::HANDSHAKE)
    }

    pub(crate) fn failed(&self) -> bool {
        self.has(NodeFlags::FAIL)
    }

    /// It is to be tried again, or told something, at some time.
    pub(crate) fn is_restless(&self) -> bool {
        self.silence.is_some() || self.tell_at.is_some()
    }

    /// Neither suspected nor failed.
    pub(crate) fn healthy(&self) -> bool {
        !self.flags.intersects(NodeFlags::PFAIL | NodeFlags::FAIL)
    }

    /// The name that log lines put in parentheses: nodename, else `ip:port`.
    pub(crate) fn log_name(&self, tls_cluster: bool) -> String {
        crate::topology::log_name(&self.labels, &self.address, tls_cluster)
    }

    /// Makes it a primary without a primary of its own.
    pub(crate) fn set_primary_role(&mut self) {
        self.flags.remove(NodeFlags::REPLICA);
        self.flags.insert(NodeFlags::PRIMARY);
        self.primary = None;
    }

    /// Makes it a replica, of an unknown primary if none is given.
    pub(crate) fn set_replica_role(&mut self, primary: Option<NodeId>) {
        self.flags.remove(NodeFlags::PRIMARY | NodeFlags::MIGRATE_TO);
        self.flags.insert(NodeFlags::REPLICA);
        self.primary = primary;
    }
}
