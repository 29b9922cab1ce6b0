//! Seeded trouble for a small cluster, then peace: afterwards every slot must be served and every replica attached. The
//! seed decides everything, so a failure repeats itself.

mod world;

use baton_base::Rng;
use baton_cluster::{ClusterCommand, FailoverMode};
use std::time::Duration;
use world::World;

/// Primaries, replicas, witnesses.
const SHAPES: [(usize, usize, usize); 4] = [(3, 3, 0), (1, 1, 1), (2, 2, 1), (1, 1, 0)];
const TROUBLES: usize = 25;

fn trouble(world: &mut World, rng: &mut Rng) {
    let nodes = world.peers.len() as u64;
    let (index, other) = (rng.below(nodes) as usize, rng.below(nodes) as usize);
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

fn live(seed: u64, (primaries, replicas, witnesses): (usize, usize, usize)) {
    let mut rng = Rng::new(seed);
    let data = primaries + replicas;
    let mut world = World::with(data + witnesses, |own| own.witness = usize::from(own.port) >= 7000 + data);
    world.form_with(primaries, replicas);
    for _ in 0..TROUBLES {
        trouble(&mut world, &mut rng);
    }
    world.cut.clear();
    for index in 0..data + witnesses {
        if !world.peers[index].alive {
            world.restart(index);
        } else if world.peers[index].hung {
            world.resume(index);
        }
    }
    let shape = format!("seed {seed} of {primaries}+{replicas}+{witnesses}");
    world.until(&format!("{shape}: served after the trouble"), Duration::from_secs(90), World::served);
    world.until(&format!("{shape}: all attached"), Duration::from_secs(30), |w| {
        let attached = |index: usize| {
            let own = &w.peers[index];
            w.is_primary(index) || w.peers.iter().any(|p| own.primary == Some(p.cluster.id()) && p.cluster.is_primary())
        };
        (0..data).all(attached) && (0..data).filter(|i| w.is_primary(*i)).count() == primaries
    });
    assert!((data..data + witnesses).all(|index| world.is_primary(index)), "{shape}: a witness follows nobody");
}

#[test]
fn peace_returns_after_any_trouble() {
    let seeds: u64 = std::env::var("CHAOS_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let first: u64 = std::env::var("CHAOS_FIRST").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    for seed in first..first + seeds {
        live(seed, SHAPES[seed as usize % SHAPES.len()]);
    }
}
