//! Records of the commands about expiry.

use crate::flags::{acl, flags};
use crate::key_spec::key_flags;
use crate::{Arg, CommandSpec, Group, KeySpec, Run, generic};

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "expire",
        arity: -3,
        flags: flags!(WRITE | FAST),
        acl: acl!(KEYSPACE),
        keys: &[KeySpec::one(1, key_flags!(RW | UPDATE))],
        group: Group::Generic,
        summary: "Lets a key expire after some seconds.",
        since: "1.0.0",
        complexity: "O(1)",
        history: &[("7.0.0", "Options `NX`, `XX`, `GT` and `LT`.")],
        args: &[
            Arg::key("key", 0),
            Arg::integer("seconds"),
            Arg::oneof(
                "condition",
                &[Arg::word("nx", "NX"), Arg::word("xx", "XX"), Arg::word("gt", "GT"), Arg::word("lt", "LT")],
            )
            .optional()
            .since("7.0.0"),
        ],
        run: Run::Keyspace(generic::expire),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "expireat",
        arity: -3,
        flags: flags!(WRITE | FAST),
        acl: acl!(KEYSPACE),
        keys: &[KeySpec::one(1, key_flags!(RW | UPDATE))],
        group: Group::Generic,
        summary: "Lets a key expire at a time given in seconds since 1970.",
        since: "1.2.0",
        complexity: "O(1)",
        history: &[("7.0.0", "Options `NX`, `XX`, `GT` and `LT`.")],
        args: &[
            Arg::key("key", 0),
            Arg::unix_time("unix-time-seconds"),
            Arg::oneof(
                "condition",
                &[Arg::word("nx", "NX"), Arg::word("xx", "XX"), Arg::word("gt", "GT"), Arg::word("lt", "LT")],
            )
            .optional()
            .since("7.0.0"),
        ],
        run: Run::Keyspace(generic::expireat),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "expiretime",
        arity: 2,
        flags: flags!(READONLY | FAST),
        acl: acl!(KEYSPACE),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Generic,
        summary: "Replies when a key expires, in seconds since 1970.",
        since: "7.0.0",
        complexity: "O(1)",
        args: &[Arg::key("key", 0)],
        run: Run::Keyspace(generic::expiretime),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "persist",
        arity: 2,
        flags: flags!(WRITE | FAST),
        acl: acl!(KEYSPACE),
        keys: &[KeySpec::one(1, key_flags!(RW | UPDATE))],
        group: Group::Generic,
        summary: "Lets a key live without limit again.",
        since: "2.2.0",
        complexity: "O(1)",
        args: &[Arg::key("key", 0)],
        run: Run::Keyspace(generic::persist),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "pexpire",
        arity: -3,
        flags: flags!(WRITE | FAST),
        acl: acl!(KEYSPACE),
        keys: &[KeySpec::one(1, key_flags!(RW | UPDATE))],
        group: Group::Generic,
        summary: "Lets a key expire after some milliseconds.",
        since: "2.6.0",
        complexity: "O(1)",
        history: &[("7.0.0", "Options `NX`, `XX`, `GT` and `LT`.")],
        args: &[
            Arg::key("key", 0),
            Arg::integer("milliseconds"),
            Arg::oneof(
                "condition",
                &[Arg::word("nx", "NX"), Arg::word("xx", "XX"), Arg::word("gt", "GT"), Arg::word("lt", "LT")],
            )
            .optional()
            .since("7.0.0"),
        ],
        run: Run::Keyspace(generic::pexpire),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "pexpireat",
        arity: -3,
        flags: flags!(WRITE | FAST),
        acl: acl!(KEYSPACE),
        keys: &[KeySpec::one(1, key_flags!(RW | UPDATE))],
        group: Group::Generic,
        summary: "Lets a key expire at a time given in milliseconds since 1970.",
        since: "2.6.0",
        complexity: "O(1)",
        history: &[("7.0.0", "Options `NX`, `XX`, `GT` and `LT`.")],
        args: &[
            Arg::key("key", 0),
            Arg::unix_time("unix-time-milliseconds"),
            Arg::oneof(
                "condition",
                &[Arg::word("nx", "NX"), Arg::word("xx", "XX"), Arg::word("gt", "GT"), Arg::word("lt", "LT")],
            )
            .optional()
            .since("7.0.0"),
        ],
        run: Run::Keyspace(generic::pexpireat),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "pexpiretime",
        arity: 2,
        flags: flags!(READONLY | FAST),
        acl: acl!(KEYSPACE),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Generic,
        summary: "Replies when a key expires, in milliseconds since 1970.",
        since: "7.0.0",
        complexity: "O(1)",
        args: &[Arg::key("key", 0)],
        run: Run::Keyspace(generic::pexpiretime),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "pttl",
        arity: 2,
        flags: flags!(READONLY | FAST),
        acl: acl!(KEYSPACE),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Generic,
        summary: "Replies the milliseconds that a key has left.",
        since: "2.6.0",
        complexity: "O(1)",
        tips: &["nondeterministic_output"],
        history: &[("2.8.0", "The reply -2.")],
        args: &[Arg::key("key", 0)],
        run: Run::Keyspace(generic::pttl),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "ttl",
        arity: 2,
        flags: flags!(READONLY | FAST),
        acl: acl!(KEYSPACE),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Generic,
        summary: "Replies the seconds that a key has left.",
        since: "1.0.0",
        complexity: "O(1)",
        tips: &["nondeterministic_output"],
        history: &[("2.8.0", "The reply -2.")],
        args: &[Arg::key("key", 0)],
        run: Run::Keyspace(generic::ttl),
        ..CommandSpec::BASE
    },
];
