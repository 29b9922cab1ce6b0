//! Records of the transaction commands.

use crate::flags::{acl, flags};
use crate::key_spec::key_flags;
use crate::{Arg, CommandSpec, Group, KeySpec, NodeCommand, Run};

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "discard",
        arity: 1,
        flags: flags!(NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY),
        acl: acl!(TRANSACTION),
        group: Group::Transactions,
        summary: "Drops the transaction.",
        since: "2.0.0",
        complexity: "O(N), N being the number of queued commands",
        run: Run::Node(NodeCommand::Discard),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "exec",
        arity: 1,
        flags: flags!(NOSCRIPT | LOADING | STALE | SKIP_COMMANDLOG),
        acl: acl!(TRANSACTION),
        group: Group::Transactions,
        summary: "Runs the transaction.",
        since: "1.2.0",
        complexity: "Depends on commands in the transaction",
        run: Run::Node(NodeCommand::Exec),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "multi",
        arity: 1,
        flags: flags!(NOSCRIPT | LOADING | STALE | FAST | NO_MULTI | ALLOW_BUSY),
        acl: acl!(TRANSACTION),
        group: Group::Transactions,
        summary: "Begins a transaction.",
        since: "1.2.0",
        complexity: "O(1)",
        run: Run::Node(NodeCommand::Multi),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "unwatch",
        arity: 1,
        flags: flags!(NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY),
        acl: acl!(TRANSACTION),
        group: Group::Transactions,
        summary: "Forgets all watched keys.",
        since: "2.2.0",
        complexity: "O(1)",
        run: Run::Node(NodeCommand::Unwatch),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "watch",
        arity: -2,
        flags: flags!(NOSCRIPT | LOADING | STALE | FAST | NO_MULTI | ALLOW_BUSY),
        acl: acl!(TRANSACTION),
        keys: &[KeySpec::range(1, -1, 1, key_flags!(RO))],
        group: Group::Transactions,
        summary: "Makes the next transaction depend on keys staying as they are.",
        since: "2.2.0",
        complexity: "O(1) for every key",
        args: &[Arg::key("key", 0).multiple()],
        run: Run::Node(NodeCommand::Watch),
        ..CommandSpec::BASE
    },
];
