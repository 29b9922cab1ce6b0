//! Records of the hyperloglog commands.

use crate::flags::{acl, flags};
use crate::key_spec::key_flags;
use crate::{Arg, CommandSpec, DocFlags, Group, KeySpec, Run, hyperloglog};

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "pfadd",
        arity: -2,
        flags: flags!(WRITE | DENYOOM | FAST),
        acl: acl!(HYPERLOGLOG),
        keys: &[KeySpec::one(1, key_flags!(RW | INSERT))],
        group: Group::Hyperloglog,
        summary: "Adds elements to a HyperLogLog.",
        since: "2.8.9",
        complexity: "O(1) for each element",
        args: &[Arg::key("key", 0), Arg::string("element").optional().multiple()],
        run: Run::Keyspace(hyperloglog::pfadd),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "pfcount",
        arity: -2,
        flags: flags!(READONLY | MAY_REPLICATE),
        acl: acl!(HYPERLOGLOG),
        keys: &[KeySpec::range(1, -1, 1, key_flags!(RW | ACCESS))
            .notes("RW because the count is kept in the key, which replicas are told")],
        group: Group::Hyperloglog,
        summary: "Replies about how many distinct elements were added to one or several HyperLogLogs.",
        since: "2.8.9",
        complexity: "O(1) for one that did not change since it was counted, O(N) otherwise, N being the number of keys; the constant is large",
        args: &[Arg::key("key", 0).multiple()],
        run: Run::Keyspace(hyperloglog::pfcount),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "pfmerge",
        arity: -2,
        flags: flags!(WRITE | DENYOOM),
        acl: acl!(HYPERLOGLOG),
        keys: &[KeySpec::one(1, key_flags!(RW | ACCESS | INSERT)), KeySpec::range(2, -1, 1, key_flags!(RO | ACCESS))],
        group: Group::Hyperloglog,
        summary: "Adds to a HyperLogLog all that was added to others.",
        since: "2.8.9",
        complexity: "O(N), N being the number of keys; the constant is large",
        args: &[Arg::key("destkey", 0), Arg::key("sourcekey", 1).optional().multiple()],
        run: Run::Keyspace(hyperloglog::pfmerge),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "pfdebug",
        arity: 3,
        flags: flags!(WRITE | DENYOOM | ADMIN),
        acl: acl!(HYPERLOGLOG),
        keys: &[KeySpec::one(2, key_flags!(RW | ACCESS))],
        group: Group::Hyperloglog,
        summary: "Shows what a HyperLogLog consists of.",
        since: "2.8.9",
        complexity: "O(1)",
        doc_flags: DocFlags::SYSCMD,
        args: &[Arg::string("subcommand"), Arg::key("key", 0)],
        run: Run::Keyspace(hyperloglog::pfdebug),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "pfselftest",
        arity: 1,
        flags: flags!(ADMIN),
        acl: acl!(HYPERLOGLOG),
        keys: &[],
        group: Group::Hyperloglog,
        summary: "Tries HyperLogLogs on elements of its own.",
        since: "2.8.9",
        complexity: "O(1), but takes some milliseconds",
        doc_flags: DocFlags::SYSCMD,
        args: &[],
        run: Run::Registry(hyperloglog::pfselftest),
        ..CommandSpec::BASE
    },
];
