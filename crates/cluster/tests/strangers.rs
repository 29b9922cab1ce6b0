//! What somebody who is no known node can make the machine do, and what floods of names, handshakes and packets cost: as
//! much as cluster-bus 1.7, 1.8 and 2.2 let them, and no more than the bounds stated here.

mod lone;

use baton_base::{Epoch, NodeId, Offset, Slot};
use baton_cluster::{ClusterCommand, ClusterReply, Effect, Input, LinkId};
use baton_wire::{
    Body, Extension, Gossip, Header, IpText, Kind, LightBody, Module, MsgFlags, NodeFlags, PingBody, PrivateBlob,
    Publish, Update,
};
use lone::{Lone, id, slots, three};
use std::time::Duration;

/// Everything about itself that could impress somebody.
fn boastful(sender: NodeId) -> Header {
    let mut header = Header::new(sender);
    header.current_epoch = Epoch(1 << 40);
    header.config_epoch = Epoch(1 << 40);
    header.offset = Offset(u64::MAX);
    header.slots = Slot::all().collect();
    header.flags = NodeFlags::all();
    header.mflags = MsgFlags::all();
    header.ip = IpText::new("127.0.0.1").unwrap();
    header.port = 7009;
    header.port_bus = 17009;
    header.private = PrivateBlob::new(&[0xff; 25]).ok();
    header
}

fn gossip(node: NodeId, flags: NodeFlags, port_bus: u16) -> Gossip {
    Gossip {
        id: node,
        ping_sent_s: 0,
        pong_received_s: u32::MAX,
        ip: IpText::new("127.0.0.1").unwrap(),
        port: 7000,
        port_other: 0,
        port_bus,
        flags,
    }
}

/// A name that nobody has.
fn name(n: usize) -> NodeId {
    NodeId::parse(format!("{n:0>40}").as_bytes()).unwrap()
}

/// Everything that a packet could change, as text.
fn state(lone: &mut Lone) -> String {
    let Ok(ClusterReply::Text(nodes)) = lone.command(ClusterCommand::Nodes(Default::default())) else { panic!() };
    let c = &lone.cluster;
    let numbers = (c.current_epoch(), c.last_vote_epoch(), c.config_epoch(), c.topology().version, c.link_count());
    format!("{nodes}{numbers:?}{:?}{}", c.voted_for(), c.is_in_manual_failover())
}

/// A connection that nothing was said on.
fn connection(lone: &mut Lone, n: u64) -> LinkId {
    let (link, ip) = (LinkId::inbound(1000 + n), "127.0.0.1".to_owned());
    lone.give(Input::LinkAccepted { link, peer_ip: ip.clone(), local_ip: ip });
    link
}

fn bodies() -> Vec<Body> {
    let about_known = vec![
        gossip(id('2'), NodeFlags::PRIMARY | NodeFlags::FAIL, 17002),
        gossip(id('3'), NodeFlags::PRIMARY, 9999),
        gossip(name(1), NodeFlags::PRIMARY, 9999),
    ];
    let extensions = vec![
        Extension::ForgottenNode { id: id('2'), ttl_s: u64::MAX },
        Extension::ShardId(baton_base::ShardId::parse(id('1').as_bytes()).unwrap()),
    ];
    let ping = PingBody { gossip: about_known, gossip_malformed: 0, extensions };
    let publish = |sharded| Publish { channel: b"c".to_vec(), message: b"m".to_vec(), sharded };
    let module = Module { module_id: *b"BTNlease", kind: 0, payload: vec![0; 12] };
    vec![
        Body::Ping(ping.clone()),
        Body::Pong(ping),
        Body::Fail { id: id('2') },
        Body::Publish(publish(false)),
        Body::Publish(publish(true)),
        Body::AuthRequest,
        Body::AuthAck,
        Body::Update(Update { config_epoch: Epoch(99), id: id('2'), slots: slots(0, 16383) }),
        Body::MfStart,
        Body::Module(module),
        Body::Unknown(300),
    ]
}

/// What is said and done because of a packet, logging aside.
fn deeds(lone: &Lone) -> Vec<String> {
    let kind = |bytes: &[u8]| format!("send {}", Kind::of_packet(bytes).token());
    let deed = |e: &Effect| match e {
        Effect::Log { .. } => None,
        Effect::Send { bytes, .. } => Some(kind(bytes)),
        other => Some(format!("{other:?}")),
    };
    lone.effects.iter().filter_map(deed).collect()
}

#[test]
fn a_stranger_is_answered_and_changes_nothing() {
    for replica_of in [None, Some(id('1')), Some(id('3'))] {
        let mut lone = Lone::settled(&three("master,fail"));
        for (n, body) in bodies().into_iter().enumerate() {
            let link = connection(&mut lone, n as u64);
            let before = state(&mut lone);
            lone.effects.clear();
            let mut header = boastful(name(7));
            header.replica_of = replica_of;
            let answers: &[&str] = if matches!(body, Body::Ping(_)) { &["send pong"] } else { &[] };
            let kind = body.kind();
            lone.receive(link, header, body);
            assert_eq!(deeds(&lone), answers, "{kind:?}");
            assert_eq!(state(&mut lone), before, "{kind:?}");
        }
    }
}

#[test]
fn a_light_packet_of_a_stranger_ends_its_link() {
    let mut lone = Lone::settled(&three("master"));
    let publish = Publish { channel: b"c".to_vec(), message: b"m".to_vec(), sharded: false };
    let module = Module { module_id: *b"BTNlease", kind: 1, payload: vec![0; 12] };
    let packets = [baton_wire::encode_light_publish(&publish), baton_wire::encode_light_module(&module)];
    for (n, bytes) in packets.into_iter().enumerate() {
        let before = state(&mut lone);
        let link = connection(&mut lone, n as u64);
        lone.effects.clear();
        lone.give(Input::Received { link, bytes });
        assert!(matches!(lone.effects[..], [Effect::Close { link: closed }] if closed == link));
        assert_eq!(state(&mut lone), before);
    }
    assert!(matches!(
        baton_wire::decode(&baton_wire::encode_light_publish(&publish)),
        Ok(baton_wire::Packet::Light(LightBody::Publish(_)))
    ));
}

/// A known node by name, but on a link that a peer opened to be somebody else: the link ends.
#[test]
fn a_link_speaks_for_one_node_only() {
    let mut lone = Lone::settled(&three("master"));
    let header = lone.header(id('2'));
    lone.hear(id('2'), header, Body::Ping(PingBody::default()));
    lone.effects.clear();
    let mut header = lone.header(id('3'));
    header.current_epoch = Epoch(50);
    let before = lone.cluster.current_epoch();
    lone.hear(id('2'), header, Body::Fail { id: id('2') });
    assert!(matches!(lone.effects[..], [Effect::Close { .. }]), "{:?}", lone.effects);
    assert_eq!(lone.cluster.current_epoch(), before);
}

#[test]
fn a_meeting_makes_the_stranger_known_and_nothing_else_believed() {
    let mut lone = Lone::settled(&three("master,fail"));
    let before = state(&mut lone);
    let link = connection(&mut lone, 0);
    lone.effects.clear();
    let about = vec![
        gossip(id('2'), NodeFlags::PRIMARY | NodeFlags::FAIL, 17002),
        gossip(id('3'), NodeFlags::PRIMARY, 9999),
        gossip(id('4'), NodeFlags::REPLICA, 17004),
        gossip(id('1'), NodeFlags::PRIMARY | NodeFlags::FAIL, 17001),
    ];
    let body = Body::Meet(PingBody { gossip: about, ..PingBody::default() });
    lone.receive(link, boastful(name(7)), body);
    assert_eq!(deeds(&lone), ["send pong"]);
    let after = state(&mut lone);
    let known = |text: &str| -> Vec<String> {
        text.lines().filter(|l| !l.contains("handshake") && l.contains('@')).map(str::to_owned).collect()
    };
    assert_eq!(known(&after), known(&before));
    assert_eq!(after.matches("handshake").count(), 1);
    // Until it is called back, what it says on that link is a stranger's word.
    for body in bodies() {
        lone.receive(link, boastful(name(7)), body);
    }
    assert_eq!(known(&state(&mut lone)), known(&before));
}

#[test]
fn strangers_that_want_to_be_met_are_met_a_thousand_at_a_time() {
    let mut lone = Lone::settled(&three("master"));
    for n in 0..3000u16 {
        let link = connection(&mut lone, u64::from(n));
        let mut header = boastful(name(usize::from(n)));
        header.port_bus = 20_000 + n;
        lone.receive(link, header, Body::Meet(PingBody::default()));
        lone.effects.clear();
    }
    let handshakes = |lone: &mut Lone| state(lone).matches("handshake").count();
    assert_eq!(handshakes(&mut lone), 1024);
    // Who is asked for by an operator is not kept out by them.
    let meet = ClusterCommand::Meet { ip: "127.0.0.1".to_owned(), port: 6000, bus_port: 16_000 };
    assert_eq!(lone.command(meet), Ok(ClusterReply::Ok));
    assert_eq!(handshakes(&mut lone), 1025);
    // Nobody answers at these addresses.
    lone.pass(Duration::from_millis(1100));
    assert_eq!(handshakes(&mut lone), 0);
}

#[test]
fn names_that_nobody_answers_to_are_learned_a_thousand_at_a_time_and_not_passed_on() {
    for known in [false, true] {
        let mut lone = Lone::settled(&three("master"));
        let link = connection(&mut lone, 0);
        for part in 0..5 {
            let names = (0..1000).map(|n| gossip(name(1 + part * 1000 + n), NodeFlags::PRIMARY, 9999)).collect();
            let body = PingBody { gossip: names, ..PingBody::default() };
            if known {
                let header = lone.header(id('2'));
                lone.hear(id('2'), header, Body::Ping(body));
            } else {
                lone.receive(link, boastful(id('9')), Body::Meet(body));
            }
        }
        let rumours = |lone: &mut Lone| state(lone).lines().filter(|l| l.starts_with("00000")).count();
        assert_eq!(rumours(&mut lone), 1024);
        assert!(lone.logged("Not learning 976 nodes from gossip"));
        // Silent for long, they would all be suspects, which go into every ping.
        for _ in 0..5 {
            lone.effects.clear();
            lone.pass(Duration::from_millis(600));
            let told = lone.sent().into_iter().filter_map(|(_, m)| match m.body {
                Body::Ping(body) | Body::Pong(body) => Some(body.gossip),
                _ => None,
            });
            assert!(told.flatten().all(|entry| !entry.id.as_str().starts_with("00000")));
        }
        assert_eq!(rumours(&mut lone), 0, "they make room for those that live");
        let body = PingBody { gossip: vec![gossip(name(77), NodeFlags::PRIMARY, 9999)], ..PingBody::default() };
        let header = lone.header(id('2'));
        lone.hear(id('2'), header, Body::Ping(body));
        assert_eq!(rumours(&mut lone), 1);
    }
}

#[test]
fn names_to_forget_are_kept_up_to_a_thousand_and_not_longer_than_an_hour() {
    let mut lone = Lone::settled(&three("master"));
    let link = lone.outbound[&id('2')];
    for part in 0..3 {
        let names: Vec<NodeId> = (0..900).map(|n| name(1 + part * 900 + n)).collect();
        let told = names.iter().map(|id| gossip(*id, NodeFlags::PRIMARY, 9999)).collect();
        let extensions = names.iter().map(|id| Extension::ForgottenNode { id: *id, ttl_s: u64::MAX }).collect();
        let mut header = lone.header(id('2'));
        header.mflags |= MsgFlags::EXT_DATA;
        lone.receive(link, header, Body::Pong(PingBody { gossip: told, gossip_malformed: 0, extensions }));
    }
    let advertised = |lone: &mut Lone| {
        lone.effects.clear();
        let header = lone.header(id('2'));
        lone.hear(id('2'), header, Body::Ping(PingBody::default()));
        let sent = lone.sent();
        let Some(Body::Pong(body)) = sent.last().map(|(_, m)| &m.body) else { panic!("no answer") };
        let ttls = body.extensions.iter().filter_map(|e| match e {
            Extension::ForgottenNode { ttl_s, .. } => Some(*ttl_s),
            _ => None,
        });
        (ttls.clone().count(), ttls.max())
    };
    let (count, longest) = advertised(&mut lone);
    assert_eq!(count, 1000);
    assert!(longest <= Some(3600));
}

#[test]
fn a_flood_of_packets_that_cannot_be_used_is_few_lines() {
    let mut lone = Lone::settled(&three("master"));
    let link = connection(&mut lone, 0);
    let mut spoilt = baton_wire::encode(&baton_wire::Message { header: boastful(name(7)), body: Body::MfStart });
    spoilt[40] = b'?';
    lone.effects.clear();
    for _ in 0..1000 {
        lone.give(Input::Received { link, bytes: spoilt.clone() });
        lone.receive(link, boastful(name(7)), Body::Fail { id: id('2') });
    }
    let lines = |lone: &Lone| lone.effects.iter().filter(|e| matches!(e, Effect::Log { .. })).count();
    assert!(lines(&lone) <= 20, "{}", lines(&lone));
    lone.pass(Duration::from_secs(1));
    lone.receive(link, boastful(name(7)), Body::Fail { id: id('2') });
    assert!(lone.logged("1980 more lines about packets that can't be used were left out."));
}

#[test]
fn texts_of_any_length_are_taken_as_they_are_or_not_at_all() {
    let mut lone = Lone::settled(&three("master"));
    let link = lone.outbound[&id('2')];
    let long = "h".repeat(100_000);
    let extensions = vec![Extension::Hostname(long.clone()), Extension::HumanNodename(long), Extension::Unknown(9)];
    let mut header = lone.header(id('2'));
    header.mflags |= MsgFlags::EXT_DATA;
    lone.receive(link, header, Body::Pong(PingBody { extensions, ..PingBody::default() }));
    let text = state(&mut lone);
    assert!(text.len() < 5_000, "what is announced once is not repeated in every listing: {}", text.len());
}

#[test]
fn the_end_of_all_epochs_is_survived() {
    let mut lone = Lone::settled(&three("master"));
    for sender in ['2', '3'] {
        let mut header = lone.header(id(sender));
        header.current_epoch = Epoch(u64::MAX);
        header.config_epoch = Epoch(u64::MAX);
        lone.hear(id(sender), header, Body::Ping(PingBody::default()));
    }
    assert_eq!(lone.cluster.current_epoch(), Epoch(u64::MAX));
    lone.command(ClusterCommand::BumpEpoch).unwrap();
    let mut header = lone.header(id('2'));
    header.current_epoch = Epoch(u64::MAX);
    header.config_epoch = Epoch(u64::MAX);
    lone.hear(id('2'), header, Body::AuthRequest);
    lone.pass(Duration::from_millis(500));
}
