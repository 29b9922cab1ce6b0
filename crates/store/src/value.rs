//! What is found under a key, and what a write does to its expiry.

use baton_base::WallMs;
use baton_values::Value;

use crate::clock;
use crate::raw::block::Block;

/// A found entry: its value and what is stored beside it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The value.
    pub value: Value<'a>,
    /// When it expires; none if never.
    pub expire_at: Option<WallMs>,
    /// Name of the encoding as OBJECT ENCODING replies it (`int`, `embstr`, `raw`, ...; rdb section 10).
    pub encoding: &'static str,
    /// Whole seconds since the last access that counted.
    pub idle_secs: u64,
    pub(crate) clock: u32,
    /// Bytes of memory that this entry takes, key and table share included.
    pub memory_bytes: usize,
}

impl Entry<'_> {
    /// Whole seconds from the last access that counted to this time.
    pub fn idle_secs_at(&self, now: WallMs) -> u64 {
        clock::idle_secs(now, self.clock)
    }

    /// How often it was used, from 0 to 255, where that is counted.
    pub fn frequency(&self, now: WallMs, decay_minutes: u32) -> u8 {
        clock::frequency(now, self.clock, decay_minutes)
    }
}

/// What a write does to the expiry of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expire {
    /// Leave it as it is.
    Keep,
    /// The key never expires.
    Never,
    /// The key expires at this time.
    At(WallMs),
}

/// The text of a large string, shared with the key that holds it: it stays as it is, whatever becomes of the key.
pub struct SharedText(pub(crate) Block);

impl SharedText {
    /// The text.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// Bytes of memory behind it.
    pub fn heap_bytes(&self) -> usize {
        self.0.footprint()
    }
}

impl std::fmt::Debug for SharedText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a text of {} bytes", self.bytes().len())
    }
}
