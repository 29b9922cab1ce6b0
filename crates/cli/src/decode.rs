//! Bytes from a server to replies, RESP2 and RESP3, whatever way the bytes are cut. Must never panic on any bytes, nor
//! reserve memory for what has only been announced.

use crate::{ErrorReply, Reply};
use std::fmt;

/// Longest line (everything but bulk payloads): upstream's error lines stay far below.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Longest bulk payload: the highest value of `proto-max-bulk-len` that anybody is known to use is 512 MB.
const BULK_BYTES_MAX: usize = 1 << 30;
/// Most elements one aggregate may announce.
const ELEMENTS_MAX: usize = 1 << 28;
/// Deepest nesting; no command nests deeper than a handful.
const DEPTH_MAX: usize = 64;
/// Consumed bytes that may pile up in front of the buffer before they are moved out.
const CONSUMED_BYTES_MAX: usize = 64 * 1024;

/// The server sent something that is not RESP, or that exceeds a bound of this client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError {
    reason: &'static str,
    bytes: Vec<u8>,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, baton_base::quote::quoted(&self.bytes))
    }
}

impl std::error::Error for ProtocolError {}

/// Collects bytes ([`feed`](Decoder::feed)) and yields whole replies ([`poll`](Decoder::poll)). After an error the
/// stream is lost: drop the connection.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    consumed: usize,
    open: Vec<Aggregate>,
}

/// An aggregate of which elements are still to come.
#[derive(Debug)]
struct Aggregate {
    kind: Kind,
    remaining: usize,
    items: Vec<Reply>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Array,
    Set,
    Push,
    Map,
    /// Pairs about the reply that follows; read and dropped.
    Attribute,
}

/// What one line (with its payload) turned out to be.
enum Token {
    Value(Reply),
    Open(Kind, usize),
}

impl Decoder {
    /// An empty decoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes as they came from the socket.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole reply, or `None` if more bytes are needed.
    pub fn poll(&mut self) -> Result<Option<Reply>, ProtocolError> {
        while let Some(token) = self.token()? {
            let mut value = match token {
                Token::Value(value) => value,
                Token::Open(kind, 0) if kind != Kind::Attribute => kind.close(Vec::new()),
                Token::Open(_, 0) => continue,
                Token::Open(kind, remaining) => {
                    if self.open.len() == DEPTH_MAX {
                        return Err(self.error("reply nested too deep", 0));
                    }
                    self.open.push(Aggregate { kind, remaining, items: Vec::new() });
                    continue;
                }
            };
            loop {
                let Some(top) = self.open.last_mut() else { return Ok(Some(value)) };
                top.items.push(value);
                top.remaining -= 1;
                if top.remaining > 0 {
                    break;
                }
                let Some(done) = self.open.pop() else { break };
                if done.kind == Kind::Attribute {
                    break;
                }
                value = done.kind.close(done.items);
            }
        }
        Ok(None)
    }

    /// Reads one token if it is there completely, else leaves the buffer as it is.
    fn token(&mut self) -> Result<Option<Token>, ProtocolError> {
        let rest = &self.buffer[self.consumed..];
        let Some(end) = rest.iter().take(LINE_BYTES_MAX + 2).position(|&b| b == b'\n') else {
            if rest.len() > LINE_BYTES_MAX {
                return Err(self.error("line too long", 0));
            }
            return Ok(None);
        };
        if end < 2 || rest[end - 1] != b'\r' {
            return Err(self.error("line without a type or carriage return", end));
        }
        let (kind, body) = (rest[0], &rest[1..end - 1]);
        let after_line = end + 1;
        let (token, used) = match kind {
            b'+' => (Token::Value(Reply::Status(body.to_vec())), after_line),
            b'-' => (Token::Value(Reply::Error(ErrorReply::new(body))), after_line),
            b',' => (Token::Value(Reply::Double(body.to_vec())), after_line),
            b'(' => (Token::Value(Reply::BigNumber(body.to_vec())), after_line),
            b'_' if body.is_empty() => (Token::Value(Reply::Nil), after_line),
            b'#' if body == b"t" || body == b"f" => (Token::Value(Reply::Boolean(body == b"t")), after_line),
            b':' => match number(body) {
                Some(n) => (Token::Value(Reply::Integer(n)), after_line),
                None => return Err(self.error("not an integer", end)),
            },
            b'$' | b'!' | b'=' => match bulk(kind, body, &rest[after_line..]) {
                Ok(Some((value, payload))) => (Token::Value(value), after_line + payload),
                Ok(None) => return Ok(None),
                Err(reason) => return Err(self.error(reason, end)),
            },
            b'*' | b'~' | b'>' | b'%' | b'|' => match aggregate(kind, body) {
                Some(token) => (token, after_line),
                None => return Err(self.error("bad element count", end)),
            },
            _ => return Err(self.error("unknown reply type", end)),
        };
        self.consume(used);
        Ok(Some(token))
    }

    /// Forgets bytes in front; moves the rest forward only now and then, so that many small replies cost little.
    fn consume(&mut self, n: usize) {
        self.consumed += n;
        if self.consumed == self.buffer.len() {
            self.buffer.clear();
            self.consumed = 0;
        } else if self.consumed > CONSUMED_BYTES_MAX {
            self.buffer.drain(..self.consumed);
            self.consumed = 0;
        }
    }

    fn error(&self, reason: &'static str, line_end: usize) -> ProtocolError {
        let rest = &self.buffer[self.consumed..];
        ProtocolError { reason, bytes: rest[..line_end.clamp(0, 64).min(rest.len())].to_vec() }
    }
}

impl Kind {
    fn close(self, items: Vec<Reply>) -> Reply {
        match self {
            Kind::Array => Reply::Array(items),
            Kind::Set => Reply::Set(items),
            Kind::Push => Reply::Push(items),
            Kind::Map | Kind::Attribute => {
                let mut pairs = Vec::with_capacity(items.len() / 2);
                let mut items = items.into_iter();
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    pairs.push((key, value));
                }
                Reply::Map(pairs)
            }
        }
    }
}

/// A bulk payload and how many bytes it takes with its line end; `None` while it is incomplete.
fn bulk(kind: u8, length: &[u8], rest: &[u8]) -> Result<Option<(Reply, usize)>, &'static str> {
    let length = match number(length) {
        Some(-1) if kind == b'$' => return Ok(Some((Reply::Nil, 0))),
        Some(n) => usize::try_from(n).ok().filter(|n| *n <= BULK_BYTES_MAX).ok_or("bad bulk length")?,
        None => return Err("bad bulk length"),
    };
    if rest.len() < length + 2 {
        return Ok(None);
    }
    if &rest[length..length + 2] != b"\r\n" {
        return Err("bulk without line end");
    }
    let payload = &rest[..length];
    let value = match kind {
        b'!' => Reply::Error(ErrorReply::new(payload)),
        b'=' => Reply::Verbatim(payload.get(4..).ok_or("verbatim text without a format")?.to_vec()),
        _ => Reply::Bulk(payload.to_vec()),
    };
    Ok(Some((value, length + 2)))
}

fn aggregate(kind: u8, count: &[u8]) -> Option<Token> {
    let count = match number(count)? {
        -1 if kind == b'*' => return Some(Token::Value(Reply::Nil)),
        n => usize::try_from(n).ok().filter(|n| *n <= ELEMENTS_MAX)?,
    };
    Some(match kind {
        b'~' => Token::Open(Kind::Set, count),
        b'>' => Token::Open(Kind::Push, count),
        b'%' => Token::Open(Kind::Map, count * 2),
        b'|' => Token::Open(Kind::Attribute, count * 2),
        _ => Token::Open(Kind::Array, count),
    })
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> Result<Vec<Reply>, ProtocolError> {
        let mut decoder = Decoder::new();
        decoder.feed(bytes);
        std::iter::from_fn(|| decoder.poll().transpose()).collect()
    }

    #[test]
    fn every_type_is_read() {
        let bytes = b"+OK\r\n-ERR no\r\n:-5\r\n$3\r\na\r\n\r\n$-1\r\n*-1\r\n_\r\n#t\r\n,3.10\r\n(123456789012345678901\r\n\
            =8\r\ntxt:some\r\n!6\r\nERR a\n\r\n*2\r\n:1\r\n*0\r\n%1\r\n+k\r\n~1\r\n:2\r\n>2\r\n+message\r\n:1\r\n|1\r\n+a\r\n+b\r\n:7\r\n";
        let text = |s: &str| s.as_bytes().to_vec();
        assert_eq!(
            all(bytes).unwrap(),
            [
                Reply::Status(text("OK")),
                Reply::Error(ErrorReply::new("ERR no")),
                Reply::Integer(-5),
                Reply::Bulk(text("a\r\n")),
                Reply::Nil,
                Reply::Nil,
                Reply::Nil,
                Reply::Boolean(true),
                Reply::Double(text("3.10")),
                Reply::BigNumber(text("123456789012345678901")),
                Reply::Verbatim(text("some")),
                Reply::Error(ErrorReply::new("ERR a\n")),
                Reply::Array(vec![Reply::Integer(1), Reply::Array(vec![])]),
                Reply::Map(vec![(Reply::Status(text("k")), Reply::Set(vec![Reply::Integer(2)]))]),
                Reply::Push(vec![Reply::Status(text("message")), Reply::Integer(1)]),
                Reply::Integer(7),
            ]
        );
    }

    #[test]
    fn what_is_not_resp_is_refused() {
        for bad in [
            "?\r\n",
            "\r\n",
            "+a\n",
            ":x\r\n",
            "$-2\r\n",
            "$1\r\nabc\r\n",
            "*-2\r\n",
            "#x\r\n",
            "=2\r\nab\r\n",
            "$99999999999\r\n",
        ] {
            assert!(all(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(all("*1\r\n".repeat(DEPTH_MAX + 1).as_bytes()).is_err());
        assert!(all(&vec![b'+'; LINE_BYTES_MAX + 1]).is_err());
    }

    fn reply() -> impl Strategy<Value = Reply> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..8);
        let leaf = prop_oneof![
            "[a-z ]{0,6}".prop_map(|s| Reply::Status(s.into_bytes())),
            "[A-Z]{1,6} x".prop_map(|s| Reply::Error(ErrorReply::new(s))),
            any::<i64>().prop_map(Reply::Integer),
            bytes().prop_map(Reply::Bulk),
            bytes().prop_map(Reply::Verbatim),
            Just(Reply::Nil),
            any::<bool>().prop_map(Reply::Boolean),
        ];
        leaf.prop_recursive(3, 32, 4, |inner| {
            let items = || proptest::collection::vec(inner.clone(), 0..4);
            prop_oneof![
                items().prop_map(Reply::Array),
                items().prop_map(Reply::Set),
                proptest::collection::vec((inner.clone(), inner.clone()), 0..3).prop_map(Reply::Map),
            ]
        })
    }

    fn encode(reply: &Reply, out: &mut Vec<u8>) {
        let line = |out: &mut Vec<u8>, kind: u8, body: &[u8]| {
            out.push(kind);
            out.extend_from_slice(body);
            out.extend_from_slice(b"\r\n");
        };
        match reply {
            Reply::Status(b) => line(out, b'+', b),
            Reply::Error(e) => line(out, b'-', e.as_bytes()),
            Reply::Integer(n) => line(out, b':', n.to_string().as_bytes()),
            Reply::Nil => line(out, b'_', b""),
            Reply::Boolean(b) => line(out, b'#', if *b { b"t" } else { b"f" }),
            Reply::Double(b) => line(out, b',', b),
            Reply::BigNumber(b) => line(out, b'(', b),
            Reply::Bulk(b) => {
                line(out, b'$', b.len().to_string().as_bytes());
                out.extend_from_slice(b);
                out.extend_from_slice(b"\r\n");
            }
            Reply::Verbatim(b) => {
                line(out, b'=', (b.len() + 4).to_string().as_bytes());
                out.extend_from_slice(b"txt:");
                out.extend_from_slice(b);
                out.extend_from_slice(b"\r\n");
            }
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
                let kind = match reply {
                    Reply::Set(_) => b'~',
                    Reply::Push(_) => b'>',
                    _ => b'*',
                };
                line(out, kind, items.len().to_string().as_bytes());
                items.iter().for_each(|item| encode(item, out));
            }
            Reply::Map(pairs) => {
                line(out, b'%', pairs.len().to_string().as_bytes());
                for (key, value) in pairs {
                    encode(key, out);
                    encode(value, out);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_cut_of_the_bytes_gives_the_same_replies(replies in proptest::collection::vec(reply(), 1..4), piece in 1usize..9) {
            let mut bytes = Vec::new();
            replies.iter().for_each(|r| encode(r, &mut bytes));
            let mut decoder = Decoder::new();
            let mut seen = Vec::new();
            for part in bytes.chunks(piece) {
                decoder.feed(part);
                while let Some(reply) = decoder.poll().unwrap() {
                    seen.push(reply);
                }
            }
            prop_assert_eq!(seen, replies);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'*'), Just(b'$'), Just(b'1'), any::<u8>()], 0..200)) {
            drop(all(&bytes));
        }
    }
}
