//! Directives of memory, eviction, lazy freeing and defragmentation.

use crate::choice::{MaxMemoryPolicy, OomScoreAdj};
use crate::directive::{Directive, Kind, NAT32, NAT64, Special, Unit, choice, flag, int, memory, special};
use crate::id::Id;

const DEFRAG: &str = "memory is not moved: the store allocates in size classes that do not fragment that way";
const LAZY: &str = "large values are always freed in the background";

pub(super) const TABLE: &[Directive] = &[
    memory(Id::MaxMemory, "maxmemory", "0", NAT64, "Bytes at which keys are evicted or writes refused; 0 is no limit."),
    choice::<MaxMemoryPolicy>("maxmemory-policy", "noeviction", "What is evicted when memory is full."),
    int(Id::MaxMemorySamples, "maxmemory-samples", "5", (1, 64), Unit::Count, "Keys compared to find one to evict."),
    int(
        Id::MaxMemoryEvictionTenacity,
        "maxmemory-eviction-tenacity",
        "10",
        (0, 100),
        Unit::Count,
        "How long eviction may hold a request up.",
    ),
    Directive::new(
        Id::MaxMemoryClients,
        "maxmemory-clients",
        Kind::MemoryOrPercent,
        "0",
        "Bytes, or per cent of maxmemory, that all clients together may use; 0 is no limit.",
    ),
    flag(Id::ReplicaIgnoreMaxmemory, "replica-ignore-maxmemory", "yes", "A replica leaves eviction to its primary.")
        .alias("slave-ignore-maxmemory"),
    int(Id::LfuLogFactor, "lfu-log-factor", "10", NAT32, Unit::Count, "How slowly the frequency counter saturates."),
    int(Id::LfuDecayTime, "lfu-decay-time", "1", NAT32, Unit::Count, "Minutes until a frequency counter loses one."),
    int(
        Id::ActiveExpireEffort,
        "active-expire-effort",
        "1",
        (1, 10),
        Unit::Count,
        "Effort of the expiry of unread keys.",
    ),
    flag(Id::ActiveRehashing, "activerehashing", "yes", "Spends idle time on rehashing.")
        .accepted("tables grow a bucket at a time and never rehash"),
    flag(Id::LazyfreeLazyEviction, "lazyfree-lazy-eviction", "yes", "Evicts in the background.").accepted(LAZY),
    flag(Id::LazyfreeLazyExpire, "lazyfree-lazy-expire", "yes", "Frees expired keys in the background.").accepted(LAZY),
    flag(Id::LazyfreeLazyServerDel, "lazyfree-lazy-server-del", "yes", "Frees overwritten values in the background.")
        .accepted(LAZY),
    flag(Id::LazyfreeLazyUserDel, "lazyfree-lazy-user-del", "yes", "DEL behaves like UNLINK.").accepted(LAZY),
    flag(Id::LazyfreeLazyUserFlush, "lazyfree-lazy-user-flush", "yes", "FLUSHALL is ASYNC unless it says SYNC."),
    flag(Id::ReplicaLazyFlush, "replica-lazy-flush", "yes", "A replica drops its old dataset in the background.")
        .alias("slave-lazy-flush")
        .accepted(LAZY),
    flag(Id::ActiveDefrag, "activedefrag", "no", "Moves values to defragment memory.").accepted(DEFRAG),
    memory(
        Id::ActiveDefragIgnoreBytes,
        "active-defrag-ignore-bytes",
        "104857600",
        (1, i64::MAX),
        "Waste below which nothing is moved.",
    )
    .accepted(DEFRAG),
    int(
        Id::ActiveDefragThresholdLower,
        "active-defrag-threshold-lower",
        "10",
        (0, 1000),
        Unit::Percent,
        "Fragmentation at which moving starts.",
    )
    .accepted(DEFRAG),
    int(
        Id::ActiveDefragThresholdUpper,
        "active-defrag-threshold-upper",
        "100",
        (0, 1000),
        Unit::Percent,
        "Fragmentation at which moving is at full effort.",
    )
    .accepted(DEFRAG),
    int(Id::ActiveDefragCycleMin, "active-defrag-cycle-min", "1", (1, 99), Unit::Percent, "Least effort in CPU.")
        .accepted(DEFRAG),
    int(Id::ActiveDefragCycleMax, "active-defrag-cycle-max", "25", (1, 99), Unit::Percent, "Most effort in CPU.")
        .accepted(DEFRAG),
    int(Id::ActiveDefragCycleUs, "active-defrag-cycle-us", "500", (0, 100_000), Unit::Micros, "Length of one turn.")
        .accepted(DEFRAG),
    int(
        Id::ActiveDefragMaxScanFields,
        "active-defrag-max-scan-fields",
        "1000",
        (1, i64::MAX),
        Unit::Count,
        "Elements of a collection looked at in one turn.",
    )
    .accepted(DEFRAG),
    flag(Id::JemallocBgThread, "jemalloc-bg-thread", "yes", "Lets the allocator return memory in a thread of its own.")
        .accepted("the allocator returns memory by its own rules"),
    flag(Id::DisableThp, "disable-thp", "yes", "Asks the kernel not to use huge pages.")
        .immutable()
        .accepted("without fork there is no copy-on-write for huge pages to make expensive"),
    choice::<OomScoreAdj>("oom-score-adj", "no", "How the kernel's out-of-memory score is managed.")
        .accepted("the out-of-memory score is left alone"),
    special(
        Id::OomScoreAdjValues,
        "oom-score-adj-values",
        "0 200 800",
        Special::OomScores,
        "Scores of a primary, a replica and a child.",
    )
    .multi_arg()
    .accepted("the out-of-memory score is left alone"),
];
