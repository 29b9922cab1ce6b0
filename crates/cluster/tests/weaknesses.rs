//! Weaknesses of upstream's protocol that show at one node (cluster-bus 15.3): what it leads to there, and what must come of
//! it here. Those that take a whole cluster to show are in the simulator's tests; `docs/simulator.md` lists them all.

mod lone;
mod world;

use baton_base::{Epoch, NodeId, ShardId};
use baton_cluster::{Effect, Input};
use baton_wire::{Body, Extension, Gossip, Header, MsgFlags, NodeFlags, Packet, PingBody, PrivateBlob};
use lone::{Lone, id, slots, three};
use std::time::Duration;
use world::World;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Keeps to leases, by its bit on the wire.
const LEASE: u8 = 1;

/// The nodes of `three`, with me as the replica `4`, and `5` as my sibling if there is to be one.
fn replica(with_sibling: bool) -> String {
    let mut text = three("master")
        .replace("myself,master", "master")
        .replace("slave", "myself,slave")
        .replace("127.0.0.1:7004", ":7001");
    if with_sibling {
        let line = format!(
            "{} 127.0.0.1:7005@17005,,tls-port=0,shard-id={} slave {} 0 0 3 connected\nvars",
            id('5'),
            id('3'),
            id('3')
        );
        text = text.replace("vars", &line);
    }
    text
}

/// These peers answer whatever was asked, so that nobody suspects them.
fn answers(lone: &mut Lone, peers: &[char]) {
    for peer in peers.iter().copied().map(id) {
        let (link, header) = (lone.outbound[&peer], lone.header(peer));
        lone.receive(link, header, Body::Pong(PingBody::default()));
    }
}

fn fail(lone: &mut Lone, by: NodeId, failed: NodeId) {
    let header = lone.header(by);
    lone.hear(by, header, Body::Fail { id: failed });
}

/// Requests for votes that left since the effects were cleared, to one voter.
fn requests(lone: &Lone) -> Vec<Header> {
    let to_1 = lone.outbound[&id('1')];
    let asked = lone.sent().into_iter().filter(|(link, m)| *link == to_1 && m.body == Body::AuthRequest);
    asked.map(|(_, m)| m.header).collect()
}

/// S3. Upstream: a replica that once said that its primary failed says so for ever. Whoever believes it takes it for one that
/// knows of the next failure, does not wait for its offset, and both stand at once. Here that counts only if it is said again.
#[test]
fn the_mark_of_an_earlier_failure_says_nothing_about_this_one() {
    let mut lone = Lone::connected(&replica(true));
    let mark = |lone: &mut Lone| {
        let mut header = lone.header(id('5'));
        header.flags |= NodeFlags::MY_PRIMARY_FAIL;
        lone.hear(id('5'), header, Body::Ping(PingBody::default()));
    };
    for _ in 0..22 {
        answers(&mut lone, &['1', '2', '3']);
        mark(&mut lone);
        lone.pass(ms(100));
    }
    lone.effects.clear();
    fail(&mut lone, id('1'), id('3'));
    assert!(lone.logged("Start of election delayed for "));
    assert_eq!(requests(&lone).len(), 0, "the sibling may have more");
    mark(&mut lone);
    assert_eq!(requests(&lone).len(), 1, "now it has said so after the failure, with its offset");
}

/// S3, the other side: what this node says of its primary ends with the failure.
#[test]
fn the_mark_of_a_failure_ends_with_it() {
    let mut world = World::with(6, |settings| settings.replica_no_failover = true);
    world.form(3);
    let said = |world: &mut World| {
        world.sent.clear();
        world.records = true;
        world.run(secs(2));
        world.records = false;
        let of_3 = world.sent.iter().filter(|(from, ..)| *from == 3);
        let heads = of_3.filter_map(|(.., bytes)| match baton_wire::decode(bytes) {
            Ok(Packet::Full(message)) => Some(message.header.flags.contains(NodeFlags::MY_PRIMARY_FAIL)),
            _ => None,
        });
        heads.collect::<Vec<bool>>()
    };
    world.kill(0);
    world.run(secs(3));
    assert!(said(&mut world).contains(&true));
    world.restart(0);
    world.run(secs(20));
    assert!(!said(&mut world).contains(&true));
}

/// S7. Upstream: the best replica asks with FORCEACK, and voters don't look then whether the primary failed: one wrong word
/// about it, which any node may say, is enough. Here voters that keep promises are asked without, and judge for themselves.
#[test]
fn the_best_replica_does_not_overrule_voters_that_keep_promises() {
    for (private, forces) in [(Some(LEASE), false), (None, true)] {
        let mut lone = Lone::settled(&replica(false));
        for peer in ['1', '2', '3'].map(id) {
            let mut header = lone.header(peer);
            header.private = private.and_then(|bits| PrivateBlob::new(&[bits]).ok());
            lone.hear(peer, header, Body::Ping(PingBody::default()));
        }
        lone.effects.clear();
        let mut header = lone.header(id('1'));
        header.private = private.and_then(|bits| PrivateBlob::new(&[bits]).ok());
        lone.hear(id('1'), header, Body::Fail { id: id('3') });
        let asked = requests(&lone);
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].mflags.contains(MsgFlags::FORCEACK), forces);
    }
}

/// S7. Here before: who had just been started again took voters that it had not heard yet for upstream's, and with them a
/// primary's failure that was long over for granted. Two primaries acknowledged writes.
#[test]
fn voters_that_were_not_heard_yet_are_not_overruled() {
    let failed = replica(false).replace("master - 0 0 3", "master,fail - 0 0 3");
    let mut lone = Lone::start(&failed);
    lone.give(Input::Tick);
    for link in lone.outbound.values().copied().collect::<Vec<_>>() {
        lone.give(Input::LinkOpened { link, local_ip: "127.0.0.1".to_owned() });
    }
    lone.pass(ms(100));
    let asked = requests(&lone);
    assert!(!asked.is_empty(), "it stands");
    assert!(asked.iter().all(|header| !header.mflags.contains(MsgFlags::FORCEACK)));
}

fn told_of(lone: &mut Lone, by: NodeId, stranger: NodeId) {
    let entry = Gossip {
        id: stranger,
        ping_sent_s: 0,
        pong_received_s: 0,
        ip: baton_wire::IpText::new("127.0.0.1").unwrap(),
        port: 7009,
        port_bus: 17009,
        flags: NodeFlags::PRIMARY,
        port_other: 0,
    };
    let header = lone.header(by);
    lone.hear(by, header, Body::Ping(PingBody { gossip: vec![entry], ..PingBody::default() }));
}

/// S9. Upstream: a candidate counts the voters that it knows. One that has just joined knows some, and their majority is not
/// everybody's. Here it waits for those that it was told of, for a moment. (That a vote counts once is in `vote`.)
#[test]
fn who_has_just_joined_hears_the_other_primaries_before_it_stands() {
    for heard in [true, false] {
        let mut lone = Lone::connected(&replica(false));
        told_of(&mut lone, id('2'), id('9'));
        lone.effects.clear();
        fail(&mut lone, id('1'), id('3'));
        assert_eq!(requests(&lone).len(), 0, "the voters may be more");
        if heard {
            let mut header = lone.header(id('9'));
            (header.config_epoch, header.current_epoch) = (Epoch(1), Epoch(3));
            lone.hear(id('9'), header, Body::Ping(PingBody::default()));
            lone.pass(ms(100));
        } else {
            for _ in 0..25 {
                answers(&mut lone, &['1', '2']);
                lone.pass(ms(100));
            }
        }
        assert!(!requests(&lone).is_empty(), "and it waits no longer than it has to");
    }
}

/// S12. Upstream: the shard of a node that was told of is drawn by lot until it says it. A primary that hears the claim of its
/// successor before that takes it for another shard's, throws its data away, or stays behind without slots. Here the claim
/// counts once the shard is known.
#[test]
fn a_successor_that_was_never_met_is_of_this_shard() {
    for together in [true, false] {
        let mut lone = Lone::settled(&three("master"));
        told_of(&mut lone, id('2'), id('9'));
        let mut claim = lone.header(id('9'));
        (claim.config_epoch, claim.current_epoch, claim.slots) = (Epoch(9), Epoch(9), slots(0, 5460));
        claim.mflags = MsgFlags::EXT_DATA;
        let shard = Extension::ShardId(ShardId::parse(id('1').as_str().as_bytes()).unwrap());
        lone.effects.clear();
        if !together {
            // Who does not know yet whether it is understood leaves it out.
            lone.hear(id('9'), claim.clone(), Body::Ping(PingBody::default()));
            assert!(lone.cluster.is_primary(), "what it becomes depends on the shard");
        }
        lone.hear(id('9'), claim, Body::Ping(PingBody { extensions: vec![shard], ..PingBody::default() }));
        let followed = lone.effects.iter().find_map(|e| match e {
            Effect::BecomeReplicaOf { primary, full_sync, .. } => Some((*primary, *full_sync)),
            _ => None,
        });
        assert_eq!(followed, Some((id('9'), false)), "its data is worth something");
    }
}

/// S15. Upstream: a server that loads its data does nothing else, and neither votes nor judges. Here the machine hears and
/// answers all the while.
#[test]
fn who_loads_its_data_answers_votes_and_judges() {
    let mut lone = Lone::settled(&three("master"));
    lone.loading = true;
    lone.effects.clear();
    let header = lone.header(id('2'));
    lone.hear(id('2'), header, Body::Ping(PingBody::default()));
    assert!(lone.sent().iter().any(|(_, m)| matches!(m.body, Body::Pong(_))));
    fail(&mut lone, id('2'), id('3'));
    let request = lone.request();
    lone.hear(id('4'), request, Body::AuthRequest);
    assert!(lone.logged("Failover auth granted to"));
    lone.give(Input::Tick);
}
