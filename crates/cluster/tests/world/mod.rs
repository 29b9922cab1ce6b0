//! A small world of cluster machines with virtual time: packets take a millisecond, processes stop, hang and come back,
//! replicas follow their primaries. It checks every machine's invariants after every input.

#![allow(dead_code, reason = "each test file uses its own part of the world")]
#![allow(clippy::allow_attributes, reason = "an unused helper is no fault in a shared test module")]

use baton_base::{Mono, NodeId, Offset, Slot, SlotBitmap, WallMs};
use baton_cluster::{
    Boot, Cluster, ClusterCommand, ClusterReply, Effect, EpochRecord, Facts, FailoverMode, Input, LinkFailure, LinkId,
    Origin, Settings, SyncGrant, Token, conf,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

pub(crate) const LATENCY: Duration = Duration::from_millis(1);
/// How long a save that nothing waits for takes to be durable.
const WRITTEN_BACK: Duration = Duration::from_millis(100);
/// The header's bytes that upstream leaves empty (cluster-bus 1.2).
const PRIVATE_ROOM: std::ops::Range<usize> = 2216..2246;
const WALL_START: u64 = 1_700_000_000_000;

/// One process: its machine, its disk and what its data plane would know.
pub(crate) struct Peer {
    pub(crate) cluster: Cluster,
    pub(crate) settings: Settings,
    pub(crate) alive: bool,
    pub(crate) hung: bool,
    pub(crate) offset: u64,
    pub(crate) complete: bool,
    pub(crate) primary: Option<NodeId>,
    pub(crate) link_down_since: Option<Mono>,
    pub(crate) writes_paused: bool,
    /// It knows nothing of what is said beyond upstream's protocol, and says nothing of it.
    pub(crate) upstream: bool,
    /// Until when it may acknowledge writes.
    pub(crate) leased_until: Mono,
    /// When false the data plane never confirms that writes stopped.
    pub(crate) confirms_pause: bool,
    /// When false the data plane never confirms that it acknowledges nothing.
    pub(crate) confirms_freeze: bool,
    /// It was told to.
    pub(crate) acks_frozen: bool,
    pub(crate) keys: SlotBitmap,
    pub(crate) disk: String,
    /// The newest configuration that is durable, and those that will be at some time.
    synced: String,
    written: Vec<(Mono, String)>,
    record: Option<EpochRecord>,
    pub(crate) log: Vec<String>,
    pub(crate) replies: BTreeMap<u64, Result<ClusterReply, String>>,
    pub(crate) effects: Vec<String>,
    pub(crate) delivered: Vec<(Vec<u8>, Vec<u8>, bool)>,
    /// Who confirmed that its leave counts no more.
    pub(crate) recalled: Vec<NodeId>,
    /// Other ends of this peer's links.
    ends: BTreeMap<LinkId, (usize, LinkId)>,
    held: Vec<Input>,
}

pub(crate) struct World {
    pub(crate) peers: Vec<Peer>,
    pub(crate) now: Mono,
    queue: BinaryHeap<Reverse<(Mono, u64, usize)>>,
    inputs: BTreeMap<u64, Input>,
    sequence: u64,
    inbound: u64,
    token: u64,
    /// So many of the next attempts to connect to a dead process find it as it ends.
    pub(crate) resets: u32,
    /// Every packet that was sent: by whom, to whom, and what.
    pub(crate) sent: Vec<(usize, usize, Vec<u8>)>,
    /// Whether they are kept.
    pub(crate) records: bool,
    /// Pairs (from, to) between which nothing gets through.
    pub(crate) cut: Vec<(usize, usize)>,
}

pub(crate) fn settings(index: usize) -> Settings {
    let port = 7000 + u16::try_from(index).unwrap();
    Settings {
        port,
        bus_port: port + 10_000,
        node_timeout_ms: 1000,
        nodename: format!("R{index}"),
        ..Settings::default()
    }
}

impl World {
    pub(crate) fn new(count: usize) -> World {
        World::with(count, |_| {})
    }

    /// A world whose settings are changed by `adjust`.
    pub(crate) fn with(count: usize, adjust: impl Fn(&mut Settings)) -> World {
        let mut world = World {
            peers: Vec::new(),
            now: Mono::from_millis(1000),
            queue: BinaryHeap::new(),
            inputs: BTreeMap::new(),
            sequence: 0,
            inbound: 0,
            token: 0,
            resets: 0,
            sent: Vec::new(),
            records: false,
            cut: Vec::new(),
        };
        for index in 0..count {
            let mut own = settings(index);
            adjust(&mut own);
            world.boot(index, own, Boot::Fresh);
        }
        world
    }

    fn boot(&mut self, index: usize, settings: Settings, boot: Boot) {
        let seed = 100 + index as u64 + self.now.as_micros();
        let cluster = Cluster::new(settings.clone(), boot, seed, self.now, self.wall());
        let peer = Peer {
            cluster,
            settings,
            alive: true,
            hung: false,
            offset: 1,
            complete: true,
            primary: None,
            link_down_since: None,
            writes_paused: false,
            upstream: false,
            leased_until: Mono::NEVER,
            confirms_pause: true,
            confirms_freeze: true,
            acks_frozen: false,
            keys: SlotBitmap::new(),
            disk: String::new(),
            synced: String::new(),
            written: Vec::new(),
            record: None,
            log: Vec::new(),
            replies: BTreeMap::new(),
            effects: Vec::new(),
            delivered: Vec::new(),
            recalled: Vec::new(),
            ends: BTreeMap::new(),
            held: Vec::new(),
        };
        if index < self.peers.len() {
            self.peers[index] = peer;
        } else {
            self.peers.push(peer);
        }
        self.carry_out(index);
    }

    pub(crate) fn wall(&self) -> WallMs {
        WallMs(WALL_START + self.now.as_millis())
    }

    pub(crate) fn id(&self, index: usize) -> NodeId {
        self.peers[index].cluster.id()
    }

    fn index_of(&self, id: NodeId) -> Option<usize> {
        self.peers.iter().position(|p| p.cluster.id() == id)
    }

    fn schedule(&mut self, after: Duration, to: usize, input: Input) {
        self.sequence += 1;
        self.queue.push(Reverse((self.now + after, self.sequence, to)));
        self.inputs.insert(self.sequence, input);
    }

    /// Replicas that can reach their primary have all it has; the others stand still.
    fn replicate(&mut self, index: usize) {
        let Some(primary) = self.peers[index].primary.and_then(|id| self.index_of(id)) else { return };
        let granted = match self.peers[primary].cluster.topology().syncs {
            SyncGrant::Everything => true,
            SyncGrant::NothingLess => self.peers[index].offset <= self.peers[primary].offset,
            SyncGrant::Nothing => false,
        };
        let reachable =
            self.peers[primary].alive && !self.peers[primary].hung && !self.is_cut(primary, index) && granted;
        if reachable {
            self.peers[index].offset = self.peers[primary].offset;
            self.peers[index].complete = true;
            self.peers[index].link_down_since = None;
        } else if self.peers[index].link_down_since.is_none() {
            self.peers[index].link_down_since = Some(self.now);
        }
    }

    fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cut.contains(&(a, b)) || self.cut.contains(&(b, a))
    }

    pub(crate) fn give(&mut self, index: usize, input: Input) {
        if !self.peers[index].alive {
            return;
        }
        if self.peers[index].hung {
            self.peers[index].held.push(input);
            return;
        }
        self.replicate(index);
        let (now, wall) = (self.now, self.wall());
        let peer = &mut self.peers[index];
        let facts = Facts {
            offset: Offset(peer.offset),
            link_up: peer.primary.is_some() && peer.link_down_since.is_none(),
            last_interaction: Some(now),
            link_down_since: peer.link_down_since,
            dataset_complete: peer.complete,
            loading: false,
            keys: &peer.keys,
        };
        peer.cluster.handle(now, wall, &facts, input);
        if let Err(broken) = peer.cluster.validate() {
            panic!("node {index} at {now:?}: {broken}");
        }
        self.carry_out(index);
        let frozen = self.peers[index].cluster.freezes_acks();
        if std::mem::replace(&mut self.peers[index].acks_frozen, frozen) != frozen && self.peers[index].confirms_freeze
        {
            self.schedule(LATENCY, index, Input::AcksFrozen(frozen));
        }
    }

    fn carry_out(&mut self, index: usize) {
        while let Some(effect) = self.peers[index].cluster.poll_effect() {
            self.note(index, &effect);
            match effect {
                Effect::Connect { link, port, .. } => self.connect(index, link, port),
                Effect::Close { link } => self.close(index, link),
                Effect::Send { link, bytes } => self.send(index, link, bytes),
                Effect::SaveConfig { text, sync } => {
                    let durable_at = if sync { self.now } else { self.now + WRITTEN_BACK };
                    self.settle_disk(index);
                    let peer = &mut self.peers[index];
                    peer.written.push((durable_at, text.clone()));
                    peer.disk = text;
                }
                Effect::SaveEpochs(record) => self.peers[index].record = Some(record),
                Effect::BecomeReplicaOf { primary, full_sync, .. } => {
                    let peer = &mut self.peers[index];
                    peer.primary = Some(primary);
                    if full_sync {
                        peer.complete = false;
                    }
                }
                Effect::BecomePrimary => self.peers[index].primary = None,
                Effect::PauseWrites { replica, .. } => {
                    let peer = &mut self.peers[index];
                    peer.writes_paused = true;
                    let offset = Offset(peer.offset);
                    if peer.confirms_pause {
                        let until =
                            self.now + Duration::from_millis(self.peers[index].settings.manual_failover_timeout_ms);
                        self.schedule(LATENCY, index, Input::StandStill { heir: Some((replica, until)) });
                        self.schedule(LATENCY, index, Input::WritesPaused { offset });
                    }
                }
                Effect::Lease { until } => self.peers[index].leased_until = until,
                Effect::ResumeWrites => {
                    self.peers[index].writes_paused = false;
                    self.schedule(LATENCY, index, Input::GoOn);
                }
                Effect::DeleteKeysInSlots(slots) => {
                    for slot in slots.iter() {
                        self.peers[index].keys.remove(slot);
                    }
                }
                Effect::FlushAllData => self.peers[index].keys.clear(),
                Effect::DeliverPublish { channel, message, sharded } => {
                    self.peers[index].delivered.push((channel, message, sharded));
                }
                Effect::Reply { token, result } => _ = self.peers[index].replies.insert(token.0, result),
                Effect::Log { text, .. } => self.peers[index].log.push(text),
                Effect::PublishTopology(_)
                | Effect::UnsubscribeSlots(_)
                | Effect::Note(_)
                | Effect::Canvassed { .. } => {}
                Effect::Recalled { replica } => self.peers[index].recalled.push(replica),
            }
        }
    }

    /// Keeps the order of effects by kind, for tests about order.
    fn note(&mut self, index: usize, effect: &Effect) {
        let word = match effect {
            Effect::Send { bytes, .. } => format!("send {}", baton_wire::Kind::of_packet(bytes).token()),
            Effect::SaveConfig { sync: true, .. } => "save durably".to_owned(),
            Effect::SaveConfig { .. } => "save".to_owned(),
            Effect::SaveEpochs(_) => "save epochs".to_owned(),
            Effect::PublishTopology(t) if t.myself().is_primary => "publish primary".to_owned(),
            Effect::PublishTopology(_) => "publish replica".to_owned(),
            Effect::BecomePrimary => "become primary".to_owned(),
            Effect::BecomeReplicaOf { .. } => "become replica".to_owned(),
            Effect::PauseWrites { .. } => "pause".to_owned(),
            Effect::ResumeWrites => "resume".to_owned(),
            Effect::Reply { .. } => "reply".to_owned(),
            _ => return,
        };
        self.peers[index].effects.push(word);
    }

    fn connect(&mut self, index: usize, link: LinkId, bus_port: u16) {
        let target = self.peers.iter().position(|p| p.settings.bus_port == bus_port && p.alive);
        let Some(target) = target else {
            let ending = self.resets > 0;
            self.resets = self.resets.saturating_sub(1);
            let why = if ending { LinkFailure::Reset } else { LinkFailure::RefusedAtOnce };
            self.schedule(LATENCY, index, Input::LinkFailed { link, why });
            return;
        };
        if self.is_cut(index, target) {
            self.schedule(LATENCY, index, Input::LinkFailed { link, why: LinkFailure::Unreachable });
            return;
        }
        self.inbound += 1;
        let other = LinkId::inbound(self.inbound);
        self.peers[index].ends.insert(link, (target, other));
        self.peers[target].ends.insert(other, (index, link));
        let ip = "127.0.0.1".to_owned();
        self.schedule(LATENCY, index, Input::LinkOpened { link, local_ip: ip.clone() });
        self.schedule(LATENCY, target, Input::LinkAccepted { link: other, peer_ip: ip.clone(), local_ip: ip });
    }

    fn close(&mut self, index: usize, link: LinkId) {
        if let Some((other, end)) = self.peers[index].ends.remove(&link) {
            self.peers[other].ends.remove(&end);
            self.schedule(LATENCY, other, Input::LinkClosed { link: end });
        }
    }

    fn send(&mut self, index: usize, link: LinkId, mut bytes: Vec<u8>) {
        if let Some((other, end)) = self.peers[index].ends.get(&link).copied()
            && !self.cut.contains(&(index, other))
        {
            if self.peers[index].upstream || self.peers[other].upstream {
                bytes.get_mut(PRIVATE_ROOM).into_iter().for_each(|room| room.fill(0));
            }
            if self.records {
                self.sent.push((index, other, bytes.clone()));
            }
            self.schedule(LATENCY, other, Input::Received { link: end, bytes });
        }
    }

    /// Who would acknowledge a write to this slot at this moment, by its own view.
    pub(crate) fn writers(&self, slot: Slot) -> Vec<usize> {
        let writes = |p: &Peer| {
            let topology = p.cluster.topology();
            let serves = topology.myself().is_primary && topology.is_mine(slot) && topology.health.is_ok();
            p.alive && !p.hung && serves && !p.writes_paused && p.leased_until > self.now
        };
        (0..self.peers.len()).filter(|index| writes(&self.peers[*index])).collect()
    }

    /// Lets one thing happen, if it does within this time.
    pub(crate) fn step_within(&mut self, time: Duration) -> bool {
        let end = self.now + time;
        self.step(end) || {
            self.now = end;
            false
        }
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
        self.check_owners();
    }

    fn step(&mut self, end: Mono) -> bool {
        let running = |p: &&Peer| p.alive && !p.hung;
        let wake = self.peers.iter().filter(running).map(|p| p.cluster.next_wake()).min().unwrap_or(Mono::NEVER);
        let event = self.queue.peek().map_or(Mono::NEVER, |Reverse((at, _, _))| *at);
        let next = wake.min(event);
        if next > end {
            return false;
        }
        self.now = self.now.max(next);
        if event <= wake {
            let Reverse((_, sequence, to)) = self.queue.pop().unwrap();
            let input = self.inputs.remove(&sequence).unwrap();
            self.give(to, input);
            return true;
        }
        for index in 0..self.peers.len() {
            let peer = &self.peers[index];
            if peer.alive && !peer.hung && peer.cluster.next_wake() <= self.now {
                self.give(index, Input::Tick);
            }
        }
        true
    }

    /// Runs until something holds; panics when it does not within the limit.
    pub(crate) fn until(&mut self, what: &str, limit: Duration, holds: impl Fn(&World) -> bool) -> Duration {
        let start = self.now;
        while !holds(self) {
            assert!(self.now.since(start) < limit, "not within {limit:?}: {what}\n{}", self.dump());
            self.run(Duration::from_millis(10));
        }
        self.now.since(start)
    }

    fn dump(&mut self) -> String {
        let mut out = String::new();
        for index in 0..self.peers.len() {
            if self.peers[index].alive && !self.peers[index].hung {
                out += &format!("--- {index}\n{}", self.nodes_text(index));
            }
            let from = self.peers[index].log.len().saturating_sub(12);
            out += &(self.peers[index].log[from..].join("\n") + "\n");
        }
        out
    }

    /// No two living primaries claim a slot in one epoch.
    fn check_owners(&self) {
        let mut seen = BTreeMap::new();
        for (index, peer) in self.peers.iter().enumerate().filter(|(_, p)| p.alive && p.cluster.is_primary()) {
            let epoch = peer.cluster.config_epoch();
            let Some(other) = seen.insert(epoch, index).filter(|_| epoch.0 > 0) else { continue };
            let (a, b) = (peer.cluster.topology(), self.peers[other].cluster.topology());
            let both = Slot::all().find(|s| a.is_mine(*s) && b.is_mine(*s));
            assert_eq!(both, None, "nodes {other} and {index} own it in {epoch:?}");
        }
    }

    pub(crate) fn command(&mut self, index: usize, command: ClusterCommand) -> Result<ClusterReply, String> {
        self.command_from(index, Origin::Client("addr=test".to_owned()), command)
    }

    pub(crate) fn command_from(
        &mut self,
        index: usize,
        origin: Origin,
        command: ClusterCommand,
    ) -> Result<ClusterReply, String> {
        self.token += 1;
        let token = Token(self.token);
        self.give(index, Input::Command { token, origin, command });
        self.peers[index].replies.remove(&token.0).expect("every command is answered in its turn")
    }

    /// A primary that holds its writes for five seconds tells a replica to take over.
    pub(crate) fn order(&mut self, primary: usize, replica: usize) {
        let heir = Some((self.id(replica), self.now + Duration::from_secs(5)));
        self.give(primary, Input::StandStill { heir });
        self.hear_order(replica);
    }

    /// A replica finds such an order in its stream.
    pub(crate) fn hear_order(&mut self, replica: usize) {
        let replica_id = Some(self.id(replica).to_string());
        let order = ClusterCommand::Failover { mode: FailoverMode::Force, replica_id };
        self.command_from(replica, Origin::PrimaryLink, order).unwrap();
    }

    pub(crate) fn ok(&mut self, index: usize, command: ClusterCommand) {
        assert_eq!(self.command(index, command), Ok(ClusterReply::Ok));
    }

    pub(crate) fn failover(&mut self, index: usize, mode: FailoverMode) {
        self.ok(index, ClusterCommand::Failover { mode, replica_id: None });
    }

    pub(crate) fn meet(&mut self, from: usize, to: usize) {
        let port = self.peers[to].settings.port;
        let bus_port = self.peers[to].settings.bus_port;
        self.ok(from, ClusterCommand::Meet { ip: "127.0.0.1".to_owned(), port, bus_port });
    }

    pub(crate) fn nodes_text(&mut self, index: usize) -> String {
        match self.command(index, ClusterCommand::Nodes(Default::default())) {
            Ok(ClusterReply::Text(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    /// A field of CLUSTER INFO.
    pub(crate) fn info(&mut self, index: usize, field: &str) -> String {
        let Ok(ClusterReply::Text(text)) = self.command(index, ClusterCommand::Info) else { panic!("no text") };
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_default().to_owned()
    }

    pub(crate) fn slots_reply(&mut self, index: usize) -> ClusterReply {
        self.command(index, ClusterCommand::Slots).unwrap()
    }

    /// How often a text was logged.
    pub(crate) fn logged(&self, index: usize, text: &str) -> usize {
        self.peers[index].log.iter().filter(|line| line.contains(text)).count()
    }

    /// `primaries` nodes share all slots; node i >= primaries replicates node i mod primaries.
    pub(crate) fn form(&mut self, primaries: usize) {
        self.form_with(primaries, self.peers.len() - primaries);
    }

    /// The same with this many replicas; whoever is left holds nothing.
    pub(crate) fn form_with(&mut self, primaries: usize, replicas: usize) {
        let count = self.peers.len();
        for index in 0..count {
            self.ok(index, ClusterCommand::SetConfigEpoch(baton_base::Epoch(index as u64 + 1)));
        }
        for index in 1..count {
            self.meet(0, index);
        }
        self.until("everybody knows everybody", Duration::from_secs(60), |w| {
            w.peers
                .iter()
                .all(|p| p.cluster.topology().nodes.len() == count && p.cluster.link_count() == 2 * (count - 1))
        });
        for index in 0..primaries {
            let slots: Vec<Slot> = Slot::all().filter(|s| s.index() * primaries / Slot::COUNT == index).collect();
            self.ok(index, ClusterCommand::AddSlots(slots));
        }
        for index in primaries..primaries + replicas {
            let primary = self.id(index % primaries).to_string();
            let known = |w: &World| w.peers[index].cluster.topology().nodes.iter().any(|n| n.id.to_string() == primary);
            self.until("the primary is known", Duration::from_secs(10), known);
            self.ok(index, ClusterCommand::Replicate(primary));
        }
        self.until_served("the new cluster");
        self.until("replicas are seen", Duration::from_secs(10), |w| {
            w.peers
                .iter()
                .all(|p| p.cluster.topology().nodes.iter().filter(|n| n.primary.is_some()).count() == replicas)
        });
        self.run(Duration::from_secs(3));
    }

    /// Everybody alive sees the cluster up and agrees on every owner.
    pub(crate) fn until_served(&mut self, what: &str) -> Duration {
        self.until(what, Duration::from_secs(30), World::served)
    }

    pub(crate) fn served(&self) -> bool {
        let mut living = self.peers.iter().filter(|p| p.alive && !p.hung).map(|p| p.cluster.topology());
        let Some(first) = living.next() else { return false };
        // Not every slot is compared: owners are contiguous here, and this is asked a hundred times a second.
        let owner = |t: &baton_cluster::Topology, s| t.owner(s).map(|n| n.id);
        let sample = || Slot::all().step_by(61);
        first.health.is_ok() && living.all(|t| t.health.is_ok() && sample().all(|s| owner(&t, s) == owner(&first, s)))
    }

    /// The process is gone; its sockets say so.
    pub(crate) fn kill(&mut self, index: usize) {
        self.peers[index].alive = false;
        let ends: Vec<(usize, LinkId)> = std::mem::take(&mut self.peers[index].ends).into_values().collect();
        for (other, end) in ends {
            self.peers[other].ends.remove(&end);
            self.schedule(LATENCY, other, Input::LinkClosed { link: end });
        }
    }

    /// The process comes back with what its disk holds.
    pub(crate) fn restart(&mut self, index: usize) {
        let (offset, upstream) = (self.peers[index].offset, self.peers[index].upstream);
        let mut restored = conf::parse(self.peers[index].disk.as_bytes(), false).expect("what was saved can be read");
        let record = self.peers[index].record;
        if let Some(record) = &record {
            restored.merge(record);
        }
        let settings = self.peers[index].settings.clone();
        self.boot(index, settings, Boot::Restored(Box::new(restored)));
        self.peers[index].offset = offset;
        self.peers[index].upstream = upstream;
        self.peers[index].record = record;
    }

    fn settle_disk(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        let durable = peer.written.iter().rposition(|(at, _)| *at <= self.now).map_or(0, |last| last + 1);
        if let Some((_, text)) = peer.written.drain(..durable).next_back() {
            peer.synced = text;
        }
    }

    /// The machine of a process that is gone fails, too: what was not synced is lost.
    pub(crate) fn lose_unsynced(&mut self, index: usize) {
        self.settle_disk(index);
        let peer = &mut self.peers[index];
        peer.written.clear();
        peer.disk.clone_from(&peer.synced);
    }

    pub(crate) fn hang(&mut self, index: usize) {
        self.peers[index].hung = true;
    }

    pub(crate) fn resume(&mut self, index: usize) {
        self.peers[index].hung = false;
        for input in std::mem::take(&mut self.peers[index].held) {
            self.give(index, input);
        }
    }

    /// Somebody says what was said before: on a connection of its own, or on the one that the sender opened.
    pub(crate) fn replay(&mut self, from: usize, to: usize, bytes: Vec<u8>, on_its_link: bool) {
        let own =
            self.peers[from].ends.values().find(|(other, end)| *other == to && end.is_inbound()).map(|(_, end)| *end);
        let link = match own.filter(|_| on_its_link) {
            Some(link) => link,
            None => {
                self.inbound += 1;
                let (link, ip) = (LinkId::inbound(self.inbound), "127.0.0.1".to_owned());
                self.give(to, Input::LinkAccepted { link, peer_ip: ip.clone(), local_ip: ip });
                link
            }
        };
        self.give(to, Input::Received { link, bytes });
    }

    /// Everybody but itself hears from `by` that `index` has failed.
    pub(crate) fn say_failed(&mut self, by: usize, index: usize) {
        let mut header = baton_wire::Header::new(self.id(by));
        header.flags = baton_wire::NodeFlags::PRIMARY;
        header.current_epoch = self.peers[by].cluster.current_epoch();
        header.private = baton_wire::PrivateBlob::new(&[1]).ok();
        let body = baton_wire::Body::Fail { id: self.id(index) };
        let bytes = baton_wire::encode(&baton_wire::Message { header, body });
        let ends: Vec<(usize, LinkId)> = self.peers[by].ends.values().copied().collect();
        for (to, link) in ends.into_iter().filter(|(to, link)| *to != index && link.is_inbound()) {
            self.give(to, Input::Received { link, bytes: bytes.clone() });
        }
    }

    pub(crate) fn is_primary(&self, index: usize) -> bool {
        self.peers[index].cluster.is_primary()
    }

    pub(crate) fn owner_of(&self, viewer: usize, slot: u16) -> Option<usize> {
        let slot = Slot::new(slot).unwrap();
        let id = self.peers[viewer].cluster.topology().owner(slot)?.id;
        self.index_of(id)
    }
}
