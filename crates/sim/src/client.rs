//! A client that follows redirections and remembers what it was told. It sets one key in every slot it uses, to values
//! that grow, one request at a time; what it heard nothing about counts as unknown. With quorum writes it also reads that
//! key, and shares a register in each slot with all others, which it reads and overwrites.

use crate::data::REGISTER;
use crate::event::{Answer, Ask, ClientNo, Event, ProcNo, Request};
use crate::invariant::linear::What;
use crate::io::Io;
use baton_base::Mono;
use std::collections::BTreeMap;
use std::time::Duration;

/// Redirections that are followed at once.
const HOPS_MAX: u32 = 8;

/// The value that a client puts into a register as its so manieth in a slot. Nobody else puts the same.
fn value_of(client: ClientNo, number: u64) -> u64 {
    (client as u64 + 1) << 32 | number
}

/// The number in such a value.
pub fn number_of(value: u64) -> u64 {
    value & 0xffff_ffff
}

/// A client.
pub struct Client {
    no: ClientNo,
    slots: Vec<u16>,
    /// Where it believes slots to be.
    map: BTreeMap<u16, ProcNo>,
    values: BTreeMap<u16, u64>,
    /// Number of its latest request, and of the pause after it.
    number: u64,
    waiting: Option<Waiting>,
    /// Whether it makes new requests.
    pub active: bool,
}

/// A request under way.
#[derive(Clone, Copy)]
struct Waiting {
    slot: u16,
    ask: Ask,
    /// What it is among the operations on a register, or what had been promised of its own key when it was asked for.
    mark: u64,
    hops: u32,
    /// When it was first sent.
    since: Mono,
    /// When the client gives up.
    until: Mono,
}

impl Client {
    /// A client that doesn't do anything yet.
    pub fn new(no: ClientNo, slots: Vec<u16>) -> Client {
        Client { no, slots, map: BTreeMap::new(), values: BTreeMap::new(), number: 0, waiting: None, active: false }
    }

    /// Begins to make requests.
    pub fn begin(&mut self, io: &mut Io) {
        self.active = true;
        self.think(io);
    }

    fn think(&mut self, io: &mut Io) {
        self.waiting = None;
        let pause = io.up_to_us(io.plan.think_max_us);
        self.wake_after(io, pause);
    }

    fn wake_after(&mut self, io: &mut Io, pause: Duration) {
        self.number += 1;
        io.after(pause, Event::ClientWake { client: self.no, number: self.number });
    }

    /// A pause or its patience is over.
    pub fn on_wake(&mut self, io: &mut Io, number: u64) {
        if number != self.number || !self.active {
            return;
        }
        match self.waiting {
            Some(waiting) if io.now >= waiting.until => {
                io.watch.latency(io.now, waiting.since);
                self.map.remove(&waiting.slot);
                self.think(io);
            }
            Some(waiting) => self.send(io, waiting),
            None => self.ask(io),
        }
    }

    fn ask(&mut self, io: &mut Io) {
        let slot = *io.rng.pick(&self.slots).expect("there are slots");
        let latest = self.values.entry(slot).or_default();
        let key = self.no as u32;
        let ask = match if io.plan.write_ack_replicas > 0 { io.rng.below(8) } else { 0 } {
            0..=1 => Ask::Set(*latest + 1),
            2..=4 => Ask::Put(value_of(self.no, *latest + 1)),
            5 => Ask::Read(key),
            _ => Ask::Read(REGISTER),
        };
        *latest += u64::from(ask.writes());
        let mark = match ask {
            Ask::Set(_) => 0,
            Ask::Put(value) => io.watch.linear.begin(slot, What::Write(value), io.now) as u64,
            Ask::Read(REGISTER) => io.watch.linear.begin(slot, What::Read, io.now) as u64,
            Ask::Read(key) => io.watch.readable.promised((slot, key)),
        };
        let until = io.now + Duration::from_millis(io.plan.patience_ms);
        self.send(io, Waiting { slot, ask, mark, hops: 0, since: io.now, until });
    }

    fn send(&mut self, io: &mut Io, waiting: Waiting) {
        self.waiting = Some(waiting);
        self.number += 1;
        let procs = io.plan.procs();
        let target = self.map.get(&waiting.slot).copied().unwrap_or_else(|| io.rng.below(procs as u64) as usize);
        let request = Request { client: self.no, number: self.number, slot: waiting.slot, ask: waiting.ask };
        if !io.net.is_cut(procs + self.no, target) {
            let delay = io.net.delay();
            io.after(delay, Event::Request { proc: target, request });
        }
        io.queue.push(waiting.until, Event::ClientWake { client: self.no, number: self.number });
    }

    /// An answer arrived.
    pub fn on_answer(&mut self, io: &mut Io, number: u64, answer: Answer) {
        let Some(mut waiting) = self.waiting.filter(|_| number == self.number) else { return };
        match answer {
            Answer::Ok => {
                self.note_done(io, waiting, 0);
                io.watch.latency(io.now, waiting.since);
                self.think(io);
            }
            Answer::Value(value) => {
                self.note_done(io, waiting, value);
                io.watch.latency(io.now, waiting.since);
                self.think(io);
            }
            Answer::Unacked => self.think(io),
            // Who asks for replicas waits for them, whatever goes on.
            Answer::NoReplicas => self.again(io, Waiting { since: io.now, ..waiting }, 20_000),
            Answer::Moved(to) => {
                self.map.insert(waiting.slot, to);
                waiting.hops += 1;
                if waiting.hops <= HOPS_MAX {
                    self.send(io, waiting);
                } else {
                    self.again(io, Waiting { hops: 0, ..waiting }, 20_000);
                }
            }
            Answer::Down => self.again(io, waiting, 30_000),
            Answer::Reset => {
                self.map.remove(&waiting.slot);
                match waiting.ask {
                    // It may have been done, and must not be done twice.
                    Ask::Put(_) => self.think(io),
                    Ask::Set(_) | Ask::Read(_) => self.again(io, waiting, 5_000),
                }
            }
        }
    }

    fn note_done(&self, io: &mut Io, waiting: Waiting, value: u64) {
        let Waiting { slot, mark, .. } = waiting;
        match waiting.ask {
            Ask::Set(value) => io.watch.ledger.note((slot, self.no as u32), value),
            Ask::Put(_) | Ask::Read(REGISTER) => io.watch.linear.end(slot, mark as usize, io.now, value),
            Ask::Read(key) if io.plan.keeps_writes() => {
                let verdict = io.watch.readable.read((slot, key), value, mark);
                io.watch.judge(io.now, verdict);
            }
            Ask::Read(_) => {}
        }
    }

    /// Tries again after a while, as long as there is patience.
    fn again(&mut self, io: &mut Io, waiting: Waiting, pause_us: u64) {
        self.waiting = Some(waiting);
        self.wake_after(io, Duration::from_micros(pause_us));
    }
}
