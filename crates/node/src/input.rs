//! Everything that can happen to the control plane of a node, as values.

use crate::chronicle::Sight;
use baton_base::{NodeId, Offset};
use baton_cluster::{ClusterCommand, LinkFailure, LinkId, Origin, Settings, Token};
use baton_handover::{Limits, Replica};
use std::time::Duration;

/// How a node is to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopKind {
    /// SIGTERM with the handover on, as it is by default.
    Sigterm,
    /// SHUTDOWN FAILOVER.
    ShutdownFailover,
    /// Any other shutdown: replicas get the time to have everything, and nobody takes over.
    Plain,
}

/// One event from outside. What doesn't fit the moment is ignored, so late and doubled answers do no harm.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time passed; to be given no later than [`Node::next_wake`](crate::Node::next_wake) says.
    Tick,
    /// The connection of [`Effect::Connect`](crate::Effect::Connect) is established.
    LinkOpened {
        /// The link of the effect.
        link: LinkId,
        /// Our address on this connection.
        local_ip: String,
    },
    /// A peer connected to the bus.
    LinkAccepted {
        /// A fresh id from [`LinkId::inbound`].
        link: LinkId,
        /// The peer's address.
        peer_ip: String,
        /// Our address on this connection.
        local_ip: String,
    },
    /// A bus connection could not be made.
    LinkFailed {
        /// The link of the effect.
        link: LinkId,
        /// Why not.
        why: LinkFailure,
    },
    /// A bus connection ended, or carries bytes that are no packets.
    LinkClosed {
        /// Which one.
        link: LinkId,
    },
    /// Exactly one framed bus packet arrived.
    Received {
        /// On which link.
        link: LinkId,
        /// The whole packet.
        bytes: Vec<u8>,
    },
    /// A CLUSTER command; answered by exactly one [`Effect::Reply`](crate::Effect::Reply) in the same turn.
    Command {
        /// Comes back in the reply. Below 2^63.
        token: Token,
        /// Who asks.
        origin: Origin,
        /// What is asked.
        command: ClusterCommand,
    },
    /// Parameters of the cluster changed at run time.
    SettingsChanged(Box<Settings>),
    /// Deadlines of the handover changed at run time.
    LimitsChanged(Box<Limits>),
    /// The node is to stop. Ends by [`Effect::Exit`](crate::Effect::Exit) or by
    /// [`Effect::Finished`](crate::Effect::Finished) with the node staying.
    Stop {
        /// Comes back in [`Effect::Finished`](crate::Effect::Finished). Below 2^63.
        token: Token,
        /// How.
        kind: StopKind,
        /// `shutdown-timeout`; zero for NOW.
        timeout: Duration,
        /// SHUTDOWN FORCE: exit even though the final save failed.
        force: bool,
    },
    /// A handover without a stop, asked for at the primary. Ends by [`Effect::Finished`](crate::Effect::Finished).
    HandOver {
        /// Comes back in [`Effect::Finished`](crate::Effect::Finished). Below 2^63.
        token: Token,
        /// The only replica that may take over; any if none.
        target: Option<NodeId>,
        /// How long a candidate is waited for.
        timeout: Duration,
    },
    /// FAILOVER, outside of clusters, at a primary. Ends by [`Effect::Finished`](crate::Effect::Finished).
    Failover {
        /// Comes back in [`Effect::Finished`](crate::Effect::Finished). Below 2^63.
        token: Token,
        /// Address of the only replica that may take over, as [`Replica::addr`] names it; any if none.
        target: Option<String>,
        /// How long it may take until the replica has everything; for ever if none.
        timeout: Option<Duration>,
        /// Promote the target after that time, whatever it lacks.
        force: bool,
    },
    /// The request of [`Effect::AskTakeover`](crate::Effect::AskTakeover) was sent: the peer may be primary from now on.
    TakeoverAsked,
    /// Its answer.
    TakeoverAnswered {
        /// The peer is primary, and this node follows it. Otherwise it refused, and this node follows nobody.
        accepted: bool,
    },
    /// It has ended, as far as can be known: nobody listens at its address any more.
    TakeoverGone,
    /// SHUTDOWN ABORT, or its like.
    Abort,
    /// All attached replicas, whenever one of them or its acknowledgement changed; also while nothing runs.
    Replicas(Vec<Replica>),
    /// The dataset that this process starts with is there. To be said once, before anything else.
    DataLoaded {
        /// Where it stood in the stream when it was saved; 0 without one.
        offset: Offset,
    },
    /// The own offset moved or the link to the primary changed its state: see the facts.
    Progress,
    /// The answer to [`Effect::Fence`](crate::Effect::Fence): no write runs or will run.
    Fenced {
        /// The end of the journal.
        offset: Offset,
    },
    /// The answer to [`Effect::Redirect`](crate::Effect::Redirect): all held clients are answered.
    Redirected,
    /// How many clients are still connected; wanted from [`Effect::Redirect`](crate::Effect::Redirect) on.
    ClientsLeft(usize),
    /// The answer to [`Effect::FinalSave`](crate::Effect::FinalSave).
    Saved {
        /// Everything that had to be saved was.
        ok: bool,
    },
    /// The outcome of durable saves changed: false from the first failed one until one succeeds again.
    PersistOutcome {
        /// Whether the latest save worked.
        ok: bool,
    },
    /// A message of PUBLISH or SPUBLISH to hand to the other nodes.
    Publish {
        /// Its channel.
        channel: Vec<u8>,
        /// Its payload.
        message: Vec<u8>,
        /// Only the nodes of my shard get it.
        sharded: bool,
    },
    /// The data plane acknowledges nothing to its primary from here on, as
    /// [`Node::freezes_acks`](crate::Node::freezes_acks) wants, or does so again. The facts were read after that.
    AcksFrozen(bool),
    /// CONFIG RESETSTAT.
    StatsReset,
    /// The data plane saw a step of a change of primary.
    Seen(Sight),
}
