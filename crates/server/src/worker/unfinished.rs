//! Replies that are written piece by piece ([`LongReply`]): while a client reads a million elements, others are served
//! between the pieces, and no more of the reply lies in memory than the client has room for.
//!
//! The reply has a buffer of its own, which takes over what the client's output held when it began. Whatever is written to
//! the output meanwhile, all of it pushes, so stands behind the reply without anybody knowing of it. The connection's
//! further requests wait ([`Waiting::Reply`]). The next piece is made when the socket took all of the one before, in turn
//! with everything else that the worker does: so of a reply that waits for acknowledgements there is the first piece, which
//! an error may yet replace. Where nobody sees a reply, it is written whole.

use std::sync::Arc;
use std::time::Instant;

use baton_base::Slot;
use baton_commands::{CommandSpec, LongReply};
use baton_resp::{Args, Out, OwnedArgs};
use baton_store::{Key, Store};

use super::client::{Client, PeerGone, ReplyMode, Waiting};
use super::context::{Context, Flow};
use super::count::{Cost, nanos_since, request_bytes};
use super::held::HeldReplies;
use super::{Now, TURN, Worker};
use crate::conn::{Conn, Moved};
use crate::shared::Shared;
use crate::slot_stats::SlotCost;

/// A reply of which only a part is written.
pub struct Unfinished {
    /// What is written of it, behind what was to be sent before it.
    out: Out,
    /// How much of that the socket took.
    sent: usize,
    rest: Box<LongReply>,
    /// It is in line for its next piece.
    queued: bool,
    call: Call,
}

/// The command, for when it is counted.
struct Call {
    spec: &'static CommandSpec,
    args: OwnedArgs,
    slot: Option<Slot>,
    /// What the first piece cost, and what all those since.
    first: Spent,
    later: Spent,
}

#[derive(Clone, Copy, Default)]
struct Spent {
    nanos: u64,
    bytes: u64,
}

/// Takes what a command left of its reply.
#[cold]
pub(super) fn leave(
    cx: &mut Context<'_>,
    client: &mut Client,
    spec: &'static CommandSpec,
    args: Args<'_>,
    keys: &[Key<'_>],
    mut rest: Box<LongReply>,
) -> Flow {
    // What others write meanwhile would be shown without having been acknowledged.
    let shows_too_much = cx.holds_replies && rest.shows_changes();
    if shows_too_much || client.reply_mode != ReplyMode::On {
        rest.write_whole(&cx.shared.store, &mut client.out);
        cx.shared.free_reply(rest);
        return Flow::Next;
    }
    // It counts when it is whole.
    cx.local.waits();
    let slot = keys.first().map(|key| key.slot);
    let (first, later) = (Spent::default(), Spent::default());
    let call = Call { spec, args: OwnedArgs::from(args), slot, first, later };
    let out = Out::new(client.out.proto);
    client.unfinished = Some(Box::new(Unfinished { out, sent: 0, rest, queued: false, call }));
    Flow::Wait(Waiting::Reply)
}

impl Unfinished {
    /// Bytes that were written and not sent.
    pub fn pending(&self) -> usize {
        self.out.buf.len() - self.sent
    }

    /// Bytes of memory that it takes, but for what others hold too.
    pub fn bytes(&self) -> usize {
        self.pending() + self.rest.buffered_bytes()
    }

    /// How many bytes the first piece has.
    pub(super) fn set_first_bytes(&mut self, bytes: u64) {
        self.call.first.bytes = bytes;
    }

    /// What is written of it, with what was to be sent before it: that is where held replies lie now.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out.buf
    }

    /// Where the part of it ends that is held, if it is.
    pub(super) fn held_end(&self, held: &HeldReplies) -> Option<usize> {
        held.last_end().filter(|end| *end == self.out.buf.len())
    }

    /// Writes what the socket takes of what may be sent.
    pub fn flush(&mut self, conn: &mut Conn, held: &HeldReplies) -> Result<usize, PeerGone> {
        let (before, sendable) = (self.sent, held.sendable(self.out.buf.len()));
        while self.sent < sendable {
            match conn.write(&self.out.buf[self.sent..sendable]) {
                Moved::Bytes(n) => self.sent += n,
                Moved::WouldBlock => break,
                Moved::Closed => return Err(PeerGone),
            }
        }
        let sent = self.sent - before;
        if self.pending() == 0 {
            self.out.buf.clear();
            self.sent = 0;
        }
        Ok(sent)
    }

    /// Writes more of it. Nothing of this is inside the gate: what a reply holds is its own, and who looks for keys holds a
    /// slot at a time.
    fn write(&mut self, shared: &Shared, write: impl FnOnce(&mut LongReply, &Store, &mut Out)) {
        let (began, before) = (Instant::now(), self.out.buf.len());
        write(&mut self.rest, &shared.store, &mut self.out);
        self.call.later.nanos += nanos_since(began);
        self.call.later.bytes += (self.out.buf.len() - before) as u64;
    }
}

impl Worker {
    /// Goes over to writing a reply piece by piece, whose first one took so long and stands last in the output. What must not
    /// be sent yet stays held, at the same places.
    pub(super) fn begin_reply(&mut self, client: &mut Client, nanos: u64) {
        let Some(reply) = client.unfinished.as_deref_mut() else { return };
        reply.call.first.nanos = self.local.oddity().nanos.unwrap_or(nanos);
        std::mem::swap(&mut reply.out.buf, &mut client.out.buf);
        reply.sent = std::mem::take(&mut client.written);
        self.queue_reply(client);
    }

    /// Gets a reply in line for its next piece, if the socket took everything so far.
    #[cold]
    pub(super) fn queue_reply(&mut self, client: &mut Client) {
        if let Some(reply) = client.unfinished.as_deref_mut()
            && !reply.queued
            && reply.pending() == 0
        {
            reply.queued = true;
            self.seat.replies.push_back(client.meta.id);
        }
    }

    /// Writes a piece of each reply in line, or of as many as there is time for before others are looked at.
    pub(super) fn write_replies(&mut self, shared: &Arc<Shared>, now: Now) {
        if self.seat.replies.is_empty() {
            return;
        }
        let began = Instant::now();
        for _ in 0..self.seat.replies.len() {
            let Some(id) = self.seat.replies.pop_front() else { return };
            self.with(shared, id, |worker, client| worker.write_piece(shared, client, now));
            if began.elapsed() >= TURN {
                return;
            }
        }
    }

    /// Writes a piece of a client's reply, and goes on with its requests behind the last one. False if the connection is to
    /// end.
    fn write_piece(&mut self, shared: &Arc<Shared>, client: &mut Client, now: Now) -> bool {
        let Some(reply) = client.unfinished.as_deref_mut() else { return true };
        reply.queued = false;
        reply.write(shared, LongReply::write_piece);
        client.last_active = now.mono;
        if !reply.rest.is_over() {
            let alive = self.send(shared, client);
            self.queue_reply(client);
            return alive;
        }
        self.finish_reply(shared, client);
        self.resume(shared, client, now)
    }

    /// Puts a reply that is whole in front of what was written since it began.
    pub(super) fn finish_reply(&mut self, shared: &Shared, client: &mut Client) {
        let Some(mut reply) = client.unfinished.take() else { return };
        reply.out.buf.append(&mut client.out.buf);
        client.out.buf = reply.out.buf;
        client.written += reply.sent;
        self.count_reply(shared, client, &reply.call);
        shared.free_reply(reply.rest);
    }

    /// Drops the rest of a reply whose connection ends.
    pub(super) fn give_up_reply(&mut self, shared: &Shared, client: &mut Client) {
        if let Some(reply) = client.unfinished.take() {
            self.count_reply(shared, client, &reply.call);
            shared.free_reply(reply.rest);
        }
    }

    fn count_reply(&self, shared: &Shared, client: &Client, call: &Call) {
        let Call { spec, args, slot, first, later } = call;
        let args = args.as_args();
        let cost = Cost {
            nanos: first.nanos + later.nanos,
            request_bytes: request_bytes(args),
            reply_bytes: first.bytes + later.bytes,
        };
        self.count_late(shared, client, spec, args, cost);
        let lane = &shared.stats.lanes[self.local.lane.0];
        lane.command_nanos.add(later.nanos);
        if let Some(slot) = slot
            && shared.world.peek().hot.slot_stats
        {
            let cost = SlotCost { nanos: later.nanos, bytes_in: 0, bytes_out: later.bytes };
            lane.slots.add(*slot, cost);
        }
    }
}
