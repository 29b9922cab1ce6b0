//! Bounds of ranges by score and by member.

use std::ops::Range;

use baton_base::num;
use baton_values::ZSetRef;

use crate::fail::Fail;

/// A range of scores.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScoreRange {
    min: ScoreBound,
    max: ScoreBound,
}

#[derive(Clone, Copy, Debug)]
struct ScoreBound {
    score: f64,
    is_open: bool,
}

/// A range of members, for sorted sets whose scores are all the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct LexRange<'a> {
    min: LexBound<'a>,
    max: LexBound<'a>,
}

#[derive(Clone, Copy, Debug)]
enum LexBound<'a> {
    BeforeAll,
    BehindAll,
    Closed(&'a [u8]),
    Open(&'a [u8]),
}

impl ScoreRange {
    pub(super) fn parse(min: &[u8], max: &[u8]) -> Result<ScoreRange, Fail> {
        Ok(ScoreRange { min: ScoreBound::parse(min)?, max: ScoreBound::parse(max)? })
    }

    /// The ranks of the elements in it.
    pub(super) fn ranks(&self, zset: ZSetRef<'_>) -> Range<u64> {
        let (min, max) = (self.min, self.max);
        let start = zset.count_while(|score, _| score < min.score || (min.is_open && score == min.score));
        let end = zset.count_while(|score, _| score < max.score || (!max.is_open && score == max.score));
        start..end.max(start)
    }
}

impl ScoreBound {
    fn parse(text: &[u8]) -> Result<ScoreBound, Fail> {
        let (is_open, number) = match text {
            [b'(', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let score = num::parse_f64_bound(number).ok_or(Fail::Text("ERR min or max is not a float"))?;
        Ok(ScoreBound { score, is_open })
    }
}

impl<'a> LexRange<'a> {
    pub(super) fn parse(min: &'a [u8], max: &'a [u8]) -> Result<LexRange<'a>, Fail> {
        Ok(LexRange { min: LexBound::parse(min)?, max: LexBound::parse(max)? })
    }

    /// The ranks of the elements in it.
    pub(super) fn ranks(&self, zset: ZSetRef<'_>) -> Range<u64> {
        let start = zset.count_while(|_, member| match self.min {
            LexBound::BeforeAll => false,
            LexBound::BehindAll => true,
            LexBound::Closed(min) => member < min,
            LexBound::Open(min) => member <= min,
        });
        let end = zset.count_while(|_, member| match self.max {
            LexBound::BeforeAll => false,
            LexBound::BehindAll => true,
            LexBound::Closed(max) => member <= max,
            LexBound::Open(max) => member < max,
        });
        start..end.max(start)
    }
}

impl<'a> LexBound<'a> {
    fn parse(text: &'a [u8]) -> Result<LexBound<'a>, Fail> {
        match text {
            b"-" => Ok(LexBound::BeforeAll),
            b"+" => Ok(LexBound::BehindAll),
            [b'[', rest @ ..] => Ok(LexBound::Closed(rest)),
            [b'(', rest @ ..] => Ok(LexBound::Open(rest)),
            _ => Err(Fail::Text("ERR min or max not valid string range item")),
        }
    }
}
