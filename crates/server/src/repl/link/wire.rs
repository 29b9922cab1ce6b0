//! The connection to the primary: resolve, connect without waiting, read, write. One address after the other is tried.
//! Knows nothing of what is said on it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use baton_base::Mono;
use baton_replication::link::ConnId;
use mio::net::TcpStream;
use mio::{Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

use crate::clients::{ClientFlags, ClientMeta};
use crate::conn::{Conn, Moved};
use crate::shared::Shared;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its name is being resolved.
    Resolving,
    /// It is being made.
    Connecting,
    /// It stands.
    Open,
}

/// Why a connection could not be made.
pub(super) struct NotConnected {
    /// In the words of the system.
    pub(super) reason: String,
    /// Nobody listens there.
    pub(super) refused: bool,
}

impl NotConnected {
    fn of(e: &io::Error) -> NotConnected {
        NotConnected { reason: words(e), refused: e.kind() == io::ErrorKind::ConnectionRefused }
    }
}

/// One connection to a primary.
pub(super) struct Wire {
    /// Its name in the link machine.
    pub(super) id: ConnId,
    /// How far it is.
    pub(super) phase: Phase,
    /// The kernel may have bytes.
    pub(super) readable: bool,
    /// Its face in CLIENT LIST, while the stream flows.
    pub(super) meta: Option<Arc<ClientMeta>>,
    conn: Option<Conn>,
    /// Addresses not tried yet, the next one last.
    addrs: Vec<SocketAddr>,
    bind: Option<IpAddr>,
    out: Vec<u8>,
    written: usize,
}

impl Wire {
    /// A connection whose addresses are not known yet.
    pub(super) fn new(id: ConnId, bind: Option<IpAddr>) -> Wire {
        Wire {
            id,
            phase: Phase::Resolving,
            readable: false,
            meta: None,
            conn: None,
            addrs: Vec::new(),
            bind,
            out: Vec::new(),
            written: 0,
        }
    }

    /// Begins to connect to the first of these addresses that can be tried.
    pub(super) fn connect(&mut self, mut addrs: Vec<SocketAddr>, registry: &Registry) -> Result<(), NotConnected> {
        addrs.reverse();
        self.addrs = addrs;
        self.try_next(registry, NotConnected { reason: "no address".into(), refused: false })
    }

    fn try_next(&mut self, registry: &Registry, mut why: NotConnected) -> Result<(), NotConnected> {
        self.phase = Phase::Connecting;
        while let Some(addr) = self.addrs.pop() {
            match open(addr, self.bind).and_then(|conn| self.register(conn, registry)) {
                Ok(()) => return Ok(()),
                Err(e) => why = NotConnected::of(&e),
            }
        }
        Err(why)
    }

    fn register(&mut self, mut conn: Conn, registry: &Registry) -> io::Result<()> {
        conn.register(registry, self.token())?;
        self.conn = Some(conn);
        Ok(())
    }

    /// The token of its events.
    pub(super) fn token(&self) -> Token {
        Token(self.id.0 as usize)
    }

    /// An event says that connecting ended. True if the connection stands, false if another address is being tried.
    pub(super) fn finish_connect(&mut self, registry: &Registry) -> Result<bool, NotConnected> {
        let Some(Conn::Tcp(stream)) = &mut self.conn else { return Ok(false) };
        let trouble = match stream.take_error() {
            Ok(None) => match stream.peer_addr() {
                Ok(_) => None,
                Err(e) if e.kind() == io::ErrorKind::NotConnected => return Ok(false),
                Err(e) => Some(e),
            },
            Ok(Some(e)) | Err(e) => Some(e),
        };
        let Some(e) = trouble else {
            let _ = stream.set_nodelay(true);
            self.phase = Phase::Open;
            self.readable = true;
            return Ok(true);
        };
        self.close(registry);
        self.try_next(registry, NotConnected::of(&e)).map(|()| false)
    }

    /// Reads what is there; nothing while it does not stand.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> Moved {
        match &mut self.conn {
            Some(conn) if self.phase == Phase::Open => conn.read(buf),
            _ => Moved::WouldBlock,
        }
    }

    /// Queues bytes and writes what fits. A broken connection shows when it is read.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.flush();
    }

    /// Writes what fits of what waits.
    pub(super) fn flush(&mut self) {
        let Some(conn) = &mut self.conn else { return };
        while self.written < self.out.len() {
            match conn.write(&self.out[self.written..]) {
                Moved::Bytes(n) => self.written += n,
                Moved::WouldBlock => return,
                Moved::Closed => break,
            }
        }
        self.out.clear();
        self.written = 0;
    }

    /// Makes it appear in CLIENT LIST.
    pub(super) fn show(&mut self, shared: &Shared, now: Mono) {
        let Some(conn) = &self.conn else { return };
        let meta = shared.clients.add(conn.peer(""), conn.local(""), conn.fd(), false, now);
        meta.set_flags(ClientFlags::PRIMARY, true);
        self.meta = Some(meta);
    }

    /// Counts received bytes where others see it.
    pub(super) fn count_read(&self, n: usize, now: Mono) {
        if let Some(meta) = &self.meta {
            meta.net_in.fetch_add(n as u64, Ordering::Relaxed);
            meta.last_active_us.store(now.as_micros(), Ordering::Relaxed);
        }
    }

    /// Ends it.
    pub(super) fn end(mut self, shared: &Shared, registry: &Registry) {
        self.close(registry);
        if let Some(meta) = self.meta {
            shared.clients.remove(meta.id);
        }
    }

    fn close(&mut self, registry: &Registry) {
        if let Some(mut conn) = self.conn.take() {
            let _ = conn.deregister(registry);
            conn.shutdown();
        }
    }
}

/// Begins to connect.
fn open(addr: SocketAddr, bind: Option<IpAddr>) -> io::Result<Conn> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(ip) = bind {
        socket.bind(&SocketAddr::new(ip, 0).into())?;
    }
    match socket.connect(&addr.into()) {
        Ok(()) => {}
        Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(e) => return Err(e),
    }
    Ok(Conn::Tcp(TcpStream::from_std(socket.into())))
}

/// The system's words for an error, as upstream logs them: without the number behind them.
fn words(e: &io::Error) -> String {
    let text = e.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
