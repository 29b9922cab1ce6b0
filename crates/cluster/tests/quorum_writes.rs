//! Elections where writes are acknowledged by replicas: whoever may lack such a write never takes over by itself.

mod world;

use baton_cluster::FailoverMode;
use std::time::Duration;
use world::World;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Three shards with so many replicas each, of which `acks` acknowledge every write. Node 0 is a primary with replicas 3
/// and, if there are two, 6.
fn shards(replicas: usize, acks: u64) -> World {
    let mut world = World::with(3 + 3 * replicas, |settings| settings.write_ack_replicas = acks);
    world.form(3);
    world.peers[0].offset = 500;
    world.run(secs(2));
    world
}

#[test]
fn an_only_replica_has_everything() {
    let mut world = shards(1, 1);
    world.kill(0);
    world.until("the replica takes over", secs(10), |w| w.is_primary(3));
    world.until_served("all slots");
}

#[test]
fn of_two_the_one_with_more_takes_over_as_soon_as_the_other_confirmed() {
    for more in [3, 6] {
        let less = 9 - more;
        let mut world = shards(2, 1);
        world.cut.push((0, less));
        world.peers[0].offset = 900;
        world.run(Duration::from_millis(600));
        world.kill(0);
        world.until("one of them takes over", secs(10), |w| w.is_primary(3) || w.is_primary(6));
        assert!(world.is_primary(more), "the other one may lack what was acknowledged");
        world.until("the sibling follows", secs(10), |w| w.peers[less].primary == Some(w.id(more)));
    }
}

#[test]
fn whoever_can_ask_nobody_does_not_stand() {
    let mut world = shards(2, 1);
    world.kill(6);
    world.run(secs(3));
    world.kill(0);
    world.run(secs(20));
    assert!(!world.is_primary(3), "the dead sibling may be the only one that acknowledged a write");
    assert_ne!(world.logged(3, "Siblings may have acknowledged writes that I don't have."), 0);
    assert_ne!(world.logged(3, "Needed siblings that have no more: 1. Confirmed so far: 0"), 0);
    world.failover(3, FailoverMode::Force);
    world.until("a user decides otherwise", secs(10), |w| w.is_primary(3));
}

#[test]
fn where_all_replicas_acknowledge_each_of_them_has_everything() {
    let mut world = shards(2, 2);
    world.kill(6);
    world.kill(0);
    world.until("the other one takes over", secs(10), |w| w.is_primary(3));
}

#[test]
fn a_sibling_that_goes_on_acknowledging_confirms_nothing() {
    let mut world = shards(2, 1);
    for replica in [3, 6] {
        world.peers[replica].confirms_freeze = false;
    }
    world.kill(0);
    world.run(secs(10));
    assert!(!world.is_primary(3) && !world.is_primary(6));
}

#[test]
fn a_sibling_that_was_started_anew_may_have_lost_what_it_acknowledged() {
    let mut world = shards(2, 1);
    world.kill(0);
    world.kill(6);
    world.restart(6);
    world.run(secs(15));
    assert!(!world.is_primary(3) && !world.is_primary(6));
}

/// Node 6 has been away while 3 acknowledged more, and both it and the primary were started again.
fn two_of_three_have_lost_something(acks: u64) -> World {
    let mut world = shards(2, acks);
    world.kill(6);
    world.peers[0].offset = 900;
    world.run(Duration::from_millis(300));
    assert_eq!((world.peers[3].offset, world.peers[6].offset), (900, 500));
    world.kill(0);
    world.run(Duration::from_millis(50));
    world.peers[0].offset = 0;
    world.restart(0);
    world.restart(6);
    world
}

#[test]
fn who_was_started_anew_does_not_replace_a_primary_that_was_either() {
    let mut world = two_of_three_have_lost_something(2);
    world.cut = vec![(3, 1), (3, 2), (3, 6)];
    world.until("the primary knows that 3 has more", secs(5), |w| w.logged(0, "not serving before it") > 0);
    world.cut.push((3, 0));
    world.run(secs(5));
    assert!(!world.is_primary(6), "3 may have acknowledged writes in its memory, and nobody has heard it");
    world.cut.clear();
    world.until("3 takes over with all it has", secs(10), |w| w.is_primary(3) && w.peers[3].offset >= 900);
}

#[test]
fn once_all_were_heard_who_has_the_most_may_stand_though_all_were_started_anew() {
    let mut world = two_of_three_have_lost_something(1);
    world.kill(3);
    world.peers[3].offset = 400;
    world.run(secs(5));
    assert!(!world.is_primary(6), "3 is not there yet");
    world.restart(3);
    world.until("6 takes over", secs(10), |w| w.is_primary(6));
    assert_eq!(world.peers[6].offset, 500);
}

#[test]
fn a_dead_former_primary_counts() {
    let mut world = shards(2, 1);
    world.kill(0);
    world.until("one of them takes over", secs(10), |w| w.is_primary(3) || w.is_primary(6));
    let (first, second) = if world.is_primary(3) { (3, 6) } else { (6, 3) };
    world.until("the other one follows", secs(10), |w| w.peers[second].primary == Some(w.id(first)));
    world.run(secs(3));
    world.kill(first);
    world.run(secs(15));
    assert!(!world.is_primary(second), "both that are gone may have had a write that this one lacks");
    world.restart(first);
    world.until_served("the second primary is back");
}

#[test]
fn acknowledgements_end_with_the_failure_and_come_back_some_time_after_it() {
    let mut world = shards(1, 1);
    world.peers[3].confirms_freeze = false;
    world.hang(0);
    world.until("the failure is agreed on", secs(5), |w| w.peers[3].acks_frozen);
    world.resume(0);
    let until_thawed = world.until("acknowledgements go on", secs(20), |w| !w.peers[3].acks_frozen);
    assert!(until_thawed >= Duration::from_millis(2500), "whoever counts on the freeze has had time to look again");
    assert!(world.is_primary(0) && !world.is_primary(3));
}

#[test]
fn without_quorum_writes_nothing_is_frozen() {
    let mut world = shards(2, 0);
    world.kill(0);
    world.until("one of them takes over", secs(10), |w| w.is_primary(3) || w.is_primary(6));
    assert!(world.peers.iter().all(|p| !p.acks_frozen));
}

#[test]
fn a_replica_does_not_leave_a_shard_that_counts_on_it() {
    for (acks, moves) in [(0, true), (1, false)] {
        let mut world = World::with(8, |settings| settings.write_ack_replicas = acks);
        // Shard 0 has replicas 3 and 6, shard 1 has 4 and 7, shard 2 only 5.
        world.form(3);
        world.kill(5);
        world.run(secs(20));
        let second = world.id(2);
        assert_eq!(
            [3, 4, 6, 7].iter().any(|i| world.peers[*i].primary == Some(second)),
            moves,
            "{acks} acknowledgements"
        );
    }
}
