//! The table against a naive twin, and what prefixes route.

use std::collections::{BTreeMap, BTreeSet};

use baton_store::StoreSettings;
use proptest::prelude::*;

use super::*;

fn who(client: u64) -> Subscriber {
    Subscriber { client: ClientId(client), worker: client as u32 % 3 }
}

fn store() -> Store {
    Store::new(StoreSettings { databases: 1, seed: 1 })
}

fn name(n: u8) -> Vec<u8> {
    format!("key:{n}").into_bytes()
}

#[derive(Clone, Debug)]
enum Deed {
    Read(u8, u64),
    Change(u8),
    Trim(usize),
    Slot(u8),
    Flush,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        20 => (0..40u8, 0..40u64).prop_map(|(key, client)| Deed::Read(key, client)),
        8 => (0..40u8).prop_map(Deed::Change),
        2 => (1..40usize).prop_map(Deed::Trim),
        2 => (0..40u8).prop_map(Deed::Slot),
        1 => Just(Deed::Flush),
    ];
    prop::collection::vec(deed, 0..300)
}

proptest! {
    /// A naive twin: a map of sets.
    #[test]
    fn a_map_of_sets_agrees(deeds in deeds()) {
        let (table, mut twin, mut rng) = (Tracking::default(), BTreeMap::<Vec<u8>, BTreeSet<Subscriber>>::new(), baton_base::Rng::new(7));
        for deed in deeds {
            match deed {
                Deed::Read(key, client) => {
                    table.remember(Slot::of_key(&name(key)), &name(key), who(client));
                    twin.entry(name(key)).or_default().insert(who(client));
                }
                Deed::Change(key) => {
                    let expected: Vec<Subscriber> = twin.remove(&name(key)).into_iter().flatten().collect();
                    prop_assert_eq!(table.take(Slot::of_key(&name(key)), &name(key)), expected);
                }
                Deed::Trim(most) => {
                    for (key, readers) in table.trim(most, &mut rng) {
                        let expected: Vec<Subscriber> = twin.remove(&*key).into_iter().flatten().collect();
                        prop_assert_eq!(readers, expected);
                    }
                    prop_assert!(table.keys() <= most);
                }
                Deed::Slot(key) => {
                    let taken = table.take_slot(Slot::of_key(&name(key)));
                    let taken: Vec<Vec<u8>> = taken.into_iter().map(|(key, _)| key.into_vec()).collect();
                    let lost: Vec<Vec<u8>> = twin.keys().filter(|k| Slot::of_key(k) == Slot::of_key(&name(key))).cloned().collect();
                    prop_assert_eq!(&taken, &lost);
                    lost.iter().for_each(|key| _ = twin.remove(key));
                }
                Deed::Flush => {
                    table.flush();
                    twin.clear();
                }
            }
            prop_assert_eq!(table.keys(), twin.len());
            prop_assert_eq!(table.items(), twin.values().map(BTreeSet::len).sum::<usize>());
        }
    }
}

#[test]
fn the_last_one_takes_the_table_along() {
    let (table, store) = (Tracking::default(), store());
    table.enter(&store, who(1), &[], true);
    table.enter(&store, who(2), &[], true);
    table.remember(Slot::of_key(b"k"), b"k", who(1));
    table.leave(&store, who(1), &[]);
    assert_eq!((table.keys(), table.clients()), (1, 1));
    table.leave(&store, who(2), &[]);
    assert_eq!((table.keys(), table.items(), table.clients()), (0, 0, 0));
}

#[test]
fn a_prefix_hears_once_of_all_its_keys_and_not_of_its_own_if_it_likes() {
    let (table, store) = (Tracking::default(), store());
    let prefix = |text: &str| Arc::<[u8]>::from(text.as_bytes());
    table.enter(&store, who(1), &[prefix("a:"), prefix("b:")], true);
    table.enter(&store, who(2), &[prefix("a:")], false);
    let by = |n| Some(ClientId(n));
    let changed: ChangedNames =
        [("a:1", by(2)), ("a:2", None), ("ab", by(1)), ("c", by(1))].map(|(k, by)| (k.as_bytes().into(), by)).into();
    let names = |words: &[&str]| Push::KeysChanged(encode(words.iter().map(|w| w.as_bytes())));
    assert_eq!(table.route(&changed), [(who(1), names(&["a:1", "a:2"])), (who(2), names(&["a:2"]))]);
    assert!(table.any_prefix() && table.prefixes() == 2);
    table.leave(&store, who(1), &[prefix("a:"), prefix("b:")]);
    assert_eq!(table.prefixes(), 1);
}
