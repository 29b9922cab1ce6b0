//! The world as commands see it: role, topology, holds, loading, settings. One immutable value, published whole; a
//! worker reads it once a batch, inside the gate, so no batch mixes two of them.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use baton_acl::Users;
use baton_base::{Mono, Slot, SlotBitmap, WallMs};
use baton_cluster::Topology;
use baton_commands::{Env, EventClass, LazyFree};
use baton_config::{AppendFsync, Id, MaxMemoryPolicy, Settings};
use baton_store::Expiry;
use parking_lot::Mutex;

use crate::command_log::Kind;
use crate::eviction::Eviction;
use crate::migrate::Moving;
use crate::notices::Notices;
use crate::renames::Renames;

/// Who this node is in replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It accepts writes.
    Primary,
    /// It follows another node.
    Replica {
        /// Address of its primary.
        host: Arc<str>,
        /// Client port of its primary.
        port: u16,
    },
}

impl Role {
    /// Whether it follows another node.
    pub fn is_replica(&self) -> bool {
        matches!(self, Role::Replica { .. })
    }
}

/// Why commands are held. The order is the order in which one of several is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// CLIENT PAUSE.
    Client = 0,
    /// A shutdown waits for its replicas.
    Shutdown = 1,
    /// A failover is going on.
    Failover = 2,
}

impl HoldReason {
    /// The word of INFO's `paused_reason`.
    pub fn word(self) -> &'static str {
        match self {
            HoldReason::Client => "client_pause",
            HoldReason::Shutdown => "shutdown_in_progress",
            HoldReason::Failover => "failover_in_progress",
        }
    }
}

/// What is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HoldScope {
    /// Commands that may write.
    Writes,
    /// Every command of clients.
    All,
}

/// Which commands are held, for which reasons and until when (replication 8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holds([Option<(HoldScope, Mono)>; 3]);

impl Holds {
    /// Adds a hold. The same reason again only extends: the later end and, for CLIENT PAUSE, the wider scope count.
    pub fn add(&mut self, reason: HoldReason, scope: HoldScope, until: Mono) {
        let slot = &mut self.0[reason as usize];
        *slot = Some(match *slot {
            Some((old_scope, old_until)) => (old_scope.max(scope), old_until.max(until)),
            None => (scope, until),
        });
    }

    /// Ends a hold; tells whether there was one.
    pub fn remove(&mut self, reason: HoldReason) -> bool {
        self.0[reason as usize].take().is_some()
    }

    /// Ends what is over; tells whether anything was.
    pub fn expire(&mut self, now: Mono) -> bool {
        let before = *self;
        for slot in &mut self.0 {
            *slot = slot.filter(|(_, until)| *until > now);
        }
        before != *self
    }

    /// Whether a planned change of the primary, or a stop, holds writes: then the end of the stream stands still.
    pub fn fenced(&self) -> bool {
        self.fenced_until().is_some()
    }

    /// Until when it does at the most; none if it doesn't.
    pub fn fenced_until(&self) -> Option<Mono> {
        [HoldReason::Shutdown, HoldReason::Failover]
            .iter()
            .filter_map(|r| self.0[*r as usize])
            .map(|(_, until)| until)
            .max()
    }

    /// Whether something is held for this reason.
    pub fn has(&self, reason: HoldReason) -> bool {
        self.0[reason as usize].is_some()
    }

    /// What is held now; the union over all reasons.
    pub fn scope(&self) -> Option<HoldScope> {
        self.0.iter().flatten().map(|(scope, _)| *scope).max()
    }

    /// When the next hold ends by itself.
    pub fn next_end(&self) -> Option<Mono> {
        self.0.iter().flatten().map(|(_, until)| *until).min()
    }

    /// The reason that INFO shows and when the last hold ends.
    pub fn shown(&self) -> Option<(HoldReason, HoldScope, Mono)> {
        let reasons = [HoldReason::Client, HoldReason::Shutdown, HoldReason::Failover];
        let last = self.0.iter().flatten().map(|(_, until)| *until).max()?;
        reasons.into_iter().rev().find_map(|r| self.0[r as usize].map(|(scope, _)| (r, scope, last)))
    }
}

/// Loading of the dataset, as LOADING replies and INFO show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loading {
    /// When clients were first told of it.
    pub since: WallMs,
}

/// Settings that are looked at for every command, already in the form they are needed in.
#[derive(Clone, Debug)]
pub struct Hot {
    /// `replica-read-only`.
    pub replica_read_only: bool,
    /// `replica-serve-stale-data`.
    pub replica_serve_stale_data: bool,
    /// `min-replicas-to-write` when the feature is on, else 0.
    pub min_replicas_to_write: u64,
    /// `write-ack-replicas`.
    pub write_ack_replicas: u64,
    /// `appendonly` with `appendfsync always`.
    pub syncs_always: bool,
    /// `write-ack-timeout`.
    pub write_ack_timeout: Duration,
    /// `proto-max-bulk-len`.
    pub proto_max_bulk_len: usize,
    /// `client-query-buffer-limit`.
    pub query_buffer_limit: usize,
    /// `lazyfree-lazy-expire`: expired keys travel as UNLINK instead of DEL.
    pub lazy_expire: bool,
    /// `lazyfree-lazy-user-del`.
    pub lazy_user_del: bool,
    /// `lazyfree-lazy-server-del`.
    pub lazy_server_del: bool,
    /// `lazyfree-lazy-user-flush`.
    pub lazy_user_flush: bool,
    /// `cluster-enabled`.
    pub cluster: bool,
    /// `maxmemory`; 0 is no limit.
    pub memory_max: u64,
    /// What happens beyond it.
    pub eviction: Eviction,
    /// Commands that take at least so long, in nanoseconds, are written to the slow log.
    pub slow_nanos: u64,
    /// `maxmemory-clients` in bytes; 0 is no limit.
    pub clients_memory_max: u64,
    /// `latency-monitor-threshold` in nanoseconds; what takes as long is an event. The largest number where it is off.
    pub event_nanos: u64,
    /// Requests of at least so many bytes are written to their log.
    pub request_bytes_logged: u64,
    /// Replies of at least so many bytes are written to their log.
    pub reply_bytes_logged: u64,
    /// `latency-tracking`.
    pub latency_tracking: bool,
    /// `cluster-slot-stats-enabled`, in cluster mode.
    pub slot_stats: bool,
    /// `tracking-table-max-keys`; 0 is no limit.
    pub tracking_keys_max: usize,
    /// `notify-keyspace-events`, as bits.
    pub events: u32,
}

impl Hot {
    fn of(s: &Settings) -> Hot {
        let min_replicas = s.uint(Id::MinReplicasToWrite);
        Hot {
            replica_read_only: s.bool(Id::ReplicaReadOnly),
            replica_serve_stale_data: s.bool(Id::ReplicaServeStaleData),
            min_replicas_to_write: if s.uint(Id::MinReplicasMaxLag) == 0 { 0 } else { min_replicas },
            write_ack_replicas: s.uint(Id::WriteAckReplicas),
            syncs_always: s.bool(Id::AppendOnly) && s.choice::<AppendFsync>() == AppendFsync::Always,
            write_ack_timeout: Duration::from_millis(s.uint(Id::WriteAckTimeout)),
            proto_max_bulk_len: s.uint(Id::ProtoMaxBulkLen) as usize,
            query_buffer_limit: s.uint(Id::ClientQueryBufferLimit) as usize,
            lazy_expire: s.bool(Id::LazyfreeLazyExpire),
            lazy_user_del: s.bool(Id::LazyfreeLazyUserDel),
            lazy_server_del: s.bool(Id::LazyfreeLazyServerDel),
            lazy_user_flush: s.bool(Id::LazyfreeLazyUserFlush),
            cluster: s.bool(Id::ClusterEnabled),
            memory_max: s.uint(Id::MaxMemory),
            eviction: Eviction::of(s),
            slow_nanos: Kind::Slow.threshold_of(s).map_or(u64::MAX, |micros| micros.saturating_mul(1000)),
            clients_memory_max: crate::client_memory::limit(s),
            event_nanos: match s.uint(Id::LatencyMonitorThreshold) {
                0 => u64::MAX,
                millis => millis.saturating_mul(1_000_000),
            },
            request_bytes_logged: Kind::LargeRequest.threshold_of(s).unwrap_or(u64::MAX),
            reply_bytes_logged: Kind::LargeReply.threshold_of(s).unwrap_or(u64::MAX),
            latency_tracking: s.bool(Id::LatencyTracking),
            slot_stats: s.bool(Id::ClusterSlotStatsEnabled) && s.bool(Id::ClusterEnabled),
            tracking_keys_max: usize::try_from(s.uint(Id::TrackingTableMaxKeys)).unwrap_or(usize::MAX),
            events: s.int(Id::NotifyKeyspaceEvents) as u32,
        }
    }
}

/// One version of the world.
#[derive(Clone)]
pub struct World {
    /// All settings.
    pub settings: Arc<Settings>,
    /// What of them is looked at for every command.
    pub hot: Arc<Hot>,
    /// Who may do what.
    pub users: Arc<Users>,
    /// Other names of commands; never changes.
    pub renames: Arc<Renames>,
    /// Grows with every change of the users.
    pub users_version: u64,
    /// Primary or replica.
    pub role: Role,
    /// The link to the primary is up (replicas).
    pub link_up: bool,
    /// The cluster, in cluster mode.
    pub topology: Option<Arc<Topology>>,
    /// The node that this one follows was asked to be primary and hasn't agreed yet: nobody is sent there.
    pub takeover: bool,
    /// Another node is primary now, and this one is about to end: writers that can't be redirected wait for the end.
    pub leaving: bool,
    /// What is held.
    pub holds: Holds,
    /// Keys that are being moved to another server: who would change one of them waits.
    pub moving: Moving,
    /// Slots on their way here: their keys are not shown.
    pub hidden: Option<Arc<SlotBitmap>>,
    /// What clients that asked for it are told of changes of primaries; follows from the rest and from what it was before.
    pub notices: Notices,
    /// The dataset is being loaded.
    pub loading: Option<Loading>,
    /// Active expiry is on (DEBUG SET-ACTIVE-EXPIRE).
    pub active_expire: bool,
    /// Scripts may call commands that are not for scripts (DEBUG SET-DISABLE-DENY-SCRIPTS).
    pub scripts_call_all: bool,
    /// RESTORE takes any checksum (DEBUG SET-SKIP-CHECKSUM-VALIDATION).
    pub any_checksum: bool,
    /// Replies to clients that have to authenticate count from the first byte (DEBUG CLIENT-ENFORCE-REPLY-LIST).
    pub no_free_output: bool,
    /// What commands on keys depend on; follows from the rest.
    pub env: Arc<Env>,
    /// A primary to which keys are imported (`import-mode`): their times are their source's to say; follows from the rest.
    pub imports: bool,
    /// Nothing stands between an authenticated client and a command of its own node; follows from the rest. The checks
    /// that only matter for replicas, clusters, holds, loading and missing replicas can be skipped.
    pub plain: bool,
    /// This node is a primary whose replies wait until replicas acknowledged what they tell of, or the log has it; follows
    /// from the rest.
    pub holds_replies: bool,
    /// While the write lease lasts nobody else can be primary, so reads are current without asking; follows from the rest.
    pub leases_reads: bool,
}

impl World {
    /// The world at the start: a primary that holds nothing and loads nothing.
    pub fn new(settings: Arc<Settings>) -> World {
        let hot = Arc::new(Hot::of(&settings));
        World {
            settings,
            hot,
            users: Arc::default(),
            renames: Arc::default(),
            users_version: 0,
            role: Role::Primary,
            link_up: false,
            topology: None,
            takeover: false,
            leaving: false,
            holds: Holds::default(),
            moving: Moving::default(),
            hidden: None,
            notices: Notices::default(),
            loading: None,
            active_expire: true,
            scripts_call_all: false,
            any_checksum: false,
            no_free_output: false,
            env: Arc::new(Env::default()),
            imports: false,
            plain: false,
            holds_replies: false,
            leases_reads: false,
        }
        .derived()
    }

    /// The same with these users.
    pub fn with_users(mut self, users: Users) -> World {
        self.users = Arc::new(users);
        self
    }

    /// The same with these names of commands.
    pub fn with_renames(mut self, renames: Renames) -> World {
        self.renames = Arc::new(renames);
        self
    }

    /// Fills in what follows from the rest.
    fn derived(mut self) -> World {
        let hot = &self.hot;
        self.env = Arc::new(Env {
            lazy: LazyFree {
                expire: hot.lazy_expire,
                server_del: hot.lazy_server_del,
                user_del: hot.lazy_user_del,
                user_flush: hot.lazy_user_flush,
            },
            bulk_bytes_max: hot.proto_max_bulk_len as u64,
            lfu: matches!(self.settings.choice(), MaxMemoryPolicy::AllKeysLfu | MaxMemoryPolicy::VolatileLfu),
            lfu_decay_minutes: u32::try_from(self.settings.int(Id::LfuDecayTime)).unwrap_or(0),
            cluster: hot.cluster,
            events: EventClass::of_setting(hot.events),
            limits: crate::entries::limits(&self.settings, 0),
            hll_sparse_bytes: usize::try_from(self.settings.int(Id::HllSparseMaxBytes)).unwrap_or(0),
            hidden: self.hidden.clone(),
            rdb_compress: self.settings.bool(Id::RdbCompression),
            rdb_versions: crate::entries::versions(&self.settings),
            any_checksum: self.any_checksum,
        });
        self.imports = self.role == Role::Primary && self.settings.bool(Id::ImportMode);
        self.plain = self.role == Role::Primary
            && self.topology.is_none()
            && self.holds.scope().is_none()
            && self.moving.is_empty()
            && self.loading.is_none()
            && self.hot.min_replicas_to_write == 0
            && self.hot.write_ack_replicas == 0
            && self.hot.memory_max == 0;
        self.holds_replies = self.role == Role::Primary && (self.hot.write_ack_replicas > 0 || self.hot.syncs_always);
        // A handover does not wait for the lease: it holds the writes, and the successor serves before this node hears it.
        self.leases_reads =
            self.topology.is_some() && self.settings.bool(Id::ClusterWriteLease) && !self.holds.fenced();
        self
    }

    /// Whether commands that are held in this version of the world may run in this later one.
    pub fn releases(&self, later: &World) -> bool {
        self.holds.scope() > later.holds.scope() || self.moving.len() > later.moving.len()
    }

    /// Whether commands may be served elsewhere in this other version of the world.
    pub fn is_routed_otherwise(&self, other: &World) -> bool {
        match (&self.topology, &other.topology) {
            (Some(before), Some(after)) => !Arc::ptr_eq(before, after),
            (before, after) => before.is_some() != after.is_some(),
        }
    }

    /// Whether this node expires and evicts no key of a slot: they are on their way here, and it is their source that does, or
    /// they are about to leave, and the other node has them as they are.
    #[inline]
    pub fn spares(&self, slot: Slot) -> bool {
        self.hidden.as_ref().is_some_and(|slots| slots.contains(slot)) || self.moving.has_slot(slot)
    }

    /// How a command of a client treats keys whose time has come (replication 3.3).
    pub fn expiry_rule(&self) -> Expiry {
        if self.role.is_replica() || self.imports || self.holds.scope().is_some() {
            Expiry::Hide
        } else {
            Expiry::Delete
        }
    }

    /// The same for a command that writes or not. Where a client writes on a replica, its keys take the place of those
    /// whose time has come; what its reads don't see stays until the primary deletes it.
    #[inline]
    pub fn expiry_rule_of(&self, writes: bool) -> Expiry {
        match self.expiry_rule() {
            Expiry::Hide if writes && self.role.is_replica() => Expiry::Delete,
            rule => rule,
        }
    }

    /// Other users take the place of these.
    pub fn set_users(&mut self, users: Users) {
        self.users = Arc::new(users);
        self.users_version += 1;
    }

    /// The default user gets the password of `requirepass`, or needs none if that is empty.
    pub fn set_default_password(&mut self) {
        let password = self.settings.bytes(Id::RequirePass);
        let mut users = Users::clone(&self.users);
        users.set_default_password((!password.is_empty()).then_some(password));
        self.set_users(users);
    }

    /// Takes changed settings over.
    pub fn set_settings(&mut self, settings: Arc<Settings>) {
        self.hot = Arc::new(Hot::of(&settings));
        self.settings = settings;
    }
}

/// The published world.
pub struct WorldCell {
    current: ArcSwap<World>,
    writing: Mutex<()>,
}

impl WorldCell {
    /// Publishes a first version.
    pub fn new(world: World) -> WorldCell {
        WorldCell { current: ArcSwap::from_pointee(world), writing: Mutex::new(()) }
    }

    /// The current version.
    pub fn load(&self) -> Arc<World> {
        self.current.load_full()
    }

    /// The current version, cheaper, for a short look.
    pub fn peek(&self) -> arc_swap::Guard<Arc<World>> {
        self.current.load()
    }

    /// Publishes a changed copy; gives what the change returned.
    pub fn update<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let _writing = self.writing.lock();
        let mut next = World::clone(&self.current.load());
        let out = change(&mut next);
        self.current.store(Arc::new(next.derived()));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_are_a_union_that_only_extends() {
        let t = Mono::from_millis;
        let mut h = Holds::default();
        assert_eq!(h.scope(), None);
        h.add(HoldReason::Client, HoldScope::All, t(100));
        h.add(HoldReason::Client, HoldScope::Writes, t(50));
        assert_eq!((h.scope(), h.next_end()), (Some(HoldScope::All), Some(t(100))));
        h.add(HoldReason::Failover, HoldScope::Writes, t(300));
        assert_eq!(h.shown(), Some((HoldReason::Failover, HoldScope::Writes, t(300))));
        assert!(h.expire(t(100)));
        assert_eq!(h.scope(), Some(HoldScope::Writes));
        assert!(h.remove(HoldReason::Failover));
        assert_eq!(h.scope(), None);
        assert!(!h.expire(t(1000)));
    }
}
