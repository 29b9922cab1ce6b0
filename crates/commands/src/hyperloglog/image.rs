//! A HyperLogLog as bytes.
//!
//! ```text
//! "HYLL" | 0 dense, 1 sparse | 3 bytes, 0 | u64 little-endian: the number it came to, top bit: out of date | registers
//! ```
//!
//! Bytes come from clients: anything may stand in them behind the head that [`form`] looked at.

use super::{Corrupt, Registers, dense, sparse};
use crate::fail::Fail;

/// Bytes before the registers.
pub(super) const HEADER_BYTES: usize = 16;
const MAGIC: &[u8; 4] = b"HYLL";
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// The last byte of the number, whose top bit says that it is out of date.
const STALE_AT: usize = 15;
const STALE: u8 = 0x80;

/// How the registers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Six bits each.
    Dense,
    /// As runs of equal ones.
    Sparse,
}

impl Form {
    /// The name that PFDEBUG replies.
    pub(super) fn name(self) -> &'static str {
        match self {
            Form::Dense => "dense",
            Form::Sparse => "sparse",
        }
    }
}

/// What these bytes are by their head and length.
pub(super) fn form(bytes: &[u8]) -> Result<Form, Fail> {
    let form = match bytes.get(MAGIC.len()) {
        Some(&DENSE) if bytes.len() == HEADER_BYTES + dense::BYTES => Some(Form::Dense),
        Some(&SPARSE) if bytes.len() >= HEADER_BYTES => Some(Form::Sparse),
        _ => None,
    };
    let refused = Fail::Text("WRONGTYPE Key is not a valid HyperLogLog string value.");
    form.filter(|_| bytes.starts_with(MAGIC)).ok_or(refused)
}

/// One that nothing was added to.
pub(super) fn empty() -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[MAGIC.len()] = SPARSE;
    bytes.extend(sparse::EMPTY);
    bytes
}

/// The number it came to when it was counted last, if nothing changed since.
pub(super) fn cached(bytes: &[u8]) -> Option<u64> {
    let number: [u8; 8] = bytes[STALE_AT - 7..=STALE_AT].try_into().expect("eight bytes");
    (bytes[STALE_AT] & STALE == 0).then(|| u64::from_le_bytes(number))
}

/// Keeps the number it came to.
pub(super) fn set_cached(bytes: &mut [u8], number: u64) {
    bytes[STALE_AT - 7..=STALE_AT].copy_from_slice(&number.to_le_bytes());
}

/// Marks the number as out of date.
pub(super) fn mark_stale(bytes: &mut [u8]) {
    bytes[STALE_AT] |= STALE;
}

/// Raises each register to the one in the bytes where that is larger.
pub(super) fn merge_into(registers: &mut Registers, bytes: &[u8], form: Form) -> Result<(), Corrupt> {
    match form {
        Form::Dense => dense::each(&bytes[HEADER_BYTES..], |index, value| {
            registers[index] = registers[index].max(value);
        }),
        Form::Sparse => sparse::each(&bytes[HEADER_BYTES..], |range, value| {
            registers[range].iter_mut().for_each(|register| *register = value.max(*register));
        })?,
    }
    Ok(())
}

/// Makes the registers dense, keeping the head; tells whether they were not.
pub(super) fn make_dense(bytes: &mut Vec<u8>) -> Result<bool, Corrupt> {
    if bytes[MAGIC.len()] == DENSE {
        return Ok(false);
    }
    let mut registers = [0; super::REGISTERS];
    merge_into(&mut registers, bytes, Form::Sparse)?;
    bytes.truncate(HEADER_BYTES);
    bytes[MAGIC.len()] = DENSE;
    bytes.extend(dense::of(&registers));
    Ok(true)
}

/// Raises a register to a value; tells whether it was lower. Sparse registers become dense where they would take more
/// than `sparse_bytes_max` bytes with the head, or can't express the value.
pub(super) fn raise(bytes: &mut Vec<u8>, index: usize, value: u8, sparse_bytes_max: usize) -> Result<bool, Corrupt> {
    if bytes[MAGIC.len()] == SPARSE {
        match sparse::raise(bytes, HEADER_BYTES, index, value, sparse_bytes_max)? {
            sparse::Raised::No => return Ok(false),
            sparse::Raised::Yes => return Ok(true),
            sparse::Raised::TooLarge => make_dense(bytes)?,
        };
    }
    Ok(dense::raise(&mut bytes[HEADER_BYTES..], index, value))
}
