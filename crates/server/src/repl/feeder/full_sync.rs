//! Full synchronisations: who shares the next snapshot, its cut, and its way to the members.
//!
//! One snapshot runs at a time. It costs the node no copy and no pause, so a replica that comes while none runs gets one
//! at once: `repl-diskless-sync-delay` is honoured only where an operator set it. Its default exists because upstream pays for
//! each snapshot with a fork.

use std::sync::Arc;
use std::time::Duration;

use baton_base::{Mono, Offset, ReplId};
use baton_config::{Id, Settings};
use baton_journal::Reader;
use baton_rdb::frame::{self, MARK_BYTES};
use baton_replication::History;
use baton_replication::group::{self, SnapshotPlan, SnapshotTarget, SyncSettings};
use baton_replication::session::Phase;
use baton_replication::sync::history_begun_log_line;
use crossbeam_channel::TryRecvError;

use super::Feeder;
use super::replica::{Bulk, Gone};
use crate::clients::ClientId;
use crate::repl::snapshot::{self, Job, Making, Produced};
use crate::repl::{role, write_log};
use crate::shared::Shared;

/// Bytes that may wait for a member before the snapshot is continued.
const MEMBER_BYTES_MAX: usize = 1 << 20;
/// When to look again while another snapshot of the keyspace runs.
const BUSY_RETRY: Duration = Duration::from_millis(20);

/// The running snapshot.
pub(super) struct FullSync {
    plan: SnapshotPlan<ClientId>,
    /// Members that are still there.
    members: Vec<ClientId>,
    cut: Offset,
    replid: ReplId,
    making: Making,
    /// What ends it, where it has no length.
    mark: [u8; MARK_BYTES],
}

impl FullSync {
    /// Whether its members wait for one another.
    pub(super) fn is_shared(&self) -> bool {
        self.members.len() > 1
    }
}

/// What was fixed while the world stood still.
struct Cut {
    job: Job,
    readers: Vec<Option<Reader>>,
}

impl Feeder {
    /// Begins a fresh history with a backlog: without one, offsets did not count what was written.
    pub(super) fn begin_history(&self) {
        let _still = self.shared.gate.stop_world();
        begin_history_still(&self.shared);
    }

    /// A replica waits for a snapshot: attaches it to the running one if that is possible, else says what it waits for.
    pub(super) fn await_snapshot(&mut self, id: ClientId, now: Mono) {
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        let delayed = sync_settings(&self.shared.world.peek().settings).delay > Duration::ZERO;
        let running = match &mut self.sync {
            None => None,
            Some(sync) => {
                let reader = self.shared.journal.reader(sync.cut).ok();
                let fits = sync.plan.can_attach(&replica.session) && reader.is_some();
                if fits {
                    let line = replica.session.begin_snapshot(now, &sync.replid, sync.cut, sync.plan.target);
                    replica.queue(line);
                    replica.reader = reader;
                    replica.bulk = Bulk::Open;
                    sync.members.push(id);
                }
                Some((sync.plan.target, fits))
            }
        };
        if let Some(line) = group::waiting_log_line(running, delayed) {
            write_log(&self.shared.log, &line);
        }
    }

    /// Moves the running snapshot on, or begins the next one.
    pub(super) fn synchronise(&mut self, now: Mono) {
        if self.sync.is_some() {
            self.distribute(now);
        }
        let settings = sync_settings(&self.shared.world.peek().settings);
        let planned = self.sync_at.is_some_and(|at| at > now) && settings == self.sync_settings;
        if self.sync.is_some() || planned && !self.news.members {
            return;
        }
        self.sync_at = None;
        self.sync_settings = settings;
        let sessions = self.replicas.iter().map(|(id, r)| (*id, &r.session));
        let Some(plan) = group::plan(sessions, &settings) else { return };
        if plan.starts_at > now {
            self.sync_at = Some(plan.starts_at);
        } else {
            self.begin(plan, now);
        }
    }

    fn begin(&mut self, plan: SnapshotPlan<ClientId>, now: Mono) {
        let Some(Cut { job, readers }) = self.cut(&plan) else {
            self.sync_at = Some(now + BUSY_RETRY);
            return;
        };
        let log = &self.shared.log;
        write_log(log, &plan.log_line());
        let (replid, cut, target) = (job.replid, job.cut, job.target);
        let making = match snapshot::start(&self.shared, job) {
            Ok(making) => making,
            Err(e) => return self.refuse(&plan.members, &format!("Can't save in background: {e}"), now),
        };
        let pid = std::process::id();
        log.notice(&match target {
            SnapshotTarget::Socket => {
                format!("Background RDB transfer started by pid {pid} to pipe through parent process")
            }
            SnapshotTarget::Disk => format!("Background saving started by pid {pid}"),
        });
        let mark = *ReplId::random(&mut self.rng).as_bytes();
        for (id, reader) in plan.members.iter().zip(readers) {
            let Some(replica) = self.replicas.get_mut(id) else { continue };
            let mut head = replica.session.begin_snapshot(now, &replid, cut, target);
            if target == SnapshotTarget::Socket {
                frame::push_marked_header(&mut head, &mark);
            }
            replica.queue(head);
            replica.reader = reader;
            replica.bulk = Bulk::Open;
        }
        self.news.members = true;
        self.sync = Some(FullSync { members: plan.members.clone(), plan, cut, replid, making, mark });
    }

    /// Fixes what the snapshot is while the world stands still. None while another walk runs.
    fn cut(&self, plan: &SnapshotPlan<ClientId>) -> Option<Cut> {
        let shared = &self.shared;
        let _still = shared.gate.stop_world();
        let walker = shared.store.snapshot()?;
        begin_history_still(shared);
        if !shared.world.peek().role.is_replica() {
            shared.journal.select_reset();
        }
        let cut = shared.journal.end();
        let job = Job {
            walker,
            replid: shared.repl.history.lock().give(),
            cut,
            stream_db: shared.journal.selected_db(),
            version: plan.rdb_version,
            target: plan.target,
            functions: plan.request.filter.is_none_or(|filter| filter.functions).then(|| shared.scripts.functions()),
            coming: shared.slot_jobs.coming(),
            without_data: plan.request.filter.is_some(),
        };
        let readers = plan.members.iter().map(|_| shared.journal.reader(cut).ok()).collect();
        Some(Cut { job, readers })
    }

    /// Hands what was produced to the members, as far as all of them have room.
    fn distribute(&mut self, now: Mono) {
        loop {
            let Some(sync) = &self.sync else { return };
            let room = |id| self.replicas.get(id).is_none_or(|r| r.queued_bytes() < MEMBER_BYTES_MAX);
            if !sync.members.iter().all(room) {
                return;
            }
            match sync.making.produced.try_recv() {
                Ok(Produced::Piece(piece)) => {
                    for id in &sync.members {
                        if let Some(replica) = self.replicas.get_mut(id) {
                            replica.queue_shared(Arc::clone(&piece));
                        }
                    }
                }
                Ok(Produced::Done(file)) => self.produced_all(file),
                Ok(Produced::Failed(why)) => self.fail(&why, now),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => self.fail("the snapshot ended early", now),
            }
        }
    }

    /// The snapshot is complete; members get the end of it at their own pace.
    fn produced_all(&mut self, file: Option<(Arc<std::fs::File>, u64)>) {
        let Some(sync) = self.sync.take() else { return };
        let log = &self.shared.log;
        if file.is_none() {
            let n = sync.members.len();
            log.notice(&format!("Diskless rdb transfer, done reading from pipe, {n} replicas still up."));
        }
        log.notice(match sync.plan.target {
            SnapshotTarget::Socket => "Background RDB transfer terminated with success",
            SnapshotTarget::Disk => "Background saving terminated with success",
        });
        for id in &sync.members {
            let Some(replica) = self.replicas.get_mut(id) else { continue };
            match &file {
                None => replica.queue(sync.mark.to_vec()),
                Some((file, len)) => {
                    replica.session.send_bulk();
                    let mut head = Vec::new();
                    frame::push_counted_header(&mut head, *len);
                    replica.queue(head);
                    replica.queue_file(Arc::clone(file), *len);
                }
            }
            replica.bulk = Bulk::Queued;
        }
        self.news.members = true;
    }

    fn fail(&mut self, why: &str, now: Mono) {
        let Some(sync) = self.sync.take() else { return };
        self.shared.log.warning(why);
        self.shared.log.warning(match sync.plan.target {
            SnapshotTarget::Socket => "Background RDB transfer error",
            SnapshotTarget::Disk => "Background saving error",
        });
        for id in sync.members {
            self.end(id, Gone::broken("SYNC failed. BGSAVE child returned an error"), now);
        }
    }

    /// The snapshot could not begin.
    fn refuse(&mut self, members: &[ClientId], why: &str, now: Mono) {
        self.shared.log.warning(why);
        for id in members {
            if let Some(replica) = self.replicas.get_mut(id) {
                replica.queue(b"-ERR BGSAVE failed, replication can't continue\r\n".to_vec());
                // One try: it is closed in any case.
                let _ = replica.pump(super::PUMP_BYTES);
            }
            self.end(*id, Gone::Lost, now);
        }
    }

    /// A replica has got its whole snapshot.
    pub(super) fn snapshot_sent(&mut self, id: ClientId, now: Mono) {
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        replica.bulk = Bulk::None;
        let (stream_from, line) = replica.session.snapshot_sent(now);
        write_log(&self.shared.log, &line);
        self.news.members = true;
        match replica.session.phase() {
            Phase::RdbTransmitted => self.end(id, Gone::Lost, now),
            _ if stream_from.is_some() => self.start_stream(id),
            _ => {
                let name = replica.session.name();
                self.shared.log.notice(&format!("Synchronization with replica {name} succeeded"));
            }
        }
    }

    /// A replica is gone; without any member nobody wants the snapshot.
    pub(super) fn forget_member(&mut self, id: ClientId) {
        let Some(sync) = &mut self.sync else { return };
        sync.members.retain(|m| *m != id);
        if sync.members.is_empty() {
            self.shared.log.notice(match sync.plan.target {
                SnapshotTarget::Socket => "Diskless rdb transfer, last replica dropped, killing fork child.",
                SnapshotTarget::Disk => "Background saving terminated by signal 10",
            });
            self.sync = None;
        }
    }
}

/// Begins to record, under a new name where this node is the source of its history. The caller has stopped the world.
pub(crate) fn begin_history_still(shared: &Shared) {
    if shared.journal.is_active() {
        return;
    }
    if !shared.world.peek().role.is_replica() {
        *shared.repl.history.lock() = History::fresh(role::fresh_id());
    }
    shared.journal.activate();
    write_log(&shared.log, &history_begun_log_line(&shared.repl.history.lock()));
}

fn sync_settings(settings: &Settings) -> SyncSettings {
    let asked = settings.is_given(Id::ReplDisklessSyncDelay);
    let delay = if asked { settings.uint(Id::ReplDisklessSyncDelay) } else { 0 };
    SyncSettings {
        diskless: settings.bool(Id::ReplDisklessSync),
        delay: Duration::from_secs(delay),
        replicas_max: settings.uint(Id::ReplDisklessSyncMaxReplicas) as usize,
    }
}
