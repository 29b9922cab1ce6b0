//! Promote and withdraw: the candidate is told to be primary, and its claim is waited for; or it is told not to be, and
//! the time in which it might still win is waited out. Writes stay held throughout, so there are never two writers.

use crate::run::{Cx, Run, Step, Turn};
use crate::{Effect, Failure, Level, Promotion, choice, texts};
use baton_base::{Mono, NodeId};
use std::time::Duration;

/// How many replicas are ordered before the handover gives up.
pub(crate) const ORDERS_MAX: usize = 2;

impl Run {
    pub(crate) fn enter_promote(&mut self, cx: &mut Cx<'_>, target: NodeId) {
        if self.promotion == Promotion::Takeover {
            return self.enter_takeover(cx, target);
        }
        if let Some(&before) = self.told.last() {
            cx.emit(Effect::WithdrawPromotion { target: before });
        }
        self.told.push(target);
        self.may_win.push(target);
        self.gone_at = None;
        self.gone = false;
        if self.promotion == Promotion::Announce {
            self.told_until = self.deadline;
            cx.emit(Effect::AnnouncePaused { target, offset: self.final_offset(), until: self.told_until });
            return;
        }
        self.told_until = cx.now + cx.facts.limits.order_valid;
        if self.exit {
            self.log_lag(cx);
            cx.log(Level::Notice, texts::ordered(&target));
        }
        cx.emit(Effect::OrderPromotion { target, until: self.told_until });
    }

    /// A replica that asks again has begun anew, so it is told again and has its full time again.
    pub(crate) fn announce_again(&mut self, cx: &mut Cx<'_>, asking: Option<NodeId>) {
        let offset = self.final_offset();
        if let Step::Promote { target, until } = &mut self.step
            && self.promotion == Promotion::Announce
            && asking == Some(*target)
        {
            self.told_until = self.deadline;
            *until = if self.exit { *until } else { self.deadline };
            cx.emit(Effect::AnnouncePaused { target: *target, offset, until: self.deadline });
        }
    }

    /// Deadlines that passed while the process stood still begin anew, for long enough to hear of a successor.
    pub(crate) fn listen_first(&mut self, cx: &Cx<'_>) {
        let heard = cx.now + cx.facts.limits.stood_grace;
        if let Step::Promote { until, .. } = &mut self.step {
            *until = (*until).max(heard);
        }
        if !self.may_win.is_empty() {
            self.told_until = self.told_until.max(heard);
        }
    }

    /// A shutdown doesn't wait for a replica that asked for itself longer than for one that it ordered.
    pub(crate) fn hurry(&mut self, cx: &Cx<'_>) {
        if let Step::Promote { until, .. } = &mut self.step {
            *until = (*until).min(cx.now + cx.facts.limits.promote_max);
        }
    }

    pub(crate) fn promote(&mut self, cx: &mut Cx<'_>, target: NodeId, until: Mono) -> Turn {
        if self.successor.is_some() {
            return Turn::Go(self.to_redirect(cx));
        }
        if self.aborted {
            return self.call_off(cx);
        }
        if self.promotion == Promotion::Takeover {
            return self.take_over(cx, target, until);
        }
        // A replica that wins drops its link to this node, and its claim is on its way then.
        let anybody = cx.facts.replicas.iter().any(|r| r.id == Some(target));
        let patience = self.patience(cx, until, anybody);
        // A node that exits may go on without certainty: a late win is the best that can happen then. One that is to serve
        // again must wait for it.
        let given_up = self.exit && self.gone;
        if cx.now < patience && self.may_win.contains(&target) && !given_up {
            return Turn::Wait(patience);
        }
        cx.log(Level::Warning, texts::not_promoted(&target));
        if let Some((next, _)) = self.next_to_order(cx) {
            return Turn::Go(self.to_promote(cx, next));
        }
        if self.exit && self.promotion == Promotion::Announce {
            // A shutdown had joined the handover that this replica asked for; now anyone else may take over.
            self.promotion = Promotion::Order;
            self.target = None;
            return Turn::Go(self.to_drain(cx));
        }
        // Where this node exits, a late win is the best that can happen, and so nothing is withdrawn.
        self.fail(cx, Failure::NotPromoted)
    }

    /// Somebody is told to be primary now.
    pub(crate) fn to_promote(&self, cx: &Cx<'_>, target: NodeId) -> Step {
        let limits = &cx.facts.limits;
        let stays = self.promotion == Promotion::Takeover && !self.exit;
        Step::Promote { target, until: cx.now + if stays { limits.takeover_max } else { limits.promote_max } }
    }

    fn next_to_order(&self, cx: &Cx<'_>) -> Option<(NodeId, Duration)> {
        let may = self.promotion == Promotion::Order
            && self.told.len() < ORDERS_MAX
            && cx.facts.quorum_lost_at.is_none()
            && !choice::any_legacy(&cx.facts.replicas, self.promotion);
        if may { self.drained(cx, self.started) } else { None }
    }

    /// Writes stay held until nobody who was told can win any more.
    pub(crate) fn withdraw(&mut self, cx: &mut Cx<'_>) -> Turn {
        if self.successor.is_some() {
            return Turn::Go(self.to_redirect(cx));
        }
        if self.exit {
            // A shutdown that joined since then needs no successor to go on.
            return self.fail(cx, Failure::NotPromoted);
        }
        if self.may_win.is_empty() || cx.now >= self.told_until {
            return self.serve(cx);
        }
        Turn::Wait(self.told_until)
    }
}
