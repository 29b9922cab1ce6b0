//! What a thread does while its script runs: the machine asks every so often whether the script may go on. Once it has taken
//! `busy-reply-threshold`, everybody is told of it ([`running`](crate::running)), and the thread leaves its seat to a
//! stand-in ([`seat`](crate::worker::seat)). It takes the seat again behind the batch.

use std::cell::RefCell;
use std::sync::Arc;

use baton_config::Id;

use crate::clients::ClientId;
use crate::pubsub::{Push, Subscriber};
use crate::running::Run;
use crate::shared::Shared;
use crate::worker::Worker;
use crate::worker::seat::Seat;

/// Messages to connections of one worker.
type Deliveries = Vec<(ClientId, Push)>;

/// The script that a thread runs.
pub struct Attendance {
    shared: Arc<Shared>,
    worker: u32,
    present: RefCell<Option<Present>>,
}

/// A script that runs.
struct Present {
    run: Arc<Run>,
    client: ClientId,
    /// None once it is left to a stand-in.
    seat: Option<Box<Seat>>,
    /// Messages of earlier commands of the batch to connections of this worker.
    deliveries: Deliveries,
    /// It is known to take long.
    is_slow: bool,
}

impl Attendance {
    /// Of a thread of the worker with this number.
    pub(in crate::worker) fn new(shared: Arc<Shared>, worker: u32) -> Attendance {
        Attendance { shared, worker, present: RefCell::new(None) }
    }

    /// A script of this connection begins on a thread that has this seat, if it has not left it yet, and these messages to
    /// hand out behind the batch.
    pub(super) fn begin(&self, run: &Arc<Run>, client: ClientId, seat: Option<Box<Seat>>, deliveries: Deliveries) {
        let run = Arc::clone(run);
        *self.present.borrow_mut() = Some(Present { run, client, seat, deliveries, is_slow: false });
    }

    /// It is over. Gives the seat, if it was not left, and the messages that were not handed out.
    pub(super) fn finish(&self) -> (Option<Box<Seat>>, Deliveries) {
        let Some(present) = self.present.take() else { return (None, Vec::new()) };
        if present.is_slow {
            self.shared.running.leave(&present.run);
            // What nobody could serve because of this script is tried again.
            self.shared.threads().workers.iter().for_each(crate::mailbox::Mailbox::ring);
        }
        (present.seat, present.deliveries)
    }

    /// Why the running script is to end, if it is.
    pub(super) fn look(&self) -> Option<String> {
        let mut present = self.present.borrow_mut();
        let present = present.as_mut()?;
        if !present.is_slow {
            let millis = self.takes_long(&present.run)?;
            present.is_slow = true;
            self.shared.running.enter(&present.run);
            let (command, name) = (present.run.kill_command(), present.run.name());
            self.shared.log.warning(&format!(
                "Slow script detected: still in execution after {millis} milliseconds. You can try killing the script using \
                 the {command} command. Script name is: {name}."
            ));
            for (client, push) in std::mem::take(&mut present.deliveries) {
                self.shared.deliver(Subscriber { client, worker: self.worker }, push);
            }
            if let Some(seat) = present.seat.take() {
                present.seat = self.leave(seat, present.client);
            }
        }
        present.run.ending()
    }

    /// For how long a script has run, if that is long.
    fn takes_long(&self, run: &Run) -> Option<u128> {
        let threshold = self.shared.world.peek().settings.int(Id::BusyReplyThreshold);
        let millis = self.shared.clock.mono().since(run.began).as_millis();
        (threshold > 0 && millis >= u128::from(threshold.unsigned_abs())).then_some(millis)
    }

    /// Leaves the seat to a stand-in. Gives it back where there can be none: then the worker's connections wait.
    fn leave(&self, mut seat: Box<Seat>, client: ClientId) -> Option<Box<Seat>> {
        let Some(lane) = self.shared.running.take_lane() else { return Some(seat) };
        let (give, take) = crossbeam_channel::bounded::<Box<Seat>>(1);
        let (shared, index) = (Arc::clone(&self.shared), self.worker);
        let sit_down = move || {
            if let Ok(seat) = take.recv() {
                Worker::stand_in(shared, index, lane, seat).run();
            }
        };
        let thread =
            std::thread::Builder::new().name(format!("baton-worker-{index}")).stack_size(baton_script::STACK_BYTES);
        if let Err(e) = thread.spawn(sit_down) {
            self.shared.log.warning(&format!("No thread to serve beside a script: {e}"));
            self.shared.running.give_lane(lane);
            return Some(seat);
        }
        seat.go_away(client);
        give.send(seat).err().map(|lost| {
            let mut seat = lost.0;
            seat.come_back(client);
            seat
        })
    }
}
