//! What happens to replicas by the clock: signs of life, time-outs, output limits, and the end of a backlog that nobody
//! reads (replication 2.1, 2.2).

use std::sync::atomic::Ordering;
use std::time::Duration;

use baton_base::Mono;
use baton_config::{ClientClass, Id};
use baton_replication::History;

use super::Feeder;
use super::full_sync::FullSync;
use super::replica::Gone;
use crate::repl::role;
use crate::shared::Shared;

/// How often limits and time-outs are looked at.
const TICK: Duration = Duration::from_millis(100);
/// Period of signs of life to those who wait for a snapshot.
const KEEPALIVE: Duration = Duration::from_secs(1);

/// When what is due.
pub(super) struct Periods {
    tick_at: Mono,
    keepalive_at: Mono,
    /// When something was last put into the stream as a sign of life.
    pinged_at: Mono,
    /// Since when there has been no replica, or whom this node follows has been what it is, if that is shorter.
    pub(super) alone_since: Mono,
    /// [`ReplState::epoch`](crate::repl::ReplState::epoch) at that time.
    epoch: u64,
}

impl Periods {
    pub(super) fn new(now: Mono) -> Periods {
        Periods { tick_at: now, keepalive_at: now, pinged_at: Mono::ZERO, alone_since: now, epoch: 0 }
    }

    /// When the next one is.
    pub(super) fn next(&self, shared: &Shared, alone: bool) -> Mono {
        if !alone { self.tick_at } else { self.backlog_end(shared).unwrap_or(Mono::NEVER) }
    }

    /// When the backlog of a node without replicas is given up; none if never.
    fn backlog_end(&self, shared: &Shared) -> Option<Mono> {
        let world = shared.world.peek();
        let ttl = world.settings.uint(Id::ReplBacklogTtl);
        let ends = ttl > 0 && !world.role.is_replica() && shared.journal.is_active() && !shared.aof.is_open();
        ends.then(|| self.alone_since + Duration::from_secs(ttl))
    }
}

impl Feeder {
    /// Does what is due.
    pub(super) fn tick(&mut self, now: Mono) {
        let epoch = self.shared.repl.epoch.load(Ordering::SeqCst);
        if epoch != self.periods.epoch {
            (self.periods.epoch, self.periods.alone_since) = (epoch, now);
        }
        if self.replicas.is_empty() {
            if self.periods.backlog_end(&self.shared).is_some_and(|at| at <= now) {
                self.free_backlog(now);
            }
            return;
        }
        if now < self.periods.tick_at {
            return;
        }
        self.periods.tick_at = now + TICK;
        self.drop_offenders(now);
        if now >= self.periods.keepalive_at {
            self.periods.keepalive_at = now + KEEPALIVE;
            self.keep_alive();
            self.count_good(now);
        }
        let period = Duration::from_secs(self.shared.world.peek().settings.uint(Id::ReplPingReplicaPeriod));
        if now >= self.periods.pinged_at + period {
            self.periods.pinged_at = now;
            self.feed(&[b"PING"], |feeder| !feeder.replicas.is_empty());
        }
    }

    /// Drops replicas that are silent for too long, or let too much pile up.
    fn drop_offenders(&mut self, now: Mono) {
        let world = self.shared.world.load();
        let timeout = Duration::from_secs(world.settings.uint(Id::ReplTimeout));
        let limit = world.settings.output_limit(ClientClass::Replica);
        let backlog_bytes = world.settings.repl_backlog_bytes();
        let sharing = self.sync.as_ref().is_some_and(FullSync::is_shared);
        let mut gone = Vec::new();
        for (id, replica) in &mut self.replicas {
            replica.publish();
            // Whoever hangs holds up the others of its snapshot, whose own patience with this node is likely as long.
            let hurry = sharing && !replica.session.is_online();
            let timeout = if hurry { timeout - timeout / 4 } else { timeout };
            if replica.is_drained() {
                // Nothing waits for it to be taken: the snapshot takes its time, or another member that hangs holds it up.
                replica.session.snapshot_progress(now);
            }
            if let Some(line) = replica.session.timed_out(now, timeout) {
                gone.push((*id, line.text));
            } else if replica.over_limit(now, limit, backlog_bytes) {
                let line = replica.meta.line(now);
                gone.push((
                    *id,
                    format!("Client {line} scheduled to be closed ASAP for overcoming of output buffer limits."),
                ));
            }
        }
        gone.into_iter().for_each(|(id, line)| self.end(id, Gone::broken(line), now));
    }

    fn keep_alive(&mut self) {
        for replica in self.replicas.values_mut().filter(|r| r.session.wants_keepalive() && r.is_drained()) {
            replica.queue(b"\n".to_vec());
        }
    }

    /// Gives the backlog up. The history gets a new name with it: a replica that comes back later can't be told from one
    /// that missed something (replication 2.1).
    fn free_backlog(&mut self, now: Mono) {
        let shared = &self.shared;
        let _still = shared.gate.stop_world();
        let exports = shared.exports.load(Ordering::SeqCst) > 0;
        if exports || shared.aof.is_open() || shared.world.peek().role.is_replica() || !shared.journal.is_active() {
            return;
        }
        *shared.repl.history.lock() = History::fresh(role::fresh_id());
        shared.journal.free();
        let secs = now.since(self.periods.alone_since).as_secs();
        shared.log.notice(&format!("Replication backlog freed after {secs} seconds without connected replicas."));
    }
}
