//! The first moments of an elected primary: who elected it may let somebody else be elected until it knows of the claim.
//! It never decides who is elected; that is `vote`, and `lease` says what follows for writes.
//!
//! By upstream's rule a take-over changes who votes: the old primary does no more, its successor does. In a cluster of one
//! or two shards the successor would then be needed for every majority, and so need no lease, while the old primary may
//! know nothing of it yet and have ordered the next replica to take over. Who stands still between winning and
//! showing it, and goes on once that other one serves, would acknowledge beside it. So:
//!
//! 1. The winner has the lease that its votes are, from when it asked for them, and no longer, until one of those who
//!    voted is seen to know its claim ([`Cluster::review_accession`]).
//! 2. Whoever votes for a candidate there gives no vote to another of the same shard before that lease is over, not even
//!    where the old primary orders it ([`Cluster::bound_until`]).
//! 3. Whoever knows the claim refuses all that don't, since their claims are older. Where the winner needs no lease
//!    afterwards, no majority of the old voters is without any one of them (there were one or two).
//!
//! So by 2 nobody else is elected while the first lease lasts, and by 3 nobody is who has not heard of the winner's claim once it
//! acknowledges for longer. A voter that has died, or was forgotten, votes for nobody any more and counts as one that knows.

use crate::cluster::Cluster;
use baton_base::{Mono, NodeId};
use std::collections::BTreeSet;

/// Who elected this node, until one of them is seen to know it; nobody otherwise.
#[derive(Debug, Default)]
pub(crate) struct Accession {
    voters: BTreeSet<NodeId>,
    since: Mono,
}

impl Accession {
    /// Whether this node's claim may be unknown to all who elected it.
    pub(crate) fn is_open(&self) -> bool {
        !self.voters.is_empty()
    }

    /// Whether it may be unknown to this one, and that matters.
    pub(crate) fn awaits(&self, id: &NodeId) -> bool {
        self.voters.contains(id)
    }

    pub(crate) fn voters(&self) -> impl Iterator<Item = &NodeId> {
        self.voters.iter()
    }

    /// A voter answered as one that takes this node for the primary, to what it was asked at that time.
    pub(crate) fn note_answer(&mut self, id: &NodeId, asked: Mono) {
        if self.awaits(id) && asked >= self.since {
            self.voters.clear();
        }
    }
}

impl Cluster {
    /// These elected me. It only matters where I would need nobody's leave from now on.
    pub(crate) fn begin_accession(&mut self, now: Mono, mut voters: BTreeSet<NodeId>) {
        voters.remove(&self.me);
        if !self.settings.lease || self.majority_without_me() {
            voters.clear();
        }
        self.lease.accession = Accession { voters, since: now };
    }

    /// Looks whether one of those who elected me knows it: it follows me. (A voter that stays a primary says so by its answer.)
    pub(crate) fn review_accession(&mut self) {
        let knows = |id: &NodeId| self.nodes.get(id).is_none_or(|n| n.failed() || n.primary == Some(self.me));
        if self.lease.accession.is_open() && (!self.is_primary() || self.lease.accession.voters().any(knows)) {
            self.lease.accession = Accession::default();
        }
    }
}
