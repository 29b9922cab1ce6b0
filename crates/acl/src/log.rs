//! What was refused lately, as ACL LOG shows it: a bounded list in which what happens again and again is one entry. Never decides
//! anything.

use std::collections::VecDeque;

use baton_base::WallMs;

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The command is not allowed.
    Command,
    /// A key is not allowed.
    Key,
    /// A channel is not allowed.
    Channel,
    /// A database is not allowed.
    Database,
    /// The user, or the password, is wrong.
    Auth,
}

impl Reason {
    /// Its name in ACL LOG.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Command => "command",
            Reason::Key => "key",
            Reason::Channel => "channel",
            Reason::Database => "database",
            Reason::Auth => "auth",
        }
    }
}

/// Where a request stood that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// It came by itself.
    Toplevel,
    /// In a transaction.
    Multi,
    /// In a Lua script.
    Lua,
    /// In a script of another language, or in a function.
    Script,
}

impl Context {
    /// Its name in ACL LOG.
    pub fn name(self) -> &'static str {
        match self {
            Context::Toplevel => "toplevel",
            Context::Multi => "multi",
            Context::Lua => "lua",
            Context::Script => "script",
        }
    }
}

/// Something that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// Where it stood.
    pub context: Context,
    /// What it asked for: the command, key, channel or database.
    pub object: Vec<u8>,
    /// Who asked.
    pub user: Vec<u8>,
    /// The connection as CLIENT LIST shows it.
    pub client: String,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number since the start.
    pub id: u64,
    /// How often it happened.
    pub count: u64,
    /// What happened, at the latest time.
    pub refused: Refused,
    /// When it happened first.
    pub created: WallMs,
    /// When it happened last.
    pub updated: WallMs,
}

/// The log, the latest entry first.
#[derive(Debug, Default)]
pub struct Log {
    entries: VecDeque<Entry>,
    next_id: u64,
}

/// Entries that are looked at for the same thing.
const ALIKE_LOOKED_AT: usize = 10;
/// How long ago the same thing may have happened to count as one, in milliseconds.
const ALIKE_MS: u64 = 60_000;

impl Log {
    /// Notes that something was refused. At most `len_max` entries are kept.
    pub fn add(&mut self, refused: Refused, now: WallMs, len_max: u64) {
        let is_alike = |entry: &Entry| {
            let old = &entry.refused;
            let same = (old.reason, old.context) == (refused.reason, refused.context);
            same && now.0.saturating_sub(entry.updated.0) <= ALIKE_MS
                && old.object == refused.object
                && old.user == refused.user
        };
        let alike = self.entries.iter().take(ALIKE_LOOKED_AT).position(is_alike);
        if let Some(mut entry) = alike.and_then(|at| self.entries.remove(at)) {
            entry.count += 1;
            entry.refused = refused;
            entry.updated = now;
            self.entries.push_front(entry);
            return;
        }
        if len_max == 0 {
            return;
        }
        self.entries.push_front(Entry { id: self.next_id, count: 1, refused, created: now, updated: now });
        self.next_id += 1;
        self.entries.truncate(usize::try_from(len_max).unwrap_or(usize::MAX));
    }

    /// Forgets all entries.
    pub fn reset(&mut self) {
        self.entries.clear();
    }

    /// The latest entries, the latest first.
    pub fn latest(&self, count: usize) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter().take(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(object: &str) -> Refused {
        let (reason, context) = (Reason::Key, Context::Toplevel);
        Refused { reason, context, object: object.into(), user: b"u".to_vec(), client: String::new() }
    }

    fn shown(log: &Log) -> Vec<(u64, u64, String)> {
        let text = |e: &Entry| String::from_utf8_lossy(&e.refused.object).into_owned();
        log.latest(100).map(|e| (e.id, e.count, text(e))).collect()
    }

    #[test]
    fn what_happens_again_within_a_minute_is_one_entry_and_comes_first() {
        let mut log = Log::default();
        log.add(refused("a"), WallMs(1000), 10);
        log.add(refused("b"), WallMs(1000), 10);
        log.add(refused("a"), WallMs(61_000), 10);
        assert_eq!(shown(&log), [(0, 2, "a".into()), (1, 1, "b".into())]);
        assert_eq!(log.latest(1).map(|e| (e.created.0, e.updated.0)).collect::<Vec<_>>(), [(1000, 61_000)]);
        log.add(refused("b"), WallMs(61_001), 10);
        assert_eq!(shown(&log)[0], (2, 1, "b".into()), "more than a minute later");
    }

    #[test]
    fn the_oldest_entries_go_first() {
        let mut log = Log::default();
        for n in 0..5 {
            log.add(refused(&n.to_string()), WallMs(n), 3);
        }
        assert_eq!(shown(&log).iter().map(|(id, ..)| *id).collect::<Vec<_>>(), [4, 3, 2]);
        log.add(refused("x"), WallMs(9), 0);
        assert_eq!(shown(&log).len(), 3, "a length of zero keeps what is there");
        log.reset();
        assert!(shown(&log).is_empty());
    }
}
