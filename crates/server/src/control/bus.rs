//! Sockets of the cluster bus: listens, connects, frames, sends. Knows links and bytes, and nothing of what they mean.
//!
//! Whoever reaches the port can connect, say anything and never read. So what a connection costs is bounded here: what is
//! read in one turn, what waits to be sent in answer, and, as long as nobody knows who the peer is, how many such
//! connections there are and what all of them hold. An announced length costs nothing before its bytes arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};

use baton_cluster::{LinkFailure, LinkId};
use baton_wire::Framer;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use crate::conn::{Conn, Moved};

/// What one link is read in one turn; the rest waits for the next, so that a peer that never stops can't keep the control
/// thread from everything else.
const LINK_BYTES_A_TURN: usize = 256 << 10;
/// What all links are read in one turn.
const BYTES_A_TURN: usize = 16 << 20;
/// Connections taken in one turn.
const ACCEPTS_A_TURN: usize = 256;
/// Connections whose peer is no known node. The oldest goes for the newest: a node says who it is at once.
const STRANGERS_MAX: usize = 1024;
/// What one of them may hold: more than the largest honest MEET, which tells of 16384 nodes.
const STRANGER_BYTES_MAX: usize = 2 << 20;
/// What all of them may hold together.
const STRANGERS_BYTES_MAX: usize = 32 << 20;
/// What may wait to be sent on a link that the peer opened. Only answers go there, and an honest peer awaits few.
const ANSWERS_BYTES_MAX: usize = 4 << 20;
/// Seconds of silence after which the kernel asks whether the peer of an accepted connection is still there.
const KEEPALIVE_SECS: u64 = 30;

/// Why this side ended a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shed {
    /// What came is no bus packet, or announces a length that none has.
    BadFrame,
    /// Too many connections of unknown nodes, or these hold too much.
    Strangers,
    /// The peer asks and doesn't read the answers.
    Deaf,
}

/// What happened on a link.
pub enum BusEvent {
    /// The connection that was asked for stands.
    Opened {
        /// Which.
        link: LinkId,
        /// Our address on it.
        local_ip: String,
    },
    /// A peer connected.
    Accepted {
        /// Its link.
        link: LinkId,
        /// The peer's address.
        peer_ip: String,
        /// Our address on it.
        local_ip: String,
    },
    /// The connection can't be made.
    Failed {
        /// Which.
        link: LinkId,
        /// Why not.
        why: LinkFailure,
    },
    /// The connection ended.
    Closed {
        /// Which.
        link: LinkId,
    },
    /// This side ended the connection.
    Shed {
        /// Which.
        link: LinkId,
        /// Why.
        why: Shed,
        /// `ip:port` of the peer.
        peer: String,
    },
    /// A whole packet arrived.
    Packet {
        /// On which link.
        link: LinkId,
        /// The packet.
        bytes: Vec<u8>,
    },
}

struct BusLink {
    id: LinkId,
    conn: Conn,
    connecting: bool,
    framer: Framer,
    out: Vec<u8>,
    written: usize,
    /// What of it is in [`Strangers::bytes`]; nothing for a known node.
    counted: usize,
}

/// Connections of peers that are no known nodes.
#[derive(Default)]
struct Strangers {
    /// Their tokens, which are in the order of their coming.
    tokens: BTreeSet<usize>,
    /// What they hold.
    bytes: usize,
}

/// What reading from a link came to.
enum Reading {
    /// There is nothing more.
    Drained,
    /// There may be more, for the next turn.
    Unfinished,
    /// The peer ended the connection.
    Ended,
    /// What it sends is no traffic of the bus.
    Garbage,
}

/// All bus connections of this node.
pub struct Bus {
    listeners: Vec<TcpListener>,
    links: BTreeMap<usize, BusLink>,
    tokens: BTreeMap<LinkId, usize>,
    next_token: usize,
    accepted: u64,
    first_token: usize,
    strangers: Strangers,
    /// Links with more to read and listeners with more to accept, by token.
    unfinished: BTreeSet<usize>,
    /// What may still be read in this turn.
    budget: usize,
    read_buf: Box<[u8]>,
    /// Bytes sent so far.
    pub bytes_sent: u64,
    /// Bytes received so far.
    pub bytes_received: u64,
}

impl Bus {
    /// A bus on these listeners; its tokens begin at `first_token`.
    pub fn new(mut listeners: Vec<TcpListener>, registry: &Registry, first_token: usize) -> io::Result<Bus> {
        for (i, l) in listeners.iter_mut().enumerate() {
            registry.register(l, Token(first_token + i), Interest::READABLE)?;
        }
        let next_token = first_token + listeners.len();
        Ok(Bus {
            listeners,
            links: BTreeMap::new(),
            tokens: BTreeMap::new(),
            next_token,
            accepted: 0,
            first_token,
            strangers: Strangers::default(),
            unfinished: BTreeSet::new(),
            budget: BYTES_A_TURN,
            read_buf: vec![0; 64 * 1024].into_boxed_slice(),
            bytes_sent: 0,
            bytes_received: 0,
        })
    }

    /// Opens a connection; what becomes of it is reported by events.
    pub fn connect(&mut self, registry: &Registry, link: LinkId, ip: &str, port: u16, out: &mut Vec<BusEvent>) {
        let stream = match ip.parse::<IpAddr>() {
            Ok(ip) => TcpStream::connect(SocketAddr::new(ip, port)),
            Err(_) => Err(io::ErrorKind::InvalidInput.into()),
        };
        // A refusal on the loopback interface is known as soon as the call returns.
        let stream = stream.and_then(|stream| match stream.take_error() {
            Ok(Some(e)) => Err(e),
            _ => Ok(stream),
        });
        let stream = match stream {
            Ok(stream) => stream,
            Err(e) => {
                let refused = e.kind() == io::ErrorKind::ConnectionRefused;
                let why = if refused { LinkFailure::RefusedAtOnce } else { LinkFailure::Unreachable };
                out.push(BusEvent::Failed { link, why });
                return;
            }
        };
        if self.add(registry, link, Conn::Tcp(stream), true).is_err() {
            out.push(BusEvent::Failed { link, why: LinkFailure::Unreachable });
        }
    }

    fn add(&mut self, registry: &Registry, id: LinkId, mut conn: Conn, connecting: bool) -> io::Result<()> {
        let token = self.next_token;
        self.next_token += 1;
        conn.register(registry, Token(token))?;
        conn.tune(if id.is_inbound() { KEEPALIVE_SECS } else { 0 });
        self.tokens.insert(id, token);
        if id.is_inbound() {
            self.strangers.tokens.insert(token);
        }
        let framer = Framer::new();
        self.links.insert(token, BusLink { id, conn, connecting, framer, out: Vec::new(), written: 0, counted: 0 });
        Ok(())
    }

    /// Ends a link, if it is still there.
    pub fn close(&mut self, registry: &Registry, link: LinkId) {
        self.introduce(link);
        if let Some(mut l) = self.tokens.remove(&link).and_then(|t| self.links.remove(&t)) {
            let _ = l.conn.deregister(registry);
            l.conn.shutdown();
        }
    }

    /// Whether the peer of a link is still to say that it is a known node.
    pub fn is_stranger(&self, link: LinkId) -> bool {
        self.tokens.get(&link).is_some_and(|token| self.strangers.tokens.contains(token))
    }

    /// The peer of a link is a known node from now on.
    pub fn introduce(&mut self, link: LinkId) {
        let Some(token) = self.tokens.get(&link) else { return };
        if self.strangers.tokens.remove(token)
            && let Some(l) = self.links.get_mut(token)
        {
            self.strangers.bytes -= std::mem::take(&mut l.counted);
        }
    }

    /// Ends a connection that costs too much.
    fn shed(&mut self, registry: &Registry, token: usize, why: Shed, out: &mut Vec<BusEvent>) {
        let Some(l) = self.links.get(&token) else { return };
        let (link, peer) = (l.id, l.conn.peer(""));
        out.push(BusEvent::Shed { link, why, peer });
        self.close(registry, link);
    }

    /// Counts what a stranger holds by now, and ends connections until all that strangers hold is within bounds.
    fn limit_strangers(&mut self, registry: &Registry, token: usize, out: &mut Vec<BusEvent>) {
        if !self.strangers.tokens.contains(&token) {
            return;
        }
        if let Some(l) = self.links.get_mut(&token) {
            let held = l.framer.pending_bytes() + l.queued();
            self.strangers.bytes = self.strangers.bytes - std::mem::replace(&mut l.counted, held) + held;
            if held > STRANGER_BYTES_MAX {
                self.shed(registry, token, Shed::Strangers, out);
            }
        }
        while self.strangers.bytes > STRANGERS_BYTES_MAX {
            let held = |token: &&usize| self.links.get(token).map_or(0, |l| l.counted);
            let Some(largest) = self.strangers.tokens.iter().max_by_key(held).copied() else { return };
            self.shed(registry, largest, Shed::Strangers, out);
        }
    }

    /// Sends a packet; a link that is gone loses it. Bytes that the kernel has no room for wait.
    pub fn send(&mut self, registry: &Registry, link: LinkId, bytes: &[u8], out: &mut Vec<BusEvent>) {
        let Some(token) = self.tokens.get(&link).copied() else { return };
        let Some(l) = self.links.get_mut(&token) else { return };
        self.bytes_sent += bytes.len() as u64;
        l.out.extend_from_slice(bytes);
        if !l.connecting && !l.flush() {
            out.push(BusEvent::Closed { link });
        } else if link.is_inbound() && l.queued() > ANSWERS_BYTES_MAX {
            self.shed(registry, token, Shed::Deaf, out);
        }
        self.limit_strangers(registry, token, out);
    }

    /// Bytes that wait to be sent on a link.
    pub fn queued_bytes(&self, link: LinkId) -> u64 {
        self.tokens.get(&link).and_then(|t| self.links.get(t)).map_or(0, |l| l.queued() as u64)
    }

    /// Memory of all links.
    pub fn memory(&self) -> u64 {
        self.links.values().map(BusLink::memory).sum()
    }

    /// The links that take more memory than this.
    pub fn links_over(&self, limit_bytes: u64) -> Vec<LinkId> {
        self.links.values().filter(|l| l.memory() > limit_bytes).map(|l| l.id).collect()
    }

    /// Handles an event of the poll, if it is the bus's.
    pub fn on_event(&mut self, registry: &Registry, event: &mio::event::Event, out: &mut Vec<BusEvent>) {
        let Token(token) = event.token();
        if token >= self.first_token && token < self.first_token + self.listeners.len() {
            self.accept(registry, token - self.first_token, out);
            return;
        }
        let Some(link) = self.links.get_mut(&token) else { return };
        if link.connecting && !link.finish_connecting(event, out) {
            let id = link.id;
            self.close(registry, id);
            return;
        }
        let Some(link) = self.links.get_mut(&token) else { return };
        if link.connecting {
            return;
        }
        if event.is_writable() && !link.flush() {
            let id = link.id;
            out.push(BusEvent::Closed { link: id });
            self.close(registry, id);
            return;
        }
        let readable = event.is_readable() || event.is_read_closed() || event.is_error();
        if readable && !self.unfinished.contains(&token) {
            self.read(registry, token, out);
        }
    }

    /// Whether something is left over from this turn that no event will tell of.
    pub fn has_unfinished(&self) -> bool {
        !self.unfinished.is_empty()
    }

    /// Begins a turn: goes on with what the one before left over.
    pub fn begin_turn(&mut self, registry: &Registry, out: &mut Vec<BusEvent>) {
        self.budget = BYTES_A_TURN;
        for token in std::mem::take(&mut self.unfinished) {
            if token < self.first_token + self.listeners.len() {
                self.accept(registry, token - self.first_token, out);
            } else {
                self.read(registry, token, out);
            }
        }
    }

    fn read(&mut self, registry: &Registry, token: usize, out: &mut Vec<BusEvent>) {
        let Some(link) = self.links.get_mut(&token) else { return };
        let allowed = LINK_BYTES_A_TURN.min(self.budget);
        let (reading, bytes) = link.receive(&mut self.read_buf, allowed, out);
        self.budget = self.budget.saturating_sub(bytes);
        self.bytes_received += bytes as u64;
        match reading {
            Reading::Drained => {}
            Reading::Unfinished => _ = self.unfinished.insert(token),
            Reading::Garbage => self.shed(registry, token, Shed::BadFrame, out),
            Reading::Ended => {
                let id = link.id;
                out.push(BusEvent::Closed { link: id });
                self.close(registry, id);
            }
        }
        self.limit_strangers(registry, token, out);
    }

    fn accept(&mut self, registry: &Registry, which: usize, out: &mut Vec<BusEvent>) {
        for _ in 0..ACCEPTS_A_TURN {
            let (stream, peer) = match self.listeners[which].accept() {
                Ok(accepted) => accepted,
                // It was reset while it waited.
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(_) => return,
            };
            let local_ip = stream.local_addr().map_or_else(|_| String::new(), |a| plain_ip(a.ip()));
            let id = LinkId::inbound(self.accepted);
            self.accepted += 1;
            if self.add(registry, id, Conn::Tcp(stream), false).is_ok() {
                out.push(BusEvent::Accepted { link: id, peer_ip: plain_ip(peer.ip()), local_ip });
            }
            if self.strangers.tokens.len() > STRANGERS_MAX
                && let Some(oldest) = self.strangers.tokens.first().copied()
            {
                self.shed(registry, oldest, Shed::Strangers, out);
            }
        }
        self.unfinished.insert(self.first_token + which);
    }
}

impl BusLink {
    /// What it takes besides its receive buffer: itself, and what waits to be sent.
    fn memory(&self) -> u64 {
        (size_of::<BusLink>() + self.queued()) as u64
    }

    /// False if the connection failed; an event says so.
    fn finish_connecting(&mut self, event: &mio::event::Event, out: &mut Vec<BusEvent>) -> bool {
        let Conn::Tcp(stream) = &self.conn else { return true };
        let error = stream.take_error();
        let failed = event.is_error() || !matches!(error, Ok(None));
        if failed || (event.is_write_closed() && event.is_read_closed()) {
            let why = match error.ok().flatten().map(|e| e.kind()) {
                Some(io::ErrorKind::ConnectionRefused) => LinkFailure::Refused,
                // A listener that is closed resets what it had not accepted yet; the error may have been read by then.
                Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) | None => LinkFailure::Reset,
                Some(_) => LinkFailure::Unreachable,
            };
            out.push(BusEvent::Failed { link: self.id, why });
            return false;
        }
        match stream.peer_addr() {
            Ok(_) => {
                self.connecting = false;
                let local_ip = stream.local_addr().map_or_else(|_| String::new(), |a| plain_ip(a.ip()));
                out.push(BusEvent::Opened { link: self.id, local_ip });
                true
            }
            Err(e) if e.kind() == io::ErrorKind::NotConnected => true,
            Err(_) => {
                out.push(BusEvent::Failed { link: self.id, why: LinkFailure::Unreachable });
                false
            }
        }
    }

    /// Writes what fits. False if the link broke.
    fn flush(&mut self) -> bool {
        while self.written < self.out.len() {
            match self.conn.write(&self.out[self.written..]) {
                Moved::Bytes(n) => self.written += n,
                Moved::WouldBlock => return true,
                Moved::Closed => return false,
            }
        }
        self.out.clear();
        self.written = 0;
        true
    }

    /// Bytes that wait to be sent.
    fn queued(&self) -> usize {
        self.out.len() - self.written
    }

    /// Reads what there is, up to about so many bytes. Gives what it came to, and how many bytes came.
    fn receive(&mut self, buf: &mut [u8], allowed: usize, out: &mut Vec<BusEvent>) -> (Reading, usize) {
        let mut total = 0;
        while total < allowed {
            let n = match self.conn.read(buf) {
                Moved::Bytes(n) => n,
                Moved::WouldBlock => return (Reading::Drained, total),
                Moved::Closed => return (Reading::Ended, total),
            };
            total += n;
            self.framer.feed(&buf[..n]);
            loop {
                match self.framer.next_packet() {
                    Ok(Some(packet)) => out.push(BusEvent::Packet { link: self.id, bytes: packet.to_vec() }),
                    Ok(None) => break,
                    Err(_) => return (Reading::Garbage, total),
                }
            }
            // A short read is not the end: behind it the peer may have said goodbye, and no event will tell of that again.
        }
        (Reading::Unfinished, total)
    }
}

/// An address as nodes write it: an IPv4 address in IPv6 clothes is shown as IPv4.
fn plain_ip(ip: IpAddr) -> String {
    ip.to_canonical().to_string()
}

#[cfg(test)]
mod tests;
