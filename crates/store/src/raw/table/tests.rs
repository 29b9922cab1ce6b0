//! Tests of the table: what chains and places are after many changes.

use super::*;
use crate::raw::heap::Heap;
use crate::raw::record::Header;
use crate::raw::size_class;

fn record(key: &[u8]) -> Record {
    let header = Header { expire_at: None, epoch: 0, clock: 0, raw: false };
    Record::new(key, NewValue::Int(0), header, Heap::new().pool(0, 1))
}

#[test]
fn chains_give_their_further_buckets_back() {
    let hasher = KeyHasher::new(3);
    let mut table = Table::new();
    let keys: Vec<String> = (0..850).map(|n| n.to_string()).collect();
    for key in &keys {
        table.insert(hasher.hash(key.as_bytes()), record(key.as_bytes()), &hasher);
    }
    let buckets = table.buckets.len();
    assert!((56..=64).contains(&buckets), "{buckets} buckets in one segment");
    for key in &keys {
        let spot = table.find(hasher.hash(key.as_bytes()), key.as_bytes()).expect("it was inserted");
        table.remove_only(spot);
    }
    assert_eq!(table.bytes(), size_class::rounded(buckets * 64) as u64);
    (0..buckets).for_each(|_| table.shrink());
    assert_eq!((table.bytes(), table.buckets.len()), (0, 0));
}

#[test]
fn a_bucket_covers_the_places_that_its_hashes_have() {
    for buckets in 1..70 {
        for home in 0..buckets {
            let depth = depth_of(home, buckets);
            for above in 0..4 {
                let hash = home as u64 | above << depth;
                assert_eq!(home_of(hash, buckets), home, "{hash} of {buckets}");
            }
            if depth > 0 {
                assert_ne!(home_of(home as u64 ^ 1 << (depth - 1), buckets), home, "a bit fewer decides too little");
            }
        }
    }
}
