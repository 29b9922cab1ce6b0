//! What peers can make the bus cost, over real connections: each limit is reached, and what it protects goes on.

use super::*;
use baton_base::NodeId;
use baton_wire::{Body, Header, Message, PingBody};
use mio::{Events, Poll};
use std::io::{Read, Write};
use std::net::TcpStream as Blocking;
use std::time::{Duration, Instant};

struct Rig {
    poll: Poll,
    bus: Bus,
    at: SocketAddr,
    events: Vec<BusEvent>,
}

impl Rig {
    fn new() -> Rig {
        crate::os::raise_open_files(4096);
        let poll = Poll::new().unwrap();
        // The standard library's queue of waiting connections is shorter than some storms here.
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        socket.listen(1024).unwrap();
        socket.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(socket.into());
        let at = listener.local_addr().unwrap();
        let bus = Bus::new(vec![listener], poll.registry(), 1).unwrap();
        Rig { poll, bus, at, events: Vec::new() }
    }

    fn connect(&self) -> Blocking {
        Blocking::connect(self.at).unwrap()
    }

    /// One turn, as the control thread takes it; gives what it came to.
    fn turn(&mut self) -> Vec<BusEvent> {
        let mut events = Events::with_capacity(256);
        let wait = if self.bus.has_unfinished() { 0 } else { 20 };
        self.poll.poll(&mut events, Some(Duration::from_millis(wait))).unwrap();
        let mut out = Vec::new();
        self.bus.begin_turn(self.poll.registry(), &mut out);
        for event in &events {
            self.bus.on_event(self.poll.registry(), event, &mut out);
        }
        out
    }

    /// Takes turns until this holds; the events stay.
    fn until(&mut self, what: &str, holds: impl Fn(&Rig) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < Duration::from_secs(20), "{what}");
            let out = self.turn();
            self.events.extend(out);
        }
    }

    fn shed(&self, reason: Shed) -> usize {
        self.events.iter().filter(|e| matches!(e, BusEvent::Shed { why, .. } if *why == reason)).count()
    }

    fn accepted(&self) -> Vec<LinkId> {
        let link = |e: &BusEvent| if let BusEvent::Accepted { link, .. } = e { Some(*link) } else { None };
        self.events.iter().filter_map(link).collect()
    }

    fn packets(&self) -> usize {
        self.events.iter().filter(|e| matches!(e, BusEvent::Packet { .. })).count()
    }
}

fn ping() -> Vec<u8> {
    let header = Header::new(NodeId::new([b'a'; 40]).unwrap());
    baton_wire::encode(&Message { header, body: Body::Ping(PingBody::default()) })
}

/// The first bytes of a packet of this type and length.
fn announces(kind: u8, len: u32) -> Vec<u8> {
    let mut prefix = ping()[..14].to_vec();
    prefix[4..8].copy_from_slice(&len.to_be_bytes());
    prefix[13] = kind;
    prefix
}

#[test]
fn a_goodbye_behind_the_last_packet_is_heard() {
    let mut rig = Rig::new();
    let mut peer = rig.connect();
    rig.until("it is accepted", |r| !r.accepted().is_empty());
    peer.write_all(&ping()).unwrap();
    drop(peer);
    // Both are there when the one event comes.
    std::thread::sleep(Duration::from_millis(20));
    rig.until("the connection ends", |r| r.events.iter().any(|e| matches!(e, BusEvent::Closed { .. })));
    assert_eq!((rig.packets(), rig.bus.links.len()), (1, 0));
}

#[test]
fn an_absurd_length_ends_the_link_at_its_fourteenth_byte() {
    for (kind, len) in [(0, 2 << 30), (0, (16 << 20) + 1), (4, (528 << 20) + 1), (4, u32::MAX), (3, 2255), (0x80, 16)] {
        let mut rig = Rig::new();
        let mut peer = rig.connect();
        peer.write_all(&announces(kind, len)).unwrap();
        rig.until("it is shed", |r| r.shed(Shed::BadFrame) == 1);
        assert_eq!(peer.read(&mut [0]).unwrap_or(0), 0);
        assert!(rig.bus.links.is_empty());
    }
}

#[test]
fn an_announced_length_costs_nothing() {
    let mut rig = Rig::new();
    let mut peers: Vec<Blocking> = (0..100).map(|_| rig.connect()).collect();
    for peer in &mut peers {
        peer.write_all(&announces(4, 500 << 20)).unwrap();
    }
    rig.until("all are read", |r| r.bus.bytes_received == 1400);
    assert_eq!(rig.bus.strangers.bytes, 1400);
    assert_eq!(rig.bus.links.len(), 100, "they may go on");
}

#[test]
fn half_packets_of_thousands_of_strangers_hold_no_more_than_some() {
    let mut rig = Rig::new();
    let extra = 76;
    let mut peers = Vec::new();
    for n in 0..STRANGERS_MAX + extra {
        let mut peer = rig.connect();
        peer.write_all(&announces(0, 3000)).unwrap();
        peers.push(peer);
        if n % 100 == 0 {
            let out = rig.turn();
            rig.events.extend(out);
        }
    }
    rig.until("all are accepted", |r| r.accepted().len() == STRANGERS_MAX + extra);
    assert_eq!((rig.bus.links.len(), rig.shed(Shed::Strangers)), (STRANGERS_MAX, extra));
    let oldest = rig.accepted()[..extra].to_vec();
    assert!(oldest.iter().all(|link| !rig.bus.tokens.contains_key(link)), "the oldest went");
    // A node that says who it is makes room, and is not counted any more.
    let newest = *rig.accepted().last().unwrap();
    rig.bus.introduce(newest);
    let _one_more = rig.connect();
    rig.until("one more", |r| r.accepted().len() == STRANGERS_MAX + extra + 1);
    assert_eq!((rig.bus.links.len(), rig.shed(Shed::Strangers)), (STRANGERS_MAX + 1, extra));
}

#[test]
fn what_a_stranger_holds_is_bounded_and_a_node_may_send_more() {
    let mut rig = Rig::new();
    let (mut stranger, mut node) = (rig.connect(), rig.connect());
    rig.until("both are accepted", |r| r.accepted().len() == 2);
    let known = rig.accepted()[1];
    rig.bus.introduce(known);
    let len = 3 << 20;
    for peer in [&mut stranger, &mut node] {
        peer.set_nonblocking(true).unwrap();
    }
    let packet = [announces(4, len), vec![0; len as usize - 14]].concat();
    let (mut told, mut sent) = (0, 0);
    while rig.packets() == 0 || rig.shed(Shed::Strangers) == 0 {
        told += node.write(&packet[told..]).unwrap_or(0);
        sent += stranger.write(&packet[sent..]).unwrap_or(0);
        let out = rig.turn();
        rig.events.extend(out);
    }
    assert!(rig.bus.tokens.contains_key(&known));
    assert_eq!((rig.packets(), rig.bus.strangers.bytes), (1, 0));
}

#[test]
fn what_all_strangers_hold_is_bounded() {
    let mut rig = Rig::new();
    let part = STRANGER_BYTES_MAX - 100_000;
    let bytes = [announces(4, 100 << 20), vec![0; part]].concat();
    let mut peers = Vec::new();
    for _ in 0..STRANGERS_BYTES_MAX / part + 4 {
        let mut peer = rig.connect();
        let (bytes, before) = (bytes.clone(), rig.bus.bytes_received);
        let writer = std::thread::spawn(move || {
            let _ = peer.write_all(&bytes);
            peer
        });
        rig.until("it is read", |r| r.bus.bytes_received == before + (part + 14) as u64);
        assert!(rig.bus.strangers.bytes <= STRANGERS_BYTES_MAX);
        peers.push(writer.join().unwrap());
    }
    assert!(rig.shed(Shed::Strangers) >= 3);
}

#[test]
fn who_asks_and_never_reads_is_not_answered_for_ever() {
    for known in [false, true] {
        let mut rig = Rig::new();
        let _deaf = rig.connect();
        rig.until("it is accepted", |r| !r.accepted().is_empty());
        let link = rig.accepted()[0];
        if known {
            rig.bus.introduce(link);
        }
        let mut out = Vec::new();
        let mut most = 0;
        while out.is_empty() {
            rig.bus.send(rig.poll.registry(), link, &[0; 60_000], &mut out);
            most = most.max(rig.bus.queued_bytes(link));
        }
        let reason = if known { Shed::Deaf } else { Shed::Strangers };
        assert!(matches!(out[0], BusEvent::Shed { why, .. } if why == reason));
        assert!(most <= ANSWERS_BYTES_MAX as u64 && rig.bus.links.is_empty() && rig.bus.strangers.bytes == 0);
    }
}

#[test]
fn a_peer_that_never_stops_is_one_of_many() {
    let mut rig = Rig::new();
    let mut peer = rig.connect();
    let count = 2000;
    let writer = std::thread::spawn(move || {
        for _ in 0..count {
            peer.write_all(&ping()).unwrap();
        }
        peer
    });
    let most = (2 * LINK_BYTES_A_TURN) / 2256;
    while rig.packets() < count {
        let out = rig.turn();
        let packets = out.iter().filter(|e| matches!(e, BusEvent::Packet { .. })).count();
        assert!(packets <= most, "{packets} packets in one turn");
        rig.events.extend(out);
    }
    drop(writer.join().unwrap());
}

#[test]
fn a_storm_of_connections_is_accepted_without_another_event() {
    let mut rig = Rig::new();
    let count = ACCEPTS_A_TURN + 50;
    let peers: Vec<Blocking> = (0..count).map(|_| rig.connect()).collect();
    rig.until("all are accepted", |r| r.accepted().len() == count);
    assert_eq!(peers.len(), rig.bus.links.len());
}
