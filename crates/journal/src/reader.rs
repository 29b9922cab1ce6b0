//! One consumer's place in the log. It holds a reference to the block it is in, which keeps that block and all later ones
//! from being trimmed; whoever owns a slow reader must bound its lag by dropping it.

use crate::backlog::Block;
use crate::{Journal, Unit};
use baton_base::Offset;
use std::fmt;
use std::sync::Arc;

/// The journal moved to another history, or was freed: what this reader would read next does not exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Detached;

impl fmt::Display for Detached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the journal was replaced while it was read")
    }
}

impl std::error::Error for Detached {}

/// A place in the log. [`Reader::chunk`] shows what comes next, [`Reader::consume`] moves past it, as far as a socket or
/// file took it.
pub struct Reader {
    journal: Arc<Journal>,
    /// Contains the byte after `position`, or ends just before it.
    block: Arc<Block>,
    position: u64,
    generation: u64,
    /// Copy of a part of the tail that begins at `tail_copy_start`; the tail itself may only be looked at under the lock.
    tail_copy: Vec<u8>,
    tail_copy_start: u64,
}

impl Reader {
    pub(crate) fn new(journal: Arc<Journal>, block: Arc<Block>, offset: Offset, generation: u64) -> Self {
        Reader { journal, block, position: offset.0, generation, tail_copy: Vec::new(), tail_copy_start: offset.0 }
    }

    /// Everything up to here was consumed.
    pub fn position(&self) -> Offset {
        Offset(self.position)
    }

    /// Bytes appended but not consumed yet.
    pub fn lag_bytes(&self) -> u64 {
        self.journal.end().since(self.position())
    }

    /// The bytes that come next, as many as lie together; empty when the reader has reached the end. Full blocks are shown
    /// in place, at most [`Reader::TAIL_COPY_BYTES`] of the block being written are copied.
    pub fn chunk(&mut self) -> Result<&[u8], Detached> {
        // Two rounds at most: a block that is read to its end is left for the next one.
        for _ in 0..2 {
            if self.journal.generation() != self.generation {
                return Err(Detached);
            }
            let end = self.journal.end().0;
            if end <= self.position {
                return Ok(&[]);
            }
            match self.block.sealed_between(self.position, end) {
                Some([]) => self.step()?,
                Some(_) => break,
                None if self.copy_covers_position() => break,
                None => self.copy_tail(end)?,
            }
        }
        if let Some(bytes) = self.block.sealed_between(self.position, self.journal.end().0) {
            return Ok(bytes);
        }
        Ok(self.tail_copy.get((self.position - self.tail_copy_start) as usize..).unwrap_or_default())
    }

    /// Moves `n` bytes on; `n` must not exceed the latest chunk.
    pub fn consume(&mut self, n: usize) {
        self.position += n as u64;
        debug_assert!(self.position <= self.journal.end().0 || self.journal.generation() != self.generation);
    }

    /// Appends up to `max` of the next bytes to `out` and consumes them; tells how many.
    pub fn read_into(&mut self, out: &mut Vec<u8>, max: usize) -> Result<usize, Detached> {
        let mut taken = 0;
        while taken < max {
            let chunk = self.chunk()?;
            let n = chunk.len().min(max - taken);
            if n == 0 {
                break;
            }
            out.extend_from_slice(&chunk[..n]);
            self.consume(n);
            taken += n;
        }
        Ok(taken)
    }

    /// Bytes of the block being written that are copied at a time: bounds how long a reader holds the lock.
    pub const TAIL_COPY_BYTES: usize = Unit::KEPT_BYTES;

    fn copy_covers_position(&self) -> bool {
        let copied = self.tail_copy_start..self.tail_copy_start + self.tail_copy.len() as u64;
        copied.contains(&self.position)
    }

    /// Goes to the following block.
    fn step(&mut self) -> Result<(), Detached> {
        let next = self.journal.with_backlog(self.generation, |b| b.block_following(&self.block));
        self.block = next.ok_or(Detached)?;
        Ok(())
    }

    /// Copies unread bytes of the tail, unless the block was sealed meanwhile.
    fn copy_tail(&mut self, end: u64) -> Result<(), Detached> {
        let Reader { journal, block, position, tail_copy, .. } = self;
        tail_copy.clear();
        let from = (*position - block.start) as usize;
        let want = usize::try_from(end - *position).unwrap_or(usize::MAX).min(Self::TAIL_COPY_BYTES);
        let copied = journal.with_backlog(self.generation, |b| {
            if block.sealed().is_none() {
                tail_copy.extend_from_slice(&b.tail()[from..from + want]);
            }
            Some(())
        });
        self.tail_copy_start = self.position;
        copied.ok_or(Detached)
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader at {}", self.position)
    }
}
