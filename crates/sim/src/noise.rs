//! An ordinary bad day: processes stand still for up to half a second, again and again, packets are lost, and nothing is
//! broken. At default settings nobody may be taken for dead then, however long it goes on.

use crate::event::Event;
use crate::plan::{NetPlan, Plan};
use crate::world::{Options, World};
use baton_base::Mono;
use std::time::Duration;

/// The longest time for which a process stands still.
pub const STILL_MAX: Duration = Duration::from_millis(500);
/// The longest time between two such moments, somewhere in the cluster.
const CALM_MAX: Duration = Duration::from_millis(1500);
/// Until when the cluster is up.
const RISEN: Duration = Duration::from_secs(10);
/// Time in which what happened at the end shows.
const AFTERMATH: Duration = Duration::from_secs(20);

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Noise {
    /// How often a process stood still.
    pub pauses: u64,
    /// Elections that anybody began, or epochs that anybody took: there should be none.
    pub epochs: u64,
    /// Writes that clients were told are done.
    pub acknowledged: u64,
}

/// Three primaries and three replicas for so long.
///
/// # Errors
/// An invariant broke.
pub fn endure(seed: u64, time: Duration) -> Result<Noise, String> {
    let calm = Plan::steady(3, 1);
    let net = NetPlan { delay_max_us: 3_000, loss_permille: 5, ..calm.net };
    let plan = Plan { net, clients: 2, think_max_us: 100_000, ..calm };
    let mut world = World::new(seed, Options { plan: Some(plan), ..Options::default() });
    world.advance(Mono::ZERO + RISEN);
    for no in 0..world.clients.len() {
        world.clients[no].begin(&mut world.io);
    }
    let mut out = Noise::default();
    let (end, before) = (world.io.now + time, epoch(&world));
    while world.io.now < end {
        let proc = world.io.rng.below(world.procs.len() as u64) as usize;
        let still = world.io.up_to_us(STILL_MAX.as_micros() as u64);
        let next = world.io.up_to_us(CALM_MAX.as_micros() as u64);
        world.io.queue.push(world.io.now, Event::Stand { proc, still: true });
        world.io.after(still, Event::Stand { proc, still: false });
        out.pauses += 1;
        // One at a time for each process, or their ends would meet.
        world.advance(world.io.now + next.max(still));
    }
    world.advance(world.io.now + AFTERMATH);
    out.epochs = epoch(&world) - before;
    out.acknowledged = world.io.watch.ledger.count;
    match world.io.watch.violations().first() {
        Some(violation) => Err(violation.clone()),
        None => Ok(out),
    }
}

/// The newest epoch that anybody knows.
fn epoch(world: &World) -> u64 {
    let cores = world.procs.iter().filter_map(|p| p.core.as_deref());
    cores.filter_map(|core| core.node.cluster()).map(|cluster| cluster.current_epoch().0).max().unwrap_or(0)
}
