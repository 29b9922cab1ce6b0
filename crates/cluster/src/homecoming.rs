//! A primary that was started again, and may know less than its replicas do: its file is gone, or older than what they
//! have (cluster-bus 15.3, S6). Before it serves anybody it hears how far they are. Whoever has more takes over; the one
//! with the most of all, also where the whole shard was started again. It must never let its replicas replace what they
//! have by less, and never wait for ever for somebody who doesn't come.

use crate::capabilities::Capabilities;
use crate::cluster::{Cluster, Turn};
use crate::effect::LogLevel;
use crate::node::Node;
use crate::state::WRITABLE_DELAY;
use crate::topology::SyncGrant;
use baton_base::{Mono, NodeId, Offset};
use std::collections::BTreeSet;
use std::time::Duration;

/// For how long replicas of this release are given the chance to take over by what this node says, before it falls silent
/// for the sake of the others.
const SAY_IT_FOR: Duration = Duration::from_secs(3);

/// How far a primary that was started again is.
#[derive(Debug, Default)]
pub(crate) struct Homecoming {
    stage: Stage,
    /// Nodes of the shard when this node was last: they are waited for, and their offsets count the same stream.
    awaited: BTreeSet<NodeId>,
    /// Where the dataset stood in the stream when it was saved; 0 without one.
    own: Offset,
    /// A replica was heard since an empty node looked last whether one has more. To find its replicas it passes all nodes,
    /// so it does not do that with every packet.
    heard: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stage {
    /// There is nothing to find out, or it was found out.
    #[default]
    Settled,
    /// Nothing was compared yet.
    Started,
    /// Replicas are waited for until then; those that failed, for a moment.
    Listening { since: Mono, until: Mono },
    /// Somebody has more. Nobody is served until it has taken over.
    Behind { since: Mono, alive_at: Mono, by: NodeId },
    /// It serves, but has nothing that could be lost: whoever has anything may still take over.
    Empty,
}

impl Homecoming {
    /// What others may be given meanwhile.
    pub(crate) fn grant(&self) -> SyncGrant {
        match self.stage {
            Stage::Settled => SyncGrant::Everything,
            Stage::Empty => SyncGrant::NothingLess,
            Stage::Started | Stage::Listening { .. } | Stage::Behind { .. } => SyncGrant::Nothing,
        }
    }

    /// Whether this node neither serves nor lets anybody synchronise with it.
    pub(crate) fn withholds(&self) -> bool {
        self.grant() == SyncGrant::Nothing
    }

    /// How far a replica of mine is may have changed.
    pub(crate) fn note_heard(&mut self) {
        self.heard = true;
    }

    /// Somebody else has more, and is to take over.
    pub(crate) fn is_behind(&self) -> bool {
        matches!(self.stage, Stage::Behind { .. })
    }

    /// The offset to advertise instead of the present one, which may count what was deleted since the start.
    pub(crate) fn offset(&self) -> Option<Offset> {
        self.withholds().then_some(self.own)
    }
}

impl Cluster {
    /// This node was started with a configuration, or hears from others that it is a primary.
    pub(crate) fn come_home(&mut self) {
        if !self.serves(&self.me) || self.settings.restart_wait_ms == 0 {
            return;
        }
        // All of the shard, as whoever just won knows its replicas still as those of the primary that it replaced, and that
        // one as a primary.
        let shard = self.myself().shard;
        let others = |n: &&Node| n.shard == shard && !n.is_myself() && !n.in_handshake();
        let awaited = self.nodes.values().filter(others).map(|n| n.id).collect();
        self.homecoming = Homecoming { stage: Stage::Started, awaited, ..Homecoming::default() };
    }

    /// Where the dataset that was loaded from disk stood in the stream.
    pub(crate) fn on_loaded(&mut self, turn: &Turn<'_>, offset: Offset) {
        self.homecoming.own = offset;
        if self.homecoming.stage == Stage::Started {
            self.listen(turn);
        }
    }

    fn listen(&mut self, turn: &Turn<'_>) {
        let wait = Duration::from_millis(self.settings.restart_wait_ms);
        self.homecoming.stage = Stage::Listening { since: turn.now, until: turn.now + wait };
        if !self.homecoming.awaited.is_empty() {
            let text = format!(
                "Started as a primary with data up to offset {}: hearing first whether a replica has more, for {} ms at the \
                 most.",
                self.homecoming.own, self.settings.restart_wait_ms
            );
            self.log(LogLevel::Notice, text);
        }
    }

    /// Looks again at what is known of the replicas.
    pub(crate) fn run_homecoming(&mut self, turn: &Turn<'_>) {
        if self.homecoming.stage == Stage::Settled {
            return;
        }
        if !self.serves(&self.me) || self.settings.restart_wait_ms == 0 {
            return self.enter_stage(Stage::Settled);
        }
        match self.homecoming.stage {
            Stage::Settled => {}
            Stage::Started => {
                self.homecoming.own = turn.facts.offset;
                self.listen(turn);
            }
            Stage::Listening { since, until } => self.compare(turn, since, turn.now >= until),
            Stage::Behind { since, alive_at, .. } => self.await_takeover(turn, since, alive_at),
            // Signs of life move the offset and are nothing to lose.
            Stage::Empty if !turn.facts.keys.is_empty() => self.enter_stage(Stage::Settled),
            Stage::Empty => {
                if std::mem::take(&mut self.homecoming.heard)
                    && let Some(id) = self.furthest(turn)
                {
                    self.step_back(turn, id);
                }
            }
        }
    }

    /// Decides once everybody was heard, or the time for that is over.
    fn compare(&mut self, turn: &Turn<'_>, since: Mono, time_is_over: bool) {
        // The file may be older than their return. Who is alive is heard before this node may write at all; but where
        // replicas acknowledge writes, one that only stands still is waited for like any other.
        let had_time = turn.now.since(since) >= WRITABLE_DELAY && !self.has_quorum_writes();
        let dead = |id: &NodeId| had_time && self.nodes.get(id).is_some_and(Node::failed);
        let awaited = self.homecoming.awaited.iter().copied();
        let missing: Vec<NodeId> = awaited.filter(|id| !self.was_heard(id) && !dead(id)).collect();
        if !missing.is_empty() && !time_is_over {
            return;
        }
        if let Some(id) = self.furthest(turn) {
            return self.step_back(turn, id);
        }
        for id in missing {
            let text =
                format!("Replica {} was not heard in time; serving without knowing how far it is.", self.named(&id));
            self.log(LogLevel::Warning, text);
        }
        self.serve_after_all(turn);
    }

    fn serve_after_all(&mut self, turn: &Turn<'_>) {
        let empty = turn.facts.offset == Offset(0) && turn.facts.keys.is_empty();
        self.enter_stage(if empty { Stage::Empty } else { Stage::Settled });
    }

    /// Whether it is known how far this replica is, or it is not of this shard any more. One that follows somebody else yet
    /// has not heard who is primary. Other releases say 0 also while they load their data.
    fn was_heard(&self, id: &NodeId) -> bool {
        let Some(node) = self.nodes.get(id).filter(|n| n.shard == self.myself().shard) else { return true };
        if node.primary != Some(self.me) {
            return false;
        }
        let candid = node.offset > Offset(0) || node.capabilities.has(Capabilities::STEPS_IN);
        node.data_received.is_some() && candid
    }

    /// The living replica with the most data, if that is more than mine. To one that has nothing everybody has more; else
    /// only offsets of those count that were there when this node was last, as another stream may be numbered otherwise. One
    /// that was away for so long that it is marked FAIL, and is heard again, lives, though the mark ends later.
    fn furthest(&self, turn: &Turn<'_>) -> Option<NodeId> {
        let empty = self.homecoming.own == Offset(0) && turn.facts.keys.is_empty();
        // Who serves with nothing has signs of life in its stream, and whoever follows that has no more than those.
        let own = if self.homecoming.stage == Stage::Empty { turn.facts.offset } else { self.homecoming.own };
        let lives = |n: &Node| n.data_received.is_some_and(|at| !n.failed() || n.fail_time.is_some_and(|t| at >= t));
        let counts = |n: &&Node| lives(n) && (empty || self.homecoming.awaited.contains(&n.id)) && n.offset > own;
        self.replicas_of(self.me).filter(counts).max_by_key(|n| (n.offset, std::cmp::Reverse(n.id))).map(|n| n.id)
    }

    fn step_back(&mut self, turn: &Turn<'_>, ahead: NodeId) {
        let text = format!(
            "Replica {} has data up to offset {}, this node only up to {}: not serving before it has taken over.",
            self.named(&ahead),
            self.nodes[&ahead].offset,
            self.homecoming.own
        );
        self.log(LogLevel::Warning, text);
        self.enter_stage(Stage::Behind { since: turn.now, alive_at: turn.now, by: ahead });
        self.todo.announce = true;
    }

    /// Nobody with more may be left: then what is here is the most there is.
    fn await_takeover(&mut self, turn: &Turn<'_>, since: Mono, alive_at: Mono) {
        if let Some(by) = self.furthest(turn) {
            self.homecoming.stage = Stage::Behind { since, alive_at: turn.now, by };
        } else if turn.now.since(alive_at) >= Duration::from_millis(self.settings.restart_wait_ms) {
            let text = "No replica with more data is alive any more: serving what is here.";
            self.log(LogLevel::Warning, text.to_owned());
            self.serve_after_all(turn);
        }
    }

    fn enter_stage(&mut self, stage: Stage) {
        self.homecoming.stage = stage;
        self.homecoming.heard = true;
        self.todo.health = true;
        self.todo.publish = true;
    }

    /// A replica of another release only replaces a primary that is dead. This one lets itself be taken for that, if such a
    /// one has the most data and the other voters are enough to elect it.
    pub(crate) fn plays_dead(&self, now: Mono) -> bool {
        let Stage::Behind { since, by, .. } = self.homecoming.stage else { return false };
        // For one that is gone for good, or forgotten, silence would do nothing.
        let waits = |n: &Node| !n.failed() && !n.capabilities.has(Capabilities::STEPS_IN);
        self.nodes.get(&by).is_some_and(waits) && now.since(since) >= SAY_IT_FOR && self.majority_without_me()
    }

    /// Whether my primary says that it knows less than I do, and it does.
    pub(crate) fn surpasses_primary(&self, turn: &Turn<'_>) -> bool {
        let lately = |at: Mono| turn.now.since(at) <= self.settings.node_timeout().max(SAY_IT_FOR);
        self.my_primary().is_some_and(|primary| {
            primary.behind.is_some_and(|offset| turn.facts.offset > offset)
                && primary.data_received.is_some_and(lately)
                && turn.facts.dataset_complete
        })
    }
}
