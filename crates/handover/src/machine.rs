//! The outside of the machine: takes inputs, keeps the facts that outlive a handover, hands out effects.

use crate::run::{Cx, Run, Turn};
use crate::{Effect, Input, Limits, Outcome, Phase, Record, Replica};
use baton_base::{Mono, NodeId, Offset};
use std::collections::VecDeque;

/// The handover machine of one node.
///
/// Inputs go in by [`Handover::handle`]; then take effects by [`Handover::poll_effect`] until there is none, and call
/// again, with [`Input::Tick`] if with nothing else, no later than [`Handover::next_wake`]. Time never goes back.
/// [`Input::Offset`], [`Input::Replicas`], [`Input::Expected`] and [`Input::Quorum`] are also wanted while no handover runs, so that one can
/// begin without waiting for news; every other input that doesn't fit the phase is ignored.
///
/// Requests are idempotent by shard, epoch and target: a machine lives for one shard, only one epoch's handover can run
/// in it, and a request for the same target, or for any, joins the one that runs.
#[derive(Debug)]
pub struct Handover {
    facts: Facts,
    state: State,
    wake: Mono,
    effects: VecDeque<Effect>,
}

/// What is known whether or not a handover runs.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) limits: Limits,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) end: Offset,
    /// A replica lives that could attach again.
    pub(crate) expected: bool,
    /// Since when the majority is out of reach; none while it is in reach.
    pub(crate) quorum_lost_at: Option<Mono>,
}

#[derive(Debug)]
enum State {
    Idle,
    Running(Box<Run>),
    Exited,
}

impl Handover {
    /// A machine at rest.
    pub fn new(limits: Limits) -> Handover {
        let facts = Facts { limits, replicas: Vec::new(), end: Offset(0), expected: false, quorum_lost_at: None };
        Handover { facts, state: State::Idle, wake: Mono::NEVER, effects: VecDeque::new() }
    }

    /// Takes an input at this time.
    pub fn handle(&mut self, now: Mono, input: Input) {
        self.note_facts(now, &input);
        let mut cx = Cx { facts: &self.facts, now, effects: &mut self.effects };
        let turn = match (&mut self.state, input) {
            (State::Idle, Input::Request(request)) => {
                self.state = State::Running(Box::new(Run::begin(&mut cx, request)));
                let State::Running(run) = &mut self.state else { unreachable!("it was just set") };
                run.advance(&mut cx)
            }
            (State::Running(run), input) => {
                run.note(&mut cx, input);
                run.advance(&mut cx)
            }
            (State::Exited, Input::Request(request)) => {
                cx.finished(request.token, Outcome::Refused);
                return;
            }
            (State::Idle | State::Exited, _) => return,
        };
        match turn {
            Turn::Wait(wake) => self.wake = wake,
            Turn::Idle => self.rest(now, Phase::Idle, State::Idle),
            Turn::Exit => {
                self.rest(now, Phase::Exited, State::Exited);
                self.effects.push_back(Effect::Exit);
            }
            Turn::Go(_) => unreachable!("advance follows every step"),
        }
    }

    /// The next thing to do, if any.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`Handover::handle`] even if nothing happens; [`Mono::NEVER`] if only an input can change anything.
    pub fn next_wake(&self) -> Mono {
        self.wake
    }

    /// Where the machine is.
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Idle => Phase::Idle,
            State::Running(run) => run.phase(),
            State::Exited => Phase::Exited,
        }
    }

    /// Who was told to be primary, while that is waited for.
    pub fn promoting(&self) -> Option<NodeId> {
        match &self.state {
            State::Running(run) => run.promoting(),
            State::Idle | State::Exited => None,
        }
    }

    /// Whether a shutdown is under way, for `shutdown_in_milliseconds` and SHUTDOWN ABORT: the time until which a
    /// candidate is waited for.
    pub fn shutdown_deadline(&self) -> Option<Mono> {
        match &self.state {
            State::Running(run) => run.shutdown_deadline(),
            State::Idle | State::Exited => None,
        }
    }

    /// Changes deadlines and bounds. A handover that runs keeps the deadlines it has set already.
    pub fn set_limits(&mut self, limits: Limits) {
        self.facts.limits = limits;
    }

    /// Asserts the relations that hold between any two calls. For tests and the simulator.
    ///
    /// # Panics
    /// When one doesn't hold: an own bug.
    pub fn validate(&self) {
        match &self.state {
            State::Running(run) => run.validate(&self.facts),
            State::Idle | State::Exited => assert_eq!(self.wake, Mono::NEVER, "nothing runs, nothing is waited for"),
        }
    }

    fn note_facts(&mut self, now: Mono, input: &Input) {
        match input {
            Input::Replicas(replicas) => self.facts.replicas.clone_from(replicas),
            // At rest it may also go back: a node that took over another's history has that one's end.
            Input::Offset(end) if matches!(self.state, State::Idle) => self.facts.end = *end,
            Input::Offset(end) | Input::Fenced { offset: end } => self.facts.end = self.facts.end.max(*end),
            Input::Expected(expected) => self.facts.expected = *expected,
            Input::Quorum(true) => self.facts.quorum_lost_at = None,
            Input::Quorum(false) => {
                self.facts.quorum_lost_at.get_or_insert(now);
            }
            _ => {}
        }
    }

    fn rest(&mut self, now: Mono, phase: Phase, state: State) {
        self.state = state;
        self.wake = Mono::NEVER;
        self.effects.push_back(Effect::Timeline(Record { phase, at: now, offset: self.facts.end }));
    }
}
