//! Who is primary of what: what a header says about its sender's role, and how this node becomes a replica or a primary
//! (cluster-bus 6.5). Slots are judged in `claims`.

use crate::cluster::{Cluster, Turn};
use crate::effect::{Effect, LogLevel};
use baton_base::{NodeId, Slot};
use baton_wire::Header;

/// What a new replica may try when it attaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Resync {
    /// The data is of the same shard: a partial resynchronisation may be tried, open slots stay.
    Partial,
    /// The data is of another shard: everything is transferred, open slots are dropped.
    Full,
}

impl Cluster {
    /// Takes the role that a header claims. False means that the message is stale and must not be used further.
    pub(crate) fn on_role(&mut self, turn: &Turn<'_>, sender: NodeId, header: &Header) -> bool {
        let Some(primary) = header.replica_of else {
            if !self.nodes[&sender].is_primary() {
                if let Some(owner) = self.outdated_claim(sender, header) {
                    return self.ignore_claim(turn, sender, owner, header);
                }
                let shard = self.nodes[&sender].shard;
                let text = format!("Reconfiguring node {} as primary for shard {shard}", self.named(&sender));
                self.log(LogLevel::Notice, text);
                self.see_as_primary(&sender);
                // It may have won before I heard it: its epoch, absorbed above, is what its slots are judged by.
            }
            return true;
        };
        if primary == sender {
            return false;
        }
        if !self.nodes[&sender].is_replica() && !self.see_as_replica(sender, primary, header) {
            return false;
        }
        self.see_primary_of(sender, primary);
        true
    }

    /// The newer owner of slots that a known replica claims, if all that it claims has newer owners. Such a claim gives it
    /// nothing, so it is no primary by it: it was said before it was demoted, and came later because a pair of nodes has
    /// two connections, or by a process that does not know yet what happened to it.
    fn outdated_claim(&self, sender: NodeId, header: &Header) -> Option<NodeId> {
        let newer = |id: &NodeId| *id != sender && self.nodes[id].config_epoch > header.config_epoch;
        let (_, owner) = self.slots.first_owned(&header.slots, newer)?;
        let shares = self.slots.shares(&header.slots);
        let taken: usize = shares.iter().filter(|(id, _)| newer(id)).map(|(_, share)| share.len()).sum();
        (taken == header.slots.len()).then_some(owner)
    }

    /// Whoever doesn't know is told; whoever does knows better.
    fn ignore_claim(&mut self, turn: &Turn<'_>, sender: NodeId, owner: NodeId, header: &Header) -> bool {
        let text = format!(
            "Ignore stale message from {}, it claims to be a primary with epoch {} while {} serves its slots with epoch {}",
            self.named(&sender),
            header.config_epoch,
            self.named(&owner),
            self.nodes[&owner].config_epoch
        );
        self.log(LogLevel::Notice, text);
        self.send_update(turn, &sender, owner);
        false
    }

    /// Marks a node a primary in my table.
    pub(crate) fn see_as_primary(&mut self, id: &NodeId) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.set_primary_role();
        self.note_primary(id);
        self.todo.save_lazily();
        self.todo.health = true;
        self.todo.publish = true;
        if *id == self.me {
            self.become_primary();
            // The others remember what this node has forgotten, so it may have forgotten its data, too.
            self.come_home();
        }
    }

    /// A primary in my view says that it is a replica. False if that is an old message.
    fn see_as_replica(&mut self, sender: NodeId, primary: NodeId, header: &Header) -> bool {
        let known_here = self.nodes.contains_key(&primary);
        if known_here && self.same_shard(&sender, &primary) {
            let newest = self.effective_epoch(&sender).max(self.effective_epoch(&primary));
            if newest > header.config_epoch {
                let text = format!(
                    "Ignore stale message from {}, it claims to be a replica of {} with epoch {} while {newest} is known",
                    self.named(&sender),
                    self.named(&primary),
                    header.config_epoch
                );
                self.log(LogLevel::Notice, text);
                return false;
            }
            if self.nodes[&primary].is_replica() {
                self.move_shard(sender, primary, header);
            }
        }
        let removed = self.slots.unassign_all(&sender);
        if removed > 0 {
            let shard = self.nodes[&sender].shard;
            let text = format!(
                "Node {} is no longer primary of shard {shard}; removed all {removed} slot(s) it used to own",
                self.named(&sender)
            );
            self.log(LogLevel::Notice, text);
        }
        let node = self.nodes.get_mut(&sender).expect("the sender is known");
        node.set_replica_role(None);
        self.note_primary(&sender);
        self.note_slots_changed();
        true
    }

    /// The demoted node was heard before its successor: everything it had goes to the successor, with its epoch.
    fn move_shard(&mut self, from: NodeId, to: NodeId, header: &Header) {
        let slots = self.slots.of_or_empty(&from);
        self.slots.assign_all(&slots, to);
        if !slots.is_empty() {
            self.note_claimed(from, to, header.config_epoch);
        }
        let shard = self.nodes[&from].shard;
        let text = format!(
            "A failover occurred in shard {shard}; node {} lost {} slot(s) and failed over to node {} with a config epoch of {}",
            self.named(&from),
            slots.len(),
            self.named(&to),
            header.config_epoch
        );
        self.log(LogLevel::Notice, text);
        self.see_as_primary(&to);
        self.raise_config_epoch(to, header.config_epoch);
        self.move_open_slots(from, to);
    }

    fn move_open_slots(&mut self, from: NodeId, to: NodeId) {
        let shard = self.nodes[&to].shard;
        let at = |map: &std::collections::BTreeMap<Slot, NodeId>| -> Vec<Slot> {
            map.iter().filter(|(_, node)| **node == from).map(|(slot, _)| *slot).collect()
        };
        let (sources, targets) = (at(&self.slots.importing), at(&self.slots.migrating));
        for slot in &sources {
            self.slots.importing.insert(*slot, to);
            let text = format!(
                "Failover occurred in migration source. Update importing source for slot {slot} to node {} in shard {shard}",
                self.named(&to)
            );
            self.log(LogLevel::Verbose, text);
        }
        for slot in &targets {
            self.slots.migrating.insert(*slot, to);
            let text = format!(
                "Failover occurred in migration target. Slot {slot} is now being migrated to node {} in shard {shard}",
                self.named(&to)
            );
            self.log(LogLevel::Verbose, text);
        }
        if !sources.is_empty() {
            let text = format!(
                "A failover occurred in migration source. Update importing source of {} slot(s) to node {} in shard {shard}",
                sources.len(),
                self.named(&to)
            );
            self.log(LogLevel::Notice, text);
        }
        if !targets.is_empty() {
            let text = format!(
                "A failover occurred in migration target. Update migrating target of {} slot(s) to node {} in shard {shard}",
                targets.len(),
                self.named(&to)
            );
            self.log(LogLevel::Notice, text);
        }
    }

    /// A replica names its primary. Sub-replica repair comes before the sender's shard id changes, because a partial
    /// resynchronisation is only allowed within the old shard.
    fn see_primary_of(&mut self, sender: NodeId, primary: NodeId) {
        let Some(head) = self.nodes.get(&primary) else { return };
        let shard = head.shard;
        let node = self.nodes.get_mut(&sender).expect("the sender is known");
        if node.primary == Some(primary) || !node.is_replica() {
            return;
        }
        node.primary = Some(primary);
        self.note_primary(&sender);
        let text =
            format!("Node {} is now a replica of node {} in shard {shard}", self.named(&sender), self.named(&primary));
        self.log(LogLevel::Notice, text);
        self.save_about(shard);
        self.todo.health = true;
        self.todo.publish = true;
        self.homecoming.note_heard();
        self.repair_sub_replica();
        if let Some(node) = self.nodes.get_mut(&sender) {
            node.shard = shard;
        }
    }

    /// My primary became a replica itself: I follow the one it follows.
    fn repair_sub_replica(&mut self) {
        let Some(old) = self.my_primary() else { return };
        let (old, Some(next)) = (old.id, old.primary) else { return };
        if next == self.me || !self.nodes.contains_key(&next) {
            return;
        }
        let text = format!("I'm a sub-replica! Reconfiguring myself as a replica of {next} from {old}");
        self.log(LogLevel::Notice, text);
        let resync = if self.same_shard(&self.me, &next) { Resync::Partial } else { Resync::Full };
        self.follow(next, resync);
        self.slots.close_all();
        self.todo.announce = true;
    }

    /// Becomes a replica, whatever the cause. I must own no slot.
    pub(crate) fn follow(&mut self, primary: NodeId, resync: Resync) {
        assert!(!self.slots.owns_any(&self.me), "a node that owns slots does not become a replica");
        assert!(primary != self.me, "a node does not follow itself");
        if resync == Resync::Full {
            self.slots.close_all();
        }
        let shard = self.nodes[&primary].shard;
        let me = self.myself_mut();
        me.set_replica_role(Some(primary));
        me.shard = shard;
        me.config_epoch = baton_base::Epoch(0);
        self.note_primary(&{ self.me });
        self.reset_manual();
        self.election.reset();
        self.forget_victory();
        self.replicate(primary, resync);
        self.unsubscribe_foreign();
        self.todo.save_soon();
        self.todo.health = true;
        self.todo.publish = true;
    }

    /// Tells the data plane where to replicate from, if the address is known; else the periodic repair does it later.
    fn replicate(&mut self, primary: NodeId, resync: Resync) {
        let address = self.nodes[&primary].address;
        if address.ip.is_empty() {
            self.replicating = None;
            return;
        }
        let host = address.ip.as_str().to_owned();
        let port = address.wire_ports(self.settings.tls_cluster).0;
        self.replicating = Some((primary, host.clone(), port));
        let full_sync = resync == Resync::Full;
        self.todo.role = Some(Effect::BecomeReplicaOf { primary, host, port, full_sync });
    }

    /// A replica that has no target although its primary has an address gets one, also after the address changed.
    pub(crate) fn repair_replication(&mut self, turn: &Turn<'_>) {
        let Some(primary) = self.my_primary() else { return };
        if turn.facts.loading || primary.address.ip.is_empty() {
            return;
        }
        let port = primary.address.wire_ports(self.settings.tls_cluster).0;
        let id = primary.id;
        let current = self.replicating.as_ref();
        let right =
            current.is_some_and(|(to, host, at)| *to == id && host == primary.address.ip.as_str() && *at == port);
        if !right {
            self.replicate(id, Resync::Partial);
        }
    }

    /// Stops replicating; the data plane keeps its history as the second replication id.
    pub(crate) fn become_primary(&mut self) {
        self.myself_mut().set_primary_role();
        self.note_primary(&{ self.me });
        self.replicating = None;
        self.reset_manual();
        self.todo.role = Some(Effect::BecomePrimary);
        self.todo.health = true;
        self.todo.publish = true;
    }

    /// Shard channels of slots that my shard does not serve lose their subscribers.
    pub(crate) fn unsubscribe_foreign(&mut self) {
        let head = self.my_head();
        self.todo.unsubscribe = Some(self.slots.of_or_empty(&head).complement());
    }
}
