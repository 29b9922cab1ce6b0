//! Fence and drain: writes are held, the final offset is fixed, and whoever acknowledges it first, of those that are
//! wanted most, is the successor.

use crate::run::{Cx, FenceState, Run, Step, Turn};
use crate::{Effect, Failure, Level, Promotion, Replica, choice, texts};
use baton_base::{Mono, NodeId, Offset};
use std::time::Duration;

/// By how much the data plane's own backstop is later than the last deadline.
const BACKSTOP_MARGIN: Duration = Duration::from_secs(1);

impl Run {
    pub(crate) fn to_fence(&self, cx: &Cx<'_>) -> Step {
        let until = cx.now + cx.facts.limits.fence_max;
        Step::Fence { until: if self.exit { until.max(self.deadline) } else { until } }
    }

    pub(crate) fn enter_fence(&mut self, cx: &mut Cx<'_>) {
        self.fence = FenceState::Closing;
        self.fence_at = Some(cx.now);
        if self.promotion == Promotion::Takeover {
            self.note_question(cx, cx.facts.replicas.len());
        }
        self.hold(cx);
    }

    /// Asks for the fence, or for more time under it.
    pub(crate) fn hold(&self, cx: &mut Cx<'_>) {
        let mut longest = cx.facts.limits.fence_total_max(self.deadline.since(cx.now));
        if self.promotion == Promotion::Takeover {
            longest += cx.facts.limits.takeover_total_max();
        }
        let until = match self.step {
            // A write acknowledged after the final save began would be lost, so this fence ends with the process.
            Step::Stop { .. } => Mono::NEVER,
            _ => cx.now + longest + BACKSTOP_MARGIN,
        };
        cx.emit(Effect::Fence { until, ask: self.promotion == Promotion::Takeover });
    }

    pub(crate) fn fence(&mut self, cx: &mut Cx<'_>, until: Mono) -> Turn {
        if self.successor.is_some() {
            return Turn::Go(self.to_redirect(cx));
        }
        if self.aborted {
            return self.call_off(cx);
        }
        match (self.fence, self.promotion, self.target) {
            (FenceState::Closed(_), Promotion::Announce, Some(target)) => {
                // The replica gives up at the same time, counted from its own, earlier start (cluster-bus 8).
                Turn::Go(Step::Promote { target, until: self.deadline })
            }
            (FenceState::Closed(_), _, _) => Turn::Go(self.to_drain(cx)),
            _ if cx.now >= until => self.fail(cx, Failure::NotFenced),
            _ => Turn::Wait(until),
        }
    }

    pub(crate) fn to_drain(&self, cx: &Cx<'_>) -> Step {
        let until = cx.now + cx.facts.limits.drain_max;
        let until = match (self.exit, self.promotion) {
            (true, Promotion::Nobody) | (false, Promotion::Takeover) => self.deadline,
            (true, _) => until.max(self.deadline),
            (false, _) => until,
        };
        Step::Drain { since: cx.now, until }
    }

    pub(crate) fn enter_drain(&mut self, cx: &mut Cx<'_>) {
        if self.promotion == Promotion::Takeover {
            // The fence has asked; another question would move the end that was fixed.
            return;
        }
        let unsynced = cx.facts.replicas.iter().filter(|r| r.acked < self.final_offset()).count();
        let hands_over = self.promotion != Promotion::Nobody;
        let wanted = hands_over && self.drained(cx, cx.now).is_none();
        // Where nothing is waited for, nobody hears the answer; the question would only move the end of the stream.
        let waits = hands_over || self.deadline > cx.now;
        if wanted || (unsynced > 0 && waits) {
            self.ask(cx, cx.facts.replicas.len());
        }
    }

    pub(crate) fn drain(&mut self, cx: &mut Cx<'_>, since: Mono, until: Mono) -> Turn {
        if self.successor.is_some() {
            return Turn::Go(self.to_redirect(cx));
        }
        if self.aborted {
            return self.call_off(cx);
        }
        if self.promotion == Promotion::Nobody {
            return self.drain_to_all(cx, until);
        }
        if choice::any_legacy(&cx.facts.replicas, self.promotion) {
            return self.fail(cx, Failure::LegacyReplica);
        }
        let limits = &cx.facts.limits;
        let anybody = self.candidates(cx).next().is_some();
        let patience = if self.takeover.regardless { until } else { self.patience(cx, until, anybody) };
        let mut graced = since + limits.prefer_grace;
        if cx.facts.quorum_lost_at.is_none()
            && let Some((best, grace)) = self.drained(cx, since)
        {
            graced = since + grace;
            if cx.now >= graced {
                return Turn::Go(self.to_promote(cx, best));
            }
        }
        if self.is_forsaken(cx, since, until) {
            return Turn::Go(self.serve_and_seek(cx));
        }
        if cx.now >= patience {
            return self.promote_regardless(cx).unwrap_or_else(|| {
                let gone = !anybody && self.promotion == Promotion::Takeover;
                self.fail(cx, if gone { Failure::NoReplica } else { Failure::NotDrained })
            });
        }
        let ask = if self.promotion == Promotion::Takeover { Mono::NEVER } else { self.ask_again(cx) };
        let wake = patience.min(ask).min(self.forsaken_at(cx, since));
        Turn::Wait(if cx.now < graced { wake.min(graced) } else { wake })
    }

    /// Whether a stop holds writes for nobody: none of those who could take over says anything any more. Nobody was told
    /// yet, so nothing speaks against serving meanwhile.
    fn is_forsaken(&self, cx: &Cx<'_>, since: Mono, until: Mono) -> bool {
        let limits = &cx.facts.limits;
        self.exit
            && self.told.is_empty()
            && self.returns < limits.returns_max
            && cx.now >= since + limits.drain_max
            && cx.now + limits.drain_max < until
            && (cx.facts.expected || self.candidates(cx).next().is_some())
            && !self.candidates(cx).any(|r| self.is_lively(cx, r))
    }

    /// When to look at that again.
    fn forsaken_at(&self, cx: &Cx<'_>, since: Mono) -> Mono {
        let limits = &cx.facts.limits;
        let first = since + limits.drain_max;
        match self.exit && self.returns < limits.returns_max {
            true if cx.now < first => first,
            true => cx.now + limits.ask_again,
            false => Mono::NEVER,
        }
    }

    fn serve_and_seek(&mut self, cx: &mut Cx<'_>) -> Step {
        self.returns += 1;
        self.gone_at = None;
        self.fence = FenceState::Open;
        self.reasons_logged.clear();
        cx.log(Level::Warning, texts::FORSAKEN);
        cx.emit(Effect::Unfence);
        Step::Choose
    }

    /// The best replica that has everything and is known to be alive, and how long a better one is waited for: one that is
    /// preferred, or has its votes already.
    pub(crate) fn drained(&self, cx: &Cx<'_>, since: Mono) -> Option<(NodeId, Duration)> {
        let has_all = |r: &&Replica| r.acked >= self.final_offset() && self.is_alive_since(cx, r, since);
        let best = choice::best(self.candidates(cx).filter(has_all), self.canvassed())?;
        let rank = choice::rank(best);
        let has_votes = |r: &Replica| r.id == self.canvassed() && r.id != best.id && choice::rank(r) == rank;
        let lively = || self.candidates(cx).filter(|r| self.is_lively(cx, r));
        let grace = if lively().any(|r| choice::rank(r) < rank) {
            cx.facts.limits.prefer_grace
        } else if lively().any(has_votes) {
            cx.facts.limits.votes_grace
        } else {
            Duration::ZERO
        };
        Some((best.id?, grace))
    }

    /// Who could take over and hasn't been told yet.
    fn candidates<'a>(&'a self, cx: &Cx<'a>) -> impl Iterator<Item = &'a Replica> {
        let untold = |r: &&Replica| r.id.is_some_and(|id| !self.told.contains(&id));
        cx.facts.replicas.iter().filter(|r| choice::hurdle(r, self.target).is_none()).filter(untold)
    }

    /// The last byte of data. What the handover itself adds to the stream comes after it, and need not be acknowledged:
    /// a replica acts on it only after all that was before.
    pub(crate) fn final_offset(&self) -> Offset {
        match self.fence {
            FenceState::Closed(offset) => offset,
            FenceState::Open | FenceState::Closing => Offset(u64::MAX),
        }
    }

    fn is_alive_since(&self, cx: &Cx<'_>, replica: &Replica, since: Mono) -> bool {
        // The fence itself asked, and what answers that is enough: the first answer is the last that is waited for.
        if self.promotion == Promotion::Takeover {
            return self.fence_at.is_some_and(|at| replica.acked_at >= at);
        }
        let fresh = replica.acked_at + cx.facts.limits.ask_again > cx.now;
        replica.acked_at >= since || (fresh && self.is_lively(cx, replica))
    }

    /// Waits until every attached replica has everything, for a stop without successor.
    fn drain_to_all(&mut self, cx: &mut Cx<'_>, until: Mono) -> Turn {
        let all = cx.facts.replicas.iter().all(|r| r.acked >= self.final_offset());
        if all || cx.now >= until {
            return self.fail(cx, Failure::NotWanted);
        }
        let ask = self.ask_again(cx);
        Turn::Wait(until.min(ask))
    }

    fn ask_again(&mut self, cx: &mut Cx<'_>) -> Mono {
        if cx.now >= self.asked.last + cx.facts.limits.ask_again {
            self.ask(cx, cx.facts.replicas.len());
        }
        self.asked.last + cx.facts.limits.ask_again
    }
}
