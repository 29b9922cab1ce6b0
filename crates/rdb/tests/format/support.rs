//! What the tests of this crate share: entries that own their bytes, bytes as digits, and reading a whole file in pieces.

use baton_base::hex::{self, Hex};
use baton_base::{Slot, WallMs};
use baton_rdb::{AuxFacts, Checksum, Decoder, DecoderOptions, Encoder, Entry, Event, RdbError, SlotCounts, Str, Value};

/// Bytes from their digits.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    hex::bytes(text.as_bytes()).expect("hex digits")
}

/// The digits of bytes.
pub(crate) fn shown(bytes: &[u8]) -> String {
    Hex(bytes).to_string()
}

/// An entry with bytes of its own; integers are given as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OwnedEntry {
    pub(crate) db: u32,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) expire_at_ms: Option<u64>,
    pub(crate) idle_secs: Option<u64>,
    pub(crate) frequency: Option<u8>,
}

impl OwnedEntry {
    pub(crate) fn new(db: u32, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let (key, value) = (key.as_ref().to_vec(), value.as_ref().to_vec());
        OwnedEntry { db, key, value, expire_at_ms: None, idle_secs: None, frequency: None }
    }

    pub(crate) fn expiring(mut self, at_ms: u64) -> Self {
        self.expire_at_ms = Some(at_ms);
        self
    }

    pub(crate) fn of(entry: &Entry<'_>) -> Self {
        let value = match entry.value {
            Value::Str(Str::Int(n)) => n.to_string().into_bytes(),
            Value::Str(Str::Bytes(bytes)) => bytes.to_vec(),
            _ => panic!("only strings are expected"),
        };
        OwnedEntry {
            db: entry.db,
            key: entry.key.to_vec(),
            value,
            expire_at_ms: entry.expire_at.map(|at| at.0),
            idle_secs: entry.idle_secs,
            frequency: entry.frequency,
        }
    }

    pub(crate) fn encode(&self, encoder: &mut Encoder) {
        encoder.entry(&Entry {
            db: self.db,
            key: &self.key,
            value: Value::Str(Str::Bytes(&self.value)),
            expire_at: self.expire_at_ms.map(WallMs),
            idle_secs: self.idle_secs,
            frequency: self.frequency,
        });
    }
}

/// A job's name and its slots.
type SlotImport = (Vec<u8>, Vec<(Slot, Slot)>);

/// Everything a file held.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) version: u16,
    pub(crate) aux: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) facts: AuxFacts,
    pub(crate) entries: Vec<OwnedEntry>,
    pub(crate) resizes: Vec<(u64, u64)>,
    pub(crate) slots: Vec<SlotCounts>,
    pub(crate) functions: Vec<Vec<u8>>,
    pub(crate) slot_imports: Vec<SlotImport>,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) rest: Vec<u8>,
}

impl Loaded {
    fn add(&mut self, event: Event<'_>) {
        match event {
            Event::Header { version } => self.version = version,
            Event::Aux { name, value } => {
                self.facts.note(name, value);
                self.aux.push((name.to_vec(), value.to_vec()));
            }
            Event::SelectDb(_) => {}
            Event::ResizeDb { keys, expires } => self.resizes.push((keys, expires)),
            Event::SlotInfo(counts) => self.slots.push(counts),
            Event::Function(source) => self.functions.push(source.to_vec()),
            Event::SlotImport { name, ranges } => self.slot_imports.push((name.to_vec(), ranges.to_vec())),
            Event::Entry(entry) => self.entries.push(OwnedEntry::of(&entry)),
            Event::End(checksum) => self.checksum = Some(checksum),
            other => panic!("unexpected event {other:?}"),
        }
    }
}

/// Reads a file given in pieces of these sizes, over and over.
pub(crate) fn load_in_pieces(file: &[u8], sizes: &[usize], options: DecoderOptions) -> Result<Loaded, RdbError> {
    let mut decoder = Decoder::new(options);
    let mut loaded = Loaded::default();
    let mut rest = file;
    for &size in sizes.iter().cycle() {
        while let Some(event) = decoder.poll_event()? {
            loaded.add(event);
        }
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(size.clamp(1, rest.len()));
        decoder.feed(piece);
        rest = after;
    }
    match decoder.end_of_input() {
        Some(error) => Err(error),
        None => {
            loaded.rest = decoder.rest().to_vec();
            Ok(loaded)
        }
    }
}

pub(crate) fn load(file: &[u8]) -> Result<Loaded, RdbError> {
    load_in_pieces(file, &[usize::MAX], DecoderOptions::default())
}

/// Bytes in which no pattern repeats: the top byte of a linear congruential generator.
pub(crate) fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut x = seed;
    let mut next = || {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (x >> 56) as u8
    };
    (0..count).map(|_| next()).collect()
}
