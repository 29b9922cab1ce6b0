//! How fast a replica takes the stream: bytes it acknowledged over the time between acknowledgements, smoothed. Lag in
//! bytes says little by itself; divided by the pace it is the time that writers would be held.

use baton_base::{Mono, Offset};
use std::time::Duration;

/// Pace of one replica. Learns from its acknowledgements; knows nothing before the second one that moved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    last: Option<(Offset, Mono)>,
    bytes_per_ms: u64,
}

impl Pace {
    /// Takes note of an acknowledgement.
    pub(crate) fn observe(&mut self, acked: Offset, at: Mono) {
        let Some((acked_before, before)) = self.last else {
            self.last = Some((acked, at));
            return;
        };
        let micros = at.since(before).as_micros() as u64;
        if micros == 0 || acked <= acked_before {
            return;
        }
        self.last = Some((acked, at));
        let sample = acked.since(acked_before).saturating_mul(1000) / micros;
        self.bytes_per_ms = if self.bytes_per_ms == 0 { sample } else { self.bytes_per_ms / 2 + sample / 2 };
    }

    /// Time it needs for this many bytes; none while its pace isn't known.
    pub(crate) fn time_for(&self, bytes: u64) -> Option<Duration> {
        if self.bytes_per_ms == 0 {
            return None;
        }
        Some(Duration::from_micros(bytes.saturating_mul(1000) / self.bytes_per_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_follows_from_what_was_acknowledged() {
        let mut pace = Pace::default();
        pace.observe(Offset(0), Mono::from_millis(10));
        assert_eq!(pace.time_for(1), None);
        pace.observe(Offset(5000), Mono::from_millis(20));
        assert_eq!(pace.time_for(1000), Some(Duration::from_millis(2)));
        pace.observe(Offset(5000), Mono::from_millis(900));
        assert_eq!(pace.time_for(1000), Some(Duration::from_millis(2)), "standing still tells nothing");
        pace.observe(Offset(u64::MAX), Mono::from_micros(900_001));
        assert!(pace.time_for(u64::MAX).is_some());
    }
}
