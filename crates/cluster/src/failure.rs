//! Suspicion (PFAIL, mine alone), agreement (FAIL, a majority of the voters) and recovery (cluster-bus 4).
//! Nothing but a PONG on my own link clears either.

use crate::cluster::{Cluster, Turn};
use crate::effect::LogLevel;
use crate::node::Node;
use crate::note::Note;
use baton_base::{Mono, NodeId};
use baton_wire::{Body, Header, MsgFlags, NodeFlags};

impl Cluster {
    /// Suspects a node whose ping has been unanswered, and which has been silent, for longer than NT.
    pub(crate) fn suspect_if_silent(&mut self, turn: &Turn<'_>, id: &NodeId) {
        let Some(node) = self.nodes.get(id) else { return };
        let Some(sent) = node.ping_sent else { return };
        let silent = turn.now.since(node.data_received.map_or(sent, |at| at.max(sent)));
        if silent > self.settings.node_timeout() && node.healthy() {
            self.suspect(turn, id);
        }
    }

    /// Keeps the list of those that aren't well, after a mark was set or taken back, or the node went.
    pub(crate) fn note_wellness(&mut self, id: &NodeId) {
        if self.nodes.get(id).is_some_and(|n| !n.healthy()) {
            self.unwell.insert(*id);
        } else {
            self.unwell.remove(id);
        }
    }

    /// Marks a node PFAIL. The suspicion travels with the next regular pings.
    pub(crate) fn suspect(&mut self, turn: &Turn<'_>, id: &NodeId) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.flags.insert(NodeFlags::PFAIL);
        self.note_wellness(id);
        self.todo.health = true;
        self.note_suspected(id);
        self.mark_fail_if_agreed(turn, id);
        if !self.nodes[id].failed() {
            let text = format!("NODE {} possibly failing.", self.named(id));
            self.log(LogLevel::Debug, text);
        }
    }

    /// Notes that a voter reported a node; tells whether that is new. A report's time is rounded up to a whole
    /// second. Nodes already marked FAIL collect none.
    pub(crate) fn add_report(&mut self, turn: &Turn<'_>, id: &NodeId, by: NodeId) -> bool {
        let Some(node) = self.nodes.get_mut(id) else { return false };
        if node.failed() {
            return false;
        }
        let rounded = Mono::from_millis(turn.now.as_millis().div_ceil(1000) * 1000);
        node.reports.insert(by, rounded).is_none()
    }

    /// Withdraws a report; tells whether there was one.
    pub(crate) fn remove_report(&mut self, id: &NodeId, by: &NodeId) -> bool {
        self.nodes.get_mut(id).is_some_and(|n| n.reports.remove(by).is_some())
    }

    /// How many valid reports there are of a node; expired ones are dropped.
    pub(crate) fn report_count(&mut self, now: Mono, id: &NodeId) -> usize {
        let validity = self.settings.twice_node_timeout();
        let Some(node) = self.nodes.get_mut(id) else { return 0 };
        node.reports.retain(|_, at| *at + validity > now);
        node.reports.len()
    }

    /// The FAIL rule: I suspect it myself, and with me a majority of the voters does.
    pub(crate) fn mark_fail_if_agreed(&mut self, turn: &Turn<'_>, id: &NodeId) {
        let Some(node) = self.nodes.get(id) else { return };
        if !node.has(NodeFlags::PFAIL) || node.failed() {
            return;
        }
        if self.report_count(turn.now, id) < self.needed_besides_me() {
            return;
        }
        let reports = &self.nodes[id].reports;
        if !self.is_majority(|voter| *voter == self.me || reports.contains_key(voter)) {
            return;
        }
        self.log(LogLevel::Notice, format!("Marking node {} as failing (quorum reached).", self.named(id)));
        self.mark_fail(turn, id);
        self.broadcast_fail(turn, id);
    }

    /// Marks a node FAIL. If it is my primary, the failover handler runs in this very turn.
    pub(crate) fn mark_fail(&mut self, turn: &Turn<'_>, id: &NodeId) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.flags.remove(NodeFlags::PFAIL);
        node.flags.insert(NodeFlags::FAIL);
        node.fail_time = Some(turn.now);
        self.note_wellness(id);
        self.note_failed(id);
        self.todo.save_lazily();
        self.todo.health = true;
        self.todo.publish = true;
        if self.myself().primary == Some(*id) {
            self.todo.failover = true;
        }
        self.review_waiting();
    }

    pub(crate) fn broadcast_fail(&mut self, turn: &Turn<'_>, id: &NodeId) {
        self.broadcast(turn, MsgFlags::empty(), Body::Fail { id: *id });
    }

    /// A FAIL message is obeyed without a suspicion of my own, if a known node sends it.
    pub(crate) fn on_fail_message(&mut self, turn: &Turn<'_>, sender: Option<NodeId>, header: &Header, id: NodeId) {
        let Some(sender) = sender else {
            let text = format!("Ignoring FAIL message from unknown node {} about {id}", header.sender);
            self.complain(turn.now, LogLevel::Notice, text);
            return;
        };
        let Some(node) = self.nodes.get(&id) else { return };
        if node.is_myself() || node.failed() {
            return;
        }
        let text = format!("FAIL message received from {} about {}", self.named(&sender), self.named(&id));
        self.log(LogLevel::Notice, text);
        self.mark_fail(turn, &id);
    }

    /// An answer on my own link: the node lives, as far as I can see.
    pub(crate) fn on_pong(&mut self, turn: &Turn<'_>, id: &NodeId) {
        self.note_frozen(id);
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.pong_received = Some(turn.now);
        let sent = node.ping_sent.take();
        self.count_pong(*id, sent);
        let Some(node) = self.nodes.get_mut(id) else { return };
        if node.has(NodeFlags::PFAIL) {
            node.flags.remove(NodeFlags::PFAIL);
            node.proven_dead = false;
            self.note_wellness(id);
            self.todo.health = true;
            self.note(Note::Cleared { node: *id });
        } else if node.failed() {
            self.clear_fail_if_allowed(turn, id);
        }
    }

    /// A node without slots recovers at once, and so does one that was dead: its replica knows that it stands against a
    /// new process, and goes no further. One with slots that was silent recovers only if after 2 NT nobody has taken them,
    /// as it may be reached by few, and its replica be elected while it comes back.
    fn clear_fail_if_allowed(&mut self, turn: &Turn<'_>, id: &NodeId) {
        let node = &self.nodes[id];
        let lasted = node.fail_time.is_none_or(|at| turn.now.since(at) > self.fail_lasts());
        let why = if node.is_replica() {
            "replica is reachable again."
        } else if !self.slots.owns_any(id) {
            "primary without slots is reachable again."
        } else if node.proven_dead {
            "it was started again before anybody served its slots."
        } else if lasted {
            "is reachable again and nobody is serving its slots after some time."
        } else {
            return;
        };
        self.clear_fail(id, why);
    }

    /// Whoever says itself that it has won an election since is alive: were the old mark to stay until its next PONG, its
    /// new replicas would stand against it at once.
    pub(crate) fn clear_fail_of_claimant(&mut self, id: NodeId) {
        if self.nodes.get(&id).is_some_and(Node::failed) {
            self.clear_fail(&id, "it claims its slots anew.");
        }
    }

    /// How long the FAIL of a primary with slots lasts at least. Where all voters keep promises nobody is elected against
    /// one that was let go on, so that it is only given time to be replaced.
    fn fail_lasts(&self) -> std::time::Duration {
        let usual = self.settings.twice_node_timeout();
        if self.all_keep_promises() { self.silence_limit().map_or(usual, |limit| usual.min(limit * 2)) } else { usual }
    }

    fn clear_fail(&mut self, id: &NodeId, why: &str) {
        self.log(LogLevel::Notice, format!("Clear FAIL state for node {}: {why}", self.named(id)));
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.flags.remove(NodeFlags::FAIL);
        node.fail_time = None;
        node.proven_dead = false;
        node.reports.clear();
        self.note_wellness(id);
        self.note(Note::Cleared { node: *id });
        self.todo.save_lazily();
        self.todo.health = true;
        self.todo.publish = true;
    }
}
