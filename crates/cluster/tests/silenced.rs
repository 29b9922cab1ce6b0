//! Proof of death: whom refusals condemn early, and whom they don't.

mod world;

use baton_cluster::Settings;
use std::time::Duration;
use world::World;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn slow(settings: &mut Settings) {
    settings.node_timeout_ms = 15_000;
}

/// Three primaries, as many replicas, the default node timeout.
fn slow_world() -> World {
    let mut world = World::with(6, slow);
    world.form(3);
    (0..6).for_each(|index| world.peers[index].offset = 1000);
    world.run(secs(20));
    world
}

#[test]
fn a_dead_primary_is_replaced_within_half_a_second_whatever_the_node_timeout() {
    for victim in 0..3 {
        let mut world = slow_world();
        world.kill(victim);
        let took = world.until("the replica takes over", secs(10), |w| w.is_primary(victim + 3));
        assert!(took < Duration::from_millis(500), "{took:?}");
        world.until_served("all slots are served again");
        world.restart(victim);
        world.until("the old primary follows", secs(10), |w| w.peers[victim].primary == Some(w.id(victim + 3)));
    }
}

#[test]
fn an_attempt_that_meets_the_process_as_it_ends_hides_nothing() {
    let mut world = slow_world();
    world.resets = 3;
    world.kill(0);
    let took = world.until("the replica takes over", secs(10), |w| w.is_primary(3));
    assert!(took < Duration::from_millis(500), "{took:?}");
}

#[test]
fn several_replicas_agree_as_fast() {
    let mut world = World::with(9, slow);
    world.form(3);
    (0..9).for_each(|index| world.peers[index].offset = 1000);
    world.run(secs(20));
    world.kill(1);
    let took = world.until("one of them takes over", secs(10), |w| w.is_primary(4) || w.is_primary(7));
    assert!(took < Duration::from_millis(500), "{took:?}");
}

/// Kills the primaries of the first shards and gives the times at which their replicas took over.
fn takeovers(world: &mut World, killed: usize, shards: usize) -> Vec<Duration> {
    let began = world.now;
    (0..killed).for_each(|victim| world.kill(victim));
    let mut out: Vec<Duration> = (0..killed)
        .map(|victim| {
            world.until("a replica takes over", secs(10), |w| w.is_primary(victim + shards));
            world.now.since(began)
        })
        .collect();
    out.sort();
    out
}

#[test]
fn shards_that_fail_at_once_elect_one_right_behind_the_other() {
    let mut world = World::with(14, slow);
    world.form(7);
    (0..14).for_each(|index| world.peers[index].offset = 1000);
    world.run(secs(20));
    let took = takeovers(&mut world, 3, 7);
    assert!(took[2] < Duration::from_millis(300), "{took:?}");
    let expired = (0..14).any(|index| world.logged(index, "Failover attempt expired") > 0);
    assert!(!expired, "nobody ran into anybody");
    world.until_served("all slots are served again");
}

/// Whichever comes first in their order has a replica that may not stand, and nobody can know.
#[test]
fn a_shard_that_does_not_stand_holds_the_others_up_for_a_moment_only() {
    for mute in 0..3 {
        let mut world = World::with(14, slow);
        world.form(7);
        (0..14).for_each(|index| world.peers[index].offset = 1000);
        world.run(secs(20));
        world.peers[mute + 7].complete = false;
        let began = world.now;
        (0..3).for_each(|victim| world.kill(victim));
        let took_over = |w: &World| (0..3).filter(|v| w.is_primary(v + 7)).count();
        world.until("all others take over", secs(10), |w| took_over(w) == 2);
        assert!(world.now.since(began) < Duration::from_millis(500), "{:?}", world.now.since(began));
        assert!(!world.is_primary(mute + 7));
    }
}

#[test]
fn a_primary_that_nobody_can_replace_is_given_time_to_come_back() {
    let mut world = World::with(3, slow);
    world.form(3);
    world.run(secs(20));
    world.kill(0);
    world.run(secs(5));
    assert!(world.served(), "nobody calls it failed before the node timeout is over");
    world.restart(0);
    world.run(secs(5));
    assert!(world.is_primary(0) && world.served());
}

#[test]
fn unwilling_replicas_replace_nobody() {
    let mut world = World::with(6, |settings| {
        slow(settings);
        settings.replica_no_failover = true;
    });
    world.form(3);
    world.run(secs(20));
    world.kill(0);
    world.run(secs(5));
    assert!(!world.nodes_text(1).contains("master,fail"), "{}", world.nodes_text(1));
    assert!(world.served(), "nobody calls it failed before the node timeout is over");
}

/// What others know of a replica's data is as old as its last header.
#[test]
fn a_replica_that_got_its_data_a_moment_ago_replaces_its_primary() {
    let mut world = World::with(6, slow);
    (0..6).for_each(|index| world.peers[index].offset = 0);
    world.form(3);
    world.run(secs(20));
    (0..6).for_each(|index| world.peers[index].offset = 1000);
    world.kill(0);
    let took = world.until("the replica takes over", secs(10), |w| w.is_primary(3));
    assert!(took < Duration::from_millis(500), "{took:?}");
}

#[test]
fn what_does_not_refuse_is_judged_by_the_node_timeout_where_silence_proves_nothing() {
    let patient = || {
        let mut world = World::with(6, |settings| {
            slow(settings);
            settings.detect_silence_ms = 0;
        });
        world.form(3);
        world.run(secs(20));
        world
    };
    let mut world = patient();
    world.hang(0);
    world.run(secs(10));
    assert!(!world.nodes_text(1).contains("fail"), "{}", world.nodes_text(1));
    let mut world = patient();
    for other in 1..6 {
        world.cut.extend([(0, other), (other, 0)]);
    }
    world.run(secs(10));
    assert!(!world.nodes_text(1).contains("fail"), "{}", world.nodes_text(1));
}

#[test]
fn it_can_be_switched_off() {
    let mut world = World::with(6, |settings| {
        slow(settings);
        settings.detect_refusals = false;
        settings.detect_silence_ms = 0;
    });
    world.form(3);
    world.run(secs(20));
    world.kill(0);
    world.run(secs(10));
    assert!(!world.is_primary(3));
    assert!(!world.nodes_text(1).contains("fail"), "{}", world.nodes_text(1));
}

#[test]
fn nodes_that_start_one_after_another_condemn_nobody_who_is_late() {
    let mut world = slow_world();
    (0..6).for_each(|index| world.kill(index));
    world.run(secs(1));
    for index in (0..6).rev() {
        world.restart(index);
        world.run(secs(1));
    }
    world.run(secs(5));
    assert!((0..3).all(|index| world.is_primary(index)), "{}", world.nodes_text(1));
}

/// Two voters, one of them dead: nobody can be elected. When it is back its replica has to follow it, not to go on
/// standing against it.
#[test]
fn a_primary_that_comes_back_before_it_is_replaced_stays_primary() {
    let mut world = World::with(4, slow);
    world.form(2);
    (0..4).for_each(|index| world.peers[index].offset = 1000);
    world.run(secs(20));
    world.kill(0);
    world.run(secs(1));
    assert!(!world.is_primary(2), "one of two is no majority");
    world.restart(0);
    world.run(secs(10));
    assert!(!world.nodes_text(2).contains("fail"), "{}", world.nodes_text(2));
    assert!(world.is_primary(0) && !world.is_primary(2));
    assert!(world.served(), "{}", world.nodes_text(1));
}

/// A request for a vote that was lost is not asked again, but a new attempt is made soon.
#[test]
fn a_lost_election_is_repeated_soon() {
    let mut world = slow_world();
    world.cut.push((1, 3));
    world.kill(0);
    world.run(secs(2));
    assert!(!world.is_primary(3), "one vote of three is no majority");
    world.cut.clear();
    let took = world.until("the replica takes over", secs(10), |w| w.is_primary(3));
    assert!(took < secs(4), "{took:?}");
    assert_ne!(world.logged(3, "Failover attempt expired"), 0);
}
