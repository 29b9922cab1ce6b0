//! Which keys are found to be evicted, and what is kept of accesses.

use baton_base::{Rng, Slot, WallMs};
use baton_store::{AccessRule, DbIndex, EvictFirst, EvictionPool, EvictionRule, Expire, Expiry, Store, StoreSettings};

const START: WallMs = WallMs(1 << 40);

fn store() -> Store {
    Store::new(StoreSettings { databases: 4, seed: 5 })
}

fn at(secs: u64) -> WallMs {
    WallMs(START.0 + secs * 1000)
}

fn set(store: &Store, db: u32, name: &str, expire: Expire, now: WallMs) {
    let key = store.key(name.as_bytes());
    store.view(key.slot, DbIndex(db), now, Expiry::Delete).set_str(&key, &[b'v'; 100], expire);
}

fn read(store: &Store, name: &str, now: WallMs) {
    let key = store.key(name.as_bytes());
    assert!(store.view(key.slot, DbIndex(0), now, Expiry::Delete).read(&key, true).is_some());
}

fn rule(first: EvictFirst, only_expiring: bool) -> EvictionRule {
    EvictionRule { first, only_expiring, samples: 5 }
}

/// Evicts so many keys; gives their names and databases.
fn evict(store: &Store, rule: EvictionRule, count: usize, now: WallMs) -> Vec<(u32, String)> {
    let (mut pool, mut rng, mut out) = (EvictionPool::default(), Rng::new(3), Vec::new());
    while out.len() < count {
        let Some((db, name)) = store.to_evict(rule, &|slot| slot == Slot::of_key(b"spared"), now, &mut rng, &mut pool)
        else {
            return out;
        };
        let key = store.key(&name);
        if store.view(key.slot, db, now, Expiry::Delete).evict(&key, rule.only_expiring).is_some() {
            out.push((db.0, String::from_utf8(name.into()).expect("names are texts")));
        }
    }
    out
}

#[test]
fn all_that_may_go_goes_and_nothing_else() {
    for first in
        [EvictFirst::LongestIdle, EvictFirst::LeastUsed { decay_minutes: 1 }, EvictFirst::NextDue, EvictFirst::Any]
    {
        let store = store();
        // One slot with many keys of which few expire, and keys in others.
        (0..3000).for_each(|n| set(&store, 0, &format!("{{t}}{n}"), Expire::Never, START));
        (0..3).for_each(|n| set(&store, 0, &format!("{{t}}due {n}"), Expire::At(at(1000)), START));
        (0..200).for_each(|n| set(&store, n % 3, &format!("due {n}"), Expire::At(at(u64::from(n))), START));
        set(&store, 0, "{spared} due", Expire::At(at(1)), START);
        let mut gone = evict(&store, rule(first, true), usize::MAX, START);
        assert!(gone.iter().all(|(_, name)| name.contains("due")), "{first:?}");
        gone.sort();
        gone.dedup();
        assert_eq!((gone.len(), store.len(DbIndex(0)), store.expires_len(DbIndex(0))), (203, 3001, 1), "{first:?}");
        assert_eq!(evict(&store, rule(first, false), usize::MAX, START).len(), 3000);
        assert_eq!(store.len(DbIndex(0)), 1);
    }
}

#[test]
fn those_that_were_not_used_for_longest_go_first() {
    let store = store();
    (0..1000).for_each(|n| set(&store, 0, &format!("k{n}"), Expire::Never, at(n)));
    // The first half is used again.
    (0..500).for_each(|n| read(&store, &format!("k{n}"), at(2000 + n)));
    let gone = evict(&store, rule(EvictFirst::LongestIdle, false), 400, at(3000));
    let used = gone.iter().filter(|(_, name)| name[1..].parse::<u32>().is_ok_and(|n| n < 500)).count();
    assert!(used < 100, "{used} of 400 were used lately");
}

#[test]
fn those_that_were_used_least_go_first() {
    let store = store();
    store.set_access_rule(AccessRule::Frequency { log_factor: 10, decay_minutes: 1 });
    (0..1000).for_each(|n| set(&store, 0, &format!("k{n}"), Expire::Never, START));
    (0..500).for_each(|n| (0..100).for_each(|_| read(&store, &format!("k{n}"), START)));
    let frequency = |name: &str, now| {
        let key = store.key(name.as_bytes());
        store.view(key.slot, DbIndex(0), now, Expiry::Delete).peek(&key).map(|entry| entry.frequency(now, 1))
    };
    assert_eq!(frequency("k700", START), Some(5));
    assert!(frequency("k7", START).is_some_and(|count| (6..30).contains(&count)));
    assert_eq!(frequency("k7", at(6000)), Some(0));
    let first = EvictFirst::LeastUsed { decay_minutes: 1 };
    let gone = evict(&store, rule(first, false), 400, START);
    let used = gone.iter().filter(|(_, name)| name[1..].parse::<u32>().is_ok_and(|n| n < 500)).count();
    assert!(used < 100, "{used} of 400 were used often");
}

#[test]
fn those_that_expire_next_go_first() {
    let store = store();
    (0..1000).for_each(|n| set(&store, 0, &format!("k{n}"), Expire::At(at(10_000 - n)), START));
    let gone = evict(&store, rule(EvictFirst::NextDue, true), 400, START);
    let late = gone.iter().filter(|(_, name)| name[1..].parse::<u32>().is_ok_and(|n| n < 500)).count();
    assert!(late < 100, "{late} of 400 had more time than most");
}
