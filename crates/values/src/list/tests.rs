//! Lists against a vector, and the limits between their forms.

use proptest::prelude::*;

use super::*;

fn texts(list: ListRef<'_>) -> Vec<Vec<u8>> {
    list.iter_from(0).map(|text| text.to_vec()).collect()
}

fn limits() -> Limits {
    Limits::default()
}

#[test]
fn a_list_grows_large_and_becomes_small_again() {
    let mut list = List::default();
    let text = [b'x'; 100];
    let mut changed_at = 0;
    for i in 0..200 {
        list.expect(1, text.len(), &limits());
        list.push_back(&text);
        if changed_at == 0 && list.as_ref().encoding() == "quicklist" {
            changed_at = i + 1;
        }
    }
    // 7 bytes, and 103 for each element; of the new one only its text counts.
    assert_eq!(changed_at, 80);
    list.remove(39..200, &limits());
    assert_eq!((list.len(), list.as_ref().encoding()), (39, "listpack"));
}

#[test]
fn a_clone_keeps_what_it_was() {
    let mut list = List::default();
    for i in 0..100_000 {
        list.expect(1, 8, &limits());
        list.push_back(format!("{i}").as_bytes());
    }
    let before = list.clone();
    list.remove(500..99_000, &limits());
    list.replace(3, b"new");
    list.insert(0, b"first");
    assert_eq!((before.len(), list.len()), (100_000, 1501));
    assert!((0..100_000i64).zip(before.as_ref().iter_from(0)).all(|(n, text)| text == Str::Int(n)));
    assert_eq!(list.as_ref().get(4), Some(Str::Bytes(b"new")));
    assert_eq!(before.as_ref().get(99_999), Some(Str::Int(99_999)));
}

#[test]
fn filling_from_either_end_leaves_no_gaps() {
    for at_head in [false, true] {
        let mut list = List::default();
        let mut bytes = 0;
        for i in 0..100_000u64 {
            let text = format!("element:{i:08}");
            bytes += Listpack::element_bytes(text.as_bytes());
            list.expect(1, text.len(), &limits());
            list.insert(if at_head { 0 } else { i }, text.as_bytes());
        }
        assert!(list.heap_bytes() < bytes * 115 / 100, "{} for {bytes}", list.heap_bytes());
    }
}

proptest! {
    #[test]
    fn a_list_is_a_vector(
        fill in 0usize..3000,
        edits in proptest::collection::vec((0u8..8, any::<prop::sample::Index>(), 0usize..4000), 0..60),
    ) {
        let limits = limits();
        let (mut list, mut twin) = (List::default(), Vec::new());
        for i in 0..fill {
            let text = format!("text {i}").into_bytes();
            list.expect(1, text.len(), &limits);
            list.push_back(&text);
            twin.push(text);
        }
        let mut kept = None;
        for (what, index, n) in edits {
            let i = index.index(twin.len() + 1);
            let text = vec![b'a' + (n % 26) as u8; if what == 0 { n } else { n % 30 }];
            match what {
                0..=2 => {
                    list.expect(1, text.len(), &limits);
                    list.insert(i as u64, &text);
                    twin.insert(i, text);
                }
                3 if i < twin.len() => {
                    list.expect(0, text.len(), &limits);
                    list.replace(i as u64, &text);
                    twin[i] = text;
                }
                4 | 5 => {
                    list.remove(i as u64..(i + n / 4) as u64, &limits);
                    twin.drain(i..twin.len().min(i + n / 4));
                }
                6 => kept = Some((list.clone(), twin.clone())),
                _ => {
                    let got: Vec<_> = list.as_ref().iter_back_from(i as u64).take(40).map(|t| t.to_vec()).collect();
                    let to = twin.len().min(i + 1);
                    let expected: Vec<_> = twin[..to].iter().rev().take(40).cloned().collect();
                    prop_assert_eq!(got, expected);
                    prop_assert_eq!(list.as_ref().get(i as u64).map(|t| t.to_vec()), twin.get(i).cloned());
                    let got: Vec<_> = list.as_ref().iter_from(i as u64).take(40).map(|t| t.to_vec()).collect();
                    prop_assert_eq!(&got[..], &twin[i..twin.len().min(i + 40)]);
                }
            }
            prop_assert_eq!(list.len(), twin.len() as u64);
        }
        prop_assert_eq!(texts(list.as_ref()), twin);
        if let Some((list, twin)) = kept {
            prop_assert_eq!(texts(list.as_ref()), twin);
        }
    }

    #[test]
    fn equal_elements_are_removed_from_the_right_end(
        fill in proptest::collection::vec(0u8..4, 0..3000),
        count in prop_oneof![0u64..20, Just(u64::MAX)],
        from_end in any::<bool>(),
    ) {
        let limits = limits();
        let (mut list, mut twin) = (List::default(), Vec::new());
        for n in fill {
            let text = vec![b'0' + n; 1 + 3 * n as usize];
            list.expect(1, text.len(), &limits);
            list.push_back(&text);
            twin.push(text);
        }
        let before = list.clone();
        let mut left = count;
        let mut keep = |text: &Vec<u8>| {
            let goes = text == b"1111" && left > 0;
            left -= u64::from(goes);
            !goes
        };
        let mut kept: Vec<_> = if from_end {
            twin.iter().rev().filter(|text| keep(text)).cloned().collect()
        } else {
            twin.iter().filter(|text| keep(text)).cloned().collect()
        };
        if from_end {
            kept.reverse();
        }
        let removed = list.remove_equal(b"1111", count, from_end, &limits);
        prop_assert_eq!(removed, (twin.len() - kept.len()) as u64);
        prop_assert_eq!(texts(list.as_ref()), kept);
        prop_assert_eq!(texts(before.as_ref()), twin);
    }
}
