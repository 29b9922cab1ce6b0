//! One process of the world: its machine's disk and clocks, and, while it runs, the node with its data plane and its
//! connections. It starts, stands still, ends, and starts again with what the disk kept.

mod bus;
pub mod core;
mod effects;
mod feed;
mod follow;
mod holds;
mod serve;

use crate::boot;
use crate::clock::Clock;
use crate::disk::{Disk, End};
use crate::event::{Event, Later, ProcNo};
use crate::io::Io;
use crate::net::Side;
use baton_base::{Mono, Rng};
use core::Core;
use std::collections::VecDeque;
use std::time::Duration;

/// How old a look at the clock may be at most. Whoever wins an election while it takes a time for the present in which
/// its primary still waited for it can't know better, and nothing but a lease of the primary's would help.
const STALE_MAX: Duration = Duration::from_secs(3);

/// Whether it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It runs.
    Running,
    /// It stands still; what arrives waits.
    Paused,
    /// It has ended; its machine refuses connections.
    Down,
    /// Its machine is off and says nothing.
    Off,
}

/// A process.
pub struct Process {
    /// Its place.
    pub no: ProcNo,
    /// How many times it was started.
    pub life: u64,
    /// Whether it runs.
    pub state: State,
    /// Its clocks.
    pub clock: Clock,
    /// What is there when it starts.
    pub disk: Disk,
    /// Present while it runs or stands still.
    pub core: Option<Box<Core>>,
    /// Time until it starts again after an end of its own, ms.
    pub restart_ms: u64,
    /// Its disk was lost, and with it the node that it was.
    pub wiped: bool,
    held: VecDeque<Event>,
    /// When it began to stand still.
    stopped_at: Mono,
    rng: Rng,
}

impl Process {
    /// A process that hasn't started yet.
    pub fn new(no: ProcNo, clock: Clock, disk: Disk, rng: Rng) -> Process {
        Process {
            no,
            life: 0,
            state: State::Down,
            clock,
            disk,
            core: None,
            restart_ms: 0,
            wiped: false,
            held: VecDeque::new(),
            stopped_at: Mono::ZERO,
            rng,
        }
    }

    /// Starts with what the disk holds.
    pub fn start(&mut self, io: &mut Io) {
        self.life += 1;
        self.state = State::Running;
        let image = self.disk.image();
        let core = Core::start(io, self.no, self.life, self.clock, image, self.rng.fork());
        self.core = Some(Box::new(core));
        if io.plan.save_period_ms > 0 {
            let first = io.up_to_us(io.plan.save_period_ms * 1000);
            io.after(first, Event::Own { proc: self.no, life: self.life, what: Later::Save });
        }
        self.step(io, |core, io, disk| core.settle(io, disk));
    }

    /// Lets it take an event, at once or when it goes on.
    pub fn take(&mut self, io: &mut Io, event: Event) {
        match self.state {
            State::Running => self.step(io, |core, io, disk| core.handle(io, disk, event)),
            State::Paused => self.held.push_back(event),
            State::Down | State::Off => {}
        }
    }

    /// Stands still.
    pub fn pause(&mut self, io: &Io) {
        if self.state == State::Running {
            self.state = State::Paused;
            self.stopped_at = io.now;
        }
    }

    /// Goes on with all that has arrived. It may have been stopped between looking at its clock and what it did then, so
    /// the first thing may happen at a time that is past.
    pub fn resume(&mut self, io: &mut Io) {
        if self.state != State::Paused {
            return;
        }
        self.state = State::Running;
        let stale = io.now.since(self.stopped_at);
        if stale <= STALE_MAX
            && io.rng.chance(1, 2)
            && let Some(event) = self.held.pop_front()
        {
            self.step(io, |core, io, disk| core.handle_late(io, disk, event, stale));
        }
        while self.state == State::Running
            && let Some(event) = self.held.pop_front()
        {
            self.step(io, |core, io, disk| core.handle(io, disk, event));
        }
    }

    /// Ends, one way or another.
    pub fn end(&mut self, io: &mut Io, how: End) {
        let Some(mut core) = self.core.take() else { return };
        if io.plan.keeps_writes() {
            let slots = boot::slots_used_by(&io.plan, self.no);
            let whole = io.watch.readable.is_whole(&slots, core.data.keys());
            io.watch.readable.ended.push((self.no, whole));
        }
        let heard = how == End::Process;
        core.die(io, heard);
        for event in self.held.drain(..) {
            if let Event::Request { request, .. } = event
                && heard
            {
                core.reset_client(io, request);
            }
        }
        self.disk.end(io.now, how, &mut self.rng);
        self.wiped |= how == End::Disk;
        self.state = if heard { State::Down } else { State::Off };
    }

    /// Whether it has a connection open in its present life.
    pub fn has_open(&self, io: &Io, conn: usize, side: Side) -> bool {
        let end = io.net.conn(conn).end(side);
        self.core.is_some() && end.open && end.life == self.life
    }

    fn step(&mut self, io: &mut Io, act: impl FnOnce(&mut Core, &mut Io, &mut Disk)) {
        let Some(core) = &mut self.core else { return };
        act(core, io, &mut self.disk);
        if core.exited {
            let restart = Duration::from_millis(self.restart_ms);
            io.trace.note(io.now, 20, self.no as u64, 0, || format!("n{} exits", self.no));
            self.end(io, End::Process);
            io.after(restart, Event::Start { proc: self.no, life: self.life + 1 });
            return;
        }
        core.observe(io);
        let wake = self.clock.world(core.next_wake()).max(Mono::from_micros(io.now.as_micros() + 1));
        if wake != Mono::NEVER && (core.wake_at <= io.now || wake < core.wake_at) {
            core.wake_at = wake;
            io.queue.push(wake, Event::Own { proc: self.no, life: self.life, what: Later::Wake });
        }
    }
}
