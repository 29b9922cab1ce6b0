//! The writing half of a view for collections: a command changes one by a function of its own, and what follows from that
//! for the record, watchers, the snapshot and the count of changes is done here.

use baton_values::{Collection, CollectionType};

use crate::key::Key;
use crate::raw::record::NewValue;
use crate::raw::table::Spot;
use crate::value::Expire;
use crate::view::View;

/// The key holds another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongType;

/// What to do where there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Change an empty collection, and keep it if it has elements then.
    Create,
    /// Do nothing.
    Skip,
}

/// What became of a collection.
struct Changed<R> {
    changes: u64,
    out: R,
    /// Whether its key is to be removed.
    gone: bool,
}

impl View<'_> {
    /// Changes a collection of type `T`. `change` gives how many changes that were, for the count of changes (0: nothing
    /// changed, and nothing must have), and whatever the caller wants to know. None if there is no key and none was to be
    /// made.
    ///
    /// A collection without elements left goes together with its key, streams excepted. The expiry stays.
    ///
    /// # Errors
    /// If the key holds another type; `change` is not called then.
    pub fn edit<T: CollectionType, R>(
        &mut self,
        key: &Key<'_>,
        missing: Missing,
        change: impl FnOnce(&mut T) -> (u64, R),
    ) -> Result<Option<R>, WrongType> {
        let Some(spot) = self.locate(key) else {
            return Ok((missing == Missing::Create).then(|| self.create(key, change)));
        };
        let record = self.record(key, spot);
        if record.value().kind() != T::KIND {
            return Err(WrongType);
        }
        self.keep_for_undo(key);
        let record = self.record(key, spot);
        let small = record.packed().map(|(kind, bytes)| Collection::from_packed(kind, bytes.to_vec()));
        let changed = match small {
            Some(mut collection) => {
                let changed = run(&mut collection, change);
                if changed.changes > 0 && !changed.gone {
                    self.put_collection_over(key, spot, collection);
                }
                changed
            }
            None => self.edit_boxed(key, spot, change),
        };
        if changed.gone {
            self.remove_found(key);
        }
        if changed.changes > 0 {
            self.touch(key);
            self.count_changes(changed.changes);
        }
        Ok(Some(changed.out))
    }

    /// Changes a collection in its box, where it stays unless it became small.
    fn edit_boxed<T: CollectionType, R>(
        &mut self,
        key: &Key<'_>,
        spot: Spot,
        change: impl FnOnce(&mut T) -> (u64, R),
    ) -> Changed<R> {
        self.make_own(key, spot);
        let clock = self.record(key, spot).clock();
        let clock = self.store.touched(self.now, clock);
        let db = self.db;
        let table = self.held.slot(key.slot).table_mut(db).expect("the key was found there");
        let before = table.record(spot).next_due();
        let (changed, small) = table
            .change_boxed(spot, |collection| {
                let changed = run(collection, change);
                let is_small = !changed.gone && NewValue::of_small(collection).is_some();
                (changed, is_small.then(|| collection.clone()))
            })
            .expect("what is no string and not packed lies in a box");
        if changed.changes > 0 {
            table.set_clock(spot, clock);
            let since = table.record(spot).next_due();
            self.note_elements(key, before, since);
        }
        if let Some(collection) = small {
            self.put_collection_over(key, spot, collection);
        }
        changed
    }

    fn create<T: CollectionType, R>(&mut self, key: &Key<'_>, change: impl FnOnce(&mut T) -> (u64, R)) -> R {
        let mut new = T::default();
        let (changes, out) = change(&mut new);
        if changes > 0 && !new.is_gone() {
            self.put_collection(key, new.into_collection(), Expire::Keep);
            // Putting it counted one change.
            self.count_changes(changes - 1);
        }
        out
    }

    /// Writes a collection over whatever is there, as one change. One that is gone leaves no key.
    pub fn put_collection(&mut self, key: &Key<'_>, collection: Collection, expire: Expire) {
        if collection.is_gone() {
            self.remove(key);
            return;
        }
        match NewValue::of_small(&collection) {
            Some(value) => self.put(key, value, false, expire),
            None => self.put(key, NewValue::Boxed(Box::new(collection)), false, expire),
        }
    }

    fn put_collection_over(&mut self, key: &Key<'_>, spot: Spot, collection: Collection) {
        match NewValue::of_small(&collection) {
            Some(value) => self.put_over(key, spot, value, false, Expire::Keep),
            None => self.put_over(key, spot, NewValue::Boxed(Box::new(collection)), false, Expire::Keep),
        };
    }

    /// The collection of a key, of its own: nothing of a large one is copied. None if there is no key. Counts and renews
    /// the access clock as [`View::read`] does.
    ///
    /// # Errors
    /// If the key holds another type.
    pub fn cloned<T: CollectionType>(&mut self, key: &Key<'_>, touch: bool) -> Result<Option<T>, WrongType> {
        let Some(entry) = self.read(key, touch) else { return Ok(None) };
        entry.value.to_collection().and_then(T::from_collection).map(Some).ok_or(WrongType)
    }
}

fn run<T: CollectionType, R>(collection: &mut Collection, change: impl FnOnce(&mut T) -> (u64, R)) -> Changed<R> {
    let typed = T::of(collection).expect("its kind was looked at");
    let (changes, out) = change(typed);
    Changed { changes, out, gone: changes > 0 && typed.is_gone() }
}
