//! Builds and sends every packet this node sends: the header that speaks for it, gossip, extensions, broadcasts. Nothing
//! leaves here before what it promises is durable.

use crate::capabilities::Capabilities;
use crate::cluster::{Cluster, Turn};
use crate::effect::Effect;
use crate::link::LinkId;
use crate::manual::Manual;
use crate::node::Node;
use baton_base::{NodeId, Offset};
use baton_wire::{Body, Extension, Header, IpText, Kind, Message, MsgFlags, NodeFlags, PingBody, Publish};

impl Cluster {
    /// What I say about myself in every full packet (cluster-bus 1.2).
    fn own_header(&self, turn: &Turn<'_>, mflags: MsgFlags) -> Header {
        let me = self.myself();
        let head = self.my_head();
        let mut header = Header::new(self.me);
        (header.port, header.port_other) = me.address.wire_ports(self.settings.tls_cluster);
        header.port_bus = me.address.bus_port;
        header.current_epoch = self.current_epoch;
        header.config_epoch = self.effective_epoch(&self.me);
        header.offset = self.own_offset(turn);
        header.slots = self.slots.of_or_empty(&head);
        if head == self.me && !self.slots.unclaimed.is_empty() {
            header.slots = header.slots.without(&self.slots.unclaimed);
        }
        header.replica_of = me.primary;
        header.ip = IpText::new(&self.settings.announce_ip).unwrap_or(IpText::EMPTY);
        header.flags = me.flags;
        // Derived, never stored: so it can't outlive the failure it speaks of (S3).
        header.flags.set(NodeFlags::MY_PRIMARY_FAIL, self.my_primary().is_some_and(Node::failed));
        header.cluster_failed = !self.health.state.is_ok();
        header.mflags = mflags;
        if self.settings.announce_capabilities {
            header.private = self.own_capabilities(turn).to_blob(self.own_electorate());
        }
        if let Manual::Serving { paused_at: Some(offset), .. } = self.manual {
            header.mflags.insert(MsgFlags::PAUSED);
            header.offset = offset;
        }
        header
    }

    /// What I can do beyond upstream's protocol.
    pub(crate) fn own_capabilities(&self, turn: &Turn<'_>) -> Capabilities {
        let said = |on, what| if on { what } else { Capabilities::NONE };
        let lease = said(self.settings.lease, Capabilities::LEASE.with(Capabilities::LEAVE));
        let behind = said(self.homecoming.is_behind(), Capabilities::BEHIND);
        let witness = said(self.settings.witness, Capabilities::WITNESS);
        let frozen = said(self.says_frozen(turn), Capabilities::ACKS_FROZEN);
        let keeps = said(self.keeps_acked(turn), Capabilities::KEEPS_ACKED);
        Capabilities::MEMBERS
            .with(Capabilities::STEPS_IN)
            .with(lease)
            .with(witness)
            .with(behind)
            .with(frozen)
            .with(keeps)
    }

    /// The offset I advertise: 0 for a replica without a complete dataset.
    pub(crate) fn own_offset(&self, turn: &Turn<'_>) -> Offset {
        if self.myself().is_replica() && !turn.facts.dataset_complete {
            return Offset(0);
        }
        self.homecoming.offset().unwrap_or(turn.facts.offset)
    }

    /// Sends one full packet; nothing happens if the link is not open.
    pub(crate) fn send(&mut self, turn: &Turn<'_>, link: LinkId, mflags: MsgFlags, body: Body) {
        if self.plays_dead(turn.now) {
            return;
        }
        self.settle_promises(turn);
        let message = Message { header: self.own_header(turn, mflags), body };
        let kind = message.kind();
        self.send_bytes(link, kind, baton_wire::encode(&message));
    }

    /// Sends my vote to its candidate, whom it names: two may stand in one epoch, and what is on its way to one of them may
    /// reach the other.
    pub(crate) fn send_vote(&mut self, turn: &Turn<'_>, candidate: &NodeId) {
        let Some(link) = self.open_outbound(candidate).filter(|_| !self.plays_dead(turn.now)) else { return };
        self.settle_promises(turn);
        let mut header = self.own_header(turn, MsgFlags::empty());
        if self.settings.announce_capabilities {
            header.private = self.own_capabilities(turn).to_vote(self.own_electorate(), candidate);
        }
        self.send_bytes(link, Kind::AuthAck, baton_wire::encode(&Message { header, body: Body::AuthAck }));
    }

    pub(crate) fn send_bytes(&mut self, link: LinkId, kind: Kind, bytes: Vec<u8>) {
        if self.links.get(&link).is_some_and(|l| l.open) {
            self.stats.sent.count(kind, bytes.len());
            self.emit(Effect::Send { link, bytes });
        }
    }

    /// Sends to a node over my own link to it; tells whether there was one.
    pub(crate) fn send_to(&mut self, turn: &Turn<'_>, id: &NodeId, mflags: MsgFlags, body: Body) -> bool {
        let Some(link) = self.open_outbound(id) else { return false };
        self.send(turn, link, mflags, body);
        true
    }

    /// My open link to a node.
    pub(crate) fn open_outbound(&self, id: &NodeId) -> Option<LinkId> {
        let link = self.nodes.get(id)?.outbound?;
        self.links.get(&link).is_some_and(|l| l.open).then_some(link)
    }

    /// Sends PING, PONG or MEET with gossip and extensions, and notes that a PING or MEET is outstanding.
    pub(crate) fn send_ping(&mut self, turn: &Turn<'_>, link: LinkId, kind: Kind) {
        let Some(state) = self.links.get(&link).filter(|_| !self.plays_dead(turn.now)) else { return };
        let receiver = state.node;
        let knows_extensions = state.extensions_seen
            || receiver.and_then(|id| self.nodes.get(&id)).is_some_and(|n| n.has(NodeFlags::EXTENSIONS_SUPPORTED));
        if !link.is_inbound()
            && let Some(node) = receiver.and_then(|id| self.nodes.get_mut(&id))
        {
            match kind {
                Kind::Ping => node.ping_sent = Some(turn.now),
                Kind::Meet => node.meet_sent = Some(turn.now),
                _ => {}
            }
        }
        let body = PingBody {
            gossip: self.gossip_entries(turn, receiver),
            gossip_malformed: 0,
            extensions: if knows_extensions { self.own_extensions(turn) } else { Vec::new() },
        };
        let body = match kind {
            Kind::Ping => Body::Ping(body),
            Kind::Meet => Body::Meet(body),
            _ => Body::Pong(body),
        };
        self.send(turn, link, MsgFlags::EXT_DATA, body);
    }

    /// What I announce besides the header, in upstream's order (cluster-bus 1.6).
    fn own_extensions(&self, turn: &Turn<'_>) -> Vec<Extension> {
        let me = self.myself();
        let labels = &me.labels;
        let mut out = Vec::new();
        let mut text = |value: &String, make: fn(String) -> Extension| {
            if !value.is_empty() {
                out.push(make(value.clone()));
            }
        };
        text(&labels.hostname, Extension::Hostname);
        text(&labels.nodename, Extension::HumanNodename);
        text(&labels.client_ipv4, Extension::ClientIpv4);
        text(&labels.client_ipv6, Extension::ClientIpv6);
        if labels.client_port != 0 {
            out.push(Extension::ClientPort(labels.client_port));
        }
        if labels.client_tls_port != 0 {
            out.push(Extension::ClientTlsPort(labels.client_tls_port));
        }
        if !labels.availability_zone.is_empty() {
            out.push(Extension::AvailabilityZone(labels.availability_zone.clone()));
        }
        out.extend(self.blacklist.entries(turn.now).map(|(id, ttl_s)| Extension::ForgottenNode { id, ttl_s }));
        out.push(Extension::ShardId(me.shard));
        out
    }

    /// Everybody a broadcast reaches: known nodes past their handshake, over open links of mine (cluster-bus 2.7). My own
    /// shard comes first: its old primary holds clients until it hears of the new one.
    fn broadcast_links(&self) -> Vec<(NodeId, LinkId)> {
        let shard = self.myself().shard;
        let reached = |of_mine: bool| {
            let others = self.nodes.values().filter(move |n| (n.shard == shard) == of_mine);
            let others = others.filter(|n| !n.is_myself() && !n.in_handshake());
            others.filter_map(|n| Some((n.id, self.open_outbound(&n.id)?)))
        };
        reached(true).chain(reached(false)).collect()
    }

    /// Sends the same packet to everybody.
    pub(crate) fn broadcast(&mut self, turn: &Turn<'_>, mflags: MsgFlags, body: Body) {
        if self.plays_dead(turn.now) {
            return;
        }
        self.settle_promises(turn);
        let message = Message { header: self.own_header(turn, mflags), body };
        let kind = message.kind();
        let bytes = baton_wire::encode(&message);
        for (_, link) in self.broadcast_links() {
            self.send_bytes(link, kind, bytes.clone());
        }
    }

    /// Announces my configuration to everybody.
    pub(crate) fn broadcast_pong(&mut self, turn: &Turn<'_>) {
        for (_, link) in self.broadcast_links() {
            self.send_ping(turn, link, Kind::Pong);
        }
    }

    /// Announces my offset and my view of the primary to the other replicas of my shard's head.
    pub(crate) fn pong_to_siblings(&mut self, turn: &Turn<'_>) {
        let head = self.my_head();
        let siblings: Vec<NodeId> = self.replicas_of(head).filter(|n| !n.is_myself()).map(|n| n.id).collect();
        for id in siblings {
            if let Some(link) = self.open_outbound(&id) {
                self.send_ping(turn, link, Kind::Pong);
            }
        }
    }

    /// Whether a node takes light packets of this kind on my link to it: it says so, and has identified the link
    /// (cluster-bus 1.5).
    pub(crate) fn takes_light(&self, id: &NodeId, link: LinkId, kind: NodeFlags) -> bool {
        let node = &self.nodes[id];
        node.has(kind) && node.pong_received.is_some_and(|at| at >= self.links[&link].created)
    }

    /// Hands a PUBLISH to all nodes, an SPUBLISH to those of my shard; with the light header where it is understood
    /// and the peer has already identified the link (cluster-bus 1.5).
    pub(crate) fn on_publish(&mut self, turn: &Turn<'_>, channel: Vec<u8>, message: Vec<u8>, sharded: bool) {
        let body = Publish { channel, message, sharded };
        let kind = body.kind();
        let (mut light, mut full) = (None, None);
        let shard = self.myself().shard;
        for (id, link) in self.broadcast_links() {
            let node = &self.nodes[&id];
            if sharded && node.shard != shard {
                continue;
            }
            let bytes: &Vec<u8> = if self.takes_light(&id, link, NodeFlags::LIGHT_HDR_PUBLISH) {
                light.get_or_insert_with(|| baton_wire::encode_light_publish(&body))
            } else {
                self.settle_promises(turn);
                let header = self.own_header(turn, MsgFlags::empty());
                full.get_or_insert_with(|| baton_wire::encode(&Message { header, body: Body::Publish(body.clone()) }))
            };
            self.send_bytes(link, kind, bytes.clone());
        }
    }
}
