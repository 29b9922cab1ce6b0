//! Records of the commands on groups of consumers, and of what is known about streams.

use crate::flags::{acl, flags};
use crate::key_spec::key_flags;
use crate::{Arg, CommandSpec, Group, KeySpec, Run, docs, stream};

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "xgroup",
        arity: -2,
        group: Group::Stream,
        summary: "Manages groups of consumers.",
        since: "5.0.0",
        complexity: "Depends on the subcommand",
        subcommands: &[
            CommandSpec {
                name: "xgroup|create",
                arity: -5,
                flags: flags!(WRITE | DENYOOM),
                acl: acl!(STREAM),
                keys: &[KeySpec::one(2, key_flags!(RW | INSERT))],
                group: Group::Stream,
                summary: "Makes a group of consumers.",
                since: "5.0.0",
                complexity: "O(1)",
                history: &[("7.0.0", "Option `ENTRIESREAD`.")],
                args: &[
                    Arg::key("key", 0),
                    Arg::string("group"),
                    Arg::oneof("id-selector", &[Arg::string("id"), Arg::word("new-id", "$")]),
                    Arg::word("mkstream", "MKSTREAM").optional(),
                    Arg::integer("entriesread").display("entries-read").token("ENTRIESREAD").optional(),
                ],
                run: Run::Keyspace(stream::xgroup_create),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "xgroup|createconsumer",
                arity: 5,
                flags: flags!(WRITE | DENYOOM),
                acl: acl!(STREAM),
                keys: &[KeySpec::one(2, key_flags!(RW | INSERT))],
                group: Group::Stream,
                summary: "Makes a consumer.",
                since: "6.2.0",
                complexity: "O(1)",
                args: &[Arg::key("key", 0), Arg::string("group"), Arg::string("consumer")],
                run: Run::Keyspace(stream::xgroup_createconsumer),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "xgroup|delconsumer",
                arity: 5,
                flags: flags!(WRITE),
                acl: acl!(STREAM),
                keys: &[KeySpec::one(2, key_flags!(RW | DELETE))],
                group: Group::Stream,
                summary: "Removes a consumer with what is pending for it.",
                since: "5.0.0",
                complexity: "O(N), N being the number of its pending entries",
                args: &[Arg::key("key", 0), Arg::string("group"), Arg::string("consumer")],
                run: Run::Keyspace(stream::xgroup_delconsumer),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "xgroup|destroy",
                arity: 4,
                flags: flags!(WRITE),
                acl: acl!(STREAM),
                keys: &[KeySpec::one(2, key_flags!(RW | DELETE))],
                group: Group::Stream,
                summary: "Removes a group.",
                since: "5.0.0",
                complexity: "O(N), N being the number of pending entries",
                args: &[Arg::key("key", 0), Arg::string("group")],
                run: Run::Keyspace(stream::xgroup_destroy),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "xgroup|help",
                arity: 2,
                flags: flags!(LOADING | STALE),
                acl: acl!(STREAM),
                group: Group::Stream,
                summary: "Lists the subcommands.",
                since: "5.0.0",
                complexity: "O(1)",
                run: Run::Registry(docs::help),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "xgroup|setid",
                arity: -5,
                flags: flags!(WRITE),
                acl: acl!(STREAM),
                keys: &[KeySpec::one(2, key_flags!(RW | UPDATE))],
                group: Group::Stream,
                summary: "Sets up to which id a group has read.",
                since: "5.0.0",
                complexity: "O(1)",
                history: &[("7.0.0", "Option `ENTRIESREAD`.")],
                args: &[
                    Arg::key("key", 0),
                    Arg::string("group"),
                    Arg::oneof("id-selector", &[Arg::string("id"), Arg::word("new-id", "$")]),
                    Arg::integer("entriesread").display("entries-read").token("ENTRIESREAD").optional(),
                ],
                run: Run::Keyspace(stream::xgroup_setid),
                ..CommandSpec::BASE
            },
        ],
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "xinfo",
        arity: -2,
        group: Group::Stream,
        summary: "Replies what is known about streams.",
        since: "5.0.0",
        complexity: "Depends on the subcommand",
        subcommands: &[
            CommandSpec {
                name: "xinfo|consumers",
                arity: 4,
                flags: flags!(READONLY),
                acl: acl!(STREAM),
                keys: &[KeySpec::one(2, key_flags!(RO | ACCESS))],
                group: Group::Stream,
                summary: "Replies what is known about the consumers of a group.",
                since: "5.0.0",
                complexity: "O(N), N being the number of consumers",
                tips: &["nondeterministic_output"],
                history: &[("7.2.0", "Field `inactive`.")],
                args: &[Arg::key("key", 0), Arg::string("group")],
                run: Run::Keyspace(stream::xinfo_consumers),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "xinfo|groups",
                arity: 3,
                flags: flags!(READONLY),
                acl: acl!(STREAM),
                keys: &[KeySpec::one(2, key_flags!(RO | ACCESS))],
                group: Group::Stream,
                summary: "Replies what is known about the groups of a stream.",
                since: "5.0.0",
                complexity: "O(N), N being the number of groups",
                history: &[("7.0.0", "Fields `entries-read` and `lag`.")],
                args: &[Arg::key("key", 0)],
                run: Run::Keyspace(stream::xinfo_groups),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "xinfo|help",
                arity: 2,
                flags: flags!(LOADING | STALE),
                acl: acl!(STREAM),
                group: Group::Stream,
                summary: "Lists the subcommands.",
                since: "5.0.0",
                complexity: "O(1)",
                run: Run::Registry(docs::help),
                ..CommandSpec::BASE
            },
            CommandSpec {
                name: "xinfo|stream",
                arity: -3,
                flags: flags!(READONLY),
                acl: acl!(STREAM),
                keys: &[KeySpec::one(2, key_flags!(RO | ACCESS))],
                group: Group::Stream,
                summary: "Replies what is known about a stream.",
                since: "5.0.0",
                complexity: "O(1); O(N) with FULL, N being the number of entries replied",
                history: &[
                    ("6.0.0", "Option `FULL`."),
                    (
                        "7.0.0",
                        "Fields `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag`.",
                    ),
                    ("7.2.0", "Fields `active-time` and `seen-time` of consumers; `seen-time` changed its meaning."),
                ],
                args: &[
                    Arg::key("key", 0),
                    Arg::block(
                        "full-block",
                        &[Arg::word("full", "FULL"), Arg::integer("count").token("COUNT").optional()],
                    )
                    .optional(),
                ],
                run: Run::Keyspace(stream::xinfo_stream),
                ..CommandSpec::BASE
            },
        ],
        ..CommandSpec::BASE
    },
];
