//! Reading streams by id.

use baton_values::Stream;

use super::{ids, reply, stream_of};
use crate::exec::Exec;
use crate::fail::Fail;
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
    range(x, |stream, out, max| reply::entries(out, stream.range(from, to), max))
}

/// XREVRANGE key end start [COUNT count].
pub(crate) fn xrevrange(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (to, from) = (ids::interval_end(x.args.at(2))?, ids::interval_start(x.args.at(3))?);
    range(x, |stream, out, max| reply::entries(out, stream.range_back(to, from), max))
}

fn range(x: &mut Exec<'_, '_>, write: impl FnOnce(&Stream, &mut baton_resp::Out, usize)) -> Result<(), Fail> {
    let mut max = usize::MAX;
    let mut at = 4;
    while let Some(word) = x.args.get(at) {
        let count = x.args.get(at + 1).filter(|_| word.eq_ignore_ascii_case(b"COUNT")).ok_or(Fail::Syntax)?;
        max = usize::try_from(int(count)?).unwrap_or(0);
        at += 2;
    }
    let key = x.key(0, 1);
    let Some(entry) = x.view.read(&key, x.touch) else {
        x.out.array(0);
        return Ok(());
    };
    let stream = stream_of(&entry)?;
    match max {
        0 => x.out.null_array(),
        _ => write(stream, x.out, max),
    }
    Ok(())
}
