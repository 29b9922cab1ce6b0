//! The periodic work of cluster-bus 2.5, in its order. Everything that can react to an event does so elsewhere; this is
//! what only time can cause.

use crate::capabilities::Capabilities;
use crate::cluster::{Cluster, Turn};
use crate::effect::LogLevel;
use crate::manual::Manual;
use crate::node::Node;
use baton_base::{Mono, NodeId};
use baton_wire::{Kind, NodeFlags};
use std::time::Duration;

/// How many random candidates compete for the ping of the second.
const RANDOM_PING_CANDIDATES: usize = 5;
/// A random ping leaves in every tenth run.
const RANDOM_PING_RUNS: u64 = 10;
/// Who lost its replicas is looked at in every such run: nobody is in a hurry with that.
const ORPHAN_RUNS: u64 = 10;
/// A configuration that could not be saved is tried again in every such run, until the node may vote again.
const SAVE_RETRY_RUNS: u64 = 10;

/// Nodes that something is to be done about, by id.
#[derive(Default)]
struct Due {
    /// Handshakes that took too long.
    late: Vec<NodeId>,
    /// Nodes without a link of mine.
    missing: Vec<NodeId>,
    /// Nodes that are looked after.
    watched: Vec<NodeId>,
}

impl Cluster {
    /// One run.
    pub(crate) fn run_cron(&mut self, turn: &Turn<'_>) {
        self.cron_due = turn.now + Duration::from_millis(self.settings.cron_interval_ms.max(1));
        self.cron_runs += 1;
        self.blacklist.expire(turn.now);
        // In a large cluster to pass all nodes is what a run costs, so one pass finds all that time made due.
        let due = self.look_around(turn);
        self.expire_handshakes(turn, due.late);
        self.forget_rumours(turn);
        self.homecoming.note_heard();
        self.reconnect(turn, due.missing);
        if self.cron_runs.is_multiple_of(RANDOM_PING_RUNS) && !self.debug.random_ping_off {
            self.ping_at_random(turn);
        }
        for id in due.watched {
            if self.nodes.contains_key(&id) {
                self.watch(turn, id);
            }
        }
        self.review_voters(turn);
        self.repair_replication(turn);
        self.expire_manual(turn);
        if !self.persist_ok && self.cron_runs.is_multiple_of(SAVE_RETRY_RUNS) {
            self.todo.save_durably();
        }
        if self.cron_runs.is_multiple_of(ORPHAN_RUNS) {
            self.watch_orphans(turn);
        }
        if self.myself().is_replica() {
            self.todo.failover = true;
        }
        if !self.health.state.is_ok() || self.lease_lost_for(turn.now) > Duration::ZERO {
            self.todo.health = true;
        }
        if !self.data_agreed && !turn.facts.loading {
            self.data_agreed = true;
            self.agree_with_data(turn);
        }
    }

    /// Finds the nodes that something is to be done about.
    fn look_around(&self, turn: &Turn<'_>) -> Due {
        let timeout = self.settings.handshake_timeout();
        // Asked once, as each of them looks at all voters.
        let (anxious, quiet) = (self.pings_for_lease(), self.quiet_after());
        let mut due = Due::default();
        for node in self.nodes.values() {
            let late = node.in_handshake() && turn.now.since(node.created) > timeout;
            if late {
                due.late.push(node.id);
            }
            if !late && node.outbound.is_none() && !node.flags.intersects(NodeFlags::MYSELF | NodeFlags::NOADDR) {
                due.missing.push(node.id);
            }
            let watched = !node.flags.intersects(NodeFlags::MYSELF | NodeFlags::NOADDR | NodeFlags::HANDSHAKE);
            if watched && (anxious || self.needs_watch(turn, node, quiet)) {
                due.watched.push(node.id);
            }
        }
        due
    }

    fn expire_handshakes(&mut self, turn: &Turn<'_>, late: Vec<NodeId>) {
        for id in late {
            let address = self.nodes[&id].address;
            let text = format!("Clusterbus handshake timeout {}:{}", address.ip.as_str(), address.bus_port);
            self.log(LogLevel::Warning, text);
            self.delete_node(turn, &id);
        }
    }

    /// Pings the one of a few random nodes that has been silent longest, so that no pair is silent for long.
    fn ping_at_random(&mut self, turn: &Turn<'_>) {
        let ids: Vec<NodeId> = self.nodes.keys().copied().collect();
        let mut best: Option<(Option<Mono>, NodeId)> = None;
        for _ in 0..RANDOM_PING_CANDIDATES {
            let Some(id) = self.rng.pick(&ids).copied() else { return };
            let node = &self.nodes[&id];
            let fit = node.ping_sent.is_none()
                && !node.flags.intersects(NodeFlags::MYSELF | NodeFlags::HANDSHAKE)
                && self.open_outbound(&id).is_some();
            if fit && best.is_none_or(|(pong, _)| node.pong_received < pong) {
                best = Some((node.pong_received, id));
            }
        }
        if let Some((_, id)) = best {
            self.ping(turn, &id);
        }
    }

    /// Sends a PING over my link to a node, if that is open.
    pub(crate) fn ping(&mut self, turn: &Turn<'_>, id: &NodeId) {
        if let Some(link) = self.open_outbound(id) {
            self.log(LogLevel::Debug, format!("Sending ping packet to node {} ", self.named(id)));
            self.send_ping(turn, link, Kind::Ping);
        }
    }

    /// Whether [`Cluster::watch`] could do anything about a node. In a large cluster nearly all are well nearly always, and
    /// this is asked of each of them in every run.
    fn needs_watch(&self, turn: &Turn<'_>, node: &Node, quiet: Option<Duration>) -> bool {
        let silent = node.pong_received.is_none_or(|at| turn.now.since(at) > self.settings.ping_interval());
        let served = matches!(self.manual, Manual::Serving { replica, .. } if replica == node.id);
        let heard = |limit| node.data_received.is_some_and(|at| turn.now.since(at) < limit);
        let asks = node.is_primary() && node.capabilities.has(Capabilities::LEASE);
        let quiet = asks && quiet.is_some_and(|limit| !heard(limit));
        node.ping_sent.is_some() || silent || served || quiet || node.inbound.is_none()
    }

    /// Looks after one node: its links, its regular ping, its time-out.
    fn watch(&mut self, turn: &Turn<'_>, id: NodeId) {
        self.repair_one_sided_knowledge(turn, &id);
        if self.is_stuck(turn.now, &id) {
            self.close_outbound(turn.now, &id);
        }
        let node = &self.nodes[&id];
        let silent = node.pong_received.is_none_or(|at| turn.now.since(at) > self.ping_interval(&id));
        if node.ping_sent.is_none() && silent && self.open_outbound(&id).is_some() {
            self.ping(turn, &id);
            return;
        }
        if matches!(self.manual, Manual::Serving { replica, .. } if replica == id) {
            self.ping(turn, &id);
            return;
        }
        self.suspect_if_silent(turn, &id);
        self.suspect_if_quiet(turn, &id);
    }
}
