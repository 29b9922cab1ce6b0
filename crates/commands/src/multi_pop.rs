//! What LMPOP, ZMPOP and their blocking forms are told: which keys, from which end and how many elements. Parsing only;
//! nothing here looks at a key.

use baton_resp::Args;

use crate::fail::Fail;
use crate::number::count_or;

/// Arguments `numkeys key [key ...] END [COUNT count]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MultiPop<E> {
    /// How many keys there are; the first one stands behind their number.
    pub(crate) keys: usize,
    /// Where elements are taken from.
    pub(crate) end: E,
    /// How many elements are wanted, one or more.
    pub(crate) count: u64,
}

impl<E> MultiPop<E> {
    /// Reads them, the number of keys being argument `at`; `end` understands the word for an end.
    pub(crate) fn parse(args: Args<'_>, at: usize, end: fn(&[u8]) -> Result<E, Fail>) -> Result<MultiPop<E>, Fail> {
        let keys = count_or(&args[at], 1, "ERR numkeys should be greater than 0")?;
        // A number so large that the words can't follow is as wrong as a word that isn't there.
        let end_at = usize::try_from(keys).ok().and_then(|keys| keys.checked_add(at + 1)).ok_or(Fail::Syntax)?;
        let end = end(args.get(end_at).ok_or(Fail::Syntax)?)?;
        let count = match (args.len() - end_at - 1, args.get(end_at + 1)) {
            (0, _) => 1,
            (2, Some(word)) if word.eq_ignore_ascii_case(b"COUNT") => {
                count_or(&args[end_at + 2], 1, "ERR count should be greater than 0")?
            }
            _ => return Err(Fail::Syntax),
        };
        Ok(MultiPop { keys: end_at - at - 1, end, count })
    }
}
