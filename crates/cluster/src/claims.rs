//! Who wins a slot: a claim is a primary, its configuration epoch and the slots it says it serves. Newer epochs win;
//! whoever loses its last slot follows the winner (cluster-bus 6.3, 6.4).

use crate::cluster::{Cluster, Turn};
use crate::effect::LogLevel;
use crate::roles::Resync;
use crate::slots::runs;
use baton_base::{Epoch, NodeId, Slot, SlotBitmap};
use baton_wire::{Body, Header, MsgFlags, Update};
use std::collections::BTreeMap;

/// What applying one claim took from whom.
#[derive(Default)]
struct Losses {
    /// Slots by their former owner.
    by_owner: BTreeMap<NodeId, SlotBitmap>,
    /// My own lost slots that hold keys.
    dirty: SlotBitmap,
}

impl Cluster {
    /// Compares the slots of a header with mine: applies a primary's claim, and tells a sender that is behind.
    pub(crate) fn on_slots(&mut self, turn: &Turn<'_>, sender: NodeId, header: &Header) {
        let head = if header.claims_primary() { Some(sender) } else { self.nodes[&sender].primary };
        let Some(head) = head else { return };
        let same = match self.slots.of(&head) {
            // One that was not claimed for a while is claimed again by the same slots.
            Some(stored) => *stored == header.slots && stored.and(&self.slots.unclaimed).is_empty(),
            None => header.slots.is_empty(),
        };
        if same {
            return;
        }
        if header.claims_primary() {
            let text = format!(
                "Mismatch in topology information for sender node {} in shard {}",
                self.named(&sender),
                self.nodes[&sender].shard
            );
            self.log(LogLevel::Debug, text);
            self.apply_claim(turn, sender, header.config_epoch, &header.slots);
        }
        if let Some(owner) = self.newer_owner(head, header.config_epoch, &header.slots) {
            self.send_update(turn, &sender, owner);
        }
    }

    /// The first other owner of a claimed slot whose epoch is larger than the claim's.
    fn newer_owner(&self, claimant: NodeId, epoch: Epoch, slots: &SlotBitmap) -> Option<NodeId> {
        let newer = |id: &NodeId| *id != claimant && self.nodes[id].config_epoch > epoch;
        self.slots.first_owned(slots, newer).map(|(_, owner)| owner)
    }

    /// Tells a node whose slots are out of date about their newer owner.
    pub(crate) fn send_update(&mut self, turn: &Turn<'_>, to: &NodeId, owner: NodeId) {
        let text = format!(
            "Node {} has old slots configuration, sending an UPDATE message about {}",
            self.named(to),
            self.named(&owner)
        );
        self.log(LogLevel::Verbose, text);
        let slots = self.slots.of_or_empty(&owner).iter().filter(|s| !self.slots.unclaimed.contains(*s)).collect();
        let update = Update { config_epoch: self.nodes[&owner].config_epoch, id: owner, slots };
        self.send_to(turn, to, MsgFlags::empty(), Body::Update(update));
    }

    /// A third party tells about a newer claim than I know.
    pub(crate) fn on_update(&mut self, turn: &Turn<'_>, sender: NodeId, update: &Update) {
        let Some(subject) = self.nodes.get(&update.id) else { return };
        if subject.config_epoch >= update.config_epoch {
            return;
        }
        let seen_as_primary = subject.is_primary();
        if subject.is_myself() {
            self.log(LogLevel::Warning, "Discarding UPDATE message about myself.".to_owned());
            return;
        }
        let text = format!(
            "Processing UPDATE message received from node {} about node {}",
            self.named(&sender),
            self.named(&update.id)
        );
        self.log(LogLevel::Debug, text);
        if !seen_as_primary {
            self.see_as_primary(&update.id);
        }
        self.raise_config_epoch(update.id, update.config_epoch);
        self.yield_to_claim(update.id, update.config_epoch);
        self.renew_request(update.id);
        self.apply_claim(turn, update.id, update.config_epoch, &update.slots);
    }

    /// Applies the claim of `claimant` (never me) on these slots.
    pub(crate) fn apply_claim(&mut self, turn: &Turn<'_>, claimant: NodeId, epoch: Epoch, claimed: &SlotBitmap) {
        if claimant == self.me {
            self.log(LogLevel::Warning, "Discarding UPDATE message about myself.".to_owned());
            return;
        }
        let head = self.my_head();
        if self.will_tell_shard(&claimant)
            && self.slots.owns_any(&head)
            && !self.slots.of_or_empty(&head).and(claimed).is_empty()
        {
            // What I become by it depends on its shard. It says the same again, with that.
            return;
        }
        let losses = self.take_claimed(turn, claimant, epoch, claimed);
        self.note_unclaimed(claimant, epoch, claimed);
        self.log_moves(&claimant, &losses);
        losses.by_owner.keys().for_each(|old| self.note_claimed(*old, claimant, epoch));
        let lost = losses.by_owner.get(&head).map_or(0, SlotBitmap::len);
        self.after_losses(claimant, epoch, lost, losses.dirty, claimed.is_empty());
    }

    /// 6.3-1: binds to the claimant what it may have.
    fn take_claimed(&mut self, turn: &Turn<'_>, claimant: NodeId, epoch: Epoch, claimed: &SlotBitmap) -> Losses {
        let own = self.slots.of_or_empty(&claimant).and(claimed);
        self.slots.unclaimed.remove_all(&own);
        let mut losses = Losses::default();
        let mut taken = claimed.without(&own);
        for (owner, wanted) in self.slots.shares(&taken) {
            let older = self.nodes[&owner].config_epoch < epoch;
            let lost = if older { wanted.clone() } else { wanted.and(&self.slots.unclaimed) };
            taken.remove_all(&wanted.without(&lost));
            if !lost.is_empty() {
                losses.by_owner.insert(owner, lost);
            }
        }
        if taken.is_empty() {
            return losses;
        }
        if let Some(mine) = losses.by_owner.get(&self.me) {
            losses.dirty = mine.iter().filter(|slot| turn.facts.keys.keys_in(*slot) > 0).collect();
        }
        let open: SlotBitmap = self.slots.migrating.keys().chain(self.slots.importing.keys()).copied().collect();
        let reopened: Vec<(Slot, Option<NodeId>)> =
            open.and(&taken).iter().map(|slot| (slot, self.slots.owner(slot))).collect();
        self.slots.assign_all(&taken, claimant);
        for (slot, owner) in reopened {
            self.reopen_slot(slot, owner, claimant);
        }
        self.note_slots_changed();
        losses
    }

    /// Slots changed hands: the state and the topology follow at the end of the turn, the file some time later. Whoever
    /// gives slots to this node itself has to make that durable besides.
    pub(crate) fn note_slots_changed(&mut self) {
        self.todo.save_lazily();
        self.todo.health = true;
        self.todo.publish = true;
        self.review_waiting();
    }

    /// An open slot follows a failover inside the other shard, and is closed when the slot goes elsewhere.
    fn reopen_slot(&mut self, slot: Slot, from: Option<NodeId>, claimant: NodeId) {
        if let Some(target) = self.slots.migrating.get(&slot).copied()
            && !self.same_shard(&claimant, &self.me)
        {
            self.slots.migrating.remove(&slot);
            let text = format!("Slot {slot} is no longer being migrated to node {}", self.named(&target));
            self.log(LogLevel::Notice, text);
        }
        let Some(source) = self.slots.importing.get(&slot).copied() else { return };
        if from == Some(source) || source != claimant {
            if self.same_shard(&source, &claimant) {
                self.slots.importing.insert(slot, claimant);
                let text = format!(
                    "Failover occurred in migration source. Update importing source for slot {slot} to node {} in shard {}",
                    self.named(&claimant),
                    self.nodes[&claimant].shard
                );
                self.log(LogLevel::Verbose, text);
            } else {
                self.slots.importing.remove(&slot);
            }
        }
    }

    /// 6.3-2: what the claimant does not claim any more, or was the other end of an open slot for.
    fn note_unclaimed(&mut self, claimant: NodeId, epoch: Epoch, claimed: &SlotBitmap) {
        if let Some(own) = self.slots.of(&claimant) {
            let dropped: Vec<Slot> = own.iter().filter(|s| !claimed.contains(*s)).collect();
            for slot in dropped {
                self.slots.unclaimed.insert(slot);
            }
        }
        let targets: Vec<(Slot, NodeId)> =
            self.slots.migrating.iter().filter(|(s, _)| !claimed.contains(**s)).map(|(s, t)| (*s, *t)).collect();
        for (slot, target) in targets {
            let behind = self.nodes.get(&target).is_some_and(|n| n.is_replica() || n.config_epoch < epoch);
            if target != claimant && behind && self.same_shard(&target, &claimant) {
                self.slots.migrating.insert(slot, claimant);
                let text = format!(
                    "Failover occurred in migration target. Slot {slot} is now being migrated to node {} in shard {}",
                    self.named(&claimant),
                    self.nodes[&claimant].shard
                );
                self.log(LogLevel::Verbose, text);
                self.todo.publish = true;
            }
        }
        if self.is_primary() {
            self.finish_imports_from(claimant, claimed);
        }
    }

    /// The source of an import stopped claiming the slot: the move was decided, and it is mine.
    fn finish_imports_from(&mut self, source: NodeId, claimed: &SlotBitmap) {
        let given_up: Vec<Slot> = self
            .slots
            .importing
            .iter()
            .filter(|(slot, from)| **from == source && !claimed.contains(**slot))
            .map(|(slot, _)| *slot)
            .collect();
        for slot in given_up {
            let text = format!(
                "Slot {slot} is no longer being imported from node {} in shard {}; Clear my importing source for the slot.",
                self.named(&source),
                self.nodes[&source].shard
            );
            self.log(LogLevel::Notice, text);
            self.slots.importing.remove(&slot);
            if self.slots.owner(slot) != Some(self.me) {
                self.slots.assign(slot, self.me);
                self.bump_epoch();
                self.todo.save_durably();
            }
            self.note_slots_changed();
        }
    }

    fn log_moves(&mut self, claimant: &NodeId, losses: &Losses) {
        for (from, slots) in &losses.by_owner {
            if self.same_shard(from, claimant) {
                continue;
            }
            for (first, last) in runs(slots) {
                let text = format!(
                    "Slot range [{first}, {last}] is migrated from node {} in shard {} to node {} in shard {}.",
                    self.named(from),
                    self.nodes[from].shard,
                    self.named(claimant),
                    self.nodes[claimant].shard
                );
                self.log(LogLevel::Notice, text);
            }
        }
    }

    /// 6.3-5 to 7: what the claim means for me. `lost` counts the slots that my head lost to the claimant.
    fn after_losses(&mut self, claimant: NodeId, epoch: Epoch, lost: usize, dirty: SlotBitmap, claims_none: bool) {
        let same_shard = self.same_shard(&claimant, &self.me);
        let head = self.my_head();
        let empty = !self.slots.owns_any(&head);
        let empty_shard_moved = claims_none
            && empty
            && same_shard
            && head != claimant
            && self.effective_epoch(&self.me) < epoch
            && !self.slots.owns_any(&claimant);
        if (lost > 0 && empty) || empty_shard_moved {
            if self.settings.allow_replica_migration || same_shard {
                let text = format!(
                    "Configuration change detected. Reconfiguring myself as a replica of node {} in shard {}",
                    self.named(&claimant),
                    self.nodes[&claimant].shard
                );
                self.log(LogLevel::Notice, text);
                let resync = if same_shard { Resync::Partial } else { Resync::Full };
                self.follow(claimant, resync);
                self.todo.announce = true;
                return;
            }
            if self.is_primary() && self.slots.count(&claimant) >= lost {
                let text = format!(
                    "My last slot was migrated to node {} in shard {}. I am now an empty primary.",
                    self.named(&claimant),
                    self.nodes[&claimant].shard
                );
                self.log(LogLevel::Notice, text);
            }
        }
        for slot in dirty.iter() {
            self.todo.delete_keys.get_or_insert_default().insert(slot);
        }
        if lost > 0 && !same_shard {
            self.unsubscribe_foreign();
        }
    }

    /// Keys and slots must agree on a primary: keys in a free slot make it mine, keys in another's slot go
    /// (cluster-bus 6.6).
    pub(crate) fn agree_with_data(&mut self, turn: &Turn<'_>) {
        if !self.is_primary() || self.settings.witness || turn.facts.keys.is_empty() {
            return;
        }
        for slot in self.slots.of_or_empty(&self.me).complement().iter() {
            if turn.facts.keys.keys_in(slot) == 0 || self.slots.importing.contains_key(&slot) {
                continue;
            }
            match self.slots.owner(slot) {
                None => {
                    let text = format!("I have keys for unassigned slot {slot}. Taking responsibility for it.");
                    self.log(LogLevel::Notice, text);
                    self.slots.assign(slot, self.me);
                    self.note_slots_changed();
                    self.todo.save_durably();
                }
                Some(_) => {
                    let text = format!(
                        "I have keys for slot {slot}, but the slot is assigned to another node. \
                         Deleting keys in the slot."
                    );
                    self.log(LogLevel::Notice, text);
                    self.todo.delete_keys.get_or_insert_default().insert(slot);
                }
            }
        }
    }
}
