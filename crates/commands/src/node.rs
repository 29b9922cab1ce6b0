//! The commands that the server itself runs: they are about connections, configuration, roles and the cluster, not about
//! keys. Declared here so that the server's match over them is complete by construction.

/// A command that the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeCommand {
    /// AUTH.
    Auth,
    /// CLIENT CACHING.
    ClientCaching,
    /// CLIENT CAPA.
    ClientCapa,
    /// CLIENT GETNAME.
    ClientGetname,
    /// CLIENT GETREDIR.
    ClientGetredir,
    /// CLIENT ID.
    ClientId,
    /// CLIENT IMPORT-SOURCE.
    ClientImportSource,
    /// CLIENT INFO.
    ClientInfo,
    /// CLIENT KILL.
    ClientKill,
    /// CLIENT LIST.
    ClientList,
    /// CLIENT MAINT_NOTIFICATIONS.
    ClientMaintNotifications,
    /// CLIENT NO-EVICT.
    ClientNoEvict,
    /// CLIENT NO-TOUCH.
    ClientNoTouch,
    /// CLIENT PAUSE.
    ClientPause,
    /// CLIENT REPLY.
    ClientReply,
    /// CLIENT SETINFO.
    ClientSetinfo,
    /// CLIENT SETNAME.
    ClientSetname,
    /// CLIENT TRACKING.
    ClientTracking,
    /// CLIENT TRACKINGINFO.
    ClientTrackinginfo,
    /// CLIENT UNBLOCK.
    ClientUnblock,
    /// CLIENT UNPAUSE.
    ClientUnpause,
    /// HELLO.
    Hello,
    /// PING.
    Ping,
    /// QUIT.
    Quit,
    /// RESET.
    Reset,
    /// SELECT.
    Select,
    /// ACL DELUSER.
    AclDeluser,
    /// ACL DRYRUN.
    AclDryrun,
    /// ACL GENPASS.
    AclGenpass,
    /// ACL GETUSER.
    AclGetuser,
    /// ACL LIST.
    AclList,
    /// ACL LOAD.
    AclLoad,
    /// ACL LOG.
    AclLog,
    /// ACL SAVE.
    AclSave,
    /// ACL SETUSER.
    AclSetuser,
    /// ACL USERS.
    AclUsers,
    /// ACL WHOAMI.
    AclWhoami,
    /// BGREWRITEAOF.
    Bgrewriteaof,
    /// BGSAVE.
    Bgsave,
    /// COMMANDLOG GET.
    CommandlogGet,
    /// COMMANDLOG LEN.
    CommandlogLen,
    /// COMMANDLOG RESET.
    CommandlogReset,
    /// CONFIG GET.
    ConfigGet,
    /// CONFIG RESETSTAT.
    ConfigResetstat,
    /// CONFIG REWRITE.
    ConfigRewrite,
    /// CONFIG SET.
    ConfigSet,
    /// DEBUG.
    Debug,
    /// INFO.
    Info,
    /// LASTSAVE.
    Lastsave,
    /// LATENCY DOCTOR.
    LatencyDoctor,
    /// LATENCY GRAPH.
    LatencyGraph,
    /// LATENCY HISTOGRAM.
    LatencyHistogram,
    /// LATENCY HISTORY.
    LatencyHistory,
    /// LATENCY LATEST.
    LatencyLatest,
    /// LATENCY RESET.
    LatencyReset,
    /// LOLWUT.
    Lolwut,
    /// MEMORY DOCTOR.
    MemoryDoctor,
    /// MEMORY MALLOC-STATS.
    MemoryMallocStats,
    /// MEMORY PURGE.
    MemoryPurge,
    /// MEMORY STATS.
    MemoryStats,
    /// MODULE LIST.
    ModuleList,
    /// MODULE LOAD.
    ModuleLoad,
    /// MODULE LOADEX.
    ModuleLoadex,
    /// MODULE UNLOAD.
    ModuleUnload,
    /// MONITOR.
    Monitor,
    /// SAVE.
    Save,
    /// SHUTDOWN.
    Shutdown,
    /// SLOWLOG GET.
    SlowlogGet,
    /// SLOWLOG LEN.
    SlowlogLen,
    /// SLOWLOG RESET.
    SlowlogReset,
    /// TIME.
    Time,
    /// FAILOVER.
    Failover,
    /// PSYNC.
    Psync,
    /// REPLCONF.
    Replconf,
    /// REPLICAOF.
    Replicaof,
    /// ROLE.
    Role,
    /// SLAVEOF.
    Slaveof,
    /// SYNC.
    Sync,
    /// WAIT.
    Wait,
    /// WAITAOF.
    Waitaof,
    /// ASKING.
    Asking,
    /// CLUSTER ADDSLOTS.
    ClusterAddslots,
    /// CLUSTER ADDSLOTSRANGE.
    ClusterAddslotsrange,
    /// CLUSTER BUMPEPOCH.
    ClusterBumpepoch,
    /// CLUSTER COUNT-FAILURE-REPORTS.
    ClusterCountFailureReports,
    /// CLUSTER COUNTKEYSINSLOT.
    ClusterCountkeysinslot,
    /// CLUSTER CANCELSLOTMIGRATIONS.
    ClusterCancelslotmigrations,
    /// CLUSTER GETSLOTMIGRATIONS.
    ClusterGetslotmigrations,
    /// CLUSTER MIGRATESLOTS.
    ClusterMigrateslots,
    /// CLUSTER SYNCSLOTS.
    ClusterSyncslots,
    /// CLUSTER DELSLOTS.
    ClusterDelslots,
    /// CLUSTER DELSLOTSRANGE.
    ClusterDelslotsrange,
    /// CLUSTER FAILOVER.
    ClusterFailover,
    /// CLUSTER FAILOVERS.
    ClusterFailovers,
    /// CLUSTER FLUSHSLOTS.
    ClusterFlushslots,
    /// CLUSTER FORGET.
    ClusterForget,
    /// CLUSTER GETKEYSINSLOT.
    ClusterGetkeysinslot,
    /// CLUSTER INFO.
    ClusterInfo,
    /// CLUSTER KEYSLOT.
    ClusterKeyslot,
    /// CLUSTER LINKS.
    ClusterLinks,
    /// CLUSTER MEET.
    ClusterMeet,
    /// CLUSTER MYID.
    ClusterMyid,
    /// CLUSTER MYSHARDID.
    ClusterMyshardid,
    /// CLUSTER NODES.
    ClusterNodes,
    /// CLUSTER REPLICAS.
    ClusterReplicas,
    /// CLUSTER REPLICATE.
    ClusterReplicate,
    /// CLUSTER RESET.
    ClusterReset,
    /// CLUSTER SAVECONFIG.
    ClusterSaveconfig,
    /// CLUSTER SET-CONFIG-EPOCH.
    ClusterSetConfigEpoch,
    /// CLUSTER SETSLOT.
    ClusterSetslot,
    /// CLUSTER SHARDS.
    ClusterShards,
    /// CLUSTER SLAVES.
    ClusterSlaves,
    /// CLUSTER SLOT-STATS.
    ClusterSlotStats,
    /// CLUSTER SLOTS.
    ClusterSlots,
    /// CLUSTERSCAN.
    Clusterscan,
    /// MIGRATE.
    Migrate,
    /// READONLY.
    Readonly,
    /// READWRITE.
    Readwrite,
    /// PSUBSCRIBE.
    Psubscribe,
    /// PUBLISH.
    Publish,
    /// PUBSUB CHANNELS.
    PubsubChannels,
    /// PUBSUB NUMPAT.
    PubsubNumpat,
    /// PUBSUB NUMSUB.
    PubsubNumsub,
    /// PUBSUB SHARDCHANNELS.
    PubsubShardchannels,
    /// PUBSUB SHARDNUMSUB.
    PubsubShardnumsub,
    /// PUNSUBSCRIBE.
    Punsubscribe,
    /// SPUBLISH.
    Spublish,
    /// SSUBSCRIBE.
    Ssubscribe,
    /// SUBSCRIBE.
    Subscribe,
    /// SUNSUBSCRIBE.
    Sunsubscribe,
    /// UNSUBSCRIBE.
    Unsubscribe,
    /// DISCARD.
    Discard,
    /// EXEC.
    Exec,
    /// MULTI.
    Multi,
    /// UNWATCH.
    Unwatch,
    /// WATCH.
    Watch,
    /// EVAL.
    Eval,
    /// EVAL_RO.
    EvalRo,
    /// EVALSHA.
    Evalsha,
    /// EVALSHA_RO.
    EvalshaRo,
    /// FCALL.
    Fcall,
    /// FCALL_RO.
    FcallRo,
    /// SCRIPT DEBUG.
    ScriptDebug,
    /// SCRIPT EXISTS.
    ScriptExists,
    /// SCRIPT FLUSH.
    ScriptFlush,
    /// SCRIPT KILL.
    ScriptKill,
    /// SCRIPT LOAD.
    ScriptLoad,
    /// SCRIPT SHOW.
    ScriptShow,
    /// FUNCTION DELETE.
    FunctionDelete,
    /// FUNCTION DUMP.
    FunctionDump,
    /// FUNCTION FLUSH.
    FunctionFlush,
    /// FUNCTION KILL.
    FunctionKill,
    /// FUNCTION LIST.
    FunctionList,
    /// FUNCTION LOAD.
    FunctionLoad,
    /// FUNCTION RESTORE.
    FunctionRestore,
    /// FUNCTION STATS.
    FunctionStats,
}
