//! The journal: one lock around the end of the stream, an atomic copy of its end for everyone who only compares offsets.
//!
//! Why a reader never sees less, or other bytes, than an offset it was told promises:
//! 1. bytes are written under the lock and `end` is stored (release) afterwards, under the same lock;
//! 2. a reader loads `end` (acquire) first and never goes beyond it;
//! 3. bytes below it are either in a sealed block, which never changes, or in the tail, which is read under the lock.

use crate::backlog::{BACKLOG_BYTES_DEFAULT, Backlog};
use crate::encode;
use crate::feeder::Feeders;
use crate::{Feeder, Reader, Unit};
use baton_base::Offset;
use crossbeam_utils::CachePadded;
use parking_lot::{Mutex, MutexGuard};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How a journal begins.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `repl-backlog-size` in bytes; values below [`crate::BACKLOG_BYTES_MIN`] are raised to it.
    pub backlog_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { backlog_bytes: BACKLOG_BYTES_DEFAULT }
    }
}

/// Why a reader can't begin where it was asked to: the byte wanted next is not (or not yet) in the backlog.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotInBacklog;

impl fmt::Display for NotInBacklog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the offset is not in the backlog")
    }
}

impl std::error::Error for NotInBacklog {}

/// What the backlog covers, taken at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Whether a backlog exists.
    pub active: bool,
    /// Offset before the first retained byte; equals `end` when nothing is retained.
    pub start: Offset,
    /// Offset after the last byte (`master_repl_offset`).
    pub end: Offset,
    /// Configured size in bytes.
    pub backlog_bytes: u64,
    /// Memory of the backlog in bytes, blocks kept only for readers included.
    pub mem_used: usize,
}

impl Extent {
    /// Retained bytes (`repl_backlog_histlen`).
    pub fn histlen(&self) -> u64 {
        self.end.since(self.start)
    }

    /// Number of the first retained byte, counted from 1 (`repl_backlog_first_byte_offset`); 0 without a backlog.
    pub fn first_byte(&self) -> u64 {
        if self.active { self.start.0 + 1 } else { 0 }
    }
}

/// The one ordered log. Shared by reference: workers append, consumers hold [`Reader`]s.
pub struct Journal {
    active: AtomicBool,
    /// Offset after the last complete append.
    end: CachePadded<AtomicU64>,
    /// Grows when retained bytes are dropped as a whole; readers of older content are detached by it.
    generation: AtomicU64,
    state: Mutex<State>,
}

struct State {
    /// The content; none while nobody wants one.
    backlog: Option<Backlog>,
    /// Database of the latest SELECT in the stream (eldb); none forces a SELECT before the next op.
    db: Option<u32>,
    backlog_bytes: u64,
    feeders: Feeders,
}

impl Journal {
    /// A journal at offset 0 without a backlog: nothing is recorded until [`Journal::activate`].
    pub fn new(settings: Settings) -> Arc<Journal> {
        Arc::new(Journal {
            active: AtomicBool::new(false),
            end: CachePadded::new(AtomicU64::new(0)),
            generation: AtomicU64::new(0),
            state: Mutex::new(State {
                backlog: None,
                db: None,
                backlog_bytes: settings.backlog_bytes.max(crate::BACKLOG_BYTES_MIN),
                feeders: Feeders::default(),
            }),
        })
    }

    /// Whether effects are recorded at all; one relaxed load. Workers skip building effects when not (replication I4).
    /// It changes only while nobody executes commands, so a worker may ask once a batch.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Offset after the last byte: the replication offset of this node.
    pub fn end(&self) -> Offset {
        Offset(self.end.load(Ordering::Acquire))
    }

    /// Begins to record, at the current offset. No effect when already active.
    pub fn activate(&self) {
        let mut state = self.state.lock();
        if state.backlog.is_none() {
            state.backlog = Some(Backlog::new(self.end().0, state.backlog_bytes));
            state.db = None;
            self.active.store(true, Ordering::Relaxed);
        }
    }

    /// Drops the backlog and stops recording. The offset stays; readers are detached.
    pub fn free(&self) {
        let mut state = self.state.lock();
        state.backlog = None;
        state.db = None;
        self.active.store(false, Ordering::Relaxed);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Moves to `offset` of another history: after a full synchronisation, or at a restart. Retained bytes are dropped,
    /// readers are detached, the next op is preceded by a SELECT. Whether it is active stays.
    pub fn set_position(&self, offset: Offset) {
        let mut state = self.state.lock();
        state.backlog = state.backlog.take().map(|_| Backlog::new(offset.0, state.backlog_bytes));
        state.db = None;
        self.generation.fetch_add(1, Ordering::Release);
        self.end.store(offset.0, Ordering::Release);
    }

    /// Changes `repl-backlog-size`; shrinking trims.
    pub fn resize(&self, backlog_bytes: u64) {
        let mut state = self.state.lock();
        state.backlog_bytes = backlog_bytes.max(crate::BACKLOG_BYTES_MIN);
        let size = state.backlog_bytes;
        if let Some(backlog) = &mut state.backlog {
            backlog.resize(size);
        }
    }

    /// Drops what only departed readers kept. Appends do it too, a bounded part each; this is for a periodic call.
    pub fn trim(&self) {
        if let Some(backlog) = &mut self.state.lock().backlog {
            backlog.trim();
        }
    }

    /// Appends one unit and returns the offset after it. A SELECT precedes ops of a database other than the stream's
    /// current one; more than one op is wrapped in MULTI and EXEC, the SELECT inside (replication 3.1). An empty unit,
    /// or an inactive journal, changes nothing.
    pub fn append(&self, unit: &Unit) -> Offset {
        self.append_framed(unit, unit.len() > 1)
    }

    /// As [`Journal::append`], but never wrapped: active expiry, eviction and the deletions that SCAN and RANDOMKEY cause
    /// are independent of each other (replication 3.1).
    pub fn append_bare(&self, unit: &Unit) -> Offset {
        self.append_framed(unit, false)
    }

    fn append_framed(&self, unit: &Unit, wrapped: bool) -> Offset {
        self.record(|backlog, current| {
            if wrapped {
                encode::Sink::put(backlog, encode::MULTI);
            }
            for (db, bytes) in unit.runs() {
                select_if_needed(backlog, current, db);
                encode::Sink::put(backlog, bytes);
            }
            if wrapped {
                encode::Sink::put(backlog, encode::EXEC);
            }
        })
    }

    /// Appends a unit of a single op without building a [`Unit`].
    pub fn append_op<A: AsRef<[u8]>>(&self, db: u32, args: &[A]) -> Offset {
        self.record(|backlog, current| {
            select_if_needed(backlog, current, db);
            encode::command(backlog, args);
        })
    }

    /// Appends a command that belongs to no database: PING, REPLCONF GETACK, CLUSTER FAILOVER orders.
    pub fn append_unselected<A: AsRef<[u8]>>(&self, args: &[A]) -> Offset {
        self.record(|backlog, _| encode::command(backlog, args))
    }

    /// Appends bytes that are stream bytes already: a replica passes on its primary's bytes verbatim (replication I2),
    /// whole commands at a time.
    pub fn append_raw(&self, bytes: &[u8]) -> Offset {
        self.record(|backlog, _| encode::Sink::put(backlog, bytes))
    }

    /// Forgets the stream's current database, so that the next op is preceded by a SELECT: at the cut of every full
    /// synchronisation and at promotion.
    pub fn select_reset(&self) {
        self.state.lock().db = None;
    }

    /// The stream's current database (`repl-stream-db`); none if the next op brings its own SELECT.
    pub fn selected_db(&self) -> Option<u32> {
        self.state.lock().db
    }

    /// States the stream's current database: a replica's stream has the one that its primary selected last.
    pub fn set_selected_db(&self, db: Option<u32>) {
        self.state.lock().db = db;
    }

    /// What is retained.
    pub fn extent(&self) -> Extent {
        let state = self.state.lock();
        let end = self.end();
        Extent {
            active: state.backlog.is_some(),
            start: state.backlog.as_ref().map_or(end, |b| Offset(b.start())),
            end,
            backlog_bytes: state.backlog_bytes,
            mem_used: state.backlog.as_ref().map_or(0, Backlog::mem_used),
        }
    }

    /// A reader whose first byte is the one after `offset` (PSYNC asks for `offset + 1`). It pins everything from there.
    pub fn reader(self: &Arc<Self>, offset: Offset) -> Result<Reader, NotInBacklog> {
        let state = self.state.lock();
        let block = state.backlog.as_ref().and_then(|b| b.block_after(offset.0)).ok_or(NotInBacklog)?;
        let generation = self.generation.load(Ordering::Relaxed);
        drop(state);
        Ok(Reader::new(Arc::clone(self), block, offset, generation))
    }

    /// Registers a consuming thread; `wake` is called from appending threads, must be quick and must not append.
    pub fn feeder(self: &Arc<Self>, wake: impl Fn() + Send + Sync + 'static) -> Feeder {
        let slot = self.state.lock().feeders.add(Arc::new(wake));
        Feeder::new(Arc::clone(self), slot)
    }

    pub(crate) fn sleep(&self, slot: usize, seen: Offset) -> bool {
        let mut state = self.state.lock();
        if self.end() > seen {
            return false;
        }
        state.feeders.mark_asleep(slot);
        true
    }

    pub(crate) fn forget_feeder(&self, slot: usize) {
        self.state.lock().feeders.remove(slot);
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Runs `f` on the backlog if it is still of this generation.
    pub(crate) fn with_backlog<T>(&self, generation: u64, f: impl FnOnce(&Backlog) -> Option<T>) -> Option<T> {
        let state = self.state.lock();
        let same = self.generation.load(Ordering::Relaxed) == generation;
        state.backlog.as_ref().filter(|_| same).and_then(f)
    }

    fn record(&self, write: impl FnOnce(&mut Backlog, &mut Option<u32>)) -> Offset {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let Some(backlog) = &mut state.backlog else { return self.end() };
        let before = backlog.end();
        write(backlog, &mut state.db);
        let end = backlog.end();
        if end != before {
            self.publish(guard, end);
        }
        Offset(end)
    }

    fn publish(&self, mut state: MutexGuard<'_, State>, end: u64) {
        self.end.store(end, Ordering::Release);
        let sleepers = state.feeders.take_asleep();
        drop(state);
        if let Some(sleepers) = sleepers {
            sleepers.wake();
        }
    }
}

fn select_if_needed(backlog: &mut Backlog, current: &mut Option<u32>, db: u32) {
    if *current != Some(db) {
        encode::select(backlog, db);
        *current = Some(db);
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("active", &self.is_active()).field("end", &self.end()).finish_non_exhaustive()
    }
}
