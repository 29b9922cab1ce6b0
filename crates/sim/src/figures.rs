//! How fast failovers are and what the bus costs, at sizes nobody has machines for: a cluster at default settings rises,
//! is left alone for a while, loses primaries in one moment, and is watched until every shard that has a replica left is
//! served again. All times are the world's; what the machine that simulates it takes says nothing.

use crate::boot;
use crate::disk::End;
use crate::plan::Plan;
use crate::process::State;
use crate::process::core::Core;
use crate::world::{Options, World};
use baton_base::{Mono, Slot};
use std::time::Duration;

/// Until when all links must stand.
const RISE_MAX: Duration = Duration::from_secs(120);
/// How long the quiet cluster is measured: a period of its regular pings.
const QUIET: Duration = Duration::from_millis(7500);
/// How long failovers are waited for.
const FAILOVER_MAX: Duration = Duration::from_secs(60);
/// From the end of one round to the deaths of the next: longer than votes and leases of a failover count.
const BETWEEN: Duration = Duration::from_millis(2500);
/// How often is looked while all links are made.
const RISE_LOOK: Duration = Duration::from_millis(200);
/// How often is looked after the deaths: what the times below are exact to.
const LOOK: Duration = Duration::from_millis(1);

/// What to measure.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The cluster.
    pub plan: Plan,
    /// How many primaries die at once, in one round after the other. Each is one that still has its replicas.
    pub killed: Vec<usize>,
    /// Chance.
    pub seed: u64,
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Bytes that a node sends on the bus in a second, all being well: mean over all nodes.
    pub quiet_bytes: u64,
    /// What came of every round.
    pub rounds: Vec<Round>,
}

/// Some primaries died in one moment.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// How many.
    pub killed: usize,
    /// Bytes that a node sends on the bus in a second while shards are without a primary: mean over all nodes.
    pub storm_bytes: u64,
    /// For every shard that lost its primary, from that moment until a replica serves its slots and most nodes know
    /// it, ms, ascending.
    pub failovers_ms: Vec<u64>,
    /// Shards that nobody served in time.
    pub unserved: usize,
    /// From the deaths until no node that lives says that the cluster is down, ms.
    pub well_ms: Option<u64>,
}

/// Runs it.
///
/// # Errors
/// The cluster didn't come up, or some invariant was broken.
pub fn measure(subject: &Subject, options: Options) -> Result<Figures, String> {
    let plan = Some(subject.plan.clone());
    let mut world = World::new(subject.seed, Options { plan, ..options });
    rise(&mut world)?;
    let mut out = Figures { quiet_bytes: bytes_while(&mut world, QUIET), rounds: Vec::new() };
    let mut whole: Vec<usize> = (0..world.io.plan.shards).collect();
    for killed in &subject.killed {
        if !out.rounds.is_empty() {
            world.advance(world.io.now + BETWEEN);
        }
        let shards = kill(&mut world, &mut whole, *killed);
        out.rounds.push(watch(&mut world, shards));
    }
    match world.io.watch.violations() {
        [] => Ok(out),
        violations => Err(violations.join("; ")),
    }
}

/// Watches until these shards, which have just lost their primaries, are served again.
fn watch(world: &mut World, mut waiting: Vec<usize>) -> Round {
    let mut out = Round { killed: waiting.len(), ..Round::default() };
    let (began, sent) = (world.io.now, world.io.net.bus_bytes);
    while !(waiting.is_empty() && out.well_ms.is_some()) && world.io.now.since(began) < FAILOVER_MAX {
        world.advance(world.io.now + LOOK);
        let passed = world.io.now.ms_since(began);
        let before = waiting.len();
        waiting.retain(|shard| !is_served(world, *shard));
        out.failovers_ms.resize(out.failovers_ms.len() + before - waiting.len(), passed);
        if waiting.is_empty() && before > 0 {
            out.storm_bytes = rate(world, world.io.net.bus_bytes - sent, world.io.now.since(began));
        }
        if waiting.is_empty() && running(world).all(|core| core.topology.health.is_ok()) {
            out.well_ms = Some(passed);
        }
    }
    out.unserved = waiting.len();
    out
}

fn running(world: &World) -> impl Iterator<Item = &Core> {
    world.procs.iter().filter(|p| p.state == State::Running).filter_map(|p| p.core.as_deref())
}

/// Waits until everybody is linked with everybody, replicas have their data, and nobody doubts anybody.
fn rise(world: &mut World) -> Result<(), String> {
    let links = 2 * (world.procs.len() - 1);
    let well = |core: &Core| {
        let cluster = core.node.cluster().expect("in cluster mode");
        cluster.link_count() == links && core.topology.health.is_ok() && (!core.is_replica || core.is_linked())
    };
    while !(running(world).count() == world.procs.len() && running(world).all(well)) {
        if world.io.now.since(Mono::ZERO) > RISE_MAX {
            return Err("the cluster doesn't come up".to_owned());
        }
        world.advance(world.io.now + RISE_LOOK);
    }
    Ok(())
}

fn bytes_while(world: &mut World, time: Duration) -> u64 {
    let before = world.io.net.bus_bytes;
    world.advance(world.io.now + time);
    rate(world, world.io.net.bus_bytes - before, time)
}

/// Bytes a node and second.
fn rate(world: &World, bytes: u64, time: Duration) -> u64 {
    bytes * 1_000_000 / (world.procs.len() as u64 * time.as_micros().max(1) as u64)
}

/// Ends the primaries of so many of the whole shards, chosen by chance; gives these shards.
fn kill(world: &mut World, whole: &mut Vec<usize>, count: usize) -> Vec<usize> {
    let count = count.min(whole.len());
    for place in 0..count {
        let other = place + world.io.rng.below((whole.len() - place) as u64) as usize;
        whole.swap(place, other);
    }
    let shards: Vec<usize> = whole.drain(..count).collect();
    for shard in &shards {
        // Primaries come first, and nothing has happened to a whole shard.
        world.procs[*shard].end(&mut world.io, End::Process);
    }
    shards
}

/// Whether somebody serves a shard and most nodes know it.
fn is_served(world: &World, shard: usize) -> bool {
    let slot = Slot::new(boot::slots(&world.io.plan, shard).0).expect("a slot of the plan");
    let mut heirs = running(world).skip_while(|c| c.place() < world.io.plan.shards);
    let heir = heirs.find(|c| boot::shard_of(&world.io.plan, c.place()) == shard && c.topology.is_mine(slot));
    let Some(heir) = heir.filter(|c| !c.is_replica) else { return false };
    let id = heir.id();
    let knowing = running(world).filter(|c| c.topology.owner(slot).is_some_and(|o| o.id == id)).count();
    knowing > world.procs.len() / 2
}
