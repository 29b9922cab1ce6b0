//! One blocking connection: sends commands, waits for replies, each wait bounded by a time that the caller sets. Must
//! never repeat a command by itself: only the caller knows whether that is safe.

use crate::{Decoder, Endpoint, Error, Reply};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Push messages kept while nobody takes them; the oldest go first.
const PUSHES_MAX: usize = 1024;
/// Bytes read from the socket at once.
const READ_BYTES: usize = 64 * 1024;
/// The shortest wait a socket can be told; zero would mean "for ever".
const WAIT_MIN: Duration = Duration::from_micros(1);

/// Who connects, in which protocol and to which database. The default says nothing: RESP2, no password, database 0.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// User name; without it a password is that of the default user.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Vec<u8>>,
    /// Speak RESP3.
    pub resp3: bool,
    /// Database to select.
    pub database: u32,
    /// Announce that this client understands `REDIRECT`. Servers that don't know it are not minded.
    pub redirect: bool,
}

/// A connection to one server.
#[derive(Debug)]
pub struct Connection {
    endpoint: Endpoint,
    stream: Stream,
    decoder: Decoder,
    pushes: VecDeque<Vec<Reply>>,
    /// Longest wait for one reply; `None` waits for ever.
    reply_timeout: Option<Duration>,
    read_buffer: Box<[u8]>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Connection {
    /// Connects, trying every address that the host name has. `reply_timeout` bounds each later wait for a reply.
    pub fn open(
        endpoint: &Endpoint,
        connect_timeout: Duration,
        reply_timeout: Option<Duration>,
    ) -> Result<Self, Error> {
        let stream = Stream::open(endpoint, connect_timeout)
            .map_err(|source| Error::Connect { endpoint: endpoint.clone(), source })?;
        Ok(Connection {
            endpoint: endpoint.clone(),
            stream,
            decoder: Decoder::new(),
            pushes: VecDeque::new(),
            reply_timeout,
            read_buffer: vec![0; READ_BYTES].into_boxed_slice(),
        })
    }

    /// Authenticates, chooses protocol and database.
    pub fn log_in(&mut self, login: &Login) -> Result<(), Error> {
        let user = login.user.as_deref().unwrap_or("default").as_bytes();
        if login.resp3 {
            let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
            if let Some(password) = &login.password {
                hello.extend([b"AUTH".as_slice(), user, password]);
            }
            self.demand("HELLO", &hello)?;
        } else if let Some(password) = &login.password {
            // The two-word form is understood by every version there is.
            match &login.user {
                Some(_) => self.demand("AUTH", &[b"AUTH", user, password])?,
                None => self.demand("AUTH", &[b"AUTH".as_slice(), password])?,
            }
        }
        if login.redirect {
            self.query(&["CLIENT", "CAPA", "redirect"])?;
        }
        if login.database != 0 {
            self.demand("SELECT", &[b"SELECT".as_slice(), login.database.to_string().as_bytes()])?;
        }
        Ok(())
    }

    /// Where it leads.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Changes the longest wait for a reply.
    pub fn set_reply_timeout(&mut self, timeout: Option<Duration>) {
        self.reply_timeout = timeout;
    }

    /// Sends one command and waits for its reply. Push messages that come in between are kept for
    /// [`take_push`](Self::take_push).
    pub fn query(&mut self, args: &[impl AsRef<[u8]>]) -> Result<Reply, Error> {
        self.send(args)?;
        self.receive_reply()
    }

    /// Waits for the next reply, keeping push messages that come before it.
    pub fn receive_reply(&mut self) -> Result<Reply, Error> {
        loop {
            match self.receive()? {
                Reply::Push(message) => self.keep_push(message),
                reply => return Ok(reply),
            }
        }
    }

    /// Sends one command without waiting.
    pub fn send(&mut self, args: &[impl AsRef<[u8]>]) -> Result<(), Error> {
        let mut bytes = Vec::new();
        encode(args, &mut bytes);
        self.send_raw(&bytes)
    }

    /// Sends bytes as they are: several encoded commands at once, or deliberate nonsense.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream.set_write_timeout(self.reply_timeout).map_err(Error::Io)?;
        self.stream.write_all(bytes).map_err(|e| self.broken(e))
    }

    /// Waits for the next reply or push message.
    pub fn receive(&mut self) -> Result<Reply, Error> {
        let started = Instant::now();
        loop {
            if let Some(reply) = self.decoder.poll()? {
                return Ok(reply);
            }
            let left = match self.reply_timeout {
                None => None,
                Some(limit) => match limit.checked_sub(started.elapsed()) {
                    None => return Err(Error::TimedOut { after: limit }),
                    Some(left) => Some(left.max(WAIT_MIN)),
                },
            };
            self.stream.set_read_timeout(left).map_err(Error::Io)?;
            match self.stream.read(&mut self.read_buffer) {
                Ok(0) => return Err(Error::Closed),
                Ok(n) => self.decoder.feed(&self.read_buffer[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(self.broken(e)),
            }
        }
    }

    /// The oldest push message that came while waiting for replies.
    pub fn take_push(&mut self) -> Option<Vec<Reply>> {
        self.pushes.pop_front()
    }

    /// Whether the other side has closed or broken the connection while it was idle. A command sent now would be lost,
    /// so who keeps connections for later asks first.
    pub fn is_gone(&self) -> bool {
        self.stream.is_gone()
    }

    fn keep_push(&mut self, message: Vec<Reply>) {
        if self.pushes.len() == PUSHES_MAX {
            self.pushes.pop_front();
        }
        self.pushes.push_back(message);
    }

    fn demand(&mut self, command: &'static str, args: &[&[u8]]) -> Result<(), Error> {
        match self.query(args)? {
            Reply::Error(reply) => Err(Error::Login { endpoint: self.endpoint.clone(), command, reply }),
            _ => Ok(()),
        }
    }

    fn broken(&self, error: io::Error) -> Error {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                Error::TimedOut { after: self.reply_timeout.unwrap_or_default() }
            }
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => Error::Closed,
            _ => Error::Io(error),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        match &self.stream {
            Stream::Tcp(s) => drop(s.shutdown(Shutdown::Both)),
            Stream::Unix(s) => drop(s.shutdown(Shutdown::Both)),
        }
    }
}

impl Stream {
    fn open(endpoint: &Endpoint, timeout: Duration) -> io::Result<Self> {
        let (host, port) = match endpoint {
            Endpoint::Unix(path) => return UnixStream::connect(path).map(Stream::Unix),
            Endpoint::Tcp { host, port } => (host.as_str(), *port),
        };
        let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, timeout.max(WAIT_MIN)) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Stream::Tcp(stream));
                }
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Stream::Tcp(s) => s.set_read_timeout(timeout),
            Stream::Unix(s) => s.set_read_timeout(timeout),
        }
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(|t| t.max(WAIT_MIN));
        match self {
            Stream::Tcp(s) => s.set_write_timeout(timeout),
            Stream::Unix(s) => s.set_write_timeout(timeout),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(s) => s.read(buffer),
            Stream::Unix(s) => s.read(buffer),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Tcp(s) => s.write_all(bytes),
            Stream::Unix(s) => s.write_all(bytes),
        }
    }

    fn is_gone(&self) -> bool {
        // The standard library can look at waiting bytes only on TCP; on a unix socket the next command finds out.
        let Stream::Tcp(stream) = self else { return false };
        if stream.set_nonblocking(true).is_err() {
            return true;
        }
        let seen = stream.peek(&mut [0]);
        let restored = stream.set_nonblocking(false).is_ok();
        match seen {
            Ok(0) => true,
            Ok(_) => !restored,
            Err(e) => e.kind() != ErrorKind::WouldBlock || !restored,
        }
    }
}

/// Appends one command as an array of bulk strings.
pub(crate) fn encode(args: &[impl AsRef<[u8]>], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}
