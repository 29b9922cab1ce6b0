//! What nodes tell each other about others: which nodes go into a ping, and what is believed of what arrives
//! (cluster-bus 3.2, 3.3).

use crate::cluster::{Cluster, Turn};
use crate::effect::LogLevel;
use crate::node::{Address, Node};
use baton_base::{Mono, NodeId, ShardId};
use baton_wire::{Gossip, NodeFlags, PingBody};
use std::time::Duration;

/// The fewest nodes told about, where there are as many.
const ENTRIES_MIN: usize = 3;
/// The count field has 16 bits, and its largest value stays unused.
const ENTRIES_MAX: usize = 65_534;
/// How far in the future a gossiped PONG may lie (clocks differ).
const PONG_AHEAD_MAX: Duration = Duration::from_millis(500);
/// Nodes beyond this number are not learned: a forged flood must not cost unbounded memory.
pub(crate) const NODES_MAX: usize = 16_384;
/// Nodes that others told of and that never answered. More are not learned before some of these have answered or are gone.
/// A node that joins a cluster of upstream's largest size learns fewer.
pub(crate) const UNHEARD_MAX: usize = 1024;

impl Cluster {
    /// Some consecutive nodes from a random place of the table, then all suspected ones, whoever receives it.
    pub(crate) fn gossip_entries(&mut self, turn: &Turn<'_>, receiver: Option<NodeId>) -> Vec<Gossip> {
        let nodes = self.nodes.len();
        let share = nodes * usize::try_from(self.settings.gossip_percent).unwrap_or(100) / 100;
        let wanted = share.max(ENTRIES_MIN).min(nodes.saturating_sub(2));
        let start = NodeId::random(&mut self.rng);
        let sample = self.nodes.range(start..).chain(self.nodes.range(..start)).map(|(_, n)| n);
        let fresh = sample
            .take(wanted + 2)
            .filter(|n| !n.is_myself() && Some(n.id) != receiver)
            .filter(|n| !n.flags.intersects(NodeFlags::PFAIL | NodeFlags::HANDSHAKE | NodeFlags::NOADDR))
            .filter(|n| n.outbound.is_some() || self.slots.owns_any(&n.id))
            .filter(|n| !self.is_rumour(n))
            .take(wanted);
        let suspected = self
            .unwell
            .iter()
            .map(|id| &self.nodes[id])
            .filter(|n| n.has(NodeFlags::PFAIL) && !n.flags.intersects(NodeFlags::HANDSHAKE | NodeFlags::NOADDR))
            .filter(|n| !self.is_rumour(n));
        fresh.chain(suspected).take(ENTRIES_MAX).map(|n| self.gossip_about(turn, n)).collect()
    }

    fn gossip_about(&self, turn: &Turn<'_>, node: &Node) -> Gossip {
        let secs = |at: Option<Mono>| u32::try_from(turn.wall_of(at).as_secs()).unwrap_or(u32::MAX);
        let (port, port_other) = node.address.wire_ports(self.settings.tls_cluster);
        Gossip {
            id: node.id,
            ping_sent_s: secs(node.ping_sent),
            pong_received_s: secs(node.pong_received),
            ip: node.address.ip,
            port,
            port_other,
            port_bus: node.address.bus_port,
            flags: node.flags,
        }
    }

    /// Whether a node is known from others alone: it never answered, and serves nothing. Such a one is not passed on, or
    /// one forged packet would go round the cluster for ever and make every ping as large as it was itself.
    pub(crate) fn is_rumour(&self, node: &Node) -> bool {
        let heard = node.data_received.is_some() || node.pong_received.is_some();
        !heard && !node.is_myself() && !node.in_handshake() && !self.slots.owns_any(&node.id)
    }

    /// Forgets those that never answered, if they are so many that others would find no place. Whoever is alive is told of
    /// again.
    pub(crate) fn forget_rumours(&mut self, turn: &Turn<'_>) {
        if self.nodes.len() < UNHEARD_MAX {
            return;
        }
        let timeout = self.settings.handshake_timeout();
        let rumours = || self.nodes.values().filter(|n| self.is_rumour(n));
        if rumours().count() < UNHEARD_MAX {
            return;
        }
        let late: Vec<NodeId> = rumours().filter(|n| turn.now.since(n.created) > timeout).map(|n| n.id).collect();
        late.iter().for_each(|id| self.delete_node(turn, id));
    }

    /// A stranger that wants to be known tells whom it knows. That is how whoever was met learns of its cluster; what it
    /// says of nodes that are known here is not believed.
    pub(crate) fn on_gossip_of_stranger(&mut self, turn: &Turn<'_>, body: &PingBody) {
        if body.gossip_malformed > 0 {
            let count = body.gossip_malformed;
            self.complain(
                turn.now,
                LogLevel::Warning,
                format!("Unknown node gossiped {count} nodes with invalid IDs."),
            );
            return;
        }
        self.learn_nodes(turn, body.gossip.iter().filter(|entry| entry.id != self.me).copied().collect());
    }

    /// Believes what can be believed of the entries of a known sender.
    pub(crate) fn on_gossip(&mut self, turn: &Turn<'_>, sender: NodeId, body: &PingBody) {
        if body.gossip_malformed > 0 {
            let count = body.gossip_malformed;
            let text = format!("Node {} gossiped {count} nodes with invalid IDs.", self.named(&sender));
            self.complain(turn.now, LogLevel::Warning, text);
            return;
        }
        let votes = self.is_voting(&sender);
        let mut unknown = Vec::new();
        for entry in &body.gossip {
            if entry.id == self.me {
                if entry.flags.intersects(NodeFlags::PFAIL | NodeFlags::FAIL) {
                    self.doubt_answer(&sender);
                }
                continue;
            }
            let reported = entry.flags.intersects(NodeFlags::PFAIL | NodeFlags::FAIL);
            match self.nodes.get_mut(&entry.id) {
                // Nearly all of what is gossiped: a node is well, as was known.
                Some(node) if !reported && node.healthy() && node.reports.is_empty() => {
                    take_gossiped_pong(turn, node, entry);
                }
                // Or it has failed, as was known.
                Some(node) if reported && node.failed() => {}
                Some(_) => self.on_gossip_about_known(turn, sender, votes, entry),
                None => unknown.push(*entry),
            }
        }
        self.learn_nodes(turn, unknown);
    }

    fn on_gossip_about_known(&mut self, turn: &Turn<'_>, sender: NodeId, votes: bool, entry: &Gossip) {
        let id = entry.id;
        let reported = entry.flags.intersects(NodeFlags::PFAIL | NodeFlags::FAIL);
        if reported {
            if votes && self.add_report(turn, &id, sender) {
                let text = format!("Node {} reported node {} as not reachable.", self.named(&sender), self.named(&id));
                self.log(LogLevel::Verbose, text);
            }
            self.mark_fail_if_agreed(turn, &id);
        } else {
            if votes && self.remove_report(&id, &sender) {
                let text = format!("Node {} reported node {} is back online.", self.named(&sender), self.named(&id));
                self.log(LogLevel::Verbose, text);
            }
            if let Some(node) = self.nodes.get_mut(&id) {
                take_gossiped_pong(turn, node, entry);
            }
        }
        self.take_gossiped_address(turn, entry, reported);
    }

    /// A node that I can't reach and somebody else can, at another address, has moved (cluster-bus 2.4).
    fn take_gossiped_address(&mut self, turn: &Turn<'_>, entry: &Gossip, reported: bool) {
        let Some(node) = self.nodes.get(&entry.id) else { return };
        let usable = !reported && !entry.flags.contains(NodeFlags::NOADDR) && !entry.ip.is_empty();
        if node.healthy() || !usable {
            return;
        }
        let address = self.gossiped_address(entry);
        self.take_address(turn, entry.id, address);
    }

    fn gossiped_address(&self, entry: &Gossip) -> Address {
        Address::from_wire(entry.ip, entry.port, entry.port_other, entry.port_bus, self.settings.tls_cluster)
    }

    fn learn_nodes(&mut self, turn: &Turn<'_>, mut entries: Vec<Gossip>) {
        if entries.is_empty() {
            return;
        }
        let unheard = self.nodes.values().filter(|n| self.is_rumour(n)).count();
        let room = UNHEARD_MAX.saturating_sub(unheard).min(NODES_MAX.saturating_sub(self.nodes.len()));
        if entries.len() > room {
            let text = format!(
                "Not learning {} nodes from gossip: {} are known, {unheard} of them never answered.",
                entries.len() - room,
                self.nodes.len()
            );
            self.complain(turn.now, LogLevel::Warning, text);
            entries.truncate(room);
        }
        entries.iter().for_each(|entry| self.learn_node(turn, entry));
    }

    /// A node that somebody known tells about becomes known too, with the flags it was told about with.
    fn learn_node(&mut self, turn: &Turn<'_>, entry: &Gossip) {
        let unusable = entry.flags.contains(NodeFlags::NOADDR) || entry.ip.is_empty();
        if unusable || self.blacklist.contains(&entry.id, turn.now) || self.nodes.contains_key(&entry.id) {
            return;
        }
        let shard = ShardId::random(&mut self.rng);
        // Another's suspicion is not mine, and only a known role is believed.
        let mut flags = entry.flags - (NodeFlags::MYSELF | NodeFlags::HANDSHAKE | NodeFlags::MEET | NodeFlags::PFAIL);
        if flags.contains(NodeFlags::REPLICA) {
            flags.remove(NodeFlags::PRIMARY);
        }
        let mut node = Node::new(entry.id, shard, flags, turn.now);
        node.address = self.gossiped_address(entry);
        // A FAIL mark learned from gossip ages from now.
        node.fail_time = node.failed().then_some(turn.now);
        self.nodes.insert(entry.id, node);
        self.note_wellness(&entry.id);
        self.todo.save_lazily();
        self.todo.publish = true;
    }
}

/// A healthy node that somebody heard lately needs no ping of mine.
fn take_gossiped_pong(turn: &Turn<'_>, node: &mut Node, entry: &Gossip) {
    if !node.healthy() || node.ping_sent.is_some() || !node.reports.is_empty() {
        return;
    }
    let gossiped_ms = u64::from(entry.pong_received_s) * 1000;
    let ahead = Duration::from_millis(gossiped_ms.saturating_sub(turn.wall.0));
    let behind = Duration::from_millis(turn.wall.0.saturating_sub(gossiped_ms));
    let heard = if ahead > Duration::ZERO { turn.now + ahead } else { turn.now - behind };
    if ahead <= PONG_AHEAD_MAX && node.pong_received.is_some_and(|at| heard > at) {
        node.pong_received = Some(heard);
    }
}
