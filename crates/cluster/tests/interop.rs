//! The machine as a member of a real Valkey cluster, behind the smallest shell that works. Needs a valkey-server in
//! `VALKEY_SERVER` (and valkey-cli beside it); run with `--ignored`.

use baton_base::{Epoch, Mono, Slot, WallMs};
use baton_cluster::{
    Boot, Cluster, ClusterCommand, ClusterReply, Effect, Facts, Input, LinkFailure, LinkId, LogLevel, Origin, Settings,
    Token,
};
use baton_wire::Framer;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

const NODE_TIMEOUT_MS: u64 = 1500;

struct Shell {
    cluster: Cluster,
    listener: TcpListener,
    sockets: BTreeMap<LinkId, (TcpStream, Framer)>,
    start: Instant,
    accepted: u64,
    replies: Vec<Result<ClusterReply, String>>,
    log: Vec<String>,
}

impl Shell {
    fn new(port: u16) -> Shell {
        let settings =
            Settings { port, bus_port: port + 10_000, node_timeout_ms: NODE_TIMEOUT_MS, ..Settings::default() };
        let listener = TcpListener::bind(("127.0.0.1", port + 10_000)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let cluster = Cluster::new(settings, Boot::Fresh, u64::from(port), Mono::ZERO, wall());
        let mut shell = Shell {
            cluster,
            listener,
            sockets: BTreeMap::new(),
            start: Instant::now(),
            accepted: 0,
            replies: Vec::new(),
            log: Vec::new(),
        };
        shell.carry_out();
        shell
    }

    fn give(&mut self, input: Input) {
        let now = Mono::from_micros(self.start.elapsed().as_micros() as u64);
        self.cluster.handle(now, wall(), &Facts::empty(), input);
        self.cluster.validate().unwrap();
        self.carry_out();
    }

    fn carry_out(&mut self) {
        let mut failed = Vec::new();
        while let Some(effect) = self.cluster.poll_effect() {
            match effect {
                Effect::Connect { link, ip, port, .. } => match TcpStream::connect((ip.as_str(), port)) {
                    Ok(socket) => {
                        socket.set_nonblocking(true).unwrap();
                        self.sockets.insert(link, (socket, Framer::new()));
                        failed.push(Input::LinkOpened { link, local_ip: "127.0.0.1".to_owned() });
                    }
                    Err(_) => failed.push(Input::LinkFailed { link, why: LinkFailure::RefusedAtOnce }),
                },
                Effect::Close { link } => _ = self.sockets.remove(&link),
                Effect::Send { link, bytes } => {
                    if let Some((socket, _)) = self.sockets.get_mut(&link) {
                        let _ = socket.write_all(&bytes);
                    }
                }
                Effect::Reply { result, .. } => self.replies.push(result),
                Effect::Log { level, text } if level >= LogLevel::Verbose => self.log.push(text),
                _ => {}
            }
        }
        for input in failed {
            self.give(input);
        }
    }

    fn turn(&mut self) {
        while let Ok((socket, peer)) = self.listener.accept() {
            socket.set_nonblocking(true).unwrap();
            self.accepted += 1;
            let link = LinkId::inbound(self.accepted);
            let local_ip = socket.local_addr().unwrap().ip().to_string();
            self.sockets.insert(link, (socket, Framer::new()));
            self.give(Input::LinkAccepted { link, peer_ip: peer.ip().to_string(), local_ip });
        }
        let links: Vec<LinkId> = self.sockets.keys().copied().collect();
        for link in links {
            self.read(link);
        }
        self.give(Input::Tick);
    }

    fn read(&mut self, link: LinkId) {
        let mut buffer = [0; 65536];
        loop {
            let Some((socket, framer)) = self.sockets.get_mut(&link) else { return };
            let ended = match socket.read(&mut buffer) {
                Ok(0) => true,
                Ok(n) => {
                    framer.feed(&buffer[..n]);
                    false
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(_) => true,
            };
            let mut packets = Vec::new();
            while let Ok(Some(packet)) = framer.next_packet() {
                packets.push(packet.to_vec());
            }
            for bytes in packets {
                self.give(Input::Received { link, bytes });
            }
            if ended {
                self.sockets.remove(&link);
                self.give(Input::LinkClosed { link });
                return;
            }
        }
    }

    fn until(&mut self, what: &str, limit: u64, holds: impl Fn(&Shell) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            let log = self.log.join("\n");
            assert!(start.elapsed() < Duration::from_secs(limit), "not within {limit} s: {what}\n{log}");
            self.turn();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn command(&mut self, command: ClusterCommand) -> ClusterReply {
        let origin = Origin::Client("addr=test".to_owned());
        self.give(Input::Command { token: Token(0), origin, command });
        self.replies.pop().unwrap().unwrap()
    }
}

fn wall() -> WallMs {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    WallMs(since.as_millis() as u64)
}

struct Peer {
    port: u16,
    process: Child,
    folder: PathBuf,
}

impl Peer {
    fn start(port: u16) -> Peer {
        let server = std::env::var("VALKEY_SERVER").expect("VALKEY_SERVER names a valkey-server");
        let folder = std::env::temp_dir().join(format!("baton-interop-{port}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let process = Command::new(server)
            .args(["--port", &port.to_string(), "--cluster-enabled", "yes", "--save", "", "--bind", "127.0.0.1"])
            .args(["--cluster-node-timeout", &NODE_TIMEOUT_MS.to_string(), "--dir", folder.to_str().unwrap()])
            .args(["--logfile", "log", "--loglevel", "verbose", "--repl-diskless-sync-delay", "0"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let peer = Peer { port, process, folder };
        while peer.cli(&["PING"]).trim() != "PONG" {
            std::thread::sleep(Duration::from_millis(20));
        }
        peer
    }

    fn cli(&self, words: &[&str]) -> String {
        let server = PathBuf::from(std::env::var("VALKEY_SERVER").unwrap());
        let cli = server.with_file_name("valkey-cli");
        let out = Command::new(cli).args(["-p", &self.port.to_string()]).args(words).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    }

    fn id(&self) -> String {
        self.cli(&["CLUSTER", "MYID"]).trim().to_owned()
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Two Valkey primaries, one Valkey replica, and this machine as the third primary, whose vote decides.
#[test]
#[ignore = "needs a valkey-server"]
fn a_valkey_replica_is_elected_with_our_vote() {
    let base = 21_300;
    let mut peers: Vec<Peer> = (0..3).map(|i| Peer::start(base + i)).collect();
    let mut own = Shell::new(base + 3);
    own.command(ClusterCommand::SetConfigEpoch(Epoch(4)));
    for (index, peer) in peers.iter().enumerate() {
        peer.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
        let (port, bus_port) = (peer.port, peer.port + 10_000);
        own.command(ClusterCommand::Meet { ip: "127.0.0.1".to_owned(), port, bus_port });
    }
    own.until("everybody is known", 10, |s| s.cluster.topology().nodes.len() == 4 && s.cluster.link_count() == 6);
    peers[0].cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "5000"]);
    peers[1].cli(&["CLUSTER", "ADDSLOTSRANGE", "5001", "10000"]);
    own.command(ClusterCommand::AddSlots(Slot::all().skip(10_001).collect()));
    own.until("up here", 10, |s| s.cluster.topology().health.is_ok());
    let primary = peers[0].id();
    let start = Instant::now();
    while !peers[2].cli(&["CLUSTER", "REPLICATE", &primary]).starts_with("OK") {
        assert!(start.elapsed() < Duration::from_secs(10), "the replica never knew its primary");
        own.turn();
    }
    own.until("the replica is seen, with data", 10, |s| {
        let topology = s.cluster.topology();
        topology.nodes.iter().any(|n| n.primary.is_some_and(|p| p.as_str() == primary))
    });
    let settle = Instant::now();
    own.until("settled", 10, |_| settle.elapsed() > Duration::from_secs(4));
    let info = peers[1].cli(&["CLUSTER", "INFO"]);
    assert!(info.contains("cluster_state:ok") && info.contains("cluster_size:3"), "{info}");

    let replica = peers[2].id();
    peers[0].kill();
    let owner = |s: &Shell| s.cluster.topology().owner(Slot::new(0).unwrap()).map(|n| n.id.as_str().to_owned());
    own.until("the replica owns the slots", 20, |s| owner(s).as_ref() == Some(&replica));
    assert!(own.log.iter().any(|l| l.contains("Failover auth granted to")), "{}", own.log.join("\n"));
    own.until("up again", 10, |s| s.cluster.topology().health.is_ok());
    for peer in &peers[1..] {
        let nodes = peer.cli(&["CLUSTER", "NODES"]);
        let us = nodes.lines().find(|l| l.starts_with(own.cluster.id().as_str())).unwrap();
        assert!(us.contains(" master - ") && us.contains("connected 10001-16383"), "{nodes}");
        assert!(!peer_log(peer).contains("WARNING: "), "nothing of ours is unknown to it");
    }
}

/// A Valkey primary hands over to this machine in a manual failover, the machine being its replica.
#[test]
#[ignore = "needs a valkey-server"]
fn a_valkey_primary_yields_to_our_election() {
    let base = 21_320;
    let peers: Vec<Peer> = (0..2).map(|i| Peer::start(base + i)).collect();
    let mut own = Shell::new(base + 2);
    for (index, peer) in peers.iter().enumerate() {
        peer.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
        let (port, bus_port) = (peer.port, peer.port + 10_000);
        own.command(ClusterCommand::Meet { ip: "127.0.0.1".to_owned(), port, bus_port });
    }
    own.until("everybody is known", 10, |s| s.cluster.topology().nodes.len() == 3 && s.cluster.link_count() == 4);
    peers[0].cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "9999"]);
    peers[1].cli(&["CLUSTER", "ADDSLOTSRANGE", "10000", "16383"]);
    own.until("up", 10, |s| s.cluster.topology().health.is_ok());
    own.command(ClusterCommand::Replicate(peers[0].id()));
    let settle = Instant::now();
    own.until("settled", 10, |_| settle.elapsed() > Duration::from_secs(4));
    let mode = baton_cluster::FailoverMode::Force;
    own.command(ClusterCommand::Failover { mode, replica_id: None });
    own.until("elected", 5, |s| s.cluster.is_primary());
    let settle = Instant::now();
    own.until("settled", 10, |_| settle.elapsed() > Duration::from_secs(2));
    let nodes = peers[0].cli(&["CLUSTER", "NODES"]);
    let line = |id: &str| nodes.lines().find(|l| l.starts_with(id)).unwrap().to_owned();
    assert!(line(own.cluster.id().as_str()).contains("connected 0-9999"), "{nodes}");
    assert!(line(&peers[0].id()).contains(&format!("myself,slave {}", own.cluster.id())), "{nodes}");
}

fn peer_log(peer: &Peer) -> String {
    std::fs::read_to_string(peer.folder.join("log")).unwrap_or_default()
}
