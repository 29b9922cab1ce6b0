//! One machine alone, started from a configuration text, with hand-made peers: packets in, effects out.

#![allow(dead_code, reason = "each test file uses its own part of it")]
#![allow(clippy::allow_attributes, reason = "an unused helper is no fault in a shared test module")]

use baton_base::{Epoch, Mono, NodeId, Offset, Slot, SlotBitmap, WallMs};
use baton_cluster::{
    Boot, Cluster, ClusterCommand, ClusterReply, Effect, Facts, Input, LinkId, Origin, Settings, Token, conf,
};
use baton_wire::{Body, Header, Message, MsgFlags, NodeFlags, PingBody};
use std::collections::BTreeMap;
use std::time::Duration;

/// The id that repeats this digit.
pub(crate) fn id(digit: char) -> NodeId {
    NodeId::parse(digit.to_string().repeat(40).as_bytes()).unwrap()
}

pub(crate) fn slots(first: u16, last: u16) -> SlotBitmap {
    Slot::all().filter(|s| (first..=last).contains(&s.number())).collect()
}

pub(crate) struct Lone {
    pub(crate) cluster: Cluster,
    pub(crate) now: Mono,
    pub(crate) keys: SlotBitmap,
    pub(crate) offset: u64,
    /// My dataset is being loaded.
    pub(crate) loading: bool,
    /// My links to peers.
    pub(crate) outbound: BTreeMap<NodeId, LinkId>,
    inbound: BTreeMap<NodeId, LinkId>,
    pub(crate) effects: Vec<Effect>,
}

/// Three primaries `1` (me), `2`, `3`, and `4`, a replica of `3`; shard ids as node ids. `%` in the template stands for
/// the flags of `3`.
pub(crate) fn three(flags_of_3: &str) -> String {
    let line = |digit: char, flags: &str, primary: &str, rest: &str, shard: char| {
        let port = 7000 + digit.to_digit(10).unwrap();
        let (id, shard) = (id(digit), id(shard));
        let bus = port + 10_000;
        format!("{id} 127.0.0.1:{port}@{bus},,tls-port=0,shard-id={shard} {flags} {primary} 0 0 {rest}\n")
    };
    line('1', "myself,master", "-", "1 connected 0-5460", '1')
        + &line('2', "master", "-", "2 connected 5461-10922", '2')
        + &line('3', flags_of_3, "-", "3 connected 10923-16383", '3')
        + &line('4', "slave", id('3').as_str(), "3 connected", '3')
        + "vars currentEpoch 3 lastVoteEpoch 0\n"
}

impl Lone {
    pub(crate) fn start(text: &str) -> Lone {
        let restored = conf::parse(text.as_bytes(), false).expect("a well-formed text");
        let settings = Settings { port: 7001, bus_port: 17001, node_timeout_ms: 1000, ..Settings::default() };
        let now = Mono::from_millis(5000);
        let boot = Boot::Restored(Box::new(restored));
        let mut lone = Lone {
            cluster: Cluster::new(settings, boot, 7, now, WallMs(1_700_000_000_000)),
            now,
            keys: SlotBitmap::new(),
            offset: 10,
            loading: false,
            outbound: BTreeMap::new(),
            inbound: BTreeMap::new(),
            effects: Vec::new(),
        };
        lone.collect();
        lone
    }

    /// Started and connected to everybody.
    pub(crate) fn connected(text: &str) -> Lone {
        let mut lone = Lone::start(text);
        lone.give(Input::Tick);
        for link in lone.outbound.values().copied().collect::<Vec<_>>() {
            lone.give(Input::LinkOpened { link, local_ip: "127.0.0.1".to_owned() });
        }
        lone
    }

    /// Connected to everybody, and long enough in life to serve and vote.
    pub(crate) fn settled(text: &str) -> Lone {
        let mut lone = Lone::connected(text);
        for _ in 0..22 {
            let peers: Vec<NodeId> = lone.outbound.keys().copied().collect();
            for peer in peers {
                lone.answer(peer);
            }
            lone.pass(Duration::from_millis(100));
        }
        lone.effects.clear();
        lone
    }

    /// A PONG of a peer on my link to it that confirms what I know.
    fn answer(&mut self, peer: NodeId) {
        let topology = self.cluster.topology();
        let Some(view) = topology.nodes.iter().find(|n| n.id == peer) else { return };
        let mut header = self.header(peer);
        header.replica_of = view.primary;
        if view.failed {
            return;
        }
        let link = self.outbound[&peer];
        self.receive(link, header, Body::Pong(PingBody::default()));
    }

    /// A header of a peer as this machine knows it.
    pub(crate) fn header(&self, peer: NodeId) -> Header {
        let topology = self.cluster.topology();
        let view = topology.nodes.iter().find(|n| n.id == peer);
        let mut header = Header::new(peer);
        header.current_epoch = self.cluster.current_epoch();
        header.offset = Offset(10);
        header.flags = NodeFlags::LIGHT_HDR_PUBLISH | NodeFlags::LIGHT_HDR_MODULE;
        header.ip = baton_wire::IpText::new("127.0.0.1").unwrap();
        if let Some(view) = view {
            header.port = view.address.tcp_port;
            header.port_bus = view.address.bus_port;
            header.replica_of = view.primary;
            let head = view.primary.unwrap_or(peer);
            let owned = |s: &Slot| topology.owner(*s).is_some_and(|n| n.id == head);
            header.slots = Slot::all().filter(owned).collect();
            header.config_epoch = Epoch(u64::from(head.as_str().as_bytes()[0] - b'0'));
        }
        header
    }

    /// A packet of a peer on its own link to me.
    pub(crate) fn hear(&mut self, peer: NodeId, header: Header, body: Body) {
        let known = self.inbound.len() as u64;
        let link = *self.inbound.entry(peer).or_insert(LinkId::inbound(known));
        if self.inbound.len() as u64 > known {
            let ip = "127.0.0.1".to_owned();
            self.give(Input::LinkAccepted { link, peer_ip: ip.clone(), local_ip: ip });
        }
        self.receive(link, header, body);
    }

    pub(crate) fn receive(&mut self, link: LinkId, header: Header, body: Body) {
        let bytes = baton_wire::encode(&Message { header, body });
        self.give(Input::Received { link, bytes });
    }

    pub(crate) fn give(&mut self, input: Input) {
        let facts = Facts {
            offset: Offset(self.offset),
            link_up: false,
            last_interaction: None,
            link_down_since: Some(self.now),
            dataset_complete: true,
            loading: self.loading,
            keys: &self.keys,
        };
        let wall = WallMs(1_700_000_000_000 + self.now.as_millis());
        self.cluster.handle(self.now, wall, &facts, input);
        self.cluster.validate().unwrap();
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(effect) = self.cluster.poll_effect() {
            if let Effect::Connect { link, node, .. } = &effect {
                self.outbound.insert(*node, *link);
            }
            self.effects.push(effect);
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.give(Input::Tick);
    }

    pub(crate) fn command(&mut self, command: ClusterCommand) -> Result<ClusterReply, String> {
        let origin = Origin::Client("addr=test".to_owned());
        self.give(Input::Command { token: Token(1), origin, command });
        let found = self.effects.iter().rposition(|e| matches!(e, Effect::Reply { .. })).expect("an answer");
        let Effect::Reply { result, .. } = self.effects.remove(found) else { unreachable!() };
        result
    }

    /// Packets sent since the effects were cleared, with their link.
    pub(crate) fn sent(&self) -> Vec<(LinkId, Message)> {
        let read = |bytes: &[u8]| match baton_wire::decode(bytes) {
            Ok(baton_wire::Packet::Full(message)) => Some(message),
            _ => None,
        };
        let one = |e: &Effect| match e {
            Effect::Send { link, bytes } => Some((*link, read(bytes)?)),
            _ => None,
        };
        self.effects.iter().filter_map(one).collect()
    }

    pub(crate) fn logged(&self, text: &str) -> bool {
        self.effects.iter().any(|e| matches!(e, Effect::Log { text: line, .. } if line.contains(text)))
    }

    /// A vote request of `4` that should be granted once `3` has failed, in the next epoch.
    pub(crate) fn request(&self) -> Header {
        let mut header = self.header(id('4'));
        header.current_epoch = Epoch(self.cluster.current_epoch().0 + 1);
        header.mflags = MsgFlags::empty();
        header
    }
}
