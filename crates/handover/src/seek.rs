//! Choose and catch up: find a replica that is alive, complete and close behind, while writes are served. Also who may
//! join a handover that runs. Nothing here touches the fence, except to ask for it at the end.

use crate::choice::{self, Hurdle};
use crate::run::{Cx, FenceState, Run, Step, Turn, Waiter};
use crate::{Effect, Failure, Level, Outcome, Promotion, Replica, Request, texts};
use baton_base::{Mono, NodeId};

/// Most reasons that go into the log in one handover.
const REASONS_MAX: usize = 64;

/// What the replicas look like at one moment.
pub(crate) struct View<'a> {
    /// Could take over, lag and silence aside.
    pub(crate) eligible: Vec<&'a Replica>,
    /// Eligible, and answered lately.
    lively: Vec<&'a Replica>,
    /// Lively and close enough for the fence.
    ready: Vec<&'a Replica>,
}

impl Run {
    pub(crate) fn seek(&mut self, cx: &mut Cx<'_>) -> Turn {
        if self.successor.is_some() {
            return Turn::Go(self.to_redirect(cx));
        }
        if self.aborted {
            return self.call_off(cx);
        }
        if self.promotion == Promotion::Nobody {
            return Turn::Go(self.to_fence(cx));
        }
        if self.is_commanded_takeover() {
            return self.seek_commanded(cx);
        }
        let facts = cx.facts;
        if choice::any_legacy(&facts.replicas, self.promotion) {
            return self.fail(cx, Failure::LegacyReplica);
        }
        // Whoever had no replica to begin with stops as fast as if there were no handover at all.
        if facts.replicas.is_empty() && self.began_alone && !facts.expected && self.promotion != Promotion::Announce {
            return self.fail(cx, Failure::NoReplica);
        }
        let view = self.view(cx);
        let wake_ask = self.ask_if_due(cx, &view);
        let anybody = facts.replicas.iter().any(|r| choice::hurdle(r, self.target) != Some(Hurdle::NotTheTarget));
        self.found |= anybody || self.promotion == Promotion::Announce;
        // Who stays has all the time it was given, since its clients are served meanwhile: a replica that lost its link
        // comes back.
        let patience = self.patience(cx, self.deadline, anybody || (self.found && !self.exit));
        let graced = self.started + facts.limits.prefer_grace;

        let mut votes_due = Mono::NEVER;
        if facts.quorum_lost_at.is_none()
            && let Some(best) = choice::best(view.ready.iter().copied(), self.canvassed())
        {
            let preferred = view.eligible.iter().map(|r| choice::rank(r)).min();
            if preferred == Some(choice::rank(best)) || cx.now >= graced {
                votes_due = match self.await_votes(cx, best) {
                    Some(until) => until,
                    None => return Turn::Go(self.to_fence(cx)),
                };
            }
        }
        if let Some(turn) = self.seek_turn(cx, &view, patience) {
            return turn;
        }
        let mut wake = patience.min(wake_ask).min(votes_due);
        if cx.now < graced {
            wake = wake.min(graced);
        } else {
            self.log_reasons(cx, &view);
        }
        if let Step::CatchUp { since } = self.step {
            let caught = since + facts.limits.catch_up_max;
            wake = if caught > cx.now { wake.min(caught) } else { wake };
        }
        Turn::Wait(wake)
    }

    /// Who has votes already, or is about to.
    pub(crate) fn canvassed(&self) -> Option<NodeId> {
        self.canvass.map(|(asked, _)| asked)
    }

    /// Has the candidate collect its votes before writes are held for it; gives until when to wait for that. Once in a
    /// handover: if another one is better by then, it does without.
    fn await_votes(&mut self, cx: &mut Cx<'_>, best: &Replica) -> Option<Mono> {
        let target = best.id.filter(|_| self.promotion == Promotion::Order)?;
        if self.canvass.is_none() {
            self.canvass = Some((target, cx.now + cx.facts.limits.canvass_max));
            cx.emit(Effect::Canvass { target });
        }
        self.canvass.filter(|(asked, until)| *asked == target && cx.now < *until).map(|(_, until)| until)
    }

    /// Changes between choose and catch-up, and what happens when their time is over.
    fn seek_turn(&mut self, cx: &mut Cx<'_>, view: &View<'_>, patience: Mono) -> Option<Turn> {
        let quorum = cx.facts.quorum_lost_at.is_none();
        if cx.now >= patience {
            if quorum && self.exit && !view.lively.is_empty() {
                return Some(Turn::Go(self.to_fence(cx)));
            }
            self.log_reasons(cx, view);
            let gone = cx.facts.replicas.is_empty();
            let failure = match (gone, view.lively.is_empty()) {
                (true, _) => Failure::NoReplica,
                (false, true) => Failure::NoCandidate,
                (false, false) => Failure::Lag,
            };
            return Some(self.fail(cx, failure));
        }
        match self.step {
            Step::Choose if !view.lively.is_empty() && view.ready.is_empty() => {
                Some(Turn::Go(Step::CatchUp { since: cx.now }))
            }
            Step::CatchUp { .. } if view.lively.is_empty() => Some(Turn::Go(Step::Choose)),
            Step::CatchUp { since } if quorum && cx.now >= since + cx.facts.limits.catch_up_max => {
                // An exiting node is about to stop its writes anyway; another one holds them only if that can end.
                let drains = view.lively.iter().any(|r| self.is_within(cx, r, cx.facts.limits.drain_max));
                if self.exit || drains { Some(Turn::Go(self.to_fence(cx))) } else { Some(self.fail(cx, Failure::Lag)) }
            }
            _ => None,
        }
    }

    pub(crate) fn view<'a>(&self, cx: &Cx<'a>) -> View<'a> {
        let facts = cx.facts;
        let eligible: Vec<_> = facts.replicas.iter().filter(|r| choice::hurdle(r, self.target).is_none()).collect();
        let lively: Vec<_> = eligible.iter().copied().filter(|r| self.is_lively(cx, r)).collect();
        let is_close = |r: &&Replica| {
            facts.end.since(r.acked) <= facts.limits.lag_bytes || self.is_within(cx, r, facts.limits.lag_time)
        };
        let ready = lively.iter().copied().filter(is_close).collect();
        View { eligible, lively, ready }
    }

    /// Whether the replica makes up its lag in this time, at the pace it showed.
    pub(crate) fn is_within(&self, cx: &Cx<'_>, replica: &Replica, time: std::time::Duration) -> bool {
        let lag = cx.facts.end.since(replica.acked);
        let pace = self.paces.iter().find(|(addr, _)| *addr == replica.addr);
        pace.and_then(|(_, pace)| pace.time_for(lag)).is_some_and(|needed| needed <= time)
    }

    /// Asks for acknowledgements where news is wanted; gives when to ask next. The answers drive the next question, so
    /// a candidate that catches up is seen at once, while silence is asked again only now and then.
    pub(crate) fn ask_if_due(&mut self, cx: &mut Cx<'_>, view: &View<'_>) -> Mono {
        if view.eligible.is_empty() {
            self.asked.of = 0;
            return Mono::NEVER;
        }
        let limits = &cx.facts.limits;
        let answered = view.eligible.iter().any(|r| r.acked_at > self.asked.last);
        let news = view.eligible.len() > self.asked.of || (answered && view.ready.is_empty());
        let next = self.asked.last + if news { limits.ask_min } else { limits.ask_again };
        if self.asked.first.is_some() && cx.now < next {
            return next;
        }
        self.ask(cx, view.eligible.len());
        cx.now + limits.ask_again
    }

    pub(crate) fn ask(&mut self, cx: &mut Cx<'_>, of: usize) {
        self.note_question(cx, of);
        cx.emit(Effect::AskAck);
    }

    pub(crate) fn note_question(&mut self, cx: &Cx<'_>, of: usize) {
        self.asked.first.get_or_insert(cx.now);
        self.asked.last = cx.now;
        self.asked.of = of;
    }

    /// Says once for each replica why it can't take over.
    fn log_reasons(&mut self, cx: &mut Cx<'_>, view: &View<'_>) {
        for replica in &cx.facts.replicas {
            let hurdle = choice::hurdle(replica, self.target);
            let is_in = |list: &[&Replica]| list.iter().any(|r| r.addr == replica.addr);
            let (reason, text) = match hurdle {
                Some(Hurdle::NotTheTarget) => continue,
                Some(hurdle) => (hurdle.reason(), texts::hurdle(&replica.addr, hurdle)),
                None if !is_in(&view.lively) => ("silent", texts::silent(&replica.addr)),
                None if !is_in(&view.ready) => {
                    ("behind", texts::behind(&replica.addr, cx.facts.end.since(replica.acked)))
                }
                None => continue,
            };
            let logged = self.reasons_logged.iter().any(|(addr, r)| *addr == replica.addr && *r == reason);
            if !logged && self.reasons_logged.len() < REASONS_MAX {
                self.reasons_logged.push((replica.addr.clone(), reason));
                cx.log(Level::Notice, text);
            }
        }
    }

    /// Takes another request into this handover, or refuses it.
    pub(crate) fn join(&mut self, cx: &mut Cx<'_>, request: Request) {
        let exits = request.kind.exits();
        let decided = match self.step {
            Step::Promote { target, .. } => Some(target),
            _ => self.target,
        };
        let other_target = request.target.is_some() && decided.is_some() && request.target != decided;
        let welcome = match self.step {
            Step::Choose | Step::CatchUp { .. } | Step::Fence { .. } | Step::Drain { .. } | Step::Promote { .. } => {
                exits || !other_target
            }
            Step::Withdraw { .. } | Step::Redirect { .. } | Step::Linger { .. } | Step::Stop { .. } => exits,
        };
        if !welcome || self.waiters.len() >= cx.facts.limits.waiters_max {
            cx.finished(request.token, Outcome::Refused);
            return;
        }
        if let Some(first) = self.waiters.first() {
            cx.emit(Effect::Joined { token: request.token, with: first.token });
        }
        self.waiters.push(Waiter { token: request.token, kind: request.kind });
        self.join_deadline(cx, &request);
        self.force |= request.force;
        if exits && !self.exit {
            self.exit = true;
            self.hurry(cx);
            // A replica that asked for itself, or nobody at all, was to take over; before it is told, anyone may.
            let untold = !matches!(self.step, Step::Promote { .. } | Step::Withdraw { .. });
            if untold {
                self.join_promotion(&request);
            }
        }
        if self.fence != FenceState::Open {
            self.hold(cx);
        }
        self.announce_again(cx, request.target);
    }
}
