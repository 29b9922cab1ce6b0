//! The world: processes, clients, the network between them, and the one loop that lets everything happen in order.

use crate::boot;
use crate::client::Client;
use crate::clock::Clock;
use crate::director::Director;
use crate::disk::{Disk, Write};
use crate::event::{Answer, AtEnd, Event, Later, ProcNo, Queue};
use crate::invariant::Watch;
use crate::io::{Io, Sabotage};
use crate::net::{ConnNo, Net, Side};
use crate::plan::{Plan, Target};
use crate::process::core::Core;
use crate::process::{Process, State};
use crate::trace::{Listener, Trace};
use baton_base::{Mono, NodeId, Rng};

/// More events than any run needs; reaching it means that something goes round in circles.
const EVENTS_MAX: u64 = 20_000_000;

/// How to run a seed.
#[derive(Default)]
pub struct Options {
    /// Hears the trace as text.
    pub listener: Option<Listener>,
    /// A rule to break.
    pub sabotage: Option<Sabotage>,
    /// A plan other than the seed's own.
    pub plan: Option<Plan>,
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Hash of everything that happened.
    pub hash: u64,
    /// Events in all.
    pub events: u64,
    /// Time that passed in the world, ms.
    pub virtual_ms: u64,
    /// What was violated; empty if all is well.
    pub violations: Vec<String>,
    /// Writes that clients were told are done.
    pub acknowledged: u64,
    /// Of these, lost to crashes and partitions.
    pub lost: u64,
    /// Planned operations that were carried out under strict rules.
    pub planned: u64,
    /// The longest that a client waited for one write in any of them, us.
    pub longest_wait_us: u64,
    /// Full synchronisations in them.
    pub full_syncs: u64,
    /// How often a node that held keys adopted a history without any.
    pub emptied: u64,
    /// Reads of registers that were answered, in runs with quorum writes.
    pub reads: u64,
    /// Replies that waited for replicas.
    pub held: u64,
    /// Slots that lost all copies of what replicas had acknowledged, to faults.
    pub excused: u64,
    /// The faults left no whole copy of some shard, so that it could not come back.
    pub hopeless: bool,
    /// From the end of the last fault until all was well again, ms.
    pub recovery_ms: u64,
}

/// See the file.
pub struct World {
    /// The processes.
    pub procs: Vec<Process>,
    /// The clients.
    pub clients: Vec<Client>,
    /// Everything else.
    pub io: Io,
    director: Option<Director>,
    done: bool,
}

/// Runs one seed from beginning to end.
pub fn run(seed: u64, options: Options) -> Report {
    let mut world = World::new(seed, options);
    world.queue_director();
    while !world.done && world.step() {
        if world.io.trace.events() > EVENTS_MAX {
            let at = world.io.now;
            world.io.watch.judge(at, Err("too many events".to_owned()));
        }
        if !world.io.watch.violations().is_empty() {
            break;
        }
    }
    world.judge_histories();
    world.report(seed)
}

impl World {
    /// The world of a seed before anything has happened. Nobody leads it yet.
    pub fn new(seed: u64, options: Options) -> World {
        let plan = options.plan.unwrap_or_else(|| Plan::of(seed));
        let mut rng = Rng::new(seed ^ 0x0fba_705e_ed00);
        let places = plan.procs() + plan.clients;
        let images = boot::images(&plan, &mut rng);
        let mut procs = Vec::new();
        for (no, image) in images.into_iter().enumerate() {
            let mut disk = Disk::default();
            disk.write(Mono::ZERO, Mono::ZERO, true, Write::Config(image.config));
            disk.end(Mono::ZERO, crate::disk::End::Process, &mut rng);
            let clock = clock(&plan, &mut rng);
            procs.push(Process::new(no, clock, disk, rng.fork()));
        }
        let slots = boot::slots_used(&plan);
        let clients = (0..plan.clients).map(|no| Client::new(no, slots.clone())).collect();
        let net = Net::new(plan.net, places, rng.fork());
        let io = Io {
            now: Mono::ZERO,
            queue: Queue::default(),
            net,
            rng,
            trace: Trace::new(options.listener),
            watch: Watch::default(),
            plan,
            sabotage: options.sabotage,
        };
        let mut world = World { procs, clients, io, director: Some(Director::new()), done: false };
        for no in 0..world.procs.len() {
            let at = Mono::ZERO + world.io.up_to_us(world.io.plan.start_max_us);
            world.io.queue.push(at, Event::Start { proc: no, life: 1 });
        }
        world
    }

    fn queue_director(&mut self) {
        self.io.queue.push(Mono::ZERO, Event::Direct);
    }

    /// Lets the next event happen. False if there is none any more.
    pub fn step(&mut self) -> bool {
        let Some((at, event)) = self.io.queue.pop() else { return false };
        self.io.now = at;
        self.dispatch(event);
        while let Some((proc, whole)) = self.io.watch.readable.ended.pop() {
            self.judge_copies(proc, whole);
        }
        true
    }

    /// Lets everything happen until this time.
    pub fn advance(&mut self, until: Mono) {
        while self.io.queue.next_at().is_some_and(|at| at <= until) && self.step() {}
        self.io.now = until;
    }

    fn dispatch(&mut self, event: Event) {
        self.note(&event);
        match event {
            Event::Syn { conn, tries } => self.on_syn(conn, tries),
            Event::Conn { conn, side, what } => self.on_conn(conn, side, what),
            Event::Depart { conn, side, payload } => {
                let Io { net, queue, now, .. } = &mut self.io;
                net.depart(queue, *now, conn, side, payload);
            }
            Event::Own { proc, life, what } => {
                let process = &mut self.procs[proc];
                let stale = what == Later::Wake && process.core.as_ref().is_some_and(|c| c.wake_at != self.io.now);
                if process.life == life && !stale {
                    process.take(&mut self.io, Event::Own { proc, life, what });
                }
            }
            Event::Request { proc, request } => match self.procs[proc].state {
                State::Down => {
                    let answer = Answer::Reset;
                    let delay = self.io.net.delay();
                    let (client, number) = (request.client, request.number);
                    self.io.after(delay, Event::Answer { client, number, answer });
                }
                _ => self.procs[proc].take(&mut self.io, event),
            },
            Event::Command { proc, .. }
            | Event::Stop { proc, .. }
            | Event::Abort { proc }
            | Event::HandOver { proc } => {
                self.procs[proc].take(&mut self.io, event);
            }
            Event::Answer { client, number, answer } => self.clients[client].on_answer(&mut self.io, number, answer),
            Event::ClientWake { client, number } => self.clients[client].on_wake(&mut self.io, number),
            Event::Start { proc, life } => {
                if self.procs[proc].core.is_none() && self.procs[proc].life + 1 == life {
                    self.procs[proc].start(&mut self.io);
                }
            }
            Event::Fault { .. } | Event::Direct => self.direct(event),
            Event::Stand { proc, still: true } => self.procs[proc].pause(&self.io),
            Event::Stand { proc, still: false } => self.procs[proc].resume(&mut self.io),
        }
    }

    fn direct(&mut self, event: Event) {
        let mut director = self.director.take().expect("it is put back below");
        match event {
            Event::Fault { index, begins } => director.fault(self, index, begins),
            _ => self.done = director.look(self),
        }
        self.director = Some(director);
    }

    /// A process ended, which may have had the last copy of what its shard promised.
    fn judge_copies(&mut self, proc: ProcNo, whole: bool) {
        let (plan, readable) = (&self.io.plan, &self.io.watch.readable);
        let (shard, slots) = (boot::shard_of(plan, proc), boot::slots_used_by(plan, proc));
        let has_all = |p: &Process| match &p.core {
            Some(core) => readable.is_whole(&slots, core.data.keys()),
            None => p.disk.image().data.is_some_and(|(_, kept)| readable.is_whole(&slots, &kept.keys)),
        };
        let of_shard = self.procs.iter().filter(|p| boot::shard_of(plan, p.no) == shard);
        if readable.has_any(&slots) && !of_shard.into_iter().any(has_all) {
            let verdict = self.io.watch.readable.no_copy_left(&slots, whole);
            self.io.watch.judge(self.io.now, verdict);
        }
    }

    /// Looks at all that clients saw.
    fn judge_histories(&mut self) {
        if self.io.plan.keeps_writes() {
            let verdict = self.io.watch.linear.check(|slot| self.io.watch.readable.counts(slot));
            self.io.watch.judge(self.io.now, verdict);
        }
    }

    /// Folds the event into the trace.
    fn note(&mut self, event: &Event) {
        let (kind, a, b) = match event {
            Event::Syn { conn, tries } => (1, *conn as u64, u64::from(*tries)),
            Event::Conn { conn, side, what } => (2, *conn as u64, (*side as u64) << 8 | at_end_number(what)),
            Event::Own { proc, what, .. } => (3, *proc as u64, u64::from(*what == Later::Wake)),
            Event::Request { proc, request } => (4, *proc as u64, request.number),
            Event::Answer { client, number, .. } => (5, *client as u64, *number),
            Event::ClientWake { client, number } => (6, *client as u64, *number),
            Event::Command { proc, .. } => (7, *proc as u64, 0),
            Event::Stop { proc, .. } => (8, *proc as u64, 0),
            Event::Abort { proc } => (9, *proc as u64, 0),
            Event::HandOver { proc } => (10, *proc as u64, 0),
            Event::Direct => (11, 0, 0),
            Event::Fault { index, begins } => (12, *index as u64, u64::from(*begins)),
            Event::Start { proc, life } => (13, *proc as u64, *life),
            Event::Depart { conn, side, .. } => (15, *conn as u64, *side as u64),
            Event::Stand { proc, still } => (14, *proc as u64, u64::from(*still)),
        };
        let loud = matches!(kind, 7..=10 | 12..=14);
        let now = self.io.now;
        self.io.trace.note(now, kind, a, b, || if loud { format!("{event:?}") } else { String::new() });
    }

    fn on_syn(&mut self, conn: ConnNo, tries: u32) {
        let (caller, callee) =
            (self.io.net.conn(conn).end(Side::Caller), self.io.net.conn(conn).end(Side::Callee).proc);
        if !caller.open {
            return;
        }
        let cut = self.io.net.is_cut(caller.proc, callee) || self.io.net.is_cut(callee, caller.proc);
        let Io { net, queue, now, .. } = &mut self.io;
        match self.procs[callee].state {
            _ if cut => net.syn_lost(queue, *now, conn, tries),
            State::Off => net.syn_lost(queue, *now, conn, tries),
            State::Down => net.refuse(queue, *now, conn),
            State::Running | State::Paused => net.accept(queue, *now, conn, self.procs[callee].life),
        }
    }

    fn on_conn(&mut self, conn: ConnNo, side: Side, what: AtEnd) {
        let proc = self.io.net.conn(conn).end(side).proc;
        if self.procs[proc].has_open(&self.io, conn, side) {
            self.procs[proc].take(&mut self.io, Event::Conn { conn, side, what });
        } else if matches!(what, AtEnd::Data(_)) && self.procs[proc].state != State::Off {
            // Nobody has this connection here: the sender is told so.
            let other = self.io.net.conn(conn).end(side.other());
            if other.open {
                let Io { net, queue, now, .. } = &mut self.io;
                net.post(queue, *now, conn, side.other(), AtEnd::Closed);
            }
        }
    }

    /// The process that a deed is about now.
    pub fn resolve(&mut self, target: Target) -> Option<ProcNo> {
        let (shard, primary) = match target {
            Target::Proc(no) => return Some(no),
            Target::Primary(shard) => (shard, true),
            Target::Replica(shard) => (shard, false),
        };
        let plan = &self.io.plan;
        let fits = |p: &&Process| {
            boot::shard_of(plan, p.no) == shard && p.core.as_ref().is_some_and(|c| c.is_replica != primary)
        };
        let fitting: Vec<ProcNo> = self.procs.iter().filter(fits).map(|p| p.no).collect();
        self.io.rng.pick(&fitting).copied()
    }

    /// The process that serves a slot, as it and everybody believes.
    pub fn server_of(&self, slot: u16) -> Option<&Core> {
        let slot = baton_base::Slot::new(slot)?;
        self.procs.iter().filter_map(|p| p.core.as_deref()).find(|c| !c.is_replica && c.topology.is_mine(slot))
    }

    /// Whether some process is this node, running or not.
    pub fn is_someone(&self, id: NodeId) -> bool {
        self.io.watch.names.values().any(|name| *name == id)
    }

    fn report(mut self, seed: u64) -> Report {
        let director = self.director.take().unwrap_or_default();
        let watch = &self.io.watch;
        Report {
            seed,
            hash: self.io.trace.hash(),
            events: self.io.trace.events(),
            virtual_ms: self.io.now.as_millis(),
            violations: watch.violations().to_vec(),
            acknowledged: watch.ledger.count,
            lost: watch.ledger.lost,
            planned: director.planned,
            longest_wait_us: director.longest_wait.as_micros() as u64,
            full_syncs: watch.histories.full_syncs,
            emptied: watch.histories.emptied,
            reads: watch.linear.reads(),
            held: watch.readable.held,
            excused: watch.readable.excused(),
            hopeless: director.hopeless,
            recovery_ms: director.recovery.as_millis() as u64,
        }
    }
}

fn at_end_number(what: &AtEnd) -> u64 {
    use crate::event::Payload;
    match what {
        AtEnd::Opened => 1,
        AtEnd::Failed { .. } => 2,
        AtEnd::Closed => 3,
        AtEnd::Data(Payload::Bytes(bytes)) => 4 + (bytes.len() as u64) * 16,
        AtEnd::Data(Payload::Snapshot(snapshot)) => 5 + snapshot.offset.0 * 16,
        AtEnd::Data(Payload::Stream { from, .. }) => 6 + from.0 * 16,
    }
}

fn clock(plan: &Plan, rng: &mut Rng) -> Clock {
    let drift = plan.drift_ppm;
    Clock {
        rate: 1_000_000 - drift + rng.range(0, 2 * drift),
        start_us: rng.range(1_000_000, 1_000_000_000),
        wall_ahead_ms: rng.range(0, plan.wall_skew_ms),
        behind: std::time::Duration::ZERO,
    }
}
