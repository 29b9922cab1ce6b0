//! The clocks of one process: a monotonic one that runs a little too fast or too slow, and a wall clock that is off.

use baton_base::{Mono, WallMs};
use std::time::Duration;

const MILLION: u64 = 1_000_000;
/// Start of the world in wall-clock time.
const WALL_START_MS: u64 = 1_700_000_000_000;

/// How a process tells the time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Microseconds of this clock in a million microseconds of the world.
    pub rate: u64,
    /// What the monotonic clock showed when the world began, microseconds.
    pub start_us: u64,
    /// By how much the wall clock is ahead of the world's start.
    pub wall_ahead_ms: u64,
    /// How long ago the process looked at it.
    pub behind: Duration,
}

impl Clock {
    /// What the monotonic clock shows at this time of the world.
    pub fn local(&self, world: Mono) -> Mono {
        Mono::from_micros(self.start_us + (world - self.behind).as_micros() * self.rate / MILLION)
    }

    /// The first time of the world at which the monotonic clock shows at least this.
    pub fn world(&self, local: Mono) -> Mono {
        if local == Mono::NEVER {
            return Mono::NEVER;
        }
        let passed = local.as_micros().saturating_sub(self.start_us);
        Mono::from_micros((passed.saturating_mul(MILLION)).div_ceil(self.rate))
    }

    /// What the wall clock shows.
    pub fn wall(&self, world: Mono) -> WallMs {
        WallMs(WALL_START_MS + self.wall_ahead_ms + (world - self.behind).as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_is_due_when_the_clock_shows_it() {
        for rate in [950_000, 999_999, 1_000_000, 1_000_001, 1_050_000] {
            let clock = Clock { rate, start_us: 77, wall_ahead_ms: 0, behind: Duration::ZERO };
            for at in [78, 1000, 123_457, 9_999_999] {
                let world = clock.world(Mono::from_micros(at));
                assert!(clock.local(world) >= Mono::from_micros(at), "{rate} {at}");
            }
        }
    }
}
