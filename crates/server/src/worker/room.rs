//! Room for requests and replies: a connection has buffers of its own only while something waits in them. Replies are written into
//! room that the worker lends to whoever it serves, so an idle connection has none however large its replies were, and what is
//! written next is what the processor's cache has already. Room for an argument that was announced and does not come is given
//! back after a while. Never takes away what waits.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::client::Client;
use super::{Now, Worker};

/// Room for replies that a worker keeps at the most, in bytes: enough for the replies of a turn, or for the first piece of a
/// long one and what stands before it.
const KEPT_BYTES: usize = 256 * 1024;
/// Room behind a request that nobody looks at, in bytes.
const IGNORED_BYTES: usize = 4 * 1024;
/// How long a connection that sends nothing keeps more than that.
const PATIENCE: Duration = Duration::from_secs(2);

/// Room for replies that nobody has.
#[derive(Default)]
pub(super) struct ReplyRooms {
    rooms: Vec<Vec<u8>>,
    bytes: usize,
}

impl ReplyRooms {
    /// The room that was given back last, or none.
    #[inline]
    fn lend(&mut self) -> Vec<u8> {
        let room = self.rooms.pop().unwrap_or_default();
        self.bytes -= room.capacity();
        room
    }

    #[inline]
    fn take_back(&mut self, mut room: Vec<u8>) {
        if room.capacity() > 0 && self.bytes + room.capacity() <= KEPT_BYTES {
            room.clear();
            self.bytes += room.capacity();
            self.rooms.push(room);
        }
    }
}

impl Worker {
    /// Lends a connection room for replies, unless some of its own wait already.
    #[inline]
    pub(super) fn lend_room(&mut self, client: &mut Client) {
        if client.out.buf.capacity() == 0 {
            client.out.buf = self.reply_rooms.lend();
        }
    }

    /// Takes room back: all of it where no reply waits, and where little does in much of it.
    #[inline]
    pub(super) fn take_room_back(&mut self, client: &mut Client) {
        let waits = client.out.buf.len();
        if waits < client.out.buf.capacity().div_ceil(4) {
            let own = if waits == 0 { Vec::new() } else { client.out.buf.to_vec() };
            let room = std::mem::replace(&mut client.out.buf, own);
            self.reply_rooms.take_back(room);
        }
        client.meta.output_room_bytes.store(client.output_room_bytes() as u64, Ordering::Relaxed);
    }

    /// Notes a connection whose request has more room than it fills so far.
    pub(super) fn note_room(&mut self, client: &mut Client) {
        let room = client.input.capacity() - client.input.len();
        if room > IGNORED_BYTES && !client.is_roomy {
            client.is_roomy = true;
            self.seat.roomy.push(client.meta.id);
        }
    }

    /// Takes room for requests from connections that have sent nothing for a while.
    pub(super) fn trim_rooms(&mut self, now: Now) {
        for id in std::mem::take(&mut self.seat.roomy) {
            let Some(&index) = self.seat.by_id.get(&id) else { continue };
            match &mut self.seat.clients[index] {
                Some(client) if now.mono.since(client.last_active) >= PATIENCE => {
                    client.input.shrink_to_fit();
                    client.is_roomy = false;
                    client.publish_buffers();
                }
                _ => self.seat.roomy.push(id),
            }
        }
    }
}
