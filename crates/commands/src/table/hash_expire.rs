//! Records of the commands around the ends of fields of hashes.

use crate::flags::{acl, flags};
use crate::key_spec::key_flags;
use crate::{Arg, CommandSpec, Group, KeySpec, Run, hash};

const CONDITIONS: &[Arg] =
    &[Arg::word("nx", "NX"), Arg::word("xx", "XX"), Arg::word("gt", "GT"), Arg::word("lt", "LT")];

const COUNT: Arg = Arg { key_spec: Some(0), ..Arg::integer("numfields") };

const FIELDS: Arg = Arg::block("fields", &[COUNT, Arg::string("field").multiple()]).token("FIELDS");

/// The units of time, and what may stand in their place.
const fn times(other: Arg) -> [Arg; 5] {
    [
        Arg::integer("seconds").token("EX"),
        Arg::integer("milliseconds").token("PX"),
        Arg::unix_time("unix-time-seconds").token("EXAT"),
        Arg::unix_time("unix-time-milliseconds").token("PXAT"),
        other,
    ]
}

const PERSIST: &[Arg] = &times(Arg::word("persist", "PERSIST"));
const KEEP: &[Arg] = &times(Arg::word("keepttl", "KEEPTTL"));

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "hexpire",
        arity: -6,
        flags: flags!(WRITE | FAST),
        acl: acl!(HASH),
        keys: &[KeySpec::one(1, key_flags!(RW | UPDATE))],
        group: Group::Hash,
        summary: "Gives fields of a hash an expiry in seconds from now.",
        since: "9.0.0",
        complexity: "O(N log M) where N is the number of fields named and M that of fields with an expiry",
        args: &[
            Arg::key("key", 0),
            Arg::integer("seconds"),
            Arg::oneof("condition", CONDITIONS).optional(),
            Arg::block("fields", &[Arg::integer("numfields"), Arg::string("field").multiple()]).token("FIELDS"),
        ],
        run: Run::Keyspace(hash::hexpire),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "hexpireat",
        arity: -6,
        flags: flags!(WRITE | FAST),
        acl: acl!(HASH),
        keys: &[KeySpec::one(1, key_flags!(RW | UPDATE))],
        group: Group::Hash,
        summary: "Gives fields of a hash an expiry in seconds since 1970.",
        since: "9.0.0",
        complexity: "O(N log M) where N is the number of fields named and M that of fields with an expiry",
        args: &[
            Arg::key("key", 0),
            Arg::integer("unix-time-seconds"),
            Arg::oneof("condition", CONDITIONS).since("9.0.0").optional(),
            FIELDS,
        ],
        run: Run::Keyspace(hash::hexpireat),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "hexpiretime",
        arity: -5,
        flags: flags!(READONLY | FAST),
        acl: acl!(HASH),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Hash,
        summary: "Replies when fields of a hash expire, in seconds since 1970.",
        since: "9.0.0",
        complexity: "O(N) where N is the number of fields named",
        args: &[Arg::key("key", 0), FIELDS],
        run: Run::Keyspace(hash::hexpiretime),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "hgetex",
        arity: -5,
        flags: flags!(WRITE | FAST),
        acl: acl!(HASH),
        keys: &[KeySpec::one(1, key_flags!(RW | ACCESS | UPDATE))],
        group: Group::Hash,
        summary: "Replies the values of fields of a hash, and sets or clears their expiry.",
        since: "9.0.0",
        complexity: "O(N log M) where N is the number of fields named and M that of fields with an expiry",
        args: &[Arg::key("key", 0), Arg::oneof("expiration", PERSIST).optional(), FIELDS],
        run: Run::Keyspace(hash::hgetex),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "hpersist",
        arity: -5,
        flags: flags!(WRITE | FAST),
        acl: acl!(HASH),
        keys: &[KeySpec::one(1, key_flags!(RW | UPDATE))],
        group: Group::Hash,
        summary: "Takes the expiry from fields of a hash.",
        since: "9.0.0",
        complexity: "O(N log M) where N is the number of fields named and M that of fields with an expiry",
        args: &[Arg::key("key", 0), FIELDS],
        run: Run::Keyspace(hash::hpersist),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "hpexpire",
        arity: -6,
        flags: flags!(WRITE | FAST),
        acl: acl!(HASH),
        keys: &[KeySpec::one(1, key_flags!(RW | UPDATE))],
        group: Group::Hash,
        summary: "Gives fields of a hash an expiry in milliseconds from now.",
        since: "9.0.0",
        complexity: "O(N log M) where N is the number of fields named and M that of fields with an expiry",
        args: &[
            Arg::key("key", 0),
            Arg::integer("milliseconds"),
            Arg::oneof("condition", CONDITIONS).since("9.0.0").optional(),
            FIELDS,
        ],
        run: Run::Keyspace(hash::hpexpire),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "hpexpireat",
        arity: -6,
        flags: flags!(WRITE | FAST),
        acl: acl!(HASH),
        keys: &[KeySpec::one(1, key_flags!(RW | UPDATE))],
        group: Group::Hash,
        summary: "Gives fields of a hash an expiry in milliseconds since 1970.",
        since: "9.0.0",
        complexity: "O(N log M) where N is the number of fields named and M that of fields with an expiry",
        args: &[
            Arg::key("key", 0),
            Arg::integer("unix-time-milliseconds"),
            Arg::oneof("condition", CONDITIONS).since("9.0.0").optional(),
            FIELDS,
        ],
        run: Run::Keyspace(hash::hpexpireat),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "hpexpiretime",
        arity: -5,
        flags: flags!(READONLY | FAST),
        acl: acl!(HASH),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Hash,
        summary: "Replies when fields of a hash expire, in milliseconds since 1970.",
        since: "9.0.0",
        complexity: "O(N) where N is the number of fields named",
        args: &[Arg::key("key", 0), FIELDS],
        run: Run::Keyspace(hash::hpexpiretime),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "hpttl",
        arity: -5,
        flags: flags!(READONLY | FAST),
        acl: acl!(HASH),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Hash,
        summary: "Replies how long fields of a hash have to live, in milliseconds.",
        since: "9.0.0",
        complexity: "O(N) where N is the number of fields named",
        args: &[Arg::key("key", 0), FIELDS],
        run: Run::Keyspace(hash::hpttl),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "hsetex",
        arity: -6,
        flags: flags!(WRITE | DENYOOM | FAST),
        acl: acl!(HASH),
        keys: &[KeySpec::one(1, key_flags!(RW | INSERT))],
        group: Group::Hash,
        summary: "Sets fields of a hash, with an expiry and under conditions.",
        since: "9.0.0",
        complexity: "O(N log M) where N is the number of fields named and M that of fields with an expiry",
        args: &[
            Arg::key("key", 0),
            Arg::oneof("key-condition", &[Arg::word("nx", "NX"), Arg::word("xx", "XX")]).optional(),
            Arg::oneof("fields-condition", &[Arg::word("fnx", "FNX"), Arg::word("fxx", "FXX")]).optional(),
            Arg::oneof("expiration", KEEP).optional(),
            Arg::block(
                "fields",
                &[COUNT, Arg::block("data", &[Arg::string("field"), Arg::string("value")]).multiple()],
            )
            .token("FIELDS"),
        ],
        run: Run::Keyspace(hash::hsetex),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "httl",
        arity: -5,
        flags: flags!(READONLY | FAST),
        acl: acl!(HASH),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Hash,
        summary: "Replies how long fields of a hash have to live, in seconds.",
        since: "9.0.0",
        complexity: "O(N) where N is the number of fields named",
        args: &[Arg::key("key", 0), FIELDS],
        run: Run::Keyspace(hash::httl),
        ..CommandSpec::BASE
    },
];
