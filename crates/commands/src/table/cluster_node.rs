//! Records of the commands about the cluster and its redirections.

use crate::flags::{acl, flags};
use crate::key_spec::key_flags;
use crate::{Arg, ArgKind, CommandSpec, Group, KeySpec, NodeCommand, Run};

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "asking",
        arity: 1,
        flags: flags!(FAST),
        acl: acl!(CONNECTION),
        group: Group::Cluster,
        summary: "Lets the next command reach a slot that is being imported.",
        since: "3.0.0",
        complexity: "O(1)",
        run: Run::Node(NodeCommand::Asking),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "cluster",
        arity: -2,
        group: Group::Cluster,
        summary: "Manages and describes the cluster.",
        since: "3.0.0",
        complexity: "Depends on the subcommand",
        subcommands: super::cluster::SUBCOMMANDS,
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "clusterscan",
        arity: -2,
        flags: flags!(READONLY),
        acl: acl!(KEYSPACE),
        keys: &[KeySpec::one(1, key_flags!(NOT_KEY))],
        group: Group::Cluster,
        summary: "Goes over the key names of the whole cluster step by step.",
        since: "9.1.0",
        complexity: "O(N), N being the number of names that are replied",
        tips: &["nondeterministic_output", "request_policy:special", "response_policy:special"],
        args: &[
            Arg::string("cursor"),
            Arg::new("match-pattern", ArgKind::Pattern).token("MATCH").optional(),
            Arg::integer("count").token("COUNT").optional(),
            Arg::string("type").token("TYPE").optional(),
            Arg::integer("slot").token("SLOT").optional(),
        ],
        run: Run::Node(NodeCommand::Clusterscan),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "readonly",
        arity: 1,
        flags: flags!(LOADING | STALE | FAST),
        acl: acl!(CONNECTION),
        group: Group::Cluster,
        summary: "Lets a replica of the cluster answer reads of this connection.",
        since: "3.0.0",
        complexity: "O(1)",
        run: Run::Node(NodeCommand::Readonly),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "readwrite",
        arity: 1,
        flags: flags!(LOADING | STALE | FAST),
        acl: acl!(CONNECTION),
        group: Group::Cluster,
        summary: "Ends what READONLY began.",
        since: "3.0.0",
        complexity: "O(1)",
        run: Run::Node(NodeCommand::Readwrite),
        ..CommandSpec::BASE
    },
];
