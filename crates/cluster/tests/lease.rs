//! The write lease: who acknowledges, and until when, while primaries are cut off, stand still or are replaced.

mod world;

use baton_base::{Mono, Slot};
use baton_cluster::{ClusterCommand, ClusterReply, FailoverMode, Settings};
use std::time::Duration;
use world::World;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn slow(settings: &mut Settings) {
    settings.node_timeout_ms = 15_000;
}

/// Three primaries and three replicas with the default node timeout.
fn slow_world() -> World {
    formed(6, 3, slow)
}

fn formed(count: usize, shards: usize, adjust: impl Fn(&mut Settings)) -> World {
    let mut world = World::with(count, adjust);
    world.form(shards);
    (0..count).for_each(|index| world.peers[index].offset = 1000);
    world.run(secs(20));
    world
}

fn some_slot(world: &World, index: usize) -> Slot {
    let topology = world.peers[index].cluster.topology();
    Slot::all().find(|slot| topology.is_mine(*slot)).expect("a primary has slots")
}

/// Lets time pass; there must never be two writers. Gives when the last writer of before was last one, and when a new one
/// was first, since the beginning.
fn watch(world: &mut World, slot: Slot, old: usize, time: Duration) -> (Duration, Option<Duration>) {
    let start = world.now;
    let (mut last, mut first) = (Duration::ZERO, None);
    while world.now.since(start) < time {
        world.step_within(ms(1));
        let writers = world.writers(slot);
        assert!(writers.len() <= 1, "{writers:?} write at {:?}", world.now);
        let passed = world.now.since(start);
        match writers.first() {
            Some(index) if *index == old => last = passed,
            Some(_) if first.is_none() => first = Some(passed),
            _ => {}
        }
    }
    (last, first)
}

fn isolate(world: &mut World, index: usize) {
    for other in (0..world.peers.len()).filter(|other| *other != index) {
        world.cut.extend([(index, other), (other, index)]);
    }
}

fn info(world: &mut World, index: usize) -> String {
    let Ok(ClusterReply::Text(text)) = world.command(index, ClusterCommand::Info) else { panic!("no text") };
    text
}

#[test]
fn a_primary_that_is_cut_off_stops_before_the_majority_goes_on_without_it() {
    let mut world = slow_world();
    let slot = some_slot(&world, 0);
    assert_eq!(world.writers(slot), [0]);
    isolate(&mut world, 0);
    let (last, first) = watch(&mut world, slot, 0, secs(4));
    assert!(last < ms(500), "it stopped after {last:?}");
    assert!(first.is_some_and(|at| at < secs(2)), "the majority went on after {first:?}");
    assert!(world.logged(0, "Write lease lost") > 0);
    assert!(info(&mut world, 0).contains("cluster_write_lease:lost\r\ncluster_write_lease_losses:1\r\n"));
    assert!(info(&mut world, 0).contains("cluster_state:fail"), "clients are told, not held for ever");
    world.cut.clear();
    watch(&mut world, slot, 3, secs(20));
    assert_eq!((world.writers(slot), world.peers[0].primary), (vec![3], Some(world.id(3))));
    assert!(info(&mut world, 0).contains("cluster_write_lease:none"));
}

#[test]
fn a_primary_that_stands_still_is_replaced_and_acknowledges_nothing_when_it_goes_on() {
    let mut world = slow_world();
    let slot = some_slot(&world, 1);
    world.hang(1);
    let (_, first) = watch(&mut world, slot, 1, secs(5));
    assert!(first.is_some_and(|at| at < secs(2)), "{first:?}");
    world.resume(1);
    assert_eq!(world.writers(slot), [4], "not even before it has heard anything");
    watch(&mut world, slot, 4, secs(10));
    assert_eq!(world.peers[1].primary, Some(world.id(4)));
}

#[test]
fn nobody_is_replaced_for_a_short_pause() {
    let mut world = slow_world();
    for round in 0..40 {
        let index = round % 3;
        world.hang(index);
        world.run(ms(500));
        world.resume(index);
        world.run(ms(50 * (round as u64 % 7)));
    }
    world.run(secs(1));
    assert!((0..3).all(|index| world.is_primary(index)));
    assert!((0..6).all(|index| !world.nodes_text(index).contains("fail")));
}

/// A wrong word about its failure deposes a primary, but not while it writes.
#[test]
fn votes_wait_for_what_was_promised() {
    let mut world = slow_world();
    let slot = some_slot(&world, 0);
    let start = world.now;
    // The replica and one voter take it for failed; nothing is wrong with it.
    world.say_failed(1, 0);
    let mut last = Duration::ZERO;
    while world.now.since(start) < secs(3) {
        world.step_within(ms(1));
        let writers = world.writers(slot);
        assert!(writers.len() <= 1, "{writers:?} write at {:?}", world.now);
        if writers == [0] {
            last = world.now.since(start);
        }
    }
    assert_eq!(world.writers(slot), [3]);
    assert!(last > ms(50), "it went on with what was promised, for {last:?}");
    assert_ne!(world.logged(1, "waits until what was promised") + world.logged(2, "waits until what was promised"), 0);
}

#[test]
fn a_handover_does_not_wait() {
    let mut world = slow_world();
    let slot = some_slot(&world, 2);
    world.failover(5, FailoverMode::Default);
    let (_, first) = watch(&mut world, slot, 2, secs(2));
    assert!(first.is_some_and(|at| at < ms(100)), "{first:?}");
    watch(&mut world, slot, 2, secs(5));
    assert_eq!(world.writers(slot), [5]);
}

#[test]
fn where_nobody_can_be_elected_without_it_a_primary_needs_no_lease() {
    let mut world = formed(4, 2, slow);
    isolate(&mut world, 0);
    world.run(secs(5));
    assert_eq!(world.writers(some_slot(&world, 0)), [0]);
    assert!(info(&mut world, 0).contains("cluster_write_lease:none"));
}

/// Voters that follow upstream's rules answer by PONG and suspect nobody before the node timeout.
#[test]
fn a_primary_among_voters_without_promises_stops_before_the_node_timeout() {
    let mut world = World::with(6, |_| {});
    for index in 0..6 {
        let settings = Settings { node_timeout_ms: 3000, lease: index == 0, ..world.peers[index].settings.clone() };
        world.peers[index].settings = settings.clone();
        world.give(index, baton_cluster::Input::SettingsChanged(Box::new(settings)));
    }
    world.form(3);
    (0..6).for_each(|index| world.peers[index].offset = 1000);
    world.run(secs(20));
    let slot = some_slot(&world, 0);
    for _ in 0..100 {
        world.run(ms(100));
        assert_eq!(world.writers(slot), [0]);
    }
    isolate(&mut world, 0);
    let (last, first) = watch(&mut world, slot, 0, secs(15));
    assert!(last < ms(1600), "{last:?}");
    assert!(first.is_some_and(|at| at > ms(2900)), "{first:?}");
}

/// Where a successor needs nobody's leave, who elected it may not know that it won: until one does, its votes are all it has.
#[test]
fn a_winner_that_nobody_has_heard_of_acknowledges_for_as_long_as_its_votes_last() {
    let mut world = formed(2, 1, slow);
    let slot = some_slot(&world, 0);
    world.failover(1, FailoverMode::Default);
    // It has voted by then, and gives leave as soon as it stands still.
    while world.peers[0].leased_until != Mono::ZERO {
        world.step_within(ms(1));
    }
    world.run(Duration::from_micros(10));
    assert_eq!(world.logged(0, "Failover auth granted to"), 1);
    // The old primary never hears of it, nor is anything heard of it.
    world.hang(0);
    world.until("the victory", ms(100), |w| w.is_primary(1));
    assert!(world.writers(slot).contains(&1), "its votes are its first lease");
    world.run(ms(600));
    assert!(world.is_primary(1) && !world.writers(slot).contains(&1));
    world.resume(0);
    world.until("its voter knows", secs(2), |w| w.writers(slot) == [1]);
    world.run(secs(30));
    assert_eq!(world.writers(slot), [1]);
    assert!(info(&mut world, 1).contains("cluster_write_lease:none"));
}
