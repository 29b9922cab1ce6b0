//! Scores, and the order of sorted sets. A score is never NaN.

use std::cmp::Ordering;

use baton_base::{double, num};

use crate::text::Str;

/// The order of sorted sets: by score, then by the bytes of the member.
#[inline]
pub(super) fn order(a: (f64, &[u8]), b: (f64, &[u8])) -> Ordering {
    a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal).then_with(|| a.1.cmp(b.1))
}

/// The text that stands for a score in packed sorted sets: an integer where it is one, else the shortest.
pub(super) fn push_text(out: &mut Vec<u8>, score: f64) {
    // Negative zero loses its sign there.
    double::push_double(out, if score == 0.0 { 0.0 } else { score });
}

/// The score that a text stands for; none if it stands for none.
pub(super) fn of_text(text: Str<'_>) -> Option<f64> {
    match text {
        Str::Int(n) => Some(n as f64),
        Str::Bytes(text) => num::parse_f64(text),
    }
}
