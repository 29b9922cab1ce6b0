//! Streams against a naive twin, and what is refused of nodes from outside.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::text::Str;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Entries, the naive way.
#[derive(Clone, Default)]
struct Twin {
    entries: BTreeMap<StreamId, Fields>,
    last_id: StreamId,
    max_deleted_id: StreamId,
    added: u64,
}

fn limits(entries: usize) -> Limits {
    Limits { stream_node_entries: entries, stream_node_bytes: 300, ..Limits::default() }
}

fn owned(entry: StreamEntry<'_>) -> (StreamId, Fields) {
    (entry.id, entry.fields().map(|(name, value)| (name.to_vec(), value.to_vec())).collect())
}

fn all(stream: &Stream) -> Vec<(StreamId, Fields)> {
    stream.range(StreamId::MIN, StreamId::MAX).map(owned).collect()
}

fn add(stream: &mut Stream, id: StreamId, fields: &Fields, limits: &Limits) {
    let flat: Vec<&[u8]> = fields.iter().flat_map(|(name, value)| [&name[..], &value[..]]).collect();
    stream.append(id, &flat, limits);
}

/// All nodes, read again as if they came from a file.
fn reloaded(stream: &Stream) -> Stream {
    let mut copy = Stream::default();
    for (base, pack) in stream.nodes() {
        let pack = Listpack::from_bytes(pack.bytes().to_vec()).expect("a listpack");
        copy.push_node(base, pack).expect("a node");
    }
    copy
}

fn check(stream: &Stream, twin: &Twin) {
    let entries: Vec<_> = twin.entries.iter().map(|(id, fields)| (*id, fields.clone())).collect();
    assert_eq!(all(stream), entries);
    let back: Vec<_> = stream.range_back(StreamId::MAX, StreamId::MIN).map(owned).collect();
    assert!(back.iter().rev().eq(entries.iter()));
    assert_eq!(stream.len(), entries.len() as u64);
    assert_eq!(stream.node_count(), stream.nodes().count() as u64);
    assert_eq!((stream.last_id(), stream.entries_added()), (twin.last_id, twin.added));
    assert_eq!(stream.max_deleted_id(), twin.max_deleted_id);
    assert_eq!(stream.first_id(), twin.entries.keys().next().copied().unwrap_or_default());
    let again = reloaded(stream);
    assert_eq!(all(&again), entries);
    assert_eq!((again.node_count(), again.first_id()), (stream.node_count(), stream.first_id()));
}

#[derive(Clone, Debug)]
enum Step {
    Add { ms: u64, seq: u64, names: usize, value: u16 },
    Delete(usize),
    TrimLen(u64),
    TrimId(usize),
    TrimNodes { len: u64, limit: u64 },
    Keep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let add = || {
        (0u64..3, 0u64..200, 1usize..4, any::<u16>()).prop_map(|(ms, seq, names, value)| Step::Add {
            ms,
            seq,
            names,
            value,
        })
    };
    let one = prop_oneof![
        12 => add(),
        3 => (0usize..1000).prop_map(Step::Delete),
        1 => (0u64..100).prop_map(Step::TrimLen),
        1 => (0usize..1000).prop_map(Step::TrimId),
        1 => (0u64..100, 0u64..50).prop_map(|(len, limit)| Step::TrimNodes { len, limit }),
        1 => Just(Step::Keep),
    ];
    proptest::collection::vec(one, 0..400)
}

fn some_id(twin: &Twin, nth: usize) -> Option<StreamId> {
    twin.entries.keys().nth(nth % twin.entries.len().max(1)).copied()
}

fn run(stream: &mut Stream, twin: &mut Twin, step: &Step, limits: &Limits) {
    let trim = |to| StreamTrim { to, approximately: false, limit: 0 };
    match *step {
        Step::Add { ms, seq, names, value } => {
            // A time that jumps makes numbers smaller than the base's.
            let id = match ms {
                0 => twin.last_id.plus((0, 1 + seq as i64)),
                _ => StreamId::new(twin.last_id.ms + ms, seq),
            };
            let fields: Fields = (0..names)
                .map(|i| {
                    (format!("name{}", i + usize::from(value % 5 == 0)).into_bytes(), value.to_string().into_bytes())
                })
                .collect();
            add(stream, id, &fields, limits);
            twin.entries.insert(id, fields);
            (twin.last_id, twin.added) = (id, twin.added + 1);
        }
        Step::Delete(nth) => match some_id(twin, nth) {
            Some(id) => {
                assert!(stream.delete(id));
                assert!(!stream.delete(id));
                twin.entries.remove(&id);
                twin.max_deleted_id = twin.max_deleted_id.max(id);
            }
            None => assert!(!stream.delete(StreamId::new(1, 1))),
        },
        Step::TrimLen(len) => {
            let gone = twin.entries.len().saturating_sub(len as usize);
            assert_eq!(stream.trim(trim(TrimTo::Len(len))), gone as u64);
            (0..gone).for_each(|_| drop(twin.entries.pop_first()));
        }
        Step::TrimId(nth) => {
            let id = some_id(twin, nth).unwrap_or(StreamId::MAX);
            let gone = twin.entries.range(..id).count();
            assert_eq!(stream.trim(trim(TrimTo::Id(id))), gone as u64);
            twin.entries = twin.entries.split_off(&id);
        }
        Step::TrimNodes { len, limit } => {
            let gone = stream.trim(StreamTrim { to: TrimTo::Len(len), approximately: true, limit });
            assert!(limit == 0 || gone <= limit);
            (0..gone).for_each(|_| drop(twin.entries.pop_first()));
            assert!(gone == 0 || twin.entries.len() as u64 >= len);
        }
        Step::Keep => {}
    }
}

proptest! {
    #[test]
    fn as_a_map_would_do(steps in steps(), node_entries in 1usize..20) {
        let limits = limits(node_entries);
        let (mut stream, mut twin, mut kept) = (Stream::default(), Twin::default(), None);
        for step in &steps {
            run(&mut stream, &mut twin, step, &limits);
            if matches!(step, Step::Keep) {
                check(&stream, &twin);
                kept = Some((stream.clone(), twin.clone()));
            }
            if let Some(id) = some_id(&twin, 7) {
                prop_assert_eq!(stream.get(id).map(owned), Some((id, twin.entries[&id].clone())));
            }
        }
        for (stream, twin) in kept.iter().chain([&(stream, twin)]) {
            check(stream, twin);
            for (from, to) in [(3, 90), (50, 51), (90, 3)] {
                let (from, to) = (some_id(twin, from).unwrap_or_default(), some_id(twin, to).unwrap_or_default());
                let expected: Vec<_> = match from <= to {
                    true => twin.entries.range(from..=to).map(|(id, fields)| (*id, fields.clone())).collect(),
                    false => Vec::new(),
                };
                prop_assert_eq!(stream.range(from, to).map(owned).collect::<Vec<_>>(), expected.clone());
                let back: Vec<_> = stream.range_back(to, from).map(owned).collect();
                prop_assert!(back.iter().rev().eq(expected.iter()));
            }
        }
    }

    #[test]
    fn spoilt_nodes_are_refused_or_walked(
        entries in proptest::collection::vec((0u64..3, 0u64..9), 1..8),
        at in any::<prop::sample::Index>(),
        to in prop::sample::select(vec![0u8, 1, 2, 3, 4, 5, 6, 0x7f, 0x81, 0xc0, 0xf1, 0xff]),
    ) {
        let mut stream = Stream::default();
        for (ms, seq) in entries {
            let id = StreamId::new(stream.last_id().ms + ms, stream.last_id().seq + 1 + seq);
            stream.append(id, &[b"a", b"1", b"b", b"22"], &limits(100));
        }
        let (base, pack) = stream.nodes().next().expect("one node");
        let mut bytes = pack.bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(pack) = Listpack::from_bytes(bytes) {
            let mut spoilt = Stream::default();
            if spoilt.push_node(base, pack).is_ok() {
                let ids: Vec<_> = all(&spoilt).into_iter().map(|(id, _)| id).collect();
                prop_assert!(ids.is_sorted());
                prop_assert_eq!(ids.len() as u64, spoilt.len());
                prop_assert_eq!(spoilt.range_back(StreamId::MAX, StreamId::MIN).count(), ids.len());
                ids.iter().for_each(|id| assert!(spoilt.delete(*id)));
            }
        }
    }
}

/// `XADD s 5-1 a 1 b 2`, `XADD s 5-3 a x b y`, `XADD s 6-0 c 3`, `XDEL s 5-1`.
#[test]
fn a_node_as_files_have_it() {
    let mut stream = Stream::default();
    stream.append(StreamId::new(5, 1), &[b"a", b"1", b"b", b"2"], &Limits::default());
    stream.append(StreamId::new(5, 3), &[b"a", b"x", b"b", b"y"], &Limits::default());
    stream.append(StreamId::new(6, 0), &[b"c", b"3"], &Limits::default());
    stream.delete(StreamId::new(5, 1));
    let (base, pack) = stream.nodes().next().expect("one node");
    assert_eq!(base, StreamId::new(5, 1));
    let texts = pack.iter().map(|text| String::from_utf8(text.to_vec()).expect("plain")).collect::<Vec<_>>().join(" ");
    assert_eq!(texts, "2 1 2 a b 0 3 0 0 1 2 5 2 0 2 x y 5 0 1 -1 1 c 3 6");
    assert!(pack.iter().all(|text| Str::of(&text.to_vec()) == text));
}

#[test]
fn nodes_end_where_the_settings_say() {
    let nodes = |count: u64, limits: Limits| {
        let mut stream = Stream::default();
        (1..=count).for_each(|ms| stream.append(StreamId::new(ms, 0), &[b"f", b"v"], &limits));
        stream.node_count()
    };
    assert_eq!((nodes(100, Limits::default()), nodes(101, Limits::default())), (1, 2));
    let no_limit = Limits { stream_node_entries: 0, stream_node_bytes: 0, ..Limits::default() };
    assert_eq!(nodes(2000, no_limit), 1);
    let mut stream = Stream::default();
    let long = vec![b'x'; 3000];
    (1..=3).for_each(|ms| stream.append(StreamId::new(ms, 0), &[b"f", &long], &Limits::default()));
    assert_eq!(stream.node_count(), 3);
}

/// Entries of a group, the naive way: to whom, when, how often.
type Given = BTreeMap<StreamId, (u8, u64, u64)>;

proptest! {
    #[test]
    fn what_is_pending_has_one_owner(steps in proptest::collection::vec((0u8..5, 0u8..4, 0u64..150), 0..600)) {
        let mut stream = Stream::default();
        prop_assert!(stream.create_group(b"g", StreamId::MIN, None));
        prop_assert!(!stream.create_group(b"g", StreamId::MIN, None));
        let (mut twin, mut consumers) = (Given::new(), std::collections::BTreeSet::new());
        let (mut kept, mut now) = (None, 0);
        for (step, who, nth) in steps {
            now += 1;
            let (id, name) = (StreamId::new(nth, 0), [who]);
            let done = stream.edit_group(b"g", |group| match step {
                0 => group.create_consumer(&name, now) == consumers.insert(who),
                1 | 2 => {
                    let is_there = group.assign(id, &name, now, nth);
                    if is_there {
                        twin.insert(id, (who, now, nth));
                    }
                    is_there == consumers.contains(&who)
                }
                3 => group.acknowledge(id) == twin.remove(&id).is_some(),
                _ => {
                    let before = twin.len();
                    twin.retain(|_, given| given.0 != who);
                    let gone = consumers.remove(&who).then(|| (before - twin.len()) as u64);
                    group.remove_consumer(&name) == gone
                }
            });
            prop_assert_eq!(done, Some(true));
            if nth == 77 {
                kept = Some((stream.clone(), twin.clone()));
            }
        }
        for (stream, twin) in kept.into_iter().chain([(stream, twin)]) {
            let group = stream.group(b"g").expect("it is there");
            let given: Given = group
                .pending_from(StreamId::MIN)
                .map(|pending| (pending.id, (pending.consumer()[0], pending.delivered_ms, pending.deliveries)))
                .collect();
            prop_assert_eq!(&given, &twin);
            prop_assert_eq!(group.pending_count(), twin.len() as u64);
            for consumer in group.consumers() {
                let own: Vec<_> = consumer.pending_from(StreamId::MIN).collect();
                let expected: Vec<_> =
                    twin.iter().filter(|(_, given)| given.0 == consumer.name()[0]).map(|(id, _)| *id).collect();
                prop_assert_eq!(own, expected);
            }
        }
    }
}
