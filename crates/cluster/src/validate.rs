//! What must always be true of the machine between two inputs. Tests and the simulator ask after every step.

use crate::cluster::Cluster;
use crate::manual::Manual;
use crate::node::Node;

impl Cluster {
    /// Checks the invariants; gives the first that is broken.
    pub fn validate(&self) -> Result<(), String> {
        self.slots.validate()?;
        self.validate_epochs()?;
        self.validate_roles()?;
        self.validate_replicas()?;
        self.validate_grant()?;
        self.validate_links()?;
        if self.cron_runs > 0 && self.next_wake() <= self.last_handled() {
            return Err(format!("it wants to be woken at {:?}, and it is {:?}", self.next_wake(), self.last_handled()));
        }
        Ok(())
    }

    fn validate_epochs(&self) -> Result<(), String> {
        if self.last_vote_epoch > self.current_epoch {
            return Err(format!("voted in epoch {} before it began ({})", self.last_vote_epoch, self.current_epoch));
        }
        match self.nodes.values().find(|n| n.config_epoch > self.current_epoch) {
            Some(n) => {
                Err(format!("configEpoch {} of {} is above currentEpoch {}", n.config_epoch, n.id, self.current_epoch))
            }
            None => Ok(()),
        }
    }

    fn validate_roles(&self) -> Result<(), String> {
        for (id, _) in self.slots.owners() {
            if !self.node(id).is_some_and(Node::is_primary) {
                return Err(format!("slots belong to {id}, which is no known primary"));
            }
        }
        for (id, node) in &self.nodes {
            if *id != node.id {
                return Err(format!("{} is filed under {id}", node.id));
            }
            if self.unwell.contains(id) == node.healthy() {
                return Err(format!("{id} is not listed as what it is, well or not"));
            }
            if node.is_restless() && !self.restless.contains(id) {
                return Err(format!("{id} is not listed as one to try again or to tell something"));
            }
            if node.is_myself() != (*id == self.me) {
                return Err(format!("the myself flag of {id} is wrong"));
            }
            if node.is_primary() && node.is_replica() {
                return Err(format!("{id} is primary and replica"));
            }
            if node.primary.is_some() && !node.is_replica() {
                return Err(format!("{id} has a primary, yet is no replica"));
            }
            if node.primary == Some(*id) {
                return Err(format!("{id} replicates itself"));
            }
        }
        if let Some(gone) = self.unwell.iter().find(|id| !self.nodes.contains_key(id)) {
            return Err(format!("{gone} is listed as not well and is unknown"));
        }
        let me = self.myself();
        if matches!(self.manual, Manual::Serving { .. }) && !me.is_primary() {
            return Err("a replica serves a manual failover".to_owned());
        }
        if !me.is_primary() && !me.is_replica() {
            return Err("this node has no role".to_owned());
        }
        Ok(())
    }

    fn validate_links(&self) -> Result<(), String> {
        for (id, link) in &self.links {
            let Some(node) = link.node else { continue };
            let Some(node) = self.node(&node) else {
                return Err(format!("link {id:?} belongs to an unknown node"));
            };
            let listed = if id.is_inbound() { node.inbound } else { node.outbound };
            if listed != Some(*id) {
                return Err(format!("link {id:?} is not that of its node {}", node.id));
            }
        }
        let gone = |n: &&Node| [n.outbound, n.inbound].into_iter().flatten().any(|l| !self.links.contains_key(&l));
        match self.nodes.values().find(gone) {
            Some(node) => Err(format!("node {} has a link that does not exist", node.id)),
            None => Ok(()),
        }
    }
}
