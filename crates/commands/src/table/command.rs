//! Records of the subcommands of COMMAND.

use crate::flags::{acl, flags};
use crate::{Arg, ArgKind, CommandSpec, Group, Run, docs};

pub(super) static SUBCOMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "command|count",
        arity: 2,
        flags: flags!(LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Server,
        summary: "Counts the commands.",
        since: "2.8.13",
        complexity: "O(1)",
        run: Run::Registry(docs::command_count),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "command|docs",
        arity: -2,
        flags: flags!(LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Server,
        summary: "Documents commands.",
        since: "7.0.0",
        complexity: "O(N), N being the number of commands to look up",
        tips: &["nondeterministic_output_order"],
        args: &[Arg::string("command-name").optional().multiple()],
        run: Run::Registry(docs::command_docs),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "command|getkeys",
        arity: -3,
        flags: flags!(LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Server,
        summary: "Replies which arguments of a command line are keys.",
        since: "2.8.13",
        complexity: "O(N), N being the number of arguments to the command",
        args: &[Arg::string("command"), Arg::string("arg").optional().multiple()],
        run: Run::Registry(docs::command_getkeys),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "command|getkeysandflags",
        arity: -3,
        flags: flags!(LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Server,
        summary: "Replies which arguments of a command line are keys, and what happens to them.",
        since: "7.0.0",
        complexity: "O(N), N being the number of arguments to the command",
        args: &[Arg::string("command"), Arg::string("arg").optional().multiple()],
        run: Run::Registry(docs::command_getkeysandflags),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "command|help",
        arity: 2,
        flags: flags!(LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Server,
        summary: "Lists the subcommands.",
        since: "5.0.0",
        complexity: "O(1)",
        run: Run::Registry(docs::help),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "command|info",
        arity: -2,
        flags: flags!(LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Server,
        summary: "Describes some commands, or all.",
        since: "2.8.13",
        complexity: "O(N), N being the number of commands to look up",
        tips: &["nondeterministic_output_order"],
        history: &[("7.0.0", "Names may be left out.")],
        args: &[Arg::string("command-name").optional().multiple()],
        run: Run::Registry(docs::command_info),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "command|list",
        arity: -2,
        flags: flags!(LOADING | STALE),
        acl: acl!(CONNECTION),
        group: Group::Server,
        summary: "Lists the names of commands.",
        since: "7.0.0",
        complexity: "O(N), N being the total number of commands",
        tips: &["nondeterministic_output_order"],
        args: &[Arg::oneof(
            "filterby",
            &[
                Arg::string("module-name").token("MODULE"),
                Arg::string("category").token("ACLCAT"),
                Arg::new("pattern", ArgKind::Pattern).token("PATTERN"),
            ],
        )
        .token("FILTERBY")
        .optional()],
        run: Run::Registry(docs::command_list),
        ..CommandSpec::BASE
    },
];
