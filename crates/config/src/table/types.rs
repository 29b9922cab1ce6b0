//! Directives that say when a collection changes its encoding. They belong to the types, not to where data is kept.

use crate::directive::{Directive, NAT32, NAT64, Unit, int, memory};
use crate::id::Id;

const fn entries(id: Id, name: &'static str, default: &'static str, doc: &'static str) -> Directive {
    int(id, name, default, NAT64, Unit::Count, doc)
}

const fn bytes(id: Id, name: &'static str, default: &'static str, doc: &'static str) -> Directive {
    memory(id, name, default, NAT64, doc)
}

pub(super) const TABLE: &[Directive] = &[
    entries(Id::HashMaxListpackEntries, "hash-max-listpack-entries", "512", "Most fields of a packed hash.")
        .alias("hash-max-ziplist-entries"),
    bytes(Id::HashMaxListpackValue, "hash-max-listpack-value", "64", "Longest field or value of a packed hash.")
        .alias("hash-max-ziplist-value"),
    int(
        Id::ListMaxListpackSize,
        "list-max-listpack-size",
        "-2",
        (i32::MIN as i64, i32::MAX as i64),
        Unit::Count,
        "Most elements of a packed list, or -1 to -5 for 4, 8, 16, 32, 64 KiB.",
    )
    .alias("list-max-ziplist-size"),
    int(
        Id::ListCompressDepth,
        "list-compress-depth",
        "0",
        NAT32,
        Unit::Count,
        "List nodes at both ends that are never compressed; 0 compresses none.",
    )
    .accepted("lists are never compressed"),
    entries(Id::SetMaxIntsetEntries, "set-max-intset-entries", "512", "Most members of a set of packed integers."),
    entries(Id::SetMaxListpackEntries, "set-max-listpack-entries", "128", "Most members of a packed set."),
    int(Id::SetMaxListpackValue, "set-max-listpack-value", "64", NAT64, Unit::Bytes, "Longest member of a packed set."),
    entries(Id::ZsetMaxListpackEntries, "zset-max-listpack-entries", "128", "Most members of a packed sorted set.")
        .alias("zset-max-ziplist-entries"),
    bytes(Id::ZsetMaxListpackValue, "zset-max-listpack-value", "64", "Longest member of a packed sorted set.")
        .alias("zset-max-ziplist-value"),
    bytes(Id::HllSparseMaxBytes, "hll-sparse-max-bytes", "3000", "Longest sparse HyperLogLog."),
    bytes(Id::StreamNodeMaxBytes, "stream-node-max-bytes", "4096", "Longest node of a stream; 0 is no limit."),
    entries(
        Id::StreamNodeMaxEntries,
        "stream-node-max-entries",
        "100",
        "Most entries of a stream node; 0 is no limit.",
    ),
];
