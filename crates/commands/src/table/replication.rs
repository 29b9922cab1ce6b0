//! Records of the commands about replication.

use crate::flags::{acl, flags};
use crate::{Arg, CommandSpec, DocFlags, Group, NodeCommand, Run};

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "failover",
        arity: -1,
        flags: flags!(ADMIN | NOSCRIPT | STALE),
        group: Group::Server,
        summary: "Hands the role of a primary over to one of its replicas.",
        since: "6.2.0",
        complexity: "O(1)",
        args: &[
            Arg::block("target", &[Arg::string("host"), Arg::integer("port"), Arg::word("force", "FORCE").optional()])
                .token("TO")
                .optional(),
            Arg::word("abort", "ABORT").optional(),
            Arg::integer("milliseconds").token("TIMEOUT").optional(),
        ],
        run: Run::Node(NodeCommand::Failover),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "psync",
        arity: -3,
        flags: flags!(ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI),
        group: Group::Server,
        summary: "Begins replication at an offset.",
        since: "2.8.0",
        args: &[Arg::string("replicationid"), Arg::integer("offset")],
        run: Run::Node(NodeCommand::Psync),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "replconf",
        arity: -1,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE | ALLOW_BUSY),
        group: Group::Server,
        summary: "Settles the details of a replication link.",
        since: "3.0.0",
        complexity: "O(1)",
        doc_flags: DocFlags::SYSCMD,
        run: Run::Node(NodeCommand::Replconf),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "replicaof",
        arity: 3,
        flags: flags!(ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING),
        group: Group::Server,
        summary: "Makes the server a replica of another, or a primary.",
        since: "5.0.0",
        complexity: "O(1)",
        args: &[Arg::oneof(
            "args",
            &[
                Arg::block("host-port", &[Arg::string("host"), Arg::integer("port")]),
                Arg::block("no-one", &[Arg::word("no", "NO"), Arg::word("one", "ONE")]),
            ],
        )],
        run: Run::Node(NodeCommand::Replicaof),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "role",
        arity: 1,
        flags: flags!(NOSCRIPT | LOADING | STALE | FAST),
        acl: acl!(ADMIN | DANGEROUS),
        group: Group::Server,
        summary: "Replies the server's place in replication.",
        since: "2.8.12",
        complexity: "O(1)",
        run: Run::Node(NodeCommand::Role),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "slaveof",
        arity: 3,
        flags: flags!(ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING),
        group: Group::Server,
        summary: "Makes the server a replica of another, or a primary.",
        since: "1.0.0",
        complexity: "O(1)",
        doc_flags: DocFlags::DEPRECATED,
        deprecated_since: "5.0.0",
        replaced_by: "`REPLICAOF`",
        args: &[Arg::oneof(
            "args",
            &[
                Arg::block("host-port", &[Arg::string("host"), Arg::integer("port")]),
                Arg::block("no-one", &[Arg::word("no", "NO"), Arg::word("one", "ONE")]),
            ],
        )],
        run: Run::Node(NodeCommand::Slaveof),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "sync",
        arity: 1,
        flags: flags!(ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI),
        group: Group::Server,
        summary: "Begins replication with a whole copy.",
        since: "1.0.0",
        run: Run::Node(NodeCommand::Sync),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "wait",
        arity: 3,
        flags: flags!(BLOCKING),
        acl: acl!(CONNECTION),
        group: Group::Generic,
        summary: "Waits until replicas acknowledged the client's writes.",
        since: "3.0.0",
        complexity: "O(1)",
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        args: &[Arg::integer("numreplicas"), Arg::integer("timeout")],
        run: Run::Node(NodeCommand::Wait),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "waitaof",
        arity: 4,
        flags: flags!(BLOCKING),
        acl: acl!(CONNECTION),
        group: Group::Generic,
        summary: "Waits until the client's writes are synced to append-only files here and on replicas.",
        since: "7.2.0",
        complexity: "O(1)",
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        args: &[Arg::integer("numlocal"), Arg::integer("numreplicas"), Arg::integer("timeout")],
        run: Run::Node(NodeCommand::Waitaof),
        ..CommandSpec::BASE
    },
];
