//! Packets of chance from peers of chance: whatever they say, the machine keeps its invariants and never panics.

mod lone;

use baton_base::{Epoch, NodeId, Offset, Slot};
use baton_cluster::{ClusterCommand, FailoverMode, Input, SetSlot};
use baton_wire::{Body, Extension, Gossip, Header, IpText, MsgFlags, NodeFlags, PingBody, Update};
use lone::{Lone, id, three};
use proptest::prelude::*;
use std::time::Duration;

/// Six identities, one of them mine.
fn any_id() -> impl Strategy<Value = NodeId> {
    (1u32..=6).prop_map(|n| id(char::from_digit(n, 10).unwrap()))
}

/// Mostly whole quarters, so that claims collide.
fn any_slots() -> impl Strategy<Value = baton_base::SlotBitmap> {
    (0u8..16, any::<bool>()).prop_map(|(quarters, ragged)| {
        Slot::all().filter(|s| quarters & (1 << (s.index() / 4096)) != 0 && (!ragged || s.index() % 5 != 0)).collect()
    })
}

fn any_header() -> impl Strategy<Value = Header> {
    let numbers = (0u64..8, 0u64..8, 0u64..20, any::<u16>(), any::<u8>());
    (any_id(), proptest::option::of(any_id()), any_slots(), numbers, 0u16..4).prop_map(
        |(sender, replica_of, slots, (current, config, offset, flags, mflags), port)| {
            let mut header = Header::new(sender);
            header.replica_of = replica_of;
            header.slots = slots;
            header.current_epoch = Epoch(current.max(config));
            header.config_epoch = Epoch(config);
            header.offset = Offset(offset);
            header.flags = NodeFlags::from_bits_retain(flags);
            header.mflags = MsgFlags::from_bits_retain(mflags);
            header.ip = IpText::new("127.0.0.1").unwrap();
            header.port = 7000 + port;
            header.port_bus = 17000 + port;
            header
        },
    )
}

fn any_gossip() -> impl Strategy<Value = Gossip> {
    (any_id(), any::<u16>(), any::<u32>(), 0u16..4).prop_map(|(id, flags, pong, port)| Gossip {
        id,
        ping_sent_s: pong,
        pong_received_s: pong,
        ip: IpText::new("127.0.0.1").unwrap(),
        port: 7000 + port,
        port_other: 0,
        port_bus: 17000 + port,
        flags: NodeFlags::from_bits_retain(flags),
    })
}

fn any_extension() -> impl Strategy<Value = Extension> {
    prop_oneof![
        "[a-z ,=]{0,8}".prop_map(Extension::Hostname),
        "[ -~]{0,8}".prop_map(Extension::ClientIpv6),
        (any_id(), any::<u64>()).prop_map(|(id, ttl_s)| Extension::ForgottenNode { id, ttl_s }),
        any_id().prop_map(|id| Extension::ShardId(baton_base::ShardId::parse(id.as_bytes()).unwrap())),
    ]
}

fn any_body() -> impl Strategy<Value = Body> {
    let ping = || {
        let parts = (proptest::collection::vec(any_gossip(), 0..4), proptest::collection::vec(any_extension(), 0..3));
        parts.prop_map(|(gossip, extensions)| PingBody { gossip, gossip_malformed: 0, extensions })
    };
    prop_oneof![
        4 => ping().prop_map(Body::Ping),
        6 => ping().prop_map(Body::Pong),
        2 => ping().prop_map(Body::Meet),
        1 => any_id().prop_map(|id| Body::Fail { id }),
        1 => Just(Body::AuthRequest),
        1 => Just(Body::AuthAck),
        1 => Just(Body::MfStart),
        2 => (any_id(), any_slots(), 0u64..9)
            .prop_map(|(id, slots, e)| Body::Update(Update { config_epoch: Epoch(e), id, slots })),
    ]
}

fn any_command() -> impl Strategy<Value = ClusterCommand> {
    let slot = || (0u16..16384).prop_map(|n| Slot::new(n).unwrap());
    let text = || any_id().prop_map(|id| id.to_string());
    let mode = prop_oneof![Just(FailoverMode::Default), Just(FailoverMode::Force), Just(FailoverMode::Takeover)];
    prop_oneof![
        text().prop_map(ClusterCommand::Forget),
        text().prop_map(ClusterCommand::Replicate),
        Just(ClusterCommand::ReplicateNoOne),
        slot().prop_map(|s| ClusterCommand::AddSlots(vec![s])),
        slot().prop_map(|s| ClusterCommand::DelSlots(vec![s])),
        Just(ClusterCommand::FlushSlots),
        (slot(), text()).prop_map(|(slot, id)| ClusterCommand::SetSlot { slot, action: SetSlot::Importing(id) }),
        (slot(), text()).prop_map(|(slot, id)| ClusterCommand::SetSlot { slot, action: SetSlot::Migrating(id) }),
        (slot(), text()).prop_map(|(slot, id)| ClusterCommand::SetSlot { slot, action: SetSlot::Node(id) }),
        Just(ClusterCommand::BumpEpoch),
        any::<bool>().prop_map(|hard| ClusterCommand::Reset { hard }),
        mode.prop_map(|mode| ClusterCommand::Failover { mode, replica_id: None }),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Hear(Header, Body),
    Answer(NodeId, Header, Body),
    Command(ClusterCommand),
    Paused(u64),
    Open(usize),
    Close(usize),
    Pass(u64),
    Raw(Vec<u8>),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any_header(), any_body()).prop_map(|(h, b)| Step::Hear(h, b)),
        6 => (any_id(), any_header(), any_body()).prop_map(|(id, h, b)| Step::Answer(id, h, b)),
        2 => any_command().prop_map(Step::Command),
        1 => (0u64..20).prop_map(Step::Paused),
        3 => (0usize..8).prop_map(Step::Open),
        1 => (0usize..8).prop_map(Step::Close),
        3 => (0u64..1500).prop_map(Step::Pass),
        1 => proptest::collection::vec(any::<u8>(), 0..64).prop_map(Step::Raw),
    ]
}

fn take(lone: &mut Lone, step: Step) {
    let link = |lone: &Lone, n: usize| lone.outbound.values().copied().nth(n);
    match step {
        Step::Hear(header, body) => lone.hear(header.sender, header, body),
        Step::Answer(peer, mut header, body) => {
            let Some(link) = lone.outbound.get(&peer).copied() else { return };
            // Mostly the node that was meant answers.
            if header.offset.0 % 4 != 0 {
                header.sender = peer;
            }
            lone.receive(link, header, body);
        }
        Step::Command(command) => _ = lone.command(command),
        Step::Paused(offset) => lone.give(Input::WritesPaused { offset: Offset(offset) }),
        Step::Open(n) => {
            if let Some(link) = link(lone, n) {
                lone.give(Input::LinkOpened { link, local_ip: "127.0.0.1".to_owned() });
            }
        }
        Step::Close(n) => {
            if let Some(link) = link(lone, n) {
                lone.give(Input::LinkClosed { link });
            }
        }
        Step::Pass(ms) => lone.pass(Duration::from_millis(ms)),
        Step::Raw(bytes) => {
            if let Some(link) = link(lone, 0) {
                lone.give(Input::Received { link, bytes });
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_packet_breaks_a_primary(steps in proptest::collection::vec(any_step(), 1..60)) {
        let mut lone = Lone::settled(&three("master,fail"));
        for step in steps {
            take(&mut lone, step);
            prop_assert!(lone.cluster.next_wake() > lone.now, "it never asks to be woken at once for ever");
            lone.effects.clear();
        }
    }

    #[test]
    fn no_packet_breaks_a_replica(steps in proptest::collection::vec(any_step(), 1..60)) {
        let text = three("master,fail").replace("myself,master", "master").replace("slave", "myself,slave");
        let mut lone = Lone::connected(&text);
        for step in steps {
            take(&mut lone, step);
            prop_assert!(lone.cluster.next_wake() > lone.now);
            lone.effects.clear();
        }
    }
}
