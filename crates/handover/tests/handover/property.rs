//! What holds whatever comes in, in whatever order: it ends, requests are answered once, nobody is promoted who lacks
//! data or while writes run, writes are never held for longer than allowed, and they never go on while somebody may win.

use crate::rig::{node, replica};
use baton_base::{Epoch, Mono, NodeId, Offset};
use baton_handover::{
    Effect, Handover, Input, Kind, Limits, Outcome, Phase, Promotion, Record, Replica, ReplicaState, Request, Token,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Checks every effect against what the machine was told, as somebody who sees only the outside.
struct Watch {
    machine: Handover,
    now: Mono,
    replicas: Vec<Replica>,
    /// Requests that wait for their answer.
    open: BTreeSet<Token>,
    next_token: u64,
    fence_since: Option<Mono>,
    fenced: Option<Offset>,
    /// Latest time until which any request lets a candidate be waited for.
    patience: Mono,
    /// What it was before the latest request, which may be refused.
    patience_before: Mono,
    /// By how much pauses of the process may have prolonged the fence.
    stood: Duration,
    saving: bool,
    claim: Option<NodeId>,
    /// Who was told to be primary, and until when each may win.
    told: BTreeMap<NodeId, Mono>,
    /// This node follows somebody whom it asked to take over.
    turned: bool,
    /// Whom the request has reached, maybe, and who hasn't refused.
    asked: BTreeSet<NodeId>,
    /// A failover was forced.
    regardless: bool,
    exited: bool,
}

impl Watch {
    fn new() -> Watch {
        Watch {
            machine: Handover::new(Limits::default()),
            now: Mono::from_millis(1000),
            replicas: Vec::new(),
            open: BTreeSet::new(),
            next_token: 0,
            fence_since: None,
            fenced: None,
            patience: Mono::ZERO,
            patience_before: Mono::ZERO,
            stood: Duration::ZERO,
            saving: false,
            claim: None,
            told: BTreeMap::new(),
            turned: false,
            asked: BTreeSet::new(),
            regardless: false,
            exited: false,
        }
    }

    fn give(&mut self, mut input: Input) {
        let before = self.machine.phase();
        match &mut input {
            Input::Request(request) => {
                request.token = Token(self.next_token);
                self.next_token += 1;
                self.open.insert(request.token);
                // A replica that asks for itself gives up after its own time, however short that is.
                let announced = request.promotion == Promotion::Announce && request.target.is_some();
                let least = if announced { Duration::ZERO } else { Limits::default().gone_grace };
                let timeout = request.timeout.max(least);
                self.patience_before = self.patience;
                self.patience = self.patience.max(self.now + timeout);
                self.regardless |= request.regardless;
            }
            Input::Replicas(replicas) => {
                for replica in replicas.iter_mut() {
                    replica.acked_at = replica.acked_at.min(self.now);
                }
                self.replicas.clone_from(replicas);
            }
            Input::Fenced { offset } if before == Phase::Fence || before == Phase::Stop => {
                self.fenced.get_or_insert(*offset);
            }
            Input::Stood => self.stood += Limits::default().stood_grace,
            Input::SuccessorSeen { node, .. } => self.claim = Some(*node),
            Input::Withdrawn { target } => {
                self.told.remove(target);
                self.asked.remove(target);
            }
            Input::Asked { target } if self.turned && self.machine.promoting() == Some(*target) => {
                self.asked.insert(*target);
            }
            // An answer that nobody waits for is a fault of the node, not one of the orders in which events come.
            Input::Saved { .. } if !self.saving => return,
            Input::Saved { .. } => self.saving = false,
            _ => {}
        }
        self.machine.handle(self.now, input);
        self.machine.validate();
        while let Some(effect) = self.machine.poll_effect() {
            self.look_at(effect);
        }
        assert!(self.machine.next_wake() > self.now, "waits for a time that has come");
        if matches!(self.machine.phase(), Phase::Idle | Phase::Exited) {
            assert_eq!(self.open, BTreeSet::new(), "all are answered at the end");
            assert_eq!(self.fence_since, None, "the fence doesn't outlive the handover");
        }
        self.check_fence();
    }

    fn look_at(&mut self, effect: Effect) {
        assert!(!self.exited || matches!(effect, Effect::Finished { .. }), "nothing comes after the exit: {effect:?}");
        match effect {
            Effect::Fence { until, .. } => {
                assert!(until > self.now);
                self.fence_since.get_or_insert(self.now);
            }
            Effect::Unfence => {
                assert!(!self.turned, "a replica serves no writes");
                let may_win = self.told.values().any(|until| *until > self.now);
                assert!(!may_win, "writes go on while somebody may win");
                self.open_fence();
            }
            Effect::OrderPromotion { target, until } => {
                self.check_target(target, true);
                assert!(until >= self.now + Limits::default().order_valid);
                self.told.insert(target, until);
            }
            Effect::AnnouncePaused { target, offset, until } => {
                assert_eq!(Some(offset), self.fenced, "announced is where writes stopped");
                assert!(until <= self.patience);
                self.told.insert(target, until);
            }
            Effect::AskTakeover { target } => {
                let replica = self.replicas.iter().find(|r| r.id == Some(target));
                if !self.regardless {
                    self.check_target(target, true);
                }
                assert!(self.fenced.is_some() && (self.regardless || replica.is_some()));
                let others = self.asked.iter().any(|id| *id != target);
                assert!(!others, "another one is asked while {:?} may have agreed", self.asked);
                self.turned = true;
            }
            Effect::ResumePrimary => {
                assert!(std::mem::take(&mut self.turned), "primary again without having been anything else");
                self.asked.clear();
            }
            Effect::Redirect { successor, .. } => {
                assert_eq!(Some(successor), self.claim, "only who claimed is successor");
                (self.turned, self.regardless) = (false, false);
                self.asked.clear();
                self.open_fence();
                self.told.clear();
            }
            Effect::FinalSave => self.saving = true,
            Effect::Exit => {
                self.exited = true;
                self.fence_since = None;
            }
            Effect::Finished { token, outcome } => {
                assert!(self.open.remove(&token), "answered twice: {token:?}");
                if outcome == Outcome::Refused && token.0 + 1 == self.next_token {
                    self.patience = self.patience_before;
                }
            }
            Effect::Joined { token, with } => {
                assert!(self.open.contains(&token) && self.open.contains(&with) && token != with);
            }
            Effect::Timeline(Record { phase: Phase::Idle, .. }) => {
                (self.saving, self.patience, self.regardless) = (false, Mono::ZERO, false);
            }
            Effect::Canvass { target } => {
                assert!(self.replicas.iter().any(|r| r.id == Some(target)), "only who is attached is to collect votes");
                assert_eq!(self.fence_since, None, "votes are collected while writes run");
            }
            Effect::AskAck | Effect::WithdrawPromotion { .. } | Effect::Log { .. } | Effect::Timeline(_) => {}
        }
    }

    fn open_fence(&mut self) {
        self.fence_since = None;
        self.fenced = None;
    }

    fn check_target(&self, target: NodeId, data: bool) {
        let replica = self.replicas.iter().find(|r| r.id == Some(target)).expect("only who is attached is told");
        let fenced = self.fenced.expect("nobody is told while writes run");
        assert!(replica.complete && replica.state == ReplicaState::Online, "{replica:?}");
        assert!(!data || replica.acked >= fenced, "{replica:?} lacks data before {fenced}");
    }

    fn check_fence(&self) {
        let Some(since) = self.fence_since else { return };
        // The final save of a node that exits without successor may take what it takes.
        if self.saving {
            return;
        }
        let timeout = self.patience.since(since);
        let held = self.now.since(since);
        let limits = Limits::default();
        assert!(
            held <= limits.fence_total_max(timeout) + limits.takeover_total_max() + self.stood,
            "held for {held:?} in {:?}",
            self.machine.phase()
        );
    }

    /// Lets time go on, without skipping what is due.
    fn pass(&mut self, by: Duration) {
        let target = self.now + by;
        for _ in 0..10_000 {
            let wake = self.machine.next_wake();
            if wake > target {
                self.now = target;
                return;
            }
            self.now = wake;
            self.give(Input::Tick);
        }
        panic!("the machine asks to be woken all the time in {:?}", self.machine.phase());
    }
}

fn replicas() -> impl Strategy<Value = Vec<Replica>> {
    let one = (0..3usize, 90_000..=101_000u64, 0..3000u64, 0..20u8);
    vec(one, 0..4).prop_map(|list| {
        let mut out: Vec<Replica> = Vec::new();
        for (name, acked, at, odd) in list {
            let name = ["a", "b", "c"][name];
            let mut replica = replica(name, acked, Mono::from_millis(at));
            match odd {
                0 => replica.state = ReplicaState::SendBulk,
                1 => replica.complete = false,
                2 => replica.id = None,
                3 => replica.version = 0x0008_0000,
                4 => replica.priority = 10,
                5 => replica.same_zone = false,
                _ => {}
            }
            if out.iter().all(|r| r.addr != replica.addr) {
                out.push(replica);
            }
        }
        out
    })
}

fn target() -> impl Strategy<Value = NodeId> {
    prop_oneof![Just("a"), Just("b"), Just("c")].prop_map(node)
}

fn request(clustered: bool) -> impl Strategy<Value = Input> {
    let kind = prop_oneof![Just(Kind::Sigterm), Just(Kind::ShutdownFailover), Just(Kind::Command)];
    let promotion = if clustered {
        prop_oneof![4 => Just(Promotion::Order), 2 => Just(Promotion::Announce), 1 => Just(Promotion::Nobody)].boxed()
    } else {
        prop_oneof![5 => Just(Promotion::Takeover), 1 => Just(Promotion::Nobody)].boxed()
    };
    (kind, option::of(target()), promotion, 0..8000u64, any::<bool>(), any::<bool>()).prop_map(
        move |(kind, target, promotion, ms, force, regardless)| {
            // Only a shutdown may want no successor, and only FAILOVER is forced.
            let usual = if clustered { Promotion::Order } else { Promotion::Takeover };
            let promotion = if kind.exits() || promotion != Promotion::Nobody { promotion } else { usual };
            let regardless = regardless && !clustered && !kind.exits() && target.is_some();
            let timeout = Duration::from_millis(ms);
            Input::Request(Request { kind, token: Token(0), target, promotion, timeout, force, regardless })
        },
    )
}

fn input(clustered: bool) -> impl Strategy<Value = Input> {
    prop_oneof![
        2 => request(clustered),
        8 => replicas().prop_map(Input::Replicas),
        2 => (90_000..=101_000u64).prop_map(|o| Input::Offset(Offset(o))),
        4 => (95_000..=101_000u64).prop_map(|o| Input::Fenced { offset: Offset(o) }),
        1 => (target(), 1..9u64).prop_map(|(node, e)| Input::SuccessorSeen { node, epoch: Epoch(e) }),
        1 => target().prop_map(|target| Input::Withdrawn { target }),
        1 => target().prop_map(|target| Input::Gone { target }),
        2 => target().prop_map(|target| Input::Canvassed { target }),
        1 => target().prop_map(|target| Input::Asked { target }),
        1 => Just(Input::Redirected),
        1 => (0..3usize).prop_map(Input::ClientsLeft),
        1 => any::<bool>().prop_map(|ok| Input::Saved { ok }),
        1 => any::<bool>().prop_map(Input::Quorum),
        1 => any::<bool>().prop_map(Input::Expected),
        1 => Just(Input::Abort),
        1 => Just(Input::Stood),
        1 => Just(Input::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_sequence_ends_well(
        (first, steps) in any::<bool>().prop_flat_map(|clustered| {
            (request(clustered), vec((input(clustered), prop_oneof![0..5u64, 0..300u64, 0..3000u64]), 0..60))
        }),
    ) {
        let mut watch = Watch::new();
        watch.give(Input::Offset(Offset(95_000)));
        watch.give(first);
        for (input, ms) in steps {
            watch.give(input);
            watch.pass(Duration::from_millis(ms));
        }
        // Time goes on, and only the final save is answered.
        for _ in 0..20 {
            watch.pass(Duration::from_secs(10));
            watch.give(Input::Saved { ok: true });
        }
        prop_assert!(
            matches!(watch.machine.phase(), Phase::Idle | Phase::Exited),
            "ends in {:?}", watch.machine.phase()
        );
        prop_assert_eq!(watch.machine.next_wake(), Mono::NEVER);
    }
}
