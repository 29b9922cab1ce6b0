//! What goes into the link machine and what comes out. Both are closed sets, so that a server and a simulator can drive
//! the same machine.

use crate::LogLine;
use baton_base::{Offset, ReplId};

/// One connection to a primary. Inputs about an older connection are ignored, so they may arrive late.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u64);

/// A place in a history: bytes of the stream up to `offset` are in the dataset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The history.
    pub replid: ReplId,
    /// Bytes of it that were applied.
    pub offset: Offset,
}

/// Whom to follow, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// Host name or address of the primary.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What the dataset is, if it has a history: then a partial resynchronisation is tried.
    pub resume: Option<Position>,
    /// Whether this node was a primary until now.
    pub was_primary: bool,
    /// Whether the peer is to be promoted by the request (`PSYNC … FAILOVER`, replication 7).
    pub takeover: bool,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Follow this primary from now on, instead of any other.
    Start(Start),
    /// Follow nobody any more.
    Stop,
    /// The connection stands.
    Connected(ConnId),
    /// The connection can't be made.
    ConnectFailed {
        /// Which.
        conn: ConnId,
        /// Why, in the words of the system.
        reason: String,
        /// Whether nobody listens there: the system said so, not a clock.
        refused: bool,
    },
    /// The connection ended, or has to end.
    Lost {
        /// Which.
        conn: ConnId,
        /// False after a violation of the protocol: then the next synchronisation is a full one (replication 2.3).
        resumable: bool,
    },
    /// Bytes of payload or stream arrived, or the loading of what arrived goes on. Resets the timeout.
    Heard {
        /// From where.
        conn: ConnId,
        /// How many bytes.
        bytes: u64,
    },
    /// The dataset that the position belongs to is gone, or about to be: the snapshot replaces it in place. Not to be sent
    /// where the snapshot is loaded aside.
    DataReplaced(ConnId),
    /// The snapshot is loaded; what follows on the connection is stream.
    TransferDone(ConnId),
    /// The snapshot could not be received or loaded. The reason was logged by who found it.
    TransferFailed(ConnId),
    /// The primary asked for an acknowledgement (REPLCONF GETACK), or somebody here wants one to be sent.
    AckNow,
    /// Time passed.
    Tick,
}

/// How the end of a snapshot is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Payload {
    /// After this many bytes.
    Len(u64),
    /// At these forty bytes, which follow the snapshot.
    Eof([u8; 40]),
}

/// What is to be done, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Connect and report; at most one connection exists at a time.
    Connect {
        /// Name of the connection in all further inputs and effects.
        conn: ConnId,
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Close; no input about it is needed.
    Close(ConnId),
    /// Send these bytes.
    Send {
        /// Where.
        conn: ConnId,
        /// What.
        bytes: Vec<u8>,
    },
    /// A full synchronisation: the bytes that follow what [`super::ReplicaLink::receive`] consumed are the snapshot.
    BeginTransfer {
        /// The connection that carries it.
        conn: ConnId,
        /// Where it ends.
        payload: Payload,
        /// What it will be; none if the primary does not say.
        source: Option<Position>,
    },
    /// The dataset now has this history: forget the previous one, begin an empty backlog at its offset. None: the primary
    /// gave no id; take a fresh random one at offset 0.
    AdoptHistory(Option<Position>),
    /// The stream goes on where it ended. With another id: the present one becomes the second id
    /// ([`crate::History::continue_as`]).
    ContinueHistory {
        /// The id that the primary gave, if it gave one.
        replid: Option<ReplId>,
    },
    /// Bytes that follow are stream, to be applied from this offset on.
    StreamStarts {
        /// The connection.
        conn: ConnId,
        /// Offset before the first byte.
        from: Offset,
    },
    /// The request that promotes the peer was sent: it may be primary from now on, whether or not its reply arrives.
    TakeoverAsked,
    /// The peer accepted to be promoted.
    TakeoverAccepted,
    /// Nobody listens any more where the peer is: it has ended, as far as can be known. Said again with each attempt.
    TakeoverGone,
    /// The peer refused to be promoted; the link follows nobody now.
    TakeoverRejected,
    /// A line for the log.
    Log(LogLine),
}
