//! Elections where writes are acknowledged by replicas (`write-ack-replicas` N > 0): whoever wins must have every write
//! whose reply was sent. It only adds a condition to standing; how an election runs is `election`.
//!
//! A write is acknowledged once the primary and N replicas have it, of the M nodes of the shard. So N + 1 nodes have it,
//! and among any M - N nodes there is one of them. A replica that has at least as much as M - N - 1 others therefore has it,
//! provided that nothing was acknowledged after it looked. That takes four rules:
//! 1. **Who sees its primary FAIL acknowledges nothing to it any more.** The data plane is told so
//!    ([`Cluster::freezes_acks`]), and says when it obeys ([`Input::AcksFrozen`](crate::Input::AcksFrozen)). Only then
//!    do headers say that acknowledgements are frozen; their offset was read after it, so nothing beyond it was
//!    acknowledged.
//! 2. **A replica stands, and wins, only while it knows of so many frozen siblings with no larger offset.** What it knows is
//!    as old as its ping that was answered, however long the answer took.
//! 3. **Knowledge ends before a promise does.** It counts for [`FRESH_MAX`]; a sibling whose primary comes back stays
//!    frozen for [`THAW_AFTER`], which is longer by more than clocks differ.
//! 4. **Offsets of one stream are compared.** Who has not followed this very primary since it began to, or since this process
//!    started, has an offset of another history, or may have lost what it acknowledged: it neither says that it is
//!    frozen, nor stands.
//!
//! Nodes of the shard that are down count, a former primary, too: one that is not known to lack a write may have it. A
//! failover that a user forces asks for none of this, and a planned one has everything by other means.
//!
//! Where a primary that was started again has less than a replica (`homecoming`), it takes no writes and so nothing more is
//! acknowledged: what siblings say of their offsets after that counts as if they were frozen. They may have been started
//! again themselves, as may be who wants to stand, so each says whether it has the memory in which it acknowledged
//! ([`Capabilities::KEEPS_ACKED`]), and only those who do count. But once every replica of the shard was heard, whoever has
//! the most may stand, for nobody is left to wait for.

use crate::capabilities::Capabilities;
use crate::cluster::{Cluster, Turn};
use crate::node::Node;
use baton_base::{Mono, NodeId, Offset};
use std::collections::BTreeMap;
use std::time::Duration;

/// How old the knowledge about a sibling may be when a replica stands or wins.
const FRESH_MAX: Duration = Duration::from_millis(1000);
/// How long a replica acknowledges nothing after its primary came back.
const THAW_AFTER: Duration = Duration::from_millis(2500);

/// What this node knows for that.
#[derive(Debug, Default)]
pub(crate) struct QuorumWrites {
    /// The primary that all of this is about.
    primary: Option<NodeId>,
    /// Its stream flowed into this process.
    followed: bool,
    /// Since when I know that my primary has less than I do.
    surpassed_at: Option<Mono>,
    /// Acknowledgements end here at the earliest.
    frozen_until: Mono,
    /// The data plane sends none.
    frozen: bool,
    /// Frozen siblings: since when at least, and with how much.
    siblings: BTreeMap<NodeId, (Mono, Offset)>,
}

impl Cluster {
    /// Whether writes are answered only once replicas have acknowledged them.
    pub fn has_quorum_writes(&self) -> bool {
        self.settings.write_ack_replicas > 0
    }

    /// Whether the data plane is to acknowledge nothing to the primary. It answers with
    /// [`Input::AcksFrozen`](crate::Input::AcksFrozen) once it does so, and once it does so no more.
    pub fn freezes_acks(&self) -> bool {
        self.has_quorum_writes()
            && self.myself().is_replica()
            && (self.my_primary().is_some_and(Node::failed) || self.last_handled() < self.quorum_writes.frozen_until)
    }

    /// Takes in what is true at the beginning of a turn.
    pub(crate) fn watch_acks(&mut self, turn: &Turn<'_>) {
        if !self.has_quorum_writes() {
            return;
        }
        let (primary, failed) = (self.my_primary().map(|n| n.id), self.my_primary().is_some_and(Node::failed));
        let surpasses = self.surpasses_primary(turn);
        let known = &mut self.quorum_writes;
        known.surpassed_at = known.surpassed_at.or(Some(turn.now)).filter(|_| surpasses);
        if known.primary != primary {
            *known = QuorumWrites { primary, frozen: known.frozen, ..QuorumWrites::default() };
        }
        known.followed |= turn.facts.link_up;
        if failed {
            known.frozen_until = turn.now + THAW_AFTER;
        }
    }

    /// The data plane acknowledges nothing from here on, or does so again.
    pub(crate) fn on_acks_frozen(&mut self, turn: &Turn<'_>, frozen: bool) {
        self.quorum_writes.frozen = frozen;
        if self.says_frozen(turn) {
            self.todo.failover = true;
            self.pong_to_siblings(turn);
        }
    }

    /// Whether what I ever acknowledged to my primary is in the memory of this very process.
    pub(crate) fn keeps_acked(&self, turn: &Turn<'_>) -> bool {
        let known = &self.quorum_writes;
        self.has_quorum_writes()
            && known.followed
            && known.primary == self.myself().primary
            && turn.facts.dataset_complete
    }

    /// Whether I have stopped acknowledging to a primary that failed, with an offset that can be compared.
    pub(crate) fn says_frozen(&self, turn: &Turn<'_>) -> bool {
        self.keeps_acked(turn) && self.quorum_writes.frozen && self.my_primary().is_some_and(Node::failed)
    }

    /// A header of a sibling came that was no answer of known age: if it is frozen by now, an answer will say so, too.
    pub(crate) fn follow_up_frozen(&mut self, turn: &Turn<'_>, id: &NodeId) {
        if !self.has_quorum_writes() || !self.my_primary().is_some_and(Node::failed) {
            return;
        }
        let says = self.nodes[id].capabilities.has(Capabilities::ACKS_FROZEN);
        if says && self.nodes[id].ping_sent.is_none() && !self.knows_frozen(turn, id) {
            self.ping(turn, id);
        }
    }

    /// An answer of a node to a ping of mine. To be called while it is known when that left.
    pub(crate) fn note_frozen(&mut self, id: &NodeId) {
        if !self.has_quorum_writes() {
            return;
        }
        let Some(node) = self.nodes.get(id) else { return };
        if !node.capabilities.has(Capabilities::ACKS_FROZEN) {
            self.quorum_writes.siblings.remove(id);
        } else if let Some(asked) = node.ping_sent {
            self.quorum_writes.siblings.insert(*id, (asked, node.offset));
            self.todo.failover = true;
        }
    }

    fn knows_frozen(&self, turn: &Turn<'_>, id: &NodeId) -> bool {
        let known = self.quorum_writes.siblings.get(id);
        known.is_some_and(|(asked, _)| turn.now.since(*asked) <= FRESH_MAX)
    }

    /// Whether I have every write that was acknowledged, as far as can be known: else how many siblings have to confirm
    /// it, and how many did.
    fn has_acknowledged_writes(&self, turn: &Turn<'_>) -> Result<(), (usize, usize)> {
        let replicas = usize::try_from(self.settings.write_ack_replicas).unwrap_or(usize::MAX);
        if replicas == 0 {
            return Ok(());
        }
        let shard = self.myself().shard;
        let members = || self.nodes.values().filter(|n| n.shard == shard && !n.in_handshake());
        let needed = members().count().saturating_sub(replicas.saturating_add(usize::from(self.keeps_acked(turn))));
        if !self.says_frozen(turn) && self.quorum_writes.surpassed_at.is_none() {
            return Err((needed, 0));
        }
        let (mine, primary) = (self.own_offset(turn), self.myself().primary);
        let others = || members().filter(|n| !n.is_myself() && Some(n.id) != primary);
        let has_no_more = |n: &&Node| n.primary == primary && self.settled_offset(turn, n).is_some_and(|at| at <= mine);
        let keeps = |n: &&Node| self.knows_frozen(turn, &n.id) || n.capabilities.has(Capabilities::KEEPS_ACKED);
        let confirmed = others().filter(has_no_more).filter(keeps).count();
        if confirmed >= needed || others().all(|n| has_no_more(&n)) { Ok(()) } else { Err((needed, confirmed)) }
    }

    /// With how much a sibling stays until a primary is there that may write, if that is known.
    fn settled_offset(&self, turn: &Turn<'_>, node: &Node) -> Option<Offset> {
        if self.knows_frozen(turn, &node.id) {
            return self.quorum_writes.siblings.get(&node.id).map(|(_, offset)| *offset);
        }
        let since = self.quorum_writes.surpassed_at?;
        node.data_received.filter(|at| *at >= since).map(|_| node.offset)
    }

    /// Whether this attempt may be sent, or won, as far as acknowledged writes are concerned. If not, siblings are asked.
    pub(crate) fn acknowledged_writes_allow(&mut self, turn: &Turn<'_>) -> bool {
        let verdict = self.has_acknowledged_writes(turn);
        if let Err((needed, confirmed)) = verdict {
            self.election.put_off(turn.now);
            self.note_missing_confirmations(turn, needed, confirmed);
            self.ask_siblings(turn);
        }
        verdict.is_ok()
    }

    /// Asks siblings about which nothing fresh is known.
    fn ask_siblings(&mut self, turn: &Turn<'_>) {
        let primary = self.myself().primary;
        let unknown = |n: &&Node| {
            !n.is_myself() && n.primary == primary && n.ping_sent.is_none() && !self.knows_frozen(turn, &n.id)
        };
        let ids: Vec<NodeId> = self.nodes.values().filter(unknown).map(|n| n.id).collect();
        for id in ids {
            self.ping(turn, &id);
        }
    }
}
