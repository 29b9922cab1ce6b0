//! One handover from request to end: its facts, its step, and the loop that takes it from step to step. What each step
//! does is in the files named after them.

use crate::machine::Facts;
use crate::pace::Pace;
use crate::promote::ORDERS_MAX;
use crate::takeover::Takeover;
use crate::{Effect, Failure, Input, Kind, Level, Outcome, Phase, Promotion, Record, Replica, Request, Token, texts};
use baton_base::{Epoch, Mono, NodeId, Offset};
use std::collections::VecDeque;

/// More steps than one input can cause; reaching it is an own bug.
const STEPS_MAX: usize = 16;

/// What a step may look at and add to.
pub(crate) struct Cx<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) now: Mono,
    pub(crate) effects: &'a mut VecDeque<Effect>,
}

impl Cx<'_> {
    pub(crate) fn emit(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(crate) fn log(&mut self, level: Level, text: impl Into<String>) {
        self.emit(Effect::Log { level, text: text.into() });
    }

    pub(crate) fn finished(&mut self, token: Token, outcome: Outcome) {
        self.emit(Effect::Finished { token, outcome });
    }
}

/// What to do after looking at a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    /// Nothing before this time, unless an input comes.
    Wait(Mono),
    /// On to the next step.
    Go(Step),
    /// The handover is over, the node stays.
    Idle,
    /// The handover is over, the node goes.
    Exit,
}

/// Where a handover is, with what belongs to that step alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Choose,
    CatchUp { since: Mono },
    Fence { until: Mono },
    Drain { since: Mono, until: Mono },
    Promote { target: NodeId, until: Mono },
    Withdraw { target: NodeId },
    Redirect { until: Mono },
    Linger { until: Mono, save_until: Mono },
    Stop { until: Mono },
}

/// The fence as far as this handover has asked for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FenceState {
    Open,
    Closing,
    /// With the end of data: what comes after it in the stream is the handover's own.
    Closed(Offset),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Save {
    NotAsked,
    Asked,
    Done { ok: bool },
}

/// A request that waits for the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    pub(crate) token: Token,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) struct Run {
    /// Who is to be answered; the oldest first, who named the handover.
    pub(crate) waiters: Vec<Waiter>,
    /// Somebody wants the node to exit at the end.
    pub(crate) exit: bool,
    pub(crate) force: bool,
    pub(crate) promotion: Promotion,
    pub(crate) target: Option<NodeId>,
    pub(crate) started: Mono,
    /// No replica was attached when it began.
    pub(crate) began_alone: bool,
    /// Somebody who could take over some time was attached, or asked for it.
    pub(crate) found: bool,
    /// Until when a candidate is waited for.
    pub(crate) deadline: Mono,
    /// When the fence was asked for first.
    pub(crate) fence_at: Option<Mono>,
    pub(crate) step: Step,
    pub(crate) fence: FenceState,
    pub(crate) asked: Asked,
    /// Pace of each attached replica, by address.
    pub(crate) paces: Vec<(String, Pace)>,
    /// Replicas told to be primary, the last one last.
    pub(crate) told: Vec<NodeId>,
    /// Those of them that haven't been heard to stand back.
    pub(crate) may_win: Vec<NodeId>,
    /// The last one told has ended, as far as can be known.
    pub(crate) gone: bool,
    /// What is particular to asking a replica to take over.
    pub(crate) takeover: Takeover,
    /// Until when one of those might win.
    pub(crate) told_until: Mono,
    pub(crate) successor: Option<(NodeId, Epoch)>,
    pub(crate) redirected: bool,
    pub(crate) aborted: bool,
    /// Clients still connected, once redirected and known.
    pub(crate) clients: Option<usize>,
    pub(crate) save: Save,
    /// Since when every replica that could matter is gone.
    pub(crate) gone_at: Option<Mono>,
    pub(crate) failure: Failure,
    /// How often it went back to service because all candidates fell silent.
    pub(crate) returns: u32,
    /// Reasons already in the log, so that each comes once.
    pub(crate) reasons_logged: Vec<(String, &'static str)>,
    /// Who was asked to collect votes, and until when that is waited for.
    pub(crate) canvass: Option<(NodeId, Mono)>,
    /// The lines about lagging replicas are in the log.
    pub(crate) lag_logged: bool,
}

/// Requests for acknowledgement so far.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) first: Option<Mono>,
    pub(crate) last: Mono,
    /// How many could answer the last one.
    pub(crate) of: usize,
}

impl Run {
    pub(crate) fn begin(cx: &mut Cx<'_>, request: Request) -> Run {
        let mut run = Run {
            waiters: vec![Waiter { token: request.token, kind: request.kind }],
            exit: request.kind.exits(),
            force: request.force,
            promotion: Self::promotion_of(&request),
            target: request.target,
            started: cx.now,
            began_alone: cx.facts.replicas.is_empty(),
            found: false,
            deadline: Self::deadline_of(cx, &request),
            fence_at: None,
            step: Step::Choose,
            fence: FenceState::Open,
            asked: Asked { first: None, last: cx.now, of: 0 },
            paces: Vec::new(),
            told: Vec::new(),
            may_win: Vec::new(),
            gone: false,
            takeover: Takeover::of(cx, &request),
            told_until: cx.now,
            successor: None,
            redirected: false,
            aborted: false,
            clients: None,
            save: Save::NotAsked,
            gone_at: None,
            failure: Failure::NoCandidate,
            returns: 0,
            reasons_logged: Vec::new(),
            canvass: None,
            lag_logged: false,
        };
        run.observe_paces(cx);
        let end = cx.facts.end;
        if run.exit && cx.facts.replicas.iter().any(|replica| replica.acked < end) {
            cx.log(Level::Notice, texts::WAITING);
        }
        if run.is_commanded_takeover() {
            let text = texts::failover_requested(run.takeover.wanted.as_deref());
            cx.log(Level::Notice, text);
        }
        run.record(cx);
        run
    }

    /// Takes note of an input. What doesn't fit the step is ignored, so a late or doubled answer can't do harm.
    pub(crate) fn note(&mut self, cx: &mut Cx<'_>, input: Input) {
        match input {
            Input::Request(request) => self.join(cx, request),
            Input::Replicas(_) => self.observe_paces(cx),
            Input::Fenced { offset } => {
                if self.fence == FenceState::Closing {
                    self.fence = FenceState::Closed(offset);
                }
            }
            Input::SuccessorSeen { node, epoch } => {
                // After the redirect a further change is the node's own affair, as for any replica.
                if !matches!(self.step, Step::Redirect { .. } | Step::Linger { .. }) {
                    self.successor = Some((node, epoch));
                }
            }
            Input::Canvassed { target } => {
                if let Some((_, until)) = self.canvass.as_mut().filter(|(asked, _)| *asked == target) {
                    *until = cx.now;
                }
            }
            Input::Withdrawn { target } => self.may_win.retain(|id| *id != target),
            Input::Gone { target } => self.gone |= self.promoting() == Some(target),
            Input::Asked { target } => self.note_asked(cx, target),
            Input::Redirected => self.redirected |= matches!(self.step, Step::Redirect { .. }),
            Input::ClientsLeft(count) => {
                if matches!(self.step, Step::Redirect { .. } | Step::Linger { .. }) {
                    self.clients = Some(count);
                }
            }
            Input::Saved { ok } => {
                if self.save == Save::Asked {
                    self.save = Save::Done { ok };
                }
            }
            Input::Stood => self.listen_first(cx),
            // While a promotion is withdrawn everything has been called off already.
            Input::Abort => self.aborted = !matches!(self.step, Step::Withdraw { .. }),
            Input::Offset(_) | Input::Expected(_) | Input::Quorum(_) | Input::Tick => {}
        }
    }

    /// Goes from step to step until one has to wait.
    pub(crate) fn advance(&mut self, cx: &mut Cx<'_>) -> Turn {
        for _ in 0..STEPS_MAX {
            let turn = match self.step {
                Step::Choose | Step::CatchUp { .. } => self.seek(cx),
                Step::Fence { until } => self.fence(cx, until),
                Step::Drain { since, until } => self.drain(cx, since, until),
                Step::Promote { target, until } => self.promote(cx, target, until),
                Step::Withdraw { .. } => self.withdraw(cx),
                Step::Redirect { until } => self.redirect(cx, until),
                Step::Linger { until, save_until } => self.linger(cx, until, save_until),
                Step::Stop { until } => self.stop(cx, until),
            };
            let Turn::Go(step) = turn else { return turn };
            self.step = step;
            self.record(cx);
            match step {
                Step::Choose | Step::CatchUp { .. } => {}
                Step::Fence { .. } => self.enter_fence(cx),
                Step::Drain { .. } => self.enter_drain(cx),
                Step::Promote { target, .. } => self.enter_promote(cx, target),
                Step::Withdraw { target } => cx.emit(Effect::WithdrawPromotion { target }),
                Step::Redirect { .. } => self.enter_redirect(cx),
                Step::Linger { .. } => self.ask_save(cx),
                Step::Stop { .. } => self.enter_stop(cx),
            }
        }
        unreachable!("no input takes a handover through {STEPS_MAX} steps: {:?}", self.step)
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.step {
            Step::Choose => Phase::Choose,
            Step::CatchUp { .. } => Phase::CatchUp,
            Step::Fence { .. } => Phase::Fence,
            Step::Drain { .. } => Phase::Drain,
            Step::Promote { .. } => Phase::Promote,
            Step::Withdraw { .. } => Phase::Withdraw,
            Step::Redirect { .. } => Phase::Redirect,
            Step::Linger { .. } => Phase::Linger,
            Step::Stop { .. } => Phase::Stop,
        }
    }

    pub(crate) fn promoting(&self) -> Option<NodeId> {
        match self.step {
            Step::Promote { target, .. } => Some(target),
            _ => None,
        }
    }

    pub(crate) fn shutdown_deadline(&self) -> Option<Mono> {
        self.exit.then_some(self.deadline)
    }

    pub(crate) fn validate(&self, facts: &Facts) {
        let fenced = matches!(self.fence, FenceState::Closed(_));
        match self.step {
            Step::Choose | Step::CatchUp { .. } => {
                assert_eq!(self.fence, FenceState::Open, "a candidate is looked for while writes are served");
            }
            Step::Fence { .. } => assert_eq!(self.fence, FenceState::Closing, "the gate is closing"),
            Step::Drain { .. } | Step::Promote { .. } | Step::Withdraw { .. } => {
                assert!(fenced, "nobody is promoted while writes are served");
            }
            Step::Redirect { .. } | Step::Linger { .. } => {
                assert!(self.successor.is_some(), "clients are sent to somebody");
                assert_eq!(self.fence, FenceState::Open, "who is redirected isn't held");
            }
            Step::Stop { .. } => assert!(self.exit, "only who exits stops"),
        }
        assert!(self.told.is_empty() || fenced, "told only under the fence");
        assert!(self.may_win.iter().all(|id| self.told.contains(id)), "only who was told may win");
        assert!(self.told.len() <= ORDERS_MAX + 1, "the bound on orders, and one that asked for itself");
        assert!(self.waiters.len() <= facts.limits.waiters_max, "waiters are bounded");
        assert!(!self.takeover.turned || fenced || self.exit, "whoever follows another one accepts no write");
    }

    /// The moment to give up at, at most `patience`: sooner once whoever could take over, or the majority, is gone.
    pub(crate) fn patience(&mut self, cx: &Cx<'_>, patience: Mono, anybody: bool) -> Mono {
        let limits = &cx.facts.limits;
        let told = matches!(self.step, Step::Promote { .. });
        if anybody {
            self.gone_at = None;
        } else {
            self.gone_at.get_or_insert(cx.now);
        }
        let gone_grace = match told {
            true => limits.gone_grace,
            false if cx.facts.expected => limits.return_grace.min(self.deadline.since(self.started) / 2),
            false => limits.alone_grace,
        };
        let gone = self.gone_at.map_or(Mono::NEVER, |at| at + gone_grace);
        let lost = cx.facts.quorum_lost_at.map_or(Mono::NEVER, |at| at.max(self.started) + limits.gone_grace);
        patience.min(gone).min(lost)
    }

    /// Whether the replica acknowledged something since it was first asked, and lately.
    pub(crate) fn is_lively(&self, cx: &Cx<'_>, replica: &Replica) -> bool {
        let asked = self.asked.first.unwrap_or(Mono::NEVER);
        replica.acked_at >= asked && replica.acked_at + cx.facts.limits.silent_max > cx.now
    }

    /// Ends without successor: an exiting node stops, another one goes on serving.
    pub(crate) fn fail(&mut self, cx: &mut Cx<'_>, failure: Failure) -> Turn {
        self.failure = failure;
        if self.exit {
            self.finish_where(cx, |kind| !kind.exits(), Outcome::NoSuccessor(failure));
            return Turn::Go(Step::Stop { until: cx.now + cx.facts.limits.fence_max });
        }
        if self.promotion == Promotion::Takeover {
            let text = texts::failover_aborted(self.takeover.name(), texts::takeover_failure(failure));
            cx.log(Level::Notice, text);
        } else {
            cx.log(Level::Warning, texts::given_up(failure));
        }
        self.end(cx, Outcome::NoSuccessor(failure))
    }

    /// Ends with the node serving as it did before, once nobody who was told can win any more.
    pub(crate) fn end(&mut self, cx: &mut Cx<'_>, outcome: Outcome) -> Turn {
        self.finish_where(cx, |_| true, outcome);
        self.exit = false;
        self.aborted = false;
        if let Some(&target) = self.may_win.last()
            && cx.now < self.told_until
        {
            return Turn::Go(Step::Withdraw { target });
        }
        self.serve(cx)
    }

    pub(crate) fn serve(&mut self, cx: &mut Cx<'_>) -> Turn {
        self.resume_primary(cx);
        if self.fence != FenceState::Open {
            self.fence = FenceState::Open;
            cx.emit(Effect::Unfence);
        }
        Turn::Idle
    }

    /// Ends because somebody called it off.
    pub(crate) fn call_off(&mut self, cx: &mut Cx<'_>) -> Turn {
        if self.exit {
            cx.log(Level::Notice, texts::SHUTDOWN_ABORTED);
        } else if self.promotion == Promotion::Takeover {
            let text = texts::failover_aborted(self.takeover.name(), texts::MANUALLY_ABORTED);
            cx.log(Level::Notice, text);
        }
        self.end(cx, Outcome::Aborted)
    }

    /// Answers the waiters of these kinds.
    pub(crate) fn finish_where(&mut self, cx: &mut Cx<'_>, which: impl Fn(Kind) -> bool, outcome: Outcome) {
        self.waiters.retain(|waiter| {
            if which(waiter.kind) {
                cx.finished(waiter.token, outcome);
            }
            !which(waiter.kind)
        });
    }

    pub(crate) fn deadline_of(cx: &Cx<'_>, request: &Request) -> Mono {
        // A shutdown without patience still gives a replica that is right here the time to answer once.
        let orders =
            request.promotion == Promotion::Order || (request.promotion == Promotion::Takeover && request.kind.exits());
        let least = if orders { cx.facts.limits.gone_grace } else { Default::default() };
        cx.now + request.timeout.max(least)
    }

    /// A replica that asks for itself has a name; without one nobody can be announced to.
    pub(crate) fn promotion_of(request: &Request) -> Promotion {
        match request.promotion {
            Promotion::Announce if request.target.is_none() => Promotion::Order,
            promotion => promotion,
        }
    }

    fn record(&self, cx: &mut Cx<'_>) {
        let record = Record { phase: self.phase(), at: cx.now, offset: cx.facts.end };
        cx.emit(Effect::Timeline(record));
    }

    fn observe_paces(&mut self, cx: &Cx<'_>) {
        let replicas = &cx.facts.replicas;
        self.paces.retain(|(addr, _)| replicas.iter().any(|replica| replica.addr == *addr));
        for replica in replicas {
            let known = self.paces.iter().position(|(addr, _)| *addr == replica.addr);
            let index = known.unwrap_or_else(|| {
                self.paces.push((replica.addr.clone(), Pace::default()));
                self.paces.len() - 1
            });
            self.paces[index].1.observe(replica.acked, replica.acked_at);
        }
    }
}
