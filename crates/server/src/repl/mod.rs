//! Replication at run time: the feeder thread serves this node's replicas, the link thread follows its primary. What
//! INFO, ROLE, WAIT and the handover need to know of both is published here.
//!
//! Reading order: [`ReplState`] and the messages below, [`role`] (becoming primary or replica), [`feeder`] (replicas),
//! [`snapshot`] (what a full synchronisation sends), [`link`] (the primary).

pub mod feeder;
pub mod info;
pub mod link;
pub mod role;
pub mod snapshot;

pub(crate) use feeder::full_sync::begin_history_still;
pub(crate) use link::replay::Replay;
pub(crate) use link::stream::Stream;

pub use info::info_section;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use baton_base::{Mono, NodeId, Offset};
use baton_cluster::SyncGrant;
use baton_replication::history::BacklogExtent;
use baton_replication::info::FailoverState;
use baton_replication::link::{LinkStatus, Position};
use baton_replication::sync::{self, ClientView, NodeView, PrimaryLink, SyncDecision, SyncRequest, Withheld};
use baton_replication::{History, LogLine, ReplicaSession};
use parking_lot::Mutex;

use crate::clients::{ClientFlags, ClientId, ClientMeta};
use crate::conn::Conn;
use crate::log::{Level, Log};
use crate::shared::Shared;
use crate::worker::client::Client;
use crate::world::World;

/// What a connection said about itself as a replica before it asked for the stream.
pub type ReplicaHandshake = ReplicaSession;

/// One attached replica as others see it.
#[derive(Clone, Debug)]
pub struct ReplicaView {
    /// Its connection.
    pub client: ClientId,
    /// The session's state.
    pub session: ReplicaSession,
    /// Its node id, in a cluster.
    pub node: Option<NodeId>,
}

/// What is published of replication.
pub struct ReplState {
    /// Which history the dataset belongs to. Changes only while the world stands still.
    pub history: Mutex<History>,
    /// The database that was selected in the stream of the previous history where this node left it. Changes only while the
    /// world stands still.
    pub previous_db: Mutex<Option<u32>>,
    /// The attached replicas, in the order they connected.
    pub replicas: ArcSwap<Vec<ReplicaView>>,
    /// The link to the primary; none for a primary. Its ages in seconds are renewed about once a second.
    pub link: ArcSwap<Option<LinkStatus>>,
    /// Grows with every change of whom this node follows, while the world stands still. The link thread applies nothing
    /// that was received under an older number.
    pub epoch: AtomicU64,
    /// This node is handing over: nobody may synchronise with it (replication 1.3). Set by the control thread.
    pub failing_over: AtomicBool,
    /// How far a planned change is, for INFO; see [`ReplState::set_failover`].
    failover: Mutex<FailoverState>,
    /// The control thread wants [`ControlMessage::ReplicasChanged`](crate::control::ControlMessage) for acknowledgements,
    /// too.
    pub watch_acks: AtomicBool,
    /// The control thread wants [`ControlMessage::LinkChanged`](crate::control::ControlMessage) whenever more of the
    /// stream is applied.
    pub watch_progress: AtomicBool,
    /// The dataset is that of another shard than this node belongs to: until a snapshot of its primary replaces it, it is
    /// worth nothing here. Changes while the world stands still, or before anybody is served.
    pub foreign: AtomicBool,
    /// Nothing is acknowledged to the primary: an election may be about to count on that.
    pub acks_frozen: AtomicBool,
    /// A snapshot is being made for replicas.
    pub sending_snapshot: AtomicBool,
    /// A snapshot of the primary is being loaded beside the dataset in use.
    pub loading_aside: AtomicBool,
    /// End of the primary's stream as far as it was received, applied or not.
    pub read_offset: AtomicU64,
    /// When the primary was last heard, in microseconds of monotonic time; 0 before that.
    pub heard_us: AtomicU64,
    /// Since when the link to the primary is down, likewise; `u64::MAX` while it is up or if it never was.
    pub down_since_us: AtomicU64,
}

impl ReplState {
    /// A fresh history without anybody attached.
    pub fn new(history: History) -> ReplState {
        ReplState {
            history: Mutex::new(history),
            previous_db: Mutex::default(),
            replicas: ArcSwap::default(),
            link: ArcSwap::default(),
            epoch: AtomicU64::new(0),
            failing_over: AtomicBool::new(false),
            failover: Mutex::default(),
            watch_acks: AtomicBool::new(false),
            watch_progress: AtomicBool::new(false),
            foreign: AtomicBool::new(false),
            acks_frozen: AtomicBool::new(false),
            sending_snapshot: AtomicBool::new(false),
            loading_aside: AtomicBool::new(false),
            read_offset: AtomicU64::new(0),
            heard_us: AtomicU64::new(0),
            down_since_us: AtomicU64::new(u64::MAX),
        }
    }

    /// Online replicas that applied everything up to this offset.
    pub fn acknowledged(&self, offset: Offset) -> u64 {
        baton_replication::quorum::acknowledged(self.replicas.load().iter().map(|r| &r.session), offset) as u64
    }

    /// Online replicas that fsynced everything up to this offset.
    pub fn fsynced(&self, offset: Offset) -> u64 {
        baton_replication::quorum::fsynced(self.replicas.load().iter().map(|r| &r.session), offset) as u64
    }

    /// When the primary was last heard; none before that.
    pub fn heard_at(&self) -> Option<Mono> {
        Some(self.heard_us.load(Ordering::Relaxed)).filter(|us| *us > 0).map(Mono::from_micros)
    }

    /// Since when the link to the primary is down; none while it is up or if it never was.
    pub fn down_since(&self) -> Option<Mono> {
        Some(self.down_since_us.load(Ordering::Relaxed)).filter(|us| *us < u64::MAX).map(Mono::from_micros)
    }
}

/// A connection on its way from a worker to the feeder.
pub struct Adopted {
    /// Its stream.
    pub conn: Conn,
    /// Its face to others.
    pub meta: Arc<ClientMeta>,
    /// What it said about itself.
    pub session: ReplicaSession,
    /// PSYNC's arguments after the name, or none for SYNC.
    pub psync: Option<Vec<Vec<u8>>>,
    /// Replies that were not written yet.
    pub output: Vec<u8>,
    /// Bytes received behind the request.
    pub input: Vec<u8>,
}

/// What the other threads tell the feeder.
pub enum FeederMessage {
    /// Serve this replica.
    Adopt(Box<Adopted>),
    /// Ask all replicas to acknowledge, now.
    AskAcks,
    /// Close the connection of one replica.
    Kill(ClientId),
    /// Close the connections of all replicas: the history changed under them.
    DropAll,
    /// End the thread.
    Stop,
}

/// Whom to follow from now on.
#[derive(Clone, Debug)]
pub struct Follow {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What the dataset is, where it may go on there; without it a full synchronisation is asked for.
    pub resume: Option<Position>,
    /// This node was a primary until now.
    pub was_primary: bool,
    /// The peer is to be promoted by the request (replication 7).
    pub takeover: bool,
    /// [`ReplState::epoch`] that this order belongs to.
    pub epoch: u64,
}

/// A wait for the rest of the primary's stream: all that has arrived is applied, up to the end at least, or no more comes.
pub struct Settling {
    /// Where the stream ends.
    pub end: Offset,
    /// Told when it is over.
    pub done: crossbeam_channel::Sender<()>,
}

/// What the other threads tell the link thread.
pub enum LinkMessage {
    /// Follow this primary.
    Follow(Box<Follow>),
    /// Follow nobody.
    StopFollowing,
    /// Close the connection; it is made anew.
    Reconnect,
    /// Settings changed.
    SettingsChanged,
    /// Acknowledge now.
    AckNow,
    /// Say so once what the primary still sends is applied.
    Settle(Settling),
    /// A name was resolved for the connection with this number.
    Resolved {
        /// Which.
        conn: u64,
        /// Its addresses in the order to be tried, or why there are none.
        addrs: Result<Vec<std::net::SocketAddr>, String>,
    },
    /// End the thread.
    Stop,
}

/// Hands a connection that asked for the stream over to the feeder.
pub fn hand_over(shared: &Arc<Shared>, client: Client) {
    let Client { conn, meta, replica, out, written, input, psync, .. } = client;
    let session = replica.map_or_else(|| new_session(&meta), |r| *r);
    let output = out.buf[written..].to_vec();
    // From here on CLIENT KILL has to find it with the feeder.
    meta.set_flags(ClientFlags::REPLICA, true);
    let adopted = Adopted { conn, meta, session, psync, output, input };
    shared.threads().feeder.send(FeederMessage::Adopt(Box::new(adopted)));
}

/// The session of a connection that has said nothing about itself.
pub fn new_session(meta: &ClientMeta) -> ReplicaSession {
    let ip = meta.addr.parse::<std::net::SocketAddr>().ok().map(|a| a.ip().to_string());
    ReplicaSession::new(meta.id.0, ip)
}

/// Closes the connection of a replica or the link to the primary.
pub fn kill(shared: &Shared, meta: &ClientMeta) {
    if meta.flags().contains(ClientFlags::PRIMARY) {
        // What has arrived and is not applied is asked for again.
        meta.doomed.store(true, Ordering::Release);
        shared.threads().link.send(LinkMessage::Reconnect);
    } else {
        // Nobody counts on it from here on, however long the feeder takes to hear of it.
        shared.repl.replicas.rcu(|all| all.iter().filter(|r| r.client != meta.id).cloned().collect::<Vec<_>>());
        shared.threads().feeder.send(FeederMessage::Kill(meta.id));
    }
}

/// What a request for synchronisation gets, as things stand. A caller that acts on it must be inside the gate meanwhile:
/// role and history change only while the world stands still.
pub fn decide(
    shared: &Shared,
    request: SyncRequest<'_>,
    session: &ReplicaSession,
    has_pending_output: bool,
) -> (SyncDecision, Vec<LogLine>) {
    let history = *shared.repl.history.lock();
    // Whoever left just now may have pinned more than is to be kept.
    shared.journal.trim();
    let (world, extent) = (shared.world.peek(), shared.journal.extent());
    let link = if world.link_up { PrimaryLink::Up } else { PrimaryLink::Down };
    let node = NodeView {
        history: &history,
        end: extent.end,
        backlog: backlog_of(&extent),
        primary_link: world.role.is_replica().then_some(link),
        withheld: withheld(&world, session),
        failing_over: shared.repl.failing_over.load(Ordering::Acquire),
        replicas: shared.repl.replicas.load().len(),
    };
    sync::decide(request, &ClientView { session, is_monitor: false, has_pending_output }, &node)
}

/// What the cluster machine keeps from this replica.
fn withheld(world: &World, session: &ReplicaSession) -> Withheld {
    world.topology.as_ref().map_or(Withheld::Nobody, |topology| match topology.grants(session.node_id) {
        SyncGrant::Everything => Withheld::Nobody,
        SyncGrant::NothingLess => Withheld::WhoHasMore,
        SyncGrant::Nothing => Withheld::Everybody,
    })
}

/// What the journal retains, as PSYNC and INFO count.
pub fn backlog_of(extent: &baton_journal::Extent) -> Option<BacklogExtent> {
    extent.active.then(|| BacklogExtent { first: extent.start.0 + 1, histlen: extent.histlen() })
}

/// Writes a line of a replication machine.
pub fn write_log(log: &Log, line: &LogLine) {
    let level = match line.level {
        baton_replication::Level::Debug => Level::Debug,
        baton_replication::Level::Verbose => Level::Verbose,
        baton_replication::Level::Notice => Level::Notice,
        baton_replication::Level::Warning => Level::Warning,
    };
    log.write(level, &line.text);
}

/// A number that differs between calls, for ids and marks.
pub(crate) fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// A poll that a signal cut short is no failure.
pub(crate) fn unless_interrupted(e: std::io::Error) -> std::io::Result<()> {
    if e.kind() == std::io::ErrorKind::Interrupted { Ok(()) } else { Err(e) }
}
