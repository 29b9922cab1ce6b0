//! What BITFIELD is asked to do: parsing only.

use baton_base::num::parse_i64;
use baton_resp::Args;

use super::OFFSET_REFUSED;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::int;

/// What to do about a number that doesn't fit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Overflow {
    /// Keep its low bits.
    Wrap,
    /// Take the nearest that fits.
    Saturate,
    /// Write nothing and reply null.
    Fail,
}

/// What to do with a field.
#[derive(Clone, Copy)]
pub(super) enum Action {
    /// Reply it.
    Get,
    /// Write it, and reply what was there.
    Set(i64, Overflow),
    /// Add to it, and reply the sum.
    Add(i64, Overflow),
}

/// How a field is to be read.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) is_signed: bool,
    /// 1 to 64, 1 to 63 without sign.
    pub(super) bits: u32,
}

/// One operation.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    pub(super) kind: Kind,
    /// The first bit of the field.
    pub(super) offset: u64,
    pub(super) action: Action,
}

/// All operations of a request, in order.
pub(super) fn parse(x: &Exec<'_, '_>) -> Result<Vec<Operation>, Fail> {
    let (args, mut i) = (x.args, 2);
    let mut overflow = Overflow::Wrap;
    let mut operations = Vec::new();
    while let Some(word) = args.get(i) {
        let is = |name: &[u8], more: usize| word.eq_ignore_ascii_case(name) && i + more < args.len();
        let make: fn(i64, Overflow) -> Action = match () {
            () if is(b"GET", 2) => |_, _| Action::Get,
            () if is(b"SET", 3) => Action::Set,
            () if is(b"INCRBY", 3) => Action::Add,
            () if is(b"OVERFLOW", 1) => {
                overflow = overflow_of(&args[i + 1])?;
                i += 2;
                continue;
            }
            () => return Err(Fail::Syntax),
        };
        let kind = kind_of(&args[i + 1])?;
        let offset = offset_of(&args[i + 2], kind.bits, x)?;
        let is_get = is(b"GET", 2);
        let number = if is_get { 0 } else { int(&args[i + 3])? };
        operations.push(Operation { kind, offset, action: make(number, overflow) });
        i += if is_get { 3 } else { 4 };
    }
    Ok(operations)
}

/// Whether a request says nothing but GET, as far as it can be told without running it.
pub(super) fn only_reads(args: Args<'_>) -> bool {
    let is = |i: usize, name: &[u8]| args.get(i).is_some_and(|word| word.eq_ignore_ascii_case(name));
    let mut at = 2;
    while at < args.len() {
        at += match () {
            () if is(at, b"GET") => 3,
            () if is(at, b"OVERFLOW") => 2,
            () => return false,
        };
    }
    true
}

fn overflow_of(word: &[u8]) -> Result<Overflow, Fail> {
    match word.to_ascii_uppercase().as_slice() {
        b"WRAP" => Ok(Overflow::Wrap),
        b"SAT" => Ok(Overflow::Saturate),
        b"FAIL" => Ok(Overflow::Fail),
        _ => Err(Fail::Text("ERR Invalid OVERFLOW type specified")),
    }
}

fn kind_of(word: &[u8]) -> Result<Kind, Fail> {
    let (is_signed, bits) = match word {
        [b'i', bits @ ..] => (true, parse_i64(bits)),
        [b'u', bits @ ..] => (false, parse_i64(bits)),
        _ => (false, None),
    };
    let bits = bits.filter(|bits| (1..=63 + i64::from(is_signed)).contains(bits)).ok_or(Fail::Text(KIND_REFUSED))?;
    Ok(Kind { is_signed, bits: bits as u32 })
}

/// Where a field begins: a bit, or with `#` the number of a field where all are as wide as this one.
fn offset_of(word: &[u8], bits: u32, x: &Exec<'_, '_>) -> Result<u64, Fail> {
    let (number, unit) = match word {
        [b'#', number @ ..] => (number, u64::from(bits)),
        number => (number, 1),
    };
    let offset = parse_i64(number).and_then(|n| u64::try_from(n).ok()).and_then(|n| n.checked_mul(unit));
    offset.filter(|bit| bit >> 3 < x.env.bulk_bytes_max).ok_or(Fail::Text(OFFSET_REFUSED))
}

const KIND_REFUSED: &str =
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
