//! The load of the dataset at the start, as everybody else sees it. Connections wait for a short one. Of one that takes longer
//! they are told: until it is over, commands that need the data are answered `LOADING`, and INFO shows how far it is. Who loads
//! tells what was read and when it is over; it is never asked to wait for anybody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use baton_config::Id;
use parking_lot::{Condvar, Mutex};

use crate::shared::Shared;
use crate::world::Loading;

/// How long connections wait for the dataset before they are told that it is being loaded. Most clients take that for an error,
/// so it is worth a moment; who watches over a server counts in seconds.
const PATIENCE: Duration = Duration::from_millis(100);

/// The load at the start.
#[derive(Debug, Default)]
pub struct FirstLoad {
    is_over: Mutex<bool>,
    over: Condvar,
    /// Bytes of all files that are to be read.
    total_bytes: AtomicU64,
    read_bytes: AtomicU64,
}

impl FirstLoad {
    /// Files of so many bytes are to be read.
    pub fn expect(&self, bytes: u64) {
        self.total_bytes.store(bytes, Ordering::Relaxed);
    }

    /// So many bytes were read.
    pub fn count(&self, bytes: usize) {
        self.read_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A key was read: waits as `key-load-delay` says, in microseconds, or once in so many keys where that is negative.
    pub fn count_key(&self, shared: &Shared, number: u64) {
        let delay = shared.world.peek().settings.int(Id::KeyLoadDelay);
        let micros = delay.unsigned_abs();
        if delay > 0 {
            std::thread::sleep(Duration::from_micros(micros));
        } else if delay < 0 && number.is_multiple_of(micros) {
            std::thread::sleep(Duration::from_micros(1));
        }
    }

    /// Bytes that were read, and those of all files, at least as many.
    pub fn progress(&self) -> (u64, u64) {
        let read = self.read_bytes.load(Ordering::Relaxed);
        (read, self.total_bytes.load(Ordering::Relaxed).max(read))
    }

    /// Waits for the end, and if that takes long, has everybody told that the dataset is being loaded.
    pub fn await_or_tell(&self, shared: &Shared) {
        let mut is_over = self.is_over.lock();
        self.over.wait_while_for(&mut is_over, |is_over| !*is_over, PATIENCE);
        if !*is_over {
            // Under the lock, so that the end can only come behind it.
            shared.change_world(|w| w.loading = Some(Loading { since: shared.clock.wall() }));
        }
    }

    /// The dataset is there, and whatever follows from it is done: everybody is served.
    pub fn end(&self, shared: &Shared) {
        let mut is_over = self.is_over.lock();
        *is_over = true;
        if shared.world.peek().loading.is_some() {
            shared.change_world(|w| w.loading = None);
        }
        self.over.notify_all();
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        *self.is_over.lock()
    }
}
