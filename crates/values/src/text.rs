//! A text as values hold it: a canonical 64-bit integer is kept as an integer.

/// A text: a string value, or an element of a collection.
///
/// Texts are ordered as integers before bytes, not as their texts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Str<'a> {
    /// A canonical decimal integer.
    Int(i64),
    /// Any other bytes.
    Bytes(&'a [u8]),
}

/// Longest text of a 64-bit integer.
const INT_TEXT_MAX: usize = 20;

impl<'a> Str<'a> {
    /// The text as it is kept: an integer if it spells one canonically.
    #[inline]
    pub fn of(text: &'a [u8]) -> Str<'a> {
        let number = if text.len() <= INT_TEXT_MAX { baton_base::num::parse_i64(text) } else { None };
        number.map_or(Str::Bytes(text), Str::Int)
    }

    /// The text, using `scratch` where it has to be written out.
    #[inline]
    pub fn bytes<'b>(&self, scratch: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match *self {
            Str::Int(n) => scratch.format(n).as_bytes(),
            Str::Bytes(b) => b,
        }
    }

    /// The text in memory of its own.
    pub fn to_vec(self) -> Vec<u8> {
        self.bytes(&mut itoa::Buffer::new()).to_vec()
    }

    /// The same text with these bytes, which are its own elsewhere.
    pub(crate) fn with_bytes<'b>(self, bytes: &'b [u8]) -> Str<'b> {
        match self {
            Str::Int(n) => Str::Int(n),
            Str::Bytes(_) => Str::Bytes(bytes),
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

    /// Whether it is this text.
    #[inline]
    pub fn equals(&self, text: &[u8]) -> bool {
        match self {
            Str::Int(n) => text.len() <= INT_TEXT_MAX && itoa::Buffer::new().format(*n).as_bytes() == text,
            Str::Bytes(b) => *b == text,
        }
    }
}
