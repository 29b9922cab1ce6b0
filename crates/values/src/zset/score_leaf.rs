//! Leaves of the tree by score: elements one behind the other in one piece of memory, each its score, the length of its
//! member and the member. They are walked from the front; a leaf is short enough for that.

use std::cmp::Ordering;
use std::mem::replace;
use std::ops::Range;

use super::score::order;
use crate::tree::{Leaf, SplitAt};

/// Bytes of a leaf, at most, if it has more than one element.
const LEAF_BYTES: usize = 1024;
/// Bytes before the length of a member.
const SCORE_BYTES: usize = size_of::<f64>();
/// Bytes before a member, at most.
const HEAD_BYTES_MAX: usize = SCORE_BYTES + 5;
/// The length that says that the real one follows in four bytes.
const LONG: u8 = u8::MAX;

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

/// An element and where it lies.
#[derive(Clone, Copy)]
struct Item<'a> {
    at: usize,
    end: usize,
    score: f64,
    member: &'a [u8],
}

impl Border {
    fn between(left: (f64, &[u8]), right: (f64, &[u8])) -> Border {
        let len = if left.0 < right.0 { 0 } else { 1 + left.1.iter().zip(right.1).take_while(|(l, r)| l == r).count() };
        Border { score: right.0, member: right.1[..len.min(right.1.len())].into() }
    }

    /// Whether an element stands at the border or behind it.
    #[inline]
    pub(super) fn is_before(&self, score: f64, member: &[u8]) -> bool {
        order((self.score, &self.member), (score, member)) != Ordering::Greater
    }
}

/// Writes what stands before a member.
fn write_head(head: &mut [u8; HEAD_BYTES_MAX], score: f64, len: usize) -> &[u8] {
    head[..SCORE_BYTES].copy_from_slice(&score.to_le_bytes());
    match u8::try_from(len) {
        Ok(len) if len < LONG => {
            head[SCORE_BYTES] = len;
            &head[..=SCORE_BYTES]
        }
        _ => {
            let len = u32::try_from(len).expect("a member is shorter than 4 GiB");
            head[SCORE_BYTES] = LONG;
            head[SCORE_BYTES + 1..].copy_from_slice(&len.to_le_bytes());
            head
        }
    }
}

/// Leaves of elements that come in order, each with its border.
pub(super) fn leaves<'m>(elements: impl Iterator<Item = (f64, &'m [u8])>) -> Vec<(Border, ScoreLeaf)> {
    let mut leaves = Vec::new();
    let (mut open, mut border) = (ScoreLeaf::default(), Border { score: 0.0, member: Box::default() });
    let mut last: Option<(f64, &[u8])> = None;
    for (score, member) in elements {
        let mut head = [0; HEAD_BYTES_MAX];
        let head = write_head(&mut head, score, member.len());
        if let Some(last) = last
            && open.bytes.len() + head.len() + member.len() > LEAF_BYTES * 7 / 8
        {
            let full = ScoreLeaf { bytes: open.bytes.as_slice().into(), len: open.len };
            leaves.push((replace(&mut border, Border::between(last, (score, member))), full));
            open.bytes.clear();
            open.len = 0;
        }
        open.bytes.extend_from_slice(head);
        open.bytes.extend_from_slice(member);
        open.len += 1;
        last = Some((score, member));
    }
    open.bytes.shrink_to_fit();
    leaves.push((border, open));
    leaves
}

impl ScoreLeaf {
    fn items_from(&self, at: usize) -> impl Iterator<Item = Item<'_>> + Clone {
        let mut at = at;
        std::iter::from_fn(move || {
            let item = self.item(at)?;
            at = item.end;
            Some(item)
        })
    }

    #[inline]
    fn item(&self, at: usize) -> Option<Item<'_>> {
        let (score, rest) = self.bytes.get(at..)?.split_first_chunk::<SCORE_BYTES>()?;
        let (start, len) = match *rest {
            [LONG, a, b, c, d, ..] => (SCORE_BYTES + 5, u32::from_le_bytes([a, b, c, d]) as usize),
            [len, ..] => (SCORE_BYTES + 1, usize::from(len)),
            [] => return None,
        };
        let start = at + start;
        let member = &self.bytes[start..start + len];
        Some(Item { at, end: start + len, score: f64::from_le_bytes(*score), member })
    }

    /// The elements from a place on, in order.
    pub(super) fn iter_from(&self, index: usize) -> impl Iterator<Item = (f64, &[u8])> {
        self.items_from(0).skip(index).map(|item| (item.score, item.member))
    }

    /// The elements from a place back to the first.
    pub(super) fn iter_back_from(&self, index: usize) -> impl Iterator<Item = (f64, &[u8])> {
        let places: Vec<usize> = self.items_from(0).take(index.saturating_add(1)).map(|item| item.at).collect();
        places.into_iter().rev().filter_map(|at| self.item(at)).map(|item| (item.score, item.member))
    }

    /// How many elements come before the first of which this is not true.
    pub(super) fn count_while(&self, is_before: impl Fn(f64, &[u8]) -> bool) -> usize {
        self.items_from(0).take_while(|item| is_before(item.score, item.member)).count()
    }

    /// The place of an element, if it is there.
    pub(super) fn place(&self, score: f64, member: &[u8]) -> Option<usize> {
        for (index, item) in self.items_from(0).enumerate() {
            match order((item.score, item.member), (score, member)) {
                Ordering::Less => {}
                Ordering::Equal => return Some(index),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The first element that does not stand before this one, or the end.
    fn lower_bound(&self, score: f64, member: &[u8]) -> usize {
        let found = self.items_from(0).find(|item| order((item.score, item.member), (score, member)).is_ge());
        found.map_or(self.bytes.len(), |item| item.at)
    }

    /// Adds an element that is not there.
    pub(super) fn insert(&mut self, score: f64, member: &[u8]) {
        let at = self.lower_bound(score, member);
        let mut head = [0; HEAD_BYTES_MAX];
        let head = write_head(&mut head, score, member.len());
        let (tail, more) = (self.bytes.len() - at, head.len() + member.len());
        self.make_room(more);
        self.bytes.resize(self.bytes.len() + more, 0);
        self.bytes.copy_within(at..at + tail, at + more);
        self.bytes[at..at + head.len()].copy_from_slice(head);
        self.bytes[at + head.len()..at + more].copy_from_slice(member);
        self.len += 1;
    }

    /// Gives an element another score, if it and its neighbours are here and it stays between them. Tells whether it did.
    pub(super) fn rescore(&mut self, old: f64, member: &[u8], new: f64) -> bool {
        let Some(at) = self.place_between(old, member, new) else { return false };
        self.bytes[at..at + SCORE_BYTES].copy_from_slice(&new.to_le_bytes());
        true
    }

    /// Where an element lies, if with the other score it would still be between the neighbours that it has here.
    fn place_between(&self, old: f64, member: &[u8], new: f64) -> Option<usize> {
        let mut items = self.items_from(0);
        let mut left = None;
        loop {
            let item = items.next()?;
            match order((item.score, item.member), (old, member)) {
                Ordering::Less => left = Some((item.score, item.member)),
                Ordering::Greater => return None,
                Ordering::Equal => {
                    let right = items.next()?;
                    let stays = order(left?, (new, member)).is_lt()
                        && order((new, member), (right.score, right.member)).is_lt();
                    return stays.then_some(item.at);
                }
            }
        }
    }

    /// Removes an element, if it is here.
    pub(super) fn take_out(&mut self, score: f64, member: &[u8]) {
        let at = self.lower_bound(score, member);
        if let Some(item) = self.item(at)
            && item.score == score
            && item.member == member
        {
            let end = item.end;
            self.bytes.drain(at..end);
            self.len -= 1;
            self.give_room_back();
        }
    }

    fn offset(&self, index: usize) -> usize {
        self.items_from(0).nth(index).map_or(self.bytes.len(), |item| item.at)
    }

    fn make_room(&mut self, more: usize) {
        let needed = self.bytes.len() + more;
        if needed > self.bytes.capacity() {
            self.bytes.reserve_exact(needed + needed / 8 - self.bytes.len());
        }
    }

    fn give_room_back(&mut self) {
        if 2 * self.bytes.len() < self.bytes.capacity() {
            self.bytes.shrink_to(self.bytes.len() + self.bytes.len() / 8);
        }
    }

    /// The element that begins nearest before half of the bytes, but not the first.
    fn middle(&self) -> usize {
        let half = self.bytes.len() / 2;
        self.items_from(0).take_while(|item| item.end <= half).count().clamp(1, self.len as usize - 1)
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
        let left = self.items_from(0).nth(index - 1).expect("there is one before every element but the first");
        let right = self.item(left.end).expect("both parts have elements");
        let border = Border::between((left.score, left.member), (right.score, right.member));
        let from = left.end;
        let split_off = ScoreLeaf { bytes: self.bytes[from..].to_vec(), len: self.len - index as u32 };
        self.bytes.truncate(from);
        self.bytes.shrink_to_fit();
        self.len = index as u32;
        (border, split_off)
    }

    fn join(&mut self, right: Self) {
        self.make_room(right.bytes.len());
        self.bytes.extend_from_slice(&right.bytes);
        self.len += right.len;
    }

    fn remove(&mut self, range: Range<usize>) {
        let (from, to) = (self.offset(range.start), self.offset(range.end));
        self.bytes.drain(from..to);
        self.len -= range.len() as u32;
        self.give_room_back();
    }

    fn separator_heap_bytes(separator: &Border) -> usize {
        separator.member.len()
    }
}
