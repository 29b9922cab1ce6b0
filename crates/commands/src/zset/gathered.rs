//! Elements gathered from several collections, in one piece of memory, and put together or in order.

use baton_values::{Limits, Scored, Str, ZSet};

/// How the scores of one member are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    /// Two scores as one. Infinities that cancel each other make zero.
    pub(super) fn join(self, a: f64, b: f64) -> f64 {
        match self {
            Aggregate::Sum => number_or_zero(a + b),
            Aggregate::Min => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Aggregate::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

/// A score that counts so many times. No times infinity is zero.
pub(super) fn weighted(score: f64, weight: f64) -> f64 {
    number_or_zero(score * weight)
}

fn number_or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// Elements.
#[derive(Default)]
pub(super) struct Gathered {
    bytes: Vec<u8>,
    elements: Vec<Element>,
}

#[derive(Clone, Copy)]
struct Element {
    start: usize,
    end: usize,
    score: f64,
}

impl Gathered {
    pub(super) fn push(&mut self, member: &[u8], score: f64) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(member);
        self.elements.push(Element { start, end: self.bytes.len(), score });
    }

    pub(super) fn len(&self) -> usize {
        self.elements.len()
    }

    /// Puts the scores of equal members together, in the order in which they came.
    pub(super) fn join(&mut self, aggregate: Aggregate) {
        let Gathered { bytes, elements } = self;
        let member = |element: &Element| &bytes[element.start..element.end];
        elements.sort_by(|a, b| member(a).cmp(member(b)));
        elements.dedup_by(|next, kept| {
            let is_same = member(next) == member(kept);
            if is_same {
                kept.score = aggregate.join(kept.score, next.score);
            }
            is_same
        });
    }

    /// Puts them in the order of sorted sets.
    pub(super) fn order(&mut self) {
        let Gathered { bytes, elements } = self;
        let member = |element: &Element| &bytes[element.start..element.end];
        elements.sort_by(|a, b| {
            let by_score = a.score.partial_cmp(&b.score).unwrap_or(std::cmp::Ordering::Equal);
            by_score.then_with(|| member(a).cmp(member(b)))
        });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Scored<'_>> {
        self.elements
            .iter()
            .map(|element| Scored { member: Str::Bytes(&self.bytes[element.start..element.end]), score: element.score })
    }

    /// They as a sorted set.
    pub(super) fn to_zset(&self, limits: &Limits) -> ZSet {
        let mut zset = ZSet::default();
        let longest = self.elements.iter().map(|element| element.end - element.start).max().unwrap_or(0);
        zset.expect(self.len(), longest, limits);
        for element in &self.elements {
            zset.put(&self.bytes[element.start..element.end], element.score, limits);
        }
        zset
    }
}
