//! Where clients connect: the sockets of `bind`, `port` and `unixsocket`, opened at the start and again when CONFIG SET
//! changes them. Accepting from them is the keeper's part.

use std::io;
use std::net::ToSocketAddrs;

use baton_config::{Id, Settings};
use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};

use crate::conn::Conn;
use crate::log::Log;
use crate::start::StartError;

/// The token of the unix socket; TCP listeners have their number.
const UNIX: Token = Token(usize::MAX - 1);

/// The open listeners, and the poll of the thread that accepts from them.
pub struct Listeners {
    registry: Registry,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    tcp: Vec<TcpListener>,
    unix: Option<UnixListener>,
}

impl Listeners {
    /// Opens what the settings name.
    pub fn open(settings: &Settings, registry: Registry, log: &Log) -> Result<Listeners, StartError> {
        let mut tcp = listen_clients(settings, log)?;
        register_all(&registry, &mut tcp)?;
        let mut unix = listen_unix(settings)?;
        if let Some(listener) = &mut unix {
            registry.register(listener, UNIX, Interest::READABLE)?;
        }
        Ok(Listeners { registry, open: Mutex::new(Open { tcp, unix }) })
    }

    /// Takes one waiting connection of the listener with this token. None if it is closed by now.
    pub fn accept(&self, token: Token) -> Option<io::Result<Conn>> {
        let open = self.open.lock();
        if token == UNIX {
            return open.unix.as_ref().map(|l| l.accept().map(|(s, _)| Conn::Unix(s)));
        }
        open.tcp.get(token.0).map(|l| l.accept().map(|(s, _)| Conn::Tcp(s)))
    }

    /// Closes the TCP listeners and opens those of the new settings; on failure those of the old ones are opened again.
    pub fn rebind(&self, old: &Settings, new: &Settings, log: &Log) -> Result<(), StartError> {
        let mut open = self.open.lock();
        self.replace(&mut open, new, log).inspect_err(|_| {
            if let Err(e) = self.replace(&mut open, old, log) {
                log.warning(&format!("Failed to listen again where it was before: {e}"));
            }
        })
    }

    fn replace(&self, open: &mut Open, settings: &Settings, log: &Log) -> Result<(), StartError> {
        // The old ones go first: an address that stays can't be bound twice.
        open.tcp.clear();
        let mut tcp = listen_clients(settings, log)?;
        register_all(&self.registry, &mut tcp)?;
        open.tcp = tcp;
        Ok(())
    }

    /// Closes everything: nobody can connect any more.
    pub fn close(&self) {
        *self.open.lock() = Open::default();
    }
}

fn register_all(registry: &Registry, listeners: &mut [TcpListener]) -> io::Result<()> {
    for (i, listener) in listeners.iter_mut().enumerate() {
        registry.register(listener, Token(i), Interest::READABLE)?;
    }
    Ok(())
}

fn listen_clients(settings: &Settings, log: &Log) -> Result<Vec<TcpListener>, StartError> {
    match settings.port() {
        0 => Ok(Vec::new()),
        port => listen_tcp(settings, port, settings.int(Id::TcpBacklog) as i32, log),
    }
}

fn listen_unix(settings: &Settings) -> Result<Option<UnixListener>, StartError> {
    let path = settings.text(Id::UnixSocket);
    if path.is_empty() {
        return Ok(None);
    }
    // A socket file that an earlier process left behind would make binding fail.
    let _ = std::fs::remove_file(path);
    let listener =
        UnixListener::bind(path).map_err(|e| StartError(format!("Failed opening Unix socket: bind: {e}")))?;
    let mode = settings.int(Id::UnixSocketPerm);
    if mode > 0 {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode as u32))?;
    }
    Ok(Some(listener))
}

/// Listens on every address of `bind`, nowhere if there is none. An address marked with `-` may be missing on this machine.
pub fn listen_tcp(settings: &Settings, port: u16, backlog: i32, log: &Log) -> Result<Vec<TcpListener>, StartError> {
    let failed = || {
        let text = format!("Failed listening on port {port} (tcp), aborting.");
        log.warning(&text);
        StartError(text)
    };
    let mut out = Vec::new();
    for name in settings.bind() {
        let (optional, host) = match name.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, &**name),
        };
        let host = match host {
            "*" => "0.0.0.0",
            "::*" => "::",
            h => h,
        };
        match bind_one(host, port, backlog) {
            Ok(listener) => out.push(listener),
            Err(e) if optional && e.kind() != io::ErrorKind::AddrInUse => {}
            Err(e) => {
                let e = text_of(&e);
                log.warning(&format!("Warning: Could not create server TCP listening socket {name}:{port}: bind: {e}"));
                return Err(failed());
            }
        }
    }
    if out.is_empty() && !settings.bind().is_empty() { Err(failed()) } else { Ok(out) }
}

/// An error of the system in its own words, without the number that Rust adds.
pub(crate) fn text_of(e: &io::Error) -> String {
    let text = e.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(words, _)| words.to_owned())
}

fn bind_one(host: &str, port: u16, backlog: i32) -> io::Result<TcpListener> {
    let addr = (host, port).to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(backlog)?;
    Ok(TcpListener::from_std(socket.into()))
}
