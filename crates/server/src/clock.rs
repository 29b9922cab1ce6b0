//! The two clocks of the process, read here and nowhere else in the data plane, so that everything below takes time as
//! a value.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use baton_base::{Mono, WallMs};

/// Reads the clocks. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose monotonic time starts now.
    pub fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    /// The monotonic time.
    pub fn mono(&self) -> Mono {
        Mono::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The monotonic time of an instant.
    pub fn mono_of(&self, at: Instant) -> Mono {
        let passed = at.saturating_duration_since(self.start);
        Mono::from_micros(u64::try_from(passed.as_micros()).unwrap_or(u64::MAX))
    }

    /// The wall-clock time.
    pub fn wall(&self) -> WallMs {
        let ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        WallMs(u64::try_from(ms).unwrap_or(u64::MAX))
    }
}
