//! Writing a snapshot as a stream. The walker hands entries in, the caller drains chunks out; nothing is allocated per
//! entry and the checksum runs over whole chunks. The order of records is the caller's: preamble, functions, then
//! databases and entries, then the end (rdb 1).

use baton_base::{Slot, WallMs};

use crate::aux::{Preamble, SlotCounts};
use crate::crc64::Crc64;
use baton_values::Str;

use crate::collection;
use crate::entry::Entry;
use crate::format::{VERSION, VersionTarget, opcode, string};
use crate::lzf::Compressor;
use crate::record::SLOT_IMPORT_NAME_BYTES;

/// A buffer that had to grow beyond this for a large value is given back once drained.
const BUFFER_KEEP_BYTES: usize = 1 << 20;

/// How to write.
#[derive(Clone, Copy, Debug)]
pub struct EncoderOptions {
    /// Which version.
    pub version: VersionTarget,
    /// Whether to compress long strings (`rdbcompression`).
    pub compress: bool,
    /// Whether to end with a checksum (`rdbchecksum`, replication 1.9).
    pub checksum: bool,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        EncoderOptions { version: VersionTarget::Current, compress: true, checksum: true }
    }
}

/// Writes one snapshot.
///
/// Records are appended by the methods that name them. Call [`Encoder::drain`] or [`Encoder::take`] whenever
/// [`Encoder::pending_bytes`] has grown to a good write size (64 KiB or more), and after [`Encoder::finish`].
pub struct Encoder {
    out: Vec<u8>,
    version: VersionTarget,
    /// Sum over everything drained; none if the file ends without a checksum.
    crc: Option<Crc64>,
    strings: StringEncoder,
    /// Bytes drained.
    drained: u64,
    /// The database of the latest SELECTDB.
    db: Option<u32>,
    finished: bool,
    unwritable: bool,
}

impl Encoder {
    /// Starts a file with its magic.
    pub fn new(options: EncoderOptions) -> Self {
        Encoder {
            out: options.version.magic().to_vec(),
            version: options.version,
            crc: options.checksum.then(Crc64::new),
            strings: StringEncoder::new(options.compress),
            drained: 0,
            db: None,
            finished: false,
            unwritable: false,
        }
    }

    /// The facts that every file starts with.
    pub fn preamble(&mut self, preamble: &Preamble<'_>) {
        self.aux(b"valkey-ver", preamble.server_version.as_bytes());
        self.aux(b"redis-bits", b"64");
        self.aux_number(b"ctime", preamble.created_at.as_secs());
        self.aux_number(b"used-mem", preamble.used_memory_bytes);
        if let Some(point) = &preamble.replication {
            // Zero is safe where nothing is selected: the next command carries a SELECT anyway (rdb 1).
            self.aux_number(b"repl-stream-db", u64::from(point.stream_db.unwrap_or(0)));
            self.aux(b"repl-id", point.id.as_bytes());
            self.aux_number(b"repl-offset", point.offset.0);
        }
        self.aux_number(b"aof-base", u64::from(preamble.is_aof_base));
    }

    /// A named fact.
    pub fn aux(&mut self, name: &[u8], value: &[u8]) {
        self.out.push(opcode::AUX);
        self.strings.bytes(&mut self.out, name);
        self.strings.bytes(&mut self.out, value);
    }

    fn aux_number(&mut self, name: &[u8], value: u64) {
        self.aux(name, itoa::Buffer::new().format(value).as_bytes());
    }

    /// The source of a function library.
    pub fn function(&mut self, source: &[u8]) {
        self.out.push(opcode::FUNCTION2);
        self.strings.bytes(&mut self.out, source);
    }

    /// Slots that another node is sending, by the name of the job. Left out in versions that have no form for it.
    ///
    /// # Panics
    /// If the name has not forty bytes.
    pub fn slot_import(&mut self, name: &[u8], ranges: &[(Slot, Slot)]) {
        assert_eq!(name.len() as u64, SLOT_IMPORT_NAME_BYTES, "names of jobs have forty bytes");
        if self.version.number() < VERSION {
            return;
        }
        self.out.push(opcode::SLOT_IMPORT);
        self.strings.bytes(&mut self.out, name);
        push_length(&mut self.out, ranges.len() as u64);
        for (first, last) in ranges {
            push_length(&mut self.out, u64::from(first.number()));
            push_length(&mut self.out, u64::from(last.number()));
        }
    }

    /// Announces a database and how large it is. Optional, but it lets the reader size its tables.
    pub fn resize_db(&mut self, db: u32, keys: u64, expires: u64) {
        self.select_db(db);
        self.out.push(opcode::RESIZEDB);
        push_length(&mut self.out, keys);
        push_length(&mut self.out, expires);
    }

    /// Announces the entries of a slot in a database; in cluster mode, before its first entry.
    pub fn slot_info(&mut self, db: u32, counts: &SlotCounts) {
        self.select_db(db);
        let numbers = [u64::from(counts.slot.number()), counts.keys, counts.expires, counts.volatile];
        // Four numbers of at most twenty digits and three commas.
        let mut text = [0u8; 83];
        let mut used = 0;
        for (i, &number) in numbers.iter().enumerate() {
            if i > 0 {
                text[used] = b',';
                used += 1;
            }
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(number).as_bytes();
            text[used..used + digits.len()].copy_from_slice(digits);
            used += digits.len();
        }
        self.aux(b"slot-info", &text[..used]);
    }

    /// An entry, after a change of database where it needs one.
    pub fn entry(&mut self, entry: &Entry<'_>) {
        self.select_db(entry.db);
        if let Some(WallMs(at)) = entry.expire_at {
            self.out.push(opcode::EXPIRETIME_MS);
            self.out.extend_from_slice(&i64::try_from(at).unwrap_or(i64::MAX).to_le_bytes());
        }
        if let Some(idle) = entry.idle_secs {
            self.out.push(opcode::IDLE);
            push_length(&mut self.out, idle);
        }
        if let Some(frequency) = entry.frequency {
            self.out.extend_from_slice(&[opcode::FREQ, frequency]);
        }
        self.unwritable |= !collection::is_writable(&entry.value, self.version);
        self.out.push(collection::type_number(&entry.value, self.version));
        self.strings.bytes(&mut self.out, entry.key);
        collection::push_value(&mut self.out, &mut self.strings, &entry.value, self.version);
    }

    /// Whether an entry was of a kind that files of this version have no form for. Such a file must not be used.
    pub fn is_unwritable(&self) -> bool {
        self.unwritable
    }

    /// Ends the file. Nothing may follow.
    ///
    /// # Panics
    /// If the file has ended already.
    pub fn finish(&mut self) {
        assert!(!self.finished, "a file ends once");
        self.finished = true;
        self.out.push(opcode::EOF);
        let sum = match &mut self.crc {
            Some(crc) => {
                crc.update(&self.out);
                crc.value()
            }
            None => 0,
        };
        self.crc = None;
        self.out.extend_from_slice(&sum.to_le_bytes());
    }

    /// Bytes written and not drained yet.
    pub fn pending_bytes(&self) -> usize {
        self.out.len()
    }

    /// Bytes written since the start of the file, drained or not.
    pub fn written_bytes(&self) -> u64 {
        self.drained + self.out.len() as u64
    }

    /// Hands all pending bytes to `sink` and forgets them.
    pub fn drain<R>(&mut self, sink: impl FnOnce(&[u8]) -> R) -> R {
        self.settle();
        let result = sink(&self.out);
        self.out.clear();
        self.out.shrink_to(BUFFER_KEEP_BYTES);
        result
    }

    /// All pending bytes as an owned chunk, to be passed on without a copy. The next chunk starts with a new buffer.
    pub fn take(&mut self) -> Vec<u8> {
        self.settle();
        std::mem::take(&mut self.out)
    }

    /// Brings the checksum up to date with what is about to leave.
    fn settle(&mut self) {
        if let Some(crc) = &mut self.crc {
            crc.update(&self.out);
        }
        self.drained += self.out.len() as u64;
    }

    fn select_db(&mut self, db: u32) {
        debug_assert!(!self.finished, "nothing follows the end");
        if self.db != Some(db) {
            self.db = Some(db);
            self.out.push(opcode::SELECTDB);
            push_length(&mut self.out, u64::from(db));
        }
    }
}

/// Appends a length in its shortest form (rdb 2).
pub(crate) fn push_length(out: &mut Vec<u8>, n: u64) {
    if n < 1 << 6 {
        out.push(n as u8);
    } else if n < 1 << 14 {
        out.extend_from_slice(&[0x40 | (n >> 8) as u8, n as u8]);
    } else if let Ok(n) = u32::try_from(n) {
        out.push(0x80);
        out.extend_from_slice(&n.to_be_bytes());
    } else {
        out.push(0x81);
        out.extend_from_slice(&n.to_be_bytes());
    }
}

/// Writes strings in the form that upstream chooses (rdb 3).
pub(crate) struct StringEncoder {
    compressor: Option<Compressor>,
    packed: Vec<u8>,
}

impl StringEncoder {
    pub(crate) fn new(compress: bool) -> Self {
        StringEncoder { compressor: compress.then(Compressor::new), packed: Vec::new() }
    }

    /// A string value.
    pub(crate) fn string(&mut self, out: &mut Vec<u8>, text: Str<'_>) {
        match text {
            Str::Int(n) => match i32::try_from(n) {
                Ok(n) => push_int(out, n),
                Err(_) => push_plain(out, itoa::Buffer::new().format(n).as_bytes()),
            },
            Str::Bytes(bytes) => self.bytes(out, bytes),
        }
    }

    /// Bytes: as an integer if that is what they spell, compressed if that gains enough, else plain.
    pub(crate) fn bytes(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        if bytes.len() <= string::INT_TEXT_BYTES_MAX {
            if let Some(n) = small_int(bytes) {
                return push_int(out, n);
            }
        } else if bytes.len() > string::PLAIN_BYTES_MAX && self.compressed(out, bytes) {
            return;
        }
        push_plain(out, bytes);
    }

    fn compressed(&mut self, out: &mut Vec<u8>, bytes: &[u8]) -> bool {
        let Some(compressor) = &mut self.compressor else { return false };
        self.packed.clear();
        let gained = compressor.compress(bytes, &mut self.packed, bytes.len() - string::LZF_GAIN_MIN);
        if gained {
            out.push(string::LZF);
            push_length(out, self.packed.len() as u64);
            push_length(out, bytes.len() as u64);
            out.extend_from_slice(&self.packed);
        }
        self.packed.shrink_to(BUFFER_KEEP_BYTES);
        gained
    }
}

/// The 32-bit integer that the bytes spell canonically. Most keys and values are ruled out by their first byte.
fn small_int(bytes: &[u8]) -> Option<i32> {
    let first = *bytes.first()?;
    if first != b'-' && !first.is_ascii_digit() {
        return None;
    }
    i32::try_from(baton_base::num::parse_i64(bytes)?).ok()
}

fn push_int(out: &mut Vec<u8>, n: i32) {
    if let Ok(n) = i8::try_from(n) {
        out.extend_from_slice(&[string::INT8, n as u8]);
    } else if let Ok(n) = i16::try_from(n) {
        let [low, high] = n.to_le_bytes();
        out.extend_from_slice(&[string::INT16, low, high]);
    } else {
        out.push(string::INT32);
        out.extend_from_slice(&n.to_le_bytes());
    }
}

fn push_plain(out: &mut Vec<u8>, bytes: &[u8]) {
    push_length(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
