//! The index of every directive. Ids are in the alphabetical order of the primary names, which is also the order of the
//! table and of the values in `Settings`, so that reading a value is one array access. Nothing else belongs here.

macro_rules! ids {
    ($($name:ident),* $(,)?) => {
        /// Names one directive. The variant is the directive's primary name in camel case; what it means stands in its
        /// record (`Id::directive`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[expect(clippy::enum_variant_names, reason = "socket-mark-id is upstream's name")]
        #[expect(missing_docs, reason = "the documentation of a directive is the doc line of its record")]
        pub enum Id {
            $($name),*
        }

        impl Id {
            /// Every id, in alphabetical order of the primary names.
            pub const ALL: &'static [Id] = &[$(Id::$name),*];
        }
    };
}

ids! {
    AclPubsubDefault, AclFile, AcllogMaxLen, ActiveDefragCycleMax, ActiveDefragCycleMin, ActiveDefragCycleUs,
    ActiveDefragIgnoreBytes, ActiveDefragMaxScanFields, ActiveDefragThresholdLower, ActiveDefragThresholdUpper,
    ActiveExpireEffort, ActiveDefrag, ActiveRehashing, AlwaysShowLogo, AofDisableAutoGc, AofLoadTruncated,
    AofRewriteCpulist, AofRewriteIncrementalFsync, AofTimestampEnabled, AofUseRdbPreamble, AppendDirname,
    AppendFilename, AppendFsync, AppendOnly, AutoAofRewriteMinSize, AutoAofRewritePercentage, AvailabilityZone,
    BgsaveCpulist, Bind, BindSourceAddr, BioCpulist, BusyReplyThreshold, BusyReplyToAll, ClientOutputBufferLimit,
    ClientQueryBufferLimit, ClusterAllowPubsubshardWhenDown, ClusterAllowReadsWhenDown,
    ClusterAllowReplicaMigration, ClusterAnnounceBusPort, ClusterAnnounceClientIpv4, ClusterAnnounceClientIpv6,
    ClusterAnnounceClientPort, ClusterAnnounceClientTlsPort, ClusterAnnounceHostname,
    ClusterAnnounceHumanNodename, ClusterAnnounceIp, ClusterAnnouncePort, ClusterAnnounceTlsPort,
    ClusterBlacklistTtl, ClusterConfigFile, ClusterConfigSaveBehavior, ClusterDatabases, ClusterDetectRefusals, ClusterDetectSilence,
    ClusterEnabled, ClusterLinkSendbufLimit, ClusterManualFailoverTimeout, ClusterMessageGossipPerc, ClusterMigrationBarrier,
    ClusterNodeTimeout, ClusterPingInterval, ClusterPort, ClusterPreferredEndpointType,
    ClusterReplicaNoFailover, ClusterReplicaValidityFactor, ClusterRequireFullCoverage, ClusterRestartWait,
    ClusterSlotMigrationLogMaxLen, ClusterSlotStatsEnabled, ClusterWitness, ClusterWriteLease, CommandlogExecutionSlowerThan,
    CommandlogLargeReplyMaxLen, CommandlogLargeRequestMaxLen, CommandlogReplyLargerThan,
    CommandlogRequestLargerThan, CommandlogSlowExecutionMaxLen, CrashLogEnabled, CrashMemcheckEnabled,
    Daemonize, Databases, DbFilename, DebugContext, Dir, DisableThp, DualChannelReplicationEnabled,
    EnableDebugAssert, EnableDebugCommand, EnableModuleCommand, EnableProtectedConfigs,
    ExtendedRedisCompatibility, HandoverOnShutdown, HashMaxListpackEntries, HashMaxListpackValue, HashSeed,
    HideUserDataFromLog, HllSparseMaxBytes, Hz, IgnoreWarnings, ImportMode, IoThreads, IoThreadsAlwaysActive,
    JemallocBgThread, KeyLoadDelay, LatencyMonitorThreshold, LatencyTracking, LatencyTrackingInfoPercentiles,
    LazyfreeLazyEviction, LazyfreeLazyExpire, LazyfreeLazyServerDel, LazyfreeLazyUserDel, LazyfreeLazyUserFlush,
    LfuDecayTime, LfuLogFactor, ListCompressDepth, ListMaxListpackSize, LoadingProcessEventsIntervalBytes,
    LocaleCollate, LogFormat, LogTimestampFormat, LogFile, LogLevel, LuaEnableDeprecatedApi,
    LuaEnableInsecureApi, MaxNewConnectionsPerCycle, MaxNewTlsConnectionsPerCycle, MaxClients, MaxMemory,
    MaxMemoryClients, MaxMemoryEvictionTenacity, MaxMemoryPolicy, MaxMemorySamples, MetricsBind, MetricsPort,
    MinIoThreadsAvoidCopyReply,
    MinReplicasMaxLag, MinReplicasToWrite, MinStringSizeAvoidCopyReply, MinStringSizeAvoidCopyReplyThreaded,
    Mptcp, NoAppendfsyncOnRewrite, NotifyKeyspaceEvents, OomScoreAdj, OomScoreAdjValues, PidFile, Port,
    PrefetchBatchMaxSize, PrimaryAuth, PrimaryUser, ProcTitleTemplate, PropagationErrorBehavior, ProtectedMode,
    ProtoMaxBulkLen, RdbDelSyncFiles, RdbKeySaveDelay, RdbSaveIncrementalFsync, RdbVersionCheck, RdbChecksum,
    RdbCompression, RdmaBind, RdmaCompletionVector, RdmaPort, RdmaRxSize, ReplBacklogSize, ReplBacklogTtl,
    ReplDisableTcpNodelay, ReplDisklessLoad, ReplDisklessSync, ReplDisklessSyncDelay,
    ReplDisklessSyncMaxReplicas, ReplMptcp, ReplPingReplicaPeriod, ReplTimeout, ReplicaAnnounceIp,
    ReplicaAnnouncePort, ReplicaAnnounced, ReplicaIgnoreDiskWriteErrors, ReplicaIgnoreMaxmemory,
    ReplicaLazyFlush, ReplicaPriority, ReplicaReadOnly, ReplicaServeStaleData, ReplicaOf, RequirePass, Save,
    ServerCpulist, SetMaxIntsetEntries, SetMaxListpackEntries, SetMaxListpackValue, SetProcTitle,
    ShutdownOnSigint, ShutdownOnSigterm, ShutdownTimeout, SlotMigrationMaxFailoverReplBytes, SocketMarkId,
    StopWritesOnBgsaveError, StreamNodeMaxBytes, StreamNodeMaxEntries, Supervised, SyslogEnabled,
    SyslogFacility, SyslogIdent, TcpBacklog, TcpKeepAlive, Timeout, TlsAuthClients, TlsAuthClientsUser,
    TlsAutoReloadInterval, TlsCaCertDir, TlsCaCertFile, TlsCertFile, TlsCiphers, TlsCiphersuites,
    TlsClientCertFile, TlsClientKeyFile, TlsClientKeyFilePass, TlsCluster, TlsDhParamsFile, TlsKeyFile,
    TlsKeyFilePass, TlsPort, TlsPreferServerCiphers, TlsProtocols, TlsReplication, TlsSessionCacheSize,
    TlsSessionCacheTimeout, TlsSessionCaching, TrackingTableMaxKeys, UnixSocket, UnixSocketGroup,
    UnixSocketPerm, UseExitOnPanic, WatchdogPeriod, WorkerThreads, WriteAckReplicas, WriteAckTimeout,
    ZsetMaxListpackEntries, ZsetMaxListpackValue,
}

/// Number of directives.
pub const COUNT: usize = Id::ALL.len();

impl Id {
    /// Position in the table and among the values.
    pub const fn index(self) -> usize {
        self as usize
    }
}
