//! The immutable picture of the cluster that the data plane reads: who am I, who owns which slot, is the cluster up.
//! Workers decide redirections from it alone (see `route`). It never changes once published.

use crate::node::{Address, Labels};
use crate::settings::EndpointType;
use baton_base::{Epoch, NodeId, ShardId, Slot};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why the cluster is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DownReason {
    /// Not evaluated yet, or still waiting after the start or a return from a minority.
    NotReady,
    /// A slot has no owner, or a failed one.
    NotFullCoverage,
    /// A majority of the voters can't be reached.
    Minority,
}

/// State of the cluster as this node sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// Up.
    Ok,
    /// Down.
    Fail(DownReason),
}

impl Health {
    /// Whether it is up.
    pub fn is_ok(self) -> bool {
        self == Health::Ok
    }
}

/// Whom this node lets synchronise with it, as far as that depends on what it knows of its own data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncGrant {
    /// Everybody.
    Everything,
    /// Everybody but those that would lose data by it.
    NothingLess,
    /// Nobody: it was started again, and does not know yet whether others have more.
    Nothing,
}

/// How a client reaches us: it decides which endpoint of a node is named to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Audience {
    /// It is connected with TLS.
    pub tls: bool,
    /// It is connected over IPv6.
    pub ipv6: bool,
}

/// A node as clients are told about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeView {
    /// Its id.
    pub id: NodeId,
    /// Its shard.
    pub shard: ShardId,
    /// Its address on the bus and for clients without an announcement of their own.
    pub address: Address,
    /// What it announces.
    pub labels: Arc<Labels>,
    /// Whether it is a primary.
    pub is_primary: bool,
    /// The primary of a replica.
    pub primary: Option<NodeId>,
    /// It is marked FAIL.
    pub failed: bool,
}

impl NodeView {
    /// A primary of which no more is known.
    pub fn new(id: NodeId, shard: ShardId) -> NodeView {
        NodeView {
            id,
            shard,
            address: Address::EMPTY,
            labels: Arc::default(),
            is_primary: true,
            primary: None,
            failed: false,
        }
    }

    /// The IP that clients of this audience use: the announced client address of their family, else the node's.
    pub fn client_ip(&self, audience: Audience) -> &str {
        let announced = if audience.ipv6 { &self.labels.client_ipv6 } else { &self.labels.client_ipv4 };
        if announced.is_empty() { self.address.ip.as_str() } else { announced }
    }

    /// The name of the node in log lines: the announced one, else its address.
    pub fn log_name(&self, tls_cluster: bool) -> String {
        log_name(&self.labels, &self.address, tls_cluster)
    }

    /// The port that clients of this audience use.
    pub fn client_port(&self, audience: Audience) -> u16 {
        let (announced, own) = if audience.tls {
            (self.labels.client_tls_port, self.address.tls_port)
        } else {
            (self.labels.client_port, self.address.tcp_port)
        };
        if announced != 0 { announced } else { own }
    }

    /// The endpoint named in redirections: IP, host name (`?` if unknown) or nothing.
    pub fn endpoint(&self, kind: EndpointType, audience: Audience) -> &str {
        match kind {
            EndpointType::Ip => self.client_ip(audience),
            EndpointType::Hostname if self.labels.hostname.is_empty() => "?",
            EndpointType::Hostname => &self.labels.hostname,
            EndpointType::Unknown => "",
        }
    }
}

pub(crate) fn log_name(labels: &Labels, address: &Address, tls_cluster: bool) -> String {
    if !labels.nodename.is_empty() {
        return labels.nodename.clone();
    }
    let port = address.wire_ports(tls_cluster).0;
    let ip = address.ip.as_str();
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

/// Index that stands for "no owner" in [`Topology::owners`].
pub const NO_OWNER: u16 = u16::MAX;

/// One version of the picture.
#[derive(Clone, Debug)]
pub struct Topology {
    /// Grows with every version of this process.
    pub version: u64,
    /// All nodes but those in handshake, by id. At most 65534. Versions share what did not change between them.
    pub nodes: Vec<Arc<NodeView>>,
    /// Index of this node in `nodes`.
    pub me: u16,
    /// Index of my primary, if I am a replica and know it.
    pub primary: Option<u16>,
    /// Owner of every slot: an index into `nodes`, or [`NO_OWNER`].
    pub owners: Arc<[u16; Slot::COUNT]>,
    /// Slots that leave, with the index of their target.
    pub migrating: BTreeMap<Slot, u16>,
    /// Slots that come, with the index of their source.
    pub importing: BTreeMap<Slot, u16>,
    /// Up or down.
    pub health: Health,
    /// Whom this node lets synchronise with it, as far as it knows them: see [`Topology::grants`].
    pub syncs: SyncGrant,
    /// currentEpoch when this version was made.
    pub current_epoch: Epoch,
    /// How nodes are named to clients.
    pub endpoint_type: EndpointType,
    /// `cluster-allow-reads-when-down`.
    pub allow_reads_when_down: bool,
    /// `cluster-allow-pubsubshard-when-down`.
    pub allow_pubsubshard_when_down: bool,
}

impl Topology {
    /// What is published before anything is known.
    pub fn alone(me: NodeId, shard: ShardId) -> Topology {
        Topology {
            version: 0,
            nodes: vec![Arc::new(NodeView::new(me, shard))],
            me: 0,
            primary: None,
            owners: Arc::new([NO_OWNER; Slot::COUNT]),
            migrating: BTreeMap::new(),
            importing: BTreeMap::new(),
            health: Health::Fail(DownReason::NotReady),
            syncs: SyncGrant::Everything,
            current_epoch: Epoch(0),
            endpoint_type: EndpointType::Ip,
            allow_reads_when_down: false,
            allow_pubsubshard_when_down: true,
        }
    }

    /// This node.
    pub fn myself(&self) -> &NodeView {
        &self.nodes[usize::from(self.me)]
    }

    /// What a node that asks to synchronise is granted. Who has no slots may have come to the address of somebody who
    /// had, whose replicas take it for that one: only its own replicas get less from it than they have.
    pub fn grants(&self, replica: Option<NodeId>) -> SyncGrant {
        let me = self.myself();
        let follows = |id| self.nodes.iter().any(|n| n.id == id && n.primary == Some(me.id));
        let stranger = || !replica.is_some_and(follows) && me.is_primary && !self.owners.contains(&self.me);
        match self.syncs {
            SyncGrant::Everything if stranger() => SyncGrant::NothingLess,
            granted => granted,
        }
    }

    /// The owner of a slot.
    pub fn owner(&self, slot: Slot) -> Option<&NodeView> {
        self.node(self.owners[slot.index()])
    }

    /// The node with this index; none for [`NO_OWNER`].
    pub fn node(&self, index: u16) -> Option<&NodeView> {
        self.nodes.get(usize::from(index)).map(|node| &**node)
    }

    /// Whether this node owns the slot.
    pub fn is_mine(&self, slot: Slot) -> bool {
        self.owners[slot.index()] == self.me
    }
}
