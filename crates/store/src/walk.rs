//! What writers have to know of a running snapshot: one word that says whether there is one and which epoch is current.
//!
//! 1. A record whose epoch is the current one was made, or visited, since the latest cut. Any other was not.
//! 2. While a walk runs, whoever changes or removes a record with another epoch keeps its pre-image for the walker.
//! 3. Epochs have eight bits. All epochs that occur in the store belong to walks since the latest complete one, because
//!    a complete walk leaves its own everywhere; so they are told apart as long as fewer than 256 walks in a row end
//!    early, which the walker's drop sees to.

use std::sync::atomic::{AtomicU32, Ordering};

const RUNNING: u32 = 1 << 8;

/// The current epoch, and whether a walk runs.
pub(crate) struct WalkWord(AtomicU32);

impl WalkWord {
    pub(crate) const fn new() -> WalkWord {
        WalkWord(AtomicU32::new(0))
    }

    /// The epoch that new records carry.
    #[inline]
    pub(crate) fn epoch(&self) -> u8 {
        // Relaxed is enough: it changes only while the world stands still.
        self.0.load(Ordering::Relaxed) as u8
    }

    /// Whether a record of this epoch must be kept before it is changed.
    #[inline]
    pub(crate) fn keeps(&self, epoch: u8) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        word as u8 != epoch && word & RUNNING != 0
    }

    /// Whether a walk runs.
    pub(crate) fn is_running(&self) -> bool {
        self.0.load(Ordering::Relaxed) & RUNNING != 0
    }

    /// Begins the next epoch, with a walk. The caller stops the world.
    pub(crate) fn begin(&self) -> u8 {
        let epoch = self.epoch().wrapping_add(1);
        self.0.store(u32::from(epoch) | RUNNING, Ordering::Relaxed);
        epoch
    }

    /// No pre-images are wanted any more. Who locks a slot after the caller did sees it.
    pub(crate) fn end(&self) {
        self.0.fetch_and(!RUNNING, Ordering::Relaxed);
    }

    /// Takes over the epoch of another store, without a walk. The caller stops the world.
    pub(crate) fn adopt(&self, other: &WalkWord) {
        self.0.store(u32::from(other.epoch()), Ordering::Relaxed);
    }
}
