//! XINFO: what is known about streams, groups and consumers.

use baton_resp::Out;
use baton_values::{Consumer, Group, Stream, StreamEntry, StreamId};

use super::{bad_subcommand, no_group_of, reply, stream_of};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::int;

/// Entries and pending entries that XINFO STREAM ... FULL lists if nothing is said.
const FULL_COUNT: usize = 10;

/// XINFO STREAM key [FULL [COUNT count]].
pub(crate) fn xinfo_stream(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let full = match (x.args.len(), x.args.get(3), x.args.get(4)) {
        (3, ..) => None,
        (4, Some(full), None) if full.eq_ignore_ascii_case(b"FULL") => Some(FULL_COUNT),
        (6, Some(full), Some(word)) if full.eq_ignore_ascii_case(b"FULL") && word.eq_ignore_ascii_case(b"COUNT") => {
            Some(match int(x.args.at(5))? {
                ..0 => FULL_COUNT,
                0 => usize::MAX,
                count => count as usize,
            })
        }
        _ => return Err(bad_subcommand("XINFO", x.args.at(1))),
    };
    let key = x.key(0, 2);
    let entry = x.view.read(&key, x.touch).ok_or(Fail::NoSuchKey)?;
    let stream = stream_of(&entry)?;
    let out = &mut *x.out;
    out.map(if full.is_some() { 9 } else { 10 });
    facts(out, stream);
    match full {
        Some(count) => full_lists(out, stream, count),
        None => {
            out.bulk(b"groups");
            out.int(stream.group_count() as i64);
            for (name, entry) in [("first-entry", stream.first()), ("last-entry", stream.last())] {
                out.bulk(name.as_bytes());
                entry_or_null(out, entry);
            }
        }
    }
    Ok(())
}

fn entry_or_null(out: &mut Out, entry: Option<StreamEntry<'_>>) {
    match entry {
        Some(entry) => reply::entry(out, &entry),
        None => out.null(),
    }
}

/// The seven facts that both forms begin with.
fn facts(out: &mut Out, stream: &Stream) {
    let numbers = [
        ("length", stream.len()),
        ("radix-tree-keys", stream.node_count()),
        ("radix-tree-nodes", stream.radix_node_count()),
    ];
    for (name, number) in numbers {
        out.bulk(name.as_bytes());
        out.int(number as i64);
    }
    out.bulk(b"last-generated-id");
    reply::id(out, stream.last_id());
    out.bulk(b"max-deleted-entry-id");
    reply::id(out, stream.max_deleted_id());
    out.bulk(b"entries-added");
    out.int(stream.entries_added() as i64);
    out.bulk(b"recorded-first-entry-id");
    reply::id(out, stream.first_id());
}

fn full_lists(out: &mut Out, stream: &Stream, count: usize) {
    out.bulk(b"entries");
    reply::entries(out, stream.range(StreamId::MIN, StreamId::MAX), count);
    out.bulk(b"groups");
    out.array(stream.group_count() as usize);
    for group in stream.groups() {
        full_group(out, stream, group, count);
    }
}

fn full_group(out: &mut Out, stream: &Stream, group: &Group, count: usize) {
    out.map(7);
    out.bulk(b"name");
    out.bulk(group.name());
    out.bulk(b"last-delivered-id");
    reply::id(out, group.last_id);
    progress(out, stream, group);
    out.bulk(b"pel-count");
    out.int(group.pending_count() as i64);
    out.bulk(b"pending");
    reply::counted(out, |out, written| {
        for pending in group.pending_from(StreamId::MIN).take(count) {
            out.array(4);
            reply::id(out, pending.id);
            out.bulk(pending.consumer());
            out.int(pending.delivered_ms as i64);
            out.int(pending.deliveries as i64);
            *written += 1;
        }
    });
    out.bulk(b"consumers");
    out.array(group.consumer_count() as usize);
    for consumer in group.consumers() {
        full_consumer(out, group, consumer, count);
    }
}

fn full_consumer(out: &mut Out, group: &Group, consumer: &Consumer, count: usize) {
    out.map(5);
    out.bulk(b"name");
    out.bulk(consumer.name());
    out.bulk(b"seen-time");
    out.int(consumer.seen_ms as i64);
    out.bulk(b"active-time");
    out.int(consumer.active_ms.map_or(-1, |ms| ms as i64));
    out.bulk(b"pel-count");
    out.int(consumer.pending_count() as i64);
    out.bulk(b"pending");
    reply::counted(out, |out, written| {
        for pending in consumer.pending_from(StreamId::MIN).take(count).filter_map(|id| group.pending(id)) {
            out.array(3);
            reply::id(out, pending.id);
            out.int(pending.delivered_ms as i64);
            out.int(pending.deliveries as i64);
            *written += 1;
        }
    });
}

/// How far a group has read, and how much it has not.
fn progress(out: &mut Out, stream: &Stream, group: &Group) {
    out.bulk(b"entries-read");
    reply::known(out, group.entries_read);
    out.bulk(b"lag");
    reply::known(out, stream.lag(group));
}

/// XINFO GROUPS key.
pub(crate) fn xinfo_groups(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 2);
    let entry = x.view.read(&key, x.touch).ok_or(Fail::NoSuchKey)?;
    let stream = stream_of(&entry)?;
    let out = &mut *x.out;
    out.array(stream.group_count() as usize);
    for group in stream.groups() {
        out.map(6);
        out.bulk(b"name");
        out.bulk(group.name());
        out.bulk(b"consumers");
        out.int(group.consumer_count() as i64);
        out.bulk(b"pending");
        out.int(group.pending_count() as i64);
        out.bulk(b"last-delivered-id");
        reply::id(out, group.last_id);
        progress(out, stream, group);
    }
    Ok(())
}

/// XINFO CONSUMERS key group.
pub(crate) fn xinfo_consumers(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (key, name, now_ms) = (x.key(0, 2), x.args.at(3), x.view.now().0);
    let entry = x.view.read(&key, x.touch).ok_or(Fail::NoSuchKey)?;
    let group = stream_of(&entry)?.group(name).ok_or_else(|| no_group_of(key.bytes, name))?;
    let out = &mut *x.out;
    out.array(group.consumer_count() as usize);
    for consumer in group.consumers() {
        out.map(4);
        out.bulk(b"name");
        out.bulk(consumer.name());
        out.bulk(b"pending");
        out.int(consumer.pending_count() as i64);
        out.bulk(b"idle");
        out.int(now_ms.saturating_sub(consumer.seen_ms) as i64);
        out.bulk(b"inactive");
        out.int(consumer.active_ms.map_or(-1, |ms| now_ms.saturating_sub(ms) as i64));
    }
    Ok(())
}
