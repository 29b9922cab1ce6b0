//! What one slot holds: a table for each database that has keys in it, and who watches which key.

use std::collections::BTreeMap;

use baton_base::WallMs;

use crate::view::WatchFlag;

/// A stored value in this plain form.
#[derive(Clone, Debug)]
pub(crate) enum Owned {
    Int(i64),
    Bytes { bytes: Vec<u8>, raw: bool },
}

#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) value: Owned,
    pub(crate) expire_at: Option<WallMs>,
    pub(crate) access_secs: u64,
}

#[derive(Default)]
pub(crate) struct SlotData {
    pub(crate) tables: BTreeMap<u32, BTreeMap<Box<[u8]>, Item>>,
    pub(crate) watchers: Vec<(u32, Box<[u8]>, WatchFlag)>,
}
