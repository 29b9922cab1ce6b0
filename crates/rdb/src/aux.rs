//! The named facts at the start of a file and beside its slots: what upstream writes there, and what of it a server acts
//! upon (rdb 1). Unknown facts are nobody's error.

use baton_base::{Offset, ReplId, Slot, WallMs, num};

/// Where in a history of replication a snapshot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicationPoint {
    /// Name of the history.
    pub id: ReplId,
    /// Bytes of the stream that the snapshot includes.
    pub offset: Offset,
    /// The database selected in the stream at that point; none if the next command carries a SELECT.
    pub stream_db: Option<u32>,
}

/// What a file says about itself before its first entry.
#[derive(Clone, Copy, Debug)]
pub struct Preamble<'a> {
    /// Version of the writing server.
    pub server_version: &'a str,
    /// When it was written.
    pub created_at: WallMs,
    /// Memory in use while it was written.
    pub used_memory_bytes: u64,
    /// Its place in a history; none if there is no history.
    pub replication: Option<ReplicationPoint>,
    /// Whether it is the base of an append-only log.
    pub is_aof_base: bool,
}

/// How many keys a slot holds: the fact `slot-info`, and the opcode that did the same before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotCounts {
    /// The slot.
    pub slot: Slot,
    /// Number of keys.
    pub keys: u64,
    /// How many of them expire.
    pub expires: u64,
    /// How many of them have fields that expire.
    pub volatile: u64,
}

impl SlotCounts {
    /// Reads `slot,keys,expires[,volatile[,...]]`; none if that is not what it is.
    pub(crate) fn parse(text: &[u8]) -> Option<SlotCounts> {
        let mut numbers = text.split(|&b| b == b',').map(num::parse_u64);
        let slot = Slot::new(u16::try_from(numbers.next()??).ok()?)?;
        let (keys, expires) = (numbers.next()??, numbers.next()??);
        Some(SlotCounts { slot, keys, expires, volatile: numbers.next().flatten().unwrap_or(0) })
    }
}

/// The facts of a file that matter for what happens after loading it. Feed it every [`Event::Aux`](crate::Event::Aux).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuxFacts {
    /// `repl-id`.
    pub repl_id: Option<ReplId>,
    /// `repl-offset`.
    pub repl_offset: Option<Offset>,
    /// `repl-stream-db`.
    pub repl_stream_db: Option<u32>,
    /// `ctime`, in seconds since 1970.
    pub created_at_secs: Option<u64>,
    /// `used-mem`.
    pub used_memory_bytes: Option<u64>,
    /// `aof-base`, or `aof-preamble` of older writers.
    pub is_aof_base: bool,
}

impl AuxFacts {
    /// Takes note of a fact if it is one of these and makes sense.
    pub fn note(&mut self, name: &[u8], value: &[u8]) {
        let number = num::parse_u64(value);
        match name {
            b"repl-id" => self.repl_id = ReplId::parse(value).ok(),
            b"repl-offset" => self.repl_offset = number.map(Offset),
            b"repl-stream-db" => self.repl_stream_db = number.and_then(|n| u32::try_from(n).ok()),
            b"ctime" => self.created_at_secs = number,
            b"used-mem" => self.used_memory_bytes = number,
            b"aof-base" | b"aof-preamble" => self.is_aof_base = number.is_some_and(|n| n != 0),
            _ => {}
        }
    }

    /// The place in a history, if the file names one. Two out of three facts are not enough to continue from.
    pub fn replication(&self) -> Option<ReplicationPoint> {
        self.repl_stream_db?;
        Some(ReplicationPoint { id: self.repl_id?, offset: self.repl_offset?, stream_db: self.repl_stream_db })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_counts_need_three_numbers_and_ignore_the_sixth() {
        let of =
            |text: &str| SlotCounts::parse(text.as_bytes()).map(|c| (c.slot.number(), c.keys, c.expires, c.volatile));
        assert_eq!(of("7,3,2,1"), Some((7, 3, 2, 1)));
        assert_eq!(of("7,3,2"), Some((7, 3, 2, 0)));
        assert_eq!(of("7,3,2,1,9,x"), Some((7, 3, 2, 1)));
        for bad in ["", "7", "7,3", "16384,1,1", "-1,1,1", "7,x,1"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_history_needs_all_three_facts() {
        let mut facts = AuxFacts::default();
        facts.note(b"repl-id", &[b'a'; 40]);
        facts.note(b"repl-offset", b"12");
        assert_eq!(facts.replication(), None);
        facts.note(b"repl-stream-db", b"3");
        let point = facts.replication().expect("complete");
        assert_eq!((point.offset, point.stream_db), (Offset(12), Some(3)));
    }
}
