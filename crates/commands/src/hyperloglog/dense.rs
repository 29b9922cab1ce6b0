//! Registers of six bits each, the first in the low bits of the first byte.

use super::{REGISTERS, Registers};

const BITS: usize = 6;
const MAX: u8 = (1 << BITS) - 1;

/// Bytes of all registers.
pub(super) const BYTES: usize = REGISTERS * BITS / 8;

/// Where a register begins: which byte, and how many bits into it.
fn place(index: usize) -> (usize, usize) {
    (index * BITS / 8, index * BITS % 8)
}

/// A register.
pub(super) fn get(bytes: &[u8], index: usize) -> u8 {
    let (at, shift) = place(index);
    let next = bytes.get(at + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([bytes[at], next]) >> shift) as u8 & MAX
}

fn set(bytes: &mut [u8], index: usize, value: u8) {
    let (at, shift) = place(index);
    let next = bytes.get(at + 1).copied().unwrap_or(0);
    let both = u16::from_le_bytes([bytes[at], next]) & !(u16::from(MAX) << shift) | u16::from(value & MAX) << shift;
    bytes[at] = both as u8;
    // The last register ends with the last byte.
    if let Some(next) = bytes.get_mut(at + 1) {
        *next = (both >> 8) as u8;
    }
}

/// Raises a register to a value; tells whether it was lower.
pub(super) fn raise(bytes: &mut [u8], index: usize, value: u8) -> bool {
    let is_lower = get(bytes, index) < value;
    if is_lower {
        set(bytes, index, value);
    }
    is_lower
}

/// Shows every register that is not 0, in order.
pub(super) fn each(bytes: &[u8], mut show: impl FnMut(usize, u8)) {
    // Four registers fill three bytes.
    for (nth, three) in bytes.as_chunks::<3>().0.iter().enumerate() {
        let four = u32::from_le_bytes([three[0], three[1], three[2], 0]);
        for i in 0..4 {
            let value = (four >> (BITS * i)) as u8 & MAX;
            if value != 0 {
                show(4 * nth + i, value);
            }
        }
    }
}

/// The bytes of these registers.
pub(super) fn of(registers: &Registers) -> Vec<u8> {
    let mut bytes = vec![0; BYTES];
    registers.iter().enumerate().filter(|(_, value)| **value != 0).for_each(|(i, value)| set(&mut bytes, i, *value));
    bytes
}
