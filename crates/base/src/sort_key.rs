//! Numbers that sort as what they stand for does, so that sorting compares numbers and seldom looks at texts. Knows nothing
//! of what is sorted.

/// A number for a floating-point number that is none but NaN: they have the same order, and both zeros are one.
#[inline]
pub fn of_f64(number: f64) -> u64 {
    let bits = (number + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// A number for the eight bytes of a text behind its first `skipped` ones. Of texts that begin alike, the one with the lower
/// number is the lower one; if the numbers are the same, the texts have to be compared.
#[inline]
pub fn of_text(text: &[u8], skipped: usize) -> u64 {
    let rest = &text[skipped.min(text.len())..];
    match rest.first_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => rest.iter().zip(1..).fold(0, |key, (byte, nth)| key | u64::from(*byte) << (64 - 8 * nth)),
    }
}

/// How many bytes all texts begin with alike.
pub fn common_len<'t>(texts: impl IntoIterator<Item = &'t [u8]>) -> usize {
    let mut texts = texts.into_iter();
    let Some(first) = texts.next() else { return 0 };
    let mut common = first;
    for text in texts {
        if !text.starts_with(common) {
            let len = common.iter().zip(text).take_while(|(a, b)| a == b).count();
            common = &common[..len];
            if len == 0 {
                break;
            }
        }
    }
    common.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_keep_their_order(a in any::<f64>(), b in any::<f64>()) {
            if let Some(order) = a.partial_cmp(&b) {
                prop_assert_eq!(of_f64(a).cmp(&of_f64(b)), order);
            }
        }

        #[test]
        fn texts_keep_their_order(texts in proptest::collection::vec(proptest::collection::vec(0u8..3, 0..12), 2..5)) {
            let common = common_len(texts.iter().map(Vec::as_slice));
            prop_assert!(texts.iter().all(|text| text[..common] == texts[0][..common]));
            let next = texts[0].get(common);
            prop_assert!(next.is_none() || texts.iter().any(|text| text.get(common) != next), "there is more in common");
            for pair in texts.windows(2) {
                let order = of_text(&pair[0], common).cmp(&of_text(&pair[1], common));
                prop_assert!(order.is_eq() || order == pair[0].cmp(&pair[1]));
            }
        }
    }

    #[test]
    fn zeros_are_one_and_prefixes_come_first() {
        assert_eq!(of_f64(0.0), of_f64(-0.0));
        assert!(of_f64(f64::NEG_INFINITY) < of_f64(-1.0) && of_f64(1.0) < of_f64(f64::INFINITY));
        assert!(of_text(b"ab", 1) < of_text(b"abc", 1));
        assert_eq!(common_len([&b"abc"[..], b"abd", b"ab"]), 2);
        assert_eq!(common_len([]), 0);
    }
}
