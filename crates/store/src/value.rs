//! What a key holds, as commands see it: borrowed, without knowledge of how it lies in memory.

use baton_base::WallMs;

/// A string value. Canonical 64-bit integers are kept as integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Str<'a> {
    /// A canonical decimal integer.
    Int(i64),
    /// Any other bytes.
    Bytes(&'a [u8]),
}

impl<'a> Str<'a> {
    /// The text, using `scratch` where it has to be written out.
    pub fn bytes<'b>(&self, scratch: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match *self {
            Str::Int(n) => scratch.format(n).as_bytes(),
            Str::Bytes(b) => b,
        }
    }

    /// Length of the text in bytes.
    pub fn len(&self) -> usize {
        match self {
            Str::Int(n) => itoa::Buffer::new().format(*n).len(),
            Str::Bytes(b) => b.len(),
        }
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        matches!(self, Str::Bytes(b) if b.is_empty())
    }

    /// The integer it is or spells canonically.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Str::Int(n) => Some(*n),
            Str::Bytes(b) => baton_base::num::parse_i64(b),
        }
    }
}

/// A value of any type.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A string.
    Str(Str<'a>),
}

impl Value<'_> {
    /// Its type.
    pub fn kind(&self) -> ValueKind {
        match self {
            Value::Str(_) => ValueKind::String,
        }
    }
}

/// The type of a value, as TYPE names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueKind {
    /// A string.
    String,
}

impl ValueKind {
    /// The name that TYPE replies.
    pub fn name(self) -> &'static str {
        match self {
            ValueKind::String => "string",
        }
    }
}

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
    /// Bytes of memory that this entry takes, key and table share included.
    pub memory_bytes: usize,
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
