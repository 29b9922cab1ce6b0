//! Sets against a set, the limits between their forms, and intsets from outside.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn limits() -> Limits {
    Limits::default()
}

fn set_of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Set {
    let mut set = Set::default();
    texts.into_iter().for_each(|text| {
        set.add(Str::of(text.as_bytes()), &limits());
    });
    set
}

fn texts(set: SetRef<'_>) -> BTreeSet<Vec<u8>> {
    set.iter().map(Str::to_vec).collect()
}

#[test]
fn integers_stay_in_order_until_there_is_something_else() {
    let mut set = set_of(["5", "-70000", "5", "9000000000", "0"]);
    let all: Vec<_> = set.as_ref().iter().collect();
    assert_eq!(all, [-70000, 0, 5, 9_000_000_000].map(Str::Int));
    assert_eq!(set.as_ref().encoding(), "intset");
    set.add(Str::Bytes(b"x"), &limits());
    assert_eq!((set.as_ref().encoding(), set.len()), ("listpack", 5));
    assert!(set.as_ref().contains(Str::Int(-70000)) && !set.as_ref().contains(Str::Bytes(b"y")));
}

#[test]
fn forms_change_where_upstreams_do() {
    let numbers: Vec<String> = (0..600).map(|n| n.to_string()).collect();
    let names = |count| -> Vec<String> { (0..count).map(|n| format!("m{n}")).collect() };
    let of = |texts: &[String]| set_of(texts.iter().map(String::as_str)).as_ref().encoding();
    assert_eq!([of(&numbers[..512]), of(&numbers[..513])], ["intset", "hashtable"]);
    assert_eq!([of(&names(128)), of(&names(129))], ["listpack", "hashtable"]);
    assert_eq!([of(&["x".repeat(64)]), of(&["x".repeat(65)])], ["listpack", "hashtable"]);
    // A text that joins more integers than a listpack may have.
    let mixed = |count: usize| [&numbers[..count], &names(1)].concat();
    assert_eq!([of(&mixed(127)), of(&mixed(128))], ["listpack", "hashtable"]);
    let expecting = |first: &str, count| {
        let mut set = Set::default();
        set.expect(Str::of(first.as_bytes()), count, &limits());
        set.as_ref().encoding()
    };
    let expected = [("1", 512, "intset"), ("1", 513, "hashtable"), ("a", 128, "listpack"), ("a", 129, "hashtable")];
    expected.iter().for_each(|(first, count, form)| assert_eq!(expecting(first, *count), *form, "{first} {count}"));
}

#[test]
fn a_result_of_integers_becomes_a_set_of_integers() {
    let mut set = Set::large(&limits());
    for n in 0..512 {
        set.add(Str::Int(n), &limits());
    }
    let mut more = set.clone();
    set.settle(&limits());
    assert_eq!((set.as_ref().encoding(), set.len()), ("intset", 512));
    more.add(Str::Int(600), &limits());
    more.settle(&limits());
    assert_eq!(more.as_ref().encoding(), "hashtable");
}

#[test]
fn a_member_that_comes_twice_is_noticed() {
    let mut builder = LargeSetBuilder::new(&limits());
    (0..1000).chain([500]).for_each(|n| builder.push(Str::Int(n)));
    assert!(builder.finish().is_none());
}

#[test]
fn intsets_from_outside_are_looked_through() {
    let good = [2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 2, 0];
    assert!(Intset::from_bytes(good.to_vec()).is_ok());
    let spoilt = |at: usize, byte: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = byte;
        Intset::from_bytes(bytes).is_err()
    };
    assert!(
        [(0, 3), (0, 4), (0, 0), (1, 1), (4, 1), (4, 3), (7, 255), (8, 2), (8, 3)]
            .iter()
            .all(|(at, b)| spoilt(*at, *b))
    );
    assert!((0..good.len()).all(|end| Intset::from_bytes(good[..end].to_vec()).is_err()));
}

proptest! {
    #[test]
    fn a_set_is_a_set(edits in proptest::collection::vec((0u8..8, -200i64..400, any::<bool>()), 0..400)) {
        let limits = limits();
        let (mut set, mut twin, mut kept) = (Set::default(), BTreeSet::new(), None);
        for (what, n, is_int) in edits {
            let text = if is_int { n.to_string() } else { format!("m{n}") }.into_bytes();
            match what {
                0..=4 => prop_assert_eq!(set.add(Str::of(&text), &limits), twin.insert(text.clone())),
                5 => prop_assert_eq!(set.remove(Str::of(&text)), twin.remove(&text)),
                6 => {
                    let rank = n.unsigned_abs();
                    let at = set.as_ref().at(rank).map(Str::to_vec);
                    set.remove_at(rank);
                    prop_assert_eq!(at.is_some(), rank < twin.len() as u64);
                    prop_assert!(at.is_none_or(|at| twin.remove(&at)));
                }
                _ => kept = Some((set.clone(), twin.clone())),
            }
            prop_assert_eq!((set.len(), set.as_ref().contains(Str::of(&text))), (twin.len() as u64, twin.contains(&text)));
        }
        let mut scanned = BTreeSet::new();
        let mut cursor = 0;
        loop {
            cursor = set.as_ref().scan(cursor, 7, |member| {
                scanned.insert(member.to_vec());
            });
            if cursor == 0 {
                break;
            }
        }
        prop_assert_eq!(&scanned, &twin);
        for (set, twin) in kept.into_iter().chain([(set, twin)]) {
            prop_assert_eq!(texts(set.as_ref()), twin);
        }
    }

    #[test]
    fn sets_together_are_as_one_by_one(
        sizes in proptest::collection::vec((0i64..1200, 1i64..4, any::<bool>()), 1..4),
    ) {
        let limits = limits();
        let text = |n: i64, is_int: bool| if is_int { n.to_string() } else { format!("m{n}") }.into_bytes();
        let twins: Vec<Vec<Vec<u8>>> =
            sizes.iter().map(|(count, step, is_int)| (0..*count).map(|n| text(n * step, *is_int)).collect()).collect();
        let one_by_one = |members: &mut dyn Iterator<Item = &Vec<u8>>| {
            let mut set = Set::default();
            members.for_each(|member| {
                set.add(Str::of(member), &limits);
            });
            set
        };
        let sets: Vec<Set> = twins.iter().map(|twin| one_by_one(&mut twin.iter())).collect();
        for (set, twin) in sets.iter().zip(&twins) {
            let at_once = Set::of_members(twin.iter().map(|member| Str::of(member)), &limits);
            prop_assert_eq!(at_once.as_ref().encoding(), set.as_ref().encoding());
            prop_assert_eq!(at_once.as_ref(), set.as_ref());
            let mut builder = LargeSetBuilder::new(&limits);
            twin.iter().for_each(|member| builder.push(Str::of(member)));
            let built = builder.finish().expect("no twins");
            prop_assert_eq!(built.as_ref(), set.as_ref());
        }
        let (first, others) = (sets[0].as_ref(), &sets[1..]);
        let others: Vec<SetRef<'_>> = others.iter().map(Set::as_ref).collect();
        let sifted = |stays: &dyn Fn(&Vec<u8>) -> bool| -> BTreeSet<Vec<u8>> {
            twins[0].iter().filter(|member| stays(member)).cloned().collect()
        };
        let common: BTreeSet<_> = first.common_with(&others).map(Str::to_vec).collect();
        prop_assert_eq!(common, sifted(&|member| others.iter().all(|other| other.contains(Str::of(member)))));
        let without: BTreeSet<_> = first.without(&others).map(Str::to_vec).collect();
        prop_assert_eq!(without, sifted(&|member| !others.iter().any(|other| other.contains(Str::of(member)))));
        let mut union = sets[0].clone();
        others.iter().for_each(|other| union.add_all(*other, &limits));
        prop_assert_eq!(texts(union.as_ref()), twins.iter().flatten().cloned().collect());
        prop_assert_eq!(texts(first), twins[0].iter().cloned().collect());
    }

    #[test]
    fn intsets_of_any_bytes_never_panic(bytes in proptest::collection::vec(0u8..9, 0..40)) {
        if let Ok(ints) = Intset::from_bytes(bytes) {
            prop_assert_eq!(ints.as_ref().iter().count(), ints.as_ref().len());
        }
    }
}
