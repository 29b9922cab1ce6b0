//! The data plane: one thread a core, each with an epoll loop over its own connections. A worker reads a whole buffer,
//! parses every request in it, prefetches their keys, executes them under slot locks, and sends all replies of a turn together.
//!
//! Reading order: [`client`] (a connection), [`input`] (bytes to requests), [`dispatch`] (may this command run now),
//! [`exec`] (keyspace commands on a view), [`transaction`], [`count`], [`meter`] (what slots cost), [`waiting`] (commands that wait), [`held`] and [`hold`]
//! (replies that wait), [`unsent`] (replies of a turn), [`unfinished`] (long replies, piece by piece), [`room`] (memory of buffers), then the loop below, and [`seat`] (who runs it while a script
//! takes long).

mod asked;
mod blocking;
pub mod changes;
pub mod client;
pub mod context;
pub mod count;
pub mod dispatch;
pub mod exec;
pub mod held;
pub mod hold;
pub mod input;
pub mod limits;
mod meter;
mod prefetch;
mod room;
pub mod routing;
pub mod script;
mod seat;
pub mod transaction;
mod unfinished;
mod unleased;
mod unsent;
pub mod waiting;

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use baton_base::{Mono, Slot, WallMs};
use mio::{Events, Poll, Token};

use crate::acl::Identity;
use crate::blocked::Name;
use crate::client_memory;
use crate::clients::{ClientId, ClientMeta, UnblockHow};
use crate::conn::Conn;
use crate::control::Answer;
use crate::gate::Lane;
use crate::mailbox::{Inbox, Mailbox, mailbox};
use crate::migrate;
use crate::pubsub::Push;
use crate::shared::Shared;
use crate::slot_stats::SlotCost;
pub use blocking::Served;
use client::{Client, Waiting};
use context::Local;
use crossbeam_channel::Sender;
use room::ReplyRooms;
use script::Attendance;
use seat::{Kept, Place};

pub use seat::Seat;

/// What other threads tell a worker.
pub enum WorkerMessage {
    /// Serve this connection.
    Connection(Conn, Arc<ClientMeta>),
    /// Write a published message to a connection.
    Deliver {
        /// The listener.
        client: ClientId,
        /// What to write.
        push: Push,
    },
    /// Close a connection.
    Close {
        /// Which one.
        client: ClientId,
    },
    /// The control thread's answer to a command.
    Answer {
        /// Who asked.
        client: ClientId,
        /// What to reply.
        answer: Answer,
    },
    /// Held commands may run, or are to be judged anew.
    HoldsChanged,
    /// Replicas acknowledged more of the stream.
    Acknowledged,
    /// A command that waited was run.
    Served(Box<Served>),
    /// A key changed that a command of this worker waits for, by somebody who can't run it.
    Ready(Name),
    /// Commands that wait may have to go elsewhere.
    Rerouted,
    /// Keys were moved to another server, or can't be before somebody else is done with them.
    Moved {
        /// Whose command it is.
        client: ClientId,
        /// What came of it.
        moved: Option<Box<migrate::Moved>>,
    },
    /// CLIENT UNBLOCK.
    Unblock {
        /// Whom.
        client: ClientId,
        /// How.
        how: UnblockHow,
    },
    /// The world has something to tell to connections that asked for it.
    Notices,
    /// Settings changed that decide how long the loop may sleep.
    SettingsChanged,
    /// This node became a replica: whoever waits for replicas is sent away.
    Demoted,
    /// Scripts or functions were forgotten, all of them: so is what was compiled of them.
    ScriptsForgotten,
    /// Look at a connection's socket.
    Look {
        /// Whose.
        client: ClientId,
    },
    /// Give the seat back to the thread that left it.
    Return(Sender<Box<Seat>>),
    /// End the thread.
    Stop,
}

impl WorkerMessage {
    /// The connection that it is about, if it is about one that is there already.
    fn addressee(&self) -> Option<ClientId> {
        match self {
            WorkerMessage::Deliver { client, .. }
            | WorkerMessage::Close { client }
            | WorkerMessage::Answer { client, .. }
            | WorkerMessage::Moved { client, .. }
            | WorkerMessage::Unblock { client, .. }
            | WorkerMessage::Look { client } => Some(*client),
            WorkerMessage::Served(served) => Some(served.client),
            _ => None,
        }
    }
}

const INBOX: Token = Token(usize::MAX);
/// Timer granularity of what waits with a deadline, and of idle connections.
const TICK: Duration = Duration::from_millis(100);
/// Polls end up to a millisecond early or late; a deadline is looked at when it is surely over.
const ROUNDING: Duration = Duration::from_millis(1);
/// How long a worker computes before it lets another thread of the same core in, where the kernel can be asked.
const TURN: Duration = Duration::from_micros(500);
const READ_BYTES: usize = 64 * 1024;

/// One thread of the data plane.
pub struct Worker {
    shared: Arc<Shared>,
    seat: Place,
    local: Local,
    read_buf: Box<[u8]>,
    /// Room for replies that is not lent to a connection.
    reply_rooms: ReplyRooms,
    /// Who gets the seat at the end of this turn.
    heir: Option<Sender<Box<Seat>>>,
}

/// The two times of one turn of the loop.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For timers.
    pub mono: Mono,
    /// For expiry.
    pub wall: WallMs,
}

/// What an event says of a socket's input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrived {
    Nothing,
    Bytes,
    /// The end, perhaps behind bytes. No other event will tell of it.
    End,
}

impl Arrived {
    fn of(event: &mio::event::Event) -> Arrived {
        match event.is_readable() {
            _ if event.is_read_closed() || event.is_error() => Arrived::End,
            true => Arrived::Bytes,
            false => Arrived::Nothing,
        }
    }
}

/// A poll and its mailbox, made before the shared state that the worker needs.
pub struct WorkerSeed {
    poll: Poll,
    inbox: Inbox<WorkerMessage>,
}

/// Makes the outside half of a worker.
pub fn seed() -> io::Result<(Mailbox<WorkerMessage>, WorkerSeed)> {
    let poll = Poll::new()?;
    let (to, inbox) = mailbox(poll.registry(), INBOX)?;
    Ok((to, WorkerSeed { poll, inbox }))
}

impl Worker {
    /// The worker with this index.
    pub fn new(shared: Arc<Shared>, index: usize, seed: WorkerSeed) -> Worker {
        let seat = Box::new(Seat::new(seed.poll, seed.inbox, shared.clock.mono()));
        Worker::of(shared, index as u32, Lane(index), seat)
    }

    /// A further thread of the worker with this index, which has looked at all its connections once: what their sockets have
    /// was perhaps reported to the thread that had the seat before.
    fn stand_in(shared: Arc<Shared>, index: u32, lane: Lane, seat: Box<Seat>) -> Worker {
        let mut worker = Worker::of(Arc::clone(&shared), index, lane, seat);
        let now = worker.now();
        for index in 0..worker.seat.clients.len() {
            worker.on_event(&shared, index, Arrived::End, true, now);
        }
        worker.send_unsent(&shared);
        worker.seat.look_at_all_again();
        worker
    }

    fn of(shared: Arc<Shared>, index: u32, lane: Lane, seat: Box<Seat>) -> Worker {
        let rng_seed = shared.clock.wall().0 ^ (lane.0 as u64) << 48 ^ u64::from(std::process::id());
        let attendance = Rc::new(Attendance::new(Arc::clone(&shared), index));
        Worker {
            seat: Place::of(seat),
            local: Local::new(index, lane, rng_seed, attendance),
            read_buf: vec![0; READ_BYTES].into_boxed_slice(),
            reply_rooms: ReplyRooms::default(),
            heir: None,
            shared,
        }
    }

    /// Serves until told to stop, or until somebody takes the seat back.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(512);
        let shared = Arc::clone(&self.shared);
        crate::os::shorten_thread_turns(TURN);
        loop {
            let timeout = (self.seat.waiting > 0 || !self.seat.clients.is_empty()).then_some(self.tick(&shared));
            let timeout = if self.seat.pending.is_empty() { timeout } else { Some(Duration::ZERO) };
            if let Err(e) = self.seat.poll.poll(&mut events, timeout) {
                if e.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                shared.log.warning(&format!("Polling for events failed, a worker ends: {e}"));
                return;
            }
            let now = self.now();
            for event in &events {
                let Token(index) = event.token();
                if event.token() == INBOX {
                    continue;
                }
                self.on_event(&shared, index, Arrived::of(event), event.is_writable(), now);
            }
            self.send_unsent(&shared);
            if !self.on_messages(&shared, now) {
                return;
            }
            self.deliver_local(&shared);
            self.send_unsent(&shared);
            if let Some(heir) = self.heir.take() {
                self.hand_over(&heir);
                return;
            }
            self.release_held(&shared, now);
            self.write_replies(&shared, now);
            self.check_deadlines(&shared, now);
            self.keep_unserved();
            shared.stats.lanes[self.local.lane.0].count_turn(shared.clock.mono().since(now.mono));
        }
    }

    fn tick(&self, shared: &Shared) -> Duration {
        if !self.seat.replies.is_empty() {
            return Duration::ZERO;
        }
        let idle_limit = shared.world.peek().settings.int(baton_config::Id::Timeout);
        let looks = self.seat.waiting + self.seat.over_soft + self.seat.releases.len() + self.seat.roomy.len();
        let tick = if looks > 0 || idle_limit > 0 { TICK } else { Duration::from_secs(60) };
        match self.seat.next_deadline {
            Some(deadline) => tick.min(deadline.since(shared.clock.mono()) + ROUNDING),
            None => tick,
        }
    }

    /// Gives the seat to the thread that left it; this one ends.
    fn hand_over(&mut self, heir: &Sender<Box<Seat>>) {
        self.keep_unserved();
        let lane = &self.shared.stats.lanes[self.local.lane.0];
        lane.machine_bytes.set(0);
        lane.loader_bytes.set(0);
        self.shared.running.give_lane(self.local.lane);
        if let Some(seat) = self.seat.leave() {
            heir.send(seat).expect("whoever asks for the seat waits for it");
        }
    }

    /// Takes the seat back that was left while a script of this connection ran.
    #[cold]
    fn sit_down_again(&mut self, client: &mut Client) {
        let (to, from) = crossbeam_channel::bounded(1);
        self.shared.threads().workers[self.local.index as usize].send(WorkerMessage::Return(to));
        let mut seat = from.recv().expect("whoever has the seat gives it back");
        seat.come_back(client.meta.id);
        // Whoever looked through these lists meanwhile has crossed it off.
        client.held.queued_for = None;
        if client.held.has_barrier() {
            seat.unleased.push(client.meta.id);
        }
        self.seat.take(seat);
    }

    /// Lines for keys that nobody could serve, because a script held the keys, are looked at again.
    fn keep_unserved(&mut self) {
        for name in std::mem::take(&mut self.local.unserved) {
            self.seat.pending.push_back(WorkerMessage::Ready(name));
        }
    }

    fn now(&self) -> Now {
        Now { mono: self.shared.clock.mono(), wall: self.shared.clock.wall() }
    }

    fn on_event(&mut self, shared: &Arc<Shared>, index: usize, arrived: Arrived, writable: bool, now: Now) {
        // Whoever changed a key may have been answered already: those who read it hear of that before they are.
        self.deliver_local(shared);
        let Some(mut client) = self.seat.clients.get_mut(index).and_then(Option::take) else { return };
        self.lend_room(&mut client);
        // Who was killed gets no further reply, whatever its requests.
        let mut alive = !client.meta.doomed.load(Ordering::Acquire);
        if alive && writable && client.output_bytes() > 0 {
            alive = self.flush(shared, &mut client);
        }
        if alive && arrived != Arrived::Nothing {
            alive = self.read_and_run(shared, &mut client, arrived == Arrived::End, now);
        }
        self.put_back(shared, index, client, alive);
    }

    /// Gives a client its place back, or ends it.
    fn put_back(&mut self, shared: &Arc<Shared>, index: usize, mut client: Box<Client>, alive: bool) {
        if alive && client.is_unsent && client.output_bytes() > 0 {
            self.keep_unsent(index, client);
            return;
        }
        self.take_room_back(&mut client);
        let clients_max = shared.world.peek().hot.clients_memory_max;
        if clients_max > 0 && alive {
            client.publish_buffers();
            client_memory::weigh(shared, &client.meta, clients_max);
        }
        let done = client.closing && client.output_bytes() == 0;
        if client.adopt {
            self.forget(&mut client, index);
            crate::repl::hand_over(shared, *client);
        } else if !alive || done || client.meta.doomed.load(Ordering::Acquire) {
            self.end(shared, index, client);
        } else if client.relay {
            self.forget(&mut client, index);
            crate::relay::hand_over(shared, *client);
        } else {
            self.seat.clients[index] = Some(client);
        }
    }

    fn forget(&mut self, client: &mut Client, index: usize) {
        let _ = client.conn.deregister(self.seat.poll.registry());
        let shared = Arc::clone(&self.shared);
        crate::node::tracking::end(&shared, client, self.local.index);
        crate::node::connection::end_monitor(&shared, client, self.local.index);
        self.seat.by_id.remove(&client.meta.id);
        self.seat.free.push(index);
        self.give_up_reply(&shared, client);
        self.set_waiting(client, Waiting::No);
        self.forget_soft_limit(client);
    }

    fn end(&mut self, shared: &Arc<Shared>, index: usize, mut client: Box<Client>) {
        self.forget(&mut client, index);
        if let Some(job) = client.import.take() {
            crate::slot_jobs::import::on_lost(shared, &job);
        }
        transaction::unwatch(shared, &mut client);
        crate::node::pubsub::leave_all(shared, &mut client, self.local.index);
        client.conn.shutdown();
        shared.clients.remove(client.meta.id);
    }

    /// Changes what a client waits for, keeping count.
    fn set_waiting(&mut self, client: &mut Client, next: Waiting) {
        let (was, is) = (client.waiting.blocks(), next.blocks());
        self.seat.waiting = self.seat.waiting + usize::from(is) - usize::from(was);
        self.shared.stats.blocked.fetch_add(i64::from(is) - i64::from(was), Ordering::Relaxed);
        if !matches!(next, Waiting::Keys { .. })
            && let Some(waiter) = client.blocked.take()
        {
            // Whoever is running it right now gets no further than a message to nobody.
            waiter.claim();
            self.shared.blocked.leave(&waiter);
        }
        self.note_deadline(&next);
        for (state, on) in [(client.waiting, false), (next, true)] {
            if state.is_for_replicas() {
                if on {
                    self.shared.waiters.fetch_add(1, Ordering::SeqCst);
                } else {
                    self.shared.waiters.fetch_sub(1, Ordering::SeqCst);
                }
            }
        }
        client.waiting = next;
        client.publish_state();
    }

    /// Writes waiting replies. False if the peer is gone.
    fn flush(&mut self, shared: &Shared, client: &mut Client) -> bool {
        shared.aof.before_reply(shared);
        let Ok(bytes) = client.flush() else { return false };
        let stats = &shared.stats.lanes[self.local.lane.0];
        stats.net_out.add(bytes as u64);
        stats.writes.add(1);
        client.meta.net_out.store(client.meta.net_out.load(Ordering::Relaxed) + bytes as u64, Ordering::Relaxed);
        client.meta.output_bytes.store(client.output_bytes() as u64, Ordering::Relaxed);
        if client.unfinished.is_some() {
            self.queue_reply(client);
        }
        true
    }

    fn on_messages(&mut self, shared: &Arc<Shared>, now: Now) -> bool {
        self.seat.empty_mailbox();
        while self.heir.is_none()
            && let Some(message) = self.seat.next_message()
        {
            let message = match self.seat.keep_for_absent(message) {
                Kept::No(message) => message,
                Kept::Yes => continue,
                Kept::TooMuch(id) => {
                    shared.close_client(id);
                    continue;
                }
            };
            match message {
                WorkerMessage::Connection(conn, meta) => self.adopt(shared, conn, meta, now),
                WorkerMessage::Deliver { client, push } => self.deliver(shared, client, &push),
                WorkerMessage::Close { client } => self.with(shared, client, |_, _| false),
                WorkerMessage::Answer { client, answer } => self.on_answer(shared, client, answer, now),
                WorkerMessage::HoldsChanged => {
                    self.release_unleased(shared, now);
                    self.on_holds_changed(shared, now);
                }
                WorkerMessage::Notices => self.on_notices(shared),
                WorkerMessage::Acknowledged => self.on_acknowledged(shared, now),
                WorkerMessage::Served(served) => self.on_served(shared, *served, now),
                WorkerMessage::Ready(name) => self.on_ready(shared, name, now),
                WorkerMessage::Rerouted => self.on_rerouted(shared, now),
                WorkerMessage::Moved { client, moved } => self.on_moved(shared, client, moved, now),
                WorkerMessage::Unblock { client, how } => self.on_unblock(shared, client, how, now),
                WorkerMessage::Demoted => {
                    self.on_demoted(shared, now);
                    self.fail_held(shared, now);
                    self.break_unleased(shared);
                }
                // The next wait of the loop is measured by the new settings.
                WorkerMessage::SettingsChanged => {}
                WorkerMessage::ScriptsForgotten => self.local.forget_scripts(shared),
                WorkerMessage::Look { client } => {
                    if let Some(&index) = self.seat.by_id.get(&client) {
                        self.on_event(shared, index, Arrived::End, true, now);
                    }
                }
                WorkerMessage::Return(to) => self.heir = Some(to),
                WorkerMessage::Stop => return false,
            }
        }
        true
    }

    fn adopt(&mut self, shared: &Arc<Shared>, conn: Conn, meta: Arc<ClientMeta>, now: Now) {
        let who = Identity::new(&shared.world.peek());
        let id = meta.id;
        meta.worker.store(self.local.index, Ordering::Relaxed);
        let mut client = Box::new(Client::new(conn, meta, who, now.mono));
        match self.seat.register(&mut client) {
            Ok(index) => {
                self.seat.by_id.insert(id, index);
                self.seat.clients[index] = Some(client);
            }
            Err(e) => {
                shared.log.warning(&format!("Registering a connection failed: {e}"));
                shared.clients.remove(id);
            }
        }
    }

    /// Does something with one client; it ends if `act` gives false.
    fn with(&mut self, shared: &Arc<Shared>, id: ClientId, act: impl FnOnce(&mut Self, &mut Client) -> bool) {
        let Some(&index) = self.seat.by_id.get(&id) else { return };
        let Some(mut client) = self.seat.clients[index].take() else { return };
        self.lend_room(&mut client);
        let alive = act(self, &mut client);
        self.put_back(shared, index, client, alive);
    }

    fn deliver(&mut self, shared: &Arc<Shared>, id: ClientId, push: &Push) {
        self.with(shared, id, |worker, client| {
            let before = client.out.buf.len();
            crate::node::pubsub::write_push(shared, client, push);
            if let Push::ShardMessage(channel, _) = push
                && shared.world.peek().hot.slot_stats
            {
                let bytes_out = (client.out.buf.len() - before) as u64;
                let cost = SlotCost { bytes_out, ..SlotCost::default() };
                shared.stats.lanes[worker.local.lane.0].slots.add(Slot::of_key(channel), cost);
            }
            worker.send(shared, client)
        });
    }

    /// Messages that this worker's own commands published to its own clients.
    fn deliver_local(&mut self, shared: &Arc<Shared>) {
        while !self.local.deliveries.is_empty() {
            for (id, push) in std::mem::take(&mut self.local.deliveries) {
                self.deliver(shared, id, &push);
            }
        }
    }

    fn check_deadlines(&mut self, shared: &Arc<Shared>, now: Now) {
        self.expire_keys(shared, now);
        if now.mono.since(self.seat.last_idle_check) < TICK {
            return;
        }
        self.seat.last_idle_check = now.mono;
        let idle_limit = shared.world.peek().settings.int(baton_config::Id::Timeout);
        if idle_limit > 0 || self.seat.over_soft > 0 {
            self.end_idle_and_lagging(shared, idle_limit, now);
        }
        self.trim_rooms(now);
        if self.seat.waiting > 0 {
            self.expire_waits(shared, now);
        }
        if !self.seat.releases.is_empty() {
            self.expire_held(shared, now);
        }
    }

    fn end_idle_and_lagging(&mut self, shared: &Arc<Shared>, idle_limit: i64, now: Now) {
        let mut ended: Vec<ClientId> = Vec::new();
        let mut lagging: Vec<ClientId> = Vec::new();
        for client in self.seat.clients.iter().flatten() {
            if client.over_soft_since.is_some() {
                lagging.push(client.meta.id);
            }
            let idle = now.mono.since(client.last_active).as_secs();
            let exempt = client.waiting.blocks() || client.subscriptions.is_some() || client.monitors;
            if idle_limit > 0 && !exempt && idle > idle_limit as u64 {
                ended.push(client.meta.id);
            }
        }
        for id in ended {
            shared.log.verbose("Closing idle client");
            self.with(shared, id, |_, _| false);
        }
        for id in lagging {
            self.with(shared, id, |worker, client| !worker.over_output_limit(shared, client));
        }
    }
}
