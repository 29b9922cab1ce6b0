//! A replica's way to become primary after its primary failed, or as a manual failover asks (cluster-bus 7). It stands,
//! collects votes and takes over; who votes and why is `vote`.

use crate::ballot::Ballot;
use crate::capabilities::Capabilities;
use crate::cluster::{Cluster, Turn};
use crate::effect::LogLevel;
use crate::hindrance::CantFailover;
use crate::lease::VOTES_COUNT_FOR;
use crate::node::Node;
use crate::note::Note;
use crate::queueing::Before;
use crate::record::Victory;
use baton_base::{Epoch, Mono, NodeId, Offset};
use baton_wire::{Body, MsgFlags, NodeFlags};
use std::time::Duration;

/// Added to the delay of a replica without data, so that any other goes first.
const NO_DATA_DELAY: Duration = Duration::from_millis(500);
/// How long the first attempt waits for its majority.
const RETRY_FIRST: Duration = Duration::from_millis(500);
/// How often that wait is doubled at the most: one that finds no majority for a minute is not short of time.
const RETRY_DOUBLINGS_MAX: u32 = 7;

/// One attempt: scheduled for an instant, then sent, then won or expired.
#[derive(Debug, Default)]
pub(crate) struct Election {
    /// When it starts or started; empty if there was none since the last reset.
    start: Option<Mono>,
    /// `start` is the instant of scheduling itself: no delay was needed.
    immediate: bool,
    /// The votes, once they were asked for.
    ballot: Option<Ballot>,
    rank: u32,
    primary_rank: u32,
    /// Of what `start` follows, if this shard waits for its turn: how many others still wait, and which request for votes
    /// was heard last then.
    queued: Option<(u32, Option<Mono>)>,
    /// Attempts before this one that did not find their majority.
    lost: u32,
    /// When the next attempt begins if this one has no majority by then.
    retry_at: Option<Mono>,
    /// The reason logged last, and when.
    pub(crate) reason: Option<(CantFailover, Mono)>,
}

impl Election {
    /// Forgets the attempt, so that another can be scheduled at once.
    pub(crate) fn reset(&mut self) {
        *self = Election { reason: self.reason, ..Election::default() };
    }

    /// When a running attempt started.
    pub(crate) fn started_at(&self) -> Option<Mono> {
        self.start.filter(|_| self.is_running())
    }

    /// My primary gives leave for an election; tells whether it is this one.
    pub(crate) fn note_leave(&mut self, epoch: Epoch, length: Duration) -> bool {
        self.ballot.as_mut().is_some_and(|ballot| ballot.note_leave(epoch, length))
    }

    /// Whether it lets me take over now.
    pub(crate) fn has_leave(&self, now: Mono) -> bool {
        self.ballot.as_ref().is_some_and(|ballot| ballot.has_leave(now))
    }

    /// Who voted for it.
    pub(crate) fn votes(&self) -> impl Iterator<Item = NodeId> {
        self.ballot.iter().flat_map(|ballot| ballot.votes.iter().copied())
    }

    fn has_vote_of(&self, voter: &NodeId) -> bool {
        self.ballot.as_ref().is_some_and(|ballot| ballot.votes.contains(voter))
    }

    /// Whether votes were asked for.
    pub(crate) fn is_running(&self) -> bool {
        self.ballot.is_some()
    }

    /// When the waiting attempt wants to be sent.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        if self.is_running() { None } else { self.start }
    }

    /// When time alone changes something: the attempt is sent, or gives way to the next one.
    pub(crate) fn wake(&self) -> Option<Mono> {
        if self.is_running() { self.retry_at } else { self.start }
    }

    /// Whether a request of somebody else in this epoch shows that votes for this one may be gone.
    pub(crate) fn yields_to(&self, epoch: Epoch) -> bool {
        self.retry_at.is_some() && self.ballot.as_ref().is_some_and(|ballot| epoch >= ballot.epoch)
    }

    /// Gives the attempt no longer than this.
    pub(crate) fn hurry(&mut self, until: Mono) {
        self.retry_at = self.retry_at.map(|at| at.min(until));
    }

    /// Attempts before this one that did not find their majority.
    pub(crate) fn losses(&self) -> u32 {
        self.lost
    }

    /// An attempt that was not sent yet waits for others, and its time does not run meanwhile.
    pub(crate) fn put_off(&mut self, now: Mono) {
        if !self.is_running() {
            self.start = Some(now);
        }
    }

    /// Whether it waits no longer.
    pub(crate) fn is_due(&self, now: Mono) -> bool {
        self.wake().is_some_and(|at| at <= now)
    }
}

impl Cluster {
    /// Decides everything about failing over that can be decided now.
    pub(crate) fn run_failover(&mut self, turn: &Turn<'_>) {
        self.run_manual(turn);
        let Some(primary) = self.may_fail_over(turn) else { return };
        let manual = self.manual.is_ready();
        let asked = manual || self.surpasses_primary(turn);
        if !self.data_allows(turn, asked) {
            return;
        }
        let age = self.election.start.map(|at| turn.now.since(at));
        let over = |limit| age.is_some_and(|age| age > limit);
        if self.is_lost(turn.now) && !manual {
            self.note_reason(turn, CantFailover::Expired);
            self.schedule(turn, primary, manual);
        } else if self.election.start.is_none() || over(self.settings.election_retry()) {
            self.schedule(turn, primary, manual);
        }
        let Some(start) = self.election.start else { return };
        if !self.election.is_running() && !manual && !self.election.immediate {
            self.review_schedule(turn, primary);
        }
        if turn.now < self.election.start.unwrap_or(start) {
            self.note_reason(turn, CantFailover::WaitingDelay);
            return;
        }
        if turn.now.since(self.election.start.unwrap_or(start)) > self.settings.election_timeout() {
            self.note_reason(turn, CantFailover::Expired);
            return;
        }
        self.vote_for_myself(turn);
        if turn.now < self.listen_until {
            // Its votes may be as old as its reasons: somebody else may have won since, or the primary be back.
            self.note_reason(turn, CantFailover::WaitingDelay);
        } else if !manual && !self.acknowledged_writes_allow(turn) {
            // The reason is in the log.
        } else if !self.election.is_running() && !manual && self.may_miss_voters(turn, primary) {
            self.note_reason(turn, CantFailover::WaitingDelay);
        } else if !self.election.is_running() {
            self.stand_when_free(turn, primary, manual);
        } else if self.is_elected(turn) && (manual || self.votes_count(turn.now)) && self.leave_allows(turn.now) {
            self.win(turn);
        } else {
            self.note_reason(turn, CantFailover::WaitingVotes);
        }
    }

    /// Whether the attempt had its time: a vote was lost on the way, or split between two candidates. Upstream waits four
    /// node timeouts then; voters don't ask for that, so the next attempt comes after a wait that only has to be longer
    /// than an election takes, and grows in case it was not (cluster-bus 15.2, TL).
    fn is_lost(&self, now: Mono) -> bool {
        let short = !self.has_majority() || !self.votes_count(now);
        self.election.is_running() && short && self.election.retry_at.is_some_and(|at| at <= now)
    }

    fn has_majority(&self) -> bool {
        self.is_majority(|id| self.election.has_vote_of(id))
    }

    fn is_elected(&mut self, turn: &Turn<'_>) -> bool {
        self.has_majority() || self.operator_decides(turn)
    }

    /// A candidate that votes does so for itself, once.
    fn vote_for_myself(&mut self, turn: &Turn<'_>) {
        let Some(epoch) = self.election.ballot.as_ref().map(|ballot| ballot.epoch) else { return };
        if self.take_own_vote(turn, epoch) {
            self.count_vote(self.me, epoch);
        }
    }

    /// Whether votes are so young that whoever cast them still abides by them, whatever has happened since.
    fn votes_count(&self, now: Mono) -> bool {
        !self.settings.lease
            || self.election.ballot.as_ref().is_some_and(|ballot| now.since(ballot.asked_at) < VOTES_COUNT_FOR)
    }

    /// How long an attempt waits for its majority. Two candidates that ran into each other don't do so twice.
    fn retry_wait(&mut self) -> Duration {
        let wait = RETRY_FIRST * 2u32.pow(self.election.lost.min(RETRY_DOUBLINGS_MAX));
        let jitter = Duration::from_millis(self.rng.below(u64::try_from(wait.as_millis()).unwrap_or(0) / 2));
        (wait + jitter).min(self.settings.election_retry())
    }

    /// The primary to replace, if there is a reason to replace it.
    fn may_fail_over(&mut self, turn: &Turn<'_>) -> Option<NodeId> {
        let primary = self.my_primary()?;
        let (id, failed) = (primary.id, primary.failed());
        let manual = self.manual.is_ready();
        // A primary that has less than this node asks for it, as one does that hands over.
        let asked = manual || self.surpasses_primary(turn);
        let wanted = (asked || (failed && !self.settings.replica_no_failover)) && self.slots.owns_any(&id);
        if !wanted || !self.persist_ok {
            if !failed && !asked && self.election.deadline().is_some() {
                self.election.reset();
            }
            self.election.reason = None;
            return None;
        }
        Some(id)
    }

    /// Data that is incomplete never stands (S5), whoever asks for it; nor does, by itself, data older than the validity
    /// factor allows.
    fn data_allows(&mut self, turn: &Turn<'_>, asked: bool) -> bool {
        if !turn.facts.dataset_complete {
            self.note_reason(turn, CantFailover::DataIncomplete);
            return false;
        }
        if asked {
            return true;
        }
        let Some(window) = self.settings.validity_window() else { return true };
        let since = if turn.facts.link_up { turn.facts.last_interaction } else { turn.facts.link_down_since };
        let age = since.map_or(Duration::MAX, |at| Duration::from_secs(turn.now.since(at).as_secs()));
        let age = if age > self.settings.node_timeout() { age - self.settings.node_timeout() } else { age };
        if age > window + Duration::from_secs(self.settings.repl_ping_period_secs) {
            self.note_reason(turn, CantFailover::DataAge);
            return false;
        }
        true
    }

    /// Sets the instant at which this attempt starts: at once for the best replica, in turn where other shards failed, too,
    /// later the worse its rank is.
    fn schedule(&mut self, turn: &Turn<'_>, primary: NodeId, manual: bool) {
        let offset = self.own_offset(turn);
        let (rank, before) =
            if manual { (0, Before::default()) } else { (self.rank(turn, primary), self.shards_before(turn)) };
        let first = !manual && self.is_first_sibling(turn, primary, rank);
        let best = first && before.rank == 0;
        let sole = || !self.replicas_of(primary).any(|n| !n.is_myself());
        let immediate = manual || best || (self.surpasses_primary(turn) && sole());
        let lost = self.election.lost + u32::from(self.election.is_running());
        if self.election.is_running() {
            self.note(Note::Lost);
        }
        self.election.reset();
        self.election.lost = lost;
        self.election.immediate = immediate;
        self.election.rank = rank;
        self.election.primary_rank = before.rank;
        if immediate {
            self.election.start = Some(turn.now);
        } else if first && self.settings.prompt_elections {
            self.queue(turn, before.waiting);
        } else {
            self.election.start = Some(turn.now + self.delay(rank, before.rank, offset));
        }
        let start = self.election.start.unwrap_or(turn.now);
        self.note(Note::Scheduled { at: start });
        if best {
            let text = "This is the best ranked replica and can initiate the election immediately.";
            self.log(LogLevel::Notice, text.to_owned());
        }
        let text = format!(
            "Start of election delayed for {} milliseconds (rank #{rank}, primary rank #{}, offset {offset}).",
            start.ms_since(turn.now),
            before.rank
        );
        self.log(LogLevel::Notice, text);
        self.pong_to_siblings(turn);
    }

    fn delay(&mut self, rank: u32, primary_rank: u32, offset: Offset) -> Duration {
        let delay = self.settings.election_delay();
        let jitter = Duration::from_micros(self.rng.below(u64::try_from(delay.as_micros()).unwrap_or(0)));
        let no_data = if offset == Offset(0) { NO_DATA_DELAY } else { Duration::ZERO };
        delay + jitter + delay * 2 * rank + delay * primary_rank + no_data
    }

    /// Starts when it is this shard's turn.
    fn queue(&mut self, turn: &Turn<'_>, waiting: u32) {
        let lost = self.election.lost;
        self.election.start = Some(self.turn_at(turn, waiting, lost));
        self.election.queued = Some((waiting, self.request_heard));
    }

    /// Before an attempt is sent its rank is looked at again with what the siblings have said since.
    fn review_schedule(&mut self, turn: &Turn<'_>, primary: NodeId) {
        let Some(start) = self.election.start else { return };
        let delay = self.settings.election_delay();
        let (rank, before) = (self.rank(turn, primary), self.shards_before(turn));
        let first = self.is_first_sibling(turn, primary, rank);
        let queued = first && self.settings.prompt_elections;
        if rank != self.election.rank {
            self.shift_start(start, delay * 2, self.election.rank, rank);
            self.election.rank = rank;
            let added = self.election.start.map_or(0, |at| at.ms_since(start));
            self.log(
                LogLevel::Notice,
                format!("Replica rank updated to #{rank}, added {added} milliseconds of delay."),
            );
        }
        let unshifted = self.election.start.unwrap_or(start);
        if queued && self.election.queued != Some((before.waiting, self.request_heard)) {
            self.queue(turn, before.waiting);
        }
        if before.rank != self.election.primary_rank {
            if !queued {
                self.shift_start(unshifted, delay, self.election.primary_rank, before.rank);
            }
            self.election.primary_rank = before.rank;
            let added = self.election.start.map_or(0, |at| at.ms_since(unshifted));
            let text = format!("Failed primary rank updated to #{}, added {added} milliseconds of delay.", before.rank);
            self.log(LogLevel::Notice, text);
        }
        if first && before.rank == 0 {
            self.election.start = Some(turn.now);
            self.election.immediate = true;
            let text = "Myself become the best ranked replica, initiate the election immediately.";
            self.log(LogLevel::Notice, text.to_owned());
        }
    }

    fn shift_start(&mut self, start: Mono, step: Duration, old: u32, new: u32) {
        self.election.start = Some(if new > old { start + step * (new - old) } else { start - step * (old - new) });
    }

    /// How many siblings are better: more data, or as much and a smaller id. Failed and unwilling siblings can't stand
    /// and don't count (S4).
    fn rank(&self, turn: &Turn<'_>, primary: NodeId) -> u32 {
        let mine = (std::cmp::Reverse(self.own_offset(turn)), self.me);
        let better = |n: &&Node| {
            !n.is_myself()
                && !n.flags.intersects(NodeFlags::NOFAILOVER | NodeFlags::FAIL | NodeFlags::PFAIL)
                && (std::cmp::Reverse(n.offset), n.id) < mine
        };
        u32::try_from(self.replicas_of(primary).filter(better).count()).unwrap_or(u32::MAX)
    }

    /// Whether nobody can object: I am first among my siblings, and no other shard comes first.
    fn is_best_ranked(&self, turn: &Turn<'_>, primary: NodeId) -> bool {
        self.is_first_sibling(turn, primary, self.rank(turn, primary)) && self.shards_before(turn).rank == 0
    }

    /// Whether no sibling can object: I am first in their order and all that live know that the primary failed. Some
    /// releases never take the mark of an earlier failure back (S3), so it counts only if it is repeated after I knew of
    /// this failure, or appeared shortly before.
    fn is_first_sibling(&self, turn: &Turn<'_>, primary: NodeId, rank: u32) -> bool {
        let Some(failed_at) = self.nodes.get(&primary).and_then(|n| n.fail_time) else { return false };
        let timely = |said: Mono, n: &Node| {
            n.data_received.is_some_and(|at| at >= failed_at) || failed_at.since(said) <= self.settings.node_timeout()
        };
        let knows = |n: &Node| {
            n.is_myself()
                || n.flags.intersects(NodeFlags::FAIL | NodeFlags::PFAIL | NodeFlags::NOFAILOVER)
                || n.primary_fail_said.is_some_and(|said| timely(said, n))
        };
        rank == 0 && self.own_offset(turn) != Offset(0) && self.replicas_of(primary).all(knows)
    }

    /// A candidate that votes itself is bound by what it promised to its primary.
    fn stand_when_free(&mut self, turn: &Turn<'_>, primary: NodeId, manual: bool) {
        match self.bound_until(turn, self.me, manual) {
            Some(until) if !manual && self.is_voting(&self.me) => {
                self.election.start = Some(until);
                self.note_reason(turn, CantFailover::WaitingDelay);
            }
            _ => self.stand(turn, primary, manual),
        }
    }

    /// Whether I have just joined, and primaries that I was told of have not said yet which slots they have: counted without
    /// them, a majority may be none (S9).
    fn may_miss_voters(&self, turn: &Turn<'_>, primary: NodeId) -> bool {
        let joined = self.nodes.get(&primary).map_or(turn.now, |n| n.created);
        let young = turn.now.since(joined) < self.settings.handshake_timeout() * 2;
        young && self.nodes.values().any(|n| n.is_primary() && n.healthy() && self.is_rumour(n))
    }

    /// Asks all voters for their vote in a new epoch, which is durable before it is heard of.
    fn stand(&mut self, turn: &Turn<'_>, primary: NodeId, manual: bool) {
        if let Some(ballot) = self.take_canvass(turn) {
            return self.stand_with(primary, ballot);
        }
        self.current_epoch = self.current_epoch.next();
        let epoch = self.current_epoch;
        self.election.ballot = Some(Ballot::new(epoch, turn.now));
        let wait = self.retry_wait();
        self.election.retry_at = (!manual && self.settings.prompt_elections).then(|| turn.now + wait);
        self.note_started(primary, epoch);
        self.todo.save_epochs();
        self.vote_for_myself(turn);
        let mflags = self.request_flags(turn, primary, manual);
        if !manual && self.all_keep_promises() {
            self.spread_failure(turn, primary);
        }
        self.broadcast(turn, mflags, Body::AuthRequest);
    }

    /// Stands with the votes that are there already.
    fn stand_with(&mut self, primary: NodeId, ballot: Ballot) {
        self.note_started(primary, ballot.epoch);
        for voter in &ballot.votes {
            self.note(Note::Vote { voter: *voter });
        }
        self.election.ballot = Some(ballot);
        self.todo.failover = true;
    }

    fn note_started(&mut self, primary: NodeId, epoch: Epoch) {
        let text = format!(
            "Starting a failover election for epoch {epoch}, node config epoch is {}",
            self.effective_epoch(&primary)
        );
        self.log(LogLevel::Notice, text);
        self.note(Note::Started { epoch });
    }

    /// Nobody votes against a primary that it does not know to have failed, and who found it may not have reached all.
    fn spread_failure(&mut self, turn: &Turn<'_>, primary: NodeId) {
        let voters: Vec<NodeId> = self.voting_nodes().filter(|n| n.id != primary).map(|n| n.id).collect();
        for id in voters {
            self.send_to(turn, &id, MsgFlags::empty(), Body::Fail { id: primary });
        }
    }

    fn request_flags(&self, turn: &Turn<'_>, primary: NodeId, manual: bool) -> MsgFlags {
        // A voter that keeps promises could not tell such a request from a handover (S7), and whoever hasn't said anything
        // yet may be one.
        let best = self.is_best_ranked(turn, primary) && self.some_voter_promises_nothing();
        if manual || best || self.surpasses_primary(turn) { MsgFlags::FORCEACK } else { MsgFlags::empty() }
    }

    /// A voter whose link was down when the request left gets it once the link is there (S16).
    pub(crate) fn repeat_vote_request(&mut self, turn: &Turn<'_>, id: &NodeId) {
        let current = self.election.ballot.as_ref().is_some_and(|ballot| ballot.epoch == self.current_epoch);
        let running =
            current && self.election.start.is_some_and(|at| turn.now.since(at) <= self.settings.election_timeout());
        let Some(primary) = self.my_primary().map(|n| n.id) else { return };
        let leaves = *id == primary && !self.leave_allows(turn.now);
        if running && ((self.is_voting(id) && !self.election.has_vote_of(id)) || leaves) {
            let mflags = self.request_flags(turn, primary, self.manual.is_ready());
            self.send_to(turn, id, mflags, Body::AuthRequest);
        }
    }

    /// Counts a vote. A vote is cast in the epoch that it was asked for in: one of a later epoch was meant for somebody who
    /// asked later. One of the same epoch names its candidate, if its voter is of this kind.
    pub(crate) fn on_vote(&mut self, voter: NodeId, header: &baton_wire::Header) {
        if self.on_early_vote(voter, header) {
            return;
        }
        if self.is_voting(&voter) && Capabilities::may_be_for(header.private, &self.me) {
            self.count_vote(voter, header.current_epoch);
        }
    }

    fn count_vote(&mut self, voter: NodeId, epoch: Epoch) {
        let Some(ballot) = self.election.ballot.as_mut().filter(|ballot| ballot.epoch == epoch) else { return };
        if ballot.votes.insert(voter) && voter != self.me {
            self.note(Note::Vote { voter });
        }
        self.todo.failover = true;
    }

    /// Somebody claims with an epoch that my running election can't beat: I give it up and look again.
    pub(crate) fn yield_to_claim(&mut self, claimant: NodeId, epoch: Epoch) {
        let Some(own) = self.election.ballot.as_ref().map(|ballot| ballot.epoch).filter(|own| epoch >= *own) else {
            return;
        };
        let text = format!(
            "Failover election in progress for epoch {own}, but received a claim from node {} with an equal or higher epoch {epoch}. Resetting the election since we cannot win an election in the past.",
            self.named(&claimant)
        );
        self.log(LogLevel::Notice, text);
        self.note(Note::Lost);
        self.election.reset();
        self.todo.failover = true;
    }

    /// My primary's claim is newer than the one I asked for votes with, so whoever knew it refused: I ask anew.
    pub(crate) fn renew_request(&mut self, updated: NodeId) {
        if self.election.is_running() && self.myself().primary == Some(updated) {
            self.election.reset();
            self.todo.failover = true;
        }
    }

    fn win(&mut self, turn: &Turn<'_>) {
        let Some(epoch) = self.election.ballot.as_ref().map(|ballot| ballot.epoch) else { return };
        self.log(LogLevel::Notice, "Failover election won: I'm the new primary.".to_owned());
        if epoch > self.myself().config_epoch {
            self.log(LogLevel::Notice, format!("configEpoch set to {epoch} after successful failover"));
        }
        self.take_over(turn, epoch);
    }

    /// Becomes primary of my shard in this epoch and takes every slot of the old primary. Announced in this very turn,
    /// once the record of it is durable.
    pub(crate) fn take_over(&mut self, turn: &Turn<'_>, epoch: Epoch) {
        let Some(old) = self.my_primary().map(|n| n.id) else { return };
        let text = format!(
            "Setting myself to primary in shard {} after failover; my old primary is {}",
            self.myself().shard,
            self.named(&old)
        );
        self.log(LogLevel::Notice, text);
        let old_offset = self.my_primary().map_or(Offset(0), |n| n.offset);
        // Who takes over without a majority does so on somebody's word.
        let elected = self.election.ballot.as_ref().filter(|_| self.has_majority());
        let votes = elected.map(|ballot| (ballot.asked_at, ballot.votes.iter().copied().collect()));
        self.become_primary();
        let won = self.slots.of_or_empty(&old);
        self.slots.assign_all(&won, self.me);
        let epoch = epoch.max(self.myself().config_epoch);
        self.myself_mut().config_epoch = epoch;
        // The record alone makes it durable; with the file as it is, it tells all that is announced.
        self.victory = Some(Victory::new(epoch, old, &won));
        let (shard, offset) = (self.myself().shard, turn.facts.offset);
        self.note(Note::Won { old, new: self.me, shard, epoch, offset, old_offset });
        self.begin_lease(turn, votes);
        self.todo.save_epochs();
        self.todo.save_soon();
        self.todo.announce = true;
        self.election.reset();
        self.health.trust_election();
        self.update_health(turn);
        self.agree_with_data(turn);
    }

    /// Restarts a running attempt because a manual failover became ready.
    pub(crate) fn reset_for_manual(&mut self) {
        if let Some(ballot) = &self.election.ballot {
            let text = format!(
                "Failover election in progress for epoch {}, but received a new manual failover. Resetting the election.",
                ballot.epoch
            );
            self.log(LogLevel::Notice, text);
        }
        self.election.reset();
    }
}
