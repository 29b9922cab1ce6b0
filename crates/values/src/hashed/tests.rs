//! Trees by hash against a map, with names that share hashes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn filled(count: u64) -> Hashed<Text> {
    let mut hashed = Hashed::new(7);
    for i in 0..count {
        hashed.insert(Str::Bytes(format!("name {i}").as_bytes()), Str::Int(i as i64).into());
    }
    hashed
}

#[test]
fn scans_are_complete_while_the_rest_changes() {
    let mut hashed = filled(20_000);
    let (mut cursor, mut seen, mut step) = (0, Vec::new(), 0u64);
    loop {
        cursor = hashed.scan(cursor, 10, |(name, _)| seen.push(name.to_vec()));
        if cursor == 0 {
            break;
        }
        // Every other name stays; the rest goes, and new ones come.
        for i in 0..20 {
            let name = format!("name {}", (step * 40 + 2 * i + 1) % 20_000);
            hashed.remove(Str::Bytes(name.as_bytes()));
            hashed.insert(Str::Bytes(format!("new {step} {i}").as_bytes()), Str::Int(1).into());
        }
        step += 1;
    }
    let distinct: BTreeSet<&Vec<u8>> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "visited twice");
    assert!((0..20_000).step_by(2).all(|i| distinct.contains(&format!("name {i}").into_bytes())));
    assert_eq!(hashed.scan(u64::MAX, 10, |_| panic!("there is nothing")), 0);
}

#[test]
fn memory_stays_near_what_the_elements_take() {
    let hashed = filled(100_000);
    let bytes: usize =
        hashed.iter_from(0).map(|(name, value)| <Text as Beside>::size(name.into()) + Text::size(value)).sum();
    let each = (hashed.heap_bytes() - bytes) as f64 / 100_000.0;
    assert!(each < 11.5, "{each} bytes an element beside its texts");
}

#[test]
fn large_elements_with_any_hash_are_kept() {
    let mut hashed = Hashed::<Text>::new(7);
    let large = vec![b'x'; 100_000];
    for i in 0..200 {
        hashed.insert(Str::Int(i), Str::Bytes(&large[..i as usize * 500]).into());
    }
    assert!((0..200).all(|i| hashed.get(Str::Int(i)).is_some_and(|value| value.text.len() == i as usize * 500)));
    (0..200).for_each(|i| assert!(hashed.remove(Str::Int(i))));
    assert!(hashed.len() == 0 && hashed.heap_bytes() < 1000);
}

#[test]
fn large_elements_with_the_same_hash_are_kept() {
    let mut leaf = HashLeaf::<Text>::default();
    let text = |i: i64| vec![i as u8; 30_000 + i as usize];
    (0..20).for_each(|i| assert!(leaf.insert(1, Str::Int(i), Str::Bytes(&text(i)).into())));
    (5..10).for_each(|i| assert!(leaf.take(1, Str::Int(i))));
    (0..5).for_each(|i| assert!(!leaf.insert(1, Str::Int(i), Str::Bytes(&text(i + 1)).into())));
    assert!(!leaf.is_over(), "there is nothing to split");
    let expected = |i| if i < 5 { i + 1 } else { i };
    let is_right = |i| leaf.get(1, Str::Int(i)) == Some(Str::Bytes(&text(expected(i))).into());
    assert!((0..5).chain(10..20).all(is_right) && (5..10).all(|i| leaf.get(1, Str::Int(i)).is_none()));
}

/// Checks that elements are found by name and stand in the order of hashes.
fn check(hashed: &Hashed<Text>, twin: &BTreeMap<i64, Vec<u8>>) {
    let all: BTreeMap<i64, Vec<u8>> =
        hashed.iter_from(0).map(|(name, value)| (name.as_i64().expect("an integer"), value.text.to_vec())).collect();
    assert_eq!((&all, hashed.len()), (twin, twin.len() as u64));
    assert!(hashed.iter_hashed().is_sorted_by_key(|(hash, _)| hash));
    for (name, text) in twin {
        assert_eq!(hashed.get(Str::Int(*name)).map(|value| value.text.to_vec()).as_ref(), Some(text));
    }
}

fn gathered<'t>(elements: impl IntoIterator<Item = &'t (i64, usize)>) -> (Hashed<Text>, bool) {
    let mut gathered = Gathered::new(3);
    for (name, len) in elements {
        gathered.push(Str::Int(*name), Str::Bytes(&vec![b'v'; *len]).into());
    }
    gathered.finish()
}

#[test]
fn elements_that_share_hashes_stay_together() {
    let mut in_order = InOrder::<Nothing>::default();
    let element = |i: usize| {
        let mut bytes = Vec::new();
        leaf::write_element::<Nothing>(&mut bytes, Str::Bytes(format!("{i:0200}").as_bytes()), ());
        bytes
    };
    // Fifty with each hash are more than a leaf has otherwise.
    for i in 0..1000 {
        let hash = i as u32 / 50;
        assert!(!in_order.holds(hash, &element(i)));
        in_order.push(hash, &element(i));
        assert!(in_order.holds(hash, &element(i)));
    }
    let tree = in_order.into_tree();
    let leaves: Vec<_> = tree.leaves_from(0).map(|found| found.leaf).collect();
    let ends = |leaf: &HashLeaf<Nothing>| (leaf.hash(0), leaf.hash(leaf.len() - 1));
    assert!(leaves.windows(2).all(|pair| ends(pair[0]).1 < ends(pair[1]).0), "a hash in two leaves");
    let count =
        (0..20).map(|hash| tree.find(|begin| *begin <= hash).elements_at(hash).take_while(|(h, _)| *h == hash).count());
    assert!(count.into_iter().all(|count| count == 50));
}

#[test]
fn what_is_built_at_once_takes_about_as_much_as_what_grew() {
    let mut gathered = Gathered::<Text>::new(7);
    let grown = filled(100_000);
    for (name, value) in grown.iter_from(0) {
        gathered.push(name, value);
    }
    let (built, has_twins) = gathered.finish();
    let (built, grown) = (built.heap_bytes(), grown.heap_bytes());
    assert!(!has_twins && built <= grown * 21 / 20, "{built} bytes, {grown} grown");
}

proptest! {
    #[test]
    fn gathering_is_inserting(elements in proptest::collection::vec((0i64..3000, 0usize..400), 0..1500)) {
        let (hashed, has_twins) = gathered(&elements);
        let mut twin = BTreeMap::new();
        for (name, len) in &elements {
            twin.entry(*name).or_insert(vec![b'v'; *len]);
        }
        prop_assert_eq!(has_twins, twin.len() < elements.len());
        check(&hashed, &twin);
    }

    #[test]
    fn merging_is_inserting(
        own in proptest::collection::vec((0i64..3000, 0usize..100), 0..1000),
        others in proptest::collection::vec((0i64..3000, 0usize..100), 0..1000),
    ) {
        let (a, b) = (gathered(&own).0, gathered(&others).0);
        let mut twin = BTreeMap::new();
        for (name, len) in own.iter().chain(&others) {
            twin.entry(*name).or_insert(vec![b'v'; *len]);
        }
        check(&a.merged(&b), &twin);
        let mut follower = Follower::new(&b);
        for (hash, (name, _)) in a.iter_hashed() {
            prop_assert_eq!(follower.holds(hash, name), b.get(name).is_some());
        }
    }

    #[test]
    fn it_is_a_map(
        fill in 0i64..3000,
        edits in proptest::collection::vec((0u8..7, 0i64..4000, 0usize..600), 0..80),
    ) {
        let (mut hashed, mut twin) = (Hashed::<Text>::new(3), BTreeMap::new());
        for n in 0..fill {
            hashed.insert(Str::Int(n), Str::Bytes(b"").into());
            twin.insert(n, Vec::new());
        }
        let mut kept = None;
        for (what, n, len) in edits {
            let text = vec![b'v'; len];
            match what {
                0..=2 => prop_assert_eq!(hashed.insert(Str::Int(n), Str::Bytes(&text).into()), twin.insert(n, text.clone()).is_none()),
                3 => prop_assert_eq!(hashed.remove(Str::Int(n)), twin.remove(&n).is_some()),
                4 => {
                    for m in n..n + 500 {
                        prop_assert_eq!(hashed.remove(Str::Int(m)), twin.remove(&m).is_some());
                    }
                }
                5 => {
                    let rank = n as u64;
                    let at = hashed.at(rank).map(|(name, _)| name.as_i64().expect("all are integers"));
                    prop_assert_eq!(at.is_some(), rank < twin.len() as u64);
                    hashed.remove_at(rank);
                    prop_assert!(at.is_none_or(|at| twin.remove(&at).is_some()));
                }
                _ => kept = Some((hashed.clone(), twin.clone())),
            }
            prop_assert_eq!(hashed.len(), twin.len() as u64);
            let got = hashed.get(Str::Int(n)).map(|value| value.text.to_vec());
            prop_assert_eq!(got, twin.get(&n).cloned());
        }
        for (hashed, twin) in kept.into_iter().chain([(hashed, twin)]) {
            let all: BTreeMap<i64, Vec<u8>> =
                hashed.iter_from(0).map(|(name, value)| (name.as_i64().expect("an integer"), value.text.to_vec())).collect();
            prop_assert_eq!(all, twin);
        }
    }
}
