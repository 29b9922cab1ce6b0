//! What a server answers, in RESP2 or RESP3, as one value. Only data: it neither reads bytes nor prints.

use crate::Redirect;
use std::fmt;

/// One reply or push message. An error is a reply like any other, also inside arrays: a transaction's results carry
/// them side by side with what succeeded.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `+`: a short text such as `OK`.
    Status(Vec<u8>),
    /// `-` or `!`: the server refused or failed.
    Error(ErrorReply),
    /// `:`: a signed number.
    Integer(i64),
    /// `$`: bytes.
    Bulk(Vec<u8>),
    /// `_`, `$-1` or `*-1`: nothing.
    Nil,
    /// `*`: a list.
    Array(Vec<Reply>),
    /// `%`: pairs, in the server's order, keys not necessarily distinct.
    Map(Vec<(Reply, Reply)>),
    /// `~`: a set, in the server's order.
    Set(Vec<Reply>),
    /// `,`: a floating-point number, kept as the server wrote it, so that nothing is lost in printing.
    Double(Vec<u8>),
    /// `#`: true or false.
    Boolean(bool),
    /// `(`: an integer of any length, as text.
    BigNumber(Vec<u8>),
    /// `=`: text meant for people, without the three letters that name its format.
    Verbatim(Vec<u8>),
    /// `>`: a message that answers no command.
    Push(Vec<Reply>),
}

impl Reply {
    /// Whether this is the status `OK`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Reply::Status(text) if text == b"OK")
    }

    /// The error, if it is one.
    pub fn as_error(&self) -> Option<&ErrorReply> {
        match self {
            Reply::Error(error) => Some(error),
            _ => None,
        }
    }

    /// The number, if it is an integer.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Reply::Integer(n) => Some(*n),
            _ => None,
        }
    }

    /// The bytes of a status, bulk string, verbatim text, double or big number.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Reply::Status(b) | Reply::Bulk(b) | Reply::Verbatim(b) | Reply::Double(b) | Reply::BigNumber(b) => Some(b),
            _ => None,
        }
    }

    /// The bytes of a text reply as text, with what is not UTF-8 replaced.
    pub fn to_text(&self) -> Option<String> {
        self.as_bytes().map(|b| String::from_utf8_lossy(b).into_owned())
    }

    /// The elements of an array, set or push.
    pub fn as_slice(&self) -> Option<&[Reply]> {
        match self {
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => Some(items),
            _ => None,
        }
    }
}

/// An error reply: its first word is a code that programs act on, the rest is for people.
#[derive(Clone, PartialEq, Eq)]
pub struct ErrorReply(Vec<u8>);

impl ErrorReply {
    /// From the line without its leading `-` and line end.
    pub fn new(line: impl Into<Vec<u8>>) -> Self {
        ErrorReply(line.into())
    }

    /// The whole line.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The first word, such as `ERR`, `MOVED` or `WRONGTYPE`.
    pub fn code(&self) -> &[u8] {
        self.0.split(|&b| b == b' ').next().unwrap_or_default()
    }

    /// Where the command should go instead, if this error says so.
    pub fn redirect(&self) -> Option<Redirect> {
        Redirect::parse(&self.0)
    }
}

impl fmt::Display for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
