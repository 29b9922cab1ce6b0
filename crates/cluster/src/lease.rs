//! The write lease. A primary acknowledges writes only while a majority of the voters answered it a moment ago; a voter
//! that answered votes against it only once that answer is over. Two majorities have a voter in common, so nobody is
//! elected while the old primary still acknowledges, however long either was cut off or stood still (cluster-bus 15.3, S1).
//!
//! The primary counts an answer from when it asked, the voter from when it answered, and a quarter longer, since clocks
//! differ. A vote is an answer, too: the winner acknowledges at once, and nobody else of its shard is voted for as long as
//! that counts. Exempt are handovers, in which the old primary itself stands still first, an operator's FORCE, and proof
//! of death.
//!
//! Voters that follow upstream's rules keep no promise, but suspect nobody before the node timeout is over: their PONG
//! counts for half of it.

use crate::accession::Accession;
use crate::capabilities::Capabilities;
use crate::cluster::{Cluster, Turn};
use crate::effect::{Effect, LogLevel};
use crate::grant::Grant;
use crate::link::LinkId;
use crate::node::Node;
use crate::note::Note;
use baton_base::{Epoch, Mono, NodeId};
use baton_wire::{Header, Kind, Module, NodeFlags};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Marks the packets of this file among the messages of modules.
const MODULE_ID: [u8; 8] = *b"BTNlease";
/// A primary asks: may I go on?
const ASK: u8 = 0;
/// A voter answers.
const ANSWER: u8 = 1;
/// A primary without a lease asks: may I begin?
const ASK_ANEW: u8 = 2;
/// A primary that hands over: you may (see `leave`).
const LEAVE: u8 = 3;
/// A primary that is about to hand over: ask for your votes (see `canvass`).
const CANVASS: u8 = 4;
/// The replica: I have them, or do without.
const CANVASSED: u8 = 5;
/// A primary takes its leave back (see `leave`).
const RECALL: u8 = 6;
/// The replica: it counts no more.
const RECALLED: u8 = 7;
/// How often a primary asks, in a small cluster. A large one asks less often: every millisecond one voter.
const ASK_PERIOD_MIN_MS: u64 = 100;
/// It asks so many times in a node timeout at least: its lease is over before anybody suspects it.
const ASKS_IN_A_TIMEOUT_MIN: u32 = 6;
/// So many times it may ask in vain.
const ASKS_IN_A_LEASE: u32 = 4;
/// No lease is longer, whatever somebody asks for.
const LEASE_MAX: Duration = Duration::from_secs(10);
/// How long a vote against a failed primary stands in the way of answering that primary again. Candidates of this kind
/// count no vote that is as old.
pub(crate) const VOTE_LASTS: Duration = Duration::from_secs(2);
/// Until when a candidate counts its votes; less than [`VOTE_LASTS`] by more than clocks differ.
pub(crate) const VOTES_COUNT_FOR: Duration = Duration::from_millis(1500);

/// Both sides of it.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    /// Primary: the answers of the voters.
    pub(crate) grant: Grant,
    /// What the voters allow, as the data plane was told unless it stands still; nothing means that it need not care.
    told: Option<Mono>,
    /// What the data plane was told last.
    shown: Option<Mono>,
    /// When to ask next.
    ask_due: Mono,
    /// What was asked: what an answer has to repeat, and when it was asked. Older questions than a lease lasts are of no use.
    asked: VecDeque<(u64, Mono)>,
    /// Since when there is none although it is needed.
    lost_at: Option<Mono>,
    /// Losses since the statistics were reset.
    pub(crate) losses: u64,
    /// Voter: until when nobody of this node's shard but itself gets my vote.
    promises: BTreeMap<NodeId, Mono>,
    /// Voter: candidates that I voted for, in which epoch, and until when they may acknowledge because of it alone.
    ballots: BTreeMap<NodeId, (Epoch, Mono)>,
    /// Primary: who elected me and may not know it.
    pub(crate) accession: Accession,
    /// Whom my last vote was against, if that had failed, and when.
    voted_out: Option<(NodeId, Mono)>,
    /// Before this I vote against nobody: whom the voter before me answered I don't know. Nor do I answer who has no
    /// lease: against whom the voter before me voted I don't know, either, and while a lease lasts it was not against that
    /// primary.
    young_until: Mono,
    /// A request for my vote that came too early, and when it is looked at again.
    deferred: Option<(NodeId, Box<Header>, Mono)>,
}

impl Lease {
    /// What the voters allow, as the data plane was told unless it stands still.
    pub(crate) fn told(&self) -> Option<Mono> {
        self.told
    }

    /// CONFIG RESETSTAT.
    pub(crate) fn reset_stats(&mut self) {
        self.losses = 0;
    }
}

/// A voter's promise lasts longer than what it answers to.
fn promised(lease: Duration) -> Duration {
    lease + lease / 4
}

fn message(kind: u8, stamp: u64, length: Duration) -> Vec<u8> {
    let mut payload = stamp.to_be_bytes().to_vec();
    payload.extend_from_slice(&u32::try_from(length.as_millis()).unwrap_or(u32::MAX).to_be_bytes());
    baton_wire::encode_light_module(&Module { module_id: MODULE_ID, kind, payload })
}

/// What the asker knows its question by, and the length of the lease.
fn read(payload: &[u8]) -> Option<(u64, Duration)> {
    let (stamp, rest) = payload.split_first_chunk::<8>()?;
    let length = Duration::from_millis(u32::from_be_bytes(rest.try_into().ok()?).into());
    Some((u64::from_be_bytes(*stamp), length.min(LEASE_MAX)))
}

impl Cluster {
    fn ask_period(&self) -> Duration {
        let usual = Duration::from_millis((self.voter_count() as u64).max(ASK_PERIOD_MIN_MS));
        usual.min(self.settings.node_timeout() / ASKS_IN_A_TIMEOUT_MIN).max(Duration::from_millis(1))
    }

    /// How long an answer counts.
    pub(crate) fn lease_length(&self) -> Duration {
        (self.ask_period() * ASKS_IN_A_LEASE).min(LEASE_MAX)
    }

    /// Whether this node would keep to a lease. Who serves nobody yet asks for nothing.
    pub(crate) fn wants_lease(&self) -> bool {
        self.settings.lease && !self.homecoming.withholds()
    }

    /// Whether somebody could be elected against me. Where my own vote is always needed, nobody can, once those who voted
    /// before me know it.
    pub(crate) fn needs_lease(&self) -> bool {
        let open = self.majority_without_me() || self.lease.accession.is_open();
        self.wants_lease() && self.serves(&self.me) && open
    }

    /// Whether this voter keeps promises.
    fn keeps_promises(&self, id: &NodeId) -> bool {
        *id == self.me || self.nodes.get(id).is_some_and(|n| n.capabilities.has(Capabilities::LEASE))
    }

    /// Whether all voters keep promises: then these alone decide what is safe, and waiting for long adds nothing.
    pub(crate) fn all_keep_promises(&self) -> bool {
        self.settings.lease && self.voting_nodes().all(|n| self.keeps_promises(&n.id))
    }

    /// Whether a voter has said that it goes by upstream's rules alone.
    pub(crate) fn some_voter_promises_nothing(&self) -> bool {
        let heard = |n: &&Node| n.electorate.is_some() && !n.is_myself();
        !self.settings.lease || self.voting_nodes().filter(heard).any(|n| !self.keeps_promises(&n.id))
    }

    /// How long I have been without a lease that I need.
    pub(crate) fn lease_lost_for(&self, now: Mono) -> Duration {
        self.lease.lost_at.map_or(Duration::ZERO, |at| now.since(at))
    }

    /// Whether a majority takes me for the primary at this moment.
    pub(crate) fn holds_lease(&self, now: Mono) -> bool {
        self.lease.told.is_some_and(|until| until > now)
    }

    /// The word of CLUSTER INFO.
    pub(crate) fn lease_word(&self) -> &'static str {
        match (self.lease.told, self.lease.lost_at) {
            (None, _) => "none",
            (Some(_), None) => "held",
            (Some(_), Some(_)) => "lost",
        }
    }

    /// When time alone changes something here.
    pub(crate) fn lease_wake(&self) -> Mono {
        let again = self.lease.deferred.as_ref().map_or(Mono::NEVER, |(_, _, at)| *at);
        let Some(until) = self.lease.told else { return again };
        let end = if self.lease.lost_at.is_none() { until } else { Mono::NEVER };
        again.min(self.lease.ask_due).min(end)
    }

    /// Asks, and looks at what is over.
    pub(crate) fn run_lease(&mut self, turn: &Turn<'_>) {
        if self.lease.deferred.as_ref().is_some_and(|(_, _, at)| *at <= turn.now)
            && let Some((candidate, header, _)) = self.lease.deferred.take()
            && self.nodes.contains_key(&candidate)
        {
            self.on_vote_request(turn, candidate, &header);
        }
        if !self.needs_lease() {
            return;
        }
        if turn.now >= self.lease.ask_due {
            self.lease.ask_due = turn.now + self.ask_period();
            self.lease.promises.retain(|_, until| *until > turn.now);
            self.ask_voters(turn);
        }
    }

    fn ask_voters(&mut self, turn: &Turn<'_>) {
        let length = self.lease_length();
        // Chance that nobody can know before: an answer to a question of another process, or one that was made up, is none.
        let stamp = self.rng.next_u64();
        self.lease.asked.push_back((stamp, turn.now));
        if self.lease.asked.len() > ASKS_IN_A_LEASE as usize + 1 {
            self.lease.asked.pop_front();
        }
        let kind = if self.holds_lease(turn.now) { ASK } else { ASK_ANEW };
        let voters: Vec<NodeId> = self.voting_nodes().filter(|n| !n.is_myself()).map(|n| n.id).collect();
        for id in voters {
            if self.keeps_promises(&id) {
                self.say(&id, kind, stamp, length);
            }
        }
    }

    /// Says a word of this file to a node; tells whether there is a link to say it on.
    fn say(&mut self, to: &NodeId, kind: u8, stamp: u64, length: Duration) -> bool {
        let Some(link) = self.light_link(to) else { return false };
        self.send_bytes(link, Kind::Module, message(kind, stamp, length));
        true
    }

    /// Says that I stand still for this candidate, for so long yet.
    pub(crate) fn send_leave(&mut self, turn: &Turn<'_>, to: &NodeId, epoch: Epoch, length: Duration) -> bool {
        !self.plays_dead(turn.now) && self.say(to, LEAVE, epoch.0, length)
    }

    /// Takes back what was given. The answer has the same stamp.
    pub(crate) fn send_recall(&mut self, to: &NodeId, stamp: u64) -> bool {
        self.say(to, RECALL, stamp, Duration::ZERO)
    }

    /// Says that what was given counts no more.
    pub(crate) fn send_recalled(&mut self, to: &NodeId, stamp: u64) -> bool {
        self.say(to, RECALLED, stamp, Duration::ZERO)
    }

    /// Asks a replica to get its votes beforehand.
    pub(crate) fn send_canvass(&mut self, to: &NodeId) -> bool {
        self.say(to, CANVASS, 0, Duration::ZERO)
    }

    /// Says that the primary has nothing to wait for. On a link that just broke it waits for a moment instead.
    pub(crate) fn send_canvassed(&mut self, to: &NodeId) -> bool {
        self.say(to, CANVASSED, 0, Duration::ZERO)
    }

    /// My link to a node, if it takes light packets of modules on it (cluster-bus 1.5).
    fn light_link(&self, id: &NodeId) -> Option<LinkId> {
        self.open_outbound(id).filter(|link| self.takes_light(id, *link, NodeFlags::LIGHT_HDR_MODULE))
    }

    /// A light message of a module: anything that is not of this file is not for this node.
    pub(crate) fn on_module(&mut self, turn: &Turn<'_>, link: LinkId, from: NodeId, module: &Module) {
        if module.module_id != MODULE_ID || !self.settings.lease || self.plays_dead(turn.now) {
            return;
        }
        match (module.kind, read(&module.payload)) {
            (ASK, Some((stamp, length))) => self.on_ask(turn, link, from, stamp, length),
            (ASK_ANEW, Some((stamp, length))) if turn.now >= self.lease.young_until => {
                self.on_ask(turn, link, from, stamp, length);
            }
            // An answer comes on the connection that the question went out on, which the voter itself accepted.
            (ANSWER, Some((stamp, length))) if !link.is_inbound() => self.on_answer(from, stamp, length),
            (LEAVE, Some((epoch, length))) => self.on_leave(from, Epoch(epoch), length),
            (CANVASS, Some(_)) => self.on_canvass(turn, from),
            (CANVASSED, Some(_)) => self.on_canvassed(from),
            (RECALL, Some((stamp, _))) => self.on_recall(from, stamp),
            (RECALLED, Some((stamp, _))) => self.on_recalled(from, stamp),
            _ => {}
        }
    }

    /// Promises not to vote against a primary for a while, unless I know better than it does.
    fn on_ask(&mut self, turn: &Turn<'_>, link: LinkId, from: NodeId, stamp: u64, length: Duration) {
        if !self.is_voting(&self.me) || self.may_be_replaced(turn.now) || !self.nodes[&from].healthy() {
            return;
        }
        if !self.serves(&from) {
            // Its claim, if it has one, is in its answer; and mine, if it has been replaced, in this.
            if self.nodes[&from].ping_sent.is_none() {
                self.ping(turn, &from);
            }
            return;
        }
        let out = self.lease.voted_out.filter(|(id, at)| *id == from && turn.now.since(*at) < VOTE_LASTS);
        if out.is_some() && self.nodes[&from].config_epoch < self.last_vote_epoch {
            return;
        }
        self.promise(turn, from, length);
        self.send_bytes(link, Kind::Module, message(ANSWER, stamp, length));
    }

    fn promise(&mut self, turn: &Turn<'_>, to: NodeId, length: Duration) {
        let until = turn.now + promised(length);
        let promise = self.lease.promises.entry(to).or_default();
        *promise = (*promise).max(until);
    }

    /// A voter's answer counts from when I asked.
    fn on_answer(&mut self, from: NodeId, stamp: u64, length: Duration) {
        let asked = self.lease.asked.iter().find(|(told, _)| *told == stamp).map(|(_, at)| *at);
        if let Some(asked) = asked
            && self.needs_lease()
        {
            self.lease.grant.add(from, asked + length.min(self.lease_length()));
            self.lease.accession.note_answer(&from, asked);
        }
    }

    /// A PONG of a voter without promises to what I sent then.
    pub(crate) fn count_pong(&mut self, id: NodeId, sent: Option<Mono>) {
        if let Some(sent) = sent
            && self.needs_lease()
            && self.is_voting(&id)
            && !self.keeps_promises(&id)
        {
            self.lease.grant.add(id, sent + self.settings.node_timeout() / 2);
            self.lease.accession.note_answer(&id, sent);
        }
    }

    /// A voter tells that it holds me for failing: whatever it answered before, it may act on that.
    pub(crate) fn doubt_answer(&mut self, from: &NodeId) {
        self.lease.grant.remove(from);
    }

    /// Whether I need the PONGs of voters that keep no promises.
    pub(crate) fn pings_for_lease(&self) -> bool {
        self.needs_lease() && !self.all_keep_promises()
    }

    /// How often I ping this node at least: voters without promises answer nothing else.
    pub(crate) fn ping_interval(&self, id: &NodeId) -> Duration {
        let usual = self.settings.ping_interval();
        let counts = !self.keeps_promises(id) && self.is_voting(id) && self.needs_lease();
        if counts { usual.min(self.settings.node_timeout() / 4) } else { usual }
    }

    /// Until when what I promised keeps me from voting for this candidate; nothing if I may vote now.
    pub(crate) fn bound_until(&self, turn: &Turn<'_>, candidate: NodeId, forced: bool) -> Option<Mono> {
        let primary = self.nodes[&candidate].primary.and_then(|id| self.nodes.get(&id))?;
        if !self.settings.lease {
            return None;
        }
        if forced && !primary.failed() {
            return self.bound_by_ballots(turn, candidate, primary);
        }
        let rival = |id: &NodeId| *id == primary.id || (*id != candidate && self.same_shard(id, &candidate));
        let alive = |id: &NodeId| self.nodes.get(id).is_some_and(|n| !n.proven_dead);
        let promises = self.lease.promises.iter().filter(|(id, _)| rival(id) && alive(id)).map(|(_, until)| *until);
        let young = if primary.proven_dead { Mono::ZERO } else { self.lease.young_until };
        promises.chain([young]).max().filter(|until| *until > turn.now)
    }

    /// A primary that hands over stands still, so what was promised to it doesn't count. Another candidate may have won with
    /// my vote and acknowledge, unless what is known of the shard is newer than that vote (see `accession`), or it needed my
    /// leave besides and did not get it.
    fn bound_by_ballots(&self, turn: &Turn<'_>, candidate: NodeId, primary: &Node) -> Option<Mono> {
        if self.majority_without(&primary.id) {
            // A winner needs a lease of the other voters then, and goes on only with that.
            return None;
        }
        let alive = |id: &NodeId| self.nodes.get(id).is_some_and(|n| !n.proven_dead);
        let rival = |id: &NodeId| *id != primary.id && *id != candidate && self.same_shard(id, &candidate) && alive(id);
        let counts = |epoch: &Epoch| *epoch > primary.config_epoch;
        let let_go = |id: &NodeId| primary.id != self.me || self.has_given_leave(id);
        let ballots = self.lease.ballots.iter().filter(|(id, (epoch, _))| rival(id) && counts(epoch) && let_go(id));
        ballots.map(|(_, (_, until))| *until).max().filter(|until| *until > turn.now)
    }

    /// Looks at a request again when my promise is over. Of several the newest election counts.
    pub(crate) fn defer_vote(&mut self, candidate: NodeId, header: &Header, until: Mono) {
        let newer = |old: &(NodeId, Box<Header>, Mono)| header.current_epoch > old.1.current_epoch;
        if self.lease.deferred.as_ref().is_none_or(newer) {
            let text = format!(
                "Failover auth for {} waits until what was promised to its primary is over.",
                self.named(&candidate)
            );
            self.log(LogLevel::Verbose, text);
            self.lease.deferred = Some((candidate, Box::new(header.clone()), until));
        }
    }

    /// My vote is a promise to its candidate.
    pub(crate) fn promise_by_vote(&mut self, turn: &Turn<'_>, candidate: NodeId) {
        let length = self.lease_length();
        self.promise(turn, candidate, length);
        self.lease.ballots.retain(|_, (_, until)| *until > turn.now);
        self.lease.ballots.insert(candidate, (self.current_epoch, turn.now + promised(length)));
        if candidate != self.me && self.election.is_running() && !self.is_in_manual_failover() {
            // Both of us could win, each with my vote.
            self.election.reset();
            self.note(Note::Lost);
        }
        let primary = self.nodes[&candidate].primary.filter(|id| self.nodes.get(id).is_some_and(Node::failed));
        self.lease.voted_out = primary.map(|id| (id, turn.now));
    }

    /// I became primary: the votes of an election that was asked for then are my first lease, and as a voter I know of no
    /// promise of the one before me.
    pub(crate) fn begin_lease(&mut self, turn: &Turn<'_>, votes: Option<(Mono, Vec<NodeId>)>) {
        let length = self.lease_length();
        self.lease.grant.clear();
        self.lease.asked.clear();
        let voters = votes.as_ref().map(|(_, voters)| voters.iter().copied().collect()).unwrap_or_default();
        self.begin_accession(turn.now, voters);
        for (asked, voter) in votes.into_iter().flat_map(|(asked, voters)| voters.into_iter().map(move |v| (asked, v)))
        {
            self.lease.grant.add(voter, asked + length);
        }
        self.lease.ask_due = turn.now;
        if self.voters.are_upstream() {
            self.know_no_promises(turn.now);
        }
    }

    /// I am a voter from now on, or again, and don't know what was promised before.
    pub(crate) fn know_no_promises(&mut self, now: Mono) {
        self.lease.young_until = now + promised(self.lease_length());
    }

    /// Tells the data plane until when it may acknowledge. `shorter` is said before the role that depends on it is shown,
    /// anything else after it.
    pub(crate) fn settle_lease(&mut self, turn: &Turn<'_>, shorter: bool) {
        self.review_accession();
        let next = self.granted_until();
        let end = |until: Option<Mono>| until.unwrap_or(Mono::NEVER);
        let shown = if self.stands_still() { Some(Mono::ZERO) } else { next };
        if shorter && end(shown) >= end(self.lease.shown) {
            return;
        }
        if self.lease.told.is_none() {
            // The first question follows what this turn still announces.
            self.lease.ask_due = self.lease.ask_due.max(turn.now + Duration::from_micros(1));
        }
        self.lease.told = next;
        if shown != self.lease.shown {
            self.lease.shown = shown;
            self.emit(Effect::Lease { until: end(shown) });
        }
        match (next, self.lease.lost_at) {
            (Some(until), None) if until <= turn.now => self.note_lease_lost(turn.now, until),
            (Some(until), Some(at)) if until > turn.now => {
                self.lease.lost_at = None;
                self.todo.health = true;
                let text = format!("Write lease regained after {} ms, held writes go on.", turn.now.ms_since(at));
                self.log(LogLevel::Notice, text);
            }
            (None, Some(_)) => self.lease.lost_at = None,
            _ => {}
        }
    }

    fn note_lease_lost(&mut self, now: Mono, until: Mono) {
        // A lease that was never there was not lost, but there is none.
        self.lease.lost_at = Some(if until == Mono::ZERO { now } else { until });
        if until == Mono::ZERO {
            return;
        }
        self.lease.losses += 1;
        let text = format!(
            "Write lease lost: no majority of the voters has answered for {} ms. Writes are held until one does.",
            self.lease_length().as_millis()
        );
        self.log(LogLevel::Warning, text);
    }
}
