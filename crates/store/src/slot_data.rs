//! What one slot holds: the table of database 0 in place, and everything that most slots don't have (tables of other
//! databases, watchers, pre-images for a snapshot, an unfinished round of expiry) in a box beside it.

use baton_base::WallMs;

use crate::key::DbIndex;
use crate::raw::cell::{Cell, Guard, HasTable};
use crate::raw::record::Record;
use crate::raw::table::Table;
use crate::view::WatchFlag;

/// One slot: its lock and its data.
pub(crate) type SlotCell = Cell<SlotData>;

/// Exclusive access to a slot; dropping it unlocks.
pub(crate) type SlotGuard<'s> = Guard<'s, SlotData>;

const _: () = assert!(size_of::<SlotCell>() == 64);

/// The data of a slot.
pub(crate) struct SlotData {
    first: Table,
    side: Option<Box<Side>>,
}

/// What most slots don't have.
#[derive(Default)]
pub(crate) struct Side {
    /// Tables of databases other than 0, ascending; never an empty one.
    tables: Vec<(DbIndex, Table)>,
    pub(crate) watchers: Vec<Watcher>,
    /// Entries as they were at the running snapshot's cut that were changed or deleted since, each with the database it
    /// was in at the cut.
    pub(crate) preimages: Vec<(DbIndex, Record)>,
    pub(crate) round: Option<ExpiryRound>,
}

/// Somebody who wants to know when a key changes.
pub(crate) struct Watcher {
    pub(crate) db: DbIndex,
    pub(crate) key: Box<[u8]>,
    pub(crate) flag: WatchFlag,
}

/// Where an unfinished round over the keys with an expiry goes on, and the earliest one that it left.
pub(crate) struct ExpiryRound {
    pub(crate) db: DbIndex,
    pub(crate) place: u32,
    pub(crate) earliest: Option<WallMs>,
}

impl SlotData {
    /// A slot without keys.
    pub(crate) const fn new() -> SlotData {
        SlotData { first: Table::new(), side: None }
    }

    /// The table of a database, if it has keys here.
    #[inline]
    pub(crate) fn table(&self, db: DbIndex) -> Option<&Table> {
        if db.0 == 0 { Some(&self.first) } else { self.other_table(db) }
    }

    #[inline(never)]
    fn other_table(&self, db: DbIndex) -> Option<&Table> {
        let side = self.side.as_ref()?;
        side.position(db).ok().map(|i| &side.tables[i].1)
    }

    /// The table of a database for change, if it has keys here.
    #[inline]
    pub(crate) fn table_mut(&mut self, db: DbIndex) -> Option<&mut Table> {
        if db.0 == 0 { Some(&mut self.first) } else { self.other_table_mut(db) }
    }

    #[inline(never)]
    fn other_table_mut(&mut self, db: DbIndex) -> Option<&mut Table> {
        let side = self.side.as_mut()?;
        side.position(db).ok().map(|i| &mut side.tables[i].1)
    }

    /// The table of a database for change, made if it has no keys here. A key must follow, or [`SlotData::tidy`].
    #[inline]
    pub(crate) fn table_or_new(&mut self, db: DbIndex) -> &mut Table {
        if db.0 == 0 { &mut self.first } else { self.side_mut().table_or_new(db) }
    }

    /// The smallest database from this one on that has keys here, with its table.
    pub(crate) fn table_from(&self, db: DbIndex) -> Option<(DbIndex, &Table)> {
        if db.0 == 0 && self.first.len() > 0 {
            return Some((db, &self.first));
        }
        let side = self.side.as_ref()?;
        let (Ok(i) | Err(i)) = side.position(db);
        side.tables.get(i).map(|(db, table)| (*db, table))
    }

    /// All tables with keys, in the order of their databases.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (DbIndex, &Table)> {
        let others = self.side.iter().flat_map(|side| side.tables.iter().map(|(db, table)| (*db, table)));
        std::iter::once((DbIndex(0), &self.first)).filter(|(_, t)| t.len() > 0).chain(others)
    }

    /// Takes the table of a database out, or an empty one.
    pub(crate) fn take_table(&mut self, db: DbIndex) -> Table {
        if db.0 == 0 {
            return std::mem::take(&mut self.first);
        }
        let Some(side) = self.side.as_mut() else { return Table::new() };
        let table = side.position(db).ok().map(|i| side.tables.remove(i).1);
        self.tidy_side();
        table.unwrap_or_default()
    }

    /// Puts a table in the place of an empty one.
    pub(crate) fn put_table(&mut self, db: DbIndex, table: Table) {
        if db.0 == 0 || table.len() > 0 {
            *self.table_or_new(db) = table;
        }
    }

    /// Drops the table of a database and the side box where they became empty.
    #[inline]
    pub(crate) fn tidy(&mut self, db: DbIndex) {
        if db.0 != 0 {
            self.tidy_table(db);
        }
    }

    #[cold]
    fn tidy_table(&mut self, db: DbIndex) {
        if self.table(db).is_some_and(|t| t.len() == 0) {
            self.take_table(db);
        }
    }

    /// What most slots don't have, if this one has.
    #[inline]
    pub(crate) fn side(&self) -> Option<&Side> {
        self.side.as_deref()
    }

    /// As [`SlotData::side`], for change; [`SlotData::tidy_side`] must follow where something was removed.
    #[inline]
    pub(crate) fn side_if_any(&mut self) -> Option<&mut Side> {
        self.side.as_deref_mut()
    }

    /// The side box, made if it is not there; something must follow that fills it, or [`SlotData::tidy_side`].
    pub(crate) fn side_mut(&mut self) -> &mut Side {
        self.side.get_or_insert_default()
    }

    /// Drops the side box if it is empty.
    pub(crate) fn tidy_side(&mut self) {
        if self.side.as_ref().is_some_and(|side| side.is_empty()) {
            self.side = None;
        }
    }

    /// Makes the next round over the keys with an expiry begin anew: tables were exchanged behind its back.
    pub(crate) fn forget_round(&mut self) {
        if let Some(side) = self.side_if_any() {
            side.round = None;
        }
        self.tidy_side();
    }

    /// Bytes of memory in all tables and pre-images of a database, or of all.
    pub(crate) fn bytes(&self, db: Option<DbIndex>) -> u64 {
        match db {
            Some(db) => self.table(db).map_or(0, Table::bytes),
            None => {
                let preimages = self.side.iter().flat_map(|side| &side.preimages);
                self.tables().map(|(_, t)| t.bytes()).sum::<u64>()
                    + preimages.map(|(_, r)| r.as_ref().footprint() as u64).sum::<u64>()
            }
        }
    }
}

impl HasTable for SlotData {
    #[inline]
    fn main_table(&self) -> &Table {
        &self.first
    }
}

impl SlotGuard<'_> {
    /// Remembers that a key of this slot expires then.
    #[inline]
    pub(crate) fn note_expiry(&mut self, at: WallMs) {
        self.lower_due(at);
        // A round under way lowers the bound to what it left; a key behind its back must count too.
        if let Some(round) = self.side_if_any().and_then(|side| side.round.as_mut()) {
            round.earliest = Some(round.earliest.map_or(at, |earliest| earliest.min(at)));
        }
    }
}

impl Side {
    fn position(&self, db: DbIndex) -> Result<usize, usize> {
        self.tables.binary_search_by_key(&db, |(db, _)| *db)
    }

    fn table_or_new(&mut self, db: DbIndex) -> &mut Table {
        let i = self.position(db).unwrap_or_else(|i| {
            self.tables.insert(i, (db, Table::new()));
            i
        });
        &mut self.tables[i].1
    }

    fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.watchers.is_empty() && self.preimages.is_empty() && self.round.is_none()
    }
}
