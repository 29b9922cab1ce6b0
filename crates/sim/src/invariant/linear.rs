//! The registers are linearisable where writes are acknowledged by replicas: everything that clients were told can be
//! explained by one order in which each operation takes effect at one moment between its beginning and its answer. A write
//! whose outcome nobody heard may take effect late, or never.
//!
//! Each value is written once, so the operations around one value, its write and its reads, form a block, and an order
//! exists exactly if the blocks can be put in one. Block A has to precede block B if some operation of A ended before some
//! operation of B began, that is, if the earliest end in A lies before the latest beginning in B; and if such demands go
//! round in a circle, two blocks demand it of each other (Gibbons and Korach, Testing Shared Memories, 1997). So it takes
//! one look at each pair of values, however many operations overlap.

use baton_base::Mono;
use std::collections::BTreeMap;

/// What a client does to a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// Writes a value that nobody else writes, and which is not 0.
    Write(u64),
    /// Reads.
    Read,
}

/// One operation as its client saw it.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// What.
    pub what: What,
    /// When it was asked for.
    pub began: Mono,
    /// When it was answered, and what a read gave; none if its client knows nothing.
    pub ended: Option<(Mono, u64)>,
}

/// What clients did to all registers.
#[derive(Default)]
pub struct Linear {
    registers: BTreeMap<u16, Vec<Operation>>,
}

/// The operations around one value: the earliest end, and the latest beginning.
#[derive(Clone, Copy, Debug)]
struct Block {
    ends: Mono,
    begins: Mono,
    written: Option<Mono>,
}

impl Linear {
    /// A client begins something. Gives its number among what was done to this register.
    pub fn begin(&mut self, slot: u16, what: What, at: Mono) -> usize {
        let operations = self.registers.entry(slot).or_default();
        operations.push(Operation { what, began: at, ended: None });
        operations.len() - 1
    }

    /// A client has its answer.
    pub fn end(&mut self, slot: u16, number: usize, at: Mono, value: u64) {
        if let Some(operation) = self.registers.get_mut(&slot).and_then(|list| list.get_mut(number)) {
            operation.ended = Some((at, value));
        }
    }

    /// How many reads of registers were answered.
    pub fn reads(&self) -> u64 {
        let answered = |o: &&Operation| o.what == What::Read && o.ended.is_some();
        self.registers.values().flatten().filter(answered).count() as u64
    }

    /// Whether there is such an order for every register that counts.
    pub fn check(&self, counts: impl Fn(u16) -> bool) -> Result<(), String> {
        for (slot, operations) in self.registers.iter().filter(|(slot, _)| counts(**slot)) {
            explain(operations).map_err(|why| format!("the register of slot {slot} is not linearisable: {why}"))?;
        }
        Ok(())
    }
}

/// Whether there is such an order; else which two values contradict each other.
pub fn explain(operations: &[Operation]) -> Result<(), String> {
    let blocks = blocks(operations)?;
    for (i, (value, a)) in blocks.iter().enumerate() {
        for (other, b) in &blocks[i + 1..] {
            if a.ends < b.begins && b.ends < a.begins {
                return Err(format!(
                    "value {value:x} was there at {:?} and at {:?}, and {other:x} at {:?} and at {:?}",
                    a.ends, a.begins, b.ends, b.begins
                ));
            }
        }
    }
    Ok(())
}

/// The blocks of all values that somebody saw or knows to be written.
fn blocks(operations: &[Operation]) -> Result<Vec<(u64, Block)>, String> {
    let first = Block { ends: Mono::ZERO, begins: Mono::ZERO, written: Some(Mono::ZERO) };
    let mut blocks: BTreeMap<u64, Block> = BTreeMap::from([(0, first)]);
    let unseen = Block { ends: Mono::NEVER, begins: Mono::ZERO, written: None };
    let mut note = |value, operation: &Operation| {
        let block = blocks.entry(value).or_insert(unseen);
        block.begins = block.begins.max(operation.began);
        block.ends = operation.ended.map_or(block.ends, |(at, _)| block.ends.min(at));
        if matches!(operation.what, What::Write(_)) {
            block.written = Some(operation.began);
        }
    };
    for operation in operations {
        match (operation.what, operation.ended) {
            (What::Write(value), _) => note(value, operation),
            (What::Read, Some((_, value))) => note(value, operation),
            (What::Read, None) => {}
        }
    }
    for (value, block) in &blocks {
        match block.written {
            None => return Err(format!("{value:x} was read and nobody wrote it")),
            Some(at) if block.ends < at => return Err(format!("{value:x} was read before it was written")),
            Some(_) => {}
        }
    }
    // A write of which nobody heard may never have happened.
    Ok(blocks.into_iter().filter(|(_, block)| block.ends < Mono::NEVER).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(what: What, began: u64, ended: Option<(u64, u64)>) -> Operation {
        let ended = ended.map(|(at, value)| (Mono::from_millis(at), value));
        Operation { what, began: Mono::from_millis(began), ended }
    }

    fn write(value: u64, began: u64, ended: u64) -> Operation {
        at(What::Write(value), began, Some((ended, 0)))
    }

    fn read(value: u64, began: u64, ended: u64) -> Operation {
        at(What::Read, began, Some((ended, value)))
    }

    #[test]
    fn what_overlaps_may_take_either_order() {
        assert!(explain(&[write(1, 1, 10), read(0, 2, 3), read(1, 4, 5)]).is_ok());
        assert!(explain(&[write(1, 1, 10), read(1, 2, 3), read(0, 4, 5)]).is_err());
        assert!(explain(&[write(1, 1, 10), write(2, 1, 10), read(1, 11, 12), read(2, 13, 14)]).is_err());
    }

    #[test]
    fn lost_writes_and_old_reads_are_found() {
        assert!(explain(&[write(1, 1, 2), read(0, 3, 4)]).is_err());
        assert!(explain(&[write(1, 1, 2), write(2, 3, 4), read(1, 5, 6)]).is_err());
        assert!(explain(&[write(1, 1, 2), write(2, 3, 6), read(1, 5, 6)]).is_ok());
        assert!(explain(&[read(7, 1, 2)]).is_err());
    }

    #[test]
    fn without_an_answer_a_write_happens_late_or_never() {
        let pending = at(What::Write(7), 1, None);
        assert!(explain(&[pending, read(0, 2, 3)]).is_ok());
        assert!(explain(&[pending, read(0, 2, 3), read(7, 4, 5)]).is_ok());
        assert!(explain(&[pending, read(7, 2, 3), read(0, 4, 5)]).is_err());
        assert!(explain(&[read(7, 1, 2), at(What::Write(7), 3, None)]).is_err());
    }

    /// The slow twin: takes next whatever nothing unfinished has to precede, in all orders (Wing and Gong).
    fn any_order(value: u64, rest: &[Operation]) -> bool {
        let answered = |o: &Operation| o.ended.is_some();
        if !rest.iter().any(answered) {
            return true;
        }
        let first_end = rest.iter().filter_map(|o| o.ended).map(|(at, _)| at).min();
        (0..rest.len()).any(|i| {
            let next = rest[i];
            let others: Vec<Operation> = rest.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, o)| *o).collect();
            first_end.is_none_or(|end| next.began <= end)
                && match (next.what, next.ended) {
                    (What::Write(written), _) => any_order(written, &others),
                    (What::Read, Some((_, seen))) => seen == value && any_order(value, &others),
                    (What::Read, None) => any_order(value, &others),
                }
        })
    }

    proptest! {
        #[test]
        fn both_ways_to_look_for_an_order_agree(shape in prop::collection::vec(
            (0..12u64, 0..8u64, any::<bool>(), 0..4u64, 0..6u64), 1..7)) {
            let operations: Vec<Operation> = shape.iter().enumerate().map(|(i, (began, took, writes, seen, lost))| {
                let what = if *writes { What::Write(1 + i as u64) } else { What::Read };
                // What is read is mostly something that somebody wrote.
                let writers: Vec<u64> = shape.iter().enumerate().filter(|(_, s)| s.2).map(|(j, _)| 1 + j as u64).collect();
                let value = if *seen == 0 { 0 } else { writers.get(*seen as usize % writers.len().max(1)).copied().unwrap_or(0) };
                at(what, 1 + began, (*lost > 0).then_some((1 + began + took, value)))
            }).collect();
            prop_assert_eq!(explain(&operations).is_ok(), any_order(0, &operations), "{:?}", operations);
        }
    }
}
