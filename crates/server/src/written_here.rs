//! Keys that clients wrote on a replica (`replica-read-only no`). Their primary knows nothing of them, so nobody else would
//! delete them when their time has come. Never decides about keys of the primary.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};

use baton_base::WallMs;
use baton_store::{DbIndex, Expiry, Key, Store, View};
use parking_lot::Mutex;

/// Keys that are remembered at the most; those beyond stay until somebody deletes them.
const KEYS_MAX: usize = 1 << 20;
/// Keys that one look goes over.
const LOOK_MAX: usize = 1000;

/// The keys, by database and name.
#[derive(Debug, Default)]
pub struct WrittenHere {
    written: Mutex<Written>,
    any: AtomicBool,
}

type Name = (DbIndex, Box<[u8]>);

#[derive(Debug, Default)]
struct Written {
    keys: BTreeSet<Name>,
    /// Where the next look goes on; at the first key if none.
    after: Option<Name>,
}

impl Written {
    /// The keys of the next look.
    fn next(&mut self) -> Vec<Name> {
        let from = self.after.take().map_or(Bound::Unbounded, Bound::Excluded);
        let look: Vec<Name> = self.keys.range((from, Bound::Unbounded)).take(LOOK_MAX).cloned().collect();
        if look.len() == LOOK_MAX {
            self.after = look.last().cloned();
        }
        look
    }
}

impl WrittenHere {
    /// A client wrote these keys on this replica.
    #[cold]
    pub fn note(&self, db: DbIndex, keys: &[Key<'_>]) {
        let mut written = self.written.lock();
        for key in keys.iter().take(KEYS_MAX.saturating_sub(written.keys.len())) {
            written.keys.insert((db, key.bytes.into()));
        }
        self.any.store(true, Ordering::Relaxed);
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        if self.is_empty() { 0 } else { self.written.lock().keys.len() }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    /// Forgets them: this node is a primary, which deletes what is due by itself.
    pub fn forget(&self) {
        if self.any.swap(false, Ordering::Relaxed) {
            *self.written.lock() = Written::default();
        }
    }

    /// Deletes those whose time has come, and forgets those that have none. Gives how many were deleted. The caller is
    /// inside the gate and holds no slot; `tell` gets the view of each deletion.
    pub fn delete_due(&self, store: &Store, now: WallMs, tell: impl Fn(&mut View<'_>)) -> u64 {
        if !self.any.load(Ordering::Relaxed) {
            return 0;
        }
        // No slot is locked under this lock: who writes a key holds its slot while it waits here.
        let look = self.written.lock().next();
        let mut deleted = 0;
        let mut done = Vec::new();
        for (db, name) in look {
            let key = store.key(&name);
            let mut view = store.view(key.slot, db, now, Expiry::Ignore);
            let expire_at = view.peek(&key).and_then(|entry| entry.expire_at);
            if expire_at.is_some_and(|at| at <= now) {
                deleted += u64::from(view.remove(&key));
                tell(&mut view);
            }
            if expire_at.is_none_or(|at| at <= now) {
                done.push((db, name));
            }
        }
        let mut written = self.written.lock();
        done.iter().for_each(|name| _ = written.keys.remove(name));
        self.any.store(!written.keys.is_empty(), Ordering::Relaxed);
        deleted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_store::{Expire, StoreSettings};

    #[test]
    fn a_key_goes_when_its_time_has_come_and_is_forgotten_without_one() {
        let store = Store::new(StoreSettings { databases: 1, seed: 1 });
        let written = WrittenHere::default();
        let set = |name: &[u8], expire| {
            let key = store.key(name);
            store.view(key.slot, DbIndex(0), WallMs(1), Expiry::Ignore).set_str(&key, b"x", expire);
            written.note(DbIndex(0), &[key]);
        };
        set(b"due", Expire::At(WallMs(10)));
        set(b"later", Expire::At(WallMs(30)));
        set(b"never", Expire::Never);
        assert_eq!(written.delete_due(&store, WallMs(9), |_| ()), 0);
        assert_eq!(written.delete_due(&store, WallMs(20), |_| ()), 1);
        assert_eq!((store.len(DbIndex(0)), written.written.lock().keys.len()), (2, 1));
        assert_eq!(written.delete_due(&store, WallMs(30), |_| ()), 1);
        assert!(!written.any.load(Ordering::Relaxed) && store.len(DbIndex(0)) == 1);
    }
}
