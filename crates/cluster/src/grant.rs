//! What the answers of the voters come to: until when a majority of them lets this node acknowledge. It is counted anew
//! only when something that it follows from has changed, since it is asked for with every packet and a large cluster has
//! many voters. Who may answer, and what is done with the result, is `lease`.

use crate::cluster::Cluster;
use baton_base::{Mono, NodeId};
use std::collections::BTreeMap;

/// What a count follows from besides the answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Basis {
    me: NodeId,
    /// This node would keep to a lease.
    wanted: bool,
    /// Those who elected it may not know it.
    accedes: bool,
    /// Versions of the slot map and of the list of electorates.
    slots: u64,
    electorates: u64,
}

/// The answers, and the last count of them.
#[derive(Debug, Default)]
pub(crate) struct Grant {
    /// Until when each voter's answer counts.
    answers: BTreeMap<NodeId, Mono>,
    /// What was counted last; nothing if answers were taken back since.
    basis: Option<Basis>,
    /// What it came to; nothing if nobody's leave is needed.
    until: Option<Mono>,
    /// How many answers count for longer than that, and how many have to before another count can give more.
    longer: usize,
    longer_needed: usize,
}

impl Grant {
    /// A voter lets this node go on until then.
    pub(crate) fn add(&mut self, voter: NodeId, until: Mono) {
        let answer = self.answers.entry(voter).or_default();
        let (before, after) = (*answer, until.max(*answer));
        *answer = after;
        let counted = self.until.unwrap_or_default();
        self.longer += usize::from(before <= counted && counted < after);
    }

    /// A voter's answer counts no more.
    pub(crate) fn remove(&mut self, voter: &NodeId) {
        if self.answers.remove(voter).is_some() {
            self.basis = None;
        }
    }

    /// Nobody has answered.
    pub(crate) fn clear(&mut self) {
        *self = Grant::default();
    }

    /// Whether the last count is what another one would come to.
    fn is_counted(&self, basis: Basis) -> bool {
        self.basis == Some(basis) && self.longer < self.longer_needed
    }
}

impl Cluster {
    /// Until when a majority lets me acknowledge; nothing if I need nobody's leave.
    pub(crate) fn granted_until(&mut self) -> Option<Mono> {
        let basis = Basis {
            me: self.me,
            wanted: self.wants_lease(),
            accedes: self.lease.accession.is_open(),
            slots: self.slots.changes(),
            electorates: self.voters.changes(),
        };
        if !self.lease.grant.is_counted(basis) {
            let until = self.needs_lease().then(|| self.count_answers());
            let longer_needed = self.needed_besides_me();
            let grant = &mut self.lease.grant;
            let counted = until.unwrap_or_default();
            grant.longer = grant.answers.values().filter(|until| **until > counted).count();
            (grant.basis, grant.until, grant.longer_needed) = (Some(basis), until, longer_needed);
        }
        self.lease.grant.until
    }

    /// Checks that what the data plane was told is what a count of all answers comes to.
    pub(crate) fn validate_grant(&self) -> Result<(), String> {
        let (told, counted) = (self.lease.told(), self.needs_lease().then(|| self.count_answers()));
        if told == counted { Ok(()) } else { Err(format!("the lease is {told:?}, its voters say {counted:?}")) }
    }

    fn count_answers(&self) -> Mono {
        let answer = |id: &NodeId| self.lease.grant.answers.get(id).copied().unwrap_or_default();
        let majority = self.majority_value(|id| if *id == self.me { Mono::NEVER } else { answer(id) });
        let elected = self.lease.accession.voters().map(answer).min();
        elected.map_or(majority, |until| until.min(majority))
    }
}
