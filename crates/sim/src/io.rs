//! What every part of the world may use: the time, the queue, the network, chance, the trace and the invariants.

use crate::event::{Event, Queue};
use crate::invariant::Watch;
use crate::net::Net;
use crate::plan::Plan;
use crate::trace::Trace;
use baton_base::{Mono, Rng};
use std::time::Duration;

/// A rule broken on purpose, to show that the invariants notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sabotage {
    /// A vote goes to everybody.
    VoteTwice,
    /// The gate lets writes through after it said that it is closed.
    LeakyFence,
    /// The disk forgets the record of epochs and every synchronous write.
    ForgetfulDisk,
    /// Writes are acknowledged without a lease.
    NoLease,
    /// Held writes are executed after the roles flipped, instead of being redirected.
    LateWrites,
    /// Everybody may synchronise with everybody, whoever has more.
    SyncAnybody,
    /// With quorum writes a reply leaves before replicas acknowledged what it tells of.
    AckAtOnce,
    /// With quorum writes reads are answered at once.
    EagerReads,
    /// With quorum writes a replica stands whether or not it may lack an acknowledged write.
    NoElectionRule,
}

/// The surroundings of a process.
pub struct Io {
    /// Time of the world.
    pub now: Mono,
    /// Events to come.
    pub queue: Queue,
    /// The network.
    pub net: Net,
    /// Chance, for everything but the plan and the network.
    pub rng: Rng,
    /// The trace.
    pub trace: Trace,
    /// The invariants.
    pub watch: Watch,
    /// What the seed stands for.
    pub plan: Plan,
    /// A rule to break.
    pub sabotage: Option<Sabotage>,
}

impl Io {
    /// Puts an event in after this time.
    pub fn after(&mut self, time: Duration, event: Event) {
        self.queue.push(self.now + time, event);
    }

    /// A random time up to this many microseconds.
    pub fn up_to_us(&mut self, us: u64) -> Duration {
        Duration::from_micros(self.rng.range(0, us))
    }
}
