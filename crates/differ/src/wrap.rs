//! Ways to say a command other than plainly: from a script or a function, or as a question about it. Whatever way it is
//! said, both servers are to answer alike. Must never change what a command is about: its words go through as they are.

use crate::check::words;
use crate::rule::Rule;
use baton_base::Rng;

/// Scripts that run whatever their arguments say, by what they do with the result.
const SCRIPTS: [&str; 4] = [
    "return redis.call(unpack(ARGV))",
    "local r = redis.pcall(unpack(ARGV)) if type(r) == 'table' and r.err then return {'refused', r.err} end return r",
    "return cjson.encode(redis.call(unpack(ARGV)))",
    "return cmsgpack.pack(redis.call(unpack(ARGV)))",
];
/// The same in the newer protocol. A table has no order, so maps come back in any.
const NEW_PROTOCOL: &str = "redis.setresp(3) return redis.call(unpack(ARGV))";
/// Functions that do the same.
const LIBRARY: &str = "#!lua name=differ
local function say(keys, args) return redis.call(unpack(args)) end
redis.register_function('say', say)
redis.register_function{function_name = 'read', callback = say, flags = {'no-writes'}}";
/// A user who may do some things with some keys.
const USER: [&str; 13] = [
    "ACL",
    "SETUSER",
    "limited",
    "on",
    "nopass",
    "~s*",
    "%R~l*",
    "%W~h*",
    "&news",
    "+@all",
    "-@dangerous",
    "-@sortedset",
    "(+zadd +zrange ~z* alldbs)",
];

/// A way to say a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrap {
    /// As it is.
    Plain,
    /// In the script of this number; its keys declared or not.
    Script(usize, bool),
    /// In a script that speaks the newer protocol.
    NewProtocol,
    /// By the script's digest.
    Digest,
    /// In a script that may only read.
    ReadOnlyScript,
    /// In a function.
    Function,
    /// In a function that may only read.
    ReadOnlyFunction,
    /// Which keys it names.
    Keys,
    /// Which keys it names, and what it does with them.
    KeysAndFlags,
    /// Whether a user may say it.
    DryRun,
}

/// What both servers must be told before.
pub(crate) fn preparations() -> Vec<Vec<Vec<u8>>> {
    vec![words(&["FUNCTION", "LOAD", "REPLACE", LIBRARY]), words(&["SCRIPT", "LOAD", SCRIPTS[0]]), words(&USER)]
}

impl Wrap {
    /// One of them, mostly the plain one.
    pub(crate) fn drawn(rng: &mut Rng) -> Wrap {
        if !rng.chance(1, 8) {
            return Wrap::Plain;
        }
        match rng.below(16) {
            0..6 => Wrap::Script(rng.below(SCRIPTS.len() as u64) as usize, rng.chance(1, 2)),
            6 | 7 => Wrap::NewProtocol,
            8 => Wrap::Digest,
            9 => Wrap::ReadOnlyScript,
            10 => Wrap::Function,
            11 => Wrap::ReadOnlyFunction,
            12 => Wrap::Keys,
            13 => Wrap::KeysAndFlags,
            _ => Wrap::DryRun,
        }
    }

    /// The rule for what comes back, if `rule` is that for the command itself; `None` if this way says too little of it.
    pub(crate) fn rule(self, rule: Rule) -> Option<Rule> {
        match self {
            // One text has no elements whose order could be passed over.
            Wrap::Script(2.., _) if rule != Rule::Exact => None,
            Wrap::NewProtocol if rule == Rule::Exact => Some(Rule::Unordered),
            Wrap::NewProtocol if rule == Rule::Near => None,
            Wrap::Keys | Wrap::KeysAndFlags | Wrap::DryRun => Some(Rule::Exact),
            _ => Some(rule),
        }
    }

    /// The command, said in this way. `digest` is that of the first script, `is_key` tells keys from other words.
    pub(crate) fn around(self, command: Vec<Vec<u8>>, digest: &[u8], is_key: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
        let (head, keys): (Vec<&[u8]>, bool) = match self {
            Wrap::Plain => return command,
            Wrap::Script(number, keys) => (vec![b"EVAL", SCRIPTS[number % SCRIPTS.len()].as_bytes()], keys),
            Wrap::NewProtocol => (vec![b"EVAL", NEW_PROTOCOL.as_bytes()], true),
            Wrap::Digest => (vec![b"EVALSHA", digest], true),
            Wrap::ReadOnlyScript => (vec![b"EVAL_RO", SCRIPTS[0].as_bytes()], true),
            Wrap::Function => (vec![b"FCALL", b"say"], true),
            Wrap::ReadOnlyFunction => (vec![b"FCALL_RO", b"read"], true),
            Wrap::Keys => return with_head(&[b"COMMAND", b"GETKEYS"], command),
            Wrap::KeysAndFlags => return with_head(&[b"COMMAND", b"GETKEYSANDFLAGS"], command),
            Wrap::DryRun => return with_head(&[b"ACL", b"DRYRUN", b"limited"], command),
        };
        let mut declared: Vec<Vec<u8>> = Vec::new();
        for word in command.iter().skip(1).filter(|word| keys && is_key(word)) {
            if !declared.contains(word) {
                declared.push(word.clone());
            }
        }
        let count = declared.len().to_string().into_bytes();
        let mut out = with_head(&head, vec![count]);
        out.append(&mut declared);
        out.extend(command);
        out
    }
}

fn with_head(head: &[&[u8]], tail: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    head.iter().map(|word| word.to_vec()).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(wrap: Wrap, command: &str) -> String {
        let words = command.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let out = wrap.around(words, b"d1g", |word| word.starts_with(b"k"));
        out.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn keys_are_declared_once_each() {
        assert_eq!(said(Wrap::Digest, "COPY k1 k1 x"), "EVALSHA d1g 1 k1 COPY k1 k1 x");
        assert_eq!(said(Wrap::Function, "SET k1 k2"), "FCALL say 2 k1 k2 SET k1 k2");
        assert_eq!(said(Wrap::Script(0, false), "GET k1"), format!("EVAL {} 0 GET k1", SCRIPTS[0]));
    }

    #[test]
    fn questions_leave_the_command_as_it_is() {
        assert_eq!(said(Wrap::Keys, "GET k1"), "COMMAND GETKEYS GET k1");
        assert_eq!(said(Wrap::DryRun, "GET k1"), "ACL DRYRUN limited GET k1");
        assert_eq!(said(Wrap::Plain, "GET k1"), "GET k1");
    }

    #[test]
    fn a_text_made_of_a_reply_is_only_drawn_where_order_is_fixed() {
        assert_eq!(Wrap::Script(2, true).rule(Rule::Unordered), None);
        assert_eq!(Wrap::Script(0, true).rule(Rule::Unordered), Some(Rule::Unordered));
        assert_eq!(Wrap::NewProtocol.rule(Rule::Exact), Some(Rule::Unordered));
        assert_eq!(Wrap::Keys.rule(Rule::Shape), Some(Rule::Exact));
    }
}
