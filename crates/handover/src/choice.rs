//! Which replica takes over: who could at all, who would be preferred, and, where nobody can, why. Decides from the
//! facts of one moment; waiting is not its business.

use crate::{Promotion, Replica, ReplicaState};
use baton_base::NodeId;
use std::cmp::Reverse;

/// First version whose replicas know `CLUSTER FAILOVER FORCE REPLICAID` (cluster-bus 9).
const VERSION_ORDERABLE: u32 = 0x0009_0000;

/// What stands between a replica and taking over, apart from lag and silence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hurdle {
    NotTheTarget,
    Syncing,
    Incomplete,
    Nameless,
}

impl Hurdle {
    /// The reason as it stands in the log.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Hurdle::NotTheTarget => "is not the requested one",
            Hurdle::Syncing => "is still synchronizing",
            Hurdle::Incomplete => "has incomplete data",
            Hurdle::Nameless => "has not announced its node id",
        }
    }
}

/// What stands in the way of this replica; none if nothing does.
pub(crate) fn hurdle(replica: &Replica, target: Option<NodeId>) -> Option<Hurdle> {
    if target.is_some() && replica.id != target {
        Some(Hurdle::NotTheTarget)
    } else if replica.state != ReplicaState::Online {
        Some(Hurdle::Syncing)
    } else if !replica.complete {
        Some(Hurdle::Incomplete)
    } else if replica.id.is_none() {
        Some(Hurdle::Nameless)
    } else {
        None
    }
}

/// Whether some replica would choke on the order in the stream, so that it can't be given (cluster-bus 9).
pub(crate) fn any_legacy(replicas: &[Replica], promotion: Promotion) -> bool {
    promotion == Promotion::Order && replicas.iter().any(|r| r.version < VERSION_ORDERABLE)
}

/// How much a replica is wanted by configuration alone; smaller is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Rank {
    priority: u32,
    other_zone: bool,
}

pub(crate) fn rank(replica: &Replica) -> Rank {
    // Priority 0 means "never by itself"; a handover takes such a replica rather than none.
    let priority = if replica.priority == 0 { u32::MAX } else { replica.priority };
    Rank { priority, other_zone: !replica.same_zone }
}

/// The best of those that are ready: by rank, then whoever collects votes already, then by what they acknowledged and how
/// lately. The address breaks ties, so that equal facts give equal decisions.
pub(crate) fn best<'a>(ready: impl Iterator<Item = &'a Replica>, canvassed: Option<NodeId>) -> Option<&'a Replica> {
    let has_votes = |r: &Replica| canvassed.is_some() && r.id == canvassed;
    ready.min_by_key(|r| (rank(r), !has_votes(r), Reverse(r.acked), Reverse(r.acked_at), &r.addr))
}
