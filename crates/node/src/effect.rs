//! Everything the control plane of a node asks of its shell, as values. They are carried out strictly in their order.

use baton_base::{Epoch, Mono, NodeId, SlotBitmap};
use baton_cluster::{ClusterReply, EpochRecord, LinkId, LogLevel, Token, Topology};
use baton_handover::{Outcome, Record};
use std::sync::Arc;

/// One thing to do. Order is part of the meaning: nothing may overtake a durable save.
///
/// If a durable save fails and the configuration lets the node go on (`best-effort`), the [`Effect::Send`]s that are
/// still queued must be dropped and [`Input::PersistOutcome`](crate::Input::PersistOutcome) be given.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Open a connection to a peer's bus port.
    Connect {
        /// The id of the connection to be.
        link: LinkId,
        /// The peer.
        node: NodeId,
        /// Its address, a numeric IP.
        ip: String,
        /// Its bus port.
        port: u16,
    },
    /// Close a bus link, open or not. No [`Input::LinkClosed`](crate::Input::LinkClosed) is expected for it.
    Close {
        /// Which one.
        link: LinkId,
    },
    /// Send one packet on an open link. A link that has gone since loses it silently.
    Send {
        /// Where to.
        link: LinkId,
        /// The packet.
        bytes: Vec<u8>,
    },
    /// Replace the cluster configuration file by this text.
    SaveConfig {
        /// The complete text.
        text: String,
        /// It must be durable before any later effect is carried out. If false nothing waits for it: it should be durable
        /// soon, and only the newest text of several needs to be.
        sync: bool,
    },
    /// Record this durably, beside the configuration file, before any later effect is carried out
    /// ([`Restored::merge`](baton_cluster::conf::Restored::merge) merges it at start).
    SaveEpochs(EpochRecord),
    /// Make this snapshot the one that workers read.
    PublishTopology(Arc<Topology>),
    /// Stop serving as primary, drop what depends on it, and replicate from this node. Given again when the primary or
    /// its address changes. Doesn't let held clients go.
    BecomeReplicaOf {
        /// The primary.
        primary: NodeId,
        /// Its address.
        host: String,
        /// Its client port of the transport that replication uses.
        port: u16,
        /// A partial resynchronisation must not be tried.
        full_sync: bool,
    },
    /// Stop replicating: the old replication id stays valid as the second one up to the current offset. Writes are
    /// accepted as soon as the topology that comes next says so.
    BecomePrimary,
    /// Hold all writers, expiry, eviction and the pings of replication; let what is in flight finish; then say
    /// [`Input::Fenced`](crate::Input::Fenced). The data plane opens by itself at `until`. Given again, it only changes
    /// `until`; one answer is due in all. The word of INFO's `paused_reason` follows from `exits`.
    Fence {
        /// Backstop; [`Mono::NEVER`] once the final save begins.
        until: Mono,
        /// The node is stopping (`shutdown_in_progress`), or hands over and stays (`failover_in_progress`).
        exits: bool,
        /// Once nothing is in flight any more, append a request for acknowledgement as the last thing in the stream; the
        /// end that is reported lies before it. Given again, nothing more is appended.
        ask: bool,
    },
    /// Until this instant writes may be acknowledged, and not later: then they are held, and so are the replies of those
    /// that were executed already. [`Mono::NEVER`] where nothing limits them. The newest one counts.
    Lease {
        /// The end of the lease.
        until: Mono,
    },
    /// Let the held writers go on: this node is still primary.
    Unfence,
    /// The roles have flipped: the fence is gone, clients that are held or blocked are answered with the new place. Then
    /// say [`Input::Redirected`](crate::Input::Redirected) and keep saying
    /// [`Input::ClientsLeft`](crate::Input::ClientsLeft).
    Redirect {
        /// The new primary.
        successor: NodeId,
        /// Epoch of its claim.
        epoch: Epoch,
    },
    /// Append `REPLCONF GETACK *` to the stream and push it out at once.
    AskAck,
    /// Append `CLUSTER FAILOVER FORCE REPLICAID <target>` to the stream and push it out at once (cluster-bus 9).
    AppendOrder {
        /// The replica to be primary.
        target: NodeId,
    },
    /// Outside of clusters: become a replica of this node, with the request that promotes it (`PSYNC ... FAILOVER`).
    /// Clients that can be redirected are held, readers too; blocked ones stay blocked. Then say
    /// [`Input::TakeoverAsked`](crate::Input::TakeoverAsked) and
    /// [`Input::TakeoverAnswered`](crate::Input::TakeoverAnswered).
    AskTakeover {
        /// Its address, as it announced it.
        host: String,
        /// Its client port.
        port: u16,
    },
    /// Be primary again, under a new history: nobody took over.
    ResumePrimary,
    /// Delete the keys of these slots, propagating deletions to replicas, also while writes are held.
    DeleteKeysInSlots(SlotBitmap),
    /// Empty all databases.
    FlushAllData,
    /// Shard channels of these slots lose their subscribers.
    UnsubscribeSlots(SlotBitmap),
    /// Hand a message of another node to local subscribers.
    DeliverPublish {
        /// Its channel.
        channel: Vec<u8>,
        /// Its payload.
        message: Vec<u8>,
        /// Shard channel.
        sharded: bool,
    },
    /// The answer to [`Input::Command`](crate::Input::Command).
    Reply {
        /// The request.
        token: Token,
        /// Its answer: a value, or the text of an error with its prefix.
        result: Result<ClusterReply, String>,
    },
    /// [`Input::Stop`](crate::Input::Stop), [`Input::HandOver`](crate::Input::HandOver) or
    /// [`Input::Failover`](crate::Input::Failover) is over. After a stop that
    /// succeeded, [`Effect::Exit`] follows.
    Finished {
        /// The request.
        token: Token,
        /// How it went.
        outcome: Outcome,
    },
    /// Do the save and sync work that this way of shutting down calls for, then say
    /// [`Input::Saved`](crate::Input::Saved).
    FinalSave,
    /// Leave with code 0. Nothing comes after it.
    Exit,
    /// A line for the log.
    Log {
        /// How important.
        level: LogLevel,
        /// The line.
        text: String,
    },
    /// A phase of a handover began.
    Timeline(Record),
}
