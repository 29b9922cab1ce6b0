//! Annotations: lines between the commands of a log that begin with `#`. Other servers pass over those that they don't know
//! (aof 4). Never part of the dataset.

use baton_base::num::{parse_i64, parse_u64};
use baton_base::{Offset, ReplId, ShardId};

/// The longest annotation, its line end included, in bytes (aof 4).
pub const ANNOTATION_BYTES_MAX: usize = 1024;

const POSITION: &str = "#BATON:";
const COUNTED: &str = "#B";
const SHARD: &str = "#BATON-SHARD:";
const TIME: &str = "#TS:";

/// Where in a history of replication a log has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Name of the history.
    pub replid: ReplId,
    /// Bytes of its stream whose commands stand in the log before this.
    pub offset: Offset,
    /// The database that the stream has selected here; none if the next command brings its own SELECT.
    pub stream_db: Option<u32>,
}

/// What an annotation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Annotation {
    /// What follows was written at this time, in seconds since 1970.
    Time(i64),
    /// What comes before is the stream up to here.
    Position(Position),
    /// So it is, and the offset is that of the position that was told last and the bytes of the commands since. Commands
    /// that have no such line behind them may be another server's: it goes on writing where this one stopped.
    Counted,
    /// What comes before is the data of this shard of a cluster; none if it is not that of the writer's.
    Shard(Option<ShardId>),
    /// Something that nobody here knows.
    Other,
}

impl Annotation {
    /// Reads a line, with or without its end. What does not make sense is [`Annotation::Other`].
    pub fn parse(line: &[u8]) -> Annotation {
        let line = line.trim_ascii_end();
        if let Some(seconds) = line.strip_prefix(TIME.as_bytes()) {
            return parse_i64(seconds).map_or(Annotation::Other, Annotation::Time);
        }
        if line == COUNTED.as_bytes() {
            return Annotation::Counted;
        }
        if let Some(id) = line.strip_prefix(SHARD.as_bytes()) {
            let shard = ShardId::parse(id).ok();
            return if shard.is_some() || id.is_empty() { Annotation::Shard(shard) } else { Annotation::Other };
        }
        let position = line.strip_prefix(POSITION.as_bytes()).and_then(position);
        position.map_or(Annotation::Other, Annotation::Position)
    }

    /// Appends the line. [`Annotation::Other`] has nothing to say.
    pub fn write(&self, out: &mut Vec<u8>) {
        let line = match self {
            Annotation::Time(seconds) => format!("{TIME}{seconds}\r\n"),
            Annotation::Position(Position { replid, offset, stream_db: None }) => {
                format!("{POSITION}{replid}:{}\r\n", offset.0)
            }
            Annotation::Position(Position { replid, offset, stream_db: Some(db) }) => {
                format!("{POSITION}{replid}:{}:{db}\r\n", offset.0)
            }
            Annotation::Counted => format!("{COUNTED}\r\n"),
            Annotation::Shard(Some(shard)) => format!("{SHARD}{shard}\r\n"),
            Annotation::Shard(None) => format!("{SHARD}\r\n"),
            Annotation::Other => return,
        };
        out.extend_from_slice(line.as_bytes());
    }
}

/// Reads `<replid>:<offset>[:<db>]`.
fn position(text: &[u8]) -> Option<Position> {
    let mut parts = text.split(|b| *b == b':');
    let replid = ReplId::parse(parts.next()?).ok()?;
    let offset = Offset(parse_u64(parts.next()?)?);
    let stream_db = match parts.next() {
        Some(db) => Some(u32::try_from(parse_u64(db)?).ok()?),
        None => None,
    };
    parts.next().is_none().then_some(Position { replid, offset, stream_db })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_makes_no_sense_says_nothing() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        for text in
            ["", "#", "#TS:", "#TS:x", "#BATON:", "#BATON:x:1", &format!("#BATON:{id}"), "#BATON-SHARD:x", "# a note"]
        {
            assert_eq!(Annotation::parse(text.as_bytes()), Annotation::Other, "{text}");
        }
        for rest in [":", ":x", ":-1", ":1:", ":1:x", ":1:-1", ":1:4294967296", ":1:2:3", ":99999999999999999999"] {
            assert_eq!(Annotation::parse(format!("#BATON:{id}{rest}\r\n").as_bytes()), Annotation::Other, "{rest}");
        }
        assert_eq!(Annotation::parse(b"#B\r\n"), Annotation::Counted);
        assert_eq!(Annotation::parse(b"#TS:1628217473\r\n"), Annotation::Time(1_628_217_473));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds: i64, id in "[0-9a-f]{40}", offset: u64, db in prop::option::of(any::<u32>())) {
            let shard = Annotation::Shard(Some(ShardId::parse(id.as_bytes()).unwrap()));
            let offset = Offset(offset & (i64::MAX as u64));
            let replid = ReplId::parse(id.as_bytes()).unwrap();
            let position = Position { replid, offset, stream_db: db };
            let others = [shard, Annotation::Shard(None)];
            let known = [Annotation::Time(seconds), Annotation::Counted, Annotation::Position(position)];
            for annotation in known.into_iter().chain(others) {
                let mut line = Vec::new();
                annotation.write(&mut line);
                prop_assert!(line.len() <= ANNOTATION_BYTES_MAX && line.ends_with(b"\r\n") && line[0] == b'#');
                prop_assert_eq!(Annotation::parse(&line), annotation);
            }
        }
    }
}
