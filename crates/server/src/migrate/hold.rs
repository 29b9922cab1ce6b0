//! Keys, and whole slots, that are being moved: part of the world that commands are judged by. Only changes of keys are held
//! back, and what may change any key; a key is known by its name in whatever database.

use std::collections::HashSet;
use std::sync::Arc;

use baton_base::{Mono, Slot, SlotBitmap};
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

/// Slots that change hands.
#[derive(Clone, Debug)]
struct Leaving {
    slots: Arc<SlotBitmap>,
    /// Until when INFO says that they will be held; whoever holds them ends it.
    until: Mono,
    /// Their new owner has been told that it may take them.
    ceded: bool,
}

/// All that is being moved. No key is in two transfers.
#[derive(Clone, Debug, Default)]
pub struct Moving {
    keys: Vec<Arc<Held>>,
    slots: Vec<Leaving>,
}

impl Moving {
    /// Whether none is.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.slots.is_empty()
    }

    /// How many transfers there are.
    pub fn len(&self) -> usize {
        self.keys.len() + self.slots.len()
    }

    /// Whether this key is being moved.
    pub fn has(&self, name: &[u8]) -> bool {
        self.keys.iter().any(|held| held.names.contains(name))
            || (!self.slots.is_empty() && self.has_slot(Slot::of_key(name)))
    }

    /// Whether this slot is about to change hands.
    pub fn has_slot(&self, slot: Slot) -> bool {
        self.slots.iter().any(|leaving| leaving.slots.contains(slot))
    }

    /// Until when slots are held that change hands, as far as is known; none if there are none.
    pub fn slots_until(&self) -> Option<Mono> {
        self.slots.iter().map(|leaving| leaving.until).max()
    }

    /// Whether somebody else may have slots already that are this node's as far as it knows.
    pub fn has_ceded(&self) -> bool {
        self.slots.iter().any(|leaving| leaving.ceded)
    }

    /// Whether a command of this client has to wait. The one that moves keys is not held back by itself.
    pub fn holds_back(&self, spec: &CommandSpec, args: Args<'_>, client: ClientId) -> bool {
        if !spec.flags.intersects(Flags::WRITE.union(Flags::MAY_REPLICATE)) {
            return false;
        }
        let mut others = self.keys.iter().filter(|held| held.client != client).peekable();
        if others.peek().is_none() && self.slots.is_empty() {
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
        let names = || keys.iter().filter(|k| !k.flags.contains(KeyFlags::NOT_KEY)).map(|k| args.at(k.index as usize));
        others.any(|held| names().any(|name| held.names.contains(name)))
            || (!self.slots.is_empty() && names().any(|name| self.has_slot(Slot::of_key(name))))
    }

    fn add(&mut self, client: ClientId, names: HashSet<Box<[u8]>>) -> bool {
        let free = self.keys.iter().all(|held| held.client != client && held.names.is_disjoint(&names));
        if free {
            self.keys.push(Arc::new(Held { client, names }));
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
        self.shared.change_world(|w| w.moving.keys.retain(|held| held.client != self.client));
        look_again(&self.shared);
    }
}

/// The hold of slots that change hands; dropping it lets those run that waited.
pub struct SlotHold {
    shared: Arc<Shared>,
    slots: Arc<SlotBitmap>,
}

impl SlotHold {
    /// Holds slots; none if a planned change of the primary holds all writes. When this returns, no command is running any
    /// more that was admitted before. The caller is not inside the gate.
    pub fn begin(shared: &Arc<Shared>, slots: &SlotBitmap, until: Mono) -> Option<SlotHold> {
        let slots = Arc::new(slots.clone());
        let begun = shared.change_world(|w| {
            let free = !w.holds.fenced();
            if free {
                w.moving.slots.push(Leaving { slots: Arc::clone(&slots), until, ceded: false });
            }
            free
        });
        let hold = begun.then(|| SlotHold { shared: Arc::clone(shared), slots })?;
        drop(shared.gate.stop_world());
        Some(hold)
    }

    /// From now on somebody else may have the slots. Refused if a planned change of the primary has begun: the successor
    /// knows nothing of it, and would serve them, too.
    #[must_use]
    pub fn cede(&self, until: Mono) -> bool {
        self.shared.change_world(|w| {
            let free = !w.holds.fenced();
            for leaving in w.moving.slots.iter_mut().filter(|leaving| Arc::ptr_eq(&leaving.slots, &self.slots)) {
                (leaving.ceded, leaving.until) = (free, until);
            }
            free
        })
    }
}

impl Drop for SlotHold {
    fn drop(&mut self) {
        self.shared.change_world(|w| w.moving.slots.retain(|leaving| !Arc::ptr_eq(&leaving.slots, &self.slots)));
        look_again(&self.shared);
    }
}

/// A command in line for its keys is passed by while one of them is being moved.
fn look_again(shared: &Shared) {
    if shared.blocked.any() {
        for name in shared.blocked.names() {
            shared.threads().workers[0].send(WorkerMessage::Ready(name));
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
    fn slots_that_change_hands_are_held_and_others_are_not() {
        let slots: Arc<SlotBitmap> = Arc::new([Slot::of_key(b"a")].into_iter().collect());
        let leaving = Leaving { slots, until: Mono::ZERO, ceded: false };
        let moving = Moving { slots: vec![leaving], ..Moving::default() };
        for held in ["SET {a}1 1", "MSET x 1 {a} 2", "DEL x y {a}z", "FLUSHALL", "EVAL s 0", "PFCOUNT a"] {
            assert!(waits(&moving, 2, held), "{held}");
        }
        for free in ["GET a", "SET b 1", "PUBLISH a b", "MGET a b", "KEYS *"] {
            assert!(!waits(&moving, 2, free), "{free}");
        }
        assert!(moving.has(b"{a}x") && !moving.has(b"b"));
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
