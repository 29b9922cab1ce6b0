//! The node as its shell sees it: what it starts with, inputs in, effects out. How its two machines move each other is
//! in `glue`.

use crate::chronicle::{Chronicle, Chronicler};
use crate::effect::Effect;
use crate::glue::Moment;
use crate::input::Input;
use baton_base::{Epoch, Mono, NodeId, Offset, WallMs};
use baton_cluster::{Cluster, Facts, Topology};
use baton_handover::{Handover, Limits, Phase, Replica};
use std::collections::VecDeque;
use std::sync::Arc;

/// A candidate that was told to be primary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) id: NodeId,
    /// When.
    pub(crate) at: Mono,
    /// Epoch of this node's latest vote before that.
    pub(crate) vote: Epoch,
}

/// What a cluster node starts with.
#[derive(Clone, Debug)]
pub struct ClusterBoot {
    /// Parameters.
    pub settings: baton_cluster::Settings,
    /// The configuration file, if there is one.
    pub state: baton_cluster::Boot,
    /// Seed of all randomness of the machine.
    pub seed: u64,
}

/// What a node starts with.
#[derive(Clone, Debug)]
pub struct Boot {
    /// None in standalone mode.
    pub cluster: Option<ClusterBoot>,
    /// Deadlines of handovers. In a cluster `order_valid` is taken from `cluster-manual-failover-timeout` instead.
    pub limits: Limits,
}

/// The control plane of one node.
///
/// Inputs go in by [`Node::handle`], with non-decreasing `now`; then take effects by [`Node::poll_effect`] until there is
/// none and carry them out in order; call again, with [`Input::Tick`] if with nothing else, no later than
/// [`Node::next_wake`]. The facts are read anew at every input.
#[derive(Debug)]
pub struct Node {
    pub(crate) cluster: Option<Cluster>,
    pub(crate) handover: Handover,
    /// The limits that the handover has.
    pub(crate) limits: Limits,
    /// This node was a primary when the effects that are queued began.
    pub(crate) was_primary: bool,
    /// A topology that shows the loss of the primary role is out, and the handover hasn't been told yet.
    pub(crate) demoted: bool,
    /// The manual failover that the handover runs for a replica: who asked, and under which token of this node's own.
    pub(crate) manual: Option<(NodeId, baton_handover::Token)>,
    pub(crate) own_tokens: u64,
    /// The attached replicas as the shell told.
    pub(crate) replicas: Vec<Replica>,
    /// Some of them have names that the cluster didn't know.
    pub(crate) strangers: bool,
    /// Candidates that this handover told to be primary.
    pub(crate) told: Vec<Told>,
    /// Outside of clusters: who was asked to take over, and hasn't refused.
    pub(crate) heir: Option<NodeId>,
    /// Address of the replica that the latest FAILOVER named.
    pub(crate) wanted: Option<String>,
    /// Candidates whose promotion was withdrawn, and until when they may still try.
    pub(crate) withdrawn: Vec<(NodeId, Mono)>,
    /// Exit is queued: nothing comes after it.
    pub(crate) exited: bool,
    pub(crate) effects: VecDeque<Effect>,
    /// Remembers the changes of primaries.
    pub(crate) chronicler: Chronicler,
    last_offset: Offset,
    last_quorum: bool,
    /// What the handover was told of replicas that live.
    pub(crate) last_expected: bool,
}

impl Node {
    /// Starts the control plane; effects may be waiting at once.
    pub fn new(boot: Boot, now: Mono, wall: WallMs) -> Node {
        let settings = boot.cluster.as_ref().map(|b| b.settings.clone());
        let cluster = boot.cluster.map(|b| Cluster::new(b.settings, b.state, b.seed, now, wall));
        let mut node = Node {
            was_primary: cluster.as_ref().is_none_or(Cluster::is_primary),
            cluster,
            handover: Handover::new(boot.limits.clone()),
            limits: boot.limits,
            demoted: false,
            manual: None,
            own_tokens: 0,
            replicas: Vec::new(),
            strangers: false,
            told: Vec::new(),
            heir: None,
            wanted: None,
            withdrawn: Vec::new(),
            exited: false,
            effects: VecDeque::new(),
            chronicler: Chronicler::default(),
            last_offset: Offset(0),
            last_quorum: true,
            last_expected: false,
        };
        if let Some(settings) = settings {
            node.follow_settings(&settings);
        }
        node.pump(&Moment { now, wall, facts: Facts::empty() });
        node
    }

    /// Lets one event happen.
    pub fn handle(&mut self, now: Mono, wall: WallMs, facts: &Facts<'_>, input: Input) {
        if self.exited {
            return;
        }
        let moment = Moment { now, wall, facts: *facts };
        self.note_pause(&moment);
        self.note_facts(&moment);
        self.forgive(&moment);
        if self.handover.shutdown_deadline().is_some() {
            self.note_expected(&moment);
        }
        self.dispatch(&moment, input);
        self.pump(&moment);
        self.note_quorum(&moment);
        self.tell_story();
    }

    /// The next effect to carry out, oldest first.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Until when [`Input::Tick`] must be given.
    pub fn next_wake(&self) -> Mono {
        if self.exited {
            return Mono::NEVER;
        }
        let cluster = self.cluster.as_ref().map_or(Mono::NEVER, Cluster::next_wake);
        cluster.min(self.handover.next_wake())
    }

    /// The newest picture of the cluster; none in standalone mode.
    pub fn topology(&self) -> Option<Arc<Topology>> {
        self.cluster.as_ref().map(Cluster::topology)
    }

    /// The cluster machine, for what INFO shows; none in standalone mode.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// The changes of primaries that this node took part in.
    pub fn chronicle(&self) -> &Chronicle {
        self.chronicler.chronicle()
    }

    /// Where a handover is.
    pub fn phase(&self) -> Phase {
        self.handover.phase()
    }

    /// Until when a shutdown that is under way waits for a candidate; none if there is no shutdown to abort.
    pub fn shutdown_deadline(&self) -> Option<Mono> {
        self.handover.shutdown_deadline()
    }

    /// Whether the data plane is to acknowledge nothing to the primary: the cluster machine wants it so, or writes count on
    /// acknowledgements and this node is about to exit. What it saves then may be older than what it would acknowledge, and
    /// a stop must not cost a copy of what was promised to be on several nodes.
    pub fn freezes_acks(&self) -> bool {
        let leaves = self.shutdown_deadline().is_some();
        self.cluster.as_ref().is_some_and(|c| c.freezes_acks() || (leaves && c.has_quorum_writes()))
    }

    /// Whether the control plane runs in cluster mode as a primary, or in standalone mode.
    pub fn is_primary(&self) -> bool {
        self.cluster.as_ref().is_none_or(Cluster::is_primary)
    }

    /// Checks what must be true between two inputs; gives the first relation that is broken. For tests and the simulator.
    pub fn validate(&self) -> Result<(), String> {
        self.handover.validate();
        if let Some(cluster) = &self.cluster {
            cluster.validate()?;
        }
        if self.demoted {
            return Err("a lost role is not settled".to_owned());
        }
        let idle = matches!(self.handover.phase(), Phase::Idle | Phase::Exited);
        if idle && self.manual.is_some() {
            return Err("a manual failover is served and nothing runs".to_owned());
        }
        Ok(())
    }

    /// The handover wants to know the end of the journal before anything else of the same moment.
    fn note_facts(&mut self, moment: &Moment<'_>) {
        if moment.facts.offset != self.last_offset {
            self.last_offset = moment.facts.offset;
            self.handover.handle(moment.now, baton_handover::Input::Offset(self.last_offset));
        }
    }

    /// The handover gives up early where the majority is out of reach.
    fn note_quorum(&mut self, moment: &Moment<'_>) {
        use baton_cluster::{DownReason, Health};
        let Some(cluster) = &self.cluster else { return };
        let quorum = cluster.topology().health != Health::Fail(DownReason::Minority);
        if quorum != self.last_quorum {
            self.last_quorum = quorum;
            self.handover.handle(moment.now, baton_handover::Input::Quorum(quorum));
            self.pump(moment);
        }
    }
}
