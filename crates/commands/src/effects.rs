//! What a command leaves for the journal. The rule is: the command as it came, if it changed anything. A command whose
//! repetition elsewhere or later could give another result says what to write instead (replication 3.2).

use baton_resp::{ArgRange, Args};
use baton_store::DbIndex;

use crate::event::Event;
use crate::long_reply::LongReply;
use crate::wait::WaitFor;

/// The effects of one command. A worker keeps one and reuses it: its buffers keep their memory.
#[derive(Debug, Default)]
pub struct Effects {
    choice: Choice,
    unwanted: bool,
    buf: Vec<u8>,
    ranges: Vec<ArgRange>,
    ops: Vec<Op>,
    events: Vec<Event>,
    passed: u64,
    elements_ended: u64,
    left: Option<Left>,
}

/// What a command left for later.
#[derive(Debug)]
pub enum Left {
    /// It asks to be run again when a key changed: it has neither replied nor changed anything.
    Wait(Box<WaitFor>),
    /// The rest of its reply.
    Reply(Box<LongReply>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Choice {
    #[default]
    IfDirty,
    Verbatim,
    Nothing,
    Ops,
}

/// One op: ranges `[previous end..end]`, offsets counted from `start`.
#[derive(Clone, Copy, Debug)]
struct Op {
    db: Option<DbIndex>,
    start: usize,
    ranges_end: usize,
}

/// What goes to the journal for one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagate {
    /// Nothing.
    Nothing,
    /// The command as it came.
    Verbatim,
    /// The ops of [`Effects::ops`].
    Ops,
}

impl Effects {
    /// No effects yet.
    pub fn new() -> Effects {
        Effects::default()
    }

    /// Effects for which nobody waits: ops are not built. For replicas, which pass on their primary's bytes, and loading.
    pub fn unwanted() -> Effects {
        Effects { unwanted: true, ..Effects::default() }
    }

    /// Makes ready for the next command.
    #[inline]
    pub fn clear(&mut self) {
        self.choice = Choice::IfDirty;
        if !self.ops.is_empty() {
            self.buf.clear();
            self.buf.shrink_to(KEPT_BYTES);
            self.ranges.clear();
            self.ranges.shrink_to(KEPT_BYTES / size_of::<ArgRange>());
            self.ops.clear();
        }
        if self.passed + self.elements_ended > 0 || !self.events.is_empty() {
            (self.passed, self.elements_ended) = (0, 0);
            self.events.clear();
        }
        self.left = None;
    }

    /// Asks to be run again when a key changed.
    #[cold]
    pub(crate) fn wait_for(&mut self, wait: WaitFor) {
        self.left = Some(Left::Wait(Box::new(wait)));
    }

    /// Leaves the rest of a reply.
    #[cold]
    pub(crate) fn leave_reply(&mut self, reply: LongReply) {
        self.left = Some(Left::Reply(Box::new(reply)));
    }

    /// What the command left for later, if it did. Only one that may ([`Waits::May`](crate::Waits::May)) does.
    #[inline]
    pub fn take_left(&mut self) -> Option<Left> {
        self.left.take()
    }

    /// Adds a keyspace event.
    #[cold]
    pub(crate) fn note(&mut self, event: Event) {
        self.events.push(event);
    }

    /// The keyspace events noted so far, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Counts a key that was deleted because the deadline it was given has passed already.
    pub(crate) fn deadline_passed(&mut self) {
        self.passed += 1;
    }

    /// How many keys were deleted because the deadline they were given had passed already.
    pub fn deadlines_passed(&self) -> u64 {
        self.passed
    }

    /// Counts fields that were removed, or written over, because their time had passed.
    pub(crate) fn count_ended_elements(&mut self, count: u64) {
        self.elements_ended += count;
    }

    /// How many fields were removed, or written over, because their time had passed.
    pub fn ended_elements(&self) -> u64 {
        self.elements_ended
    }

    /// Whether it makes sense to build ops.
    #[inline]
    pub fn wanted(&self) -> bool {
        !self.unwanted
    }

    /// Write nothing, though something changed.
    pub fn none(&mut self) {
        self.choice = Choice::Nothing;
    }

    /// Write the command as it came, even if nothing changed.
    pub fn verbatim(&mut self) {
        self.choice = Choice::Verbatim;
    }

    /// Write this op, in the client's database, instead of the command. Called again it adds another op.
    pub fn replace(&mut self, args: &[&[u8]]) {
        self.replace_with(None, args.iter().copied());
    }

    /// Write this op, in this database, instead of the command.
    pub fn replace_in(&mut self, db: DbIndex, args: &[&[u8]]) {
        self.replace_with(Some(db), args.iter().copied());
    }

    /// Write an op with these arguments, in the client's database, instead of the command.
    pub fn replace_iter<'a>(&mut self, args: impl Iterator<Item = &'a [u8]>) {
        self.replace_with(None, args);
    }

    fn replace_with<'a>(&mut self, db: Option<DbIndex>, args: impl Iterator<Item = &'a [u8]>) {
        self.choice = Choice::Ops;
        if self.unwanted {
            return;
        }
        let start = self.buf.len();
        for arg in args {
            let offset = u32::try_from(self.buf.len() - start).expect("an op is shorter than 4 GiB");
            let len = u32::try_from(arg.len()).expect("an op is shorter than 4 GiB");
            self.ranges.push(ArgRange { start: offset, len });
            self.buf.extend_from_slice(arg);
        }
        self.ops.push(Op { db, start, ranges_end: self.ranges.len() });
    }

    /// What to write, given how many changes the view counted.
    #[inline]
    pub fn propagate(&self, dirty: u64) -> Propagate {
        match self.choice {
            Choice::IfDirty if dirty > 0 => Propagate::Verbatim,
            Choice::IfDirty | Choice::Nothing => Propagate::Nothing,
            Choice::Verbatim => Propagate::Verbatim,
            Choice::Ops if self.ops.is_empty() => Propagate::Nothing,
            Choice::Ops => Propagate::Ops,
        }
    }

    /// The ops to write, in order; each with its database where that is not the client's.
    pub fn ops(&self) -> impl Iterator<Item = (Option<DbIndex>, Args<'_>)> {
        let mut from = 0;
        self.ops.iter().map(move |op| {
            let ranges = &self.ranges[std::mem::replace(&mut from, op.ranges_end)..op.ranges_end];
            (op.db, Args::new(&self.buf[op.start..], ranges))
        })
    }
}

/// Buffer memory kept for the next command, in bytes.
const KEPT_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(effects: &Effects) -> Vec<String> {
        let op = |(db, args): (Option<DbIndex>, Args<'_>)| {
            let words: Vec<_> = args.iter().map(String::from_utf8_lossy).collect();
            format!("{}{}", db.map(|d| format!("{}:", d.0)).unwrap_or_default(), words.join(" "))
        };
        effects.ops().map(op).collect()
    }

    #[test]
    fn the_last_word_decides() {
        let mut e = Effects::new();
        assert_eq!((e.propagate(0), e.propagate(1)), (Propagate::Nothing, Propagate::Verbatim));
        e.verbatim();
        assert_eq!(e.propagate(0), Propagate::Verbatim);
        e.none();
        assert_eq!(e.propagate(1), Propagate::Nothing);
        e.replace(&[b"SET", b"k", b""]);
        e.replace_in(DbIndex(3), &[b"DEL", b"x"]);
        assert_eq!(e.propagate(0), Propagate::Ops);
        assert_eq!(shown(&e), ["SET k ", "3:DEL x"]);
        e.clear();
        assert_eq!((e.propagate(0), shown(&e).len()), (Propagate::Nothing, 0));
    }

    #[test]
    fn unwanted_effects_are_not_built() {
        let mut e = Effects::unwanted();
        e.replace(&[b"DEL", b"k"]);
        assert!(!e.wanted() && e.propagate(1) == Propagate::Nothing);
    }
}
