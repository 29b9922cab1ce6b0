//! Everything the cluster machine asks of the world, as values. They are carried out strictly in the order they come.

use crate::input::Token;
use crate::link::LinkId;
use crate::note::Note;
use crate::record::EpochRecord;
use crate::show::ClusterReply;
use crate::topology::Topology;
use baton_base::{Mono, NodeId, SlotBitmap};
use std::sync::Arc;

/// Severity of a log line, as upstream's levels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LogLevel {
    /// For developers.
    Debug,
    /// Chatty.
    Verbose,
    /// What an operator wants to see.
    Notice,
    /// What an operator must see.
    Warning,
}

/// One thing to do. Order is part of the meaning: nothing may overtake a durable save, and a role is taken before the
/// topology that shows it is published.
///
/// If a durable save fails and the configuration lets the node go on (`best-effort`), the remaining [`Effect::Send`]s of
/// the queue must be dropped and [`Input::PersistOutcome`](crate::Input::PersistOutcome) be given.
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
    /// Close a link, in either direction, open or not. No `LinkClosed` is expected for it.
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
    /// Record this durably before any later effect is carried out: a few bytes beside the configuration file instead of
    /// all of it. The newest record counts; at start it is merged into the file
    /// ([`Restored::merge`](crate::conf::Restored::merge)).
    SaveEpochs(EpochRecord),
    /// Make this snapshot the one that workers read.
    PublishTopology(Arc<Topology>),
    /// Stop serving as primary, drop what depends on it, and replicate from this node.
    BecomeReplicaOf {
        /// The primary.
        primary: NodeId,
        /// Its address.
        host: String,
        /// Its client port of the transport that replication uses.
        port: u16,
        /// A partial resynchronisation must not be tried: the data is of another shard.
        full_sync: bool,
    },
    /// Stop replicating: the old replication id stays valid as the second one up to the current offset.
    BecomePrimary,
    /// Hold writes (and expiry, eviction, replication pings) so that the offset stands still, then give
    /// [`Input::WritesPaused`](crate::Input::WritesPaused). Purpose *failover_in_progress*.
    PauseWrites {
        /// The replica that asked to take over.
        replica: NodeId,
        /// The backstop after which they resume by themselves.
        until: Mono,
    },
    /// Until this instant writes may be acknowledged, and not later: then they are held, and so are the replies of those
    /// that were executed already. [`Mono::NEVER`] where nothing limits them.
    Lease {
        /// The end of the lease; the newest effect counts.
        until: Mono,
    },
    /// What [`Input::Canvass`](crate::Input::Canvass) asked for is done, or there is nothing to wait for.
    Canvassed {
        /// Who is to take over.
        replica: NodeId,
    },
    /// What [`Input::Recall`](crate::Input::Recall) asked for is done: this replica can't win any more.
    Recalled {
        /// Who was to take over.
        replica: NodeId,
    },
    /// Let held writes run again.
    ResumeWrites,
    /// Delete the keys of these slots, propagating deletions to replicas, and log
    /// `Deleting keys in dirty slot N on node …` for each slot that has any.
    DeleteKeysInSlots(SlotBitmap),
    /// Empty all databases.
    FlushAllData,
    /// These slots left my shard: their shard channels lose their subscribers.
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
    /// The answer to a command: a value, or the text of an error with its prefix (`ERR …`).
    Reply {
        /// The request.
        token: Token,
        /// Its answer.
        result: Result<ClusterReply, String>,
    },
    /// A step of a change of primary. May be ignored.
    Note(Note),
    /// A line for the log.
    Log {
        /// How important.
        level: LogLevel,
        /// The line.
        text: String,
    },
}
