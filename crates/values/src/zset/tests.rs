//! Sorted sets against a sorted vector, and the limits between their forms.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Members with scores, in no order.
type Twin = BTreeMap<Vec<u8>, f64>;

fn limits() -> Limits {
    Limits::default()
}

fn ordered(twin: &Twin) -> Vec<(Vec<u8>, f64)> {
    let mut all: Vec<_> = twin.iter().map(|(member, score)| (member.clone(), *score)).collect();
    all.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap().then_with(|| a.0.cmp(&b.0)));
    all
}

fn elements_of(zset: &ZSet) -> Vec<(Vec<u8>, f64)> {
    elements(zset.as_ref())
}

fn elements(zset: ZSetRef<'_>) -> Vec<(Vec<u8>, f64)> {
    zset.iter_from(0).map(|element| (element.member.to_vec(), element.score)).collect()
}

fn scanned(zset: ZSetRef<'_>, count: u64) -> Vec<(Vec<u8>, f64)> {
    let (mut all, mut cursor) = (Vec::new(), 0);
    loop {
        cursor = zset.scan(cursor, count, &mut |element| all.push((element.member.to_vec(), element.score)));
        if cursor == 0 {
            all.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap().then_with(|| a.0.cmp(&b.0)));
            return all;
        }
    }
}

#[test]
fn the_limits_of_the_packed_form() {
    let mut zset = ZSet::default();
    for i in 0..128 {
        zset.put(format!("{i}").as_bytes(), f64::from(i), &limits());
    }
    assert_eq!(zset.as_ref().encoding(), "listpack");
    zset.put(b"5", 1e9, &limits());
    assert_eq!(zset.as_ref().encoding(), "listpack");
    zset.put(b"one more", 1.0, &limits());
    assert_eq!((zset.as_ref().encoding(), zset.len()), ("skiplist", 129));
    zset.remove_ranks(3..500);
    assert_eq!((zset.as_ref().encoding(), zset.len()), ("skiplist", 3));
    for (bytes, encoding) in [(64, "listpack"), (65, "skiplist")] {
        let mut zset = ZSet::default();
        zset.put(&vec![b'x'; bytes], 1.0, &limits());
        assert_eq!(zset.as_ref().encoding(), encoding);
    }
}

#[test]
fn a_scan_finds_all_that_stay_whatever_becomes_of_their_scores() {
    let mut zset = ZSet::default();
    let member = |i: u32| format!("member {i}").into_bytes();
    for i in 0..20_000 {
        zset.put(&member(i), f64::from(i), &limits());
    }
    let (mut seen, mut cursor, mut steps) = (std::collections::BTreeSet::new(), 0, 0u32);
    loop {
        cursor = zset.as_ref().scan(cursor, 10, &mut |element| {
            seen.insert(element.member.to_vec());
        });
        steps += 1;
        for i in 0..20 {
            zset.put(&member((steps * 31 + i * 977) % 10_000), f64::from(steps % 7) - f64::from(i), &limits());
            zset.remove(&member(10_000 + (steps * 7 + i) % 10_000));
        }
        if cursor == 0 {
            break;
        }
    }
    assert!((0..10_000).all(|i| seen.contains(&member(i))));
    assert!(steps > 200, "{steps}");
}

#[test]
fn a_scan_of_equal_scores_takes_longer_steps() {
    let mut zset = ZSet::default();
    for i in 0..20_000 {
        zset.put(format!("member {i}").as_bytes(), 0.0, &limits());
    }
    let (mut steps, mut cursor) = (0, 0);
    loop {
        let mut found = 0;
        cursor = zset.as_ref().scan(cursor, 10, &mut |_| found += 1);
        assert!(found <= 200, "{found}");
        steps += 1;
        if cursor == 0 {
            break;
        }
    }
    assert!((100..=300).contains(&steps), "{steps}");
    assert_eq!(scanned(zset.as_ref(), 1), elements(zset.as_ref()));
}

#[test]
fn filling_a_large_one_leaves_no_gaps() {
    for order in [1, 7919, 1_000_002] {
        let mut zset = ZSet::default();
        for i in 0..50_000u64 {
            zset.put(format!("member:{i:010}").as_bytes(), (i * order % 1_000_003) as f64, &limits());
        }
        assert!(zset.heap_bytes() < 50_000 * 50, "{}", zset.heap_bytes() / 50_000);
    }
}

#[test]
fn zeros_of_both_signs_are_one_score() {
    let mut zset = ZSet::default();
    zset.expect(1000, 0, &limits());
    zset.put(b"b", -0.0, &limits());
    zset.put(b"a", 0.0, &limits());
    assert_eq!(elements(zset.as_ref()), [(b"a".to_vec(), 0.0), (b"b".to_vec(), 0.0)]);
    assert!(zset.as_ref().score(b"b").is_some_and(f64::is_sign_negative));
    assert_eq!(zset.put(b"b", 0.0, &limits()), Some(0.0));
    assert_eq!((zset.remove(b"b"), zset.remove(b"a"), zset.len()), (Some(0.0), Some(0.0), 0));
}

#[test]
fn listpacks_from_outside() {
    let pack = |texts: &[&str]| {
        let mut pack = Listpack::new();
        texts.iter().for_each(|text| pack.push(text.as_bytes()));
        pack.into_bytes()
    };
    let load = |texts: &[&str]| ZSet::from_pack(pack(texts), &limits()).map(|zset| elements(zset.as_ref()));
    let expected = vec![(b"a".to_vec(), 0.1), (b"b".to_vec(), 2.0), (b"c".to_vec(), f64::INFINITY)];
    assert_eq!(load(&["a", "0.1", "b", "2", "c", "inf"]), Ok(expected.clone()));
    assert_eq!(load(&["c", "inf", "b", "2.0", "a", "0.10000000000000001"]), Ok(expected));
    for bad in [&["a"][..], &["a", "x"], &["a", "nan"], &["a", "1", "a", "2"], &["a", "1", "b", "", "c", "1"]] {
        assert_eq!(load(bad), Err(Damaged), "{bad:?}");
    }
}

/// What to do with a sorted set: with which member, which score, how many.
type Edit = (u8, u16, i8, u16);

fn check_reads(zset: ZSetRef<'_>, twin: &Twin, (_, member, score, count): Edit) -> Result<(), TestCaseError> {
    let all = ordered(twin);
    let name = format!("member {member}").into_bytes();
    let expected = all.iter().position(|(m, _)| *m == name).map(|rank| (rank as u64, twin[&name]));
    prop_assert_eq!(zset.rank(&name), expected);
    prop_assert_eq!(zset.score(&name), expected.map(|(_, score)| score));
    let score = f64::from(score);
    let before = all.iter().filter(|(m, s)| *s < score || (*s == score && *m < name)).count();
    let is_before = |s: f64, m: &[u8]| s < score || (s == score && *m < name[..]);
    prop_assert_eq!(zset.count_while(is_before), before as u64);
    let forwards: Vec<_> = zset.iter_from(before as u64).take(30).map(|e| (e.member.to_vec(), e.score)).collect();
    prop_assert_eq!(&forwards[..], &all[before..all.len().min(before + 30)]);
    let back: Vec<_> = zset.iter_back_from(before as u64).take(30).map(|e| (e.member.to_vec(), e.score)).collect();
    let upto = &all[..all.len().min(before + 1)];
    prop_assert_eq!(back, upto.iter().rev().take(30).cloned().collect::<Vec<_>>());
    prop_assert_eq!(scanned(zset, u64::from(count)), all);
    Ok(())
}

#[test]
fn what_is_built_at_once_takes_no_more_than_what_grew() {
    let (mut batch, mut zset) = (ScoredBatch::new(&limits()), ZSet::default());
    for n in 0..50_000u32 {
        let (member, score) = (format!("member {n}").into_bytes(), f64::from(n * 7919 % 50_000));
        batch.push(&member, score);
        zset.put(&member, score, &limits());
    }
    let built = batch.into_zset(&limits()).expect("no twins");
    assert!(built.heap_bytes() <= zset.heap_bytes());
}

#[test]
fn a_member_that_comes_twice_is_noticed() {
    for count in [100, 1000] {
        let mut batch = ScoredBatch::new(&limits());
        (0..count).chain([count / 2]).for_each(|n| batch.push(format!("{n}").as_bytes(), f64::from(n)));
        assert!(batch.into_zset(&limits()).is_none());
    }
}

fn batch_of(elements: &[(u16, i8)], of_member: impl Fn(u16) -> Vec<u8>) -> ScoredBatch {
    let mut batch = ScoredBatch::new(&limits());
    elements.iter().for_each(|(member, score)| batch.push(&of_member(*member), f64::from(*score) / 4.0));
    batch
}

proptest! {
    #[test]
    fn elements_at_once_are_as_one_by_one(
        elements in proptest::collection::vec((0u16..2000, any::<i8>()), 0..1200),
        more in proptest::collection::vec((0u16..2500, any::<i8>()), 0..20),
        has_long in any::<bool>(),
    ) {
        let of_member = |n: u16| format!("{}{}", "m".repeat(if has_long { usize::from(n % 300) } else { 3 }), n).into_bytes();
        let mut joined = batch_of(&elements, of_member);
        joined.join(f64::max, |_, _| true);
        let (mut zset, mut twin) = (ZSet::default(), Twin::new());
        for (member, score) in &elements {
            let (member, score) = (of_member(*member), f64::from(*score) / 4.0);
            let highest = twin.get(&member).map_or(score, |old| score.max(*old));
            zset.put(&member, highest, &limits());
            twin.insert(member, highest);
        }
        let mut built = joined.into_zset(&limits()).expect("members were joined");
        prop_assert_eq!(built.as_ref().encoding(), zset.as_ref().encoding());
        prop_assert_eq!(elements_of(&built), ordered(&twin));
        prop_assert_eq!(scanned(built.as_ref(), 10), ordered(&twin));
        for (member, score) in &twin {
            prop_assert_eq!(built.as_ref().score(member), Some(*score));
        }
        let mut more = batch_of(&more, of_member);
        more.join(|a, _| a, |_, _| true);
        let are_new = more.iter().all(|element| !twin.contains_key(&element.member.to_vec()));
        let added: Vec<_> = more.iter().map(|element| (element.member.to_vec(), element.score)).collect();
        prop_assert_eq!(built.take_in(more, &limits()), are_new);
        if are_new {
            twin.extend(added);
            prop_assert_eq!(elements_of(&built), ordered(&twin));
        }
    }

    #[test]
    fn joining_is_by_member_and_in_the_order_of_coming(
        elements in proptest::collection::vec((0u16..60, any::<i8>()), 0..300),
        least in 0usize..30,
        times in 1u32..5,
    ) {
        let of_member = |n: u16| format!("{n}").into_bytes();
        let mut batch = batch_of(&elements, of_member);
        batch.join(|a, b| a * 3.0 + b, |nth, count| nth >= least && count != times);
        let mut twin: Vec<(u16, f64, usize, u32)> = Vec::new();
        for (nth, (member, score)) in elements.iter().enumerate() {
            let score = f64::from(*score) / 4.0;
            match twin.iter_mut().find(|known| known.0 == *member) {
                Some(known) => (known.1, known.3) = (known.1 * 3.0 + score, known.3 + 1),
                None => twin.push((*member, score, nth, 1)),
            }
        }
        twin.retain(|(_, _, nth, count)| *nth >= least && *count != times);
        let expected: Vec<_> = twin.iter().map(|(member, score, _, _)| (of_member(*member), *score)).collect();
        let got: Vec<_> = batch.iter().map(|element| (element.member.to_vec(), element.score)).collect();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn a_sorted_set_is_a_map_in_order(
        fill in prop_oneof![0u16..100, 0u16..3000],
        scores in 1u16..2000,
        edits in proptest::collection::vec((0u8..8, 0u16..3000, any::<i8>(), 0u16..400), 0..60),
    ) {
        let limits = limits();
        let (mut zset, mut twin) = (ZSet::default(), Twin::new());
        for i in 0..fill {
            let (name, score) = (format!("member {i}").into_bytes(), f64::from(i * 7 % scores) - 50.0);
            zset.put(&name, score, &limits);
            twin.insert(name, score);
        }
        let mut kept = None;
        for edit in edits {
            let (what, member, score, count) = edit;
            let name = format!("member {member}").into_bytes();
            match what {
                0..=2 => {
                    let score = if what == 0 { f64::from(score) } else { f64::from(score) / 8.0 };
                    prop_assert_eq!(zset.put(&name, score, &limits), twin.insert(name, score));
                }
                3 => prop_assert_eq!(zset.remove(&name), twin.remove(&name)),
                4 => {
                    let from = usize::from(member).min(twin.len());
                    let going = ordered(&twin);
                    let to = going.len().min(from + usize::from(count));
                    going[from..to].iter().for_each(|(member, _)| { twin.remove(member); });
                    zset.remove_ranks(from as u64..from as u64 + u64::from(count));
                }
                5 => {
                    let long = vec![b'l'; usize::from(member)];
                    prop_assert_eq!(zset.put(&long, f64::from(score), &limits), twin.insert(long, f64::from(score)));
                }
                6 => kept = Some((zset.clone(), twin.clone())),
                _ => check_reads(zset.as_ref(), &twin, edit)?,
            }
            prop_assert_eq!(zset.len(), twin.len() as u64);
        }
        prop_assert_eq!(elements(zset.as_ref()), ordered(&twin));
        for (member, score) in &twin {
            prop_assert_eq!(zset.as_ref().score(member), Some(*score));
        }
        if let Some((zset, twin)) = kept {
            prop_assert_eq!(elements(zset.as_ref()), ordered(&twin));
        }
    }
}
