//! Genuine packets said again: single ones against the rule that has to hold, and whole runs against what must never
//! happen, whatever is heard twice, late or from somebody else.

mod lone;
mod world;

use baton_base::{Epoch, NodeId, Offset, Rng, Slot};
use baton_cluster::{ClusterCommand, Effect, FailoverMode, Input, LinkId};
use baton_wire::{Body, Header, Kind, LightBody, Module, MsgFlags, Packet, PingBody, PrivateBlob};
use lone::{Lone, id, three};
use std::collections::BTreeSet;
use std::time::Duration;
use world::World;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Abilities of a node of this kind, by their bits on the wire.
const LEASE: u8 = 1;
const BEHIND: u8 = 1 << 4;

/// Light messages of modules that were sent, with their link.
fn modules(lone: &Lone) -> Vec<(LinkId, Module)> {
    let one = |e: &Effect| match e {
        Effect::Send { link, bytes } => match baton_wire::decode(bytes) {
            Ok(Packet::Light(LightBody::Module(module))) => Some((*link, module)),
            _ => None,
        },
        _ => None,
    };
    lone.effects.iter().filter_map(one).collect()
}

/// Until when the data plane was told last that it may acknowledge.
fn leased(lone: &Lone) -> Option<baton_base::Mono> {
    lone.effects.iter().rev().find_map(|e| if let Effect::Lease { until } = e { Some(*until) } else { None })
}

/// Me as a primary whose voters keep promises, and what I asked `2` at this moment.
fn asking() -> (Lone, Module) {
    let mut lone = Lone::settled(&three("master"));
    for peer in ['2', '3'].map(id) {
        let (mut header, link) = (lone.header(peer), lone.outbound[&peer]);
        header.private = PrivateBlob::new(&[LEASE]).ok();
        lone.receive(link, header, Body::Pong(PingBody::default()));
    }
    lone.effects.clear();
    lone.pass(ms(100));
    let to_2 = lone.outbound[&id('2')];
    let asked = modules(&lone).into_iter().rev().find(|(link, _)| *link == to_2).expect("it asks").1;
    lone.effects.clear();
    (lone, asked)
}

fn answer(lone: &mut Lone, link: LinkId, asked: &Module) {
    let answer = Module { kind: 1, ..asked.clone() };
    lone.give(Input::Received { link, bytes: baton_wire::encode_light_module(&answer) });
}

#[test]
fn an_answer_extends_a_lease_once() {
    let (mut lone, asked) = asking();
    let (link, at) = (lone.outbound[&id('2')], lone.now);
    answer(&mut lone, link, &asked);
    let until = leased(&lone).expect("it counts");
    assert!(until > at && until.since(at) <= ms(500));
    for _ in 0..20 {
        lone.pass(ms(50));
        lone.effects.clear();
        answer(&mut lone, link, &asked);
        assert_eq!(leased(&lone), None, "the same answer says nothing new");
    }
    assert!(lone.now > until);
    let text = format!("{:?}", lone.command(ClusterCommand::Info));
    assert!(text.contains("cluster_write_lease:lost"), "{text}");
}

#[test]
fn an_answer_counts_on_the_link_of_the_question_only() {
    let (mut lone, asked) = asking();
    let header = lone.header(id('2'));
    lone.hear(id('2'), header, Body::Ping(PingBody::default()));
    lone.effects.clear();
    // Whoever connects and says that it is `2` would be believed to be it on that connection.
    let theirs = LinkId::inbound(0);
    answer(&mut lone, theirs, &asked);
    assert_eq!(leased(&lone), None);
    let mine = lone.outbound[&id('2')];
    answer(&mut lone, mine, &asked);
    assert!(leased(&lone).is_some());
}

#[test]
fn an_answer_to_no_question_counts_for_nothing() {
    let (mut lone, asked) = asking();
    let link = lone.outbound[&id('2')];
    for stamp in [lone.now.as_micros(), lone.now.as_micros() + 1, 0, u64::MAX] {
        let mut made_up = asked.clone();
        made_up.payload[..8].copy_from_slice(&stamp.to_be_bytes());
        answer(&mut lone, link, &made_up);
    }
    // A process before this one asked at the same age.
    let before = Lone::settled(&three("master").replace("vars currentEpoch 3", "vars currentEpoch 4"));
    let of_another =
        Module { payload: [before.now.as_micros().to_be_bytes().to_vec(), vec![0, 0, 1, 0]].concat(), ..asked };
    answer(&mut lone, link, &of_another);
    assert_eq!(leased(&lone), None);
}

fn failing() -> Lone {
    Lone::settled(&three("master,fail"))
}

#[test]
fn a_request_said_again_gets_no_second_vote() {
    let mut lone = failing();
    let request = lone.request();
    let votes = |lone: &Lone| lone.sent().iter().filter(|(_, m)| m.body == Body::AuthAck).count();
    for _ in 0..5 {
        lone.hear(id('4'), request.clone(), Body::AuthRequest);
        lone.pass(ms(300));
    }
    assert_eq!(votes(&lone), 1);
    let mut newer = request;
    newer.current_epoch = newer.current_epoch.next();
    lone.hear(id('4'), newer, Body::AuthRequest);
    lone.pass(secs(3));
    assert_eq!(votes(&lone), 2, "another epoch is another election");
}

/// Me as the replica `4` of the failed `3`, asking `1` and `2`, who are both needed.
fn candidate() -> (Lone, Epoch) {
    let text = three("master,fail")
        .replace("myself,master", "master")
        .replace("slave", "myself,slave")
        .replace("127.0.0.1:7004", ":7001");
    let lone = Lone::connected(&text);
    let epoch = lone.cluster.current_epoch();
    assert!(epoch > Epoch(3) && !lone.cluster.is_primary(), "an election has been started");
    (lone, epoch)
}

fn vote(lone: &mut Lone, from: NodeId, epoch: Epoch, private: &[u8]) {
    let mut header = lone.header(from);
    header.current_epoch = epoch;
    header.private = PrivateBlob::new(private).ok().filter(|_| !private.is_empty());
    lone.hear(from, header, Body::AuthAck);
}

#[test]
fn votes_count_for_whom_they_were_cast() {
    let (mut lone, epoch) = candidate();
    vote(&mut lone, id('1'), epoch, &[]);
    for _ in 0..3 {
        vote(&mut lone, id('1'), epoch, &[]);
        vote(&mut lone, id('2'), Epoch(epoch.0 - 1), &[]);
        vote(&mut lone, id('2'), epoch, &[LEASE]);
    }
    assert!(lone.cluster.is_primary(), "a vote without a name is for whoever gets it");

    let (mut lone, epoch) = candidate();
    vote(&mut lone, id('1'), epoch, &[]);
    let named = |candidate: &str| [vec![LEASE], vec![0; 8], candidate.repeat(16).into_bytes()].concat();
    vote(&mut lone, id('2'), epoch, &named("9"));
    vote(&mut lone, id('2'), Epoch(epoch.0 - 1), &named("4"));
    assert!(!lone.cluster.is_primary(), "another's, and one of before");
    vote(&mut lone, id('2'), epoch, &named("4"));
    assert!(lone.cluster.is_primary());
}

/// A vote in a later epoch than I asked in was asked for by somebody else.
#[test]
fn a_vote_of_a_later_epoch_is_not_for_me() {
    let (mut lone, epoch) = candidate();
    vote(&mut lone, id('1'), epoch.next(), &[]);
    vote(&mut lone, id('2'), epoch.next(), &[]);
    assert!(!lone.cluster.is_primary());
}

#[test]
fn a_vote_that_leaves_names_its_candidate() {
    let mut lone = failing();
    let request = lone.request();
    lone.hear(id('4'), request, Body::AuthRequest);
    let (_, vote) = lone.sent().into_iter().find(|(_, m)| m.body == Body::AuthAck).expect("it votes");
    assert_eq!(&vote.header.private.unwrap().as_bytes()[9..], "4".repeat(16).as_bytes());
}

#[test]
fn that_my_primary_has_less_is_believed_on_my_own_link_only() {
    let text = three("master").replace("myself,master", "master").replace("slave", "myself,slave");
    let mut lone = Lone::connected(&text.replace("127.0.0.1:7004", ":7001"));
    lone.offset = 1000;
    lone.pass(ms(100));
    let mut header = lone.header(id('3'));
    header.offset = Offset(5);
    header.private = PrivateBlob::new(&[LEASE | BEHIND]).ok();
    let asks = |lone: &Lone, kind: Kind| lone.sent().iter().filter(|(_, m)| m.kind() == kind).count();
    let link = lone.outbound[&id('3')];
    let honest = lone.header(id('3'));
    lone.receive(link, honest, Body::Pong(PingBody::default()));
    lone.effects.clear();
    for _ in 0..3 {
        lone.hear(id('3'), header.clone(), Body::Ping(PingBody::default()));
    }
    assert_eq!(asks(&lone, Kind::AuthRequest), 0);
    let pings = lone.sent().into_iter().filter(|(to, m)| *to == link && m.kind() == Kind::Ping).count();
    assert_eq!(pings, 1, "it is asked itself");
    lone.receive(link, header, Body::Pong(PingBody::default()));
    assert!(asks(&lone, Kind::AuthRequest) > 0);
}

#[test]
fn a_request_for_a_manual_failover_said_again_holds_writes_for_its_time_only() {
    let mut lone = Lone::settled(&three("master").replace(id('3').as_str(), id('5').as_str()));
    let text = three("master").replace(&format!("slave {}", id('3')), &format!("slave {}", id('1')));
    let mut mine = Lone::settled(&text);
    for lone in [&mut lone, &mut mine] {
        lone.effects.clear();
        let header = lone.header(id('4'));
        lone.hear(id('4'), header, Body::MfStart);
    }
    let pauses = |lone: &Lone| lone.effects.iter().filter(|e| matches!(e, Effect::PauseWrites { .. })).count();
    assert_eq!((pauses(&lone), pauses(&mine)), (0, 1), "only my own replica may ask");
    mine.give(Input::WritesPaused { offset: Offset(10) });
    mine.pass(ms(5100));
    assert!(mine.effects.iter().any(|e| matches!(e, Effect::ResumeWrites)));
    assert!(!mine.cluster.is_in_manual_failover());
}

/// The first question of a lease is due after the turn in which it begins: were it due in it, the machine would want to be
/// woken at once again and again.
#[test]
fn the_first_question_of_a_lease_is_due_after_its_turn() {
    let (mut lone, epoch) = candidate();
    vote(&mut lone, id('1'), epoch, &[]);
    vote(&mut lone, id('2'), epoch, &[]);
    assert!(lone.cluster.is_primary());
    for _ in 0..50 {
        let wake = lone.cluster.next_wake();
        assert!(wake > lone.now, "{wake:?} is not after {:?}", lone.now);
        lone.now = wake;
        lone.give(Input::Tick);
    }
}

/// Three shards of two, through a crash, a handover and a return; everything that was said meanwhile.
fn recorded() -> World {
    let mut world = World::with(6, |settings| settings.node_timeout_ms = 2000);
    world.records = true;
    world.form(3);
    (0..6).for_each(|index| world.peers[index].offset = 1000);
    world.run(secs(5));
    world.kill(0);
    world.until("the replica takes over", secs(20), |w| w.is_primary(3));
    world.run(secs(3));
    world.restart(0);
    world.until("the old primary follows", secs(20), |w| !w.is_primary(0) && w.served());
    world.run(secs(5));
    world.failover(0, FailoverMode::Default);
    world.until("it is primary again", secs(20), |w| w.is_primary(0));
    world.run(secs(5));
    world.failover(4, FailoverMode::Default);
    world.until("the second shard handed over", secs(20), |w| w.is_primary(4));
    world.run(secs(10));
    world.records = false;
    world
}

/// Epochs of one node: none of them may go back.
fn epochs(world: &World) -> Vec<(Epoch, Epoch)> {
    world.peers.iter().map(|p| (p.cluster.current_epoch(), p.cluster.last_vote_epoch())).collect()
}

fn owners(world: &World) -> Vec<Option<usize>> {
    (0..6).flat_map(|viewer| [0, 6000, 12_000].map(|slot| world.owner_of(viewer, slot))).collect()
}

fn check(world: &World, before: &mut Vec<(Epoch, Epoch)>) {
    for slot in [0, 6000, 12_000] {
        let writers = world.writers(Slot::new(slot).unwrap());
        assert!(writers.len() <= 1, "{writers:?} write to {slot}");
    }
    let now = epochs(world);
    for (old, new) in before.iter().zip(&now) {
        assert!(new.0 >= old.0 && new.1 >= old.1, "epochs go back: {old:?} {new:?}");
    }
    *before = now;
}

/// What says nothing that an election could follow from must leave all roles and slots as they are.
#[test]
fn old_claims_move_nothing() {
    let mut world = recorded();
    let (owners_before, epochs_before) = (owners(&world), epochs(&world));
    let quiet = [Kind::Ping, Kind::Pong, Kind::Meet, Kind::Update, Kind::AuthAck, Kind::AuthRequest, Kind::Module];
    let mut said: Vec<_> = std::mem::take(&mut world.sent);
    let kinds: BTreeSet<Kind> = said.iter().map(|(_, _, bytes)| Kind::of_packet(bytes)).collect();
    assert!([Kind::Ping, Kind::Pong, Kind::Meet, Kind::AuthAck, Kind::AuthRequest].iter().all(|k| kinds.contains(k)));
    said.retain(|(_, _, bytes)| quiet.contains(&Kind::of_packet(bytes)));
    // Those that were around a change of roles, and a share of the rest.
    let mut rng = Rng::new(5);
    let rare = |bytes: &[u8]| matches!(Kind::of_packet(bytes), Kind::Update | Kind::AuthAck | Kind::AuthRequest);
    let claims = |bytes: &[u8]| bytes.len() >= 2256 && bytes[24..32] != [0; 8];
    said.retain(|(_, _, bytes)| rare(bytes) || (claims(bytes) && rng.chance(1, 4)) || rng.chance(1, 20));
    let mut before = epochs(&world);
    for (n, (from, to, bytes)) in said.into_iter().enumerate() {
        world.replay(from, to, bytes, n % 2 == 0);
        assert_eq!(owners(&world), owners_before, "after packet {n}");
        check(&world, &mut before);
        if n % 50 == 0 {
            world.run(ms(20));
        }
    }
    world.run(secs(5));
    assert!(world.served());
    assert_eq!((owners(&world), epochs(&world)), (owners_before, epochs_before), "and nobody was elected");
}

/// With what announces failures, too, elections may follow; there are never two writers, no epoch goes back, and the cluster
/// is whole when it is over.
#[test]
fn whole_runs_said_again_make_no_second_writer() {
    for seed in 0..4 {
        let mut world = recorded();
        let mut rng = Rng::new(seed);
        let mut said = std::mem::take(&mut world.sent);
        let often = |bytes: &[u8]| matches!(Kind::of_packet(bytes), Kind::Fail | Kind::MfStart | Kind::AuthRequest);
        said.retain(|(_, _, bytes)| often(bytes) || rng.chance(1, 8));
        if seed % 2 == 1 {
            said.sort_by_cached_key(|_| rng.next_u64());
        }
        let mut before = epochs(&world);
        for (from, to, bytes) in said {
            world.replay(from, to, bytes, rng.chance(1, 2));
            check(&world, &mut before);
            if rng.chance(1, 20) {
                let end = world.now + ms(rng.below(30));
                while world.step_within(end.since(world.now)) {
                    check(&world, &mut before);
                }
            }
        }
        world.run(secs(20));
        world.until_served("after everything was said twice");
        check(&world, &mut before);
    }
}

/// A failure that is over, announced again: its shard may hand over or not, and is whole soon.
#[test]
fn a_failure_announced_again_is_no_lasting_one() {
    let mut world = recorded();
    let said = std::mem::take(&mut world.sent);
    let failures: Vec<_> = said.into_iter().filter(|(_, _, bytes)| Kind::of_packet(bytes) == Kind::Fail).collect();
    assert!(!failures.is_empty());
    let mut before = epochs(&world);
    for (from, to, bytes) in failures {
        world.replay(from, to, bytes, true);
        for _ in 0..100 {
            world.step_within(ms(5));
            check(&world, &mut before);
        }
    }
    world.run(secs(10));
    world.until_served("after the failures were said again");
}

/// Somebody speaks in my own name.
#[test]
fn a_packet_of_my_own_name_is_answered_and_nothing_else() {
    let mut lone = Lone::settled(&three("master"));
    let link = LinkId::inbound(500);
    let ip = "127.0.0.1".to_owned();
    lone.give(Input::LinkAccepted { link, peer_ip: ip.clone(), local_ip: ip });
    let mut header = Header::new(id('1'));
    header.current_epoch = Epoch(70);
    header.mflags = MsgFlags::all();
    lone.effects.clear();
    lone.receive(link, header.clone(), Body::Fail { id: id('2') });
    lone.receive(link, header.clone(), Body::AuthAck);
    assert!(lone.sent().is_empty());
    lone.receive(link, header, Body::Ping(PingBody::default()));
    assert_eq!(lone.sent().len(), 1);
    assert_eq!(lone.cluster.current_epoch(), Epoch(3));
}
