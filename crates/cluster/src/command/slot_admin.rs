//! Commands about slots and epochs: ADDSLOTS, DELSLOTS, FLUSHSLOTS, SETSLOT, SET-CONFIG-EPOCH, BUMPEPOCH
//! (cluster-bus 11.3, 12.1).

use crate::cluster::{Cluster, Turn};
use crate::command::SetSlot;
use crate::effect::LogLevel;
use crate::input::Origin;
use crate::roles::Resync;
use crate::show::ClusterReply;
use baton_base::{Epoch, NodeId, Slot, SlotBitmap};

type Answer = Result<ClusterReply, String>;

fn once_each(slots: &[Slot]) -> Result<(), String> {
    let mut seen = SlotBitmap::new();
    match slots.iter().find(|slot| !seen.insert(**slot)) {
        Some(slot) => Err(format!("ERR Slot {slot} specified multiple times")),
        None => Ok(()),
    }
}

impl Cluster {
    pub(crate) fn add_slots(&mut self, slots: &[Slot]) -> Answer {
        self.refuse_witness(&self.me)?;
        if !self.is_primary() {
            return Err("ERR Please use ADDSLOTS only with masters.".to_owned());
        }
        if let Some(busy) = slots.iter().find(|slot| self.slots.owner(**slot).is_some()) {
            return Err(format!("ERR Slot {busy} is already busy"));
        }
        once_each(slots)?;
        for slot in slots {
            self.slots.importing.remove(slot);
            self.slots.assign(*slot, self.me);
        }
        self.note_slots_changed();
        self.todo.save_durably();
        Ok(ClusterReply::Ok)
    }

    pub(crate) fn del_slots(&mut self, slots: &[Slot]) -> Answer {
        if let Some(free) = slots.iter().find(|slot| self.slots.owner(**slot).is_none()) {
            return Err(format!("ERR Slot {free} is already unassigned"));
        }
        once_each(slots)?;
        for slot in slots {
            self.slots.unassign(*slot);
        }
        self.unsubscribe_foreign();
        self.note_slots_changed();
        self.todo.save_durably();
        Ok(ClusterReply::Ok)
    }

    pub(crate) fn flush_slots(&mut self, turn: &Turn<'_>) -> Answer {
        if !turn.facts.keys.is_empty() {
            return Err("ERR DB must be empty to perform CLUSTER FLUSHSLOTS.".to_owned());
        }
        let me = self.me;
        self.slots.unassign_all(&me);
        self.unsubscribe_foreign();
        self.note_slots_changed();
        self.todo.save_durably();
        Ok(ClusterReply::Ok)
    }

    /// Takes slots over whose owner has agreed and holds its writes: under a newer epoch, so that everybody follows.
    pub(crate) fn claim_slots(&mut self, slots: &[Slot], from: NodeId) -> Answer {
        if !self.is_primary() {
            return Err("ERR Slot migration can only be used on primary nodes.".to_owned());
        }
        if let Some(slot) = slots.iter().find(|slot| self.slots.owner(**slot) != Some(from)) {
            return Err(format!("ERR Slot {slot} is not served by the source node any more"));
        }
        self.bump_epoch();
        self.slots.assign_all(&slots.iter().copied().collect(), self.me);
        self.note_slots_changed();
        self.todo.save_durably();
        self.todo.announce = true;
        Ok(ClusterReply::Ok)
    }

    /// Stops claiming slots that are mine, so that whoever claims them has them, whatever the epochs.
    pub(crate) fn cede_slots(&mut self, slots: &[Slot]) -> Answer {
        if let Some(slot) = slots.iter().find(|slot| self.slots.owner(**slot) != Some(self.me)) {
            return Err(format!("ERR I'm not the owner of hash slot {slot}"));
        }
        for slot in slots {
            self.slots.unclaimed.insert(*slot);
        }
        Ok(ClusterReply::Ok)
    }

    /// Claims them again, as far as they are still mine.
    pub(crate) fn keep_slots(&mut self, slots: &[Slot]) -> Answer {
        for slot in slots {
            if self.slots.owner(*slot) == Some(self.me) {
                self.slots.unclaimed.remove(*slot);
            }
        }
        self.todo.announce = true;
        Ok(ClusterReply::Ok)
    }

    pub(crate) fn set_slot(&mut self, turn: &Turn<'_>, origin: &Origin, slot: Slot, action: &SetSlot) -> Answer {
        if !self.is_primary() && *origin != Origin::PrimaryLink {
            return Err("ERR Please use SETSLOT only with masters.".to_owned());
        }
        match action {
            SetSlot::Migrating(target) => {
                if self.is_primary() && self.slots.owner(slot) != Some(self.me) {
                    return Err(format!("ERR I'm not the owner of hash slot {slot}"));
                }
                let target = self.other_primary(target)?;
                self.slots.migrating.insert(slot, target);
            }
            SetSlot::Importing(source) => {
                self.refuse_witness(&self.me)?;
                if self.slots.owner(slot) == Some(self.me) {
                    return Err(format!("ERR I'm already the owner of hash slot {slot}"));
                }
                let source = self.other_primary(source)?;
                self.slots.importing.insert(slot, source);
            }
            SetSlot::Stable => {
                self.slots.migrating.remove(&slot);
                self.slots.importing.remove(&slot);
            }
            SetSlot::Node(owner) => self.set_slot_owner(turn, slot, owner)?,
        }
        self.note_slots_changed();
        self.todo.save_durably();
        Ok(ClusterReply::Ok)
    }

    /// Slots and replicas are for nodes with data.
    pub(crate) fn refuse_witness(&self, id: &NodeId) -> Result<(), String> {
        if self.is_witness(id) {
            Err(format!("ERR Node {id} is a witness: it holds neither slots nor data"))
        } else {
            Ok(())
        }
    }

    fn other_primary(&self, text: &str) -> Result<NodeId, String> {
        let id = self.find(text).map_err(|_| format!("ERR I don't know about node {text}"))?;
        if id == self.me {
            return Err("ERR Target node is myself".to_owned());
        }
        if !self.nodes[&id].is_primary() {
            return Err("ERR Target node is not a master".to_owned());
        }
        self.refuse_witness(&id)?;
        Ok(id)
    }

    /// SETSLOT NODE: the end of a migration, on either side.
    fn set_slot_owner(&mut self, turn: &Turn<'_>, slot: Slot, text: &str) -> Result<(), String> {
        let owner = self.find(text)?;
        if !self.nodes[&owner].is_primary() {
            return Err("ERR Target node is not a master".to_owned());
        }
        self.refuse_witness(&owner)?;
        let mine = self.slots.owner(slot) == Some(self.me);
        let keys = turn.facts.keys.keys_in(slot);
        if mine && owner != self.me && keys > 0 {
            return Err(format!(
                "ERR Can't assign hashslot {slot} to a different node while I still hold keys for this hash slot."
            ));
        }
        if keys == 0 {
            self.slots.migrating.remove(&slot);
        }
        let head = self.my_head();
        let was_heads = self.slots.owner(slot) == Some(head);
        self.slots.assign(slot, owner);
        if was_heads && owner != head {
            self.unsubscribe_foreign();
            if !self.slots.owns_any(&head) {
                self.after_last_slot_left(owner);
            }
        }
        if owner == head && self.slots.importing.remove(&slot).is_some() && self.is_primary() && self.bump_epoch() {
            self.log(LogLevel::Notice, format!("ConfigEpoch updated after importing slot {slot}"));
        }
        self.todo.announce |= self.is_primary();
        Ok(())
    }

    /// My shard has become empty by migration: I join the new owner, if that is allowed.
    fn after_last_slot_left(&mut self, owner: NodeId) {
        let named = self.named(&owner);
        let shard = self.nodes[&owner].shard;
        if self.settings.allow_replica_migration {
            let text = format!(
                "Lost my last slot during slot migration. Reconfiguring myself as a replica of {named} in shard {shard}"
            );
            self.log(LogLevel::Notice, text);
            self.follow(owner, Resync::Full);
            self.todo.announce = true;
        } else if self.is_primary() {
            let text =
                format!("My last slot was migrated to node {named} in shard {shard}. I am now an empty primary.");
            self.log(LogLevel::Notice, text);
        }
    }

    pub(crate) fn set_config_epoch(&mut self, epoch: Epoch) -> Answer {
        if self.nodes.len() > 1 {
            let text = "ERR The user can assign a config epoch only when the node does not know any other node.";
            return Err(text.to_owned());
        }
        if self.myself().config_epoch != Epoch(0) {
            return Err("ERR Node config epoch is already non-zero".to_owned());
        }
        self.current_epoch = self.current_epoch.max(epoch);
        self.set_own_config_epoch(epoch);
        self.log(LogLevel::Notice, format!("configEpoch set to {epoch} via CLUSTER SET-CONFIG-EPOCH"));
        Ok(ClusterReply::Ok)
    }

    pub(crate) fn bump_epoch_command(&mut self) -> Answer {
        let word = if self.bump_epoch() { "BUMPED" } else { "STILL" };
        Ok(ClusterReply::Status(format!("{word} {}", self.myself().config_epoch)))
    }
}
