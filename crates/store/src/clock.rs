//! What a record remembers of its accesses, in 24 bits. Either the second of the latest one, as upstream keeps it: it wraps
//! after 194 days. Or how often there were some: minutes of the latest access in 16 bits, and in eight a counter that
//! counts ever more slowly the higher it is, and loses one for each period without an access. Which of the two is meant
//! stands nowhere: after a change of the rule, what was kept by the other one takes some time to wear off.

use std::sync::atomic::{AtomicU64, Ordering};

use baton_base::WallMs;

const BITS: u32 = 24;
const MASK: u32 = (1 << BITS) - 1;

/// Idle times from here on are taken for a clock that was set back: they can't be told from it.
const IDLE_MAX: u32 = MASK - (MASK >> 4);

/// The counter of a key that is new: so that it is not evicted before it is asked for.
const COUNT_INITIAL: u8 = 5;

/// What is kept of accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AccessRule {
    /// When the latest one was.
    #[default]
    Recency,
    /// How many there were, roughly.
    Frequency {
        /// How much more slowly higher counters count (`lfu-log-factor`).
        log_factor: u32,
        /// Minutes after which a counter loses one (`lfu-decay-time`); 0 for never.
        decay_minutes: u32,
    },
}

/// The rule, to be changed while it is in use.
#[derive(Default)]
pub(crate) struct AccessWord(AtomicU64);

const FREQUENCY: u64 = 1 << 63;

impl AccessWord {
    pub(crate) fn set(&self, rule: AccessRule) {
        let word = match rule {
            AccessRule::Recency => 0,
            AccessRule::Frequency { log_factor, decay_minutes } => {
                FREQUENCY | u64::from(log_factor.min(u32::MAX >> 1)) << 32 | u64::from(decay_minutes)
            }
        };
        self.0.store(word, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn rule(&self) -> AccessRule {
        match self.0.load(Ordering::Relaxed) {
            0 => AccessRule::Recency,
            word => {
                AccessRule::Frequency { log_factor: ((word & !FREQUENCY) >> 32) as u32, decay_minutes: word as u32 }
            }
        }
    }
}

impl AccessRule {
    /// What a new record keeps.
    #[inline]
    pub(crate) fn new_clock(self, now: WallMs) -> u32 {
        match self {
            AccessRule::Recency => at(now),
            AccessRule::Frequency { .. } => counted(now, COUNT_INITIAL),
        }
    }

    /// What a record keeps after an access. `chance` is any number that nobody can foresee.
    #[inline]
    pub(crate) fn touched(self, now: WallMs, clock: u32, chance: u64) -> u32 {
        match self {
            AccessRule::Recency => at(now),
            AccessRule::Frequency { log_factor, decay_minutes } => {
                let count = frequency(now, clock, decay_minutes);
                counted(now, count.saturating_add(u8::from(counts(count, log_factor, chance))))
            }
        }
    }
}

/// Whether an access raises a counter: the higher it is, the rarer.
fn counts(count: u8, log_factor: u32, chance: u64) -> bool {
    let above = u64::from(count.saturating_sub(COUNT_INITIAL));
    chance.is_multiple_of(above * u64::from(log_factor) + 1)
}

/// What a record keeps whose counter was set now.
pub(crate) fn counted(now: WallMs, count: u8) -> u32 {
    u32::from(minutes(now)) << 8 | u32::from(count)
}

fn minutes(now: WallMs) -> u16 {
    (now.as_secs() / 60) as u16
}

/// How often a record was used, from 0 to 255, by what it keeps.
pub(crate) fn frequency(now: WallMs, clock: u32, decay_minutes: u32) -> u8 {
    let (since, count) = (minutes(now).wrapping_sub((clock >> 8) as u16), clock as u8);
    let lost = u32::from(since).checked_div(decay_minutes).unwrap_or(0);
    count.saturating_sub(u8::try_from(lost).unwrap_or(u8::MAX))
}

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

    #[test]
    fn a_rule_is_read_as_it_was_set() {
        let word = AccessWord::default();
        assert_eq!(word.rule(), AccessRule::Recency);
        for (log_factor, decay_minutes) in [(0, 0), (10, 1), (u32::MAX >> 1, u32::MAX)] {
            let rule = AccessRule::Frequency { log_factor, decay_minutes };
            word.set(rule);
            assert_eq!(word.rule(), rule);
        }
    }

    #[test]
    fn counters_count_ever_more_slowly_and_lose_with_time() {
        let rule = AccessRule::Frequency { log_factor: 10, decay_minutes: 2 };
        let now = WallMs(1 << 40);
        let mut rng = baton_base::Rng::new(7);
        let mut clock = rule.new_clock(now);
        assert_eq!(frequency(now, clock, 2), COUNT_INITIAL);
        let mut reached = Vec::new();
        for n in [10, 100, 1000, 100_000] {
            (0..n).for_each(|_| clock = rule.touched(now, clock, rng.next_u64()));
            reached.push(frequency(now, clock, 2));
        }
        // What upstream's documentation says of a factor of 10: about 10, 18, 49 and 142 hits in sum give these.
        assert!(
            reached.is_sorted() && reached[0] <= 10 && reached[2] < 30 && (100..=200).contains(&reached[3]),
            "{reached:?}"
        );
        let later = |minutes: u64| WallMs(now.0 + minutes * 60_000);
        assert_eq!(frequency(later(1), clock, 2), reached[3]);
        assert_eq!(frequency(later(20), clock, 2), reached[3] - 10);
        assert_eq!((frequency(later(5000), clock, 2), frequency(later(5000), clock, 0)), (0, reached[3]));
        let saturated = counted(now, 255);
        assert_eq!(rule.touched(now, saturated, 0), saturated);
    }
}
