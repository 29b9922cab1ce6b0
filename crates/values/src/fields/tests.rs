//! Hashes against a map, and the limits between their forms.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn limits() -> Limits {
    Limits::default()
}

#[test]
fn forms_change_where_upstreams_do() {
    let of = |count: usize, value: usize| {
        let mut hash = Hash::default();
        for n in 0..count {
            hash.set(Str::Int(n as i64), Str::Bytes(&vec![b'x'; value]), &limits());
        }
        hash.as_ref().encoding()
    };
    assert_eq!([of(512, 1), of(513, 1), of(1, 64), of(1, 65)], ["listpack", "hashtable", "listpack", "hashtable"]);
    let expecting = |texts: &[&[u8]]| {
        let mut hash = Hash::default();
        hash.expect(texts.iter().copied(), &limits());
        hash.as_ref().encoding()
    };
    assert_eq!([expecting(&[&b"f"[..]; 1024]), expecting(&[&b"f"[..]; 1026])], ["listpack", "hashtable"]);
    assert_eq!([expecting(&[b"f", &[b'v'; 64]]), expecting(&[b"f", &[b'v'; 65]])], ["listpack", "hashtable"]);
}

#[test]
fn listpacks_from_outside_need_fields_of_their_own() {
    let pack = |texts: &[&[u8]]| {
        let mut pack = Listpack::new();
        texts.iter().for_each(|text| pack.push(text));
        Hash::from_listpack(pack, &limits()).map(|hash| hash.len())
    };
    assert_eq!(pack(&[b"a", b"b", b"b", b"b"]), Ok(2));
    assert_eq!(pack(&[b"a", b"b", b"a", b"c"]), Err(Damaged));
    assert_eq!(pack(&[b"a", b"b", b"c"]), Err(Damaged));
}

proptest! {
    #[test]
    fn a_hash_is_a_map(
        fill in 0i64..700,
        edits in proptest::collection::vec((0u8..6, 0i64..900, 0usize..70), 0..80),
    ) {
        let limits = limits();
        let (mut hash, mut twin, mut kept) = (Hash::default(), BTreeMap::new(), None);
        let fields = (0..fill).map(|n| (0, n, 1));
        for (what, n, len) in fields.chain(edits) {
            let (field, value) = (n.to_string().into_bytes(), vec![b'v'; len]);
            match what {
                0..=2 => {
                    let is_new = hash.set(Str::of(&field), Str::of(&value), &limits);
                    prop_assert_eq!(is_new, twin.insert(field.clone(), value).is_none());
                }
                3 | 4 => prop_assert_eq!(hash.remove(Str::of(&field)), twin.remove(&field).is_some()),
                _ => kept = Some((hash.clone(), twin.clone())),
            }
            prop_assert_eq!(hash.as_ref().get(Str::of(&field)).map(|value| value.text.to_vec()), twin.get(&field).cloned());
            let at = hash.as_ref().at(n as u64).map(|(field, value)| (field.to_vec(), value.text.to_vec()));
            prop_assert_eq!(at.is_some(), (n as usize) < twin.len());
            prop_assert!(at.is_none_or(|(field, value)| twin[&field] == value));
        }
        for (hash, twin) in kept.into_iter().chain([(hash, twin)]) {
            let all: BTreeMap<_, _> = hash.as_ref().iter().map(|(f, v)| (f.to_vec(), v.text.to_vec())).collect();
            prop_assert_eq!((hash.len() as usize, all), (twin.len(), twin));
        }
    }
}

/// A hash with ends beside a map of the same, both changed alike.
#[derive(Clone, Default)]
struct Twins {
    hash: Hash,
    map: BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>,
}

impl Twins {
    fn put(&mut self, field: &[u8], value: Vec<u8>, at: Option<u64>) {
        let own = FieldValue { text: Str::of(&value), expire_at: at.map(WallMs) };
        let is_new = self.hash.put(Str::of(field), own, &limits());
        assert_eq!(is_new, self.map.insert(field.to_vec(), (value, at)).is_none());
    }

    fn set_end(&mut self, field: &[u8], at: Option<u64>) {
        let found = self.map.get_mut(field).map(|value| value.1 = at).is_some();
        assert_eq!(self.hash.set_end(Str::of(field), at.map(WallMs), &limits()), found);
    }

    fn expire(&mut self, now: u64, max: usize) {
        for _ in 0..max {
            let first = self.map.values().filter_map(|(_, at)| *at).min();
            match self.hash.take_due(WallMs(now)) {
                Some(name) => {
                    let end = self.map.remove(&name).and_then(|value| value.1);
                    assert_eq!(end, first.filter(|at| *at <= now));
                }
                None => return assert!(first.is_none_or(|at| at > now)),
            }
        }
    }

    fn check(&self, now: u64) {
        let ends = || self.map.values().filter_map(|(_, at)| *at);
        let hash = self.hash.as_ref();
        assert_eq!(hash.next_due(), ends().min().map(WallMs));
        assert_eq!(hash.due_count(WallMs(now)), ends().filter(|at| *at <= now).count() as u64);
        let shown = |(field, value): (Str<'_>, FieldValue<'_>)| {
            (field.to_vec(), (value.text.to_vec(), value.expire_at.map(|at| at.0)))
        };
        assert_eq!(hash.iter().map(shown).collect::<BTreeMap<_, _>>(), self.map);
        let live = hash.live(Some(WallMs(now)));
        let seen: BTreeMap<_, _> = live.iter().map(shown).collect();
        let expected: BTreeMap<_, _> =
            self.map.clone().into_iter().filter(|(_, (_, at))| at.is_none_or(|at| at > now)).collect();
        assert_eq!((live.len(), live.is_whole()), (seen.len() as u64, seen.len() == self.map.len()));
        assert_eq!(seen, expected);
        for (field, (text, _)) in self.map.iter().take(20) {
            let got = live.get(Str::of(field)).map(|value| value.text.to_vec());
            assert_eq!(got, expected.contains_key(field).then(|| text.clone()));
        }
    }
}

proptest! {
    #[test]
    fn fields_with_an_end_are_a_map_too(
        fill in 0u64..1500,
        few in 1u64..4000,
        edits in proptest::collection::vec((0u8..8, 0u64..1600, 0u64..4000, 0usize..70), 0..60),
    ) {
        let (mut twins, mut kept) = (Twins::default(), Vec::new());
        let name = |n: u64| n.to_string().into_bytes();
        for n in 0..fill {
            twins.put(&name(n), vec![b'v'; 3], (n % 3 > 0).then_some(n * 7 % few));
        }
        for (what, n, at, len) in edits {
            match what {
                0 | 1 => twins.put(&name(n), vec![b'v'; len], Some(at)),
                2 => twins.put(&name(n), vec![b'v'; len], None),
                3 => twins.set_end(&name(n), Some(at)),
                4 => twins.set_end(&name(n), None),
                5 => assert_eq!(twins.hash.remove(Str::of(&name(n))), twins.map.remove(&name(n)).is_some()),
                6 => twins.expire(at, n as usize),
                _ => kept.push((twins.clone(), at)),
            }
        }
        kept.push((twins, few / 2));
        kept.iter().for_each(|(twins, now)| twins.check(*now));
    }
}

#[test]
fn only_an_end_that_is_set_makes_a_hash_large() {
    let mut hash = Hash::default();
    hash.set(Str::of(b"f"), Str::of(b"v"), &limits());
    assert!(hash.set_end(Str::of(b"f"), None, &limits()) && !hash.set_end(Str::of(b"g"), Some(WallMs(1)), &limits()));
    assert_eq!(hash.as_ref().encoding(), "listpack");
    assert!(hash.set_end(Str::of(b"f"), Some(WallMs(1)), &limits()));
    assert_eq!((hash.as_ref().encoding(), hash.as_ref().next_due()), ("hashtable", Some(WallMs(1))));
}

#[test]
fn ends_cost_nothing_where_there_are_none() {
    assert!(size_of::<LargeHash>() <= size_of::<crate::LargeZSet>(), "the larger one decides about the box of all");
    let filled = |at: Option<WallMs>| {
        let mut hash = Hash::large(&limits());
        for n in 0..10_000 {
            hash.put(Str::Int(n), FieldValue { text: Str::Int(n), expire_at: at }, &limits());
        }
        hash
    };
    let mut timed = filled(Some(WallMs(9)));
    let each = (timed.heap_bytes() - filled(None).heap_bytes()) as f64 / 10_000.0;
    assert!(each < 28.0, "{each} bytes more for each end");
    for n in 0..10_000 {
        timed.set_end(Str::Int(n), None, &limits());
    }
    assert!(timed.as_ref().next_due().is_none());
    let bytes = timed.heap_bytes() as f64 / filled(None).heap_bytes() as f64;
    assert!(bytes < 1.4, "{bytes} times of what it takes without ends");
}
