//! Giving entries to a consumer of a group. What was done goes into the replication stream as claims of single entries, and
//! as how far the group has read (replication 3.2).

use baton_store::{Key, Missing};
use baton_values::{Stream, StreamId};

use super::read::{Behind, Request, has_behind};
use super::reply::{self, id_text};
use crate::effects::Effects;
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;

/// Makes the consumer if it is new, and notes that it was seen. Tells whether there is something to reply: old entries, be
/// there none, or new ones.
pub(super) fn prepare(
    x: &mut Exec<'_, '_>,
    key: &Key<'_>,
    group: &[u8],
    consumer: &[u8],
    request: &Request<'_>,
    behind: Behind,
) -> Result<bool, Fail> {
    if see_consumer(x, key, group, consumer)? && request.no_ack {
        x.effects.replace(&[b"XGROUP", b"CREATECONSUMER", key.bytes, group, consumer]);
    }
    let Some(entry) = x.view.peek(key) else { return Ok(false) };
    let stream = super::stream_of(&entry)?;
    let delivered = stream.group(group).map_or(StreamId::MAX, |group| group.last_id);
    Ok(behind != Behind::Delivered || has_behind(stream, delivered))
}

/// Notes that a consumer was seen, and makes it if it is new; tells whether it is.
pub(super) fn see_consumer(x: &mut Exec<'_, '_>, key: &Key<'_>, group: &[u8], name: &[u8]) -> Result<bool, Fail> {
    let now_ms = x.view.now().0;
    let is_new = x.view.edit(key, Missing::Skip, |stream: &mut Stream| {
        let is_new = stream.edit_group(group, |group| {
            let active = group.consumer(name).and_then(|consumer| consumer.active_ms);
            let is_new = group.create_consumer(name, now_ms);
            group.set_times(name, now_ms, active);
            is_new
        });
        let is_new = is_new.unwrap_or(false);
        (u64::from(is_new), is_new)
    })?;
    let is_new = is_new.unwrap_or(false);
    if is_new {
        x.notify(EventClass::STREAM, "xgroup-createconsumer", key);
    }
    Ok(is_new)
}

/// Replies entries that are pending for the consumer, and counts that they were given once more. Of one that was deleted
/// there is nothing but the id. Replicas are not told.
pub(super) fn history(
    x: &mut Exec<'_, '_>,
    key: &Key<'_>,
    group: &[u8],
    consumer: &[u8],
    request: &Request<'_>,
    behind: StreamId,
) -> Result<(), Fail> {
    let now_ms = x.view.now().0;
    let out = &mut *x.out;
    x.view.edit(key, Missing::Skip, |stream: &mut Stream| {
        let from = behind.next().unwrap_or(StreamId::MAX);
        let pending = stream.group(group).and_then(|group| group.consumer(consumer)).map(|c| c.pending_from(from));
        let ids: Vec<StreamId> = pending.into_iter().flatten().take(request.count).collect();
        let mut given = Vec::with_capacity(ids.len());
        out.array(ids.len());
        for id in ids {
            match stream.get(id) {
                Some(entry) => {
                    reply::entry(out, &entry);
                    given.push(id);
                }
                None => {
                    out.array(2);
                    reply::id(out, id);
                    out.null_array();
                }
            }
        }
        stream.edit_group(group, |group| {
            for id in given {
                let deliveries = group.pending(id).map_or(0, |pending| pending.deliveries);
                group.set_delivery(id, now_ms, deliveries.saturating_add(1));
            }
        });
        (1, ())
    })?;
    Ok(())
}

/// Replies entries that the group has not delivered yet, and makes them pending.
pub(super) fn new(
    x: &mut Exec<'_, '_>,
    key: &Key<'_>,
    group: &[u8],
    consumer: &[u8],
    request: &Request<'_>,
) -> Result<(), Fail> {
    let now_ms = x.view.now().0;
    let out = &mut *x.out;
    let done = x.view.edit(key, Missing::Skip, |stream: &mut Stream| {
        let Some((mut last_id, mut read)) = stream.group(group).map(|group| (group.last_id, group.entries_read)) else {
            return (0, None);
        };
        let mut ids = Vec::new();
        reply::counted(out, |out, count| {
            let from = last_id.next().unwrap_or(StreamId::MAX);
            for entry in stream.range(from, StreamId::MAX).take(request.count) {
                reply::entry(out, &entry);
                read = stream.read_up_to(last_id, read, entry.id);
                last_id = entry.id;
                ids.push(entry.id);
                *count += 1;
            }
        });
        stream.edit_group(group, |group| {
            (group.last_id, group.entries_read) = (last_id, read);
            if !request.no_ack {
                for id in &ids {
                    group.assign(*id, consumer, now_ms, 1);
                }
                group.set_times(consumer, now_ms, Some(now_ms));
            }
        });
        (1, Some((ids, last_id, read)))
    })?;
    if let Some((ids, last_id, read)) = done.flatten()
        && x.effects.wanted()
    {
        for id in ids.iter().filter(|_| !request.no_ack) {
            let claim = Claim { id: *id, delivered_ms: now_ms, deliveries: 1, last_id: *id };
            claim.propagate(x.effects, key.bytes, group, consumer);
        }
        propagate_progress(x.effects, key.bytes, group, last_id, read);
    }
    Ok(())
}

/// A claim with all its numbers.
pub(super) struct Claim {
    pub(super) id: StreamId,
    pub(super) delivered_ms: u64,
    pub(super) deliveries: u64,
    /// How far the group has read.
    pub(super) last_id: StreamId,
}

impl Claim {
    /// Has replicas do the same.
    pub(super) fn propagate(&self, effects: &mut Effects, key: &[u8], group: &[u8], consumer: &[u8]) {
        let (mut time, mut count) = (itoa::Buffer::new(), itoa::Buffer::new());
        effects.replace(&[
            b"XCLAIM",
            key,
            group,
            consumer,
            b"0",
            &id_text(self.id),
            b"TIME",
            time.format(self.delivered_ms).as_bytes(),
            b"RETRYCOUNT",
            count.format(self.deliveries).as_bytes(),
            b"FORCE",
            b"JUSTID",
            b"LASTID",
            &id_text(self.last_id),
        ]);
    }
}

/// Tells replicas how far a group has read.
pub(super) fn propagate_progress(
    effects: &mut Effects,
    key: &[u8],
    group: &[u8],
    last_id: StreamId,
    read: Option<u64>,
) {
    let mut text = itoa::Buffer::new();
    let read = read.map_or("-1", |count| text.format(count)).as_bytes();
    effects.replace(&[b"XGROUP", b"SETID", key, group, &id_text(last_id), b"ENTRIESREAD", read]);
}
