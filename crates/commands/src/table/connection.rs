//! Records of the commands about the client's own connection.

use crate::flags::{acl, flags};
use crate::{Arg, CommandSpec, Group, NodeCommand, Run, docs};

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "auth",
        arity: -2,
        flags: flags!(NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Authenticates the connection.",
        since: "1.0.0",
        complexity: "O(N), N being the number of passwords defined for the user",
        history: &[("6.0.0", "User names.")],
        args: &[Arg::string("username").optional().since("6.0.0"), Arg::string("password")],
        run: Run::Node(NodeCommand::Auth),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client",
        arity: -2,
        group: Group::Connection,
        summary: "Manages client connections.",
        since: "2.4.0",
        complexity: "Depends on the subcommand",
        subcommands: super::client::SUBCOMMANDS,
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "echo",
        arity: 2,
        flags: flags!(LOADING | STALE | FAST),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Replies its argument.",
        since: "1.0.0",
        complexity: "O(1)",
        args: &[Arg::string("message")],
        run: Run::Registry(docs::echo),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "hello",
        arity: -1,
        flags: flags!(NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Agrees on the protocol version and introduces both sides.",
        since: "6.0.0",
        complexity: "O(1)",
        history: &[("8.1.0", "The reply may contain `availability_zone`."), ("6.2.0", "The version may be left out.")],
        args: &[Arg::block(
            "arguments",
            &[
                Arg::integer("protover"),
                Arg::block("auth", &[Arg::string("username"), Arg::string("password")]).token("AUTH").optional(),
                Arg::string("clientname").token("SETNAME").optional(),
            ],
        )
        .optional()],
        run: Run::Node(NodeCommand::Hello),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "ping",
        arity: -1,
        flags: flags!(FAST),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Replies PONG, or its argument.",
        since: "1.0.0",
        complexity: "O(1)",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        args: &[Arg::string("message").optional()],
        run: Run::Node(NodeCommand::Ping),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "quit",
        arity: -1,
        flags: flags!(NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Closes the connection.",
        since: "1.0.0",
        complexity: "O(1)",
        run: Run::Node(NodeCommand::Quit),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "reset",
        arity: 1,
        flags: flags!(NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Brings the connection back to its first state.",
        since: "6.2.0",
        complexity: "O(1)",
        run: Run::Node(NodeCommand::Reset),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "select",
        arity: 2,
        flags: flags!(LOADING | STALE | FAST | ALLOW_BUSY),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Chooses the database of the connection.",
        since: "1.0.0",
        complexity: "O(1)",
        args: &[Arg::integer("index")],
        find_dbs: Some(|_| smallvec::smallvec![1]),
        run: Run::Node(NodeCommand::Select),
        ..CommandSpec::BASE
    },
];
