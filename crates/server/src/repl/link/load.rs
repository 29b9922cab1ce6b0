//! Receiving a snapshot: bytes of the link become entries of a store beside the one in use, which keeps serving until the
//! new one is complete. Nothing here touches the store in use.

use std::sync::Arc;
use std::time::Duration;

use baton_base::WallMs;
use baton_cluster::{ClusterCommand, SetSlot};
use baton_config::{Id, RdbVersionCheck};
use baton_rdb::frame::FrameReader;
use baton_rdb::{AuxFacts, Checksum, Decoder, DecoderOptions, Entry, Event, Str, Value, VersionPolicy};
use baton_replication::link::Payload;
use baton_store::{DbIndex, Expire, Expiry, Store};

use crate::shared::Shared;
use crate::world::World;

/// What a snapshot brought.
pub(super) struct Loaded {
    /// Its entries.
    pub(super) store: Store,
    /// What it says about itself.
    pub(super) facts: AuxFacts,
    /// Slots on their way.
    pub(super) open_slots: Vec<ClusterCommand>,
}

/// How far a snapshot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More bytes are needed.
    More,
    /// It is complete.
    Complete,
    /// It can't be loaded: lines for the log.
    Failed(Vec<String>),
}

/// A snapshot that is being received.
pub(super) struct Load {
    shared: Arc<Shared>,
    frame: FrameReader,
    decoder: Decoder,
    loaded: Loaded,
    keys: u64,
    /// How long to wait after each key (`key-load-delay`).
    delay: Duration,
}

impl Load {
    /// Begins with the bytes that follow the payload's first line.
    pub(super) fn new(shared: &Arc<Shared>, payload: Payload) -> Load {
        let frame = match payload {
            Payload::Len(bytes) => FrameReader::counted(bytes),
            Payload::Eof(mark) => FrameReader::marked(mark),
        };
        let world = shared.world.peek();
        let options = decoder_options(&world, shared.store.databases());
        let loaded = Loaded { store: shared.store.sibling(), facts: AuxFacts::default(), open_slots: Vec::new() };
        let delay = Duration::from_micros(u64::try_from(world.settings.int(Id::KeyLoadDelay)).unwrap_or(0));
        Load { shared: Arc::clone(shared), frame, decoder: Decoder::new(options), loaded, keys: 0, delay }
    }

    /// Takes received bytes. Gives how many belong to the snapshot; the rest is stream.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> (usize, Progress) {
        let decoder = &mut self.decoder;
        let used = self.frame.feed(bytes, |piece| decoder.feed(piece));
        let now = self.shared.clock.wall();
        loop {
            match self.decoder.poll_event() {
                Ok(None) => break,
                Ok(Some(event)) => {
                    if !self.delay.is_zero() && matches!(event, Event::Entry(_)) {
                        std::thread::sleep(self.delay);
                    }
                    if let Some(line) = note(&mut self.loaded, &mut self.keys, &event, now) {
                        self.shared.log.notice(&line);
                    }
                }
                Err(e) => return (used, failed(e.kind.to_string())),
            }
        }
        if !self.frame.is_complete() {
            return (used, Progress::More);
        }
        let progress = match self.decoder.end_of_input() {
            Some(e) => failed(e.kind.to_string()),
            None if !self.decoder.rest().is_empty() => failed("Replication stream EOF marker is broken".into()),
            None => Progress::Complete,
        };
        (used, progress)
    }

    /// What was loaded.
    pub(super) fn finish(self) -> Loaded {
        let keys = self.keys;
        self.shared
            .log
            .notice(&format!("Done loading RDB, keys loaded: {keys}, keys expired: 0, all fields expired hashes: 0."));
        self.loaded
    }
}

fn failed(why: String) -> Progress {
    let what = "Failed trying to load the PRIMARY synchronization DB from socket, check server logs.";
    Progress::Failed(vec![why, what.into()])
}

/// What snapshots are accepted under these settings.
pub fn decoder_options(world: &World, databases: u32) -> DecoderOptions {
    let versions = match world.settings.choice() {
        RdbVersionCheck::Strict => VersionPolicy::Strict,
        RdbVersionCheck::Relaxed => VersionPolicy::Relaxed,
    };
    let verify_checksum = world.settings.bool(Id::RdbChecksum);
    DecoderOptions { versions, databases, verify_checksum, ..DecoderOptions::default() }
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
        Event::Aux { name: b"cluster-slot-states", value } => {
            loaded.open_slots = open_slots(value);
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

/// Puts an entry of a file into a store, whatever its expiry: a replica keeps what is due until its primary deletes it.
pub fn store_entry(store: &Store, entry: &Entry<'_>, now: WallMs) {
    let key = store.key(entry.key);
    let mut view = store.view(key.slot, DbIndex(entry.db), now, Expiry::Ignore);
    let expire = entry.expire_at.map_or(Expire::Never, Expire::At);
    match entry.value {
        Value::Str(Str::Bytes(bytes)) => view.set_str(&key, bytes, expire),
        Value::Str(Str::Int(n)) => view.set_str(&key, itoa::Buffer::new().format(n).as_bytes(), expire),
        // The decoder refuses kinds of values that the store does not hold.
        _ => return,
    }
    if let Some(secs) = entry.idle_secs {
        view.set_idle(&key, secs);
    }
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
