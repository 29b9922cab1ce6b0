//! Directives of cluster mode (cluster-bus 13).

use crate::choice::{ConfigSaveBehavior, PreferredEndpoint};
use crate::directive::{Directive, NAT32, NAT64, POS32, TextRule, Unit, choice, flag, int, memory, port, text};
use crate::id::Id;

const MIGRATION: &str = "slot migration is not available yet";

pub(super) const TABLE: &[Directive] = &[
    flag(Id::ClusterEnabled, "cluster-enabled", "no", "Runs as a node of a cluster.").immutable(),
    text(
        Id::ClusterConfigFile,
        "cluster-config-file",
        "nodes.conf",
        TextRule::NotEmpty,
        "File of the cluster's state.",
    )
    .immutable(),
    choice::<ConfigSaveBehavior>(
        "cluster-config-save-behavior",
        "sync",
        "What happens when the cluster's state can't be written.",
    ),
    int(
        Id::ClusterNodeTimeout,
        "cluster-node-timeout",
        "15000",
        NAT64,
        Unit::Millis,
        "Longest silence of a node before it counts as failing.",
    ),
    int(Id::ClusterPingInterval, "cluster-ping-interval", "0", NAT64, Unit::Millis, "0 is half the node timeout.")
        .hidden(),
    int(
        Id::ClusterMessageGossipPerc,
        "cluster-message-gossip-perc",
        "10",
        (1, 100),
        Unit::Percent,
        "Share of the known nodes that a ping tells about.",
    )
    .hidden(),
    port(Id::ClusterPort, "cluster-port", "0", "Port of the cluster bus; 0 is the client port plus 10000.").immutable(),
    int(Id::ClusterDatabases, "cluster-databases", "1", POS32, Unit::Count, "Databases in cluster mode.").immutable(),
    text(Id::ClusterAnnounceIp, "cluster-announce-ip", "", TextRule::AnnounceIp, "Address told to other nodes."),
    text(
        Id::ClusterAnnounceClientIpv4,
        "cluster-announce-client-ipv4",
        "",
        TextRule::Ipv4,
        "Address told to clients that came over IPv4.",
    ),
    text(
        Id::ClusterAnnounceClientIpv6,
        "cluster-announce-client-ipv6",
        "",
        TextRule::Ipv6,
        "Address told to clients that came over IPv6.",
    ),
    port(Id::ClusterAnnouncePort, "cluster-announce-port", "0", "Port told to other nodes; 0 is the port."),
    port(Id::ClusterAnnounceTlsPort, "cluster-announce-tls-port", "0", "TLS port told to other nodes."),
    port(Id::ClusterAnnounceBusPort, "cluster-announce-bus-port", "0", "Bus port told to other nodes."),
    port(Id::ClusterAnnounceClientPort, "cluster-announce-client-port", "0", "Port told to clients."),
    port(Id::ClusterAnnounceClientTlsPort, "cluster-announce-client-tls-port", "0", "TLS port told to clients."),
    text(
        Id::ClusterAnnounceHostname,
        "cluster-announce-hostname",
        "",
        TextRule::Hostname,
        "Hostname told to nodes and clients.",
    ),
    text(
        Id::ClusterAnnounceHumanNodename,
        "cluster-announce-human-nodename",
        "",
        TextRule::NodeName,
        "Name of this node in logs.",
    ),
    text(Id::AvailabilityZone, "availability-zone", "", TextRule::Any, "Zone of this node, told to clients and nodes."),
    choice::<PreferredEndpoint>("cluster-preferred-endpoint-type", "ip", "What redirections name."),
    flag(
        Id::ClusterRequireFullCoverage,
        "cluster-require-full-coverage",
        "yes",
        "Refuses requests while any slot has no owner.",
    ),
    flag(
        Id::ClusterAllowReadsWhenDown,
        "cluster-allow-reads-when-down",
        "no",
        "Serves reads while the cluster is down.",
    ),
    flag(
        Id::ClusterAllowPubsubshardWhenDown,
        "cluster-allow-pubsubshard-when-down",
        "yes",
        "Serves sharded Pub/Sub while the cluster is down.",
    ),
    flag(
        Id::ClusterAllowReplicaMigration,
        "cluster-allow-replica-migration",
        "yes",
        "Lets replicas move to primaries that have none.",
    ),
    int(
        Id::ClusterMigrationBarrier,
        "cluster-migration-barrier",
        "1",
        NAT32,
        Unit::Count,
        "Replicas that a primary keeps when one of its replicas moves.",
    ),
    int(
        Id::ClusterReplicaValidityFactor,
        "cluster-replica-validity-factor",
        "10",
        NAT32,
        Unit::Count,
        "Node timeouts of lost contact after which a replica does not stand for election; 0 is no limit.",
    )
    .alias("cluster-slave-validity-factor"),
    flag(
        Id::ClusterReplicaNoFailover,
        "cluster-replica-no-failover",
        "no",
        "Keeps this replica from standing for election by itself.",
    )
    .alias("cluster-slave-no-failover"),
    int(
        Id::ClusterManualFailoverTimeout,
        "cluster-manual-failover-timeout",
        "5000",
        POS32,
        Unit::Millis,
        "Longest manual failover, and longest pause of writes for it.",
    ),
    int(
        Id::ClusterBlacklistTtl,
        "cluster-blacklist-ttl",
        "60",
        NAT64,
        Unit::Seconds,
        "How long a node stays forgotten.",
    ),
    memory(
        Id::ClusterLinkSendbufLimit,
        "cluster-link-sendbuf-limit",
        "0",
        NAT64,
        "Bytes waiting on a bus link at which it is closed; 0 is no limit.",
    ),
    flag(Id::ClusterSlotStatsEnabled, "cluster-slot-stats-enabled", "no", "Counts time and bytes of every slot."),
    int(
        Id::ClusterSlotMigrationLogMaxLen,
        "cluster-slot-migration-log-max-len",
        "1000",
        NAT64,
        Unit::Count,
        "Finished slot migrations that are remembered.",
    )
    .accepted(MIGRATION),
    memory(
        Id::SlotMigrationMaxFailoverReplBytes,
        "slot-migration-max-failover-repl-bytes",
        "0",
        (-1, i64::MAX),
        "Bytes still to send at which a slot migration pauses writes; -1 is no limit.",
    )
    .accepted(MIGRATION),
    flag(
        Id::ClusterWitness,
        "cluster-witness",
        "no",
        "Runs as a node that votes and holds no slots, so that a single shard can fail over.",
    )
    .fixed(),
    flag(
        Id::HandoverOnShutdown,
        "handover-on-shutdown",
        "yes",
        "Hands the primary role to a replica before SIGTERM ends the process.",
    ),
    int(
        Id::ClusterRestartWait,
        "cluster-restart-wait",
        "10000",
        NAT64,
        Unit::Millis,
        "How long a restarted primary waits for replicas that may have more data, ms; 0 is not to ask them.",
    ),
    flag(
        Id::ClusterDetectRefusals,
        "cluster-detect-refusals",
        "yes",
        "Suspects a primary with a replica as soon as it refuses connections, not after the node timeout.",
    ),
    int(
        Id::ClusterDetectSilence,
        "cluster-detect-silence",
        "800",
        NAT64,
        Unit::Millis,
        "Silence after which a primary with a replica is suspected before the node timeout; 0 is the node timeout.",
    ),
    flag(
        Id::ClusterWriteLease,
        "cluster-write-lease",
        "yes",
        "Holds writes of a primary while no majority answers it, and votes against it only once it must hold them.",
    ),
];
