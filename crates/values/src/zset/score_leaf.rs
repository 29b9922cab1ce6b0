//! Leaves of the tree by score: in one piece of memory the scores of all elements, the lengths of their members and the
//! members. So a score is looked for among scores only, side by side, and one line of members is read for it.

use std::mem::replace;
use std::ops::Range;

use super::score::order;
use crate::ahead::{Fetch, fetch_all};
use crate::room::{give_room_back, make_room, with_room};
use crate::tree::{Leaf, SplitAt};

/// Bytes of a leaf, at most, if it has more than one element.
const LEAF_BYTES: usize = 2048;
const SCORE_BYTES: usize = size_of::<f64>();
/// What an element takes before the members: its score, and the length of its member.
const HEAD_BYTES: usize = SCORE_BYTES + 1;
/// The length that says that the real one stands in four bytes before the member.
const LONG: u8 = u8::MAX;
const LONG_BYTES: usize = 4;

/// A leaf.
#[derive(Clone, Default)]
pub(super) struct ScoreLeaf {
    bytes: Vec<u8>,
    len: u32,
}

/// Where the right one of two leaves begins: behind the last element of the left one, not behind the first one of the
/// right one. The member is cut as short as that allows.
#[derive(Clone)]
pub(super) struct Border {
    pub(super) score: f64,
    pub(super) member: Box<[u8]>,
}

/// Where an element stands or is to stand: its index, and where what is written of its member begins.
#[derive(Clone, Copy)]
struct Place {
    index: usize,
    at: usize,
}

/// What became of an element that was to get another score.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rescored {
    /// It was not there.
    Absent,
    /// It has the score.
    Here,
    /// It was taken out: it may belong into another leaf now.
    TakenOut,
}

impl Border {
    fn between(left: (f64, &[u8]), right: (f64, &[u8])) -> Border {
        let len = if left.0 < right.0 { 0 } else { 1 + left.1.iter().zip(right.1).take_while(|(l, r)| l == r).count() };
        Border { score: right.0, member: right.1[..len.min(right.1.len())].into() }
    }

    /// Whether an element stands at the border or behind it.
    #[inline]
    pub(super) fn is_before(&self, score: f64, member: &[u8]) -> bool {
        order((self.score, &self.member), (score, member)).is_le()
    }
}

/// The length of a member in one byte, and in four more where it needs them.
fn lengths(member: &[u8]) -> (u8, Option<[u8; LONG_BYTES]>) {
    match u8::try_from(member.len()) {
        Ok(len) if len < LONG => (len, None),
        _ => (LONG, Some(u32::try_from(member.len()).expect("a member is shorter than 4 GiB").to_le_bytes())),
    }
}

/// Leaves of elements that come in order, each with its border.
pub(super) fn leaves<'m>(elements: impl Iterator<Item = (f64, &'m [u8])>) -> Vec<(Border, ScoreLeaf)> {
    let mut leaves = Vec::new();
    let (mut open, mut border) = (Open::default(), Border { score: 0.0, member: Box::default() });
    let mut last: Option<(f64, &[u8])> = None;
    for (score, member) in elements {
        if let Some(last) = last
            && open.bytes() + HEAD_BYTES + member.len() > LEAF_BYTES * 7 / 8
        {
            leaves.push((replace(&mut border, Border::between(last, (score, member))), open.pour_out()));
        }
        open.push(score, member);
        last = Some((score, member));
    }
    leaves.push((border, open.pour_out()));
    leaves
}

/// The parts of a leaf that is being made from its first element to its last.
#[derive(Default)]
struct Open {
    scores: Vec<u8>,
    lens: Vec<u8>,
    members: Vec<u8>,
}

impl Open {
    fn bytes(&self) -> usize {
        self.scores.len() + self.lens.len() + self.members.len()
    }

    fn push(&mut self, score: f64, member: &[u8]) {
        let (short, long) = lengths(member);
        self.scores.extend_from_slice(&score.to_le_bytes());
        self.lens.push(short);
        self.members.extend(long.iter().flatten());
        self.members.extend_from_slice(member);
    }

    fn pour_out(&mut self) -> ScoreLeaf {
        let mut leaf = ScoreLeaf { bytes: with_room(self.bytes()), len: self.lens.len() as u32 };
        for part in [&mut self.scores, &mut self.lens, &mut self.members] {
            leaf.bytes.append(part);
        }
        leaf
    }
}

impl ScoreLeaf {
    /// Asks for all of it.
    #[inline]
    pub(super) fn fetch(&self, fetch: impl Fetch) {
        fetch_all(&self.bytes[..], fetch);
    }

    #[inline]
    fn scores(&self) -> &[[u8; SCORE_BYTES]] {
        self.bytes[..SCORE_BYTES * self.len as usize].as_chunks().0
    }

    #[inline]
    fn lens(&self) -> &[u8] {
        let count = self.len as usize;
        &self.bytes[SCORE_BYTES * count..HEAD_BYTES * count]
    }

    #[inline]
    fn score(&self, index: usize) -> f64 {
        f64::from_le_bytes(self.scores()[index])
    }

    /// Where what is written of the member of this index begins, or where all ends.
    #[inline]
    fn start(&self, index: usize) -> usize {
        let lens = &self.lens()[..index];
        if lens.contains(&LONG) {
            return self.start_behind_long(index);
        }
        HEAD_BYTES * self.len as usize + lens.iter().map(|len| usize::from(*len)).sum::<usize>()
    }

    #[cold]
    fn start_behind_long(&self, index: usize) -> usize {
        (0..index).fold(HEAD_BYTES * self.len as usize, |at, index| self.member(Place { index, at }).1)
    }

    /// The member at a place, and where it ends.
    #[inline]
    fn member(&self, place: Place) -> (&[u8], usize) {
        let (from, len) = match self.lens()[place.index] {
            LONG => {
                let len = self.bytes[place.at..].first_chunk().expect("a long length stands before its member");
                (place.at + LONG_BYTES, u32::from_le_bytes(*len) as usize)
            }
            len => (place.at, usize::from(len)),
        };
        (&self.bytes[from..from + len], from + len)
    }

    fn element(&self, index: usize) -> (f64, &[u8]) {
        (self.score(index), self.member(Place { index, at: self.start(index) }).0)
    }

    /// The place of an element, or where it would have to be put.
    fn find(&self, score: f64, member: &[u8]) -> Result<Place, Place> {
        let scores = self.scores();
        // All are compared, as that takes no longer than to find out where to go on.
        let first = scores.iter().filter(|own| f64::from_le_bytes(**own) < score).count();
        let same = scores[first..].iter().take_while(|own| f64::from_le_bytes(**own) == score).count();
        let (mut low, mut high) = (first, first + same);
        while low < high {
            let index = low + (high - low) / 2;
            let place = Place { index, at: self.start(index) };
            match self.member(place).0.cmp(member) {
                std::cmp::Ordering::Less => low = index + 1,
                std::cmp::Ordering::Equal => return Ok(place),
                std::cmp::Ordering::Greater => high = index,
            }
        }
        Err(Place { index: low, at: self.start(low) })
    }

    /// The elements from a place on, in order.
    pub(super) fn iter_from(&self, index: usize) -> impl Iterator<Item = (f64, &[u8])> {
        let index = index.min(self.len as usize);
        let mut at = self.start(index);
        (index..self.len as usize).map(move |index| {
            let (member, end) = self.member(Place { index, at });
            at = end;
            (self.score(index), member)
        })
    }

    /// The elements from a place back to the first.
    pub(super) fn iter_back_from(&self, index: usize) -> impl Iterator<Item = (f64, &[u8])> {
        let count = index.saturating_add(1).min(self.len as usize);
        let mut end = self.start(count);
        (0..count).rev().map(move |index| {
            let at = match self.lens()[index] {
                LONG => self.start(index),
                len => end - usize::from(len),
            };
            end = at;
            (self.score(index), self.member(Place { index, at }).0)
        })
    }

    /// How many elements come before the first of which this is not true.
    pub(super) fn count_while(&self, is_before: impl Fn(f64, &[u8]) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len as usize);
        while low < high {
            let index = low + (high - low) / 2;
            let (score, member) = self.element(index);
            if is_before(score, member) { low = index + 1 } else { high = index }
        }
        low
    }

    /// The place of an element, if it is there.
    pub(super) fn place(&self, score: f64, member: &[u8]) -> Option<usize> {
        self.find(score, member).ok().map(|place| place.index)
    }

    /// Adds an element that is not there.
    pub(super) fn insert(&mut self, score: f64, member: &[u8]) {
        let (Ok(place) | Err(place)) = self.find(score, member);
        self.put(place, score, member);
    }

    fn put(&mut self, Place { index, at }: Place, score: f64, member: &[u8]) {
        let (short, long) = lengths(member);
        let long = long.as_ref().map_or(&[][..], |long| long);
        let (old, lens) = (self.bytes.len(), SCORE_BYTES * self.len as usize);
        let more = HEAD_BYTES + long.len() + member.len();
        make_room(&mut self.bytes, more);
        self.bytes.resize(old + more, 0);
        self.bytes.copy_within(at..old, at + more);
        self.bytes.copy_within(lens + index..at, lens + index + HEAD_BYTES);
        self.bytes.copy_within(SCORE_BYTES * index..lens + index, SCORE_BYTES * (index + 1));
        self.len += 1;
        self.bytes[SCORE_BYTES * index..][..SCORE_BYTES].copy_from_slice(&score.to_le_bytes());
        self.bytes[lens + SCORE_BYTES + index] = short;
        let text = &mut self.bytes[at + HEAD_BYTES..][..long.len() + member.len()];
        text[..long.len()].copy_from_slice(long);
        text[long.len()..].copy_from_slice(member);
    }

    /// Removes elements; `at` is where what is written of the first one's member begins, and `end` where that of the last one
    /// ends.
    fn cut(&mut self, range: Range<usize>, at: usize, end: usize) {
        let (old, lens, count) = (self.bytes.len(), SCORE_BYTES * self.len as usize, range.len());
        self.bytes.copy_within(SCORE_BYTES * range.end..lens + range.start, SCORE_BYTES * range.start);
        self.bytes.copy_within(lens + range.end..at, lens + range.start - SCORE_BYTES * count);
        self.bytes.copy_within(end..old, at - HEAD_BYTES * count);
        self.bytes.truncate(old - HEAD_BYTES * count - (end - at));
        self.len -= count as u32;
    }

    fn cut_one(&mut self, place: Place) {
        let (_, end) = self.member(place);
        self.cut(place.index..place.index + 1, place.at, end);
    }

    /// Gives an element another score, as long as it surely belongs here with it: between the first and the last one.
    pub(super) fn rescore(&mut self, old: f64, member: &[u8], new: f64) -> Rescored {
        let Ok(place) = self.find(old, member) else { return Rescored::Absent };
        let index = place.index;
        let is_inner = index > 0 && index + 1 < self.len as usize;
        let stays = |i: usize, wanted| order(self.element(i), (new, member)) == wanted;
        if is_inner && stays(index - 1, std::cmp::Ordering::Less) && stays(index + 1, std::cmp::Ordering::Greater) {
            self.bytes[SCORE_BYTES * index..][..SCORE_BYTES].copy_from_slice(&new.to_le_bytes());
            return Rescored::Here;
        }
        self.cut_one(place);
        if let Err(place) = self.find(new, member)
            && place.index > 0
            && place.index < self.len as usize
        {
            self.put(place, new, member);
            return Rescored::Here;
        }
        give_room_back(&mut self.bytes);
        Rescored::TakenOut
    }

    /// Removes an element, if it is here.
    pub(super) fn take_out(&mut self, score: f64, member: &[u8]) {
        if let Ok(place) = self.find(score, member) {
            self.cut_one(place);
            give_room_back(&mut self.bytes);
        }
    }

    /// The element that begins nearest before half of the bytes, but not the first.
    fn middle(&self) -> usize {
        let half = self.bytes.len() / 2;
        let mut bytes = 0;
        let sizes = self.iter_from(0).map(|(_, member)| HEAD_BYTES + member.len());
        let before = sizes.take_while(|size| {
            bytes += size;
            bytes <= half
        });
        before.count().clamp(1, self.len as usize - 1)
    }

    /// These elements in a leaf of their own.
    fn part(&self, range: Range<usize>) -> ScoreLeaf {
        let (from, to) = (self.start(range.start), self.start(range.end));
        let mut part = with_room(HEAD_BYTES * range.len() + to - from);
        part.extend_from_slice(self.scores()[range.clone()].as_flattened());
        part.extend_from_slice(&self.lens()[range.clone()]);
        part.extend_from_slice(&self.bytes[from..to]);
        ScoreLeaf { bytes: part, len: range.len() as u32 }
    }

    fn members(&self) -> &[u8] {
        &self.bytes[HEAD_BYTES * self.len as usize..]
    }
}

impl Leaf for ScoreLeaf {
    type Separator = Border;

    fn len(&self) -> usize {
        self.len as usize
    }

    fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    fn is_over(&self) -> bool {
        self.len > 1 && self.bytes.len() > LEAF_BYTES
    }

    fn is_under(&self) -> bool {
        self.bytes.len() < LEAF_BYTES / 4
    }

    fn fits(&self, right: &Self) -> bool {
        self.bytes.len() + right.bytes.len() <= LEAF_BYTES * 3 / 4
    }

    fn split(&mut self, at: SplitAt) -> (Border, Self) {
        let index = match at {
            SplitAt::End => self.len as usize - 1,
            SplitAt::Start => 1,
            SplitAt::Middle => self.middle(),
        };
        let border = Border::between(self.element(index - 1), self.element(index));
        let right = self.part(index..self.len as usize);
        *self = self.part(0..index);
        (border, right)
    }

    fn join(&mut self, right: Self) {
        let mut joined = with_room(self.bytes.len() + right.bytes.len());
        for part in [&*self, &right].map(|leaf| leaf.scores().as_flattened()) {
            joined.extend_from_slice(part);
        }
        for part in [self.lens(), right.lens(), self.members(), right.members()] {
            joined.extend_from_slice(part);
        }
        *self = ScoreLeaf { bytes: joined, len: self.len + right.len };
    }

    fn remove(&mut self, range: Range<usize>) {
        let (at, end) = (self.start(range.start), self.start(range.end));
        self.cut(range, at, end);
        give_room_back(&mut self.bytes);
    }

    fn separator_heap_bytes(separator: &Border) -> usize {
        separator.member.len()
    }
}
