//! Two times that never mix: a monotonic instant that all timers use, and wall-clock milliseconds that only expiry and
//! what users read may use. Both are values handed in; nothing here reads a clock.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A monotonic instant: microseconds since some fixed start of this process (or of a simulation).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(u64);

impl Mono {
    /// The start of time.
    pub const ZERO: Mono = Mono(0);
    /// Later than every instant that is ever reached; for "no deadline".
    pub const NEVER: Mono = Mono(u64::MAX);

    /// The instant this many microseconds after the start.
    pub const fn from_micros(us: u64) -> Mono {
        Mono(us)
    }

    /// The instant this many milliseconds after the start.
    pub const fn from_millis(ms: u64) -> Mono {
        Mono(ms * 1000)
    }

    /// Microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the start.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1000
    }

    /// Time passed from `earlier` to here; zero if `earlier` is later.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Whole milliseconds passed from `earlier` to here; zero if `earlier` is later.
    pub fn ms_since(self, earlier: Mono) -> u64 {
        self.0.saturating_sub(earlier.0) / 1000
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, d: Duration) -> Mono {
        Mono(self.0.saturating_add(u64::try_from(d.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Mono {
    type Output = Mono;
    fn sub(self, d: Duration) -> Mono {
        Mono(self.0.saturating_sub(u64::try_from(d.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for Mono {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}ms", self.0 / 1000, self.0 % 1000)
    }
}

/// Wall-clock time: milliseconds since 1970-01-01 00:00 UTC. Used for expiry and for what users read, never for timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct WallMs(pub u64);

impl WallMs {
    /// Whole seconds since 1970.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// Milliseconds from `earlier` to here; zero if `earlier` is later.
    pub const fn ms_since(self, earlier: WallMs) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Which wall-clock time a monotonic instant is. The two clocks are never read at one moment and one of them only counts
/// milliseconds, so each pair of readings would date the same instant a little differently. One pair is kept for as long as the
/// clocks roughly agree with it: whoever asks twice about an instant is told the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Calendar {
    at: Mono,
    wall: WallMs,
}

impl Calendar {
    /// How far the clocks may be from the pair that is kept, before a new one is taken: the wall clock was set, or drifted.
    pub const ERROR_MAX: Duration = Duration::from_millis(50);

    /// A calendar by these readings.
    pub const fn new(at: Mono, wall: WallMs) -> Calendar {
        Calendar { at, wall }
    }

    /// Both clocks were read again.
    pub fn read(&mut self, now: Mono, wall: WallMs) {
        let error = wall.0.abs_diff(self.wall_of(now).0);
        if Duration::from_millis(error) > Self::ERROR_MAX {
            *self = Calendar::new(now, wall);
        }
    }

    /// The wall-clock time of an instant.
    pub fn wall_of(&self, at: Mono) -> WallMs {
        let wall = self.wall.0.saturating_add(at.ms_since(self.at));
        WallMs(wall.saturating_sub(self.at.ms_since(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_keeps_its_date_until_the_clock_is_set() {
        let at = Mono::from_micros(7_000_400);
        let mut calendar = Calendar::new(Mono::from_micros(5_000_900), WallMs(100_000));
        assert_eq!(calendar.wall_of(at), WallMs(101_999));
        // Read at other moments within a millisecond, these would give 101999 and 102000 in turns.
        for us in [7_000_500, 7_001_300, 7_001_450, 7_040_000] {
            calendar.read(Mono::from_micros(us), WallMs(100_000 + (us - 5_000_000) / 1000));
            assert_eq!(calendar.wall_of(at), WallMs(101_999), "{us}");
        }
        assert_eq!(calendar.wall_of(Mono::from_micros(4_000_900)), WallMs(99_000));
        calendar.read(Mono::from_micros(8_000_400), WallMs(50_000));
        assert_eq!(calendar.wall_of(at), WallMs(49_000));
        calendar.read(Mono::from_micros(9_000_400), WallMs(51_051));
        assert_eq!(calendar.wall_of(at), WallMs(49_051));
    }
}
