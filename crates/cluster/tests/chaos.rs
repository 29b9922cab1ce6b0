//! Seeded trouble for a small cluster, then peace: afterwards every slot must be served and every replica attached. The
//! seed decides everything, so a failure repeats itself.

mod world;

use baton_base::Rng;
use baton_cluster::{ClusterCommand, FailoverMode};
use std::time::Duration;
use world::World;

const NODES: usize = 6;
const TROUBLES: usize = 25;

fn trouble(world: &mut World, rng: &mut Rng) {
    let index = rng.below(NODES as u64) as usize;
    let other = rng.below(NODES as u64) as usize;
    let (alive, hung) = (world.peers[index].alive, world.peers[index].hung);
    match rng.below(9) {
        0 if alive && !hung => world.kill(index),
        1 | 2 if !alive => {
            if rng.chance(1, 2) {
                world.lose_unsynced(index);
            }
            world.restart(index);
        }
        3 if alive => world.hang(index),
        4 | 5 if alive && hung => world.resume(index),
        6 if index != other => world.cut.push((index, other)),
        7 => world.cut.clear(),
        8 if alive && !hung => {
            let mode = if rng.chance(1, 2) { FailoverMode::Default } else { FailoverMode::Force };
            let _ = world.command(index, ClusterCommand::Failover { mode, replica_id: None });
        }
        _ => world.peers[index].offset += rng.below(100),
    }
    world.run(Duration::from_millis(rng.below(2500)));
}

fn live(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut world = World::new(NODES);
    world.form(3);
    for _ in 0..TROUBLES {
        trouble(&mut world, &mut rng);
    }
    world.cut.clear();
    for index in 0..NODES {
        if !world.peers[index].alive {
            world.restart(index);
        } else if world.peers[index].hung {
            world.resume(index);
        }
    }
    world.until(&format!("seed {seed}: served after the trouble"), Duration::from_secs(90), World::served);
    world.until(&format!("seed {seed}: all attached"), Duration::from_secs(30), |w| {
        let attached = |index: usize| {
            let own = &w.peers[index];
            w.is_primary(index) || w.peers.iter().any(|p| own.primary == Some(p.cluster.id()) && p.cluster.is_primary())
        };
        (0..NODES).all(attached) && (0..NODES).filter(|i| w.is_primary(*i)).count() == 3
    });
}

#[test]
fn peace_returns_after_any_trouble() {
    let seeds: u64 = std::env::var("CHAOS_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    let first: u64 = std::env::var("CHAOS_FIRST").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    for seed in first..first + seeds {
        live(seed);
    }
}
