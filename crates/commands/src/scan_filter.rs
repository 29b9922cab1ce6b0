//! What a command that goes over keys step by step is to find, and the names that it found. Neither visits a key by itself.

use baton_base::{Slot, WallMs, glob};
use baton_resp::{Args, Out};
use baton_store::Entry;

use crate::fail::Fail;
use crate::number::int;

/// The options of SCAN and its kin.
#[derive(Debug)]
pub struct ScanFilter<'a> {
    /// What names have to match; none if all do.
    pub pattern: Option<&'a [u8]>,
    /// The type they have to be of, lower-case.
    kind: Option<Vec<u8>>,
    /// How many keys are to be looked at, about.
    pub count: usize,
}

/// Types that may be asked for, whether any key has them or not.
const TYPE_NAMES: [&str; 6] = ["string", "list", "set", "zset", "hash", "stream"];

/// Keys that are looked at where the request names no number.
const COUNT_DEFAULT: usize = 10;

impl<'a> ScanFilter<'a> {
    /// A time at which nothing is due yet: scans then visit keys whose time has come as well, and tell them apart.
    pub const EVERYTHING: WallMs = WallMs(0);

    /// Reads the options. `other` is asked about words that not all commands know, with their value; it tells whether it
    /// knows the word, which is in capitals.
    pub fn parse(
        options: Args<'a>,
        mut other: impl FnMut(&[u8], &[u8]) -> Result<bool, Fail>,
    ) -> Result<ScanFilter<'a>, Fail> {
        let mut filter = ScanFilter { pattern: None, kind: None, count: COUNT_DEFAULT };
        let mut i = 0;
        while let Some(word) = options.get(i) {
            let word = word.to_ascii_uppercase();
            if word == b"NOVALUES" {
                return Err(Fail::Text("ERR NOVALUES option can only be used in HSCAN"));
            }
            let value = options.get(i + 1).ok_or(Fail::Syntax)?;
            match word.as_slice() {
                b"COUNT" => {
                    filter.count = usize::try_from(int(value)?).ok().filter(|n| *n > 0).ok_or(Fail::Syntax)?;
                }
                // Everything matches a single star, so names need not be looked at.
                b"MATCH" => filter.pattern = (value != b"*").then_some(value),
                b"TYPE" => filter.kind = Some(type_name(value)?),
                word => {
                    if !other(word, value)? {
                        return Err(Fail::Syntax);
                    }
                }
            }
            i += 2;
        }
        Ok(filter)
    }

    /// Whether a key is to be found.
    pub fn admits(&self, name: &[u8], entry: &Entry<'_>) -> bool {
        self.pattern.is_none_or(|p| glob::matches(p, name, false))
            && self.kind.as_ref().is_none_or(|k| k == entry.value.kind().name().as_bytes())
    }

    /// The one slot that has all keys that are to be found, if the pattern says so.
    pub fn slot(&self) -> Option<Slot> {
        self.pattern.and_then(only_slot)
    }
}

/// A cursor: digits, after a sign `+` if one must.
pub(crate) fn parse_cursor(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok()
}

fn type_name(value: &[u8]) -> Result<Vec<u8>, Fail> {
    let name = value.to_ascii_lowercase();
    if TYPE_NAMES.iter().any(|known| known.as_bytes() == name) {
        Ok(name)
    } else {
        Err(Fail::Bytes([b"ERR unknown type name '", value, b"'"].concat()))
    }
}

/// The slot that all keys matching a pattern belong to, if its hash tag is literal.
pub(crate) fn only_slot(pattern: &[u8]) -> Option<Slot> {
    let is_special = |b: &u8| b"*?[\\".contains(b);
    let open = pattern.iter().position(|&b| b == b'{')?;
    let close = open + 1 + pattern[open + 1..].iter().position(|&b| b == b'}')?;
    let literal = !pattern[..close].iter().any(is_special);
    (literal && close > open + 1).then(|| Slot::of_key(&pattern[..=close]))
}

/// Names collected in one buffer: a reply says how many there are before the first one.
#[derive(Debug, Default)]
pub struct KeyNames {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl KeyNames {
    /// Adds a name.
    pub fn push(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len());
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of memory that they take.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    /// Replies them as an array.
    pub fn write(&self, out: &mut Out) {
        out.array(self.ends.len());
        self.write_from(0, out, usize::MAX);
    }

    /// Replies names from one on until so many bytes are written; gives the number of the next one.
    pub(crate) fn write_from(&self, first: usize, out: &mut Out, bytes_max: usize) -> usize {
        let until = out.buf.len().saturating_add(bytes_max);
        let mut from = first.checked_sub(1).map_or(0, |before| self.ends[before]);
        for (number, &end) in self.ends.iter().enumerate().skip(first) {
            if out.buf.len() >= until {
                return number;
            }
            out.bulk(&self.bytes[from..end]);
            from = end;
        }
        self.ends.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors() {
        for (text, cursor) in
            [("0", Some(0)), ("01", Some(1)), ("+1", Some(1)), ("18446744073709551615", Some(u64::MAX))]
        {
            assert_eq!(parse_cursor(text.as_bytes()), cursor, "{text}");
        }
        for text in ["", "-1", "a", "0x1", " 1", "18446744073709551616"] {
            assert_eq!(parse_cursor(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_pattern_names_its_slot_only_by_a_literal_tag() {
        for pattern in ["*", "{a*}", "*{a}", "[x]{a}", "\\{a}", "{}a", "{a"] {
            assert_eq!(only_slot(pattern.as_bytes()), None, "{pattern}");
        }
        for pattern in ["{a}*", "x{a}[0-9]", "{a}"] {
            assert_eq!(only_slot(pattern.as_bytes()), Some(Slot::of_key(b"a")), "{pattern}");
        }
    }
}
