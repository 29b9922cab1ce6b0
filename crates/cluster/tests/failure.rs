//! Failure detection of cluster-bus 4, one rule at a time, on one machine with hand-made peers.

mod lone;

use baton_base::{NodeId, Slot};
use baton_cluster::{ClusterCommand, ClusterReply, Input, LinkId};
use baton_wire::{Body, Gossip, IpText, LightBody, Module, NodeFlags, PingBody, Publish};
use lone::{Lone, id, three};
use std::time::Duration;

fn about(lone: &Lone, node: NodeId, flags: NodeFlags) -> Body {
    let header = lone.header(node);
    let gossip = Gossip {
        id: node,
        ping_sent_s: 0,
        pong_received_s: 0,
        ip: IpText::new("127.0.0.1").unwrap(),
        port: header.port,
        port_other: 0,
        port_bus: header.port_bus,
        flags,
    };
    Body::Ping(PingBody { gossip: vec![gossip], ..PingBody::default() })
}

/// `from` tells that `node` is suspected, or fine.
fn report(lone: &mut Lone, from: NodeId, node: NodeId, flags: NodeFlags) {
    let (header, body) = (lone.header(from), about(lone, node, flags));
    lone.hear(from, header, body);
}

fn pong(lone: &mut Lone, from: NodeId) {
    let (header, link) = (lone.header(from), lone.outbound[&from]);
    lone.receive(link, header, Body::Pong(PingBody::default()));
}

/// Lets `silent` be silent for 1.8 node timeouts: suspected, and reports from before still count.
fn silence(lone: &mut Lone, silent: NodeId) {
    for _ in 0..18 {
        for peer in [id('2'), id('3'), id('4')].into_iter().filter(|p| *p != silent) {
            pong(lone, peer);
        }
        lone.pass(Duration::from_millis(100));
    }
}

fn flags_of(lone: &mut Lone, node: NodeId) -> String {
    let Ok(ClusterReply::Text(text)) = lone.command(ClusterCommand::Nodes(Default::default())) else { panic!() };
    let line = text.lines().find(|l| l.starts_with(node.as_str())).unwrap().to_owned();
    line.split(' ').nth(2).unwrap().to_owned()
}

fn reports(lone: &mut Lone, node: NodeId) -> Result<ClusterReply, String> {
    lone.command(ClusterCommand::CountFailureReports(node.to_string()))
}

#[test]
fn silence_is_suspicion_and_an_answer_clears_it() {
    let mut lone = Lone::settled(&three("master"));
    silence(&mut lone, id('3'));
    assert_eq!(flags_of(&mut lone, id('3')), "master,fail?");
    assert!(lone.logged("possibly failing."));
    // The silent link has been replaced meanwhile.
    let link = lone.outbound[&id('3')];
    lone.give(Input::LinkOpened { link, local_ip: "127.0.0.1".to_owned() });
    pong(&mut lone, id('3'));
    assert_eq!(flags_of(&mut lone, id('3')), "master");
}

#[test]
fn a_majority_of_voters_makes_it_a_failure() {
    let mut lone = Lone::settled(&three("master"));
    silence(&mut lone, id('3'));
    report(&mut lone, id('4'), id('3'), NodeFlags::PRIMARY | NodeFlags::PFAIL);
    assert_eq!(reports(&mut lone, id('3')), Ok(ClusterReply::Integer(0)), "a replica has no say");
    lone.effects.clear();
    report(&mut lone, id('2'), id('3'), NodeFlags::PRIMARY | NodeFlags::PFAIL);
    assert_eq!(flags_of(&mut lone, id('3')), "master,fail");
    assert!(lone.logged("as failing (quorum reached)."));
    let fails = lone.sent().into_iter().filter(|(_, m)| m.body == Body::Fail { id: id('3') }).count();
    assert_eq!(fails, 2, "everybody with an open link is told");
}

#[test]
fn reports_without_my_own_suspicion_are_only_counted() {
    let mut lone = Lone::settled(&three("master"));
    report(&mut lone, id('2'), id('3'), NodeFlags::PRIMARY | NodeFlags::FAIL);
    assert_eq!(flags_of(&mut lone, id('3')), "master");
    assert_eq!(reports(&mut lone, id('3')), Ok(ClusterReply::Integer(1)));
    report(&mut lone, id('2'), id('3'), NodeFlags::PRIMARY);
    assert_eq!(reports(&mut lone, id('3')), Ok(ClusterReply::Integer(0)), "taken back");
    report(&mut lone, id('2'), id('3'), NodeFlags::PRIMARY | NodeFlags::PFAIL);
    lone.pass(Duration::from_millis(3001));
    assert_eq!(reports(&mut lone, id('3')), Ok(ClusterReply::Integer(0)), "two node timeouts and a second are over");
}

#[test]
fn a_failure_message_is_obeyed_from_known_nodes_only() {
    let mut lone = Lone::settled(&three("master"));
    let stranger = lone.header(id('9'));
    lone.hear(id('9'), stranger, Body::Fail { id: id('3') });
    assert_eq!(flags_of(&mut lone, id('3')), "master");
    assert!(lone.logged("Ignoring FAIL message from unknown node"));
    let header = lone.header(id('2'));
    lone.hear(id('2'), header, Body::Fail { id: id('3') });
    assert_eq!(flags_of(&mut lone, id('3')), "master,fail");
    let own = lone.header(id('2'));
    lone.hear(id('2'), own, Body::Fail { id: id('1') });
    assert_eq!(flags_of(&mut lone, id('1')), "myself,master", "nobody tells me that I am dead");
}

#[test]
fn a_failed_voter_recovers_late_and_others_at_once() {
    let mut lone = Lone::settled(&three("master"));
    for node in ['3', '4'] {
        let header = lone.header(id('2'));
        lone.hear(id('2'), header, Body::Fail { id: id(node) });
    }
    pong(&mut lone, id('4'));
    assert_eq!(flags_of(&mut lone, id('4')), "slave");
    pong(&mut lone, id('3'));
    assert_eq!(flags_of(&mut lone, id('3')), "master,fail");
    lone.pass(Duration::from_millis(2001));
    pong(&mut lone, id('3'));
    assert_eq!(flags_of(&mut lone, id('3')), "master");
    assert!(lone.logged("is reachable again and nobody is serving its slots after some time."));
}

#[test]
fn a_light_packet_of_a_stranger_costs_it_its_link() {
    let mut lone = Lone::settled(&three("master"));
    let link = LinkId::inbound(99);
    let ip = "127.0.0.1".to_owned();
    lone.give(Input::LinkAccepted { link, peer_ip: ip.clone(), local_ip: ip });
    let publish = Publish { channel: b"c".to_vec(), message: b"m".to_vec(), sharded: false };
    let bytes = baton_wire::encode_light_publish(&publish);
    lone.effects.clear();
    lone.give(Input::Received { link, bytes: bytes.clone() });
    assert!(lone.effects.iter().any(|e| matches!(e, baton_cluster::Effect::Close { link: l } if *l == link)));
    let known = lone.outbound[&id('2')];
    lone.give(Input::Received { link: known, bytes: bytes.clone() });
    assert!(lone.effects.iter().any(|e| matches!(e, baton_cluster::Effect::DeliverPublish { .. })));
    assert!(matches!(baton_wire::decode(&bytes), Ok(baton_wire::Packet::Light(LightBody::Publish(_)))));
}

#[test]
fn a_claim_needs_a_newer_epoch() {
    let mut lone = Lone::settled(&three("master"));
    let owner = |lone: &Lone| lone.cluster.topology().owner(Slot::new(0).unwrap()).map(|n| n.id);
    let mut header = lone.header(id('2'));
    header.slots.insert(Slot::new(0).unwrap());
    header.config_epoch = baton_base::Epoch(1);
    lone.effects.clear();
    lone.hear(id('2'), header.clone(), Body::Ping(PingBody::default()));
    assert_eq!(owner(&lone), Some(id('1')), "an equal epoch does not win");
    header.config_epoch = baton_base::Epoch(9);
    lone.keys.insert(Slot::new(0).unwrap());
    lone.hear(id('2'), header, Body::Ping(PingBody::default()));
    assert_eq!(owner(&lone), Some(id('2')));
    assert_eq!(lone.cluster.current_epoch(), baton_base::Epoch(9));
    let deleted = lone.effects.iter().any(
        |e| matches!(e, baton_cluster::Effect::DeleteKeysInSlots(s) if s.len() == 1 && s.contains(Slot::new(0).unwrap())),
    );
    assert!(deleted, "keys of a lost slot go");
}

/// Against whom the voter before it voted, a voter that is new does not know. It answers who has a lease, since nobody was
/// elected against such a one, and who wants to begin one only when it had time to hear of what happened.
#[test]
fn a_voter_that_is_new_answers_nobody_who_has_no_lease() {
    let mut lone = Lone::connected(&three("master"));
    let link = lone.outbound[&id('2')];
    let is_answered = |lone: &mut Lone, kind: u8| {
        let mut payload = lone.now.as_micros().to_be_bytes().to_vec();
        payload.extend_from_slice(&400u32.to_be_bytes());
        let module = Module { module_id: *b"BTNlease", kind, payload };
        lone.effects.clear();
        lone.give(Input::Received { link, bytes: baton_wire::encode_light_module(&module) });
        let answers = |bytes: &[u8]| match baton_wire::decode(bytes) {
            Ok(baton_wire::Packet::Light(LightBody::Module(answer))) => answer.kind == 1,
            _ => false,
        };
        lone.effects.iter().any(|e| matches!(e, baton_cluster::Effect::Send { bytes, .. } if answers(bytes)))
    };
    let (again, anew) = (0, 2);
    assert!(is_answered(&mut lone, again));
    assert!(!is_answered(&mut lone, anew));
    lone.pass(Duration::from_millis(600));
    assert!(is_answered(&mut lone, anew));
}
