//! Directives of replication, from both ends.

use crate::choice::{DisklessLoad, PropagationError};
use crate::directive::{
    Directive, NAT32, NAT64, POS32, Special, TextRule, Unit, choice, flag, int, memory, port, special, text,
};
use crate::id::Id;

pub(super) const TABLE: &[Directive] = &[
    special(Id::ReplicaOf, "replicaof", "", Special::ReplicaOf, "Host and port of the primary to replicate.")
        .alias("slaveof")
        .immutable()
        .multi_arg(),
    text(Id::PrimaryAuth, "primaryauth", "", TextRule::Secret, "Password for the primary.")
        .alias("masterauth")
        .sensitive(),
    text(Id::PrimaryUser, "primaryuser", "", TextRule::Nullable, "User for the primary.")
        .alias("masteruser")
        .sensitive(),
    flag(Id::ReplicaServeStaleData, "replica-serve-stale-data", "yes", "A replica answers while its link is down.")
        .alias("slave-serve-stale-data"),
    flag(Id::ReplicaReadOnly, "replica-read-only", "yes", "A replica refuses writes.").alias("slave-read-only"),
    int(Id::ReplicaPriority, "replica-priority", "100", NAT32, Unit::Count, "Lower is promoted first; 0 never.")
        .alias("slave-priority"),
    text(Id::ReplicaAnnounceIp, "replica-announce-ip", "", TextRule::Nullable, "Address a replica tells its primary.")
        .alias("slave-announce-ip"),
    port(Id::ReplicaAnnouncePort, "replica-announce-port", "0", "Port a replica tells its primary.")
        .alias("slave-announce-port"),
    flag(Id::ReplicaAnnounced, "replica-announced", "yes", "Sentinels may list this replica."),
    flag(
        Id::ReplicaIgnoreDiskWriteErrors,
        "replica-ignore-disk-write-errors",
        "no",
        "A replica applies writes although its disk fails.",
    ),
    memory(
        Id::ReplBacklogSize,
        "repl-backlog-size",
        "10485760",
        (1, i64::MAX),
        "Bytes of the stream kept for partial resynchronisation.",
    ),
    int(
        Id::ReplBacklogTtl,
        "repl-backlog-ttl",
        "3600",
        NAT64,
        Unit::Seconds,
        "How long the backlog outlives the last replica; 0 for ever.",
    ),
    int(Id::ReplTimeout, "repl-timeout", "60", POS32, Unit::Seconds, "Silence after which a link is dropped."),
    int(
        Id::ReplPingReplicaPeriod,
        "repl-ping-replica-period",
        "10",
        POS32,
        Unit::Seconds,
        "How often a primary pings its replicas.",
    )
    .alias("repl-ping-slave-period"),
    flag(Id::ReplDisableTcpNodelay, "repl-disable-tcp-nodelay", "no", "Saves packets towards replicas at a delay."),
    flag(Id::ReplMptcp, "repl-mptcp", "no", "Reaches the primary with multipath TCP.")
        .immutable()
        .accepted("links use plain TCP"),
    flag(Id::ReplDisklessSync, "repl-diskless-sync", "yes", "Sends snapshots without a file."),
    int(
        Id::ReplDisklessSyncDelay,
        "repl-diskless-sync-delay",
        "5",
        NAT32,
        Unit::Seconds,
        "How long a full synchronisation waits for more replicas, if this is set.",
    ),
    int(
        Id::ReplDisklessSyncMaxReplicas,
        "repl-diskless-sync-max-replicas",
        "0",
        NAT32,
        Unit::Count,
        "Replicas at which it no longer waits; 0 is no limit.",
    ),
    choice::<DisklessLoad>("repl-diskless-load", "disabled", "How a replica loads a full synchronisation.")
        .deny_loading()
        .accepted("a snapshot is loaded as it arrives, beside the dataset that is served meanwhile"),
    flag(
        Id::DualChannelReplicationEnabled,
        "dual-channel-replication-enabled",
        "no",
        "Sends snapshot and stream apart.",
    )
    .accepted("one channel is enough when snapshots need no child process"),
    int(
        Id::MinReplicasToWrite,
        "min-replicas-to-write",
        "0",
        NAT32,
        Unit::Count,
        "Replicas that must be present for writes; 0 is off.",
    )
    .alias("min-slaves-to-write"),
    int(
        Id::MinReplicasMaxLag,
        "min-replicas-max-lag",
        "10",
        NAT32,
        Unit::Seconds,
        "Lag up to which such a replica counts as present.",
    )
    .alias("min-slaves-max-lag"),
    int(
        Id::WriteAckReplicas,
        "write-ack-replicas",
        "0",
        NAT32,
        Unit::Count,
        "Replicas that must have acknowledged a write before its reply is sent; 0 is off.",
    ),
    int(
        Id::WriteAckTimeout,
        "write-ack-timeout",
        "1000",
        POS32,
        Unit::Millis,
        "How long a reply waits for that before an error is sent instead.",
    ),
    choice::<PropagationError>(
        "propagation-error-behavior",
        "ignore",
        "What happens when a command from the primary fails.",
    ),
];
