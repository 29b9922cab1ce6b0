//! `FIELDS numfields field ...`, with which the commands around the ends of fields name them.

use baton_resp::Args;

use crate::fail::Fail;
use crate::number::int;

pub(super) const COUNT_REFUSED: Fail =
    Fail::Text("ERR numfields should be greater than 0 and match the provided number of fields");

/// Where the word stands, at this argument or behind it; the last argument can't be it.
pub(super) fn word_at(args: Args<'_>, from: usize) -> Result<usize, Fail> {
    let found = args.first(args.len() - 1).skip(from).iter().position(|word| word.eq_ignore_ascii_case(b"FIELDS"));
    found.map(|at| from + at).ok_or(COUNT_REFUSED)
}

/// What is named behind the word at this argument, `per_field` arguments each.
pub(super) fn named(args: Args<'_>, word_at: usize, per_field: usize) -> Result<Args<'_>, Fail> {
    let count = int(args.at(word_at + 1))?;
    let named = args.skip(word_at + 2);
    let matches = usize::try_from(count).is_ok_and(|n| n > 0 && n.checked_mul(per_field) == Some(named.len()));
    matches.then_some(named).ok_or(COUNT_REFUSED)
}

/// The fields of a command that knows nothing else: the word stands right behind the key.
pub(super) fn alone(args: Args<'_>) -> Result<Args<'_>, Fail> {
    if !args.at(2).eq_ignore_ascii_case(b"FIELDS") {
        return Err(Fail::Syntax);
    }
    named(args, 2, 1)
}
