//! The slot map: which node owns each slot, which owners stopped claiming a slot, and which slots are open for
//! migration. It never judges claims; that is `claims`.

use baton_base::{NodeId, Slot, SlotBitmap};
use std::collections::BTreeMap;
use std::sync::Arc;

/// To compare two sets takes as long as to look up so many slots, about.
const OWNER_COSTS_SLOTS: usize = 16;

/// Owner of every slot. Invariant: `by_owner` holds exactly the owners with at least one slot, and its bitmaps are the
/// inverse of `owner`.
#[derive(Clone, Debug)]
pub(crate) struct SlotMap {
    /// Per slot 0 for nobody, else 1 + the index into `names`.
    owner: Box<[u16; Slot::COUNT]>,
    /// Nodes that own or once owned a slot; an index is reused once its node owns nothing.
    names: Vec<NodeId>,
    by_owner: BTreeMap<NodeId, SlotBitmap>,
    assigned: usize,
    /// How often slots changed hands.
    changes: u64,
    /// Slots whose owner no longer claims them: free for the next claimant, and masked out of UPDATE (cluster-bus 6.3-2).
    pub(crate) unclaimed: SlotBitmap,
    /// Slots that leave for another node.
    pub(crate) migrating: BTreeMap<Slot, NodeId>,
    /// Slots that come from another node.
    pub(crate) importing: BTreeMap<Slot, NodeId>,
}

impl SlotMap {
    pub(crate) fn new() -> SlotMap {
        SlotMap {
            owner: Box::new([0; Slot::COUNT]),
            names: Vec::new(),
            by_owner: BTreeMap::new(),
            assigned: 0,
            changes: 0,
            unclaimed: SlotBitmap::new(),
            migrating: BTreeMap::new(),
            importing: BTreeMap::new(),
        }
    }

    /// The owner of a slot.
    pub(crate) fn owner(&self, slot: Slot) -> Option<NodeId> {
        let index = self.owner[slot.index()];
        (index > 0).then(|| self.names[usize::from(index) - 1])
    }

    /// The slots of a node; none if it owns nothing.
    pub(crate) fn of(&self, id: &NodeId) -> Option<&SlotBitmap> {
        self.by_owner.get(id)
    }

    /// A copy of the slots of a node.
    pub(crate) fn of_or_empty(&self, id: &NodeId) -> SlotBitmap {
        self.by_owner.get(id).cloned().unwrap_or_default()
    }

    /// How many slots a node owns.
    pub(crate) fn count(&self, id: &NodeId) -> usize {
        self.by_owner.get(id).map_or(0, SlotBitmap::len)
    }

    /// Whether a node owns any slot.
    pub(crate) fn owns_any(&self, id: &NodeId) -> bool {
        self.by_owner.contains_key(id)
    }

    /// All owners with their slots, by node id.
    pub(crate) fn owners(&self) -> impl Iterator<Item = (&NodeId, &SlotBitmap)> {
        self.by_owner.iter()
    }

    /// The ids of all owners, in order.
    pub(crate) fn owner_ids(&self) -> impl Iterator<Item = &NodeId> {
        self.by_owner.keys()
    }

    /// How many nodes own slots.
    pub(crate) fn owner_count(&self) -> usize {
        self.by_owner.len()
    }

    /// A number that is another one once a slot has another owner.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// A number for every slot's owner, as `number` gives it; `none` for slots without one.
    pub(crate) fn numbered(&self, number: impl Fn(&NodeId) -> u16, none: u16) -> Arc<[u16; Slot::COUNT]> {
        // Names are few and slots many, so each name is translated once.
        let mut numbers = vec![none; self.names.len() + 1];
        for (index, name) in self.names.iter().enumerate().filter(|(_, name)| self.by_owner.contains_key(name)) {
            numbers[index + 1] = number(name);
        }
        let mut out = [none; Slot::COUNT];
        out.iter_mut().zip(self.owner.iter()).for_each(|(number, index)| *number = numbers[usize::from(*index)]);
        Arc::new(out)
    }

    /// How many slots have an owner.
    pub(crate) fn assigned(&self) -> usize {
        self.assigned
    }

    /// Gives a slot to a node, taking it from whoever has it.
    pub(crate) fn assign(&mut self, slot: Slot, id: NodeId) {
        if self.owner(slot) == Some(id) {
            self.unclaimed.remove(slot);
            return;
        }
        self.unassign(slot);
        let index = self.name_index(id);
        self.owner[slot.index()] = index + 1;
        self.assigned += 1;
        self.changes += 1;
        self.by_owner.entry(id).or_default().insert(slot);
    }

    /// Gives many slots to a node at once, taking them from whoever has them. A failover moves thousands: set by set that
    /// takes microseconds, slot by slot milliseconds.
    pub(crate) fn assign_all(&mut self, slots: &SlotBitmap, id: NodeId) {
        if slots.is_empty() {
            return;
        }
        let shares = self.shares(slots);
        self.assigned += slots.len() - shares.iter().map(|(_, share)| share.len()).sum::<usize>();
        for (owner, share) in shares.iter().filter(|(owner, _)| *owner != id) {
            let set = self.by_owner.get_mut(owner).expect("every owner of a slot has a bitmap");
            set.remove_all(share);
            if set.is_empty() {
                self.by_owner.remove(owner);
            }
        }
        self.unclaimed.remove_all(slots);
        let index = self.name_index(id);
        for slot in slots.iter() {
            self.owner[slot.index()] = index + 1;
        }
        self.by_owner.entry(id).or_default().insert_all(slots);
        self.changes += 1;
    }

    /// The lowest of these slots whose owner is one of those asked for, and that owner.
    pub(crate) fn first_owned(&self, slots: &SlotBitmap, asked: impl Fn(&NodeId) -> bool) -> Option<(Slot, NodeId)> {
        let shares = self.shares(slots).into_iter().filter(|(id, _)| asked(id));
        shares.filter_map(|(id, share)| Some((share.first()?, id))).min()
    }

    /// Who owns these slots, by id, and which of them. Slots without an owner are nobody's.
    pub(crate) fn shares(&self, slots: &SlotBitmap) -> Vec<(NodeId, SlotBitmap)> {
        // Few large owners are asked for their part; among many owners a shard is small, and its slots are looked up.
        if self.by_owner.len() * OWNER_COSTS_SLOTS <= slots.len() {
            let parts = self.by_owner.iter().map(|(id, set)| (*id, set.and(slots)));
            return parts.filter(|(_, share)| !share.is_empty()).collect();
        }
        let mut parts: BTreeMap<u16, SlotBitmap> = BTreeMap::new();
        for slot in slots.iter().filter(|slot| self.owner[slot.index()] > 0) {
            parts.entry(self.owner[slot.index()]).or_default().insert(slot);
        }
        let named = parts.into_iter().map(|(index, share)| (self.names[usize::from(index) - 1], share));
        let mut out: Vec<(NodeId, SlotBitmap)> = named.collect();
        out.sort_unstable_by_key(|(id, _)| *id);
        out
    }

    /// Takes a slot from its owner; gives that owner.
    pub(crate) fn unassign(&mut self, slot: Slot) -> Option<NodeId> {
        let id = self.owner(slot)?;
        self.owner[slot.index()] = 0;
        self.assigned -= 1;
        self.changes += 1;
        self.unclaimed.remove(slot);
        let set = self.by_owner.get_mut(&id).expect("every owner of a slot has a bitmap");
        set.remove(slot);
        if set.is_empty() {
            self.by_owner.remove(&id);
        }
        Some(id)
    }

    /// Takes all slots from a node; gives their number.
    pub(crate) fn unassign_all(&mut self, id: &NodeId) -> usize {
        let Some(slots) = self.by_owner.remove(id) else { return 0 };
        self.changes += 1;
        for slot in slots.iter() {
            self.owner[slot.index()] = 0;
        }
        self.unclaimed.remove_all(&slots);
        self.assigned -= slots.len();
        slots.len()
    }

    /// Drops every open slot that points at this node.
    pub(crate) fn close_slots_of(&mut self, id: &NodeId) {
        self.migrating.retain(|_, node| node != id);
        self.importing.retain(|_, node| node != id);
    }

    /// Drops every open slot.
    pub(crate) fn close_all(&mut self) {
        self.migrating.clear();
        self.importing.clear();
    }

    fn name_index(&mut self, id: NodeId) -> u16 {
        let found = self.names.iter().position(|n| *n == id);
        let index = found.unwrap_or_else(|| match self.names.iter().position(|n| !self.by_owner.contains_key(n)) {
            Some(free) => {
                self.names[free] = id;
                free
            }
            None => {
                self.names.push(id);
                self.names.len() - 1
            }
        });
        u16::try_from(index).expect("there are never more owners than slots")
    }

    /// Checks the invariant of the type; gives what is wrong.
    pub(crate) fn validate(&self) -> Result<(), String> {
        for (id, set) in &self.by_owner {
            // Comparing indices keeps this cheap enough to be asked after every step of a simulation.
            let index = self.names.iter().position(|name| name == id).map_or(0, |index| index + 1);
            if let Some(slot) = set.iter().find(|slot| usize::from(self.owner[slot.index()]) != index) {
                return Err(format!("slot {slot} is in the bitmap of {id}, which does not own it"));
            }
        }
        let owned = self.owner.iter().filter(|&&o| o > 0).count();
        let held = self.by_owner.values().map(SlotBitmap::len).sum::<usize>();
        if owned != held || owned != self.assigned {
            return Err(format!("{owned} slots have owners, the bitmaps hold {held}, counted are {}", self.assigned));
        }
        match self.unclaimed.iter().find(|slot| self.owner(*slot).is_none()) {
            Some(slot) => Err(format!("slot {slot} has no owner, yet is marked as not claimed by it")),
            None => Ok(()),
        }
    }
}

/// Slots as upstream writes ranges in log lines: `[0, 5460]`, one entry per run.
pub(crate) fn runs(slots: &SlotBitmap) -> Vec<(u16, u16)> {
    slots.ranges().into_iter().map(|(a, b)| (a.number(), b.number())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_base::Rng;
    use proptest::prelude::*;

    proptest! {
        /// The map against a plain vector of owners.
        #[test]
        fn behaves_like_a_vector(
            steps in proptest::collection::vec((0u16..64, 0usize..6), 0..300),
            moves in proptest::collection::vec((0u16..64, 0u16..64, 0usize..6), 0..20),
        ) {
            let mut rng = Rng::new(1);
            let ids: Vec<NodeId> = (0..5).map(|_| NodeId::random(&mut rng)).collect();
            let mut map = SlotMap::new();
            let mut twin = vec![None; 64];
            for (n, who) in steps {
                let slot = Slot::new(n).unwrap();
                match ids.get(who) {
                    Some(id) => { map.assign(slot, *id); twin[usize::from(n)] = Some(*id); }
                    None => { map.unassign(slot); twin[usize::from(n)] = None; }
                }
            }
            prop_assert_eq!(map.validate(), Ok(()));
            for (from, to, who) in moves {
                let ranged = (from.min(to)..from.max(to)).filter_map(Slot::new);
                let slots: SlotBitmap = ranged.collect();
                let stale = |id: &NodeId| *id == ids[0] || *id == ids[1];
                let first = slots.iter().find_map(|s| map.owner(s).filter(stale).map(|id| (s, id)));
                prop_assert_eq!(map.first_owned(&slots, stale), first);
                for (id, share) in map.shares(&slots) {
                    let owned = slots.iter().filter(|s| map.owner(*s) == Some(id));
                    prop_assert_eq!(share, owned.collect::<SlotBitmap>());
                }
                let shared: usize = map.shares(&slots).iter().map(|(_, share)| share.len()).sum();
                prop_assert_eq!(shared, slots.iter().filter(|s| map.owner(*s).is_some()).count());
                match ids.get(who) {
                    Some(id) => {
                        map.assign_all(&slots, *id);
                        slots.iter().for_each(|s| twin[s.index()] = Some(*id));
                    }
                    None => {
                        let owned = twin.iter().filter(|o| **o == Some(ids[0])).count();
                        prop_assert_eq!(map.unassign_all(&ids[0]), owned);
                        twin.iter_mut().filter(|o| **o == Some(ids[0])).for_each(|o| *o = None);
                    }
                }
                prop_assert_eq!(map.validate(), Ok(()));
            }
            let number = |id: &NodeId| ids.iter().position(|i| i == id).unwrap() as u16;
            let numbered = map.numbered(number, 99);
            for n in 0..64u16 {
                prop_assert_eq!(map.owner(Slot::new(n).unwrap()), twin[usize::from(n)]);
                prop_assert_eq!(numbered[usize::from(n)], twin[usize::from(n)].as_ref().map_or(99, number));
            }
            for id in &ids {
                prop_assert_eq!(map.count(id), twin.iter().filter(|o| **o == Some(*id)).count());
            }
        }
    }
}
