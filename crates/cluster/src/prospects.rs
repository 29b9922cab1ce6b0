//! Whether a primary that dies now would be replaced by itself, and if not, why: what CLUSTER INFO tells before it matters.
//! It only looks.

use crate::cluster::Cluster;
use crate::node::Node;
use baton_base::NodeId;
use baton_wire::NodeFlags;
use std::fmt::Write as _;

/// What stands in the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Obstacle {
    /// No slot has an owner.
    NothingServed,
    /// A primary has no replica that could stand.
    NoReplica,
    /// Without some primary the voters that are left are no majority.
    NoMajority,
}

impl Obstacle {
    fn word(self) -> &'static str {
        match self {
            Obstacle::NothingServed => "nothing_served",
            Obstacle::NoReplica => "no_replica",
            Obstacle::NoMajority => "no_majority_without_primary",
        }
    }
}

impl Cluster {
    /// Lines of CLUSTER INFO that upstream doesn't have.
    pub(crate) fn write_prospects(&self, out: &mut String) {
        let obstacle = self.obstacle();
        let _ = write!(
            out,
            "cluster_voters:{}\r\ncluster_quorum:{}\r\ncluster_witnesses:{}\r\ncluster_failover_possible:{}\r\n",
            self.voter_count(),
            self.quorum(),
            self.witness_count(),
            u8::from(obstacle.is_none())
        );
        if let Some(obstacle) = obstacle {
            let _ = write!(out, "cluster_failover_obstacle:{}\r\n", obstacle.word());
        }
    }

    /// The first reason for which the crash of some primary would not heal, as far as this node can see.
    fn obstacle(&self) -> Option<Obstacle> {
        let serving: Vec<NodeId> = self.serving_nodes().map(|n| n.id).collect();
        if serving.is_empty() {
            return Some(Obstacle::NothingServed);
        }
        let healthy = |id: &NodeId| self.nodes.get(id).is_some_and(|n| n.is_myself() || n.healthy());
        if serving.iter().any(|lost| !self.is_majority(|id| id != lost && healthy(id))) {
            return Some(Obstacle::NoMajority);
        }
        let can_stand = |n: &Node| (n.is_myself() || n.healthy()) && !n.has(NodeFlags::NOFAILOVER);
        let lonely = |id: &NodeId| !self.replicas_of(*id).any(can_stand);
        serving.iter().any(lonely).then_some(Obstacle::NoReplica)
    }
}
