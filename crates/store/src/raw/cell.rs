//! A cache line with a lock: what others may look at without the lock, and the data that only a guard reaches.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use baton_base::WallMs;
use lock_api::{RawMutex as _, RawMutexFair as _, RawMutexTimed as _};
use parking_lot::RawMutex;

use super::prefetch;
use super::table::{Table, hinted_bucket};

/// How long one wait lasts for somebody who may give up.
const PATIENCE: Duration = Duration::from_millis(5);

/// Data with a table that lookups mostly go to.
pub(crate) trait HasTable {
    /// That table.
    fn main_table(&self) -> &Table;
}

/// Data behind a lock, on a cache line of its own.
#[repr(C, align(64))]
pub(crate) struct Cell<T> {
    lock: RawMutex,
    /// Second before which nothing in here is due; `u32::MAX` when nothing ever is. Written under the lock.
    due_secs: AtomicU32,
    /// Where the buckets of the main table are, for prefetching only. Written under the lock, read without.
    hint: AtomicUsize,
    data: UnsafeCell<T>,
}

// SAFETY: the data is reached only through a guard, which holds the lock; everything else is atomic.
#[expect(unsafe_code, reason = "the lock makes the data shareable")]
unsafe impl<T: Send> Sync for Cell<T> {}

/// Exclusive access to the data; dropping it unlocks.
pub(crate) struct Guard<'c, T: HasTable>(&'c Cell<T>);

impl<T: HasTable> Cell<T> {
    /// A free cell with this data, in which nothing is due.
    pub(crate) const fn new(data: T) -> Cell<T> {
        Cell {
            lock: RawMutex::INIT,
            due_secs: AtomicU32::new(u32::MAX),
            hint: AtomicUsize::new(0),
            data: UnsafeCell::new(data),
        }
    }

    /// Waits for the lock.
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        self.lock.lock();
        Guard(self)
    }

    /// Waits for the lock until `give_up` says that it takes too long, which is asked every few milliseconds.
    #[cold]
    pub(crate) fn lock_unless(&self, give_up: impl Fn() -> bool) -> Option<Guard<'_, T>> {
        while !self.lock.try_lock_for(PATIENCE) {
            if give_up() {
                return None;
            }
        }
        Some(Guard(self))
    }

    /// The lock, if it is free right now.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
        self.lock.try_lock().then(|| Guard(self))
    }

    /// Whether something in here may be due. Needs no lock.
    #[inline]
    pub(crate) fn may_be_due(&self, now: WallMs) -> bool {
        now.as_secs() >= u64::from(self.due_secs.load(Ordering::Relaxed))
    }

    /// Asks for the line.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch::line(std::ptr::from_ref(self));
    }

    /// Asks for the bucket in the main table; needs no lock. Tells whether the hint was enough.
    #[inline]
    pub(crate) fn prefetch_bucket(&self, hash: u64) -> bool {
        let hint = self.hint.load(Ordering::Relaxed);
        if hint != 0 {
            prefetch::line(hinted_bucket(hint, hash));
        }
        hint != 0
    }

    /// Lends the data if the lock is free right now.
    #[expect(unsafe_code, reason = "the lock is held meanwhile")]
    #[inline]
    pub(crate) fn try_peek(&self, look: impl FnOnce(&T)) {
        if self.lock.try_lock() {
            // SAFETY: the lock is held until after the call, so nobody else reaches the data; should `look` panic, the
            // lock stays taken, which is safe.
            unsafe {
                look(&*self.data.get());
                self.lock.unlock();
            }
        }
    }
}

impl<T: HasTable> Guard<'_, T> {
    /// Unlocks in favour of a thread that waits, so that taking the lock again and again starves nobody.
    #[expect(unsafe_code, reason = "unlocking by hand")]
    pub(crate) fn unlock_fair(self) {
        self.publish();
        let guard = std::mem::ManuallyDrop::new(self);
        // SAFETY: the guard held the lock and is forgotten.
        unsafe { guard.0.lock.unlock_fair() };
    }

    /// Something in here is due at this time.
    #[inline]
    pub(crate) fn lower_due(&mut self, at: WallMs) {
        let secs = due_secs(at);
        if secs < self.0.due_secs.load(Ordering::Relaxed) {
            self.0.due_secs.store(secs, Ordering::Relaxed);
        }
    }

    /// Nothing in here is due before this time, or ever.
    pub(crate) fn set_due(&self, at: Option<WallMs>) {
        self.0.due_secs.store(at.map_or(u32::MAX, due_secs), Ordering::Relaxed);
    }

    /// Whether something in here may be due.
    #[inline]
    pub(crate) fn may_be_due(&self, now: WallMs) -> bool {
        self.0.may_be_due(now)
    }

    /// Takes over when another cell's data are due.
    pub(crate) fn copy_due(&self, other: &Guard<'_, T>) {
        self.0.due_secs.store(other.0.due_secs.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    #[inline]
    fn publish(&self) {
        self.0.hint.store(self.main_table().hint(), Ordering::Relaxed);
    }
}

/// The second that a time lies in; times that don't fit are later than every real one.
fn due_secs(at: WallMs) -> u32 {
    u32::try_from(at.as_secs()).unwrap_or(u32::MAX).min(u32::MAX - 1)
}

impl<T: HasTable> Deref for Guard<'_, T> {
    type Target = T;

    #[expect(unsafe_code, reason = "the lock is held")]
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock, so nobody else reaches the data.
        unsafe { &*self.0.data.get() }
    }
}

impl<T: HasTable> DerefMut for Guard<'_, T> {
    #[expect(unsafe_code, reason = "the lock is held")]
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock and is borrowed for change, so nobody else reaches the data.
        unsafe { &mut *self.0.data.get() }
    }
}

impl<T: HasTable> Drop for Guard<'_, T> {
    #[expect(unsafe_code, reason = "unlocking by hand")]
    #[inline]
    fn drop(&mut self) {
        self.publish();
        // SAFETY: the guard holds the lock.
        unsafe { self.0.lock.unlock() };
    }
}
