//! The large form: the elements in a tree by score and member, and for each the hash of its member with its score in a
//! second tree by hash. No member is stored twice: the second tree only says under which score to look in the first.

use std::ops::Range;

use smallvec::SmallVec;

use super::hash_leaf::{self, HashLeaf};
use super::score_leaf::{self, Border, Rescored, ScoreLeaf};
use crate::ahead::Fetch;
use crate::hash::MemberHasher;
use crate::tree::Tree;
use crate::tree::ahead::SEARCHES;

/// A sorted set too large for a listpack.
#[derive(Clone)]
pub struct LargeZSet {
    by_score: Tree<ScoreLeaf>,
    by_hash: Tree<HashLeaf>,
    hasher: MemberHasher,
}

/// A step of a scan looks at no more elements than so many times those that it finds: where more have one score, a step
/// finds more.
const SCAN_EFFORT: u64 = 256;

/// Scores of members with one hash: nearly always one.
type Candidates = SmallVec<[f64; 2]>;

impl LargeZSet {
    pub(super) fn new(seed: u64) -> LargeZSet {
        LargeZSet { by_score: Tree::default(), by_hash: Tree::default(), hasher: MemberHasher::new(seed) }
    }

    /// The sorted set of elements that come in order, with the hashes of their members and their scores in the order of hashes.
    pub(super) fn of_ordered<'m>(
        seed: u64,
        elements: impl Iterator<Item = (f64, &'m [u8])>,
        hashes: impl Iterator<Item = (u32, f64)>,
    ) -> LargeZSet {
        let by_score = Tree::of_leaves(score_leaf::leaves(elements));
        let by_hash = Tree::of_leaves(hash_leaf::leaves(hashes));
        LargeZSet { by_score, by_hash, hasher: MemberHasher::new(seed) }
    }

    pub(super) fn len(&self) -> u64 {
        self.by_score.len()
    }

    /// Bytes of memory behind it.
    pub(super) fn heap_bytes(&self) -> usize {
        self.by_score.heap_bytes() + self.by_hash.heap_bytes()
    }

    /// The score of a member.
    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.lookup(self.hasher.hash(member), member)
    }

    /// Asks for what looking for these members will touch, and changing their scores.
    pub(crate) fn fetch_elements(&self, members: &[&[u8]], fetch: impl Fetch) {
        let hashes: SmallVec<[u32; SEARCHES]> = members.iter().map(|member| self.hasher.hash(member)).collect();
        let leaves = self.by_hash.find_ahead(&hashes, |hash, border| border <= hash, fetch);
        leaves.iter().for_each(|leaf| leaf.fetch(fetch));
        let places = hashes.iter().zip(&leaves).zip(members);
        let places: SmallVec<[(f64, &[u8]); SEARCHES]> =
            places.filter_map(|((hash, leaf), member)| Some((leaf.scores(*hash).next()?, *member))).collect();
        let is_before = |(score, member): &(f64, &[u8]), border: &Border| border.is_before(*score, member);
        let leaves = self.by_score.find_ahead(&places, is_before, fetch);
        leaves.iter().for_each(|leaf| leaf.fetch(fetch));
    }

    fn lookup(&self, hash: u32, member: &[u8]) -> Option<f64> {
        let leaf = self.by_hash.find(|border| *border <= hash);
        leaf.scores(hash).find(|score| self.has(*score, member))
    }

    /// The rank of a member, and its score.
    pub(super) fn rank(&self, member: &[u8]) -> Option<(u64, f64)> {
        let hash = self.hasher.hash(member);
        let leaf = self.by_hash.find(|border| *border <= hash);
        leaf.scores(hash).find_map(|score| {
            let found = self.by_score.find_ranked(at(score, member));
            found.leaf.place(score, member).map(|place| (found.start + place as u64, score))
        })
    }

    /// How many elements come before the first of which this is not true.
    pub(super) fn count_while(&self, is_before: impl Fn(f64, &[u8]) -> bool) -> u64 {
        let found = self.by_score.find_ranked(|border: &Border| is_before(border.score, &border.member));
        found.start + found.leaf.count_while(is_before) as u64
    }

    /// Gives a member a score; tells the one it had.
    pub(super) fn put(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let hash = self.hasher.hash(member);
        let candidates: Candidates = self.by_hash.find(|border| *border <= hash).scores(hash).collect();
        for old in candidates {
            if old == score {
                if self.has(score, member) {
                    return Some(old);
                }
            } else if self.rescore(member, old, score) {
                self.by_hash.edit_found(|border| *border <= hash, |leaf| leaf.change(hash, old, Some(score)));
                return Some(old);
            }
        }
        self.by_score.edit_found(at(score, member), |leaf| leaf.insert(score, member));
        self.by_hash.edit_found(|border| *border <= hash, |leaf| leaf.insert(hash, score));
        None
    }

    /// Gives a member another score in the tree by score, if it has the old one there; tells whether it had.
    fn rescore(&mut self, member: &[u8], old: f64, new: f64) -> bool {
        let rescored = self.by_score.edit_found(at(old, member), |leaf| leaf.rescore(old, member, new));
        if rescored == Rescored::TakenOut {
            self.by_score.edit_found(at(new, member), |leaf| leaf.insert(new, member));
        }
        rescored != Rescored::Absent
    }

    fn has(&self, score: f64, member: &[u8]) -> bool {
        self.by_score.find(at(score, member)).place(score, member).is_some()
    }

    /// Removes a member; tells the score it had.
    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let hash = self.hasher.hash(member);
        let score = self.lookup(hash, member)?;
        self.by_score.edit_found(at(score, member), |leaf| leaf.take_out(score, member));
        self.by_hash.edit_found(|border| *border <= hash, |leaf| leaf.change(hash, score, None));
        Some(score)
    }

    /// Removes the elements of these ranks.
    pub(super) fn remove_ranks(&mut self, ranks: Range<u64>) {
        if ranks.start == 0 && ranks.end >= self.len() {
            (self.by_score, self.by_hash) = (Tree::default(), Tree::default());
            return;
        }
        let count = ranks.end.saturating_sub(ranks.start) as usize;
        let mut going: Vec<(u32, f64)> =
            self.iter_from(ranks.start).take(count).map(|(score, member)| (self.hasher.hash(member), score)).collect();
        self.by_score.remove_range(ranks);
        // In the order of hashes, so that each leaf is changed once.
        going.sort_unstable_by_key(|(hash, _)| *hash);
        let mut left = &going[..];
        while let Some((hash, _)) = left.first() {
            let removed = self.by_hash.edit_found(|border| *border <= *hash, |leaf| leaf.remove_first_of(left));
            left = &left[removed..];
        }
    }

    /// The elements from a rank on.
    pub(super) fn iter_from(&self, rank: u64) -> impl Iterator<Item = (f64, &[u8])> {
        self.by_score
            .leaves_from(rank)
            .flat_map(move |found| found.leaf.iter_from(rank.saturating_sub(found.start) as usize))
    }

    /// The elements from a rank back to the first.
    pub(super) fn iter_back_from(&self, rank: u64) -> impl Iterator<Item = (f64, &[u8])> {
        self.by_score
            .leaves_back_from(rank)
            .flat_map(move |found| found.leaf.iter_back_from((rank - found.start.min(rank)) as usize))
    }

    /// A step of a scan in the order of hashes: visits the elements from the hash that `cursor` is, `count` of them or
    /// more, and gives the cursor of the next step, 0 at the end. Whoever is there from the first step to the last is
    /// visited, whatever its score becomes meanwhile.
    pub(super) fn scan(&self, cursor: u64, count: u64, visit: &mut dyn FnMut(&[u8], f64)) -> u64 {
        let Ok(from) = u32::try_from(cursor) else { return 0 };
        let mut wanted = count.max(1);
        loop {
            let (mut scores, next) = self.hashes(from, wanted);
            let found = scores.len() as u64;
            scores.sort_by(f64::total_cmp);
            scores.dedup();
            let runs: Vec<Range<u64>> = scores.into_iter().map(|score| self.run(score)).collect();
            let effort: u64 = runs.iter().map(|run| run.end - run.start).sum();
            if effort > SCAN_EFFORT * found && next != 0 {
                wanted = found * 2;
                continue;
            }
            for run in runs {
                for (score, member) in self.iter_from(run.start).take((run.end - run.start) as usize) {
                    let hash = self.hasher.hash(member);
                    if hash >= from && (next == 0 || u64::from(hash) < next) {
                        visit(member, score);
                    }
                }
            }
            return next;
        }
    }

    /// The scores of elements from a hash on, of so many or more, and the first hash that is not among them; 0 if there is
    /// none.
    fn hashes(&self, from: u32, count: u64) -> (Vec<f64>, u64) {
        let first = self.by_hash.find_ranked(|border| *border <= from);
        let (mut scores, mut last) = (Vec::new(), None);
        for found in self.by_hash.leaves_from(first.start) {
            for (hash, score) in found.leaf.entries_from(from) {
                if scores.len() as u64 >= count && last != Some(hash) {
                    return (scores, u64::from(hash));
                }
                // Zeros of both signs are one score.
                scores.push(score + 0.0);
                last = Some(hash);
            }
        }
        (scores, 0)
    }

    /// The ranks of all elements with a score.
    fn run(&self, score: f64) -> Range<u64> {
        self.count_while(|other, _| other < score)..self.count_while(|other, _| other <= score)
    }
}

/// Whether a border lies before an element or at it.
fn at(score: f64, member: &[u8]) -> impl Fn(&Border) -> bool {
    move |border| border.is_before(score, member)
}
