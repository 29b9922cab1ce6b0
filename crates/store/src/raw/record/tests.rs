//! Records of all shapes: sizes, changes in place, shared blocks.

use baton_values::Str;

use super::*;
use crate::raw::heap::Heap;

fn record(key: &[u8], value: NewValue<'_>, expire_at: Option<u64>) -> Record {
    let header = Header { expire_at: expire_at.map(WallMs), epoch: 3, clock: 0x12_3456, raw: false };
    Record::new(key, value, header, Heap::new().pool(0, 1))
}

#[test]
fn sizes_are_those_the_design_counts_on() {
    let key = [b'k'; 16];
    for (value, expire, bytes) in
        [(8, None, 32), (64, None, 88), (64, Some(1), 96), (8, Some(1), 40), (0, None, 24), (1024, None, 1280)]
    {
        let r = record(&key, NewValue::Text(&vec![b'v'; value]), expire);
        assert_eq!(r.as_ref().footprint(), bytes, "{value} {expire:?}");
    }
    assert_eq!(record(&key, NewValue::Int(i64::MIN), None).as_ref().footprint(), 32);
    let big = record(&key, NewValue::Text(&[0; 1025]), None);
    assert_eq!(big.as_ref().footprint(), 32 + size_class::rounded(24 + 1025));
}

#[test]
fn every_field_is_read_back() {
    for key_len in [0, 1, 127, 128, 300, 20_000] {
        for value_len in [0, 1, 127, 128, 1024, 1025, 70_000] {
            for expire in [None, Some(u64::MAX - 1)] {
                let (key, value) = (vec![b'k'; key_len], vec![b'v'; value_len]);
                let r = record(&key, NewValue::Text(&value), expire);
                let r = r.as_ref();
                assert_eq!(r.key(), key);
                assert_eq!(r.str(), Str::Bytes(&value));
                assert_eq!(r.expire_at(), expire.map(WallMs));
                assert_eq!((r.epoch(), r.clock(), r.is_raw()), (3, 0x12_3456, false));
            }
        }
    }
}

#[test]
fn overwriting_keeps_the_size_class_or_refuses() {
    let mut r = record(b"0123456789abcdef", NewValue::Text(b"00000001"), Some(5));
    assert!(r.as_mut().overwrite(&NewValue::Int(-7)));
    assert_eq!(r.as_ref().str(), Str::Int(-7));
    assert!(r.as_mut().overwrite(&NewValue::Text(b"0123456")));
    assert_eq!(r.as_ref().str(), Str::Bytes(b"0123456"));
    assert_eq!((r.as_ref().key(), r.as_ref().expire_at()), (&b"0123456789abcdef"[..], Some(WallMs(5))));
    assert!(!r.as_mut().overwrite(&NewValue::Text(&[1; 60])));
    assert!(!r.as_mut().overwrite(&NewValue::Text(&[1; 6000])));
    assert_eq!(r.as_ref().str(), Str::Bytes(b"0123456"));
}

#[test]
fn a_block_is_reused_by_its_sole_owner_only() {
    let mut r = record(b"k", NewValue::Text(&[1; 4000]), None);
    let NewValue::Block(other) = r.as_ref().new_value() else { panic!("a long text lies in a block") };
    assert!(!r.as_mut().overwrite(&NewValue::Text(&[2; 3900])));
    drop(other);
    assert!(r.as_mut().overwrite(&NewValue::Text(&[2; 3900])));
    assert_eq!(r.as_ref().str(), Str::Bytes(&[2; 3900]));
    assert!(!r.as_mut().overwrite(&NewValue::Text(&[3; 1100])));
}
