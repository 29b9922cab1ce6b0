//! Records of the commands for scripts and functions.

use crate::flags::{acl, flags};
use crate::key_spec::key_flags;
use crate::{Arg, CommandSpec, Group, KeySpec, NodeCommand, Run, docs};

/// Of keys that a script or function is given.
const ANYTHING: &str = "The most that may happen to them: what a script does is known when it has run";

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "eval",
        arity: -3,
        flags: flags!(NOSCRIPT | STALE | MAY_REPLICATE | SKIP_MONITOR | NO_MANDATORY_KEYS | MOVABLEKEYS),
        acl: acl!(SCRIPTING),
        keys: &[KeySpec::counted(2, 0, 1, 1, key_flags!(RW | ACCESS | UPDATE)).notes(ANYTHING)],
        group: Group::Scripting,
        summary: "Runs a script.",
        since: "2.6.0",
        complexity: "As the commands that it runs",
        args: &[
            Arg::string("script"),
            Arg::integer("numkeys"),
            Arg::key("key", 0).optional().multiple(),
            Arg::string("arg").optional().multiple(),
        ],
        run: Run::Node(NodeCommand::Eval),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "eval_ro",
        arity: -3,
        flags: flags!(READONLY | NOSCRIPT | STALE | SKIP_MONITOR | NO_MANDATORY_KEYS | MOVABLEKEYS),
        acl: acl!(SCRIPTING),
        keys: &[KeySpec::counted(2, 0, 1, 1, key_flags!(RO | ACCESS)).notes(ANYTHING)],
        group: Group::Scripting,
        summary: "Runs a script that only reads.",
        since: "7.0.0",
        complexity: "As the commands that it runs",
        args: &[
            Arg::string("script"),
            Arg::integer("numkeys"),
            Arg::key("key", 0).optional().multiple(),
            Arg::string("arg").optional().multiple(),
        ],
        run: Run::Node(NodeCommand::EvalRo),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "evalsha",
        arity: -3,
        flags: flags!(NOSCRIPT | STALE | MAY_REPLICATE | SKIP_MONITOR | NO_MANDATORY_KEYS | MOVABLEKEYS),
        acl: acl!(SCRIPTING),
        keys: &[KeySpec::counted(2, 0, 1, 1, key_flags!(RW | ACCESS | UPDATE))],
        group: Group::Scripting,
        summary: "Runs a script that is known by its SHA-1.",
        since: "2.6.0",
        complexity: "As the commands that it runs",
        args: &[
            Arg::string("sha1"),
            Arg::integer("numkeys"),
            Arg::key("key", 0).optional().multiple(),
            Arg::string("arg").optional().multiple(),
        ],
        run: Run::Node(NodeCommand::Evalsha),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "evalsha_ro",
        arity: -3,
        flags: flags!(READONLY | NOSCRIPT | STALE | SKIP_MONITOR | NO_MANDATORY_KEYS | MOVABLEKEYS),
        acl: acl!(SCRIPTING),
        keys: &[KeySpec::counted(2, 0, 1, 1, key_flags!(RO | ACCESS))],
        group: Group::Scripting,
        summary: "Runs a script that is known by its SHA-1 and only reads.",
        since: "7.0.0",
        complexity: "As the commands that it runs",
        args: &[
            Arg::string("sha1"),
            Arg::integer("numkeys"),
            Arg::key("key", 0).optional().multiple(),
            Arg::string("arg").optional().multiple(),
        ],
        run: Run::Node(NodeCommand::EvalshaRo),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "fcall",
        arity: -3,
        flags: flags!(NOSCRIPT | STALE | MAY_REPLICATE | SKIP_MONITOR | NO_MANDATORY_KEYS | MOVABLEKEYS),
        acl: acl!(SCRIPTING),
        keys: &[KeySpec::counted(2, 0, 1, 1, key_flags!(RW | ACCESS | UPDATE)).notes(ANYTHING)],
        group: Group::Scripting,
        summary: "Calls a function.",
        since: "7.0.0",
        complexity: "As the commands that it runs",
        args: &[
            Arg::string("function"),
            Arg::integer("numkeys"),
            Arg::key("key", 0).optional().multiple(),
            Arg::string("arg").optional().multiple(),
        ],
        run: Run::Node(NodeCommand::Fcall),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "fcall_ro",
        arity: -3,
        flags: flags!(READONLY | NOSCRIPT | STALE | SKIP_MONITOR | NO_MANDATORY_KEYS | MOVABLEKEYS),
        acl: acl!(SCRIPTING),
        keys: &[KeySpec::counted(2, 0, 1, 1, key_flags!(RO | ACCESS)).notes(ANYTHING)],
        group: Group::Scripting,
        summary: "Calls a function that only reads.",
        since: "7.0.0",
        complexity: "As the commands that it runs",
        args: &[
            Arg::string("function"),
            Arg::integer("numkeys"),
            Arg::key("key", 0).optional().multiple(),
            Arg::string("arg").optional().multiple(),
        ],
        run: Run::Node(NodeCommand::FcallRo),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "script",
        arity: -2,
        group: Group::Scripting,
        summary: "Subcommands about scripts.",
        since: "2.6.0",
        complexity: "Depends on the subcommand",
        subcommands: SCRIPT_SUBCOMMANDS,
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "function",
        arity: -2,
        group: Group::Scripting,
        summary: "Subcommands about functions.",
        since: "7.0.0",
        complexity: "Depends on the subcommand",
        subcommands: FUNCTION_SUBCOMMANDS,
        ..CommandSpec::BASE
    },
];

static SCRIPT_SUBCOMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "script|debug",
        arity: -3,
        flags: flags!(NOSCRIPT),
        acl: acl!(SCRIPTING),
        group: Group::Scripting,
        summary: "Sets the mode of the debugger of scripts.",
        since: "3.2.0",
        complexity: "O(1)",
        args: &[
            Arg::oneof("mode", &[Arg::word("yes", "YES"), Arg::word("sync", "SYNC"), Arg::word("no", "NO")]),
            Arg::string("engine").since("9.1.0").optional(),
        ],
        run: Run::Node(NodeCommand::ScriptDebug),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "script|exists",
        arity: -3,
        flags: flags!(NOSCRIPT | STALE),
        acl: acl!(SCRIPTING),
        group: Group::Scripting,
        summary: "Replies which scripts are known.",
        since: "2.6.0",
        complexity: "O(N), N being the number of scripts to look up",
        tips: &["request_policy:all_shards", "response_policy:agg_logical_and"],
        args: &[Arg::string("sha1").multiple()],
        run: Run::Node(NodeCommand::ScriptExists),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "script|flush",
        arity: -2,
        flags: flags!(NOSCRIPT | STALE),
        acl: acl!(SCRIPTING),
        group: Group::Scripting,
        summary: "Forgets all scripts.",
        since: "2.6.0",
        complexity: "O(N), N being the number of scripts",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        history: &[("6.2.0", "Takes ASYNC and SYNC.")],
        args: &[Arg::oneof("flush-type", &[Arg::word("async", "ASYNC"), Arg::word("sync", "SYNC")])
            .since("6.2.0")
            .optional()],
        run: Run::Node(NodeCommand::ScriptFlush),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "script|help",
        arity: 2,
        flags: flags!(LOADING | STALE),
        acl: acl!(SCRIPTING),
        group: Group::Scripting,
        summary: "Lists the subcommands.",
        since: "5.0.0",
        complexity: "O(1)",
        run: Run::Registry(docs::help),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "script|kill",
        arity: 2,
        flags: flags!(NOSCRIPT | ALLOW_BUSY),
        acl: acl!(SCRIPTING),
        group: Group::Scripting,
        summary: "Ends the script that is running.",
        since: "2.6.0",
        complexity: "O(1)",
        tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
        run: Run::Node(NodeCommand::ScriptKill),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "script|load",
        arity: 3,
        flags: flags!(NOSCRIPT | STALE),
        acl: acl!(SCRIPTING),
        group: Group::Scripting,
        summary: "Keeps a script for EVALSHA.",
        since: "2.6.0",
        complexity: "O(N), N being the length of the script",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        args: &[Arg::string("script")],
        run: Run::Node(NodeCommand::ScriptLoad),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "script|show",
        arity: 3,
        flags: flags!(NOSCRIPT | STALE),
        acl: acl!(SCRIPTING),
        group: Group::Scripting,
        summary: "Replies the text of a script.",
        since: "8.0.0",
        complexity: "O(1)",
        args: &[Arg::string("sha1")],
        run: Run::Node(NodeCommand::ScriptShow),
        ..CommandSpec::BASE
    },
];

static FUNCTION_SUBCOMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "function|delete",
        arity: 3,
        flags: flags!(WRITE | NOSCRIPT),
        acl: acl!(SCRIPTING),
        group: Group::Scripting,
        summary: "Deletes a library and its functions.",
        since: "7.0.0",
        complexity: "O(1)",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        args: &[Arg::string("library-name")],
        run: Run::Node(NodeCommand::FunctionDelete),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "function|dump",
        arity: 2,
        flags: flags!(NOSCRIPT),
        acl: acl!(SCRIPTING),
        group: Group::Scripting,
        summary: "Replies all libraries in a serialised form.",
        since: "7.0.0",
        complexity: "O(N), N being the number of functions",
        run: Run::Node(NodeCommand::FunctionDump),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "function|flush",
        arity: -2,
        flags: flags!(WRITE | NOSCRIPT),
        acl: acl!(SCRIPTING),
        group: Group::Scripting,
        summary: "Deletes all libraries.",
        since: "7.0.0",
        complexity: "O(N), N being the number of functions",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        args: &[Arg::oneof("flush-type", &[Arg::word("async", "ASYNC"), Arg::word("sync", "SYNC")]).optional()],
        run: Run::Node(NodeCommand::FunctionFlush),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "function|help",
        arity: 2,
        flags: flags!(LOADING | STALE),
        acl: acl!(SCRIPTING),
        group: Group::Scripting,
        summary: "Lists the subcommands.",
        since: "7.0.0",
        complexity: "O(1)",
        run: Run::Registry(docs::help),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "function|kill",
        arity: 2,
        flags: flags!(NOSCRIPT | ALLOW_BUSY),
        acl: acl!(SCRIPTING),
        group: Group::Scripting,
        summary: "Ends the function that is running.",
        since: "7.0.0",
        complexity: "O(1)",
        tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
        run: Run::Node(NodeCommand::FunctionKill),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "function|list",
        arity: -2,
        flags: flags!(NOSCRIPT),
        acl: acl!(SCRIPTING),
        group: Group::Scripting,
        summary: "Lists libraries and their functions.",
        since: "7.0.0",
        complexity: "O(N), N being the number of functions",
        tips: &["nondeterministic_output_order"],
        args: &[
            Arg::string("library-name-pattern").token("LIBRARYNAME").optional(),
            Arg::word("withcode", "WITHCODE").optional(),
        ],
        run: Run::Node(NodeCommand::FunctionList),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "function|load",
        arity: -3,
        flags: flags!(WRITE | DENYOOM | NOSCRIPT),
        acl: acl!(SCRIPTING),
        group: Group::Scripting,
        summary: "Makes a library of functions.",
        since: "7.0.0",
        complexity: "O(1), compiling aside",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        args: &[Arg::word("replace", "REPLACE").optional(), Arg::string("function-code")],
        run: Run::Node(NodeCommand::FunctionLoad),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "function|restore",
        arity: -3,
        flags: flags!(WRITE | DENYOOM | NOSCRIPT),
        acl: acl!(SCRIPTING),
        group: Group::Scripting,
        summary: "Makes libraries out of their serialised form.",
        since: "7.0.0",
        complexity: "O(N), N being the number of functions in the payload",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        args: &[
            Arg::string("serialized-value"),
            Arg::oneof(
                "policy",
                &[Arg::word("flush", "FLUSH"), Arg::word("append", "APPEND"), Arg::word("replace", "REPLACE")],
            )
            .optional(),
        ],
        run: Run::Node(NodeCommand::FunctionRestore),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "function|stats",
        arity: 2,
        flags: flags!(NOSCRIPT | ALLOW_BUSY),
        acl: acl!(SCRIPTING),
        group: Group::Scripting,
        summary: "Replies which function is running, and what there is to run functions.",
        since: "7.0.0",
        complexity: "O(1)",
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        run: Run::Node(NodeCommand::FunctionStats),
        ..CommandSpec::BASE
    },
];
