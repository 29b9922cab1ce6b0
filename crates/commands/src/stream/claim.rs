//! Taking entries over that were given to another consumer and not acknowledged.

use baton_resp::Out;
use baton_store::{Key, Missing};
use baton_values::{Stream, StreamId};

use super::deliver::{Claim, propagate_progress, see_consumer};
use super::{ids, no_group, reply, stream_of};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::{count_or, int};

/// Entries that XAUTOCLAIM claims if nothing is said.
const COUNT_DEFAULT: u64 = 100;
/// Entries that XAUTOCLAIM looks at for each one that it may claim.
const ATTEMPTS_PER_ENTRY: u64 = 10;

/// How entries change hands.
#[derive(Clone, Copy)]
struct Terms {
    idle_ms_min: u64,
    /// When they count as delivered.
    delivered_ms: u64,
    /// How often they count as delivered then; once more than before if it is not said.
    deliveries: Option<u64>,
    /// Entries that are pending for nobody too.
    force: bool,
    /// Reply ids only, and don't count this delivery.
    just_id: bool,
    now_ms: u64,
}

/// What became of an entry.
enum Outcome {
    /// It is not pending, or not idle for long enough.
    Left,
    /// It is not in the stream any more, and so it is not pending any more. This was its last owner.
    Lost(Box<[u8]>, Claim),
    /// It was claimed.
    Claimed(Claim),
}

/// XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE]
/// [JUSTID] [LASTID lastid].
pub(crate) fn xclaim(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (key, group, consumer, now_ms) = (x.key(0, 1), x.args.at(2), x.args.at(3), x.view.now().0);
    check(x, &key, group)?;
    let idle_ms_min = idle_ms_of(x.args.at(4), "ERR Invalid min-idle-time argument for XCLAIM")?;
    let ids: Vec<StreamId> = x.args.skip(5).iter().map_while(|text| ids::id(text, 0).ok()).collect();
    let terms = Terms { idle_ms_min, delivered_ms: now_ms, deliveries: None, force: false, just_id: false, now_ms };
    let (terms, last_id) = options(x, 5 + ids.len(), terms)?;
    x.effects.none();
    see_consumer(x, &key, group, consumer)?;
    let out = &mut *x.out;
    let done = x.view.edit(&key, Missing::Skip, |stream: &mut Stream| {
        let moved = stream.edit_group(group, |group| {
            let moved = last_id.is_some_and(|id| id > group.last_id);
            group.last_id = group.last_id.max(last_id.unwrap_or_default());
            moved.then_some((group.last_id, group.entries_read))
        });
        let (mut outcomes, moved) = (Vec::new(), moved.flatten());
        reply::counted(out, |out, count| {
            for id in &ids {
                let outcome = claim(stream, group, consumer, *id, terms);
                *count += usize::from(reply_claimed(out, stream, &outcome, terms.just_id));
                outcomes.push(outcome);
            }
        });
        let changes = outcomes.iter().filter(|outcome| !matches!(outcome, Outcome::Left)).count();
        (changes as u64 + u64::from(moved.is_some()), (outcomes, moved))
    })?;
    let Some((outcomes, mut moved)) = done else { return Ok(()) };
    for outcome in &outcomes {
        if propagate(x, &key, group, consumer, outcome) {
            // Each claim says how far the group has read.
            moved = None;
        }
    }
    if let Some((last_id, read)) = moved {
        propagate_progress(x.effects, key.bytes, group, last_id, read);
    }
    Ok(())
}

/// Options of XCLAIM from argument `at` on; also gives how far the group has read at least, if that is said.
fn options(x: &Exec<'_, '_>, mut at: usize, mut terms: Terms) -> Result<(Terms, Option<StreamId>), Fail> {
    let (mut delivered_ms, mut last_id) = (None, None);
    let now_ms = terms.now_ms as i64;
    while let Some(word) = x.args.get(at) {
        let is = |text: &[u8]| word.eq_ignore_ascii_case(text);
        let number = |value: &[u8], text| int(value).map_err(|_| Fail::Text(text));
        match x.args.get(at + 1) {
            _ if is(b"FORCE") => terms.force = true,
            _ if is(b"JUSTID") => terms.just_id = true,
            Some(value) if is(b"IDLE") => {
                let idle_ms = number(value, "ERR Invalid IDLE option argument for XCLAIM")?;
                (delivered_ms, at) = (Some(now_ms.saturating_sub(idle_ms)), at + 1);
            }
            Some(value) if is(b"TIME") => {
                (delivered_ms, at) = (Some(number(value, "ERR Invalid TIME option argument for XCLAIM")?), at + 1);
            }
            Some(value) if is(b"RETRYCOUNT") => {
                let count = number(value, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                (terms.deliveries, at) = (u64::try_from(count).ok(), at + 1);
            }
            Some(value) if is(b"LASTID") => (last_id, at) = (Some(ids::id(value, 0)?), at + 1),
            _ => return Err(Fail::Bytes([b"ERR Unrecognized XCLAIM option '", word, b"'"].concat())),
        }
        at += 1;
    }
    // A time that is none, or still to come, is the present one.
    let delivered_ms = delivered_ms.filter(|ms| (0..=now_ms).contains(ms));
    terms.delivered_ms = delivered_ms.unwrap_or(now_ms) as u64;
    Ok((terms, last_id))
}

/// XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID].
pub(crate) fn xautoclaim(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let idle_ms_min = idle_ms_of(x.args.at(4), "ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
    let start = ids::interval_start(x.args.at(5))?;
    let (mut count, mut just_id, mut at) = (COUNT_DEFAULT, false, 6);
    while let Some(word) = x.args.get(at) {
        if let Some(value) = x.args.get(at + 1).filter(|_| word.eq_ignore_ascii_case(b"COUNT")) {
            count = count_or(value, 1, COUNT_REFUSED)?;
            (count <= i64::MAX as u64 / (ATTEMPTS_PER_ENTRY * 8)).then_some(()).ok_or(Fail::Text(COUNT_REFUSED))?;
            at += 2;
        } else if word.eq_ignore_ascii_case(b"JUSTID") {
            just_id = true;
            at += 1;
        } else {
            return Err(Fail::Syntax);
        }
    }
    let (key, group, consumer, now_ms) = (x.key(0, 1), x.args.at(2), x.args.at(3), x.view.now().0);
    check(x, &key, group)?;
    x.effects.none();
    see_consumer(x, &key, group, consumer)?;
    let terms = Terms { idle_ms_min, delivered_ms: now_ms, deliveries: None, force: false, just_id, now_ms };
    let out = &mut *x.out;
    let outcomes = x.view.edit(&key, Missing::Skip, |stream: &mut Stream| {
        let outcomes = sweep(out, stream, group, consumer, start, count, terms);
        (outcomes.len() as u64, outcomes)
    })?;
    for outcome in outcomes.iter().flatten() {
        propagate(x, &key, group, consumer, outcome);
    }
    Ok(())
}

const COUNT_REFUSED: &str = "ERR COUNT must be > 0";

/// Claims what is pending from an id on, and replies it: where to go on, entries, and ids of lost ones. Gives what changed.
fn sweep(
    out: &mut Out,
    stream: &mut Stream,
    group: &[u8],
    consumer: &[u8],
    start: StreamId,
    count: u64,
    terms: Terms,
) -> Vec<Outcome> {
    let attempts = usize::try_from(count.saturating_mul(ATTEMPTS_PER_ENTRY)).unwrap_or(usize::MAX);
    let pending = stream.group(group).into_iter().flat_map(|group| group.pending_from(start));
    let mut ids = pending.map(|pending| pending.id).take(attempts.saturating_add(1)).collect::<Vec<_>>().into_iter();
    let (mut outcomes, mut left) = (Vec::new(), count);
    for id in ids.by_ref().take(attempts) {
        match claim(stream, group, consumer, id, terms) {
            Outcome::Left => {}
            outcome => {
                outcomes.push(outcome);
                left -= 1;
            }
        }
        if left == 0 {
            break;
        }
    }
    out.array(3);
    reply::id(out, ids.next().unwrap_or(StreamId::MIN));
    reply::counted(out, |out, count| {
        for outcome in &outcomes {
            *count += usize::from(reply_claimed(out, stream, outcome, terms.just_id));
        }
    });
    let lost =
        || outcomes.iter().filter_map(|outcome| if let Outcome::Lost(_, claim) = outcome { Some(claim) } else { None });
    out.array(lost().count());
    lost().for_each(|claim| reply::id(out, claim.id));
    outcomes
}

fn check(x: &mut Exec<'_, '_>, key: &Key<'_>, group: &[u8]) -> Result<(), Fail> {
    let entry = x.view.read(key, x.touch);
    let stream = entry.as_ref().map(stream_of).transpose()?;
    match stream.and_then(|stream| stream.group(group)) {
        Some(_) => Ok(()),
        None => Err(no_group(key.bytes, group)),
    }
}

/// A shortest time; negative ones are none.
fn idle_ms_of(text: &[u8], refusal: &'static str) -> Result<u64, Fail> {
    let idle_ms = int(text).map_err(|_| Fail::Text(refusal))?;
    Ok(u64::try_from(idle_ms).unwrap_or(0))
}

/// Gives a pending entry to a consumer, who exists.
fn claim(stream: &mut Stream, group: &[u8], consumer: &[u8], id: StreamId, terms: Terms) -> Outcome {
    let is_there = stream.get(id).is_some();
    let done = stream.edit_group(group, |group| {
        let last_id = group.last_id;
        let (delivered_ms, before) = match group.pending(id) {
            Some(pending) if !is_there => {
                let (delivered_ms, deliveries) = (pending.delivered_ms, pending.deliveries);
                let owner = pending.consumer().into();
                group.acknowledge(id);
                return Outcome::Lost(owner, Claim { id, delivered_ms, deliveries, last_id });
            }
            Some(pending) => (Some(pending.delivered_ms), pending.deliveries),
            None if is_there && terms.force => (None, 1),
            None => return Outcome::Left,
        };
        let is_idle = |delivered_ms: u64| terms.now_ms.saturating_sub(delivered_ms) >= terms.idle_ms_min;
        if delivered_ms.is_some_and(|delivered_ms| !is_idle(delivered_ms)) {
            return Outcome::Left;
        }
        let counted = before.saturating_add(u64::from(!terms.just_id));
        let deliveries = terms.deliveries.unwrap_or(counted);
        group.assign(id, consumer, terms.delivered_ms, deliveries);
        group.set_times(consumer, terms.now_ms, Some(terms.now_ms));
        Outcome::Claimed(Claim { id, delivered_ms: terms.delivered_ms, deliveries, last_id })
    });
    done.unwrap_or(Outcome::Left)
}

/// Replies an entry if it was claimed; tells whether it was.
fn reply_claimed(out: &mut Out, stream: &Stream, outcome: &Outcome, just_id: bool) -> bool {
    let Outcome::Claimed(claim) = outcome else { return false };
    match stream.get(claim.id).filter(|_| !just_id) {
        Some(entry) => reply::entry(out, &entry),
        None => reply::id(out, claim.id),
    }
    true
}

/// Has replicas do the same; tells whether there is something to do. A lost entry is claimed by the one who had it: that
/// finds it lost there too.
fn propagate(x: &mut Exec<'_, '_>, key: &Key<'_>, group: &[u8], consumer: &[u8], outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Left => return false,
        Outcome::Lost(owner, claim) => claim.propagate(x.effects, key.bytes, group, owner),
        Outcome::Claimed(claim) => claim.propagate(x.effects, key.bytes, group, consumer),
    }
    true
}
