//! Replies of ids and entries.

use baton_resp::{Out, Proto};
use baton_values::{StreamEntry, StreamId};
use smallvec::SmallVec;

use crate::reply::ReplyText as _;

/// An id as text.
pub(super) type IdText = SmallVec<[u8; 64]>;

pub(super) fn id_text(id: StreamId) -> IdText {
    let mut number = itoa::Buffer::new();
    let mut text = IdText::from_slice(number.format(id.ms).as_bytes());
    text.push(b'-');
    text.extend_from_slice(number.format(id.seq).as_bytes());
    text
}

/// An id.
pub(super) fn id(out: &mut Out, id: StreamId) {
    out.bulk(&id_text(id));
}

/// An id with the names and values.
pub(crate) fn entry(out: &mut Out, entry: &StreamEntry<'_>) {
    out.array(2);
    id(out, entry.id);
    out.array(2 * entry.len());
    for (name, value) in entry.fields() {
        out.text(name);
        out.text(value);
    }
}

/// Elements whose number is known only when they were written: `write` writes them and counts.
pub(super) fn counted<R>(out: &mut Out, write: impl FnOnce(&mut Out, &mut usize) -> R) -> R {
    let start = out.buf.len();
    let mut count = 0;
    let result = write(out, &mut count);
    put_before(out, start, |out| out.array(count));
    result
}

/// Puts what `write` writes before what was written since the buffer was so long.
pub(super) fn put_before(out: &mut Out, start: usize, write: impl FnOnce(&mut Out)) {
    let end = out.buf.len();
    write(out);
    let head = out.buf.len() - end;
    out.buf[start..].rotate_right(head);
}

/// Entries, `max` of them at most.
pub(super) fn entries<'e>(out: &mut Out, entries: impl Iterator<Item = StreamEntry<'e>>, max: usize) {
    counted(out, |out, count| {
        for one in entries.take(max) {
            entry(out, &one);
            *count += 1;
        }
    });
}

/// The head of a reply with so many keys, each of which comes with a value.
pub(super) fn keyed(out: &mut Out, count: usize) {
    match out.proto {
        Proto::V2 => out.array(count),
        Proto::V3 => out.map(count),
    }
}

/// A key of such a reply.
pub(super) fn key(out: &mut Out, key: &[u8]) {
    if out.proto == Proto::V2 {
        out.array(2);
    }
    out.bulk(key);
}

/// A number that may not be known.
pub(super) fn known(out: &mut Out, number: Option<u64>) {
    match number {
        Some(number) => out.int(number as i64),
        None => out.null(),
    }
}
