//! The retained part of the stream: a row of blocks that the backlog and all readers share by reference count
//! (replication 2.1). Everything here runs under the journal's lock, except reading a sealed block, which never changes
//! again.

use crate::encode::Sink;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

/// Default of `repl-backlog-size`.
pub const BACKLOG_BYTES_DEFAULT: u64 = 10 << 20;
/// The smallest `repl-backlog-size`; smaller values are raised to it.
pub const BACKLOG_BYTES_MIN: u64 = 16 << 10;

const BLOCK_BYTES_MIN: u64 = 16 << 10;
/// Keeps what one slow reader pins, and what one trim frees, small in a large backlog.
const BLOCK_BYTES_MAX: u64 = 1 << 20;
/// A backlog of `size` bytes is made of about this many blocks; upstream allows down to 16.
const BLOCKS_AIM: u64 = 64;
/// Blocks dropped by one call at most, so that no append pays for a reader that pinned a lot and then left.
const TRIM_BLOCKS_PER_CALL: usize = 64;

/// A stretch of the stream. Its bytes are set once, when it is full; until then they live in [`Backlog::tail`].
#[derive(Debug)]
pub(crate) struct Block {
    /// Position in the row since the backlog was created; consecutive.
    pub(crate) number: u64,
    /// Offset before its first byte.
    pub(crate) start: u64,
    sealed: OnceLock<Vec<u8>>,
}

impl Block {
    /// The bytes, once the block is full.
    pub(crate) fn sealed(&self) -> Option<&[u8]> {
        self.sealed.get().map(Vec::as_slice)
    }

    /// Once the block is full, those of its bytes that lie between two offsets, `from` not before its start.
    pub(crate) fn sealed_between(&self, from: u64, end: u64) -> Option<&[u8]> {
        let bytes = self.sealed()?;
        let start = (from - self.start) as usize;
        let stop = usize::try_from(end.saturating_sub(self.start)).map_or(bytes.len(), |n| n.min(bytes.len()));
        Some(&bytes[start.min(stop)..stop])
    }
}

/// The row of blocks. `blocks` is never empty; all are sealed but the last, whose bytes are `tail`.
#[derive(Debug)]
pub(crate) struct Backlog {
    blocks: VecDeque<Arc<Block>>,
    tail: Vec<u8>,
    /// The tail is sealed at this length.
    tail_bytes_max: usize,
    /// Memory of a dropped block that the next one may take over.
    spare: Option<Vec<u8>>,
    /// Configured `repl-backlog-size`, at least [`BACKLOG_BYTES_MIN`].
    size: u64,
    /// Buffer memory of all blocks, tail and spare, in bytes.
    mem: usize,
}

impl Backlog {
    /// An empty backlog after offset `start`.
    pub(crate) fn new(start: u64, size: u64) -> Self {
        let mut backlog = Backlog {
            blocks: VecDeque::new(),
            tail: Vec::new(),
            tail_bytes_max: 0,
            spare: None,
            size: size.max(BACKLOG_BYTES_MIN),
            mem: 0,
        };
        backlog.open_block(0, start);
        backlog
    }

    /// Offset before the first retained byte.
    pub(crate) fn start(&self) -> u64 {
        self.blocks[0].start
    }

    /// Offset after the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.tail_block().start + self.tail.len() as u64
    }

    /// The block in which the byte after `offset` is or will be, if it is retained.
    pub(crate) fn block_after(&self, offset: u64) -> Option<Arc<Block>> {
        if offset < self.start() || offset > self.end() {
            return None;
        }
        let next = self.blocks.partition_point(|b| b.start <= offset);
        self.blocks.get(next - 1).cloned()
    }

    /// The block that follows `block`. The caller knows that `block` is of this row and sealed, so there is one; a
    /// block that a reader holds, and all after it, are never trimmed.
    pub(crate) fn block_following(&self, block: &Block) -> Option<Arc<Block>> {
        let index = (block.number + 1).checked_sub(self.blocks[0].number)?;
        self.blocks.get(usize::try_from(index).ok()?).cloned()
    }

    /// The bytes of the block that is still being written.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// Memory in use: buffers and bookkeeping.
    pub(crate) fn mem_used(&self) -> usize {
        self.mem
            + self.blocks.len() * (size_of::<Block>() + 2 * size_of::<usize>())
            + self.blocks.capacity() * size_of::<Arc<Block>>()
    }

    /// Takes over a new configured size and trims to it. The block that is being written follows, or a much smaller
    /// backlog would go on keeping all that fits into a block of the old one.
    pub(crate) fn resize(&mut self, size: u64) {
        self.size = size.max(BACKLOG_BYTES_MIN);
        let wanted = self.block_bytes();
        if self.tail.len() >= wanted {
            self.seal_tail();
        } else {
            self.tail_bytes_max = self.tail_bytes_max.min(wanted);
        }
        self.trim();
    }

    /// Drops the oldest blocks that the configured size does not call for and no reader holds (replication 2.1). The
    /// backlog never falls below the configured size by it.
    pub(crate) fn trim(&mut self) {
        for _ in 0..TRIM_BLOCKS_PER_CALL {
            let Some(oldest_len) = self.blocks[0].sealed().map(|b| b.len() as u64) else { return };
            let histlen = self.end() - self.start();
            // New references are only handed out under the journal's lock, so one that is the last stays the last.
            if histlen - oldest_len <= self.size || Arc::strong_count(&self.blocks[0]) > 1 {
                return;
            }
            let Some(block) = self.blocks.pop_front() else { return };
            if let Some(bytes) = Arc::into_inner(block).and_then(|b| b.sealed.into_inner()) {
                self.mem -= bytes.capacity();
                self.keep_spare(bytes);
            }
        }
    }

    fn keep_spare(&mut self, mut bytes: Vec<u8>) {
        let wanted = self.block_bytes();
        if self.spare.is_none() && (wanted..=2 * wanted).contains(&bytes.capacity()) {
            bytes.clear();
            self.mem += bytes.capacity();
            self.spare = Some(bytes);
        }
    }

    fn tail_block(&self) -> &Arc<Block> {
        self.blocks.back().expect("the row of blocks is never empty")
    }

    fn block_bytes(&self) -> usize {
        (self.size / BLOCKS_AIM).clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX) as usize
    }

    fn open_block(&mut self, number: u64, start: u64) {
        let wanted = self.block_bytes();
        let spare = self.spare.take().inspect(|s| self.mem -= s.capacity());
        self.tail = spare.filter(|s| s.capacity() >= wanted).unwrap_or_else(|| Vec::with_capacity(wanted));
        self.mem += self.tail.capacity();
        self.tail_bytes_max = wanted;
        self.blocks.push_back(Arc::new(Block { number, start, sealed: OnceLock::new() }));
    }

    fn seal_tail(&mut self) {
        let bytes = std::mem::take(&mut self.tail);
        let end = self.tail_block().start + bytes.len() as u64;
        let number = self.tail_block().number;
        self.tail_block().sealed.set(bytes).expect("the tail is sealed once");
        self.open_block(number + 1, end);
        self.trim();
    }

    /// Fills the tail, seals it, and goes on in new blocks.
    #[cold]
    fn put_across(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.tail_bytes_max - self.tail.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.tail.extend_from_slice(now);
            bytes = later;
            if self.tail.len() == self.tail_bytes_max {
                self.seal_tail();
            }
        }
    }
}

impl Sink for Backlog {
    fn put(&mut self, bytes: &[u8]) {
        if bytes.len() < self.tail_bytes_max - self.tail.len() {
            self.tail.extend_from_slice(bytes);
        } else {
            self.put_across(bytes);
        }
    }
}
