//! What INFO's replication section and ROLE show (replication 5), from plain values. Names and order are read by tools,
//! Sentinel first.

use crate::History;
use crate::history::BacklogExtent;
use crate::link::LinkStatus;
use crate::session::ReplicaSession;
use baton_base::{Mono, Offset};
use std::fmt::Write;

/// Everything that the section shows.
#[derive(Clone, Copy, Debug)]
pub struct ReplicationInfo<'a> {
    /// Present iff this node is a replica.
    pub replica: Option<ReplicaInfo<'a>>,
    /// Its replicas in the order they came.
    pub sessions: &'a [&'a ReplicaSession],
    /// Number of good replicas, if `min-replicas-to-write` is in force.
    pub good_replicas: Option<usize>,
    /// The handover in progress.
    pub failover: FailoverState,
    /// The histories this node answers to.
    pub history: &'a History,
    /// Its offset.
    pub end: Offset,
    /// What its journal retains; none without a backlog.
    pub backlog: Option<BacklogExtent>,
    /// Configured size of the backlog in bytes.
    pub backlog_bytes: u64,
}

/// The part that only replicas have.
#[derive(Clone, Copy, Debug)]
pub struct ReplicaInfo<'a> {
    /// The link to the primary.
    pub link: &'a LinkStatus,
    /// Bytes of stream received, applied or not; none while there is nothing to go on with.
    pub read_offset: Option<Offset>,
    /// Bytes applied.
    pub applied_offset: Option<Offset>,
    /// `replica-priority`.
    pub priority: u32,
    /// `replica-read-only`.
    pub read_only: bool,
    /// `replica-announced`.
    pub announced: bool,
}

/// State of a planned change, as `master_failover_state` names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FailoverState {
    /// None.
    #[default]
    None,
    /// The target is catching up.
    WaitingForSync,
    /// The target is being promoted.
    InProgress,
}

impl FailoverState {
    /// INFO's word.
    pub fn name(self) -> &'static str {
        match self {
            FailoverState::None => "no-failover",
            FailoverState::WaitingForSync => "waiting-for-sync",
            FailoverState::InProgress => "failover-in-progress",
        }
    }
}

impl ReplicationInfo<'_> {
    /// The lines of the section, without its title.
    pub fn render(&self, now: Mono) -> String {
        let mut out = String::with_capacity(1024);
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            // Writing to a string can't fail.
            let _ = write!(out, "{name}:{value}\r\n");
        };
        line("role", &if self.replica.is_some() { "slave" } else { "master" });
        if let Some(replica) = &self.replica {
            replica_lines(replica, &mut line);
        }
        line("connected_slaves", &self.sessions.len());
        if let Some(good) = self.good_replicas {
            line("min_slaves_good_slaves", &good);
        }
        for (i, entry) in self.sessions.iter().filter_map(|s| session_entry(s, now)).enumerate() {
            line(&format!("slave{i}"), &entry);
        }
        line("replicas_waiting_psync", &0);
        line("master_failover_state", &self.failover.name());
        line("master_replid", &self.history.replid);
        line("master_replid2", &self.history.replid2);
        line("master_repl_offset", &self.end);
        line("second_repl_offset", &or_minus_one(self.history.second_offset.map(|o| o.0)));
        line("repl_backlog_active", &u8::from(self.backlog.is_some()));
        line("repl_backlog_size", &self.backlog_bytes);
        line("repl_backlog_first_byte_offset", &self.backlog.map_or(0, |b| b.first));
        line("repl_backlog_histlen", &self.backlog.map_or(0, |b| b.histlen));
        out
    }
}

fn replica_lines(replica: &ReplicaInfo<'_>, line: &mut dyn FnMut(&str, &dyn std::fmt::Display)) {
    let link = replica.link;
    line("master_host", &link.host);
    line("master_port", &link.port);
    line("master_link_status", &if link.is_up { "up" } else { "down" });
    line("master_last_io_seconds_ago", &or_minus_one(link.last_io_seconds));
    line("master_sync_in_progress", &u8::from(link.transfer.is_some()));
    // Upstream shows 1 while there is neither a primary nor a remembered one.
    line("slave_read_repl_offset", &replica.read_offset.map_or(1, |o| o.0));
    line("slave_repl_offset", &replica.applied_offset.map_or(1, |o| o.0));
    line("replicas_repl_buffer_size", &0);
    line("replicas_repl_buffer_peak", &0);
    if let Some(transfer) = &link.transfer {
        let total = transfer.total_bytes.unwrap_or(0);
        let percent = if total == 0 { 0.0 } else { transfer.read_bytes as f64 / total as f64 * 100.0 };
        line("master_sync_total_bytes", &total);
        line("master_sync_read_bytes", &transfer.read_bytes);
        line("master_sync_left_bytes", &(i128::from(total) - i128::from(transfer.read_bytes)));
        line("master_sync_perc", &format_args!("{percent:.2}"));
        line("master_sync_last_io_seconds_ago", &transfer.last_io_seconds);
    }
    if !link.is_up {
        line("master_link_down_since_seconds", &or_minus_one(link.down_seconds));
    }
    line("slave_priority", &replica.priority);
    line("slave_read_only", &u8::from(replica.read_only));
    line("replica_announced", &u8::from(replica.announced));
}

fn session_entry(session: &ReplicaSession, now: Mono) -> Option<String> {
    let (ip, state) = (session.ip()?, session.state_name()?);
    let kind = if session.request.rdb_channel { "rdb-channel" } else { "replica" };
    Some(format!(
        "ip={ip},port={},state={state},offset={},lag={},type={kind}",
        session.port,
        session.ack(),
        session.lag_seconds(now)
    ))
}

fn or_minus_one(n: Option<u64>) -> i128 {
    n.map_or(-1, i128::from)
}

/// What ROLE replies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Role {
    /// `["master", int offset, [[ip, port, offset] …]]`; the inner three are bulk strings.
    Primary {
        /// Its offset.
        offset: Offset,
        /// Online replicas: address, announced port, acknowledged offset.
        replicas: Vec<(String, i64, Offset)>,
    },
    /// `["slave", host, int port, state, int offset]`.
    Replica {
        /// Host of the primary.
        host: String,
        /// Port of the primary.
        port: u16,
        /// none, connect, connecting, handshake, sync or connected.
        state: &'static str,
        /// Applied offset; −1 without a standing link.
        offset: i64,
    },
}

impl ReplicationInfo<'_> {
    /// The same node, as ROLE shows it.
    pub fn role(&self) -> Role {
        match &self.replica {
            Some(replica) => Role::Replica {
                host: replica.link.host.clone(),
                port: replica.link.port,
                state: replica.link.state,
                offset: replica
                    .applied_offset
                    .filter(|_| replica.link.is_up)
                    .map_or(-1, |o| i64::try_from(o.0).unwrap_or(i64::MAX)),
            },
            None => Role::Primary {
                offset: self.end,
                replicas: self
                    .sessions
                    .iter()
                    .filter(|s| s.is_online())
                    .filter_map(|s| Some((s.ip()?.to_owned(), s.port, s.ack())))
                    .collect(),
            },
        }
    }
}

#[cfg(test)]
#[path = "info_test.rs"]
mod tests;
