//! What INFO and ROLE show of a link (replication 5).

use super::ReplicaLink;
use super::machine::State;
use baton_base::Mono;

/// The link as users see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkStatus {
    /// `master_host`; empty if nobody is followed.
    pub host: String,
    /// `master_port`.
    pub port: u16,
    /// ROLE's word: none, connect, connecting, handshake, sync or connected.
    pub state: &'static str,
    /// Whether the stream flows (`master_link_status`).
    pub is_up: bool,
    /// Seconds since the primary was last heard; none without a standing link.
    pub last_io_seconds: Option<u64>,
    /// The full synchronisation in progress.
    pub transfer: Option<TransferStatus>,
    /// Seconds since the link was lost; none if it is up or never stood.
    pub down_seconds: Option<u64>,
}

/// A full synchronisation in progress.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TransferStatus {
    /// Bytes of the snapshot, if the primary told.
    pub total_bytes: Option<u64>,
    /// Bytes received.
    pub read_bytes: u64,
    /// Seconds since the last ones were.
    pub last_io_seconds: u64,
}

impl ReplicaLink {
    /// How the link stands.
    pub fn status(&self, now: Mono) -> LinkStatus {
        let seconds = |since: Mono| now.since(since).as_secs();
        let (state, last_io_seconds, transfer) = match &self.state {
            State::None => ("none", None, None),
            State::Connect { .. } => ("connect", None, None),
            State::Connecting(_) => ("connecting", None, None),
            State::Handshake { .. } => ("handshake", None, None),
            State::Transfer { wire, transfer } => {
                let (total_bytes, read_bytes) = (transfer.total, transfer.read);
                let last_io_seconds = seconds(wire.heard_at);
                ("sync", None, Some(TransferStatus { total_bytes, read_bytes, last_io_seconds }))
            }
            State::Connected { wire, .. } => ("connected", Some(seconds(wire.heard_at)), None),
        };
        LinkStatus {
            host: self.primary.as_ref().map(|p| p.host.clone()).unwrap_or_default(),
            port: self.primary.as_ref().map_or(0, |p| p.port),
            state,
            is_up: self.is_up(),
            last_io_seconds,
            transfer,
            down_seconds: self.down_since.map(seconds),
        }
    }

    /// Whether the stream flows.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Connected { .. })
    }

    /// Whether somebody is followed, or tried to be.
    pub fn is_started(&self) -> bool {
        self.primary.is_some()
    }
}
