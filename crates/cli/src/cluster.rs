//! A client of a whole cluster, or of a primary with replicas: sends each command to the node that owns its slot,
//! follows redirects, and outlives nodes that go away. Every loop here is bounded by attempts and by time; a command
//! whose fate is unknown is repeated only if the caller allows it.

use crate::error::LastFailure;
use crate::routing::slot_of;
use crate::{
    ClusterOptions, Connection, Endpoint, Error, ErrorReply, QueryError, Redirect, Repeat, Reply, SlotMap, Statistics,
};
use baton_base::Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Instant;

/// Most places remembered; far above any cluster, and a bound on what wrong replies can make us keep.
const PLACES_MAX: usize = 4096;
/// Redirects in a row that are followed at once; more of them means that the nodes disagree, so pauses come between.
const REDIRECTS_AT_ONCE: u32 = 3;

/// A blocking client that follows its data.
#[derive(Debug)]
pub struct ClusterClient {
    options: ClusterOptions,
    /// Every place heard of and whether a connection to it was ever made; tried in turn when nothing better is known.
    places: BTreeMap<Endpoint, bool>,
    /// The place last tried because nothing better was known.
    last_tried: Option<Endpoint>,
    connections: BTreeMap<Endpoint, Connection>,
    mode: Mode,
    statistics: Statistics,
}

#[derive(Debug)]
enum Mode {
    /// No node has been asked yet.
    Unknown,
    /// The map, and whether a redirect or a failure has shown it to be old.
    Cluster { map: SlotMap, stale: bool },
    /// Not a cluster: where the primary is, as far as known.
    Standalone { primary: Option<Endpoint> },
}

/// Where the next attempt goes.
#[derive(Clone, Debug)]
enum Route {
    /// Wherever the map says.
    ByMap,
    /// To the node a redirect named.
    To(Endpoint),
    /// To the importing node, asking.
    Asking(Endpoint),
}

/// How one attempt ended.
enum Outcome {
    Done(Reply),
    /// A redirect: go there.
    Follow(Route, ErrorReply),
    /// Try again after a pause.
    Later(LastFailure),
    /// The fate of the command is unknown.
    Lost(Error),
}

impl ClusterClient {
    /// A client that starts from these places, with the default options. Connects when first used.
    pub fn new(seeds: impl IntoIterator<Item = Endpoint>) -> Self {
        Self::with_options(seeds, ClusterOptions::default())
    }

    /// A client with options of the caller's.
    pub fn with_options(seeds: impl IntoIterator<Item = Endpoint>, options: ClusterOptions) -> Self {
        ClusterClient {
            options,
            places: seeds.into_iter().take(PLACES_MAX).map(|place| (place, false)).collect(),
            last_tried: None,
            connections: BTreeMap::new(),
            mode: Mode::Unknown,
            statistics: Statistics::default(),
        }
    }

    /// Executes one command on the node that owns its slot. An error reply that no retry can help is a reply.
    pub fn query(&mut self, args: &[&[u8]]) -> Result<Reply, QueryError> {
        self.query_with(args, self.options.repeat)
    }

    /// Like [`query`](Self::query), deciding for this command alone whether it may be repeated.
    pub fn query_with(&mut self, args: &[&[u8]], repeat: Repeat) -> Result<Reply, QueryError> {
        let started = Instant::now();
        self.statistics.queries += 1;
        let slot = slot_of(args);
        let mut route = Route::ByMap;
        let mut pause = self.options.pause_min;
        let mut redirects_in_row = 0;
        let mut attempts = 0;
        let mut last = LastFailure::NoNode;
        while attempts < self.options.attempts_max && started.elapsed() <= self.options.query_timeout {
            attempts += 1;
            match self.attempt(args, slot, &route, repeat) {
                Outcome::Done(reply) => return Ok(reply),
                Outcome::Lost(error) => return Err(QueryError::OutcomeUnknown(error)),
                Outcome::Follow(next, reply) => {
                    route = next;
                    last = LastFailure::Refused(reply);
                    redirects_in_row += 1;
                    if redirects_in_row <= REDIRECTS_AT_ONCE {
                        continue;
                    }
                }
                Outcome::Later(failure) => {
                    route = Route::ByMap;
                    last = failure;
                    redirects_in_row = 0;
                }
            }
            thread::sleep(pause);
            pause = (pause * 2).min(self.options.pause_max);
        }
        Err(QueryError::Exhausted { attempts, after: started.elapsed(), last })
    }

    /// What it has been through.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// The slot map, if the servers are a cluster and have been asked.
    pub fn slot_map(&self) -> Option<&SlotMap> {
        match &self.mode {
            Mode::Cluster { map, .. } => Some(map),
            _ => None,
        }
    }

    fn attempt(&mut self, args: &[&[u8]], slot: Option<Slot>, route: &Route, repeat: Repeat) -> Outcome {
        self.statistics.attempts += 1;
        let place = match route {
            Route::To(place) | Route::Asking(place) => place.clone(),
            Route::ByMap => {
                self.learn(None);
                match self.place_for(slot) {
                    Some(place) => place,
                    None => return Outcome::Later(LastFailure::NoNode),
                }
            }
        };
        if let Err(error) = self.connect(&place, repeat) {
            self.distrust(&place);
            return Outcome::Later(LastFailure::Link(error));
        }
        let Some(connection) = self.connections.get_mut(&place) else { return Outcome::Later(LastFailure::NoNode) };
        let asking = matches!(route, Route::Asking(_));
        match exchange(connection, args, asking) {
            Ok(Reply::Error(error)) => self.judge(error, &place),
            Ok(reply) => {
                self.settle(slot, route, &place);
                Outcome::Done(reply)
            }
            Err(error) => {
                self.statistics.links_lost += 1;
                self.connections.remove(&place);
                self.distrust(&place);
                match repeat {
                    Repeat::Never => Outcome::Lost(error),
                    Repeat::Safe => Outcome::Later(LastFailure::Link(error)),
                }
            }
        }
    }

    /// What an error reply means for where to go. None of those handled here was executed.
    fn judge(&mut self, error: ErrorReply, place: &Endpoint) -> Outcome {
        if let Some(redirect) = error.redirect() {
            let to = redirect.to().clone().with_host_of(place);
            self.remember(&to);
            return match redirect {
                Redirect::Moved { slot, .. } => {
                    self.statistics.redirects_moved += 1;
                    if let Mode::Cluster { map, stale } = &mut self.mode {
                        map.set_owner(slot, to.clone());
                        *stale = true;
                    }
                    Outcome::Follow(Route::To(to), error)
                }
                Redirect::Ask { .. } => {
                    self.statistics.redirects_ask += 1;
                    Outcome::Follow(Route::Asking(to), error)
                }
                Redirect::Primary { .. } => {
                    self.statistics.redirects_primary += 1;
                    self.mode = Mode::Standalone { primary: Some(to.clone()) };
                    Outcome::Follow(Route::To(to), error)
                }
            };
        }
        match error.code() {
            b"CLUSTERDOWN" | b"TRYAGAIN" | b"LOADING" | b"MASTERDOWN" | b"UNBLOCKED" => {
                self.statistics.refusals += 1;
                self.distrust(place);
                Outcome::Later(LastFailure::Refused(error))
            }
            b"READONLY" => {
                // A replica that does not say where its primary is: another place may know.
                self.statistics.refusals += 1;
                if let Mode::Standalone { primary } = &mut self.mode {
                    *primary = None;
                }
                self.distrust(place);
                Outcome::Later(LastFailure::Refused(error))
            }
            _ => Outcome::Done(Reply::Error(error)),
        }
    }

    /// After a success: a standalone primary is where it was found; a map proven old is read anew where the new owner
    /// has just answered, outside the time of the command that suffered.
    fn settle(&mut self, slot: Option<Slot>, route: &Route, place: &Endpoint) {
        if let Mode::Standalone { primary } = &mut self.mode
            && slot.is_some()
        {
            *primary = Some(place.clone());
        }
        if matches!((&self.mode, route), (Mode::Cluster { stale: true, .. }, Route::To(_))) {
            self.learn(Some(place));
        }
    }

    /// The place to send a command to.
    fn place_for(&mut self, slot: Option<Slot>) -> Option<Endpoint> {
        let known = match (&self.mode, slot) {
            (Mode::Cluster { map, .. }, Some(slot)) => map.owner(slot).cloned(),
            (Mode::Standalone { primary }, Some(_)) => primary.clone(),
            _ => self.connections.keys().next().cloned(),
        };
        known.or_else(|| self.next_place())
    }

    /// The known places in turn.
    fn next_place(&mut self) -> Option<Endpoint> {
        let next = match &self.last_tried {
            Some(last) => self.places.keys().find(|place| *place > last).or_else(|| self.places.keys().next()),
            None => self.places.keys().next(),
        };
        self.last_tried = next.cloned();
        self.last_tried.clone()
    }

    /// Reads the slot map if it is missing or old: from `place`, or else from the first known place that answers.
    fn learn(&mut self, place: Option<&Endpoint>) {
        if matches!(self.mode, Mode::Standalone { .. } | Mode::Cluster { stale: false, .. }) {
            return;
        }
        let connected: BTreeSet<Endpoint> = self.connections.keys().cloned().collect();
        let others = self.places.keys().filter(|p| !connected.contains(*p)).cloned();
        let candidates: Vec<Endpoint> =
            place.cloned().map_or_else(|| connected.iter().cloned().chain(others).collect(), |p| vec![p]);
        for candidate in candidates {
            if self.learn_from(&candidate) {
                return;
            }
        }
    }

    fn learn_from(&mut self, place: &Endpoint) -> bool {
        if self.connect(place, Repeat::Safe).is_err() {
            return false;
        }
        let Some(connection) = self.connections.get_mut(place) else { return false };
        let Ok(reply) = connection.query(&["CLUSTER", "SLOTS"]) else {
            self.statistics.links_lost += 1;
            self.connections.remove(place);
            return false;
        };
        self.statistics.map_refreshes += 1;
        let not_clustered = reply.as_error().is_some_and(|e| e.as_bytes().ends_with(b"cluster support disabled"));
        if not_clustered {
            self.mode = Mode::Standalone { primary: Some(place.clone()) };
            return true;
        }
        let Some(map) = SlotMap::from_reply(&reply, place) else { return false };
        if map.slots_covered() == 0 {
            return false;
        }
        for node in map.nodes() {
            self.remember(node);
        }
        self.mode = Mode::Cluster { map, stale: false };
        true
    }

    /// Makes sure that there is a connection.
    fn connect(&mut self, place: &Endpoint, repeat: Repeat) -> Result<(), Error> {
        if let Some(connection) = self.connections.get(place) {
            // Worth three system calls only where a command lost on a dead link could not be repeated.
            if repeat == Repeat::Safe || !connection.is_gone() {
                return Ok(());
            }
            self.connections.remove(place);
        }
        let opened = Connection::open(place, self.options.connect_timeout, Some(self.options.attempt_timeout))
            .and_then(|mut connection| connection.log_in(&self.options.login).map(|()| connection));
        match opened {
            Ok(connection) => {
                let known_before = self.places.insert(place.clone(), true);
                if known_before == Some(true) {
                    self.statistics.reconnects += 1;
                } else {
                    self.statistics.connects += 1;
                }
                self.connections.insert(place.clone(), connection);
                Ok(())
            }
            Err(error) => {
                self.statistics.connect_failures += 1;
                Err(error)
            }
        }
    }

    /// Something is wrong at this place, so what is known about who serves what may be old.
    fn distrust(&mut self, place: &Endpoint) {
        match &mut self.mode {
            Mode::Cluster { stale, .. } => *stale = true,
            Mode::Standalone { primary } if primary.as_ref() == Some(place) => *primary = None,
            _ => {}
        }
    }

    fn remember(&mut self, place: &Endpoint) {
        if self.places.len() < PLACES_MAX && !self.places.contains_key(place) {
            self.places.insert(place.clone(), false);
        }
    }
}

/// Sends a command, after `ASKING` where it must be, and reads its reply.
fn exchange(connection: &mut Connection, args: &[&[u8]], asking: bool) -> Result<Reply, Error> {
    if asking {
        let mut bytes = Vec::new();
        crate::connection::encode(&["ASKING"], &mut bytes);
        crate::connection::encode(args, &mut bytes);
        connection.send_raw(&bytes)?;
        connection.receive_reply()?;
        return connection.receive_reply();
    }
    connection.query(args)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeServer;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
    use std::time::Duration;

    fn at(server: &FakeServer) -> Endpoint {
        Endpoint::tcp("127.0.0.1", server.port())
    }

    fn slots(port: u16) -> String {
        format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:{port}\r\n")
    }

    /// A node of a cluster that believes the port in `owner` to own everything, and answers for keys if it is that one.
    fn node(owner: &Arc<AtomicU16>, name: &'static str) -> FakeServer {
        let owner = owner.clone();
        let own_port = Arc::new(AtomicU16::new(0));
        let me = own_port.clone();
        let server = FakeServer::start(move |args| {
            let owner = owner.load(Ordering::SeqCst);
            Some(match args[0].as_str() {
                "CLIENT" => "+OK\r\n".to_owned(),
                "CLUSTER" => slots(owner),
                _ if owner == me.load(Ordering::SeqCst) => format!("+{name}\r\n"),
                _ => format!("-MOVED 12182 127.0.0.1:{owner}\r\n"),
            })
        });
        own_port.store(server.port(), Ordering::SeqCst);
        server
    }

    fn quick() -> ClusterOptions {
        ClusterOptions { attempts_max: 20, pause_max: Duration::from_millis(1), ..ClusterOptions::default() }
    }

    #[test]
    fn moved_is_followed_and_the_map_learned_anew() {
        let owner = Arc::new(AtomicU16::new(0));
        let (a, b) = (node(&owner, "a"), node(&owner, "b"));
        owner.store(a.port(), Ordering::SeqCst);
        let mut client = ClusterClient::new([at(&a), at(&b)]);
        assert_eq!(client.query(&[b"GET", b"foo"]).unwrap(), Reply::Status(b"a".to_vec()));
        owner.store(b.port(), Ordering::SeqCst);
        for key in [b"foo", b"bar", b"baz"] {
            assert_eq!(client.query(&[b"GET", key]).unwrap(), Reply::Status(b"b".to_vec()));
        }
        let statistics = client.statistics();
        assert_eq!((statistics.queries, statistics.redirects_moved, statistics.attempts), (4, 1, 5));
        assert_eq!(client.slot_map().unwrap().owner(Slot::of_key(b"bar")), Some(&at(&b)));
    }

    #[test]
    fn ask_goes_to_the_importing_node_once() {
        let target = FakeServer::start(|args| Some(if args[0] == "GET" { "+asked\r\n" } else { "+OK\r\n" }.into()));
        let ask = format!("-ASK 12182 127.0.0.1:{}\r\n", target.port());
        let own_port = Arc::new(AtomicU16::new(0));
        let me = own_port.clone();
        let source = FakeServer::start(move |args| {
            Some(match args[0].as_str() {
                "CLUSTER" => slots(me.load(Ordering::SeqCst)),
                "GET" => ask.clone(),
                _ => "+OK\r\n".into(),
            })
        });
        own_port.store(source.port(), Ordering::SeqCst);
        let mut client = ClusterClient::new([at(&source)]);
        for _ in 0..2 {
            assert_eq!(client.query(&[b"GET", b"foo"]).unwrap(), Reply::Status(b"asked".to_vec()));
        }
        assert_eq!(target.seen(), ["CLIENT CAPA redirect", "ASKING", "GET foo", "ASKING", "GET foo"]);
        assert_eq!(client.statistics().redirects_ask, 2);
    }

    #[test]
    fn standalone_pair_is_followed_by_redirect() {
        let primary = FakeServer::start(|args| {
            Some(
                if args[0] == "CLUSTER" { "-ERR This instance has cluster support disabled\r\n" } else { "+OK\r\n" }
                    .into(),
            )
        });
        let redirect = format!("-REDIRECT 127.0.0.1:{}\r\n", primary.port());
        let replica = FakeServer::start(move |args| {
            Some(match args[0].as_str() {
                "CLUSTER" => "-ERR This instance has cluster support disabled\r\n".into(),
                "SET" => redirect.clone(),
                _ => "+OK\r\n".into(),
            })
        });
        let mut client = ClusterClient::new([at(&replica)]);
        for _ in 0..2 {
            assert!(client.query(&[b"SET", b"k", b"v"]).unwrap().is_ok());
        }
        assert_eq!(client.statistics().redirects_primary, 1);
        assert_eq!(primary.seen(), ["CLIENT CAPA redirect", "SET k v", "SET k v"]);
    }

    #[test]
    fn a_lost_link_is_repeated_only_where_that_is_safe() {
        let dies = Arc::new(AtomicBool::new(true));
        let own_port = Arc::new(AtomicU16::new(0));
        let (dies_there, me) = (dies.clone(), own_port.clone());
        let server = FakeServer::start(move |args| match args[0].as_str() {
            "CLUSTER" => Some(slots(me.load(Ordering::SeqCst))),
            "INCR" if dies_there.swap(false, Ordering::SeqCst) => None,
            _ => Some("+OK\r\n".into()),
        });
        own_port.store(server.port(), Ordering::SeqCst);
        let mut client = ClusterClient::with_options([at(&server)], quick());
        let lost = client.query_with(&[b"INCR", b"foo"], Repeat::Never);
        assert!(matches!(lost, Err(QueryError::OutcomeUnknown(_))), "{lost:?}");
        dies.store(true, Ordering::SeqCst);
        assert!(client.query(&[b"INCR", b"foo"]).unwrap().is_ok());
        let statistics = client.statistics();
        assert_eq!((statistics.links_lost, statistics.connects, statistics.reconnects), (2, 1, 2));
    }

    #[test]
    fn attempts_are_bounded_and_real_errors_are_replies() {
        let own_port = Arc::new(AtomicU16::new(0));
        let me = own_port.clone();
        let server = FakeServer::start(move |args| {
            Some(match args[0].as_str() {
                "CLUSTER" => slots(me.load(Ordering::SeqCst)),
                "GET" => "-CLUSTERDOWN The cluster is down\r\n".into(),
                "LPUSH" => "-WRONGTYPE no\r\n".into(),
                _ => "+OK\r\n".into(),
            })
        });
        own_port.store(server.port(), Ordering::SeqCst);
        let mut client = ClusterClient::with_options([at(&server)], quick());
        match client.query(&[b"GET", b"foo"]) {
            Err(QueryError::Exhausted { attempts: 20, last: LastFailure::Refused(reply), .. }) => {
                assert_eq!(reply.code(), b"CLUSTERDOWN");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(client.query(&[b"LPUSH", b"foo", b"x"]).unwrap().as_error().unwrap().code(), b"WRONGTYPE");
        let nobody = ClusterClient::with_options([], quick()).query(&[b"GET", b"foo"]);
        assert!(matches!(nobody, Err(QueryError::Exhausted { last: LastFailure::NoNode, .. })), "{nobody:?}");
    }
}
