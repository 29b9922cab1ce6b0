//! Siblings follow the successor: outside of clusters nobody else tells the other replicas of an old primary where the new
//! one is. They are told as an operator or Sentinel would, by REPLICAOF on an ordinary connection, so any server that can be
//! a replica understands it. Their history goes on there, so what they lack comes by a partial resynchronisation.
//!
//! Whoever can't be told stays with this node and follows through it, as upstream's replicas do after FAILOVER. Nothing here
//! waits for longer than [`STEP_MAX`] a step, and none of it keeps the control thread.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use baton_config::Id;
use baton_replication::command;

use crate::shared::Shared;

/// Longest wait for a connection, and for each reply.
const STEP_MAX: Duration = Duration::from_secs(1);
/// More siblings than this are left to follow through this node.
const SIBLINGS_MAX: usize = 64;

/// Where a replica is, as it announced it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    host: String,
    port: u16,
}

/// Where the attached replicas are. To be asked before this node turns to one of them: the others lose their connections
/// as soon as its history goes on there.
pub(super) fn attached(shared: &Shared) -> Vec<Place> {
    let replicas = shared.repl.replicas.load();
    let places = replicas.iter().filter_map(|view| {
        let port = u16::try_from(view.session.port).ok().filter(|port| *port > 0)?;
        Some(Place { host: view.session.ip()?.to_owned(), port })
    });
    places.take(SIBLINGS_MAX).collect()
}

/// Begins to tell these replicas, but for the successor itself, to follow it.
pub(super) fn tell_all(shared: &Arc<Shared>, replicas: Vec<Place>, host: &str, port: u16) -> Vec<JoinHandle<()>> {
    let successor = Place { host: host.to_owned(), port };
    let siblings = replicas.into_iter().filter(|place| *place != successor && reaches(place, &successor));
    siblings.filter_map(|sibling| begin(shared, sibling, successor.clone())).collect()
}

/// Whether the successor's address means the same there as here. A loopback address does only on this machine.
fn reaches(sibling: &Place, successor: &Place) -> bool {
    let is_local = |place: &Place| place.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    !is_local(successor) || is_local(sibling)
}

fn begin(shared: &Arc<Shared>, sibling: Place, successor: Place) -> Option<JoinHandle<()>> {
    let settings = Arc::clone(&shared.world.peek().settings);
    let (user, password) = (settings.text(Id::PrimaryUser).to_owned(), settings.bytes(Id::PrimaryAuth).to_vec());
    let shared = Arc::clone(shared);
    let work = move || {
        let Place { host, port } = &sibling;
        match tell(&sibling, &successor, user.as_bytes(), &password) {
            Ok(()) => shared.log.notice(&format!("Replica {host}:{port} was told to follow the new primary.")),
            Err(e) => shared.log.warning(&format!("Replica {host}:{port} could not be told of the new primary: {e}")),
        }
    };
    std::thread::Builder::new().name("baton-sibling".into()).spawn(work).ok()
}

fn tell(sibling: &Place, successor: &Place, user: &[u8], password: &[u8]) -> io::Result<()> {
    let addr = (sibling.host.as_str(), sibling.port).to_socket_addrs()?.next();
    let addr = addr.ok_or_else(|| io::Error::other("no address"))?;
    let stream = TcpStream::connect_timeout(&addr, STEP_MAX)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(STEP_MAX))?;
    stream.set_write_timeout(Some(STEP_MAX))?;
    let port = successor.port.to_string();
    let mut requests = Vec::new();
    match (user, password) {
        (_, []) => {}
        ([], password) => requests.push(command(&[b"AUTH", password])),
        (user, password) => requests.push(command(&[b"AUTH", user, password])),
    }
    requests.push(command(&[b"REPLICAOF", successor.host.as_bytes(), port.as_bytes()]));
    let mut replies = BufReader::new(io::Read::take(&stream, REPLY_BYTES_MAX));
    for request in requests {
        (&stream).write_all(&request)?;
        let mut line = String::new();
        replies.read_line(&mut line)?;
        if !line.starts_with('+') {
            return Err(io::Error::other(line.trim().to_owned()));
        }
    }
    Ok(())
}

/// All replies together; each is one short line.
const REPLY_BYTES_MAX: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_address_is_not_sent_to_another_machine() {
        let place = |host: &str| Place { host: host.to_owned(), port: 7000 };
        assert!(reaches(&place("127.0.0.1"), &place("127.0.0.1")));
        assert!(reaches(&place("10.0.0.2"), &place("10.0.0.1")));
        assert!(reaches(&place("127.0.0.1"), &place("10.0.0.1")));
        assert!(!reaches(&place("10.0.0.2"), &place("127.0.0.1")));
        assert!(!reaches(&place("10.0.0.2"), &place("::1")));
    }

    #[test]
    fn requests_are_arrays_of_strings() {
        assert_eq!(command(&[b"AUTH", b"a b"]), b"*2\r\n$4\r\nAUTH\r\n$3\r\na b\r\n");
    }
}
