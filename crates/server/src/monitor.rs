//! MONITOR: connections that are shown every command that is run, as it is run. While there is none, a command costs no
//! branch of its own for it. Never decides whether a command runs, and never shows a secret.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use baton_base::{WallMs, quote};
use baton_commands::{CommandSpec, Flags};
use baton_resp::Args;
use parking_lot::RwLock;

use crate::clients::{ClientFlags, ClientMeta};
use crate::command_log::is_secret;
use crate::pubsub::{Push, Subscriber};

/// Those who watch.
#[derive(Default)]
pub struct Monitors {
    all: RwLock<BTreeSet<Subscriber>>,
    any: AtomicBool,
}

impl Monitors {
    /// Whether anybody watches.
    #[inline]
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// A connection watches from now on; tells whether it is new.
    pub fn enter(&self, who: Subscriber) -> bool {
        let mut all = self.all.write();
        self.any.store(true, Ordering::Relaxed);
        all.insert(who)
    }

    /// A connection watches no more.
    pub fn leave(&self, who: Subscriber) {
        let mut all = self.all.write();
        all.remove(&who);
        self.any.store(!all.is_empty(), Ordering::Relaxed);
    }

    /// What all of them are shown of a command that ran.
    pub fn show(&self, ran: &Ran<'_>) -> Vec<(Subscriber, Push)> {
        let push = Push::Shown(ran.line().into_bytes().into());
        self.all.read().iter().map(|who| (*who, push.clone())).collect()
    }
}

/// Whether a command is shown where it runs: none that operators use, and none that shows itself before it begins.
pub fn is_shown(spec: &CommandSpec) -> bool {
    !spec.flags.intersects(Flags::SKIP_MONITOR.union(Flags::ADMIN))
}

/// For whom a command ran.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// A connection.
    Client(&'a ClientMeta),
    /// A script.
    Script,
}

/// A command that ran.
pub struct Ran<'a> {
    /// When.
    pub at: WallMs,
    /// In which database.
    pub db: u32,
    /// For whom.
    pub source: Source<'a>,
    /// Its words.
    pub args: Args<'a>,
}

impl Ran<'_> {
    /// The line that is shown.
    fn line(&self) -> String {
        let mut line = format!("+{}.{:06} [{} ", self.at.as_secs(), self.at.0 % 1000 * 1000, self.db);
        match self.source {
            Source::Script => line.push_str("lua"),
            Source::Client(meta) if meta.flags().contains(ClientFlags::UNIX_SOCKET) => {
                line.push_str("unix:");
                line.push_str(meta.addr.strip_suffix(":0").unwrap_or(&meta.addr));
            }
            Source::Client(meta) => line.push_str(&meta.addr),
        }
        line.push(']');
        for (at, arg) in self.args.iter().enumerate() {
            line.push(' ');
            line.push_str(&quote::quoted(if is_secret(self.args, at) { b"(redacted)" } else { arg }));
        }
        line.push_str("\r\n");
        line
    }
}

/// For threads without connections of their own: shows what they ran.
pub fn show_from_aside(shared: &crate::shared::Shared, ran: &Ran<'_>) {
    shared.monitors.show(ran).into_iter().for_each(|(to, push)| shared.deliver(to, push));
}

#[cfg(test)]
mod tests {
    use baton_base::Mono;
    use baton_resp::OwnedArgs;

    use super::*;
    use crate::clients::Clients;

    fn line_of(words: &[&[u8]], source: Source<'_>) -> String {
        let args = OwnedArgs::from_slices(words);
        Ran { at: WallMs(1_700_000_000_012), db: 3, source, args: args.as_args() }.line()
    }

    #[test]
    fn a_line_tells_when_where_and_who() {
        let clients = Clients::default();
        let tcp = clients.add("127.0.0.1:5000".into(), "127.0.0.1:6379".into(), 9, false, Mono::default());
        let shown = line_of(&[b"SET", b"k", b"a\"b\n\x01\xff"], Source::Client(&tcp));
        assert_eq!(shown, "+1700000000.012000 [3 127.0.0.1:5000] \"SET\" \"k\" \"a\\\"b\\n\\x01\\xff\"\r\n");
        let unix = clients.add("/tmp/s.sock:0".into(), "/tmp/s.sock:0".into(), 10, true, Mono::default());
        assert_eq!(line_of(&[b"PING"], Source::Client(&unix)), "+1700000000.012000 [3 unix:/tmp/s.sock] \"PING\"\r\n");
        assert_eq!(line_of(&[b"get", b"k"], Source::Script), "+1700000000.012000 [3 lua] \"get\" \"k\"\r\n");
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = line_of(&[b"AUTH", b"u", b"p"], Source::Script);
        assert!(shown.ends_with("\"AUTH\" \"(redacted)\" \"(redacted)\"\r\n"), "{shown}");
    }

    #[test]
    fn operators_commands_and_scripts_do_not_show_where_they_run() {
        let spec = |name: &[u8]| baton_commands::lookup(name).expect("a command of this name");
        assert!(is_shown(spec(b"get")) && is_shown(spec(b"exec")) && is_shown(spec(b"auth")));
        assert!(!is_shown(spec(b"monitor")) && !is_shown(spec(b"debug")) && !is_shown(spec(b"eval")));
    }

    #[test]
    fn nobody_is_shown_anything_once_all_left() {
        let monitors = Monitors::default();
        let who = |n| Subscriber { client: crate::clients::ClientId(n), worker: 0 };
        assert!(!monitors.any() && monitors.enter(who(1)) && !monitors.enter(who(1)) && monitors.enter(who(2)));
        monitors.leave(who(1));
        assert!(monitors.any());
        monitors.leave(who(2));
        assert!(!monitors.any());
    }
}
