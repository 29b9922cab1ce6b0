//! Taking back what a view changed, as long as it holds its slots: for a caller that finds out halfway that it needs more
//! slots than it declared. Nobody else has seen anything yet, so what is taken back never was.
//!
//! The first change of a key keeps a copy of its record; nothing of a large value is copied. What is not taken back: keys
//! that were removed because their time had come, marks of watchers, and access clocks.

use std::collections::BTreeMap;

use crate::key::{DbIndex, Key};
use crate::raw::record::Record;
use crate::view::View;

/// Records as they were before their first change; none where there was no key.
#[derive(Default)]
pub(crate) struct Undo {
    kept: BTreeMap<(DbIndex, Box<[u8]>), Option<Record>>,
    /// Changes in the view's outcome, and all that it made, when this began.
    dirty: u64,
    made: u64,
}

impl View<'_> {
    /// From here on, changes can be taken back.
    pub fn begin_undo(&mut self) {
        let (dirty, made) = (self.outcome.dirty, self.changes_made());
        self.undo = Some(Box::new(Undo { dirty, made, ..Undo::default() }));
    }

    /// Changes made so far stay.
    pub fn end_undo(&mut self) {
        self.undo = None;
    }

    /// Takes all changes since [`View::begin_undo`] back, and ends that. The view can be used on.
    pub fn roll_back(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        let db = self.db;
        for ((own, name), record) in undo.kept {
            self.db = own;
            let key = self.key(&name);
            self.restore(&key, record);
        }
        self.db = db;
        // The outcome may have been taken meanwhile.
        self.outcome.dirty = self.outcome.dirty.min(undo.dirty);
        self.uncount_changes(undo.made);
    }

    /// Keeps what is under a key of the selected database before it changes, where that may be wanted back.
    #[inline]
    pub(crate) fn keep_for_undo(&mut self, key: &Key<'_>) {
        if self.undo.is_some() {
            self.keep_record(key);
        }
    }

    #[cold]
    fn keep_record(&mut self, key: &Key<'_>) {
        let name = (self.db, Box::from(key.bytes));
        if self.undo.as_ref().is_none_or(|undo| undo.kept.contains_key(&name)) {
            return;
        }
        let (epoch, pool) = (self.store.walk.epoch(), self.store.pool(key.slot));
        let copy = self.find(key).map(|spot| self.record(key, spot).copied(key.bytes, epoch, pool));
        if let Some(undo) = &mut self.undo {
            undo.kept.insert(name, copy);
        }
    }

    /// Puts a record back in the place of whatever is there.
    fn restore(&mut self, key: &Key<'_>, record: Option<Record>) {
        let expire_at = record.as_ref().and_then(|record| record.as_ref().expire_at());
        match (self.find(key), record) {
            (Some(spot), Some(record)) => self.replace_at(key, spot, record),
            (Some(spot), None) => self.remove_at(key, spot),
            (None, Some(record)) => self.insert(key, record),
            (None, None) => {}
        }
        if let Some(at) = expire_at {
            self.held.slot(key.slot).note_expiry(at);
        }
    }
}
