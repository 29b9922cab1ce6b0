//! Lives of small clusters: forming, failing, failing over, forgetting.

mod world;

use baton_base::{Epoch, Slot};
use baton_cluster::{ClusterCommand, ClusterReply, FailoverMode, Input, Origin, SetSlot};
use std::time::Duration;
use world::World;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn meeting_one_makes_everybody_known() {
    let mut world = World::new(5);
    world.form(3);
    let first = world.slots_reply(0);
    for index in 0..5 {
        assert_eq!(world.peers[index].cluster.link_count(), 8, "two links per peer");
        assert_eq!(world.slots_reply(index), first, "CLUSTER SLOTS is the same everywhere");
        assert_eq!(world.command(index, ClusterCommand::Shards), world.command(0, ClusterCommand::Shards));
    }
    let ClusterReply::Slots(ranges) = first else { panic!() };
    assert_eq!(ranges.len(), 3);
    assert_eq!(ranges[0].nodes.len(), 2, "a primary and its replica");
    assert_eq!(world.peers[3].cluster.shard(), world.peers[0].cluster.shard());
    assert_ne!(world.peers[1].cluster.shard(), world.peers[0].cluster.shard());
    assert_eq!(world.logged(0, "Successfully completed handshake with"), 4);
}

#[test]
fn equal_epochs_are_made_distinct() {
    let mut world = World::new(4);
    for index in 1..4 {
        world.meet(0, index);
    }
    world.run(secs(10));
    let mut epochs: Vec<Epoch> = world.peers.iter().map(|p| p.cluster.config_epoch()).collect();
    epochs.sort();
    epochs.dedup();
    assert_eq!(epochs.len(), 4);
}

#[test]
fn a_killed_primary_is_replaced_and_comes_back_as_replica() {
    let mut world = World::new(6);
    world.form(3);
    world.peers[0].offset = 1000;
    world.run(secs(1));
    world.kill(0);
    world.until("the replica takes over", secs(10), |w| w.is_primary(3));
    assert_eq!(world.logged(3, "This is the best ranked replica and can initiate the election immediately."), 1);
    assert_eq!(
        world.logged(3, "Start of election delayed for 0 milliseconds (rank #0, primary rank #0, offset 1000)."),
        1
    );
    world.until_served("all slots are served again");
    assert_eq!(world.owner_of(1, 0), Some(3));
    assert_eq!(world.logged(3, "Failover attempt expired"), 0);
    world.restart(0);
    world.until("the old primary follows", secs(10), |w| w.peers[0].primary == Some(w.id(3)));
    world.until_served("with the old primary back");
    world.run(secs(5));
    assert!(!world.is_primary(0));
    assert_eq!(world.peers[0].cluster.shard(), world.peers[3].cluster.shard());
}

#[test]
fn a_hanging_primary_is_replaced_and_steps_down_when_it_wakes() {
    let mut world = World::new(6);
    world.form(3);
    world.hang(1);
    world.until("the replica takes over", secs(10), |w| w.is_primary(4));
    world.until_served("all slots are served again");
    world.resume(1);
    world.until("the sleeper follows", secs(10), |w| w.peers[1].primary == Some(w.id(4)));
    let epochs = world.peers[4].cluster.config_epoch();
    assert_eq!(world.peers[1].cluster.config_epoch(), epochs);
}

#[test]
fn of_two_replicas_the_one_with_more_data_wins() {
    for more in [3, 6] {
        let less = 9 - more;
        let mut world = World::new(9);
        world.form(3);
        world.peers[0].offset = 500;
        world.run(secs(2));
        world.cut.push((0, less));
        world.peers[0].offset = 900;
        world.run(Duration::from_millis(600));
        world.kill(0);
        world.until("one of them takes over", secs(20), |w| w.is_primary(3) || w.is_primary(6));
        assert!(world.is_primary(more), "the one with the larger offset");
        assert_ne!(world.logged(more, "best ranked replica"), 0, "its sibling knew too: it did not wait");
        world.until("the sibling follows", secs(10), |w| w.peers[less].primary == Some(w.id(more)));
    }
}

#[test]
fn two_shards_that_fail_together_both_come_back() {
    let mut world = World::new(10);
    world.form(5);
    world.kill(0);
    world.kill(1);
    world.until("both replicas take over", secs(20), |w| w.is_primary(5) && w.is_primary(6));
    world.until_served("both shards");
}

#[test]
fn without_a_majority_nobody_is_promoted() {
    let mut world = World::new(4);
    world.form(2);
    world.kill(0);
    world.run(secs(30));
    assert!(!world.is_primary(2));
    assert!(!world.peers[1].cluster.topology().health.is_ok(), "the survivor is a minority");
    assert_eq!(world.logged(1, "I am part of a minority partition."), 1);
}

#[test]
fn an_incomplete_dataset_never_stands() {
    let mut world = World::new(6);
    world.form(3);
    world.kill(0);
    world.peers[3].complete = false;
    world.run(secs(20));
    assert!(!world.is_primary(3));
    assert_eq!(world.logged(3, "Start of election"), 0);
}

#[test]
fn a_manual_failover_loses_nothing_and_swaps_roles() {
    let mut world = World::new(6);
    world.form(3);
    world.peers[0].offset = 77;
    world.failover(3, FailoverMode::Default);
    let took = world.until("roles are swapped", secs(5), |w| w.is_primary(3) && !w.is_primary(0));
    assert!(took <= Duration::from_millis(100), "nothing waits for a periodic run: {took:?}");
    assert!(!world.peers[0].writes_paused);
    assert_eq!(world.peers[0].primary, Some(world.id(3)));
    assert_eq!(world.logged(3, "Received replication offset for paused primary manual failover: 77"), 1);
    world.until_served("after the failover");
    let order: Vec<&str> = world.peers[0].effects.iter().map(String::as_str).collect();
    let at = |word| order.iter().rposition(|w| *w == word).unwrap();
    assert!(at("publish replica") < at("resume"), "held writers must find the new topology");
}

#[test]
fn a_single_primary_hands_over_too() {
    let mut world = World::new(2);
    world.form(1);
    world.failover(1, FailoverMode::Default);
    world.until("roles are swapped", secs(5), |w| w.is_primary(1) && !w.is_primary(0));
    world.failover(0, FailoverMode::Default);
    world.until("and back", secs(5), |w| w.is_primary(0) && !w.is_primary(1));
    world.until_served("after both");
}

#[test]
fn writes_that_do_not_stop_make_a_manual_failover_time_out() {
    let mut world = World::new(6);
    world.form(3);
    world.peers[0].confirms_pause = false;
    world.failover(3, FailoverMode::Default);
    world.run(secs(6));
    assert!(world.is_primary(0) && !world.is_primary(3));
    assert_eq!(world.logged(0, "Manual failover timed out."), 1);
    assert_eq!(world.logged(3, "Manual failover timed out."), 1);
    assert!(!world.peers[0].writes_paused);
}

/// The order of a primary that was about to stop is void once the replica has the primary back: it serves writes that
/// the replica may not have.
#[test]
fn an_order_ends_when_the_primary_is_back() {
    let mut world = World::new(6);
    world.form(3);
    world.hang(1);
    world.hang(2);
    world.order(0, 3);
    world.run(Duration::from_millis(20));
    world.kill(0);
    world.run(Duration::from_millis(120));
    world.restart(0);
    world.run(Duration::from_millis(120));
    world.resume(1);
    world.resume(2);
    world.run(secs(8));
    assert!(world.is_primary(0), "votes for the old order count for nothing");
    assert!(!world.is_primary(3));
    assert_eq!(world.logged(3, "Manual failover given up: the primary is back."), 1);
}

/// A replica that stood still may find the order long after its primary gave it up: the stream has gone on behind it.
#[test]
fn an_order_ends_when_the_stream_goes_on() {
    let mut world = World::new(6);
    world.form(3);
    world.hang(1);
    world.hang(2);
    world.order(0, 3);
    world.peers[0].offset += 100;
    world.resume(1);
    world.resume(2);
    world.run(secs(8));
    assert!(world.is_primary(0), "votes for the old order count for nothing");
    assert!(!world.is_primary(3));
    assert_eq!(world.logged(3, "Manual failover given up: the primary writes again."), 1);
}

/// A replica that stands still while its votes arrive finds them when the primary doesn't wait for it any more.
#[test]
fn an_order_ends_with_its_time_whatever_is_heard_first() {
    let mut world = World::with(6, |settings| settings.node_timeout_ms = 20_000);
    world.form(3);
    world.order(0, 3);
    world.hang(3);
    world.run(secs(6));
    world.resume(3);
    world.run(secs(8));
    assert!(world.is_primary(0) && !world.is_primary(3));
    assert_eq!(world.logged(3, "Manual failover timed out."), 1);
}

/// Votes that a node finds after it stood still may be older than the next election, which somebody else won.
#[test]
fn who_stood_still_hears_the_others_before_it_wins() {
    let mut world = World::with(9, |settings| settings.node_timeout_ms = 20_000);
    world.form(3);
    world.order(0, 3);
    world.hang(3);
    world.run(secs(1));
    world.order(0, 6);
    world.until("the other one takes over", secs(2), |w| w.is_primary(6));
    world.resume(3);
    world.run(secs(1));
    assert_eq!(world.logged(3, "Failover election won"), 0);
    assert_eq!(world.peers[3].primary, Some(world.id(6)));
}

/// Who is forced by a user doesn't ask how the primary is.
#[test]
fn a_users_force_outlives_the_link() {
    let mut world = World::new(6);
    world.form(3);
    world.hang(1);
    world.hang(2);
    world.failover(3, FailoverMode::Force);
    world.run(Duration::from_millis(20));
    world.kill(0);
    world.run(Duration::from_millis(120));
    world.restart(0);
    world.run(Duration::from_millis(120));
    world.resume(1);
    world.resume(2);
    world.until("the forced one takes over", secs(2), |w| w.is_primary(3));
}

#[test]
fn the_order_on_the_replication_link_is_obeyed_by_its_addressee_only() {
    let mut world = World::new(9);
    world.form(3);
    let order = |id: String| ClusterCommand::Failover { mode: FailoverMode::Force, replica_id: Some(id) };
    let addressee = world.id(6).to_string();
    let heir = Some((world.id(6), world.now + secs(5)));
    world.give(0, Input::StandStill { heir });
    for index in [3, 6] {
        let reply = world.command_from(index, Origin::PrimaryLink, order(addressee.clone()));
        assert_eq!(reply, Ok(ClusterReply::Ok));
    }
    world.until("the addressee takes over", secs(2), |w| w.is_primary(6));
    world.until("the others follow", secs(5), |w| w.peers[0].primary == Some(w.id(6)));
    assert!(!world.is_primary(3));
    assert_eq!(world.logged(6, "Forced failover primary request accepted"), 1);
    let from_client = world.command(3, order(addressee));
    assert_eq!(from_client, Err("ERR syntax error".to_owned()));
}

#[test]
fn takeover_needs_nobody() {
    let mut world = World::new(4);
    world.form(2);
    world.kill(0);
    world.run(secs(5));
    world.failover(2, FailoverMode::Takeover);
    assert!(world.is_primary(2));
    world.until_served("after the takeover");
    world.restart(0);
    world.until("the old primary follows", secs(10), |w| w.peers[0].primary == Some(w.id(2)));
}

#[test]
fn failover_is_refused_where_it_makes_no_sense() {
    let mut world = World::new(6);
    world.form(3);
    let mut ask =
        |index| world.command(index, ClusterCommand::Failover { mode: FailoverMode::Default, replica_id: None });
    assert_eq!(ask(0), Err("ERR You should send CLUSTER FAILOVER to a replica".to_owned()));
    world.kill(0);
    world.run(Duration::from_millis(50));
    let reply = world.command(3, ClusterCommand::Failover { mode: FailoverMode::Default, replica_id: None });
    assert_eq!(reply, Err("ERR Master is down or failed, please use CLUSTER FAILOVER FORCE".to_owned()));
}

#[test]
fn forgetting_spreads_and_meeting_again_undoes_it() {
    let mut world = World::new(4);
    world.form(3);
    let gone = world.id(3).to_string();
    world.kill(3);
    world.ok(0, ClusterCommand::Forget(gone.clone()));
    world.until("everybody forgets", secs(5), |w| {
        w.peers.iter().filter(|p| p.alive).all(|p| p.cluster.topology().nodes.len() == 3)
    });
    assert_eq!(world.command(0, ClusterCommand::Forget(gone)), Ok(ClusterReply::Ok), "forgotten, yet blacklisted");
    let unknown = "f".repeat(40);
    assert_eq!(world.command(0, ClusterCommand::Forget(unknown.clone())), Err(format!("ERR Unknown node {unknown}")));
    world.run(secs(61));
    world.restart(3);
    world.meet(0, 3);
    world.until("it is known again", secs(10), |w| w.peers.iter().all(|p| p.cluster.topology().nodes.len() == 4));
}

#[test]
fn a_hard_reset_changes_the_identity_and_others_notice() {
    let mut world = World::new(4);
    world.form(3);
    let old = world.id(3);
    world.ok(3, ClusterCommand::Reset { hard: true });
    assert_ne!(world.id(3), old);
    assert_eq!(world.peers[3].cluster.current_epoch(), Epoch(0));
    world.until("the old identity has no address", secs(10), |w| {
        w.peers[..3].iter().all(|p| {
            let topology = p.cluster.topology();
            topology.nodes.iter().any(|n| n.id == old && n.address.ip.is_empty() && n.failed)
        })
    });
    assert!(world.peers[..3].iter().any(|p| p.log.iter().any(|l| l.contains("PONG contains mismatching sender ID"))));
    assert!(world.nodes_text(0).contains("fail,noaddr"));
}

#[test]
fn a_migrated_slot_follows_setslot_node() {
    let mut world = World::new(3);
    world.form(3);
    let slot = Slot::new(0).unwrap();
    let (source, target) = (world.id(0).to_string(), world.id(1).to_string());
    world.ok(1, ClusterCommand::SetSlot { slot, action: SetSlot::Importing(source) });
    world.ok(0, ClusterCommand::SetSlot { slot, action: SetSlot::Migrating(target.clone()) });
    assert!(world.nodes_text(0).contains(&format!("[0->-{target}]")));
    world.peers[0].keys.insert(slot);
    let refused = world.command(0, ClusterCommand::SetSlot { slot, action: SetSlot::Node(target.clone()) });
    assert!(refused.unwrap_err().contains("while I still hold keys"));
    world.peers[0].keys.clear();
    world.ok(1, ClusterCommand::SetSlot { slot, action: SetSlot::Node(target.clone()) });
    world.until("everybody sees the new owner", secs(5), |w| (0..3).all(|i| w.owner_of(i, 0) == Some(1)));
    assert_eq!(world.logged(1, "New configEpoch set to"), 1);
    assert!(!world.nodes_text(0).contains("->-"));
    assert!(!world.nodes_text(1).contains("-<-"));
}

#[test]
fn slots_are_claimed_from_who_has_them_and_by_primaries_only() {
    let mut world = World::new(4);
    world.form(3);
    let slots: Vec<Slot> = [0, 1].into_iter().filter_map(Slot::new).collect();
    let claim = |from| ClusterCommand::ClaimSlots { slots: slots.clone(), from };
    let (source, other) = (world.id(0), world.id(2));
    let refused = world.command(1, claim(other)).unwrap_err();
    assert!(refused.contains("not served by the source"), "{refused}");
    let refused = world.command(3, claim(source)).unwrap_err();
    assert!(refused.contains("only be used on primary nodes"), "{refused}");
    world.ok(1, claim(source));
    world.until("everybody sees the new owner", secs(5), |w| {
        (0..4).all(|i| [0, 1].iter().all(|slot| w.owner_of(i, *slot) == Some(1)) && w.owner_of(i, 2) == Some(0))
    });
}

/// Two nodes that take slots from each other at a time get the same epoch; the one that moves on to a newer one must not take back
/// what it has given away.
#[test]
fn slots_that_cross_each_other_change_hands_whatever_the_epochs() {
    for (one, other) in [(0, 1), (1, 0)] {
        let mut world = World::new(3);
        world.form(3);
        let first_of = |world: &World, peer: usize| Slot::all().find(|s| world.owner_of(0, s.number()) == Some(peer));
        let mine = first_of(&world, one).expect("it has some");
        let theirs = first_of(&world, other).expect("it has some");
        world.ok(one, ClusterCommand::CedeSlots(vec![mine]));
        world.ok(other, ClusterCommand::CedeSlots(vec![theirs]));
        let (from_one, from_other) = (world.id(one), world.id(other));
        world.ok(one, ClusterCommand::ClaimSlots { slots: vec![theirs], from: from_other });
        world.ok(other, ClusterCommand::ClaimSlots { slots: vec![mine], from: from_one });
        for _ in 0..500 {
            world.run(std::time::Duration::from_millis(10));
            assert_eq!(world.owner_of(one, theirs.number()), Some(one), "who has taken a slot keeps it");
            assert_eq!(world.owner_of(other, mine.number()), Some(other), "who has taken a slot keeps it");
        }
        for peer in 0..3 {
            let owners = [mine, theirs].map(|slot| world.owner_of(peer, slot.number()));
            assert_eq!(owners, [Some(other), Some(one)], "as {peer} sees it");
        }
    }
}

#[test]
fn slots_that_were_ceded_and_stay_are_claimed_again() {
    let mut world = World::new(3);
    world.form(3);
    let slot = Slot::all().find(|s| world.owner_of(0, s.number()) == Some(0)).expect("it has some");
    world.ok(0, ClusterCommand::CedeSlots(vec![slot]));
    world.run(secs(3));
    assert!((0..3).all(|peer| world.owner_of(peer, slot.number()) == Some(0)));
    world.ok(0, ClusterCommand::KeepSlots(vec![slot]));
    world.run(secs(3));
    let refused = world.command(1, ClusterCommand::CedeSlots(vec![slot])).unwrap_err();
    assert!(refused.contains("not the owner"), "{refused}");
    world.until_served("as before");
}

#[test]
fn the_last_slot_takes_its_owner_along() {
    let mut world = World::new(3);
    world.form(3);
    let slots: Vec<Slot> = Slot::all().filter(|s| world.owner_of(0, s.number()) == Some(2)).collect();
    let target = world.id(0).to_string();
    for slot in slots {
        world.ok(0, ClusterCommand::SetSlot { slot, action: SetSlot::Importing(world.id(2).to_string()) });
        world.ok(0, ClusterCommand::SetSlot { slot, action: SetSlot::Node(target.clone()) });
    }
    world.until("the emptied primary follows", secs(5), |w| w.peers[2].primary == Some(w.id(0)));
    world.until_served("two shards now");
}

#[test]
fn a_partitioned_primary_gives_up_when_the_other_side_has_promoted() {
    let mut world = World::new(6);
    world.form(3);
    for other in 1..6 {
        world.cut.push((0, other));
        world.cut.push((other, 0));
    }
    world.until("the majority promotes", secs(10), |w| w.is_primary(3));
    world.until("the minority notices", secs(10), |w| !w.peers[0].cluster.topology().health.is_ok());
    world.cut.clear();
    world.until("it follows after the partition", secs(20), |w| w.peers[0].primary == Some(w.id(3)));
    world.until_served("after the partition");
}

#[test]
fn published_messages_reach_the_others() {
    let mut world = World::new(4);
    world.form(2);
    let publish = |sharded| Input::Publish { channel: b"c".to_vec(), message: b"m".to_vec(), sharded };
    world.give(0, publish(false));
    world.run(secs(1));
    for index in 1..4 {
        assert_eq!(world.peers[index].delivered, [(b"c".to_vec(), b"m".to_vec(), false)]);
        world.peers[index].delivered.clear();
    }
    world.give(0, publish(true));
    world.run(secs(1));
    let reached: Vec<usize> = (1..4).filter(|i| !world.peers[*i].delivered.is_empty()).collect();
    assert_eq!(reached, [2], "only the shard's own replica");
}

#[test]
fn tiny_node_timeouts_still_fail_over() {
    for timeout in [30, 200] {
        let mut world = World::with(6, |s| s.node_timeout_ms = timeout);
        world.form(3);
        world.kill(0);
        world.until("the replica takes over", secs(30), |w| w.is_primary(3));
        world.until_served("after it");
    }
}

#[test]
fn promises_are_durable_before_they_leave() {
    let mut world = World::new(6);
    world.form(3);
    for peer in &mut world.peers {
        peer.effects.clear();
    }
    world.kill(0);
    world.until("the replica takes over", secs(10), |w| w.is_primary(3));
    world.run(Duration::from_millis(50));
    let at = |index: usize, word: &str| world.peers[index].effects.iter().position(|w| w == word);
    let voter = if at(1, "send auth-ack").is_some() { 1 } else { 2 };
    assert!(at(voter, "save epochs").unwrap() < at(voter, "send auth-ack").unwrap());
    assert!(at(3, "save epochs").unwrap() < at(3, "send auth-req").unwrap());
    let won = at(3, "become primary").unwrap();
    let after = &world.peers[3].effects[won..];
    let first = |word: &str| after.iter().position(|w| w == word).unwrap();
    assert!(first("publish primary") < first("save epochs"));
    assert!(first("save epochs") < first("send pong"), "the claim is announced once it is durable");
    assert!(first("send pong") < first("save"), "and doesn't wait for the file");
}

#[test]
fn a_victory_outlives_the_machine_that_won_it() {
    let mut world = World::new(6);
    world.form(3);
    world.run(secs(5));
    world.kill(0);
    world.until("the replica takes over", secs(10), |w| w.is_primary(3));
    let epoch = world.peers[3].cluster.config_epoch();
    world.run(Duration::from_millis(50));
    world.kill(3);
    world.lose_unsynced(3);
    world.restart(3);
    assert!(world.is_primary(3) && world.peers[3].cluster.config_epoch() == epoch);
    assert_eq!(world.owner_of(3, 0), Some(3));
    world.until_served("by the winner");
    // The loser comes back as its replica, takes over in turn, and the victory is over for good.
    world.restart(0);
    world.until("the loser follows", secs(20), |w| !w.is_primary(0) && w.peers[0].complete);
    world.failover(0, FailoverMode::Default);
    world.until("it is primary again", secs(10), |w| w.is_primary(0) && !w.is_primary(3));
    world.run(secs(1));
    world.kill(3);
    world.lose_unsynced(3);
    world.restart(3);
    world.until_served("with one owner for each slot");
    assert!(world.is_primary(0) && !world.is_primary(3));
}

#[test]
fn a_node_that_is_asked_twice_dates_what_it_heard_alike() {
    let mut world = World::new(3);
    world.form(3);
    // Off the full milliseconds, where the two clocks round differently.
    world.now = world.now + Duration::from_micros(350);
    world.run(secs(3));
    let first = world.nodes_text(0);
    for step in 1..=4 {
        world.now = world.now + Duration::from_micros(300);
        assert_eq!(world.nodes_text(0), first, "{step}");
    }
}
