//! Replies in pieces of any size against the same replies in one.

use baton_resp::Proto;
use baton_store::{DbIndex, Expire, Expiry, StoreSettings};
use baton_values::{FieldValue, Hash, Limits, List, Set, Str, Stream, StreamId, ZSet};
use proptest::prelude::*;

use super::*;

const NOW: WallMs = WallMs(1000);
const SHOWN: [Shown; 6] = [Shown::Elements, Shown::Names, Shown::Values, Shown::Pairs, Shown::Nested, Shown::Flat];

/// Limits under which large forms begin at a few elements.
fn limits(small: bool) -> Limits {
    if small { Limits::default() } else { Limits { set_ints: 2, set_entries: 2, hash_entries: 2, ..Limits::default() } }
}

/// A value with so many elements, some of them `bulk` bytes long.
fn value(kind: u8, count: u64, bulk: usize, small: bool) -> Collection {
    let limits = limits(small);
    let text = |n: u64| if n % 7 == 3 { vec![b'x'; bulk] } else { n.to_string().into_bytes() };
    match kind {
        0 => {
            let mut list = List::default();
            for n in 0..count {
                list.expect(1, text(n).len(), &limits);
                list.push_back(&text(n));
            }
            Collection::List(list)
        }
        1 => {
            let mut set = Set::default();
            for n in 0..count {
                set.add(Str::Int(n as i64 * 3), &limits);
            }
            Collection::Set(set)
        }
        2 => {
            let mut set = Set::default();
            for n in 0..count {
                set.add(Str::of(format!("m{n}").as_bytes()), &limits);
            }
            Collection::Set(set)
        }
        3 => {
            let mut hash = Hash::default();
            for n in 0..count {
                let expire_at = (n % 5 == 1).then_some(WallMs(n * 10));
                hash.put(Str::Int(n as i64), FieldValue { text: Str::of(&text(n)), expire_at }, &limits);
            }
            Collection::Hash(hash)
        }
        4 => {
            let mut zset = ZSet::default();
            for n in 0..count {
                zset.put(format!("m{n}").as_bytes(), n as f64 / 3.0, &limits);
            }
            Collection::ZSet(zset)
        }
        _ => {
            let mut stream = Stream::default();
            for n in 0..count {
                stream.append(StreamId::new(1 + n / 3, 1 + n % 3), &[b"f", &text(n)], &limits);
            }
            for n in (0..count).step_by(4) {
                stream.delete(StreamId::new(1 + n / 3, 1 + n % 3));
            }
            Collection::Stream(stream)
        }
    }
}

fn len(value: &Collection) -> u64 {
    match value.as_value() {
        Value::List(list) => list.len(),
        Value::Set(set) => set.len(),
        Value::Hash(hash) => hash.len(),
        Value::ZSet(zset) => zset.len(),
        Value::Stream(stream) => stream.len(),
        _ => 0,
    }
}

/// Changes a value so that nothing of what it was is left in it.
fn spoil(value: &mut Collection) {
    match value {
        Collection::List(list) => list.remove(0..u64::MAX, &limits(true)),
        Collection::ZSet(zset) => zset.remove_ranks(0..zset.len()),
        Collection::Set(set) => (0..set.len()).for_each(|_| set.remove_at(0)),
        other => *other = Collection::List(List::default()),
    }
}

proptest! {
    #[test]
    fn pieces_make_the_whole(
        kind in 0u8..6,
        count in 0u64..300,
        bulk in 0usize..200,
        small: bool,
        resp3: bool,
        shown in prop::sample::select(SHOWN.to_vec()),
        backwards: bool,
        from in 0.0..1.0f64,
        to in 0.0..=1.0f64,
        rooms in prop::collection::vec((1usize..400, 1u64..40), 1..8),
    ) {
        let mut original = value(kind, count, bulk, small);
        let backwards = backwards && kind >= 4;
        let len = len(&original);
        let (from, to) = ((from * len as f64) as u64, (to * len as f64) as u64);
        let elements = Elements { shown, ranks: from.min(to)..to, backwards, seen_at: Some(NOW) };
        let proto = if resp3 { Proto::V3 } else { Proto::V2 };
        let mut whole = Out::new(proto);
        elements.clone().write(original.as_value(), &mut whole, Room::ENDLESS);
        let (copy, mut elements) = (original.clone(), elements);
        spoil(&mut original);
        let mut pieces = Out::new(proto);
        let mut rooms = rooms.iter().cycle();
        while !elements.ranks.is_empty() {
            let (bytes, most) = *rooms.next().expect("there is one");
            let (left, before) = (elements.ranks.clone(), pieces.buf.len());
            elements.write(copy.as_value(), &mut pieces, Room { bytes, elements: most });
            prop_assert!(elements.ranks != left, "no piece is empty");
            prop_assert!(pieces.buf.len() - before <= bytes + bulk + 150, "a piece keeps its bound");
        }
        prop_assert_eq!(whole.buf, pieces.buf);
    }

    #[test]
    fn keys_are_found_once_while_others_come_and_go(
        kept in prop::collection::btree_set("[a-z]{1,3}", 1..150),
        goes in prop::collection::vec("[A-Z]{1,2}", 0..300),
        rooms in prop::collection::vec((1usize..100, 1u64..40), 1..8),
        tagged: bool,
    ) {
        let store = Store::new(StoreSettings { databases: 1, seed: 7 });
        let name = |text: &str| if tagged { format!("{{t}}{text}") } else { text.to_owned() };
        let change = |text: &str, there: bool| {
            let name = name(text);
            let key = store.key(name.as_bytes());
            let mut view = store.view(key.slot, DbIndex(0), NOW, Expiry::Delete);
            if there { view.set_str(&key, b"v", Expire::Never) } else { view.remove(&key); }
        };
        kept.iter().for_each(|text| change(text, true));
        goes.iter().for_each(|text| change(text, true));
        let mut going = goes.iter();
        let pattern: &[u8] = if tagged { b"{t}[a-z]*" } else { b"[a-z]*" };
        let mut search = KeySearch::new(DbIndex(0), NOW, pattern, None);
        let (mut out, mut rooms) = (Out::new(Proto::V2), rooms.iter().cycle());
        while !search.is_over() {
            let (bytes, elements) = *rooms.next().expect("there is one");
            search.write(&store, &mut out, Room { bytes, elements: 4 * elements }).expect("nobody holds a slot");
            going.by_ref().take(20).for_each(|text| change(text, false));
        }
        let mut found = Vec::new();
        let text = String::from_utf8(out.buf).expect("names are text");
        found.extend(text.lines().skip(1).filter(|line| !line.starts_with('$')).map(str::to_owned));
        found.sort();
        let mut expected: Vec<String> = kept.iter().map(|text| name(text)).collect();
        expected.sort();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_long_text_is_as_it_was() {
    let store = Store::new(StoreSettings { databases: 1, seed: 7 });
    let key = store.key(b"key");
    let long: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
    let mut view = store.view(key.slot, DbIndex(0), NOW, Expiry::Delete);
    view.set_str(&key, &long, Expire::Never);
    let mut rest = LongReply(Rest::Text(view.shared_text(&key).expect("it is long"), 0));
    view.set_range(&key, 5, b"changed");
    drop(view);
    let (mut out, mut pieces) = (Out::new(Proto::V2), 0);
    while !rest.is_over() {
        rest.write_piece(&store, &mut out);
        pieces += 1;
    }
    assert!(pieces > 3);
    assert_eq!(out.buf, [&long[..], b"\r\n"].concat());
}
