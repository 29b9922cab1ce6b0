//! What a link has to know about its own node before it can introduce itself.

use crate::text::command;
use crate::version::Version;
use baton_base::NodeId;
use std::collections::VecDeque;
use std::time::Duration;

/// Credentials for the primary.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    /// `primaryuser`; none for the default user.
    pub user: Option<String>,
    /// `primaryauth`.
    pub password: Vec<u8>,
}

/// Never shows the password: settings end up in debug output.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Configuration of a link; may change between connections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The port to announce: replica-announce-port, else the port that replicas connect to.
    pub listening_port: u16,
    /// `replica-announce-ip`.
    pub announce_ip: Option<String>,
    /// Credentials, if the primary wants some.
    pub auth: Option<Auth>,
    /// This node's id, in a cluster.
    pub node_id: Option<NodeId>,
    /// The id of the node that is to be followed, in a cluster. Another one may live at its address by now.
    pub primary_id: Option<NodeId>,
    /// `repl-timeout`: how long the primary may be silent in any phase.
    pub timeout: Duration,
    /// Pause after the first failed attempt to synchronise. It doubles with each further one.
    pub retry_min: Duration,
    /// The longest pause. Upstream pauses for up to a second from the first attempt on.
    pub retry_max: Duration,
    /// No acknowledgement is sent, asked for or not.
    pub acks_frozen: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listening_port: 6379,
            announce_ip: None,
            auth: None,
            node_id: None,
            primary_id: None,
            timeout: Duration::from_secs(60),
            retry_min: Duration::from_millis(100),
            retry_max: Duration::from_secs(1),
            acks_frozen: false,
        }
    }
}

/// A request of the introduction whose reply is awaited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    Auth,
    ListeningPort,
    IpAddress,
    Capa,
    Version,
    NodeId,
    /// The primary's own id: the head of the reply.
    PrimaryId,
    /// The id itself.
    PrimaryIdText,
}

impl Asked {
    /// How the log names the REPLCONF option.
    pub(super) fn name(self) -> &'static str {
        match self {
            Asked::Auth => "auth",
            Asked::ListeningPort => "listening-port",
            Asked::IpAddress => "ip-address",
            Asked::Capa => "capa",
            Asked::Version => "VERSION",
            Asked::NodeId => "SET-CLUSTER-NODE-ID",
            Asked::PrimaryId | Asked::PrimaryIdText => "CLUSTER MYID",
        }
    }

    /// What this line answers, and whether it is the last answer. An id comes in two lines, a refusal to tell it in one.
    pub(super) fn take(asked: &mut VecDeque<Asked>, line: &[u8]) -> (Option<Asked>, bool) {
        let first = asked.pop_front();
        if first == Some(Asked::PrimaryId) && line.starts_with(b"$") {
            asked.push_front(Asked::PrimaryIdText);
        }
        (first, asked.is_empty())
    }
}

impl super::ReplicaLink {
    /// Ends acknowledgements, or lets them be sent again.
    pub fn set_acks_frozen(&mut self, frozen: bool) {
        self.settings.acks_frozen = frozen;
    }
}

impl Settings {
    /// Steps 2 to 7 of the handshake, sent in one go: the bytes, and whose replies will follow (replication 1.1).
    pub(super) fn introduction(&self) -> (Vec<u8>, VecDeque<Asked>) {
        let mut bytes = Vec::new();
        let mut asked = VecDeque::new();
        let mut ask = |what, args: &[&[u8]]| {
            bytes.extend(command(args));
            asked.push_back(what);
        };
        match &self.auth {
            Some(Auth { user: Some(user), password }) => ask(Asked::Auth, &[b"AUTH", user.as_bytes(), password]),
            Some(Auth { user: None, password }) => ask(Asked::Auth, &[b"AUTH", password]),
            None => {}
        }
        let port = self.listening_port.to_string();
        ask(Asked::ListeningPort, &[b"REPLCONF", b"listening-port", port.as_bytes()]);
        if let Some(ip) = &self.announce_ip {
            ask(Asked::IpAddress, &[b"REPLCONF", b"ip-address", ip.as_bytes()]);
        }
        ask(Asked::Capa, &[b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"]);
        ask(Asked::Version, &[b"REPLCONF", b"version", Version::OWN.to_string().as_bytes()]);
        if let Some(id) = &self.node_id {
            ask(Asked::NodeId, &[b"REPLCONF", b"SET-CLUSTER-NODE-ID", id.as_bytes()]);
        }
        if self.primary_id.is_some() {
            ask(Asked::PrimaryId, &[b"CLUSTER", b"MYID"]);
        }
        (bytes, asked)
    }

    /// Why not to synchronise with whoever gave this answer about its id. A machine that lost its disk comes back at its old
    /// address as a new and empty node; whoever synchronised with that would throw away the only copy. One that does not tell
    /// its id may be an older release, or not let this user ask.
    pub(super) fn objection(&self, about: Asked, line: &[u8]) -> Option<String> {
        let meant = self.primary_id?;
        let another = match about {
            Asked::PrimaryId => line.starts_with(b"-ERR This instance has cluster support disabled"),
            Asked::PrimaryIdText => line != meant.as_bytes(),
            _ => false,
        };
        let told = String::from_utf8_lossy(line);
        another.then(|| format!("Not synchronizing with the primary: there is another node now than {meant}: {told}"))
    }

    /// Pause before the next attempt, after this many failures in a row.
    pub(super) fn retry_pause(&self, failures: u32) -> Duration {
        self.retry_min.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.retry_max)
    }
}
