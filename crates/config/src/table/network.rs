//! Directives of listeners, clients and output buffers.

use crate::choice::AclPubsubDefault;
use crate::directive::{
    Directive, Kind, NAT32, NAT64, Special, TextRule, Unit, choice, flag, int, memory, port, special, text,
};
use crate::id::Id;

const RDMA: &str = "this server has no RDMA transport";
const CPULIST: &str = "worker threads are placed by the operating system";

pub(super) const TABLE: &[Directive] = &[
    port(Id::Port, "port", "6379", "TCP port for clients; 0 opens none."),
    special(Id::Bind, "bind", "* -::*", Special::Bind, "Addresses to listen on; a leading - lets one be missing.")
        .multi_arg(),
    text(Id::BindSourceAddr, "bind-source-addr", "", TextRule::Nullable, "Local address of outgoing connections."),
    int(
        Id::TcpBacklog,
        "tcp-backlog",
        "511",
        NAT32,
        Unit::Count,
        "Length of the queue of connections not yet accepted.",
    )
    .immutable(),
    int(Id::TcpKeepAlive, "tcp-keepalive", "300", NAT32, Unit::Seconds, "Interval of TCP keep-alive probes; 0 is off."),
    int(Id::Timeout, "timeout", "0", NAT32, Unit::Seconds, "Closes clients that are idle so long; 0 never does."),
    text(Id::UnixSocket, "unixsocket", "", TextRule::Nullable, "Path of the Unix socket for clients.").immutable(),
    text(Id::UnixSocketGroup, "unixsocketgroup", "", TextRule::Nullable, "Group that owns the Unix socket.")
        .immutable(),
    Directive::new(
        Id::UnixSocketPerm,
        "unixsocketperm",
        Kind::Octal { max: 0o777 },
        "0",
        "Mode of the Unix socket, in octal; 0 leaves the process's default.",
    )
    .immutable(),
    flag(Id::ProtectedMode, "protected-mode", "yes", "Refuses clients of other machines while no password is set."),
    flag(Id::Mptcp, "mptcp", "no", "Listens with multipath TCP.").immutable().accepted("listeners use plain TCP"),
    int(
        Id::SocketMarkId,
        "socket-mark-id",
        "0",
        (0, u32::MAX as i64),
        Unit::Count,
        "Mark put on every socket; 0 is none.",
    )
    .immutable()
    .accepted("sockets are not marked"),
    int(Id::MaxClients, "maxclients", "10000", (1, u32::MAX as i64), Unit::Count, "Most clients connected at a time."),
    int(
        Id::MaxNewConnectionsPerCycle,
        "max-new-connections-per-cycle",
        "10",
        (1, 1000),
        Unit::Count,
        "Connections accepted each time the listener is ready.",
    ),
    int(
        Id::MaxNewTlsConnectionsPerCycle,
        "max-new-tls-connections-per-cycle",
        "1",
        (1, 1000),
        Unit::Count,
        "TLS connections accepted each time the listener is ready.",
    )
    .accepted(super::tls::NOTE),
    special(
        Id::ClientOutputBufferLimit,
        "client-output-buffer-limit",
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        Special::BufferLimits,
        "Class, hard limit, soft limit and its seconds, for each class of clients that do not read their replies.",
    )
    .multi_arg(),
    memory(
        Id::ClientQueryBufferLimit,
        "client-query-buffer-limit",
        "1073741824",
        (1 << 20, i64::MAX),
        "Most bytes of an unfinished request.",
    ),
    memory(
        Id::ProtoMaxBulkLen,
        "proto-max-bulk-len",
        "536870912",
        (1 << 20, i64::MAX),
        "Longest single argument of a request, and longest string value.",
    ),
    int(
        Id::WorkerThreads,
        "worker-threads",
        "0",
        (0, 256),
        Unit::Count,
        "Threads that serve clients; 0 is io-threads if that is set, else one a core.",
    )
    .fixed(),
    int(
        Id::IoThreads,
        "io-threads",
        "1",
        (1, 256),
        Unit::Count,
        "Threads that serve clients where worker-threads is 0.",
    ),
    flag(Id::IoThreadsAlwaysActive, "io-threads-always-active", "no", "Keeps helper threads spinning.")
        .hidden()
        .debug()
        .accepted("threads sleep whenever they have nothing to do"),
    int(
        Id::PrefetchBatchMaxSize,
        "prefetch-batch-max-size",
        "16",
        (0, 128),
        Unit::Count,
        "Requests whose keys are brought into the cache together.",
    )
    .accepted("a batch is whatever one read brought"),
    int(
        Id::MinIoThreadsAvoidCopyReply,
        "min-io-threads-avoid-copy-reply",
        "7",
        NAT32,
        Unit::Count,
        "Threads from which replies are sent from the value itself.",
    )
    .hidden()
    .accepted("replies are copied"),
    int(
        Id::MinStringSizeAvoidCopyReply,
        "min-string-size-avoid-copy-reply",
        "16384",
        NAT32,
        Unit::Bytes,
        "Size from which replies are sent from the value itself.",
    )
    .hidden()
    .accepted("replies are copied"),
    int(
        Id::MinStringSizeAvoidCopyReplyThreaded,
        "min-string-size-avoid-copy-reply-threaded",
        "65536",
        NAT32,
        Unit::Bytes,
        "The same with several threads.",
    )
    .hidden()
    .accepted("replies are copied"),
    text(Id::RequirePass, "requirepass", "", TextRule::Secret, "Password of the default user.").sensitive(),
    text(Id::AclFile, "aclfile", "", TextRule::Any, "File of ACL users.").immutable(),
    choice::<AclPubsubDefault>("acl-pubsub-default", "resetchannels", "Channels that a new user may use."),
    int(Id::AcllogMaxLen, "acllog-max-len", "128", NAT64, Unit::Count, "Most entries of ACL LOG."),
    int(
        Id::TrackingTableMaxKeys,
        "tracking-table-max-keys",
        "1000000",
        NAT64,
        Unit::Count,
        "Most keys remembered for client-side caching; 0 is no limit.",
    ),
    text(Id::ServerCpulist, "server-cpulist", "", TextRule::Nullable, "Cores of the serving threads.")
        .alias("server_cpulist")
        .immutable()
        .accepted(CPULIST),
    text(Id::BioCpulist, "bio-cpulist", "", TextRule::Nullable, "Cores of the background threads.")
        .alias("bio_cpulist")
        .immutable()
        .accepted(CPULIST),
    text(Id::AofRewriteCpulist, "aof-rewrite-cpulist", "", TextRule::Nullable, "Cores of an append-only file rewrite.")
        .alias("aof_rewrite_cpulist")
        .immutable()
        .accepted(CPULIST),
    text(Id::BgsaveCpulist, "bgsave-cpulist", "", TextRule::Nullable, "Cores of a snapshot.")
        .alias("bgsave_cpulist")
        .immutable()
        .accepted(CPULIST),
    special(Id::RdmaBind, "rdma-bind", "", Special::Bind, "RDMA addresses to listen on.").multi_arg().accepted(RDMA),
    port(Id::RdmaPort, "rdma-port", "0", "RDMA port for clients.").accepted(RDMA),
    int(
        Id::RdmaCompletionVector,
        "rdma-completion-vector",
        "-1",
        (-1, 1024),
        Unit::Count,
        "RDMA completion vector; -1 picks any.",
    )
    .immutable()
    .accepted(RDMA),
    int(Id::RdmaRxSize, "rdma-rx-size", "1048576", (65536, 16 << 20), Unit::Bytes, "RDMA receive buffer.")
        .immutable()
        .accepted(RDMA),
];
