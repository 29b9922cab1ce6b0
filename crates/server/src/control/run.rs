//! The loop of the control thread: sockets, signals, messages and time become inputs of the machines, and every input's
//! effects are carried out before the next one.

use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use baton_base::{Mono, Offset, Slot};
use baton_cluster::{ClusterCommand, Facts, KeyCounts, LinkId, Origin, Token};
use baton_config::Id;
use baton_node::{Input, Node};
use baton_store::{DbIndex, Store};
use mio::{Events, Poll, Token as PollToken};

use super::boot;
use super::bus::{Bus, BusEvent};
use super::message::{Answer, ControlMessage, ReplyTo, ShutdownRequest};
use super::saver::Saver;
use super::shed::ShedLog;
use super::siblings::Place;
use crate::mailbox::{Inbox, Mailbox, mailbox};
use crate::repl::LinkMessage;
use crate::shared::Shared;
use crate::start::StartError;

/// How often a stopping node counts who is still connected.
const COUNT_CLIENTS_EVERY: Duration = Duration::from_millis(10);
/// Where the dataset of a replica comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DataOrigin {
    /// From itself: from its file, or from when it was a primary of the same shard. A process without either has nothing.
    Own,
    /// From a primary of its shard, whose whole dataset it had once. That may be empty.
    Primary,
    /// From another shard.
    Foreign,
}

impl DataOrigin {
    /// Whether a dataset with this place in its history is one to take over with.
    fn is_whole(self, offset: Offset) -> bool {
        match self {
            DataOrigin::Own => offset > Offset(0),
            DataOrigin::Primary => true,
            DataOrigin::Foreign => false,
        }
    }
}

/// A snapshot of which nothing came for longer is not about to be complete.
const SNAPSHOT_SILENT_SECS_MAX: u64 = 2;
const INBOX: PollToken = PollToken(0);
const FIRST_BUS_TOKEN: usize = 1;

/// The control thread.
pub struct Control {
    pub(super) shared: Arc<Shared>,
    pub(super) poll: Poll,
    inbox: Inbox<ControlMessage>,
    pub(super) node: Node,
    pub(super) bus: Option<Bus>,
    pub(super) saver: Option<Saver>,
    pub(super) persist: PersistHealth,
    /// Who waits for which answer of the machines.
    pub(super) waiting: BTreeMap<Token, ReplyTo>,
    next_token: u64,
    pub(super) events: Vec<BusEvent>,
    shed_log: ShedLog,
    /// The shutdown that is going on.
    pub(super) stopping: Option<ShutdownRequest>,
    /// The roles have flipped while stopping: clients are counted until they are gone.
    pub(super) lingering: bool,
    pub(super) exit: Option<ExitCode>,
    /// As a replica: where the dataset comes from.
    pub(super) data_origin: DataOrigin,
    /// The replicas that this node had when it turned to one of them.
    pub(super) siblings: Vec<Place>,
    /// Siblings that are being told of the new primary; waited for before the process ends.
    pub(super) telling: Vec<JoinHandle<()>>,
}

/// How saving the cluster's configuration goes.
#[derive(Default)]
pub(super) struct PersistHealth {
    /// The latest save failed, and the configuration allows to go on.
    pub(super) failed: bool,
    /// Packets of the present queue must not be sent: they would announce what is not durable.
    pub(super) drop_sends: bool,
    /// When the failure was last logged.
    pub(super) logged: Option<Mono>,
}

/// The outside half of the control thread.
pub struct ControlSeed {
    poll: Poll,
    inbox: Inbox<ControlMessage>,
}

/// Makes the mailbox of the control thread.
pub fn seed() -> io::Result<(Mailbox<ControlMessage>, ControlSeed)> {
    let poll = Poll::new()?;
    let (to, inbox) = mailbox(poll.registry(), INBOX)?;
    Ok((to, ControlSeed { poll, inbox }))
}

/// Keys of each slot, for decisions about slots.
pub(super) struct StoreKeys<'a>(pub(super) &'a Store);

impl KeyCounts for StoreKeys<'_> {
    fn keys_in(&self, slot: Slot) -> u64 {
        (0..self.0.databases()).map(|db| self.0.slot_len(DbIndex(db), slot)).sum()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether another dataset is on its way and about to replace this one. A transfer that stands still hides nothing: the
/// dataset in use is whole, and may be the best there is.
fn receives_snapshot(shared: &Shared) -> bool {
    let link = shared.repl.link.load();
    let transfer = link.as_ref().as_ref().and_then(|status| status.transfer.as_ref());
    transfer.is_some_and(|t| t.last_io_seconds <= SNAPSHOT_SILENT_SECS_MAX)
}

impl Control {
    /// Takes the control plane's files and sockets into use.
    pub fn start(shared: Arc<Shared>, seed: ControlSeed, rng_seed: u64) -> Result<Control, StartError> {
        let (boot, files) = boot::boot(&shared, rng_seed)?;
        let bus = match &boot.cluster {
            None => None,
            Some(cluster) => {
                let settings = &shared.world.load().settings;
                let backlog = settings.int(Id::TcpBacklog) as i32;
                let port = cluster.settings.bus_port;
                let listeners = crate::start::listen_tcp(settings, port, backlog, &shared.log).map_err(|_| {
                    let text = format!("Failed listening on port {port} (cluster), aborting.");
                    shared.log.warning(&text);
                    StartError(text)
                })?;
                Some(Bus::new(listeners, seed.poll.registry(), FIRST_BUS_TOKEN)?)
            }
        };
        let saver = match files {
            None => None,
            Some((nodes, epochs)) => {
                let control = Arc::clone(&shared);
                let report = move |outcome| control.threads().control.send(ControlMessage::ConfigSaved(outcome));
                Some(Saver::start(nodes, epochs, report)?)
            }
        };
        let node = Node::new(boot, shared.clock.mono(), shared.clock.wall());
        let mut control = Control {
            shared,
            poll: seed.poll,
            inbox: seed.inbox,
            node,
            bus,
            saver,
            persist: PersistHealth::default(),
            waiting: BTreeMap::new(),
            next_token: 0,
            events: Vec::new(),
            shed_log: ShedLog::default(),
            stopping: None,
            lingering: false,
            exit: None,
            data_origin: DataOrigin::Own,
            siblings: Vec::new(),
            telling: Vec::new(),
        };
        super::stop::hear_signals(&control.shared)?;
        control.carry_out();
        if let Some(topology) = control.node.topology() {
            control.shared.change_world(|w| w.topology = Some(topology));
        }
        Ok(control)
    }

    /// Controls until the server ends; gives its exit code.
    pub fn run(mut self) -> ExitCode {
        let mut events = Events::with_capacity(256);
        loop {
            if let Err(e) = self.poll.poll(&mut events, Some(self.timeout()))
                && e.kind() != io::ErrorKind::Interrupted
            {
                self.shared.log.warning(&format!("Polling in the control thread failed: {e}"));
                return ExitCode::FAILURE;
            }
            self.hear_bus(&events);
            for message in self.inbox.drain().collect::<Vec<_>>() {
                self.on_message(message);
                if let Some(code) = self.exit {
                    return code;
                }
            }
            self.keep_time();
            if let Some(code) = self.exit {
                return code;
            }
        }
    }

    /// Tells the machines where the dataset stands that was loaded, and takes up the role that they decide on: a member of a
    /// cluster learns it here, so before clients are served. What has been deleted since for its age is no progress.
    pub fn take_up_role(&mut self) {
        let foreign = self.shared.repl.foreign.load(Ordering::Acquire);
        if foreign {
            self.data_origin = DataOrigin::Foreign;
        }
        let saved = self.shared.repl.history.lock().second_offset.filter(|_| !foreign);
        let offset = saved.map_or(Offset(0), |next| Offset(next.0.saturating_sub(1)));
        self.feed(Input::DataLoaded { offset });
    }

    fn timeout(&self) -> Duration {
        let now = self.shared.clock.mono();
        let world = self.shared.world.peek();
        let holds = world.holds.next_end().unwrap_or(Mono::NEVER);
        let notices = world.notices.next_due().unwrap_or(Mono::NEVER);
        if self.bus.as_ref().is_some_and(Bus::has_unfinished) {
            return Duration::ZERO;
        }
        let wait = self.node.next_wake().min(holds).min(notices).since(now).min(Duration::from_secs(1));
        // Rounding up to the poll's granularity: waking before the deadline would spin.
        let wait = wait + Duration::from_millis(u64::from(!wait.is_zero()));
        if self.lingering { wait.min(COUNT_CLIENTS_EVERY) } else { wait }
    }

    fn keep_time(&mut self) {
        let now = self.shared.clock.mono();
        if self.node.next_wake() <= now {
            self.feed(Input::Tick);
            self.limit_send_buffers();
            let bytes = self.bus.as_ref().map_or(0, Bus::memory);
            self.shared.stats.bus_link_bytes.set(bytes);
        }
        if self.shared.world.peek().holds.next_end().is_some_and(|end| end <= now) {
            self.shared.change_world(|w| w.holds.expire(now));
        }
        if self.shared.world.peek().notices.next_due().is_some_and(|due| due <= now) {
            self.shared.change_world(|w| w.notices.say_due(now));
        }
        if self.lingering {
            let left = super::stop::clients_left(&self.shared);
            self.feed(Input::ClientsLeft(left));
        }
    }

    /// Ends links on which more waits than `cluster-link-sendbuf-limit` allows.
    fn limit_send_buffers(&mut self) {
        let limit = self.shared.world.peek().settings.uint(Id::ClusterLinkSendbufLimit);
        let Some(bus) = self.bus.as_ref().filter(|_| limit > 0) else { return };
        for link in bus.links_over(limit) {
            let (token, origin) = (self.expect_answer(ReplyTo::Nobody), Origin::Client(String::new()));
            self.feed(Input::Command { token, origin, command: ClusterCommand::DropLink(link) });
        }
    }

    /// Turns what sockets did into inputs.
    fn hear_bus(&mut self, events: &Events) {
        let Some(bus) = &mut self.bus else { return };
        bus.begin_turn(self.poll.registry(), &mut self.events);
        for event in events {
            if event.token() != INBOX {
                bus.on_event(self.poll.registry(), event, &mut self.events);
            }
        }
        self.handle_bus_events();
    }

    /// Feeds the machines what the bus reported, including what carrying out effects makes it report.
    pub(super) fn handle_bus_events(&mut self) {
        while !self.events.is_empty() {
            for event in std::mem::take(&mut self.events) {
                let input = match event {
                    BusEvent::Opened { link, local_ip } => Input::LinkOpened { link, local_ip },
                    BusEvent::Accepted { link, peer_ip, local_ip } => Input::LinkAccepted { link, peer_ip, local_ip },
                    BusEvent::Failed { link, why } => Input::LinkFailed { link, why },
                    BusEvent::Closed { link } => Input::LinkClosed { link },
                    BusEvent::Shed { link, why, peer } => {
                        if let Some(line) = self.shed_log.line(self.shared.clock.mono(), why, &peer) {
                            self.shared.log.warning(&line);
                        }
                        Input::LinkClosed { link }
                    }
                    BusEvent::Packet { link, bytes } => {
                        self.feed_one(Input::Received { link, bytes });
                        self.introduce(link);
                        continue;
                    }
                };
                self.feed_one(input);
            }
        }
    }

    /// Whoever turned out to be a known node is bounded as such.
    fn introduce(&mut self, link: LinkId) {
        let known = |node: &Node| node.cluster().is_some_and(|c| c.knows_peer(link));
        if let Some(bus) = self.bus.as_mut().filter(|bus| bus.is_stranger(link))
            && known(&self.node)
        {
            bus.introduce(link);
        }
    }

    /// Lets one event happen and carries out what follows, bus events that arise from it included.
    pub(super) fn feed(&mut self, input: Input) {
        self.feed_one(input);
        self.handle_bus_events();
    }

    fn feed_one(&mut self, input: Input) {
        let shared = Arc::clone(&self.shared);
        let world = shared.world.load();
        let offset = shared.journal.end();
        if world.link_up {
            self.data_origin = DataOrigin::Primary;
        }
        let keys = StoreKeys(&shared.store);
        let facts = Facts {
            offset,
            link_up: world.link_up,
            last_interaction: shared.repl.heard_at(),
            link_down_since: shared.repl.down_since(),
            dataset_complete: !world.role.is_replica()
                || (self.data_origin.is_whole(offset) && !receives_snapshot(&shared)),
            // Nothing is decided before the dataset is there.
            loading: false,
            keys: &keys,
        };
        self.node.handle(shared.clock.mono(), shared.clock.wall(), &facts, input);
        self.carry_out();
    }

    /// A token for a request that nobody waits for.
    pub(super) fn fresh_token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }

    /// A token under which the answer finds its way back.
    pub(super) fn expect_answer(&mut self, reply: ReplyTo) -> Token {
        let token = self.fresh_token();
        self.waiting.insert(token, reply);
        token
    }

    fn on_message(&mut self, message: ControlMessage) {
        match message {
            ControlMessage::ReplicaOf { target, who, reply } => self.replica_of(target, &who, reply),
            ControlMessage::Cluster { command: ClusterCommand::Failover { .. }, reply, .. }
                if self.stopping.is_some() =>
            {
                // Whoever counted on this node looks for another one as soon as it sees the connection end.
                self.shared.threads().link.send(LinkMessage::StopFollowing);
                reply.answer(&self.shared, Answer::Error("ERR This node is shutting down".into()));
            }
            ControlMessage::Cluster { command, origin, reply } => {
                let token = self.expect_answer(reply);
                self.feed(Input::Command { token, origin, command });
            }
            ControlMessage::Publish { channel, message, sharded, bytes } => {
                self.shared.stats.bus_waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
                self.feed(Input::Publish { channel, message, sharded });
            }
            ControlMessage::Shutdown { request, reply } => self.shutdown(request, reply),
            ControlMessage::ShutdownAbort(reply) => self.abort_shutdown(reply),
            ControlMessage::SettingsChanged => self.on_settings(),
            ControlMessage::ResetStats => self.feed(Input::StatsReset),
            ControlMessage::ReplicasChanged => self.feed_replicas(),
            ControlMessage::LinkChanged => self.feed(Input::Progress),
            ControlMessage::Signal(signal) => self.on_signal(signal),
            ControlMessage::Fenced(offset) => self.feed(Input::Fenced { offset }),
            ControlMessage::Redirected => self.feed(Input::Redirected),
            ControlMessage::ConfigSaved(outcome) => self.note_saved(outcome),
            ControlMessage::PersistOutcome(ok) => self.feed(Input::PersistOutcome { ok }),
            ControlMessage::AcksFrozen(frozen) => self.feed(Input::AcksFrozen(frozen)),
            ControlMessage::Seen(sight) => self.feed(Input::Seen(sight)),
            ControlMessage::Saved(ok) => self.feed(Input::Saved { ok }),
            ControlMessage::Failover { request, reply } => self.begin_failover(&request, reply),
            ControlMessage::FailoverAbort(reply) => self.abort_failover(reply),
            ControlMessage::Takeover { news, epoch } => self.hear_takeover(news, epoch),
            ControlMessage::DropImport(job) => self.drop_import(&job),
            ControlMessage::Promote { who, done } => self.promote_on_request(&who, &done),
        }
    }

    fn on_settings(&mut self) {
        if self.bus.is_none() {
            return;
        }
        let settings = Arc::clone(&self.shared.world.peek().settings);
        match boot::cluster_settings(&settings) {
            Ok(s) => self.feed(Input::SettingsChanged(Box::new(s))),
            Err(e) => self.shared.log.warning(&e.to_string()),
        }
    }
}
