//! Records of the commands on several sorted sets, and of those that take elements out.

use crate::flags::{acl, flags};
use crate::key_spec::key_flags;
use crate::{Arg, ArgKind, CommandSpec, Group, KeySpec, Run, zset};

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "bzmpop",
        arity: -5,
        flags: flags!(WRITE | BLOCKING | MOVABLEKEYS),
        acl: acl!(SORTEDSET),
        keys: &[KeySpec::counted(2, 0, 1, 1, key_flags!(RW | ACCESS | DELETE))],
        group: Group::SortedSet,
        summary: "Removes elements from an end of the first sorted set that has any, waiting for one if none has.",
        since: "7.0.0",
        complexity: "O(K) + O(M*log(N)), K being the number of keys, M of elements taken, N of elements",
        args: &[
            Arg::new("timeout", ArgKind::Double),
            Arg::integer("numkeys"),
            Arg::key("key", 0).multiple(),
            Arg::oneof("where", &[Arg::word("min", "MIN"), Arg::word("max", "MAX")]),
            Arg::integer("count").token("COUNT").optional(),
        ],
        run: Run::Keyspace(zset::bzmpop),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "bzpopmax",
        arity: -3,
        flags: flags!(WRITE | BLOCKING | FAST),
        acl: acl!(SORTEDSET),
        keys: &[KeySpec::range(1, -2, 1, key_flags!(RW | ACCESS | DELETE))],
        group: Group::SortedSet,
        summary: "Removes the element with the highest score from the first sorted set that has any, waiting for one if none has.",
        since: "5.0.0",
        complexity: "O(log(N)), N being the number of elements",
        history: &[("6.0.0", "The timeout may be a fraction.")],
        args: &[Arg::key("key", 0).multiple(), Arg::new("timeout", ArgKind::Double)],
        run: Run::Keyspace(zset::bzpopmax),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "bzpopmin",
        arity: -3,
        flags: flags!(WRITE | BLOCKING | FAST),
        acl: acl!(SORTEDSET),
        keys: &[KeySpec::range(1, -2, 1, key_flags!(RW | ACCESS | DELETE))],
        group: Group::SortedSet,
        summary: "Removes the element with the lowest score from the first sorted set that has any, waiting for one if none has.",
        since: "5.0.0",
        complexity: "O(log(N)), N being the number of elements",
        history: &[("6.0.0", "The timeout may be a fraction.")],
        args: &[Arg::key("key", 0).multiple(), Arg::new("timeout", ArgKind::Double)],
        run: Run::Keyspace(zset::bzpopmin),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "zdiff",
        arity: -3,
        flags: flags!(READONLY | MOVABLEKEYS),
        acl: acl!(SORTEDSET),
        keys: &[KeySpec::counted(1, 0, 1, 1, key_flags!(RO | ACCESS))],
        group: Group::SortedSet,
        summary: "Replies the elements of the first sorted set that are in none of the others.",
        since: "6.2.0",
        complexity: "O(L + (N-K)log(N)), L being the number of elements in all, N in the first one, K in the result",
        args: &[
            Arg::integer("numkeys"),
            Arg::key("key", 0).multiple(),
            Arg::word("withscores", "WITHSCORES").optional(),
        ],
        run: Run::Keyspace(zset::zdiff),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "zdiffstore",
        arity: -4,
        flags: flags!(WRITE | DENYOOM | MOVABLEKEYS),
        acl: acl!(SORTEDSET),
        keys: &[KeySpec::one(1, key_flags!(OW | UPDATE)), KeySpec::counted(2, 0, 1, 1, key_flags!(RO | ACCESS))],
        group: Group::SortedSet,
        summary: "Stores the elements of the first sorted set that are in none of the others.",
        since: "6.2.0",
        complexity: "O(L + (N-K)log(N)), L being the number of elements in all, N in the first one, K in the result",
        args: &[Arg::key("destination", 0), Arg::integer("numkeys"), Arg::key("key", 1).multiple()],
        run: Run::Keyspace(zset::zdiffstore),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "zinter",
        arity: -3,
        flags: flags!(READONLY | MOVABLEKEYS),
        acl: acl!(SORTEDSET),
        keys: &[KeySpec::counted(1, 0, 1, 1, key_flags!(RO | ACCESS))],
        group: Group::SortedSet,
        summary: "Replies the members that are in all of the sorted sets.",
        since: "6.2.0",
        complexity: "O(N*K*log(N)+M*log(M)), N being the size of the smallest, K the number of sorted sets, M the size of the result",
        args: &[
            Arg::integer("numkeys"),
            Arg::key("key", 0).multiple(),
            Arg::integer("weight").token("WEIGHTS").optional().multiple(),
            Arg::oneof("aggregate", &[Arg::word("sum", "SUM"), Arg::word("min", "MIN"), Arg::word("max", "MAX")])
                .token("AGGREGATE")
                .optional(),
            Arg::word("withscores", "WITHSCORES").optional(),
        ],
        run: Run::Keyspace(zset::zinter),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "zintercard",
        arity: -3,
        flags: flags!(READONLY | MOVABLEKEYS),
        acl: acl!(SORTEDSET),
        keys: &[KeySpec::counted(1, 0, 1, 1, key_flags!(RO | ACCESS))],
        group: Group::SortedSet,
        summary: "Counts the members that are in all of the sorted sets.",
        since: "7.0.0",
        complexity: "O(N*K*log(N)), N being the size of the smallest, K the number of sorted sets",
        args: &[
            Arg::integer("numkeys"),
            Arg::key("key", 0).multiple(),
            Arg::integer("limit").token("LIMIT").optional(),
        ],
        run: Run::Keyspace(zset::zintercard),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "zinterstore",
        arity: -4,
        flags: flags!(WRITE | DENYOOM | MOVABLEKEYS),
        acl: acl!(SORTEDSET),
        keys: &[KeySpec::one(1, key_flags!(OW | UPDATE)), KeySpec::counted(2, 0, 1, 1, key_flags!(RO | ACCESS))],
        group: Group::SortedSet,
        summary: "Stores the members that are in all of the sorted sets.",
        since: "2.0.0",
        complexity: "O(N*K*log(N)+M*log(M)), N being the size of the smallest, K the number of sorted sets, M the size of the result",
        args: &[
            Arg::key("destination", 0),
            Arg::integer("numkeys"),
            Arg::key("key", 1).multiple(),
            Arg::integer("weight").token("WEIGHTS").optional().multiple(),
            Arg::oneof("aggregate", &[Arg::word("sum", "SUM"), Arg::word("min", "MIN"), Arg::word("max", "MAX")])
                .token("AGGREGATE")
                .optional(),
        ],
        run: Run::Keyspace(zset::zinterstore),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "zmpop",
        arity: -4,
        flags: flags!(WRITE | MOVABLEKEYS),
        acl: acl!(SORTEDSET),
        keys: &[KeySpec::counted(1, 0, 1, 1, key_flags!(RW | ACCESS | DELETE))],
        group: Group::SortedSet,
        summary: "Removes elements from an end of the first sorted set that has any, and replies them.",
        since: "7.0.0",
        complexity: "O(K) + O(M*log(N)), K being the number of keys, M of elements taken, N of elements",
        args: &[
            Arg::integer("numkeys"),
            Arg::key("key", 0).multiple(),
            Arg::oneof("where", &[Arg::word("min", "MIN"), Arg::word("max", "MAX")]),
            Arg::integer("count").token("COUNT").optional(),
        ],
        run: Run::Keyspace(zset::zmpop),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "zpopmax",
        arity: -2,
        flags: flags!(WRITE | FAST),
        acl: acl!(SORTEDSET),
        keys: &[KeySpec::one(1, key_flags!(RW | ACCESS | DELETE))],
        group: Group::SortedSet,
        summary: "Removes the elements with the highest scores and replies them, the highest first.",
        since: "5.0.0",
        complexity: "O(M*log(N)), M being the number of elements taken, N of elements",
        args: &[Arg::key("key", 0), Arg::integer("count").optional()],
        run: Run::Keyspace(zset::zpopmax),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "zpopmin",
        arity: -2,
        flags: flags!(WRITE | FAST),
        acl: acl!(SORTEDSET),
        keys: &[KeySpec::one(1, key_flags!(RW | ACCESS | DELETE))],
        group: Group::SortedSet,
        summary: "Removes the elements with the lowest scores and replies them, the lowest first.",
        since: "5.0.0",
        complexity: "O(M*log(N)), M being the number of elements taken, N of elements",
        args: &[Arg::key("key", 0), Arg::integer("count").optional()],
        run: Run::Keyspace(zset::zpopmin),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "zrangestore",
        arity: -5,
        flags: flags!(WRITE | DENYOOM),
        acl: acl!(SORTEDSET),
        keys: &[KeySpec::one(1, key_flags!(OW | UPDATE)), KeySpec::one(2, key_flags!(RO | ACCESS))],
        group: Group::SortedSet,
        summary: "Stores the elements in a range of ranks, scores or members.",
        since: "6.2.0",
        complexity: "O(log(N)+M*log(M)), N being the number of elements, M of elements stored",
        args: &[
            Arg::key("dst", 0),
            Arg::key("src", 1),
            Arg::string("min"),
            Arg::string("max"),
            Arg::oneof("sortby", &[Arg::word("byscore", "BYSCORE"), Arg::word("bylex", "BYLEX")]).optional(),
            Arg::word("rev", "REV").optional(),
            Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")]).token("LIMIT").optional(),
        ],
        run: Run::Keyspace(zset::zrangestore),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "zunion",
        arity: -3,
        flags: flags!(READONLY | MOVABLEKEYS),
        acl: acl!(SORTEDSET),
        keys: &[KeySpec::counted(1, 0, 1, 1, key_flags!(RO | ACCESS))],
        group: Group::SortedSet,
        summary: "Replies the members that are in any of the sorted sets.",
        since: "6.2.0",
        complexity: "O(N*log(N)), N being the number of elements in all",
        args: &[
            Arg::integer("numkeys"),
            Arg::key("key", 0).multiple(),
            Arg::integer("weight").token("WEIGHTS").optional().multiple(),
            Arg::oneof("aggregate", &[Arg::word("sum", "SUM"), Arg::word("min", "MIN"), Arg::word("max", "MAX")])
                .token("AGGREGATE")
                .optional(),
            Arg::word("withscores", "WITHSCORES").optional(),
        ],
        run: Run::Keyspace(zset::zunion),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "zunionstore",
        arity: -4,
        flags: flags!(WRITE | DENYOOM | MOVABLEKEYS),
        acl: acl!(SORTEDSET),
        keys: &[KeySpec::one(1, key_flags!(OW | UPDATE)), KeySpec::counted(2, 0, 1, 1, key_flags!(RO | ACCESS))],
        group: Group::SortedSet,
        summary: "Stores the members that are in any of the sorted sets.",
        since: "2.0.0",
        complexity: "O(N*log(N)), N being the number of elements in all",
        args: &[
            Arg::key("destination", 0),
            Arg::integer("numkeys"),
            Arg::key("key", 1).multiple(),
            Arg::integer("weight").token("WEIGHTS").optional().multiple(),
            Arg::oneof("aggregate", &[Arg::word("sum", "SUM"), Arg::word("min", "MIN"), Arg::word("max", "MAX")])
                .token("AGGREGATE")
                .optional(),
        ],
        run: Run::Keyspace(zset::zunionstore),
        ..CommandSpec::BASE
    },
];
