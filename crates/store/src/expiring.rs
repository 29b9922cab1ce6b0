//! The expiring half of a view: deleting what is due, a bounded number of entries at a time. Keys end as a whole, or element
//! by element: elements that have ended stay, unseen, until they are removed here or overwritten.

use baton_base::{Slot, WallMs};

use crate::key::DbIndex;
use crate::raw::record::Record;
use crate::raw::table::{Spot, Table};
use crate::slot_data::ExpiryRound;
use crate::view::View;

/// Entries looked at in one call, at least; several for each that may be deleted.
const LOOKED_AT_MIN: usize = 128;
const LOOKED_AT_PER_DELETED: usize = 8;
/// Elements of one key removed at a time, at most: they go into one command of the stream.
const ELEMENTS_MAX: usize = 256;

/// Elements of one key that were removed because their time had come: fields of a hash.
#[derive(Debug, PartialEq, Eq)]
pub struct ExpiredElements {
    /// The key's database.
    pub db: DbIndex,
    /// The key.
    pub key: Box<[u8]>,
    /// Their names, in the order of their times.
    pub names: Vec<Vec<u8>>,
    /// Whether none were left, so that the key was removed too.
    pub emptied: bool,
}

/// What one call removed beside whole keys.
#[derive(Debug, Default)]
pub struct Expired {
    /// Elements, in order.
    pub elements: Vec<ExpiredElements>,
    /// Whether more may be due.
    pub more: bool,
}

impl View<'_> {
    /// Deletes up to about `max` keys and elements of this slot, in any database, whose time has come; keys appear in
    /// [`ViewOutcome::expired`]. Costs next to nothing where nothing is due.
    ///
    /// Looks at a bounded number of entries, so it may delete fewer than `max` and still say that more may be due.
    ///
    /// [`ViewOutcome::expired`]: crate::ViewOutcome::expired
    #[inline]
    pub fn expire_due(&mut self, slot: Slot, max: usize) -> Expired {
        let mut expired = Expired::default();
        if self.held.slot(slot).may_be_due(self.now) {
            expired.more = self.go_on_with_round(slot, max, &mut expired.elements);
        }
        expired
    }

    fn go_on_with_round(&mut self, slot: Slot, max: usize, elements: &mut Vec<ExpiredElements>) -> bool {
        let guard = self.held.slot(slot);
        let round = guard.side_if_any().and_then(|side| side.round.take());
        let mut round = round.unwrap_or(ExpiryRound { db: DbIndex(0), place: 0, earliest: None });
        let mut budget = LOOKED_AT_MIN.saturating_add(max.saturating_mul(LOOKED_AT_PER_DELETED));
        let mut deleted = 0;
        while let Some((db, place)) = self.next_with_expiries(slot, &round) {
            round.place = place;
            round.db = db;
            if deleted >= max || budget == 0 {
                self.held.slot(slot).side_mut().round = Some(round);
                return true;
            }
            let selected = std::mem::replace(&mut self.db, db);
            let (seen, next) = self.expire_chain(slot, &mut round, max, &mut deleted, elements);
            self.db = selected;
            budget = budget.saturating_sub(seen + 1);
            match next {
                Some(place) => round.place = place,
                None => (round.db, round.place) = (DbIndex(db.0 + 1), 0),
            }
        }
        let guard = self.held.slot(slot);
        guard.tidy_side();
        guard.set_due(round.earliest);
        // Keys that the round had passed already may have become due while it was interrupted.
        round.earliest.is_some_and(|at| at <= self.now)
    }

    /// The database and place where a round goes on; none when it is over.
    fn next_with_expiries(&mut self, slot: Slot, round: &ExpiryRound) -> Option<(DbIndex, u32)> {
        let (mut db, mut place) = (round.db, round.place);
        loop {
            let (found, table) = self.held.slot(slot).table_from(db)?;
            if found != db {
                place = 0;
            }
            if table.expires() > 0 || table.timed() > 0 {
                return Some((found, place));
            }
            (db, place) = (DbIndex(found.0 + 1), 0);
        }
    }

    /// Deletes what is due in the chain at the round's place in the selected database, up to about `max` in all; gives how
    /// many entries were looked at and the place behind the chain. The place stays the same where `max` was reached.
    fn expire_chain(
        &mut self,
        slot: Slot,
        round: &mut ExpiryRound,
        max: usize,
        deleted: &mut usize,
        elements: &mut Vec<ExpiredElements>,
    ) -> (usize, Option<u32>) {
        let (db, now) = (self.db, self.now);
        let mut seen = 0;
        loop {
            let Some(table) = self.held.slot(slot).table_mut(db) else { return (seen, None) };
            let found = look_for_due(table, round.place, now);
            seen += found.seen;
            let Some(due) = found.due else {
                round.earliest = earlier(round.earliest, found.earliest);
                return (seen, found.next);
            };
            if *deleted >= max {
                return (seen, Some(round.place));
            }
            match due {
                Due::Key(spot) => {
                    let record = table.remove_only(spot);
                    table.shrink();
                    *deleted += 1;
                    self.report_expired(slot, record);
                }
                Due::Elements(spot) => {
                    let name: Box<[u8]> = table.record(spot).key().into();
                    let expired = self.expire_elements(name, spot);
                    *deleted += expired.names.len();
                    elements.push(expired);
                }
            }
        }
    }

    /// Removes some elements of a key that have ended; the key too, if none are left.
    fn expire_elements(&mut self, name: Box<[u8]>, spot: Spot) -> ExpiredElements {
        let (db, now) = (self.db, self.now);
        let key = self.key(&name);
        self.make_own(&key, spot);
        let table = self.held.slot(key.slot).table_mut(db).expect("the key was found there");
        let before = table.record(spot).next_due();
        let (names, emptied) = table
            .change_boxed(spot, |collection| {
                let due = std::iter::from_fn(|| collection.take_due(now));
                (due.take(ELEMENTS_MAX).collect(), collection.is_gone())
            })
            .expect("what has elements that end lies in a box");
        let since = table.record(spot).next_due();
        self.note_elements(&key, before, since);
        if emptied {
            self.remove_at(&key, spot);
        } else {
            self.touch(&key);
        }
        ExpiredElements { db, key: name, names, emptied }
    }

    fn report_expired(&mut self, slot: Slot, record: Record) {
        let db = self.db;
        let name: Box<[u8]> = record.as_ref().key().into();
        let key = self.key(&name);
        let guard = self.held.slot(slot);
        if let Some(table) = guard.table_mut(db) {
            table.settle(key.hash.0, self.store.pool(slot));
        }
        guard.tidy(db);
        self.store.counters.add(db, -1, -1);
        self.touch(&key);
        self.retire(slot, record);
        self.note_expired(db, name);
    }
}

/// What is due of an entry.
enum Due {
    Key(Spot),
    Elements(Spot),
}

/// What a look at one chain showed.
struct ChainLook {
    seen: usize,
    due: Option<Due>,
    earliest: Option<WallMs>,
    next: Option<u32>,
}

fn look_for_due(table: &Table, place: u32, now: WallMs) -> ChainLook {
    let (chain, next) = table.scan(place);
    let mut look = ChainLook { seen: 0, due: None, earliest: None, next };
    chain.for_each(|spot| {
        look.seen += 1;
        let record = table.record(spot);
        match (record.expire_at(), record.next_due()) {
            (Some(at), _) if at <= now => look.due = Some(Due::Key(spot)),
            (_, Some(at)) if at <= now => look.due = Some(Due::Elements(spot)),
            (key, element) => look.earliest = earlier(look.earliest, earlier(key, element)),
        }
    });
    look
}

fn earlier(a: Option<WallMs>, b: Option<WallMs>) -> Option<WallMs> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
