//! The snapshot of a full synchronisation: a thread of low priority walks the keyspace as it was at the cut and encodes it,
//! piece by piece, into a short queue. The feeder takes a piece only when all members have room for it, so the slowest
//! member paces the walk and memory stays bounded; the walk never delays the stream of other replicas.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use baton_base::{Offset, ReplId};
use baton_cluster::Topology;
use baton_rdb::{Encoder, Preamble, ReplicationPoint, VersionTarget};
use baton_replication::RdbVersion;
use baton_replication::group::SnapshotTarget;
use baton_script::Libraries;
use baton_store::{DbIndex, SnapshotWalker};
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::entries::{self, AccessKept};
use crate::persist::snapshot::Pace;
use crate::shared::Shared;
use crate::slot_jobs::Coming;

/// A piece is handed on when it has grown to this size.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that wait for the feeder.
const PIECES_MAX: usize = 8;

/// What the walk gives.
pub(super) enum Produced {
    /// The next bytes of the snapshot.
    Piece(Arc<Vec<u8>>),
    /// It is complete; the file if it was written to one, with its length.
    Done(Option<(Arc<File>, u64)>),
    /// It can't be completed.
    Failed(String),
}

/// What is snapshotted, taken at the cut.
pub(super) struct Job {
    /// The walk.
    pub(super) walker: SnapshotWalker,
    /// The history.
    pub(super) replid: ReplId,
    /// The offset of the cut.
    pub(super) cut: Offset,
    /// The stream's database at the cut.
    pub(super) stream_db: Option<u32>,
    /// The format.
    pub(super) version: RdbVersion,
    /// Where it goes.
    pub(super) target: SnapshotTarget,
    /// The libraries of functions; none if a filter excludes them.
    pub(super) functions: Option<Arc<Libraries>>,
    /// Slots that are on their way here.
    pub(super) coming: Vec<Coming>,
    /// Nothing but the preamble: a filter excluded all data.
    pub(super) without_data: bool,
}

/// A snapshot that is being made. Dropping it ends that soon, whether it goes to a file or waits to hand on a piece: until
/// then no other snapshot can begin.
pub(super) struct Making {
    /// What it gives.
    pub(super) produced: Receiver<Produced>,
    unwanted: Arc<AtomicBool>,
}

impl Drop for Making {
    fn drop(&mut self) {
        self.unwanted.store(true, Ordering::Relaxed);
    }
}

/// Begins to produce.
pub(super) fn start(shared: &Arc<Shared>, job: Job) -> std::io::Result<Making> {
    let (to, produced) = bounded(PIECES_MAX);
    let making = Making { produced, unwanted: Arc::default() };
    let (shared, unwanted) = (Arc::clone(shared), Arc::clone(&making.unwanted));
    std::thread::Builder::new().name("baton-snapshot".into()).spawn(move || {
        crate::os::lower_thread_priority();
        let mut sink = Sink { shared: &shared, to, file: None, unwanted: &unwanted };
        let end = match sink.open(job.target).and_then(|()| produce(&shared, job, &mut sink)) {
            Ok(()) => Some(sink.done()),
            Err(Stopped::Unwanted) => None,
            Err(Stopped::Trouble(why)) => Some(Produced::Failed(why)),
        };
        if let Some(end) = end {
            // Nobody listening is as good as being heard: the replicas are gone.
            let _ = sink.send(end);
        }
    })?;
    Ok(making)
}

/// Why producing ended early.
enum Stopped {
    /// Nobody wants it any more.
    Unwanted,
    /// It can't go on.
    Trouble(String),
}

/// Where the pieces go.
struct Sink<'a> {
    shared: &'a Shared,
    to: Sender<Produced>,
    file: Option<(File, u64)>,
    unwanted: &'a AtomicBool,
}

impl Sink<'_> {
    fn open(&mut self, target: SnapshotTarget) -> Result<(), Stopped> {
        if target == SnapshotTarget::Disk {
            let file =
                nameless_file().map_err(|e| Stopped::Trouble(format!("Opening the temp file for BGSAVE: {e}")))?;
            self.file = Some((file, 0));
        }
        Ok(())
    }

    fn send(&self, what: Produced) -> Result<(), Stopped> {
        self.to.send(what).map_err(|_| Stopped::Unwanted)?;
        self.shared.threads().feeder.ring();
        Ok(())
    }

    fn put(&mut self, piece: Vec<u8>) -> Result<(), Stopped> {
        match &mut self.file {
            None => self.send(Produced::Piece(Arc::new(piece))),
            Some((file, len)) => {
                *len += piece.len() as u64;
                file.write_all(&piece).map_err(|e| Stopped::Trouble(format!("Write error saving DB on disk: {e}")))
            }
        }
    }

    fn done(&mut self) -> Produced {
        Produced::Done(self.file.take().map(|(file, len)| (Arc::new(file), len)))
    }
}

/// A file in the working directory that no other process sees and that is gone with its last user.
fn nameless_file() -> std::io::Result<File> {
    let name = format!("temp-{}.{:x}.rdb", std::process::id(), super::random_seed());
    let file = File::options().read(true).write(true).create_new(true).open(&name)?;
    std::fs::remove_file(&name)?;
    Ok(file)
}

fn produce(shared: &Arc<Shared>, mut job: Job, sink: &mut Sink<'_>) -> Result<(), Stopped> {
    let world = shared.world.load();
    let mut encoder = Encoder::new(entries::encoder_options(&world.settings, version_target(job.version)));
    write_preamble(shared, &job, &mut encoder);
    if let Some(open) = world.topology.as_deref().and_then(open_slots) {
        encoder.aux(b"cluster-slot-states", open.as_bytes());
    }
    for library in job.functions.iter().flat_map(|all| all.iter()) {
        encoder.function(&library.code);
    }
    for (name, ranges) in &job.coming {
        encoder.slot_import(name.as_bytes(), ranges);
    }
    let kept = AccessKept::of(&world.settings);
    let mut more = !job.without_data;
    if more {
        announce_sizes(shared, &mut encoder);
    }
    let pace = Pace::of(&shared.persist.key_delay);
    while more {
        let now = shared.clock.wall();
        let mut visited = 0;
        more = job.walker.step(pace.step(), now, &mut |item| {
            visited += 1;
            encoder.entry(&kept.of_walk(item));
        });
        if encoder.is_unwritable() {
            return Err(Stopped::Trouble(
                "The replica's version of RDB has no form for hashes with fields that expire".into(),
            ));
        }
        pace.rest(visited, sink.unwanted);
        if sink.unwanted.load(Ordering::Relaxed) {
            return Err(Stopped::Unwanted);
        }
        if encoder.pending_bytes() >= PIECE_BYTES {
            sink.put(encoder.take())?;
        }
    }
    encoder.finish();
    sink.put(encoder.take())
}

fn version_target(version: RdbVersion) -> VersionTarget {
    match version {
        RdbVersion::V10 => VersionTarget::Oldest,
        RdbVersion::V11 => VersionTarget::Legacy,
        RdbVersion::V80 => VersionTarget::Current,
    }
}

fn write_preamble(shared: &Shared, job: &Job, encoder: &mut Encoder) {
    encoder.preamble(&Preamble {
        server_version: crate::node::connection::COMPATIBLE_VERSION,
        created_at: shared.clock.wall(),
        used_memory_bytes: crate::os_memory::used_bytes(),
        replication: Some(ReplicationPoint { id: job.replid, offset: job.cut, stream_db: job.stream_db }),
        is_aof_base: false,
    });
}

/// Lets the reader size its tables. The numbers are hints: writers may have changed them since the cut.
fn announce_sizes(shared: &Shared, encoder: &mut Encoder) {
    for db in 0..shared.store.databases() {
        let keys = shared.store.len(DbIndex(db));
        if keys > 0 {
            encoder.resize_db(db, keys, shared.store.expires_len(DbIndex(db)));
        }
    }
}

/// Slots on their way, as new replicas learn them: `<slot><` and the source, `<slot>>` and the target, a comma after
/// each (cluster-bus, SETSLOT).
fn open_slots(topology: &Topology) -> Option<String> {
    let mut out = String::new();
    for (mark, slots) in [('<', &topology.importing), ('>', &topology.migrating)] {
        for (slot, node) in slots {
            if let Some(node) = topology.node(*node) {
                out.push_str(&format!("{}{mark}{},", slot.number(), node.id));
            }
        }
    }
    (!out.is_empty()).then_some(out)
}
