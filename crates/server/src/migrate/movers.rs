//! The threads that move keys, and the connections that they keep for a while. Threads begin with the work and end when
//! nothing is left to do; how many there are is bounded, so a target that does not answer delays only what comes after it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use baton_base::Mono;
use parking_lot::{Condvar, Mutex};

use super::transfer::{self, Target};
use super::{KeyHold, Moved, Order, Transferred};
use crate::clients::ClientId;
use crate::shared::Shared;
use crate::worker::WorkerMessage;

/// Transfers at a time.
const THREADS_MAX: usize = 8;
/// Connections that are kept.
const TARGETS_MAX: usize = 64;
/// How long each of them is.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// How often a thread without work looks for connections to close.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Work and connections.
#[derive(Default)]
pub struct Movers {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    targets: Vec<Kept>,
}

/// A command that waits for its keys to be moved.
struct Job {
    worker: u32,
    client: ClientId,
    order: Order,
}

/// A connection that waits for more to do.
struct Kept {
    place: String,
    target: Target,
    since: Mono,
}

impl Movers {
    /// Has keys moved; the worker is told with [`WorkerMessage::Moved`].
    pub fn submit(&self, shared: &Arc<Shared>, worker: u32, client: ClientId, order: Order) {
        let mut state = self.state.lock();
        state.jobs.push_back(Job { worker, client, order });
        if state.jobs.len() > state.idle && state.threads < THREADS_MAX {
            let server = Arc::clone(shared);
            let spawned =
                std::thread::Builder::new().name("baton-mover".into()).spawn(move || server.movers.run(&server));
            match spawned {
                Ok(_) => state.threads += 1,
                Err(e) => shared.log.warning(&format!("No thread to move keys: {e}")),
            }
        }
        if state.threads == 0 {
            // Nobody will ever take it.
            if let Some(job) = state.jobs.pop_back() {
                drop(state);
                tell(
                    shared,
                    &job,
                    Some(Moved { transferred: Transferred::failed(transfer::NOT_CONNECTED), hold: None }),
                );
            }
            return;
        }
        self.work.notify_one();
    }

    /// Number of connections that are kept.
    pub fn kept(&self) -> usize {
        self.state.lock().targets.len()
    }

    fn run(&self, shared: &Arc<Shared>) {
        while let Some(job) = self.next_job(shared) {
            match KeyHold::begin(shared, job.client, &job.order.names) {
                // Another transfer has one of the keys. The command is judged anew and waits for that, if it goes on.
                None => tell(shared, &job, None),
                Some(hold) => {
                    let transferred = transfer::run(shared, &job.order);
                    tell(shared, &job, Some(Moved { transferred, hold: Some(hold) }));
                }
            }
        }
    }

    /// Waits for work; none if this thread is to end.
    fn next_job(&self, shared: &Shared) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            state.idle += 1;
            self.work.wait_for(&mut state, LOOK_EVERY);
            state.idle -= 1;
            let now = shared.clock.mono();
            state.targets.retain(|kept| now.since(kept.since) < KEPT_FOR);
            // One thread stays for as long as there are connections to close.
            if state.jobs.is_empty() && (state.targets.is_empty() || state.threads > 1) {
                state.threads -= 1;
                return None;
            }
        }
    }

    /// A connection to this place, if one is kept.
    pub(super) fn take(&self, place: &str) -> Option<Target> {
        let mut state = self.state.lock();
        let at = state.targets.iter().rposition(|kept| kept.place == place)?;
        Some(state.targets.remove(at).target)
    }

    /// Keeps a connection for the next transfer.
    pub(super) fn keep(&self, place: String, target: Target, now: Mono) {
        let mut state = self.state.lock();
        if state.targets.len() >= TARGETS_MAX {
            state.targets.remove(0);
        }
        state.targets.push(Kept { place, target, since: now });
    }
}

fn tell(shared: &Shared, job: &Job, moved: Option<Moved>) {
    let moved = moved.map(Box::new);
    shared.threads().workers[job.worker as usize].send(WorkerMessage::Moved { client: job.client, moved });
}
