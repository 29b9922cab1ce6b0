//! Records of the commands that sort.

use crate::flags::{acl, flags};
use crate::key_spec::key_flags;
use crate::{Arg, ArgKind, BeginSearch, CommandSpec, FindKeys, Group, KeyFlags, KeySpec, Run, generic};

/// The keys that patterns name.
const PATTERNS: KeySpec =
    unknown(key_flags!(RO | ACCESS)).notes("Keys that BY and GET look at: their names come from the elements");

/// The key to store in, behind any number of options.
const DESTINATION: KeySpec = unknown(key_flags!(OW | UPDATE)).notes("The key of STORE, which may be anywhere");

const fn unknown(flags: KeyFlags) -> KeySpec {
    KeySpec { flags, begin: BeginSearch::Unknown, find: FindKeys::Unknown, notes: "" }
}

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "sort",
        arity: -2,
        flags: flags!(WRITE | DENYOOM | MOVABLEKEYS),
        acl: acl!(SET | SORTEDSET | LIST | DANGEROUS),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS)), PATTERNS, DESTINATION],
        find_keys: Some(generic::sort_keys),
        has_patterns: Some(generic::sort_has_patterns),
        group: Group::Generic,
        summary: "Sorts the elements of a list, a set or a sorted set, and replies or stores them.",
        since: "1.0.0",
        complexity: "O(N+M*log(M)), N being the number of elements, M of those in the reply",
        args: &[
            Arg::key("key", 0),
            Arg { key_spec: Some(1), ..Arg::new("by-pattern", ArgKind::Pattern).display("pattern") }
                .token("BY")
                .optional(),
            Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")]).token("LIMIT").optional(),
            Arg { key_spec: Some(1), ..Arg::new("get-pattern", ArgKind::Pattern).display("pattern") }
                .token("GET")
                .optional()
                .multiple()
                .multiple_token(),
            Arg::oneof("order", &[Arg::word("asc", "ASC"), Arg::word("desc", "DESC")]).optional(),
            Arg::word("sorting", "ALPHA").optional(),
            Arg::key("destination", 2).token("STORE").optional(),
        ],
        run: Run::Keyspace(generic::sort),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "sort_ro",
        arity: -2,
        flags: flags!(READONLY | MOVABLEKEYS),
        acl: acl!(SET | SORTEDSET | LIST | DANGEROUS),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS)), PATTERNS],
        has_patterns: Some(generic::sort_has_patterns),
        group: Group::Generic,
        summary: "Sorts the elements of a list, a set or a sorted set, and replies them.",
        since: "7.0.0",
        complexity: "O(N+M*log(M)), N being the number of elements, M of those in the reply",
        args: &[
            Arg::key("key", 0),
            Arg { key_spec: Some(1), ..Arg::new("by-pattern", ArgKind::Pattern).display("pattern") }
                .token("BY")
                .optional(),
            Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")]).token("LIMIT").optional(),
            Arg { key_spec: Some(1), ..Arg::new("get-pattern", ArgKind::Pattern).display("pattern") }
                .token("GET")
                .optional()
                .multiple()
                .multiple_token(),
            Arg::oneof("order", &[Arg::word("asc", "ASC"), Arg::word("desc", "DESC")]).optional(),
            Arg::word("sorting", "ALPHA").optional(),
        ],
        run: Run::Keyspace(generic::sort_ro),
        ..CommandSpec::BASE
    },
];
