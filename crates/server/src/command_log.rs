//! The command logs: commands that took long, whose requests were large, or whose replies were; the latest of each, with what
//! their clients sent. Kept short: long arguments and long lists of them are cut, and secrets don't get in.

use std::collections::VecDeque;

use baton_base::WallMs;
use baton_config::{Id, Settings};
use baton_resp::Args;
use parking_lot::Mutex;

use crate::clients::ClientMeta;

/// Most arguments kept of one command.
const ARGS_MAX: usize = 32;
/// Most bytes kept of one argument.
const ARG_BYTES_MAX: usize = 128;

/// Why a command is in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It took long.
    Slow,
    /// Its request was large.
    LargeRequest,
    /// Its reply was.
    LargeReply,
}

impl Kind {
    /// The log that COMMANDLOG calls so.
    pub fn of_word(word: &[u8]) -> Option<Kind> {
        match word.to_ascii_lowercase().as_slice() {
            b"slow" => Some(Kind::Slow),
            b"large-request" => Some(Kind::LargeRequest),
            b"large-reply" => Some(Kind::LargeReply),
            _ => None,
        }
    }

    fn length(self) -> Id {
        match self {
            Kind::Slow => Id::CommandlogSlowExecutionMaxLen,
            Kind::LargeRequest => Id::CommandlogLargeRequestMaxLen,
            Kind::LargeReply => Id::CommandlogLargeReplyMaxLen,
        }
    }

    fn threshold(self) -> Id {
        match self {
            Kind::Slow => Id::CommandlogExecutionSlowerThan,
            Kind::LargeRequest => Id::CommandlogRequestLargerThan,
            Kind::LargeReply => Id::CommandlogReplyLargerThan,
        }
    }

    /// From which value on commands are logged, in the directive's unit; never where the threshold is negative or no entry
    /// is to be kept.
    pub fn threshold_of(self, settings: &Settings) -> Option<u64> {
        u64::try_from(settings.int(self.threshold())).ok().filter(|_| settings.uint(self.length()) > 0)
    }
}

/// One command in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its number in this log since the start of the server.
    pub id: u64,
    /// When it ended, unix seconds.
    pub at_secs: u64,
    /// Microseconds, or bytes.
    pub value: u64,
    /// What the client sent, cut.
    pub args: Vec<Vec<u8>>,
    /// The client's address.
    pub addr: String,
    /// The client's name.
    pub name: String,
}

/// One log, newest first.
#[derive(Default)]
pub struct CommandLog {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: VecDeque<Logged>,
    next: u64,
}

/// All logs.
#[derive(Default)]
pub struct CommandLogs([CommandLog; 3]);

impl CommandLogs {
    /// The log of this kind.
    pub fn of(&self, kind: Kind) -> &CommandLog {
        &self.0[kind as usize]
    }

    /// Adds a command to a log, which keeps as many as the settings say.
    pub fn add(&self, kind: Kind, now: WallMs, value: u64, args: Args<'_>, client: &ClientMeta, settings: &Settings) {
        let max = usize::try_from(settings.uint(kind.length())).unwrap_or(usize::MAX);
        self.of(kind).add(now, value, args, client, max);
    }
}

impl CommandLog {
    fn add(&self, now: WallMs, value: u64, args: Args<'_>, client: &ClientMeta, max: usize) {
        let (args, name) = (cut(args), client.labels.lock().name.clone());
        let mut kept = self.kept.lock();
        let id = kept.next;
        kept.next += 1;
        kept.entries.push_front(Logged { id, at_secs: now.as_secs(), value, args, addr: client.addr.clone(), name });
        kept.entries.truncate(max);
    }

    /// The newest entries.
    pub fn newest(&self, count: usize) -> Vec<Logged> {
        self.kept.lock().entries.iter().take(count).cloned().collect()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.kept.lock().entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all entries; numbers go on.
    pub fn reset(&self) {
        self.kept.lock().entries.clear();
    }
}

fn cut(args: Args<'_>) -> Vec<Vec<u8>> {
    let shown = if args.len() > ARGS_MAX { ARGS_MAX - 1 } else { args.len() };
    let mut out: Vec<Vec<u8>> = (0..shown)
        .map(|i| {
            let arg = args.at(i);
            if is_secret(args, i) {
                b"(redacted)".to_vec()
            } else if arg.len() > ARG_BYTES_MAX {
                let more = format!("... ({} more bytes)", arg.len() - ARG_BYTES_MAX);
                [&arg[..ARG_BYTES_MAX], more.as_bytes()].concat()
            } else {
                arg.to_vec()
            }
        })
        .collect();
    if args.len() > shown {
        out.push(format!("... ({} more arguments)", args.len() - shown).into_bytes());
    }
    out
}

/// Whether an argument is a password, or tells of users: of AUTH, HELLO, ACL, MIGRATE, or CONFIG SET of a directive that holds
/// one.
pub fn is_secret(args: Args<'_>, at: usize) -> bool {
    let is = |i: usize, word: &[u8]| args.get(i).is_some_and(|a| a.eq_ignore_ascii_case(word));
    if is(0, b"auth") {
        return at > 0;
    }
    if is(0, b"hello") {
        return at >= 3 && (is(at - 1, b"auth") || is(at - 2, b"auth"));
    }
    if is(0, b"acl") {
        return at >= 2 && [&b"setuser"[..], b"getuser", b"deluser"].iter().any(|word| is(1, word));
    }
    if is(0, b"migrate") {
        return at >= 7 && (is(at - 1, b"auth") || is(at - 1, b"auth2") || is(at - 2, b"auth2"));
    }
    if is(0, b"config") && is(1, b"set") && at >= 3 && at % 2 == 1 {
        let name = String::from_utf8_lossy(args.at(at - 1));
        return baton_config::Id::find(&name).is_some_and(|id| id.flags.sensitive);
    }
    false
}

#[cfg(test)]
mod tests {
    use baton_resp::OwnedArgs;

    use super::*;

    fn shown(words: &[&str]) -> Vec<String> {
        let owned: Vec<&[u8]> = words.iter().map(|w| w.as_bytes()).collect();
        let args = OwnedArgs::from_slices(&owned);
        cut(args.as_args()).iter().map(|a| String::from_utf8_lossy(a).into_owned()).collect()
    }

    #[test]
    fn long_commands_are_cut() {
        let long = "x".repeat(130);
        assert_eq!(shown(&["set", "k", &long])[2], format!("{}... (2 more bytes)", "x".repeat(128)));
        let many = vec!["a"; 40];
        let cut = shown(&many);
        assert_eq!((cut.len(), cut[31].as_str()), (32, "... (9 more arguments)"));
    }

    #[test]
    fn secrets_stay_out() {
        assert_eq!(shown(&["config", "set", "requirepass", "p", "port", "1"])[3..], ["(redacted)", "port", "1"]);
        assert_eq!(shown(&["hello", "3", "AUTH", "u", "p", "setname", "n"])[3..5], ["u", "p"].map(|_| "(redacted)"));
        assert_eq!(shown(&["set", "auth", "x"]), ["set", "auth", "x"]);
        assert_eq!(shown(&["acl", "setuser", "u", "+get"])[1..], ["setuser", "(redacted)", "(redacted)"]);
        let moved = shown(&["migrate", "h", "1", "k", "9", "5", "AUTH2", "u", "p", "KEYS"]);
        assert_eq!(moved[6..], ["AUTH2", "(redacted)", "(redacted)", "KEYS"]);
    }
}
