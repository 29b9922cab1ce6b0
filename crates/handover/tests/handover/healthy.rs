//! One replica is well, whatever the others do: they lag, hang, synchronise, or die on the way. The handover goes to the
//! healthy one, and for no longer than round trips take.

use crate::rig::{node, replica};
use baton_base::{Epoch, Mono, Offset};
use baton_handover::{
    Effect, Handover, Input, Kind, Limits, Outcome, Phase, Promotion, Replica, ReplicaState, Request, Token,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const GETACK_BYTES: u64 = 37;

/// Microseconds of a round trip, of collecting votes beforehand, of closing the gate, and of an election.
#[derive(Clone, Copy, Debug)]
struct Times {
    trip: u64,
    votes: u64,
    gate: u64,
    election: u64,
}

/// What another replica is like.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Other {
    /// Took all it was sent, then hung.
    Hung,
    /// Acknowledges, but never gets near.
    Lagging,
    Syncing,
    /// Is gone once the handover began.
    Dies,
}

struct World {
    machine: Handover,
    now: Mono,
    end: u64,
    replicas: Vec<Replica>,
    /// What is still to come, by time.
    coming: BTreeMap<Mono, Vec<Input>>,
    trace: Vec<(Mono, Effect)>,
    times: Times,
    /// Bytes that clients write in a millisecond, while they can.
    write_rate: u64,
    fenced: bool,
}

impl World {
    fn after(&mut self, us: u64, input: Input) {
        self.coming.entry(self.now + Duration::from_micros(us)).or_default().push(input);
    }

    fn give(&mut self, input: Input) {
        self.machine.handle(self.now, input);
        self.machine.validate();
        while let Some(effect) = self.machine.poll_effect() {
            self.carry_out(&effect);
            self.trace.push((self.now, effect));
        }
    }

    fn carry_out(&mut self, effect: &Effect) {
        match effect {
            Effect::AskAck => {
                // As upstream replicas do, the answer leaves out the question itself.
                let mut replicas = self.replicas.clone();
                replicas[0].acked = Offset(self.end);
                replicas[0].acked_at = self.now + Duration::from_micros(self.times.trip);
                self.end += GETACK_BYTES;
                self.after(self.times.trip, Input::Replicas(replicas));
            }
            Effect::Canvass { target } => self.after(self.times.votes, Input::Canvassed { target: *target }),
            Effect::Fence { .. } => {
                self.fenced = true;
                self.after(self.times.gate, Input::Fenced { offset: Offset(self.end) });
            }
            Effect::OrderPromotion { target, .. } => {
                let claim = Input::SuccessorSeen { node: *target, epoch: Epoch(9) };
                self.after(self.times.election, claim);
            }
            Effect::Redirect { .. } => self.after(100, Input::Redirected),
            Effect::FinalSave => self.after(20_000, Input::Saved { ok: true }),
            _ => {}
        }
    }

    /// Runs until nothing is to come any more.
    fn run(&mut self) {
        for _ in 0..10_000 {
            let coming = self.coming.keys().next().copied().unwrap_or(Mono::NEVER);
            let next = coming.min(self.machine.next_wake());
            if next == Mono::NEVER {
                return;
            }
            if !self.fenced {
                self.end += self.write_rate * next.since(self.now).as_micros() as u64 / 1000;
            }
            self.now = next;
            self.give(Input::Offset(Offset(self.end)));
            match self.coming.remove(&next) {
                Some(inputs) => inputs.into_iter().for_each(|input| self.arrive(input)),
                None => self.give(Input::Tick),
            }
        }
        panic!("no end in {:?}", self.machine.phase());
    }

    fn arrive(&mut self, input: Input) {
        if let Input::Replicas(replicas) = &input {
            self.replicas.clone_from(replicas);
            self.replicas.retain(|r| r.priority != DYING);
            return self.give(Input::Replicas(self.replicas.clone()));
        }
        self.give(input);
    }

    fn at(&self, which: impl Fn(&Effect) -> bool) -> Mono {
        self.trace.iter().find(|(_, effect)| which(effect)).expect("the effect came").0
    }
}

/// Marks replicas that are gone at the next news; as a priority it makes them wanted the least.
const DYING: u32 = 101;

fn other(name: &str, what: Other, preferred: bool, now: Mono) -> Replica {
    let mut replica = replica(name, 1_000_000, now - Duration::from_millis(700));
    match what {
        Other::Hung => {}
        Other::Lagging => (replica.acked, replica.acked_at) = (Offset(10), now + Duration::from_secs(1)),
        Other::Syncing => replica.state = ReplicaState::SendBulk,
        Other::Dies => replica.priority = DYING,
    }
    if preferred && what != Other::Dies {
        replica.priority = 10;
    }
    replica
}

fn others() -> impl Strategy<Value = Vec<(Other, bool)>> {
    let what = prop_oneof![Just(Other::Hung), Just(Other::Lagging), Just(Other::Syncing), Just(Other::Dies)];
    proptest::collection::vec((what, any::<bool>()), 0..4)
}

proptest! {
    #[test]
    fn the_healthy_replica_takes_over_at_once(
        others in others(),
        trip in 50..2000u64, votes in 100..50_000u64, gate in 10..1000u64, election in 200..20_000u64,
        write_rate in 0..4000u64,
        exits: bool,
    ) {
        let now = Mono::from_millis(5000);
        let mut replicas = vec![replica("a", 999_000, now - Duration::from_millis(300))];
        for ((what, preferred), name) in others.iter().zip(["b", "c", "d"]) {
            replicas.push(other(name, *what, *preferred, now));
        }
        let times = Times { trip, votes, gate, election };
        let mut world = World {
            machine: Handover::new(Limits::default()),
            now, end: 1_000_000, replicas: replicas.clone(), coming: BTreeMap::new(), trace: Vec::new(),
            times, write_rate, fenced: false,
        };
        world.give(Input::Offset(Offset(1_000_000)));
        world.give(Input::Replicas(replicas));
        let kind = if exits { Kind::Sigterm } else { Kind::Command };
        let timeout = Duration::from_secs(10);
        world.give(Input::Request(Request {
            kind, token: Token(1), target: None, promotion: Promotion::Order, timeout, force: false, regardless: false,
        }));
        world.run();

        let fenced_at = world.at(|e| matches!(e, Effect::Fence { .. }));
        let redirected_at = world.at(|e| matches!(e, Effect::Redirect { .. }));
        let limits = Limits::default();
        // With a preferred replica that may still answer, the others wait a moment, while writes go on.
        let preferred = others.iter().any(|(what, preferred)| *preferred && *what != Other::Dies);
        let grace = if preferred { limits.prefer_grace } else { Duration::ZERO };
        let trip_time = Duration::from_micros(trip) + limits.ask_min;
        // Its votes are waited for while writes go on, and by then it may have to catch up once more.
        let votes = Duration::from_micros(votes).min(limits.canvass_max);
        let chosen = fenced_at.since(now);
        prop_assert!(chosen <= grace + votes + trip_time * 4, "chosen after {chosen:?}");
        // A lagging one that answers and is preferred gets another moment under the fence, in case it has all then.
        let lagging = others.iter().any(|(what, preferred)| *preferred && *what == Other::Lagging);
        let grace = if lagging { limits.prefer_grace } else { Duration::ZERO };
        let held = redirected_at.since(fenced_at);
        prop_assert!(held <= Duration::from_micros(gate + trip + election) + grace, "held for {held:?}");
        let outcome = Outcome::HandedOver { successor: node("a"), epoch: Epoch(9) };
        let finished = Effect::Finished { token: Token(1), outcome };
        prop_assert!(world.trace.iter().any(|(_, effect)| *effect == finished));
        prop_assert_eq!(world.machine.phase(), if exits { Phase::Exited } else { Phase::Idle });
    }
}

/// A node that synchronised with a shorter history is where that one ends, not where it once was.
#[test]
fn a_shorter_history_has_a_nearer_end() {
    let mut machine = Handover::new(Limits::default());
    machine.handle(Mono::from_millis(1), Input::Offset(Offset(1_000_000)));
    machine.handle(Mono::from_millis(2), Input::Offset(Offset(500)));
    machine.handle(Mono::from_millis(3), Input::Replicas(vec![replica("a", 500, Mono::from_millis(3))]));
    let request = Request {
        kind: Kind::Command,
        token: Token(1),
        target: None,
        promotion: Promotion::Order,
        timeout: Duration::from_secs(5),
        force: false,
        regardless: false,
    };
    machine.handle(Mono::from_millis(4), Input::Request(request));
    machine.handle(Mono::from_millis(5), Input::Replicas(vec![replica("a", 500, Mono::from_millis(5))]));
    machine.handle(Mono::from_millis(5), Input::Canvassed { target: node("a") });
    assert_eq!(machine.phase(), Phase::Fence, "the replica has everything");
}
