//! A primary that was started again with less than its replicas have: who has the most takes over, and nobody's data is
//! replaced by less (cluster-bus 15.3, S6).

mod world;

use baton_base::Slot;
use baton_cluster::{ClusterCommand, FailoverMode, Input, Settings};
use std::time::Duration;
use world::World;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn slow(settings: &mut Settings) {
    settings.node_timeout_ms = 15_000;
}

/// Three primaries, the default node timeout; node 3 and every third after it replicate node 0.
fn settled(count: usize, primaries: usize) -> World {
    let mut world = World::with(count, slow);
    world.form(primaries);
    (0..count).for_each(|index| world.peers[index].offset = 1000);
    world.run(secs(20));
    world
}

/// The process is replaced by one with this much data, so fast that nobody suspects anything.
fn reborn(world: &mut World, index: usize, offset: u64) {
    world.kill(index);
    world.run(Duration::from_millis(50));
    world.peers[index].offset = offset;
    world.restart(index);
}

#[test]
fn a_primary_that_comes_back_without_data_or_with_less_gives_way() {
    for left in [0, 1, 999] {
        let mut world = settled(6, 3);
        reborn(&mut world, 0, left);
        let took = world.until("the replica takes over", secs(10), |w| w.is_primary(3));
        assert!(took < secs(2), "{took:?}");
        assert_eq!(world.peers[3].offset, 1000, "with all it had");
        world.until("the old primary follows", secs(10), |w| w.peers[0].primary == Some(w.id(3)));
        world.until_served("all slots are served again");
        world.run(secs(30));
        assert!(world.is_primary(3) && world.peers[0].offset == 1000);
    }
}

#[test]
fn a_primary_that_comes_back_with_everything_stays_and_is_soon_back() {
    let mut world = settled(6, 3);
    reborn(&mut world, 0, 1000);
    world.run(secs(3));
    assert!(world.is_primary(0) && world.served(), "after the two seconds that upstream waits, too");
}

#[test]
fn a_single_shard_has_only_the_vote_of_the_one_that_steps_back() {
    let mut world = settled(2, 1);
    reborn(&mut world, 0, 0);
    let took = world.until("the replica takes over", secs(10), |w| w.is_primary(1));
    assert!(took < secs(3), "{took:?}");
    assert_eq!(world.peers[1].offset, 1000);
}

#[test]
fn of_a_shard_that_was_started_again_as_a_whole_the_one_with_the_most_wins() {
    // Nodes 3, 6 and 9 replicate node 0. They come back one after the other, the best one last.
    for delays in [[0, 0, 0], [100, 300, 2_000], [4_000, 2_000, 8_000], [9_000, 100, 5_000]] {
        let mut world = settled(10, 3);
        let shard = [(0, 500), (3, 700), (6, 600), (9, 900)];
        shard.iter().for_each(|(index, _)| world.kill(*index));
        world.run(Duration::from_millis(20));
        let start = world.now;
        let mut order: Vec<(u64, usize)> = delays.iter().copied().zip([3, 6, 9]).chain([(0, 0)]).collect();
        order.sort_unstable();
        for (delay, index) in order {
            let at = start + Duration::from_millis(delay);
            world.run(at.since(world.now));
            world.peers[index].offset = shard.iter().find(|(i, _)| *i == index).unwrap().1;
            world.restart(index);
        }
        world.until("the one with the most is primary", secs(20), |w| w.is_primary(9));
        assert_eq!(world.peers[9].offset, 900, "{delays:?}");
        world.until_served("the shard is back by itself");
        world.run(secs(20));
        assert!(world.is_primary(9), "{delays:?}");
        assert!([0, 3, 6].iter().all(|i| world.peers[*i].offset == 900), "{delays:?}");
    }
}

#[test]
fn a_shard_without_any_data_is_back_as_soon_as_everybody_said_so() {
    let mut world = settled(6, 3);
    world.kill(0);
    world.kill(3);
    world.run(Duration::from_millis(50));
    for index in [3, 0] {
        world.peers[index].offset = 0;
        world.restart(index);
    }
    world.run(secs(4));
    assert!(world.is_primary(0) && world.served());
}

#[test]
fn whoever_does_not_come_is_not_waited_for_for_ever() {
    let mut world = settled(6, 3);
    world.kill(3);
    reborn(&mut world, 0, 700);
    world.run(secs(9));
    assert!(!world.served(), "the replica may have more");
    world.until_served("it serves what it has");
    assert_eq!(world.logged(0, "was not heard in time"), 1);
    // What was written since is worth as much as what the replica has more.
    world.peers[0].offset = 701;
    world.run(secs(1));
    world.restart(3);
    world.run(secs(20));
    assert!(world.is_primary(0) && world.served());
}

#[test]
fn one_that_has_nothing_gives_way_also_later() {
    let mut world = settled(6, 3);
    world.kill(3);
    reborn(&mut world, 0, 0);
    world.until_served("it serves nothing");
    world.restart(3);
    world.until("the replica takes over", secs(10), |w| w.is_primary(3));
    assert_eq!(world.peers[3].offset, 1000);
}

#[test]
fn one_that_had_nothing_and_was_written_to_stays() {
    let mut world = settled(6, 3);
    world.kill(3);
    reborn(&mut world, 0, 0);
    world.until_served("it serves nothing");
    world.peers[0].keys.insert(Slot::new(7).unwrap());
    world.run(secs(1));
    world.restart(3);
    world.run(secs(20));
    assert!(world.is_primary(0) && world.served());
}

#[test]
fn the_last_one_that_had_more_may_die_before_it_takes_over() {
    let mut world = settled(6, 3);
    // Nobody votes for the replica.
    world.cut.extend([(3, 1), (3, 2), (1, 3), (2, 3)]);
    reborn(&mut world, 0, 500);
    world.run(secs(5));
    assert!(!world.is_primary(3) && world.logged(0, "not serving before it has taken over") == 1);
    world.kill(3);
    world.cut.clear();
    world.until("it serves what is left", secs(60), World::served);
    assert!(world.is_primary(0));
}

#[test]
fn replicas_of_other_releases_are_let_take_over_as_if_it_was_dead() {
    let mut world = World::with(6, |s| s.node_timeout_ms = 2000);
    world.form(3);
    (0..6).for_each(|index| world.peers[index].offset = 1000);
    world.run(secs(5));
    world.peers[3].upstream = true;
    reborn(&mut world, 0, 0);
    // What such a one says of its offset may be said while it loads; but it isn't 0 here.
    world.until("the replica takes over", secs(15), |w| w.is_primary(3));
    assert_eq!(world.peers[3].offset, 1000);
    world.until("the old primary follows", secs(10), |w| w.peers[0].primary == Some(w.id(3)));
    world.until_served("all slots are served again");
}

#[test]
fn the_wait_can_be_turned_off() {
    let mut world = World::with(6, |s| s.restart_wait_ms = 0);
    world.form(3);
    (0..6).for_each(|index| world.peers[index].offset = 1000);
    world.run(secs(5));
    world.kill(3);
    world.run(Duration::from_millis(500));
    reborn(&mut world, 0, 0);
    world.run(secs(4));
    assert!(world.is_primary(0) && world.served());
}

#[test]
fn half_a_dataset_never_stands_unless_somebody_takes_the_blame() {
    let mut world = World::new(6);
    world.form(3);
    world.run(secs(2));
    world.kill(0);
    world.peers[3].complete = false;
    world.run(secs(10));
    assert!(!world.is_primary(3));
    let force = |mode| ClusterCommand::Failover { mode, replica_id: None };
    let refused = world.command(3, force(FailoverMode::Force)).unwrap_err();
    assert!(refused.starts_with("ERR My dataset is not complete"), "{refused}");
    world.run(secs(5));
    assert!(!world.is_primary(3));
    world.failover(3, FailoverMode::Takeover);
    assert!(world.is_primary(3));
}

#[test]
fn who_waits_to_be_replaced_votes_for_nobody_else() {
    let mut world = settled(6, 3);
    // A replica that can't stand: it is waited for.
    world.give(3, Input::PersistOutcome { ok: false });
    reborn(&mut world, 0, 0);
    world.run(secs(1));
    assert!(world.logged(0, "not serving before it has taken over") > 0);
    world.failover(4, FailoverMode::Force);
    world.run(Duration::from_millis(500));
    assert!(world.logged(0, "it is not safe to vote in this moment") > 0);
    assert_eq!(world.logged(0, "Failover auth granted"), 0);
}

#[test]
fn primaries_that_all_come_back_with_less_elect_each_others_successors() {
    let mut world = settled(9, 3);
    (0..3).for_each(|index| world.kill(index));
    world.run(Duration::from_millis(50));
    for index in 0..3 {
        world.peers[index].offset = 10;
        world.restart(index);
    }
    let replaced = |w: &World| (0..3).all(|shard| w.peers[shard].primary.is_some());
    world.until("every one of them is replaced", secs(30), replaced);
    world.until_served("all slots are served again");
    assert!((0..9).all(|index| world.peers[index].offset >= 1000), "the others' data is the data");
}
