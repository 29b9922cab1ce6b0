//! The leave of a primary that hands over: nobody takes over by an order that it does not stand by any more.

mod lone;
mod world;

use baton_base::{Epoch, Mono};
use baton_cluster::{Effect, FailoverMode, Input, LinkId};
use baton_wire::{Body, LightBody, Packet};
use lone::{Lone, id, three};
use std::time::Duration;
use world::World;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Three primaries and three replicas that take nobody for dead as long as a test lasts.
fn patient() -> World {
    let mut world = World::with(6, |settings| settings.node_timeout_ms = 60_000);
    world.form(3);
    world
}

/// The stream may carry an order for long: its reader stood still, or was away.
#[test]
fn an_order_that_is_read_late_is_void() {
    let mut world = patient();
    world.hear_order(3);
    world.run(secs(8));
    assert!(world.is_primary(0) && !world.is_primary(3));
    assert!(world.logged(1, "Failover auth granted") > 0, "the voters know nothing of it");
    assert_eq!(world.logged(3, "Manual failover timed out."), 1);
}

#[test]
fn an_order_that_is_read_just_before_its_end_is_void() {
    let mut world = patient();
    let heir = Some((world.id(3), world.now + Duration::from_millis(900)));
    world.give(0, Input::StandStill { heir });
    world.hear_order(3);
    world.run(secs(8));
    assert!(world.is_primary(0) && !world.is_primary(3));
    assert!(!world.peers[0].cluster.may_win(&world.id(3), Epoch(0)), "it was given nothing");
}

/// The votes come late, and by then the primary may be about to go on.
#[test]
fn a_leave_does_not_last_until_its_end() {
    for (votes_after, wins) in [(secs(1), true), (Duration::from_millis(3_900), false)] {
        let mut world = patient();
        world.hang(1);
        world.hang(2);
        world.order(0, 3);
        world.run(votes_after);
        assert!(world.peers[0].cluster.may_win(&world.id(3), Epoch(0)));
        world.resume(1);
        world.resume(2);
        world.run(secs(3));
        assert_eq!(world.is_primary(3), wins, "with votes after {votes_after:?}");
    }
}

#[test]
fn a_primary_that_stands_still_has_no_lease() {
    for shards in [1, 3] {
        let mut world = World::new(2 * shards);
        world.form(shards);
        world.run(secs(5));
        assert!(world.peers[0].leased_until > world.now);
        world.give(0, Input::StandStill { heir: None });
        assert_eq!(world.peers[0].leased_until, Mono::ZERO);
        world.run(secs(3));
        assert_eq!(world.peers[0].leased_until, Mono::ZERO, "whatever the voters answer meanwhile");
        assert_eq!(world.logged(0, "Write lease lost"), 0);
        world.give(0, Input::GoOn);
        assert!(world.peers[0].leased_until > world.now, "it need not ask anew");
    }
}

/// Then nobody is there to give leave, and the election is an ordinary one.
#[test]
fn a_primary_that_dies_before_it_gave_leave_is_replaced() {
    let mut world = World::new(6);
    world.form(3);
    world.hang(0);
    world.hear_order(3);
    world.run(Duration::from_millis(20));
    assert!(!world.is_primary(3));
    world.kill(0);
    world.until("the replica takes over", secs(1), |w| w.is_primary(3));
    assert_eq!(world.logged(3, "Manual failover given up: the primary failed before it let this node take over."), 1);
}

/// Elections that leave was given for, with the link it was said on.
fn leaves(lone: &Lone) -> Vec<(LinkId, Epoch)> {
    const LEAVE: u8 = 3;
    let one = |e: &Effect| {
        let Effect::Send { link, bytes } = e else { return None };
        let Ok(Packet::Light(LightBody::Module(module))) = baton_wire::decode(bytes) else { return None };
        let epoch = Epoch(u64::from_be_bytes(*module.payload.first_chunk()?));
        (module.kind == LEAVE).then_some((*link, epoch))
    };
    lone.effects.iter().filter_map(one).collect()
}

/// It may have left on a link whose other end was gone.
#[test]
fn a_leave_is_said_again_on_a_new_link() {
    let mut lone = Lone::settled(&three("master"));
    let heir = Some((id('4'), lone.now + secs(5)));
    lone.give(Input::StandStill { heir });
    lone.effects.clear();
    let (old, request) = (lone.outbound[&id('4')], lone.request());
    let epoch = request.current_epoch;
    lone.hear(id('4'), request, Body::AuthRequest);
    assert_eq!(leaves(&lone), [(old, epoch)]);
    lone.give(Input::LinkClosed { link: old });
    lone.pass(Duration::from_millis(100));
    lone.effects.clear();
    let link = lone.outbound[&id('4')];
    lone.give(Input::LinkOpened { link, local_ip: "127.0.0.1".to_owned() });
    assert_eq!(leaves(&lone), [], "not before the peer there has shown who it is");
    let header = lone.header(id('4'));
    lone.receive(link, header, Body::Pong(Default::default()));
    assert_eq!(leaves(&lone), [(link, epoch)]);
}

/// With all the votes in hand, and leave.
#[test]
fn a_leave_that_is_taken_back_counts_no_more() {
    let mut world = patient();
    let replica = world.id(3);
    world.hang(1);
    world.order(0, 3);
    world.hang(2);
    world.run(Duration::from_millis(20));
    assert!(world.peers[0].cluster.may_win(&replica, Epoch(0)));
    world.give(0, Input::StandStill { heir: None });
    world.give(0, Input::Recall { replica });
    world.run(Duration::from_millis(20));
    assert_eq!(world.peers[0].recalled, [replica]);
    assert_eq!(world.logged(3, "Manual failover given up: the primary called it off."), 1);
    world.give(0, Input::GoOn);
    world.resume(1);
    world.resume(2);
    // Its order is read again, as if it had been late.
    world.hear_order(3);
    world.run(secs(8));
    assert!(world.is_primary(0) && !world.is_primary(3));
}

#[test]
fn an_operator_who_forces_asks_for_no_leave() {
    let mut world = patient();
    world.failover(3, FailoverMode::Force);
    world.until("the forced one takes over", secs(2), |w| w.is_primary(3));
}

#[test]
fn neighbours_of_other_releases_give_no_leave_and_need_none() {
    for upstream in [0, 3] {
        let mut world = patient();
        world.peers[upstream].upstream = true;
        world.run(secs(5));
        world.hear_order(3);
        assert!(world.peers[0].cluster.may_win(&world.id(3), Epoch(0)), "who asks for no leave may win without");
        world.until("the replica takes over", secs(2), |w| w.is_primary(3));
    }
}
