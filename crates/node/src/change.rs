//! One change of a primary as this node saw it: who, why, in which steps and with what loss. Plain data with what can be
//! computed from it; who fills it in is `chronicle`. It must never decide anything.

use baton_base::{Epoch, Mono, NodeId, Offset, ShardId, WallMs};
use std::fmt;
use std::time::Duration;

/// Steps that one change keeps. Elections that are repeated for hours add to none beyond this.
pub const STEPS_MAX: usize = 64;
/// Characters of a shard's id that name a change.
const SHARD_CHARS: usize = 8;

/// Why a primary changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ChangeKind {
    /// SIGTERM at the old primary.
    Sigterm,
    /// SHUTDOWN FAILOVER at the old primary.
    Shutdown,
    /// CLUSTER FAILOVER at the new one.
    ClusterFailover,
    /// CLUSTER FAILOVER FORCE.
    ClusterFailoverForce,
    /// CLUSTER FAILOVER TAKEOVER.
    ClusterFailoverTakeover,
    /// FAILOVER at the old primary.
    Failover,
    /// On purpose, and only the old primary knows for which.
    Planned,
    /// The old primary failed.
    Failure,
}

impl ChangeKind {
    /// Every kind.
    pub const ALL: [ChangeKind; 8] = [
        ChangeKind::Sigterm,
        ChangeKind::Shutdown,
        ChangeKind::ClusterFailover,
        ChangeKind::ClusterFailoverForce,
        ChangeKind::ClusterFailoverTakeover,
        ChangeKind::Failover,
        ChangeKind::Planned,
        ChangeKind::Failure,
    ];

    /// Its name in replies, INFO, logs and metrics.
    pub fn token(self) -> &'static str {
        match self {
            ChangeKind::Sigterm => "sigterm",
            ChangeKind::Shutdown => "shutdown",
            ChangeKind::ClusterFailover => "cluster-failover",
            ChangeKind::ClusterFailoverForce => "cluster-failover-force",
            ChangeKind::ClusterFailoverTakeover => "cluster-failover-takeover",
            ChangeKind::Failover => "failover",
            ChangeKind::Planned => "planned",
            ChangeKind::Failure => "failure",
        }
    }

    /// Somebody wanted it.
    pub fn is_planned(self) -> bool {
        self != ChangeKind::Failure
    }
}

/// What this node was in a change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Part {
    /// Primary before.
    OldPrimary,
    /// Primary after.
    Successor,
    /// A replica that stood for election, or was told to, and did not become primary.
    Candidate,
    /// A primary that voted.
    Voter,
    /// Anybody else.
    Observer,
}

impl Part {
    /// Its name in replies and INFO.
    pub fn token(self) -> &'static str {
        match self {
            Part::OldPrimary => "old-primary",
            Part::Successor => "successor",
            Part::Candidate => "candidate",
            Part::Voter => "voter",
            Part::Observer => "observer",
        }
    }
}

/// How a change stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ChangeOutcome {
    /// It goes on.
    Running,
    /// There is a new primary.
    Done,
    /// It was given up, and the old primary is still it.
    Aborted,
    /// The old primary came back before anybody took over.
    Recovered,
    /// The old primary went, and nobody had taken over by then.
    NoSuccessor,
}

impl ChangeOutcome {
    /// Its name in replies, INFO and metrics.
    pub fn token(self) -> &'static str {
        match self {
            ChangeOutcome::Running => "running",
            ChangeOutcome::Done => "done",
            ChangeOutcome::Aborted => "aborted",
            ChangeOutcome::Recovered => "recovered",
            ChangeOutcome::NoSuccessor => "no-successor",
        }
    }
}

/// What happened in a step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StepKind {
    /// Somebody asked for the change, here.
    Asked,
    /// The old primary was last heard on the replication link.
    LastHeard,
    /// This node began to suspect the old primary.
    Suspected,
    /// The cluster agreed that it failed.
    Confirmed,
    /// There is a replica that can take over.
    CandidateChosen,
    /// Writes are held from here on.
    WritesHeld,
    /// No write runs any more: the final offset is known.
    Fenced,
    /// The candidate acknowledged the final offset.
    Acknowledged,
    /// The candidate was told to take over, or that it may.
    Told,
    /// The candidate was told not to.
    Withdrawn,
    /// The successor-to-be heard the final offset.
    OffsetKnown,
    /// It has everything up to there.
    CaughtUp,
    /// Its election was put on the calendar; the step's time is when.
    ElectionScheduled,
    /// It asked for votes.
    ElectionStarted,
    /// It got this node's vote.
    Vote,
    /// This node gave its vote.
    Voted,
    /// An election ended without a majority.
    ElectionLost,
    /// This node is primary.
    Won,
    /// The claim of the new primary was seen.
    ClaimSeen,
    /// All clients whose commands were held are answered.
    ClientsReleased,
    /// The new primary executed its first write.
    FirstWrite,
    /// The old primary follows the new one, after a resynchronisation.
    Resynced,
    /// It ended otherwise.
    Ended,
}

impl StepKind {
    /// Its name in replies and logs.
    pub fn token(self) -> &'static str {
        match self {
            StepKind::Asked => "asked",
            StepKind::LastHeard => "last-heard",
            StepKind::Suspected => "suspected",
            StepKind::Confirmed => "confirmed",
            StepKind::CandidateChosen => "candidate-chosen",
            StepKind::WritesHeld => "writes-held",
            StepKind::Fenced => "fenced",
            StepKind::Acknowledged => "acknowledged",
            StepKind::Told => "told",
            StepKind::Withdrawn => "withdrawn",
            StepKind::OffsetKnown => "offset-known",
            StepKind::CaughtUp => "caught-up",
            StepKind::ElectionScheduled => "election-scheduled",
            StepKind::ElectionStarted => "election-started",
            StepKind::Vote => "vote",
            StepKind::Voted => "voted",
            StepKind::ElectionLost => "election-lost",
            StepKind::Won => "won",
            StepKind::ClaimSeen => "claim-seen",
            StepKind::ClientsReleased => "clients-released",
            StepKind::FirstWrite => "first-write",
            StepKind::Resynced => "resynced",
            StepKind::Ended => "ended",
        }
    }
}

/// The phases that people ask about: a name, the step that begins it and the one that ends it.
pub const PHASES: [(&str, StepKind, StepKind); 11] = [
    ("choose", StepKind::Asked, StepKind::CandidateChosen),
    ("catch_up", StepKind::CandidateChosen, StepKind::WritesHeld),
    ("fence", StepKind::WritesHeld, StepKind::Fenced),
    ("drain", StepKind::Fenced, StepKind::Told),
    ("promote", StepKind::Told, StepKind::ClaimSeen),
    ("redirect", StepKind::ClaimSeen, StepKind::ClientsReleased),
    ("detect", StepKind::Suspected, StepKind::Confirmed),
    ("schedule", StepKind::Confirmed, StepKind::ElectionStarted),
    ("vote", StepKind::ElectionStarted, StepKind::Won),
    ("succeed", StepKind::Confirmed, StepKind::ClaimSeen),
    ("serve", StepKind::Won, StepKind::FirstWrite),
];

/// One step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChangeStep {
    /// What.
    pub kind: StepKind,
    /// When.
    pub at: Mono,
    /// Whom it is about, besides the old primary: the candidate, the voter, the new primary.
    pub node: Option<NodeId>,
    /// The offset that it is about.
    pub offset: Option<Offset>,
}

/// How the old primary got the new one's data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Resync {
    /// The stream went on.
    Partial,
    /// All of it.
    Full,
}

impl Resync {
    /// Its name in replies and metrics.
    pub fn token(self) -> &'static str {
        match self {
            Resync::Partial => "partial",
            Resync::Full => "full",
        }
    }
}

/// The name of a change, the same on all nodes once its epoch is known: the beginning of the shard's id and the epoch of
/// the new primary's claim. Before that, and where nobody claims, a name of this node alone: the epoch it began in, a
/// dot, and a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChangeId {
    shard: Option<ShardId>,
    epoch: Epoch,
    attempt: Option<u64>,
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shard = self.shard.as_ref().map_or("standalone", |s| &s.as_str()[..SHARD_CHARS]);
        write!(f, "{shard}-{}", self.epoch)?;
        self.attempt.map_or(Ok(()), |n| write!(f, ".{n}"))
    }
}

/// One change. Steps are in the order in which this node learned of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Counts the changes of this process, from 1.
    pub number: u64,
    /// Why.
    pub kind: ChangeKind,
    /// What this node was in it.
    pub part: Part,
    /// How it stands.
    pub outcome: ChangeOutcome,
    /// The shard; none outside a cluster.
    pub shard: Option<ShardId>,
    /// Who was primary.
    pub old: Option<NodeId>,
    /// Who is.
    pub new: Option<NodeId>,
    /// Epoch of the old primary's slots when it began.
    pub began_epoch: Epoch,
    /// Epoch of the new primary's claim.
    pub epoch: Option<Epoch>,
    /// Time of the first thing known about it; steps with earlier times may have been learned later.
    pub began: Mono,
    /// The same by the wall clock.
    pub began_wall: WallMs,
    /// What happened.
    pub steps: Vec<ChangeStep>,
    /// The old primary's last offset, where it was fixed.
    pub final_offset: Option<Offset>,
    /// Bytes of the stream that the new primary didn't have, as far as it had heard of them.
    pub bytes_missing: Option<u64>,
    /// How the old primary came back.
    pub resync: Option<Resync>,
    /// How many of the steps are in the log.
    pub(crate) told: usize,
}

impl Change {
    /// Its name.
    pub fn id(&self) -> ChangeId {
        match self.epoch {
            Some(epoch) if self.outcome == ChangeOutcome::Done => ChangeId { shard: self.shard, epoch, attempt: None },
            _ => ChangeId { shard: self.shard, epoch: self.began_epoch, attempt: Some(self.number) },
        }
    }

    /// The first time of this step.
    pub fn first(&self, kind: StepKind) -> Option<Mono> {
        self.steps.iter().find(|s| s.kind == kind).map(|s| s.at)
    }

    /// Wall-clock time of an instant near this change.
    pub fn wall_of(&self, at: Mono) -> WallMs {
        let wall = self.began_wall.0.saturating_add(at.ms_since(self.began));
        WallMs(wall.saturating_sub(self.began.ms_since(at)))
    }

    /// An instant in microseconds after [`Change::began`], or before it.
    pub fn after_us(&self, at: Mono) -> i64 {
        let us = |d: Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
        us(at.since(self.began)) - us(self.began.since(at))
    }

    /// How long each phase took that this node saw both ends of.
    pub fn phases(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        PHASES.iter().filter_map(|(name, from, to)| {
            let began = self.first(*from)?;
            let ended = self.steps.iter().find(|s| s.kind == *to && s.at >= began)?.at;
            Some((*name, ended.since(began)))
        })
    }

    /// For how long nobody could write, as far as this node can tell. At an old primary that handed over: from the hold
    /// until all held clients were answered. At the successor of one that failed: since that was last heard, until the
    /// first write here, or until it could have been.
    pub fn write_pause(&self) -> Option<Duration> {
        if let (Some(from), Some(to)) = (self.first(StepKind::WritesHeld), self.first(StepKind::ClientsReleased)) {
            return Some(to.since(from));
        }
        if self.kind.is_planned() {
            return None;
        }
        let from = self.first(StepKind::LastHeard).or_else(|| self.first(StepKind::Suspected))?;
        let to = self.first(StepKind::FirstWrite).or_else(|| self.first(StepKind::Won))?;
        Some(to.since(from))
    }
}
