//! SORT: the elements of a list, a set or a sorted set in the order of themselves or of what other keys hold. Patterns name
//! those keys, so that nobody can tell before which they are: a request with patterns runs while the world stands still,
//! except in a cluster, where patterns may name keys of one slot only.

use std::mem::take;
use std::ops::Range;

use baton_base::{Slot, num, sort_key};
use baton_resp::Args;
use baton_store::{CollectionType as _, Expire, Value};
use baton_values::{List, Listpack, Scored, Str};

use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::key_spec::key_flags;
use crate::number::int;
use crate::scan_filter::only_slot;
use crate::{KeyPosition, KeyPositions};

type Text = Box<[u8]>;

/// Bytes of elements that are put into a long list at a time.
const PACK_BYTES: usize = 1536;

/// What the arguments ask for.
#[derive(Debug)]
struct Options<'a> {
    /// Pattern of the keys whose values say the order; without a star there is no order.
    by: Option<&'a [u8]>,
    /// Patterns of what is replied for each element.
    get: Vec<&'a [u8]>,
    offset: i64,
    /// All from the offset on if negative.
    count: i64,
    is_descending: bool,
    is_alpha: bool,
    /// The argument that is the key to store in.
    store: Option<usize>,
}

/// An element and what it is sorted by, as far as that fits into a number.
#[derive(Clone, Copy)]
struct Weighed<'t> {
    key: u64,
    /// How many came before it.
    nth: usize,
    text: &'t [u8],
}

/// SORT key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA] [STORE destination].
pub(crate) fn sort(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    run(x, true)
}

/// SORT_RO: SORT without STORE.
pub(crate) fn sort_ro(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    run(x, false)
}

/// The keys of SORT that are named: of several to store in the last one counts.
pub(crate) fn sort_keys(args: Args<'_>) -> KeyPositions {
    let mut keys = KeyPositions::new();
    keys.push(KeyPosition { index: 1, flags: key_flags!(RO | ACCESS) });
    let (mut store, mut at) = (None, 2);
    while at < args.len() {
        let word = &args[at];
        if word.eq_ignore_ascii_case(b"LIMIT") {
            at += 2;
        } else if word.eq_ignore_ascii_case(b"GET") || word.eq_ignore_ascii_case(b"BY") {
            at += 1;
        } else if word.eq_ignore_ascii_case(b"STORE") && at + 1 < args.len() {
            at += 1;
            store = Some(at);
        }
        at += 1;
    }
    keys.extend(store.map(|at| KeyPosition { index: at as u32, flags: key_flags!(OW | UPDATE) }));
    keys
}

/// Whether a request may look at keys that it doesn't name.
pub(crate) fn sort_has_patterns(args: Args<'_>) -> bool {
    let is_option = |word: &[u8]| word.eq_ignore_ascii_case(b"GET") || word.eq_ignore_ascii_case(b"BY");
    (2..args.len()).any(|i| args[i].contains(&b'*') && is_option(&args[i - 1]))
}

/// The first option by which SORT looks at keys that it doesn't name; none if it doesn't, or if its arguments are refused before
/// it comes to that.
pub fn sort_option_of_other_keys(args: Args<'_>) -> Option<&'static str> {
    let is = |at: usize, word: &str| args.get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
    let mut at = 2;
    while at < args.len() {
        let more = args.len() - at - 1;
        at += match more {
            _ if is(at, "ASC") || is(at, "DESC") || is(at, "ALPHA") => 1,
            2.. if is(at, "LIMIT") => 3,
            1.. if is(at, "BY") && args[at + 1].contains(&b'*') => return Some("BY"),
            1.. if is(at, "GET") => return Some("GET"),
            1.. if is(at, "BY") || is(at, "STORE") => 2,
            _ => return None,
        };
    }
    None
}

fn run(x: &mut Exec<'_, '_>, may_store: bool) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let options = Options::parse(x.args, may_store, x.env.cluster.then_some(key.slot))?;
    let value = match x.view.read(&key, x.touch).map(|entry| entry.value) {
        None => List::default().into_collection(),
        Some(value) => value.to_collection().ok_or(Fail::WrongType)?,
    };
    let unsorted = options.by.is_some_and(|by| !by.contains(&b'*'));
    // What goes to replicas or into a script must not depend on the order in which a set is kept.
    let is_random = matches!(value.as_value(), Value::Set(_)) && (options.store.is_some() || x.in_script);
    let mut spelled = Vec::new();
    let result = if unsorted && !is_random {
        texts(&elements_of(value.as_value(), Some(&options))?, &mut spelled)
    } else {
        let elements = elements_of(value.as_value(), None)?;
        let texts = texts(&elements, &mut spelled);
        in_order(x, &elements, &texts, &options, unsorted)?
    };
    match options.store {
        Some(arg) => store(x, arg, &result, &options),
        None => {
            x.out.array(result.len() * options.get.len().max(1));
            each_part(x, &result, &options, |x, part| match part {
                Some(text) => x.out.bulk(text),
                None => x.out.null(),
            });
        }
    }
    Ok(())
}

/// What is replied or stored, one by one: the elements, or what the patterns find for each.
fn each_part(
    x: &mut Exec<'_, '_>,
    result: &[&[u8]],
    options: &Options<'_>,
    mut each: impl FnMut(&mut Exec<'_, '_>, Option<&[u8]>),
) {
    for near in result.chunks(PREFETCHED) {
        options.get.iter().for_each(|pattern| prefetch(x, pattern, near));
        for element in near {
            if options.get.is_empty() {
                each(x, Some(element));
            }
            for pattern in &options.get {
                let found = look_up(x, pattern, element);
                each(x, found.as_deref());
            }
        }
    }
}

impl<'a> Options<'a> {
    /// Reads the arguments. In a cluster, patterns have to be of the slot of the key.
    fn parse(args: Args<'a>, may_store: bool, slot: Option<Slot>) -> Result<Options<'a>, Fail> {
        let mut options = Options {
            by: None,
            get: Vec::new(),
            offset: 0,
            count: -1,
            is_descending: false,
            is_alpha: false,
            store: None,
        };
        let is_elsewhere = |pattern: &[u8]| slot.is_some_and(|slot| slot_of(pattern) != Some(slot));
        let mut at = 2;
        while let Some(word) = args.get(at) {
            let more = args.len() - at - 1;
            match word {
                _ if word.eq_ignore_ascii_case(b"ASC") => options.is_descending = false,
                _ if word.eq_ignore_ascii_case(b"DESC") => options.is_descending = true,
                _ if word.eq_ignore_ascii_case(b"ALPHA") => options.is_alpha = true,
                _ if word.eq_ignore_ascii_case(b"LIMIT") && more >= 2 => {
                    (options.offset, options.count) = (int(args.at(at + 1))?, int(args.at(at + 2))?);
                    at += 2;
                }
                _ if may_store && word.eq_ignore_ascii_case(b"STORE") && more >= 1 => {
                    options.store = Some(at + 1);
                    at += 1;
                }
                _ if word.eq_ignore_ascii_case(b"BY") && more >= 1 => {
                    let by = args.at(at + 1);
                    if by.contains(&b'*') && is_elsewhere(by) {
                        return Err(Fail::Text(BY_ELSEWHERE));
                    }
                    options.by = Some(by);
                    at += 1;
                }
                _ if word.eq_ignore_ascii_case(b"GET") && more >= 1 => {
                    let get = args.at(at + 1);
                    if get != b"#" && is_elsewhere(get) {
                        return Err(Fail::Text(GET_ELSEWHERE));
                    }
                    options.get.push(get);
                    at += 1;
                }
                _ => return Err(Fail::Syntax),
            }
            at += 1;
        }
        Ok(options)
    }

    /// The places, of so many in order, of what is asked for.
    fn range(&self, len: usize) -> Range<usize> {
        let start = usize::try_from(self.offset).unwrap_or(0).min(len);
        let count = usize::try_from(self.count).unwrap_or(usize::MAX).min(len - start);
        start..start + count
    }
}

/// The slot of all keys that a pattern can name, if it is one.
fn slot_of(pattern: &[u8]) -> Option<Slot> {
    let is_name = !pattern.iter().any(|byte| b"*?[\\".contains(byte));
    if is_name { Some(Slot::of_key(pattern)) } else { only_slot(pattern) }
}

const BY_ELSEWHERE: &str =
    "ERR BY option of SORT denied in Cluster mode when keys formed by the pattern may be in different slots.";
const GET_ELSEWHERE: &str =
    "ERR GET option of SORT denied in Cluster mode when keys formed by the pattern may be in different slots.";

/// The elements in their own order: all, or those that are asked for where there is nothing to sort by. Then those of lists
/// and sorted sets may be asked for from the end.
fn elements_of<'v>(value: Value<'v>, asked: Option<&Options<'_>>) -> Result<Vec<Str<'v>>, Fail> {
    let members = |scored: Scored<'v>| scored.member;
    let len = match value {
        Value::List(list) => list.len(),
        Value::Set(set) => set.len(),
        Value::ZSet(zset) => zset.len(),
        _ => return Err(Fail::WrongType),
    };
    let range = asked.map_or(0..len as usize, |options| options.range(len as usize));
    let (first, count) = (range.start as u64, range.len());
    // Where the elements are taken from the end, this is the first of them.
    let back = len.saturating_sub(first + 1);
    Ok(match (value, asked.is_some_and(|options| options.is_descending)) {
        _ if count == 0 => Vec::new(),
        (Value::List(list), false) => list.iter_from(first).take(count).collect(),
        (Value::List(list), true) => list.iter_back_from(back).take(count).collect(),
        (Value::ZSet(zset), false) => zset.iter_from(first).map(members).take(count).collect(),
        (Value::ZSet(zset), true) => zset.iter_back_from(back).map(members).take(count).collect(),
        (Value::Set(set), _) => set.iter_from(first).take(count).collect(),
        _ => Vec::new(),
    })
}

/// The elements as bytes, of which integers are spelled out.
fn texts<'t>(elements: &[Str<'t>], spelled: &'t mut Vec<u8>) -> Vec<&'t [u8]> {
    let mut lengths = Vec::new();
    for element in elements {
        if let Str::Int(n) = element {
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(*n).as_bytes();
            spelled.extend_from_slice(digits);
            lengths.push(digits.len());
        }
    }
    let (mut spelled, mut lengths): (&'t [u8], _) = (spelled, lengths.into_iter());
    let bytes = |element: &Str<'t>| match *element {
        Str::Bytes(text) => text,
        Str::Int(_) => {
            let (text, rest) = spelled.split_at(lengths.next().unwrap_or(0));
            spelled = rest;
            text
        }
    };
    elements.iter().map(bytes).collect()
}

/// The elements that are asked for, in the order that is asked for. A set that is stored unsorted is sorted by its members
/// all the same: its own order is not the same everywhere.
fn in_order<'t>(
    x: &mut Exec<'_, '_>,
    elements: &[Str<'t>],
    texts: &[&'t [u8]],
    options: &Options<'_>,
    by_member: bool,
) -> Result<Vec<&'t [u8]>, Fail> {
    let by = options.by.filter(|_| !by_member);
    let mut keys: Vec<u64> = Vec::with_capacity(texts.len());
    // The texts that other keys hold, where they are what is sorted by.
    let mut found: Vec<Option<Text>> = Vec::new();
    match (by, options.is_alpha || by_member) {
        (None, true) => {
            let common = sort_key::common_len(texts.iter().copied());
            keys.extend(texts.iter().map(|text| sort_key::of_text(text, common)));
        }
        (None, false) => {
            for element in elements {
                keys.push(sort_key::of_f64(weight_of(*element)?));
            }
        }
        (Some(by), true) => {
            for near in texts.chunks(PREFETCHED) {
                prefetch(x, by, near);
                found.extend(near.iter().map(|text| look_up(x, by, text)));
            }
            let common = sort_key::common_len(found.iter().flatten().map(|text| &text[..]));
            keys.extend(found.iter().map(|text| text.as_ref().map_or(0, |text| sort_key::of_text(text, common))));
        }
        (Some(by), false) => {
            for near in texts.chunks(PREFETCHED) {
                prefetch(x, by, near);
                for text in near {
                    let weight = look_up(x, by, text).map_or(Ok(0.0), |found| weight_of(Str::Bytes(&found)))?;
                    keys.push(sort_key::of_f64(weight));
                }
            }
        }
    }
    let weighed = keys.into_iter().zip(texts).enumerate().map(|(nth, (key, text))| Weighed { key, nth, text });
    // Numbers that are the same are told apart by their elements, texts of other keys by their places.
    let by_rest = |a: &Weighed<'_>, b: &Weighed<'_>| match (found.get(a.nth), found.get(b.nth)) {
        (Some(a), Some(b)) => a.cmp(b),
        _ => a.text.cmp(b.text),
    };
    let order = |a: &Weighed<'_>, b: &Weighed<'_>| {
        let order = a.key.cmp(&b.key).then_with(|| by_rest(a, b));
        let order = if options.is_descending { order.reverse() } else { order };
        order.then_with(|| a.nth.cmp(&b.nth))
    };
    let range = options.range(texts.len());
    let mut weighed: Vec<Weighed<'t>> = weighed.collect();
    if range.end < weighed.len() {
        weighed.select_nth_unstable_by(range.end, order);
        weighed.truncate(range.end);
    }
    weighed.sort_unstable_by(order);
    Ok(weighed[range].iter().map(|element| element.text).collect())
}

fn weight_of(text: Str<'_>) -> Result<f64, Fail> {
    match text {
        Str::Int(n) => Ok(n as f64),
        Str::Bytes(text) => {
            // As upstream, up to a zero byte.
            let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
            num::parse_f64(text).ok_or(Fail::Text("ERR One or more scores can't be converted into double"))
        }
    }
}

/// The name of the key that a pattern and an element make, and the field that is asked for there; none if there is no star.
fn name_of<'p>(pattern: &'p [u8], element: &[u8]) -> Option<(Vec<u8>, Option<&'p [u8]>)> {
    let star = pattern.iter().position(|byte| *byte == b'*')?;
    let (before, after) = (&pattern[..star], &pattern[star + 1..]);
    let arrow = after.windows(2).position(|pair| pair == b"->").filter(|at| at + 2 < after.len());
    let (after, field) = match arrow {
        Some(at) => (&after[..at], Some(&after[at + 2..])),
        None => (after, None),
    };
    Some(([before, element, after].concat(), field))
}

/// Brings what a pattern stands for on its way, for a few elements at a time, so that the waits for memory overlap.
fn prefetch(x: &Exec<'_, '_>, pattern: &[u8], elements: &[&[u8]]) {
    let names: Vec<Vec<u8>> =
        elements.iter().filter_map(|element| name_of(pattern, element)).map(|(name, _)| name).collect();
    let (store, db) = (x.view.store(), x.view.db());
    let keys: Vec<_> = names.iter().map(|name| x.view.key(name)).collect();
    store.prefetch(db, keys.iter());
}

/// Elements whose keys are fetched at a time.
const PREFETCHED: usize = 32;

/// What a pattern stands for: the element itself, or what the key holds whose name has the element in the place of the
/// star; with `->`, a field of the hash there.
fn look_up(x: &mut Exec<'_, '_>, pattern: &[u8], element: &[u8]) -> Option<Text> {
    if pattern == b"#" {
        return Some(element.into());
    }
    let (name, field) = name_of(pattern, element)?;
    let key = x.view.key(&name);
    let seen_at = x.view.elements_seen_at();
    let text = match (x.view.read(&key, x.touch)?.value, field) {
        (Value::Str(text), None) => text,
        (Value::Hash(hash), Some(field)) => hash.live(seen_at).get(Str::of(field))?.text,
        _ => return None,
    };
    Some(text.bytes(&mut itoa::Buffer::new()).into())
}

/// Puts the result in the place of whatever the key holds; what was not found is stored as an empty element.
fn store(x: &mut Exec<'_, '_>, arg: usize, result: &[&[u8]], options: &Options<'_>) {
    let name = x.args.at(arg);
    let key = x.keys.iter().find(|key| key.bytes == name).copied().unwrap_or_else(|| x.view.key(name));
    let limits = x.limits();
    let (mut list, mut pack) = (List::default(), Listpack::new());
    each_part(x, result, options, |_, part| {
        let text = part.unwrap_or_default();
        if matches!(list, List::Packed(_)) {
            list.expect(1, text.len(), &limits);
            list.push_back(text);
            return;
        }
        // Many at a time are less work.
        pack.push(text);
        if pack.as_ref().bytes().len() >= PACK_BYTES {
            list.append_pack(take(&mut pack), &limits);
        }
    });
    if !pack.as_ref().is_empty() {
        list.append_pack(pack, &limits);
    }
    let len = list.len();
    if len > 0 {
        x.notify_if_new(&key);
        x.view.put_collection(&key, list.into_collection(), Expire::Never);
        x.notify(EventClass::LIST, "sortstore", &key);
    } else if x.view.remove(&key) {
        x.notify(EventClass::GENERIC, "del", &key);
    }
    x.out.int(len as i64);
}
