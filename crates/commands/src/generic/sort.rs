//! SORT: the elements of a list, a set or a sorted set in the order of themselves or of what other keys hold. Patterns name
//! those keys, so that nobody can tell before which they are: a request with patterns runs while the world stands still,
//! except in a cluster, where patterns may name keys of one slot only.

use std::cmp::Ordering;

use baton_base::{Slot, num};
use baton_resp::Args;
use baton_store::{CollectionType as _, Expire, Value};
use baton_values::{List, Str, ZSetRef};

use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::key_spec::key_flags;
use crate::number::int;
use crate::scan_filter::only_slot;
use crate::{KeyPosition, KeyPositions};

type Text = Box<[u8]>;

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

/// What an element is sorted by.
#[derive(Debug)]
enum Weight {
    Number(f64),
    Text(Option<Text>),
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
    let unsorted = options.by.is_some_and(|by| !by.contains(&b'*'));
    let (elements, is_set) = match x.view.read(&key, x.touch).map(|entry| entry.value) {
        None => (Vec::new(), false),
        Some(value) => elements_of(value, unsorted, &options)?,
    };
    // What goes to replicas or into a script must not depend on the order in which a set is kept.
    let sorted = if unsorted && !(is_set && (options.store.is_some() || x.in_script)) {
        elements
    } else {
        in_order(x, elements, &options, unsorted)?
    };
    let start = usize::try_from(options.offset).unwrap_or(0).min(sorted.len());
    let count = usize::try_from(options.count).unwrap_or(usize::MAX).min(sorted.len() - start);
    let mut result = Vec::with_capacity(count * options.get.len().max(1));
    for element in &sorted[start..start + count] {
        if options.get.is_empty() {
            result.push(Some(element.clone()));
        }
        for pattern in &options.get {
            result.push(look_up(x, pattern, element));
        }
    }
    match options.store {
        Some(arg) => store(x, arg, &result),
        None => {
            x.out.array(result.len());
            result.iter().for_each(|text| match text {
                Some(text) => x.out.bulk(text),
                None => x.out.null(),
            });
        }
    }
    Ok(())
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

/// All elements, and whether they are a set's. Where there is nothing to sort by, those of lists and sorted sets are in
/// their own order.
fn elements_of(value: Value<'_>, unsorted: bool, options: &Options<'_>) -> Result<(Vec<Text>, bool), Fail> {
    let owned = |text: Str<'_>| Text::from(text.bytes(&mut itoa::Buffer::new()));
    let (mut elements, is_set): (Vec<Text>, bool) = match value {
        Value::List(list) => (list.iter_from(0).map(owned).collect(), false),
        Value::Set(set) => (set.iter().map(owned).collect(), true),
        Value::ZSet(zset) => (ZSetRef::iter_from(zset, 0).map(|scored| owned(scored.member)).collect(), false),
        _ => return Err(Fail::WrongType),
    };
    if unsorted && options.is_descending && !is_set {
        elements.reverse();
    }
    Ok((elements, is_set))
}

/// The elements in the order that is asked for. A set that is stored unsorted is sorted by its members all the same: its
/// own order is not the same everywhere.
fn in_order(
    x: &mut Exec<'_, '_>,
    elements: Vec<Text>,
    options: &Options<'_>,
    by_member: bool,
) -> Result<Vec<Text>, Fail> {
    let is_alpha = options.is_alpha || by_member;
    let by = options.by.filter(|_| !by_member);
    let mut weighed = Vec::with_capacity(elements.len());
    for element in elements {
        let found = by.map(|by| look_up(x, by, &element));
        let weight = match found {
            Some(text) if is_alpha => Weight::Text(text),
            Some(Some(text)) => Weight::Number(weight_of(&text)?),
            Some(None) => Weight::Number(0.0),
            None if is_alpha => Weight::Text(Some(element.clone())),
            None => Weight::Number(weight_of(&element)?),
        };
        weighed.push((weight, element));
    }
    let compare = |a: &(Weight, Text), b: &(Weight, Text)| match (&a.0, &b.0) {
        (Weight::Number(m), Weight::Number(n)) => {
            m.partial_cmp(n).unwrap_or(Ordering::Equal).then_with(|| a.1.cmp(&b.1))
        }
        (Weight::Text(m), Weight::Text(n)) => m.cmp(n),
        _ => Ordering::Equal,
    };
    if options.is_descending {
        weighed.sort_by(|a, b| compare(b, a));
    } else {
        weighed.sort_by(compare);
    }
    Ok(weighed.into_iter().map(|(_, element)| element).collect())
}

fn weight_of(text: &[u8]) -> Result<f64, Fail> {
    num::parse_f64(text).ok_or(Fail::Text("ERR One or more scores can't be converted into double"))
}

/// What a pattern stands for: the element itself, or what the key holds whose name has the element in the place of the
/// star; with `->`, a field of the hash there.
fn look_up(x: &mut Exec<'_, '_>, pattern: &[u8], element: &[u8]) -> Option<Text> {
    if pattern == b"#" {
        return Some(element.into());
    }
    let star = pattern.iter().position(|byte| *byte == b'*')?;
    let (before, after) = (&pattern[..star], &pattern[star + 1..]);
    let arrow = after.windows(2).position(|pair| pair == b"->").filter(|at| at + 2 < after.len());
    let (after, field) = match arrow {
        Some(at) => (&after[..at], Some(&after[at + 2..])),
        None => (after, None),
    };
    let name = [before, element, after].concat();
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
fn store(x: &mut Exec<'_, '_>, arg: usize, result: &[Option<Text>]) {
    let name = x.args.at(arg);
    let key = x.keys.iter().find(|key| key.bytes == name).copied().unwrap_or_else(|| x.view.key(name));
    let limits = x.limits();
    if result.is_empty() {
        if x.view.remove(&key) {
            x.notify(EventClass::GENERIC, "del", &key);
        }
    } else {
        let mut list = List::default();
        for text in result {
            let text = text.as_deref().unwrap_or_default();
            list.expect(1, text.len(), &limits);
            list.push_back(text);
        }
        x.notify_if_new(&key);
        x.view.put_collection(&key, list.into_collection(), Expire::Never);
        x.notify(EventClass::LIST, "sortstore", &key);
    }
    x.out.int(result.len() as i64);
}
