//! The keeper: accepts connections and hands them to the least busy worker, and does the server's periodic work (expiry,
//! samples for INFO, automatic saves). A thread of its own, so that neither the data plane nor the control plane waits
//! for it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use baton_base::{Mono, Slot, WallMs};
use baton_config::Id;
use baton_store::{DbIndex, Expired, ExpiredElements, Expiry, ViewOutcome};
use mio::{Events, Poll, Token};

use crate::conn::Conn;
use crate::eviction::{Evictor, Room};
use crate::gate::Pass;
use crate::latency::Event;
use crate::shared::Shared;
use crate::worker::WorkerMessage;

/// Keys expired under one pass through the gate.
const EXPIRE_STEP: usize = 64;
/// Longest stay of the expiry in one tick.
const EXPIRE_BUDGET: Duration = Duration::from_millis(5);
/// Longest stay of the eviction in one tick, about.
const EVICT_BUDGET: Duration = Duration::from_millis(5);
const ACCEPTS_PER_TURN: usize = 1000;

/// The thread.
pub struct Keeper {
    shared: Arc<Shared>,
    poll: Poll,
    next_worker: usize,
    next_tick: Mono,
    next_slot: usize,
    sample: Sample,
    /// How long the running look for keys whose time has come took so far, waits at the gate excluded.
    expire_took: Duration,
    expired_unit: baton_journal::Unit,
    evictor: Evictor,
}

/// Totals at the last sample of rates.
#[derive(Default)]
struct Sample {
    at: Mono,
    commands: u64,
    net_in: u64,
    net_out: u64,
    repl_in: u64,
    repl_out: u64,
    turns: u64,
    turn_micros: u64,
}

impl Keeper {
    /// A keeper of the server's listeners, which are registered with this poll.
    pub fn new(shared: Arc<Shared>, poll: Poll) -> Keeper {
        let now = shared.clock.mono();
        Keeper {
            shared,
            poll,
            next_worker: 0,
            next_tick: now,
            next_slot: 0,
            sample: Sample { at: now, ..Sample::default() },
            expire_took: Duration::ZERO,
            expired_unit: baton_journal::Unit::new(),
            evictor: Evictor::new(now.as_micros()),
        }
    }

    /// Keeps until the server stops.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(64);
        while !self.shared.stopping.load(Ordering::Acquire) {
            let now = self.shared.clock.mono();
            if now >= self.next_tick {
                let hz = self.shared.world.peek().settings.uint(Id::Hz).clamp(1, 500);
                self.next_tick = now + Duration::from_micros(1_000_000 / hz);
                self.tick(now);
            }
            let timeout = self.next_tick.since(self.shared.clock.mono());
            if let Err(e) = self.poll.poll(&mut events, Some(timeout)) {
                if e.kind() != io::ErrorKind::Interrupted {
                    self.shared.log.warning(&format!("Polling for connections failed: {e}"));
                    return;
                }
                continue;
            }
            for event in &events {
                self.accept(event.token());
            }
        }
    }

    fn accept(&mut self, which: Token) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(accepted) = self.shared.listeners.accept(which) else { return };
            match accepted {
                Ok(conn) => self.admit(conn),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted || e.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(e) => {
                    self.shared.log.warning(&format!("Accepting client connection: {e}"));
                    return;
                }
            }
        }
    }

    fn admit(&mut self, mut conn: Conn) {
        let shared = &self.shared;
        let world = shared.world.load();
        let refusal = if shared.clients.len() as u64 >= world.settings.uint(Id::MaxClients) {
            Some(&b"-ERR max number of clients reached\r\n"[..])
        } else if is_forbidden(&world, &conn) {
            Some(PROTECTED_TEXT)
        } else {
            None
        };
        if let Some(text) = refusal {
            // One try is enough: a fresh socket has room for a line.
            let _ = conn.write(text);
            shared.stats.rejected.add_shared(1);
            return;
        }
        conn.tune(world.settings.uint(Id::TcpKeepAlive));
        let path = world.settings.text(Id::UnixSocket);
        let meta =
            shared.clients.add(conn.peer(path), conn.local(path), conn.fd(), conn.is_unix(), shared.clock.mono());
        shared.stats.connections.add_shared(1);
        shared.log.verbose(&format!("Accepted {}", meta.addr));
        let workers = &shared.threads().workers;
        self.next_worker = (self.next_worker + 1) % workers.len();
        workers[self.next_worker].send(WorkerMessage::Connection(conn, meta));
    }

    fn tick(&mut self, now: Mono) {
        let clock = self.shared.clock;
        if self.shared.world.peek().loading.is_some() {
            // The data belongs to who loads it.
            if now.since(self.sample.at) >= Duration::from_secs(1) {
                self.take_sample(now);
            }
            return;
        }
        self.expire();
        let expired = clock.mono().since(now);
        self.make_room();
        self.shared.stats.expire_micros.add(expired.as_micros() as u64);
        let took = std::mem::take(&mut self.expire_took);
        if took.as_nanos() >= u128::from(self.shared.world.peek().hot.event_nanos) {
            self.shared.latencies.add(Event::ExpireCycle, clock.wall(), took.as_millis() as u64);
        }
        if now.since(self.sample.at) >= Duration::from_secs(1) {
            self.take_sample(now);
        }
        let clients_max = self.shared.world.peek().hot.clients_memory_max;
        if clients_max > 0 {
            crate::client_memory::evict(&self.shared, clients_max);
        }
        self.shared.journal.trim();
        crate::slot_jobs::keep_time(&self.shared);
        crate::persist::automatic_save(&self.shared);
        crate::aof::rewrite::keep_time(&self.shared);
        crate::worker::transaction::end_left_watches(&self.shared);
        let lane = self.shared.keeper_lane().0;
        self.shared.stats.lanes[lane].count_turn(clock.mono().since(now));
    }

    fn take_sample(&mut self, now: Mono) {
        let stats = &self.shared.stats;
        let micros = now.since(self.sample.at).as_micros().max(1) as u64;
        let next = Sample {
            at: now,
            commands: stats.sum(|l| &l.commands),
            net_in: stats.sum(|l| &l.net_in),
            net_out: stats.sum(|l| &l.net_out),
            repl_in: stats.repl_in.value(),
            repl_out: stats.repl_out.value(),
            turns: stats.sum(|l| &l.turns),
            turn_micros: stats.sum(|l| &l.turn_micros),
        };
        let old = &self.sample;
        let rate = |new: u64, old: u64| new.saturating_sub(old) * 1_000_000 / micros;
        stats.ops_per_sec.set(rate(next.commands, old.commands));
        stats.in_per_sec.set(rate(next.net_in + next.repl_in, old.net_in + old.repl_in));
        stats.out_per_sec.set(rate(next.net_out + next.repl_out, old.net_out + old.repl_out));
        stats.repl_in_per_sec.set(rate(next.repl_in, old.repl_in));
        stats.repl_out_per_sec.set(rate(next.repl_out, old.repl_out));
        stats.turns_per_sec.set(rate(next.turns, old.turns));
        let turns = next.turns.saturating_sub(old.turns).max(1);
        stats.turn_micros_mean.set(next.turn_micros.saturating_sub(old.turn_micros) / turns);
        let used = self.shared.memory_used();
        stats.memory_peak.raise(used);
        self.sample = next;
    }

    /// Evicts keys where too much memory is used though no command comes that would make room.
    fn make_room(&mut self) {
        let shared = Arc::clone(&self.shared);
        let began = shared.clock.mono();
        let mut room = Room::Soon;
        while room == Room::Soon && shared.clock.mono().since(began) < EVICT_BUDGET {
            let Some(_pass) = self.enter(&shared) else { return };
            let world = shared.world.peek();
            if world.hot.memory_max == 0 {
                return;
            }
            room = self.evictor.make_room(&shared, &world, shared.keeper_lane(), shared.clock.wall());
            self.evictor.take_told().into_iter().for_each(|(to, push)| shared.deliver(to, push));
        }
    }

    /// Passes the gate, unless a script keeps it closed for long: new connections must not wait for that.
    fn enter<'s>(&self, shared: &'s Shared) -> Option<Pass<'s>> {
        shared.gate.enter_unless(shared.keeper_lane(), || shared.running.any())
    }

    /// Deletes keys whose time has come, slot after slot, on a primary whose writes aren't held.
    fn expire(&mut self) {
        let began = self.shared.clock.mono();
        let shared = Arc::clone(&self.shared);
        let mut visited = 0;
        while visited < Slot::COUNT {
            let Some(pass) = self.enter(&shared) else { return };
            let entered = shared.clock.mono();
            let world = shared.world.peek();
            if world.role.is_replica() {
                if world.active_expire {
                    let deleted = shared.written_here.delete_due(&shared.store, shared.clock.wall(), |view| {
                        crate::worker::changes::announce_from_aside(&shared, view);
                    });
                    shared.stats.lanes[shared.keeper_lane().0].expired.add(deleted);
                }
                return;
            }
            shared.written_here.forget();
            if world.holds.scope().is_some() || world.imports || !world.active_expire || world.loading.is_some() {
                return;
            }
            // A bounded number of slots under one pass: looking at an idle slot costs one comparison and no lock.
            let wall = shared.clock.wall();
            for _ in 0..512 {
                let Some(slot) = Slot::new(self.next_slot as u16) else { break };
                let due = shared.store.may_be_due(slot, wall) && !world.spares(slot);
                if !(due && self.expire_slot(&shared, slot, wall, world.hot.lazy_expire)) {
                    self.next_slot = (self.next_slot + 1) % Slot::COUNT;
                    visited += 1;
                }
            }
            drop(pass);
            self.expire_took += shared.clock.mono().since(entered);
            if shared.clock.mono().since(began) > EXPIRE_BUDGET {
                return;
            }
        }
    }

    fn expire_slot(&mut self, shared: &Shared, slot: Slot, wall: WallMs, lazy: bool) -> bool {
        let view = shared.store.view_or_give_up(slot, DbIndex(0), wall, Expiry::Delete);
        let Ok(mut view) = view else { return false };
        let Expired { elements, more } = view.expire_due(slot, EXPIRE_STEP);
        crate::worker::changes::announce_from_aside(shared, &mut view);
        let ViewOutcome { expired, garbage, .. } = view.take_outcome();
        if let Some(garbage) = garbage {
            shared.free_later(*garbage);
        }
        if expired.is_empty() && elements.is_empty() {
            return false;
        }
        let events = shared.world.peek().env.events;
        crate::events::publish_expired(shared, events, &expired);
        crate::events::publish_expired_elements(shared, events, &elements);
        let lane = &shared.stats.lanes[shared.keeper_lane().0];
        lane.expired.add(expired.len() as u64);
        lane.expired_fields.add(elements.iter().map(|of_key| of_key.names.len() as u64).sum());
        if shared.journal.is_active() {
            let verb: &[u8] = if lazy { b"UNLINK" } else { b"DEL" };
            for (db, key) in &expired {
                self.expired_unit.push(db.0, &[verb, key]);
            }
            shared.journal.append_bare(&self.expired_unit);
            self.expired_unit.clear();
            elements.iter().for_each(|of_key| self.record_elements(of_key, verb));
        }
        more
    }

    /// Writes the removal of elements into the stream; with that of the key, where none were left: a unit for each key.
    fn record_elements(&mut self, expired: &ExpiredElements, verb: &[u8]) {
        let names = expired.names.iter().map(Vec::as_slice);
        let words: Vec<&[u8]> = [b"HDEL", &*expired.key].into_iter().chain(names).collect();
        self.expired_unit.push(expired.db.0, &words);
        if expired.emptied {
            self.expired_unit.push(expired.db.0, &[verb, &expired.key]);
        }
        self.shared.journal.append(&self.expired_unit);
        self.expired_unit.clear();
    }
}

/// Protected mode: without a password only this machine may connect.
fn is_forbidden(world: &crate::world::World, conn: &Conn) -> bool {
    if !world.settings.bool(Id::ProtectedMode) || !world.users.default_user().is_open() || conn.is_unix() {
        return false;
    }
    let peer: Option<SocketAddr> = conn.peer("").parse().ok();
    !peer.is_some_and(|p| match p.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback()),
    })
}

const PROTECTED_TEXT: &[u8] = b"-DENIED Running in protected mode because protected mode is enabled and no password is set \
for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from \
external computers, you may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG \
SET protected-mode no' from the loopback interface by connecting from the same host the server is running, however MAKE SURE \
it's not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively \
you can just disable the protected mode by editing the configuration file, and setting the protected mode option to 'no', and \
then restarting the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' \
option. 4) Set up an authentication password for the default user. NOTE: You only need to do one of the above things in order \
for the server to start accepting connections from the outside.\r\n";
