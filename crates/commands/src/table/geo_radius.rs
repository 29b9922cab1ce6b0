//! Records of the searches by radius alone.

use crate::flags::{acl, flags};
use crate::key_spec::key_flags;
use crate::{Arg, ArgKind, CommandSpec, Group, KeySpec, Run, geo};

/// A unit of distances.
const UNIT: Arg =
    Arg::oneof("unit", &[Arg::word("m", "M"), Arg::word("km", "KM"), Arg::word("ft", "FT"), Arg::word("mi", "MI")]);

/// The order of what is found.
const ORDER: Arg = Arg::oneof("order", &[Arg::word("asc", "ASC"), Arg::word("desc", "DESC")]).optional();

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "georadius",
        arity: -6,
        flags: flags!(WRITE | DENYOOM | MOVABLEKEYS),
        acl: acl!(GEO),
        keys: &[
            KeySpec::one(1, key_flags!(RO | ACCESS)),
            KeySpec::after("STORE", 6, key_flags!(OW | UPDATE | VARIABLE_FLAGS)),
            KeySpec::after("STOREDIST", 6, key_flags!(OW | UPDATE | VARIABLE_FLAGS)),
        ],
        find_keys: Some(geo::store_keys),
        group: Group::Geo,
        summary: "Replies or stores the places within a distance of a point.",
        since: "3.2.0",
        complexity: "O(N+log(M)), N being the number of places in the cells that cover the circle, M of places inside",
        history: &[("6.2.0", "The ANY option of COUNT."), ("7.0.0", "Both units in upper case.")],
        args: &[
            Arg::key("key", 0),
            Arg::new("longitude", ArgKind::Double),
            Arg::new("latitude", ArgKind::Double),
            Arg::new("radius", ArgKind::Double),
            UNIT,
            Arg::word("withcoord", "WITHCOORD").optional(),
            Arg::word("withdist", "WITHDIST").optional(),
            Arg::word("withhash", "WITHHASH").optional(),
            Arg::block(
                "count-block",
                &[Arg::integer("count").token("COUNT"), Arg::word("any", "ANY").since("6.2.0").optional()],
            )
            .optional(),
            ORDER,
            Arg::oneof(
                "store",
                &[
                    Arg::key("storekey", 1).display("key").token("STORE"),
                    Arg::key("storedistkey", 2).display("key").token("STOREDIST"),
                ],
            )
            .optional(),
        ],
        run: Run::Keyspace(geo::georadius),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "georadius_ro",
        arity: -6,
        flags: flags!(READONLY),
        acl: acl!(GEO),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Geo,
        summary: "Replies the places within a distance of a point.",
        since: "3.2.10",
        complexity: "O(N+log(M)), N being the number of places in the cells that cover the circle, M of places inside",
        history: &[("6.2.0", "The ANY option of COUNT."), ("7.0.0", "Both units in upper case.")],
        args: &[
            Arg::key("key", 0),
            Arg::new("longitude", ArgKind::Double),
            Arg::new("latitude", ArgKind::Double),
            Arg::new("radius", ArgKind::Double),
            UNIT,
            Arg::word("withcoord", "WITHCOORD").optional(),
            Arg::word("withdist", "WITHDIST").optional(),
            Arg::word("withhash", "WITHHASH").optional(),
            Arg::block(
                "count-block",
                &[Arg::integer("count").token("COUNT"), Arg::word("any", "ANY").since("6.2.0").optional()],
            )
            .optional(),
            ORDER,
        ],
        run: Run::Keyspace(geo::georadius_ro),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "georadiusbymember",
        arity: -5,
        flags: flags!(WRITE | DENYOOM | MOVABLEKEYS),
        acl: acl!(GEO),
        keys: &[
            KeySpec::one(1, key_flags!(RO | ACCESS)),
            KeySpec::after("STORE", 5, key_flags!(OW | UPDATE | VARIABLE_FLAGS)),
            KeySpec::after("STOREDIST", 5, key_flags!(OW | UPDATE | VARIABLE_FLAGS)),
        ],
        find_keys: Some(geo::store_keys),
        group: Group::Geo,
        summary: "Replies or stores the places within a distance of another.",
        since: "3.2.0",
        complexity: "O(N+log(M)), N being the number of places in the cells that cover the circle, M of places inside",
        history: &[("6.2.0", "The ANY option of COUNT."), ("7.0.0", "Both units in upper case.")],
        args: &[
            Arg::key("key", 0),
            Arg::string("member"),
            Arg::new("radius", ArgKind::Double),
            UNIT,
            Arg::word("withcoord", "WITHCOORD").optional(),
            Arg::word("withdist", "WITHDIST").optional(),
            Arg::word("withhash", "WITHHASH").optional(),
            Arg::block("count-block", &[Arg::integer("count").token("COUNT"), Arg::word("any", "ANY").optional()])
                .optional(),
            ORDER,
            Arg::oneof(
                "store",
                &[
                    Arg::key("storekey", 1).display("key").token("STORE"),
                    Arg::key("storedistkey", 2).display("key").token("STOREDIST"),
                ],
            )
            .optional(),
        ],
        run: Run::Keyspace(geo::georadiusbymember),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "georadiusbymember_ro",
        arity: -5,
        flags: flags!(READONLY),
        acl: acl!(GEO),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Geo,
        summary: "Replies the places within a distance of another.",
        since: "3.2.10",
        complexity: "O(N+log(M)), N being the number of places in the cells that cover the circle, M of places inside",
        history: &[("6.2.0", "The ANY option of COUNT."), ("7.0.0", "Both units in upper case.")],
        args: &[
            Arg::key("key", 0),
            Arg::string("member"),
            Arg::new("radius", ArgKind::Double),
            UNIT,
            Arg::word("withcoord", "WITHCOORD").optional(),
            Arg::word("withdist", "WITHDIST").optional(),
            Arg::word("withhash", "WITHHASH").optional(),
            Arg::block("count-block", &[Arg::integer("count").token("COUNT"), Arg::word("any", "ANY").optional()])
                .optional(),
            ORDER,
        ],
        run: Run::Keyspace(geo::georadiusbymember_ro),
        ..CommandSpec::BASE
    },
];
