//! Sockets of the cluster bus: listens, connects, frames, sends. Knows links and bytes, and nothing of what they mean.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

use baton_cluster::{LinkFailure, LinkId};
use baton_wire::Framer;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use crate::conn::{Conn, Moved};

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
}

/// All bus connections of this node.
pub struct Bus {
    listeners: Vec<TcpListener>,
    links: BTreeMap<usize, BusLink>,
    tokens: BTreeMap<LinkId, usize>,
    next_token: usize,
    accepted: u64,
    first_token: usize,
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
        conn.tune(0);
        self.tokens.insert(id, token);
        let framer = Framer::new();
        self.links.insert(token, BusLink { id, conn, connecting, framer, out: Vec::new(), written: 0 });
        Ok(())
    }

    /// Ends a link, if it is still there.
    pub fn close(&mut self, registry: &Registry, link: LinkId) {
        if let Some(mut l) = self.tokens.remove(&link).and_then(|t| self.links.remove(&t)) {
            let _ = l.conn.deregister(registry);
            l.conn.shutdown();
        }
    }

    /// Sends a packet; a link that is gone loses it. Bytes that the kernel has no room for wait.
    pub fn send(&mut self, link: LinkId, bytes: &[u8], out: &mut Vec<BusEvent>) {
        let Some(l) = self.tokens.get(&link).and_then(|t| self.links.get_mut(t)) else { return };
        self.bytes_sent += bytes.len() as u64;
        l.out.extend_from_slice(bytes);
        if !l.connecting && !l.flush() {
            out.push(BusEvent::Closed { link });
        }
    }

    /// Bytes that wait to be sent on a link.
    pub fn queued_bytes(&self, link: LinkId) -> u64 {
        self.tokens.get(&link).and_then(|t| self.links.get(t)).map_or(0, |l| (l.out.len() - l.written) as u64)
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
        let mut alive = !event.is_writable() || link.flush();
        if alive && (event.is_readable() || event.is_read_closed() || event.is_error()) {
            let (still, bytes) = link.receive(&mut self.read_buf, out);
            alive = still;
            self.bytes_received += bytes;
        }
        if !alive {
            let id = link.id;
            out.push(BusEvent::Closed { link: id });
            self.close(registry, id);
        }
    }

    fn accept(&mut self, registry: &Registry, which: usize, out: &mut Vec<BusEvent>) {
        // Bounded, so that a storm of connections can't keep the control thread from everything else.
        for _ in 0..256 {
            let Ok((stream, peer)) = self.listeners[which].accept() else { return };
            let local_ip = stream.local_addr().map_or_else(|_| String::new(), |a| plain_ip(a.ip()));
            let id = LinkId::inbound(self.accepted);
            self.accepted += 1;
            if self.add(registry, id, Conn::Tcp(stream), false).is_ok() {
                out.push(BusEvent::Accepted { link: id, peer_ip: plain_ip(peer.ip()), local_ip });
            }
        }
    }
}

impl BusLink {
    /// What it takes besides its receive buffer: itself, and what waits to be sent.
    fn memory(&self) -> u64 {
        (size_of::<BusLink>() + self.out.len() - self.written) as u64
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

    /// Reads everything there is. Gives whether the link lives on, and how many bytes came.
    fn receive(&mut self, buf: &mut [u8], out: &mut Vec<BusEvent>) -> (bool, u64) {
        let mut total = 0;
        loop {
            let n = match self.conn.read(buf) {
                Moved::Bytes(n) => n,
                Moved::WouldBlock => return (true, total),
                Moved::Closed => return (false, total),
            };
            total += n as u64;
            self.framer.feed(&buf[..n]);
            loop {
                match self.framer.next_packet() {
                    Ok(Some(packet)) => out.push(BusEvent::Packet { link: self.id, bytes: packet.to_vec() }),
                    Ok(None) => break,
                    Err(_) => return (false, total),
                }
            }
            if n < buf.len() {
                return (true, total);
            }
        }
    }
}

/// An address as nodes write it: an IPv4 address in IPv6 clothes is shown as IPv4.
fn plain_ip(ip: IpAddr) -> String {
    ip.to_canonical().to_string()
}
