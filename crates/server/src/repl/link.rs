//! The link thread: follows this node's primary. It drives the link machine with what happens on the connection and does
//! what the machine asks for; snapshots are loaded aside, the stream is applied unit by unit. Decides nothing about roles.

mod execute;
pub mod load;
pub(super) mod replay;
mod scripted;
pub(super) mod stream;
mod wire;

use std::io;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use baton_base::{Mono, Offset};
use baton_cluster::{ClusterCommand, Origin};
use baton_config::Id;
use baton_node::{Resync, Sight};
use baton_replication::link::{self as machine, ConnId, Effect, Input, Payload, Position, ReplicaLink, Start};
use mio::{Events, Poll, Token};

use super::{FeederMessage, Follow, LinkMessage, Settling, role, write_log};
use crate::conn::Moved;
use crate::control::{ControlMessage, ReplyTo, TakeoverNews};
use crate::mailbox::{Inbox, Mailbox, mailbox};
use crate::shared::Shared;
use crate::slot_jobs::import;
use crate::world::World;
use execute::{Applier, Mandate, Stale};
use load::{Load, Loaded, Progress};
use stream::Stream;
use wire::{NotConnected, Phase, Wire};

/// Bytes received in one turn before messages and timers are looked at.
const TURN_BYTES: usize = 1 << 20;
const READ_BYTES: usize = 128 * 1024;
/// How often what INFO shows is renewed.
const SHOW_PERIOD: Duration = Duration::from_millis(500);
/// Never the number of a connection: those begin at 1.
const INBOX: Token = Token(0);

/// The outside half of the thread.
pub struct Seed {
    poll: Poll,
    inbox: Inbox<LinkMessage>,
}

/// Makes the mailbox of the thread.
pub fn seed() -> io::Result<(Mailbox<LinkMessage>, Seed)> {
    let poll = Poll::new()?;
    let (to, inbox) = mailbox(poll.registry(), INBOX)?;
    Ok((to, Seed { poll, inbox }))
}

/// Runs the thread until it is told to stop.
pub fn run(shared: Arc<Shared>, seed: Seed) {
    let mut events = Events::with_capacity(16);
    let settings = link_settings(&shared.world.peek());
    let mut link = Link {
        machine: ReplicaLink::new(settings),
        applier: Applier::new(&shared),
        poll: seed.poll,
        inbox: seed.inbox,
        epoch: 0,
        wire: None,
        load: None,
        loaded: None,
        settling: None,
        stream: None,
        shown_up: false,
        show_at: Mono::ZERO,
        shared,
    };
    let mut buf = vec![0; READ_BYTES];
    while link.turn(&mut events, &mut buf) {}
}

struct Link {
    shared: Arc<Shared>,
    poll: Poll,
    inbox: Inbox<LinkMessage>,
    machine: ReplicaLink,
    applier: Applier,
    /// The order to follow that this is about.
    epoch: u64,
    wire: Option<Wire>,
    /// A snapshot that is being received.
    load: Option<Load>,
    /// A snapshot that is complete and about to be taken over.
    loaded: Option<Loaded>,
    /// Who waits for the rest of the stream. Whoever asked before the latest one waits no more.
    settling: Option<Settling>,
    /// The stream, while it flows.
    stream: Option<Stream>,
    /// Whether the others were told that the link is up.
    shown_up: bool,
    show_at: Mono,
}

impl Link {
    /// Waits for something to do and does it. False when told to stop.
    fn turn(&mut self, events: &mut Events, buf: &mut [u8]) -> bool {
        let timeout = self.timeout();
        let polled = self.poll.poll(events, timeout);
        if let Err(e) = polled.or_else(crate::repl::unless_interrupted) {
            self.shared.log.warning(&format!("Polling for the primary failed: {e}"));
            return false;
        }
        for event in &*events {
            let Some(wire) = self.wire.as_mut().filter(|w| w.token() == event.token()) else { continue };
            wire.readable |= event.is_readable() || event.is_error() || event.is_read_closed();
            if wire.phase == Phase::Connecting {
                self.finish_connect();
            } else if event.is_writable() {
                wire.flush();
            }
        }
        if !self.on_messages() {
            return false;
        }
        drop(self.shared.standstill.lock());
        self.read(buf);
        self.settle();
        if self.now() >= self.machine.deadline() {
            self.handle(Input::Tick);
        }
        self.show();
        true
    }

    /// Answers whoever waits for the rest of the stream, once the kernel has no more of it and its end is reached. One that
    /// broke off does not go on: the old primary asks to follow this node, and gives its stream to nobody new.
    fn settle(&mut self) {
        let more = self.wire.as_ref().is_some_and(|w| w.readable && w.phase == Phase::Open);
        let (here, flows) = (self.shared.journal.end(), self.stream.is_some());
        if let Some(settling) = self.settling.take_if(|waits| !more && (here >= waits.end || !flows)) {
            // Whoever stopped waiting meanwhile has gone on without.
            let _ = settling.done.send(());
        }
    }

    fn now(&self) -> Mono {
        self.shared.clock.mono()
    }

    fn timeout(&self) -> Option<Duration> {
        if self.wire.as_ref().is_some_and(|w| w.readable && w.phase == Phase::Open) {
            return Some(Duration::ZERO);
        }
        let next = if self.machine.is_started() { self.machine.deadline().min(self.show_at) } else { Mono::NEVER };
        (next < Mono::NEVER).then(|| next.since(self.now()))
    }

    fn on_messages(&mut self) -> bool {
        for message in self.inbox.drain().collect::<Vec<_>>() {
            match message {
                LinkMessage::Follow(follow) => self.follow(*follow),
                LinkMessage::StopFollowing => self.handle(Input::Stop),
                LinkMessage::Reconnect => {
                    if let Some(conn) = self.wire.as_ref().map(|w| w.id) {
                        self.handle(Input::Lost { conn, resumable: true });
                    }
                }
                LinkMessage::SettingsChanged => self.machine.set_settings(link_settings(&self.shared.world.peek())),
                LinkMessage::AckNow => {
                    self.machine.fsynced(self.shared.aof.fsynced());
                    self.handle(Input::AckNow);
                }
                LinkMessage::Settle(settling) => {
                    // An event may not have come yet for what is there already.
                    self.wire.iter_mut().for_each(|w| w.readable = true);
                    self.settling = Some(settling);
                }
                LinkMessage::Resolved { conn, addrs } => self.resolved(ConnId(conn), addrs),
                LinkMessage::Stop => {
                    self.handle(Input::Stop);
                    return false;
                }
            }
        }
        true
    }

    fn follow(&mut self, follow: Follow) {
        let Follow { host, port, resume, was_primary, takeover, epoch } = follow;
        self.epoch = epoch;
        self.machine.set_settings(link_settings(&self.shared.world.peek()));
        self.handle(Input::Start(Start { host, port, resume, was_primary, takeover }));
    }

    /// Gives the machine an event and does what it asks for.
    fn handle(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.look_at_freeze();
        self.machine.handle(self.now(), input, &mut effects);
        self.act(effects);
    }

    /// Whether acknowledgements may be sent now. Looked at behind the position that they would carry, so that whoever froze
    /// them and looks at the offset then finds nothing acknowledged beyond it.
    fn look_at_freeze(&mut self) {
        self.machine.set_acks_frozen(self.shared.repl.acks_frozen.load(Ordering::SeqCst));
    }

    fn act(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Log(line) => write_log(&self.shared.log, &line),
                Effect::Connect { conn, host, port } => {
                    // To a transaction that cut the link it stays cut.
                    drop(self.shared.gate.enter(self.shared.link_lane()));
                    self.connect(conn, &host, port);
                }
                Effect::Close(conn) => self.close(conn),
                Effect::Send { conn, bytes } => {
                    if let Some(wire) = self.wire.as_mut().filter(|w| w.id == conn) {
                        wire.send(&bytes);
                    }
                }
                Effect::BeginTransfer { conn, payload, .. } => self.begin_transfer(conn, payload),
                Effect::AdoptHistory(position) => {
                    self.adopt_history(position);
                    self.tell_control(ControlMessage::Seen(Sight::Resynced(Resync::Full)));
                }
                Effect::ContinueHistory { replid } => {
                    self.continue_history(replid);
                    self.tell_control(ControlMessage::Seen(Sight::Resynced(Resync::Partial)));
                }
                Effect::StreamStarts { .. } => self.stream_starts(),
                Effect::TakeoverAsked => self.tell_takeover(TakeoverNews::Asked),
                Effect::TakeoverAccepted => self.tell_takeover(TakeoverNews::Accepted),
                Effect::TakeoverRejected => self.tell_takeover(TakeoverNews::Rejected),
                Effect::TakeoverGone => self.tell_takeover(TakeoverNews::Gone),
            }
        }
    }

    fn set_load(&mut self, load: Option<Load>) {
        self.shared.repl.loading_aside.store(load.is_some(), Ordering::Relaxed);
        self.load = load;
    }

    fn begin_transfer(&mut self, conn: ConnId, payload: Payload) {
        self.shared.log.notice("PRIMARY <-> REPLICA sync: Loading DB in memory");
        match Load::new(&self.shared, payload) {
            Ok(load) => self.set_load(Some(load)),
            Err(e) => {
                self.shared.log.warning(&format!("Can't start the loading thread: {e}"));
                self.handle(Input::TransferFailed(conn));
            }
        }
        // Loading may keep this thread from showing it later.
        self.shared.repl.link.store(Arc::new(Some(self.machine.status(self.now()))));
    }

    fn tell_control(&self, message: ControlMessage) {
        self.shared.threads().control.send(message);
    }

    fn tell_takeover(&self, news: TakeoverNews) {
        self.tell_control(ControlMessage::Takeover { news, epoch: self.epoch });
    }

    fn connect(&mut self, conn: ConnId, host: &str, port: u16) {
        let bind = self.shared.world.peek().settings.text(Id::BindSourceAddr).parse().ok();
        self.wire = Some(Wire::new(conn, bind));
        if let Ok(ip) = host.parse::<std::net::IpAddr>() {
            return self.resolved(conn, Ok(vec![(ip, port).into()]));
        }
        // Resolving a name can take seconds, in which orders must be heard.
        let (link, host) = (self.shared.threads().link.clone(), host.to_owned());
        let resolve = move || {
            let addrs = (host.as_str(), port).to_socket_addrs().map(Iterator::collect).map_err(|e| e.to_string());
            link.send(LinkMessage::Resolved { conn: conn.0, addrs });
        };
        if let Err(e) = std::thread::Builder::new().name("baton-resolve".into()).spawn(resolve) {
            self.resolved(conn, Err(e.to_string()));
        }
    }

    fn resolved(&mut self, conn: ConnId, addrs: Result<Vec<std::net::SocketAddr>, String>) {
        let Some(wire) = self.wire.as_mut().filter(|w| w.id == conn) else { return };
        let unresolved = |reason| NotConnected { reason, refused: false };
        let connected = addrs.map_err(unresolved).and_then(|addrs| wire.connect(addrs, self.poll.registry()));
        if let Err(NotConnected { reason, refused }) = connected {
            self.handle(Input::ConnectFailed { conn, reason, refused });
        }
    }

    fn finish_connect(&mut self) {
        let Some(wire) = &mut self.wire else { return };
        let conn = wire.id;
        match wire.finish_connect(self.poll.registry()) {
            Ok(true) => self.handle(Input::Connected(conn)),
            Ok(false) => {}
            Err(NotConnected { reason, refused }) => self.handle(Input::ConnectFailed { conn, reason, refused }),
        }
    }

    fn close(&mut self, conn: ConnId) {
        if let Some(wire) = self.wire.take_if(|w| w.id == conn) {
            wire.end(&self.shared, self.poll.registry());
        }
        self.set_load(None);
        self.stream = None;
    }

    /// Reads what arrived, a bounded amount, and handles it.
    fn read(&mut self, buf: &mut [u8]) {
        let mut total = 0;
        while total < TURN_BYTES {
            let now = self.now();
            let Some(wire) = self.wire.as_mut().filter(|w| w.readable) else { return };
            let conn = wire.id;
            match wire.read(buf) {
                Moved::Bytes(n) => {
                    total += n;
                    wire.count_read(n, now);
                    self.shared.stats.repl_in.add(n as u64);
                    self.shared.repl.heard_us.store(now.as_micros(), Ordering::Relaxed);
                    self.received(conn, &buf[..n]);
                }
                Moved::WouldBlock => wire.readable = false,
                Moved::Closed => return self.handle(Input::Lost { conn, resumable: true }),
            }
        }
    }

    /// Handles received bytes: reply lines, then a snapshot, then stream, in whatever pieces they come.
    fn received(&mut self, conn: ConnId, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.wire.as_ref().is_some_and(|w| w.id == conn) {
            let taken = if self.stream.is_some() {
                self.handle(Input::Heard { conn, bytes: bytes.len() as u64 });
                self.receive_stream(conn, bytes);
                bytes.len()
            } else if self.load.is_some() {
                self.receive_snapshot(conn, bytes)
            } else {
                let mut effects = Vec::new();
                self.look_at_freeze();
                let taken = self.machine.receive(self.now(), conn, bytes, &mut effects);
                let idle = taken == 0 && effects.is_empty();
                self.act(effects);
                if idle {
                    // Nobody waits for anything: whatever this is, it was not asked for.
                    return;
                }
                taken
            };
            bytes = &bytes[taken..];
        }
    }

    fn receive_snapshot(&mut self, conn: ConnId, bytes: &[u8]) -> usize {
        let Some(load) = self.load.take() else { return bytes.len() };
        let (taken, progress) = load.feed(bytes);
        self.handle(Input::Heard { conn, bytes: taken as u64 });
        match progress {
            Progress::More(load) => {
                self.load = Some(load);
                return taken;
            }
            Progress::Complete(loaded) => {
                self.set_load(None);
                self.loaded = Some(*loaded);
                self.handle(Input::TransferDone(conn));
            }
            Progress::Failed(lines) => {
                self.set_load(None);
                lines.iter().for_each(|line| self.shared.log.warning(line));
                self.handle(Input::TransferFailed(conn));
            }
        }
        taken
    }

    /// Applies what is whole.
    fn receive_stream(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(mut stream) = self.stream.take() else { return };
        stream.push(bytes);
        self.show_read(&stream);
        let outcome = self.apply(&mut stream);
        self.show_read(&stream);
        match outcome {
            Ok(()) => self.stream = Some(stream),
            Err(Trouble::Stale) => {}
            Err(Trouble::Corrupt(line)) => {
                self.shared.log.warning(&line);
                self.handle(Input::Lost { conn, resumable: false });
            }
        }
    }

    fn apply(&mut self, stream: &mut Stream) -> Result<(), Trouble> {
        let mut ack = false;
        let mut orders = Vec::new();
        let mut applied = false;
        let outcome = loop {
            match stream.parse() {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(stream::Corrupt(line)) => break Err(Trouble::Corrupt(line)),
            }
            let conn = self.wire.as_ref().and_then(|wire| wire.meta.as_deref());
            match self.applier.apply(stream, Mandate { epoch: self.epoch, conn }) {
                Ok(requests) => {
                    ack |= requests.ack;
                    orders.extend(requests.cluster);
                }
                Err(Stale) => break Err(Trouble::Stale),
            }
            stream.drop_whole();
            applied = true;
        };
        self.shared.aof.before_reply(&self.shared);
        self.insist_on_disk();
        self.machine.applied(self.shared.journal.end(), self.shared.aof.fsynced());
        if outcome != Err(Trouble::Stale) {
            if ack {
                self.handle(Input::AckNow);
            }
            self.order(orders);
            if applied && self.shared.repl.watch_progress.load(Ordering::SeqCst) {
                self.tell_control(ControlMessage::LinkChanged);
            }
        }
        outcome
    }

    /// What a replica acknowledges and can't write to its disk would be lost with it, so it ends, unless it is told to go on.
    fn insist_on_disk(&self) {
        let ignores = || self.shared.world.peek().settings.bool(Id::ReplicaIgnoreDiskWriteErrors);
        if self.shared.aof.status.fails() && !ignores() {
            self.shared.log.warning("Replica was unable to write command to disk.");
            std::process::exit(1);
        }
    }

    /// Hands orders of the primary to the cluster machine.
    fn order(&self, orders: Vec<ClusterCommand>) {
        for command in orders {
            let (origin, reply) = (Origin::PrimaryLink, ReplyTo::Nobody);
            self.tell_control(ControlMessage::Cluster { command, origin, reply });
        }
    }

    /// The snapshot takes over: dataset, history and offset change at one moment.
    fn adopt_history(&mut self, position: Option<Position>) {
        let Some(Loaded { store, facts, open_slots, coming, functions }) = self.loaded.take() else { return };
        let log = &self.shared.log;
        log.notice("PRIMARY <-> REPLICA sync: Swapping active DB with loaded DB");
        let position = position.unwrap_or(Position { replid: role::fresh_id(), offset: Offset(0) });
        let garbage = {
            let _still = self.shared.gate.stop_world();
            if self.shared.repl.epoch.load(Ordering::SeqCst) != self.epoch {
                return;
            }
            let journal = &self.shared.journal;
            let garbage = self.shared.store.replace_contents(store);
            crate::worker::changes::announce_all_from_aside(&self.shared);
            self.shared.scripts.set_functions(functions);
            import::adopt(&self.shared, coming, true);
            self.shared.repl.foreign.store(false, Ordering::Release);
            self.shared.repl.history.lock().adopt(position.replid);
            journal.activate();
            journal.set_position(position.offset);
            journal.set_selected_db(facts.repl_stream_db);
            garbage
        };
        self.shared.threads().feeder.send(FeederMessage::DropAll);
        self.shared.aof.begin_again(&self.shared);
        log.notice("PRIMARY <-> REPLICA sync: Discarding old DB in background");
        self.shared.free_later(garbage);
        self.order(open_slots);
    }

    /// The primary goes on where this node stopped.
    fn continue_history(&self, replid: Option<baton_base::ReplId>) {
        let _still = self.shared.gate.stop_world();
        if self.shared.repl.epoch.load(Ordering::SeqCst) != self.epoch {
            return;
        }
        let end = self.shared.journal.end();
        self.shared.journal.activate();
        if self.shared.repl.history.lock().continue_as(replid, end) {
            self.shared.threads().feeder.send(FeederMessage::DropAll);
        }
    }

    fn stream_starts(&mut self) {
        self.applier = Applier::new(&self.shared);
        self.stream = Some(Stream::new(Arc::clone(&self.shared.world.peek().renames)));
        let now = self.now();
        if let Some(wire) = &mut self.wire {
            wire.show(&self.shared, now);
        }
    }

    fn show_read(&self, stream: &Stream) {
        let read = self.shared.journal.end().plus(stream.waiting_bytes() as u64);
        self.shared.repl.read_offset.store(read.0, Ordering::Relaxed);
    }

    /// Publishes how the link stands: at once when it goes up or down, else now and then.
    fn show(&mut self) {
        let (now, up) = (self.now(), self.machine.is_up());
        if up == self.shown_up && now < self.show_at {
            return;
        }
        self.show_at = now + SHOW_PERIOD;
        self.machine.set_settings(link_settings(&self.shared.world.peek()));
        if self.shared.repl.epoch.load(Ordering::SeqCst) != self.epoch {
            return;
        }
        let status = self.machine.is_started().then(|| self.machine.status(now));
        let down_since = status.as_ref().and_then(|s| s.down_seconds).map(|s| now - Duration::from_secs(s));
        self.shared.repl.link.store(Arc::new(status));
        if up == self.shown_up {
            return;
        }
        self.shown_up = up;
        let down_us = down_since.map_or(u64::MAX, Mono::as_micros);
        self.shared.repl.down_since_us.store(down_us, Ordering::Relaxed);
        let epoch = self.epoch;
        self.shared.change_world(|w| {
            // A promotion may have come in between; it changes the epoch before the world.
            if self.shared.repl.epoch.load(Ordering::SeqCst) == epoch {
                w.link_up = up;
            }
        });
        self.tell_control(ControlMessage::LinkChanged);
    }
}

/// Why applying stopped.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    Stale,
    Corrupt(String),
}

/// What the link has to know of the settings.
fn link_settings(world: &World) -> machine::Settings {
    let s = &world.settings;
    let text = |id| Some(s.text(id)).filter(|t| !t.is_empty()).map(str::to_owned);
    let announced = s.port_of(Id::ReplicaAnnouncePort);
    let password = s.bytes(Id::PrimaryAuth);
    machine::Settings {
        listening_port: if announced == 0 { s.port() } else { announced },
        announce_ip: text(Id::ReplicaAnnounceIp),
        auth: (!password.is_empty())
            .then(|| machine::Auth { user: text(Id::PrimaryUser), password: password.to_vec() }),
        node_id: world.topology.as_ref().map(|t| t.myself().id),
        primary_id: world.topology.as_ref().and_then(|t| t.myself().primary),
        timeout: Duration::from_secs(s.uint(Id::ReplTimeout)),
        ..machine::Settings::default()
    }
}
