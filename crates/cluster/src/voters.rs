//! Who decides: whose reports make a failure, whose votes make a primary, whose answers keep one. Everything that counts
//! heads asks here, so that all of it counts the same heads. It never judges a candidate; that is `vote`.
//!
//! Without witnesses the rule is upstream's: primaries with slots vote (cluster-bus 7). One or two of them can't replace
//! one that dies, because it is itself needed for the majority (15.4). As soon as one node is a witness, every member
//! votes: primaries, replicas and witnesses, one vote each, in whatever role it is. So of a primary, its replica and a
//! witness any two decide; of two such shards and a witness any three of the five. A failover changes roles and not the
//! members, so it changes nothing about who decides.
//!
//! # Why no two primaries of one shard can be elected in one epoch
//!
//! 1. A voter votes once in an epoch, and its vote is durable before it is heard of (`vote`, `record`).
//! 2. A candidate needs a majority of *each* electorate in its list, and two majorities of one electorate have a voter in
//!    common. So two candidates of one epoch could both win only if their lists had no electorate in common.
//! 3. A node that sees another set of members appends it to its list, durably, before it says so in a header; until then
//!    it goes by what it had. It drops the older ones only once every member of the newest has said that it has the newest
//!    in its list, too ([`Cluster::review_voters`]).
//! 4. So whoever dropped an electorate shares the newest with all its members, and they with each other; where nobody
//!    dropped any, all share the one that they began with, which is upstream's rule.
//! 5. A newcomer knows some members only, and its list may be one that nobody has. Voters refuse a candidate that goes
//!    by an electorate which isn't in their own list, so that nobody wins by a majority that the others don't know.
//!
//! Upstream's rule in point 4 is as good as it is upstream's: who has slots is what each node believes (15.3, S9).
//!
//! Point 4 needs that sets grow, or shrink, in one order for all. Whoever adds some members and forgets others at
//! different nodes at the same time can defeat it; so members come and go one at a time, each awaited by `cluster_voters`
//! of CLUSTER INFO. To forget more than a minority that lives is the operator's word that these nodes are gone.
//!
//! A primary that acknowledges writes only while a majority answers it uses the same lists: the majority that would
//! elect another one shares a voter with the one that answered, and that voter doesn't vote before its answer is over.
//!
//! A node of another kind among the members, or one that does not say what it can do, brings upstream's rule back for
//! all, the same way. A node that is unreachable since this one was started is taken for what the list says.

use crate::capabilities::Capabilities;
use crate::cluster::{Cluster, Turn};
use crate::effect::LogLevel;
use crate::node::Node;
use baton_base::{Mono, NodeId};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// For so long the members must have been the same before that counts: nodes that join become known one by one.
const STEADY: Duration = Duration::from_millis(500);
/// Electorates in a list, beyond which all members of the newest have to agree instead of a majority of each.
const LIST_MAX: usize = 8;

/// What a header says about the newest electorate of its sender. Zero is upstream's rule.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Digest(pub(crate) u64);

/// A set of voters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Electorate {
    /// Upstream's rule: whoever is a primary with slots at this moment.
    Upstream,
    /// These nodes, of which a majority decides.
    Members(BTreeSet<NodeId>),
    /// These nodes, of which all have to agree.
    Unanimous(BTreeSet<NodeId>),
}

impl Electorate {
    pub(crate) fn digest(&self) -> Digest {
        let (seed, ids) = match self {
            Electorate::Upstream => return Digest::default(),
            Electorate::Members(ids) => (0xcbf2_9ce4_8422_2325, ids),
            Electorate::Unanimous(ids) => (0x9e37_79b9_7f4a_7c15, ids),
        };
        let bytes = ids.iter().flat_map(|id| id.as_str().as_bytes());
        let sum = bytes.fold(seed, |sum: u64, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Digest(sum.max(1))
    }

    fn needed(&self, size: usize) -> usize {
        if matches!(self, Electorate::Unanimous(_)) { size } else { size / 2 + 1 }
    }

    /// Reads what `Display` writes.
    pub(crate) fn parse(text: &str) -> Option<Electorate> {
        let set = |text: &str| -> Option<BTreeSet<NodeId>> {
            text.split(',').map(|id| NodeId::parse(id.as_bytes()).ok()).collect()
        };
        match text.strip_prefix('*') {
            Some(ids) => Some(Electorate::Unanimous(set(ids)?)),
            None if text == "-" => Some(Electorate::Upstream),
            None => Some(Electorate::Members(set(text)?)),
        }
    }
}

impl fmt::Display for Electorate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut before, ids) = match self {
            Electorate::Upstream => return f.write_str("-"),
            Electorate::Members(ids) => ("", ids),
            Electorate::Unanimous(ids) => ("*", ids),
        };
        for id in ids {
            write!(f, "{before}{id}")?;
            before = ",";
        }
        Ok(())
    }
}

/// What a node knows about who decides. Its text form is that of two variables in nodes.conf.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Voters {
    /// The electorates of which each must agree, oldest first. Invariant: never empty.
    list: Vec<Electorate>,
    /// The members that are witnesses.
    witnesses: BTreeSet<NodeId>,
    /// What the newest is to be, and since when.
    wanted: Option<(Electorate, Mono)>,
    /// How often the list changed.
    changes: u64,
}

impl Default for Voters {
    fn default() -> Voters {
        Voters { list: vec![Electorate::Upstream], witnesses: BTreeSet::new(), wanted: None, changes: 0 }
    }
}

impl Voters {
    /// The electorate of new members, which the others have in their lists or will have.
    pub(crate) fn newest(&self) -> &Electorate {
        self.list.last().expect("never empty")
    }

    fn by_upstream(&self) -> bool {
        self.list.contains(&Electorate::Upstream)
    }

    fn lists(&self, id: &NodeId) -> bool {
        self.list.iter().any(|e| match e {
            Electorate::Upstream => false,
            Electorate::Members(ids) | Electorate::Unanimous(ids) => ids.contains(id),
        })
    }

    /// Whether a candidate that goes by this electorate is one that I can vote for.
    pub(crate) fn know(&self, digest: Digest) -> bool {
        self.list.iter().any(|e| e.digest() == digest)
    }

    /// Whether all of it is upstream's rule, so that there is nothing to remember.
    pub(crate) fn are_upstream(&self) -> bool {
        self.list.len() == 1 && self.by_upstream()
    }

    /// A number that is another one once the list is.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Reads the variable `voters`.
    pub(crate) fn read_list(&mut self, text: &str) -> Option<()> {
        let list: Vec<Electorate> = text.split('/').map(Electorate::parse).collect::<Option<_>>()?;
        if !list.is_empty() && list.len() <= LIST_MAX {
            self.list = list;
            self.changes += 1;
            return Some(());
        }
        None
    }

    /// Reads the variable `witnesses`.
    pub(crate) fn read_witnesses(&mut self, text: &str) -> Option<()> {
        self.witnesses = text.split(',').map(|id| NodeId::parse(id.as_bytes()).ok()).collect::<Option<_>>()?;
        Some(())
    }

    /// The variables; nothing where upstream's rule is all there is.
    pub(crate) fn variables(&self) -> String {
        let joined = |parts: Vec<String>, by: &str| parts.join(by);
        let mut out = String::new();
        if !self.are_upstream() {
            out += &format!(" voters {}", joined(self.list.iter().map(Electorate::to_string).collect(), "/"));
        }
        if !self.witnesses.is_empty() {
            out += &format!(" witnesses {}", joined(self.witnesses.iter().map(NodeId::to_string).collect(), ","));
        }
        out
    }

    fn append(&mut self, next: Electorate) {
        self.changes += 1;
        self.list.retain(|e| *e != next);
        if self.list.len() + 1 >= LIST_MAX
            && let Electorate::Members(ids) = &next
        {
            self.list = vec![Electorate::Unanimous(ids.clone())];
        }
        self.list.push(next);
    }
}

impl Cluster {
    /// Who decides, if it is not being changed.
    pub fn electorate(&self) -> Option<&Electorate> {
        if let [only] = self.voters.list.as_slice() { Some(only) } else { None }
    }

    /// Primaries with slots, by id: those that a failover can replace. Only known primaries own slots (see `validate`).
    pub(crate) fn serving_nodes(&self) -> impl Iterator<Item = &Node> {
        self.slots.owner_ids().filter_map(|id| self.nodes.get(id))
    }

    /// Whether a node is a primary with slots.
    pub(crate) fn serves(&self, id: &NodeId) -> bool {
        self.slots.owns_any(id)
    }

    /// Whether a node is a witness, as far as is known.
    pub(crate) fn is_witness(&self, id: &NodeId) -> bool {
        if *id == self.me { self.settings.witness } else { self.voters.witnesses.contains(id) }
    }

    /// How many witnesses are known.
    pub(crate) fn witness_count(&self) -> usize {
        self.nodes.keys().filter(|id| self.is_witness(id)).count()
    }

    /// Only these report failures, vote and are asked for leases.
    pub(crate) fn is_voting(&self, id: &NodeId) -> bool {
        (self.voters.by_upstream() && self.serves(id)) || (self.voters.lists(id) && self.nodes.contains_key(id))
    }

    /// All known nodes that vote by any electorate of the list.
    pub(crate) fn voting_nodes(&self) -> impl Iterator<Item = &Node> {
        let upstream = self.voters.by_upstream();
        let serving = upstream.then(|| self.serving_nodes()).into_iter().flatten();
        let listed = move |n: &&Node| self.voters.lists(&n.id) && !(upstream && self.serves(&n.id));
        let members = (!self.voters.are_upstream()).then(|| self.nodes.values().filter(listed));
        serving.chain(members.into_iter().flatten())
    }

    /// The voters of one electorate, those included that aren't known here any more.
    fn electors<'a>(&'a self, electorate: &'a Electorate) -> impl Iterator<Item = &'a NodeId> {
        let (owners, members) = match electorate {
            Electorate::Upstream => (Some(self.slots.owner_ids()), None),
            Electorate::Members(ids) | Electorate::Unanimous(ids) => (None, Some(ids.iter())),
        };
        owners.into_iter().flatten().chain(members.into_iter().flatten())
    }

    fn elector_count(&self, electorate: &Electorate) -> usize {
        match electorate {
            Electorate::Upstream => self.slots.owner_count(),
            Electorate::Members(ids) | Electorate::Unanimous(ids) => ids.len(),
        }
    }

    fn is_elector(&self, electorate: &Electorate, id: &NodeId) -> bool {
        match electorate {
            Electorate::Upstream => self.serves(id),
            Electorate::Members(ids) | Electorate::Unanimous(ids) => ids.contains(id),
        }
    }

    /// Whether those who agree decide: they are a majority of each electorate.
    pub(crate) fn is_majority(&self, agrees: impl Fn(&NodeId) -> bool) -> bool {
        self.voters.list.iter().all(|electorate| {
            let needed = electorate.needed(self.elector_count(electorate));
            self.electors(electorate).filter(|id| agrees(id)).take(needed).count() == needed
        })
    }

    /// Whether all voters but this one are a majority, without asking each of them.
    pub(crate) fn majority_without(&self, id: &NodeId) -> bool {
        self.voters.list.iter().all(|electorate| {
            let count = self.elector_count(electorate);
            count >= electorate.needed(count) + usize::from(self.is_elector(electorate, id))
        })
    }

    /// Whether those that are known and well are a majority of each electorate.
    pub(crate) fn reaches_majority(&self) -> bool {
        self.voters.list.iter().all(|electorate| {
            let unknown = match electorate {
                Electorate::Upstream => 0,
                Electorate::Members(ids) | Electorate::Unanimous(ids) => {
                    ids.iter().filter(|id| !self.nodes.contains_key(id)).count()
                }
            };
            let unwell = self.unwell.iter().filter(|id| **id != self.me && self.is_elector(electorate, id)).count();
            let count = self.elector_count(electorate);
            count >= electorate.needed(count) + unknown + unwell
        })
    }

    /// The fewest that have to agree besides me before any electorate does.
    pub(crate) fn needed_besides_me(&self) -> usize {
        let needed = |electorate: &Electorate| {
            electorate.needed(self.elector_count(electorate)) - usize::from(self.is_elector(electorate, &self.me))
        };
        self.voters.list.iter().map(needed).min().unwrap_or_default()
    }

    /// The greatest value that a majority of each electorate reaches.
    pub(crate) fn majority_value<T: Ord + Copy + Default>(&self, value: impl Fn(&NodeId) -> T) -> T {
        let reached = |electorate: &Electorate| {
            let mut all: Vec<T> = self.electors(electorate).map(&value).collect();
            let needed = electorate.needed(all.len());
            if needed == 0 || needed > all.len() {
                return T::default();
            }
            *all.select_nth_unstable_by(needed - 1, |a, b| b.cmp(a)).1
        };
        self.voters.list.iter().map(reached).min().unwrap_or_default()
    }

    /// How many voters of the newest electorate are needed, for those who read it.
    pub(crate) fn quorum(&self) -> usize {
        let newest = self.voters.newest();
        newest.needed(self.elector_count(newest))
    }

    /// How many voters the newest electorate has.
    pub(crate) fn voter_count(&self) -> usize {
        self.elector_count(self.voters.newest())
    }

    /// What I say about it in every header.
    pub(crate) fn own_electorate(&self) -> Digest {
        self.voters.newest().digest()
    }

    /// Looks whether the members are others than those of the newest electorate, and whether all of these know it.
    pub(crate) fn review_voters(&mut self, turn: &Turn<'_>) {
        self.review_witnesses();
        let wanted = self.wanted_electorate().filter(|next| next != self.voters.newest());
        self.voters.wanted = match (wanted, self.voters.wanted.take()) {
            (None, _) => None,
            (Some(next), Some((before, since))) if next == before => {
                if turn.now.since(since) >= STEADY {
                    self.append_electorate(next);
                    None
                } else {
                    Some((before, since))
                }
            }
            (Some(next), _) => Some((next, turn.now)),
        };
        if self.voters.list.len() > 1 && self.all_know_newest() {
            let newest = self.voters.list.pop().expect("never empty");
            self.voters.list = vec![newest];
            self.voters.changes += 1;
            self.log(LogLevel::Notice, format!("All members know the voters: {}.", self.describe_voters()));
            self.after_change_of_voters();
        }
    }

    fn append_electorate(&mut self, next: Electorate) {
        self.voters.append(next);
        let text =
            format!("New voters: {}. Until all members know, the former ones must agree, too.", self.describe_voters());
        self.log(LogLevel::Notice, text);
        // Whoever hears it relies on my list.
        self.todo.save_durably();
        self.todo.announce = true;
        self.after_change_of_voters();
    }

    fn after_change_of_voters(&mut self) {
        self.todo.save_lazily();
        self.todo.health = true;
        self.todo.failover = true;
    }

    fn describe_voters(&self) -> String {
        match self.voters.newest() {
            Electorate::Upstream => "primaries with slots".to_owned(),
            _ => format!("all {} members, {} of them decide", self.voter_count(), self.quorum()),
        }
    }

    /// Takes note of what members say about themselves.
    fn review_witnesses(&mut self) {
        let is_one = |n: &&Node| {
            if n.electorate.is_some() { n.capabilities.has(Capabilities::WITNESS) } else { self.is_witness(&n.id) }
        };
        let others = |n: &&Node| !n.is_myself() && !n.in_handshake();
        if self.voters.witnesses.is_empty() && !self.nodes.values().filter(others).any(|n| is_one(&n)) {
            return;
        }
        let now: BTreeSet<NodeId> = self.nodes.values().filter(others).filter(is_one).map(|n| n.id).collect();
        if now != self.voters.witnesses {
            self.voters.witnesses = now;
            self.todo.save_lazily();
            self.todo.publish = true;
        }
    }

    /// The electorate that fits to what is known about the members; none while that isn't enough to tell.
    fn wanted_electorate(&self) -> Option<Electorate> {
        let mut witnesses = false;
        if self.nodes.len() == 1 {
            // Alone it would be in an electorate that nobody else ever has.
            return Some(Electorate::Upstream);
        }
        for node in self.nodes.values().filter(|n| !n.in_handshake()) {
            let said = if node.is_myself() {
                true
            } else if node.electorate.is_some() {
                node.capabilities.has(Capabilities::MEMBERS)
            } else if self.voters.lists(&node.id) {
                true
            } else {
                return None;
            };
            if !said {
                return Some(Electorate::Upstream);
            }
            witnesses |= self.is_witness(&node.id);
        }
        if !witnesses {
            return Some(Electorate::Upstream);
        }
        let members = self.nodes.values().filter(|n| !n.in_handshake()).map(|n| n.id);
        Some(Electorate::Members(members.collect()))
    }

    /// Whether every member of the newest electorate said last that it is its newest, too.
    fn all_know_newest(&self) -> bool {
        let newest = self.voters.newest();
        let digest = newest.digest();
        let knows = |n: &Node| n.is_myself() || n.electorate == Some(digest);
        match newest {
            Electorate::Upstream => self.nodes.values().filter(|n| !n.in_handshake()).all(knows),
            Electorate::Members(ids) | Electorate::Unanimous(ids) => {
                ids.iter().all(|id| self.nodes.get(id).is_some_and(knows))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> NodeId {
        NodeId::parse(&[digit as u8; 40]).unwrap()
    }

    fn members(digits: &str) -> Electorate {
        Electorate::Members(digits.chars().map(id).collect())
    }

    #[test]
    fn the_variables_read_back() {
        let mut voters = Voters::default();
        assert_eq!(voters.variables(), "");
        voters.append(members("123"));
        voters.append(Electorate::Unanimous(BTreeSet::from([id('4')])));
        voters.witnesses = BTreeSet::from([id('2'), id('3')]);
        let text = voters.variables();
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let mut read = Voters::default();
        read.read_list(words[1]).unwrap();
        read.read_witnesses(words[3]).unwrap();
        assert_eq!((read.list, read.witnesses), (voters.list, voters.witnesses));
        assert_eq!(Voters::default().read_list("1,2"), None);
        assert_eq!(Voters::default().read_list(""), None);
    }

    #[test]
    fn a_list_that_grows_too_long_asks_for_all() {
        let mut voters = Voters::default();
        for last in 2..=9 {
            voters.append(members(&"123456789"[..last]));
            assert!(voters.list.len() < LIST_MAX);
        }
        assert!(voters.list.iter().any(|e| matches!(e, Electorate::Unanimous(_))));
        assert_eq!(*voters.newest(), members("123456789"));
    }

    #[test]
    fn who_comes_back_is_not_listed_twice() {
        let mut voters = Voters::default();
        voters.append(members("12"));
        voters.append(members("123"));
        voters.append(members("12"));
        assert_eq!(voters.list, [Electorate::Upstream, members("123"), members("12")]);
    }

    #[test]
    fn equal_sets_have_equal_digests_and_others_have_not() {
        assert_eq!(members("12").digest(), members("21").digest());
        assert_ne!(members("12").digest(), members("13").digest());
        assert_eq!(Electorate::Upstream.digest(), Digest(0));
        let all = Electorate::Unanimous(BTreeSet::from([id('1'), id('2')]));
        assert_ne!(members("12").digest(), all.digest());
    }
}
