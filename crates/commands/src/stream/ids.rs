//! Ids among the arguments.

use baton_values::StreamId;

use crate::fail::Fail;

const INVALID: Fail = Fail::Text("ERR Invalid stream ID specified as stream command argument");

/// Longest text that can be an id, as upstream has it.
const ID_TEXT_MAX: usize = 127;

/// An id of which the number may be left out, and is this one then.
pub(super) fn id(text: &[u8], seq: u64) -> Result<StreamId, Fail> {
    match parts(text)? {
        (ms, None) => Ok(StreamId::new(ms, seq)),
        (ms, Some(text)) => Ok(StreamId::new(ms, number(text).ok_or(INVALID)?)),
    }
}

/// The id that XADD is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewId {
    /// `*`: the present time.
    Now,
    /// `ms-*`: the next one of this time.
    Next(u64),
    /// This one.
    Is(StreamId),
}

impl NewId {
    pub(super) fn parse(text: &[u8]) -> Result<NewId, Fail> {
        match parts(text)? {
            (ms, Some(b"*")) => Ok(NewId::Next(ms)),
            _ => id(text, 0).map(NewId::Is),
        }
    }

    /// The id of an entry that comes behind this last one; none if there can't be one.
    pub(super) fn behind(self, last: StreamId, now_ms: u64) -> Option<StreamId> {
        let id = match self {
            NewId::Now if now_ms > last.ms => StreamId::new(now_ms, 0),
            NewId::Now => last.next()?,
            NewId::Next(ms) if ms == last.ms => StreamId::new(ms, last.seq.checked_add(1)?),
            NewId::Next(ms) => StreamId::new(ms, 0),
            NewId::Is(id) => id,
        };
        (id > last).then_some(id)
    }
}

/// Where an interval begins: an id, `-`, `+`, or `(` and the id before.
pub(super) fn interval_start(text: &[u8]) -> Result<StreamId, Fail> {
    match text {
        [b'(', id_text @ ..] if !id_text.is_empty() => {
            id(id_text, 0)?.next().ok_or(Fail::Text("ERR invalid start ID for the interval"))
        }
        _ => bound(text, 0),
    }
}

/// Where an interval ends: an id, `-`, `+`, or `(` and the id behind.
pub(super) fn interval_end(text: &[u8]) -> Result<StreamId, Fail> {
    match text {
        [b'(', id_text @ ..] if !id_text.is_empty() => {
            id(id_text, u64::MAX)?.before().ok_or(Fail::Text("ERR invalid end ID for the interval"))
        }
        _ => bound(text, u64::MAX),
    }
}

/// An id, or `-` for the lowest and `+` for the highest.
pub(super) fn bound(text: &[u8], seq: u64) -> Result<StreamId, Fail> {
    match text {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => id(text, seq),
    }
}

/// Time, and the text of the number if there is one.
fn parts(text: &[u8]) -> Result<(u64, Option<&[u8]>), Fail> {
    let text = Some(text).filter(|text| text.len() <= ID_TEXT_MAX).ok_or(INVALID)?;
    let mut parts = text.splitn(2, |byte| *byte == b'-');
    let ms = parts.next().and_then(number).ok_or(INVALID)?;
    Ok((ms, parts.next()))
}

/// A number as ids have it: upstream takes blanks and a plus before it, and zeros.
fn number(text: &[u8]) -> Option<u64> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = text.iter().position(|byte| !is_blank(byte))?;
    let digits = text[start..].strip_prefix(b"+").unwrap_or(&text[start..]);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_come_behind_the_last() {
        let last = StreamId::new(5, 7);
        let of = |text: &[u8], now| NewId::parse(text).ok().and_then(|id| id.behind(last, now));
        assert_eq!((of(b"5-*", 0), of(b"6-*", 0)), (Some(StreamId::new(5, 8)), Some(StreamId::new(6, 0))));
        assert_eq!((of(b"4-*", 0), of(b"5-7", 0)), (None, None));
        assert_eq!(NewId::Now.behind(last, 5), Some(StreamId::new(5, 8)));
        assert_eq!(NewId::Now.behind(last, 6), Some(StreamId::new(6, 0)));
        assert_eq!(NewId::Now.behind(StreamId::MAX, 6), None);
        assert_eq!(NewId::Next(5).behind(StreamId::new(5, u64::MAX), 6), None);
    }

    #[test]
    fn numbers_as_upstream_takes_them() {
        for (text, expected) in
            [("007", Some(7)), (" +7", Some(7)), ("", None), ("+", None), ("7 ", None), ("-7", None)]
        {
            assert_eq!(number(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(number(b"18446744073709551616"), None);
    }
}
