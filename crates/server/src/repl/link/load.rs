//! Receiving a snapshot: bytes of the link become entries of a store beside the one in use, which keeps serving until the
//! new one is complete. Nothing here touches the store in use.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use baton_base::WallMs;
use baton_cluster::{ClusterCommand, SetSlot};
use baton_config::Id;
use baton_rdb::frame::FrameReader;
use baton_rdb::{AuxFacts, Checksum, Decoder, Entry, Event};
use baton_replication::link::Payload;
use baton_script::Libraries;
use baton_store::{DbIndex, Expiry, Store};
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::entries;
use crate::scripts::Loader;
use crate::shared::Shared;
use crate::slot_jobs::Coming;

/// What a snapshot brought.
pub(super) struct Loaded {
    /// Its entries.
    pub(super) store: Store,
    /// What it says about itself.
    pub(super) facts: AuxFacts,
    /// Slots on their way.
    pub(super) open_slots: Vec<ClusterCommand>,
    /// Slots that were on their way to the primary.
    pub(super) coming: Vec<Coming>,
    /// Its libraries of functions.
    pub(super) functions: Libraries,
}

/// How far a snapshot is.
pub(super) enum Progress {
    /// More bytes are needed.
    More(Load),
    /// It is complete.
    Complete(Box<Loaded>),
    /// It can't be loaded: lines for the log.
    Failed(Vec<String>),
}

/// Pieces that wait for the loading thread at the most; more would only wait here instead of in the socket.
const PIECES_MAX: usize = 8;

type Outcome = Result<Loaded, Vec<String>>;

/// A snapshot that is being received. Its bytes are decoded by a thread of low priority: loading takes a whole core, which
/// the clients of this machine must not feel. Dropping this ends that thread and frees what it had.
pub(super) struct Load {
    frame: FrameReader,
    pieces: Sender<Vec<u8>>,
    thread: JoinHandle<Outcome>,
}

impl Load {
    /// Begins with the bytes that follow the payload's first line.
    pub(super) fn new(shared: &Arc<Shared>, payload: Payload) -> io::Result<Load> {
        let frame = match payload {
            Payload::Len(bytes) => FrameReader::counted(bytes),
            Payload::Eof(mark) => FrameReader::marked(mark),
        };
        let (pieces, received) = bounded(PIECES_MAX);
        let loading = Loading::new(shared);
        let thread = Builder::new().name("baton-loading".into()).spawn(move || {
            crate::os::lower_thread_priority();
            loading.run(&received)
        })?;
        Ok(Load { frame, pieces, thread })
    }

    /// Takes received bytes. Gives how many belong to the snapshot, the rest is stream; and how it goes on.
    pub(super) fn feed(mut self, bytes: &[u8]) -> (usize, Progress) {
        let mut ended = false;
        let pieces = &self.pieces;
        // Waiting for room here is what keeps the sender from being faster than the loading.
        let used = self.frame.feed(bytes, |piece| ended |= pieces.send(piece.to_vec()).is_err());
        if !ended && !self.frame.is_complete() {
            return (used, Progress::More(self));
        }
        (used, self.finish())
    }

    /// Waits until everything received is loaded, or for the reason why it is not.
    fn finish(self) -> Progress {
        drop(self.pieces);
        match self.thread.join() {
            Ok(Ok(loaded)) => Progress::Complete(Box::new(loaded)),
            Ok(Err(lines)) => Progress::Failed(lines),
            Err(_) => Progress::Failed(vec!["The loading thread panicked".into()]),
        }
    }
}

/// The loading thread's side.
struct Loading {
    shared: Arc<Shared>,
    decoder: Decoder,
    loaded: Loaded,
    keys: u64,
    /// How long to wait after each key (`key-load-delay`).
    delay: Duration,
}

impl Loading {
    fn new(shared: &Arc<Shared>) -> Loading {
        let world = shared.world.peek();
        let options = entries::decoder_options(&world.settings, &shared.store);
        let loaded = Loaded {
            store: shared.store.sibling(),
            facts: AuxFacts::default(),
            open_slots: Vec::new(),
            coming: Vec::new(),
            functions: Libraries::default(),
        };
        let delay = Duration::from_micros(u64::try_from(world.settings.int(Id::KeyLoadDelay)).unwrap_or(0));
        Loading { shared: Arc::clone(shared), decoder: Decoder::new(options), loaded, keys: 0, delay }
    }

    /// Decodes until the pieces end.
    fn run(mut self, pieces: &Receiver<Vec<u8>>) -> Outcome {
        for piece in pieces {
            self.decoder.feed(&piece);
            self.take_events()?;
        }
        if let Some(e) = self.decoder.end_of_input() {
            return Err(failed(e.kind.to_string()));
        }
        if !self.decoder.rest().is_empty() {
            return Err(failed("Replication stream EOF marker is broken".into()));
        }
        let keys = self.keys;
        self.shared
            .log
            .notice(&format!("Done loading RDB, keys loaded: {keys}, keys expired: 0, all fields expired hashes: 0."));
        Ok(self.loaded)
    }

    fn take_events(&mut self) -> Result<(), Vec<String>> {
        let (now, mut loader) = (self.shared.clock.wall(), Loader::default());
        while let Some(event) = self.decoder.poll_event().map_err(|e| failed(e.kind.to_string()))? {
            if !self.delay.is_zero() && matches!(event, Event::Entry(_)) {
                std::thread::sleep(self.delay);
            }
            if let Event::Function(code) = event {
                let library = self.shared.scripts.library(code, &mut loader, self.shared.clock, &self.shared.log);
                let added = library
                    .and_then(|library| self.loaded.functions.add(library, false).map_err(|why| why.text_of_saved()));
                added.map_err(|why| failed(String::from_utf8_lossy(&why).into_owned()))?;
                continue;
            }
            if let Some(line) = note(&mut self.loaded, &mut self.keys, &event, now) {
                self.shared.log.notice(&line);
            }
        }
        Ok(())
    }
}

fn failed(why: String) -> Vec<String> {
    let what = "Failed trying to load the PRIMARY synchronization DB from socket, check server logs.";
    vec![why, what.into()]
}

/// Takes note of one thing in the file; gives a line for the log.
fn note(loaded: &mut Loaded, keys: &mut u64, event: &Event<'_>, now: WallMs) -> Option<String> {
    match event {
        Event::Entry(entry) => {
            *keys += 1;
            store_entry(&loaded.store, entry, now);
            None
        }
        Event::Header { .. } => Some("RDB signature and version check passed.".into()),
        Event::Aux { name: b"valkey-ver" | b"redis-ver", value } => {
            Some(format!("Loading RDB produced by Valkey version {}", String::from_utf8_lossy(value)))
        }
        Event::EmptyEntry { key } => Some(entries::empty_key_line(key)),
        Event::Aux { name: b"cluster-slot-states", value } => {
            loaded.open_slots = open_slots(value);
            None
        }
        Event::SlotImport { name, ranges } => {
            loaded.coming.push((String::from_utf8_lossy(name).into_owned(), ranges.to_vec()));
            None
        }
        Event::Aux { name, value } => {
            loaded.facts.note(name, value);
            None
        }
        Event::End(Checksum::Disabled) => {
            Some("RDB file was saved with checksum disabled: skipped checksum for this transfer".into())
        }
        _ => None,
    }
}

/// Puts an entry into a store, whatever its expiry: a replica keeps what is due until its primary deletes it.
fn store_entry(store: &Store, entry: &Entry<'_>, now: WallMs) {
    let key = store.key(entry.key);
    let mut view = store.view(key.slot, DbIndex(entry.db), now, Expiry::Ignore);
    entries::to_store(&mut view, &key, entry);
}

/// Reads `<slot>{<|>}<node id>,` again and again; stops at what it does not understand.
fn open_slots(text: &[u8]) -> Vec<ClusterCommand> {
    let mut out = Vec::new();
    for part in text.split(|b| *b == b',').filter(|p| !p.is_empty()) {
        let Some(at) = part.iter().position(|b| matches!(b, b'<' | b'>')) else { break };
        let slot = baton_base::num::parse_u64(&part[..at]).and_then(|n| u16::try_from(n).ok());
        let Some(slot) = slot.and_then(baton_base::Slot::new) else { break };
        let node = String::from_utf8_lossy(&part[at + 1..]).into_owned();
        let action = if part[at] == b'<' { SetSlot::Importing(node) } else { SetSlot::Migrating(node) };
        out.push(ClusterCommand::SetSlot { slot, action });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_slots_are_read_up_to_the_first_nonsense() {
        let slots = open_slots(b"7<aaa,16383>bbb,");
        let shown: Vec<String> = slots.iter().map(|s| format!("{s:?}")).collect();
        assert_eq!(shown.len(), 2);
        assert!(shown[0].contains("Importing(\"aaa\")") && shown[1].contains("Migrating(\"bbb\")"), "{shown:?}");
        assert_eq!(open_slots(b"1<a,16384<b,2<c").len(), 1);
        assert!(open_slots(b"x").is_empty());
    }
}
