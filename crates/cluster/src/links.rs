//! Life of bus links: one of mine to every node, one of every node to me. It connects, notices ends and replaces links
//! that are stuck; the end of a link is never by itself a verdict about the node (cluster-bus 2.5).

use crate::cluster::{Cluster, Turn};
use crate::effect::Effect;
use crate::input::LinkFailure;
use crate::link::{Link, LinkId};
use baton_base::{Mono, NodeId};
use baton_wire::{Kind, NodeFlags};

impl Cluster {
    /// Begins a connection to a node that has none.
    pub(crate) fn connect(&mut self, turn: &Turn<'_>, id: NodeId) {
        self.outbound_count += 1;
        let link = LinkId::outbound(self.outbound_count);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.outbound = Some(link);
        node.connect_tried = Some(turn.now);
        let (ip, port) = (node.address.ip.as_str().to_owned(), node.address.bus_port);
        self.links.insert(link, Link::outbound(id, turn.now, turn.wall));
        self.emit(Effect::Connect { link, node: id, ip, port });
    }

    /// Greets the peer at once: with MEET if it may not know me, else with PING. An older unanswered ping keeps its
    /// time, or a peer that accepts and never answers would never be suspected.
    pub(crate) fn on_link_opened(&mut self, turn: &Turn<'_>, link: LinkId, local_ip: String) {
        let Some(state) = self.links.get_mut(&link) else { return };
        state.open = true;
        state.local_ip = local_ip;
        let Some(id) = state.node else { return };
        self.end_silence(&id);
        let Some(node) = self.nodes.get(&id) else { return };
        let outstanding = node.ping_sent;
        let kind = if node.has(NodeFlags::MEET) { Kind::Meet } else { Kind::Ping };
        self.send_ping(turn, link, kind);
        if let (Some(node), Some(sent)) = (self.nodes.get_mut(&id), outstanding) {
            node.ping_sent = Some(sent);
        }
        self.repeat_vote_request(turn, &id);
    }

    /// A refusal that is known at once starts the failure detection, as nobody may ever be connected long enough to be
    /// pinged. A refusal that comes later does not, as upstream.
    pub(crate) fn on_link_failed(&mut self, turn: &Turn<'_>, link: LinkId, why: LinkFailure) {
        let node = self.links.get(&link).and_then(|l| l.node);
        self.forget_link(turn.now, link);
        let Some(id) = node else { return };
        if why == LinkFailure::RefusedAtOnce
            && let Some(node) = self.nodes.get_mut(&id)
        {
            node.ping_sent.get_or_insert(turn.now);
        }
        self.note_silence(turn, &id, why);
    }

    /// The connection ended by itself.
    pub(crate) fn on_link_closed(&mut self, turn: &Turn<'_>, link: LinkId) {
        let ended = self.links.get(&link).filter(|_| !link.is_inbound()).and_then(|l| l.node);
        self.forget_link(turn.now, link);
        if let Some(id) = ended {
            self.begin_silence(turn, &id);
        }
    }

    /// Ends a connection from this side.
    pub(crate) fn close_link(&mut self, now: Mono, link: LinkId) {
        if self.forget_link(now, link) {
            self.emit(Effect::Close { link });
        }
    }

    fn forget_link(&mut self, now: Mono, link: LinkId) -> bool {
        let Some(gone) = self.links.remove(&link) else { return false };
        if let Some(node) = gone.node.and_then(|id| self.nodes.get_mut(&id)) {
            if node.outbound == Some(link) {
                node.outbound = None;
            }
            if node.inbound == Some(link) {
                node.inbound = None;
                node.inbound_freed = now;
            }
        }
        true
    }

    /// Closes my link to a node, so that the next one goes to its current address.
    pub(crate) fn close_outbound(&mut self, now: Mono, id: &NodeId) {
        if let Some(link) = self.nodes.get(id).and_then(|n| n.outbound) {
            self.close_link(now, link);
        }
    }

    /// Closes both links of a node.
    pub(crate) fn close_both(&mut self, now: Mono, id: &NodeId) {
        self.close_outbound(now, id);
        if let Some(link) = self.nodes.get(id).and_then(|n| n.inbound) {
            self.close_link(now, link);
        }
    }

    /// Makes an inbound link the one of this node; an older one is closed.
    pub(crate) fn bind_inbound(&mut self, now: Mono, link: LinkId, id: NodeId) {
        if let Some(older) = self.nodes.get(&id).and_then(|n| n.inbound)
            && older != link
        {
            self.close_link(now, older);
        }
        if let Some(state) = self.links.get_mut(&link) {
            state.node = Some(id);
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            node.inbound = Some(link);
        }
        self.end_silence(&id);
    }

    /// Connects to nodes without a link of mine, with upstream's back-off (cluster-bus 2.5).
    pub(crate) fn reconnect(&mut self, turn: &Turn<'_>, missing: Vec<NodeId>) {
        if self.debug.reconnection_off {
            return;
        }
        let half_timeout = (self.settings.node_timeout_ms / 2).max(1);
        let mut budget = i64::try_from(10 * (self.nodes.len() as u64 * 100 / half_timeout)).unwrap_or(i64::MAX);
        let back_off = self.settings.node_timeout() / 20;
        for id in missing {
            let Some(node) = self.nodes.get(&id) else { continue };
            let tried_lately = node.connect_tried.is_some_and(|at| turn.now.since(at) < back_off);
            if node.inbound.is_none() && tried_lately && budget == 0 {
                continue;
            }
            budget -= 1;
            self.connect(turn, id);
        }
    }

    /// A link older than NT on which a ping and everything else has been silent for NT / 2 may be a dead connection to
    /// a living node: it is replaced.
    pub(crate) fn is_stuck(&self, now: Mono, id: &NodeId) -> bool {
        let timeout = self.settings.node_timeout();
        let Some(node) = self.nodes.get(id) else { return false };
        let Some(link) = node.outbound.and_then(|l| self.links.get(&l)) else { return false };
        let older = |at: Mono| now.since(at) > timeout / 2;
        now.since(link.created) > timeout && node.ping_sent.is_some_and(older) && node.data_received.is_none_or(older)
    }
}
