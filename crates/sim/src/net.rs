//! The network: connections that keep order and lose nothing while they stand, delays, lost packets that cost time,
//! cuts that hold everything up in one direction or both, resets, and machines that vanish without a word.

use crate::event::{AtEnd, Event, Payload, ProcNo, Queue};
use crate::plan::NetPlan;
use baton_base::{Mono, Rng};
use baton_cluster::{LinkFailure, LinkId};
use std::time::Duration;

/// A connection, by its number.
pub type ConnNo = usize;

/// One of the two ends of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// Who connected.
    Caller,
    /// Who was connected to.
    Callee,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The cluster bus.
    Bus,
    /// Replication.
    Replication,
}

/// One end.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// Whose it is.
    pub proc: ProcNo,
    /// In which life of the process.
    pub life: u64,
    /// Whether the process has it open.
    pub open: bool,
    /// What the process calls it, if it is of the bus.
    pub link: Option<LinkId>,
}

/// A connection.
#[derive(Debug)]
pub struct Conn {
    /// What it is for.
    pub purpose: Purpose,
    /// Its ends.
    pub ends: [End; 2],
    /// Both ends know each other.
    pub established: bool,
    /// It broke, and the ends will hear of it: nothing that is sent from now on arrives.
    broken: bool,
    /// When the latest thing to either end arrives: nothing overtakes.
    last: [Mono; 2],
    /// How much waits for the disk of its sender, by sending side.
    departing: [usize; 2],
    /// What a cut holds up, by receiving side.
    stalled: [Vec<AtEnd>; 2],
}

impl Conn {
    /// One of the ends.
    pub fn end(&self, side: Side) -> End {
        self.ends[side.index()]
    }

    /// One of the ends, to change it.
    pub fn end_mut(&mut self, side: Side) -> &mut End {
        &mut self.ends[side.index()]
    }
}

/// How often a connection attempt is repeated before it fails.
const SYN_TRIES_MAX: u32 = 6;
/// Time between two attempts.
const SYN_AGAIN: Duration = Duration::from_secs(1);

/// The network.
pub struct Net {
    plan: NetPlan,
    rng: Rng,
    conns: Vec<Conn>,
    /// `cuts[a][b]`: how many faults keep what `a` sends from `b`.
    cuts: Vec<Vec<u8>>,
    /// Everything takes this many times as long.
    slowness: u64,
    /// When the last arrives of what was sent while the network was slow.
    slow_until: Mono,
    /// Bytes that were sent on the cluster bus so far.
    pub bus_bytes: u64,
}

impl Net {
    /// A network of processes and, after them, clients.
    pub fn new(plan: NetPlan, places: usize, rng: Rng) -> Net {
        let cuts = vec![vec![0; places]; places];
        Net { plan, rng, conns: Vec::new(), cuts, slowness: 1, slow_until: Mono::ZERO, bus_bytes: 0 }
    }

    /// A connection.
    pub fn conn(&self, conn: ConnNo) -> &Conn {
        &self.conns[conn]
    }

    /// A connection, to change it.
    pub fn conn_mut(&mut self, conn: ConnNo) -> &mut Conn {
        &mut self.conns[conn]
    }

    /// How many connections there ever were.
    pub fn len(&self) -> usize {
        self.conns.len()
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }

    /// Whether what `from` sends does not reach `to`.
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cuts[from][to] > 0
    }

    /// One random time from here to there.
    pub fn delay(&mut self) -> Duration {
        let mut us = self.rng.range(self.plan.delay_min_us, self.plan.delay_max_us);
        if self.rng.chance(self.plan.loss_permille, 1000) {
            us += self.plan.resend_us;
        }
        Duration::from_micros(us * self.slowness)
    }

    /// Lets everything take this many times as long from now on.
    pub fn slow_down(&mut self, times: u64) {
        self.slowness = times;
    }

    /// Until when something is on its way that was sent while the network was slow. What is sent on the same connection
    /// later does not overtake it.
    pub fn slow_until(&self) -> Mono {
        self.slow_until
    }

    /// When something arrives that leaves now.
    fn arrival(&mut self, now: Mono) -> Mono {
        let at = now + self.delay();
        if self.slowness > 1 {
            self.slow_until = self.slow_until.max(at);
        }
        at
    }

    /// Begins a connection.
    pub fn connect(
        &mut self,
        queue: &mut Queue,
        now: Mono,
        purpose: Purpose,
        caller: (ProcNo, u64),
        callee: ProcNo,
    ) -> ConnNo {
        let conn = self.conns.len();
        let caller = End { proc: caller.0, life: caller.1, open: true, link: None };
        let callee = End { proc: callee, life: 0, open: false, link: None };
        let ends = [caller, callee];
        self.conns.push(Conn {
            purpose,
            ends,
            established: false,
            broken: false,
            last: [now; 2],
            departing: [0; 2],
            stalled: [vec![], vec![]],
        });
        let at = self.arrival(now);
        queue.push(at, Event::Syn { conn, tries: 0 });
        conn
    }

    /// The first packet is lost on the way, or the machine is off.
    pub fn syn_lost(&mut self, queue: &mut Queue, now: Mono, conn: ConnNo, tries: u32) {
        if tries < SYN_TRIES_MAX {
            queue.push(now + SYN_AGAIN, Event::Syn { conn, tries: tries + 1 });
        } else {
            let what = AtEnd::Failed(LinkFailure::Unreachable);
            queue.push(now, Event::Conn { conn, side: Side::Caller, what });
        }
    }

    /// Nobody listens there.
    pub fn refuse(&mut self, queue: &mut Queue, now: Mono, conn: ConnNo) {
        let at_once = self.plan.refused_at_once;
        let (at, why) = match at_once {
            true => (now, LinkFailure::RefusedAtOnce),
            false => (self.arrival(now), LinkFailure::Refused),
        };
        queue.push(at, Event::Conn { conn, side: Side::Caller, what: AtEnd::Failed(why) });
    }

    /// The callee takes the connection.
    pub fn accept(&mut self, queue: &mut Queue, now: Mono, conn: ConnNo, life: u64) {
        let at = self.arrival(now);
        let state = &mut self.conns[conn];
        state.established = true;
        state.ends[1].life = life;
        state.ends[1].open = true;
        state.last = [at, now];
        queue.push(now, Event::Conn { conn, side: Side::Callee, what: AtEnd::Opened });
        queue.push(at, Event::Conn { conn, side: Side::Caller, what: AtEnd::Opened });
    }

    /// Sends; what is sent leaves at `departs`, and never if its sender is gone by then.
    pub fn send(&mut self, queue: &mut Queue, now: Mono, departs: Mono, conn: ConnNo, side: Side, payload: Payload) {
        if let (Purpose::Bus, Payload::Bytes(bytes)) = (self.conns[conn].purpose, &payload) {
            self.bus_bytes += bytes.len() as u64;
        }
        let waiting = &mut self.conns[conn].departing[side.index()];
        if departs > now || *waiting > 0 {
            *waiting += 1;
            queue.push(departs, Event::Depart { conn, side, payload });
        } else {
            self.post(queue, now, conn, side.other(), AtEnd::Data(payload));
        }
    }

    /// What waited for a disk leaves.
    pub fn depart(&mut self, queue: &mut Queue, now: Mono, conn: ConnNo, side: Side, payload: Payload) {
        self.conns[conn].departing[side.index()] -= 1;
        if self.conns[conn].end(side).open {
            self.post(queue, now, conn, side.other(), AtEnd::Data(payload));
        }
    }

    /// An end closes; the other one hears of it unless the machine vanished.
    pub fn close(&mut self, queue: &mut Queue, now: Mono, conn: ConnNo, side: Side, heard: bool) {
        let state = &mut self.conns[conn];
        if !std::mem::take(&mut state.end_mut(side).open) || !state.established {
            return;
        }
        if heard && state.end(side.other()).open {
            self.post(queue, now, conn, side.other(), AtEnd::Closed);
        }
    }

    /// Puts something on its way to one end.
    pub fn post(&mut self, queue: &mut Queue, now: Mono, conn: ConnNo, to: Side, what: AtEnd) {
        if self.conns[conn].broken {
            return;
        }
        let (sender, receiver) = (self.conns[conn].end(to.other()).proc, self.conns[conn].end(to).proc);
        let held = !self.conns[conn].stalled[to.index()].is_empty();
        if self.is_cut(sender, receiver) || held {
            self.conns[conn].stalled[to.index()].push(what);
            return;
        }
        let bytes = match &what {
            AtEnd::Data(Payload::Bytes(bytes)) => bytes.len() as u64,
            AtEnd::Data(Payload::Snapshot(snapshot)) => snapshot.bytes(),
            AtEnd::Data(Payload::Stream { ops, .. }) => ops.iter().map(crate::data::Op::bytes).sum(),
            _ => 0,
        };
        let transfer = Duration::from_micros(bytes / self.plan.bytes_per_us);
        let earliest = self.arrival(now);
        let last = &mut self.conns[conn].last[to.index()];
        let at = earliest.max(*last + transfer);
        *last = at;
        queue.push(at, Event::Conn { conn, side: to, what });
    }

    /// Cuts one direction.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cuts[from][to] += 1;
    }

    /// Ends a cut. What was held up goes on, or the connection turns out to be dead.
    pub fn mend(&mut self, queue: &mut Queue, now: Mono, from: usize, to: usize) {
        self.cuts[from][to] -= 1;
        if self.cuts[from][to] > 0 {
            return;
        }
        for conn in 0..self.conns.len() {
            for side in [Side::Caller, Side::Callee] {
                let state = &mut self.conns[conn];
                if state.end(side).proc != to || state.end(side.other()).proc != from {
                    continue;
                }
                let stalled = std::mem::take(&mut state.stalled[side.index()]);
                if stalled.is_empty() {
                    continue;
                }
                if self.rng.chance(1, 4) {
                    self.reset(queue, now, conn);
                    continue;
                }
                for what in stalled {
                    self.post(queue, now, conn, side, what);
                }
            }
        }
    }

    /// Both ends lose the connection; what was on its way is lost.
    pub fn reset(&mut self, queue: &mut Queue, now: Mono, conn: ConnNo) {
        self.conns[conn].broken = true;
        for side in [Side::Caller, Side::Callee] {
            let at = self.arrival(now);
            let state = &mut self.conns[conn];
            state.stalled[side.index()].clear();
            if state.established && state.end(side).open {
                // What is on its way still arrives at the queue; the process doesn't look at a connection it lost.
                queue.push(at, Event::Conn { conn, side, what: AtEnd::Closed });
            }
        }
    }
}
