//! Reading streams by id.

use std::ops::Range;

use baton_values::{Stream, StreamId};

use super::{ids, stream_of};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::long_reply::{Elements, Shown};
use crate::number::int;

/// XLEN key.
pub(crate) fn xlen(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let len = match x.view.read(&key, x.touch) {
        Some(entry) => stream_of(&entry)?.len(),
        None => 0,
    };
    x.out.int(len as i64);
    Ok(())
}

/// XRANGE key start end [COUNT count].
pub(crate) fn xrange(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (from, to) = (ids::interval_start(x.args.at(2))?, ids::interval_end(x.args.at(3))?);
    range(x, from, to, false)
}

/// XREVRANGE key end start [COUNT count].
pub(crate) fn xrevrange(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    // What is wrong with the start is said first.
    let from = ids::interval_start(x.args.at(3))?;
    let to = ids::interval_end(x.args.at(2))?;
    range(x, from, to, true)
}

fn range(x: &mut Exec<'_, '_>, from: StreamId, to: StreamId, backwards: bool) -> Result<(), Fail> {
    let mut max = u64::MAX;
    let mut at = 4;
    while let Some(word) = x.args.get(at) {
        let count = x.args.get(at + 1).filter(|_| word.eq_ignore_ascii_case(b"COUNT")).ok_or(Fail::Syntax)?;
        max = u64::try_from(int(count)?).unwrap_or(0);
        at += 2;
    }
    let key = x.key(0, 1);
    let Some(entry) = x.view.read(&key, x.touch) else {
        x.out.array(0);
        return Ok(());
    };
    let ranks = ranks(stream_of(&entry)?, from, to);
    if max == 0 {
        x.out.null_array();
        return Ok(());
    }
    let count = max.min(ranks.end - ranks.start);
    let ranks = if backwards { ranks.end - count..ranks.end } else { ranks.start..ranks.start + count };
    x.out.array(count as usize);
    let elements = Elements { backwards, ..Elements::forwards(Shown::Elements, ranks) };
    elements.reply(entry.value, x.out, x.effects, x.waits);
    Ok(())
}

/// The ranks of the entries from one id to another, both included.
fn ranks(stream: &Stream, from: StreamId, to: StreamId) -> Range<u64> {
    let start = stream.len_below(from);
    let end = to.next().map_or(stream.len(), |behind| stream.len_below(behind));
    start..end.max(start)
}
