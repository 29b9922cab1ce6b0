//! Records of the commands about the server.

use crate::flags::{acl, flags};
use crate::{Arg, CommandSpec, DocFlags, Group, NodeCommand, Run, docs, generic};

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "acl",
        arity: -2,
        group: Group::Server,
        summary: "Reads and changes who may do what.",
        since: "6.0.0",
        complexity: "Depends on the subcommand",
        subcommands: super::acl::SUBCOMMANDS,
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "bgrewriteaof",
        arity: 1,
        flags: flags!(ADMIN | NOSCRIPT | NO_ASYNC_LOADING),
        group: Group::Server,
        summary: "Rewrites the append-only file in the background.",
        since: "1.0.0",
        complexity: "O(1)",
        run: Run::Node(NodeCommand::Bgrewriteaof),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "bgsave",
        arity: -1,
        flags: flags!(ADMIN | NOSCRIPT | NO_ASYNC_LOADING),
        group: Group::Server,
        summary: "Writes a snapshot file in the background.",
        since: "1.0.0",
        complexity: "O(1)",
        history: &[("3.2.2", "Option `SCHEDULE`."), ("8.1.0", "Option `CANCEL`.")],
        args: &[Arg::oneof(
            "operation",
            &[Arg::word("schedule", "SCHEDULE").since("3.2.2"), Arg::word("cancel", "CANCEL").since("8.1.0")],
        )
        .optional()],
        run: Run::Node(NodeCommand::Bgsave),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "command",
        arity: -1,
        flags: flags!(LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Server,
        summary: "Describes all commands.",
        since: "2.8.13",
        complexity: "O(N), N being the total number of commands",
        tips: &["nondeterministic_output_order"],
        subcommands: super::command::SUBCOMMANDS,
        run: Run::Registry(docs::command),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "config",
        arity: -2,
        group: Group::Server,
        summary: "Reads and changes the configuration.",
        since: "2.0.0",
        complexity: "Depends on the subcommand",
        subcommands: super::config::SUBCOMMANDS,
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "dbsize",
        arity: 1,
        flags: flags!(READONLY | FAST),
        acl: acl!(KEYSPACE),
        group: Group::Server,
        summary: "Counts the keys of the database.",
        since: "1.0.0",
        complexity: "O(1)",
        tips: &["request_policy:all_shards", "response_policy:agg_sum"],
        run: Run::Store(generic::dbsize),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "debug",
        arity: -2,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE | PROTECTED),
        group: Group::Server,
        summary: "Tools for developers and tests.",
        since: "1.0.0",
        complexity: "Depends on the subcommand",
        doc_flags: DocFlags::SYSCMD,
        run: Run::Node(NodeCommand::Debug),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "flushall",
        arity: -1,
        flags: flags!(WRITE | ALL_DBS),
        acl: acl!(KEYSPACE | DANGEROUS),
        group: Group::Server,
        summary: "Deletes all keys of all databases.",
        since: "1.0.0",
        complexity: "O(N), N being the total number of keys in all databases",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        history: &[("4.0.0", "Option `ASYNC`."), ("6.2.0", "Option `SYNC`.")],
        args: &[Arg::oneof(
            "flush-type",
            &[Arg::word("async", "ASYNC").since("4.0.0"), Arg::word("sync", "SYNC").since("6.2.0")],
        )
        .optional()],
        run: Run::World(generic::flushall),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "flushdb",
        arity: -1,
        flags: flags!(WRITE),
        acl: acl!(KEYSPACE | DANGEROUS),
        group: Group::Server,
        summary: "Deletes all keys of the database.",
        since: "1.0.0",
        complexity: "O(N), N being the number of keys in the selected database",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        history: &[("4.0.0", "Option `ASYNC`."), ("6.2.0", "Option `SYNC`.")],
        args: &[Arg::oneof(
            "flush-type",
            &[Arg::word("async", "ASYNC").since("4.0.0"), Arg::word("sync", "SYNC").since("6.2.0")],
        )
        .optional()],
        run: Run::World(generic::flushdb),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "info",
        arity: -1,
        flags: flags!(LOADING | STALE),
        acl: acl!(DANGEROUS),
        group: Group::Server,
        summary: "Describes the server and its statistics.",
        since: "1.0.0",
        complexity: "O(1)",
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        history: &[("7.0.0", "More than one section.")],
        args: &[Arg::string("section").optional().multiple()],
        run: Run::Node(NodeCommand::Info),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "lastsave",
        arity: 1,
        flags: flags!(LOADING | STALE | FAST),
        acl: acl!(ADMIN | DANGEROUS),
        group: Group::Server,
        summary: "Replies when the latest snapshot file was written.",
        since: "1.0.0",
        complexity: "O(1)",
        tips: &["nondeterministic_output"],
        run: Run::Node(NodeCommand::Lastsave),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "monitor",
        arity: 1,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Shows every command that the server runs, as it runs.",
        since: "1.0.0",
        run: Run::Node(NodeCommand::Monitor),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "save",
        arity: 1,
        flags: flags!(ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI),
        group: Group::Server,
        summary: "Writes a snapshot file before it replies.",
        since: "1.0.0",
        complexity: "O(N), N being the total number of keys in all databases",
        run: Run::Node(NodeCommand::Save),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "shutdown",
        arity: -1,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY),
        group: Group::Server,
        summary: "Saves what is to be saved and stops the server.",
        since: "1.0.0",
        complexity: "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
        history: &[("7.0.0", "Options `NOW`, `FORCE` and `ABORT`."), ("9.0.0", "Options `SAFE` and `FAILOVER`.")],
        args: &[Arg::oneof(
            "abort-selector",
            &[
                Arg::block(
                    "save-selector-block",
                    &[
                        Arg::oneof("save-selector", &[Arg::word("nosave", "NOSAVE"), Arg::word("save", "SAVE")])
                            .optional(),
                        Arg::word("now", "NOW").optional().since("7.0.0"),
                        Arg::word("force", "FORCE").optional().since("7.0.0"),
                        Arg::word("safe", "SAFE").optional().since("9.0.0"),
                        Arg::word("failover", "FAILOVER").optional().since("9.0.0"),
                    ],
                ),
                Arg::word("abort", "ABORT").since("7.0.0"),
            ],
        )
        .optional()],
        run: Run::Node(NodeCommand::Shutdown),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "swapdb",
        arity: 3,
        flags: flags!(WRITE | FAST),
        acl: acl!(KEYSPACE | DANGEROUS),
        group: Group::Server,
        summary: "Exchanges two databases.",
        since: "4.0.0",
        complexity: "O(N), N being the count of clients watching or blocking on keys from both databases",
        args: &[Arg::integer("index1"), Arg::integer("index2")],
        find_dbs: Some(|_| smallvec::smallvec![1, 2]),
        run: Run::World(generic::swapdb),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "time",
        arity: 1,
        flags: flags!(LOADING | STALE | FAST),
        group: Group::Server,
        summary: "Replies the server's clock.",
        since: "2.6.0",
        complexity: "O(1)",
        tips: &["nondeterministic_output"],
        run: Run::Node(NodeCommand::Time),
        ..CommandSpec::BASE
    },
];
