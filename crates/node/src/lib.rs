//! The pure composition of one node's control plane: the cluster machine, the handover machine, and the rules by which
//! the one moves the other. Facts, inputs and the time go in through [`Node::handle`]; [`Effect`]s come out in the order
//! in which the shell has to carry them out. It must never hold a clock, a socket, a thread or a client.
//!
//! What the wiring promises, whatever comes in:
//! 1. Writes are held for one purpose at a time, and by the handover machine alone. A manual failover that a replica asks
//!    for (MFSTART) is a handover that announces instead of ordering. When either machine ends it, the other one ends it
//!    in the same turn, so nothing stays paused in one of them only.
//! 2. A successor's claim flips the roles in one go: [`Effect::PublishTopology`] that shows this node as a replica,
//!    [`Effect::BecomeReplicaOf`], [`Effect::Redirect`], with nothing in between but the timeline and the log. Held writes
//!    are let go by the last one only, so they meet the new place and never a second writer.
//! 3. An old primary votes for its successor until the very end. A successor whose promotion was withdrawn doesn't get
//!    this node's vote for as long as it may still try, unless it is told anew.
//! 4. Outside of clusters a replica that was asked to take over is primary once it says so. Until then this node is a
//!    replica that redirects nobody; if the other refuses, [`Effect::ResumePrimary`] comes before any held write is let go.
//! 5. [`Effect::Exit`] is the last effect of all, and the cluster's configuration is durable before it.

mod change;
mod chronicle;
mod effect;
mod glue;
mod input;
mod node;
mod standalone;
mod witness;

pub use change::{Change, ChangeId, ChangeKind, ChangeOutcome, ChangeStep, PHASES, Part, Resync, STEPS_MAX, StepKind};
pub use chronicle::{CHANGES_MAX, Chronicle, Chronicler, Own, PhaseTimes, Sight, Totals, When};
pub use effect::Effect;
pub use input::{Input, StopKind};
pub use node::{Boot, ClusterBoot, Node};

pub use baton_cluster::{
    Asked, ClusterCommand, ClusterReply, EpochRecord, Facts, LinkId, LogLevel, Note, Origin, Settings, SyncGrant,
    Token, Topology,
};
pub use baton_handover::{Failure, Limits, Outcome, Phase, Record, Replica, ReplicaState};
