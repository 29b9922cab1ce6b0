//! The feeder thread: owns the connections of all replicas, decides what each gets, sends snapshots and the stream, and
//! hears their acknowledgements. The journal wakes it; nothing it sends waits for a timer.

mod ack_rounds;
pub(super) mod full_sync;
mod periodic;
mod replica;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use baton_base::{Mono, Offset, Rng};
use baton_config::Id;
use baton_journal::Reader;
use baton_node::{Resync, Sight};
use baton_replication::group::SyncSettings;
use baton_replication::reply_holds::Rounds;
use baton_replication::session::ReplconfEnv;
use baton_replication::sync::{SyncDecision, SyncRequest};
use mio::{Events, Poll, Token};

use super::{Adopted, FeederMessage, LinkMessage, ReplicaView, Settling};
use crate::clients::ClientId;
use crate::control::ControlMessage;
use crate::mailbox::{Inbox, Mailbox, mailbox};
use crate::shared::Shared;
use crate::worker::WorkerMessage;
use crate::world::World;
use full_sync::FullSync;
use periodic::Periods;
use replica::{Gone, Replica};

/// The request for acknowledgement, as it stands in the stream.
pub(super) const GETACK: [&[u8]; 3] = [b"REPLCONF", b"GETACK", b"*"];
/// Bytes sent to one replica before the others get their turn.
const PUMP_BYTES: usize = 1 << 20;
/// After a request for acknowledgement the workers hear of every one for this long, known waiters or not: a client that
/// asked may not be counted as waiting yet.
const ASKED_FOR: Duration = Duration::from_secs(1);
/// How long the promotion of this node may take before the peer that asked for it is given up.
const PROMOTION_MAX: Duration = Duration::from_secs(5);
/// How long the rest of the old primary's stream is waited for before a promotion. It was sent before the request for the
/// promotion or at the same time, so it takes longer only where it doesn't come at all.
const SETTLE_MAX: Duration = Duration::from_secs(1);
/// While the stream flows faster than this, the feeder does not ask to be woken for each append...
const BUSY_GAP: Duration = Duration::from_micros(200);
/// ...but looks again after this time. Waking it costs the writer a system call and the machine two changes of thread,
/// half as much again as the write itself. Messages and replicas interrupt the pause, so acknowledgements that somebody
/// waits for are never delayed by it.
const LINGER: Duration = Duration::from_micros(50);
const READ_BYTES: usize = 16 * 1024;
/// Never the number of a connection: those begin at 1.
const INBOX: Token = Token(0);

/// The outside half of the thread.
pub struct Seed {
    poll: Poll,
    inbox: Inbox<FeederMessage>,
}

/// Makes the mailbox of the thread.
pub fn seed() -> io::Result<(Mailbox<FeederMessage>, Seed)> {
    let poll = Poll::new()?;
    let (to, inbox) = mailbox(poll.registry(), INBOX)?;
    Ok((to, Seed { poll, inbox }))
}

/// Runs the thread until it is told to stop.
pub fn run(shared: Arc<Shared>, seed: Seed) {
    let mut events = Events::with_capacity(256);
    let mut feeder = Feeder::new(shared, seed);
    while feeder.turn(&mut events) {}
}

/// What others are to be told at the end of a turn.
#[derive(Default)]
struct News {
    acked: bool,
    members: bool,
}

struct Feeder {
    shared: Arc<Shared>,
    poll: Poll,
    inbox: Inbox<FeederMessage>,
    sleeper: baton_journal::Feeder,
    replicas: BTreeMap<ClientId, Replica>,
    sync: Option<FullSync>,
    /// When the next snapshot may begin, if one is wanted later.
    sync_at: Option<Mono>,
    /// What that was planned by.
    sync_settings: SyncSettings,
    rng: Rng,
    periods: Periods,
    news: News,
    /// End of the stream after the latest request for acknowledgement, and when it was made.
    asked: (Offset, Mono),
    /// Requests for acknowledgement on behalf of replies that wait.
    rounds: Rounds,
    /// When bytes of the stream were last sent, and whether the time before that was short.
    sent_at: Mono,
    busy: bool,
    buf: Box<[u8]>,
}

impl Feeder {
    fn new(shared: Arc<Shared>, seed: Seed) -> Feeder {
        let bell = shared.threads().feeder.clone();
        let now = shared.clock.mono();
        Feeder {
            sleeper: shared.journal.feeder(move || bell.ring()),
            poll: seed.poll,
            inbox: seed.inbox,
            replicas: BTreeMap::new(),
            sync: None,
            sync_at: None,
            sync_settings: SyncSettings::default(),
            rng: Rng::new(super::random_seed()),
            periods: Periods::new(now),
            news: News::default(),
            asked: (Offset(0), Mono::ZERO),
            rounds: Rounds::default(),
            sent_at: Mono::ZERO,
            busy: false,
            buf: vec![0; READ_BYTES].into_boxed_slice(),
            shared,
        }
    }

    /// Waits for something to do and does it. False when told to stop.
    fn turn(&mut self, events: &mut Events) -> bool {
        let idle = !self.replicas.values().any(|r| r.has_work() || r.readable);
        let timeout = if self.busy && idle {
            crate::os::wait_readable(self.poll.as_raw_fd(), LINGER);
            Some(Duration::ZERO)
        } else {
            self.timeout(self.shared.clock.mono())
        };
        let polled = self.poll.poll(events, timeout);
        if let Err(e) = polled.or_else(crate::repl::unless_interrupted) {
            self.shared.log.warning(&format!("Polling for replicas failed: {e}"));
            return false;
        }
        let now = self.shared.clock.mono();
        for event in &*events {
            if let Some(replica) = self.replicas.get_mut(&ClientId(event.token().0 as u64)) {
                replica.readable |= event.is_readable() || event.is_error() || event.is_read_closed();
                replica.writable |= event.is_writable() || event.is_error() || event.is_write_closed();
            }
        }
        if !self.on_messages(now) {
            return false;
        }
        drop(self.shared.standstill.lock());
        self.listen(now);
        self.hear_acks();
        self.synchronise(now);
        self.shared.repl.sending_snapshot.store(self.sync.is_some(), Ordering::Relaxed);
        self.ask_for_writers(now);
        self.pump(now);
        self.tick(now);
        self.publish(now);
        true
    }

    /// How long there will be nothing to do. Asks the journal for a wake-up where a replica waits for bytes.
    fn timeout(&self, now: Mono) -> Option<Duration> {
        if self.replicas.values().any(|r| r.has_work() || r.readable) {
            return Some(Duration::ZERO);
        }
        let waiting = self.replicas.values().filter(|r| r.streaming && r.writable).filter_map(Replica::stream_from);
        if waiting.min().is_some_and(|seen| !self.sleeper.sleep(seen)) {
            return Some(Duration::ZERO);
        }
        let next = self.periods.next(&self.shared, self.replicas.is_empty()).min(self.sync_at.unwrap_or(Mono::NEVER));
        (next < Mono::NEVER).then(|| next.since(now))
    }

    fn on_messages(&mut self, now: Mono) -> bool {
        let mut ask = false;
        for message in self.inbox.drain().collect::<Vec<_>>() {
            match message {
                FeederMessage::Adopt(adopted) => self.adopt(*adopted, now),
                FeederMessage::AskAcks => ask = true,
                FeederMessage::Kill(id) => self.end(id, Gone::Lost, now),
                FeederMessage::DropAll => self.end_all(now),
                FeederMessage::Stop => {
                    self.end_all(now);
                    return false;
                }
            }
        }
        if ask {
            self.ask_acks(now);
        }
        true
    }

    /// Puts a request for acknowledgement into the stream, once for all who asked for it in this turn.
    fn ask_acks(&mut self, now: Mono) {
        let asked = self.feed(&GETACK, |feeder| feeder.shared.journal.end() != feeder.asked.0);
        if let Some(end) = asked {
            self.asked.0 = end;
        } else {
            // Nothing will be heard because of this: whoever waits has to look again by itself.
            self.shared.tell_workers(|| WorkerMessage::Acknowledged);
        }
        self.asked.1 = now;
    }

    /// Appends a command of this node's own to the stream, if this node is its source, nobody holds the stream's end
    /// still, and `wanted` agrees. Gives the offset after it.
    fn feed(&self, args: &[&[u8]], wanted: impl Fn(&Feeder) -> bool) -> Option<Offset> {
        let _pass = self.shared.gate.enter(self.shared.feeder_lane());
        let source = is_source(&self.shared.world.peek());
        let feeds = source && self.shared.journal.is_active() && wanted(self);
        feeds.then(|| self.shared.journal.append_unselected(args))
    }

    /// Decides what a connection that asked for synchronisation gets.
    fn adopt(&mut self, adopted: Adopted, now: Mono) {
        let psync = adopted.psync.clone();
        let args: Vec<&[u8]> = psync.iter().flatten().map(Vec::as_slice).collect();
        let request = match &psync {
            None => SyncRequest::Sync,
            Some(_) => match SyncRequest::psync(&args) {
                Some(request) => request,
                None => return self.shared.clients.remove(adopted.meta.id),
            },
        };
        let (decision, reader) = self.decide(request, &adopted);
        match decision {
            SyncDecision::Promote { end } => self.promote_for(adopted, end),
            SyncDecision::Ignore => self.shared.clients.remove(adopted.meta.id),
            SyncDecision::Refuse(refusal) => {
                let id = adopted.meta.id;
                let mut replica = Replica::new(adopted);
                replica.queue(format!("{refusal}\r\n").into_bytes());
                // One try: whoever did not read its replies before asking won't miss this one.
                let _ = replica.pump(PUMP_BYTES);
                self.shared.clients.remove(id);
            }
            SyncDecision::Continue { reply, .. } => {
                self.shared.stats.sync_partial_ok.add(1);
                self.tell_resync(&adopted, Resync::Partial);
                let mut replica = Replica::new(adopted);
                replica.session.become_online(now);
                replica.queue(reply);
                replica.reader = reader;
                replica.streaming = true;
                self.attach(replica);
            }
            SyncDecision::FullResync { partial_failed, pre_psync, begin_history } => {
                self.shared.stats.sync_full.add(1);
                self.tell_resync(&adopted, Resync::Full);
                self.shared.stats.sync_partial_err.add(u64::from(partial_failed));
                if begin_history {
                    self.begin_history();
                }
                let mut replica = Replica::new(adopted);
                replica.session.await_snapshot(now, pre_psync);
                let id = replica.meta.id;
                self.attach(replica);
                self.await_snapshot(id, now);
            }
        }
    }

    /// The history of changes names how an old primary came back.
    fn tell_resync(&self, adopted: &Adopted, how: Resync) {
        if let Some(id) = adopted.session.node_id {
            self.shared.threads().control.send(ControlMessage::Seen(Sight::ReplicaResynced(id, how)));
        }
    }

    /// Decides inside the gate, so that neither role nor history change before the reader is made. A place in the stream
    /// that was trimmed meanwhile makes it a full synchronisation.
    fn decide(&self, request: SyncRequest<'_>, adopted: &Adopted) -> (SyncDecision, Option<Reader>) {
        let shared = &self.shared;
        let _pass = shared.gate.enter(shared.feeder_lane());
        let (decision, logs) = super::decide(shared, request, &adopted.session, !adopted.output.is_empty());
        logs.iter().for_each(|line| super::write_log(&shared.log, line));
        let SyncDecision::Continue { from, .. } = &decision else { return (decision, None) };
        match shared.journal.reader(*from) {
            Ok(reader) => {
                shared.repl.history.lock().give();
                (decision, Some(reader))
            }
            Err(_) => {
                let full = SyncDecision::FullResync { partial_failed: true, pre_psync: false, begin_history: false };
                (full, None)
            }
        }
    }

    /// The peer wants this node to become primary first. Its request comes back behind everything that the promotion
    /// itself has to say to this thread.
    fn promote_for(&self, mut adopted: Adopted, end: Offset) {
        let threads = self.shared.threads();
        // What the peer sent as its stream may still be in the other connection: it counts as received.
        let (done, applied) = crossbeam_channel::bounded(1);
        threads.link.send(LinkMessage::Settle(Settling { end, done }));
        let _ = applied.recv_timeout(SETTLE_MAX);
        let (done, promoted) = crossbeam_channel::bounded(1);
        let who = adopted.meta.line(self.shared.clock.mono());
        threads.control.send(ControlMessage::Promote { who, done });
        if promoted.recv_timeout(PROMOTION_MAX) != Ok(true) {
            self.shared.log.warning("Promotion requested by PSYNC FAILOVER did not happen.");
            let id = adopted.meta.id;
            let mut replica = Replica::new(adopted);
            replica.queue(b"-ERR PSYNC FAILOVER can't be served, this node is about to stop.\r\n".to_vec());
            let _ = replica.pump(PUMP_BYTES);
            return self.shared.clients.remove(id);
        }
        if let Some(args) = &mut adopted.psync {
            args.truncate(2);
        }
        self.shared.threads().feeder.send(FeederMessage::Adopt(Box::new(adopted)));
    }

    fn attach(&mut self, mut replica: Replica) {
        let id = replica.meta.id;
        if let Err(e) = replica.conn.register(self.poll.registry(), Token(id.0 as usize)) {
            self.shared.log.warning(&format!("Registering the connection of a replica failed: {e}"));
            return self.shared.clients.remove(id);
        }
        let nodelay = !self.shared.world.peek().settings.bool(Id::ReplDisableTcpNodelay);
        replica.conn.set_nodelay(nodelay);
        self.replicas.insert(id, replica);
        self.news.members = true;
    }

    fn end(&mut self, id: ClientId, gone: Gone, now: Mono) {
        let Some(mut replica) = self.replicas.remove(&id) else { return };
        // Logged before the peer can see the end of its connection: whoever looks for the reason then, finds it.
        if let Gone::Broken(lines) = gone {
            lines.iter().for_each(|line| self.shared.log.warning(line));
        }
        let _ = replica.conn.deregister(self.poll.registry());
        replica.conn.shutdown();
        self.shared.clients.remove(id);
        self.shared.log.notice(&format!("Connection with replica {} lost.", replica.session.name()));
        self.forget_member(id);
        if self.replicas.is_empty() {
            self.periods.alone_since = now;
        }
        self.news.members = true;
    }

    fn end_all(&mut self, now: Mono) {
        for id in self.replicas.keys().copied().collect::<Vec<_>>() {
            self.end(id, Gone::Lost, now);
        }
    }

    /// Hears what replicas say.
    fn listen(&mut self, now: Mono) {
        let world = self.shared.world.load();
        let knows = |id: &baton_base::NodeId| {
            world.topology.as_ref().is_some_and(|t| t.nodes.iter().any(|node| node.id == *id))
        };
        let env = ReplconfEnv { cluster_enabled: world.topology.is_some(), knows_node: &knows };
        let mut gone = Vec::new();
        let mut starting = Vec::new();
        for (id, replica) in self.replicas.iter_mut().filter(|(_, r)| r.readable) {
            match replica.listen(now, &mut self.buf, &env) {
                Ok(said) => {
                    self.news.acked |= said.acked;
                    if said.starts {
                        starting.push(*id);
                    }
                    if said.ack_wanted && world.role.is_replica() {
                        self.shared.threads().link.send(super::LinkMessage::AckNow);
                    }
                }
                Err(why) => gone.push((*id, why)),
            }
        }
        starting.into_iter().for_each(|id| self.start_stream(id));
        gone.into_iter().for_each(|(id, why)| self.end(id, why, now));
    }

    /// The replica's stream flows from here on. An offset of 0 would look to it like no history at all, so something is
    /// put into an empty stream (replication 1.5).
    fn start_stream(&mut self, id: ClientId) {
        if let Some(replica) = self.replicas.get_mut(&id) {
            replica.streaming = true;
            self.news.members = true;
        }
        self.feed(&[b"PING"], |feeder| feeder.shared.journal.end() == Offset(0));
    }

    /// Writes what waits.
    fn pump(&mut self, now: Mono) {
        let (mut gone, mut served, mut sent) = (Vec::new(), Vec::new(), 0);
        for (id, replica) in &mut self.replicas {
            if !replica.has_work() && replica.bulk != replica::Bulk::Queued {
                continue;
            }
            match replica.pump(PUMP_BYTES) {
                Ok(n) => {
                    sent += n as u64;
                    if n > 0 {
                        replica.session.snapshot_progress(now);
                    }
                    if replica.bulk == replica::Bulk::Queued && replica.is_drained() {
                        served.push(*id);
                    }
                }
                Err(why) => gone.push((*id, why)),
            }
        }
        self.shared.stats.repl_out.add(sent);
        self.busy = sent > 0 && now.since(self.sent_at) < BUSY_GAP;
        if sent > 0 {
            self.sent_at = now;
        }
        served.into_iter().for_each(|id| self.snapshot_sent(id, now));
        gone.into_iter().for_each(|(id, why)| self.end(id, why, now));
    }

    /// Tells the others what changed in this turn.
    fn publish(&mut self, now: Mono) {
        let News { acked, members } = std::mem::take(&mut self.news);
        if !acked && !members {
            return;
        }
        let shared = &self.shared;
        let views = self.replicas.iter().filter(|(_, r)| r.session.is_replica()).map(|(id, r)| ReplicaView {
            client: *id,
            session: r.session.clone(),
            node: r.session.node_id,
        });
        shared.repl.replicas.store(Arc::new(views.collect()));
        self.count_good(now);
        let asked = now.since(self.asked.1) < ASKED_FOR;
        if acked && (asked || shared.waiters.load(Ordering::SeqCst) > 0) {
            shared.tell_workers(|| WorkerMessage::Acknowledged);
        }
        if members || shared.repl.watch_acks.load(Ordering::SeqCst) {
            shared.threads().control.send(ControlMessage::ReplicasChanged);
        }
    }

    /// Counts who counts for `min-replicas-to-write`.
    fn count_good(&self, now: Mono) {
        let lag_max = Duration::from_secs(self.shared.world.peek().settings.uint(Id::MinReplicasMaxLag));
        let good = baton_replication::quorum::good(self.replicas.values().map(|r| &r.session), now, lag_max);
        self.shared.good_replicas.store(good as u64, Ordering::Relaxed);
        self.count_acknowledging(now, lag_max);
    }
}

/// Whether this node is the source of its stream, and nobody holds the stream's end still: while a failover waits for a
/// replica to reach the end, the end must not move.
fn is_source(world: &World) -> bool {
    !world.role.is_replica() && !world.holds.fenced()
}
