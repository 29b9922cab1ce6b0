//! BITFIELD: numbers of any width at any bit of a string.
//!
//! What the operations write is gathered beside the string first, byte by byte, and written in one go: so an operation
//! sees what the ones before it wrote, and a request that changes nothing touches nothing.

use std::collections::BTreeMap;

use baton_resp::Args;

use super::field_args::{Action, Kind, Operation, Overflow, only_reads, parse};
use super::string_of;
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::key_spec::{KeyFlags, key_flags};

/// BITFIELD key [GET type offset | [OVERFLOW WRAP|SAT|FAIL] SET type offset value | INCRBY type offset increment ...].
pub(crate) fn bitfield(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let operations = parse(x)?;
    run(x, &operations)
}

/// BITFIELD_RO key [GET type offset ...].
pub(crate) fn bitfield_ro(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let operations = parse(x)?;
    if operations.iter().any(Operation::writes) {
        return Err(Fail::Text("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    run(x, &operations)
}

/// What BITFIELD does to its key with these arguments.
pub(crate) fn bitfield_key_flags(args: Args<'_>) -> KeyFlags {
    if only_reads(args) { key_flags!(RO | ACCESS) } else { key_flags!(RW | ACCESS | UPDATE) }
}

fn run(x: &mut Exec<'_, '_>, operations: &[Operation]) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let writes = operations.iter().any(Operation::writes);
    let entry = if writes { x.view.peek(&key) } else { x.view.read(&key, x.touch) };
    let text = entry.as_ref().map(string_of).transpose()?;
    let mut scratch = itoa::Buffer::new();
    let bytes = text.as_ref().map_or(&b""[..], |text| text.bytes(&mut scratch));
    // The string is made long enough for all that is to be written, even where some of it then is not.
    let wanted = operations.iter().filter(|operation| operation.writes()).map(Operation::bytes_end).max();
    let grows = wanted.is_some_and(|wanted| wanted > bytes.len() as u64);
    let mut overlay = Overlay { bytes, written: BTreeMap::new() };
    let mut changes = 0;
    x.out.array(operations.len());
    for operation in operations {
        let outcome = operation.outcome(overlay.read(operation));
        match outcome.reply {
            Some(reply) => x.out.int(reply),
            None => x.out.null(),
        }
        if let Some((old, new)) = outcome.write {
            overlay.write(operation, new);
            changes += u64::from(grows || old != new);
        }
    }
    let written = overlay.written;
    if changes > 0 {
        x.notify_if_new(&key);
        x.view.change_str(&key, wanted.unwrap_or(0) as usize, |bytes| {
            written.iter().for_each(|(at, byte)| bytes[*at as usize] = *byte);
            changes
        });
        x.notify(EventClass::STRING, "setbit", &key);
    }
    Ok(())
}

/// A string and what was written over it.
struct Overlay<'a> {
    bytes: &'a [u8],
    written: BTreeMap<u64, u8>,
}

impl Overlay<'_> {
    fn byte(&self, at: u64) -> u8 {
        let below = || usize::try_from(at).ok().and_then(|at| self.bytes.get(at).copied());
        self.written.get(&at).copied().or_else(below).unwrap_or(0)
    }

    /// The field's bits, in the low bits of the result.
    fn read(&self, field: &Operation) -> u64 {
        let bytes = field.bytes_start()..field.bytes_end();
        let wide = bytes.fold(0u128, |wide, at| wide << 8 | u128::from(self.byte(at)));
        (wide >> field.bits_behind()) as u64 & field.kind.mask()
    }

    fn write(&mut self, field: &Operation, bits: u64) {
        let behind = field.bits_behind();
        let (mask, bits) = (u128::from(field.kind.mask()) << behind, u128::from(bits) << behind);
        for (nth, at) in (field.bytes_start()..field.bytes_end()).rev().enumerate() {
            let part = |wide: u128| (wide >> (8 * nth)) as u8;
            let byte = self.byte(at) & !part(mask) | part(bits);
            self.written.insert(at, byte);
        }
    }
}

/// What an operation comes to.
struct Outcome {
    /// None is null.
    reply: Option<i64>,
    /// The bits before and after, if it writes.
    write: Option<(u64, u64)>,
}

impl Operation {
    fn writes(&self) -> bool {
        !matches!(self.action, Action::Get)
    }

    /// The first byte with bits of the field.
    fn bytes_start(&self) -> u64 {
        self.offset / 8
    }

    /// The byte behind the last one with bits of the field.
    fn bytes_end(&self) -> u64 {
        (self.offset + u64::from(self.kind.bits)).div_ceil(8)
    }

    /// How many bits of the last byte lie behind the field.
    fn bits_behind(&self) -> u64 {
        8 * self.bytes_end() - self.offset - u64::from(self.kind.bits)
    }

    fn outcome(&self, old: u64) -> Outcome {
        let kind = self.kind;
        let before = kind.value(old);
        let (target, overflow) = match self.action {
            Action::Get => return Outcome { reply: Some(before), write: None },
            Action::Set(value, overflow) if kind.is_signed => (i128::from(value), overflow),
            // A negative number in an unsigned field is a very large one.
            Action::Set(value, overflow) => (i128::from(value as u64), overflow),
            Action::Add(increment, overflow) => (i128::from(before) + i128::from(increment), overflow),
        };
        let Some(new) = kind.fit(target, overflow) else { return Outcome { reply: None, write: None } };
        let reply = if matches!(self.action, Action::Set(..)) { before } else { kind.value(new) };
        Outcome { reply: Some(reply), write: Some((old, new)) }
    }
}

impl Kind {
    fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    /// The number that these bits are.
    fn value(self, bits: u64) -> i64 {
        let unused = 64 - self.bits;
        if self.is_signed { (bits << unused) as i64 >> unused } else { bits as i64 }
    }

    /// The bits of a number; none if it doesn't fit and that is to be refused.
    fn fit(self, number: i128, overflow: Overflow) -> Option<u64> {
        let min = if self.is_signed { -(1i128 << (self.bits - 1)) } else { 0 };
        let max = min + i128::from(self.mask());
        let kept = match overflow {
            _ if (min..=max).contains(&number) => number,
            Overflow::Wrap => number,
            Overflow::Saturate => number.clamp(min, max),
            Overflow::Fail => return None,
        };
        Some(kept as u64 & self.mask())
    }
}
