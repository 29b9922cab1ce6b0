//! What a node says about itself comes on two connections, so an older word may be heard after a newer one.

mod lone;
mod world;

use baton_base::{Epoch, ShardId};
use baton_wire::{Body, Extension, MsgFlags, PingBody};
use lone::{Lone, id, slots, three};
use std::time::Duration;
use world::World;

/// `4` has won over `3`, and `3` follows it. Gives the header of `3` before that, and the one after.
fn demoted() -> (Lone, baton_wire::Header, baton_wire::Header) {
    let mut lone = Lone::settled(&three("master"));
    let before = lone.header(id('3'));
    let mut claim = lone.header(id('4'));
    (claim.replica_of, claim.config_epoch, claim.current_epoch) = (None, Epoch(4), Epoch(4));
    lone.hear(id('4'), claim.clone(), Body::Pong(PingBody::default()));
    let mut after = before.clone();
    (after.replica_of, after.config_epoch, after.current_epoch) = (Some(id('4')), Epoch(4), Epoch(4));
    lone.hear(id('3'), after.clone(), Body::Ping(PingBody::default()));
    assert!(!is_primary(&lone));
    lone.effects.clear();
    (lone, before, after)
}

fn is_primary(lone: &Lone) -> bool {
    lone.cluster.topology().nodes.iter().find(|n| n.id == id('3')).unwrap().is_primary
}

#[test]
fn an_older_word_of_a_demoted_primary_does_not_make_it_one_again() {
    let (mut lone, before, _) = demoted();
    let link = lone.outbound[&id('3')];
    lone.receive(link, before, Body::Pong(PingBody::default()));
    assert!(!is_primary(&lone), "its slots are served with a newer epoch");
    assert!(lone.logged("Ignore stale message from"));
    let told =
        |body: &Body| matches!(body, Body::Update(update) if update.id == id('4') && update.config_epoch == Epoch(4));
    assert!(lone.sent().iter().any(|(to, m)| *to == link && told(&m.body)), "in case that it doesn't know");
}

#[test]
fn a_replica_that_claims_anything_newer_or_free_is_a_primary() {
    let (mut lone, mut newer, _) = demoted();
    newer.config_epoch = Epoch(5);
    lone.hear(id('3'), newer, Body::Ping(PingBody::default()));
    assert!(is_primary(&lone));
    let (mut lone, mut empty, _) = demoted();
    empty.slots = slots(1, 0);
    lone.hear(id('3'), empty, Body::Ping(PingBody::default()));
    assert!(is_primary(&lone), "an empty primary claims nothing that others have");
}

#[test]
fn what_a_node_announced_outlives_its_next_connection() {
    let mut lone = Lone::settled(&three("master"));
    let shard = Extension::ShardId(ShardId::parse(&[b'a'; 40]).unwrap());
    let mut say = |extensions: &[Extension]| {
        let mut header = lone.header(id('3'));
        header.mflags.insert(MsgFlags::EXT_DATA);
        let body = PingBody { extensions: extensions.to_vec(), ..PingBody::default() };
        lone.hear(id('3'), header, Body::Ping(body));
        let topology = lone.cluster.topology();
        topology.nodes.iter().find(|n| n.id == id('3')).unwrap().labels.hostname.clone()
    };
    assert_eq!(say(&[Extension::Hostname("host".to_owned()), shard.clone()]), "host");
    assert_eq!(say(&[]), "host", "the first packet of a new link carries none");
    assert_eq!(say(&[shard]), "", "it has none any more");
}

#[test]
fn a_primary_that_slept_through_its_replacement_is_told() {
    let mut world = World::new(6);
    world.form(3);
    world.hang(0);
    world.until("the replica takes over", Duration::from_secs(20), |w| w.is_primary(3));
    world.run(Duration::from_secs(5));
    world.resume(0);
    world.until("it follows", Duration::from_secs(10), |w| !w.is_primary(0));
    world.until_served("everybody agrees");
}
