//! The large form: fields in the order of their hashes, and where some have an end, the times of those in an order of their
//! own. A hash whose fields all stay has no second tree, and its fields take nothing for times.

use baton_base::WallMs;

use super::time_leaf::{Due, TimeLeaf};
use super::{FieldValue, Hash};
use crate::ahead::Fetch;
use crate::hashed::{Element, Gathered, Hashed, Text};
use crate::limits::Limits;
use crate::text::Str;
use crate::tree::Tree;

/// A hash too large for a listpack, or one with fields that have an end.
#[derive(Clone)]
pub struct LargeHash {
    fields: Hashed<Text>,
    /// When fields end, each with the hash of its name; none if no field does.
    times: Option<Tree<TimeLeaf>>,
}

impl LargeHash {
    pub(super) fn new(seed: u64) -> LargeHash {
        LargeHash { fields: Hashed::new(seed), times: None }
    }

    /// Fields of which some have an end: when, and with which hash of the name, in any order.
    fn of_fields(fields: Hashed<Text>, mut ends: Vec<Due>) -> LargeHash {
        ends.sort_unstable();
        let mut times = (!ends.is_empty()).then(Tree::default);
        for due in ends {
            if let Some(times) = &mut times {
                times.edit_found(|begin| *begin <= due, |leaf: &mut TimeLeaf| leaf.insert(due));
            }
        }
        LargeHash { fields, times }
    }

    pub(super) fn len(&self) -> u64 {
        self.fields.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.fields.heap_bytes() + self.times.as_ref().map_or(0, Tree::heap_bytes)
    }

    pub(super) fn get(&self, field: Str<'_>) -> Option<FieldValue<'_>> {
        self.fields.get(field)
    }

    /// Asks for what looking for these fields will touch.
    pub(crate) fn fetch_elements<'n>(&self, fields: impl Iterator<Item = Str<'n>>, fetch: impl Fetch) {
        self.fields.fetch_ahead(fields, fetch);
    }

    pub(super) fn at(&self, rank: u64) -> Option<Element<'_, Text>> {
        self.fields.at(rank)
    }

    pub(super) fn iter_from(&self, rank: u64) -> impl Iterator<Item = Element<'_, Text>> {
        self.fields.iter_from(rank)
    }

    pub(super) fn scan<'s>(&'s self, cursor: u64, count: usize, visit: impl FnMut(Element<'s, Text>)) -> u64 {
        self.fields.scan(cursor, count, visit)
    }

    /// Sets a field; tells whether it is new.
    pub(super) fn set(&mut self, field: Str<'_>, value: FieldValue<'_>) -> bool {
        if self.times.is_some() || value.expire_at.is_some() {
            self.change_time(field, value.expire_at);
        }
        self.fields.insert(field, value)
    }

    /// Removes a field; tells whether it was there.
    pub(super) fn remove(&mut self, field: Str<'_>) -> bool {
        if self.times.is_some() {
            self.change_time(field, None);
        }
        self.fields.remove(field)
    }

    /// Puts the time of a field, which is about to change, into the place of the one it has.
    fn change_time(&mut self, field: Str<'_>, new: Option<WallMs>) {
        let old = self.fields.get(field).and_then(|value| value.expire_at);
        if old == new {
            return;
        }
        let hash = self.fields.hash_of(field);
        let times = self.times.get_or_insert_default();
        if let Some(old) = old {
            let due = Due::new(old, hash);
            times.edit_found(|begin| *begin <= due, |leaf| leaf.take(due));
        }
        if let Some(new) = new {
            let due = Due::new(new, hash);
            times.edit_found(|begin| *begin <= due, |leaf| leaf.insert(due));
        }
        self.drop_empty_times();
    }

    fn drop_empty_times(&mut self) {
        if self.times.as_ref().is_some_and(|times| times.len() == 0) {
            self.times = None;
        }
    }

    fn first_due(&self) -> Option<Due> {
        self.times.as_ref()?.at(0).leaf.first()
    }

    /// When the first field ends, if any does.
    pub(super) fn next_due(&self) -> Option<WallMs> {
        self.first_due().map(Due::at)
    }

    /// How many fields have ended at this time.
    pub(super) fn due_count(&self, now: WallMs) -> u64 {
        let Some(times) = &self.times else { return 0 };
        let Some(next) = now.0.checked_add(1) else { return times.len() };
        let behind = Due::new(WallMs(next), 0);
        let found = times.find_ranked(|begin| *begin <= behind);
        found.start + found.leaf.count_before(behind) as u64
    }

    /// Removes a field that has ended at this time, and gives its name; none if there is no such field.
    pub(super) fn take_due(&mut self, now: WallMs) -> Option<Vec<u8>> {
        let due = self.first_due().filter(|due| due.at() <= now)?;
        let is_it = |value: FieldValue<'_>| value.expire_at == Some(due.at());
        let found = self.fields.with_hash(due.hash()).find(|(_, value)| is_it(*value));
        let (field, _) = found.expect("every time belongs to a field");
        let name = field.to_vec();
        let field = field.with_bytes(&name);
        self.fields.remove(field);
        if let Some(times) = &mut self.times {
            times.remove_range(0..1);
        }
        self.drop_empty_times();
        Some(name)
    }
}

/// Makes a large hash of fields that come in any order.
pub struct LargeHashBuilder {
    fields: Gathered<Text>,
    ends: Vec<Due>,
}

impl LargeHashBuilder {
    /// No fields.
    pub fn new(limits: &Limits) -> LargeHashBuilder {
        LargeHashBuilder { fields: Gathered::new(limits.seed), ends: Vec::new() }
    }

    /// Takes a field and its value, both given as [`Str::of`] makes them.
    pub fn push(&mut self, field: Str<'_>, value: FieldValue<'_>) {
        let hash = self.fields.push(field, value);
        self.ends.extend(value.expire_at.map(|at| Due::new(at, hash)));
    }

    /// The hash, in the large form; none if a field came twice.
    pub fn finish(self) -> Option<Hash> {
        let (fields, has_twins) = self.fields.finish();
        (!has_twins).then(|| Hash::Large(LargeHash::of_fields(fields, self.ends)))
    }
}
