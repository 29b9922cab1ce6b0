//! The history of changes of primaries that this node took part in, kept from what the two machines say anyway. It counts
//! and remembers; nothing is decided from it, and it holds no clock: each thing it is told comes with its time.

use crate::change::{Change, ChangeKind, ChangeOutcome, ChangeStep, Part, Resync, STEPS_MAX, StepKind};
use baton_base::{Epoch, Mono, NodeId, Offset, ShardId, WallMs};
use baton_cluster::{Asked, Note};
use baton_handover::{Phase, Record};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Changes that are remembered.
pub const CHANGES_MAX: usize = 128;
/// Suspected primaries that are remembered at a time; a cluster has at most this many.
const SUSPECTS_MAX: usize = 1024;

/// When something was said.
#[derive(Clone, Copy, Debug)]
pub struct When {
    /// By the clock of timers.
    pub now: Mono,
    /// By the clock of people.
    pub wall: WallMs,
    /// When the primary was last heard on the replication link.
    pub last_heard: Option<Mono>,
}

/// What the data plane saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sight {
    /// The first write since this node became primary, at this time.
    FirstWrite(Mono),
    /// Outside a cluster: the primary asked this node to take over, and it did, at this offset.
    TookOver(Offset),
    /// This node follows its primary again, after this kind of resynchronisation.
    Resynced(Resync),
    /// A replica attached, after this kind of resynchronisation.
    ReplicaResynced(NodeId, Resync),
}

/// Who this node is at the start of a handover.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// Its id.
    pub id: NodeId,
    /// Its shard.
    pub shard: ShardId,
    /// Epoch of its slots.
    pub epoch: Epoch,
}

/// How often and how long a phase was.
#[derive(Clone, Debug, Default)]
pub struct PhaseTimes {
    /// Microseconds, oldest first, of changes that are remembered or not.
    pub counts: [u64; PhaseTimes::BOUNDS_US.len()],
    /// All of them, those beyond the last bound too.
    pub count: u64,
    /// Their sum in microseconds.
    pub sum_us: u64,
}

impl PhaseTimes {
    /// Upper bounds of `counts`, in microseconds.
    pub const BOUNDS_US: [u64; 13] =
        [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_000_000, 10_000_000, 60_000_000];

    fn add(&mut self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(index) = Self::BOUNDS_US.iter().position(|bound| us <= *bound) {
            self.counts[index] += 1;
        }
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }
}

/// What is counted over the life of the process.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Changes that are over.
    pub changes: BTreeMap<(ChangeKind, ChangeOutcome), u64>,
    /// Primaries that this node began to suspect.
    pub suspicions: u64,
    /// Elections of this node that got no majority.
    pub elections_lost: u64,
    /// Votes that this node gave.
    pub votes: u64,
    /// Times of phases by name.
    pub phases: BTreeMap<&'static str, PhaseTimes>,
}

impl Totals {
    /// Changes that are over, of these kinds and outcomes.
    pub fn count(&self, which: impl Fn(ChangeKind, ChangeOutcome) -> bool) -> u64 {
        self.changes.iter().filter(|((kind, outcome), _)| which(*kind, *outcome)).map(|(_, n)| n).sum()
    }
}

/// What is known, as others read it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Chronicle {
    /// The latest changes, oldest first.
    pub changes: VecDeque<Arc<Change>>,
    /// Counters.
    pub totals: Arc<Totals>,
    /// Grows whenever anything here changes.
    pub version: u64,
}

/// Keeps a [`Chronicle`].
#[derive(Debug, Default)]
pub struct Chronicler {
    kept: Chronicle,
    /// When suspicions began that are not confirmed yet.
    suspected: BTreeMap<NodeId, Mono>,
    /// Why the handover that begins next does.
    cause: Option<ChangeKind>,
    /// The change that this node's own handover is, by number.
    handover: Option<u64>,
    next: u64,
    /// The version that the log knows.
    told: u64,
}

impl Chronicler {
    /// What is known.
    pub fn chronicle(&self) -> &Chronicle {
        &self.kept
    }

    /// A handover is about to be asked for; none if nobody is to take over. One that runs keeps its own reason.
    pub fn on_request(&mut self, cause: Option<ChangeKind>) {
        self.cause = cause;
    }

    /// A phase of the handover began.
    pub fn on_record(&mut self, when: When, own: Option<Own>, record: Record) {
        use StepKind as S;
        if record.phase == Phase::Choose {
            // A handover that is begun anew, for another reason, is a change of its own.
            if let Some(kind) = self.cause.take() {
                self.end_handover(when, ChangeOutcome::Aborted);
                let number = self.begin(when, kind, Part::OldPrimary, own.map(|o| (o.shard, o.id, o.epoch)));
                self.handover = Some(number);
                self.step(number, when, S::Asked, None, Some(record.offset));
            }
            return;
        }
        let Some(number) = self.handover else { return };
        match record.phase {
            Phase::CatchUp => self.step(number, when, S::CandidateChosen, None, None),
            Phase::Fence => {
                // One that lags by nothing needs no phase of its own.
                if !self.has(number, S::CandidateChosen) {
                    self.step(number, when, S::CandidateChosen, None, None);
                }
                self.step(number, when, S::WritesHeld, None, Some(record.offset));
            }
            Phase::Withdraw => self.step(number, when, S::Withdrawn, None, None),
            Phase::Idle => self.end_handover(when, ChangeOutcome::Aborted),
            Phase::Stop | Phase::Exited => self.end_handover(when, ChangeOutcome::NoSuccessor),
            Phase::Choose | Phase::Drain | Phase::Promote | Phase::Redirect | Phase::Linger => {}
        }
    }

    /// No write runs any more.
    pub fn on_fenced(&mut self, when: When, offset: Offset) {
        let Some(number) = self.handover else { return };
        self.step(number, when, StepKind::Fenced, None, Some(offset));
        self.edit(number, |c| c.final_offset = Some(offset));
    }

    /// A replica was told to take over. One that was ordered to has acknowledged everything; one that asked for itself
    /// sees to that on its own.
    pub fn on_told(&mut self, when: When, target: NodeId, ordered: bool) {
        let Some(number) = self.handover else { return };
        if ordered {
            self.step(number, when, StepKind::Acknowledged, Some(target), None);
        }
        self.step(number, when, StepKind::Told, Some(target), None);
    }

    /// This node follows its successor. Outside a cluster that is all that is seen of it.
    pub fn on_redirect(&mut self, when: When, successor: NodeId, epoch: Epoch) {
        let Some(number) = self.handover else { return };
        self.claimed(number, when, successor, epoch);
    }

    /// Held clients are answered.
    pub fn on_redirected(&mut self, when: When) {
        if let Some(number) = self.handover.take() {
            self.step(number, when, StepKind::ClientsReleased, None, None);
        }
    }

    /// The data plane saw something.
    pub fn on_sight(&mut self, when: When, sight: Sight) {
        match sight {
            Sight::FirstWrite(at) => {
                let mine = self.latest(|c| c.part == Part::Successor && c.outcome == ChangeOutcome::Done);
                if let Some(number) = mine.filter(|n| !self.has(*n, StepKind::FirstWrite)) {
                    self.step(number, When { now: at, ..when }, StepKind::FirstWrite, None, None);
                }
            }
            Sight::TookOver(offset) => {
                let number = self.begin(when, ChangeKind::Planned, Part::Successor, None);
                self.step(number, when, StepKind::Won, None, Some(offset));
                self.set_outcome(number, ChangeOutcome::Done);
            }
            Sight::Resynced(how) => {
                let lost = self.latest(|c| c.part == Part::OldPrimary && c.outcome == ChangeOutcome::Done);
                self.resynced(when, lost, how);
            }
            Sight::ReplicaResynced(id, how) => {
                let won = self.latest(|c| c.part == Part::Successor && c.outcome == ChangeOutcome::Done);
                let of_it = won.filter(|n| self.find(*n).is_some_and(|c| c.old == Some(id)));
                self.resynced(when, of_it, how);
            }
        }
    }

    /// The cluster machine noted something.
    pub fn on_note(&mut self, when: When, note: Note) {
        match note {
            Note::Suspected { primary } => {
                self.total(|t| t.suspicions += 1);
                if self.suspected.len() < SUSPECTS_MAX {
                    self.suspected.insert(primary, when.now);
                }
            }
            Note::Failed { primary, shard, epoch } => self.on_failed(when, primary, shard, epoch),
            Note::Cleared { node } => {
                self.suspected.remove(&node);
                if let Some(number) = self.running(node).filter(|n| self.is_failure(*n)) {
                    self.end(number, when, ChangeOutcome::Recovered);
                }
            }
            Note::Told { by, primary, shard, epoch } => {
                let kind = match by {
                    Asked::User => ChangeKind::ClusterFailover,
                    Asked::Forced => ChangeKind::ClusterFailoverForce,
                    Asked::Takeover => ChangeKind::ClusterFailoverTakeover,
                    Asked::Primary => ChangeKind::Planned,
                };
                self.close_running(when, primary);
                let number = self.begin(when, kind, Part::Candidate, Some((shard, primary, epoch)));
                self.step(number, when, StepKind::Asked, None, None);
            }
            Note::Granted { candidate, primary, shard, epoch: _, failed } => {
                let number = self.join(when, (shard, primary), failed);
                self.edit(number, |c| c.part = if c.part == Part::OldPrimary { c.part } else { Part::Voter });
                self.step(number, when, StepKind::Voted, Some(candidate), None);
                self.total(|t| t.votes += 1);
            }
            Note::Claimed { old, new, shard, epoch, failed } => {
                let number = self.join(when, (shard, old), failed);
                self.claimed(number, when, new, epoch);
            }
            Note::Won { old, new, shard, epoch, offset, old_offset } => {
                let number = self.join(when, (shard, old), true);
                self.edit(number, |c| {
                    (c.part, c.new) = (Part::Successor, Some(new));
                    // What the old primary wrote after it was asked to stand still is nothing.
                    let end = c.final_offset.unwrap_or(old_offset);
                    c.bytes_missing = Some(end.0.saturating_sub(offset.0));
                });
                self.win(number, when, epoch, offset);
            }
            Note::Paused { .. } | Note::CaughtUp { .. } | Note::GivenUp => self.on_told_note(when, note),
            Note::Scheduled { .. } | Note::Started { .. } | Note::Vote { .. } | Note::Lost => {
                self.on_election(when, note);
            }
        }
    }

    /// Lines for the log about what is new of changes that have their name.
    pub fn poll_story(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.told == self.kept.version {
            return lines;
        }
        let untold = |c: &&Arc<Change>| c.outcome != ChangeOutcome::Running && c.told < c.steps.len();
        let numbers: Vec<u64> = self.kept.changes.iter().filter(untold).map(|c| c.number).collect();
        for number in numbers {
            self.edit(number, |c| {
                lines.extend(c.steps[c.told..].iter().map(|step| line(c, step)));
                c.told = c.steps.len();
            });
        }
        self.told = self.kept.version;
        lines
    }

    fn on_failed(&mut self, when: When, primary: NodeId, shard: ShardId, epoch: Epoch) {
        let suspected = self.suspected.remove(&primary);
        // Who is being asked to take over goes on with it.
        let running = self.running(primary);
        let number = running
            .unwrap_or_else(|| self.begin(when, ChangeKind::Failure, Part::Observer, Some((shard, primary, epoch))));
        if let Some(at) = suspected {
            self.edit(number, |c| {
                if running.is_none() {
                    c.began_wall = c.wall_of(at);
                    c.began = at;
                }
            });
            self.step(number, When { now: at, ..when }, StepKind::Suspected, None, None);
        }
        self.step(number, when, StepKind::Confirmed, None, None);
    }

    fn on_told_note(&mut self, when: When, note: Note) {
        let mine = self.latest(|c| c.part == Part::Candidate && c.outcome == ChangeOutcome::Running);
        let Some(number) = mine else { return };
        match note {
            Note::Paused { offset } => {
                self.step(number, when, StepKind::OffsetKnown, None, Some(offset));
                self.edit(number, |c| c.final_offset = Some(offset));
            }
            Note::CaughtUp { offset } => self.step(number, when, StepKind::CaughtUp, None, Some(offset)),
            _ => self.end(number, when, ChangeOutcome::Aborted),
        }
    }

    /// My own election. It is the latest change that I may decide: one that I was told to make, or one that began with
    /// the failure of my primary.
    fn on_election(&mut self, when: When, note: Note) {
        let may =
            |c: &Change| c.outcome == ChangeOutcome::Running && c.part != Part::OldPrimary && c.part != Part::Voter;
        let mine = self.latest(|c| may(c) && c.part == Part::Candidate).or_else(|| self.latest(may));
        let Some(number) = mine else { return };
        match note {
            Note::Scheduled { at } => {
                if let Some(heard) = when.last_heard.filter(|_| !self.has(number, StepKind::LastHeard)) {
                    self.step(number, When { now: heard, ..when }, StepKind::LastHeard, None, None);
                }
                self.edit(number, |c| c.part = Part::Candidate);
                self.step(number, When { now: at, ..when }, StepKind::ElectionScheduled, None, None);
            }
            Note::Started { epoch } => {
                self.edit(number, |c| c.epoch = Some(epoch));
                self.step(number, when, StepKind::ElectionStarted, None, None);
            }
            Note::Vote { voter } => self.step(number, when, StepKind::Vote, Some(voter), None),
            _ => {
                self.total(|t| t.elections_lost += 1);
                self.step(number, when, StepKind::ElectionLost, None, None);
            }
        }
    }

    fn win(&mut self, number: u64, when: When, epoch: Epoch, offset: Offset) {
        self.step(number, when, StepKind::Won, None, Some(offset));
        self.edit(number, |c| c.epoch = Some(epoch));
        self.set_outcome(number, ChangeOutcome::Done);
    }

    fn claimed(&mut self, number: u64, when: When, new: NodeId, epoch: Epoch) {
        if self.find(number).is_none_or(|c| c.outcome != ChangeOutcome::Running) {
            return;
        }
        // Outside a cluster there are no epochs.
        let epoch = Some(epoch).filter(|epoch| *epoch > Epoch(0));
        self.edit(number, |c| (c.new, c.epoch) = (c.shard.map(|_| new), epoch));
        self.step(number, when, StepKind::ClaimSeen, Some(new), None);
        self.set_outcome(number, ChangeOutcome::Done);
    }

    fn resynced(&mut self, when: When, number: Option<u64>, how: Resync) {
        if let Some(number) = number.filter(|n| !self.has(*n, StepKind::Resynced)) {
            self.edit(number, |c| c.resync = Some(how));
            self.step(number, when, StepKind::Resynced, None, None);
        }
    }

    /// The change of this primary that goes on, or a new one.
    fn join(&mut self, when: When, (shard, old): (ShardId, NodeId), failed: bool) -> u64 {
        let kind = if failed { ChangeKind::Failure } else { ChangeKind::Planned };
        self.running(old).unwrap_or_else(|| self.begin(when, kind, Part::Observer, Some((shard, old, Epoch(0)))))
    }

    fn begin(&mut self, when: When, kind: ChangeKind, part: Part, whose: Option<(ShardId, NodeId, Epoch)>) -> u64 {
        self.next += 1;
        let change = Change {
            number: self.next,
            kind,
            part,
            outcome: ChangeOutcome::Running,
            shard: whose.map(|(shard, ..)| shard),
            old: whose.map(|(_, old, _)| old),
            new: None,
            began_epoch: whose.map_or(Epoch(0), |(.., epoch)| epoch),
            epoch: None,
            began: when.now,
            began_wall: when.wall,
            steps: Vec::new(),
            final_offset: None,
            bytes_missing: None,
            resync: None,
            told: 0,
        };
        if self.kept.changes.len() == CHANGES_MAX {
            self.kept.changes.pop_front();
        }
        self.kept.changes.push_back(Arc::new(change));
        self.kept.version += 1;
        self.next
    }

    fn step(&mut self, number: u64, when: When, kind: StepKind, node: Option<NodeId>, offset: Option<Offset>) {
        let mut phases = Vec::new();
        self.edit(number, |c| {
            if c.steps.len() == STEPS_MAX {
                return;
            }
            let known: Vec<&str> = c.phases().map(|(name, _)| name).collect();
            // Nor are there names of nodes, only ones that the machines make up.
            let node = node.filter(|_| c.shard.is_some());
            c.steps.push(ChangeStep { kind, at: when.now, node, offset });
            phases = c.phases().filter(|(name, _)| !known.contains(name)).collect();
        });
        if !phases.is_empty() {
            self.total(|t| phases.iter().for_each(|(name, took)| t.phases.entry(name).or_default().add(*took)));
        }
    }

    fn end(&mut self, number: u64, when: When, outcome: ChangeOutcome) {
        if self.find(number).is_some_and(|c| c.outcome == ChangeOutcome::Running) {
            self.step(number, when, StepKind::Ended, None, None);
            self.set_outcome(number, outcome);
        }
    }

    fn end_handover(&mut self, when: When, outcome: ChangeOutcome) {
        if let Some(number) = self.handover.take() {
            self.end(number, when, outcome);
        }
    }

    /// Nothing more will come of what goes on about this primary.
    fn close_running(&mut self, when: When, old: NodeId) {
        if let Some(number) = self.running(old).filter(|n| !self.is_failure(*n)) {
            self.end(number, when, ChangeOutcome::Aborted);
        }
    }

    fn set_outcome(&mut self, number: u64, outcome: ChangeOutcome) {
        let Some(kind) = self.find(number).map(|c| c.kind) else { return };
        self.edit(number, |c| c.outcome = outcome);
        self.total(|t| *t.changes.entry((kind, outcome)).or_default() += 1);
    }

    fn running(&self, old: NodeId) -> Option<u64> {
        self.latest(|c| c.old == Some(old) && c.outcome == ChangeOutcome::Running)
    }

    fn latest(&self, which: impl Fn(&Change) -> bool) -> Option<u64> {
        self.kept.changes.iter().rev().find(|c| which(c)).map(|c| c.number)
    }

    fn is_failure(&self, number: u64) -> bool {
        self.find(number).is_some_and(|c| c.kind == ChangeKind::Failure)
    }

    fn has(&self, number: u64, kind: StepKind) -> bool {
        self.find(number).is_some_and(|c| c.first(kind).is_some())
    }

    fn find(&self, number: u64) -> Option<&Arc<Change>> {
        self.kept.changes.iter().rev().find(|c| c.number == number)
    }

    fn edit(&mut self, number: u64, change: impl FnOnce(&mut Change)) {
        if let Some(kept) = self.kept.changes.iter_mut().rev().find(|c| c.number == number) {
            change(Arc::make_mut(kept));
            self.kept.version += 1;
        }
    }

    fn total(&mut self, change: impl FnOnce(&mut Totals)) {
        change(Arc::make_mut(&mut self.kept.totals));
        self.kept.version += 1;
    }
}

fn line(change: &Change, step: &ChangeStep) -> String {
    let us = change.after_us(step.at);
    let node = step.node.map_or_else(String::new, |id| format!(" {id}"));
    let offset = step.offset.map_or_else(String::new, |offset| format!(" at offset {offset}"));
    let (id, kind, what) = (change.id(), change.kind.token(), step.kind.token());
    format!("Change of primary {id} ({kind}): {what}{node}{offset}, {:+}.{:03} ms", us / 1000, us.unsigned_abs() % 1000)
}
