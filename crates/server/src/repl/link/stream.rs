//! The primary's stream as units: a command by itself, or everything from MULTI to EXEC. Only whole units are applied and
//! counted, so this node's offset never lies inside a transaction (replication I3). An append-only file is read as the same
//! units. Parses; executes nothing.

use std::ops::Range;
use std::sync::Arc;

use baton_aof::{Found, Scanner};
use baton_commands::{CommandSpec, NodeCommand, Run};
use baton_resp::{ArgRange, Args, Limits, RequestParser, Step};

use crate::renames::Renames;

/// Commands parsed before the whole units among them are handed out, so that what was parsed is still in the cache.
const COMMANDS_AHEAD: usize = 64;
/// The buffer of a stream that had to grow beyond this is given back once it is empty.
const KEPT_BYTES: usize = 1 << 20;

/// One received command.
pub(crate) struct Command {
    /// Where it lies in the buffer.
    pub(crate) bytes: Range<usize>,
    /// Which of the ranges are its arguments; none for an empty line.
    args: Range<usize>,
    /// What it is; none if this node does not know it.
    pub(crate) spec: Option<&'static CommandSpec>,
}

/// The stream broke the protocol: what it is about is not known any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Corrupt(pub(crate) String);

/// How the bytes are taken apart.
enum Syntax {
    /// As the stream of a primary.
    Link(RequestParser),
    /// As a log, which has annotations between commands.
    Log(Scanner),
}

impl Default for Syntax {
    fn default() -> Syntax {
        Syntax::Link(RequestParser::new())
    }
}

/// Received and not applied.
#[derive(Default)]
pub(crate) struct Stream {
    /// Other names of commands: a primary that renames them, too, sends those.
    renames: Arc<Renames>,
    buf: Vec<u8>,
    /// Bytes of `buf` that are applied.
    applied: usize,
    /// Bytes of `buf` that are applied or in `commands`.
    parsed: usize,
    syntax: Syntax,
    ranges: Vec<ArgRange>,
    commands: Vec<Command>,
    /// The last parsed command lies between MULTI and EXEC.
    in_multi: bool,
    /// How many of the commands belong to whole units.
    whole: usize,
}

impl Stream {
    /// An empty one.
    pub(super) fn new(renames: Arc<Renames>) -> Stream {
        Stream { renames, ..Stream::default() }
    }

    /// One of a log that this scanner reads.
    pub(crate) fn of_log(renames: Arc<Renames>, scanner: Scanner) -> Stream {
        Stream { renames, syntax: Syntax::Log(scanner), ..Stream::default() }
    }

    /// Where reading a log stands, and its bytes that are not consumed.
    pub(crate) fn log(&self) -> Option<(&Scanner, &[u8])> {
        match &self.syntax {
            Syntax::Link(_) => None,
            Syntax::Log(scanner) => Some((scanner, &self.buf[self.parsed..])),
        }
    }

    /// Adds received bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// Bytes received and not applied.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.buf.len() - self.applied
    }

    /// Parses on until a handful of commands is whole, or bytes are missing. Tells whether there is something to apply.
    pub(crate) fn parse(&mut self) -> Result<bool, Corrupt> {
        while self.whole == 0 || self.commands.len() < COMMANDS_AHEAD {
            let first = self.ranges.len();
            let rest = &self.buf[self.parsed..];
            let (consumed, is_command) = match &mut self.syntax {
                Syntax::Link(parser) => match parser.next(rest, &Limits::primary_link(), &mut self.ranges) {
                    Step::Complete { consumed, .. } => (consumed, true),
                    Step::Empty { consumed } => (consumed, false),
                    Step::Incomplete => break,
                    broken => return Err(corrupt(&broken)),
                },
                Syntax::Log(scanner) => match scanner.next(rest, &mut self.ranges) {
                    Found::Command { consumed } => (consumed, true),
                    Found::Annotation { consumed, .. } => (consumed, false),
                    Found::Incomplete => break,
                    Found::Malformed => return Err(Corrupt("Bad file format".into())),
                },
            };
            let spec = if is_command { self.named(first) } else { None };
            self.add(consumed, first, spec);
        }
        Ok(self.whole > 0)
    }

    /// What the request is whose ranges begin here.
    fn named(&self, first: usize) -> Option<&'static CommandSpec> {
        let args = Args::new(&self.buf[self.parsed..], &self.ranges[first..]);
        // How a subcommand is to run counts, not its container.
        let sub = |spec: &'static CommandSpec| spec.subcommand(args.get(1)?);
        let named = self.renames.find(args.name()).or_else(|| baton_commands::lookup(args.name()));
        named.map(|spec| sub(spec).unwrap_or(spec))
    }

    fn add(&mut self, consumed: usize, first: usize, spec: Option<&'static CommandSpec>) {
        let bytes = self.parsed..self.parsed + consumed;
        self.parsed = bytes.end;
        self.commands.push(Command { bytes, args: first..self.ranges.len(), spec });
        match spec.map(|s| s.run) {
            Some(Run::Node(NodeCommand::Multi)) => self.in_multi = true,
            Some(Run::Node(NodeCommand::Exec | NodeCommand::Discard)) => self.in_multi = false,
            _ => {}
        }
        if !self.in_multi {
            self.whole = self.commands.len();
        }
    }

    /// The commands of whole units.
    pub(crate) fn commands(&self) -> &[Command] {
        &self.commands[..self.whole]
    }

    /// The unit that begins with the `first` command.
    pub(crate) fn unit(&self, first: usize) -> Range<usize> {
        let is = |i: usize, what: NodeCommand| matches!(self.commands[i].spec.map(|s| s.run), Some(Run::Node(command)) if command == what);
        if !is(first, NodeCommand::Multi) {
            return first..first + 1;
        }
        let ends = |i: &usize| is(*i, NodeCommand::Exec) || is(*i, NodeCommand::Discard);
        first..(first..self.whole).find(ends).map_or(self.whole, |last| last + 1)
    }

    /// The arguments of a command.
    pub(crate) fn args(&self, command: &Command) -> Args<'_> {
        Args::new(&self.buf[command.bytes.start..], &self.ranges[command.args.clone()])
    }

    /// The bytes of some commands, as they were received.
    pub(crate) fn bytes(&self, commands: Range<usize>) -> &[u8] {
        match (self.commands.get(commands.start), self.commands[..commands.end].last()) {
            (Some(first), Some(last)) if !commands.is_empty() => &self.buf[first.bytes.start..last.bytes.end],
            _ => &[],
        }
    }

    /// Forgets the whole units: they are applied.
    pub(crate) fn drop_whole(&mut self) {
        let Some(last) = self.commands[..self.whole].last() else { return };
        let ranges = last.args.end;
        self.applied = last.bytes.end;
        self.ranges.drain(..ranges);
        self.commands.drain(..self.whole);
        for command in &mut self.commands {
            command.args = command.args.start - ranges..command.args.end - ranges;
        }
        self.whole = 0;
        // Moving what is left costs no more than what was applied since, so the total stays linear.
        if self.applied >= self.buf.len() - self.applied {
            self.compact();
        }
    }

    fn compact(&mut self) {
        let gone = std::mem::take(&mut self.applied);
        self.buf.drain(..gone);
        self.parsed -= gone;
        for command in &mut self.commands {
            command.bytes = command.bytes.start - gone..command.bytes.end - gone;
        }
        if self.buf.is_empty() && self.buf.capacity() > KEPT_BYTES {
            self.buf = Vec::new();
        }
    }
}

/// What a primary that sends such a thing is told to have done.
#[cold]
fn corrupt(step: &Step) -> Corrupt {
    Corrupt(match step {
        Step::Fail(e) => format!("Protocol error from primary: {}", String::from_utf8_lossy(&e.text())),
        _ => "WARNING: Receiving inline protocol from primary, primary stream corruption? Closing the primary connection \
              and discarding the cached primary."
            .into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_replication::command;
    use proptest::prelude::*;

    /// Cuts the stream into pieces of these sizes; gives the units in order, each as its names, with the offset after it.
    fn units(bytes: &[u8], sizes: &[usize]) -> Vec<(Vec<String>, usize)> {
        let (mut stream, mut out, mut offset, mut rest) = (Stream::default(), Vec::new(), 0, bytes);
        for size in sizes.iter().cycle() {
            let (piece, others) = rest.split_at((*size).min(rest.len()));
            rest = others;
            stream.push(piece);
            while stream.parse().unwrap() {
                let mut i = 0;
                while i < stream.commands().len() {
                    let unit = stream.unit(i);
                    let names = stream.commands()[unit.clone()].iter().map(|c| stream.args(c));
                    let names = names.map(|a| String::from_utf8_lossy(a.name()).into_owned()).collect();
                    offset += stream.bytes(unit.clone()).len();
                    out.push((names, offset));
                    i = unit.end;
                }
                stream.drop_whole();
            }
            if rest.is_empty() {
                break;
            }
        }
        assert_eq!(stream.waiting_bytes(), bytes.len() - offset);
        out
    }

    #[test]
    fn a_transaction_is_one_unit_and_half_of_one_is_none() {
        let mut bytes = command(&[b"SET", b"a", b"1"]);
        bytes.extend(command(&[b"MULTI"]));
        bytes.extend(command(&[b"SELECT", b"3"]));
        bytes.extend(command(&[b"DEL", b"a"]));
        let before_exec = bytes.len();
        bytes.extend(command(&[b"EXEC"]));
        bytes.extend(b"\r\n");
        bytes.extend(command(&[b"MULTI"]));
        bytes.extend(command(&[b"DEL", b"a"]));
        let got = units(&bytes, &[7]);
        let names: Vec<String> = got.iter().map(|(n, _)| n.join(" ")).collect();
        assert_eq!(names, ["SET", "MULTI SELECT DEL EXEC", ""]);
        assert_eq!(units(&bytes[..before_exec], &[1000]).len(), 1);
    }

    #[test]
    fn inline_words_are_corruption() {
        let mut stream = Stream::default();
        stream.push(b"PING\r\n");
        assert!(stream.parse().unwrap_err().0.starts_with("WARNING: Receiving inline protocol"));
    }

    proptest! {
        #[test]
        fn units_do_not_depend_on_how_the_stream_is_cut(
            kinds in prop::collection::vec(0..6usize, 0..200), sizes in prop::collection::vec(1..400usize, 1..20),
        ) {
            let (mut bytes, mut expected, mut open) = (Vec::new(), Vec::new(), Vec::new());
            for kind in kinds {
                let words: &[&str] = match kind {
                    0 if open.is_empty() => &["MULTI"],
                    1 if !open.is_empty() => &["EXEC"],
                    2 => &["PING"],
                    3 => &["NOSUCH", "x"],
                    _ => &["SET", "key", "some longer value than the others have"],
                };
                bytes.extend(command(&words.iter().map(|w| w.as_bytes()).collect::<Vec<_>>()));
                open.push(words[0].to_owned());
                if open[0] != "MULTI" || words[0] == "EXEC" {
                    expected.push((std::mem::take(&mut open), bytes.len()));
                }
            }
            prop_assert_eq!(units(&bytes, &sizes), expected);
        }
    }
}
