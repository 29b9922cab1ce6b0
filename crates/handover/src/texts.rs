//! Log lines, in upstream's words where it has any (cluster-bus 9, replication 10).

use crate::choice::Hurdle;
use crate::{Failure, Replica};
use baton_base::{Mono, Offset};
use std::fmt::Display;
use std::time::Duration;

/// All candidates fell silent while writes were held.
pub(crate) const FORSAKEN: &str =
    "No replica that could take over answers any more: serving again and looking for one.";

pub(crate) const WAITING: &str = "Waiting for replicas before shutting down.";
pub(crate) const NO_SUCCESSOR: &str = "Unable to find a replica to perform the auto failover on shutdown.";
pub(crate) const LEGACY: &str = "Unable to perform auto failover on shutdown since there are legacy replicas.";
pub(crate) const TIMED_OUT: &str = "Manual failover timed out.";
pub(crate) const MANUALLY_ABORTED: &str = "Failover manually aborted";
pub(crate) const SHUTDOWN_ABORTED: &str = "Shutdown manually aborted.";
/// Why was said where it happened.
pub(crate) const NOT_STOPPED: &str = "Errors trying to shut down the server. Check the logs for more information.";
pub(crate) const SAVE_LEFT: &str =
    "The final save failed or took too long; exiting all the same, since the new primary has the data.";
pub(crate) const NOT_FENCED: &str = "Writes could not be stopped in time before shutting down.";

pub(crate) fn lagging(replica: &Replica, end: Offset, now: Mono) -> String {
    format!(
        "Lagging replica {} reported offset {} behind master, lag={}, state={}.",
        replica.addr,
        end.since(replica.acked),
        now.since(replica.acked_at).as_secs(),
        replica.state.token()
    )
}

pub(crate) fn in_sync(synced: usize, all: usize) -> String {
    format!("{synced} of {all} replicas are in sync when shutting down.")
}

pub(crate) fn ordered(target: &dyn Display) -> String {
    format!("Perform auto failover to replica {target} on shutdown.")
}

pub(crate) fn hurdle(addr: &str, hurdle: Hurdle) -> String {
    format!("Replica {addr} can't take over yet: it {}.", hurdle.reason())
}

pub(crate) fn silent(addr: &str) -> String {
    format!("Replica {addr} can't take over yet: it does not answer.")
}

pub(crate) fn behind(addr: &str, bytes: u64) -> String {
    format!("Replica {addr} can't take over yet: it is {bytes} bytes behind.")
}

pub(crate) fn not_promoted(target: &dyn Display) -> String {
    format!("Replica {target} did not take over in time.")
}

pub(crate) fn handed_over(successor: &dyn Display, total: Duration, held: Duration) -> String {
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    format!("Handed over to {successor} after {:.3} ms, writes held for {:.3} ms.", ms(total), ms(held))
}

/// What a handover that isn't a shutdown says when it ends without successor.
pub(crate) fn given_up(failure: Failure) -> &'static str {
    match failure {
        Failure::NoReplica => "Handover given up: no replica is attached.",
        Failure::LegacyReplica => "Handover given up: a replica is too old to be told.",
        _ => TIMED_OUT,
    }
}

/// FAILOVER's own lines; without a target they speak of any replica (replication 7).
pub(crate) fn failover_requested(target: Option<&str>) -> String {
    format!("FAILOVER requested to {}.", target.unwrap_or("any replica"))
}

pub(crate) fn failover_synced(target: &str) -> String {
    format!("Failover target {target} is synced, failing over.")
}

pub(crate) fn failover_overdue(target: &str) -> String {
    format!("FAILOVER to {target} time out exceeded, failing over.")
}

pub(crate) fn failover_aborted(target: &str, reason: &str) -> String {
    format!("FAILOVER to {target} aborted: {reason}")
}

/// Why nobody took over, as FAILOVER says it.
pub(crate) fn takeover_failure(failure: Failure) -> &'static str {
    match failure {
        Failure::Rejected => "Failover target rejected psync request",
        Failure::NotPromoted => "Failover target did not answer",
        Failure::NoReplica => "Failover target is not connected any more",
        Failure::NotFenced => "Writes could not be stopped in time",
        _ => "Replica never caught up before timeout",
    }
}
