//! Reading a snapshot as a stream: bytes go in as they arrive, in pieces of any size, events come out. Every record is
//! parsed in one step once it is complete, memory grows only with what has arrived, and nothing in the file can panic.

use std::ops::Range;

use baton_base::{Slot, WallMs};
use baton_values::{Collection, Limits, Str, Value};

use crate::aux::SlotCounts;
use crate::collection::{self, CollectionReader, Input};
use crate::crc64::Crc64;
use crate::cursor::{Cursor, RawStr, Stop};
use crate::entry::Entry;
use crate::error::{RdbError, RdbErrorKind};
use crate::event::{Checksum, Event};
use crate::format::{self, MAGIC_BYTES, VersionPolicy};
use crate::lzf;
use crate::record::{Record, SLOT_IMPORT_NAME_BYTES, read_record};

/// Buffers that had to grow beyond this for a large value are given back when they are empty.
const BUFFER_KEEP_BYTES: usize = 1 << 20;

/// What to accept.
#[derive(Clone, Copy, Debug)]
pub struct DecoderOptions {
    /// Which versions (`rdb-version-check`).
    pub versions: VersionPolicy,
    /// How many databases there are.
    pub databases: u32,
    /// Whether to verify the checksum (`rdbchecksum`).
    pub verify_checksum: bool,
    /// Longest string, in bytes (rdb 4.1: nothing above 2^32).
    pub string_bytes_max: u64,
    /// When collections are packed.
    pub limits: Limits,
}

impl Default for DecoderOptions {
    fn default() -> Self {
        DecoderOptions {
            versions: VersionPolicy::Strict,
            databases: 16,
            verify_checksum: true,
            string_bytes_max: 1 << 32,
            limits: Limits::default(),
        }
    }
}

/// Reads one snapshot.
///
/// Call [`Decoder::feed`] with what has arrived, then [`Decoder::poll_event`] until it gives none; when no more bytes
/// will come and [`Decoder::is_finished`] is false, [`Decoder::end_of_input`] tells the error. After an error every
/// further poll gives the same error.
///
/// What is fed and not polled piles up, so poll after every piece. Whether a file of no bytes at all counts as an empty
/// dataset is for the caller to decide (rdb 9); here it is a short read at 0.
pub struct Decoder {
    options: DecoderOptions,
    phase: Phase,
    buffer: Vec<u8>,
    /// Where in the buffer the next record starts.
    start: usize,
    /// Up to where in the buffer the checksum has been computed; at most `start`.
    summed: usize,
    /// Bytes from `start` that the next record needs at least; spares looking at it before.
    wanted: usize,
    /// Offset in the file of the buffer's first byte.
    base: u64,
    crc: Option<Crc64>,
    version: u16,
    is_redis_magic: bool,
    db: u32,
    /// What was said about the next entry.
    expire_at: Option<WallMs>,
    idle_secs: Option<u64>,
    frequency: Option<u8>,
    /// Names and values that do not lie in the buffer as they are.
    scratch: [Vec<u8>; 2],
    /// The collection that is being read, or was just read.
    building: Option<Building>,
    /// The slots of the latest job.
    slot_ranges: Vec<(Slot, Slot)>,
}

/// An entry whose value is read part by part, so that no more of it than one part has to be there at once.
struct Building {
    key: Vec<u8>,
    reader: Box<dyn CollectionReader>,
    collection: Option<Collection>,
}

enum Phase {
    Magic,
    Records,
    /// Within the value of [`Decoder::building`].
    Collection,
    Finished,
    Failed(RdbError),
}

/// Where the bytes of an event lie until it is handed out.
enum Span {
    Buffer(Range<usize>),
    Scratch(usize),
}

enum Step {
    Header,
    Aux(Span, Span),
    SelectDb,
    ResizeDb(u64, u64),
    SlotInfo(SlotCounts),
    Function(Span),
    SlotImport(Span),
    Entry { key: Span, value: StrSpan },
    Collection,
    End(Checksum),
}

enum StrSpan {
    Int(i64),
    Bytes(Span),
}

impl Decoder {
    /// A decoder that waits for the magic.
    pub fn new(options: DecoderOptions) -> Self {
        Decoder {
            options,
            phase: Phase::Magic,
            buffer: Vec::new(),
            start: 0,
            summed: 0,
            wanted: MAGIC_BYTES,
            base: 0,
            crc: options.verify_checksum.then(Crc64::new),
            version: 0,
            is_redis_magic: false,
            db: 0,
            expire_at: None,
            idle_secs: None,
            frequency: None,
            scratch: [Vec::new(), Vec::new()],
            building: None,
            slot_ranges: Vec::new(),
        }
    }

    /// Takes bytes that follow those fed before. After the end they are kept for [`Decoder::rest`].
    pub fn feed(&mut self, bytes: &[u8]) {
        if matches!(self.phase, Phase::Failed(_)) {
            return;
        }
        // Moving what is left costs no more than what was consumed since, so the total stays linear.
        if self.start > 0 && self.start >= self.buffer.len() - self.start {
            self.compact();
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event, or none until more bytes are fed. The event borrows from this decoder.
    ///
    /// # Errors
    /// If the file cannot be read on. The decoder is of no further use then.
    pub fn poll_event(&mut self) -> Result<Option<Event<'_>>, RdbError> {
        for scratch in &mut self.scratch {
            scratch.clear();
            scratch.shrink_to(BUFFER_KEEP_BYTES);
        }
        match self.advance() {
            Ok(step) => Ok(step.map(|step| self.event(step))),
            Err(error) => {
                self.buffer = Vec::new();
                self.phase = Phase::Failed(error.clone());
                Err(error)
            }
        }
    }

    /// Whether the end was reported.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Finished)
    }

    /// Bytes that were fed and not consumed: after the end, what follows the file.
    pub fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Bytes of the file that have been consumed.
    pub fn consumed_bytes(&self) -> u64 {
        self.base + self.start as u64
    }

    /// Bytes of memory that this decoder holds.
    pub fn memory_bytes(&self) -> usize {
        self.buffer.capacity() + self.scratch.iter().map(Vec::capacity).sum::<usize>()
    }

    /// Version of the file; zero until the header was reported.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// The error that it means when no more bytes will come: none if the file is complete.
    pub fn end_of_input(&self) -> Option<RdbError> {
        match &self.phase {
            Phase::Finished => None,
            Phase::Failed(error) => Some(error.clone()),
            Phase::Magic | Phase::Records | Phase::Collection => {
                let offset = self.base + self.buffer.len() as u64;
                Some(RdbError { offset, key: None, kind: RdbErrorKind::ShortRead })
            }
        }
    }

    fn compact(&mut self) {
        self.sum_to(self.start);
        self.base += self.start as u64;
        self.buffer.drain(..self.start);
        self.start = 0;
        self.summed = 0;
        if self.buffer.is_empty() {
            self.buffer.shrink_to(BUFFER_KEEP_BYTES);
        }
    }

    fn sum_to(&mut self, end: usize) {
        if let Some(crc) = &mut self.crc {
            crc.update(&self.buffer[self.summed..end]);
        }
        self.summed = end;
    }

    /// Consumes records until one makes an event.
    fn advance(&mut self) -> Result<Option<Step>, RdbError> {
        loop {
            match &self.phase {
                Phase::Failed(error) => return Err(error.clone()),
                Phase::Finished => return Ok(None),
                _ if self.buffer.len() - self.start < self.wanted => return Ok(None),
                Phase::Collection => {
                    if self.read_part()? {
                        return Ok(Some(Step::Collection));
                    }
                    continue;
                }
                Phase::Magic => return self.magic().map(Some).map_err(|kind| self.error_here(None, kind)),
                Phase::Records => {}
            }
            let mut cursor = Cursor::new(&self.buffer[self.start..]);
            let record =
                match read_record(&mut cursor, self.version, self.is_redis_magic, self.options.string_bytes_max) {
                    Ok(record) => record,
                    Err(Stop::Missing(bytes)) => {
                        self.wanted = bytes;
                        return Ok(None);
                    }
                    Err(Stop::Bad(kind)) => {
                        let key = self.key_here();
                        return Err(self.error_here(key.as_ref().map(|key| self.bytes(key)), kind));
                    }
                };
            let length = cursor.position();
            let step = self.apply(record)?;
            self.start += length;
            self.wanted = 1;
            if let Some(step) = step {
                return Ok(Some(step));
            }
        }
    }

    /// Reads the next part of a collection, if all its bytes are there; tells whether the collection is complete.
    fn read_part(&mut self) -> Result<bool, RdbError> {
        let Some(building) = &mut self.building else { return Ok(false) };
        let bytes = &self.buffer[self.start..];
        let mut input = Input::new(bytes, &self.options.limits, self.options.string_bytes_max);
        match building.reader.read_part(&mut input) {
            Ok(is_last) => {
                self.start += input.cursor.position();
                self.wanted = 1;
                if is_last {
                    building.collection = Some(building.reader.take());
                    self.phase = Phase::Records;
                }
                Ok(is_last)
            }
            Err(Stop::Missing(bytes)) => {
                self.wanted = bytes;
                Ok(false)
            }
            Err(Stop::Bad(kind)) => {
                let key = std::mem::take(&mut building.key);
                Err(self.error_here(Some(&key), kind))
            }
        }
    }

    /// The key of the entry that starts here and whose value is wrong, for the error to name.
    fn key_here(&mut self) -> Option<Span> {
        let mut cursor = Cursor::new(&self.buffer[self.start..]);
        let number = cursor.byte().ok()?;
        if number != format::TYPE_STRING {
            return None;
        }
        let key = cursor.string(self.options.string_bytes_max).ok()?;
        self.locate(0, &key, None).ok()
    }

    fn error_here(&self, key: Option<&[u8]>, kind: RdbErrorKind) -> RdbError {
        RdbError { offset: self.consumed_bytes(), key: key.map(Box::from), kind }
    }

    /// Reads the magic (rdb 1.1).
    fn magic(&mut self) -> Result<Step, RdbErrorKind> {
        let magic: [u8; MAGIC_BYTES] =
            self.buffer[self.start..][..MAGIC_BYTES].try_into().expect("that many are there");
        let wrong = RdbErrorKind::WrongSignature(magic);
        let (is_redis, digits) = match &magic {
            [b'R', b'E', b'D', b'I', b'S', b'0', digits @ ..] | [b'V', b'A', b'L', b'K', b'E', b'Y', digits @ ..] => {
                (magic[0] == b'R', digits)
            }
            _ => return Err(wrong),
        };
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(wrong);
        }
        let version = digits.iter().fold(0u16, |v, d| v * 10 + u16::from(d - b'0'));
        if is_redis != (version <= format::FOREIGN_LAST) || !self.options.versions.accepts(version) {
            return Err(RdbErrorKind::VersionRefused(version));
        }
        self.version = version;
        self.is_redis_magic = is_redis;
        self.phase = Phase::Records;
        self.start += MAGIC_BYTES;
        self.wanted = 1;
        Ok(Step::Header)
    }

    /// Acts on a record that starts at `start`; gives the event it makes, if any.
    fn apply(&mut self, record: Record) -> Result<Option<Step>, RdbError> {
        Ok(Some(match record {
            Record::ExpireAt(at) => {
                self.expire_at = at;
                return Ok(None);
            }
            Record::Idle(secs) => {
                self.idle_secs = Some(secs);
                return Ok(None);
            }
            Record::Frequency(n) => {
                self.frequency = Some(n);
                return Ok(None);
            }
            Record::Aux { name, value } => self.aux(&name, &value)?,
            Record::SelectDb(db) => match u32::try_from(db) {
                Ok(db) if db < self.options.databases => {
                    self.db = db;
                    Step::SelectDb
                }
                _ => {
                    let databases = self.options.databases;
                    return Err(self.error_here(None, RdbErrorKind::DatabaseOutOfRange { db, databases }));
                }
            },
            Record::ResizeDb { keys, expires } => Step::ResizeDb(keys, expires),
            Record::SlotInfo(counts) => Step::SlotInfo(counts),
            Record::Function(source) => Step::Function(self.locate(0, &source, None)?),
            Record::SlotImport { name, ranges } => {
                let name = self.locate(0, &name, None)?;
                if self.bytes(&name).len() as u64 != SLOT_IMPORT_NAME_BYTES {
                    return Err(self.error_here(None, RdbErrorKind::Corrupt("Invalid slot import")));
                }
                self.slot_ranges = ranges;
                Step::SlotImport(name)
            }
            Record::String { key, value } => {
                let key = self.locate(0, &key, None)?;
                let value = match value {
                    RawStr::Int(n) => StrSpan::Int(i64::from(n)),
                    ref text => StrSpan::Bytes(self.locate(1, text, Some(&key))?),
                };
                Step::Entry { key, value }
            }
            Record::Collection { number, key } => {
                let key = self.locate(0, &key, None)?;
                let key = self.bytes(&key).to_vec();
                let Some(reader) = collection::reader_of(number) else {
                    let kind = match format::type_name(number) {
                        Some(name) => RdbErrorKind::UnsupportedType { number, name },
                        None => RdbErrorKind::UnknownType(number),
                    };
                    return Err(self.error_here(Some(&key), kind));
                };
                self.building = Some(Building { key, reader, collection: None });
                self.phase = Phase::Collection;
                return Ok(None);
            }
            Record::End { trailer } => self.end(trailer)?,
        }))
    }

    /// A fact is reported as it is, except the one that is also an opcode of its own.
    fn aux(&mut self, name: &RawStr, value: &RawStr) -> Result<Step, RdbError> {
        let name = self.locate(0, name, None)?;
        let value = self.locate(1, value, None)?;
        if self.bytes(&name) != b"slot-info" {
            return Ok(Step::Aux(name, value));
        }
        let counts = SlotCounts::parse(self.bytes(&value));
        counts.map(Step::SlotInfo).ok_or_else(|| self.error_here(None, RdbErrorKind::Corrupt("Invalid slot-info")))
    }

    /// Compares the checksum, which covers everything up to the end marker itself.
    fn end(&mut self, trailer: Option<u64>) -> Result<Step, RdbError> {
        self.sum_to(self.start + 1);
        self.phase = Phase::Finished;
        let computed = self.crc.as_ref().map(Crc64::value);
        Ok(Step::End(match (trailer, computed) {
            (None, _) => Checksum::Absent,
            (Some(_), None) => Checksum::Ignored,
            (Some(0), Some(_)) => Checksum::Disabled,
            (Some(stored), Some(computed)) if stored == computed => Checksum::Verified,
            (Some(stored), Some(computed)) => {
                return Err(self.error_here(None, RdbErrorKind::WrongChecksum { computed, stored }));
            }
        }))
    }

    /// Finds the bytes of a string of the current record, writing them to a scratch buffer if they must be unpacked.
    fn locate(&mut self, scratch: usize, text: &RawStr, key: Option<&Span>) -> Result<Span, RdbError> {
        let here = |range: &Range<usize>| self.start + range.start..self.start + range.end;
        match text {
            RawStr::Plain(range) => Ok(Span::Buffer(here(range))),
            RawStr::Int(n) => {
                self.scratch[scratch].extend_from_slice(itoa::Buffer::new().format(*n).as_bytes());
                Ok(Span::Scratch(scratch))
            }
            RawStr::Lzf(range, length) => {
                let unpacked = lzf::decompress(&self.buffer[here(range)], &mut self.scratch[scratch], *length);
                match unpacked {
                    Ok(()) => Ok(Span::Scratch(scratch)),
                    Err(_) => {
                        let kind = RdbErrorKind::Corrupt("Invalid LZF compressed string");
                        Err(self.error_here(key.map(|key| self.bytes(key)), kind))
                    }
                }
            }
        }
    }

    fn bytes(&self, span: &Span) -> &[u8] {
        match span {
            Span::Buffer(range) => &self.buffer[range.clone()],
            Span::Scratch(i) => &self.scratch[*i],
        }
    }

    /// Makes the event of a step. Takes what was said about the entry, so that it doesn't stick to the next one.
    fn event(&mut self, step: Step) -> Event<'_> {
        match step {
            Step::Header => Event::Header { version: self.version },
            Step::Aux(name, value) => Event::Aux { name: self.bytes(&name), value: self.bytes(&value) },
            Step::SelectDb => Event::SelectDb(self.db),
            Step::ResizeDb(keys, expires) => Event::ResizeDb { keys, expires },
            Step::SlotInfo(counts) => Event::SlotInfo(counts),
            Step::Function(source) => Event::Function(self.bytes(&source)),
            Step::SlotImport(name) => Event::SlotImport { name: self.bytes(&name), ranges: &self.slot_ranges },
            Step::Entry { key, value } => {
                let (expire_at, idle_secs, frequency) =
                    (self.expire_at.take(), self.idle_secs.take(), self.frequency.take());
                let text = match value {
                    StrSpan::Int(n) => Str::Int(n),
                    StrSpan::Bytes(span) => Str::Bytes(match span {
                        Span::Buffer(range) => &self.buffer[range],
                        Span::Scratch(i) => &self.scratch[i],
                    }),
                };
                let key = self.bytes(&key);
                Event::Entry(Entry { db: self.db, key, value: Value::Str(text), expire_at, idle_secs, frequency })
            }
            Step::Collection => self.collection_event(),
            Step::End(checksum) => Event::End(checksum),
        }
    }

    fn collection_event(&mut self) -> Event<'_> {
        let (expire_at, idle_secs, frequency) = (self.expire_at.take(), self.idle_secs.take(), self.frequency.take());
        let built = self.building.as_ref().expect("a collection was read");
        let (key, collection) = (&built.key[..], built.collection.as_ref().expect("it is complete"));
        if collection.is_gone() {
            return Event::EmptyEntry { key };
        }
        Event::Entry(Entry { db: self.db, key, value: collection.as_value(), expire_at, idle_secs, frequency })
    }
}
