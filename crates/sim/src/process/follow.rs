//! The replica's side of replication: the link machine driven over the simulated network, snapshots loaded, the stream
//! applied.

use crate::boot;
use crate::data::{Op, Snapshot};
use crate::event::{AtEnd, Event, Later, Payload, ProcNo};
use crate::io::Io;
use crate::net::{ConnNo, Purpose, Side};
use crate::process::core::Core;
use baton_base::{Mono, NodeId, Offset};
use baton_cluster::FailoverMode;
use baton_node::{ClusterCommand, Input as NodeInput, Origin};
use baton_replication::ReplicaLink;
use baton_replication::link::{ConnId, Effect, Input, Position, Settings, Start};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// How long a silent primary is waited for.
const REPL_TIMEOUT: Duration = Duration::from_secs(5);

/// The way to the primary.
pub(super) struct Following {
    /// The machine.
    pub(super) link: ReplicaLink,
    /// Its connection: the link's name for it, and the world's.
    conn: Option<(ConnId, ConnNo)>,
    /// A snapshot that was received and is being loaded.
    loading: Option<Rc<Snapshot>>,
    /// What arrived behind it.
    behind: VecDeque<(Offset, Rc<Vec<Op>>)>,
    /// When the primary was heard last.
    pub(super) heard_at: Option<Mono>,
    /// Since when the link is down, if it ever stood.
    pub(super) down_since: Option<Mono>,
    was_up: bool,
}

impl Following {
    /// Follows nobody.
    pub(super) fn new(no: ProcNo, id: NodeId) -> Following {
        let settings = Settings {
            listening_port: boot::PORT,
            announce_ip: Some(boot::ip(no)),
            node_id: Some(id),
            timeout: REPL_TIMEOUT,
            ..Settings::default()
        };
        Following {
            link: ReplicaLink::new(settings),
            conn: None,
            loading: None,
            behind: VecDeque::new(),
            heard_at: None,
            down_since: None,
            was_up: false,
        }
    }
}

impl Core {
    /// Follows somebody from now on.
    pub(super) fn follow(&mut self, io: &mut Io, host: String, port: u16, was_primary: bool) {
        let offset = self.data.end();
        let resume = self.complete.then(|| Position { replid: self.history.follow(offset), offset });
        self.drop_transfer();
        self.drive_link(io, Input::Start(Start { host, port, resume, was_primary, takeover: false }));
    }

    fn drop_transfer(&mut self) {
        self.following.loading = None;
        self.following.behind.clear();
    }

    /// Follows nobody any more.
    pub(super) fn unfollow(&mut self, io: &mut Io) {
        self.drop_transfer();
        self.drive_link(io, Input::Stop);
        self.following.down_since = None;
    }

    /// Lets the link see the time.
    pub(super) fn tick_link(&mut self, io: &mut Io) {
        if self.following.link.deadline() <= self.now(io) {
            self.drive_link(io, Input::Tick);
        }
    }

    pub(super) fn drive_link(&mut self, io: &mut Io, input: Input) {
        let mut out = Vec::new();
        self.following.link.handle(self.clock.local(io.now), input, &mut out);
        self.do_link(io, out);
    }

    fn do_link(&mut self, io: &mut Io, effects: Vec<Effect>) {
        for effect in effects {
            self.do_link_effect(io, effect);
        }
        let (now, up) = (self.now(io), self.following.link.is_up());
        if up != self.following.was_up {
            self.following.was_up = up;
            self.following.down_since = (!up).then_some(now);
            io.trace.note(io.now, 60, self.no as u64, u64::from(up), || {
                format!("n{} link {} at {}", self.no, if up { "up" } else { "down" }, self.data.end())
            });
            self.inputs.push_back(NodeInput::Progress);
        }
    }

    fn do_link_effect(&mut self, io: &mut Io, effect: Effect) {
        match effect {
            Effect::Connect { conn, host, .. } => {
                let target = boot::proc_at(&host).expect("addresses are those of processes");
                let caller = (self.no, self.life);
                let number = io.net.connect(&mut io.queue, io.now, Purpose::Replication, caller, target);
                self.following.conn = Some((conn, number));
            }
            Effect::Close(conn) => {
                self.drop_transfer();
                if let Some((_, number)) = self.following.conn.take_if(|(c, _)| *c == conn) {
                    io.net.close(&mut io.queue, io.now, number, Side::Caller, true);
                }
            }
            Effect::Send { conn, bytes } => {
                if let Some((_, number)) = self.following.conn.filter(|(c, _)| *c == conn) {
                    io.net.send(&mut io.queue, io.now, io.now, number, Side::Caller, Payload::Bytes(bytes));
                }
            }
            Effect::AdoptHistory(position) => self.adopt(io, position),
            Effect::ContinueHistory { replid } => {
                if self.history.continue_as(replid, self.data.end()) {
                    self.drop_replicas(io);
                }
            }
            Effect::StreamStarts { from, .. } => {
                if from != self.data.end() {
                    let text = format!("n{} has data up to {} and a stream from {from}", self.no, self.data.end());
                    io.watch.judge(io.now, Err(text));
                }
            }
            Effect::Log(line) => io.trace.say(io.now, || format!("n{} log: {}", self.no, line.text)),
            Effect::BeginTransfer { .. }
            | Effect::TakeoverAsked
            | Effect::TakeoverGone
            | Effect::TakeoverAccepted
            | Effect::TakeoverRejected => {}
        }
    }

    /// The loaded snapshot becomes the dataset.
    fn adopt(&mut self, io: &mut Io, position: Option<Position>) {
        let Position { replid, offset } = position.expect("primaries here say what they send");
        let snapshot = self.following.loading.take().expect("a transfer that ended had a snapshot");
        assert_eq!(snapshot.offset, offset, "the snapshot is of where the primary said");
        self.drop_replicas(io);
        self.history.adopt(replid);
        self.data.restore((*snapshot).clone());
        self.complete = true;
        io.trace.note(io.now, 61, self.no as u64, offset.0, || format!("n{} adopts {replid:?} at {offset}", self.no));
    }

    /// Something happens on a connection that this process made as a replica.
    pub(super) fn on_upstream(&mut self, io: &mut Io, conn: ConnNo, what: AtEnd) {
        let Some((name, _)) = self.following.conn.filter(|(_, number)| *number == conn) else { return };
        match what {
            AtEnd::Opened => self.drive_link(io, Input::Connected(name)),
            AtEnd::Failed { .. } => {
                io.net.close(&mut io.queue, io.now, conn, Side::Caller, true);
                self.drive_link(
                    io,
                    Input::ConnectFailed { conn: name, reason: "Connection refused".to_owned(), refused: true },
                );
            }
            AtEnd::Closed => {
                io.net.close(&mut io.queue, io.now, conn, Side::Caller, true);
                self.drop_transfer();
                self.drive_link(io, Input::Lost { conn: name, resumable: true });
            }
            AtEnd::Data(payload) => {
                self.following.heard_at = Some(self.now(io));
                self.on_upstream_data(io, name, conn, payload);
            }
        }
    }

    fn on_upstream_data(&mut self, io: &mut Io, name: ConnId, conn: ConnNo, payload: Payload) {
        match payload {
            Payload::Bytes(bytes) => {
                let mut out = Vec::new();
                self.following.link.receive(self.clock.local(io.now), name, &bytes, &mut out);
                self.do_link(io, out);
            }
            Payload::Snapshot(snapshot) => {
                self.drive_link(io, Input::Heard { conn: name, bytes: snapshot.bytes() });
                if io.plan.load_in_place {
                    self.complete = false;
                    self.data.restore(Snapshot::default());
                    self.drive_link(io, Input::DataReplaced(name));
                }
                self.following.loading = Some(snapshot);
                let time = io.up_to_us(io.plan.snapshot_max_us);
                io.after(time, Event::Own { proc: self.no, life: self.life, what: Later::Loaded(conn) });
            }
            Payload::Stream { from, ops } if self.following.loading.is_some() => {
                self.following.behind.push_back((from, ops));
            }
            Payload::Stream { from, ops } => self.apply(io, name, from, &ops),
        }
    }

    /// The snapshot of this connection is loaded, if that is still wanted.
    pub(super) fn loaded(&mut self, io: &mut Io, conn: ConnNo) {
        let current = self.following.conn.filter(|(_, number)| *number == conn);
        if let (Some((name, _)), true) = (current, self.following.loading.is_some()) {
            self.drive_link(io, Input::TransferDone(name));
            while let Some((from, ops)) = self.following.behind.pop_front() {
                self.apply(io, name, from, &ops);
            }
        }
    }

    fn apply(&mut self, io: &mut Io, name: ConnId, from: Offset, ops: &[Op]) {
        if from != self.data.end() {
            let text = format!("n{} gets the stream from {from} and is at {}", self.no, self.data.end());
            io.watch.judge(io.now, Err(text));
            return;
        }
        let bytes = ops.iter().map(Op::bytes).sum();
        io.trace.say(io.now, || format!("n{} applies {from}+{bytes}", self.no));
        self.drive_link(io, Input::Heard { conn: name, bytes });
        let mut ack = false;
        for op in ops {
            self.append(io, op.clone());
            match op {
                Op::AskAck => ack = true,
                Op::Order(target) => {
                    let (token, replica_id) = (baton_node::Token(0), Some(target.to_string()));
                    let command = ClusterCommand::Failover { mode: FailoverMode::Force, replica_id };
                    self.inputs.push_back(NodeInput::Command { token, origin: Origin::PrimaryLink, command });
                }
                Op::Set { .. } | Op::Put { .. } | Op::Ping | Op::Delete(_) => {}
            }
        }
        self.following.link.applied(self.data.end(), None);
        if ack {
            self.drive_link(io, Input::AckNow);
        }
        self.inputs.push_back(NodeInput::Progress);
    }
}
