//! When this node votes for a replica (cluster-bus 7.5): the checks in their order, and the vote made durable before it
//! is cast.

use crate::capabilities::Capabilities;
use crate::cluster::{Cluster, Turn};
use crate::effect::LogLevel;
use crate::lease::VOTE_LASTS;
use crate::node::Node;
use crate::state::WRITABLE_DELAY;
use baton_base::{Epoch, Mono, NodeId, ShardId};
use baton_wire::{Header, MsgFlags};
use std::time::Duration;

/// For so long primaries that ask to be replaced keep to one order among themselves.
const PRECEDENCE_LASTS: Duration = Duration::from_secs(20);

/// Why a vote is refused.
enum Denial {
    /// I have no vote: nothing is said.
    NoVoter,
    /// The text after the common prefix.
    Because(String),
    /// The request's view of this owner's slots is out of date; the requester is told.
    StaleClaim { owner: NodeId, text: String },
}

impl Cluster {
    /// Answers a request for a vote.
    pub(crate) fn on_vote_request(&mut self, turn: &Turn<'_>, candidate: NodeId, header: &Header) {
        self.note_request(turn, candidate, header);
        self.answer_with_leave(turn, &candidate, header);
        let denial = match self.judge_request(turn, candidate, header) {
            Ok(()) => {
                let forced = header.mflags.contains(MsgFlags::FORCEACK);
                return match self.bound_until(turn, candidate, forced) {
                    None => self.grant(turn, candidate),
                    Some(until) => self.defer_vote(candidate, header, until),
                };
            }
            Err(denial) => denial,
        };
        let (text, stale) = match denial {
            Denial::NoVoter => return,
            Denial::Because(text) => (text, None),
            Denial::StaleClaim { owner, text } => (text, Some(owner)),
        };
        self.log(LogLevel::Warning, format!("Failover auth denied to {}{text}", self.named(&candidate)));
        if let Some(owner) = stale {
            self.send_update(turn, &candidate, owner);
        }
    }

    /// Whether I asked to be replaced, and may have been without my knowing: whether I still am a voter for others is not
    /// mine to tell then. That is so while a vote for my own successor counts, and after the start for as long as others
    /// need to tell what happened before. Not for longer, or primaries that were all started with less than their replicas
    /// have would wait for each other for ever. Handovers of several shards at once need each other's votes.
    pub(crate) fn may_be_replaced(&self, now: Mono) -> bool {
        let mine = |id: &NodeId| self.nodes.get(id).is_some_and(|n| n.primary == Some(self.me));
        let voted = self.voted_for.is_some_and(|(id, at)| now.since(at) < VOTE_LASTS && mine(&id));
        self.homecoming.is_behind() && (voted || now.since(self.myself().created) < WRITABLE_DELAY)
    }

    /// Whether another primary that asks to be replaced comes first. If each of several voted for its own successor before
    /// all else, none would be free to vote for another's. The first may have nobody who can do it, so the order turns now
    /// and then. A mark of failure says nothing here: candidates renew those of all that ask to be replaced.
    fn gives_precedence(&self, now: Mono) -> bool {
        let shard = self.myself().shard;
        let turns = now.since(self.myself().created).as_secs() / PRECEDENCE_LASTS.as_secs();
        let before = |other: ShardId| if turns.is_multiple_of(2) { other < shard } else { other > shard };
        let lately = self.settings.node_timeout().max(VOTE_LASTS);
        let speaks = |n: &Node| n.data_received.is_some_and(|at| now.since(at) <= lately);
        let first = |n: &Node| speaks(n) && n.capabilities.has(Capabilities::BEHIND) && before(n.shard);
        self.homecoming.is_behind() && self.voting_nodes().any(first)
    }

    fn judge_request(&self, turn: &Turn<'_>, candidate: NodeId, header: &Header) -> Result<(), Denial> {
        let because = |text: String| Err(Denial::Because(text));
        if !self.is_voting(&self.me) {
            return Err(Denial::NoVoter);
        }
        if !self.voters.know(Capabilities::electorate(header.private)) {
            return because(": it counts other voters than this node".to_owned());
        }
        if !self.health.safe_to_join || !self.persist_ok {
            return because(": it is not safe to vote in this moment)".to_owned());
        }
        let (asked, mine) = (header.current_epoch, self.current_epoch);
        if asked < mine {
            return because(format!(": reqEpoch ({asked}) < curEpoch({mine})"));
        }
        if self.last_vote_epoch >= mine {
            return because(format!(": already voted for epoch {mine}"));
        }
        let node = &self.nodes[&candidate];
        let own = node.primary == Some(self.me);
        let unsafe_now = if own { self.gives_precedence(turn.now) } else { self.may_be_replaced(turn.now) };
        if unsafe_now {
            return because(": it is not safe to vote in this moment)".to_owned());
        }
        let for_epoch = |why: &str| because(format!(" for epoch {asked}: {why}"));
        if node.is_primary() {
            return for_epoch("it is a primary node");
        }
        let Some(primary) = node.primary.and_then(|id| self.nodes.get(&id)) else {
            return for_epoch("I don't know its primary");
        };
        if self.refused.contains(&candidate) {
            return for_epoch("its promotion was withdrawn");
        }
        if !Node::failed(primary) && !header.mflags.contains(MsgFlags::FORCEACK) {
            return for_epoch("its primary is up");
        }
        let claimed = header.slots.without(&self.slots.unclaimed);
        let newer = |id: &NodeId| self.nodes[id].config_epoch > header.config_epoch;
        let Some((slot, owner)) = self.slots.first_owned(&claimed, newer) else { return Ok(()) };
        let (known, said) = (self.nodes[&owner].config_epoch, header.config_epoch);
        let text = format!(": slot {slot} epoch ({known}) > reqConfigEpoch ({said})");
        Err(Denial::StaleClaim { owner, text })
    }

    /// A vote may have left on a link whose other end had gone, as after a restart of the candidate. It is said again on
    /// the next one (S16), as long as it can count; and not before the peer there has shown that it is the candidate, since
    /// a vote names nobody, and another node may have its address by now.
    pub(crate) fn repeat_vote(&mut self, turn: &Turn<'_>, candidate: &NodeId) {
        let Some((voted_for, at)) = self.voted_for else { return };
        let counts = turn.now.since(at) <= self.settings.election_timeout();
        let newest = self.last_vote_epoch == self.current_epoch;
        if voted_for == *candidate && counts && newest && !self.refused.contains(candidate) {
            self.send_vote(turn, candidate);
        }
    }

    /// The vote of a candidate for itself in its own epoch, if it has one left to give; tells whether it was given.
    pub(crate) fn take_own_vote(&mut self, turn: &Turn<'_>, epoch: Epoch) -> bool {
        let free = self.last_vote_epoch < epoch && epoch == self.current_epoch;
        if !free || !self.is_voting(&self.me) || !self.health.safe_to_join || !self.persist_ok {
            return false;
        }
        self.last_vote_epoch = epoch;
        self.voted_for = Some((self.me, turn.now));
        self.promise_by_vote(turn, self.me);
        self.todo.save_epochs();
        true
    }

    fn grant(&mut self, turn: &Turn<'_>, candidate: NodeId) {
        self.last_vote_epoch = self.current_epoch;
        self.voted_for = Some((candidate, turn.now));
        self.promise_by_vote(turn, candidate);
        self.todo.save_epochs();
        self.send_vote(turn, &candidate);
        self.note_granted(candidate, self.current_epoch);
        let text = format!("Failover auth granted to {} for epoch {}", self.named(&candidate), self.current_epoch);
        self.log(LogLevel::Notice, text);
    }
}
