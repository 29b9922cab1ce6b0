//! Counting and finding bits in bytes. Plain functions over slices; ranges are of bits.

use std::ops::Range;

/// Bits of a byte that lie in a range, given where its first bit is.
fn mask(byte_at: u64, range: &Range<u64>) -> u8 {
    let from = range.start.saturating_sub(byte_at).min(8) as u32;
    let to = range.end.saturating_sub(byte_at).min(8) as u32;
    if from >= to {
        return 0;
    }
    let behind = 0xffu16 >> from & !(0xffu16 >> to);
    behind as u8
}

/// The part of a range that lies in the bytes.
fn clipped(bytes: &[u8], range: Range<u64>) -> Range<u64> {
    range.start..range.end.min(8 * bytes.len() as u64)
}

/// How many bits of a range are set.
pub(super) fn count_set(bytes: &[u8], range: Range<u64>) -> u64 {
    let range = clipped(bytes, range);
    if range.start >= range.end {
        return 0;
    }
    let (first, last) = ((range.start / 8) as usize, ((range.end - 1) / 8) as usize);
    let edge = |at: usize| u64::from((bytes[at] & mask(8 * at as u64, &range)).count_ones());
    if first == last {
        return edge(first);
    }
    let (words, rest) = bytes[first + 1..last].as_chunks::<8>();
    let whole: u64 = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    let rest: u64 = rest.iter().map(|byte| u64::from(byte.count_ones())).sum();
    edge(first) + whole + rest + edge(last)
}

/// The first bit of a range that is set, or clear.
pub(super) fn first(bytes: &[u8], range: Range<u64>, is_set: bool) -> Option<u64> {
    let range = clipped(bytes, range);
    if range.start >= range.end {
        return None;
    }
    let nothing = if is_set { 0 } else { 0xff };
    let (mut at, last) = ((range.start / 8) as usize, ((range.end - 1) / 8) as usize);
    loop {
        let found = (bytes[at] ^ nothing) & mask(8 * at as u64, &range);
        if found != 0 {
            return Some(8 * at as u64 + u64::from(found.leading_zeros()));
        }
        at += 1;
        // Eight bytes at a time where there is nothing in them.
        at += 8 * bytes[at..=last.max(at - 1)]
            .as_chunks::<8>()
            .0
            .iter()
            .take_while(|word| **word == [nothing; 8])
            .count();
        if at > last {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bit(bytes: &[u8], at: u64) -> bool {
        bytes.get((at / 8) as usize).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1)
    }

    proptest! {
        #[test]
        fn as_if_bit_by_bit(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..60),
                proptest::collection::vec(prop_oneof![9 => Just(0u8), 1 => any::<u8>()], 0..60),
                proptest::collection::vec(prop_oneof![9 => Just(0xffu8), 1 => any::<u8>()], 0..60),
            ],
            start in 0u64..500,
            len in 0u64..500,
        ) {
            let range = start..start + len;
            let inside = start..(start + len).min(8 * bytes.len() as u64);
            prop_assert_eq!(count_set(&bytes, range.clone()), inside.clone().filter(|at| bit(&bytes, *at)).count() as u64);
            for wanted in [false, true] {
                let naive = inside.clone().find(|at| bit(&bytes, *at) == wanted);
                prop_assert_eq!(first(&bytes, range.clone(), wanted), naive);
            }
        }
    }
}
