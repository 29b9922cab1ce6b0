//! How threads that consume the log sleep without missing bytes and without being woken for every append. A flag of each
//! lives under the journal's lock, so setting it and looking for bytes cannot be separated by an append; an append that
//! finds nobody asleep pays one comparison.

use crate::Journal;
use baton_base::Offset;
use std::fmt;
use std::sync::Arc;

/// Registered consumers at most; a node has one thread that feeds replicas and one that writes the AOF.
const FEEDERS_MAX: usize = 64;

type Wake = Arc<dyn Fn() + Send + Sync>;

/// One consuming thread. Dropping it ends its registration.
pub struct Feeder {
    journal: Arc<Journal>,
    slot: usize,
}

impl Feeder {
    pub(crate) fn new(journal: Arc<Journal>, slot: usize) -> Self {
        Feeder { journal, slot }
    }

    /// To be called before sleeping, with the offset up to which everything was consumed. True: the thread may sleep,
    /// its wake function will be called once, by the next append. False: there are bytes beyond `seen`, don't sleep.
    #[must_use]
    pub fn sleep(&self, seen: Offset) -> bool {
        self.journal.sleep(self.slot, seen)
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.journal.forget_feeder(self.slot);
    }
}

impl fmt::Debug for Feeder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Feeder {}", self.slot)
    }
}

/// All consumers: who they are and who is asleep.
#[derive(Default)]
pub(crate) struct Feeders {
    /// Replaced when a consumer comes or goes, so that waking needs only a reference taken under the lock.
    wakes: Arc<Vec<Option<Wake>>>,
    /// Bit `i`: consumer `i` is asleep. Subset of the occupied entries of `wakes`.
    asleep: u64,
}

impl Feeders {
    pub(crate) fn add(&mut self, wake: Wake) -> usize {
        let wakes = Arc::make_mut(&mut self.wakes);
        let slot = wakes.iter().position(Option::is_none).unwrap_or(wakes.len());
        assert!(slot < FEEDERS_MAX, "a node registers a fixed handful of consumers");
        if slot == wakes.len() {
            wakes.push(None);
        }
        wakes[slot] = Some(wake);
        slot
    }

    pub(crate) fn remove(&mut self, slot: usize) {
        Arc::make_mut(&mut self.wakes)[slot] = None;
        self.asleep &= !(1 << slot);
    }

    pub(crate) fn mark_asleep(&mut self, slot: usize) {
        self.asleep |= 1 << slot;
    }

    /// Takes everyone who is asleep off the list; [`Sleepers::wake`] is to be called without the lock.
    pub(crate) fn take_asleep(&mut self) -> Option<Sleepers> {
        if self.asleep == 0 {
            return None;
        }
        Some(Sleepers { wakes: Arc::clone(&self.wakes), asleep: std::mem::take(&mut self.asleep) })
    }
}

/// Consumers to wake.
pub(crate) struct Sleepers {
    wakes: Arc<Vec<Option<Wake>>>,
    asleep: u64,
}

impl Sleepers {
    #[cold]
    pub(crate) fn wake(self) {
        let marked = self.wakes.iter().enumerate().filter(|(slot, _)| self.asleep & (1 << slot) != 0);
        for wake in marked.filter_map(|(_, wake)| wake.as_ref()) {
            wake();
        }
    }
}
