//! A primary's view of one connection that is, or may become, a replica: what it said about itself, how far its
//! synchronisation is, what it acknowledged (replication 1.2, 1.5, 2.2). Knows neither sockets nor the stream.

use crate::LogLine;
use crate::group::SnapshotTarget;
use crate::replconf::{Ack, Capa, RdbFilter, ReplconfError, ReplconfOption, options};
use crate::text::shown;
use crate::version::{RdbVersion, Version};
use baton_base::{Mono, NodeId, Offset, ReplId};
use std::time::Duration;

/// What a replica can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    /// Takes a payload that ends with a mark.
    pub eof: bool,
    /// Understands `+CONTINUE <id>`.
    pub psync2: bool,
    /// Takes the snapshot over a second connection.
    pub dual_channel: bool,
    /// Doesn't need the snapshot's checksum.
    pub skip_rdb_checksum: bool,
}

impl Capabilities {
    /// What both can do.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Capabilities {
            eof: self.eof && other.eof,
            psync2: self.psync2 && other.psync2,
            dual_channel: self.dual_channel && other.dual_channel,
            skip_rdb_checksum: self.skip_rdb_checksum && other.skip_rdb_checksum,
        }
    }

    /// Whether everything the other can do is among it.
    pub fn includes(self, other: Self) -> bool {
        self.and(other) == other
    }
}

/// What a replica wants to get. Only equal requests share a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SnapshotRequest {
    /// Snapshot without a stream.
    pub rdb_only: bool,
    /// Parts to include; none means everything.
    pub filter: Option<RdbFilter>,
    /// The stream takes another connection.
    pub rdb_channel: bool,
}

/// How far the synchronisation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Not a replica (yet): only talks.
    Client,
    /// Waits for a snapshot to begin.
    WaitSnapshot {
        /// Since then.
        since: Mono,
    },
    /// A snapshot is being made; the replica's stream begins at `from`.
    InSnapshot {
        /// Offset of the cut.
        from: Offset,
        /// Where the snapshot goes.
        target: SnapshotTarget,
        /// When the replica last took bytes of it.
        progress_at: Mono,
    },
    /// The finished snapshot is sent, with its length.
    SendBulk {
        /// Offset of the cut.
        from: Offset,
    },
    /// Follows the stream.
    Online {
        /// The stream is not sent before the first acknowledgement, which says that the replica found the end mark.
        held_from: Option<Offset>,
    },
    /// Wanted only the snapshot and has it; to be closed.
    RdbTransmitted,
}

/// One connection on the primary's side.
#[derive(Clone, Debug)]
pub struct ReplicaSession {
    client_id: u64,
    peer_ip: Option<String>,
    announced_ip: Option<String>,
    /// The port that the replica announced; 0 before it did.
    pub port: i64,
    /// What it can do.
    pub capa: Capabilities,
    /// What it wants.
    pub request: SnapshotRequest,
    /// The version it reported.
    pub version: Option<Version>,
    /// The cluster node it is, if it said so. The node may have been unknown then, and be unknown still.
    pub node_id: Option<NodeId>,
    /// Synchronised by SYNC: no `+FULLRESYNC`, no acknowledgements are expected.
    pub pre_psync: bool,
    phase: Phase,
    ack: Offset,
    fsynced: Offset,
    ack_at: Mono,
}

/// What REPLCONF options depend on outside of the session.
pub struct ReplconfEnv<'a> {
    /// Whether this node is in a cluster.
    pub cluster_enabled: bool,
    /// Whether this id is a known node.
    pub knows_node: &'a dyn Fn(&NodeId) -> bool,
}

/// The reply to REPLCONF, and what has to happen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Replconf {
    /// `+OK`.
    Ok,
    /// `-ERR <text>`.
    Error(ReplconfError),
    /// No reply. The replica acknowledged: waiting clients may be satisfied, and if an offset is given, its stream is to
    /// be sent from there now.
    Acked {
        /// Where a held stream begins.
        stream_from: Option<Offset>,
    },
    /// No reply. If this node has a primary, it acknowledges to it now.
    AckWanted,
    /// No reply, nothing happens.
    Ignored,
}

impl ReplicaSession {
    /// A connection that has said nothing yet. `peer_ip` is its address, if it has one.
    pub fn new(client_id: u64, peer_ip: Option<String>) -> Self {
        ReplicaSession {
            client_id,
            peer_ip,
            announced_ip: None,
            port: 0,
            capa: Capabilities::default(),
            request: SnapshotRequest::default(),
            version: None,
            node_id: None,
            pre_psync: false,
            phase: Phase::Client,
            ack: Offset(0),
            fsynced: Offset(0),
            ack_at: Mono::ZERO,
        }
    }

    /// Handles the arguments that follow `REPLCONF` (replication 1.2).
    pub fn handle_replconf(&mut self, now: Mono, args: &[&[u8]], env: &ReplconfEnv<'_>) -> Replconf {
        for option in options(args) {
            match option {
                Err(error) => return Replconf::Error(error),
                Ok(ReplconfOption::Ack(ack)) => return self.acknowledged(now, ack),
                Ok(ReplconfOption::GetAck) => return Replconf::AckWanted,
                Ok(option) => {
                    if let Err(error) = self.learn(option, env) {
                        return Replconf::Error(error);
                    }
                }
            }
        }
        Replconf::Ok
    }

    fn learn(&mut self, option: ReplconfOption, env: &ReplconfEnv<'_>) -> Result<(), ReplconfError> {
        match option {
            ReplconfOption::ListeningPort(port) => self.port = port,
            ReplconfOption::IpAddress(ip) => self.announced_ip = (!ip.is_empty()).then_some(ip),
            ReplconfOption::Capa(Some(Capa::Eof)) => self.capa.eof = true,
            ReplconfOption::Capa(Some(Capa::Psync2)) => self.capa.psync2 = true,
            ReplconfOption::Capa(Some(Capa::SkipRdbChecksum)) => self.capa.skip_rdb_checksum = true,
            // A second connection for the snapshot is not offered, as if `dual-channel-replication-enabled no`.
            ReplconfOption::Capa(Some(Capa::DualChannel) | None) => {}
            ReplconfOption::Version(version) => self.version = Some(version),
            ReplconfOption::RdbOnly(only) => self.request.rdb_only = only,
            ReplconfOption::RdbFilter(filter) => self.request.filter = Some(filter),
            ReplconfOption::RdbChannel(on) => self.request.rdb_channel = on,
            ReplconfOption::SetRdbClientId(id) => return Err(ReplconfError::UnknownRdbClient(id)),
            ReplconfOption::SetClusterNodeId(_) if !env.cluster_enabled => return Err(ReplconfError::NoCluster),
            ReplconfOption::SetClusterNodeId(id) => {
                // It may become known a moment later, when the bus has introduced it; it doesn't announce itself again.
                self.node_id = NodeId::parse(&id).ok().or(self.node_id);
                if !self.node_id.is_some_and(|known| known.as_bytes() == id.as_slice() && (env.knows_node)(&known)) {
                    return Err(ReplconfError::UnknownNode(shown(&id)));
                }
            }
            ReplconfOption::Ack(_) | ReplconfOption::GetAck => {}
        }
        Ok(())
    }

    fn acknowledged(&mut self, now: Mono, ack: Option<Ack>) -> Replconf {
        let Some(ack) = ack.filter(|_| self.is_replica()) else { return Replconf::Ignored };
        // Offsets only grow: acknowledgements of an older connection state can't take anything back.
        let at_least = |old: Offset, new: i64| u64::try_from(new).map_or(old, |new| old.max(Offset(new)));
        self.ack = at_least(self.ack, ack.offset);
        self.fsynced = at_least(self.fsynced, ack.fsynced.unwrap_or_default());
        self.ack_at = now;
        let stream_from = match &mut self.phase {
            Phase::Online { held_from } => held_from.take(),
            _ => None,
        };
        Replconf::Acked { stream_from }
    }

    /// A partial resynchronisation was granted: the stream is sent at once.
    pub fn become_online(&mut self, now: Mono) {
        self.phase = Phase::Online { held_from: None };
        self.ack_at = now;
    }

    /// A full synchronisation was granted: waits for a snapshot.
    pub fn await_snapshot(&mut self, now: Mono, pre_psync: bool) {
        self.phase = Phase::WaitSnapshot { since: now };
        self.pre_psync = pre_psync;
    }

    /// The cut of a snapshot that serves this replica. Gives the bytes to send first, none to those that used SYNC.
    pub fn begin_snapshot(&mut self, now: Mono, replid: &ReplId, cut: Offset, target: SnapshotTarget) -> Vec<u8> {
        self.phase = Phase::InSnapshot { from: cut, target, progress_at: now };
        if self.pre_psync { Vec::new() } else { format!("+FULLRESYNC {replid} {cut}\r\n").into_bytes() }
    }

    /// The replica took some of the snapshot.
    pub fn snapshot_progress(&mut self, now: Mono) {
        if let Phase::InSnapshot { progress_at, .. } = &mut self.phase {
            *progress_at = now;
        }
    }

    /// The snapshot is complete and its length known; it is sent from now on.
    pub fn send_bulk(&mut self) {
        if let Phase::InSnapshot { from, target: SnapshotTarget::Disk, .. } = self.phase {
            self.phase = Phase::SendBulk { from };
        }
    }

    /// The last byte of the snapshot was sent. Gives the offset from which to send the stream now, if now; when the
    /// payload ends with a mark, the first acknowledgement starts it (replication 1.5).
    pub fn snapshot_sent(&mut self, now: Mono) -> (Option<Offset>, LogLine) {
        let (from, marked) = match self.phase {
            Phase::InSnapshot { from, target, .. } => (from, target == SnapshotTarget::Socket),
            Phase::SendBulk { from } => (from, false),
            _ => unreachable!("only a replica that is served by a snapshot can have been sent it"),
        };
        let name = self.name();
        if self.request.rdb_only {
            self.phase = Phase::RdbTransmitted;
            let text = format!("RDB transfer completed, rdb only replica ({name}) should be disconnected asap");
            return (None, LogLine::notice(text));
        }
        self.ack_at = now;
        if marked && !self.pre_psync {
            self.phase = Phase::Online { held_from: Some(from) };
            let text = format!(
                "Streamed RDB transfer with replica {name} succeeded (socket). Waiting for REPLCONF ACK from replica to \
                 enable streaming"
            );
            return (None, LogLine::notice(text));
        }
        self.phase = Phase::Online { held_from: None };
        (Some(from), LogLine::notice(format!("Synchronization with replica {name} succeeded")))
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether it asked for a synchronisation, successfully.
    pub fn is_replica(&self) -> bool {
        self.phase != Phase::Client
    }

    /// Whether it follows the stream.
    pub fn is_online(&self) -> bool {
        matches!(self.phase, Phase::Online { .. })
    }

    /// Applied up to here, as acknowledged.
    pub fn ack(&self) -> Offset {
        self.ack
    }

    /// When it last acknowledged something, or became online.
    pub fn acked_at(&self) -> Mono {
        self.ack_at
    }

    /// Fsynced up to here, as acknowledged.
    pub fn fsynced(&self) -> Offset {
        self.fsynced
    }

    /// Whole seconds since the last acknowledgement; 0 unless online.
    pub fn lag_seconds(&self, now: Mono) -> u64 {
        if self.is_online() { now.since(self.ack_at).as_secs() } else { 0 }
    }

    /// Whether it counts for `min-replicas-to-write`.
    pub fn is_good(&self, now: Mono, lag_max: Duration) -> bool {
        self.is_online() && self.lag_seconds(now) <= lag_max.as_secs()
    }

    /// The snapshot format it gets.
    pub fn rdb_version(&self) -> RdbVersion {
        RdbVersion::for_replica(self.capa.eof, self.version)
    }

    /// Whether a bare line end is to be sent once a second, so that it doesn't give up waiting (replication 1.5).
    pub fn wants_keepalive(&self) -> bool {
        match self.phase {
            Phase::WaitSnapshot { .. } => true,
            Phase::InSnapshot { target, .. } => target == SnapshotTarget::Disk,
            _ => false,
        }
    }

    /// Whether it is to be dropped for its silence, and what the log says then (replication 2.2).
    pub fn timed_out(&self, now: Mono, timeout: Duration) -> Option<LogLine> {
        let stage = match self.phase {
            Phase::Online { .. } if !self.pre_psync && now.since(self.ack_at) > timeout => "streaming sync",
            Phase::InSnapshot { target: SnapshotTarget::Socket, progress_at, .. }
                if now.since(progress_at) > timeout =>
            {
                "full sync"
            }
            _ => return None,
        };
        Some(LogLine::warning(format!("Disconnecting timedout replica ({stage}): {}", self.name())))
    }

    /// The address that INFO and ROLE show; none if there is no peer address and none was announced.
    pub fn ip(&self) -> Option<&str> {
        self.announced_ip.as_deref().or(self.peer_ip.as_deref())
    }

    /// How the log calls it.
    pub fn name(&self) -> String {
        match self.ip() {
            Some(ip) if self.port == 0 => format!("{ip}:<unknown-replica-port>"),
            Some(ip) if ip.contains(':') => format!("[{ip}]:{}", self.port),
            Some(ip) => format!("{ip}:{}", self.port),
            None => format!("client id #{}", self.client_id),
        }
    }

    /// INFO's word for the phase; none for a connection that is no replica.
    pub fn state_name(&self) -> Option<&'static str> {
        match self.phase {
            Phase::Client => None,
            Phase::WaitSnapshot { .. } | Phase::InSnapshot { .. } => Some("wait_bgsave"),
            Phase::SendBulk { .. } => Some("send_bulk"),
            Phase::Online { .. } => Some("online"),
            Phase::RdbTransmitted => Some("rdb_transmitted"),
        }
    }
}

#[cfg(test)]
#[path = "session_test.rs"]
mod tests;
