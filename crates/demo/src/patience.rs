//! Waiting for events, never longer than allowed: each wait has a bound of its own, all of them together another one,
//! and a signal ends any of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use baton_base::Mono;

use crate::error::Error;

/// Longest sleep between two looks at the signal flag.
const NAP_MAX: Duration = Duration::from_millis(50);

/// The time since the demonstration began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Clock {
        Clock(Instant::now())
    }

    /// The time since then.
    pub(crate) fn now(self) -> Mono {
        Mono::ZERO + self.0.elapsed()
    }
}

/// The bounds of every wait.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    clock: Clock,
    deadline: Mono,
    interrupted: Arc<AtomicBool>,
}

impl Patience {
    /// Waits end after `longest`, all together, and once the flag is set.
    pub(crate) fn new(interrupted: Arc<AtomicBool>, longest: Duration) -> Patience {
        Patience { clock: Clock::start(), deadline: Mono::ZERO + longest, interrupted }
    }

    /// The clock of all times shown.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Mono {
        self.clock.now()
    }

    /// Looks again and again, with pauses of `every`, until there is something to see. A server that does not answer is
    /// nothing to see.
    ///
    /// # Errors
    /// What else the look met, an interruption, or that `longest` is over.
    pub(crate) fn until<T>(
        &self,
        what: &str,
        longest: Duration,
        every: Duration,
        mut look: impl FnMut() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let began = self.now();
        let deadline = self.deadline.min(began + longest);
        loop {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let last = match look() {
                Ok(Some(seen)) => return Ok(seen),
                Ok(None) => None,
                Err(error @ Error::Link { .. }) => Some(Box::new(error)),
                Err(error) => return Err(error),
            };
            let now = self.now();
            if now >= deadline {
                return Err(Error::Overdue { what: what.into(), after: now.since(began), last });
            }
            thread::sleep(every.min(NAP_MAX));
        }
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// An interruption, or that the time of the whole demonstration is over.
    pub(crate) fn pass(&self, how_long: Duration) -> Result<(), Error> {
        let end = self.now() + how_long;
        self.until("the clients' writes", how_long + NAP_MAX * 2, NAP_MAX, || Ok((self.now() >= end).then_some(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_by_its_event_its_bound_or_a_signal() {
        let flag = Arc::new(AtomicBool::new(false));
        let patience = Patience::new(Arc::clone(&flag), Duration::from_secs(60));
        let mut looks = 0;
        let seen = patience.until("three", Duration::from_secs(60), Duration::ZERO, || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(seen.unwrap(), 3);
        let none = |_: &mut ()| Ok::<Option<()>, Error>(None);
        let late = patience.until("never", Duration::ZERO, Duration::ZERO, || none(&mut ()));
        assert!(matches!(late, Err(Error::Overdue { last: None, .. })));
        let unanswered = || Err::<Option<()>, _>(Error::Link { port: 1, source: baton_cli::Error::Closed });
        let late = patience.until("an answer", Duration::ZERO, Duration::ZERO, unanswered);
        assert!(matches!(late, Err(Error::Overdue { last: Some(_), .. })));
        flag.store(true, Ordering::Relaxed);
        let ended = patience.until("never", Duration::from_secs(60), Duration::ZERO, || none(&mut ()));
        assert!(matches!(ended, Err(Error::Interrupted)));
    }
}
