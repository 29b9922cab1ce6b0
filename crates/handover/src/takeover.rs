//! Asking a replica to take over, outside of clusters: FAILOVER's own way of looking for one, the turn to it, and the way
//! back (replication 7). There is no election: the request itself promotes the replica, so from the moment it is sent until
//! it is answered nobody here knows who is primary, and nothing that could make a second one may be done by itself.

use crate::promote::ORDERS_MAX;
use crate::run::{Cx, FenceState, Run, Step, Turn};
use crate::{Effect, Failure, Level, Promotion, Replica, Request, texts};
use baton_base::{Mono, NodeId};

/// What a handover remembers of the replicas that it asks to take over.
#[derive(Debug)]
pub(crate) struct Takeover {
    /// Address of the replica that was asked for; none if any will do.
    pub(crate) wanted: Option<String>,
    /// FAILOVER FORCE.
    pub(crate) regardless: bool,
    /// Address of the latest one that this node turned to.
    pub(crate) heir: Option<String>,
    /// This node follows it.
    pub(crate) turned: bool,
    /// The request is on its way, so it may be primary.
    doubt: bool,
}

impl Takeover {
    pub(crate) fn of(cx: &Cx<'_>, request: &Request) -> Takeover {
        let target = request.target.and_then(|id| cx.facts.replicas.iter().find(|r| r.id == Some(id)));
        let wanted = target.map(|r| r.addr.clone());
        let regardless = request.regardless && wanted.is_some() && request.promotion == Promotion::Takeover;
        Takeover { wanted, regardless, heir: None, turned: false, doubt: false }
    }

    /// Whom log lines speak of.
    pub(crate) fn name(&self) -> &str {
        self.heir.as_deref().or(self.wanted.as_deref()).unwrap_or("any replica")
    }
}

impl Run {
    /// FAILOVER, as long as no shutdown has joined it.
    pub(crate) fn is_commanded_takeover(&self) -> bool {
        self.promotion == Promotion::Takeover && !self.exit
    }

    /// FAILOVER holds writes from the start, as its users rely on. Only where every replica that could take over is known to
    /// be far behind are writes served while it catches up, for a bounded time: holding them would not make it faster by
    /// more than what they add.
    pub(crate) fn seek_commanded(&mut self, cx: &mut Cx<'_>) -> Turn {
        let view = self.view(cx);
        if view.eligible.is_empty() {
            let anybody = cx.facts.replicas.iter().any(|r| self.target.is_none_or(|id| r.id == Some(id)));
            let patience = self.patience(cx, self.deadline, anybody);
            let failure = if anybody { Failure::NoCandidate } else { Failure::NoReplica };
            return if cx.now >= patience { self.fail(cx, failure) } else { Turn::Wait(patience) };
        }
        let limits = &cx.facts.limits;
        let is_near =
            |r: &&Replica| cx.facts.end.since(r.acked) <= limits.lag_bytes || self.is_within(cx, r, limits.lag_time);
        let near = view.eligible.iter().any(is_near);
        let until = match self.step {
            Step::CatchUp { since } => self.deadline.min(since + limits.catch_up_max),
            _ => self.deadline,
        };
        if near || cx.now >= until {
            return Turn::Go(self.to_fence(cx));
        }
        if self.step == Step::Choose {
            return Turn::Go(Step::CatchUp { since: cx.now });
        }
        let ask = self.ask_if_due(cx, &view);
        Turn::Wait(until.min(ask))
    }

    /// The time of a forced failover is over: its target is promoted with what it has.
    pub(crate) fn promote_regardless(&mut self, cx: &mut Cx<'_>) -> Option<Turn> {
        let target = self.target.filter(|_| self.takeover.regardless && self.promotion == Promotion::Takeover)?;
        cx.log(Level::Notice, texts::failover_overdue(self.takeover.name()));
        Some(Turn::Go(self.to_promote(cx, target)))
    }

    pub(crate) fn enter_takeover(&mut self, cx: &mut Cx<'_>, target: NodeId) {
        let found = cx.facts.replicas.iter().find(|r| r.id == Some(target));
        let synced = found.is_some_and(|r| r.acked >= self.final_offset());
        let name = found.map(|r| r.addr.clone()).or_else(|| self.takeover.wanted.clone());
        let name = name.unwrap_or_else(|| target.to_string());
        if self.exit {
            self.log_lag(cx);
            cx.log(Level::Notice, texts::ordered(&name));
        } else if synced {
            cx.log(Level::Notice, texts::failover_synced(&name));
        }
        self.takeover.heir = Some(name);
        self.takeover.turned = true;
        self.takeover.doubt = false;
        self.told.push(target);
        self.may_win.push(target);
        // Who calls it off is primary again at once: there is no vote that could still be on its way.
        self.told_until = cx.now;
        cx.emit(Effect::AskTakeover { target });
    }

    /// From here on only an answer tells who is primary, so it is waited for much longer. A node that exits needs no
    /// certainty: the replica serves if it got the request.
    pub(crate) fn note_asked(&mut self, cx: &Cx<'_>, asked: NodeId) {
        if let Step::Promote { target, until } = &mut self.step
            && *target == asked
            && self.promotion == Promotion::Takeover
        {
            self.takeover.doubt = true;
            if !self.exit {
                *until = cx.now + cx.facts.limits.doubt_max;
            }
        }
    }

    /// The replica is being asked.
    pub(crate) fn take_over(&mut self, cx: &mut Cx<'_>, target: NodeId, until: Mono) -> Turn {
        let rejected = !self.may_win.contains(&target);
        // Whether it agreed or not, who has ended serves nobody. It was no primary before, so a restart makes it none.
        if !rejected && !self.gone && cx.now < until {
            return Turn::Wait(until);
        }
        if self.exit {
            cx.log(Level::Warning, texts::not_promoted(&self.takeover.name()));
        }
        // Asking another one while the first may have agreed could make two primaries.
        if self.exit
            && (rejected || self.gone || !self.takeover.doubt)
            && self.told.len() < ORDERS_MAX
            && let Some((next, _)) = self.drained(cx, self.started)
        {
            return Turn::Go(self.to_promote(cx, next));
        }
        self.fail(cx, if rejected { Failure::Rejected } else { Failure::NotPromoted })
    }

    /// Before anything is served again.
    pub(crate) fn resume_primary(&mut self, cx: &mut Cx<'_>) {
        if std::mem::take(&mut self.takeover.turned) {
            cx.emit(Effect::ResumePrimary);
        }
    }

    /// A shutdown that joins brings its own patience, since FAILOVER may have none.
    pub(crate) fn join_deadline(&mut self, cx: &Cx<'_>, request: &Request) {
        let deadline = Self::deadline_of(cx, request);
        let hurried = request.kind.exits() && self.is_commanded_takeover();
        self.deadline = if hurried { deadline } else { self.deadline.max(deadline) };
        if let (true, Step::Drain { until, .. }) = (hurried, &mut self.step) {
            *until = (*until).min(deadline.max(cx.now + cx.facts.limits.drain_max));
        }
    }

    /// A shutdown that joins before anybody was told: a replica that asked for itself, or nobody at all, was to take over,
    /// and now anyone may.
    pub(crate) fn join_promotion(&mut self, request: &Request) {
        let fence_asked = self.promotion == Promotion::Takeover;
        match (self.promotion, request.promotion) {
            (Promotion::Order, _) | (Promotion::Takeover, Promotion::Nobody) => {}
            // Where the fence closed without the last question, the end of the stream is not the end that would be asked for.
            (_, Promotion::Takeover) if !fence_asked && self.fence != FenceState::Open => {}
            _ => {
                self.promotion = Self::promotion_of(request);
                self.target = request.target;
                self.takeover.regardless = false;
            }
        }
    }
}
