//! Who decides in small clusters: with witnesses every member, so that one shard heals by itself; without them nobody but
//! an operator.

mod lone;
mod world;

use baton_cluster::{ClusterCommand, ClusterReply, FailoverMode, SetSlot, Settings};
use baton_wire::{Body, MsgFlags, PrivateBlob};
use lone::{Lone, id, three};
use std::time::Duration;
use world::World;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Primaries, as many replicas, and witnesses, with a node timeout that no test waits for.
fn with_witnesses(primaries: usize, witnesses: usize) -> World {
    let data = 2 * primaries;
    let mut world = World::with(data + witnesses, |settings: &mut Settings| {
        settings.node_timeout_ms = 15_000;
        settings.witness = usize::from(settings.port) - 7000 >= data;
    });
    world.form_with(primaries, primaries);
    world.until("all members vote", secs(10), |w| {
        w.peers.iter().all(|p| p.log.iter().filter(|l| l.contains("All members know the voters")).count() > 0)
    });
    world.run(secs(3));
    let members = (data + witnesses).to_string();
    for index in 0..data + witnesses {
        assert_eq!(world.info(index, "cluster_voters"), members);
        assert_eq!(world.info(index, "cluster_witnesses"), witnesses.to_string());
        assert_eq!(world.info(index, "cluster_failover_possible"), "1");
    }
    world
}

/// One primary, its replica and nothing else.
fn pair() -> World {
    let mut world = World::with(2, |settings| settings.node_timeout_ms = 15_000);
    world.form(1);
    world.run(secs(3));
    world
}

#[test]
fn a_replica_and_a_witness_replace_a_dead_primary() {
    let mut world = with_witnesses(1, 1);
    world.kill(0);
    let took = world.until("the replica takes over", secs(5), |w| w.is_primary(1));
    assert!(took < Duration::from_millis(300), "{took:?}");
    world.until_served("by the replica");
    assert_eq!(world.info(1, "cluster_failover_possible"), "0", "one of three is gone");
    world.restart(0);
    world.until("the old primary follows", secs(5), |w| w.peers[0].primary == Some(w.id(1)));
    world.run(secs(3));
    assert_eq!(world.info(0, "cluster_voters"), "3", "it remembers");
    world.kill(1);
    world.until("and back again", secs(5), |w| w.is_primary(0));
    assert!(world.peers[2].cluster.is_primary() && world.owner_of(2, 0) == Some(0), "the witness holds nothing");
}

#[test]
fn who_is_elected_right_after_its_start_serves_at_once() {
    let mut world = with_witnesses(1, 1);
    world.kill(1);
    world.run(Duration::from_millis(500));
    world.restart(1);
    world.run(Duration::from_millis(900));
    world.kill(0);
    world.until("the replica takes over", secs(5), |w| w.is_primary(1));
    assert!(world.peers[1].cluster.topology().health.is_ok());
}

#[test]
fn a_primary_goes_on_with_its_witness_and_stops_without_anybody() {
    let mut world = with_witnesses(1, 1);
    world.kill(1);
    world.run(secs(40));
    assert!(world.peers[0].cluster.topology().health.is_ok(), "two of three");
    world.kill(2);
    world.until("one of three is no majority", secs(40), |w| !w.peers[0].cluster.topology().health.is_ok());
    world.restart(1);
    world.until_served("two of three again");
    assert!(world.is_primary(0));
}

#[test]
fn of_two_shards_and_a_witness_either_primary_may_die_or_both() {
    for dead in [vec![0], vec![1], vec![0, 1]] {
        let mut world = with_witnesses(2, 1);
        dead.iter().for_each(|index| world.kill(*index));
        let all = |w: &World| dead.iter().all(|index| w.is_primary(index + 2));
        world.until("the replicas take over", secs(5), all);
        world.until_served("everything");
    }
}

#[test]
fn a_primary_that_is_cut_off_is_replaced_and_knows_that_it_may_be() {
    let mut world = World::with(3, |settings| {
        settings.node_timeout_ms = 1000;
        settings.witness = settings.port == 7002;
    });
    world.form_with(1, 1);
    world.run(secs(3));
    world.cut = vec![(0, 1), (1, 0), (0, 2), (2, 0)];
    world.until("the majority elects", secs(10), |w| w.is_primary(1));
    world.until("the minority stops", secs(5), |w| !w.peers[0].cluster.topology().health.is_ok());
    world.cut.clear();
    world.until("it follows", secs(10), |w| w.peers[0].primary == Some(w.id(1)));
}

#[test]
fn siblings_don_t_both_win_with_their_own_votes() {
    let mut world = World::with(5, |settings| {
        settings.node_timeout_ms = 1000;
        settings.witness = settings.port >= 7003;
    });
    world.form_with(1, 2);
    world.run(secs(3));
    world.peers[0].offset = 900;
    world.run(secs(2));
    assert_eq!(world.info(1, "cluster_quorum"), "3");
    world.cut = vec![(1, 2), (2, 1)];
    world.kill(0);
    world.until("the witnesses decide", secs(20), |w| w.is_primary(1) || w.is_primary(2));
    world.run(secs(5));
    assert!(!(world.is_primary(1) && world.is_primary(2)));
}

#[test]
fn two_nodes_alone_never_promote_and_say_so() {
    let mut world = pair();
    for index in 0..2 {
        assert_eq!(world.info(index, "cluster_failover_possible"), "0");
        assert_eq!(world.info(index, "cluster_failover_obstacle"), "no_majority_without_primary");
    }
    world.kill(0);
    world.run(secs(60));
    assert!(!world.is_primary(1));
}

#[test]
fn a_witness_takes_neither_slots_nor_a_primary_and_is_neither_shown_as_a_shard() {
    let mut world = with_witnesses(1, 1);
    let (primary, witness) = (world.id(0).to_string(), world.id(2).to_string());
    let slot = baton_base::Slot::new(1).unwrap();
    let told = |world: &mut World, index, command| world.command(index, command).unwrap_err();
    let refusal = format!("ERR Node {witness} is a witness: it holds neither slots nor data");
    assert_eq!(told(&mut world, 2, ClusterCommand::AddSlots(vec![slot])), refusal);
    assert_eq!(told(&mut world, 2, ClusterCommand::Replicate(primary)), refusal);
    assert_eq!(told(&mut world, 1, ClusterCommand::Replicate(witness.clone())), refusal);
    for action in [SetSlot::Node(witness.clone()), SetSlot::Migrating(witness.clone())] {
        assert_eq!(told(&mut world, 0, ClusterCommand::SetSlot { slot, action }), refusal);
    }
    let ClusterReply::Shards(shards) = world.command(0, ClusterCommand::Shards).unwrap() else { panic!() };
    assert_eq!(shards.len(), 1);
    for index in 0..3 {
        let nodes = world.nodes_text(index);
        let line = nodes.lines().find(|line| line.starts_with(&witness)).unwrap();
        assert!(line.split(' ').nth(2).unwrap().ends_with("master,witness"), "{line}");
        assert!(!world.peers[index].disk.contains(",witness"), "upstream reads the file, too");
    }
}

#[test]
fn members_are_remembered_while_everybody_is_away() {
    let mut world = with_witnesses(1, 1);
    (0..3).for_each(|index| world.kill(index));
    for index in [1, 2] {
        world.lose_unsynced(index);
        world.restart(index);
    }
    world.run(secs(5));
    assert_eq!(world.info(1, "cluster_voters"), "3");
    world.until("two of three decide, as before", secs(60), |w| w.is_primary(1));
}

#[test]
fn forgetting_the_last_witness_brings_upstreams_rule_back() {
    let mut world = with_witnesses(1, 1);
    let witness = world.id(2).to_string();
    world.kill(2);
    for index in 0..2 {
        world.ok(index, ClusterCommand::Forget(witness.clone()));
    }
    world.run(secs(3));
    for index in 0..2 {
        assert_eq!(world.info(index, "cluster_voters"), "1");
        assert!(!world.peers[index].disk.contains("voters"));
    }
    world.until_served("all the time");
}

#[test]
fn a_second_witness_counts_once_all_know_it() {
    let mut world = World::with(4, |settings| {
        settings.node_timeout_ms = 15_000;
        settings.witness = settings.port >= 7002;
    });
    // The fourth stays apart at first.
    world.cut = (0..3).flat_map(|other| [(3, other), (other, 3)]).collect();
    for index in 1..3 {
        world.meet(0, index);
    }
    world.run(secs(3));
    world.ok(0, ClusterCommand::AddSlots(baton_base::Slot::all().collect()));
    let primary = world.id(0).to_string();
    world.ok(1, ClusterCommand::Replicate(primary));
    world.run(secs(5));
    assert_eq!(world.info(1, "cluster_voters"), "3");
    world.cut.clear();
    world.meet(0, 3);
    world.until("four vote", secs(10), |w| {
        let known = |p: &world::Peer| p.log.iter().any(|l| l.contains("All members know the voters: all 4 members"));
        w.peers.iter().all(known)
    });
    world.run(secs(3));
    world.kill(0);
    world.until("three of four", secs(5), |w| w.is_primary(1));
}

/// Members 1 (me), 2, 3 and 4, of which the last is a witness if it says so.
fn told(privates: [Option<&[u8]>; 3]) -> Lone {
    let mut lone = Lone::settled(&three("master"));
    for _ in 0..10 {
        for (digit, private) in ['2', '3', '4'].into_iter().zip(privates) {
            let mut header = lone.header(id(digit));
            header.private = private.map(|bytes| PrivateBlob::new(bytes).unwrap());
            lone.hear(id(digit), header, Body::Ping(baton_wire::PingBody::default()));
        }
        lone.pass(Duration::from_millis(100));
    }
    lone
}

fn voters(lone: &mut Lone) -> String {
    let Ok(ClusterReply::Text(text)) = lone.command(ClusterCommand::Info) else { panic!() };
    text.lines().find_map(|line| line.strip_prefix("cluster_voters:")).unwrap().to_owned()
}

const MEMBERS: &[u8] = &[4];
const WITNESS: &[u8] = &[6];

#[test]
fn one_member_of_another_kind_keeps_upstreams_rule() {
    assert_eq!(voters(&mut told([Some(MEMBERS), Some(WITNESS), None])), "3", "a replica without a vote");
    assert_eq!(voters(&mut told([Some(MEMBERS), Some(MEMBERS), Some(MEMBERS)])), "3", "no witness");
    let mut lone = told([Some(MEMBERS), Some(WITNESS), Some(MEMBERS)]);
    assert_eq!(voters(&mut lone), "4", "the replica, too");
    assert!(lone.logged("New voters: all 4 members, 3 of them decide."));
    assert!(!lone.logged("All members know the voters"), "they still say that they go by upstream's rule");
}

#[test]
fn a_candidate_that_counts_other_voters_gets_no_vote() {
    let mut lone = told([Some(MEMBERS), Some(WITNESS), Some(MEMBERS)]);
    let mut request = lone.request();
    request.mflags = MsgFlags::FORCEACK;
    let mut other = [4; 9];
    other[1..].copy_from_slice(&77u64.to_be_bytes());
    request.private = Some(PrivateBlob::new(&other).unwrap());
    lone.effects.clear();
    lone.hear(id('4'), request.clone(), Body::AuthRequest);
    assert!(lone.logged("it counts other voters than this node"));
    request.private = Some(PrivateBlob::new(MEMBERS).unwrap());
    lone.hear(id('4'), request, Body::AuthRequest);
    assert!(lone.logged("Failover auth granted"), "upstream's rule is still in the list");
}

#[test]
fn an_operator_stands_for_the_only_voter_if_that_is_dead() {
    let mut world = pair();
    world.peers[0].offset = 500;
    world.run(secs(1));
    for round in 0..4 {
        let (old, new) = (round % 2, (round + 1) % 2);
        let epoch = world.peers[new].cluster.current_epoch();
        world.kill(old);
        world.run(Duration::from_millis(500));
        world.failover(new, FailoverMode::Force);
        let took = world.until("it is primary", secs(3), |w| w.is_primary(new));
        assert!(took < Duration::from_millis(300), "{took:?}");
        assert!(world.peers[new].cluster.config_epoch() > epoch);
        world.until_served("by the new one alone");
        assert_eq!(world.peers[new].offset, 500);
        world.restart(old);
        world.until("the old one follows by itself", secs(5), |w| w.peers[old].primary == Some(w.id(new)));
        world.run(secs(3));
    }
}

#[test]
fn a_hanging_only_voter_is_given_a_moment() {
    let mut world = pair();
    world.hang(0);
    world.failover(1, FailoverMode::Force);
    world.run(Duration::from_millis(900));
    assert!(!world.is_primary(1));
    world.until("it does not answer", secs(1), |w| w.is_primary(1));
    world.resume(0);
    world.until("it follows", secs(5), |w| w.peers[0].primary == Some(w.id(1)));
}

#[test]
fn a_living_only_voter_decides_itself() {
    let mut world = pair();
    world.failover(1, FailoverMode::Force);
    world.until("it votes", secs(1), |w| w.is_primary(1) && !w.is_primary(0));
    assert_eq!(world.logged(1, "does not answer"), 0);
    assert_eq!(world.logged(0, "Failover auth granted"), 1);
}

#[test]
fn where_there_are_other_voters_force_is_not_enough() {
    let mut world = World::new(4);
    world.form(2);
    world.kill(0);
    world.run(secs(3));
    world.failover(2, FailoverMode::Force);
    world.run(secs(20));
    assert!(!world.is_primary(2));
    assert_eq!(world.logged(2, "Manual failover timed out."), 1);
}

#[test]
fn a_witness_does_not_make_force_more_than_a_vote() {
    let mut world = with_witnesses(1, 1);
    world.kill(2);
    world.run(secs(20));
    world.kill(0);
    world.run(secs(20));
    world.failover(1, FailoverMode::Force);
    world.run(secs(10));
    assert!(!world.is_primary(1), "the witness may have voted for somebody else");
}

#[test]
fn a_manual_failover_needs_no_third() {
    let mut world = with_witnesses(1, 1);
    world.kill(2);
    world.run(secs(1));
    world.failover(1, FailoverMode::Default);
    world.until("both agree", secs(1), |w| w.is_primary(1));
}
