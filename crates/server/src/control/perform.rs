//! Effects of the machines, carried out strictly in order. This is the only place where a decision of the control plane
//! changes anything.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use baton_base::{Mono, Slot, SlotBitmap};
use baton_cluster::{Cluster, ClusterReply, KeyCounts, LogLevel, Token, Topology};
use baton_config::{ConfigSaveBehavior, Id};
use baton_handover::Outcome;
use baton_node::Effect;
use baton_store::{DbIndex, Expiry};

use super::message::{Answer, ControlMessage};
use super::run::{Control, DataOrigin, StoreKeys};
use super::saver::Saver;
use crate::log::Level;
use crate::repl::LinkMessage;
use crate::repl::role::{self, Demotion};
use crate::shared::Shared;
use crate::slot_jobs::{Job, import};
use crate::worker::WorkerMessage;
use crate::world::{HoldReason, HoldScope};

/// A failure to save that the configuration forgives is logged at most this often.
const SAVE_FAILURE_LOG_EVERY: Duration = Duration::from_secs(30);

impl Control {
    /// Carries out everything that is queued.
    pub(super) fn carry_out(&mut self) {
        // Before replicas are asked for acknowledgements: the answers may be here before the next line is.
        let handing_over = self.node.phase() != baton_handover::Phase::Idle;
        self.shared.repl.watch_acks.store(handing_over, Ordering::SeqCst);
        while let Some(effect) = self.node.poll_effect() {
            self.perform(effect);
        }
        self.persist.drop_sends = false;
        self.shared.seen.show(self.node.chronicle());
        self.watch_progress();
        self.freeze_acks();
        self.show_failover();
        self.shared.shutdown_deadline.store(Arc::new(self.node.shutdown_deadline()));
    }

    /// Has every applied piece of the stream reported while the cluster machine waits for the last one.
    fn watch_progress(&mut self) {
        let wanted = self.node.cluster().is_some_and(Cluster::awaits_progress);
        let was_wanted = self.shared.repl.watch_progress.swap(wanted, Ordering::SeqCst);
        if wanted && !was_wanted {
            // What was applied just before is not reported any more.
            self.shared.threads().control.send(ControlMessage::LinkChanged);
        }
    }

    /// Ends acknowledgements to the primary while the node wants that, and tells it with facts that are read after that.
    /// The link thread looks at the flag after it has taken its position, so it sends none beyond them.
    fn freeze_acks(&self) {
        let wanted = self.node.freezes_acks();
        if self.shared.repl.acks_frozen.swap(wanted, Ordering::SeqCst) != wanted {
            self.shared.threads().control.send(ControlMessage::AcksFrozen(wanted));
            self.shared.threads().link.send(LinkMessage::AckNow);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { link, ip, port, .. } => {
                if let Some(bus) = &mut self.bus {
                    bus.connect(self.poll.registry(), link, &ip, port, &mut self.events);
                }
            }
            Effect::Close { link } => {
                if let Some(bus) = &mut self.bus {
                    bus.close(self.poll.registry(), link);
                }
            }
            Effect::Send { link, bytes } => {
                if let (Some(bus), false) = (&mut self.bus, self.persist.drop_sends) {
                    bus.send(self.poll.registry(), link, &bytes, &mut self.events);
                }
            }
            Effect::SaveConfig { text, sync: true } => self.save(|saver| saver.save_now(&text)),
            Effect::SaveConfig { text, sync: false } => {
                if let Some(saver) = &self.saver {
                    saver.save_soon(text);
                }
            }
            Effect::SaveEpochs(record) => self.save(|saver| saver.save_epochs(&record)),
            Effect::Log { level, text } => self.shared.log.write(log_level(level), &text),
            Effect::Reply { token, result } => self.reply(token, result),
            other => self.perform_on_data(other),
        }
    }

    /// Effects that reach the data plane.
    fn perform_on_data(&mut self, effect: Effect) {
        let shared = Arc::clone(&self.shared);
        match effect {
            Effect::PublishTopology(topology) => publish(&shared, topology),
            Effect::Lease { until } => {
                if shared.lease.set(until, shared.clock.mono()) {
                    shared.tell_workers(|| WorkerMessage::HoldsChanged);
                }
            }
            Effect::BecomeReplicaOf { host, port, full_sync, .. } => self.become_replica_of(&host, port, full_sync),
            Effect::BecomePrimary => self.become_primary(),
            Effect::Fence { until, exits, ask } => fence(&shared, until, exits, ask),
            Effect::AskTakeover { host, port } => self.ask_takeover(&host, port),
            Effect::ResumePrimary => {
                role::promote(&shared, |_| {});
            }
            Effect::Redirect { .. } if self.bus.is_none() => self.redirect_standalone(),
            Effect::Unfence => release(&shared),
            Effect::Redirect { .. } => {
                release(&shared);
                self.lingering = self.stopping.is_some();
                // It waits its turn behind the effects that are queued.
                shared.threads().control.send(ControlMessage::Redirected);
            }
            Effect::AskAck => {
                shared.journal.append_unselected(&[&b"REPLCONF"[..], b"GETACK", b"*"]);
            }
            Effect::AppendOrder { target } => {
                let id = target.as_bytes();
                shared.journal.append_unselected(&[&b"CLUSTER"[..], b"FAILOVER", b"FORCE", b"REPLICAID", id]);
            }
            Effect::DeleteKeysInSlots(slots) => delete_slots(&shared, self.node.topology().as_deref(), &slots),
            Effect::FlushAllData => flush_all(&shared),
            Effect::UnsubscribeSlots(slots) => {
                for (who, push) in shared.pubsub.drop_shard_slots(&|s| slots.contains(s)) {
                    shared.deliver(who, push);
                }
            }
            Effect::DeliverPublish { channel, message, sharded } => {
                let pubsub = &shared.pubsub;
                let to =
                    if sharded { pubsub.route_shard(&channel, &message) } else { pubsub.route(&channel, &message) };
                to.into_iter().for_each(|(who, push)| shared.deliver(who, push));
            }
            Effect::Finished { token, outcome } => self.finished(token, &outcome),
            Effect::FinalSave => self.final_save(),
            Effect::Exit => self.leave(ExitCode::SUCCESS),
            Effect::Timeline(record) => {
                let text = format!("Handover phase {} at offset {}", record.phase.token(), record.offset);
                shared.log.verbose(&text);
            }
            other => debug_assert!(false, "{other:?} is carried out elsewhere"),
        }
    }

    fn become_replica_of(&mut self, host: &str, port: u16, full_sync: bool) {
        let shared = Arc::clone(&self.shared);
        let topology = self.node.topology();
        let how = Demotion { partial: !full_sync, takeover: false };
        // The topology goes with the role, so that no command meets one without the other.
        role::demote(&shared, host, port, how, |w| {
            w.topology = topology;
            if full_sync {
                shared.repl.foreign.store(true, Ordering::Release);
            }
        });
        import::on_new_role(&shared, false);
        if full_sync {
            self.data_origin = DataOrigin::Foreign;
        }
        if self.stopping.is_some() {
            // Nobody may count on a replica that is about to end, least of all hand over to it.
            shared.threads().link.send(LinkMessage::StopFollowing);
        }
    }

    fn become_primary(&mut self) {
        let shared = Arc::clone(&self.shared);
        let topology = self.node.topology();
        shared.seen.expect_write();
        // Whoever decided that this node takes over has decided that this is the shard's data.
        self.data_origin = DataOrigin::Own;
        let published = topology.clone();
        role::promote(&shared, |w| {
            w.topology = topology;
            shared.repl.foreign.store(false, Ordering::Release);
        });
        let left = import::on_new_role(&shared, true);
        delete_slots(&shared, published.as_deref(), &left);
    }

    /// Deletes what came of slots that did not change hands.
    pub(super) fn drop_import(&self, job: &Arc<Job>) {
        let topology = self.node.topology();
        let mine = |slot| topology.as_ref().is_some_and(|t| t.is_mine(slot));
        let slots: SlotBitmap = job.slots.iter().filter(|slot| !mine(*slot)).collect();
        if !self.shared.world.peek().role.is_replica() {
            delete_slots(&self.shared, topology.as_deref(), &slots);
        }
        import::dropped(&self.shared, job);
    }

    fn save(&mut self, write: impl FnOnce(&mut Saver) -> std::io::Result<()>) {
        let Some(saver) = &mut self.saver else { return };
        let outcome = write(saver);
        self.persist.drop_sends |= outcome.is_err();
        self.note_saved(outcome);
    }

    /// How a save went.
    pub(super) fn note_saved(&mut self, outcome: std::io::Result<()>) {
        match outcome {
            Ok(()) if self.persist.failed => {
                self.persist.failed = false;
                self.shared.threads().control.send(ControlMessage::PersistOutcome(true));
            }
            Ok(()) => {}
            Err(e) => self.save_failed(&e),
        }
    }

    fn save_failed(&mut self, e: &std::io::Error) {
        let log = &self.shared.log;
        log.warning(&format!("Could not rename tmp cluster config file: {e}"));
        let behavior: ConfigSaveBehavior = self.shared.world.peek().settings.choice();
        if behavior == ConfigSaveBehavior::Sync {
            log.warning("Fatal: can't update cluster config file.");
            self.exit = Some(ExitCode::FAILURE);
            return;
        }
        let now = self.shared.clock.mono();
        if self.persist.logged.is_none_or(|at| now.since(at) >= SAVE_FAILURE_LOG_EVERY) {
            log.warning("Cluster config updated even though writing the cluster config file to disk failed.");
            self.persist.logged = Some(now);
        }
        if !self.persist.failed {
            self.persist.failed = true;
            self.shared.threads().control.send(ControlMessage::PersistOutcome(false));
        }
    }

    fn reply(&mut self, token: Token, result: Result<ClusterReply, String>) {
        let Some(to) = self.waiting.remove(&token) else { return };
        let result = result.map(|mut reply| {
            if let (ClusterReply::Links(links), Some(bus)) = (&mut reply, &self.bus) {
                links.iter_mut().for_each(|link| link.queued_bytes = bus.queued_bytes(link.link));
            }
            reply
        });
        to.answer(&self.shared, result.map_or_else(Answer::Error, Answer::Cluster));
    }

    /// A request to stop, or to hand over, is over.
    fn finished(&mut self, token: Token, outcome: &Outcome) {
        let Some(to) = self.waiting.remove(&token) else { return };
        let stays = matches!(outcome, Outcome::Aborted | Outcome::Refused | Outcome::SaveFailed);
        if stays {
            self.stopping = None;
            self.lingering = false;
            self.stay();
            to.answer(&self.shared, Answer::Error("ERR Errors trying to SHUTDOWN. Check logs.".into()));
        } else {
            if self.stopping.is_some() {
                // Whose connection ends must not reach this process again: it exits next.
                self.shared.listeners.close();
            }
            to.answer(&self.shared, Answer::Close);
        }
    }
}

fn log_level(level: LogLevel) -> Level {
    match level {
        LogLevel::Debug => Level::Debug,
        LogLevel::Verbose => Level::Verbose,
        LogLevel::Notice => Level::Notice,
        LogLevel::Warning => Level::Warning,
    }
}

/// How long a fence waits between looks at slots that are changing hands.
const CEDED_LOOK: Duration = Duration::from_millis(1);

/// Holds writes; once what was in flight is done, the control thread is told the final offset. A thread of its own
/// waits for that, because a slow command must not keep the bus from being answered.
fn fence(shared: &Arc<Shared>, until: Mono, exits: bool, ask: bool) {
    let reason = if exits { HoldReason::Shutdown } else { HoldReason::Failover };
    let closes = shared.change_world(|w| {
        let closes = !w.holds.fenced();
        w.holds.remove(HoldReason::Shutdown);
        w.holds.remove(HoldReason::Failover);
        w.holds.add(reason, HoldScope::Writes, until);
        closes
    });
    let waiter = Arc::clone(shared);
    let spawned = std::thread::Builder::new().name("baton-fence".into()).spawn(move || {
        // Slots that another node was told it may take: the successor would claim them, too. That ends within moments, or
        // this fence does.
        while waiter.world.peek().moving.has_ceded() && waiter.clock.mono() < until {
            std::thread::sleep(CEDED_LOOK);
        }
        let still = waiter.gate.stop_world();
        let offset = waiter.journal.end();
        if closes && ask {
            role::ask_acks_still(&waiter, &still);
        }
        drop(still);
        waiter.threads().control.send(ControlMessage::Fenced(offset));
    });
    if let Err(e) = spawned {
        shared.log.warning(&format!("No thread for the fence, waiting in place: {e}"));
        drop(shared.gate.stop_world());
        shared.threads().control.send(ControlMessage::Fenced(shared.journal.end()));
    }
}

fn publish(shared: &Shared, topology: Arc<Topology>) {
    shared.change_world(|w| w.topology = Some(topology));
    // Who waits for a lease may be served elsewhere now.
    if shared.lease.is_over(shared.clock.mono()) {
        shared.tell_workers(|| WorkerMessage::HoldsChanged);
    }
}

/// Ends the holds of handovers and lets held commands be judged anew.
fn release(shared: &Shared) {
    shared.change_world(|w| {
        w.holds.remove(HoldReason::Shutdown);
        w.holds.remove(HoldReason::Failover);
    });
}

fn flush_all(shared: &Arc<Shared>) {
    let still = shared.gate.stop_world();
    let garbage = shared.store.flush(None);
    crate::worker::changes::announce_all_from_aside(shared);
    drop(still);
    shared.free_later(garbage);
}

/// Deletes the keys of slots that this node lost, telling its replicas.
fn delete_slots(shared: &Arc<Shared>, topology: Option<&Topology>, slots: &SlotBitmap) {
    for slot in slots.iter() {
        if let Some(me) = topology.map(Topology::myself)
            && StoreKeys(&shared.store).keys_in(slot) > 0
        {
            let tls = shared.world.peek().settings.bool(Id::TlsCluster);
            let (id, name, shard) = (me.id, me.log_name(tls), me.shard);
            let text = format!("Deleting keys in dirty slot {slot} on node {id} ({name}) in shard {shard}");
            shared.log.notice(&text);
        }
        let _pass = shared.gate.enter(shared.control_lane());
        let world = shared.world.peek();
        let mut unit = baton_journal::Unit::new();
        let mut deleted = 0;
        for db in 0..shared.store.databases() {
            deleted += delete_slot(shared, DbIndex(db), slot, &mut unit);
        }
        if shared.journal.is_active() && !world.role.is_replica() && !unit.is_empty() {
            shared.journal.append_bare(&unit);
        }
        if deleted > 0 {
            shared.stats.lanes[shared.control_lane().0].dirty.add(deleted);
        }
    }
}

fn delete_slot(shared: &Shared, db: DbIndex, slot: Slot, unit: &mut baton_journal::Unit) -> u64 {
    let names = shared.store.keys_in_slot(db, slot, usize::MAX);
    let mut view = shared.store.view(slot, db, shared.clock.wall(), Expiry::Ignore);
    for name in &names {
        let key = shared.store.key(name);
        if view.remove(&key) {
            unit.push(db.0, &[b"DEL", &name[..]]);
        }
    }
    crate::worker::changes::announce_from_aside(shared, &mut view);
    view.outcome.dirty
}
