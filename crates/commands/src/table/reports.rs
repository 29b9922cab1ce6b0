//! Records of the commands that report how the server is doing: its logs, delays and memory.

use crate::flags::flags;
use crate::key_spec::key_flags;
use crate::{Arg, CommandSpec, Group, KeySpec, NodeCommand, Run, docs, generic};

/// The logs that COMMANDLOG names.
const LOG_TYPES: &[Arg] =
    &[Arg::word("slow", "SLOW"), Arg::word("large-request", "LARGE-REQUEST"), Arg::word("large-reply", "LARGE-REPLY")];

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "commandlog",
        arity: -2,
        group: Group::Server,
        summary: "Shows commands that took long, or whose requests or replies were large.",
        since: "8.1.0",
        complexity: "Depends on the subcommand",
        subcommands: &[
            CommandSpec {
                name: "commandlog|get",
                arity: 4,
                flags: flags!(ADMIN | LOADING | STALE),
                group: Group::Server,
                summary: "Replies entries of a log.",
                since: "8.1.0",
                complexity: "O(N), N being the number of entries returned",
                tips: &["request_policy:all_nodes", "nondeterministic_output"],
                args: &[Arg::integer("count"), Arg::oneof("type", LOG_TYPES)],
                run: Run::Node(NodeCommand::CommandlogGet),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "commandlog|help",
                arity: 2,
                flags: flags!(LOADING | STALE),
                group: Group::Server,
                summary: "Lists the subcommands.",
                since: "8.1.0",
                complexity: "O(1)",
                run: Run::Registry(docs::help),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "commandlog|len",
                arity: 3,
                flags: flags!(ADMIN | LOADING | STALE),
                group: Group::Server,
                summary: "Counts the entries of a log.",
                since: "8.1.0",
                complexity: "O(1)",
                tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
                args: &[Arg::oneof("type", LOG_TYPES)],
                run: Run::Node(NodeCommand::CommandlogLen),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "commandlog|reset",
                arity: 3,
                flags: flags!(ADMIN | LOADING | STALE),
                group: Group::Server,
                summary: "Empties a log.",
                since: "8.1.0",
                complexity: "O(N), N being the number of entries",
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                args: &[Arg::oneof("type", LOG_TYPES)],
                run: Run::Node(NodeCommand::CommandlogReset),
                ..CommandSpec::BASE
            },
        ],
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "latency",
        arity: -2,
        group: Group::Server,
        summary: "Reports what delayed the server.",
        since: "2.8.13",
        complexity: "Depends on the subcommand",
        subcommands: &[
            CommandSpec {
                name: "latency|doctor",
                arity: 2,
                flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
                group: Group::Server,
                summary: "Explains what delayed the server.",
                since: "2.8.13",
                complexity: "O(1)",
                tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
                run: Run::Node(NodeCommand::LatencyDoctor),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "latency|graph",
                arity: 3,
                flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
                group: Group::Server,
                summary: "Draws the samples of one event.",
                since: "2.8.13",
                complexity: "O(1)",
                tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
                args: &[Arg::string("event")],
                run: Run::Node(NodeCommand::LatencyGraph),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "latency|help",
                arity: 2,
                flags: flags!(LOADING | STALE),
                group: Group::Server,
                summary: "Lists the subcommands.",
                since: "2.8.13",
                complexity: "O(1)",
                run: Run::Registry(docs::help),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "latency|histogram",
                arity: -2,
                flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
                group: Group::Server,
                summary: "Replies how often commands took how long.",
                since: "7.0.0",
                complexity: "O(N), N being the number of commands asked for",
                tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
                args: &[Arg::string("command").optional().multiple()],
                run: Run::Node(NodeCommand::LatencyHistogram),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "latency|history",
                arity: 3,
                flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
                group: Group::Server,
                summary: "Replies the samples of one event.",
                since: "2.8.13",
                complexity: "O(1)",
                tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
                args: &[Arg::string("event")],
                run: Run::Node(NodeCommand::LatencyHistory),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "latency|latest",
                arity: 2,
                flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
                group: Group::Server,
                summary: "Replies the latest sample of every event.",
                since: "2.8.13",
                complexity: "O(1)",
                tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
                run: Run::Node(NodeCommand::LatencyLatest),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "latency|reset",
                arity: -2,
                flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
                group: Group::Server,
                summary: "Forgets samples.",
                since: "2.8.13",
                complexity: "O(1)",
                tips: &["request_policy:all_nodes", "response_policy:agg_sum"],
                args: &[Arg::string("event").optional().multiple()],
                run: Run::Node(NodeCommand::LatencyReset),
                ..CommandSpec::BASE
            },
        ],
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "lolwut",
        arity: -1,
        flags: flags!(READONLY | FAST),
        group: Group::Server,
        summary: "Draws something, and says which version this is.",
        since: "5.0.0",
        args: &[Arg::integer("version").token("VERSION").optional()],
        run: Run::Node(NodeCommand::Lolwut),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "memory",
        arity: -2,
        group: Group::Server,
        summary: "Reports the use of memory.",
        since: "4.0.0",
        complexity: "Depends on the subcommand",
        subcommands: &[
            CommandSpec {
                name: "memory|doctor",
                arity: 2,
                group: Group::Server,
                summary: "Says what is odd about the use of memory.",
                since: "4.0.0",
                complexity: "O(1)",
                tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
                run: Run::Node(NodeCommand::MemoryDoctor),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "memory|help",
                arity: 2,
                flags: flags!(LOADING | STALE),
                group: Group::Server,
                summary: "Lists the subcommands.",
                since: "4.0.0",
                complexity: "O(1)",
                run: Run::Registry(docs::help),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "memory|malloc-stats",
                arity: 2,
                flags: flags!(LOADING),
                group: Group::Server,
                summary: "Replies the allocator's own report.",
                since: "4.0.0",
                complexity: "Depends on how much memory is allocated",
                tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
                run: Run::Node(NodeCommand::MemoryMallocStats),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "memory|purge",
                arity: 2,
                flags: flags!(LOADING),
                group: Group::Server,
                summary: "Has the allocator give back what it can.",
                since: "4.0.0",
                complexity: "Depends on how much memory is allocated",
                tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
                run: Run::Node(NodeCommand::MemoryPurge),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "memory|stats",
                arity: 2,
                group: Group::Server,
                summary: "Replies what the memory is used for.",
                since: "4.0.0",
                complexity: "O(1)",
                tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
                run: Run::Node(NodeCommand::MemoryStats),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "memory|usage",
                arity: -3,
                flags: flags!(READONLY),
                keys: &[KeySpec::one(2, key_flags!(RO))],
                group: Group::Server,
                summary: "Replies how many bytes a key and its value take.",
                since: "4.0.0",
                complexity: "O(N), N being the number of samples",
                args: &[Arg::key("key", 0), Arg::integer("count").token("SAMPLES").optional()],
                run: Run::Keyspace(generic::memory_usage),
                ..CommandSpec::BASE
            },
        ],
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "module",
        arity: -2,
        group: Group::Server,
        summary: "Lists modules, of which there are none.",
        since: "4.0.0",
        complexity: "Depends on the subcommand",
        subcommands: &[
            CommandSpec {
                name: "module|help",
                arity: 2,
                flags: flags!(LOADING | STALE),
                group: Group::Server,
                summary: "Lists the subcommands.",
                since: "5.0.0",
                complexity: "O(1)",
                run: Run::Registry(docs::help),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "module|list",
                arity: 2,
                flags: flags!(ADMIN | NOSCRIPT),
                group: Group::Server,
                summary: "Lists the loaded modules.",
                since: "4.0.0",
                complexity: "O(N), N being the number of loaded modules",
                tips: &["nondeterministic_output_order"],
                run: Run::Node(NodeCommand::ModuleList),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "module|load",
                arity: -3,
                flags: flags!(ADMIN | NOSCRIPT | NO_ASYNC_LOADING),
                group: Group::Server,
                summary: "Refuses to load a module.",
                since: "4.0.0",
                complexity: "O(1)",
                args: &[Arg::string("path"), Arg::string("arg").optional().multiple()],
                run: Run::Node(NodeCommand::ModuleLoad),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "module|loadex",
                arity: -3,
                flags: flags!(ADMIN | NOSCRIPT | NO_ASYNC_LOADING),
                group: Group::Server,
                summary: "Refuses to load a module with parameters.",
                since: "7.0.0",
                complexity: "O(1)",
                args: &[
                    Arg::string("path"),
                    Arg::block("configs", &[Arg::string("name"), Arg::string("value")])
                        .token("CONFIG")
                        .optional()
                        .multiple_token(),
                    Arg::string("args").token("ARGS").optional().multiple(),
                ],
                run: Run::Node(NodeCommand::ModuleLoadex),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "module|unload",
                arity: 3,
                flags: flags!(ADMIN | NOSCRIPT | NO_ASYNC_LOADING),
                group: Group::Server,
                summary: "Refuses to unload a module.",
                since: "4.0.0",
                complexity: "O(1)",
                args: &[Arg::string("name")],
                run: Run::Node(NodeCommand::ModuleUnload),
                ..CommandSpec::BASE
            },
        ],
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "slowlog",
        arity: -2,
        group: Group::Server,
        summary: "Shows slow commands.",
        since: "2.2.12",
        complexity: "Depends on the subcommand",
        subcommands: &[
            CommandSpec {
                name: "slowlog|get",
                arity: -2,
                flags: flags!(ADMIN | LOADING | STALE),
                group: Group::Server,
                summary: "Replies entries of the slow log.",
                since: "2.2.12",
                complexity: "O(N), N being the number of entries returned",
                tips: &["request_policy:all_nodes", "nondeterministic_output"],
                history: &[("4.0.0", "Client address and name.")],
                args: &[Arg::integer("count").optional()],
                run: Run::Node(NodeCommand::SlowlogGet),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "slowlog|help",
                arity: 2,
                flags: flags!(LOADING | STALE),
                group: Group::Server,
                summary: "Lists the subcommands.",
                since: "6.2.0",
                complexity: "O(1)",
                run: Run::Registry(docs::help),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "slowlog|len",
                arity: 2,
                flags: flags!(ADMIN | LOADING | STALE),
                group: Group::Server,
                summary: "Counts the entries of the slow log.",
                since: "2.2.12",
                complexity: "O(1)",
                tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
                run: Run::Node(NodeCommand::SlowlogLen),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "slowlog|reset",
                arity: 2,
                flags: flags!(ADMIN | LOADING | STALE),
                group: Group::Server,
                summary: "Empties the slow log.",
                since: "2.2.12",
                complexity: "O(N), N being the number of entries in the slowlog",
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                run: Run::Node(NodeCommand::SlowlogReset),
                ..CommandSpec::BASE
            },
        ],
        ..CommandSpec::BASE
    },
];
