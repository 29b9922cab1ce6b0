//! Records of the subcommands of CONFIG.

use crate::flags::flags;
use crate::{Arg, CommandSpec, Group, NodeCommand, Run, docs};

pub(super) static SUBCOMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "config|get",
        arity: -3,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Replies configuration parameters that match patterns.",
        since: "2.0.0",
        complexity: "O(N), N being the number of configuration parameters provided",
        history: &[("7.0.0", "More than one pattern.")],
        args: &[Arg::string("parameter").multiple()],
        run: Run::Node(NodeCommand::ConfigGet),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "config|help",
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
        name: "config|resetstat",
        arity: 2,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Sets the statistics back to zero.",
        since: "2.0.0",
        complexity: "O(1)",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        run: Run::Node(NodeCommand::ConfigResetstat),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "config|rewrite",
        arity: 2,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Writes the running configuration into the configuration file.",
        since: "2.8.0",
        complexity: "O(1)",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        run: Run::Node(NodeCommand::ConfigRewrite),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "config|set",
        arity: -4,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Changes configuration parameters.",
        since: "2.0.0",
        complexity: "O(N), N being the number of configuration parameters provided",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        history: &[("7.0.0", "More than one parameter.")],
        args: &[Arg::block("data", &[Arg::string("parameter"), Arg::string("value")]).multiple()],
        run: Run::Node(NodeCommand::ConfigSet),
        ..CommandSpec::BASE
    },
];
