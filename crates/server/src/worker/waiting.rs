//! Connections that wait: for a hold of commands to end, for replicas to acknowledge, for the control thread. Ending a
//! wait runs what was received meanwhile.

use std::sync::Arc;

use super::blocking::FORCED_UNBLOCK;
use super::client::{Client, Waiting};
use super::{Now, Worker};
use crate::clients::{ClientId, UnblockHow};
use crate::control::Answer;
use crate::migrate::Moved;
use crate::node::replication::NO_LOG_TO_WAIT_FOR;
use crate::shared::Shared;
use crate::stats::{CommandStats, Count};

/// What CLIENT UNBLOCK ... ERROR has a client told.
const UNBLOCKED: &str = "UNBLOCKED client unblocked via CLIENT UNBLOCK";

impl Worker {
    /// Ends a wait and goes on with the requests behind it. False if the connection is to end.
    pub(super) fn resume(&mut self, shared: &Arc<Shared>, client: &mut Client, now: Now) -> bool {
        self.set_waiting(client, Waiting::No);
        let alive = self.run_buffered(shared, client, now);
        // Where the request was refused, its keys need not be held any longer.
        if client.waiting != Waiting::Hold {
            client.moved = None;
        }
        if !alive || !self.send(shared, client) {
            return false;
        }
        if client.source_left && client.waiting == Waiting::No {
            client.source_left = false;
            return self.read_and_run(shared, client, true, now);
        }
        true
    }

    /// Ids of the connections that fulfil a condition, in order of arrival.
    pub(super) fn waiters(&self, which: impl Fn(&Client) -> bool) -> Vec<ClientId> {
        let mut ids: Vec<ClientId> =
            self.seat.clients.iter().flatten().filter(|c| which(c)).map(|c| c.meta.id).collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn on_holds_changed(&mut self, shared: &Arc<Shared>, now: Now) {
        for id in self.waiters(|c| c.waiting == Waiting::Hold) {
            self.with(shared, id, |worker, client| worker.resume(shared, client, now));
        }
    }

    /// The keys of a connection's request were moved: it runs again.
    pub(super) fn on_moved(&mut self, shared: &Arc<Shared>, id: ClientId, moved: Option<Box<Moved>>, now: Now) {
        self.with(shared, id, |worker, client| {
            if client.waiting != Waiting::Move {
                return true;
            }
            client.moved = moved;
            worker.resume(shared, client, now)
        });
    }

    pub(super) fn on_notices(&mut self, shared: &Arc<Shared>) {
        for id in self.waiters(|c| c.listener.is_some()) {
            self.with(shared, id, |worker, client| {
                crate::node::notices::catch_up(client, &shared.world.peek());
                worker.send(shared, client)
            });
        }
    }

    pub(super) fn on_acknowledged(&mut self, shared: &Arc<Shared>, now: Now) {
        for id in self.waiters(|c| c.waiting.is_for_replicas()) {
            self.with(shared, id, |worker, client| {
                let enough = match client.waiting {
                    Waiting::Replicas { wanted, offset, .. } => shared.repl.acknowledged(offset) >= wanted,
                    Waiting::Synced { locally, wanted, offset, .. } => {
                        if locally && !shared.aof.is_open() {
                            worker.end_wait_with(shared, client, NO_LOG_TO_WAIT_FOR);
                            return worker.resume(shared, client, now);
                        }
                        (!locally || shared.aof.has_synced(offset)) && shared.repl.fsynced(offset) >= wanted
                    }
                    _ => false,
                };
                !enough || worker.give_up_waiting(shared, client, now)
            });
        }
    }

    pub(super) fn expire_waits(&mut self, shared: &Arc<Shared>, now: Now) {
        let over = |c: &Client| match c.waiting {
            Waiting::Replicas { deadline, .. } | Waiting::Synced { deadline, .. } => deadline <= now.mono,
            _ => false,
        };
        for id in self.waiters(over) {
            self.with(shared, id, |worker, client| worker.give_up_waiting(shared, client, now));
        }
    }

    /// Answers with what replicas have acknowledged by now.
    fn give_up_waiting(&mut self, shared: &Arc<Shared>, client: &mut Client, now: Now) -> bool {
        match client.waiting {
            Waiting::Replicas { offset, .. } => client.out.int(shared.repl.acknowledged(offset) as i64),
            Waiting::Synced { offset, .. } => {
                crate::node::replication::write_synced(shared, client, offset);
            }
            _ => {}
        }
        self.resume(shared, client, now)
    }

    pub(super) fn on_unblock(&mut self, shared: &Arc<Shared>, id: ClientId, how: UnblockHow, now: Now) {
        self.with(shared, id, |worker, client| {
            if matches!(client.waiting, Waiting::Keys { .. }) {
                return match how {
                    UnblockHow::Timeout => worker.give_up_keys(shared, client, now),
                    UnblockHow::Error => worker.refuse_keys(shared, client, UNBLOCKED, now),
                };
            }
            if !client.waiting.is_for_replicas() {
                return true;
            }
            if how == UnblockHow::Timeout {
                return worker.give_up_waiting(shared, client, now);
            }
            worker.end_wait_with(shared, client, UNBLOCKED);
            worker.resume(shared, client, now)
        });
    }

    /// Answers a command that waited with an error.
    pub(super) fn end_wait_with(&self, shared: &Shared, client: &mut Client, text: &str) {
        let before = client.out.buf.len();
        client.out.error(text);
        self.count_late_error(shared, client, before, |counts| &counts.rejected);
    }

    /// Counts an error that a command got after its batch was over.
    fn count_late_error(
        &self,
        shared: &Shared,
        client: &Client,
        before: usize,
        kind: impl Fn(&CommandStats) -> &Count,
    ) {
        let lane = self.local.lane.0;
        shared.stats.count_error(lane, &client.out.buf[before + 1..]);
        let last = client.meta.last_command.load(std::sync::atomic::Ordering::Relaxed);
        if let Some(counts) = usize::try_from(last).ok().and_then(|id| shared.stats.lanes[lane].by_command.get(id)) {
            kind(counts).add(1);
        }
    }

    pub(super) fn on_demoted(&mut self, shared: &Arc<Shared>, now: Now) {
        self.send_waiters_on(shared, now);
        for id in self.waiters(|c| c.waiting.is_for_replicas() && !c.readonly) {
            self.with(shared, id, |worker, client| {
                worker.end_wait_with(shared, client, FORCED_UNBLOCK);
                client.closing = true;
                worker.resume(shared, client, now)
            });
        }
    }

    pub(super) fn on_answer(&mut self, shared: &Arc<Shared>, id: ClientId, answer: Answer, now: Now) {
        self.with(shared, id, |worker, client| {
            if client.waiting != Waiting::Control {
                return true;
            }
            let before = client.out.buf.len();
            crate::node::write_answer(shared, client, answer);
            if client.out.buf.get(before) == Some(&b'-') {
                worker.count_late_error(shared, client, before, |counts| &counts.failed);
            }
            worker.resume(shared, client, now)
        });
    }
}
