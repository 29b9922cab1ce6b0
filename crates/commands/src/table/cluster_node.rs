//! Records of the commands about the cluster and its redirections.

use crate::flags::{acl, flags};
use crate::{CommandSpec, Group, NodeCommand, Run};

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
