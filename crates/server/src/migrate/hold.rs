//! Keys that are being moved: part of the world that commands are judged by. Only changes of keys are held back, and what
//! may change any key; a key is known by its name in whatever database.

use std::collections::HashSet;
use std::sync::Arc;

use baton_commands::{CommandSpec, Flags, Group, KeyFlags, key_positions};
use baton_resp::Args;

use crate::clients::ClientId;
use crate::shared::Shared;
use crate::worker::WorkerMessage;

/// The keys of one transfer.
#[derive(Debug)]
struct Held {
    /// Whose command moves them.
    client: ClientId,
    names: HashSet<Box<[u8]>>,
}

/// All keys that are being moved. No key is in two transfers.
#[derive(Clone, Debug, Default)]
pub struct Moving(Vec<Arc<Held>>);

impl Moving {
    /// Whether none is.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many transfers there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this key is being moved.
    pub fn has(&self, name: &[u8]) -> bool {
        self.0.iter().any(|held| held.names.contains(name))
    }

    /// Whether a command of this client has to wait. The one that moves keys is not held back by itself.
    pub fn holds_back(&self, spec: &CommandSpec, args: Args<'_>, client: ClientId) -> bool {
        if !spec.flags.intersects(Flags::WRITE.union(Flags::MAY_REPLICATE)) {
            return false;
        }
        let mut others = self.0.iter().filter(|held| held.client != client).peekable();
        if others.peek().is_none() {
            return false;
        }
        // A script may reach more keys than it declares.
        if spec.group == Group::Scripting {
            return true;
        }
        // Arguments that hide where the keys are: the command refuses them itself.
        let Ok(keys) = key_positions(spec, args) else { return false };
        if keys.is_empty() {
            return spec.flags.contains(Flags::WRITE);
        }
        let keys = || keys.iter().filter(|key| !key.flags.contains(KeyFlags::NOT_KEY));
        others.any(|held| keys().any(|key| held.names.contains(args.at(key.index as usize))))
    }

    fn add(&mut self, client: ClientId, names: HashSet<Box<[u8]>>) -> bool {
        let free = self.0.iter().all(|held| held.client != client && held.names.is_disjoint(&names));
        if free {
            self.0.push(Arc::new(Held { client, names }));
        }
        free
    }
}

/// The hold of one transfer's keys; dropping it lets those run that waited.
pub struct KeyHold {
    shared: Arc<Shared>,
    client: ClientId,
}

impl KeyHold {
    /// Holds keys; none if one of them is held for another transfer. When this returns, no command is running any more
    /// that was admitted before. The caller is not inside the gate.
    pub fn begin(shared: &Arc<Shared>, client: ClientId, names: &[Box<[u8]>]) -> Option<KeyHold> {
        let names: HashSet<Box<[u8]>> = names.iter().cloned().collect();
        if !shared.change_world(|w| w.moving.add(client, names)) {
            return None;
        }
        drop(shared.gate.stop_world());
        Some(KeyHold { shared: Arc::clone(shared), client })
    }
}

impl Drop for KeyHold {
    fn drop(&mut self) {
        self.shared.change_world(|w| w.moving.0.retain(|held| held.client != self.client));
        // A command in line for its keys is passed by while one of them is being moved.
        if self.shared.blocked.any() {
            for name in self.shared.blocked.names() {
                self.shared.threads().workers[0].send(WorkerMessage::Ready(name));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use baton_resp::OwnedArgs;

    use super::*;

    fn names(words: &[&str]) -> HashSet<Box<[u8]>> {
        words.iter().map(|word| word.as_bytes().into()).collect()
    }

    fn waits(moving: &Moving, client: u64, line: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        let args = OwnedArgs::from_slices(&words);
        let spec = baton_commands::find(args.as_args()).unwrap_or_else(|_| panic!("{line}"));
        moving.holds_back(spec, args.as_args(), ClientId(client))
    }

    #[test]
    fn changes_of_what_is_moved_wait_and_nothing_else() {
        let mut moving = Moving::default();
        assert!(moving.add(ClientId(1), names(&["a", "b"])) && !waits(&moving, 1, "SET a 1"));
        for held in
            ["SET a 1", "MSET x 1 b 2", "DEL x y a", "FLUSHALL", "SWAPDB 0 1", "COPY x a", "RENAME a x", "PFCOUNT b"]
        {
            assert!(waits(&moving, 2, held), "{held}");
        }
        for free in ["GET a", "SET x 1", "MSET x 1 y a", "PUBLISH a b", "PING", "MGET a b", "KEYS *", "CONFIG SET a b"]
        {
            assert!(!waits(&moving, 2, free), "{free}");
        }
        assert!(waits(&moving, 2, "MIGRATE h 1 a 0 1") && !waits(&moving, 1, "MIGRATE h 1 a 0 1"));
    }

    #[test]
    fn no_key_is_moved_twice_at_a_time() {
        let mut moving = Moving::default();
        assert!(moving.add(ClientId(1), names(&["a", "b"])));
        assert!(!moving.add(ClientId(2), names(&["c", "b"])));
        assert!(moving.add(ClientId(2), names(&["c"])));
        assert!(moving.has(b"c") && !moving.has(b"d") && moving.len() == 2);
    }
}
