//! Commands that go over a whole database. They hold no slot while another is visited.

use baton_base::{Slot, WallMs, glob};
use baton_store::{Entry, Expiry};

use crate::exec::StoreExec;
use crate::fail::Fail;
use crate::number::int;

/// DBSIZE.
pub(crate) fn dbsize(x: &mut StoreExec<'_>) -> Result<(), Fail> {
    x.out.int(x.store.len(x.db) as i64);
    Ok(())
}

/// RANDOMKEY. Keys that are due and come up are left for the caller to delete.
pub(crate) fn randomkey(x: &mut StoreExec<'_>) -> Result<(), Fail> {
    for _ in 0..RANDOM_TRIES_MAX {
        let Some(name) = x.store.random_key(x.db, x.rng, EVERYTHING) else { break };
        let key = x.store.key(&name);
        if x.store.view(key.slot, x.db, x.now, Expiry::Hide).exists(&key) {
            x.out.bulk(&name);
            return Ok(());
        }
        if !x.due.iter().any(|d| **d == *name) {
            x.due.push(name.into());
        }
    }
    match x.store.random_key(x.db, x.rng, x.now) {
        Some(name) => x.out.bulk(&name),
        None => x.out.null(),
    }
    Ok(())
}

/// How often RANDOMKEY looks for a key that is not due before it asks for one.
const RANDOM_TRIES_MAX: usize = 100;

/// A time at which nothing is due yet: scans then visit keys whose time has come as well.
const EVERYTHING: WallMs = WallMs(0);

/// Names collected in one buffer: a reply says how many there are before the first one.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Names {
    fn push(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len());
    }

    fn write(&self, out: &mut baton_resp::Out) {
        out.array(self.ends.len());
        let mut from = 0;
        for &end in &self.ends {
            out.bulk(&self.bytes[from..end]);
            from = end;
        }
    }
}

/// KEYS pattern.
pub(crate) fn keys(x: &mut StoreExec<'_>) -> Result<(), Fail> {
    let pattern = x.args.at(1);
    let mut names = Names::default();
    let mut visit = |name: &[u8]| {
        if pattern == b"*" || glob::matches(pattern, name, false) {
            names.push(name);
        }
    };
    match only_slot(pattern) {
        Some(slot) => {
            x.store.scan_slot(x.db, slot, x.now, &mut |name, _| visit(name));
        }
        None => {
            let mut cursor = 0;
            loop {
                cursor = x.store.scan(x.db, cursor, SCAN_STEP, x.now, &mut |name, _| visit(name)).cursor;
                if cursor == 0 {
                    break;
                }
            }
        }
    }
    names.write(x.out);
    Ok(())
}

/// Keys visited between two looks at the cursor.
const SCAN_STEP: usize = 1024;

/// The slot that all keys matching a pattern belong to, if its hash tag is literal.
fn only_slot(pattern: &[u8]) -> Option<Slot> {
    let is_special = |b: &u8| b"*?[\\".contains(b);
    let open = pattern.iter().position(|&b| b == b'{')?;
    let close = open + 1 + pattern[open + 1..].iter().position(|&b| b == b'}')?;
    let literal = !pattern[..close].iter().any(is_special);
    (literal && close > open + 1).then(|| Slot::of_key(&pattern[..=close]))
}

/// What SCAN is to find.
struct Filter<'a> {
    pattern: Option<&'a [u8]>,
    kind: Option<Vec<u8>>,
    count: usize,
}

/// Types that SCAN may ask for, whether any key has them or not.
const TYPE_NAMES: [&str; 6] = ["string", "list", "set", "zset", "hash", "stream"];

/// SCAN cursor [MATCH pattern] [COUNT count] [TYPE type].
pub(crate) fn scan(x: &mut StoreExec<'_>) -> Result<(), Fail> {
    let cursor = parse_cursor(x.args.at(1)).ok_or(Fail::Text("ERR invalid cursor"))?;
    let filter = Filter::parse(x)?;
    let (mut names, now) = (Names::default(), x.now);
    let mut visit = |name: &[u8], entry: Entry<'_>| {
        if !filter.admits(name, &entry) {
        } else if entry.expire_at.is_some_and(|at| at <= now) {
            x.due.push(name.into());
        } else {
            names.push(name);
        }
    };
    let slot = filter.pattern.and_then(only_slot);
    let from = slot.filter(|_| cursor == 0).map_or(cursor, |slot| u64::from(slot.number()));
    let next = x.store.scan(x.db, from, filter.count, EVERYTHING, &mut visit).cursor;
    // All matches are in one slot: past it there is nothing to find.
    let done = slot.is_some_and(|slot| slot.index() as u64 != next & SLOT_OF_CURSOR);
    x.out.array(2);
    x.out.bulk((if done { 0 } else { next }).to_string().as_bytes());
    names.write(x.out);
    Ok(())
}

/// A cursor: digits, after a sign `+` if one must.
fn parse_cursor(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok()
}

/// The bits of a cursor that are its slot's number.
const SLOT_OF_CURSOR: u64 = 0x3FFF;

impl<'a> Filter<'a> {
    fn admits(&self, name: &[u8], entry: &Entry<'_>) -> bool {
        self.pattern.is_none_or(|p| glob::matches(p, name, false))
            && self.kind.as_ref().is_none_or(|k| k == entry.value.kind().name().as_bytes())
    }

    fn parse(x: &StoreExec<'a>) -> Result<Filter<'a>, Fail> {
        let mut filter = Filter { pattern: None, kind: None, count: 10 };
        let mut i = 2;
        while let Some(word) = x.args.get(i) {
            let value = x.args.get(i + 1).ok_or(Fail::Syntax)?;
            match word.to_ascii_uppercase().as_slice() {
                b"COUNT" => {
                    filter.count = usize::try_from(int(value)?).ok().filter(|n| *n > 0).ok_or(Fail::Syntax)?;
                }
                // Everything matches a single star, so names need not be looked at.
                b"MATCH" => filter.pattern = (value != b"*").then_some(value),
                b"TYPE" => filter.kind = Some(type_name(value)?),
                _ => return Err(Fail::Syntax),
            }
            i += 2;
        }
        Ok(filter)
    }
}

fn type_name(value: &[u8]) -> Result<Vec<u8>, Fail> {
    let name = value.to_ascii_lowercase();
    if TYPE_NAMES.iter().any(|known| known.as_bytes() == name) {
        Ok(name)
    } else {
        Err(Fail::Bytes([b"ERR unknown type name '", value, b"'"].concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_its_slot_only_by_a_literal_tag() {
        for pattern in ["*", "{a*}", "*{a}", "[x]{a}", "\\{a}", "{}a", "{a"] {
            assert_eq!(only_slot(pattern.as_bytes()), None, "{pattern}");
        }
        for pattern in ["{a}*", "x{a}[0-9]", "{a}"] {
            assert_eq!(only_slot(pattern.as_bytes()), Some(Slot::of_key(b"a")), "{pattern}");
        }
    }

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
}
