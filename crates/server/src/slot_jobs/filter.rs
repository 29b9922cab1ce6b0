//! Which part of the replication stream another node needs that takes some slots over: what was written to these slots
//! since each of them was copied. Pure but for looking commands up.

use std::collections::BTreeMap;

use baton_base::{Offset, Slot};
use baton_commands::{Flags, NodeCommand, Run, key_positions};
use baton_replication::command;

use crate::repl::Stream;

/// The stream can't be split by slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsplittable(pub(super) &'static str);

/// Takes the stream apart.
pub(super) struct Filter {
    stream: Stream,
    /// Where in this node's stream the next command begins.
    at: Offset,
    /// The database of the stream there; none until it says one.
    db: Option<u64>,
    /// The database that the other node has selected.
    sent_db: Option<u64>,
    /// The slots, each with the place in the stream up to which its copy has everything.
    copied_at: BTreeMap<Slot, Offset>,
}

impl Filter {
    /// A filter of the stream from an offset on, where its database is known to be `db`.
    pub(super) fn new(at: Offset, db: Option<u32>) -> Filter {
        let stream = Stream::default();
        Filter { stream, at, db: db.map(u64::from), sent_db: None, copied_at: BTreeMap::new() }
    }

    /// A slot was copied as it was here.
    pub(super) fn copied(&mut self, slot: Slot, at: Offset) {
        self.copied_at.insert(slot, at);
    }

    /// The request that makes the other node use a database, if it doesn't.
    pub(super) fn select(&mut self, db: u64, out: &mut Vec<u8>) {
        if self.sent_db != Some(db) {
            self.sent_db = Some(db);
            out.extend(command(&[b"SELECT", db.to_string().as_bytes()]));
        }
    }

    /// Adds bytes of the stream; appends what of them is for the other node.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Unsplittable> {
        self.stream.push(bytes);
        while self.stream.parse().map_err(|_| Unsplittable("Unexpected state machine transition"))? {
            for at in 0..self.stream.commands().len() {
                self.one(at, out)?;
            }
            self.stream.drop_whole();
        }
        Ok(())
    }

    fn one(&mut self, index: usize, out: &mut Vec<u8>) -> Result<(), Unsplittable> {
        let begins = self.at;
        let found = &self.stream.commands()[index];
        self.at = Offset(begins.0 + found.bytes.len() as u64);
        let Some(spec) = found.spec else { return Ok(()) };
        let args = self.stream.args(found);
        if matches!(spec.run, Run::Node(NodeCommand::Select)) {
            self.db = args.get(1).and_then(baton_base::num::parse_u64);
            return Ok(());
        }
        let keys = key_positions(spec, args).unwrap_or_default();
        let mut slots = keys.iter().map(|key| Slot::of_key(args.at(key.index as usize)));
        let Some(slot) = slots.next() else {
            let deletes_all = spec.flags.contains(Flags::WRITE) && matches!(spec.run, Run::World(_));
            return if deletes_all { Err(Unsplittable("Data was flushed")) } else { Ok(()) };
        };
        if slots.any(|other| other != slot) {
            return Err(Unsplittable("A module replicated a cross-slot command"));
        }
        if self.copied_at.get(&slot).is_some_and(|copied| begins >= *copied) {
            let db = self.db.ok_or(Unsplittable("Unexpected state machine transition"))?;
            self.select(db, out);
            out.extend_from_slice(self.stream.bytes(index..index + 1));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(filter: &mut Filter, lines: &[&str]) -> Result<String, Unsplittable> {
        let mut out = Vec::new();
        for line in lines {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            filter.push(&command(&words), &mut out)?;
        }
        let text = String::from_utf8_lossy(&out).into_owned();
        Ok(text.split("\r\n").filter(|w| !w.is_empty() && !w.starts_with(['*', '$'])).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn only_what_a_copy_lacks_is_passed_on() {
        let mut filter = Filter::new(Offset(100), Some(0));
        let length = command(&[b"SET", b"{a}1", b"old"]).len() as u64;
        filter.copied(Slot::of_key(b"a"), Offset(100 + length));
        let sent = feed(&mut filter, &["SET {a}1 old", "SET {a}1 new", "SET {b}1 x", "PING", "DEL {a}1 {a}2"]);
        assert_eq!(sent.unwrap(), "SELECT 0 SET {a}1 new DEL {a}1 {a}2");
        let sent = feed(&mut filter, &["MULTI", "SELECT 3", "INCR {a}n", "INCR {b}n", "INCR {a}m", "EXEC"]);
        assert_eq!(sent.unwrap(), "SELECT 3 INCR {a}n INCR {a}m");
    }

    #[test]
    fn what_deletes_everything_ends_a_job() {
        let mut filter = Filter::new(Offset(0), Some(0));
        assert_eq!(feed(&mut filter, &["FLUSHALL"]), Err(Unsplittable("Data was flushed")));
    }
}
