//! SSCAN, HSCAN and ZSCAN: what they ask for, and the reply. Never the order in which elements are visited: that is the
//! collection's business.

use baton_base::glob;
use baton_resp::{Args, Out};
use baton_values::Str;

use crate::fail::Fail;
use crate::number::int;
use crate::reply::ReplyText as _;
use crate::scan_filter::parse_cursor;

/// Elements that are looked at where the request names no number.
const COUNT_DEFAULT: usize = 10;

/// Where the cursor stands.
const CURSOR_AT: usize = 2;

/// What to find.
pub(crate) struct ElementScan<'a> {
    /// What names have to match; none if all do.
    pattern: Option<&'a [u8]>,
    /// How many elements are to be looked at, about.
    pub(crate) count: usize,
    /// Whether what stands beside the names is replied as well.
    pub(crate) values: bool,
}

impl<'a> ElementScan<'a> {
    /// The cursor; read before anything else is looked at.
    pub(crate) fn cursor(args: Args<'_>) -> Result<u64, Fail> {
        parse_cursor(args.at(CURSOR_AT)).ok_or(Fail::Text("ERR invalid cursor"))
    }

    /// The options; read only if there is a key. `has_values` tells whether values can be left out.
    pub(crate) fn parse(args: Args<'a>, has_values: bool) -> Result<ElementScan<'a>, Fail> {
        let mut scan = ElementScan { pattern: None, count: COUNT_DEFAULT, values: has_values };
        let mut i = CURSOR_AT + 1;
        while let Some(word) = args.get(i) {
            let value = args.get(i + 1);
            i += 2;
            match (word.to_ascii_uppercase().as_slice(), value) {
                (b"COUNT", Some(count)) => {
                    scan.count = usize::try_from(int(count)?).ok().filter(|n| *n > 0).ok_or(Fail::Syntax)?;
                }
                // Everything matches a single star, so names need not be looked at.
                (b"MATCH", Some(pattern)) => scan.pattern = (pattern != b"*").then_some(pattern),
                (b"NOVALUES", _) if has_values => {
                    scan.values = false;
                    i -= 1;
                }
                (b"NOVALUES", _) => return Err(Fail::Text("ERR NOVALUES option can only be used in HSCAN")),
                _ => return Err(Fail::Syntax),
            }
        }
        Ok(scan)
    }

    /// Whether an element is to be found.
    pub(crate) fn admits(&self, name: Str<'_>) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name.bytes(&mut itoa::Buffer::new()), false))
    }
}

/// Replies the cursor to go on with, and what was found.
pub(crate) fn reply(out: &mut Out, cursor: u64, found: &[Str<'_>]) {
    out.array(2);
    out.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    out.array(found.len());
    found.iter().for_each(|text| out.text(*text));
}
