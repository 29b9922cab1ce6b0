//! What the machine is told: requests, and facts about replicas, the data plane and the cluster.

use baton_base::{Epoch, Mono, NodeId, Offset};
use std::time::Duration;

/// Names who asked, so that the answer finds its way back. Chosen by the caller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Token(pub u64);

/// What asks for the handover.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// The process was told to stop; it exits whether or not a successor is found.
    Sigterm,
    /// SHUTDOWN [FAILOVER]; exits as [`Kind::Sigterm`] does.
    ShutdownFailover,
    /// A command for a handover alone: the node stays, as a replica. Without a successor it goes on serving.
    Command,
}

impl Kind {
    /// Whether the node exits at the end.
    pub fn exits(self) -> bool {
        matches!(self, Kind::Sigterm | Kind::ShutdownFailover)
    }
}

/// How the successor becomes primary.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Promotion {
    /// Cluster, asked for at the primary: `CLUSTER FAILOVER FORCE REPLICAID <id>` goes into the stream
    /// (cluster-bus 9). Takes replicas that announced an id and a version of at least 9.0.0.
    Order,
    /// Cluster, asked for at the replica (MFSTART): it elects itself once it knows that writes are paused and at which
    /// offset (cluster-bus 8). The request names the replica; without a name it is an [`Promotion::Order`].
    Announce,
    /// A stop without successor that still lets the replicas have everything (replication 10).
    Nobody,
    /// Outside of clusters: this node turns to the replica, and the request for the stream (`PSYNC ... FAILOVER`)
    /// promotes it (replication 7). Asked for by a command, writes are held from the start.
    Takeover,
}

/// A request for a handover.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// What asks.
    pub kind: Kind,
    /// Who is to be answered.
    pub token: Token,
    /// The only replica that may take over; any if none.
    pub target: Option<NodeId>,
    /// How the successor becomes primary.
    pub promotion: Promotion,
    /// How long a candidate may be waited for: `shutdown-timeout`, or `cluster-manual-failover-timeout`.
    pub timeout: Duration,
    /// SHUTDOWN FORCE: exit even though the final save failed.
    pub force: bool,
    /// FAILOVER FORCE: once the time is over, promote the target whatever it lacks. Needs a target, and counts for
    /// [`Promotion::Takeover`] alone.
    pub regardless: bool,
}

/// Progress of a replica's link, in the words of INFO (replication 5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReplicaState {
    /// Waits for a snapshot to begin.
    WaitBgsave,
    /// Receives the snapshot.
    SendBulk,
    /// Receives the stream.
    Online,
}

impl ReplicaState {
    /// Its name in INFO and in log lines.
    pub fn token(self) -> &'static str {
        match self {
            ReplicaState::WaitBgsave => "wait_bgsave",
            ReplicaState::SendBulk => "send_bulk",
            ReplicaState::Online => "online",
        }
    }
}

/// One attached replica as the primary knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replica {
    /// Announced `ip:port`; names it in log lines and tells replicas apart.
    pub addr: String,
    /// Its node id, if it announced one (`REPLCONF SET-CLUSTER-NODE-ID`).
    pub id: Option<NodeId>,
    /// Progress of its link.
    pub state: ReplicaState,
    /// Whether it holds the whole dataset, as far as is known here.
    pub complete: bool,
    /// Highest offset it acknowledged.
    pub acked: Offset,
    /// When its last acknowledgement arrived, by the clock of `now`.
    pub acked_at: Mono,
    /// Its version as 0x00MMmmpp, from `REPLCONF VERSION`; 0 if it didn't say.
    pub version: u32,
    /// `replica-priority`: lower is preferred, 0 only if there is nobody else.
    pub priority: u32,
    /// Whether it is in this node's availability zone; preferred among equals.
    pub same_zone: bool,
}

/// An input of the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Somebody wants a handover.
    Request(Request),
    /// All attached replicas, whenever one of them or its acknowledgement changed. Also wanted while no handover runs.
    Replicas(Vec<Replica>),
    /// Current end of the journal. Wanted before [`Input::Replicas`] and before [`Input::Request`].
    Offset(Offset),
    /// The data plane confirms [`Effect::Fence`]: no write runs or will run, and this is the end of the journal.
    ///
    /// [`Effect::Fence`]: crate::Effect::Fence
    Fenced {
        /// The final offset.
        offset: Offset,
    },
    /// Another node's claim to this node's slots arrived and was accepted; or the replica that was asked to take over did,
    /// and then the epoch is 0.
    SuccessorSeen {
        /// The new primary.
        node: NodeId,
        /// Epoch of its claim.
        epoch: Epoch,
    },
    /// The replica has its votes, or does without them, as [`Effect::Canvass`] asked.
    ///
    /// [`Effect::Canvass`]: crate::Effect::Canvass
    Canvassed {
        /// The replica.
        target: NodeId,
    },
    /// The replica confirms [`Effect::WithdrawPromotion`], can't win any more because this node's vote, now refused, was
    /// needed, or refused to take over when it was asked.
    ///
    /// [`Effect::WithdrawPromotion`]: crate::Effect::WithdrawPromotion
    Withdrawn {
        /// The replica.
        target: NodeId,
    },
    /// The request of [`Effect::AskTakeover`] is on its way: from now on the target may be primary, whether or not its
    /// answer ever arrives.
    ///
    /// [`Effect::AskTakeover`]: crate::Effect::AskTakeover
    Asked {
        /// The replica.
        target: NodeId,
    },
    /// The replica that was told to be primary has ended, as far as can be known.
    Gone {
        /// The replica.
        target: NodeId,
    },
    /// The roles have flipped and all held clients are answered, as [`Effect::Redirect`] asked.
    ///
    /// [`Effect::Redirect`]: crate::Effect::Redirect
    Redirected,
    /// How many clients are still connected.
    ClientsLeft(usize),
    /// The work of [`Effect::FinalSave`] is over.
    ///
    /// [`Effect::FinalSave`]: crate::Effect::FinalSave
    Saved {
        /// Whether everything that had to be saved was.
        ok: bool,
    },
    /// Whether a majority of voters, which a promotion needs, is in reach. Assumed until told otherwise.
    Quorum(bool),
    /// Whether a replica is known to live that could attach again, whatever its connection does. Assumed not until told.
    Expected(bool),
    /// The process stood still until now. Whatever happened meanwhile is still to be heard, so a deadline that has passed
    /// proves nothing. Wanted before anything else of the same moment.
    Stood,
    /// SHUTDOWN ABORT, or its like.
    Abort,
    /// Only time has passed: [`Handover::next_wake`] was reached.
    ///
    /// [`Handover::next_wake`]: crate::Handover::next_wake
    Tick,
}
