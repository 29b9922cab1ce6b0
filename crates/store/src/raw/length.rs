//! Lengths inside a record: seven bits a byte, lowest first, the last byte below 0x80. Keys and values are short, so most
//! lengths take one byte.

use std::ptr::NonNull;

/// Bytes that a length takes.
#[inline]
pub(super) const fn length_size(n: usize) -> usize {
    if n < 0x80 { 1 } else { (usize::BITS - n.leading_zeros()).div_ceil(7) as usize }
}

/// Writes a length; gives the address behind it.
///
/// # Safety
/// `length_size(n)` bytes from `at` on may be written.
#[expect(unsafe_code, reason = "writes at a raw address")]
#[inline]
pub(super) unsafe fn write_length(mut at: NonNull<u8>, mut n: usize) -> NonNull<u8> {
    // SAFETY: the loop writes `length_size(n)` bytes.
    unsafe {
        while n >= 0x80 {
            at.write(n as u8 | 0x80);
            at = at.add(1);
            n >>= 7;
        }
        at.write(n as u8);
        at.add(1)
    }
}

/// Reads a length and how many bytes it takes.
///
/// # Safety
/// `write_length` wrote one at `at`.
#[expect(unsafe_code, reason = "reads at a raw address")]
#[inline]
pub(super) unsafe fn read_length(at: NonNull<u8>) -> (usize, usize) {
    // SAFETY: a written length ends with a byte below 0x80, so the loop stays inside it.
    unsafe {
        let first = at.read();
        if first < 0x80 {
            return (usize::from(first), 1);
        }
        let (mut n, mut size) = (usize::from(first & 0x7F), 1);
        loop {
            let byte = at.add(size).read();
            n |= usize::from(byte & 0x7F) << (7 * size);
            size += 1;
            if byte < 0x80 {
                return (n, size);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "writes and reads a buffer")]
    fn lengths_are_read_back() {
        for n in [0, 1, 127, 128, 16_383, 16_384, 512 << 20, usize::MAX] {
            let mut bytes = [0u8; 10];
            let at = NonNull::from(&mut bytes).cast::<u8>();
            // SAFETY: ten bytes hold the longest length of 64 bits.
            let (end, read) = unsafe { (write_length(at, n), read_length(at)) };
            assert_eq!(read, (n, length_size(n)));
            assert_eq!(end.addr().get() - at.addr().get(), length_size(n));
        }
    }
}
