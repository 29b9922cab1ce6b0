//! What the threads of one server share. Everything here is either immutable, published whole, or guarded by a lock of
//! its own; nothing is global, so one process can hold several servers.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use baton_base::{Mono, SlotTags};
use baton_commands::LongReply;
use baton_journal::Journal;
use baton_store::{Garbage, Store};
use parking_lot::Mutex;

use crate::aof::Aof;
use crate::blocked::Blocked;
use crate::clients::{ClientId, Clients};
use crate::clock::Clock;
use crate::command_log::CommandLogs;
use crate::control::ControlMessage;
use crate::first_load::FirstLoad;
use crate::gate::{Gate, Lane};
use crate::latency::Latencies;
use crate::lease::LeaseEnd;
use crate::listen::Listeners;
use crate::log::Log;
use crate::mailbox::Mailbox;
use crate::memory::MemoryMeter;
use crate::migrate::Movers;
use crate::monitor::Monitors;
use crate::notices;
use crate::persist::PersistState;
use crate::pubsub::{PubSub, Push, Subscriber};
use crate::repl::{FeederMessage, LinkMessage, ReplState};
use crate::running::{RUNS_MAX, Running};
use crate::scripts::Scripts;
use crate::seen::Seen;
use crate::slot_jobs::SlotJobs;
use crate::slot_stats;
use crate::stats::Stats;
use crate::tracking::Tracking;
use crate::worker::WorkerMessage;
use crate::worker::client::Watches;
use crate::world::{World, WorldCell};
use crate::write_acks::WriteAcks;
use crate::written_here::WrittenHere;

/// The threads that can be written to.
pub struct Threads {
    /// The data plane.
    pub workers: Box<[Mailbox<WorkerMessage>]>,
    /// The control plane.
    pub control: Mailbox<ControlMessage>,
    /// Whoever feeds replicas.
    pub feeder: Mailbox<FeederMessage>,
    /// Whoever follows the primary.
    pub link: Mailbox<LinkMessage>,
}

/// One server.
pub struct Shared {
    /// The keys.
    pub store: Arc<Store>,
    /// Held shared for each batch of commands.
    pub gate: Gate,
    /// The replication stream.
    pub journal: Arc<Journal>,
    /// Role, topology, holds, settings.
    pub world: WorldCell,
    /// All connections.
    pub clients: Clients,
    /// All subscriptions.
    pub pubsub: PubSub,
    /// What clients keep in caches of their own.
    pub tracking: Tracking,
    /// All counters.
    pub stats: Stats,
    /// How much memory is used, as far as `maxmemory` is concerned.
    pub memory: Arc<MemoryMeter>,
    /// What users were refused.
    pub acl_log: Mutex<baton_acl::Log>,
    /// Commands that took long, or brought or got much.
    pub command_logs: CommandLogs,
    /// Those who are shown every command.
    pub monitors: Monitors,
    /// What delayed the server.
    pub latencies: Latencies,
    /// The log.
    pub log: Log,
    /// The clocks.
    pub clock: Clock,
    /// Replication as INFO shows it.
    pub repl: ReplState,
    /// Changes of primaries, as INFO and commands show them.
    pub seen: Seen,
    /// The append-only file.
    pub aof: Aof,
    /// The load of the dataset at the start.
    pub first_load: FirstLoad,
    /// Files as INFO shows them.
    pub persist: PersistState,
    /// Mailboxes, set once all threads are about to start.
    pub threads: OnceLock<Threads>,
    /// Connections that wait in WAIT: their workers are told of acknowledgements.
    pub waiters: AtomicUsize,
    /// Until when writes may be acknowledged.
    pub lease: LeaseEnd,
    /// Replicas that are in sync enough to count for `min-replicas-to-write`.
    pub good_replicas: AtomicU64,
    /// Commands that wait for keys.
    pub blocked: Blocked,
    /// Writes that replicas have to acknowledge before their replies are sent.
    pub write_acks: WriteAcks,
    /// Forty characters that name this process.
    pub run_id: String,
    /// Where the configuration came from, if from a file.
    pub config_file: Option<PathBuf>,
    /// The command line's program, for INFO.
    pub executable: String,
    /// Set when the server is about to end: no new connections are taken.
    pub stopping: AtomicBool,
    /// The shutdown in progress, if any: when it must be over.
    pub shutdown_deadline: ArcSwap<Option<Mono>>,
    /// Serialises CONFIG SET and REWRITE, and changes of users.
    pub config_write: Mutex<()>,
    /// Keys that clients wrote while this node is a replica.
    pub written_here: WrittenHere,
    /// Connections that are carried on to another node.
    pub carried: AtomicUsize,
    /// Slots that move at once.
    pub slot_jobs: SlotJobs,
    /// How many of them leave: the stream is needed meanwhile, with replicas or without.
    pub exports: AtomicUsize,
    /// Who moves keys to other servers.
    pub movers: Movers,
    /// Where clients connect.
    pub listeners: Listeners,
    /// Scripts and functions.
    pub scripts: Scripts,
    /// Scripts that take long.
    pub running: Arc<Running>,
    /// Watches of slots that a script held when they ended.
    pub unwatched: Mutex<Vec<Watches>>,
    /// Held while everything that deals with data stands still, replication included: DEBUG SLEEP.
    pub standstill: Mutex<()>,
    /// Texts that hash to each slot, found when they are first needed.
    pub slot_tags: OnceLock<SlotTags>,
}

impl Shared {
    /// The other threads. Only called by threads, which exist only after the mailboxes do.
    pub fn threads(&self) -> &Threads {
        self.threads.get().expect("threads start after their mailboxes are set")
    }

    /// Hands a message to a subscriber through its worker.
    pub fn deliver(&self, to: Subscriber, push: Push) {
        if let Some(worker) = self.threads().workers.get(to.worker as usize) {
            worker.send(WorkerMessage::Deliver { client: to.client, push });
        }
    }

    /// Tells every worker something.
    pub fn tell_workers(&self, message: impl Fn() -> WorkerMessage) {
        for worker in &self.threads().workers {
            worker.send(message());
        }
    }

    /// Asks a connection to close.
    pub fn close_client(&self, id: ClientId) {
        if let Some(meta) = self.clients.find(id).filter(|meta| !meta.protected.load(Ordering::Relaxed)) {
            meta.doomed.store(true, Ordering::Release);
            let worker = meta.worker.load(Ordering::Relaxed) as usize;
            if let Some(w) = self.threads().workers.get(worker) {
                w.send(WorkerMessage::Close { client: id });
            }
        }
    }

    /// Changes the world, has clients told what they asked to be told, and lets held commands run again where the change
    /// ended their hold.
    pub fn change_world<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let (out, released, news, moved, rerouted) = self.world.update(|w| {
            let before = w.clone();
            let out = change(w);
            let news = notices::note(&before, w, self.clock.mono(), self.clock.wall());
            let rerouted = self.blocked.any() && before.is_routed_otherwise(w);
            (out, before.releases(w), news, slot_stats::moved(&before, w), rerouted)
        });
        if rerouted {
            self.tell_workers(|| WorkerMessage::Rerouted);
        }
        if let Some(slots) = moved {
            slot_stats::reset(&self.stats, &slots);
        }
        if news {
            self.tell_workers(|| WorkerMessage::Notices);
        }
        if released {
            self.tell_workers(|| WorkerMessage::HoldsChanged);
        }
        out
    }

    /// First come those of the workers and of their stand-ins. The last lane is the control thread's; before it come those of
    /// the keeper, the link and the feeder.
    pub fn lanes(workers: usize) -> usize {
        Self::stand_in_lanes(workers).end + 4
    }

    /// Lanes of threads that serve beside scripts that take long. While no more than so many do, each worker may begin one.
    pub fn stand_in_lanes(workers: usize) -> Range<usize> {
        workers..2 * workers + RUNS_MAX
    }

    /// Lane of the thread that feeds replicas.
    pub fn feeder_lane(&self) -> Lane {
        Lane(self.stats.lanes.len() - 4)
    }

    /// Lane of the thread that applies the primary's stream.
    pub fn link_lane(&self) -> Lane {
        Lane(self.stats.lanes.len() - 3)
    }

    /// Lane of the thread that does periodic work.
    pub fn keeper_lane(&self) -> Lane {
        Lane(self.stats.lanes.len() - 2)
    }

    /// Lane of the control thread.
    pub fn control_lane(&self) -> Lane {
        Lane(self.stats.lanes.len() - 1)
    }

    /// Bytes of memory in use: what the allocator gave out, without what is free in the pieces that the store cuts up.
    pub fn memory_used(&self) -> u64 {
        crate::os_memory::used_bytes().saturating_sub(self.store.idle_bytes() as u64)
    }

    /// Frees what was taken out of the store, away from the data plane.
    pub fn free_later(&self, garbage: Garbage) {
        let freed = self.memory.begin_freeing(&garbage);
        drop_elsewhere((garbage, freed));
    }

    /// Drops what a reply holds, which may be all that is left of a large value.
    pub fn free_reply(&self, reply: Box<LongReply>) {
        if reply.held_bytes() >= HELD_BYTES_FREED_HERE {
            drop_elsewhere(reply);
        }
    }
}

/// Drops something on a thread of its own, its parts in order.
fn drop_elsewhere(what: impl Send + 'static) {
    let spawned = std::thread::Builder::new().name("baton-free".into()).spawn(move || drop(what));
    // Without another thread it was dropped right here, with the closure.
    drop(spawned);
}

/// Values below this size are freed in less time than another thread takes to begin.
const HELD_BYTES_FREED_HERE: usize = 1 << 20;
