//! A byte stream to a peer: TCP or unix socket, non-blocking, behind one type.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::{SockRef, TcpKeepalive};

/// One connection.
#[derive(Debug)]
pub enum Conn {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

/// Outcome of a read or write that may not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// This many bytes, at least one.
    Bytes(usize),
    /// The kernel has none, or no room, now.
    WouldBlock,
    /// The peer is gone.
    Closed,
}

impl Conn {
    /// Reads what is there.
    pub fn read(&mut self, buf: &mut [u8]) -> Moved {
        loop {
            let got = match self {
                Conn::Tcp(s) => s.read(buf),
                Conn::Unix(s) => s.read(buf),
            };
            if let Some(moved) = outcome(got) {
                return moved;
            }
        }
    }

    /// Writes what fits.
    pub fn write(&mut self, buf: &[u8]) -> Moved {
        loop {
            let got = match self {
                Conn::Tcp(s) => s.write(buf),
                Conn::Unix(s) => s.write(buf),
            };
            if let Some(moved) = outcome(got) {
                return moved;
            }
        }
    }

    /// Registers for both directions; events are edges.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self {
            Conn::Tcp(s) => registry.register(s, token, both),
            Conn::Unix(s) => registry.register(s, token, both),
        }
    }

    /// Ends the registration, so that another thread may take the connection over.
    pub fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Conn::Tcp(s) => registry.deregister(s),
            Conn::Unix(s) => registry.deregister(s),
        }
    }

    /// Switches off delays and on keep-alive probes, where the transport has them. Failing is harmless.
    pub fn tune(&self, keepalive_secs: u64) {
        if let Conn::Tcp(s) = self {
            let _ = s.set_nodelay(true);
            if keepalive_secs > 0 {
                let probe = Duration::from_secs(keepalive_secs);
                let ka = TcpKeepalive::new().with_time(probe).with_interval(probe / 3);
                let _ = SockRef::from(s).set_tcp_keepalive(&ka);
            }
        }
    }

    /// Sends small packets at once, or gathers them. Failing is harmless.
    pub fn set_nodelay(&self, on: bool) {
        if let Conn::Tcp(s) = self {
            let _ = s.set_nodelay(on);
        }
    }

    /// `ip:port` of the peer, or `path:0` for a unix socket.
    pub fn peer(&self, unix_path: &str) -> String {
        match self {
            Conn::Tcp(s) => s.peer_addr().map_or_else(|_| "?:0".into(), |a| a.to_string()),
            Conn::Unix(_) => format!("{unix_path}:0"),
        }
    }

    /// `ip:port` of our side, or `path:0` for a unix socket.
    pub fn local(&self, unix_path: &str) -> String {
        match self {
            Conn::Tcp(s) => s.local_addr().map_or_else(|_| "?:0".into(), |a| a.to_string()),
            Conn::Unix(_) => format!("{unix_path}:0"),
        }
    }

    /// Whether it is a unix socket.
    pub fn is_unix(&self) -> bool {
        matches!(self, Conn::Unix(_))
    }

    /// Its descriptor number, for display.
    pub fn fd(&self) -> i64 {
        i64::from(self.as_fd().as_raw_fd())
    }

    /// Ends both directions at once; the peer sees it even if a copy of the descriptor lives on.
    pub fn shutdown(&self) {
        let _ = match self {
            Conn::Tcp(s) => s.shutdown(std::net::Shutdown::Both),
            Conn::Unix(s) => s.shutdown(std::net::Shutdown::Both),
        };
    }
}

impl AsFd for Conn {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Conn::Tcp(s) => s.as_fd(),
            Conn::Unix(s) => s.as_fd(),
        }
    }
}

/// None asks for another try.
fn outcome(result: io::Result<usize>) -> Option<Moved> {
    match result {
        Ok(0) => Some(Moved::Closed),
        Ok(n) => Some(Moved::Bytes(n)),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Some(Moved::WouldBlock),
        Err(e) if e.kind() == io::ErrorKind::Interrupted => None,
        Err(_) => Some(Moved::Closed),
    }
}
