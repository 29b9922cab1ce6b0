//! One node alone with hand-made peers: packets and answers in, effects out, one word for each. Its own id is `1`; `2`
//! and `3` are the other primaries, `4` and `5` its replicas.

#![allow(dead_code, reason = "each test file uses its own part of it")]
#![allow(clippy::allow_attributes, reason = "an unused helper is no fault in a shared test module")]

use baton_base::{Epoch, Mono, NodeId, Offset, Slot, WallMs};
use baton_cluster::conf;
use baton_node::{
    Boot, ClusterBoot, Effect, Facts, Input, Limits, LinkId, Node, Replica, ReplicaState, Settings, StopKind, Token,
};
use baton_wire::{Body, Header, Kind, Message, MsgFlags, NodeFlags, PrivateBlob};
use std::collections::BTreeMap;
use std::time::Duration;

/// `cluster-manual-failover-timeout`.
pub(crate) const MANUAL: Duration = Duration::from_secs(5);

/// The id that repeats this digit.
pub(crate) fn id(digit: char) -> NodeId {
    NodeId::parse(digit.to_string().repeat(40).as_bytes()).unwrap()
}

fn line(digit: char, flags: &str, primary: &str, rest: &str, shard: char) -> String {
    let port = 7000 + digit.to_digit(10).unwrap();
    let (id, shard, bus) = (id(digit), id(shard), port + 10_000);
    format!("{id} 127.0.0.1:{port}@{bus},,tls-port=0,shard-id={shard} {flags} {primary} 0 0 {rest}\n")
}

/// Three shards.
pub(crate) fn three() -> String {
    line('1', "myself,master", "-", "1 connected 0-5460", '1')
        + &line('2', "master", "-", "2 connected 5461-10922", '2')
        + &line('3', "master", "-", "3 connected 10923-16383", '3')
        + &line('4', "slave", id('1').as_str(), "1 connected", '1')
        + &line('5', "slave", id('1').as_str(), "1 connected", '1')
        + "vars currentEpoch 3 lastVoteEpoch 0\n"
}

/// One shard: the only vote is this node's.
pub(crate) fn one() -> String {
    line('1', "myself,master", "-", "1 connected 0-16383", '1')
        + &line('4', "slave", id('1').as_str(), "1 connected", '1')
        + "vars currentEpoch 1 lastVoteEpoch 0\n"
}

pub(crate) struct Rig {
    pub(crate) node: Node,
    pub(crate) now: Mono,
    pub(crate) offset: u64,
    pub(crate) outbound: BTreeMap<NodeId, LinkId>,
    inbound: BTreeMap<NodeId, LinkId>,
    pub(crate) effects: Vec<Effect>,
    /// What replicas can do beyond upstream's protocol.
    pub(crate) abilities: u8,
}

impl Rig {
    pub(crate) fn standalone() -> Rig {
        Rig::start(None)
    }

    /// Connected to everybody, and long enough in life to serve and vote.
    pub(crate) fn settled(text: &str) -> Rig {
        let state = conf::parse(text.as_bytes(), false).expect("a well-formed text");
        let settings = Settings { port: 7001, bus_port: 17001, node_timeout_ms: 60_000, ..Settings::default() };
        let state = baton_cluster::Boot::Restored(Box::new(state));
        let mut rig = Rig::start(Some(ClusterBoot { settings, state, seed: 7 }));
        rig.give(Input::Tick);
        for link in rig.outbound.values().copied().collect::<Vec<_>>() {
            rig.give(Input::LinkOpened { link, local_ip: "127.0.0.1".to_owned() });
        }
        for _ in 0..25 {
            for peer in rig.outbound.keys().copied().collect::<Vec<_>>() {
                let (link, header) = (rig.outbound[&peer], rig.header(peer));
                rig.receive(link, header, Body::Pong(Default::default()));
            }
            rig.pass(Duration::from_millis(100));
        }
        assert!(rig.node.topology().unwrap().health.is_ok());
        rig.effects.clear();
        rig
    }

    fn start(cluster: Option<ClusterBoot>) -> Rig {
        let now = Mono::from_millis(5000);
        let node = Node::new(Boot { cluster, limits: Limits::default() }, now, WallMs(1_700_000_000_000));
        let (outbound, inbound) = (BTreeMap::new(), BTreeMap::new());
        let mut rig = Rig { node, now, offset: 1000, outbound, inbound, effects: Vec::new(), abilities: 0 };
        rig.collect();
        rig
    }

    pub(crate) fn give(&mut self, input: Input) {
        let facts = Facts { offset: Offset(self.offset), dataset_complete: true, ..Facts::empty() };
        let wall = WallMs(1_700_000_000_000 + self.now.as_millis());
        self.node.handle(self.now, wall, &facts, input);
        self.node.validate().unwrap();
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(effect) = self.node.poll_effect() {
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

    /// Lets time pass in steps, each wake of the node honoured.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while self.node.next_wake() <= end {
            self.now = self.now.max(self.node.next_wake());
            self.give(Input::Tick);
        }
        self.now = end;
        self.give(Input::Tick);
    }

    /// A header of a peer as this node knows it.
    pub(crate) fn header(&self, peer: NodeId) -> Header {
        let topology = self.node.topology().unwrap();
        let view = topology.nodes.iter().find(|n| n.id == peer).expect("a known peer");
        let mut header = Header::new(peer);
        header.current_epoch = self.node.cluster().unwrap().current_epoch();
        header.offset = Offset(self.offset);
        header.flags = NodeFlags::LIGHT_HDR_PUBLISH | NodeFlags::LIGHT_HDR_MODULE;
        header.ip = baton_wire::IpText::new("127.0.0.1").unwrap();
        header.port = view.address.tcp_port;
        header.port_bus = view.address.bus_port;
        header.replica_of = view.primary;
        if self.abilities != 0 && view.primary.is_some() {
            header.private = PrivateBlob::new(&[self.abilities]).ok();
        }
        let head = view.primary.unwrap_or(peer);
        header.slots = Slot::all().filter(|s| topology.owner(*s).is_some_and(|n| n.id == head)).collect();
        header.config_epoch = Epoch(u64::from(head.as_str().as_bytes()[0] - b'0'));
        header
    }

    /// All replicas say what they can do, by its bits on the wire.
    pub(crate) fn have_abilities(&mut self, abilities: u8) {
        self.abilities = abilities;
        for replica in ['4', '5'].map(id).into_iter().filter(|id| self.outbound.contains_key(id)).collect::<Vec<_>>() {
            let (link, header) = (self.outbound[&replica], self.header(replica));
            self.receive(link, header, Body::Pong(Default::default()));
        }
    }

    /// A packet of a peer on its own link to this node.
    pub(crate) fn hear(&mut self, peer: NodeId, header: Header, body: Body) {
        let known = self.inbound.len() as u64;
        let link = *self.inbound.entry(peer).or_insert(LinkId::inbound(known));
        if self.inbound.len() as u64 > known {
            let ip = "127.0.0.1".to_owned();
            self.give(Input::LinkAccepted { link, peer_ip: ip.clone(), local_ip: ip });
        }
        self.receive(link, header, body);
    }

    fn receive(&mut self, link: LinkId, header: Header, body: Body) {
        let bytes = baton_wire::encode(&Message { header, body });
        self.give(Input::Received { link, bytes });
    }

    /// A replica asks for a manual failover.
    pub(crate) fn mfstart(&mut self, replica: NodeId) {
        let header = self.header(replica);
        self.hear(replica, header, Body::MfStart);
    }

    /// A replica stands; tells whether it got this node's vote.
    pub(crate) fn stands(&mut self, replica: NodeId) -> bool {
        let mut header = self.header(replica);
        header.current_epoch = header.current_epoch.next();
        header.mflags = MsgFlags::FORCEACK;
        let before = self.votes_for(replica);
        self.hear(replica, header, Body::AuthRequest);
        self.votes_for(replica) > before
    }

    fn votes_for(&self, replica: NodeId) -> usize {
        let link = self.outbound[&replica];
        self.sent().iter().filter(|(to, m)| *to == link && m.body == Body::AuthAck).count()
    }

    /// A replica claims everything this node has.
    pub(crate) fn claims(&mut self, replica: NodeId) {
        let mut header = self.header(replica);
        header.replica_of = None;
        header.config_epoch = header.current_epoch;
        header.flags |= NodeFlags::PRIMARY;
        self.hear(replica, header, Body::Pong(Default::default()));
    }

    /// Both replicas have everything, said now.
    pub(crate) fn replicas_answer(&mut self, digits: &[char]) {
        let replicas = digits.iter().map(|d| self.replica(*d)).collect();
        self.give(Input::Replicas(replicas));
    }

    pub(crate) fn replica(&self, digit: char) -> Replica {
        Replica {
            addr: format!("127.0.0.1:700{digit}"),
            id: Some(id(digit)),
            state: ReplicaState::Online,
            complete: true,
            acked: Offset(self.offset),
            acked_at: self.now,
            version: 0x0009_0102,
            priority: 100,
            same_zone: true,
        }
    }

    pub(crate) fn stop(&mut self, kind: StopKind) {
        self.give(Input::Stop { token: Token(9), kind, timeout: Duration::from_secs(10), force: false });
    }

    /// Brings a stop to the point where `4` is ordered to be primary.
    pub(crate) fn ordered(&mut self, kind: StopKind) {
        self.replicas_answer(&['4']);
        self.stop(kind);
        self.replicas_answer(&['4']);
        self.give(Input::Fenced { offset: Offset(self.offset) });
        self.replicas_answer(&['4']);
        assert_eq!(self.count("order 4"), 1, "{:?}", self.words());
    }

    pub(crate) fn sent(&self) -> Vec<(LinkId, Message)> {
        let one = |e: &Effect| match e {
            Effect::Send { link, bytes } => match baton_wire::decode(bytes) {
                Ok(baton_wire::Packet::Full(message)) => Some((*link, message)),
                _ => None,
            },
            _ => None,
        };
        self.effects.iter().filter_map(one).collect()
    }

    /// Effects so far, a word or two for each; log and timeline left out.
    pub(crate) fn words(&self) -> Vec<String> {
        self.effects.iter().filter_map(word).collect()
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.words().iter().filter(|w| *w == what).count()
    }

    pub(crate) fn logged(&self, text: &str) -> usize {
        self.effects.iter().filter(|e| matches!(e, Effect::Log { text: line, .. } if line.contains(text))).count()
    }
}

fn word(effect: &Effect) -> Option<String> {
    let digit = |id: &NodeId| id.as_str()[..1].to_owned();
    Some(match effect {
        Effect::Log { .. } | Effect::Timeline(_) => return None,
        Effect::Connect { node, .. } => format!("connect {}", digit(node)),
        Effect::Close { .. } => "close".to_owned(),
        Effect::Send { bytes, .. } => format!("send {}", Kind::of_packet(bytes).token()),
        Effect::SaveConfig { sync: true, .. } => "save durably".to_owned(),
        Effect::SaveConfig { .. } => "save".to_owned(),
        Effect::SaveEpochs(_) => "save epochs".to_owned(),
        Effect::PublishTopology(t) if t.myself().is_primary => "publish primary".to_owned(),
        Effect::PublishTopology(_) => "publish replica".to_owned(),
        Effect::BecomeReplicaOf { primary, .. } => format!("follow {}", digit(primary)),
        Effect::BecomePrimary => "become primary".to_owned(),
        Effect::Fence { exits, ask, .. } => {
            format!("fence{}{}", if *ask { " and ask" } else { "" }, if *exits { " to exit" } else { "" })
        }
        Effect::AskTakeover { host, port } => format!("ask {host} {port}"),
        Effect::ResumePrimary => "primary again".to_owned(),
        Effect::Lease { until: Mono::ZERO } => "lease none".to_owned(),
        Effect::Unfence => "unfence".to_owned(),
        Effect::Redirect { successor, .. } => format!("redirect {}", digit(successor)),
        Effect::AskAck => "ask".to_owned(),
        Effect::AppendOrder { target } => format!("order {}", digit(target)),
        Effect::FinalSave => "final save".to_owned(),
        Effect::Exit => "exit".to_owned(),
        Effect::Finished { token, outcome } => format!("finished {} {outcome:?}", token.0),
        Effect::Reply { token, .. } => format!("reply {}", token.0),
        other => format!("{other:?}"),
    })
}
