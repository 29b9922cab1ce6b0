//! Commands that go over a whole database. They hold no slot while another is visited.

use baton_base::{Slot, SlotBitmap, WallMs};
use baton_store::{DbIndex, Entry, Expiry, HeldForLong, Store};

use super::KeySearch;
use crate::exec::StoreExec;
use crate::fail::Fail;
use crate::long_reply::{LongReply, Room};
use crate::scan_filter::{KeyNames, ScanFilter, parse_cursor};
use crate::wait::Waits;

/// DBSIZE.
pub(crate) fn dbsize(x: &mut StoreExec<'_>) -> Result<(), Fail> {
    let hidden = x.env.hidden.as_deref().map_or(Ok(0), |slots| x.store.keys_of_all(x.db, slots))?;
    x.out.int(x.store.len(x.db).saturating_sub(hidden) as i64);
    Ok(())
}

/// RANDOMKEY. Keys that are due and come up are left for the caller to delete.
pub(crate) fn randomkey(x: &mut StoreExec<'_>) -> Result<(), Fail> {
    for _ in 0..RANDOM_TRIES_MAX {
        let Some(name) = random_shown(x, EVERYTHING)? else { break };
        let key = x.store.key(&name);
        if x.store.view_or_give_up(key.slot, x.db, x.now, Expiry::Hide)?.exists(&key) {
            x.out.bulk(&name);
            return Ok(());
        }
        if !x.due.iter().any(|d| **d == *name) {
            x.due.push(name.into());
        }
    }
    match random_shown(x, x.now)? {
        Some(name) => x.out.bulk(&name),
        None => x.out.null(),
    }
    Ok(())
}

/// A random key that is not due at this time, of those that clients are shown.
fn random_shown(x: &mut StoreExec<'_>, now: WallMs) -> Result<Option<Vec<u8>>, HeldForLong> {
    match &x.env.hidden {
        None => x.store.random_key(x.db, x.rng, now),
        Some(hidden) => x.store.random_key_without(x.db, x.rng, now, hidden),
    }
}

/// How often RANDOMKEY looks for a key that is not due before it asks for one.
const RANDOM_TRIES_MAX: usize = 100;

/// A time at which nothing is due yet: scans then visit keys whose time has come as well.
const EVERYTHING: WallMs = ScanFilter::EVERYTHING;

/// KEYS pattern.
pub(crate) fn keys(x: &mut StoreExec<'_>) -> Result<(), Fail> {
    let room = if x.waits == Waits::May { Room::FIRST } else { Room::ENDLESS };
    let mut search = KeySearch::new(x.db, x.now, x.args.at(1), x.env.hidden.clone());
    search.write(x.store, x.out, room)?;
    if !search.is_over() {
        x.left = Some(Box::new(LongReply::of_keys(search)));
    }
    Ok(())
}

/// SCAN cursor [MATCH pattern] [COUNT count] [TYPE type].
pub(crate) fn scan(x: &mut StoreExec<'_>) -> Result<(), Fail> {
    let cursor = parse_cursor(x.args.at(1)).ok_or(Fail::Text("ERR invalid cursor"))?;
    let filter = ScanFilter::parse(x.args.skip(2), |_, _| Ok(false))?;
    let (mut names, now) = (KeyNames::default(), x.now);
    let mut visit = |name: &[u8], entry: Entry<'_>| {
        if !filter.admits(name, &entry) {
        } else if entry.expire_at.is_some_and(|at| at <= now) {
            x.due.push(name.into());
        } else {
            names.push(name);
        }
    };
    let slot = filter.slot();
    let from = slot.filter(|_| cursor == 0).map_or(cursor, |slot| u64::from(slot.number()));
    let next = match &x.env.hidden {
        None => x.store.scan(x.db, from, filter.count, EVERYTHING, &mut visit)?.cursor,
        Some(hidden) => scan_shown(x.store, x.db, from, filter.count, hidden, &mut visit)?,
    };
    // All matches are in one slot: past it there is nothing to find.
    let done = slot.is_some_and(|slot| slot.index() as u64 != next & SLOT_OF_CURSOR);
    x.out.array(2);
    x.out.bulk((if done { 0 } else { next }).to_string().as_bytes());
    names.write(x.out);
    Ok(())
}

/// As [`Store::scan`] for everything, but that slots which are not shown are passed by, at no cost to the count.
fn scan_shown(
    store: &Store,
    db: DbIndex,
    mut cursor: u64,
    count: usize,
    hidden: &SlotBitmap,
    visit: &mut dyn FnMut(&[u8], Entry<'_>),
) -> Result<u64, HeldForLong> {
    let mut left = count.max(1);
    loop {
        let at = Slot::all().nth((cursor & SLOT_OF_CURSOR) as usize).unwrap_or_default();
        let shown = |slot: &Slot| !hidden.contains(*slot);
        let Some(first) = Slot::all().skip(at.index()).find(shown) else { return Ok(0) };
        if first != at {
            cursor = u64::from(first.number());
        }
        let last = Slot::all().skip(first.index()).take_while(shown).last().unwrap_or(first);
        let mut seen = 0;
        let counted = &mut |name: &[u8], entry: Entry<'_>| {
            seen += 1;
            visit(name, entry);
        };
        if let Some(next) = store.scan_through(db, cursor, last, left, EVERYTHING, counted)? {
            return Ok(next);
        }
        left = left.saturating_sub(seen).max(1);
        let Some(next) = Slot::new(last.number() + 1) else { return Ok(0) };
        cursor = u64::from(next.number());
    }
}

/// The bits of a cursor that are its slot's number.
const SLOT_OF_CURSOR: u64 = 0x3FFF;
