//! Replies of a turn leave together at its end. The first one wakes whoever reads them, and while that one is at work the others
//! arrive: a program with many connections is woken once for all of them, which costs this side less than half of what a wake
//! for each would. What stands in the log before replies may leave is written once for all of them, too.
//!
//! No reply waits for others longer than [`PATIENCE`] and the batch that is running then. Never kept: replies of a connection
//! that ends or goes elsewhere, large ones, and those behind which the socket is full.

use std::sync::Arc;
use std::time::Duration;

use baton_commands::Group;

use super::Worker;
use super::client::Client;
use super::input::Request;
use crate::shared::Shared;

/// How long batches of a turn may take before the replies of those behind them are sent.
const PATIENCE: Duration = Duration::from_micros(500);
/// Replies of more bytes than this are sent at once: for them, a wake costs little.
const KEPT_BYTES: usize = 16 * 1024;

/// Connections whose replies wait for the end of the turn, and how long that may take.
#[derive(Default)]
pub(super) struct Unsent {
    /// Their places among the connections. One that was served otherwise meanwhile may still be named.
    places: Vec<usize>,
    /// How long batches took since the first of them, in nanoseconds.
    nanos: u64,
}

impl Worker {
    /// Leaves replies for the end of the turn, where that does no harm. False if the connection is to end now.
    #[inline]
    pub(super) fn send_later(&mut self, shared: &Shared, client: &mut Client) -> bool {
        let stays = client.once_authenticated && !(client.closing | client.adopt | client.relay);
        let keeps = stays && client.unfinished.is_none() && client.written == 0 && client.out.buf.len() <= KEPT_BYTES;
        if !keeps {
            return self.send(shared, client);
        }
        client.is_unsent = !client.out.buf.is_empty();
        true
    }

    /// Keeps a connection whose replies wait for the end of the turn at its place, with the room that it was lent.
    pub(super) fn keep_unsent(&mut self, index: usize, client: Box<Client>) {
        self.seat.unsent.places.push(index);
        self.seat.clients[index] = Some(client);
    }

    /// A batch is over: replies of others that have waited long enough for it are sent.
    #[inline]
    pub(super) fn note_batch_of_turn(&mut self, shared: &Arc<Shared>, nanos: u64) {
        let unsent = &mut self.seat.unsent;
        if !unsent.places.is_empty() {
            unsent.nanos += nanos;
            if u128::from(unsent.nanos) >= PATIENCE.as_nanos() {
                self.send_unsent(shared);
            }
        }
    }

    /// Nobody's replies wait for a script, which may take long.
    #[inline]
    pub(super) fn send_before_scripts(&mut self, shared: &Arc<Shared>, requests: &[Request]) {
        let runs_one = |request: &Request| request.spec().is_some_and(|spec| spec.group == Group::Scripting);
        if !self.seat.unsent.places.is_empty() && requests.iter().any(runs_one) {
            self.send_unsent(shared);
        }
    }

    /// Sends what was kept. The write lease may have ended since the writes ran: then what they said waits until it is back.
    pub(super) fn send_unsent(&mut self, shared: &Arc<Shared>) {
        if self.seat.unsent.places.is_empty() {
            return;
        }
        let is_unleased = shared.lease.is_over(shared.clock.mono());
        let mut places = std::mem::take(&mut self.seat.unsent.places);
        for index in places.drain(..) {
            let Some(mut client) = self.seat.clients.get_mut(index).and_then(Option::take) else { continue };
            client.is_unsent = false;
            if let (true, Some(from)) = (is_unleased, client.wrote_from.take()) {
                self.hold_from(&mut client, from);
            }
            let alive = self.send(shared, &mut client);
            self.put_back(shared, index, client, alive);
        }
        self.seat.unsent = Unsent { places, nanos: 0 };
    }
}
