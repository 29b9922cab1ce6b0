//! Everything that can happen to the cluster machine, as values. Nothing else may change it.

use crate::command::ClusterCommand;
use crate::link::LinkId;
use crate::settings::Settings;
use baton_base::{Mono, NodeId, Offset, Slot, SlotBitmap};

/// Names one request so that its answer finds the way back. Chosen by the caller, opaque here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Token(pub u64);

/// Who asks for a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A client; the text describes it in log lines (`CLIENT INFO` format).
    Client(String),
    /// The replication stream of my primary.
    PrimaryLink,
}

/// Why a connection could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkFailure {
    /// Nobody listens there, and this was known before the connecting call returned, as on loopback.
    RefusedAtOnce,
    /// Nobody listens there.
    Refused,
    /// Somebody did, and was gone before it answered: what a process does that is just ending.
    Reset,
    /// Anything else: no way there, no answer in time, no address.
    Unreachable,
}

/// One event from outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time passed; to be given no later than [`Cluster::next_wake`](crate::Cluster::next_wake) says.
    Tick,
    /// The connection asked for by [`Effect::Connect`](crate::Effect::Connect) is established.
    LinkOpened {
        /// The link of the effect.
        link: LinkId,
        /// Our address on this connection.
        local_ip: String,
    },
    /// A peer connected.
    LinkAccepted {
        /// A fresh id from [`LinkId::inbound`].
        link: LinkId,
        /// The peer's address.
        peer_ip: String,
        /// Our address on this connection.
        local_ip: String,
    },
    /// The connection could not be made.
    LinkFailed {
        /// The link of the effect.
        link: LinkId,
        /// Why not.
        why: LinkFailure,
    },
    /// The connection ended: end of stream, an error, or bytes that are no bus packet (the framer's verdict).
    LinkClosed {
        /// Which one.
        link: LinkId,
    },
    /// Exactly one framed packet arrived.
    Received {
        /// On which link.
        link: LinkId,
        /// The whole packet, header included.
        bytes: Vec<u8>,
    },
    /// A request, answered by exactly one [`Effect::Reply`](crate::Effect::Reply).
    Command {
        /// Comes back in the reply.
        token: Token,
        /// Who asks.
        origin: Origin,
        /// What is asked.
        command: ClusterCommand,
    },
    /// The parameters changed at run time.
    SettingsChanged(Box<Settings>),
    /// The data plane confirmed that no write can be executed any more, as [`Effect::PauseWrites`](crate::Effect::PauseWrites) asked.
    WritesPaused {
        /// The final offset.
        offset: Offset,
    },
    /// The manual failover that [`Effect::PauseWrites`](crate::Effect::PauseWrites) served is over, and whoever holds the
    /// writes sees to it that they run again: no [`Effect::ResumeWrites`](crate::Effect::ResumeWrites) follows.
    ServiceEnded,
    /// These candidates don't get this node's vote, because their promotion was withdrawn. Replaces the earlier list.
    RefuseVotes(Vec<NodeId>),
    /// A handover to this replica comes next: it is to ask for its votes while writes still run, where that makes sense. The
    /// answer is [`Effect::Canvassed`](crate::Effect::Canvassed), or none if the replica is gone.
    Canvass {
        /// Who is to take over.
        replica: NodeId,
    },
    /// Writes are held from here on so that a successor can take over. Replaces what was said of that before.
    StandStill {
        /// Who may, and until when writes are held for it at least; none where nobody may any more.
        heir: Option<(NodeId, Mono)>,
    },
    /// A replica that was told to take over must not any more. The answer is
    /// [`Effect::Recalled`](crate::Effect::Recalled), or none from one that can't be reached, or is of another kind.
    Recall {
        /// The replica.
        replica: NodeId,
    },
    /// Writes run again, or this node was replaced: what [`Input::StandStill`] said is over.
    GoOn,
    /// A message of PUBLISH or SPUBLISH to hand to the other nodes.
    Publish {
        /// Its channel.
        channel: Vec<u8>,
        /// Its payload.
        message: Vec<u8>,
        /// Only the nodes of my shard get it (SPUBLISH).
        sharded: bool,
    },
    /// The dataset is there that this process starts with. To be said once, before anything else; without it the offset of
    /// the first facts counts.
    DataLoaded {
        /// Where it stood in the stream when it was saved; 0 without one.
        offset: Offset,
    },
    /// The own offset moved, or the replication link changed its state: decisions that wait for it go on at once.
    DataProgress,
    /// The outcome of durable writes changed: `ok` is false from the first failed save until one succeeds again. While
    /// false this node neither votes nor stands for election (S8).
    PersistOutcome {
        /// Whether the latest save worked.
        ok: bool,
    },
    /// The data plane acknowledges nothing to the primary from here on, as [`Cluster::freezes_acks`](crate::Cluster::freezes_acks)
    /// wants, or does so again. The facts that come with it, and later ones, were read after that.
    AcksFrozen(bool),
    /// CONFIG RESETSTAT.
    StatsReset,
}

/// How many keys each slot holds. The data plane implements it over its counters.
pub trait KeyCounts {
    /// Keys of this slot in all databases.
    fn keys_in(&self, slot: Slot) -> u64;

    /// Whether no slot holds any key.
    fn is_empty(&self) -> bool {
        Slot::all().all(|slot| self.keys_in(slot) == 0)
    }
}

/// A dataset without keys.
impl KeyCounts for () {
    fn keys_in(&self, _slot: Slot) -> u64 {
        0
    }

    fn is_empty(&self) -> bool {
        true
    }
}

/// The set of slots that hold a key.
impl KeyCounts for SlotBitmap {
    fn keys_in(&self, slot: Slot) -> u64 {
        u64::from(self.contains(slot))
    }
}

/// What the data plane knows at the moment of an input.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Primary: end of its replication stream. Replica: what it has processed. 0 before the first complete dataset.
    pub offset: Offset,
    /// The link to my primary is up (replicas).
    pub link_up: bool,
    /// Last bytes from my primary.
    pub last_interaction: Option<Mono>,
    /// Since when the link to my primary is down; empty if it was never up.
    pub link_down_since: Option<Mono>,
    /// The dataset is complete: loaded or synchronised to its end, never half.
    pub dataset_complete: bool,
    /// The dataset is being loaded from disk.
    pub loading: bool,
    /// Keys per slot.
    pub keys: &'a dyn KeyCounts,
}

impl Facts<'static> {
    /// A node without data that never replicated.
    pub fn empty() -> Facts<'static> {
        Facts {
            offset: Offset(0),
            link_up: false,
            last_interaction: None,
            link_down_since: None,
            dataset_complete: false,
            loading: false,
            keys: &(),
        }
    }
}
