//! Replicas that move to primaries which lost theirs (cluster-bus 10).

mod world;

use std::time::Duration;
use world::World;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn migrations(world: &World) -> usize {
    (0..world.peers.len()).map(|index| world.logged(index, "Migrating to orphaned primary")).sum()
}

fn living_replicas(world: &World, primary: usize) -> usize {
    let id = world.id(primary);
    world.peers.iter().filter(|p| p.alive && p.primary == Some(id)).count()
}

fn settled(count: usize, primaries: usize, barrier: u64, allowed: bool) -> World {
    let mut world = World::with(count, |s| {
        s.migration_barrier = barrier;
        s.allow_replica_migration = allowed;
    });
    world.form(primaries);
    world.run(secs(3));
    world
}

#[test]
fn two_orphans_among_five_primaries_get_a_replica_each() {
    let mut world = settled(15, 5, 1, true);
    let start = world.now;
    [5, 10, 6, 11].iter().for_each(|index| world.kill(*index));
    world.until("both have one", secs(60), |w| living_replicas(w, 0) == 1 && living_replicas(w, 1) == 1);
    assert!(world.now.since(start) > secs(5), "their own replicas may come back");
    world.run(secs(20));
    assert_eq!(migrations(&world), 2);
    assert!((2..5).all(|primary| living_replicas(&world, primary) >= 1));
    [5, 10, 6, 11].iter().for_each(|index| world.restart(*index));
    world.run(secs(20));
    assert_eq!(migrations(&world), 2, "they come back to where they were");
}

#[test]
fn nobody_moves_who_is_needed_or_not_allowed_to() {
    for (count, barrier, allowed) in [(9, 2, true), (9, 1, false), (6, 1, true)] {
        let mut world = settled(count, 3, barrier, allowed);
        (3..count).filter(|index| index % 3 == 0).for_each(|index| world.kill(index));
        world.run(secs(30));
        assert_eq!((migrations(&world), living_replicas(&world, 0)), (0, 0), "{count} {barrier} {allowed}");
    }
}

#[test]
fn whoever_has_taken_over_gets_a_replica_from_those_that_have_two() {
    let mut world = settled(7, 3, 1, true);
    world.kill(1);
    world.until("the replica takes over", secs(20), |w| w.is_primary(4));
    world.until("it has a replica of its own", secs(60), |w| living_replicas(w, 4) == 1);
    world.run(secs(10));
    assert_eq!((migrations(&world), living_replicas(&world, 0)), (1, 1));
    world.until_served("all slots are served");
}
