//! Replication at run time: the feeder thread serves this node's replicas, the link thread follows its primary. What
//! INFO, ROLE, WAIT and the handover need to know of both is published here.

pub mod feeder;
pub mod link;

use std::sync::Arc;

use arc_swap::ArcSwap;
use baton_base::{NodeId, Offset};
use baton_replication::link::LinkStatus;
use baton_replication::{History, ReplicaSession};
use parking_lot::Mutex;

use crate::clients::{ClientId, ClientMeta};
use crate::conn::Conn;
use crate::shared::Shared;
use crate::worker::client::Client;

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
    /// Which history the dataset belongs to.
    pub history: Mutex<History>,
    /// The attached replicas.
    pub replicas: ArcSwap<Vec<ReplicaView>>,
    /// The link to the primary; none for a primary.
    pub link: ArcSwap<Option<LinkStatus>>,
}

impl ReplState {
    /// A fresh history without anybody attached.
    pub fn new(history: History) -> ReplState {
        ReplState { history: Mutex::new(history), replicas: ArcSwap::default(), link: ArcSwap::default() }
    }

    /// Online replicas that applied everything up to this offset.
    pub fn acknowledged(&self, offset: Offset) -> u64 {
        baton_replication::quorum::acknowledged(self.replicas.load().iter().map(|r| &r.session), offset) as u64
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

/// What the other threads tell the link thread.
pub enum LinkMessage {
    /// Follow this primary.
    Follow {
        /// Its address.
        host: String,
        /// Its port.
        port: u16,
        /// The dataset's history may go on there; false demands a full synchronisation.
        partial: bool,
        /// This node was a primary until now.
        was_primary: bool,
    },
    /// Follow nobody.
    StopFollowing,
    /// Close the connection; it is made anew.
    Reconnect,
    /// Settings changed.
    SettingsChanged,
    /// Acknowledge now.
    AckNow,
    /// End the thread.
    Stop,
}

/// Hands a connection that asked for the stream over to the feeder.
pub fn hand_over(shared: &Arc<Shared>, client: Client) {
    let Client { conn, meta, replica, out, written, input, psync, .. } = client;
    let session = replica.map_or_else(|| ReplicaSession::new(meta.id.0, None), |r| *r);
    let output = out.buf[written..].to_vec();
    let adopted = Adopted { conn, meta, session, psync, output, input };
    shared.threads().feeder.send(FeederMessage::Adopt(Box::new(adopted)));
}

/// Closes the connection of a replica or the link to the primary.
pub fn kill(shared: &Shared, meta: &ClientMeta) {
    use crate::clients::ClientFlags;
    if meta.flags().contains(ClientFlags::PRIMARY) {
        shared.threads().link.send(LinkMessage::Reconnect);
    } else {
        shared.threads().feeder.send(FeederMessage::Kill(meta.id));
    }
}

/// The text of INFO's replication section.
pub fn info_section(_shared: &Shared, _world: &crate::world::World) -> String {
    String::new()
}
