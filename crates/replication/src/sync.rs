//! What a node answers to PSYNC and SYNC (replication 1.3): one decision, made from what is known at that moment, in the
//! order that peers rely on. Decides only; the caller acts.

use crate::LogLine;
use crate::history::{BacklogExtent, History, PartialRefusal};
use crate::session::ReplicaSession;
use crate::text::shown;
use baton_base::Offset;
use baton_base::num::parse_i64;
use thiserror::Error;

/// A request, as received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncRequest<'a> {
    /// `PSYNC <id> <offset> [FAILOVER]`.
    Psync {
        /// The history asked for; `?` for whatever there is.
        replid: &'a [u8],
        /// Number of the byte wanted next.
        offset: &'a [u8],
        /// Whether this node is to be promoted first.
        failover: bool,
    },
    /// `SYNC`.
    Sync,
}

impl<'a> SyncRequest<'a> {
    /// Reads the arguments that follow `PSYNC`; the registry has checked that there are two.
    pub fn psync(args: &[&'a [u8]]) -> Option<Self> {
        let failover = args.get(2).is_some_and(|word| word.eq_ignore_ascii_case(b"failover"));
        Some(SyncRequest::Psync { replid: args.first()?, offset: args.get(1)?, failover })
    }

    /// The same request, after this node was promoted for it.
    #[must_use]
    pub fn after_promotion(self) -> Self {
        match self {
            SyncRequest::Psync { replid, offset, .. } => SyncRequest::Psync { replid, offset, failover: false },
            SyncRequest::Sync => self,
        }
    }
}

/// What this node is at that moment.
#[derive(Clone, Copy, Debug)]
pub struct NodeView<'a> {
    /// The histories it answers to.
    pub history: &'a History,
    /// Its offset.
    pub end: Offset,
    /// What its journal retains; none without a backlog.
    pub backlog: Option<BacklogExtent>,
    /// Its link to the primary it follows; none if it is a primary.
    pub primary_link: Option<PrimaryLink>,
    /// Who is to be kept from replacing its data by this node's.
    pub withheld: Withheld,
    /// Whether it is handing over to another node.
    pub failing_over: bool,
    /// Replicas that it has already, of any phase.
    pub replicas: usize,
}

/// Whom a node that was started again keeps from synchronising: its data may be less than theirs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Withheld {
    /// Nobody.
    #[default]
    Nobody,
    /// Whoever has something that it could not go on from here: a place in another history, or one that this node hasn't
    /// reached.
    WhoHasMore,
    /// Everybody.
    Everybody,
}

/// How the link of a replica stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PrimaryLink {
    /// The stream flows.
    Up,
    /// Anything else.
    Down,
}

/// What the asking client is at that moment.
#[derive(Clone, Copy, Debug)]
pub struct ClientView<'a> {
    /// What it said about itself.
    pub session: &'a ReplicaSession,
    /// Whether it is in MONITOR mode.
    pub is_monitor: bool,
    /// Whether replies to it have not been written yet.
    pub has_pending_output: bool,
}

/// Why a synchronisation is refused; the text is the whole error line without its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Refusal {
    /// A primary can't be promoted.
    #[error("-ERR PSYNC FAILOVER can't be sent to a master.")]
    FailoverToPrimary,
    /// The peer's history is not ours.
    #[error("-ERR PSYNC FAILOVER replid must match my replid.")]
    FailoverOfOther,
    /// This node is handing over.
    #[error("-NOMASTERLINK Can't SYNC while failing over")]
    FailingOver,
    /// This node has no data to be sure of.
    #[error("-NOMASTERLINK Can't SYNC while not connected with my master")]
    NoPrimaryLink,
    /// Others may have more data than this node. Peers try again later, as they do for any error that begins like this.
    #[error("-NOMASTERLINK Can't SYNC while replicas may have more data than this node")]
    MayHaveLess,
    /// Earlier replies would get between.
    #[error("-ERR SYNC and PSYNC are invalid with pending output")]
    PendingOutput,
    /// A filtered snapshot has no length.
    #[error("-ERR Filtered replica requires EOF capability")]
    FilterWithoutEof,
    /// The offset is no number.
    #[error("-ERR value is not an integer or out of range")]
    BadOffset,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SyncDecision {
    /// Nothing, not even a reply.
    Ignore,
    /// Reply with the error.
    Refuse(Refusal),
    /// Promote this node, then decide on [`SyncRequest::after_promotion`].
    Promote {
        /// Where the stream of the old primary ends, by its own account: it may have put something behind the data that this
        /// node has acknowledged, and that may be on its way here. Without it this node's history would part from that of
        /// everybody who has it.
        end: Offset,
    },
    /// Send `reply`, then the stream after `from`. Counts as sync_partial_ok.
    Continue {
        /// Offset before the first byte to send.
        from: Offset,
        /// The line that goes first.
        reply: Vec<u8>,
    },
    /// The replica waits for a snapshot. Counts as sync_full.
    FullResync {
        /// Whether it counts as sync_partial_err, too.
        partial_failed: bool,
        /// The replica used SYNC ([`ReplicaSession::await_snapshot`]).
        pre_psync: bool,
        /// There is no backlog: begin a fresh history and a backlog first. Without one, offsets did not count writes.
        begin_history: bool,
    },
}

/// Decides. The lines are for the log, whatever the decision.
pub fn decide(request: SyncRequest<'_>, client: &ClientView<'_>, node: &NodeView<'_>) -> (SyncDecision, Vec<LogLine>) {
    let mut logs = Vec::new();
    let decision = match gate(request, client, node, &mut logs) {
        Some(early) => early,
        None => {
            let name = client.session.name();
            logs.push(LogLine::notice(format!("Replica {name} asks for synchronization")));
            synchronise(request, client.session, node, &mut logs)
        }
    };
    (decision, logs)
}

/// Steps 1 to 6: whether the request is considered at all.
fn gate(
    request: SyncRequest<'_>,
    client: &ClientView<'_>,
    node: &NodeView<'_>,
    logs: &mut Vec<LogLine>,
) -> Option<SyncDecision> {
    if client.session.is_replica() || client.is_monitor {
        return Some(SyncDecision::Ignore);
    }
    if let SyncRequest::Psync { replid, offset, failover: true } = request {
        logs.push(LogLine::notice(format!("Failover request received for replid {}.", shown(replid))));
        return Some(if node.primary_link.is_none() {
            SyncDecision::Refuse(Refusal::FailoverToPrimary)
        } else if !replid.eq_ignore_ascii_case(node.history.replid.as_bytes()) {
            SyncDecision::Refuse(Refusal::FailoverOfOther)
        } else {
            SyncDecision::Promote { end: end_of(offset) }
        });
    }
    let refusal = if node.failing_over {
        Refusal::FailingOver
    } else if node.primary_link == Some(PrimaryLink::Down) {
        Refusal::NoPrimaryLink
    } else if withholds(request, node) {
        Refusal::MayHaveLess
    } else if client.has_pending_output {
        Refusal::PendingOutput
    } else if client.session.request.filter.is_some() && !client.session.capa.eof {
        Refusal::FilterWithoutEof
    } else {
        return None;
    };
    Some(SyncDecision::Refuse(refusal))
}

/// Where the stream of a replica ends that wants this byte next. One that wants no certain byte names no end.
fn end_of(wanted: &[u8]) -> Offset {
    let wanted = parse_i64(wanted).and_then(|wanted| u64::try_from(wanted).ok());
    Offset(wanted.unwrap_or(0).saturating_sub(1))
}

/// Whether this replica could lose data by synchronising with this node (cluster-bus 15.3, S6).
fn withholds(request: SyncRequest<'_>, node: &NodeView<'_>) -> bool {
    match (node.withheld, request) {
        (Withheld::Nobody, _) | (Withheld::WhoHasMore, SyncRequest::Sync) => false,
        (Withheld::Everybody, _) => true,
        (Withheld::WhoHasMore, SyncRequest::Psync { replid, offset, .. }) => {
            let Some(next) = parse_i64(offset).filter(|next| *next > 1) else { return false };
            replid.first() != Some(&b'?') && node.history.partial_ok(replid, next, node.backlog).is_err()
        }
    }
}

/// Steps 7 to 9: which synchronisation it gets.
fn synchronise(
    request: SyncRequest<'_>,
    session: &ReplicaSession,
    node: &NodeView<'_>,
    logs: &mut Vec<LogLine>,
) -> SyncDecision {
    let begin_history = node.backlog.is_none() && node.replicas == 0;
    let SyncRequest::Psync { replid, offset, .. } = request else {
        return SyncDecision::FullResync { partial_failed: false, pre_psync: true, begin_history };
    };
    let name = session.name();
    let Some(wanted) = parse_i64(offset) else {
        logs.push(LogLine::warning(format!("Replica {name} asks for synchronization but with a wrong offset")));
        return SyncDecision::Refuse(Refusal::BadOffset);
    };
    match node.history.partial_ok(replid, wanted, node.backlog) {
        Ok(from) => {
            let bytes = node.end.since(from);
            logs.push(LogLine::notice(format!(
                "Partial resynchronization request from {name} accepted. Sending {bytes} bytes of backlog starting from \
                 offset {wanted}."
            )));
            let id = if session.capa.psync2 { format!(" {}", node.history.replid) } else { String::new() };
            SyncDecision::Continue { from, reply: format!("+CONTINUE{id}\r\n").into_bytes() }
        }
        Err(refusal) => {
            explain(refusal, replid, wanted, &name, node, logs);
            // Replicas that have nothing to go on with say so, which is no failure.
            let partial_failed = replid.first() != Some(&b'?');
            SyncDecision::FullResync { partial_failed, pre_psync: false, begin_history }
        }
    }
}

/// Tells the log why the replica needs everything.
fn explain(
    refusal: PartialRefusal,
    replid: &[u8],
    wanted: i64,
    name: &str,
    node: &NodeView<'_>,
    logs: &mut Vec<LogLine>,
) {
    let asked = shown(replid);
    let lack = format!("Unable to partial resync with replica {name} for lack of backlog");
    logs.push(LogLine::notice(match refusal {
        PartialRefusal::OtherHistory if replid.first() == Some(&b'?') => {
            format!("Full resync requested by replica {name}")
        }
        PartialRefusal::OtherHistory => format!(
            "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '{asked}', my replication \
             IDs are '{}' and '{}')",
            node.history.replid, node.history.replid2
        ),
        PartialRefusal::BeyondSecond { second_offset } => format!(
            "Partial resynchronization not accepted: Requested offset for second ID was {wanted}, but I can reply up to \
             {second_offset}"
        ),
        PartialRefusal::NoBacklog => format!("{lack} (Replica request was: {asked}:{wanted})."),
        PartialRefusal::NotRetained(extent) => format!(
            "{lack} (Replica request was {asked}:{wanted}, and I can only reply with the range [{}, {}]).",
            extent.first,
            extent.next()
        ),
    }));
    let lacks = matches!(refusal, PartialRefusal::NoBacklog | PartialRefusal::NotRetained(_));
    if lacks && u64::try_from(wanted).is_ok_and(|wanted| wanted > node.end.0) {
        logs.push(LogLine::warning(format!(
            "Warning: replica {name} tried to PSYNC with an offset ({wanted}) that is greater than the primary replication \
             offset ({})",
            node.end
        )));
    }
}

/// What the log says when [`SyncDecision::FullResync`] made a new history begin.
pub fn history_begun_log_line(history: &History) -> LogLine {
    let History { replid, replid2, .. } = history;
    LogLine::notice(format!("Replication backlog created, my new replication IDs are '{replid}' and '{replid2}'"))
}

#[cfg(test)]
#[path = "sync_test.rs"]
mod tests;
