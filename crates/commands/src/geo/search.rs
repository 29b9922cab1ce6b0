//! Searching for places in a shape.

use baton_resp::Args;
use baton_store::Key;
use baton_values::{Scored, ZSet, ZSetRef};

use super::cell::{Cell, Place};
use super::options::{Fixed, From, Order, Search, Store};
use super::{reply_distance, reply_place};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::zset;

/// A place that was found.
#[derive(Debug)]
struct Found {
    member: Box<[u8]>,
    score: f64,
    /// In metres.
    distance: f64,
    place: Place,
}

/// GEOSEARCH key FROMMEMBER member | FROMLONLAT longitude latitude BYRADIUS radius unit | BYBOX width height unit |
/// BYPOLYGON vertices longitude latitude [longitude latitude ...] [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST]
/// [WITHHASH].
pub(crate) fn geosearch(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    search(x, key, Fixed { from: From::Options(2), may_store: false, is_stored: false })
}

/// GEOSEARCHSTORE destination source ... [STOREDIST].
pub(crate) fn geosearchstore(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(1, 2);
    search(x, key, Fixed { from: From::Options(3), may_store: false, is_stored: true })
}

/// GEORADIUS key longitude latitude radius unit [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]
/// [STORE key | STOREDIST key].
pub(crate) fn georadius(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    radius(x, From::Place, true)
}

/// GEORADIUS_RO: GEORADIUS without the options that store.
pub(crate) fn georadius_ro(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    radius(x, From::Place, false)
}

/// GEORADIUSBYMEMBER key member radius unit, then as GEORADIUS.
pub(crate) fn georadiusbymember(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    radius(x, From::Member, true)
}

/// GEORADIUSBYMEMBER_RO: GEORADIUSBYMEMBER without the options that store.
pub(crate) fn georadiusbymember_ro(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    radius(x, From::Member, false)
}

fn radius(x: &mut Exec<'_, '_>, from: From, may_store: bool) -> Result<(), Fail> {
    let key = x.key(0, 1);
    search(x, key, Fixed { from, may_store, is_stored: false })
}

fn search(x: &mut Exec<'_, '_>, key: Key<'_>, fixed: Fixed) -> Result<(), Fail> {
    let (search, found) = match x.view.read(&key, x.touch) {
        Some(entry) => found_in(zset::zset_of(&entry)?, x.args, fixed)?,
        None => (Search::parse(x.args, fixed, None)?, Vec::new()),
    };
    match search.store {
        Some(to) => {
            let event = if fixed.is_stored { "geosearchstore" } else { "georadiusstore" };
            store(x, &search, to, &found, event)
        }
        None => {
            reply(x, &search, &found);
            Ok(())
        }
    }
}

fn found_in(zset: ZSetRef<'_>, args: Args<'_>, fixed: Fixed) -> Result<(Search, Vec<Found>), Fail> {
    let search = Search::parse(args, fixed, Some(zset))?;
    let found = search.run(zset);
    Ok((search, found))
}

impl Search {
    fn run(&self, zset: ZSetRef<'_>) -> Vec<Found> {
        let Some(center) = self.center else { return Vec::new() };
        let most = self.count.unwrap_or(usize::MAX);
        let enough = if self.any { most } else { usize::MAX };
        let mut found = Vec::new();
        let mut last = None;
        for cell in self.area.cover(center).into_iter().flatten() {
            // Of large cells some are their own neighbours.
            if last.replace(cell) != Some(cell) && found.len() < enough {
                self.visit(zset, center, cell, enough, &mut found);
            }
        }
        match self.order {
            Some(Order::Nearest) => found.sort_by(|a, b| a.distance.total_cmp(&b.distance)),
            Some(Order::Farthest) => found.sort_by(|a, b| b.distance.total_cmp(&a.distance)),
            None => {}
        }
        found.truncate(most);
        found
    }

    /// Adds the places of a cell, until there are enough.
    fn visit(&self, zset: ZSetRef<'_>, center: Place, cell: Cell, enough: usize, found: &mut Vec<Found>) {
        let (from, to) = cell.scores();
        let first = zset.count_while(|score, _| score < from);
        for Scored { member, score } in zset.iter_from(first).take_while(|element| element.score < to) {
            let place = Cell::of_score(score).center();
            let Some(distance) = self.area.distance_inside(center, place) else { continue };
            let member = member.bytes(&mut itoa::Buffer::new()).into();
            found.push(Found { member, score, distance, place });
            if found.len() >= enough {
                return;
            }
        }
    }
}

fn reply(x: &mut Exec<'_, '_>, search: &Search, found: &[Found]) {
    let parts = [search.with_distance, search.with_hash, search.with_place].into_iter().filter(|with| *with).count();
    x.out.array(found.len());
    for Found { member, score, distance, place } in found {
        if parts > 0 {
            x.out.array(parts + 1);
        }
        x.out.bulk(member);
        if search.with_distance {
            reply_distance(x.out, distance / search.unit);
        }
        if search.with_hash {
            x.out.int(*score as i64);
        }
        if search.with_place {
            reply_place(x.out, *place);
        }
    }
}

fn store(x: &mut Exec<'_, '_>, search: &Search, to: Store, found: &[Found], event: &'static str) -> Result<(), Fail> {
    let name = x.args.at(to.arg);
    let key = x.keys.iter().find(|key| key.bytes == name).copied().unwrap_or_else(|| x.view.key(name));
    let limits = x.limits();
    let mut result = ZSet::default();
    for Found { member, score, distance, .. } in found {
        result.put(member, if to.distances { distance / search.unit } else { *score }, &limits);
    }
    zset::store(x, &key, result, event);
    Ok(())
}
