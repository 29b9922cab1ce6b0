//! Proof of death: a process that is gone has closed all its connections and refuses new ones, whatever the node timeout.
//! Who sees that of a primary suspects it within a tenth of a second and says so at once to those who can act on it.
//! Silence without refusals proves nothing: that may be the network, and is judged by the node timeout alone.
//!
//! Only a majority makes a failure of it, as of any suspicion (cluster-bus 15.2, T1 and T2).

use crate::capabilities::Capabilities;
use crate::cluster::{Cluster, Turn};
use crate::input::LinkFailure;
use crate::node::Node;
use baton_base::{Mono, NodeId};
use baton_wire::NodeFlags;
use std::time::Duration;

/// Refusals in a row that are needed. A single one may be a listener that is being replaced.
const REFUSALS_MIN: u32 = 3;
/// Time between two attempts, so that the refusals spread over a tenth of a second.
const PROBE_PERIOD: Duration = Duration::from_millis(50);
/// Attempts after which the question is left to the node timeout.
const ATTEMPTS_MAX: u32 = 10;
/// Nobody is quiet before so many of its leases are over.
const SILENT_LEASES_MIN: u32 = 2;
/// Voters that hear of the suspicion at once, besides the replicas of the suspect. The replica hears of
/// everybody and counts; these are for replicas that don't count so early. A constant keeps a large cluster quiet.
const VOTERS_TOLD: usize = 3;

/// Between two pings that tell the same node of suspicions. Where many die at once, one ping tells of all of them; each
/// names every suspect anyway.
const TELL_PERIOD: Duration = Duration::from_millis(10);

/// What is known of a node whose link to it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Silence {
    refusals: u32,
    attempts: u32,
    /// When to try again; never while an attempt runs or nothing is to be learned.
    probe_at: Mono,
}

impl Cluster {
    /// My link to a node ended without my doing: a new one is tried at once, if its end may mean something.
    pub(crate) fn begin_silence(&mut self, turn: &Turn<'_>, id: &NodeId) {
        if !self.settings.detect_refusals || !self.is_replaceable(turn, id) {
            return;
        }
        if let Some(node) = self.nodes.get_mut(id) {
            node.silence = Some(Silence { refusals: 0, attempts: 0, probe_at: turn.now });
            self.restless.insert(*id);
            self.probe_due = self.probe_due.min(turn.now);
        }
    }

    /// An attempt to connect failed. What is neither a refusal nor about to become one leaves the verdict to the node
    /// timeout.
    pub(crate) fn note_silence(&mut self, turn: &Turn<'_>, id: &NodeId, why: LinkFailure) {
        let replaceable = self.is_replaceable(turn, id);
        let Some(node) = self.nodes.get_mut(id) else { return };
        let Some(silence) = node.silence.as_mut() else { return };
        silence.attempts += 1;
        if why == LinkFailure::Unreachable || !replaceable || silence.attempts > ATTEMPTS_MAX {
            node.silence = None;
            return;
        }
        // While the node's own link to me stands, somebody else refuses in its name.
        if node.inbound.is_none() && why != LinkFailure::Reset {
            silence.refusals += 1;
        }
        if silence.refusals < REFUSALS_MIN {
            silence.probe_at = turn.now + PROBE_PERIOD;
            self.probe_due = self.probe_due.min(silence.probe_at);
            return;
        }
        node.silence = None;
        if node.healthy() {
            node.proven_dead = true;
            self.suspect(turn, id);
            self.tell_suspicion(turn, id);
        }
    }

    /// How long a voter that keeps promises may be silent; none if only the node timeout counts. Its lease is over long
    /// before, as it asks several times in that time.
    pub(crate) fn silence_limit(&self) -> Option<Duration> {
        let wanted = Duration::from_millis(self.settings.detect_silence_ms);
        let limit = wanted.max(self.lease_length() * SILENT_LEASES_MIN);
        let on = self.settings.lease && !wanted.is_zero() && limit < self.settings.node_timeout();
        on.then_some(limit)
    }

    /// After how much silence of a primary I look at it, if it is my part to.
    pub(crate) fn quiet_after(&self) -> Option<Duration> {
        self.silence_limit().filter(|_| self.is_voting(&self.me)).map(|limit| limit / 2)
    }

    /// Suspects a primary that should be asking me for its lease and is not heard at all. Half way I ask it myself, so that
    /// it is heard if it can be.
    pub(crate) fn suspect_if_quiet(&mut self, turn: &Turn<'_>, id: &NodeId) {
        let Some(limit) = self.silence_limit() else { return };
        let Some(node) = self.nodes.get(id) else { return };
        let Some(quiet) = node.data_received.map(|at| turn.now.since(at)) else { return };
        let replaceable = self.majority_without(id);
        let asks = node.capabilities.has(Capabilities::LEASE) && self.is_voting(&self.me) && replaceable;
        // Between the question and the verdict there is nothing to do.
        let waits = quiet < limit && node.ping_sent.is_some();
        if quiet < limit / 2 || waits || !asks || turn.now < self.listen_until || !self.is_replaceable(turn, id) {
            return;
        }
        if quiet >= limit {
            self.suspect(turn, id);
            self.tell_suspicion(turn, id);
        } else {
            self.ping(turn, id);
        }
    }

    /// The node is connected: it lives.
    pub(crate) fn end_silence(&mut self, id: &NodeId) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.silence = None;
        }
    }

    /// Connects anew to those whose time has come.
    pub(crate) fn probe_silenced(&mut self, turn: &Turn<'_>) {
        if turn.now < self.probe_due {
            return;
        }
        let mut due: Vec<NodeId> = Vec::new();
        self.probe_due = Mono::NEVER;
        let mut told: Vec<NodeId> = Vec::new();
        self.restless.retain(|id| self.nodes.get(id).is_some_and(Node::is_restless));
        for id in &self.restless {
            let node = self.nodes.get_mut(id).expect("those that are gone were sorted out above");
            match node.tell_at {
                Some(at) if at > turn.now => self.probe_due = self.probe_due.min(at),
                Some(_) => told.push(node.id),
                None => {}
            }
            let Some(silence) = node.silence.as_mut() else { continue };
            if silence.probe_at > turn.now {
                self.probe_due = self.probe_due.min(silence.probe_at);
                continue;
            }
            silence.probe_at = Mono::NEVER;
            if node.outbound.is_none() {
                due.push(node.id);
            }
        }
        told.into_iter().for_each(|id| self.tell_now(turn, &id));
        if !self.debug.reconnection_off {
            due.into_iter().for_each(|id| self.connect(turn, id));
        }
    }

    /// Whether knowing of a node's death early helps: it is a primary that was alive a moment ago, and a replica may take
    /// over. In a large cluster others vouch for it, and it need not have said anything to me for long. Any other is better judged late, as it may be back soon.
    fn is_replaceable(&self, turn: &Turn<'_>, id: &NodeId) -> bool {
        let Some(node) = self.nodes.get(id) else { return false };
        let lately = |at: Mono| turn.now.since(at) <= self.settings.node_timeout();
        // How much data it has is not looked at: what was heard of that may be older than the data.
        let can_stand = |n: &Node| n.healthy() && !n.has(NodeFlags::NOFAILOVER);
        // Whoever elected me and died before it knew that I won keeps me from serving until I know that it did.
        let matters = (self.serves(id) && self.replicas_of(*id).any(can_stand)) || self.lease.accession.awaits(id);
        node.healthy() && matters && (node.data_received.is_some_and(lately) || node.pong_received.is_some_and(lately))
    }

    /// Says at once what the next regular pings would say.
    fn tell_suspicion(&mut self, turn: &Turn<'_>, suspect: &NodeId) {
        let others = |n: &&Node| !n.is_myself() && n.id != *suspect;
        let voters = self.voting_nodes().filter(others).map(|n| n.id).take(VOTERS_TOLD);
        let told: Vec<NodeId> = self.replicas_of(*suspect).filter(others).map(|n| n.id).chain(voters).collect();
        for id in told {
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            match node.told_at.map(|at| at + TELL_PERIOD).filter(|at| *at > turn.now) {
                None => self.tell_now(turn, &id),
                Some(at) => {
                    node.tell_at = Some(at);
                    self.restless.insert(id);
                    self.probe_due = self.probe_due.min(at);
                }
            }
        }
    }

    fn tell_now(&mut self, turn: &Turn<'_>, id: &NodeId) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.told_at = Some(turn.now);
            node.tell_at = None;
        }
        self.ping(turn, id);
    }
}
