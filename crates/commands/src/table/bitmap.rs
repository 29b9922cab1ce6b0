//! Records of the bitmap commands.

use crate::flags::{acl, flags};
use crate::key_spec::key_flags;
use crate::{Arg, CommandSpec, Group, KeySpec, Run, bitmap};

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "setbit",
        arity: 4,
        flags: flags!(WRITE | DENYOOM),
        acl: acl!(BITMAP),
        keys: &[KeySpec::one(1, key_flags!(RW | ACCESS | UPDATE))],
        group: Group::Bitmap,
        summary: "Writes one bit of a string and replies what it was.",
        since: "2.2.0",
        complexity: "O(1), and the length of the string where it grows",
        args: &[Arg::key("key", 0), Arg::integer("offset"), Arg::integer("value")],
        run: Run::Keyspace(bitmap::setbit),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "getbit",
        arity: 3,
        flags: flags!(READONLY | FAST),
        acl: acl!(BITMAP),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Bitmap,
        summary: "Replies one bit of a string.",
        since: "2.2.0",
        complexity: "O(1)",
        args: &[Arg::key("key", 0), Arg::integer("offset")],
        run: Run::Keyspace(bitmap::getbit),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "bitcount",
        arity: -2,
        flags: flags!(READONLY),
        acl: acl!(BITMAP),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Bitmap,
        summary: "Counts the bits that are set, in all of a string or in a range.",
        since: "2.6.0",
        complexity: "O(N), N being the number of bytes looked at",
        history: &[("7.0.0", "Added the choice between BYTE and BIT."), ("8.0.0", "The end may be left out.")],
        args: &[
            Arg::key("key", 0),
            Arg::block(
                "range",
                &[
                    Arg::integer("start"),
                    Arg::block(
                        "end-unit-block",
                        &[
                            Arg::integer("end"),
                            Arg::oneof("unit", &[Arg::word("byte", "BYTE"), Arg::word("bit", "BIT")])
                                .since("7.0.0")
                                .optional(),
                        ],
                    )
                    .optional(),
                ],
            )
            .optional(),
        ],
        run: Run::Keyspace(bitmap::bitcount),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "bitpos",
        arity: -3,
        flags: flags!(READONLY),
        acl: acl!(BITMAP),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Bitmap,
        summary: "Replies where the first bit is that is set, or clear.",
        since: "2.8.7",
        complexity: "O(N), N being the number of bytes looked at",
        history: &[("7.0.0", "Added the choice between BYTE and BIT.")],
        args: &[
            Arg::key("key", 0),
            Arg::integer("bit"),
            Arg::block(
                "range",
                &[
                    Arg::integer("start"),
                    Arg::block(
                        "end-unit-block",
                        &[
                            Arg::integer("end"),
                            Arg::oneof("unit", &[Arg::word("byte", "BYTE"), Arg::word("bit", "BIT")])
                                .since("7.0.0")
                                .optional(),
                        ],
                    )
                    .optional(),
                ],
            )
            .optional(),
        ],
        run: Run::Keyspace(bitmap::bitpos),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "bitop",
        arity: -4,
        flags: flags!(WRITE | DENYOOM),
        acl: acl!(BITMAP),
        keys: &[KeySpec::one(2, key_flags!(OW | UPDATE)), KeySpec::range(3, -1, 1, key_flags!(RO | ACCESS))],
        group: Group::Bitmap,
        summary: "Combines strings bit by bit and stores the result.",
        since: "2.6.0",
        complexity: "O(N), N being the number of bytes of all strings",
        args: &[
            Arg::oneof(
                "operation",
                &[Arg::word("and", "AND"), Arg::word("or", "OR"), Arg::word("xor", "XOR"), Arg::word("not", "NOT")],
            ),
            Arg::key("destkey", 0),
            Arg::key("key", 1).multiple(),
        ],
        run: Run::Keyspace(bitmap::bitop),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "bitfield",
        arity: -2,
        flags: flags!(WRITE | DENYOOM),
        acl: acl!(BITMAP),
        keys: &[KeySpec::one(1, key_flags!(RW | ACCESS | UPDATE | VARIABLE_FLAGS))
            .notes("Reads the key, changes it, or both")],
        key_flags: Some(bitmap::bitfield_key_flags),
        group: Group::Bitmap,
        summary: "Reads, writes and adds to integers of any width at any bit of a string.",
        since: "3.2.0",
        complexity: "O(N), N being the number of operations",
        args: &[
            Arg::key("key", 0),
            Arg::oneof(
                "operation",
                &[
                    Arg::block("get-block", &[Arg::string("encoding"), Arg::integer("offset")]).token("GET"),
                    Arg::block(
                        "write",
                        &[
                            Arg::oneof(
                                "overflow-block",
                                &[Arg::word("wrap", "WRAP"), Arg::word("sat", "SAT"), Arg::word("fail", "FAIL")],
                            )
                            .token("OVERFLOW")
                            .optional(),
                            Arg::oneof(
                                "write-operation",
                                &[
                                    Arg::block(
                                        "set-block",
                                        &[Arg::string("encoding"), Arg::integer("offset"), Arg::integer("value")],
                                    )
                                    .token("SET"),
                                    Arg::block(
                                        "incrby-block",
                                        &[Arg::string("encoding"), Arg::integer("offset"), Arg::integer("increment")],
                                    )
                                    .token("INCRBY"),
                                ],
                            ),
                        ],
                    ),
                ],
            )
            .optional()
            .multiple(),
        ],
        run: Run::Keyspace(bitmap::bitfield),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "bitfield_ro",
        arity: -2,
        flags: flags!(READONLY | FAST),
        acl: acl!(BITMAP),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Bitmap,
        summary: "Reads integers of any width at any bit of a string.",
        since: "6.0.0",
        complexity: "O(N), N being the number of operations",
        args: &[
            Arg::key("key", 0),
            Arg::block("get-block", &[Arg::string("encoding"), Arg::integer("offset")])
                .token("GET")
                .optional()
                .multiple_token(),
        ],
        run: Run::Keyspace(bitmap::bitfield_ro),
        ..CommandSpec::BASE
    },
];
