//! The gate: workers hold it shared for one batch of commands; whoever must see the world still (a role change, the
//! fence of a handover, FLUSHALL, the cut of a snapshot) takes it exclusively.
//!
//! The shared side costs a worker one store and one load of a line that nobody else writes: every lane has a cache line
//! of its own. The exclusive side pays instead: it looks at each lane.
//!
//! Why it is correct (both sides use sequentially consistent accesses):
//! 1. The worker writes its lane, then reads `closed`. The exclusive side writes `closed`, then reads the lane. At least
//!    one of them sees the other's write.
//! 2. If the worker sees `closed`, it withdraws and waits. If it doesn't, the exclusive side sees the lane taken and
//!    waits until the worker leaves.
//! 3. A worker never waits for anything that an exclusive holder may hold while it is inside, so the wait of case 2 ends.
//!
//! A script may keep either side waiting for long: who may give up does ([`Gate::enter_unless`], [`Gate::stop_world_unless`]).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use parking_lot::{Condvar, Mutex, MutexGuard};

/// Who passes through the gate: an index below the number of lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane(pub usize);

/// How long one wait lasts for somebody who may give up.
const PATIENCE: Duration = Duration::from_millis(5);
/// How long somebody who waits for a long batch leaves the core to others.
const NAP: Duration = Duration::from_micros(100);

/// A readers-writer gate whose readers don't share a cache line.
pub struct Gate {
    closed: AtomicBool,
    lanes: Box<[CachePadded<AtomicBool>]>,
    /// Held by the one exclusive holder.
    holder: Mutex<()>,
    /// Guards the wait for `closed` to become false.
    waiting: Mutex<()>,
    opened: Condvar,
}

/// The right to execute commands; given back when dropped.
pub struct Pass<'g> {
    lane: &'g AtomicBool,
}

/// Proof that nobody else executes anything; given back when dropped.
pub struct Stillness<'g> {
    gate: &'g Gate,
    _holder: MutexGuard<'g, ()>,
}

impl Gate {
    /// An open gate with this many lanes.
    pub fn new(lanes: usize) -> Gate {
        Gate {
            closed: AtomicBool::new(false),
            lanes: (0..lanes).map(|_| CachePadded::new(AtomicBool::new(false))).collect(),
            holder: Mutex::new(()),
            waiting: Mutex::new(()),
            opened: Condvar::new(),
        }
    }

    /// Passes in, waiting while somebody holds the gate exclusively. A lane is used by one thread, and not twice at once.
    #[inline]
    pub fn enter(&self, lane: Lane) -> Pass<'_> {
        loop {
            if let Some(pass) = self.try_enter(lane) {
                return pass;
            }
            let mut waiting = self.waiting.lock();
            while self.closed.load(Ordering::SeqCst) {
                self.opened.wait(&mut waiting);
            }
        }
    }

    /// Passes in, unless the gate is closed for so long that `give_up` says so; it is asked every few milliseconds.
    #[inline]
    pub fn enter_unless(&self, lane: Lane, give_up: impl Fn() -> bool) -> Option<Pass<'_>> {
        loop {
            if let Some(pass) = self.try_enter(lane) {
                return Some(pass);
            }
            let mut waiting = self.waiting.lock();
            while self.closed.load(Ordering::SeqCst) {
                if give_up() {
                    return None;
                }
                self.opened.wait_for(&mut waiting, PATIENCE);
            }
        }
    }

    #[inline]
    fn try_enter(&self, lane: Lane) -> Option<Pass<'_>> {
        let lane: &AtomicBool = &self.lanes[lane.0];
        debug_assert!(!lane.load(Ordering::Relaxed), "a lane is entered once at a time");
        lane.store(true, Ordering::SeqCst);
        if !self.closed.load(Ordering::SeqCst) {
            return Some(Pass { lane });
        }
        lane.store(false, Ordering::SeqCst);
        None
    }

    /// Closes the gate and waits until everybody is out. The caller must not be inside.
    pub fn stop_world(&self) -> Stillness<'_> {
        let holder = self.holder.lock();
        let still = self.close(holder);
        still.await_all(|| false);
        still
    }

    /// The same, unless it takes so long that `give_up` says so; it is asked every few milliseconds.
    pub fn stop_world_unless(&self, give_up: impl Fn() -> bool) -> Option<Stillness<'_>> {
        let holder = loop {
            match self.holder.try_lock_for(PATIENCE) {
                Some(holder) => break holder,
                None if give_up() => return None,
                None => {}
            }
        };
        let still = self.close(holder);
        still.await_all(give_up).then_some(still)
    }

    fn close<'g>(&'g self, holder: MutexGuard<'g, ()>) -> Stillness<'g> {
        self.closed.store(true, Ordering::SeqCst);
        Stillness { gate: self, _holder: holder }
    }
}

impl Stillness<'_> {
    /// Waits until everybody is out; false if `give_up` says before that it takes too long.
    fn await_all(&self, give_up: impl Fn() -> bool) -> bool {
        for lane in &self.gate.lanes {
            let mut looks = 0u32;
            while lane.load(Ordering::SeqCst) {
                looks += 1;
                // A batch takes microseconds: spin shortly, then let the batch's thread have the core. What takes longer
                // than that may take long.
                match looks {
                    0..64 => std::hint::spin_loop(),
                    64..1024 => std::thread::yield_now(),
                    _ if give_up() => return false,
                    _ => std::thread::sleep(NAP),
                }
            }
        }
        true
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.lane.store(false, Ordering::SeqCst);
    }
}

impl Drop for Stillness<'_> {
    fn drop(&mut self) {
        let _waiting = self.gate.waiting.lock();
        self.gate.closed.store(false, Ordering::SeqCst);
        self.gate.opened.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn nobody_is_inside_while_the_world_is_still() {
        let gate = Gate::new(3);
        let (inside, rounds) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|s| {
            for lane in 0..3 {
                let (gate, inside) = (&gate, &inside);
                s.spawn(move || {
                    for _ in 0..20_000 {
                        let _pass = gate.enter(Lane(lane));
                        inside.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
            for _ in 0..2 {
                s.spawn(|| {
                    for _ in 0..500 {
                        let _still = gate.stop_world();
                        assert_eq!(inside.load(Ordering::SeqCst), 0);
                        rounds.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(rounds.load(Ordering::SeqCst), 1000);
    }
}
