//! The access clock of an entry: seconds of wall-clock time in 24 bits, as upstream keeps it. It wraps after 194 days.

use baton_base::WallMs;

const BITS: u32 = 24;
const MASK: u32 = (1 << BITS) - 1;

/// Idle times from here on are taken for a clock that was set back: they can't be told from it.
const IDLE_MAX: u32 = MASK - (MASK >> 4);

/// The clock at this time.
#[inline]
pub(crate) fn at(now: WallMs) -> u32 {
    now.as_secs() as u32 & MASK
}

/// The clock of an entry that was last used this many seconds ago, at most about 182 days.
pub(crate) fn ago(now: WallMs, idle_secs: u64) -> u32 {
    let idle = u32::try_from(idle_secs).unwrap_or(IDLE_MAX).min(IDLE_MAX);
    at(now).wrapping_sub(idle) & MASK
}

/// Whole seconds since the clock showed `clock`.
#[inline]
pub(crate) fn idle_secs(now: WallMs, clock: u32) -> u64 {
    let idle = at(now).wrapping_sub(clock) & MASK;
    if idle > IDLE_MAX { 0 } else { u64::from(idle) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_survives_the_wrap_and_a_clock_set_back() {
        for now in [0u64, 5, 1 << 24, (7 << 24) + 3] {
            let now = WallMs(now * 1000 + 999);
            for idle in [0, 1, 1000, u64::from(IDLE_MAX)] {
                assert_eq!(idle_secs(now, ago(now, idle)), idle);
            }
            assert_eq!(idle_secs(now, ago(now, u64::MAX)), u64::from(IDLE_MAX));
            assert_eq!(idle_secs(now, at(WallMs(now.0 + 60_000))), 0);
        }
    }
}
