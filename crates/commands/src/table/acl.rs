//! Records of the subcommands of ACL.

use crate::flags::flags;
use crate::{Arg, CommandSpec, Group, NodeCommand, Run, docs};

pub(super) static SUBCOMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "acl|cat",
        arity: -2,
        flags: flags!(NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Lists the command categories, or the commands of one.",
        since: "6.0.0",
        complexity: "O(1) since the categories and commands are a fixed set",
        args: &[Arg::string("category").optional()],
        run: Run::Registry(docs::acl_cat),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "acl|deluser",
        arity: -3,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Removes users and closes their connections.",
        since: "6.0.0",
        complexity: "O(N), N being the number of connections",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        args: &[Arg::string("username").multiple()],
        run: Run::Node(NodeCommand::AclDeluser),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "acl|dryrun",
        arity: -4,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Tells whether a user may run a command, without running it.",
        since: "7.0.0",
        complexity: "O(1)",
        args: &[Arg::string("username"), Arg::string("command"), Arg::string("arg").optional().multiple()],
        run: Run::Node(NodeCommand::AclDryrun),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "acl|genpass",
        arity: -2,
        flags: flags!(NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Makes up a password that nobody can guess.",
        since: "6.0.0",
        complexity: "O(1)",
        args: &[Arg::integer("bits").optional()],
        run: Run::Node(NodeCommand::AclGenpass),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "acl|getuser",
        arity: 3,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Replies the rules of a user.",
        since: "6.0.0",
        complexity: "O(N), N being the number of rules of the user",
        history: &[
            ("6.2.0", "Channel patterns."),
            ("7.0.0", "Selectors; patterns of keys and channels as text."),
            ("9.1.0", "Databases."),
        ],
        args: &[Arg::string("username")],
        run: Run::Node(NodeCommand::AclGetuser),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "acl|help",
        arity: 2,
        flags: flags!(LOADING | STALE),
        group: Group::Server,
        summary: "Lists the subcommands.",
        since: "6.0.0",
        complexity: "O(1)",
        run: Run::Registry(docs::help),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "acl|list",
        arity: 2,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Lists all users with their rules, as ACL files have them.",
        since: "6.0.0",
        complexity: "O(N), N being the number of users",
        run: Run::Node(NodeCommand::AclList),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "acl|load",
        arity: 2,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Reads all users anew from the ACL file.",
        since: "6.0.0",
        complexity: "O(N), N being the number of users",
        run: Run::Node(NodeCommand::AclLoad),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "acl|log",
        arity: -2,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Lists what users were refused lately.",
        since: "6.0.0",
        complexity: "O(N), N being the number of entries shown",
        history: &[("7.2.0", "Number and times of entries.")],
        args: &[Arg::oneof("operation", &[Arg::integer("count"), Arg::word("reset", "RESET")]).optional()],
        run: Run::Node(NodeCommand::AclLog),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "acl|save",
        arity: 2,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Writes all users to the ACL file.",
        since: "6.0.0",
        complexity: "O(N), N being the number of users",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        run: Run::Node(NodeCommand::AclSave),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "acl|setuser",
        arity: -3,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Creates a user, or changes its rules.",
        since: "6.0.0",
        complexity: "O(N), N being the number of rules",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        history: &[
            ("6.2.0", "Channel patterns."),
            ("7.0.0", "Selectors, and key patterns for reading or writing."),
            ("9.1.0", "Databases."),
        ],
        args: &[Arg::string("username"), Arg::string("rule").optional().multiple()],
        run: Run::Node(NodeCommand::AclSetuser),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "acl|users",
        arity: 2,
        flags: flags!(ADMIN | NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Lists the names of all users.",
        since: "6.0.0",
        complexity: "O(N), N being the number of users",
        run: Run::Node(NodeCommand::AclUsers),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "acl|whoami",
        arity: 2,
        flags: flags!(NOSCRIPT | LOADING | STALE),
        group: Group::Server,
        summary: "Replies the user of the connection.",
        since: "6.0.0",
        complexity: "O(1)",
        run: Run::Node(NodeCommand::AclWhoami),
        ..CommandSpec::BASE
    },
];
