//! How two nodes get to know each other and find each other again: MEET, the end of a handshake, addresses, identity
//! mismatches, forgetting (cluster-bus 2.2-2.4, 2.6).

use crate::capabilities::Capabilities;
use crate::cluster::{Cluster, Turn};
use crate::effect::LogLevel;
use crate::gossip::NODES_MAX;
use crate::link::LinkId;
use crate::node::{Address, Node};
use baton_base::{NodeId, ShardId};
use baton_wire::{Extension, Header, IpText, Kind, NodeFlags, PingBody};
use std::sync::Arc;

/// Bytes of a text that a node announces about itself; upstream's configuration allows no longer host name. Every picture
/// of the cluster and every save of its file holds these texts.
const LABEL_BYTES_MAX: usize = 255;
/// Strangers that are met at one time because they asked for it. Each is called back at the address that it gave, and
/// forgotten when nobody answers there in time.
const GUESTS_MAX: usize = 1024;

impl Cluster {
    /// Whether one more stranger can be called back.
    fn has_room_for_guest(&self) -> bool {
        self.nodes.values().filter(|n| n.in_handshake() && !n.has(NodeFlags::MEET)).count() < GUESTS_MAX
    }

    /// Begins to meet the node at this address, unless that is under way.
    pub(crate) fn start_handshake(&mut self, turn: &Turn<'_>, address: Address, flags: NodeFlags) -> Option<NodeId> {
        let same = |n: &Node| n.in_handshake() && n.address.ip == address.ip && n.address.bus_port == address.bus_port;
        if self.nodes.values().any(same) || self.nodes.len() >= NODES_MAX {
            return None;
        }
        let id = NodeId::random(&mut self.rng);
        let shard = ShardId::random(&mut self.rng);
        let mut node = Node::new(id, shard, flags | NodeFlags::HANDSHAKE, turn.now);
        node.address = address;
        self.nodes.insert(id, node);
        Some(id)
    }

    /// Step 3 of the handshake: a stranger wants to be known. A temporary node stands for it.
    pub(crate) fn on_meet_from_stranger(&mut self, turn: &Turn<'_>, link: LinkId, header: &Header, body: &PingBody) {
        let Some(state) = self.links.get(&link) else { return };
        let temporary = match state.node {
            Some(id) => Some(id),
            None => {
                let ip =
                    if header.ip.is_empty() { IpText::new(&state.peer_ip).unwrap_or(IpText::EMPTY) } else { header.ip };
                if ip.is_empty() {
                    self.close_link(turn.now, link);
                    return;
                }
                let address = self.address_of(ip, header);
                if !self.has_room_for_guest() {
                    let text =
                        format!("Not meeting {ip}:{}: {GUESTS_MAX} other nodes want to be met.", address.bus_port);
                    self.complain(turn.now, LogLevel::Warning, text);
                    return;
                }
                let started = self.start_handshake(turn, address, NodeFlags::empty());
                if let Some(id) = started {
                    self.bind_inbound(turn.now, link, id);
                }
                started
            }
        };
        if temporary.is_some() {
            self.on_gossip_of_stranger(turn, body);
        }
    }

    fn address_of(&self, ip: IpText, header: &Header) -> Address {
        Address::from_wire(ip, header.port, header.port_other, header.port_bus, self.settings.tls_cluster)
    }

    /// A known node that meets me again has lost its way to me or I mine to it: the link is made anew.
    pub(crate) fn on_meet_from_known(&mut self, turn: &Turn<'_>, id: NodeId) {
        let node = &self.nodes[&id];
        let settled = turn.now.since(node.created) > self.settings.handshake_timeout();
        if settled && node.outbound.is_some() {
            let text = format!(
                "Freeing outbound link to node {} after receiving a MEET packet from this known node",
                self.named(&id)
            );
            self.log(LogLevel::Notice, text);
            self.close_outbound(turn.now, &id);
        }
    }

    /// Step 4: the answer on my link to a node in handshake tells who it is. Gives the sender as it is known now.
    pub(crate) fn finish_handshake(
        &mut self,
        turn: &Turn<'_>,
        link: LinkId,
        sender: Option<NodeId>,
        header: &Header,
    ) -> Option<NodeId> {
        let temporary = self.links.get(&link)?.node?;
        if !self.nodes.get(&temporary)?.in_handshake() {
            return sender;
        }
        if let Some(known) = sender {
            self.log(
                LogLevel::Verbose,
                format!("Handshake: we already know node {}, updating the address if needed.", self.named(&known)),
            );
            let address = self.nodes[&temporary].address;
            self.take_address(turn, known, Address { ip: address.ip, ..self.address_of(address.ip, header) });
            self.delete_node(turn, &temporary);
            return None;
        }
        let mut node = self.nodes.remove(&temporary)?;
        node.id = header.sender;
        if node.has(NodeFlags::MEET) {
            // An operator asked for this node by address: that outweighs that it was forgotten.
            self.blacklist.remove(&header.sender);
        }
        node.flags.remove(NodeFlags::HANDSHAKE);
        node.data_received = Some(turn.now);
        node.capabilities = Capabilities::read(header.private);
        node.electorate = Some(Capabilities::electorate(header.private));
        node.offset = header.offset;
        node.address = self.address_of(node.address.ip, header);
        node.flags |= header.flags & (NodeFlags::LIGHT_HDR_PUBLISH | NodeFlags::LIGHT_HDR_MODULE);
        let understands_extensions = self.links.get(&link).is_some_and(|l| l.extensions_seen);
        node.flags.set(NodeFlags::EXTENSIONS_SUPPORTED, understands_extensions);
        // The claimed primary may be unknown yet; the role handler of this very packet finds the rest.
        match header.replica_of {
            Some(_) => node.set_replica_role(None),
            None => node.set_primary_role(),
        }
        for state in self.links.values_mut().filter(|l| l.node == Some(temporary)) {
            state.node = Some(header.sender);
        }
        self.nodes.insert(header.sender, node);
        for id in [temporary, header.sender] {
            self.note_wellness(&id);
            self.note_primary(&id);
        }
        self.log(LogLevel::Debug, format!("Handshake with node {} completed.", self.named(&header.sender)));
        self.todo.save_lazily();
        self.todo.health = true;
        self.todo.publish = true;
        Some(header.sender)
    }

    /// The first PONG after a MEET on my link ends the meeting.
    pub(crate) fn finish_meet(&mut self, id: NodeId, link: LinkId, kind: Kind) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if kind == Kind::Pong && !link.is_inbound() && node.has(NodeFlags::MEET) {
            node.flags.remove(NodeFlags::MEET);
            self.log(LogLevel::Notice, format!("Successfully completed handshake with {}.", self.named(&id)));
        }
    }

    /// If a node accepts my link and never made its own, it may not know me: it gets a MEET over the link there is.
    pub(crate) fn repair_one_sided_knowledge(&mut self, turn: &Turn<'_>, id: &NodeId) {
        let timeout = self.settings.handshake_timeout();
        let Some(link) = self.open_outbound(id) else { return };
        let node = &self.nodes[id];
        let odd = NodeFlags::HANDSHAKE | NodeFlags::MEET | NodeFlags::PFAIL | NodeFlags::FAIL;
        let due = !node.flags.intersects(odd)
            && node.has(NodeFlags::LIGHT_HDR_MODULE)
            && node.inbound.is_none()
            && turn.now.since(node.inbound_freed) > timeout
            && node.meet_sent.is_none_or(|at| turn.now.since(at) > timeout);
        if due {
            let text =
                format!("Sending MEET packet to node {} because there is no inbound link for it", self.named(id));
            self.log(LogLevel::Notice, text);
            self.nodes.get_mut(id).expect("looked at above").flags.insert(NodeFlags::MEET);
            self.send_ping(turn, link, Kind::Meet);
        }
    }

    /// The peer at a node's address is somebody else: that node's identity is gone (cluster-bus 2.3).
    pub(crate) fn on_id_mismatch(&mut self, turn: &Turn<'_>, id: &NodeId, found: &NodeId) {
        let text = format!(
            "PONG contains mismatching sender ID. About node {} ({}) added {} ms ago, having flags {}; packet sender ID: {found}",
            id,
            self.name_of(id),
            turn.now.ms_since(self.nodes[id].created),
            self.nodes[id].flags.bits(),
        );
        self.log(LogLevel::Notice, text);
        let node = self.nodes.get_mut(id).expect("the link's node is in the table");
        node.flags.insert(NodeFlags::NOADDR);
        node.address = Address::EMPTY;
        let failed = node.failed();
        self.close_outbound(turn.now, id);
        if !failed {
            self.mark_fail(turn, id);
            self.broadcast_fail(turn, id);
        }
        self.todo.save_lazily();
        self.todo.publish = true;
    }

    /// My own address is the one that peers reach me at, unless one is announced (cluster-bus 2.4).
    pub(crate) fn learn_own_ip(&mut self, link: LinkId, kind: Kind) {
        let ip = self.myself().address.ip;
        if !self.settings.announce_ip.is_empty() || (kind != Kind::Meet && !ip.is_empty()) {
            return;
        }
        let Some(local) = self.links.get(&link).and_then(|l| IpText::new(&l.local_ip).ok()) else { return };
        if !local.is_empty() && local != ip {
            self.myself_mut().address.ip = local;
            self.log(LogLevel::Notice, format!("IP address for this node updated to {}", local.as_str()));
            self.todo.save_lazily();
            self.todo.publish = true;
        }
    }

    /// A PING on the peer's own link tells where it is now.
    pub(crate) fn follow_address(&mut self, turn: &Turn<'_>, link: LinkId, id: NodeId, header: &Header) {
        if !link.is_inbound() {
            return;
        }
        let Some(state) = self.links.get(&link) else { return };
        let ip = if header.ip.is_empty() { IpText::new(&state.peer_ip).unwrap_or(IpText::EMPTY) } else { header.ip };
        if !ip.is_empty() {
            self.take_address(turn, id, self.address_of(ip, header));
        }
    }

    /// Takes a new address of a node; nothing happens if it is the old one.
    pub(crate) fn take_address(&mut self, turn: &Turn<'_>, id: NodeId, address: Address) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if node.address == address {
            return;
        }
        node.address = address;
        node.flags.remove(NodeFlags::NOADDR);
        self.close_outbound(turn.now, &id);
        let (ip, port) = (address.ip.as_str(), address.wire_ports(self.settings.tls_cluster).0);
        self.log(LogLevel::Warning, format!("Address updated for node {}, now {ip}:{port}", self.named(&id)));
        self.repair_replication(turn);
        self.todo.save_lazily();
        self.todo.publish = true;
    }

    /// What the sender announces about itself; among announcements an absent one clears the old one (cluster-bus 1.6).
    pub(crate) fn on_extensions(&mut self, turn: &Turn<'_>, sender: NodeId, body: &PingBody) {
        if !self.nodes.get(&sender).is_some_and(|n| n.has(NodeFlags::EXTENSIONS_SUPPORTED)) {
            return;
        }
        let mut labels = crate::node::Labels::default();
        let (mut shard, mut forgotten) = (None, Vec::new());
        for extension in &body.extensions {
            match extension {
                Extension::Hostname(text) => labels.hostname.clone_from(text),
                Extension::HumanNodename(text) => labels.nodename.clone_from(text),
                Extension::ClientIpv4(text) => labels.client_ipv4.clone_from(text),
                Extension::ClientIpv6(text) => labels.client_ipv6.clone_from(text),
                Extension::ClientPort(port) => labels.client_port = *port,
                Extension::ClientTlsPort(port) => labels.client_tls_port = *port,
                Extension::AvailabilityZone(text) => labels.availability_zone.clone_from(text),
                Extension::ForgottenNode { id, ttl_s } => forgotten.push((*id, *ttl_s)),
                Extension::ShardId(id) => shard = Some(*id),
                Extension::Unknown(n) => {
                    self.complain(turn.now, LogLevel::Warning, format!("Received unknown extension type {n}"));
                }
                Extension::Malformed(_) => {}
            }
        }
        // Who doesn't know yet whether I understand them sends none at all: as the first thing on every new link. One that
        // sends any always tells its shard.
        if !body.extensions.is_empty() {
            self.take_labels(sender, labels);
        }
        for (id, ttl_s) in forgotten {
            self.forget_as_told(turn, id, ttl_s);
        }
        self.on_shard_id(sender, shard);
    }

    /// Texts that are too long, or could not be written to nodes.conf, are no announcement.
    fn take_labels(&mut self, sender: NodeId, mut labels: crate::node::Labels) {
        for text in [&mut labels.hostname, &mut labels.nodename, &mut labels.client_ipv4, &mut labels.availability_zone]
        {
            if text.len() > LABEL_BYTES_MAX || !text.bytes().all(crate::conf::is_aux_byte) {
                text.clear();
            }
        }
        if labels.client_ipv4.parse::<std::net::Ipv4Addr>().is_err() {
            labels.client_ipv4.clear();
        }
        if labels.client_ipv6.parse::<std::net::Ipv6Addr>().is_err() {
            labels.client_ipv6.clear();
        }
        let Some(node) = self.nodes.get_mut(&sender) else { return };
        if *node.labels != labels {
            node.labels = Arc::new(labels);
            self.todo.save_lazily();
            self.todo.publish = true;
        }
    }

    /// The shard of a primary that is told with its claim counts for what follows from the claim: whether its shard is mine
    /// decides what I become if it has all my slots (15.3 S12).
    pub(crate) fn take_shard_of_claimant(&mut self, sender: NodeId, header: &Header, body: &PingBody) {
        let told = body.extensions.iter().find_map(|e| if let Extension::ShardId(id) = e { Some(*id) } else { None });
        let guessed = |n: &Node| !n.shard_told && n.primary.is_none();
        if header.claims_primary() && told.is_some() && self.nodes.get(&sender).is_some_and(guessed) {
            self.on_shard_id(sender, told);
        }
    }

    /// Whether a node's shard is only a guess of mine, and it is about to tell it. Nodes of older releases never do.
    pub(crate) fn will_tell_shard(&self, id: &NodeId) -> bool {
        let tells = |n: &Node| n.data_received.is_none() || n.has(NodeFlags::EXTENSIONS_SUPPORTED);
        self.nodes.get(id).is_some_and(|n| !n.shard_told && tells(n))
    }

    /// A node of an older release sends no shard id: it is of its primary's shard, or stays where it is.
    fn on_shard_id(&mut self, sender: NodeId, told: Option<ShardId>) {
        let primary = self.nodes.get(&sender).and_then(|n| n.primary);
        let primary_shard = primary.and_then(|p| self.nodes.get(&p)).map(|p| p.shard);
        let Some(shard) = told.or(primary_shard) else { return };
        if primary_shard.is_some_and(|of_primary| of_primary != shard) {
            let text = format!("Ignoring shard id of replica {}: it is not its primary's.", self.named(&sender));
            self.log(LogLevel::Notice, text);
            return;
        }
        let Some(node) = self.nodes.get_mut(&sender) else { return };
        node.shard_told = true;
        if node.shard != shard {
            node.shard = shard;
            self.save_about(shard);
            self.todo.publish = true;
        }
        if self.myself().primary == Some(sender) && self.myself().shard != shard {
            self.myself_mut().shard = shard;
            self.todo.save_durably();
        }
    }

    fn forget_as_told(&mut self, turn: &Turn<'_>, id: NodeId, ttl_s: u64) {
        let spared = id == self.me || self.myself().primary == Some(id);
        if spared || !self.nodes.contains_key(&id) {
            return;
        }
        let ttl = std::time::Duration::from_secs(ttl_s.min(self.settings.blacklist_ttl_secs.max(3600)));
        self.blacklist.insert(id, turn.now + ttl);
        self.delete_node(turn, &id);
    }

    /// Removes a node with everything that points at it.
    pub(crate) fn delete_node(&mut self, turn: &Turn<'_>, id: &NodeId) {
        assert!(*id != self.me, "this node is never deleted from its own table");
        self.close_both(turn.now, id);
        self.slots.unassign_all(id);
        self.slots.close_slots_of(id);
        let Some(gone) = self.nodes.remove(id) else { return };
        self.note_wellness(id);
        self.note_primary(id);
        self.orphan_replicas_of(id);
        self.nodes.values_mut().for_each(|node| {
            node.reports.remove(id);
        });
        self.links.values_mut().filter(|l| l.node == Some(*id)).for_each(|l| l.node = None);
        if !gone.in_handshake() {
            self.todo.save_lazily();
            self.todo.health = true;
            self.todo.publish = true;
        }
    }
}
