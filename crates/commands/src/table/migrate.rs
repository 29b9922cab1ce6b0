//! The record of MIGRATE, and where its keys are.

use baton_resp::Args;

use crate::flags::{acl, flags};
use crate::key_spec::key_flags;
use crate::keys::{KeyPosition, KeyPositions};
use crate::{Arg, BeginSearch, CommandSpec, FindKeys, Group, KeyFlags, KeySpec, NodeCommand, Run};

const MOVED: KeyFlags = key_flags!(RW | ACCESS | DELETE);

/// The keys behind KEYS; the word may also be the value of an option, so this finds not all of them.
const SEVERAL: KeySpec = KeySpec {
    flags: key_flags!(RW | ACCESS | DELETE | INCOMPLETE),
    begin: BeginSearch::Keyword { word: "KEYS", start_from: -2 },
    find: FindKeys::Range { last: -1, step: 1, limit: 0 },
    notes: "",
};

/// Where the options begin.
const OPTIONS: usize = 6;

pub(super) static COMMANDS: &[CommandSpec] = &[CommandSpec {
    name: "migrate",
    arity: -6,
    flags: flags!(WRITE | MOVABLEKEYS),
    acl: acl!(KEYSPACE | DANGEROUS),
    keys: &[KeySpec::one(3, MOVED), SEVERAL],
    find_keys: Some(moved_keys),
    group: Group::Generic,
    summary: "Moves keys to another server, each of them at once.",
    since: "2.6.0",
    complexity: "O(N) on each of the two servers, N being the number of bytes of the values",
    tips: &["nondeterministic_output"],
    history: &[
        ("3.0.0", "Added COPY and REPLACE."),
        ("3.0.6", "Added KEYS."),
        ("4.0.7", "Added AUTH."),
        ("6.0.0", "Added AUTH2."),
    ],
    args: &[
        Arg::string("host"),
        Arg::integer("port"),
        Arg::oneof("key-selector", &[Arg::key("key", 0), Arg::word("empty-string", "")]),
        Arg::integer("destination-db"),
        Arg::integer("timeout"),
        Arg::word("copy", "COPY").since("3.0.0").optional(),
        Arg::word("replace", "REPLACE").since("3.0.0").optional(),
        Arg::oneof(
            "authentication",
            &[
                Arg::string("auth").token("AUTH").display("password").since("4.0.7"),
                Arg::block("auth2", &[Arg::string("username"), Arg::string("password")]).token("AUTH2").since("6.0.0"),
            ],
        )
        .optional(),
        Arg::key("keys", 1).token("KEYS").display("key").since("3.0.6").optional().multiple(),
    ],
    run: Run::Node(NodeCommand::Migrate),
    ..CommandSpec::BASE
}];

/// The keys that a request moves. Where it names a key and KEYS there are none: the command refuses that.
fn moved_keys(args: Args<'_>) -> KeyPositions {
    let one = |index: usize| KeyPosition { index: index as u32, flags: MOVED };
    let mut at = OPTIONS;
    while let Some(word) = args.get(at) {
        let is = |option: &[u8]| word.eq_ignore_ascii_case(option);
        if is(b"KEYS") {
            let behind = if args.at(3).is_empty() { at + 1..args.len() } else { 0..0 };
            return behind.map(one).collect();
        }
        at += 1 + usize::from(is(b"AUTH")) + 2 * usize::from(is(b"AUTH2"));
    }
    std::iter::once(one(3)).collect()
}

#[cfg(test)]
mod tests {
    use baton_resp::OwnedArgs;

    use super::*;

    fn keys(words: &[&str]) -> Vec<u32> {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        moved_keys(OwnedArgs::from_slices(&words).as_args()).iter().map(|key| key.index).collect()
    }

    #[test]
    fn keys_stand_in_their_place_or_behind_the_word() {
        assert_eq!(keys(&["migrate", "h", "1", "a", "0", "1"]), [3]);
        assert_eq!(keys(&["migrate", "h", "1", "a", "0", "1", "copy", "AUTH", "keys"]), [3]);
        assert_eq!(keys(&["migrate", "h", "1", "", "0", "1", "auth2", "keys", "keys", "KEYS", "a", "keys"]), [10, 11]);
        assert_eq!(keys(&["migrate", "h", "1", "", "0", "1", "keys"]), []);
        assert_eq!(keys(&["migrate", "h", "1", "a", "0", "1", "keys", "b"]), []);
    }
}
