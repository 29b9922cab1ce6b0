//! The stream as the log has it: without what only replicas are told, with a SELECT where the log needs one of its own, and
//! with notes that say which offset of the stream a place in the log is. Knows neither file nor journal.
//!
//! **Positions.** The bytes of the log are those of the stream, one by one, unless a note says otherwise: whoever knows the
//! offset of one place knows that of every later one by counting. So a log of a primary without replicas needs no notes: its
//! base says where it begins. But another server may go on where this one stopped, and its commands would be counted, too; so where
//! another node has the stream, too, each batch ends with a short line that says whose it is ([`Annotation::Counted`]), and what has none
//! behind it is not counted. A note ([`Annotation::Position`]) stands behind whatever made log and stream differ,
//! once for each batch that is written, and where the history changed its name. Notes stand between units, never within a
//! transaction; they and other annotations don't count as bytes.

use std::ops::Range;

use baton_aof::{Annotation, Position};
use baton_base::num::parse_u64;
use baton_base::{Offset, ReplId};
use baton_replication::command;
use baton_resp::{ArgRange, Args, Limits, RequestParser, Step};

/// Takes stream bytes and gives log bytes.
#[derive(Debug, Default)]
pub struct Sieve {
    /// Received, and not a whole command yet.
    raw: Vec<u8>,
    parser: RequestParser,
    ranges: Vec<ArgRange>,
    /// The stream's database; none until it says.
    stream_db: Option<u32>,
    /// The log's database; none at the start of a file.
    log_db: Option<u32>,
    /// Between MULTI and EXEC.
    in_multi: bool,
    /// The log has other bytes than the stream since the last note.
    differs: bool,
    /// The second of the last time stamp.
    stamped_secs: u64,
}

/// What becomes of a command.
enum Fate {
    Keep,
    Drop,
    Select(u32),
    Multi,
    Exec,
}

impl Sieve {
    /// Begins a file, or goes on in one that may have any database selected, where the stream has this one selected.
    pub fn begin_file(&mut self, stream_db: Option<u32>) {
        debug_assert!(self.is_between_units(), "files are changed between units");
        (self.stream_db, self.log_db) = (stream_db, None);
        (self.differs, self.stamped_secs) = (false, 0);
    }

    /// Where stream bytes are to be put.
    pub fn inlet(&mut self) -> &mut Vec<u8> {
        &mut self.raw
    }

    /// Whether everything so far was whole units.
    pub fn is_between_units(&self) -> bool {
        self.raw.is_empty() && !self.in_multi
    }

    /// Whether the log has other bytes than the stream since the last note.
    pub fn differs(&self) -> bool {
        self.differs
    }

    /// Moves whole commands on to the log. With `stamp` their second is noted where it is another one than before.
    pub fn sift(&mut self, out: &mut Vec<u8>, stamp: Option<u64>) {
        let raw = std::mem::take(&mut self.raw);
        let (mut at, mut kept) = (0, 0..0);
        while let Some((len, fate)) = self.next(&raw[at..]) {
            let whole = at..at + len;
            at = whole.end;
            self.take(fate, &raw, whole, &mut kept, out, stamp);
        }
        out.extend_from_slice(&raw[kept]);
        self.raw = raw;
        self.raw.drain(..at);
    }

    /// How long the command at the front is, if it is whole, and what becomes of it. Nothing but a line's end is left out, as
    /// are bytes that are no command: those can't be in a stream that was applied.
    fn next(&mut self, bytes: &[u8]) -> Option<(usize, Fate)> {
        self.ranges.clear();
        match self.parser.next(bytes, &Limits::primary_link(), &mut self.ranges) {
            Step::Complete { consumed, .. } => Some((consumed, fate(Args::new(bytes, &self.ranges)))),
            Step::Empty { consumed } | Step::Inline { consumed, .. } => Some((consumed, Fate::Drop)),
            Step::Incomplete => None,
            Step::Fail(_) => {
                self.parser = RequestParser::new();
                Some((1, Fate::Drop))
            }
        }
    }

    fn take(
        &mut self,
        fate: Fate,
        raw: &[u8],
        whole: Range<usize>,
        kept: &mut Range<usize>,
        out: &mut Vec<u8>,
        stamp: Option<u64>,
    ) {
        let begins_unit = !self.in_multi;
        match fate {
            Fate::Drop => {
                self.differs = true;
                out.extend_from_slice(&raw[std::mem::replace(kept, whole.end..whole.end)]);
                return;
            }
            Fate::Select(db) => (self.stream_db, self.log_db) = (Some(db), Some(db)),
            Fate::Multi => self.in_multi = true,
            Fate::Exec => self.in_multi = false,
            Fate::Keep => {}
        }
        if let Some(secs) = stamp
            && secs != self.stamped_secs
            && begins_unit
        {
            self.stamped_secs = secs;
            out.extend_from_slice(&raw[std::mem::replace(kept, whole.start..whole.start)]);
            Annotation::Time(i64::try_from(secs).unwrap_or(i64::MAX)).write(out);
        }
        if let (Fate::Keep, Some(db)) = (&fate, self.stream_db)
            && self.log_db != Some(db)
        {
            (self.log_db, self.differs) = (Some(db), true);
            out.extend_from_slice(&raw[std::mem::replace(kept, whole.start..whole.start)]);
            out.extend_from_slice(&command(&[b"SELECT", db.to_string().as_bytes()]));
        }
        if kept.start == kept.end {
            *kept = whole;
        } else {
            kept.end = whole.end;
        }
    }

    /// Notes where in which history the log is.
    pub fn note(&mut self, out: &mut Vec<u8>, replid: ReplId, offset: Offset) {
        debug_assert!(self.is_between_units(), "a note stands between units");
        self.differs = false;
        Annotation::Position(Position { replid, offset, stream_db: self.stream_db }).write(out);
    }
}

/// What the log has of a command: everything that changes data.
fn fate(command: Args<'_>) -> Fate {
    let (name, second) = (command.name(), command.get(1).unwrap_or_default());
    let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
    match name.len() {
        4 if is(b"PING") => Fate::Drop,
        4 if is(b"EXEC") => Fate::Exec,
        5 if is(b"MULTI") => Fate::Multi,
        6 if is(b"SELECT") => match parse_u64(second).and_then(|db| u32::try_from(db).ok()) {
            Some(db) => Fate::Select(db),
            None => Fate::Keep,
        },
        7 if is(b"PUBLISH") => Fate::Drop,
        7 if is(b"CLUSTER") && is_order(second) => Fate::Drop,
        8 if is(b"REPLCONF") || is(b"SPUBLISH") => Fate::Drop,
        _ => Fate::Keep,
    }
}

/// Whether a subcommand of CLUSTER is about the cluster, and not about data.
fn is_order(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"FAILOVER") || name.eq_ignore_ascii_case(b"SETSLOT")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream(text: &str) -> Vec<u8> {
        text.split("; ").flat_map(|line| command(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>())).collect()
    }

    fn sifted(sieve: &mut Sieve, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        sieve.inlet().extend_from_slice(bytes);
        sieve.sift(&mut out, None);
        out
    }

    #[test]
    fn what_only_replicas_are_told_is_left_out() {
        let mut sieve = Sieve::default();
        sieve.begin_file(None);
        let got = sifted(&mut sieve, &stream("SELECT 0; SET a 1; PING; REPLCONF GETACK *; publish c m; SET b 2"));
        assert_eq!(got, stream("SELECT 0; SET a 1; SET b 2"));
        assert!(sieve.differs());
        let got = sifted(&mut sieve, &stream("CLUSTER FAILOVER FORCE; CLUSTER FLUSHSLOT 7; SPUBLISH c m"));
        assert_eq!(got, stream("CLUSTER FLUSHSLOT 7"));
    }

    #[test]
    fn a_file_selects_the_database_that_the_stream_has_selected_before() {
        let mut sieve = Sieve::default();
        sieve.begin_file(Some(3));
        assert_eq!(sifted(&mut sieve, &stream("MULTI; SET a 1; EXEC")), stream("MULTI; SELECT 3; SET a 1; EXEC"));
        assert!(sieve.differs());
        sieve.begin_file(None);
        assert_eq!(sifted(&mut sieve, &stream("SELECT 5; SET a 1")), stream("SELECT 5; SET a 1"));
        assert!(!sieve.differs(), "without a note, an offset is found by counting");
    }

    #[test]
    fn a_note_says_the_streams_database_and_counting_begins_there() {
        let (mut sieve, mut out) = (Sieve::default(), Vec::new());
        sieve.begin_file(Some(2));
        let id = ReplId::random(&mut baton_base::Rng::new(1));
        sieve.note(&mut out, id, Offset(77));
        assert_eq!(out, format!("#BATON:{id}:77:2\r\n").into_bytes());
        assert_eq!(sifted(&mut sieve, &stream("SELECT 2; SET a 1")), stream("SELECT 2; SET a 1"));
        assert!(!sieve.differs());
    }

    #[test]
    fn the_second_is_stamped_once_and_never_within_a_transaction() {
        let (mut sieve, mut out) = (Sieve::default(), Vec::new());
        sieve.inlet().extend(stream("SELECT 0; SET a 1; MULTI; SET a 2"));
        sieve.sift(&mut out, Some(5));
        sieve.inlet().extend(stream("SET a 3; EXEC; SET a 4"));
        sieve.sift(&mut out, Some(6));
        let text = String::from_utf8(out).unwrap();
        let marks: Vec<&str> = text.split("\r\n").filter(|line| line.starts_with('#')).collect();
        assert_eq!(marks, ["#TS:5", "#TS:6"]);
        assert!(text.find("EXEC").unwrap() < text.find("#TS:6").unwrap());
        assert!(text.starts_with("#TS:5\r\n*2\r\n$6\r\nSELECT"));
    }

    proptest! {
        #[test]
        fn the_log_does_not_depend_on_how_the_stream_is_cut(
            kinds in prop::collection::vec(0..7usize, 0..60), sizes in prop::collection::vec(1..90usize, 1..20),
        ) {
            let lines = ["SET a 1", "PING", "SELECT 4", "PUBLISH c m", "MULTI", "EXEC", "DEL some-longer-key another"];
            let (mut bytes, mut expected, mut ends) = (Vec::new(), Vec::new(), Vec::new());
            for kind in kinds {
                bytes.extend(stream(lines[kind]));
                if kind != 1 && kind != 3 {
                    expected.extend(stream(lines[kind]));
                }
                ends.push(bytes.len());
            }
            let (mut sieve, mut out, mut rest, mut fed) = (Sieve::default(), Vec::new(), &bytes[..], 0);
            for size in sizes.iter().cycle() {
                let (piece, others) = rest.split_at((*size).min(rest.len()));
                rest = others;
                fed += piece.len();
                sieve.inlet().extend_from_slice(piece);
                sieve.sift(&mut out, None);
                prop_assert_eq!(sieve.raw.is_empty(), fed == 0 || ends.contains(&fed));
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(out, expected);
        }
    }
}
