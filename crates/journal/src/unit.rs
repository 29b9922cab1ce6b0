//! A unit: everything that one client command (or one EXEC, one script) adds to the stream. It is encoded by the worker
//! before the log is locked, so that the lock covers nothing but copying. Holds no offset and never decides on MULTI or
//! SELECT: both depend on where the unit lands.

use crate::encode;

/// The ops of one unit, already in stream form. Workers keep one and reuse it: its buffers keep their memory.
#[derive(Debug, Default)]
pub struct Unit {
    bytes: Vec<u8>,
    ops: usize,
    runs: Vec<Run>,
}

/// Consecutive ops of one database, `bytes[previous end..end]`.
#[derive(Clone, Copy, Debug)]
struct Run {
    db: u32,
    end: usize,
}

impl Unit {
    /// An empty unit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one op that applies to database `db`. Its arguments are written as they are.
    pub fn push<A: AsRef<[u8]>>(&mut self, db: u32, args: &[A]) {
        encode::command(&mut self.bytes, args);
        self.ops += 1;
        let end = self.bytes.len();
        match self.runs.last_mut() {
            Some(run) if run.db == db => run.end = end,
            _ => self.runs.push(Run { db, end }),
        }
    }

    /// Forgets the ops. Memory is kept unless an unusually large unit left more than [`Unit::KEPT_BYTES`] behind.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(Self::KEPT_BYTES);
        self.ops = 0;
        self.runs.clear();
    }

    /// How many ops it has. More than one travels as a transaction (replication 3.1).
    pub fn len(&self) -> usize {
        self.ops
    }

    /// Whether it has no op.
    pub fn is_empty(&self) -> bool {
        self.ops == 0
    }

    /// Bytes of its ops, without MULTI, EXEC and SELECT.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Buffer memory that [`Unit::clear`] keeps for the next unit, in bytes.
    pub const KEPT_BYTES: usize = 64 * 1024;

    /// The database and bytes of each run of ops, in order.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let mut start = 0;
        self.runs.iter().map(move |run| (run.db, &self.bytes[std::mem::replace(&mut start, run.end)..run.end]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_of_one_database_form_a_run() {
        let mut unit = Unit::new();
        unit.push(0, &[b"A"]);
        unit.push(0, &[b"B"]);
        unit.push(3, &[b"C"]);
        unit.push(0, &[b"D"]);
        let runs: Vec<(u32, &[u8])> = unit.runs().collect();
        let expected: [(u32, &[u8]); 3] =
            [(0, b"*1\r\n$1\r\nA\r\n*1\r\n$1\r\nB\r\n"), (3, b"*1\r\n$1\r\nC\r\n"), (0, b"*1\r\n$1\r\nD\r\n")];
        assert_eq!(runs, expected);
        assert_eq!(unit.len(), 4);
        unit.clear();
        assert!(unit.is_empty() && unit.runs().next().is_none() && unit.bytes_len() == 0);
    }

    #[test]
    fn a_huge_unit_does_not_keep_its_memory() {
        let mut unit = Unit::new();
        unit.push(0, &[vec![b'x'; 10 * Unit::KEPT_BYTES]]);
        unit.clear();
        assert!(unit.bytes.capacity() <= 2 * Unit::KEPT_BYTES);
    }
}
