//! The expiring half of a view: deleting what is due, a bounded number of entries at a time.

use baton_base::{Slot, WallMs};

use crate::key::DbIndex;
use crate::raw::record::Record;
use crate::raw::table::{Spot, Table};
use crate::slot_data::ExpiryRound;
use crate::view::View;

/// Entries looked at in one call, at least; several for each that may be deleted.
const LOOKED_AT_MIN: usize = 128;
const LOOKED_AT_PER_DELETED: usize = 8;

impl View<'_> {
    /// Deletes up to `max` keys of this slot, in any database, whose time has come; they appear in
    /// [`ViewOutcome::expired`]. Tells whether more may be due. Costs next to nothing where nothing is due.
    ///
    /// Looks at a bounded number of entries, so it may delete fewer than `max` and still say that more may be due.
    ///
    /// [`ViewOutcome::expired`]: crate::ViewOutcome::expired
    #[inline]
    pub fn expire_due(&mut self, slot: Slot, max: usize) -> bool {
        if !self.held.slot(slot).may_be_due(self.now) {
            return false;
        }
        self.go_on_with_round(slot, max)
    }

    fn go_on_with_round(&mut self, slot: Slot, max: usize) -> bool {
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
            let (seen, next) = self.expire_chain(slot, &mut round, max, &mut deleted);
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
            if table.expires() > 0 {
                return Some((found, place));
            }
            (db, place) = (DbIndex(found.0 + 1), 0);
        }
    }

    /// Deletes what is due in the chain at the round's place, up to `max` in all; gives how many entries were looked at
    /// and the place behind the chain. The place stays the same where `max` was reached.
    fn expire_chain(
        &mut self,
        slot: Slot,
        round: &mut ExpiryRound,
        max: usize,
        deleted: &mut usize,
    ) -> (usize, Option<u32>) {
        let (db, now, selected) = (round.db, self.now, self.db);
        let mut seen = 0;
        loop {
            let Some(table) = self.held.slot(slot).table_mut(db) else { return (seen, None) };
            let found = look_for_due(table, round.place, now);
            seen += found.seen;
            let Some(spot) = found.due else {
                round.earliest = earlier(round.earliest, found.earliest);
                return (seen, found.next);
            };
            if *deleted >= max {
                return (seen, Some(round.place));
            }
            let record = table.remove_only(spot);
            table.shrink();
            *deleted += 1;
            self.db = db;
            self.report_expired(slot, record);
            self.db = selected;
        }
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
        self.outcome.expired.push((db, name));
    }
}

/// What a look at one chain showed.
struct ChainLook {
    seen: usize,
    due: Option<Spot>,
    earliest: Option<WallMs>,
    next: Option<u32>,
}

fn look_for_due(table: &Table, place: u32, now: WallMs) -> ChainLook {
    let (chain, next) = table.scan(place);
    let mut look = ChainLook { seen: 0, due: None, earliest: None, next };
    chain.for_each(|spot| {
        look.seen += 1;
        match table.record(spot).expire_at() {
            Some(at) if at <= now => look.due = Some(spot),
            at => look.earliest = earlier(look.earliest, at),
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
