//! The writing half of a view: strings, expiry, access clock, and values that move between keys.

use baton_base::WallMs;
use baton_values::Str;

use crate::clock::{self, AccessRule};
use crate::key::{DbIndex, Key};
use crate::raw::block::Block;
use crate::raw::record::{Header, INLINE_MAX, NewValue, Record, RecordRef};
use crate::raw::table::Spot;
use crate::value::Expire;
use crate::view::{Expiry, View};

impl View<'_> {
    /// Writes a string, replacing whatever was there. Text that is a canonical integer is kept as an integer.
    #[inline]
    pub fn set_str(&mut self, key: &Key<'_>, value: &[u8], expire: Expire) {
        self.put(key, NewValue::of_str(Str::of(value)), false, expire);
    }

    /// Writes an integer, keeping the expiry.
    #[inline]
    pub fn set_int(&mut self, key: &Key<'_>, value: i64) {
        self.put(key, NewValue::Int(value), false, Expire::Keep);
    }

    /// Appends to a string, creating it if it is missing; gives the new length. The expiry stays.
    ///
    /// The caller has checked that the key is missing or holds a string, and that the result is not too long.
    pub fn append(&mut self, key: &Key<'_>, tail: &[u8]) -> usize {
        let Some(spot) = self.locate(key) else {
            self.set_str(key, tail, Expire::Keep);
            return tail.len();
        };
        self.keep_for_undo(key);
        let appended = self.change_block(key, spot, |block| {
            let len = block.bytes().len();
            block.resize(len + tail.len(), true)[len..].copy_from_slice(tail);
            len + tail.len()
        });
        if let Some(len) = appended {
            return len;
        }
        let mut text = self.text_of(key, spot);
        text.extend_from_slice(tail);
        self.put_grown(key, &text);
        text.len()
    }

    /// Overwrites a part of a string, padding with zero bytes, creating it if it is missing; gives the new length.
    ///
    /// The caller has checked type and length, as for [`View::append`].
    pub fn set_range(&mut self, key: &Key<'_>, offset: usize, part: &[u8]) -> usize {
        let end = offset + part.len();
        let spot = self.locate(key);
        self.keep_for_undo(key);
        if let Some(spot) = spot {
            let changed = self.change_block(key, spot, |block| {
                let len = block.bytes().len().max(end);
                block.resize(len, false)[offset..end].copy_from_slice(part);
                len
            });
            if let Some(len) = changed {
                return len;
            }
        }
        let mut text = spot.map_or_else(Vec::new, |spot| self.text_of(key, spot));
        if text.len() < end {
            text.resize(end, 0);
        }
        text[offset..end].copy_from_slice(part);
        self.put(key, NewValue::Text(&text), true, Expire::Keep);
        text.len()
    }

    /// Writes a string that is kept as text even if it spells an integer, replacing whatever was there.
    pub fn set_text(&mut self, key: &Key<'_>, value: &[u8], expire: Expire) {
        self.put(key, NewValue::Text(value), false, expire);
    }

    /// The same for a string that stays open for changes in place, which OBJECT ENCODING calls `raw`.
    pub fn set_raw(&mut self, key: &Key<'_>, value: &[u8], expire: Expire) {
        self.put(key, NewValue::Text(value), true, expire);
    }

    /// Changes the bytes of a string in place, where they lie in memory of their own. The string is created if it is
    /// missing, and first made `len_min` bytes long at least, with zeroes. `change` gives how many changes it made for the
    /// count of changes, at least one.
    ///
    /// The caller has checked type and length, as for [`View::append`].
    pub fn change_str(&mut self, key: &Key<'_>, len_min: usize, change: impl FnOnce(&mut [u8]) -> u64) {
        let (mut change, mut changes) = (Some(change), 1);
        let mut run = |bytes: &mut [u8]| changes = change.take().map_or(1, |change| change(bytes));
        let spot = self.locate(key);
        let in_place = spot.and_then(|spot| {
            self.change_block(key, spot, |block| {
                let len = block.bytes().len().max(len_min);
                run(block.resize(len, false));
                len
            })
        });
        if in_place.is_none() {
            let mut text = spot.map_or_else(Vec::new, |spot| self.text_of(key, spot));
            text.resize(text.len().max(len_min), 0);
            run(&mut text);
            self.set_raw(key, &text, Expire::Keep);
        }
        self.count_changes(changes.saturating_sub(1));
    }

    /// Removes a key; tells whether it was there.
    pub fn remove(&mut self, key: &Key<'_>) -> bool {
        let is_there = self.remove_found(key);
        self.count_changes(u64::from(is_there));
        is_there
    }

    /// Removes a key with all that it holds, which counts as so many changes; tells whether it was there. Nothing of a large
    /// value is freed on the way.
    pub fn remove_whole(&mut self, key: &Key<'_>, changes: u64) -> bool {
        let is_there = self.remove_found(key);
        self.count_changes(if is_there { changes } else { 0 });
        is_there
    }

    /// Removes a key without counting it as a change; tells whether it was there.
    pub(crate) fn remove_found(&mut self, key: &Key<'_>) -> bool {
        let Some(spot) = self.locate(key) else { return false };
        self.keep_for_undo(key);
        self.remove_at(key, spot);
        true
    }

    /// Sets or clears the expiry of a key; tells whether the key is there and something changed.
    pub fn set_expire(&mut self, key: &Key<'_>, expire_at: Option<WallMs>) -> bool {
        let Some(spot) = self.locate(key) else { return false };
        self.keep_for_undo(key);
        let old = self.record(key, spot).expire_at();
        match (old, expire_at) {
            (None, None) => return false,
            (Some(_), Some(at)) => {
                self.make_own(key, spot);
                let db = self.db;
                if let Some(table) = self.held.slot(key.slot).table_mut(db) {
                    table.set_expire_at(spot, at);
                }
            }
            (None, Some(_)) | (Some(_), None) => {
                let record = self.rebuilt(key, spot, expire_at);
                self.replace_at(key, spot, record);
            }
        }
        if let Some(at) = expire_at {
            self.held.slot(key.slot).note_expiry(at);
        }
        self.touch(key);
        self.count_changes(1);
        true
    }

    /// Sets the access clock to `idle_secs` ago (RESTORE ... IDLETIME, loading). Idle times wrap after about 182 days. Does
    /// nothing where accesses are counted instead.
    pub fn set_idle(&mut self, key: &Key<'_>, idle_secs: u64) {
        let (db, now) = (self.db, self.now);
        if self.store.access.rule() != AccessRule::Recency {
            return;
        }
        let Some(spot) = self.find(key) else { return };
        if let Some(table) = self.held.slot(key.slot).table_mut(db) {
            table.set_clock(spot, clock::ago(now, idle_secs));
        }
    }

    /// Sets how often a key was used (RESTORE ... FREQ, loading). Does nothing where that is not counted.
    pub fn set_frequency(&mut self, key: &Key<'_>, count: u8) {
        let (db, now) = (self.db, self.now);
        if self.store.access.rule() == AccessRule::Recency {
            return;
        }
        let Some(spot) = self.find(key) else { return };
        if let Some(table) = self.held.slot(key.slot).table_mut(db) {
            table.set_clock(spot, clock::counted(now, count));
        }
    }

    /// Moves a value with its expiry from `from` in database `from_db` to `to` in the selected database, replacing what
    /// was there. Tells whether `from` was there. Serves RENAME and MOVE without copying large values.
    pub fn move_from(&mut self, from_db: DbIndex, from: &Key<'_>, to: &Key<'_>) -> bool {
        self.transfer(from_db, from, to, true)
    }

    /// Copies a value with its expiry, replacing what was there. Tells whether `from` was there. A large value is shared
    /// until one of the two changes.
    pub fn copy_from(&mut self, from_db: DbIndex, from: &Key<'_>, to: &Key<'_>) -> bool {
        self.transfer(from_db, from, to, false)
    }

    fn transfer(&mut self, from_db: DbIndex, from: &Key<'_>, to: &Key<'_>, remove: bool) -> bool {
        let to_db = self.db;
        self.db = from_db;
        let found = self.locate(from).map(|spot| {
            let (epoch, pool) = (self.store.walk.epoch(), self.store.pool(to.slot));
            let record = self.record(from, spot).copied(to.bytes, epoch, pool);
            if remove {
                self.keep_for_undo(from);
                self.remove_at(from, spot);
            }
            record
        });
        self.db = to_db;
        let Some(record) = found else { return false };
        let expire_at = record.as_ref().expire_at();
        self.keep_for_undo(to);
        match self.find(to) {
            Some(spot) => self.replace_at(to, spot, record),
            None => self.insert(to, record),
        }
        if let Some(at) = expire_at {
            self.held.slot(to.slot).note_expiry(at);
        }
        self.touch(to);
        self.count_changes(1);
        true
    }

    /// Finds a key whatever its expiry says.
    pub(crate) fn find(&mut self, key: &Key<'_>) -> Option<Spot> {
        let db = self.db;
        self.held.slot(key.slot).table(db)?.find(key.hash.0, key.bytes)
    }

    pub(crate) fn record(&mut self, key: &Key<'_>, spot: Spot) -> RecordRef<'_> {
        let db = self.db;
        self.held.slot(key.slot).table(db).expect("the key was found there").record(spot)
    }

    fn text_of(&mut self, key: &Key<'_>, spot: Spot) -> Vec<u8> {
        self.record(key, spot).str().bytes(&mut itoa::Buffer::new()).to_vec()
    }

    /// Writes a value over whatever is there.
    #[inline]
    pub(crate) fn put(&mut self, key: &Key<'_>, value: NewValue<'_>, raw: bool, expire: Expire) {
        let spot = match self.locate(key) {
            // A key that is only hidden is overwritten like any other.
            None if self.expiry == Expiry::Hide => self.find(key),
            spot => spot,
        };
        self.keep_for_undo(key);
        let expire_at = match spot {
            Some(spot) => self.put_over(key, spot, value, raw, expire),
            None => self.put_new(key, value, raw, expire),
        };
        if let Some(at) = expire_at {
            self.held.slot(key.slot).note_expiry(at);
        }
        self.touch(key);
        self.count_changes(1);
    }

    #[inline]
    fn put_new(&mut self, key: &Key<'_>, value: NewValue<'_>, raw: bool, expire: Expire) -> Option<WallMs> {
        let expire_at = expire.over(None);
        let clock = self.store.access.rule().new_clock(self.now);
        let header = Header { expire_at, epoch: self.store.walk.epoch(), clock, raw };
        self.insert(key, Record::new(key.bytes, value, header, self.store.pool(key.slot)));
        expire_at
    }

    #[inline]
    pub(crate) fn put_over(
        &mut self,
        key: &Key<'_>,
        spot: Spot,
        value: NewValue<'_>,
        raw: bool,
        expire: Expire,
    ) -> Option<WallMs> {
        let (db, epoch) = (self.db, self.store.walk.epoch());
        let old = self.record(key, spot);
        let (old_epoch, old_clock) = (old.epoch(), old.clock());
        let (keeps_old, clock) = (self.store.walk.keeps(old_epoch), self.store.touched(self.now, old_clock));
        let table = self.held.slot(key.slot).table_mut(db).expect("the key was found there");
        let old = table.record(spot).expire_at();
        let expire_at = expire.over(old);
        let same_shape = old.is_some() == expire_at.is_some() && !keeps_old;
        if same_shape && table.overwrite(spot, &value, raw, epoch, clock) {
            if let Some(at) = expire_at {
                table.set_expire_at(spot, at);
            }
        } else {
            let header = Header { expire_at, epoch, clock, raw };
            let record = Record::new(key.bytes, value, header, self.store.pool(key.slot));
            self.replace_at(key, spot, record);
        }
        expire_at
    }

    /// Writes a text that was made longer, with room for more of the same if it is large.
    fn put_grown(&mut self, key: &Key<'_>, text: &[u8]) {
        let value = if text.len() > INLINE_MAX {
            NewValue::Block(Block::with_capacity(text, 2 * text.len()))
        } else {
            NewValue::Text(text)
        };
        self.put(key, value, true, Expire::Keep);
    }

    /// Changes a value that lies in a block; none if it doesn't.
    fn change_block(&mut self, key: &Key<'_>, spot: Spot, change: impl FnOnce(&mut Block) -> usize) -> Option<usize> {
        self.make_own(key, spot);
        let clock = self.record(key, spot).clock();
        let clock = self.store.touched(self.now, clock);
        let db = self.db;
        let table = self.held.slot(key.slot).table_mut(db)?;
        let len = table.change_block(spot, clock, change)?;
        self.touch(key);
        self.count_changes(1);
        Some(len)
    }

    /// Makes a record safe to change in place: where a running snapshot has to see it as it is, the snapshot gets it and
    /// an equal one takes its place. A large value is shared by the two, and copied by the change.
    pub(crate) fn make_own(&mut self, key: &Key<'_>, spot: Spot) {
        let old = self.record(key, spot);
        let (epoch, expire_at) = (old.epoch(), old.expire_at());
        if self.store.walk.keeps(epoch) {
            let record = self.rebuilt(key, spot, expire_at);
            self.replace_at(key, spot, record);
        }
    }

    /// An equal record of the current epoch, with this expiry.
    fn rebuilt(&mut self, key: &Key<'_>, spot: Spot, expire_at: Option<WallMs>) -> Record {
        let (epoch, pool) = (self.store.walk.epoch(), self.store.pool(key.slot));
        let old = self.record(key, spot);
        let header = Header { expire_at, epoch, clock: old.clock(), raw: old.is_raw() };
        Record::new(key.bytes, old.new_value(), header, pool)
    }

    pub(crate) fn insert(&mut self, key: &Key<'_>, record: Record) {
        let db = self.db;
        self.store.counters.add(db, 1, i64::from(record.as_ref().expire_at().is_some()));
        let due = record.as_ref().next_due();
        let table = self.held.slot(key.slot).table_or_new(db);
        table.insert(key.hash.0, record, &self.store.hasher);
        table.settle(key.hash.0, self.store.pool(key.slot));
        self.note_elements(key, None, due);
    }

    pub(crate) fn replace_at(&mut self, key: &Key<'_>, spot: Spot, record: Record) {
        let db = self.db;
        let expires = i64::from(record.as_ref().expire_at().is_some());
        let due = record.as_ref().next_due();
        let table = self.held.slot(key.slot).table_mut(db).expect("the key was found there");
        let old = table.replace(spot, record);
        table.settle(key.hash.0, self.store.pool(key.slot));
        self.store.counters.add(db, 0, expires - i64::from(old.as_ref().expire_at().is_some()));
        self.note_elements(key, old.as_ref().next_due(), due);
        self.retire(key.slot, old);
    }

    /// Takes note of when the first element of a value of the selected database ends, before it changed and since.
    #[inline]
    pub(crate) fn note_elements(&mut self, key: &Key<'_>, before: Option<WallMs>, since: Option<WallMs>) {
        if before.is_some() != since.is_some() {
            self.store.counters.add_timed(self.db, i64::from(since.is_some()) - i64::from(before.is_some()));
        }
        if let Some(at) = since {
            self.held.slot(key.slot).note_expiry(at);
        }
    }
}

impl Expire {
    /// The expiry after a write over a key with this one.
    #[inline]
    fn over(self, old: Option<WallMs>) -> Option<WallMs> {
        match self {
            Expire::Keep => old,
            Expire::Never => None,
            Expire::At(at) => Some(at),
        }
    }
}
