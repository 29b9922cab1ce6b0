//! What the other threads tell the control thread, and its answers.

use std::sync::Arc;
use std::time::Duration;

use baton_base::Offset;
use baton_cluster::{ClusterCommand, ClusterReply, Origin};
use baton_node::Sight;
use crossbeam_channel::Sender;

use crate::clients::ClientId;
use crate::shared::Shared;
use crate::slot_jobs::{Job, import};
use crate::worker::WorkerMessage;

/// What SHUTDOWN or a signal asked for (replication 10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownRequest {
    /// Save even without save points.
    pub save: bool,
    /// Don't save even with save points.
    pub nosave: bool,
    /// Don't wait for lagging replicas.
    pub now: bool,
    /// End even if saving fails.
    pub force: bool,
    /// Refuse where ending would endanger the cluster.
    pub safe: bool,
    /// Hand over to a replica first.
    pub failover: bool,
}

/// What FAILOVER asks for (replication 7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailoverRequest {
    /// The only replica that may take over; any if none.
    pub target: Option<(String, i64)>,
    /// How long it may take until the replica has everything; for ever if none.
    pub timeout: Option<Duration>,
    /// Promote the target after that time, whatever it lacks.
    pub force: bool,
}

/// What becomes of the request that promotes a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeoverNews {
    /// It was sent.
    Asked,
    /// The peer is primary now.
    Accepted,
    /// It refused; the link follows nobody now.
    Rejected,
    /// Nobody listens at its address any more.
    Gone,
}

/// What the other threads tell the control thread.
pub enum ControlMessage {
    /// REPLICAOF; none for NO ONE.
    ReplicaOf {
        /// The new primary.
        target: Option<(String, u16)>,
        /// Who asks, for the log.
        who: String,
        /// Where the answer goes.
        reply: ReplyTo,
    },
    /// A CLUSTER command.
    Cluster {
        /// Which.
        command: ClusterCommand,
        /// Who asks.
        origin: Origin,
        /// Where the answer goes.
        reply: ReplyTo,
    },
    /// A message of PUBLISH or SPUBLISH for the other nodes.
    Publish {
        /// Its channel.
        channel: Vec<u8>,
        /// Its payload.
        message: Vec<u8>,
        /// Only for the own shard.
        sharded: bool,
        /// What it is counted as in [`Stats::bus_waiting_bytes`](crate::stats::Stats) until it is sent.
        bytes: i64,
    },
    /// SHUTDOWN.
    Shutdown {
        /// How.
        request: ShutdownRequest,
        /// Where an error goes; success ends the process.
        reply: ReplyTo,
    },
    /// SHUTDOWN ABORT.
    ShutdownAbort(ReplyTo),
    /// FAILOVER.
    Failover {
        /// How.
        request: FailoverRequest,
        /// Where the answer goes: that it has begun, or why not.
        reply: ReplyTo,
    },
    /// FAILOVER ABORT.
    FailoverAbort(ReplyTo),
    /// Acknowledgements to the primary have ended, or go on.
    AcksFrozen(bool),
    /// CONFIG SET changed something.
    SettingsChanged,
    /// CONFIG RESETSTAT.
    ResetStats,
    /// A replica came, went, or acknowledged something.
    ReplicasChanged,
    /// The link to the primary changed its state, or more of the stream is applied.
    LinkChanged,
    /// News of a peer that is asked to be promoted (`PSYNC ... FAILOVER`).
    Takeover {
        /// What.
        news: TakeoverNews,
        /// [`ReplState::epoch`](crate::repl::ReplState::epoch) of the order that it is about.
        epoch: u64,
    },
    /// A signal of the system.
    Signal(i32),
    /// The answer to a fence: no write runs or will run.
    Fenced(Offset),
    /// The roles have flipped and held clients are let go.
    Redirected,
    /// How a save of the cluster's configuration went that nothing waited for.
    ConfigSaved(std::io::Result<()>),
    /// Saving the cluster's configuration began to fail, or works again.
    PersistOutcome(bool),
    /// The answer to a final save.
    Saved(bool),
    /// The data plane saw a step of a change of primary.
    Seen(Sight),
    /// A job of slots that should have come here has failed: what came of them goes.
    DropImport(Arc<Job>),
    /// A peer asked, by PSYNC ... FAILOVER, to be followed instead: become primary.
    Promote {
        /// Who asks, for the log.
        who: String,
        /// Told whether it happened.
        done: Sender<bool>,
    },
}

/// Where the control thread's answer goes.
pub enum ReplyTo {
    /// A connection that waits for it.
    Client {
        /// Its worker.
        worker: u32,
        /// The connection.
        client: ClientId,
    },
    /// A thread that waits for it.
    Thread(Sender<Answer>),
    /// A job of slots that come here.
    Import(Arc<Job>),
    /// Nobody.
    Nobody,
}

impl ReplyTo {
    /// Sends the answer.
    pub fn answer(self, shared: &Shared, answer: Answer) {
        match self {
            ReplyTo::Client { worker, client } => {
                if let Some(w) = shared.threads().workers.get(worker as usize) {
                    w.send(WorkerMessage::Answer { client, answer });
                }
            }
            ReplyTo::Thread(to) => drop(to.send(answer)),
            ReplyTo::Import(job) => import::on_claimed(shared, &job, &answer),
            ReplyTo::Nobody => {}
        }
    }
}

/// The control thread's answer to a command.
#[derive(Clone, Debug)]
pub enum Answer {
    /// `+OK`.
    Ok,
    /// Another simple string.
    Status(String),
    /// An error with its code.
    Error(String),
    /// What the cluster machine replied.
    Cluster(ClusterReply),
    /// Close the connection without a reply.
    Close,
}
