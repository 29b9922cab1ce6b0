//! Acknowledging entries, and looking at those that are not acknowledged.

use baton_store::Missing;
use baton_values::{Group, Pending, Stream, StreamId};

use super::{ids, no_group, reply, stream_of};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::int;

/// XACK key group id [id ...].
pub(crate) fn xack(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (key, name) = (x.key(0, 1), x.args.at(2));
    let entry = x.view.read(&key, x.touch);
    let stream = entry.as_ref().map(stream_of).transpose()?;
    if stream.and_then(|stream| stream.group(name)).is_none() {
        x.out.int(0);
        return Ok(());
    }
    let ids: Vec<StreamId> = x.args.skip(3).iter().map(|text| ids::id(text, 0)).collect::<Result<_, _>>()?;
    let done = x.view.edit(&key, Missing::Skip, |stream: &mut Stream| {
        let done = stream.edit_group(name, |group| ids.iter().filter(|id| group.acknowledge(**id)).count());
        (done.unwrap_or(0) as u64, done)
    })?;
    x.out.int(done.flatten().unwrap_or(0) as i64);
    Ok(())
}

/// Which pending entries XPENDING is asked for.
struct Wanted<'a> {
    from: StreamId,
    to: StreamId,
    count: usize,
    idle_ms_min: u64,
    consumer: Option<&'a [u8]>,
}

impl<'a> Wanted<'a> {
    /// None for a summary.
    fn parse(x: &Exec<'a, '_>) -> Result<Option<Wanted<'a>>, Fail> {
        let argc = x.args.len();
        if argc == 3 {
            return Ok(None);
        }
        if !(6..=9).contains(&argc) {
            return Err(Fail::Syntax);
        }
        let (mut at, mut idle_ms_min) = (3, 0);
        if x.args.at(3).eq_ignore_ascii_case(b"IDLE") {
            idle_ms_min = u64::try_from(int(x.args.at(4))?).unwrap_or(0);
            if argc < 8 {
                return Err(Fail::Syntax);
            }
            at = 5;
        }
        let count = usize::try_from(int(x.args.at(at + 2))?).unwrap_or(0);
        let (from, to) = (ids::interval_start(x.args.at(at))?, ids::interval_end(x.args.at(at + 1))?);
        Ok(Some(Wanted { from, to, count, idle_ms_min, consumer: x.args.get(at + 3) }))
    }
}

/// XPENDING key group [[IDLE min-idle-time] start end count [consumer]].
pub(crate) fn xpending(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let wanted = Wanted::parse(x)?;
    let (key, name, now_ms) = (x.key(0, 1), x.args.at(2), x.view.now().0);
    let entry = x.view.read(&key, x.touch);
    let stream = entry.as_ref().map(stream_of).transpose()?;
    let group = stream.and_then(|stream| stream.group(name)).ok_or_else(|| no_group(key.bytes, name))?;
    match wanted {
        None => summary(x.out, group),
        Some(wanted) => list(x.out, group, &wanted, now_ms),
    }
    Ok(())
}

fn summary(out: &mut baton_resp::Out, group: &Group) {
    out.array(4);
    out.int(group.pending_count() as i64);
    let (first, last) = (group.pending_from(StreamId::MIN).next(), group.last_pending());
    let (Some(first), Some(last)) = (first, last) else {
        out.null();
        out.null();
        out.null_array();
        return;
    };
    reply::id(out, first.id);
    reply::id(out, last.id);
    let busy = || group.consumers().filter(|consumer| consumer.pending_count() > 0);
    out.array(busy().count());
    for consumer in busy() {
        out.array(2);
        out.bulk(consumer.name());
        out.bulk_int(consumer.pending_count() as i64);
    }
}

fn list(out: &mut baton_resp::Out, group: &Group, wanted: &Wanted<'_>, now_ms: u64) {
    let consumer = wanted.consumer.map(|name| group.consumer(name));
    let of_consumer = consumer.flatten().into_iter().flat_map(|consumer| consumer.pending_from(wanted.from));
    let of_group = consumer.is_none().then(|| group.pending_from(wanted.from)).into_iter().flatten();
    let pending = of_consumer.filter_map(|id| group.pending(id)).chain(of_group);
    let idle_ms = |pending: &Pending| now_ms.saturating_sub(pending.delivered_ms);
    let chosen = pending
        .take_while(|pending| pending.id <= wanted.to)
        .filter(|pending| idle_ms(pending) >= wanted.idle_ms_min)
        .take(wanted.count);
    reply::counted(out, |out, count| {
        for pending in chosen {
            out.array(4);
            reply::id(out, pending.id);
            out.bulk(pending.consumer());
            out.int(idle_ms(pending) as i64);
            out.int(pending.deliveries as i64);
            *count += 1;
        }
    });
}
