//! Quorum writes as clients of a simulated process see them: replies that wait until replicas acknowledged what they tell
//! of. What a reply waits for, and when replicas are asked, is `baton_replication::reply_holds`, as in the server; this is
//! the shell around it, in place of the server's `write_acks`, `worker::hold` and `feeder::ack_rounds`.

use crate::data::{Op, puts_of};
use crate::event::{Answer, Ask, Request};
use crate::io::{Io, Sabotage};
use crate::process::core::Core;
use baton_base::{Mono, Offset};
use baton_node::Input;
use baton_replication::reply_holds::{Rounds, Told, floor};
use baton_replication::{ReplicaSession, link, quorum};
use std::collections::BTreeMap;
use std::time::Duration;

/// `write-ack-timeout`.
const PATIENCE: Duration = Duration::from_secs(1);
/// `min-replicas-max-lag`.
const LAG_MAX: Duration = Duration::from_secs(10);

/// What is known of acknowledgements, and the replies that wait for them.
#[derive(Debug, Default)]
pub(super) struct Holds {
    /// By slot: the end of the latest write.
    marks: BTreeMap<u16, Offset>,
    floor: Offset,
    /// So many replicas as are asked for have everything up to here.
    acked: Offset,
    /// The furthest offset that a reply waits for.
    wanted: Offset,
    rounds: Rounds,
    held: Vec<Held>,
    /// This node's own acknowledgements to its primary are off.
    frozen: bool,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    request: Request,
    answer: Answer,
    needs: Offset,
    until: Mono,
}

impl Holds {
    /// Everything up to here has to be acknowledged by the replicas of today.
    pub(super) fn begin_anew(&mut self, end: Offset) {
        self.floor = self.floor.max(floor(end));
        (self.acked, self.wanted, self.rounds) = (Offset(0), Offset(0), Rounds::default());
    }

    /// When something has to be looked at.
    pub(super) fn deadline(&self) -> Mono {
        let late = self.held.iter().map(|held| held.until).min().unwrap_or(Mono::NEVER);
        if self.held.is_empty() { Mono::NEVER } else { late.min(self.rounds.deadline()) }
    }
}

impl Core {
    /// Whether replies wait for replicas.
    pub(super) fn holds_replies(&self, io: &Io) -> bool {
        io.plan.write_ack_replicas > 0 && !self.is_replica
    }

    /// Whether too few replicas are there to acknowledge a write.
    pub(super) fn lacks_replicas(&self, io: &Io) -> bool {
        let present = quorum::good(self.counting(), self.clock.local(io.now), LAG_MAX);
        self.holds_replies(io) && (present as u64) < io.plan.write_ack_replicas
    }

    /// Replicas whose acknowledgement protects a write: they can take over.
    fn counting(&self) -> impl Iterator<Item = &ReplicaSession> {
        let topology = &self.topology;
        let shard = topology.myself().shard;
        let mine = move |id| topology.nodes.iter().any(|n| n.id == id && n.shard == shard);
        self.sessions().filter(move |session| session.node_id.is_some_and(mine))
    }

    /// A write to this slot ends here.
    pub(super) fn mark(&mut self, slot: u16) {
        let end = self.data.end();
        self.holds.marks.insert(slot, end);
    }

    /// Answers what was executed, once replicas have what the answer tells of.
    pub(super) fn reply(&mut self, io: &mut Io, request: Request, answer: Answer, wrote: Option<Offset>) {
        if !self.holds_replies(io) {
            return self.acknowledge(io, request, answer);
        }
        let mark = self.holds.marks.get(&request.slot).copied().unwrap_or_default();
        let leased = io.plan.lease && self.gate_is_open() && self.leases(io);
        let told = Told { revealed: mark.max(self.holds.floor), wrote, leased };
        let needs = told.needs(self.data.end());
        let eager = match io.sabotage {
            Some(Sabotage::AckAtOnce) => true,
            Some(Sabotage::EagerReads) => wrote.is_none(),
            _ => false,
        };
        if needs <= self.holds.acked || eager {
            return self.acknowledge(io, request, answer);
        }
        io.watch.readable.held += 1;
        self.holds.held.push(Held { request, answer, needs, until: self.clock.local(io.now) + PATIENCE });
        self.holds.wanted = self.holds.wanted.max(needs);
        self.ask_for_acks(io);
    }

    /// Asks replicas while replies wait, unless somebody holds the end of the stream still.
    pub(super) fn ask_for_acks(&mut self, io: &mut Io) {
        let (now, wanted, acked) = (self.clock.local(io.now), self.holds.wanted, self.holds.acked);
        let due = self.holds.rounds.is_due(wanted, acked, now);
        if !due || !self.holds_replies(io) || !self.gate_is_open() || self.replicas_online() == 0 {
            return;
        }
        if self.data.end() < wanted {
            self.append(io, Op::Ping);
        }
        self.append(io, Op::AskAck);
        let end = self.data.end();
        self.holds.rounds.asked(end, now);
    }

    /// A replica acknowledged something.
    pub(super) fn hear_acks(&mut self, io: &mut Io) {
        if !self.holds_replies(io) {
            return;
        }
        let replicas = io.plan.write_ack_replicas as usize;
        let Some(acked) = quorum::offset_acknowledged_by(self.counting(), replicas) else { return };
        if acked > self.holds.acked {
            self.holds.acked = acked;
            for held in self.take_held_replies(|held| held.needs <= acked) {
                self.acknowledge(io, held.request, held.answer);
            }
        }
        self.ask_for_acks(io);
    }

    /// Gives up what was not acknowledged in time, and asks again.
    pub(super) fn tick_holds(&mut self, io: &mut Io) {
        let now = self.clock.local(io.now);
        for held in self.take_held_replies(|held| held.until <= now) {
            self.answer(io, held.request, Answer::Unacked);
        }
        self.ask_for_acks(io);
    }

    /// This node is no primary any more.
    pub(super) fn fail_held(&mut self, io: &mut Io) {
        for held in self.take_held_replies(|_| true) {
            self.answer(io, held.request, Answer::Unacked);
        }
    }

    fn take_held_replies(&mut self, which: impl Fn(&Held) -> bool) -> Vec<Held> {
        self.holds.held.extract_if(.., |held| which(held)).collect()
    }

    /// Ends acknowledgements to the primary, or begins them again, as the node wants it, and says so. It is told
    /// with facts that are read after that.
    pub(super) fn obey_freeze(&mut self, io: &mut Io) {
        let wanted = self.node.freezes_acks();
        if std::mem::replace(&mut self.holds.frozen, wanted) != wanted {
            self.following.link.set_acks_frozen(wanted);
            self.drive_link(io, link::Input::AckNow);
            self.inputs.push_back(Input::AcksFrozen(wanted));
        }
    }

    /// Notes what an answer promises.
    pub(super) fn note_promise(&self, io: &mut Io, request: Request) {
        if !self.holds_replies(io) {
            return;
        }
        match request.ask {
            Ask::Set(value) => io.watch.readable.promise((request.slot, request.client as u32), value),
            Ask::Put(value) => {
                let number = crate::client::number_of(value);
                io.watch.readable.promise(puts_of(request.slot, request.client), number);
            }
            Ask::Read(_) => {}
        }
    }
}
