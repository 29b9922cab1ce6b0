//! How long a client could not write: the longest time without an acknowledgement around an event. Pure; the times are
//! handed in.

use std::time::Duration;

use baton_base::Mono;

/// A time without an acknowledged write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// The last acknowledgement before it.
    pub(crate) from: Mono,
    /// The first one after it, or the end of what was looked at.
    pub(crate) to: Mono,
}

impl Pause {
    /// How long it was.
    pub(crate) fn length(self) -> Duration {
        self.to.since(self.from)
    }
}

/// The longest pause that reaches into the time from `from` to `to`. A pause that began before is counted whole, one that
/// has no end yet up to `to`. `acks` ascends.
pub(crate) fn longest_pause(acks: &[Mono], from: Mono, to: Mono) -> Pause {
    let before = acks.partition_point(|ack| *ack <= from);
    let inside = &acks[before..];
    let start = before.checked_sub(1).map_or(from, |i| acks[i]);
    let mut longest = Pause { from: start, to: start };
    let mut last = start;
    for &ack in inside {
        if last >= to {
            return longest;
        }
        let pause = Pause { from: last, to: ack };
        if pause.length() > longest.length() {
            longest = pause;
        }
        last = ack;
    }
    let open = Pause { from: last, to: last.max(to) };
    if open.length() > longest.length() { open } else { longest }
}

/// Acknowledgements between the two times, a second.
pub(crate) fn rate(acks: &[Mono], from: Mono, to: Mono) -> f64 {
    let count = acks.partition_point(|ack| *ack <= to) - acks.partition_point(|ack| *ack <= from);
    let seconds = to.since(from).as_secs_f64();
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: &[u64]) -> Vec<Mono> {
        ms.iter().map(|&ms| Mono::from_millis(ms)).collect()
    }

    fn longest(acks: &[u64], from: u64, to: u64) -> (u64, u64) {
        let p = longest_pause(&at(acks), Mono::from_millis(from), Mono::from_millis(to));
        (p.from.as_millis(), p.to.as_millis())
    }

    #[test]
    fn pauses_at_the_edges_count() {
        // Inside, begun before, without an end, nothing at all, and one that lies outside.
        assert_eq!(longest(&[10, 20, 50, 60], 15, 70), (20, 50));
        assert_eq!(longest(&[10, 90, 95], 80, 100), (10, 90));
        assert_eq!(longest(&[10, 20], 15, 100), (20, 100));
        assert_eq!(longest(&[], 15, 100), (15, 100));
        assert_eq!(longest(&[10, 20, 500], 5, 15), (10, 20));
        assert_eq!(longest(&[10, 500], 5, 15), (10, 500));
    }

    #[test]
    fn rate_counts_what_lies_between() {
        let acks = at(&[0, 100, 200, 300, 1300]);
        assert!((rate(&acks, Mono::from_millis(100), Mono::from_millis(1100)) - 2.0).abs() < 1e-9);
        assert!(rate(&acks, Mono::from_millis(5), Mono::from_millis(5)).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn agrees_with_looking_at_every_moment(
            mut acks in proptest::collection::vec(0u64..60, 0..12), from in 0u64..60, length in 1u64..40,
        ) {
            acks.sort_unstable();
            let to = from + length;
            // Each millisecond of the window, and how long the pause is that it lies in.
            let naive = (from..to).map(|moment| {
                let last = acks.iter().copied().filter(|a| *a <= moment).max();
                let next = acks.iter().copied().find(|a| *a > moment).unwrap_or(to);
                next - last.unwrap_or(from)
            });
            let (start, end) = longest(&acks, from, to);
            prop_assert_eq!(end - start, naive.max().unwrap_or(0));
        }
    }
}
