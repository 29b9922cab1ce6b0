//! One transfer: connect, send the values, read what became of them. Blocking, on the thread of a mover. The keys are held,
//! so it does not matter when each of them is looked at.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use baton_rdb::DumpEncoder;
use baton_replication::command;
use baton_store::{Expiry, Value};

use super::{Order, Transferred};
use crate::shared::Shared;

pub(super) const NOT_CONNECTED: &str = "IOERR error or timeout connecting to the client";
const NOT_WRITTEN: &str = "IOERR error or timeout writing to target instance";
const NOT_READ: &str = "IOERR error or timeout reading to target instance";
/// Bytes that are sent at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// Longest line that a target may reply.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// A connection to a target.
pub(super) struct Target {
    stream: TcpStream,
    /// The database that is selected there, if that is known.
    db: Option<i64>,
    /// What was read and not yet looked at.
    received: Vec<u8>,
}

/// A connection that broke before anything was known to have arrived.
struct Broken {
    text: &'static str,
    timed_out: bool,
}

impl Broken {
    fn new(text: &'static str, error: &io::Error) -> Broken {
        Broken { text, timed_out: matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) }
    }
}

/// Sends the keys of an order. A connection that was closed meanwhile is opened once more.
pub fn run(shared: &Shared, order: &Order) -> Transferred {
    let mut may_retry = true;
    loop {
        let kept = if may_retry { shared.movers.take(&order.place()) } else { None };
        let mut target = match kept.map_or_else(|| Target::connect(order), Ok) {
            Ok(target) => target,
            // Upstream notices only when it writes that nobody is there.
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => return Transferred::failed(NOT_WRITTEN),
            Err(_) => return Transferred::failed(NOT_CONNECTED),
        };
        match target.send(shared, order) {
            Ok((transferred, whole)) => {
                if whole {
                    shared.movers.keep(order.place(), target, shared.clock.mono());
                }
                return transferred;
            }
            Err(broken) if broken.timed_out || !may_retry => return Transferred::failed(broken.text),
            Err(_) => may_retry = false,
        }
    }
}

impl Target {
    fn connect(order: &Order) -> io::Result<Target> {
        let port: u16 = order.port.parse().map_err(|_| ErrorKind::InvalidInput)?;
        let mut last = io::Error::from(ErrorKind::NotFound);
        for addr in (order.host.as_str(), port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&addr, order.timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Target { stream, db: None, received: Vec::new() });
                }
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// Sends everything and reads the replies. Tells also whether the connection is good for more.
    fn send(&mut self, shared: &Shared, order: &Order) -> Result<(Transferred, bool), Broken> {
        self.set_timeout(order.timeout).map_err(|e| Broken::new(NOT_WRITTEN, &e))?;
        let (mut bytes, greetings) = self.greeting(order);
        let mut sent: Vec<&[u8]> = Vec::new();
        let mut encoder = DumpEncoder::new(order.compress);
        for name in &order.names {
            if !push_restore(shared, order, name, &mut encoder, &mut bytes) {
                continue;
            }
            sent.push(name);
            if bytes.len() >= PIECE_BYTES {
                self.write(&bytes)?;
                bytes.clear();
            }
        }
        self.write(&bytes)?;
        let mut refused = None;
        for _ in 0..greetings {
            let reply = self.read_line().map_err(|e| Broken::new(NOT_READ, &e))?;
            refused = refused.or(error_of(&reply));
        }
        let mut transferred = Transferred::default();
        for (at, name) in sent.into_iter().enumerate() {
            let reply = match self.read_line() {
                Ok(reply) => reply,
                Err(e) => {
                    let broken = Broken::new(NOT_READ, &e);
                    if at == 0 && !broken.timed_out {
                        return Err(broken);
                    }
                    transferred.error.get_or_insert_with(|| broken.text.to_owned());
                    return Ok((transferred, false));
                }
            };
            match refused.as_ref().cloned().or_else(|| error_of(&reply)) {
                None => transferred.arrived.push(name.into()),
                Some(text) => {
                    transferred.error.get_or_insert_with(|| format!("ERR Target instance replied with error: {text}"));
                }
            }
        }
        self.db = transferred.error.is_none().then_some(order.to);
        Ok((transferred, true))
    }

    /// Requests that have to come before the keys, and how many they are.
    fn greeting(&self, order: &Order) -> (Vec<u8>, usize) {
        let (mut bytes, mut count) = (Vec::new(), 0);
        if let Some((user, password)) = &order.auth {
            let words = [Some(&b"AUTH"[..]), user.as_deref(), Some(password)];
            bytes.extend(command(&words.into_iter().flatten().collect::<Vec<_>>()));
            count += 1;
        }
        if self.db != Some(order.to) {
            bytes.extend(command(&[b"SELECT", order.to.to_string().as_bytes()]));
            count += 1;
        }
        (bytes, count)
    }

    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(timeout))?;
        self.stream.set_write_timeout(Some(timeout))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.stream.write_all(bytes).map_err(|e| Broken::new(NOT_WRITTEN, &e))
    }

    /// The next line of the target, without its end.
    fn read_line(&mut self) -> io::Result<Vec<u8>> {
        let mut piece = [0; 4096];
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.received.drain(..=end).collect();
                line.truncate(line.trim_ascii_end().len());
                return Ok(line);
            }
            if self.received.len() > LINE_BYTES_MAX {
                return Err(ErrorKind::InvalidData.into());
            }
            match self.stream.read(&mut piece)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                n => self.received.extend_from_slice(&piece[..n]),
            }
        }
    }
}

/// The text of an error reply.
fn error_of(reply: &[u8]) -> Option<String> {
    reply.strip_prefix(b"-").map(|text| String::from_utf8_lossy(text).into_owned())
}

/// Appends the request that makes a key on the target; false if the key is gone.
fn push_restore(shared: &Shared, order: &Order, name: &[u8], encoder: &mut DumpEncoder, out: &mut Vec<u8>) -> bool {
    let (key, now) = (shared.store.key(name), shared.clock.wall());
    let mut payload = Vec::new();
    let mut view = shared.store.view(key.slot, order.from, now, Expiry::Hide);
    let Some(entry) = view.peek(&key) else { return false };
    let expire_at = entry.expire_at;
    // A collection is copied at no cost and written out when its slot is free for others again.
    let collection = match entry.value {
        Value::Str(_) => {
            encoder.encode(entry.value, &mut payload);
            None
        }
        value => value.to_collection(),
    };
    drop(view);
    if let Some(collection) = collection {
        encoder.encode(collection.as_value(), &mut payload);
    }
    let ttl_ms = expire_at.map_or(0, |at| at.0.saturating_sub(now.0).max(1)).to_string();
    let verb: &[u8] = if order.asking { b"RESTORE-ASKING" } else { b"RESTORE" };
    let words = [verb, name, ttl_ms.as_bytes(), &payload, b"REPLACE"];
    out.extend(command(&words[..if order.replace { 5 } else { 4 }]));
    true
}
