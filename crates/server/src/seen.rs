//! The history of changes of primaries as the control thread last showed it, and the look-out for the first write of a
//! new primary. Readers get one consistent value; nothing here decides or waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use baton_node::{Chronicle, Sight};

use crate::control::ControlMessage;
use crate::gate::Lane;
use crate::shared::Shared;

/// What was seen of changes.
#[derive(Default)]
pub struct Seen {
    chronicle: ArcSwap<Chronicle>,
    /// This node became primary and has not written since.
    awaits_write: AtomicBool,
}

impl Seen {
    /// The history.
    pub fn chronicle(&self) -> Arc<Chronicle> {
        self.chronicle.load_full()
    }

    /// Shows a newer history, if it is one.
    pub fn show(&self, chronicle: &Chronicle) {
        if self.chronicle.load().version != chronicle.version {
            self.chronicle.store(Arc::new(chronicle.clone()));
        }
    }

    /// The next write is the first one of a new primary.
    pub fn expect_write(&self) {
        self.awaits_write.store(true, Ordering::Relaxed);
    }

    /// After a worker's batch: `dirty_before` is what its lane counted before it. Costs one load while nothing is awaited.
    pub fn after_batch(&self, shared: &Shared, lane: Lane, dirty_before: u64) {
        if !self.awaits_write.load(Ordering::Relaxed) || shared.stats.lanes[lane.0].dirty.value() == dirty_before {
            return;
        }
        if self.awaits_write.swap(false, Ordering::Relaxed) {
            let sight = Sight::FirstWrite(shared.clock.mono());
            shared.threads().control.send(ControlMessage::Seen(sight));
        }
    }
}
