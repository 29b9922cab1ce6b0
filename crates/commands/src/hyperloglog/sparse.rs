//! Registers as runs of equal ones, for as long as most are 0.
//!
//! ```text
//! 00llllll           1 to 64 registers that are 0
//! 01llllll llllllll  1 to 16384 registers that are 0
//! 1vvvvvll           1 to 4 registers that are 1 to 32
//! ```
//!
//! Which runs stand for given registers follows from the order in which they were raised, and replicas and files see the
//! bytes: so how a run is split, and which neighbours are joined then, is as fixed as the format.

use std::ops::Range;

use smallvec::SmallVec;

use super::{Corrupt, REGISTERS};

/// All registers 0.
pub(super) const EMPTY: [u8; 2] = [0x7f, 0xff];

/// Largest value of a run.
const VALUE_MAX: u8 = 32;
/// Longest run of registers that are not 0.
const VALUE_RUN_MAX: usize = 4;
/// Longest run of zeroes in one byte.
const ZERO_RUN_MAX: usize = 64;
/// How many runs are looked at for neighbours to join, from the one before the change on.
const JOIN_RUNS: usize = 5;

/// A run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Its registers' value.
    pub(super) value: u8,
    /// How many there are.
    pub(super) len: usize,
    /// How many bytes it takes.
    pub(super) bytes: usize,
}

/// The run that these bytes begin with; none if they end, or end within it.
pub(super) fn first(bytes: &[u8]) -> Option<Run> {
    let len = |byte: u8, bits: u32| usize::from(byte & ((1 << bits) - 1)) + 1;
    match *bytes {
        [first @ ..0x40, ..] => Some(Run { value: 0, len: len(first, 6), bytes: 1 }),
        [first @ 0x40..0x80, second, ..] => {
            Some(Run { value: 0, len: (usize::from(first & 0x3f) << 8 | usize::from(second)) + 1, bytes: 2 })
        }
        [first @ 0x80..=0xff, ..] => Some(Run { value: (first >> 2 & 0x1f) + 1, len: len(first, 2), bytes: 1 }),
        _ => None,
    }
}

/// All runs up to the first that is not whole.
pub(super) fn runs(bytes: &[u8]) -> impl Iterator<Item = Run> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let run = first(rest)?;
        rest = &rest[run.bytes..];
        Some(run)
    })
}

/// Shows every run of registers that are not 0. All registers have to be there, and no more.
pub(super) fn each(bytes: &[u8], mut show: impl FnMut(Range<usize>, u8)) -> Result<(), Corrupt> {
    let (mut start, mut used) = (0, 0);
    for run in runs(bytes) {
        let end = start + run.len;
        if end > REGISTERS {
            return Err(Corrupt);
        }
        if run.value != 0 {
            show(start..end, run.value);
        }
        (start, used) = (end, used + run.bytes);
    }
    if start == REGISTERS && used == bytes.len() { Ok(()) } else { Err(Corrupt) }
}

/// What became of a register that was to be raised.
pub(super) enum Raised {
    /// It is as large already.
    No,
    /// It was raised.
    Yes,
    /// It can't be, in this form.
    TooLarge,
}

type Parts = SmallVec<[u8; 5]>;

fn push_run(out: &mut Parts, value: u8, len: usize) {
    match len {
        0 => {}
        _ if value != 0 => out.push(0x80 | (value - 1) << 2 | (len - 1) as u8),
        1..=ZERO_RUN_MAX => out.push((len - 1) as u8),
        _ => out.extend((0x4000 | (len - 1) as u16).to_be_bytes()),
    }
}

/// Raises a register to a value. The runs begin at `start` and `bytes` may not become longer than `bytes_max` by it.
pub(super) fn raise(
    bytes: &mut Vec<u8>,
    start: usize,
    index: usize,
    value: u8,
    bytes_max: usize,
) -> Result<Raised, Corrupt> {
    if value > VALUE_MAX {
        return Ok(Raised::TooLarge);
    }
    let (mut at, mut before, mut register) = (start, start, 0);
    let run = loop {
        let run = first(&bytes[at..]).ok_or(Corrupt)?;
        if index < register + run.len {
            break run;
        }
        (before, at, register) = (at, at + run.bytes, register + run.len);
    };
    if run.value >= value {
        return Ok(Raised::No);
    }
    let mut parts = Parts::new();
    push_run(&mut parts, run.value, index - register);
    push_run(&mut parts, value, 1);
    push_run(&mut parts, run.value, register + run.len - index - 1);
    if parts.len() > run.bytes && bytes.len() + parts.len() - run.bytes > bytes_max {
        return Ok(Raised::TooLarge);
    }
    bytes.splice(at..at + run.bytes, parts);
    join(bytes, before);
    Ok(Raised::Yes)
}

/// Joins neighbours of equal value that fit into one run.
fn join(bytes: &mut Vec<u8>, from: usize) {
    let mut at = from;
    for _ in 0..JOIN_RUNS {
        let Some(run) = bytes.get(at..).and_then(first) else { return };
        let next = first(&bytes[at + run.bytes..]);
        match next {
            Some(next) if run.value != 0 && next.value == run.value && run.len + next.len <= VALUE_RUN_MAX => {
                let mut joined = Parts::new();
                push_run(&mut joined, run.value, run.len + next.len);
                bytes.splice(at..at + 2, joined);
            }
            _ => at += run.bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_if_each_register_had_a_byte(
            raises in proptest::collection::vec((prop_oneof![0..200usize, 0..REGISTERS], 1u8..34), 0..600),
        ) {
            let (mut bytes, mut naive) = (EMPTY.to_vec(), vec![0u8; REGISTERS]);
            for (index, value) in raises {
                match raise(&mut bytes, 0, index, value, 3000).expect("well-formed") {
                    Raised::No => prop_assert!(naive[index] >= value),
                    Raised::Yes => {
                        prop_assert!(naive[index] < value && bytes.len() <= 3000);
                        naive[index] = value;
                    }
                    Raised::TooLarge => prop_assert!(value > VALUE_MAX || bytes.len() > 2990),
                }
            }
            let mut shown = vec![0u8; REGISTERS];
            prop_assert_eq!(each(&bytes, |range, value| shown[range].fill(value)), Ok(()));
            prop_assert_eq!(shown, naive);
        }

        #[test]
        fn foreign_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            index in 0..REGISTERS,
            value in 1u8..64,
        ) {
            let _ = each(&bytes, |range, _| assert!(range.end <= REGISTERS));
            let mut changed = bytes.clone();
            let _ = raise(&mut changed, 0, index, value, 3000);
            prop_assert!(changed.len() <= bytes.len() + 4);
        }
    }
}
