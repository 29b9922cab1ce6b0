//! Who waits for which keys. A command that found nothing is kept here with its arguments, in line behind those that came
//! before it for the same key. Whoever changes a key runs the commands that wait for it, right behind his own and before
//! anybody else's: so waiting is fair, and nobody sees an element that is on its way to somebody.
//!
//! A command gets in line while the slots of its keys are locked, and who changes a key looks for waiters after he locked
//! its slot: neither can miss the other. From there on only [`Waiter::claim`] decides who ends the wait.
//!
//! It knows no connection and runs no command.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};

use baton_acl::User;
use baton_base::Slot;
use baton_commands::{CommandSpec, WaitFor};
use baton_resp::{OwnedArgs, Proto};
use baton_store::{DbIndex, Key};
use parking_lot::Mutex;

use crate::clients::ClientId;

/// A key of a database.
pub type Name = (DbIndex, Box<[u8]>);

const WAITING: u8 = 0;
const CLAIMED: u8 = 1;

/// A command that waits.
pub struct Waiter {
    /// Whose it is.
    pub client: ClientId,
    /// The worker that owns the connection.
    pub worker: u32,
    /// On whose behalf it is.
    pub user: Arc<User>,
    /// The version of the users by which it may run.
    pub users_version: u64,
    /// Its database.
    pub db: DbIndex,
    /// The protocol of its reply.
    pub proto: Proto,
    /// Whether its reads renew access clocks.
    pub touch: bool,
    /// Whether keys that it reads are followed for its connection.
    pub tracked: bool,
    /// The command.
    pub spec: &'static CommandSpec,
    /// Its arguments.
    pub args: OwnedArgs,
    /// What it waits for.
    pub wait: WaitFor,
    /// The keys it stands in line for, each once.
    pub names: Vec<Name>,
    state: AtomicU8,
}

impl Waiter {
    /// A command that begins to wait.
    #[expect(clippy::too_many_arguments, reason = "these are its fields")]
    pub fn new(
        client: ClientId,
        worker: u32,
        (user, users_version): (Arc<User>, u64),
        db: DbIndex,
        proto: Proto,
        touch: bool,
        tracked: bool,
        spec: &'static CommandSpec,
        args: OwnedArgs,
        wait: WaitFor,
        names: Vec<Name>,
    ) -> Waiter {
        let state = AtomicU8::new(WAITING);
        Waiter { client, worker, user, users_version, db, proto, touch, tracked, spec, args, wait, names, state }
    }

    /// Takes the right to end the wait: to run the command again, or to answer it otherwise. False if somebody has it.
    pub fn claim(&self) -> bool {
        self.state.compare_exchange(WAITING, CLAIMED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Gives the right back: the command still found nothing.
    pub fn give_back(&self) {
        self.state.store(WAITING, Ordering::Release);
    }
}

/// Parts with a lock each.
const SHARDS: usize = 64;

/// Those in line for a key, in each database where there are any.
type Lines = HashMap<Box<[u8]>, Vec<(DbIndex, VecDeque<Arc<Waiter>>)>>;

/// All commands that wait for keys.
pub struct Blocked {
    /// Lines that are not empty.
    keys: AtomicUsize,
    /// The same for each slot; read without a lock by everybody who changes a key.
    by_slot: Box<[AtomicU32]>,
    shards: Box<[Mutex<Lines>]>,
}

impl Default for Blocked {
    fn default() -> Blocked {
        Blocked {
            keys: AtomicUsize::new(0),
            by_slot: (0..Slot::COUNT).map(|_| AtomicU32::new(0)).collect(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Blocked {
    /// Whether anybody waits for a key. Exact for keys whose slots the caller has locked since before he asks.
    #[inline]
    pub fn any(&self) -> bool {
        self.keys.load(Ordering::Relaxed) > 0
    }

    /// Number of keys that somebody waits for.
    pub fn key_count(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }

    /// Number of keys that somebody waits for even if they go away.
    pub fn key_count_even_gone(&self) -> usize {
        let even_gone = |line: &VecDeque<Arc<Waiter>>| line.iter().any(|waiter| waiter.wait.even_gone);
        let in_shard = |lines: &Lines| lines.values().flatten().filter(|(_, line)| even_gone(line)).count();
        self.shards.iter().map(|shard| in_shard(&shard.lock())).sum()
    }

    fn shard(&self, key: &[u8]) -> (&AtomicU32, &Mutex<Lines>) {
        let slot = Slot::of_key(key).index();
        (&self.by_slot[slot], &self.shards[slot % SHARDS])
    }

    /// Puts a command at the end of all its lines. The slots of its keys are locked.
    pub fn enter(&self, waiter: &Arc<Waiter>) {
        for (db, key) in &waiter.names {
            let (count, shard) = self.shard(key);
            let mut lines = shard.lock();
            let line = lines.entry(key.clone()).or_default();
            let at = line.iter().position(|(other, _)| other == db).unwrap_or_else(|| {
                line.push((*db, VecDeque::new()));
                count.fetch_add(1, Ordering::Relaxed);
                self.keys.fetch_add(1, Ordering::Relaxed);
                line.len() - 1
            });
            line[at].1.push_back(Arc::clone(waiter));
        }
    }

    /// Takes a command out of all its lines.
    pub fn leave(&self, waiter: &Arc<Waiter>) {
        for (db, key) in &waiter.names {
            let (count, shard) = self.shard(key);
            let mut lines = shard.lock();
            let Some(of_key) = lines.get_mut(key) else { continue };
            let Some(at) = of_key.iter().position(|(other, _)| other == db) else { continue };
            of_key[at].1.retain(|other| !Arc::ptr_eq(other, waiter));
            if of_key[at].1.is_empty() {
                of_key.swap_remove(at);
                count.fetch_sub(1, Ordering::Relaxed);
                self.keys.fetch_sub(1, Ordering::Relaxed);
                if of_key.is_empty() {
                    lines.remove(key);
                }
            }
        }
    }

    /// This key, in each database in which somebody waits for it: a command may change it in another than its own. The
    /// caller has locked its slot.
    pub fn names_of(&self, key: &Key<'_>) -> Vec<Name> {
        if self.by_slot[key.slot.index()].load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let lines = self.shard(key.bytes).1.lock();
        lines.get(key.bytes).into_iter().flatten().map(|(db, _)| (*db, key.bytes.into())).collect()
    }

    /// Those who wait for a key, in line.
    pub fn line(&self, (db, key): &Name) -> Vec<Arc<Waiter>> {
        let lines = self.shard(key).1.lock();
        let line = lines.get(key).and_then(|of_key| of_key.iter().find(|(other, _)| other == db));
        line.map_or_else(Vec::new, |(_, line)| line.iter().cloned().collect())
    }

    /// All keys that somebody waits for.
    pub fn names(&self) -> Vec<Name> {
        let of_shard = |lines: &Lines| -> Vec<Name> {
            lines.iter().flat_map(|(key, of_key)| of_key.iter().map(|(db, _)| (*db, key.clone()))).collect()
        };
        self.shards.iter().flat_map(|shard| of_shard(&shard.lock())).collect()
    }
}

#[cfg(test)]
mod tests {
    use baton_commands::Nothing;
    use baton_store::ValueKind;

    use super::*;

    fn waiter(id: u64, names: &[&str]) -> Arc<Waiter> {
        let wait = WaitFor {
            keys: 0..names.len(),
            kind: ValueKind::List,
            even_gone: false,
            timeout: None,
            nothing: Nothing::Null,
            instead: Vec::new(),
        };
        let spec = baton_commands::lookup(b"blpop").expect("it is there");
        let names = names.iter().map(|name| (DbIndex(0), name.as_bytes().into())).collect();
        let args = OwnedArgs::from_slices(&[b"blpop".to_vec()]);
        let user = Arc::new(User::unlimited_default());
        Arc::new(Waiter::new(ClientId(id), 0, (user, 0), DbIndex(0), Proto::V2, true, false, spec, args, wait, names))
    }

    #[test]
    fn lines_keep_their_order_and_vanish_when_empty() {
        let blocked = Blocked::default();
        let (a, b) = (waiter(1, &["x", "y"]), waiter(2, &["x"]));
        assert!(!blocked.any());
        blocked.enter(&a);
        blocked.enter(&b);
        assert_eq!(blocked.key_count(), 2);
        let ids = |key: &str| -> Vec<u64> {
            blocked.line(&(DbIndex(0), key.as_bytes().into())).iter().map(|w| w.client.0).collect()
        };
        let store = baton_store::Store::new(baton_store::StoreSettings { databases: 1, seed: 1 });
        let names = |key: &str| blocked.names_of(&store.key(key.as_bytes()));
        assert_eq!((ids("x"), ids("y"), ids("z")), (vec![1, 2], vec![1], vec![]));
        assert_eq!((names("y").len(), names("z").len()), (1, 0));
        blocked.leave(&a);
        assert_eq!((ids("x"), names("y").len(), blocked.any()), (vec![2], 0, true));
        blocked.leave(&b);
        assert!(!blocked.any());
    }

    #[test]
    fn only_one_ends_a_wait() {
        let a = waiter(1, &["x"]);
        assert!(a.claim() && !a.claim());
        a.give_back();
        assert!(a.claim());
    }
}
