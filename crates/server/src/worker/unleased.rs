//! Replies of writes that ran while the lease ended: the process stood still in the midst of a batch, or was slow. Another
//! node may be primary by now, without these writes. So what the batch said is sent once the lease is back, and never if
//! the role is lost first: then the connection ends, and its client does not know, as after any connection that breaks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::Client;
use super::{Now, Worker};
use crate::shared::Shared;

/// The batch that just ran.
pub(super) struct Told {
    /// Where in the output its replies begin.
    pub(super) start: usize,
    /// When it began.
    pub(super) began: Instant,
    /// How long it took.
    pub(super) took: Duration,
}

impl Worker {
    /// Holds what a batch with writes said, if the lease is over by now.
    #[inline]
    pub(super) fn hold_unleased(&mut self, shared: &Shared, client: &mut Client, told: &Told) {
        if shared.lease.is_over(shared.clock.mono_of(told.began) + told.took) && client.out.buf.len() > told.start {
            self.hold_from(client, told.start);
        }
    }

    /// Holds what stands in the output from here on until the lease is back.
    pub(super) fn hold_from(&mut self, client: &mut Client, start: usize) {
        client.held.set_barrier(start);
        self.seat.unleased.push(client.meta.id);
    }

    /// The lease may be back.
    pub(super) fn release_unleased(&mut self, shared: &Arc<Shared>, now: Now) {
        if self.seat.unleased.is_empty() || shared.lease.is_over(now.mono) {
            return;
        }
        for id in std::mem::take(&mut self.seat.unleased) {
            self.with(shared, id, |worker, client| {
                client.held.lift_barrier();
                worker.send(shared, client)
            });
        }
    }

    /// The role is lost.
    pub(super) fn break_unleased(&mut self, shared: &Arc<Shared>) {
        for id in std::mem::take(&mut self.seat.unleased) {
            shared.log.verbose("Closing a client whose write was executed when the write lease was over");
            self.with(shared, id, |_, _| false);
        }
    }
}
