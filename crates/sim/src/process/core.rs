//! A running process: the node, a data plane that is only a model, and its connections. Everything that happens to it
//! comes in as an event; what its node wants done is in `effects`.

use crate::boot;
use crate::clock::Clock;
use crate::data::Dataset;
use crate::disk::{Disk, Image};
use crate::event::{AtEnd, Event, Later, Payload, ProcNo};
use crate::invariant::epochs::Standing;
use crate::io::{Io, Sabotage};
use crate::net::{ConnNo, Purpose, Side};
use crate::process::bus::BusLinks;
use crate::process::feed::Feeder;
use crate::process::follow::Following;
use crate::process::holds::Holds;
use crate::process::serve::Gate;
use baton_base::{Epoch, Mono, NodeId, Offset, ReplId, Rng};
use baton_cluster::conf;
use baton_node::{Boot, ClusterBoot, Facts, Input, Node, Origin, Phase, Settings, Token, Topology};
use baton_replication::History;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Period of the sign of life in the stream.
const PING_PERIOD: Duration = Duration::from_secs(1);

/// Relations inside of the machines are checked after every so manieth event: that costs more than the event itself.
const VALIDATE_EVERY: u64 = 64;

/// See the file.
pub struct Core {
    pub(super) no: ProcNo,
    pub(super) life: u64,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    /// The node under test.
    pub node: Node,
    /// Its data.
    pub data: Dataset,
    /// Which history the data belongs to.
    pub history: History,
    /// The dataset is whole.
    pub complete: bool,
    /// What workers read.
    pub topology: Arc<Topology>,
    /// Replicates from somebody, as the shell understands it.
    pub is_replica: bool,
    pub(super) following: Following,
    pub(super) feeders: BTreeMap<ConnNo, Feeder>,
    pub(super) replicas_changed: bool,
    pub(super) gate: Gate,
    pub(super) holds: Holds,
    /// Those of its shard at the start that clients use.
    slots: Vec<u16>,
    pub(super) bus: BusLinks,
    /// Inputs that follow from effects.
    pub(super) inputs: VecDeque<Input>,
    /// When the latest synchronous write is done: nothing leaves before.
    pub(super) synced_at: Mono,
    ping_due: Mono,
    /// When the next wake event comes.
    pub wake_at: Mono,
    /// It wants to end.
    pub exited: bool,
    tokens: u64,
    observed: u64,
    /// What the invariants were shown of it last.
    shown: Option<(NodeId, Standing)>,
}

impl Core {
    /// Starts.
    pub fn start(io: &mut Io, no: ProcNo, life: u64, clock: Clock, image: Image, mut rng: Rng) -> Core {
        let (now, wall) = (clock.local(io.now), clock.wall(io.now));
        let settings = settings(io, no);
        let state = remembered(&image);
        let cluster = Some(ClusterBoot { settings, state, seed: rng.next_u64() });
        let node = Node::new(Boot { cluster, limits: Default::default() }, now, wall);
        let mut data = Dataset::new(io.plan.backlog_bytes);
        let is_primary = node.is_primary();
        let fresh = ReplId::random(&mut rng);
        let had_data = image.data.is_some();
        let (history, complete) = match image.data {
            Some((replid, snapshot)) => {
                let offset = snapshot.offset;
                data.restore(snapshot);
                let history = if is_primary {
                    History::restored_as_primary(replid, offset, fresh)
                } else {
                    History::restored_as_replica(replid)
                };
                (history, true)
            }
            None => (History::fresh(fresh), is_primary),
        };
        let topology = node.topology().expect("in cluster mode");
        let id = topology.myself().id;
        io.watch.histories.restarted(id, data.end());
        let found = standing(&node);
        let verdict = io.watch.epochs.restarted(id, found);
        io.watch.judge(io.now, verdict);
        let mut holds = Holds::default();
        holds.begin_anew(data.end());
        let mut inputs = VecDeque::new();
        inputs.push_back(Input::DataLoaded { offset: if had_data { data.end() } else { Offset(0) } });
        Core {
            no,
            life,
            clock,
            node,
            data,
            history,
            complete,
            topology,
            is_replica: false,
            following: Following::new(no, id),
            feeders: BTreeMap::new(),
            replicas_changed: false,
            gate: Gate::new(),
            holds,
            slots: boot::slots_used_by(&io.plan, no),
            bus: BusLinks::new(life),
            inputs,
            synced_at: io.now,
            ping_due: now + PING_PERIOD,
            wake_at: Mono::ZERO,
            exited: false,
            tokens: 0,
            observed: 0,
            shown: None,
            rng,
        }
    }

    /// Its own time.
    pub(super) fn now(&self, io: &Io) -> Mono {
        self.clock.local(io.now)
    }

    /// The same, looked at anew.
    pub(super) fn fresh_now(&self, io: &Io) -> Mono {
        Clock { behind: Duration::ZERO, ..self.clock }.local(io.now)
    }

    /// Who it is.
    pub fn id(&self) -> NodeId {
        self.node.cluster().expect("in cluster mode").id()
    }

    /// Takes an event.
    pub fn handle(&mut self, io: &mut Io, disk: &mut Disk, event: Event) {
        match event {
            Event::Conn { conn, side, what } => self.on_conn(io, conn, side, what),
            Event::Own { what, .. } => self.on_own(io, disk, what),
            Event::Request { request, .. } => self.on_request(io, request),
            Event::Command { command, .. } => {
                let (token, origin) = (self.token(), Origin::Client("addr=10.0.1.1:1".to_owned()));
                self.inputs.push_back(Input::Command { token, origin, command: *command });
            }
            Event::Stop { kind, timeout_ms, .. } => {
                let (token, timeout) = (self.token(), Duration::from_millis(timeout_ms));
                self.inputs.push_back(Input::Stop { token, kind, timeout, force: true });
            }
            Event::Abort { .. } => self.inputs.push_back(Input::Abort),
            Event::HandOver { .. } => {
                let (token, timeout) = (self.token(), Duration::from_secs(5));
                self.inputs.push_back(Input::HandOver { token, target: None, timeout });
            }
            _ => unreachable!("this is not for a process"),
        }
        self.settle(io, disk);
    }

    /// Takes an event with the time of a clock that was looked at so long ago.
    pub fn handle_late(&mut self, io: &mut Io, disk: &mut Disk, event: Event, stale: Duration) {
        self.clock.behind = stale;
        self.handle(io, disk, event);
        self.clock.behind = Duration::ZERO;
    }

    fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    /// Gives the node what is waiting for it and does what it wants, until nothing is left.
    pub fn settle(&mut self, io: &mut Io, disk: &mut Disk) {
        loop {
            if self.exited {
                return;
            }
            if let Some(effect) = self.node.poll_effect() {
                self.carry_out(io, disk, effect);
                continue;
            }
            if std::mem::take(&mut self.replicas_changed) {
                let replicas = self.replicas();
                self.inputs.push_back(Input::Replicas(replicas));
            }
            self.obey_freeze(io);
            let Some(input) = self.inputs.pop_front() else { return };
            self.tell(io, input);
        }
    }

    fn tell(&mut self, io: &mut Io, input: Input) {
        let (now, wall) = (self.clock.local(io.now), self.clock.wall(io.now));
        let facts = Facts {
            offset: self.data.end(),
            link_up: self.following.link.is_up(),
            last_interaction: self.following.heard_at,
            link_down_since: self.following.down_since,
            dataset_complete: self.complete,
            loading: false,
            keys: &self.data,
        };
        self.node.handle(now, wall, &facts, input);
    }

    fn on_own(&mut self, io: &mut Io, disk: &mut Disk, what: Later) {
        match what {
            Later::Wake => self.on_wake(io),
            Later::Fenced(number) => self.gate_closed(io, number),
            Later::Saved => self.inputs.push_back(Input::Saved { ok: true }),
            Later::SnapshotMade(conn) => self.send_snapshot(io, conn),
            Later::Loaded(conn) => self.loaded(io, conn),
            Later::Save => {
                self.save(io, disk);
                let again = Duration::from_millis(io.plan.save_period_ms);
                io.after(again, Event::Own { proc: self.no, life: self.life, what: Later::Save });
            }
        }
    }

    fn on_wake(&mut self, io: &mut Io) {
        let now = self.now(io);
        self.tick_link(io);
        self.tick_gate(io);
        self.tick_holds(io);
        if now >= self.ping_due {
            self.ping_due = now + PING_PERIOD;
            self.ping_replicas(io);
        }
        if self.node.next_wake() <= now {
            self.inputs.push_back(Input::Tick);
        }
    }

    /// The earliest of its timers.
    pub fn next_wake(&self) -> Mono {
        let link = self.following.link.deadline();
        self.node.next_wake().min(link).min(self.gate.deadline()).min(self.ping_due).min(self.holds.deadline())
    }

    fn on_conn(&mut self, io: &mut Io, conn: ConnNo, side: Side, what: AtEnd) {
        match io.net.conn(conn).purpose {
            Purpose::Bus => self.on_bus(io, conn, side, what),
            Purpose::Replication if side == Side::Caller => self.on_upstream(io, conn, what),
            Purpose::Replication => self.on_downstream(io, conn, what),
        }
    }

    fn on_bus(&mut self, io: &mut Io, conn: ConnNo, side: Side, what: AtEnd) {
        let local_ip = boot::ip(self.no);
        if side == Side::Callee && matches!(what, AtEnd::Opened) {
            let link = self.bus.accept(conn);
            io.net.conn_mut(conn).end_mut(side).link = Some(link);
            let peer_ip = boot::ip(io.net.conn(conn).end(Side::Caller).proc);
            self.inputs.push_back(Input::LinkAccepted { link, peer_ip, local_ip });
            return;
        }
        let Some(link) = io.net.conn(conn).end(side).link else { return };
        let input = match what {
            AtEnd::Opened => Input::LinkOpened { link, local_ip },
            AtEnd::Data(Payload::Bytes(bytes)) => Input::Received { link, bytes },
            AtEnd::Data(_) => unreachable!("the bus carries packets only"),
            AtEnd::Failed(why) => {
                self.drop_bus(io, conn, side);
                Input::LinkFailed { link, why }
            }
            AtEnd::Closed => {
                self.drop_bus(io, conn, side);
                Input::LinkClosed { link }
            }
        };
        self.inputs.push_back(input);
    }

    /// Closes this end of a bus connection.
    pub(super) fn drop_bus(&mut self, io: &mut Io, conn: ConnNo, side: Side) {
        if let Some(link) = io.net.conn_mut(conn).end_mut(side).link.take() {
            self.bus.remove(link);
            io.net.close(&mut io.queue, io.now, conn, side, true);
        }
    }

    /// Shows the invariants where it stands.
    pub fn observe(&mut self, io: &mut Io) {
        self.observed += 1;
        // What it costs grows with the cluster, and so does the number of events.
        let every = VALIDATE_EVERY.max((io.plan.procs() as u64).pow(2) / 50);
        if self.observed % every == 1
            && let Err(broken) = self.node.validate()
        {
            io.watch.judge(io.now, Err(format!("n{}: {broken}", self.no)));
        }
        let id = self.id();
        let standing = standing(&self.node);
        // Hardly any event changes it, and there are many of them.
        if self.shown != Some((id, standing)) {
            self.shown = Some((id, standing));
            let verdict = io.watch.epochs.note(id, standing);
            io.watch.judge(io.now, verdict);
            io.watch.names.insert(self.no, id);
        }
        // While a snapshot replaces the data in place there is none to speak of.
        if self.complete {
            let strict = io.watch.strict;
            let verdict = io.watch.histories.note(id, self.data.end(), strict);
            io.watch.judge(io.now, verdict);
            let keep = strict || (io.plan.keeps_writes() && io.watch.readable.is_owed(&self.slots));
            let verdict = io.watch.histories.note_keys(id, !self.data.keys().is_empty(), keep);
            io.watch.judge(io.now, verdict);
        }
    }

    /// Ends: all its connections break, which the others hear of if only the process is gone.
    pub fn die(&mut self, io: &mut Io, heard: bool) {
        for conn in 0..io.net.len() {
            for side in [Side::Caller, Side::Callee] {
                let end = io.net.conn(conn).end(side);
                if end.proc == self.no && end.life == self.life && end.open {
                    io.net.close(&mut io.queue, io.now, conn, side, heard);
                }
            }
        }
        let id = self.id();
        io.watch.votes.forget_unsent(id, io.now);
        io.watch.epochs.died(id, io.now);
        for request in self.gate.take_held() {
            if heard {
                self.reset_client(io, request);
            }
        }
    }

    /// Its place.
    pub fn place(&self) -> ProcNo {
        self.no
    }

    /// Whether the stream of its primary flows.
    pub fn is_linked(&self) -> bool {
        self.following.link.is_up()
    }

    /// Whether the stream of a primary ever flowed into this process.
    pub fn has_followed(&self) -> bool {
        self.is_linked() || self.following.down_since.is_some()
    }

    /// Whether it serves in peace: nothing is handed over, nothing is held.
    pub fn is_at_rest(&self) -> bool {
        self.node.phase() == Phase::Idle && self.gate.is_open() && self.inputs.is_empty()
    }

    /// Its whole dataset, as a position in a history.
    pub fn position(&self) -> (ReplId, Offset) {
        (self.history.replid, self.data.end())
    }
}

/// What a process is told by its configuration file.
fn settings(io: &Io, no: ProcNo) -> Settings {
    let settings = Settings {
        port: boot::PORT,
        bus_port: boot::BUS_PORT,
        node_timeout_ms: io.plan.node_timeout_ms,
        detect_silence_ms: io.plan.detect_silence_ms,
        announce_ip: boot::ip(no),
        nodename: boot::name(no),
        witness: io.plan.is_witness(no),
        restart_wait_ms: io.plan.restart_wait_ms,
        manual_failover_timeout_ms: io.plan.failover_timeout_ms,
        lease: io.plan.lease,
        write_ack_replicas: match io.sabotage {
            Some(Sabotage::NoElectionRule) => 0,
            _ => io.plan.write_ack_replicas,
        },
        ..Settings::default()
    };
    if io.plan.is_upstream(no) { settings.of_upstream() } else { settings }
}

fn standing(node: &Node) -> Standing {
    let cluster = node.cluster().expect("in cluster mode");
    let claim = if cluster.is_primary() { cluster.config_epoch() } else { Epoch(0) };
    Standing { current: cluster.current_epoch(), vote: cluster.last_vote_epoch(), claim }
}

/// What a node remembers of the cluster: its file and its record of epochs, as they survived.
fn remembered(image: &Image) -> baton_cluster::Boot {
    match conf::parse(image.config.as_bytes(), false) {
        Ok(mut restored) => {
            if let Some(record) = &image.epochs {
                restored.merge(record);
            }
            baton_cluster::Boot::Restored(Box::new(restored))
        }
        Err(conf::ConfError::Empty) => baton_cluster::Boot::Fresh,
        Err(error) => panic!("a configuration file of the node's own is bad: {error}\n{}", image.config),
    }
}
