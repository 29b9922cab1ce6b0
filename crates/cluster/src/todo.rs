//! Work that a turn collects and does once at its end, in the one order that keeps promises durable and writers single:
//! health, failover, role, topology, writes released, deletions, promises made durable, announcements, replies, and last
//! the file as far as nothing waits for it (cluster-bus 6.8).

use crate::cluster::{Cluster, Turn};
use crate::effect::Effect;
use baton_base::{Mono, ShardId, SlotBitmap};
use std::mem::take;
use std::time::Duration;

/// Health and failover may ask for each other again; this many rounds are always enough for both to settle.
const SETTLE_ROUNDS_MAX: usize = 4;

/// The shortest time between two rewrites of the file because of what others told. Where many primaries fail at once, a large
/// file would be written for each of hundreds of announcements; the periodic run writes what is still to be written.
const SAVE_PERIOD: Duration = Duration::from_millis(100);

/// What has to be done before the turn ends.
#[derive(Debug, Default)]
pub(crate) struct Todo {
    /// Evaluate up or down.
    pub(crate) health: bool,
    /// Run the (manual) failover handler.
    pub(crate) failover: bool,
    /// Build and publish a topology.
    pub(crate) publish: bool,
    /// Announce my configuration to all nodes with a PONG.
    pub(crate) announce: bool,
    /// Let held writes go once the new topology is out.
    pub(crate) resume_writes: bool,
    /// The role to take: `BecomePrimary` or `BecomeReplicaOf`. The last one of a turn counts.
    pub(crate) role: Option<Effect>,
    /// Empty all databases.
    pub(crate) flush_data: bool,
    /// Nearly always nothing, which is told at once; an empty bitmap has to be read through.
    pub(crate) delete_keys: Option<SlotBitmap>,
    pub(crate) unsubscribe: Option<SlotBitmap>,
    pub(crate) replies: Vec<Effect>,
    /// Rewrite the configuration file.
    save: bool,
    /// Do so in this turn, however lately it was rewritten.
    save_soon: bool,
    /// When it was rewritten last.
    saved_at: Option<Mono>,
    /// The rewrite must be durable before anything is sent.
    save_durable: bool,
    /// The record of epochs must be durable before anything is sent.
    epochs_durable: bool,
    /// The record says something that is over.
    record_outdated: bool,
}

impl Todo {
    /// Rewrite the file within a few tenths of a second; nothing waits for it. For what others told: they can tell it again.
    pub(crate) fn save_lazily(&mut self) {
        self.save = true;
    }

    /// Rewrite the file at the end of this turn; nothing waits for it. For my own role.
    pub(crate) fn save_soon(&mut self) {
        self.save = true;
        self.save_soon = true;
    }

    /// Rewrite the file before the next packet leaves. For what I promise: my role, my slots, my epoch.
    pub(crate) fn save_durably(&mut self) {
        self.save = true;
        self.save_durable = true;
    }

    /// Make the record of epochs durable before the next packet leaves; the file follows lazily. For what has to be fast:
    /// votes, candidacies and victories.
    pub(crate) fn save_epochs(&mut self) {
        self.save = true;
        self.epochs_durable = true;
    }

    /// Write the record anew before the next packet leaves, behind the file if that is saved, too.
    pub(crate) fn renew_record(&mut self) {
        self.record_outdated = true;
    }
}

impl Cluster {
    /// Rewrite the file because of a node of this shard. Who is in my own is what a restart depends on: by that I know my
    /// successor, and what data it has.
    pub(crate) fn save_about(&mut self, shard: ShardId) {
        if shard == self.myself().shard { self.todo.save_soon() } else { self.todo.save_lazily() }
    }

    /// Makes durable whatever a packet that is about to leave could promise (S8). Every sending path comes through here.
    pub(crate) fn settle_promises(&mut self, turn: &Turn<'_>) {
        if self.todo.save_durable {
            self.save_config(turn, true);
        }
        if take(&mut self.todo.epochs_durable) | take(&mut self.todo.record_outdated) {
            self.emit(Effect::SaveEpochs(self.epoch_record()));
        }
    }

    /// Emits the configuration file now.
    pub(crate) fn save_config(&mut self, turn: &Turn<'_>, sync: bool) {
        let text = self.conf_text(turn);
        self.emit(Effect::SaveConfig { text, sync });
        self.todo.save = false;
        self.todo.save_soon = false;
        self.todo.saved_at = Some(turn.now);
        if sync {
            self.todo.save_durable = false;
            self.todo.epochs_durable = false;
        }
    }

    /// Ends a turn.
    pub(crate) fn finish(&mut self, turn: &Turn<'_>) {
        if self.election.is_due(turn.now) {
            self.todo.failover = true;
        }
        for _ in 0..SETTLE_ROUNDS_MAX {
            if take(&mut self.todo.health) {
                self.update_health(turn);
            }
            if take(&mut self.todo.failover) {
                self.run_failover(turn);
            }
            if !self.todo.health && !self.todo.failover {
                break;
            }
        }
        self.change_data_plane(turn);
        self.settle_promises(turn);
        if take(&mut self.todo.announce) {
            self.broadcast_pong(turn);
        }
        for reply in take(&mut self.todo.replies) {
            self.emit(reply);
        }
        let lately = |at: Mono| turn.now.since(at) < SAVE_PERIOD;
        if self.todo.save && (self.todo.save_soon || !self.todo.saved_at.is_some_and(lately)) {
            self.save_config(turn, false);
        }
    }

    /// A demoted node must stop its writers before it lets held clients go, so the topology precedes their release.
    fn change_data_plane(&mut self, turn: &Turn<'_>) {
        self.settle_lease(turn, true);
        let role = self.todo.role.take();
        // Whoever loses the slots publishes that before anything else; whoever wins them takes the role first.
        if matches!(role, Some(Effect::BecomeReplicaOf { .. })) && take(&mut self.todo.publish) {
            self.publish_topology();
        }
        if let Some(role) = role {
            self.emit(role);
        }
        if take(&mut self.todo.publish) {
            self.publish_topology();
        }
        self.settle_lease(turn, false);
        if take(&mut self.todo.resume_writes) {
            self.emit(Effect::ResumeWrites);
        }
        if take(&mut self.todo.flush_data) {
            self.emit(Effect::FlushAllData);
        }
        if let Some(slots) = self.todo.delete_keys.take() {
            self.emit(Effect::DeleteKeysInSlots(slots));
        }
        if let Some(slots) = self.todo.unsubscribe.take().filter(|slots| !slots.is_empty()) {
            self.emit(Effect::UnsubscribeSlots(slots));
        }
    }
}
