//! Where an element is in a list.

use std::ops::ControlFlow;

use baton_values::Str;

use super::list_of;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::{count_or, int_from};
use crate::reply::ReplyText as _;

/// LINDEX key index.
pub(crate) fn lindex(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let Some(entry) = x.view.read(&key, x.touch) else {
        x.out.null();
        return Ok(());
    };
    let list = list_of(&entry)?;
    let index = crate::number::int(&x.args[2])?;
    match super::change::rank_of(index, list.len()).and_then(|rank| list.get(rank)) {
        Some(text) => x.out.text(text),
        None => x.out.null(),
    }
    Ok(())
}

/// What LPOS is asked for.
struct Wanted {
    /// Matches to pass over; backwards from the end if `from_end`.
    skipped: u64,
    from_end: bool,
    /// Matches to reply, 0 for all; one alone, not in a list, if nothing was said.
    count: Option<u64>,
    /// Elements to look at, 0 for all.
    compared_max: u64,
}

impl Wanted {
    fn parse(x: &Exec<'_, '_>) -> Result<Wanted, Fail> {
        let mut wanted = Wanted { skipped: 0, from_end: false, count: None, compared_max: 0 };
        let mut i = 3;
        while let Some(word) = x.args.get(i) {
            let Some(value) = x.args.get(i + 1) else { return Err(Fail::Syntax) };
            if word.eq_ignore_ascii_case(b"RANK") {
                let rank = int_from(value, -i64::MAX)?;
                wanted.from_end = rank < 0;
                wanted.skipped = rank.unsigned_abs().checked_sub(1).ok_or(Fail::Text(RANK_ZERO))?;
            } else if word.eq_ignore_ascii_case(b"COUNT") {
                wanted.count = Some(count_or(value, 0, "ERR COUNT can't be negative")?);
            } else if word.eq_ignore_ascii_case(b"MAXLEN") {
                wanted.compared_max = count_or(value, 0, "ERR MAXLEN can't be negative")?;
            } else {
                return Err(Fail::Syntax);
            }
            i += 2;
        }
        Ok(wanted)
    }
}

const RANK_ZERO: &str = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
                         negative to start from the end of the list";

/// A number of which 0 means that there is no limit.
fn or_all(limit: u64) -> usize {
    if limit == 0 { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) }
}

/// Which elements are looked for.
struct Matches<'a> {
    element: Str<'a>,
    /// Matches to pass over.
    skipped: usize,
    /// Matches to find, at most.
    count: usize,
    /// Elements to look at, at most.
    compared: usize,
}

impl Matches<'_> {
    /// How many elements stand before each match.
    fn among<'e>(&self, elements: impl Iterator<Item = Str<'e>>) -> Vec<i64> {
        let (mut found, mut nth, mut seen) = (Vec::new(), 0, 0);
        // From within, which is faster by far than asking for one after the other.
        let _ = elements.take(self.compared).try_for_each(|element| {
            if element == self.element {
                seen += 1;
                if seen > self.skipped {
                    found.push(nth);
                }
            }
            nth += 1;
            if found.len() < self.count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        found
    }
}

/// LPOS key element [RANK rank] [COUNT count] [MAXLEN length].
pub(crate) fn lpos(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let wanted = Wanted::parse(x)?;
    let key = x.key(0, 1);
    let mut found = Vec::new();
    if let Some(entry) = x.view.read(&key, x.touch) {
        let list = list_of(&entry)?;
        let len = list.len() as i64;
        let element = x.args.at(2);
        let compared = or_all(wanted.compared_max);
        let skipped = usize::try_from(wanted.skipped).unwrap_or(usize::MAX);
        let count = or_all(wanted.count.unwrap_or(1));
        let looked_for = Matches { element: Str::of(element), skipped, count, compared };
        if wanted.from_end {
            found.extend(looked_for.among(list.iter_back_from(list.len())).into_iter().map(|nth| len - 1 - nth));
        } else {
            found = looked_for.among(list.iter_from(0));
        }
    }
    match (wanted.count, found.first()) {
        (Some(_), _) => {
            x.out.array(found.len());
            found.iter().for_each(|rank| x.out.int(*rank));
        }
        (None, Some(rank)) => x.out.int(*rank),
        (None, None) => x.out.null(),
    }
    Ok(())
}
