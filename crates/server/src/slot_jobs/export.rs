//! The source of a job, on a thread of its own: it copies slot after slot, each as it was at one instant under its lock, and
//! follows this node's own stream from there. Writes to the slots are held only for the last moment. Nobody else waits for it.

mod settle;
mod wire;

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use baton_base::{Mono, Offset, Slot};
use baton_cluster::{ClusterCommand, Origin};
use baton_config::{ClientClass, Id};
use baton_journal::Reader;
use baton_rdb::DumpEncoder;
use baton_replication::command;
use baton_store::{Collection, Str, Value};

use self::wire::{Broken, Wire};
use super::filter::Filter;
use super::{Job, State, Stops};
use crate::control::{Answer, ControlMessage, ReplyTo};
use crate::migrate::SlotHold;
use crate::shared::Shared;

const LOST: &str =
    "Connection lost to target. Check CLUSTER GETSLOTMIGRATIONS on the target node for more information.";
const TIMED_OUT: &str = "Timed out after too long with no interaction";
const NOT_MINE: &str = "Slots are no longer owned by myself";
const HANDED_OVER: &str = "A failover is in progress";
/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How often a target is asked that ends the connection instead of answering.
const AGREE_ATTEMPTS_MAX: u32 = 5;
const AGREE_AGAIN: Duration = Duration::from_millis(100);
/// How often both sides say that they are there.
const ACK_EVERY: Duration = Duration::from_secs(1);
/// How long the source rests where it waits for the target or for its own stream.
const REST: Duration = Duration::from_micros(500);
/// How often it looks at what goes on while it has work to do.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Bytes that are sent at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces of the stream that are looked through before the target is listened to again.
const PIECES_A_TURN: usize = 16;
/// Writes are not held before so little is to be sent, whatever the setting.
const PAUSE_BYTES: u64 = 64 * 1024;
/// Once the target may take over, it has at least so long.
const GRANT: Duration = Duration::from_secs(2);

/// Why a job ends before the slots have changed hands.
enum End {
    /// Somebody else has ended it.
    Over,
    Failed(String),
}

impl From<&str> for End {
    fn from(text: &str) -> End {
        End::Failed(text.to_owned())
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        End::from(if End::is_lost(&error) { LOST } else { TIMED_OUT })
    }
}

impl End {
    /// Whether an error means that the connection ended.
    fn is_lost(error: &io::Error) -> bool {
        !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
    }
}

impl From<Broken> for End {
    fn from(broken: Broken) -> End {
        match broken {
            Broken::Lost => LOST.into(),
            Broken::Nonsense => "Response to establish job is larger than buffer limit".into(),
        }
    }
}

/// Begins a job.
pub fn start(shared: &Arc<Shared>, job: Arc<Job>) {
    let (server, exported) = (Arc::clone(shared), Arc::clone(&job));
    let spawned = std::thread::Builder::new().name("baton-export".into()).spawn(move || run(&server, &exported));
    if let Err(e) = spawned {
        shared.log.warning(&format!("No thread to move slots: {e}"));
        job.enter(shared, State::Failed, "Failed to start snapshot");
    }
}

fn run(shared: &Arc<Shared>, job: &Arc<Job>) {
    shared.exports.fetch_add(1, Ordering::SeqCst);
    let outcome = open(shared, job).and_then(|(wire, reader, db)| {
        let filter = Filter::new(reader.position(), db);
        let mut export = Export { shared, job, wire, reader, filter, hold: None, until: Mono::NEVER };
        export.carry_out()?;
        let outcome = export.settle();
        // What has gone is not touched by this.
        let _ = export.tell_control(ClusterCommand::KeepSlots);
        job.end_settling();
        outcome
    });
    shared.exports.fetch_sub(1, Ordering::SeqCst);
    match outcome {
        Ok(()) => job.enter(shared, State::Success, ""),
        Err(End::Over) => false,
        Err(End::Failed(text)) => job.enter(shared, State::Failed, &text),
    };
}

/// Connects to the target and authenticates.
fn connect(shared: &Arc<Shared>, job: &Job, patience: Duration) -> Result<Wire, End> {
    let world = shared.world.load();
    let target = world.topology.as_ref().and_then(|t| t.nodes.iter().find(|node| Some(node.id) == job.target).cloned());
    let target = target.ok_or_else(|| End::from("Unable to connect to target node: it is not known any more"))?;
    let address = format!("{}:{}", target.address.ip.as_str(), target.address.tcp_port);
    let place = address.parse().map_err(|e| End::Failed(format!("Unable to connect to target node: {e}")))?;
    let mut wire = Wire::open(shared, place, CONNECT_MAX, patience).map_err(|e| unable(&e))?;
    let (user, password) = (world.settings.text(Id::PrimaryUser), world.settings.bytes(Id::PrimaryAuth));
    if !password.is_empty() {
        if job.state() == State::Connecting {
            job.enter(shared, State::Authenticating, "");
        }
        let words = [&b"AUTH"[..], user.as_bytes(), password];
        let words: Vec<&[u8]> = words.into_iter().filter(|word| !word.is_empty()).collect();
        wire.ask(&words)?.map_err(|e| End::Failed(format!("Failed to AUTH to target node: {e}")))?;
    }
    Ok(wire)
}

fn unable(e: &io::Error) -> End {
    let text = match e.kind() {
        ErrorKind::ConnectionRefused => "Connection refused".to_owned(),
        _ => e.to_string(),
    };
    End::Failed(format!("Unable to connect to target node: {text}"))
}

/// Has the target agree, and begins to follow this node's stream.
fn open(shared: &Arc<Shared>, job: &Arc<Job>) -> Result<(Wire, Reader, Option<u32>), End> {
    let mut wire = agree(shared, job)?;
    wire.stop_waiting()?;
    let still = shared.gate.stop_world();
    crate::repl::begin_history_still(shared);
    let (end, db) = (shared.journal.end(), shared.journal.selected_db());
    let reader = shared.journal.reader(end).map_err(|_| End::from("Failed to start snapshot"))?;
    drop(still);
    Ok((wire, reader, db))
}

/// Connects to the target and has it agree.
fn agree(shared: &Arc<Shared>, job: &Arc<Job>) -> Result<Wire, End> {
    let patience = Duration::from_secs(shared.world.peek().settings.uint(Id::ReplTimeout));
    let source = job.source.map(|id| id.to_string()).unwrap_or_default();
    let mut words: Vec<Vec<u8>> =
        ["CLUSTER", "SYNCSLOTS", "ESTABLISH", "SOURCE", &source, "NAME", &job.name, "SLOTSRANGE"]
            .iter()
            .map(|word| word.as_bytes().to_vec())
            .collect();
    words.extend(job.ranges.iter().flat_map(|(a, b)| [a, b]).map(|slot| slot.to_string().into_bytes()));
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    for attempt in 1.. {
        let mut wire = connect(shared, job, patience)?;
        job.enter(shared, State::Establishing, "");
        match wire.ask(&words) {
            Ok(Ok(())) => return Ok(wire),
            Ok(Err(e)) => return Err(End::Failed(format!("Received error during handshake to target: {e}"))),
            // A process that ends takes connections up to its last moment.
            Err(e) if attempt < AGREE_ATTEMPTS_MAX && End::is_lost(&e) => std::thread::sleep(AGREE_AGAIN),
            Err(e) => return Err(e.into()),
        }
    }
    unreachable!("the last attempt returns")
}

/// A job whose target has agreed.
struct Export<'a> {
    shared: &'a Arc<Shared>,
    job: &'a Arc<Job>,
    wire: Wire,
    /// This node's own stream.
    reader: Reader,
    filter: Filter,
    /// Writes to the slots wait.
    hold: Option<SlotHold>,
    /// Until when they do, as long as the target has not been told that it may take over.
    until: Mono,
}

impl Export<'_> {
    /// Up to the word that lets the target take over.
    fn carry_out(&mut self) -> Result<(), End> {
        self.say(b"ACK");
        self.job.enter(self.shared, State::Snapshotting, "");
        let mut looked = self.shared.clock.mono();
        for slot in self.job.slots.iter() {
            self.copy(slot)?;
            self.pump()?;
            let now = self.shared.clock.mono();
            if now.since(looked) >= LOOK_EVERY {
                looked = now;
                self.watch()?;
            }
        }
        self.flush()?;
        self.say(b"SNAPSHOT-EOF");
        self.job.enter(self.shared, State::Replicating, "");
        while !self.wire.has_said("REQUEST-PAUSE") {
            self.pump()?;
            self.rest()?;
        }
        self.job.enter(self.shared, State::WaitingToPause, "");
        let end = self.pause()?;
        loop {
            self.pump()?;
            if self.reader.position() >= end {
                break;
            }
            self.watch()?;
        }
        self.say(b"PAUSED");
        self.job.enter(self.shared, State::FailoverPaused, "");
        // Nothing but words follows: what the stream says from here on about these slots changes nothing.
        while !self.wire.has_said("REQUEST-FAILOVER") {
            self.rest()?;
        }
        while is_set(self.shared, |stops| &stops.before_grant) {
            self.rest()?;
        }
        self.grant()
    }

    /// Lets the target take over. From here on it may have the slots, whatever becomes of the connection.
    fn grant(&mut self) -> Result<(), End> {
        self.until = self.until.max(self.shared.clock.mono() + GRANT);
        if !self.hold.as_ref().is_some_and(|hold| hold.cede(self.until)) {
            return Err(HANDED_OVER.into());
        }
        self.tell_control(ClusterCommand::CedeSlots)?;
        if !self.job.enter(self.shared, State::FailoverGranted, "") {
            self.tell_control(ClusterCommand::KeepSlots)?;
            return Err(End::Over);
        }
        self.job.begin_settling();
        self.say(b"FAILOVER-GRANTED");
        Ok(())
    }

    /// Has the control thread do something about the slots, and waits until it has.
    fn tell_control(&self, what: fn(Vec<Slot>) -> ClusterCommand) -> Result<(), End> {
        let (to, answers) = crossbeam_channel::bounded(1);
        let (command, origin) = (what(self.job.slots.iter().collect()), Origin::Client(String::new()));
        self.shared.threads().control.send(ControlMessage::Cluster { command, origin, reply: ReplyTo::Thread(to) });
        match answers.recv() {
            Ok(Answer::Error(_)) | Err(_) => Err(NOT_MINE.into()),
            Ok(_) => Ok(()),
        }
    }

    fn say(&mut self, word: &[u8]) {
        self.wire.say(word, self.shared.clock.mono());
    }

    /// Sends until nothing is left.
    fn flush(&mut self) -> Result<(), End> {
        self.wire.send_some()?;
        while self.wire.unsent() > 0 {
            self.rest()?;
        }
        Ok(())
    }

    /// Looks at what goes on, and waits a moment.
    fn rest(&mut self) -> Result<(), End> {
        self.watch()?;
        std::thread::sleep(REST);
        Ok(())
    }

    /// Sends the keys of a slot as they are at this moment.
    fn copy(&mut self, slot: Slot) -> Result<(), End> {
        let mut encoder = DumpEncoder::new(self.shared.world.peek().env.rdb_compress);
        let copies = self.taken(slot);
        let delay = Duration::from_micros(
            u64::try_from(self.shared.world.peek().settings.int(Id::RdbKeySaveDelay)).unwrap_or(0),
        );
        let (mut out, mut payload) = (Vec::new(), Vec::new());
        for copy in copies.entries {
            if !delay.is_zero() {
                std::thread::sleep(delay);
                self.watch()?;
            }
            payload.clear();
            match copy.value {
                CopiedValue::Int(n) => encoder.encode(Value::Str(Str::Int(n)), &mut payload),
                CopiedValue::Text(text) => encoder.encode(Value::Str(Str::Bytes(&copies.bytes[text])), &mut payload),
                CopiedValue::Collection(collection) => encoder.encode(collection.as_value(), &mut payload),
            }
            self.filter.select(copy.db, &mut out);
            let (name, at) = (&copies.bytes[copy.name], copy.expire_at.to_string());
            let words: [&[u8]; 6] = [b"RESTORE", name, at.as_bytes(), &payload, b"REPLACE", b"ABSTTL"];
            out.extend(command(&words[..if copy.expire_at > 0 { 6 } else { 5 }]));
            if out.len() >= PIECE_BYTES {
                self.wire.push(&std::mem::take(&mut out));
                self.flush()?;
            }
        }
        self.wire.push(&out);
        Ok(())
    }

    /// The keys of a slot as they are at this moment. Everybody who wants the slot waits meanwhile: texts are taken as they are,
    /// one behind the other, and collections at no cost; written out they are when the slot is free for others again.
    fn taken(&mut self, slot: Slot) -> Copies {
        let mut copies = Copies::default();
        let journal = &self.shared.journal;
        let mut cut = Offset::default();
        let now = self.shared.clock.wall();
        let visit = &mut |db: baton_store::DbIndex, name: &[u8], entry: baton_store::Entry<'_>| {
            let name = copies.keep(name);
            let value = match entry.value {
                Value::Str(Str::Int(n)) => CopiedValue::Int(n),
                Value::Str(Str::Bytes(text)) => CopiedValue::Text(copies.keep(text)),
                value => CopiedValue::Collection(value.to_collection().expect("what is no text is a collection")),
            };
            let expire_at = entry.expire_at.map_or(0, |at| at.0.max(1));
            copies.entries.push(Copied { db: u64::from(db.0), name, expire_at, value });
        };
        self.shared.store.scan_whole_slot(slot, now, visit, || cut = journal.end());
        self.filter.copied(slot, cut);
        copies
    }

    /// Sends what was written meanwhile, as far as the target takes it: the rest stays where it is.
    fn pump(&mut self) -> Result<(), End> {
        self.wire.send_some()?;
        let (mut piece, mut out) = (Vec::new(), Vec::new());
        for _ in 0..PIECES_A_TURN {
            if self.wire.unsent() > 0 {
                break;
            }
            piece.clear();
            let read = self.reader.read_into(&mut piece, PIECE_BYTES).map_err(|_| End::from(LOST))?;
            out.clear();
            self.filter.push(&piece, &mut out).map_err(|e| End::from(e.0))?;
            self.wire.push(&out);
            self.wire.send_some()?;
            if read == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Bytes that are still to be sent, about.
    fn remaining(&self) -> u64 {
        self.reader.lag_bytes() + self.wire.unsent() as u64
    }

    /// Looks whether the job still makes sense, and hears what the target says.
    fn watch(&mut self) -> Result<(), End> {
        if self.job.state().is_over() {
            return Err(End::Over);
        }
        let now = self.shared.clock.mono();
        let world = self.shared.world.load();
        let owned = || {
            let topology = world.topology.as_ref()?;
            Some(self.job.slots.iter().all(|slot| topology.is_mine(slot)))
        };
        if world.role.is_replica() || owned() != Some(true) {
            return Err(NOT_MINE.into());
        }
        if self.until <= now {
            return Err("Unpaused before failover completed".into());
        }
        if now.since(self.wire.heard) > Duration::from_secs(world.settings.uint(Id::ReplTimeout)) {
            return Err(TIMED_OUT.into());
        }
        let remaining = self.remaining();
        self.job.note_remaining(remaining);
        let most = world.settings.output_limit(ClientClass::Replica).hard_bytes;
        if most > 0 && remaining > most {
            return Err(LOST.into());
        }
        if now.since(self.wire.said) >= ACK_EVERY {
            self.say(b"ACK");
        }
        self.wire.send_some()?;
        if self.wire.listen(now)? {
            self.job.heard(self.shared.clock);
        }
        Ok(())
    }

    /// Holds writes once little enough is to be sent; gives where the stream ends then.
    fn pause(&mut self) -> Result<Offset, End> {
        let most = self.shared.world.peek().settings.int(Id::SlotMigrationMaxFailoverReplBytes);
        let most = u64::try_from(most).map_or(u64::MAX, |bytes| bytes.max(PAUSE_BYTES));
        loop {
            self.pump()?;
            if self.remaining() <= most && !is_set(self.shared, |stops| &stops.before_pause) {
                break;
            }
            self.rest()?;
        }
        let text = format!(
            "Pausing writes (remaining_repl_size is {}) to allow slot migration {} to finalize failover.",
            self.remaining(),
            self.job.line()
        );
        self.shared.log.notice(&text);
        let timeout = self.shared.world.peek().settings.uint(Id::ClusterManualFailoverTimeout);
        self.until = self.shared.clock.mono() + 2 * Duration::from_millis(timeout);
        self.hold = SlotHold::begin(self.shared, &self.job.slots, self.until);
        if self.hold.is_some() { Ok(self.shared.journal.end()) } else { Err(HANDED_OVER.into()) }
    }
}

fn is_set(shared: &Shared, which: fn(&Stops) -> &AtomicBool) -> bool {
    which(&shared.slot_jobs.stops).load(Ordering::Relaxed)
}

/// The keys of a slot.
#[derive(Default)]
struct Copies {
    /// Their names and texts.
    bytes: Vec<u8>,
    entries: Vec<Copied>,
}

impl Copies {
    fn keep(&mut self, text: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        start..self.bytes.len()
    }
}

/// A key as it was.
struct Copied {
    db: u64,
    name: Range<usize>,
    /// In milliseconds since 1970; 0 is never.
    expire_at: u64,
    value: CopiedValue,
}

enum CopiedValue {
    Int(i64),
    Text(Range<usize>),
    Collection(Collection),
}
