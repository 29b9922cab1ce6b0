//! Records of the subcommands of CLIENT.

use crate::flags::{acl, flags};
use crate::{Arg, CommandSpec, Group, NodeCommand, Run, docs};

pub(super) static SUBCOMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "client|caching",
        arity: 3,
        flags: flags!(NOSCRIPT | LOADING | STALE | ALLOW_BUSY),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Says whether the keys of the next command are remembered for invalidation.",
        since: "6.0.0",
        complexity: "O(1)",
        args: &[Arg::oneof("mode", &[Arg::word("yes", "YES"), Arg::word("no", "NO")])],
        run: Run::Node(NodeCommand::ClientCaching),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|capa",
        arity: -3,
        flags: flags!(NOSCRIPT | LOADING | STALE | ALLOW_BUSY),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Tells the server what the client understands.",
        since: "8.0.0",
        complexity: "O(1)",
        args: &[Arg::string("capability").multiple()],
        run: Run::Node(NodeCommand::ClientCapa),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|getname",
        arity: 2,
        flags: flags!(NOSCRIPT | LOADING | STALE | ALLOW_BUSY),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Replies the name of the connection.",
        since: "2.6.9",
        complexity: "O(1)",
        run: Run::Node(NodeCommand::ClientGetname),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|getredir",
        arity: 2,
        flags: flags!(NOSCRIPT | LOADING | STALE | ALLOW_BUSY),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Replies the connection that is told of changed keys instead of this one.",
        since: "6.0.0",
        complexity: "O(1)",
        run: Run::Node(NodeCommand::ClientGetredir),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|help",
        arity: 2,
        flags: flags!(LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Lists the subcommands.",
        since: "5.0.0",
        complexity: "O(1)",
        run: Run::Registry(docs::help),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|id",
        arity: 2,
        flags: flags!(NOSCRIPT | LOADING | STALE | ALLOW_BUSY),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Replies the number of the connection.",
        since: "5.0.0",
        complexity: "O(1)",
        run: Run::Node(NodeCommand::ClientId),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|import-source",
        arity: 3,
        flags: flags!(NOSCRIPT | LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Marks the connection as one that imports keys, expired ones too.",
        since: "8.1.0",
        complexity: "O(1)",
        args: &[Arg::oneof("enabled", &[Arg::word("on", "ON"), Arg::word("off", "OFF")])],
        run: Run::Node(NodeCommand::ClientImportSource),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|info",
        arity: 2,
        flags: flags!(NOSCRIPT | LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Describes the connection.",
        since: "6.2.0",
        complexity: "O(1)",
        tips: &["nondeterministic_output"],
        run: Run::Node(NodeCommand::ClientInfo),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|kill",
        arity: -3,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Closes connections.",
        since: "2.4.0",
        complexity: "O(N), N being the number of client connections",
        history: &[
            ("2.8.12", "Filters."),
            ("2.8.12", "Filter `ID`."),
            ("3.2.0", "`TYPE master`."),
            ("5.0.0", "`TYPE replica`; `slave` still works."),
            ("6.2.0", "Filter `LADDR`."),
            ("8.0.0", "Filter `MAXAGE`."),
            ("8.0.0", "`TYPE primary`; `master` still works."),
            ("8.1.0", "More than one `ID`."),
            (
                "9.0.0",
                "Filters by name, idle time, flags, library, database, capability and address, and their negations.",
            ),
        ],
        args: &[Arg::oneof(
            "filter",
            &[
                Arg::string("old-format").display("ip:port").deprecated("2.8.12"),
                Arg::oneof(
                    "new-format",
                    &[
                        Arg::integer("client-id").token("ID").optional().multiple().since("2.8.12"),
                        Arg::oneof(
                            "client-type",
                            &[
                                Arg::word("normal", "NORMAL"),
                                Arg::word("master", "MASTER").since("3.2.0"),
                                Arg::word("primary", "PRIMARY").since("8.0.0"),
                                Arg::word("slave", "SLAVE"),
                                Arg::word("replica", "REPLICA").since("5.0.0"),
                                Arg::word("pubsub", "PUBSUB"),
                            ],
                        )
                        .token("TYPE")
                        .optional()
                        .since("2.8.12"),
                        Arg::string("username").token("USER").optional(),
                        Arg::string("addr").token("ADDR").display("ip:port").optional(),
                        Arg::string("laddr").token("LADDR").display("ip:port").optional().since("6.2.0"),
                        Arg::oneof("skipme", &[Arg::word("yes", "YES"), Arg::word("no", "NO")])
                            .token("SKIPME")
                            .optional(),
                        Arg::integer("maxage").token("MAXAGE").optional().since("8.0.0"),
                        Arg::string("name").token("NAME").optional().since("9.0.0"),
                        Arg::integer("idle").token("IDLE").optional().since("9.0.0"),
                        Arg::string("flags").token("FLAGS").optional().since("9.0.0"),
                        Arg::string("lib-name").token("LIB-NAME").optional().since("9.0.0"),
                        Arg::string("lib-ver").token("LIB-VER").optional().since("9.0.0"),
                        Arg::integer("db").token("DB").optional().since("9.0.0"),
                        Arg::string("capa").token("CAPA").optional().since("9.0.0"),
                        Arg::string("ip").token("IP").optional().since("9.0.0"),
                        Arg::oneof(
                            "not-client-type",
                            &[
                                Arg::word("normal", "NORMAL"),
                                Arg::word("master", "MASTER"),
                                Arg::word("primary", "PRIMARY"),
                                Arg::word("slave", "SLAVE"),
                                Arg::word("replica", "REPLICA"),
                                Arg::word("pubsub", "PUBSUB"),
                            ],
                        )
                        .token("NOT-TYPE")
                        .optional()
                        .since("9.0.0"),
                        Arg::integer("not-client-id").token("NOT-ID").optional().multiple().since("9.0.0"),
                        Arg::string("not-username").token("NOT-USER").optional().since("9.0.0"),
                        Arg::string("not-addr").token("NOT-ADDR").display("ip:port").optional().since("9.0.0"),
                        Arg::string("not-laddr").token("NOT-LADDR").display("ip:port").optional().since("9.0.0"),
                        Arg::string("not-name").token("NOT-NAME").optional().since("9.0.0"),
                        Arg::string("not-flags").token("NOT-FLAGS").optional().since("9.0.0"),
                        Arg::string("not-lib-name").token("NOT-LIB-NAME").optional().since("9.0.0"),
                        Arg::string("not-lib-ver").token("NOT-LIB-VER").optional().since("9.0.0"),
                        Arg::integer("not-db").token("NOT-DB").optional().since("9.0.0"),
                        Arg::string("not-capa").token("NOT-CAPA").optional().since("9.0.0"),
                        Arg::string("not-ip").token("NOT-IP").optional().since("9.0.0"),
                    ],
                )
                .multiple(),
            ],
        )],
        run: Run::Node(NodeCommand::ClientKill),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|list",
        arity: -2,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Describes all connections.",
        since: "2.4.0",
        complexity: "O(N), N being the number of client connections",
        tips: &["nondeterministic_output"],
        history: &[
            ("2.8.12", "Field `id`."),
            ("5.0.0", "Filter `TYPE`."),
            ("6.0.0", "Field `user`."),
            ("6.2.0", "Fields `argv-mem`, `tot-mem`, `laddr` and `redir`; filter `ID`."),
            ("7.0.0", "Fields `resp`, `multi-mem`, `rbs` and `rbp`."),
            ("7.0.3", "Field `ssub`."),
            ("8.0.0", "`TYPE primary`; `master` still works."),
            ("8.1.0", "Filters `USER`, `ADDR`, `LADDR`, `SKIPME` and `MAXAGE`."),
            (
                "9.0.0",
                "Filters by name, idle time, flags, library, database, capability and address, and their negations.",
            ),
        ],
        args: &[
            Arg::oneof(
                "client-type",
                &[
                    Arg::word("normal", "NORMAL"),
                    Arg::word("master", "MASTER"),
                    Arg::word("replica", "REPLICA"),
                    Arg::word("pubsub", "PUBSUB"),
                ],
            )
            .token("TYPE")
            .optional()
            .since("5.0.0"),
            Arg::integer("client-id").token("ID").optional().multiple().since("6.2.0"),
            Arg::string("username").token("USER").optional().since("8.1.0"),
            Arg::string("addr").token("ADDR").display("ip:port").optional().since("8.1.0"),
            Arg::string("laddr").token("LADDR").display("ip:port").optional().since("8.1.0"),
            Arg::oneof("skipme", &[Arg::word("yes", "YES"), Arg::word("no", "NO")])
                .token("SKIPME")
                .optional()
                .since("8.1.0"),
            Arg::integer("maxage").token("MAXAGE").optional().since("8.1.0"),
            Arg::string("name").token("NAME").optional().since("9.0.0"),
            Arg::integer("idle").token("IDLE").optional().since("9.0.0"),
            Arg::string("flags").token("FLAGS").optional().since("9.0.0"),
            Arg::string("lib-name").token("LIB-NAME").optional().since("9.0.0"),
            Arg::string("lib-ver").token("LIB-VER").optional().since("9.0.0"),
            Arg::integer("db").token("DB").optional().since("9.0.0"),
            Arg::string("capa").token("CAPA").optional().since("9.0.0"),
            Arg::string("ip").token("IP").optional().since("9.0.0"),
            Arg::oneof(
                "not-client-type",
                &[
                    Arg::word("normal", "NORMAL"),
                    Arg::word("master", "MASTER"),
                    Arg::word("replica", "REPLICA"),
                    Arg::word("pubsub", "PUBSUB"),
                ],
            )
            .token("NOT-TYPE")
            .optional()
            .since("9.0.0"),
            Arg::integer("not-client-id").token("NOT-ID").optional().multiple().since("9.0.0"),
            Arg::string("not-username").token("NOT-USER").optional().since("9.0.0"),
            Arg::string("not-addr").token("NOT-ADDR").display("ip:port").optional().since("9.0.0"),
            Arg::string("not-laddr").token("NOT-LADDR").display("ip:port").optional().since("9.0.0"),
            Arg::string("not-name").token("NOT-NAME").optional().since("9.0.0"),
            Arg::string("not-flags").token("NOT-FLAGS").optional().since("9.0.0"),
            Arg::string("not-lib-name").token("NOT-LIB-NAME").optional().since("9.0.0"),
            Arg::string("not-lib-ver").token("NOT-LIB-VER").optional().since("9.0.0"),
            Arg::integer("not-db").token("NOT-DB").optional().since("9.0.0"),
            Arg::string("not-capa").token("NOT-CAPA").optional().since("9.0.0"),
            Arg::string("not-ip").token("NOT-IP").optional().since("9.0.0"),
        ],
        run: Run::Node(NodeCommand::ClientList),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|maint_notifications",
        arity: -3,
        flags: flags!(NOSCRIPT | LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Tells the connection of changes of primaries by push messages.",
        since: "9.1.0",
        complexity: "O(1)",
        args: &[
            Arg::oneof("enabled", &[Arg::word("on", "ON"), Arg::word("off", "OFF")]),
            Arg::oneof(
                "endpoint-type",
                &[
                    Arg::word("internal-ip", "INTERNAL-IP"),
                    Arg::word("internal-fqdn", "INTERNAL-FQDN"),
                    Arg::word("external-ip", "EXTERNAL-IP"),
                    Arg::word("external-fqdn", "EXTERNAL-FQDN"),
                    Arg::word("none", "NONE"),
                ],
            )
            .token("MOVING-ENDPOINT-TYPE")
            .optional(),
        ],
        run: Run::Node(NodeCommand::ClientMaintNotifications),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|no-evict",
        arity: 3,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE | ALLOW_BUSY),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Exempts the connection from client eviction.",
        since: "7.0.0",
        complexity: "O(1)",
        args: &[Arg::oneof("enabled", &[Arg::word("on", "ON"), Arg::word("off", "OFF")])],
        run: Run::Node(NodeCommand::ClientNoEvict),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|no-touch",
        arity: 3,
        flags: flags!(NOSCRIPT | LOADING | STALE | ALLOW_BUSY),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Lets the connection's commands leave access times alone.",
        since: "7.2.0",
        complexity: "O(1)",
        args: &[Arg::oneof("enabled", &[Arg::word("on", "ON"), Arg::word("off", "OFF")])],
        run: Run::Node(NodeCommand::ClientNoTouch),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|pause",
        arity: -3,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Holds commands of all clients back for some time.",
        since: "3.0.0",
        complexity: "O(1)",
        history: &[("6.2.0", "Option `WRITE`.")],
        args: &[
            Arg::integer("timeout"),
            Arg::oneof("mode", &[Arg::word("write", "WRITE"), Arg::word("all", "ALL")]).optional().since("6.2.0"),
        ],
        run: Run::Node(NodeCommand::ClientPause),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|reply",
        arity: 3,
        flags: flags!(NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Switches replies to the connection on or off.",
        since: "3.2.0",
        complexity: "O(1)",
        args: &[Arg::oneof("action", &[Arg::word("on", "ON"), Arg::word("off", "OFF"), Arg::word("skip", "SKIP")])],
        run: Run::Node(NodeCommand::ClientReply),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|setinfo",
        arity: 4,
        flags: flags!(NOSCRIPT | LOADING | STALE | ALLOW_BUSY),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Names the library that the client uses.",
        since: "7.2.0",
        complexity: "O(1)",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        args: &[Arg::oneof(
            "attr",
            &[Arg::string("libname").token("LIB-NAME"), Arg::string("libver").token("LIB-VER")],
        )],
        run: Run::Node(NodeCommand::ClientSetinfo),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|setname",
        arity: 3,
        flags: flags!(NOSCRIPT | LOADING | STALE | ALLOW_BUSY),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Names the connection.",
        since: "2.6.9",
        complexity: "O(1)",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        args: &[Arg::string("connection-name")],
        run: Run::Node(NodeCommand::ClientSetname),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|tracking",
        arity: -3,
        flags: flags!(NOSCRIPT | LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Has the connection told when keys change that it read.",
        since: "6.0.0",
        complexity: "O(1), and a little more with every prefix",
        args: &[
            Arg::oneof("status", &[Arg::word("on", "ON"), Arg::word("off", "OFF")]),
            Arg::integer("client-id").token("REDIRECT").optional(),
            Arg::string("prefix").token("PREFIX").optional().multiple_token(),
            Arg::word("bcast", "BCAST").optional(),
            Arg::word("optin", "OPTIN").optional(),
            Arg::word("optout", "OPTOUT").optional(),
            Arg::word("noloop", "NOLOOP").optional(),
        ],
        run: Run::Node(NodeCommand::ClientTracking),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|trackinginfo",
        arity: 2,
        flags: flags!(NOSCRIPT | LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Describes how the connection is told of changed keys.",
        since: "6.2.0",
        complexity: "O(1)",
        run: Run::Node(NodeCommand::ClientTrackinginfo),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|unblock",
        arity: -3,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Ends the waiting of another, blocked client.",
        since: "5.0.0",
        complexity: "O(log N), N being the number of client connections",
        args: &[
            Arg::integer("client-id"),
            Arg::oneof("unblock-type", &[Arg::word("timeout", "TIMEOUT"), Arg::word("error", "ERROR")]).optional(),
        ],
        run: Run::Node(NodeCommand::ClientUnblock),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "client|unpause",
        arity: 2,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Connection,
        summary: "Ends what CLIENT PAUSE began.",
        since: "6.2.0",
        complexity: "O(N), N being the number of paused clients",
        run: Run::Node(NodeCommand::ClientUnpause),
        ..CommandSpec::BASE
    },
];
