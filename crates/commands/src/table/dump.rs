//! Records of the commands that move values as payloads.

use crate::flags::{acl, flags};
use crate::key_spec::key_flags;
use crate::{Arg, CommandSpec, DocFlags, Group, KeySpec, Run, generic};

const RESTORE_ARGS: &[Arg] = &[
    Arg::key("key", 0),
    Arg::integer("ttl"),
    Arg::string("serialized-value"),
    Arg::word("replace", "REPLACE").since("3.0.0").optional(),
    Arg::word("absttl", "ABSTTL").since("5.0.0").optional(),
    Arg::integer("seconds").token("IDLETIME").since("5.0.0").optional(),
    Arg::integer("frequency").token("FREQ").since("5.0.0").optional(),
];

const RESTORE_HISTORY: &[(&str, &str)] =
    &[("3.0.0", "Added REPLACE."), ("5.0.0", "Added ABSTTL."), ("5.0.0", "Added IDLETIME and FREQ.")];

const RESTORE_COMPLEXITY: &str = "O(N), N being the number of bytes of the payload";

pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "dump",
        arity: 2,
        flags: flags!(READONLY),
        acl: acl!(KEYSPACE),
        keys: &[KeySpec::one(1, key_flags!(RO | ACCESS))],
        group: Group::Generic,
        summary: "Replies the value of a key as a payload that RESTORE takes.",
        since: "2.6.0",
        complexity: "O(N), N being the number of bytes of the value",
        tips: &["nondeterministic_output"],
        args: &[Arg::key("key", 0)],
        run: Run::Keyspace(generic::dump),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "restore",
        arity: -4,
        flags: flags!(WRITE | DENYOOM),
        acl: acl!(KEYSPACE | DANGEROUS),
        keys: &[KeySpec::one(1, key_flags!(OW | UPDATE))],
        group: Group::Generic,
        summary: "Makes a key from a payload of DUMP.",
        since: "2.6.0",
        complexity: RESTORE_COMPLEXITY,
        history: RESTORE_HISTORY,
        args: RESTORE_ARGS,
        run: Run::Keyspace(generic::restore),
        ..CommandSpec::BASE
    },
    CommandSpec {
        name: "restore-asking",
        arity: -4,
        flags: flags!(WRITE | DENYOOM | ASKING),
        acl: acl!(KEYSPACE | DANGEROUS),
        keys: &[KeySpec::one(1, key_flags!(OW | UPDATE))],
        group: Group::Server,
        summary: "RESTORE into a slot that is being imported: for moving slots between nodes.",
        since: "3.0.0",
        complexity: RESTORE_COMPLEXITY,
        doc_flags: DocFlags::SYSCMD,
        history: RESTORE_HISTORY,
        args: RESTORE_ARGS,
        run: Run::Keyspace(generic::restore),
        ..CommandSpec::BASE
    },
];
