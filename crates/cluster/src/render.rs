//! Builds the published topology and the data of CLUSTER INFO, SLOTS, SHARDS and LINKS from the machine's state. Equal
//! states give equal results on every node: everything is ordered by slot or by id.

use crate::cluster::{Cluster, Turn};
use crate::node::Node;
use crate::show::{LinkView, Member, MemberHealth, Shard, SlotRange};
use crate::stats::Traffic;
use crate::topology::{NO_OWNER, NodeView, Topology};
use baton_base::{NodeId, Offset, ShardId, Slot};
use baton_wire::{Kind, NodeFlags};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

impl Cluster {
    pub(crate) fn view(&self, node: &Node) -> NodeView {
        NodeView {
            id: node.id,
            shard: node.shard,
            address: node.address,
            labels: Arc::clone(&node.labels),
            is_primary: node.is_primary(),
            primary: node.primary,
            failed: node.failed(),
        }
    }

    /// Whether a view still shows a node as it is.
    fn shows(view: &NodeView, node: &Node) -> bool {
        let NodeView { id, shard, address, labels, is_primary, primary, failed } = view;
        *id == node.id
            && *shard == node.shard
            && *primary == node.primary
            && (*is_primary, *failed) == (node.is_primary(), node.failed())
            && *address == node.address
            && *labels == node.labels
    }

    /// The views of all nodes. In a large cluster hardly any of them differs from the version before.
    fn views(&self, before: &[Arc<NodeView>]) -> Vec<Arc<NodeView>> {
        let mut before = before.iter().peekable();
        let mut view = |node: &Node| {
            while before.next_if(|view| view.id < node.id).is_some() {}
            match before.next_if(|view| Cluster::shows(view, node)) {
                Some(same) => Arc::clone(same),
                None => Arc::new(self.view(node)),
            }
        };
        self.nodes.values().filter(|n| !n.in_handshake()).map(&mut view).collect()
    }

    /// The version after `before`. `slots_changed`: slots have other owners than they had then.
    pub(crate) fn build_topology(&self, before: &Topology, slots_changed: bool) -> Topology {
        let nodes = self.views(&before.nodes);
        let index_of = |id: &NodeId| {
            let found = nodes.binary_search_by(|n| n.id.cmp(id)).ok();
            found.and_then(|index| u16::try_from(index).ok()).filter(|index| *index != NO_OWNER)
        };
        let places_changed = !nodes.iter().map(|n| n.id).eq(before.nodes.iter().map(|n| n.id));
        let owners = if slots_changed || places_changed {
            self.slots.numbered(|id| index_of(id).unwrap_or(NO_OWNER), NO_OWNER)
        } else {
            Arc::clone(&before.owners)
        };
        let open =
            |map: &BTreeMap<Slot, NodeId>| map.iter().filter_map(|(slot, id)| Some((*slot, index_of(id)?))).collect();
        Topology {
            version: before.version + 1,
            me: index_of(&self.me).expect("this node is always in its own table"),
            primary: self.myself().primary.as_ref().and_then(index_of),
            owners,
            migrating: open(&self.slots.migrating),
            importing: open(&self.slots.importing),
            health: self.health.state,
            syncs: self.homecoming.grant(),
            current_epoch: self.current_epoch,
            endpoint_type: self.settings.endpoint_type,
            allow_reads_when_down: self.settings.allow_reads_when_down,
            allow_pubsubshard_when_down: self.settings.allow_pubsubshard_when_down,
            nodes,
        }
    }

    /// The offset of a node as shown: my own is exact, others' are of their last header.
    fn shown_offset(&self, turn: &Turn<'_>, node: &Node) -> Offset {
        if node.is_myself() { self.own_offset(turn) } else { node.offset }
    }

    /// CLUSTER SLOTS.
    pub(crate) fn slot_ranges(&self, turn: &Turn<'_>) -> Vec<SlotRange> {
        let mut out = Vec::new();
        for (id, slots) in self.slots.owners() {
            let Some(owner) = self.node(id) else { continue };
            let replicas = self
                .replicas_of(*id)
                .filter(|n| !n.failed() && self.shown_offset(turn, n) != Offset(0))
                .map(|n| self.view(n));
            let nodes: Vec<NodeView> = std::iter::once(self.view(owner)).chain(replicas).collect();
            out.extend(slots.ranges().into_iter().map(|(start, end)| SlotRange { start, end, nodes: nodes.clone() }));
        }
        out.sort_by_key(|range| range.start);
        out
    }

    /// CLUSTER SHARDS, by shard id. A witness is no shard: nothing can be asked of it.
    pub(crate) fn shards(&self, turn: &Turn<'_>) -> Vec<Shard> {
        let mut shards: BTreeMap<ShardId, Shard> = BTreeMap::new();
        for node in self.nodes.values().filter(|n| !n.in_handshake() && !self.is_witness(&n.id)) {
            let shard = shards.entry(node.shard).or_insert_with(|| Shard {
                id: node.shard,
                slots: Vec::new(),
                members: Vec::new(),
            });
            if let Some(slots) = self.slots.of(&node.id) {
                shard.slots.extend(slots.ranges());
            }
            let offset = self.shown_offset(turn, node);
            let health = if node.failed() {
                MemberHealth::Fail
            } else if node.is_replica() && offset == Offset(0) {
                MemberHealth::Loading
            } else {
                MemberHealth::Online
            };
            shard.members.push(Member { node: self.view(node), offset, health });
        }
        shards.into_values().collect()
    }

    /// CLUSTER LINKS.
    pub(crate) fn link_views(&self) -> Vec<LinkView> {
        self.links
            .iter()
            .filter_map(|(id, link)| {
                let node = link.node?;
                let create_time_ms = link.created_wall.0;
                Some(LinkView { outbound: !id.is_inbound(), node, link: *id, create_time_ms, queued_bytes: 0 })
            })
            .collect()
    }

    /// CLUSTER INFO (cluster-bus 12.2).
    pub(crate) fn info_text(&self) -> String {
        let state = if self.health.state.is_ok() { "ok" } else { "fail" };
        let (mut pfail_slots, mut fail_slots) = (0, 0);
        let (mut voting_pfail, mut voting_fail) = (0, 0);
        for (id, slots) in self.slots.owners() {
            let Some(node) = self.node(id) else { continue };
            if node.failed() {
                fail_slots += slots.len();
                voting_fail += 1;
            } else if node.has(NodeFlags::PFAIL) {
                pfail_slots += slots.len();
                voting_pfail += 1;
            }
        }
        let count = |flag| self.nodes.values().filter(|n| n.has(flag)).count();
        let assigned = self.slots.assigned();
        let mut out = String::new();
        let mut line = |name: &str, value: &dyn std::fmt::Display| _ = write!(out, "{name}:{value}\r\n");
        line("cluster_state", &state);
        line("cluster_slots_assigned", &assigned);
        line("cluster_slots_ok", &(assigned - pfail_slots - fail_slots));
        line("cluster_slots_pfail", &pfail_slots);
        line("cluster_slots_fail", &fail_slots);
        line("cluster_nodes_pfail", &count(NodeFlags::PFAIL));
        line("cluster_nodes_fail", &count(NodeFlags::FAIL));
        line("cluster_voting_nodes_pfail", &voting_pfail);
        line("cluster_voting_nodes_fail", &voting_fail);
        line("cluster_known_nodes", &self.nodes.len());
        line("cluster_size", &self.size());
        line("cluster_current_epoch", &self.current_epoch);
        line("cluster_my_epoch", &self.config_epoch());
        self.write_traffic(&mut out);
        self.write_prospects(&mut out);
        let _ = write!(
            out,
            "cluster_write_lease:{}\r\ncluster_write_lease_losses:{}\r\n",
            self.lease_word(),
            self.lease.losses
        );
        out
    }

    fn write_traffic(&self, out: &mut String) {
        let (sent, received) = (&self.stats.sent, &self.stats.received);
        write_messages(out, sent, "sent");
        write_messages(out, received, "received");
        let pairs = [
            ("cluster_stats_bytes_sent", sent.bytes),
            ("cluster_stats_bytes_received", received.bytes),
            ("cluster_stats_pubsub_bytes_sent", sent.pubsub_bytes),
            ("cluster_stats_pubsub_bytes_received", received.pubsub_bytes),
            ("cluster_stats_module_bytes_sent", sent.module_bytes),
            ("cluster_stats_module_bytes_received", received.module_bytes),
            ("total_cluster_links_buffer_limit_exceeded", self.stats.links_over_limit),
        ];
        for (name, value) in pairs {
            let _ = write!(out, "{name}:{value}\r\n");
        }
    }
}

fn write_messages(out: &mut String, traffic: &Traffic, direction: &str) {
    for (kind, count) in Kind::KNOWN.iter().zip(traffic.messages).filter(|(_, count)| *count > 0) {
        let _ = write!(out, "cluster_stats_messages_{}_{direction}:{count}\r\n", kind.token());
    }
    let total: u64 = traffic.messages.iter().sum();
    let _ = write!(out, "cluster_stats_messages_{direction}:{total}\r\n");
}
