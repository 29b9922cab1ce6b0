//! What the machine wants done, one closed enum. The node carries effects out in the order they come.

use crate::Token;
use baton_base::{Epoch, Mono, NodeId, Offset};

/// Something the node is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Hold all writers, let what is in flight finish, then say [`crate::Input::Fenced`]. The data plane opens by itself
    /// at `until`, in case it hears nothing more. Given again, it only changes `until`; one answer is due in all.
    Fence {
        /// Backstop; later than every deadline of the handover.
        until: Mono,
        /// A request for acknowledgement is to be the last thing in the stream, appended at the moment when no write runs
        /// any more. The end that is reported lies before it, because replicas of upstream leave the question out of their
        /// answer; nothing comes behind it.
        ask: bool,
    },
    /// Let the held writers go on: this node is still primary.
    Unfence,
    /// Append `REPLCONF GETACK *` to the stream and push it out at once.
    AskAck,
    /// Have this replica collect its votes while writes still run, then say [`crate::Input::Canvassed`]; at once where that
    /// isn't done.
    Canvass {
        /// Who will be ordered to be primary, unless something changes.
        target: NodeId,
    },
    /// Append `CLUSTER FAILOVER FORCE REPLICAID <target>` to the stream and push it out at once. Grant the election
    /// this node's vote.
    OrderPromotion {
        /// The replica to be primary.
        target: NodeId,
        /// How long writes are held for it at least.
        until: Mono,
    },
    /// Send PAUSED with this offset in every bus message, and a PING to the target at once. Nothing may be appended to
    /// the stream after this, since the target waits for exactly this offset (cluster-bus 8). Over with
    /// [`Effect::Unfence`] or [`Effect::Redirect`].
    AnnouncePaused {
        /// The replica that asked.
        target: NodeId,
        /// The final offset.
        offset: Offset,
        /// How long writes are held for it at least.
        until: Mono,
    },
    /// Become a replica of the target, with the request that promotes it. Clients that can be redirected are held from
    /// here on, readers too, since the target's data is the newer one as soon as it agrees; blocked ones stay blocked.
    /// Then say [`crate::Input::Asked`], and [`crate::Input::SuccessorSeen`] or [`crate::Input::Withdrawn`].
    AskTakeover {
        /// The replica to be primary.
        target: NodeId,
    },
    /// Be primary again, under a new history: whoever was asked to take over did not. Before anything that comes after.
    ResumePrimary,
    /// The target must not win any more: refuse it this node's vote from now on and, where it understands, tell it.
    /// Before anything that comes after this effect.
    WithdrawPromotion {
        /// The replica that was ordered or told to go ahead.
        target: NodeId,
    },
    /// Flip the published roles: this node is a replica of the successor. Held clients, blocked ones too, are answered
    /// with the new place, siblings re-attach, and the fence is gone. Then say [`crate::Input::Redirected`].
    Redirect {
        /// The new primary.
        successor: NodeId,
        /// Epoch of its claim.
        epoch: Epoch,
    },
    /// Do the save and sync work that the way of shutting down calls for, then say [`crate::Input::Saved`]. When
    /// the handover ends before that, with a record of [`Phase::Idle`], the answer must not be given any more.
    FinalSave,
    /// Leave with code 0. Nothing comes after it.
    Exit,
    /// This request joined the handover that was running already; it is answered with that one.
    Joined {
        /// The request.
        token: Token,
        /// The oldest request of the running handover.
        with: Token,
    },
    /// The request is over.
    Finished {
        /// The request.
        token: Token,
        /// How it went.
        outcome: Outcome,
    },
    /// A line for the log.
    Log {
        /// How loud.
        level: Level,
        /// The line.
        text: String,
    },
    /// A phase began.
    Timeline(Record),
}

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The successor serves.
    HandedOver {
        /// The new primary.
        successor: NodeId,
        /// Epoch of its claim.
        epoch: Epoch,
    },
    /// Nobody took over; a shutdown exits all the same.
    NoSuccessor(Failure),
    /// Called off; the node goes on as it was.
    Aborted,
    /// Another handover with another target runs, or the node is no primary any more, or too many wait.
    Refused,
    /// The final save failed, so the shutdown is called off.
    SaveFailed,
}

/// Why nobody took over.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Failure {
    /// No replica is attached.
    NoReplica,
    /// A replica is attached whose version doesn't know the order (cluster-bus 9).
    LegacyReplica,
    /// No attached replica could take over within the time.
    NoCandidate,
    /// The candidate lags too far behind to be waited for under the fence.
    Lag,
    /// A command that runs too long kept the gate from closing.
    NotFenced,
    /// No candidate acknowledged the final offset in time.
    NotDrained,
    /// No claim of a successor arrived in time.
    NotPromoted,
    /// The replica refused to take over.
    Rejected,
    /// None was asked for.
    NotWanted,
}

/// How loud a log line is, in upstream's levels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Level {
    /// For the curious.
    Verbose,
    /// The normal course.
    Notice,
    /// Somebody should look.
    Warning,
}

/// Where the machine is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Phase {
    /// Nothing runs.
    Idle,
    /// Looking for a replica that could take over. Writes are served.
    Choose,
    /// There is one; its lag is being driven down. Writes are served.
    CatchUp,
    /// The gate is closing.
    Fence,
    /// Writes are held; the last bytes are on their way to the replicas.
    Drain,
    /// The candidate has all and was told to be primary.
    Promote,
    /// It was told to stay a replica; writes are held until it can't win any more.
    Withdraw,
    /// The roles flip and held clients are answered.
    Redirect,
    /// Handed over; saving, and redirecting who still comes, before exit.
    Linger,
    /// Nobody takes over; saving before exit, writes held.
    Stop,
    /// Gone.
    Exited,
}

impl Phase {
    /// Every phase, in the order of a handover.
    pub const ALL: [Phase; 11] = [
        Phase::Idle,
        Phase::Choose,
        Phase::CatchUp,
        Phase::Fence,
        Phase::Drain,
        Phase::Promote,
        Phase::Withdraw,
        Phase::Redirect,
        Phase::Linger,
        Phase::Stop,
        Phase::Exited,
    ];

    /// Its name in timelines, INFO and logs.
    pub fn token(self) -> &'static str {
        match self {
            Phase::Idle => "idle",
            Phase::Choose => "choose",
            Phase::CatchUp => "catch-up",
            Phase::Fence => "fence",
            Phase::Drain => "drain",
            Phase::Promote => "promote",
            Phase::Withdraw => "withdraw",
            Phase::Redirect => "redirect",
            Phase::Linger => "linger",
            Phase::Stop => "stop",
            Phase::Exited => "exited",
        }
    }
}

/// An entry of the timeline of a handover.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// The phase that began.
    pub phase: Phase,
    /// When.
    pub at: Mono,
    /// End of the journal then.
    pub offset: Offset,
}
