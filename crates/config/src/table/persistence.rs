//! Directives of snapshots and the append-only file.

use crate::choice::{AppendFsync, RdbVersionCheck};
use crate::directive::{Directive, NAT32, NAT64, Special, TextRule, Unit, choice, flag, int, memory, special, text};
use crate::id::Id;

pub(super) const TABLE: &[Directive] = &[
    special(
        Id::Save,
        "save",
        "3600 1 300 100 60 10000",
        Special::Save,
        "Pairs of seconds and changes after which a snapshot is taken; empty takes none.",
    )
    .multi_arg(),
    text(Id::DbFilename, "dbfilename", "dump.rdb", TextRule::FileName, "Name of the snapshot in dir.").protected(),
    text(Id::Dir, "dir", ".", TextRule::NotEmpty, "Working folder; all files are relative to it.")
        .protected()
        .deny_loading(),
    flag(Id::RdbCompression, "rdbcompression", "yes", "Compresses strings in snapshots."),
    flag(Id::RdbChecksum, "rdbchecksum", "yes", "Ends snapshots with a checksum.").immutable(),
    flag(Id::RdbSaveIncrementalFsync, "rdb-save-incremental-fsync", "yes", "Syncs a snapshot piece by piece."),
    flag(Id::RdbDelSyncFiles, "rdb-del-sync-files", "no", "Deletes files left by synchronisation.")
        .accepted("synchronisation leaves no files"),
    choice::<RdbVersionCheck>("rdb-version-check", "strict", "Which RDB versions are read."),
    int(
        Id::RdbKeySaveDelay,
        "rdb-key-save-delay",
        "0",
        (i32::MIN as i64, i32::MAX as i64),
        Unit::Micros,
        "Delay after each key that is saved; negative spreads it over keys.",
    )
    .hidden()
    .debug(),
    int(
        Id::KeyLoadDelay,
        "key-load-delay",
        "0",
        (i32::MIN as i64, i32::MAX as i64),
        Unit::Micros,
        "Delay after each key that is loaded; negative spreads it over keys.",
    )
    .hidden()
    .debug(),
    int(
        Id::LoadingProcessEventsIntervalBytes,
        "loading-process-events-interval-bytes",
        "2097152",
        (1024, i32::MAX as i64),
        Unit::Bytes,
        "How often loading looks after clients.",
    )
    .hidden()
    .accepted("clients are served by other threads while loading"),
    flag(Id::StopWritesOnBgsaveError, "stop-writes-on-bgsave-error", "yes", "Refuses writes after a snapshot failed."),
    flag(Id::AppendOnly, "appendonly", "no", "Keeps an append-only file.").deny_loading(),
    text(Id::AppendFilename, "appendfilename", "appendonly.aof", TextRule::FileName, "Stem of append-only files.")
        .immutable(),
    text(Id::AppendDirname, "appenddirname", "appendonlydir", TextRule::DirName, "Folder of append-only files.")
        .immutable(),
    choice::<AppendFsync>("appendfsync", "everysec", "When the append-only file is synced."),
    flag(Id::NoAppendfsyncOnRewrite, "no-appendfsync-on-rewrite", "no", "Does not sync while a rewrite runs."),
    int(
        Id::AutoAofRewritePercentage,
        "auto-aof-rewrite-percentage",
        "100",
        NAT32,
        Unit::Percent,
        "Growth after which the append-only file is rewritten; 0 never.",
    ),
    memory(
        Id::AutoAofRewriteMinSize,
        "auto-aof-rewrite-min-size",
        "67108864",
        NAT64,
        "Size below which it is not rewritten.",
    ),
    flag(Id::AofLoadTruncated, "aof-load-truncated", "yes", "Starts although the append-only file ends early."),
    flag(Id::AofUseRdbPreamble, "aof-use-rdb-preamble", "yes", "Rewrites into a snapshot instead of commands."),
    flag(Id::AofTimestampEnabled, "aof-timestamp-enabled", "no", "Writes the time into the append-only file."),
    flag(Id::AofRewriteIncrementalFsync, "aof-rewrite-incremental-fsync", "yes", "Syncs a rewrite piece by piece."),
    flag(Id::AofDisableAutoGc, "aof-disable-auto-gc", "no", "Keeps append-only files that are no longer needed.")
        .hidden(),
];
