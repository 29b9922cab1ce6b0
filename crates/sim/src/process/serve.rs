//! The model of the data plane as clients see it: it asks the published topology where a slot is, holds writers behind
//! the gate, executes, acknowledges.

use crate::boot;
use crate::client::number_of;
use crate::data::Op;
use crate::event::{Answer, Ask, Event, Later, Request};
use crate::io::{Io, Sabotage};
use crate::process::core::Core;
use baton_base::{Mono, Offset, Slot};
use baton_cluster::{Route, RouteQuery, route};
use baton_node::Input;
use std::collections::VecDeque;

/// Whether writers are held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Closed {
    /// They run.
    #[default]
    No,
    /// They will be held once what is in flight has finished.
    Soon,
    /// They are held.
    Yes,
}

/// The gate for writers.
#[derive(Debug, Default)]
pub(super) struct Gate {
    closed: Closed,
    /// When it opens by itself.
    until: Mono,
    /// Which fence it is.
    number: u64,
    held: VecDeque<Request>,
    /// Until when writes may be acknowledged, by the clock of the process.
    leased_until: Mono,
    /// Executed, and not acknowledged because the lease ended meanwhile; each with the end of what it wrote.
    unanswered: Vec<(Request, Offset)>,
}

impl Gate {
    /// An open one.
    pub(super) fn new() -> Gate {
        Gate { leased_until: Mono::NEVER, ..Gate::default() }
    }

    /// Whether writers run.
    pub(super) fn is_open(&self) -> bool {
        self.closed == Closed::No
    }

    /// When it has to be looked at.
    pub(super) fn deadline(&self) -> Mono {
        if self.is_open() { Mono::NEVER } else { self.until }
    }

    /// Takes all held writers out.
    pub(super) fn take_held(&mut self) -> VecDeque<Request> {
        std::mem::take(&mut self.held)
    }
}

impl Core {
    /// A request arrived.
    pub(super) fn on_request(&mut self, io: &mut Io, request: Request) {
        let slot = Slot::new(request.slot).expect("clients know which slots there are");
        let query = RouteQuery { slot: Some(slot), write: request.ask.writes(), ..RouteQuery::default() };
        match route(&self.topology, &query, Default::default) {
            Route::Local if self.is_replica => {
                let text = format!("n{} is told to serve slot {} as a replica", self.no, request.slot);
                io.watch.judge(io.now, Err(text));
            }
            Route::Local => match request.ask {
                Ask::Read(key) => self.read(io, request, key),
                Ask::Set(_) | Ask::Put(_) => self.write_locally(io, request),
            },
            Route::Moved(_, index) | Route::Ask(_, index) => {
                let node = self.topology.node(index).expect("a route names a known node");
                let answer = boot::proc_at(node.address.ip.as_str()).map_or(Answer::Down, Answer::Moved);
                self.answer(io, request, answer);
            }
            _ => self.answer(io, request, Answer::Down),
        }
    }

    fn write_locally(&mut self, io: &mut Io, request: Request) {
        let leaky = io.sabotage == Some(Sabotage::LeakyFence);
        let leased = self.now(io) < self.gate.leased_until || ignores_lease(io);
        if (self.gate.closed == Closed::Yes && !leaky) || !leased {
            self.gate.held.push_back(request);
        } else if self.lacks_replicas(io) {
            self.answer(io, request, Answer::NoReplicas);
        } else {
            self.execute(io, request);
        }
    }

    fn read(&mut self, io: &mut Io, request: Request, key: u32) {
        let value = self.data.keys().get(&(request.slot, key)).copied().unwrap_or(0);
        self.reply(io, request, Answer::Value(value), None);
    }

    fn execute(&mut self, io: &mut Io, request: Request) {
        let bytes = 40 + io.rng.below(io.plan.op_bytes_max);
        let Request { slot, client, ask, .. } = request;
        let op = match ask {
            Ask::Set(value) => Op::Set { key: (slot, client as u32), value, bytes },
            Ask::Put(value) => Op::Put { slot, client, value, number: number_of(value), bytes },
            Ask::Read(_) => unreachable!("this is no write"),
        };
        self.append(io, op);
        self.mark(slot);
        let end = self.data.end();
        if self.leases(io) {
            self.reply(io, request, Answer::Ok, Some(end));
        } else {
            self.gate.unanswered.push((request, end));
        }
    }

    /// Whether a write may be acknowledged now. The clock is looked at anew, however long ago that was done for the rest.
    pub(super) fn leases(&self, io: &Io) -> bool {
        self.fresh_now(io) < self.gate.leased_until || ignores_lease(io)
    }

    /// Says what came of a request.
    pub(super) fn acknowledge(&mut self, io: &mut Io, request: Request, answer: Answer) {
        if request.ask.writes() {
            let cluster = self.node.cluster().expect("in cluster mode");
            let (id, epoch) = (cluster.id(), cluster.config_epoch());
            // What replicas acknowledged may be said late: they had it before they had another primary.
            let strict = (io.watch.strict || io.plan.keeps_leases()) && !self.holds_replies(io);
            let verdict = io.watch.writers.note(request.slot, epoch, id, strict);
            io.watch.judge(io.now, verdict);
            self.note_promise(io, request);
        }
        self.answer(io, request, answer);
    }

    /// Whether no fence holds writers.
    pub(super) fn gate_is_open(&self) -> bool {
        self.gate.is_open()
    }

    pub(super) fn answer(&self, io: &mut Io, request: Request, answer: Answer) {
        let Request { client, number, .. } = request;
        if !io.net.is_cut(self.no, io.plan.procs() + client) {
            let delay = io.net.delay();
            io.after(delay, Event::Answer { client, number, answer });
        }
    }

    /// The connection of a waiting client breaks.
    pub(super) fn reset_client(&self, io: &mut Io, request: Request) {
        self.answer(io, request, Answer::Reset);
    }

    /// Begins to hold writers, or holds those that are held for longer.
    pub(super) fn close_gate(&mut self, io: &mut Io, until: Mono) {
        self.gate.until = until;
        if self.gate.is_open() {
            self.gate.closed = Closed::Soon;
            self.gate.number += 1;
            let what = Later::Fenced(self.gate.number);
            let time = io.up_to_us(io.plan.gate_max_us);
            io.after(time, Event::Own { proc: self.no, life: self.life, what });
        }
    }

    /// What was in flight has finished.
    pub(super) fn gate_closed(&mut self, io: &mut Io, number: u64) {
        if self.gate.number == number && self.gate.closed == Closed::Soon {
            self.gate.closed = Closed::Yes;
            let offset = self.data.end();
            io.trace.note(io.now, 40, self.no as u64, offset.0, || format!("n{} fenced at {offset}", self.no));
            self.inputs.push_back(Input::Fenced { offset });
        }
    }

    /// Lets held writers go on: they are looked at anew, and run or are sent elsewhere.
    pub(super) fn open_gate(&mut self, io: &mut Io) {
        self.gate.closed = Closed::No;
        for request in self.gate.take_held() {
            self.on_request(io, request);
        }
        self.ask_for_acks(io);
    }

    /// The lease ends later, or earlier, than was known.
    pub(super) fn set_lease(&mut self, io: &mut Io, until: Mono) {
        self.gate.leased_until = until;
        if self.leases(io) {
            for (request, end) in std::mem::take(&mut self.gate.unanswered) {
                match self.is_replica {
                    true => self.reset_client(io, request),
                    false => self.reply(io, request, Answer::Ok, Some(end)),
                }
            }
        }
        self.judge_held(io);
    }

    /// Writes that were not acknowledged before the role was lost may be lost with it.
    pub(super) fn break_unanswered(&mut self, io: &mut Io) {
        for (request, _) in std::mem::take(&mut self.gate.unanswered) {
            self.reset_client(io, request);
        }
    }

    /// Held writers are looked at anew unless the gate is closed.
    pub(super) fn judge_held(&mut self, io: &mut Io) {
        if self.gate.is_open() {
            self.open_gate(io);
        }
    }

    /// A broken shell: held writers run although another node serves by now.
    pub(super) fn execute_held(&mut self, io: &mut Io) {
        for request in self.gate.take_held() {
            self.execute(io, request);
        }
    }

    /// The gate opens by itself if nobody says anything for too long.
    pub(super) fn tick_gate(&mut self, io: &mut Io) {
        if !self.gate.is_open() && self.now(io) >= self.gate.until {
            io.trace.note(io.now, 41, self.no as u64, 0, || format!("n{} opens by itself", self.no));
            self.open_gate(io);
        }
    }

    /// A sign of life for replicas, unless the offset has to stand still.
    pub(super) fn ping_replicas(&mut self, io: &mut Io) {
        if !self.is_replica && self.gate.is_open() && !self.feeders.is_empty() {
            self.append(io, Op::Ping);
        }
    }
}

/// A broken shell. One that executes what it should hold would be kept from telling by the lease, since there is none while
/// a successor is waited for; it is the other rule that is looked at then.
fn ignores_lease(io: &Io) -> bool {
    matches!(io.sabotage, Some(Sabotage::NoLease | Sabotage::LeakyFence | Sabotage::LateWrites))
}
