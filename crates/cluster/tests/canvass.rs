//! Votes for a handover are asked for while writes run, and count only once they are held.

mod world;

use baton_base::{Epoch, Mono};
use baton_cluster::{FailoverMode, Input};
use std::time::Duration;
use world::World;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn settled(count: usize, primaries: usize) -> World {
    let mut world = World::new(count);
    world.form(primaries);
    (0..count).for_each(|index| world.peers[index].offset = 1000);
    world.run(secs(10));
    world
}

/// Stops at the very event after which something holds; tells how long that took.
fn step_until(world: &mut World, what: &str, holds: impl Fn(&World) -> bool) -> Duration {
    let start = world.now;
    while !holds(world) {
        assert!(world.now.since(start) < secs(1), "not within a second: {what}");
        world.step_within(world::LATENCY);
    }
    world.now.since(start)
}

fn votes(world: &World) -> usize {
    (0..world.peers.len()).map(|index| world.logged(index, "Failover auth granted to")).sum()
}

#[test]
fn a_replica_has_its_votes_before_its_primary_holds_writes() {
    for (count, primaries) in [(6, 3), (2, 1)] {
        let mut world = settled(count, primaries);
        let replica = primaries;
        world.failover(replica, FailoverMode::Default);
        step_until(&mut world, "writes are held", |w| w.peers[0].writes_paused);
        assert_eq!(votes(&world), primaries, "all have voted");
        let held = step_until(&mut world, "the replica takes over", |w| w.is_primary(replica));
        assert!(held <= world::LATENCY * 3, "held for {held:?}: the pause, and word of it");
        assert_eq!(votes(&world), primaries, "nobody was asked again");
        world.until_served("all slots");
    }
}

#[test]
fn whom_a_primary_orders_has_its_votes_before() {
    let mut world = settled(6, 3);
    let (replica, before) = (world.id(3), world.peers[0].cluster.current_epoch());
    world.give(0, Input::Canvass { replica });
    step_until(&mut world, "all have voted", |w| votes(w) == 3);
    // Their votes arrive, and word of it.
    world.run(world::LATENCY * 2);
    assert_eq!(world.peers[3].cluster.current_epoch(), before.next());
    world.order(0, 3);
    let held = step_until(&mut world, "the replica takes over", |w| w.is_primary(3));
    assert!(held <= world::LATENCY * 2, "held for {held:?}: leave is all it waits for");
    assert_eq!(world.peers[3].cluster.config_epoch(), before.next(), "by the votes that it had");
}

#[test]
fn votes_that_were_there_long_before_are_asked_for_again() {
    let mut world = settled(6, 3);
    let (replica, before) = (world.id(3), world.peers[0].cluster.current_epoch());
    world.give(0, Input::Canvass { replica });
    world.run(secs(1));
    assert_eq!(votes(&world), 3);
    world.order(0, 3);
    world.until("the replica takes over", secs(1), |w| w.is_primary(3));
    assert_eq!(world.peers[3].cluster.config_epoch(), Epoch(before.0 + 2));
}

#[test]
fn without_a_majority_writes_are_held_all_the_same() {
    let mut world = settled(6, 3);
    world.hang(1);
    world.hang(2);
    world.failover(3, FailoverMode::Default);
    let held = step_until(&mut world, "writes are held", |w| w.peers[0].writes_paused);
    assert!(held < Duration::from_millis(30), "{held:?}");
    world.resume(1);
    world.until("the replica takes over", secs(2), |w| w.is_primary(3));
}

#[test]
fn a_voter_of_another_kind_is_asked_once_writes_are_held() {
    let mut world = World::new(6);
    world.peers[2].upstream = true;
    world.form(3);
    (0..6).for_each(|index| world.peers[index].offset = 1000);
    world.run(secs(10));
    world.failover(3, FailoverMode::Default);
    step_until(&mut world, "writes are held", |w| w.peers[0].writes_paused);
    assert_eq!(votes(&world), 0);
    world.until("the replica takes over", secs(1), |w| w.is_primary(3));
}

/// With all votes in hand, and nothing but that: no leave.
#[test]
fn votes_that_are_there_elect_nobody_while_the_primary_serves() {
    let mut world = settled(6, 3);
    world.peers[0].confirms_pause = false;
    world.failover(3, FailoverMode::Default);
    step_until(&mut world, "all have voted", |w| votes(w) == 3);
    let epoch = world.peers[3].cluster.current_epoch();
    world.hear_order(3);
    world.run(secs(3));
    assert!(!world.is_primary(3), "an order that the primary holds no writes for");
    world.kill(0);
    world.until("the replica takes over", secs(20), |w| w.is_primary(3));
    assert!(world.peers[3].cluster.config_epoch() > epoch, "by an election of its own");
}

#[test]
fn who_was_asked_and_not_ordered_stays_a_replica() {
    let mut world = settled(6, 3);
    let replica = world.id(3);
    world.give(0, Input::Canvass { replica });
    world.run(secs(30));
    assert!(world.is_primary(0) && !world.is_primary(3));
    assert_ne!(world.peers[0].leased_until, Mono::ZERO, "it goes on serving");
    world.until_served("all slots");
}

/// The votes of one that hangs by then keep nobody from ordering another one.
#[test]
fn whom_a_primary_does_not_let_go_stands_in_nobodys_way() {
    let mut world = settled(3, 1);
    let replica = world.id(1);
    world.give(0, Input::Canvass { replica });
    step_until(&mut world, "it has its votes", |w| votes(w) == 1);
    world.hang(1);
    world.order(0, 2);
    let held = step_until(&mut world, "the other one takes over", |w| w.is_primary(2));
    assert!(held <= world::LATENCY * 4, "held for {held:?}");
}
