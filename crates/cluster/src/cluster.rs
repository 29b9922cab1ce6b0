//! The cluster machine of one node: one value, changed only by [`Cluster::handle`], answering only through effects.
//! It owns all state; what is done with it lives in the handler files, one idea each.

use crate::blacklist::Blacklist;
use crate::canvass::Canvass;
use crate::complaints::Complaints;
use crate::conf::Restored;
use crate::debug::DebugHooks;
use crate::effect::{Effect, LogLevel};
use crate::election::Election;
use crate::homecoming::Homecoming;
use crate::input::{Facts, Input};
use crate::lease::Lease;
use crate::leave::Leave;
use crate::link::{Link, LinkId};
use crate::manual::Manual;
use crate::node::Node;
use crate::quorum_writes::QuorumWrites;
use crate::record::{EpochRecord, Victory};
use crate::replicas::Replicas;
use crate::settings::Settings;
use crate::slots::SlotMap;
use crate::state::HealthWatch;
use crate::stats::Stats;
use crate::todo::Todo;
use crate::topology::Topology;
use crate::voters::Voters;
use baton_base::{Calendar, Epoch, Mono, NodeId, Offset, Rng, ShardId, WallMs};
use baton_wire::NodeFlags;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A node that is called so much later than it wanted has stood still.
const STOOD_MIN: Duration = Duration::from_millis(300);
/// How long it then takes in what happened meanwhile. All of it is in its sockets, so this is ample.
const LISTEN: Duration = Duration::from_millis(200);

/// With what a node starts.
#[derive(Clone, Debug)]
pub enum Boot {
    /// No configuration file, or an empty one: a new random identity.
    Fresh,
    /// What the configuration file holds.
    Restored(Box<Restored>),
}

/// The moment of an input and what the data plane knew then.
pub(crate) struct Turn<'a> {
    pub(crate) now: Mono,
    pub(crate) wall: WallMs,
    pub(crate) calendar: Calendar,
    pub(crate) facts: Facts<'a>,
}

impl Turn<'_> {
    /// The wall-clock time of an instant of this process; 0 for none.
    pub(crate) fn wall_of(&self, at: Option<Mono>) -> WallMs {
        at.map_or(WallMs(0), |at| self.calendar.wall_of(at))
    }
}

/// Flags that every node of this release sets about itself.
pub(crate) const OWN_FLAGS: NodeFlags = NodeFlags::MYSELF
    .union(NodeFlags::EXTENSIONS_SUPPORTED)
    .union(NodeFlags::LIGHT_HDR_PUBLISH)
    .union(NodeFlags::LIGHT_HDR_MODULE);

/// The control plane of one node: membership, failure detection, slot map, elections.
///
/// Input: [`Cluster::handle`], with non-decreasing `now`. After each call take all effects with
/// [`Cluster::poll_effect`] and carry them out in order; then sleep until [`Cluster::next_wake`] at the latest and give
/// [`Input::Tick`]. The topology is also handed out by effect; [`Cluster::topology`] is its newest version.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) settings: Settings,
    /// Key of this node in `nodes`.
    pub(crate) me: NodeId,
    /// All known nodes. The order of iteration is by id everywhere, so that all nodes show the same.
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    /// Those of them that are suspected or failed: few, and asked for often.
    pub(crate) unwell: BTreeSet<NodeId>,
    /// Whose replicas they are.
    pub(crate) replicas: Replicas,
    pub(crate) slots: SlotMap,
    pub(crate) links: BTreeMap<LinkId, Link>,
    pub(crate) outbound_count: u64,
    /// Largest epoch seen. Invariant: `config_epoch of any node <= current_epoch`.
    pub(crate) current_epoch: Epoch,
    /// Epoch of my last vote. Invariant: `last_vote_epoch <= current_epoch`.
    pub(crate) last_vote_epoch: Epoch,
    /// The failover that made me primary, for as long as I am it: what the record beside the file says of it.
    pub(crate) victory: Option<Victory>,
    pub(crate) health: HealthWatch,
    pub(crate) homecoming: Homecoming,
    pub(crate) election: Election,
    /// When the latest request for votes of somebody else was heard.
    pub(crate) request_heard: Option<Mono>,
    pub(crate) manual: Manual,
    /// Votes for a handover that writes are not held for yet.
    pub(crate) canvass: Option<Canvass>,
    pub(crate) voters: Voters,
    pub(crate) lease: Lease,
    pub(crate) leave: Leave,
    pub(crate) blacklist: Blacklist,
    pub(crate) complaints: Complaints,
    pub(crate) rng: Rng,
    pub(crate) todo: Todo,
    pub(crate) stats: Stats,
    pub(crate) debug: DebugHooks,
    /// When the periodic work is due next.
    pub(crate) cron_due: Mono,
    pub(crate) cron_runs: u64,
    /// When the next node that fell silent is to be tried again (see `silenced`).
    pub(crate) probe_due: Mono,
    /// All for whom that may be due some time, and perhaps some more.
    pub(crate) restless: BTreeSet<NodeId>,
    /// The time of the latest input.
    last_handled: Mono,
    /// The dates of what is shown and gossiped.
    calendar: Calendar,
    /// Until when this node, having stood still, hears the others before it stands for anything.
    pub(crate) listen_until: Mono,
    /// Where the data plane was told to replicate from: node and address.
    pub(crate) replicating: Option<(NodeId, String, u16)>,
    /// The loaded dataset has been compared with the slot map (cluster-bus 6.6).
    pub(crate) data_agreed: bool,
    /// Candidates that don't get my vote (see [`Input::RefuseVotes`]).
    pub(crate) refused: Vec<NodeId>,
    /// Whom my latest vote went to, and when; empty if this process cast none.
    pub(crate) voted_for: Option<(NodeId, Mono)>,
    /// Durable writes work. While false this node neither votes nor stands (S8).
    pub(crate) persist_ok: bool,
    /// What elections have to know of acknowledged writes.
    pub(crate) quorum_writes: QuorumWrites,
    topology: Arc<Topology>,
    /// The version of the slot map that it shows.
    shown_slots: Option<u64>,
    effects: VecDeque<Effect>,
}

impl Cluster {
    /// Starts the machine. The first effects save a fresh identity and publish the first topology.
    pub fn new(settings: Settings, boot: Boot, seed: u64, now: Mono, wall: WallMs) -> Cluster {
        let mut rng = Rng::new(seed);
        let me = match &boot {
            Boot::Fresh => NodeId::random(&mut rng),
            Boot::Restored(restored) => restored.me,
        };
        let shard = ShardId::random(&mut rng);
        let myself = Node::new(me, shard, OWN_FLAGS | NodeFlags::PRIMARY, now);
        let mut cluster = Cluster {
            settings,
            me,
            nodes: BTreeMap::from([(me, myself)]),
            unwell: BTreeSet::new(),
            replicas: Replicas::default(),
            slots: SlotMap::new(),
            links: BTreeMap::new(),
            outbound_count: 0,
            current_epoch: Epoch(0),
            last_vote_epoch: Epoch(0),
            victory: None,
            health: HealthWatch::new(),
            homecoming: Homecoming::default(),
            election: Election::default(),
            request_heard: None,
            manual: Manual::Idle,
            canvass: None,
            voters: Voters::default(),
            lease: Lease::default(),
            leave: Leave::default(),
            blacklist: Blacklist::default(),
            complaints: Complaints::default(),
            rng,
            todo: Todo::default(),
            stats: Stats::default(),
            debug: DebugHooks::default(),
            cron_due: now,
            cron_runs: 0,
            probe_due: Mono::NEVER,
            restless: BTreeSet::new(),
            last_handled: now,
            calendar: Calendar::new(now, wall),
            listen_until: now,
            replicating: None,
            data_agreed: false,
            refused: Vec::new(),
            voted_for: None,
            persist_ok: true,
            quorum_writes: QuorumWrites::default(),
            topology: Arc::new(Topology::alone(me, shard)),
            shown_slots: None,
            effects: VecDeque::new(),
        };
        match boot {
            Boot::Fresh => cluster.log(LogLevel::Notice, format!("No cluster configuration found, I'm {me}")),
            Boot::Restored(restored) => {
                cluster.restore(*restored, now);
                cluster.come_home();
                cluster.know_no_promises(now);
            }
        }
        cluster.refresh_own_announcement();
        cluster.todo.save_durably();
        cluster.todo.publish = true;
        cluster.finish(&Turn { now, wall, calendar: cluster.calendar, facts: Facts::empty() });
        cluster
    }

    /// Lets one event happen. `now` must never go back; `wall` is only shown and gossiped.
    pub fn handle(&mut self, now: Mono, wall: WallMs, facts: &Facts<'_>, input: Input) {
        self.calendar.read(now, wall);
        let turn = Turn { now, wall, calendar: self.calendar, facts: *facts };
        if now.since(self.next_wake()) >= STOOD_MIN {
            self.listen_until = now + LISTEN;
        }
        self.last_handled = now;
        self.watch_acks(&turn);
        match input {
            Input::Tick => {}
            Input::LinkOpened { link, local_ip } => self.on_link_opened(&turn, link, local_ip),
            Input::LinkAccepted { link, peer_ip, local_ip } => {
                self.links.insert(link, Link::inbound(peer_ip, local_ip, now, wall));
            }
            Input::LinkFailed { link, why } => self.on_link_failed(&turn, link, why),
            Input::LinkClosed { link } => self.on_link_closed(&turn, link),
            Input::Received { link, bytes } => self.on_received(&turn, link, &bytes),
            Input::Command { token, origin, command } => {
                let result = self.run_command(&turn, &origin, command);
                self.todo.replies.push(Effect::Reply { token, result });
            }
            Input::SettingsChanged(settings) => self.on_settings_changed(*settings),
            Input::WritesPaused { offset } => self.on_writes_paused(&turn, offset),
            Input::ServiceEnded => self.end_service(),
            Input::RefuseVotes(candidates) => self.refused = candidates,
            Input::Canvass { replica } => self.ask_to_canvass(replica),
            Input::StandStill { heir } => self.stand_still(&turn, heir),
            Input::Recall { replica } => self.recall(replica),
            Input::GoOn => self.go_on(),
            Input::Publish { channel, message, sharded } => self.on_publish(&turn, channel, message, sharded),
            Input::DataLoaded { offset } => self.on_loaded(&turn, offset),
            Input::DataProgress => self.todo.failover = true,
            Input::PersistOutcome { ok } => self.persist_ok = ok,
            Input::AcksFrozen(frozen) => self.on_acks_frozen(&turn, frozen),
            Input::StatsReset => {
                self.stats = Stats::default();
                self.lease.reset_stats();
            }
        }
        if now >= self.cron_due {
            self.run_cron(&turn);
        }
        self.probe_silenced(&turn);
        self.run_homecoming(&turn);
        self.run_lease(&turn);
        self.run_canvass(&turn);
        self.finish(&turn);
    }

    /// The next effect to carry out, oldest first.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Until when [`Input::Tick`] must be given.
    pub fn next_wake(&self) -> Mono {
        // A deadline that passed without the election being sent waits for a fact to change; the periodic run looks again.
        let ahead = self.election.wake().filter(|at| *at > self.last_handled);
        let ahead = ahead.unwrap_or(Mono::NEVER).min(self.canvass_wake());
        ahead.min(self.cron_due).min(self.probe_due).min(self.lease_wake())
    }

    /// The time of the latest input.
    pub(crate) fn last_handled(&self) -> Mono {
        self.last_handled
    }

    /// The newest published picture.
    pub fn topology(&self) -> Arc<Topology> {
        Arc::clone(&self.topology)
    }

    /// Identity of this node.
    pub fn id(&self) -> NodeId {
        self.me
    }

    /// Shard of this node.
    pub fn shard(&self) -> ShardId {
        self.myself().shard
    }

    /// currentEpoch.
    pub fn current_epoch(&self) -> Epoch {
        self.current_epoch
    }

    /// lastVoteEpoch.
    pub fn last_vote_epoch(&self) -> Epoch {
        self.last_vote_epoch
    }

    /// Whom the latest vote of this process went to.
    pub fn voted_for(&self) -> Option<NodeId> {
        self.voted_for.map(|(candidate, _)| candidate)
    }

    /// Whether the other voters are enough to elect somebody, so that this node's vote is not needed.
    pub fn majority_without_me(&self) -> bool {
        self.majority_without(&self.me)
    }

    /// The configuration epoch of this node's slots: its own, or its primary's.
    pub fn config_epoch(&self) -> Epoch {
        self.effective_epoch(&self.me)
    }

    /// Whether this node is a primary.
    pub fn is_primary(&self) -> bool {
        self.myself().is_primary()
    }

    /// Whether it matters how far the stream of my primary is applied: then [`Input::DataProgress`] is wanted for each
    /// piece of it.
    pub fn awaits_progress(&self) -> bool {
        matches!(self.manual, Manual::CatchingUp { .. }) || self.manual.is_ready()
    }

    /// Whether this node asked for a manual failover, was told to take over, or serves such a request.
    pub fn is_in_manual_failover(&self) -> bool {
        !matches!(self.manual, Manual::Idle)
    }

    /// How many known nodes this one has no open link to, suspects, holds for failed, or was told to be out of reach.
    pub fn doubted(&self) -> usize {
        let expired = self.last_handled - self.settings.twice_node_timeout();
        let reported = |n: &Node| n.reports.values().any(|at| *at > expired);
        let doubtful = |n: &&Node| !n.healthy() || reported(n) || self.open_outbound(&n.id).is_none();
        self.nodes.values().filter(|n| !n.is_myself()).filter(doubtful).count()
    }

    /// Whether there is a link with this node, in either direction.
    pub fn is_linked(&self, id: &NodeId) -> bool {
        self.open_outbound(id).is_some() || self.nodes.get(id).is_some_and(|n| n.inbound.is_some())
    }

    /// Whether the peer of a link is a known node: one that I met or was told of, and not only one that wants to meet me.
    pub fn knows_peer(&self, link: LinkId) -> bool {
        let node = self.links.get(&link).and_then(|l| l.node).and_then(|id| self.nodes.get(&id));
        node.is_some_and(|n| !n.in_handshake())
    }

    /// Whether a replica of this node that has data is there: connected in both directions and not suspected.
    pub fn has_living_replica(&self) -> bool {
        let lives = |n: &Node| n.healthy() && n.inbound.is_some() && self.open_outbound(&n.id).is_some();
        self.replicas_of(self.me).any(|n| lives(n) && n.offset > Offset(0))
    }

    /// Bus links in both directions, as `cluster_connections` counts them.
    pub fn link_count(&self) -> usize {
        self.links.len()
    }

    pub(crate) fn myself(&self) -> &Node {
        &self.nodes[&self.me]
    }

    pub(crate) fn myself_mut(&mut self) -> &mut Node {
        self.nodes.get_mut(&self.me).expect("this node is always in its own table")
    }

    pub(crate) fn node(&self, id: &NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// My primary, if I am a replica and know it.
    pub(crate) fn my_primary(&self) -> Option<&Node> {
        self.myself().primary.and_then(|id| self.nodes.get(&id))
    }

    /// Me if I am a primary, else my primary: the node whose slots I serve or would inherit.
    pub(crate) fn my_head(&self) -> NodeId {
        self.myself().primary.unwrap_or(self.me)
    }

    /// Its own configuration epoch if it is a primary, else its primary's.
    pub(crate) fn effective_epoch(&self, id: &NodeId) -> Epoch {
        let Some(node) = self.nodes.get(id) else { return Epoch(0) };
        node.primary.and_then(|p| self.nodes.get(&p)).unwrap_or(node).config_epoch
    }

    /// Number of primaries with slots, failed ones included.
    pub(crate) fn size(&self) -> usize {
        self.slots.owner_count()
    }

    pub(crate) fn same_shard(&self, a: &NodeId, b: &NodeId) -> bool {
        match (self.nodes.get(a), self.nodes.get(b)) {
            (Some(a), Some(b)) => a.shard == b.shard,
            _ => false,
        }
    }

    /// `id (name)` as log lines name a node.
    pub(crate) fn named(&self, id: &NodeId) -> String {
        format!("{id} ({})", self.name_of(id))
    }

    /// The name of a node in log lines.
    pub(crate) fn name_of(&self, id: &NodeId) -> String {
        self.nodes.get(id).map_or_else(String::new, |n| n.log_name(self.settings.tls_cluster))
    }

    pub(crate) fn log(&mut self, level: LogLevel, text: String) {
        self.effects.push_back(Effect::Log { level, text });
    }

    pub(crate) fn emit(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(crate) fn publish_topology(&mut self) {
        let slots_changed = self.shown_slots != Some(self.slots.changes());
        self.topology = Arc::new(self.build_topology(&self.topology, slots_changed));
        self.shown_slots = Some(self.slots.changes());
        self.emit(Effect::PublishTopology(Arc::clone(&self.topology)));
    }

    fn restore(&mut self, restored: Restored, now: Mono) {
        for notice in restored.notices {
            self.log(LogLevel::Notice, notice);
        }
        for line in restored.nodes {
            let shard = line.shard.unwrap_or_else(|| ShardId::random(&mut self.rng));
            let mut node = Node::new(line.id, shard, line.flags, now);
            node.shard_told = line.shard.is_some();
            node.address = line.address;
            node.labels = Arc::new(line.labels);
            node.primary = line.primary;
            node.config_epoch = line.config_epoch;
            node.ping_sent = line.ping_outstanding.then_some(now);
            node.pong_received = line.pong_seen.then_some(now);
            node.fail_time = node.failed().then_some(now);
            if line.id == self.me {
                node.flags |= OWN_FLAGS;
                node.flags.remove(NodeFlags::PFAIL | NodeFlags::FAIL);
            }
            self.slots.assign_all(&line.slots, line.id);
            self.nodes.insert(line.id, node);
            self.note_wellness(&line.id);
            self.note_primary(&line.id);
        }
        self.agree_on_replica_slots();
        self.slots.migrating = restored.migrating;
        self.slots.importing = restored.importing;
        self.current_epoch = restored.current_epoch;
        self.last_vote_epoch = restored.last_vote_epoch;
        self.victory = restored.victory;
        self.voters = restored.voters;
        if self.victory.is_some_and(|won| !self.is_primary() || self.myself().config_epoch < won.epoch) {
            self.forget_victory();
        }
        self.log(LogLevel::Notice, format!("Node configuration loaded, I'm {}", self.me));
    }

    /// What the record beside the file is to say.
    pub(crate) fn epoch_record(&self) -> EpochRecord {
        let (node, current, last_vote) = (self.me, self.current_epoch, self.last_vote_epoch);
        EpochRecord { node, current, last_vote, victory: self.victory }
    }

    /// What I won isn't mine any more: the record must not give it back to me after some later change of role.
    pub(crate) fn forget_victory(&mut self) {
        if self.victory.take().is_some() {
            self.todo.renew_record();
        }
    }

    /// A file written by hand or by another release may give a replica slots or no role; a slot without a primary as
    /// its owner would break the quorum arithmetic, so it becomes free.
    fn agree_on_replica_slots(&mut self) {
        if !self.myself().is_replica() {
            self.myself_mut().set_primary_role();
            self.note_primary(&{ self.me });
        }
        let owners: Vec<NodeId> = self.slots.owners().map(|(id, _)| *id).collect();
        for id in owners {
            if !self.nodes[&id].is_primary() {
                self.slots.unassign_all(&id);
            }
        }
    }
}
