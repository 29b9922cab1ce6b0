//! A slot's cache line: its lock, what others may look at without the lock, and the data that only a guard reaches.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use baton_base::WallMs;
use lock_api::{RawMutex as _, RawMutexFair as _};
use parking_lot::RawMutex;

use super::{prefetch, table};
use crate::slot_data::SlotData;

/// One slot.
#[repr(C, align(64))]
pub(crate) struct Cell {
    lock: RawMutex,
    /// Second before which nothing in this slot is due; `u32::MAX` when nothing ever is. Written under the lock.
    due_secs: AtomicU32,
    /// Where the buckets of database 0 are, for prefetching only. Written under the lock, read without.
    hint: AtomicUsize,
    data: UnsafeCell<SlotData>,
}

const _: () = assert!(size_of::<Cell>() == 64);

// SAFETY: the data is reached only through a guard, which holds the lock; everything else is atomic.
#[expect(unsafe_code, reason = "the lock makes the data shareable")]
unsafe impl Sync for Cell {}

/// Exclusive access to a slot; dropping it unlocks.
pub(crate) struct SlotGuard<'s>(&'s Cell);

impl Cell {
    /// An empty slot.
    pub(crate) const fn new() -> Cell {
        Cell {
            lock: RawMutex::INIT,
            due_secs: AtomicU32::new(u32::MAX),
            hint: AtomicUsize::new(0),
            data: UnsafeCell::new(SlotData::new()),
        }
    }

    /// Waits for the slot.
    #[inline]
    pub(crate) fn lock(&self) -> SlotGuard<'_> {
        self.lock.lock();
        SlotGuard(self)
    }

    /// Whether something in this slot may be due. Needs no lock.
    #[inline]
    pub(crate) fn may_be_due(&self, now: WallMs) -> bool {
        now.as_secs() >= u64::from(self.due_secs.load(Ordering::Relaxed))
    }

    /// Asks for the slot's line.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch::line(std::ptr::from_ref(self));
    }

    /// Asks for the bucket of database 0; needs no lock. Tells whether the hint was enough.
    #[inline]
    pub(crate) fn prefetch_bucket(&self, hash: u64) -> bool {
        let hint = self.hint.load(Ordering::Relaxed);
        if hint != 0 {
            prefetch::line(table::hinted_bucket(hint, hash));
        }
        hint != 0
    }

    /// Lends the data if the slot is free right now.
    #[expect(unsafe_code, reason = "the lock is held meanwhile")]
    #[inline]
    pub(crate) fn try_peek(&self, look: impl FnOnce(&SlotData)) {
        if self.lock.try_lock() {
            // SAFETY: the lock is held until after the call, so nobody else reaches the data; should `look` panic, the
            // slot stays locked, which is safe.
            unsafe {
                look(&*self.data.get());
                self.lock.unlock();
            }
        }
    }
}

impl SlotGuard<'_> {
    /// Unlocks in favour of a thread that waits, so that taking the slot again and again starves nobody.
    #[expect(unsafe_code, reason = "unlocking by hand")]
    pub(crate) fn unlock_fair(self) {
        self.publish();
        let guard = std::mem::ManuallyDrop::new(self);
        // SAFETY: the guard held the lock and is forgotten.
        unsafe { guard.0.lock.unlock_fair() };
    }

    /// Remembers that a key of this slot expires then.
    #[inline]
    pub(crate) fn note_expiry(&mut self, at: WallMs) {
        let secs = due_secs(at);
        if secs < self.0.due_secs.load(Ordering::Relaxed) {
            self.0.due_secs.store(secs, Ordering::Relaxed);
        }
        if let Some(round) = self.side_if_any().and_then(|side| side.round.as_mut()) {
            round.earliest = Some(round.earliest.map_or(at, |earliest| earliest.min(at)));
        }
    }

    /// Nothing in this slot is due before this time, or ever.
    pub(crate) fn set_due(&self, at: Option<WallMs>) {
        self.0.due_secs.store(at.map_or(u32::MAX, due_secs), Ordering::Relaxed);
    }

    /// Whether something in this slot may be due.
    #[inline]
    pub(crate) fn may_be_due(&self, now: WallMs) -> bool {
        self.0.may_be_due(now)
    }

    /// Takes over when another slot's keys are due.
    pub(crate) fn copy_due(&self, other: &SlotGuard<'_>) {
        self.0.due_secs.store(other.0.due_secs.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    #[inline]
    fn publish(&self) {
        self.0.hint.store(self.first_table().hint(), Ordering::Relaxed);
    }
}

/// The second that a time lies in; times that don't fit are later than every real one.
fn due_secs(at: WallMs) -> u32 {
    u32::try_from(at.as_secs()).unwrap_or(u32::MAX).min(u32::MAX - 1)
}

impl Deref for SlotGuard<'_> {
    type Target = SlotData;

    #[expect(unsafe_code, reason = "the lock is held")]
    #[inline]
    fn deref(&self) -> &SlotData {
        // SAFETY: the guard holds the lock, so nobody else reaches the data.
        unsafe { &*self.0.data.get() }
    }
}

impl DerefMut for SlotGuard<'_> {
    #[expect(unsafe_code, reason = "the lock is held")]
    #[inline]
    fn deref_mut(&mut self) -> &mut SlotData {
        // SAFETY: the guard holds the lock and is borrowed for change, so nobody else reaches the data.
        unsafe { &mut *self.0.data.get() }
    }
}

impl Drop for SlotGuard<'_> {
    #[expect(unsafe_code, reason = "unlocking by hand")]
    #[inline]
    fn drop(&mut self) {
        self.publish();
        // SAFETY: the guard holds the lock.
        unsafe { self.0.lock.unlock() };
    }
}
