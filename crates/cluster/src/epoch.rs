//! Configuration epochs: which claim on a slot is newer. They are won in elections, bumped without consensus by
//! administrators, and made distinct after a collision (cluster-bus 6.2).

use crate::cluster::Cluster;
use crate::effect::LogLevel;
use baton_base::{Epoch, NodeId};
use baton_wire::Header;

impl Cluster {
    /// Takes a larger configuration epoch of another primary.
    pub(crate) fn raise_config_epoch(&mut self, id: NodeId, epoch: Epoch) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if epoch > node.config_epoch {
            node.config_epoch = epoch;
            self.current_epoch = self.current_epoch.max(epoch);
            self.todo.save_lazily();
        }
    }

    /// Gives my claim the newest epoch without asking anybody, unless it has it already. Tells whether it changed.
    pub(crate) fn bump_epoch(&mut self) -> bool {
        let newest = self.nodes.values().map(|n| n.config_epoch).max().unwrap_or_default().max(self.current_epoch);
        let mine = self.myself().config_epoch;
        if mine != Epoch(0) && mine == newest {
            return false;
        }
        self.current_epoch = newest.next();
        self.set_own_config_epoch(self.current_epoch);
        self.log(LogLevel::Notice, format!("New configEpoch set to {}", self.current_epoch));
        true
    }

    /// Makes an epoch my own, to be durable before it is announced to everybody.
    pub(crate) fn set_own_config_epoch(&mut self, epoch: Epoch) {
        self.myself_mut().config_epoch = epoch;
        self.todo.save_durably();
        self.todo.announce = true;
    }

    /// Two primaries with one epoch could both win a slot: the one with the smaller id moves on.
    pub(crate) fn settle_collision(&mut self, sender: NodeId, header: &Header) {
        let other_is_primary = self.nodes.get(&sender).is_some_and(|n| n.is_primary());
        let collide = header.claims_primary()
            && other_is_primary
            && self.is_primary()
            && header.config_epoch == self.myself().config_epoch
            && self.me < sender;
        if !collide {
            return;
        }
        self.current_epoch = self.current_epoch.next();
        self.set_own_config_epoch(self.current_epoch);
        let text = format!(
            "configEpoch collision with node {}. Updating my configEpoch, configEpoch set to {}",
            self.named(&sender),
            self.current_epoch
        );
        self.log(LogLevel::Warning, text);
    }
}
