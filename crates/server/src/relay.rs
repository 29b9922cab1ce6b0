//! Carrying a connection on to the node that serves now, outside of clusters. A client that listens is told to go there and
//! goes, but some libraries first want answers to what they have sent, and fail it when the connection ends instead. So what
//! waited, and whatever else comes until the client leaves, is passed to the new primary, and its replies back, byte by byte.
//!
//! Nothing is executed here, looked at, or sent twice: whoever can't be carried, or whose new primary can't be reached, loses
//! the connection with its requests unexecuted. Each connection has a thread of its own for as long as it is carried, which is
//! bounded, as is their number.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use baton_config::Id;
use baton_replication::command;
use baton_resp::{Reply, decode};
use mio::{Events, Poll, Token};

use crate::clients::ClientMeta;
use crate::conn::{Conn, Moved};
use crate::notices::MOVING_SECONDS;
use crate::shared::Shared;
use crate::worker::client::{Client, ReplyMode};
use crate::world::Role;

/// Connections that are carried at a time; the others end.
const CARRIED_MAX: usize = 256;
/// Longest wait for the connection to the new primary, and for each of its first replies.
const STEP_MAX: Duration = Duration::from_secs(1);
/// How long a connection is carried: as long as clients are told to keep to the other address.
const CARRY_MAX: Duration = Duration::from_secs(MOVING_SECONDS);
/// How often a connection without traffic is looked at for having to end.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Replies to the requests that make the new connection like the old one.
const GREETING_BYTES_MAX: usize = 64 * 1024;
const BUFFER_BYTES: usize = 64 * 1024;

/// Whether nothing of this connection's state would get lost on the way. It is carried with the credentials of replication, so one
/// that may not do everything here is not carried: it might get more there.
pub fn can_carry(client: &Client) -> bool {
    client.who.is_free
        && client.transaction.is_none()
        && client.watches.is_none()
        && client.subscriptions.is_none()
        && client.held.is_empty()
        && client.reply_mode == ReplyMode::On
}

/// One carried connection; it ends when this does.
struct Carried {
    shared: Arc<Shared>,
    conn: Conn,
    meta: Arc<ClientMeta>,
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.conn.shutdown();
        self.shared.clients.remove(self.meta.id);
        self.shared.carried.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes a connection from its worker. Requests that were not executed are in its input.
pub fn hand_over(shared: &Arc<Shared>, client: Client) {
    let Client { conn, meta, out, written, input, db, .. } = client;
    let others = shared.carried.fetch_add(1, Ordering::Relaxed);
    let carried = Carried { shared: Arc::clone(shared), conn, meta };
    let Role::Replica { host, port } = shared.world.peek().role.clone() else { return };
    if others >= CARRIED_MAX {
        return;
    }
    let (replies, version) = (out.buf[written..].to_vec(), out.proto.number());
    let work = move || {
        let greeting = greeting(&carried, version, db.0);
        // A client that loses its connection here has got no reply to anything that it might repeat.
        if let Ok(primary) = open(&host, port, &greeting) {
            let _ = pass_on(carried, primary, input, replies);
        }
    };
    // Without a thread the connection ends as the closure is dropped.
    let _ = std::thread::Builder::new().name("baton-relay".into()).spawn(work);
}

/// Requests that make a fresh connection like this client's.
fn greeting(carried: &Carried, version: i64, db: u32) -> Vec<Vec<u8>> {
    let settings = Arc::clone(&carried.shared.world.peek().settings);
    let (user, password) = (settings.text(Id::PrimaryUser), settings.bytes(Id::PrimaryAuth));
    let (version, db) = (version.to_string(), db.to_string());
    let name = carried.meta.labels.lock().name.clone();
    let mut hello: Vec<&[u8]> = vec![b"HELLO", version.as_bytes()];
    if !password.is_empty() {
        let user = if user.is_empty() { "default" } else { user };
        hello.extend([&b"AUTH"[..], user.as_bytes(), password]);
    }
    let mut requests = vec![command(&hello), command(&[b"SELECT", db.as_bytes()])];
    if !name.is_empty() {
        requests.push(command(&[b"CLIENT", b"SETNAME", name.as_bytes()]));
    }
    requests
}

fn open(host: &str, port: u16, greeting: &[Vec<u8>]) -> io::Result<TcpStream> {
    let addr = (host, port).to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no address"))?;
    let mut stream = TcpStream::connect_timeout(&addr, STEP_MAX)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(STEP_MAX))?;
    stream.set_write_timeout(Some(STEP_MAX))?;
    stream.write_all(&greeting.concat())?;
    let mut received = Vec::new();
    for _ in greeting {
        let (reply, length) = read_reply(&mut stream, &mut received)?;
        if let Reply::Error(text) = reply {
            return Err(io::Error::other(String::from_utf8_lossy(&text).into_owned()));
        }
        received.drain(..length);
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}

fn read_reply(stream: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<(Reply, usize)> {
    let mut piece = [0; 4096];
    loop {
        match decode(received) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) if received.len() < GREETING_BYTES_MAX => {}
            _ => return Err(ErrorKind::InvalidData.into()),
        }
        let n = stream.read(&mut piece)?;
        if n == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        received.extend_from_slice(&piece[..n]);
    }
}

/// Passes bytes on in both directions until either side leaves or the time is over.
fn pass_on(mut carried: Carried, primary: TcpStream, requests: Vec<u8>, replies: Vec<u8>) -> io::Result<()> {
    let mut primary = Conn::Tcp(mio::net::TcpStream::from_std(primary));
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(8));
    carried.conn.register(poll.registry(), Token(0))?;
    primary.register(poll.registry(), Token(1))?;
    let mut there = Way { waiting: requests, sent: 0 };
    let mut back = Way { waiting: replies, sent: 0 };
    let end = Instant::now() + CARRY_MAX;
    loop {
        let moved = there.advance(&mut carried.conn, &mut primary)? | back.advance(&mut primary, &mut carried.conn)?;
        let killed = carried.meta.doomed.load(Ordering::Acquire);
        // Who became primary here again must not send anybody away.
        let serves = carried.shared.world.peek().notices.moved().is_none();
        if killed || serves || Instant::now() >= end {
            return Ok(());
        }
        if !moved {
            match poll.poll(&mut events, Some(LOOK_EVERY)) {
                Err(e) if e.kind() != ErrorKind::Interrupted => return Err(e),
                _ => {}
            }
        }
    }
}

/// One direction: what was read from one side and not yet written to the other.
struct Way {
    waiting: Vec<u8>,
    sent: usize,
}

impl Way {
    /// Writes what waits; once nothing does, reads more. Tells whether anything moved: only if not, an event is to come.
    fn advance(&mut self, from: &mut Conn, to: &mut Conn) -> io::Result<bool> {
        if self.sent == self.waiting.len() {
            self.waiting.resize(BUFFER_BYTES, 0);
            self.sent = 0;
            let moved = from.read(&mut self.waiting);
            self.waiting.truncate(if let Moved::Bytes(n) = moved { n } else { 0 });
            return told(moved).map(|n| n > 0);
        }
        let n = told(to.write(&self.waiting[self.sent..]))?;
        self.sent += n;
        Ok(n > 0)
    }
}

/// How many bytes moved; an error if the peer is gone.
fn told(moved: Moved) -> io::Result<usize> {
    match moved {
        Moved::Bytes(n) => Ok(n),
        Moved::WouldBlock => Ok(0),
        Moved::Closed => Err(ErrorKind::ConnectionAborted.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn pair() -> (Conn, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Conn::Unix(mio::net::UnixStream::from_std(ours)), theirs)
    }

    #[test]
    fn bytes_pass_in_order_however_slowly_they_are_taken() {
        let (mut from, mut client) = pair();
        let (mut to, mut primary) = pair();
        let sent: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        let mut way = Way { waiting: sent[..10].to_vec(), sent: 0 };
        let rest = sent[10..].to_vec();
        let writer = std::thread::spawn(move || client.write_all(&rest));
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            primary.read_to_end(&mut got).map(|_| got)
        });
        while way.advance(&mut from, &mut to).is_ok() {}
        drop(to);
        writer.join().unwrap().unwrap();
        assert!(reader.join().unwrap().unwrap() == sent);
    }

    #[test]
    fn a_primary_that_refuses_the_greeting_gets_nothing_more() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"%1\r\n+proto\r\n:3\r\n-ERR DB index is out of range\r\n").unwrap();
            let mut got = Vec::new();
            stream.read_to_end(&mut got).map(|_| got)
        });
        let greeting = [command(&[b"HELLO", b"3"]), command(&[b"SELECT", b"9"])];
        assert!(open("127.0.0.1", port, &greeting).is_err());
        assert_eq!(peer.join().unwrap().unwrap(), greeting.concat());
    }
}
