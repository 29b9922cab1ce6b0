//! The primary's side of replication: sessions that introduce themselves, snapshots, the stream.

use crate::data::{Op, Snapshot};
use crate::event::{AtEnd, Event, Later, Payload};
use crate::io::{Io, Sabotage};
use crate::net::{ConnNo, Side};
use crate::process::core::Core;
use baton_base::{NodeId, Offset};
use baton_node::{Replica, ReplicaState, SyncGrant};
use baton_replication::ReplicaSession;
use baton_replication::group::SnapshotTarget;
use baton_replication::replconf::ReplconfError;
use baton_replication::session::{Phase, Replconf, ReplconfEnv};
use baton_replication::sync::{ClientView, NodeView, PrimaryLink, SyncDecision, SyncRequest, Withheld, decide};
use baton_resp::{Limits, RequestParser, Step};
use std::rc::Rc;

/// Ends a streamed snapshot.
const MARK: [u8; 40] = [b'm'; 40];

/// One attached or attaching replica.
pub(super) struct Feeder {
    session: ReplicaSession,
    parser: RequestParser,
    input: Vec<u8>,
    /// Up to here the stream was sent; none before it begins.
    sent: Option<Offset>,
    /// What was appended since the cut of its snapshot.
    queued: Vec<Op>,
    snapshot: Option<Rc<Snapshot>>,
}

impl Core {
    /// Something happens on a connection that came to this process.
    pub(super) fn on_downstream(&mut self, io: &mut Io, conn: ConnNo, what: AtEnd) {
        match what {
            AtEnd::Opened => {
                let peer = io.net.conn(conn).end(Side::Caller).proc;
                let feeder = Feeder {
                    session: ReplicaSession::new(conn as u64, Some(crate::boot::ip(peer))),
                    parser: RequestParser::new(),
                    input: Vec::new(),
                    sent: None,
                    queued: Vec::new(),
                    snapshot: None,
                };
                self.feeders.insert(conn, feeder);
            }
            AtEnd::Data(Payload::Bytes(bytes)) => self.on_replica_bytes(io, conn, &bytes),
            AtEnd::Data(_) => unreachable!("replicas send lines only"),
            AtEnd::Closed | AtEnd::Failed { .. } => self.drop_replica(io, conn),
        }
    }

    fn on_replica_bytes(&mut self, io: &mut Io, conn: ConnNo, bytes: &[u8]) {
        if let Some(feeder) = self.feeders.get_mut(&conn) {
            feeder.input.extend_from_slice(bytes);
        }
        while let Some(args) = self.feeders.get_mut(&conn).and_then(Feeder::next_request) {
            self.on_replica_request(io, conn, &args);
        }
    }

    fn on_replica_request(&mut self, io: &mut Io, conn: ConnNo, args: &[Vec<u8>]) {
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        match args[0].to_ascii_lowercase().as_slice() {
            b"ping" => self.say(io, conn, b"+PONG\r\n".to_vec()),
            b"replconf" => self.on_replconf(io, conn, &args[1..]),
            b"psync" => {
                let request = SyncRequest::psync(&args[1..]).expect("the link sends both arguments");
                self.on_sync(io, conn, request);
            }
            b"sync" => self.on_sync(io, conn, SyncRequest::Sync),
            other => unreachable!("a replica sends no {}", String::from_utf8_lossy(other)),
        }
    }

    fn on_replconf(&mut self, io: &mut Io, conn: ConnNo, args: &[&[u8]]) {
        let now = self.now(io);
        let topology = &self.topology;
        let knows = |id: &NodeId| topology.nodes.iter().any(|n| n.id == *id);
        let env = ReplconfEnv { cluster_enabled: true, knows_node: &knows };
        let Some(feeder) = self.feeders.get_mut(&conn) else { return };
        io.trace.say(io.now, || {
            let words: Vec<_> = args.iter().map(|a| String::from_utf8_lossy(a)).collect();
            format!("n{} hears REPLCONF {}", self.no, words.join(" "))
        });
        match feeder.session.handle_replconf(now, args, &env) {
            Replconf::Ok => self.say(io, conn, b"+OK\r\n".to_vec()),
            Replconf::Error(error) => {
                let stranger = matches!(error, ReplconfError::UnknownNode(_));
                assert!(stranger, "a replica introduces itself properly: {error}");
                self.say(io, conn, format!("-ERR {error}\r\n").into_bytes());
            }
            Replconf::Acked { stream_from } => {
                self.replicas_changed = true;
                if let Some(from) = stream_from {
                    self.begin_stream(io, conn, from);
                }
                self.hear_acks(io);
            }
            Replconf::AckWanted | Replconf::Ignored => {}
        }
    }

    fn on_sync(&mut self, io: &mut Io, conn: ConnNo, request: SyncRequest<'_>) {
        let now = self.now(io);
        let link = if self.following.link.is_up() { PrimaryLink::Up } else { PrimaryLink::Down };
        let Some(replica) = self.feeders.get(&conn).map(|f| f.session.node_id) else { return };
        let granted = match io.sabotage {
            Some(Sabotage::SyncAnybody) => SyncGrant::Everything,
            _ => self.topology.grants(replica),
        };
        let view = NodeView {
            history: &self.history,
            end: self.data.end(),
            backlog: Some(self.data.extent()),
            primary_link: self.is_replica.then_some(link),
            withheld: match granted {
                SyncGrant::Everything => Withheld::Nobody,
                SyncGrant::NothingLess => Withheld::WhoHasMore,
                SyncGrant::Nothing => Withheld::Everybody,
            },
            failing_over: false,
            replicas: self.feeders.values().filter(|f| f.session.is_replica()).count(),
        };
        let Some(feeder) = self.feeders.get(&conn) else { return };
        let client = ClientView { session: &feeder.session, is_monitor: false, has_pending_output: false };
        let (decision, lines) = decide(request, &client, &view);
        for line in lines {
            io.trace.say(io.now, || format!("n{} log: {}", self.no, line.text));
        }
        match decision {
            SyncDecision::Ignore | SyncDecision::Promote { .. } => {}
            SyncDecision::Refuse(refusal) => self.say(io, conn, format!("{refusal}\r\n").into_bytes()),
            SyncDecision::Continue { from, reply } => {
                self.history.give();
                self.say(io, conn, reply);
                let feeder = self.feeders.get_mut(&conn).expect("looked at above");
                feeder.session.become_online(now);
                feeder.sent = Some(from);
                let ops = self.data.since(from).expect("the decision saw that it is retained");
                self.stream(io, conn, from, ops);
            }
            SyncDecision::FullResync { pre_psync, .. } => self.begin_snapshot(io, conn, pre_psync),
        }
        self.replicas_changed = true;
    }

    fn begin_snapshot(&mut self, io: &mut Io, conn: ConnNo, pre_psync: bool) {
        let now = self.now(io);
        if io.watch.strict {
            io.watch.histories.full_syncs += 1;
        }
        let target = if io.plan.diskless { SnapshotTarget::Socket } else { SnapshotTarget::Disk };
        let (replid, cut) = (self.history.give(), self.data.end());
        let snapshot = Rc::new(self.data.snapshot());
        let feeder = self.feeders.get_mut(&conn).expect("it asked");
        feeder.session.await_snapshot(now, pre_psync);
        let line = feeder.session.begin_snapshot(now, &replid, cut, target);
        feeder.snapshot = Some(snapshot);
        io.trace.note(io.now, 50, self.no as u64, cut.0, || format!("n{} begins a snapshot at {cut}", self.no));
        self.say(io, conn, line);
        let time = io.up_to_us(io.plan.snapshot_max_us);
        io.after(time, Event::Own { proc: self.no, life: self.life, what: Later::SnapshotMade(conn) });
    }

    /// A snapshot is ready to be sent.
    pub(super) fn send_snapshot(&mut self, io: &mut Io, conn: ConnNo) {
        let now = self.now(io);
        let Some(feeder) = self.feeders.get_mut(&conn) else { return };
        let Some(snapshot) = feeder.snapshot.take() else { return };
        let streamed = matches!(feeder.session.phase(), Phase::InSnapshot { target: SnapshotTarget::Socket, .. });
        feeder.session.send_bulk();
        let (from, _) = feeder.session.snapshot_sent(now);
        let line = match streamed {
            true => [&b"$EOF:"[..], &MARK, b"\r\n"].concat(),
            false => format!("${}\r\n", snapshot.bytes()).into_bytes(),
        };
        self.say(io, conn, line);
        io.net.send(&mut io.queue, io.now, io.now, conn, Side::Callee, Payload::Snapshot(snapshot));
        if let Some(from) = from {
            self.begin_stream(io, conn, from);
        }
        self.replicas_changed = true;
    }

    /// The stream begins after a snapshot with what came since its cut.
    fn begin_stream(&mut self, io: &mut Io, conn: ConnNo, from: Offset) {
        let Some(feeder) = self.feeders.get_mut(&conn) else { return };
        feeder.sent = Some(from);
        let ops = std::mem::take(&mut feeder.queued);
        self.stream(io, conn, from, ops);
    }

    /// Appends to the journal and feeds it to all who follow.
    pub(super) fn append(&mut self, io: &mut Io, op: Op) {
        let from = self.data.end();
        self.data.append(op.clone());
        let mut following = Vec::new();
        for (conn, feeder) in &mut self.feeders {
            match feeder.session.phase() {
                Phase::InSnapshot { .. } | Phase::SendBulk { .. } | Phase::Online { held_from: Some(_) } => {
                    feeder.queued.push(op.clone());
                }
                Phase::Online { held_from: None } => following.push(*conn),
                _ => {}
            }
        }
        for conn in following {
            self.stream(io, conn, from, vec![op.clone()]);
        }
    }

    fn stream(&mut self, io: &mut Io, conn: ConnNo, from: Offset, ops: Vec<Op>) {
        let Some(feeder) = self.feeders.get_mut(&conn) else { return };
        assert_eq!(feeder.sent, Some(from), "the stream has no gaps");
        feeder.sent = Some(from.plus(ops.iter().map(Op::bytes).sum()));
        if !ops.is_empty() {
            let payload = Payload::Stream { from, ops: Rc::new(ops) };
            io.net.send(&mut io.queue, io.now, io.now, conn, Side::Callee, payload);
        }
    }

    fn say(&mut self, io: &mut Io, conn: ConnNo, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            io.net.send(&mut io.queue, io.now, io.now, conn, Side::Callee, Payload::Bytes(bytes));
        }
    }

    /// Closes the connection of one replica.
    pub(super) fn drop_replica(&mut self, io: &mut Io, conn: ConnNo) {
        if self.feeders.remove(&conn).is_some() {
            io.net.close(&mut io.queue, io.now, conn, Side::Callee, true);
            self.replicas_changed = true;
        }
    }

    /// Closes the connections of all replicas: the history changes under them.
    pub(super) fn drop_replicas(&mut self, io: &mut Io) {
        let conns: Vec<ConnNo> = self.feeders.keys().copied().collect();
        for conn in conns {
            self.drop_replica(io, conn);
        }
    }

    /// All attached replicas, as the node wants to know them.
    pub(super) fn replicas(&self) -> Vec<Replica> {
        let attached = self.feeders.values().filter(|f| f.session.is_replica());
        attached.map(Feeder::view).collect()
    }

    /// The sessions of all replicas.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &ReplicaSession> {
        self.feeders.values().map(|f| &f.session)
    }

    /// How many replicas follow the stream.
    pub fn replicas_online(&self) -> usize {
        self.feeders.values().filter(|f| f.session.is_online()).count()
    }
}

impl Feeder {
    fn view(&self) -> Replica {
        let session = &self.session;
        let state = match session.phase() {
            Phase::Online { .. } => ReplicaState::Online,
            Phase::SendBulk { .. } => ReplicaState::SendBulk,
            _ => ReplicaState::WaitBgsave,
        };
        let version =
            session.version.map_or(0, |v| (u32::from(v.major) << 16) | (u32::from(v.minor) << 8) | u32::from(v.patch));
        Replica {
            addr: session.name(),
            id: session.node_id,
            state,
            complete: matches!(session.phase(), Phase::Online { held_from: None }),
            acked: session.ack(),
            acked_at: session.acked_at(),
            version,
            priority: 100,
            same_zone: true,
        }
    }

    fn next_request(&mut self) -> Option<Vec<Vec<u8>>> {
        let mut ranges = Vec::new();
        loop {
            match self.parser.next(&self.input, &Limits::client(1 << 20), &mut ranges) {
                Step::Complete { consumed, .. } => {
                    let part =
                        |r: &baton_resp::ArgRange| self.input[r.start as usize..(r.start + r.len) as usize].to_vec();
                    let args = ranges.iter().map(part).collect();
                    self.input.drain(..consumed);
                    return Some(args);
                }
                Step::Inline { consumed, args } => {
                    self.input.drain(..consumed);
                    return Some(args);
                }
                Step::Empty { consumed } => {
                    self.input.drain(..consumed);
                }
                Step::Incomplete => return None,
                Step::Fail(error) => panic!("the link breaks the protocol: {error:?}"),
            }
        }
    }
}
