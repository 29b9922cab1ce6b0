//! Slots that move to another node at once (CLUSTER MIGRATESLOTS; cluster-bus 11.4). The source sends the keys of the slots
//! and then what is written to them ([`export`]); the target executes that as it comes, unseen by clients ([`import`]).
//! When both have the same, writes are held for a moment, and the target takes the slots over.
//!
//! Here is what both sides remember and show of a job. Nothing here sends anything.

pub mod export;
mod fate;
mod filter;
pub mod import;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use baton_base::{Mono, NodeId, Slot, SlotBitmap, WallMs};
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::shared::Shared;

/// Jobs that are over and remembered while nothing trims them; `cluster-slot-migration-log-max-len` may ask for fewer.
const REMEMBERED_MAX: usize = 10_000;

/// What this node does in a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The slots leave.
    Export,
    /// The slots come.
    Import,
    /// The slots come to this node's primary.
    Follow,
}

/// How far a job is, in the words of CLUSTER GETSLOTMIGRATIONS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The source opens a connection.
    Connecting,
    /// It authenticates.
    Authenticating,
    /// It has asked whether the target agrees.
    Establishing,
    /// The values are sent.
    Snapshotting,
    /// What was written since is sent.
    Replicating,
    /// Too much is to be sent yet to hold writes.
    WaitingToPause,
    /// Writes are held.
    FailoverPaused,
    /// The target may take over (both sides).
    FailoverGranted,
    /// The target waits for the first word.
    WaitingForAck,
    /// The target executes.
    ReceivingSnapshot,
    /// The target has all values.
    WaitingForPaused,
    /// The target has everything.
    FailoverRequested,
    /// Keys of a job that failed are deleted.
    CleaningUp,
    /// The primary of this replica has the job.
    OccurringOnPrimary,
    /// The target has the slots.
    Success,
    /// Nothing has changed hands.
    Failed,
    /// Somebody wanted it to end.
    Cancelled,
}

impl State {
    /// The word that is shown.
    pub fn word(self) -> &'static str {
        match self {
            State::Connecting => "connecting",
            State::Authenticating => "reading-auth-response",
            State::Establishing => "reading-establish-response",
            State::Snapshotting => "snapshotting",
            State::Replicating => "replicating",
            State::WaitingToPause => "waiting-to-pause",
            State::FailoverPaused => "failover-paused",
            State::FailoverGranted => "failover-granted",
            State::WaitingForAck => "waiting-for-ack",
            State::ReceivingSnapshot => "receiving-snapshot",
            State::WaitingForPaused => "waiting-for-paused",
            State::FailoverRequested => "failover-requested",
            State::CleaningUp => "cleaning-up",
            State::OccurringOnPrimary => "occurring-on-primary",
            State::Success => "success",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens.
    pub fn is_over(self) -> bool {
        matches!(self, State::Success | State::Failed | State::Cancelled)
    }
}

/// What changes of a job.
#[derive(Clone, Debug)]
pub struct Progress {
    /// How far it is.
    pub state: State,
    /// Why it failed.
    pub message: String,
    /// When the state changed.
    pub updated: WallMs,
    /// When the peer was last heard of, for those who ask.
    pub acked: WallMs,
    /// The same, for timeouts.
    pub heard: Mono,
    /// Bytes of the stream that are still to be sent.
    pub remaining_bytes: u64,
}

/// One job.
#[derive(Debug)]
pub struct Job {
    /// Forty characters, the same on both nodes.
    pub name: String,
    /// What this node does.
    pub side: Side,
    /// The slots as they were named.
    pub ranges: Vec<(Slot, Slot)>,
    /// The same.
    pub slots: SlotBitmap,
    /// Where they come from; none if that is not known.
    pub source: Option<NodeId>,
    /// Where they go; none on replicas.
    pub target: Option<NodeId>,
    /// When it began.
    pub created: WallMs,
    progress: Mutex<Progress>,
    /// Source: it is not known yet who has the slots. Target: it is settled how the job ends, by whoever came first.
    settling: AtomicBool,
    /// Somebody wants the slots back, whoever has them.
    released: AtomicBool,
}

impl Job {
    /// A job that begins.
    pub fn new(
        name: String,
        side: Side,
        ranges: Vec<(Slot, Slot)>,
        (source, target): (Option<NodeId>, Option<NodeId>),
        state: State,
        clock: Clock,
    ) -> Arc<Job> {
        let (now, heard) = (clock.wall(), clock.mono());
        let progress = Progress { state, message: String::new(), updated: now, acked: now, heard, remaining_bytes: 0 };
        Arc::new(Job {
            name,
            side,
            slots: slots_of(&ranges),
            ranges,
            source,
            target,
            created: now,
            progress: Mutex::new(progress),
            settling: AtomicBool::new(false),
            released: AtomicBool::new(false),
        })
    }

    /// Source: from here on it is not for this node alone to say how it ends. Target: how it ends is settled now, in favour of
    /// whoever asks first; tells whether that is the caller.
    pub fn begin_settling(&self) -> bool {
        !self.settling.swap(true, Ordering::AcqRel)
    }

    /// How it ended is known.
    pub fn end_settling(&self) {
        self.settling.store(false, Ordering::Release);
    }

    /// Whether it goes on, or is over for whoever asked for it, but not for its slots.
    fn has_slots(&self) -> bool {
        !self.state().is_over() || self.settling.load(Ordering::Acquire)
    }

    /// Whether its slots are wanted back, whoever has them.
    pub fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    /// What is known of it now.
    pub fn progress(&self) -> Progress {
        self.progress.lock().clone()
    }

    /// How far it is.
    pub fn state(&self) -> State {
        self.progress.lock().state
    }

    /// The peer was heard of.
    pub fn heard(&self, clock: Clock) {
        let mut progress = self.progress.lock();
        (progress.acked, progress.heard) = (clock.wall(), clock.mono());
    }

    /// So much is still to be sent.
    pub fn note_remaining(&self, bytes: u64) {
        self.progress.lock().remaining_bytes = bytes;
    }

    /// Goes to another state, unless it is over. Tells whether it did.
    pub fn enter(&self, shared: &Shared, state: State, message: &str) -> bool {
        let mut progress = self.progress.lock();
        if progress.state.is_over() || progress.state == state {
            return false;
        }
        let before = progress.state.word();
        shared.log.notice(&format!("Slot migration {} state transition: {before} -> {}", self.line(), state.word()));
        if state == State::Failed {
            shared.log.warning(&format!("Slot migration {} failed: {message}", self.line()));
        }
        progress.state = state;
        progress.updated = shared.clock.wall();
        message.clone_into(&mut progress.message);
        true
    }

    /// Ends it at the source. Where the target has been told that it may take over, the slots stay held until it is known
    /// whether it has; being ended once more lets them go all the same. Tells whether there was anything to end.
    pub fn cancel(&self, shared: &Shared) -> bool {
        if self.enter(shared, State::Cancelled, "") {
            return true;
        }
        let settles = self.settling.load(Ordering::Acquire);
        self.released.fetch_or(settles, Ordering::AcqRel);
        settles
    }

    /// It in a log line.
    pub fn line(&self) -> String {
        let shown = |id: Option<NodeId>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let (source, target) = (shown(self.source), shown(self.target));
        format!("{{name={} source={source} target={target} slots={}}}", self.name, self.shown_ranges())
    }

    /// `a-b c-d`.
    pub fn shown_ranges(&self) -> String {
        let shown: Vec<String> = self.ranges.iter().map(|(a, b)| format!("{a}-{b}")).collect();
        shown.join(" ")
    }
}

/// A job as snapshots have it: slots that were on their way when they were written.
pub type Coming = (String, Vec<(Slot, Slot)>);

/// The slots of some ranges.
pub fn slots_of(ranges: &[(Slot, Slot)]) -> SlotBitmap {
    ranges.iter().flat_map(|(a, b)| (a.number()..=b.number()).filter_map(Slot::new)).collect()
}

/// Where jobs are made to stand still, for tests.
#[derive(Default)]
pub struct Stops {
    /// Before writes are held.
    pub before_pause: AtomicBool,
    /// Before the source lets the target take over.
    pub before_grant: AtomicBool,
    /// Before the target takes over.
    pub before_claim: AtomicBool,
}

/// All jobs, the newest first.
#[derive(Default)]
pub struct SlotJobs {
    /// Where they are made to stand still.
    pub stops: Stops,
    list: Mutex<VecDeque<Arc<Job>>>,
    /// Those that are not over, as far as anybody has looked.
    running: AtomicUsize,
}

impl SlotJobs {
    /// Adds a job; refuses, with one that is in the way, where a job that is not over has one of its slots.
    pub fn add(&self, jobs: &[Arc<Job>]) -> Result<(), Arc<Job>> {
        let mut list = self.list.lock();
        let running = |job: &&Arc<Job>| job.has_slots();
        for job in jobs {
            if let Some(other) = list.iter().filter(running).find(|other| !other.slots.and(&job.slots).is_empty()) {
                return Err(Arc::clone(other));
            }
        }
        for job in jobs {
            list.push_front(Arc::clone(job));
        }
        list.truncate(REMEMBERED_MAX);
        self.running.store(list.iter().filter(running).count(), Ordering::Release);
        Ok(())
    }

    /// All of them, of those that are over only the latest.
    pub fn all(&self, kept: usize) -> Vec<Arc<Job>> {
        let mut list = self.list.lock();
        let mut over = 0;
        list.retain(|job| {
            over += usize::from(!job.has_slots());
            job.has_slots() || over <= kept
        });
        list.iter().cloned().collect()
    }

    /// Ends all that leave; tells whether there were any.
    pub fn cancel_exports(&self, shared: &Shared) -> bool {
        let list = self.list.lock();
        let exports = list.iter().filter(|job| job.side == Side::Export && job.has_slots());
        exports.filter(|job| job.cancel(shared)).count() > 0
    }

    /// Those that are not over.
    pub fn running(&self) -> Vec<Arc<Job>> {
        if self.running.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let list = self.list.lock();
        let running: Vec<Arc<Job>> = list.iter().filter(|job| !job.state().is_over()).cloned().collect();
        self.running.store(running.len(), Ordering::Release);
        running
    }

    /// Those that bring slots to this node or its primary, for a snapshot. The caller has stopped the world.
    pub fn coming(&self) -> Vec<Coming> {
        let coming = |job: &Arc<Job>| (job.name.clone(), job.ranges.clone());
        self.running().iter().filter(|job| job.side != Side::Export).map(coming).collect()
    }

    /// The job with this name.
    pub fn find(&self, name: &str) -> Option<Arc<Job>> {
        self.list.lock().iter().find(|job| job.name == name).cloned()
    }
}

/// Publishes which slots are coming: their keys are not shown to clients.
pub fn publish_hidden(shared: &Shared) {
    shared.change_world(|w| {
        // Looked up in here: of two threads that do this at a time, the later one knows at least what the earlier one knew.
        let mut hidden = SlotBitmap::new();
        for job in shared.slot_jobs.running().iter().filter(|job| job.side != Side::Export) {
            hidden.insert_all(&job.slots);
        }
        w.hidden = (!hidden.is_empty()).then(|| Arc::new(hidden));
    });
}

/// Ends jobs of which nothing is heard any more, or whose slots went elsewhere. Called once in a while.
pub fn keep_time(shared: &Shared) {
    for job in shared.slot_jobs.running().iter().filter(|job| job.side == Side::Import) {
        import::keep_time(shared, job);
    }
}

/// Everything was deleted: what was being moved is not whole any more.
pub fn on_flush(shared: &Shared) {
    for job in shared.slot_jobs.running() {
        match job.side {
            Side::Import => import::fail(shared, &job, "Data was flushed"),
            Side::Export => drop(job.enter(shared, State::Failed, "Data was flushed")),
            Side::Follow => {}
        }
    }
}
