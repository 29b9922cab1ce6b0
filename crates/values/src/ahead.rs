//! Fetching ahead: which memory a look at some elements of a large value will touch, for many elements at once, so that the
//! waits for it overlap instead of adding up. It is a hint: it changes nothing, and whoever looks later relies on nothing.

use crate::fields::HashRef;
use crate::set::SetRef;
use crate::text::Str;
use crate::value::Value;
use crate::zset::ZSetRef;

/// Bytes that are fetched together.
const LINE_BYTES: usize = 64;

/// Asks for the line of memory at an address; nothing is read through it.
pub trait Fetch: Fn(*const u8) + Copy {}

impl<F: Fn(*const u8) + Copy> Fetch for F {}

/// Asks for all lines of a thing, memory that it owns elsewhere not included.
#[inline]
pub(crate) fn fetch_all<T: ?Sized>(thing: &T, fetch: impl Fetch) {
    let at = std::ptr::from_ref(thing).cast::<u8>();
    // A thing need not begin with a line.
    (0..size_of_val(thing)).step_by(LINE_BYTES).for_each(|offset| fetch(at.wrapping_add(offset)));
    fetch(at.wrapping_add(size_of_val(thing).saturating_sub(1)));
}

impl Value<'_> {
    /// Asks for what looking for these fields or members in a large value will touch. Small values and other types lie where
    /// the key does, or are not looked into by name.
    pub fn fetch_elements(&self, names: &[&[u8]], fetch: impl Fetch) {
        match self {
            Value::Hash(HashRef::Large(hash)) => hash.fetch_elements(names.iter().map(|name| Str::of(name)), fetch),
            Value::Set(SetRef::Large(set)) => set.fetch_elements(names.iter().map(|name| Str::of(name)), fetch),
            Value::ZSet(ZSetRef::Large(zset)) => zset.fetch_elements(names, fetch),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashSet;

    use super::*;
    use crate::fields::Hash;
    use crate::limits::Limits;
    use crate::set::Set;
    use crate::zset::ZSet;

    const COUNT: i64 = 20_000;

    fn name(n: i64) -> Vec<u8> {
        format!("element:{n}").into_bytes()
    }

    /// The lines that are asked for before these are looked for.
    fn fetched(value: Value<'_>, names: &[&[u8]]) -> HashSet<usize> {
        let lines = RefCell::new(HashSet::new());
        value.fetch_elements(names, |at| {
            lines.borrow_mut().insert(at.addr() / LINE_BYTES);
        });
        lines.into_inner()
    }

    fn line_of(text: &[u8]) -> usize {
        text.as_ptr().addr() / LINE_BYTES
    }

    #[test]
    fn what_lookups_find_was_asked_for() {
        let limits = Limits::default();
        let (mut hash, mut set, mut zset) = (Hash::default(), Set::default(), ZSet::default());
        zset.expect(COUNT as usize, 16, &limits);
        for n in 0..COUNT {
            let (name, value) = (name(n), format!("value {n}"));
            hash.set(Str::of(&name), Str::of(value.as_bytes()), &limits);
            set.add(Str::of(&name), &limits);
            zset.put(&name, (n % 7) as f64, &limits);
        }
        let wanted: Vec<Vec<u8>> = [3, 7_777, 19_999, COUNT].map(name).into();
        let names: Vec<&[u8]> = wanted.iter().map(Vec::as_slice).collect();
        let lines = fetched(Value::Hash(hash.as_ref()), &names);
        assert!(lines.len() < 30 * names.len(), "{} lines are too many", lines.len());
        for name in &names[..3] {
            let Some(Str::Bytes(text)) = hash.as_ref().get(Str::of(name)).map(|value| value.text) else {
                panic!("{name:?}")
            };
            assert!(lines.contains(&line_of(text)), "the value of {name:?}");
        }
        let lines = fetched(Value::Set(set.as_ref()), &names);
        let all: Vec<&[u8]> =
            set.as_ref().iter().filter_map(|text| if let Str::Bytes(b) = text { Some(b) } else { None }).collect();
        for name in &names[..3] {
            let member = all.iter().find(|member| *member == name).expect("it was added");
            assert!(lines.contains(&line_of(member)), "the member {name:?}");
        }
        let lines = fetched(Value::ZSet(zset.as_ref()), &names);
        for name in &names[..3] {
            let rank = zset.as_ref().rank(name).expect("it was added").0;
            let Some(Str::Bytes(member)) = zset.as_ref().iter_from(rank).next().map(|scored| scored.member) else {
                panic!()
            };
            assert!(lines.contains(&line_of(member)), "the member {name:?}");
        }
    }

    #[test]
    fn small_values_and_other_types_ask_for_nothing() {
        let mut hash = Hash::default();
        hash.set(Str::of(b"a"), Str::of(b"b"), &Limits::default());
        assert!(fetched(Value::Hash(hash.as_ref()), &[b"a"]).is_empty());
        assert!(fetched(Value::Str(Str::of(b"text")), &[b"a"]).is_empty());
        let empty = Hash::large(&Limits::default());
        assert!(fetched(Value::Hash(empty.as_ref()), &[]).is_empty());
        fetched(Value::Hash(empty.as_ref()), &[b"a", b"b"]);
    }
}
