//! Reading a log: where each command lies, what is a transaction, and up to where the log is whole. Incremental: the caller
//! owns the bytes. Knows MULTI and EXEC by their names, and no other command.

use baton_base::ShardId;
use baton_base::num::parse_u64;
use baton_resp::{ArgRange, Args, Limits, RequestParser, Step};

use crate::annotation::{ANNOTATION_BYTES_MAX, Annotation, Position};

/// What one call of [`Scanner::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A command: its arguments' ranges were appended.
    Command {
        /// Its bytes.
        consumed: usize,
    },
    /// An annotation.
    Annotation {
        /// Its bytes, the line end included.
        consumed: usize,
        /// What it says.
        said: Annotation,
    },
    /// More bytes are needed.
    Incomplete,
    /// This is no log.
    Malformed,
}

/// What a log ends within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A command.
    Command,
    /// A transaction: its EXEC is missing.
    Transaction,
    /// An annotation. No data is missing.
    Annotation,
}

/// How a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a whole command or annotation.
    Whole,
    /// Within something. What lies before [`Scanner::whole_bytes`] is whole.
    Cut(Cut),
}

/// The state of one log. Call [`Scanner::next`] with the bytes from the first one that it has not consumed, as
/// [`RequestParser`] is called; when the log has no more bytes, [`Scanner::ending`] tells how it ends.
#[derive(Debug, Default)]
pub struct Scanner {
    parser: RequestParser,
    /// Bytes consumed.
    at: u64,
    /// Bytes up to the end of the last thing outside of a transaction.
    whole: u64,
    in_multi: bool,
    /// The place in a history that is reached where `whole` is, if all commands before are the stream's.
    counted: Option<Position>,
    /// The same, if it is known that they are.
    position: Option<Position>,
    /// Bytes of the unit that is read, annotations excluded.
    unit_bytes: u64,
    /// The database that it selects.
    unit_db: Option<u32>,
    /// Whose data it is, if a line says so.
    shard: Option<Option<ShardId>>,
}

impl Scanner {
    /// A scanner that begins at this offset of its file, where what comes before has reached this position.
    pub fn at(offset: u64, position: Option<Position>) -> Scanner {
        Scanner { at: offset, whole: offset, counted: position, position, ..Scanner::default() }
    }

    /// Reads on. `buf` begins with the first byte that was not consumed; ranges are counted from there.
    #[inline]
    pub fn next(&mut self, buf: &[u8], ranges: &mut Vec<ArgRange>) -> Found {
        match buf.first() {
            Some(b'*') => {}
            Some(b'#') => return self.annotation(buf),
            Some(_) => return Found::Malformed,
            None => return Found::Incomplete,
        }
        let first = ranges.len();
        match self.parser.next(buf, &Limits::primary_link(), ranges) {
            Step::Complete { consumed, .. } => {
                self.take_command(Args::new(buf, &ranges[first..]), consumed);
                Found::Command { consumed }
            }
            Step::Incomplete => Found::Incomplete,
            Step::Empty { .. } | Step::Inline { .. } | Step::Fail(_) => Found::Malformed,
        }
    }

    #[inline]
    fn take_command(&mut self, args: Args<'_>, consumed: usize) {
        self.at += consumed as u64;
        self.unit_bytes += consumed as u64;
        let name = args.name();
        match name.len() {
            6 if name.eq_ignore_ascii_case(b"select") => {
                let db = args.get(1).and_then(parse_u64).and_then(|db| u32::try_from(db).ok());
                self.unit_db = db.or(self.unit_db);
            }
            5 if name.eq_ignore_ascii_case(b"multi") => self.in_multi = true,
            4 if name.eq_ignore_ascii_case(b"exec") => self.in_multi = false,
            7 if name.eq_ignore_ascii_case(b"discard") => self.in_multi = false,
            _ => {}
        }
        if !self.in_multi {
            self.whole = self.at;
            let (bytes, db) = (std::mem::take(&mut self.unit_bytes), self.unit_db.take());
            self.position = None;
            if let Some(counted) = &mut self.counted {
                counted.offset = counted.offset.plus(bytes);
                counted.stream_db = db.or(counted.stream_db);
            }
        }
    }

    #[cold]
    fn annotation(&mut self, buf: &[u8]) -> Found {
        let within = &buf[..buf.len().min(ANNOTATION_BYTES_MAX)];
        let Some(end) = within.iter().position(|b| *b == b'\n') else {
            return if buf.len() < ANNOTATION_BYTES_MAX { Found::Incomplete } else { Found::Malformed };
        };
        let (consumed, said) = (end + 1, Annotation::parse(&buf[..end]));
        self.at += consumed as u64;
        if !self.in_multi {
            self.whole = self.at;
            match said {
                Annotation::Position(position) => {
                    self.counted = Some(position);
                    self.position = self.counted;
                }
                Annotation::Counted => self.position = self.counted,
                Annotation::Shard(shard) => self.shard = Some(shard),
                Annotation::Time(_) | Annotation::Other => {}
            }
        }
        Found::Annotation { consumed, said }
    }

    /// Bytes consumed, counted from the file's first one.
    pub fn consumed_bytes(&self) -> u64 {
        self.at
    }

    /// Bytes up to the end of the last command or annotation that is whole and outside of a transaction that is not.
    pub fn whole_bytes(&self) -> u64 {
        self.whole
    }

    /// A transaction is open.
    pub fn is_in_multi(&self) -> bool {
        self.in_multi
    }

    /// The place in a history that is reached with [`Self::whole_bytes`]; none if that is not known, or if commands came
    /// since the last annotation that said that they are the stream's: then another server may have written them.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// The shard whose data this is, if a line says so; none within if it is not the writer's own.
    pub fn shard(&self) -> Option<Option<ShardId>> {
        self.shard
    }

    /// How the log ends whose last bytes, none of them consumed, are these.
    pub fn ending(&self, rest: &[u8]) -> Ending {
        match rest.first() {
            _ if self.in_multi => Ending::Cut(Cut::Transaction),
            None => Ending::Whole,
            Some(b'#') => Ending::Cut(Cut::Annotation),
            Some(_) => Ending::Cut(Cut::Command),
        }
    }
}

#[cfg(test)]
mod tests;
