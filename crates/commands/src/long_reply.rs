//! Replies that are written piece by piece. A command writes the head and the first piece; what is left then is a copy of
//! the value, which costs nothing (large values are trees of shared nodes, long texts are counted references), and what of
//! it is still to come. So nobody else waits while a million elements are written, the reply shows the value as the
//! command saw it, whatever happens to the key meanwhile, and takes memory only for what is being sent and for what has
//! changed since.
//!
//! Nothing here knows who reads the reply or when: the caller asks for the next piece.

use std::ops::{ControlFlow, Range};

use baton_base::WallMs;
use baton_resp::{Out, Proto};
use baton_store::{Key, SharedText, Store, Value};
use baton_values::{Collection, Scored};

use crate::effects::Effects;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::generic::KeySearch;
use crate::reply::ReplyText as _;
use crate::stream::reply_entry;
use crate::wait::Waits;

/// How much is written at a time. The first bound that is reached ends a piece; one element is always written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) bytes: usize,
    /// Elements, or keys, that are looked at: not all of them need be shown.
    pub(crate) elements: u64,
}

impl Room {
    /// What a command writes by itself: most replies are below.
    pub(crate) const FIRST: Room = Room { bytes: 128 * 1024, elements: 32 * 1024 };
    /// A later piece: a fraction of a millisecond.
    const PIECE: Room = Room { bytes: 64 * 1024, elements: 16 * 1024 };
    pub(crate) const ENDLESS: Room = Room { bytes: usize::MAX, elements: u64::MAX };
}

/// What of each element is replied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Elements of lists, members of sets, and entries of streams.
    Elements,
    /// Fields of hashes, and members of sorted sets.
    Names,
    /// Values of hashes.
    Values,
    /// Fields with values, members with scores.
    Pairs,
    /// The same, each pair as an array of its own in either protocol.
    Nested,
    /// The same, without arrays in either protocol.
    Flat,
}

/// Bytes of a text from which on it is replied in pieces.
pub(crate) const LONG_TEXT_BYTES: usize = 256 * 1024;

/// Elements of a value that are to be replied, in the order of ranks or backwards.
#[derive(Clone, Debug)]
pub(crate) struct Elements {
    pub(crate) shown: Shown,
    /// The ranks of those that are still to come.
    pub(crate) ranks: Range<u64>,
    /// The last one comes first.
    pub(crate) backwards: bool,
    /// Fields that have ended at this time are passed over.
    pub(crate) seen_at: Option<WallMs>,
}

impl Elements {
    /// Elements in the order of their ranks.
    pub(crate) fn forwards(shown: Shown, ranks: Range<u64>) -> Elements {
        Elements { shown, ranks, backwards: false, seen_at: None }
    }

    /// Replies the elements, whose number the head in front of them says. What does not fit into the first piece is left to
    /// the caller, where that may be.
    pub(crate) fn reply(mut self, value: Value<'_>, out: &mut Out, effects: &mut Effects, waits: Waits) {
        let room = if waits == Waits::May { Room::FIRST } else { Room::ENDLESS };
        self.write(value, out, room);
        if !self.ranks.is_empty()
            && let Some(value) = value.to_collection()
        {
            effects.leave_reply(LongReply(Rest::Elements(value, self)));
        }
    }

    /// As [`Elements::reply`], of a value that nobody else has.
    pub(crate) fn reply_own(mut self, value: Collection, out: &mut Out, effects: &mut Effects, waits: Waits) {
        let room = if waits == Waits::May { Room::FIRST } else { Room::ENDLESS };
        self.write(value.as_value(), out, room);
        if !self.ranks.is_empty() {
            effects.leave_reply(LongReply(Rest::Elements(value, self)));
        }
    }

    fn write(&mut self, value: Value<'_>, out: &mut Out, room: Room) {
        let Range { start, end } = self.ranks;
        if start >= end {
            return;
        }
        let (shown, seen_at, last) = (self.shown, self.seen_at, end - 1);
        let mut pen = Pen { out, room, left: end - start };
        match (value, self.backwards) {
            (Value::List(list), false) => pen.write(list.iter_from(start), |out, text| out.text(text)),
            (Value::List(list), true) => pen.write(list.iter_back_from(last), |out, text| out.text(text)),
            (Value::Set(set), _) => pen.write(set.iter_from(start), |out, member| out.text(member)),
            (Value::Hash(hash), _) => {
                let live = hash.live(seen_at);
                pen.write(hash.iter_from(start), |out, (field, value)| {
                    if !live.sees(value) {
                        return;
                    }
                    if shown == Shown::Nested {
                        out.array(2);
                    }
                    if shown != Shown::Values {
                        out.text(field);
                    }
                    if shown != Shown::Names {
                        out.text(value.text);
                    }
                });
            }
            (Value::ZSet(zset), false) => pen.write(zset.iter_from(start), |out, e| write_scored(out, e, shown)),
            (Value::ZSet(zset), true) => pen.write(zset.iter_back_from(last), |out, e| write_scored(out, e, shown)),
            (Value::Stream(stream), false) => pen.write(stream.iter_from(start), |out, e| reply_entry(out, &e)),
            (Value::Stream(stream), true) => pen.write(stream.iter_back_from(last), |out, e| reply_entry(out, &e)),
            _ => pen.left = 0,
        }
        let left = pen.left;
        self.ranks = if self.backwards { start..start + left } else { end - left..end };
    }
}

/// Writes elements until a bound is reached.
struct Pen<'o> {
    out: &'o mut Out,
    room: Room,
    /// Elements that are still to come.
    left: u64,
}

impl Pen<'_> {
    fn write<T>(&mut self, mut elements: impl Iterator<Item = T>, mut each: impl FnMut(&mut Out, T)) {
        let end = self.out.buf.len().saturating_add(self.room.bytes);
        let stop_at = self.left.saturating_sub(self.room.elements);
        let _ = elements.try_for_each(|element| {
            each(self.out, element);
            self.left -= 1;
            if self.left <= stop_at || self.out.buf.len() >= end {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
    }
}

/// One member, with its score as far as that is shown.
fn write_scored(out: &mut Out, element: Scored<'_>, shown: Shown) {
    let with_score = matches!(shown, Shown::Pairs | Shown::Nested | Shown::Flat);
    if shown == Shown::Nested || (shown == Shown::Pairs && out.proto == Proto::V3) {
        out.array(2);
    }
    out.text(element.member);
    if with_score {
        out.double(element.score);
    }
}

impl Exec<'_, '_> {
    /// Replies a long text that a key holds.
    #[cold]
    pub(crate) fn reply_long_text(&mut self, key: &Key<'_>) {
        if self.waits == Waits::May
            && let Some(text) = self.view.shared_text(key)
        {
            self.out.bulk_head(text.bytes().len());
            let mut rest = LongReply(Rest::Text(text, 0));
            rest.write(self.view.store(), self.out, Room::FIRST);
            self.effects.leave_reply(rest);
        } else if let Some(Value::Str(text)) = self.view.peek(key).map(|entry| entry.value) {
            self.out.text(text);
        }
    }

    /// Replies a text that was made for it, and may be long.
    pub(crate) fn reply_own_text(&mut self, text: Vec<u8>) {
        if self.waits != Waits::May || text.len() < LONG_TEXT_BYTES {
            self.out.bulk(&text);
            return;
        }
        self.out.bulk_head(text.len());
        let mut rest = LongReply(Rest::OwnText(text, 0));
        rest.write(self.view.store(), self.out, Room::FIRST);
        self.effects.leave_reply(rest);
    }
}

/// The rest of a reply, whose head and first elements are written. Whoever writes it lets nothing else come between, and
/// drops it where that may take long: it may be the last to hold a large value.
pub struct LongReply(Rest);

enum Rest {
    Elements(Collection, Elements),
    /// A text, and how much of it is written.
    Text(SharedText, usize),
    /// The same of a text that was made for the reply.
    OwnText(Vec<u8>, usize),
    Keys(KeySearch),
}

impl std::fmt::Debug for LongReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Rest::Elements(_, elements) => elements.fmt(f),
            Rest::Text(text, written) => write!(f, "{text:?} from {written} on"),
            Rest::OwnText(text, written) => write!(f, "{} bytes from {written} on", text.len()),
            Rest::Keys(search) => search.fmt(f),
        }
    }
}

impl LongReply {
    /// What is left of a search for keys.
    pub(crate) fn of_keys(search: KeySearch) -> LongReply {
        LongReply(Rest::Keys(search))
    }

    /// Writes the next piece, a bounded one if no element is large. It may be empty: not all of the work shows.
    pub fn write_piece(&mut self, store: &Store, out: &mut Out) {
        self.write(store, out, Room::PIECE);
    }

    /// Writes all that is left.
    pub fn write_whole(&mut self, store: &Store, out: &mut Out) {
        self.write(store, out, Room::ENDLESS);
    }

    fn write(&mut self, store: &Store, out: &mut Out, room: Room) {
        match &mut self.0 {
            Rest::Elements(value, elements) => elements.write(value.as_value(), out, room),
            Rest::Text(text, written) => write_text(text.bytes(), written, out, room),
            Rest::OwnText(text, written) => write_text(text, written, out, room),
            Rest::Keys(search) => {
                if let Err(held) = search.write(store, out, room) {
                    search.give_up();
                    Fail::Held(held).write(out);
                }
            }
        }
    }

    /// Whether it shows what changes while it is written, and not what was there when it began.
    pub fn shows_changes(&self) -> bool {
        matches!(self.0, Rest::Keys(_))
    }

    /// Whether everything is written.
    pub fn is_over(&self) -> bool {
        match &self.0 {
            Rest::Elements(_, elements) => elements.ranks.is_empty(),
            Rest::Text(text, written) => *written == text.bytes().len(),
            Rest::OwnText(text, written) => *written == text.len(),
            Rest::Keys(search) => search.is_over(),
        }
    }

    /// Bytes of memory of what it holds, though others may hold parts of it, too.
    pub fn held_bytes(&self) -> usize {
        match &self.0 {
            Rest::Elements(value, _) => value.heap_bytes(),
            Rest::Text(text, _) => text.heap_bytes(),
            Rest::OwnText(..) | Rest::Keys(_) => self.buffered_bytes(),
        }
    }

    /// Bytes of memory that it takes by itself: of what is found and not written.
    pub fn buffered_bytes(&self) -> usize {
        match &self.0 {
            Rest::Elements(..) | Rest::Text(..) => 0,
            Rest::OwnText(text, _) => text.capacity(),
            Rest::Keys(search) => search.buffered_bytes(),
        }
    }
}

fn write_text(text: &[u8], written: &mut usize, out: &mut Out, room: Room) {
    let left = &text[*written..];
    let piece = &left[..left.len().min(room.bytes)];
    out.raw(piece);
    *written += piece.len();
    if piece.len() == left.len() {
        out.raw(b"\r\n");
    }
}

#[cfg(test)]
mod tests;
