//! CLUSTERSCAN: the names of all keys of the cluster, a node's contiguous slots after the other. The cursor carries the
//! hash tag of the slot where it goes on, so that clients send it where that slot is served. Never looks beyond this node.

use baton_base::{Slot, SlotTags};
use baton_cluster::Topology;
use baton_commands::{Fail, KeyNames, ScanFilter};
use baton_resp::Args;
use baton_store::{Entry, HeldForLong};

use super::super::Refusal;
use super::slot;
use crate::shared::Shared;
use crate::worker::client::Client;
use crate::worker::context::Context;
use crate::worker::exec;

/// The cursor of a scan that begins, and of one that is over.
const NOWHERE: &[u8] = b"0";
/// The mark of a cursor that names a slot, but no place in it.
const NO_PLACE: &str = "0";
/// Characters of the mark of cursors whose places are this process's.
const MARK_LEN: usize = 10;
const CURSOR: &str = "ERR Invalid cursor";

/// CLUSTERSCAN cursor [MATCH pattern] [COUNT count] [TYPE type] [SLOT slot].
pub(crate) fn run(
    cx: &mut Context<'_>,
    client: &mut Client,
    topology: &Topology,
    args: Args<'_>,
) -> Result<(), Refusal> {
    let (filter, wanted) = options(args)?;
    let cursor = args.at(1);
    let confined = filter.slot();
    let tags = cx.shared.slot_tags.get_or_init(SlotTags::new);
    let at = if cursor == NOWHERE { None } else { Some((Slot::of_key(cursor), place(cx.shared, cursor)?)) };
    let (Some((first, place)), true) = (at, confined.is_none() || at.map(|(slot, _)| slot) == confined) else {
        if let (Some((first, _)), Some(wanted)) = (at, wanted)
            && first != wanted
        {
            return Err(MISMATCH.into());
        }
        let next = first_slot(at.map(|(slot, _)| slot), wanted, confined);
        write(client, next.map(|slot| jump(tags, slot)), &KeyNames::default());
        return Ok(());
    };
    if wanted.is_some_and(|wanted| wanted != first) {
        return Err(MISMATCH.into());
    }
    let single = wanted.or(confined).is_some();
    let last = if single { first } else { end_of_run(topology, first) };
    let step = Step { first, place, last };
    let (names, next) = visit(cx, client, &filter, step).map_err(|held| cx.busy(held))?;
    let cursor = match next {
        Some(next) => {
            let slot = Slot::new((next & SLOT_OF_PLACE) as u16).unwrap_or_default();
            Some(format!("{}-{{{}}}-{next}", mark(cx.shared), String::from_utf8_lossy(tags.of(slot))))
        }
        None if single => None,
        None => Slot::new(last.number() + 1).map(|slot| jump(tags, slot)),
    };
    write(client, cursor, &names);
    Ok(())
}

const MISMATCH: &str = "ERR Cursor slot mismatch with SLOT argument";
/// The bits of a place that are its slot's number.
const SLOT_OF_PLACE: u64 = 0x3FFF;

/// Where a scan goes that is not to look at keys now: at its beginning, or because the keys it wants are all in another
/// slot. None if it is over.
fn first_slot(at: Option<Slot>, wanted: Option<Slot>, confined: Option<Slot>) -> Option<Slot> {
    match (wanted, confined) {
        (Some(wanted), Some(confined)) => (wanted == confined && at.is_none()).then_some(wanted),
        (None, Some(confined)) => at.is_none_or(|at| at < confined).then_some(confined),
        (wanted, None) => Some(wanted.unwrap_or_default()),
    }
}

fn options(args: Args<'_>) -> Result<(ScanFilter<'_>, Option<Slot>), Refusal> {
    let mut wanted = None;
    let filter = ScanFilter::parse(args.skip(2), |word, value| {
        if word != b"SLOT" {
            return Ok(false);
        }
        if wanted.is_some() {
            return Err(Fail::Text("ERR SLOT option can only be specified once"));
        }
        wanted = Some(slot(value).map_err(|refusal| Fail::Bytes(refusal.0.into_owned().into_bytes()))?);
        Ok(true)
    });
    let filter = filter.map_err(|fail| Refusal(String::from_utf8_lossy(&fail.text()).into_owned().into()))?;
    Ok((filter, wanted))
}

/// The place that a cursor names: `mark-{tag}-place`. Places of another process mean nothing here, so the slot begins anew.
fn place(shared: &Shared, cursor: &[u8]) -> Result<u64, Refusal> {
    let mut parts = cursor.splitn(3, |byte| *byte == b'-');
    let (Some(theirs), Some(_), Some(place)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(CURSOR.into());
    };
    // Digits only, whatever their number is worth: a place without a mark is not looked at.
    if place.is_empty() || !place.iter().all(u8::is_ascii_digit) {
        return Err(CURSOR.into());
    }
    let place = std::str::from_utf8(place).ok().and_then(|text| text.parse::<u64>().ok()).ok_or(CURSOR)?;
    Ok(if theirs == mark(shared).as_bytes() { place } else { 0 })
}

fn mark(shared: &Shared) -> &str {
    shared.run_id.get(..MARK_LEN).unwrap_or(NO_PLACE)
}

/// The cursor of a slot's beginning.
fn jump(tags: &SlotTags, slot: Slot) -> String {
    format!("{NO_PLACE}-{{{}}}-0", String::from_utf8_lossy(tags.of(slot)))
}

/// The last of the contiguous slots from this one on that have the same owner.
fn end_of_run(topology: &Topology, first: Slot) -> Slot {
    let owner = |slot: Slot| topology.owners[slot.index()];
    let run = Slot::all().skip(first.index()).take_while(|slot| owner(*slot) == owner(first));
    run.last().unwrap_or(first)
}

/// From where to where one call goes.
struct Step {
    first: Slot,
    place: u64,
    last: Slot,
}

/// Looks at keys; gives the names found and the place where to go on.
fn visit(
    cx: &mut Context<'_>,
    client: &Client,
    filter: &ScanFilter<'_>,
    step: Step,
) -> Result<(KeyNames, Option<u64>), HeldForLong> {
    let (mut names, mut due, now) = (KeyNames::default(), Vec::new(), cx.now.wall);
    let mut look = |name: &[u8], entry: Entry<'_>| {
        if !filter.admits(name, &entry) {
        } else if entry.expire_at.is_some_and(|at| at <= now) {
            due.push(name.into());
        } else {
            names.push(name);
        }
    };
    let from = (step.place & !SLOT_OF_PLACE) | u64::from(step.first.number());
    let (store, everything) = (&cx.shared.store, ScanFilter::EVERYTHING);
    let next = store.scan_through(client.db, from, step.last, filter.count, everything, &mut look);
    exec::delete_due(cx, client, &due);
    if cx.holds_replies {
        cx.reveals_all();
    }
    Ok((names, next?))
}

fn write(client: &mut Client, cursor: Option<String>, names: &KeyNames) {
    client.out.array(2);
    client.out.bulk(cursor.as_deref().map_or(NOWHERE, str::as_bytes));
    names.write(&mut client.out);
}
