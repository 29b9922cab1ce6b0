//! The reply writer: appends RESP2 or RESP3 to a buffer that the event loop sends. It never fails and never looks back.

/// Protocol version of a client, chosen by HELLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proto {
    /// RESP2, the default.
    #[default]
    V2,
    /// RESP3.
    V3,
}

impl Proto {
    /// Its number, as HELLO takes and replies it.
    pub fn number(self) -> i64 {
        match self {
            Proto::V2 => 2,
            Proto::V3 => 3,
        }
    }
}

/// Replies of one client, in order. Types that RESP2 does not have are written as what stands for them there.
#[derive(Debug, Default)]
pub struct Out {
    /// Bytes to be sent.
    pub buf: Vec<u8>,
    /// The client's protocol version.
    pub proto: Proto,
}

impl Out {
    /// An empty writer.
    pub fn new(proto: Proto) -> Out {
        Out { buf: Vec::new(), proto }
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// A status. The text has no line end in it.
    pub fn simple(&mut self, text: &str) {
        debug_assert!(!text.contains(['\r', '\n']), "a status is one line");
        self.line(b'+', text.as_bytes());
    }

    /// An error: its code and text without the leading `-`. Line ends are replaced by blanks.
    pub fn error(&mut self, text: &str) {
        self.error_bytes(text.as_bytes());
    }

    /// An error whose text repeats bytes of the client. Line ends are replaced by blanks.
    pub fn error_bytes(&mut self, text: &[u8]) {
        let start = self.buf.len();
        self.line(b'-', text);
        let end = self.buf.len() - 2;
        for b in &mut self.buf[start..end] {
            if matches!(b, b'\r' | b'\n') {
                *b = b' ';
            }
        }
    }

    /// An integer.
    #[inline]
    pub fn int(&mut self, n: i64) {
        if let 0..=9 = n {
            return self.raw(&[b':', b'0' + n as u8, b'\r', b'\n']);
        }
        self.line(b':', itoa::Buffer::new().format(n).as_bytes());
    }

    /// A byte string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        if bytes.len() <= SHORT_BYTES {
            return self.short_bulk(bytes);
        }
        self.buf.reserve(bytes.len() + HEADER_BYTES_MAX + 2);
        self.header(b'$', bytes.len());
        self.buf.extend_from_slice(bytes);
        self.buf.extend_from_slice(b"\r\n");
    }

    /// Most texts are short. Room of a fixed size is made for head, text and line end, and what is too much of it cut off
    /// again: that takes half the time of three pieces whose sizes are known only now.
    #[inline]
    fn short_bulk(&mut self, text: &[u8]) {
        let (start, len) = (self.buf.len(), text.len());
        self.buf.extend_from_slice(&[0; SHORT_BYTES + 8]);
        let piece = &mut self.buf[start..];
        let head = if len < 10 {
            piece[..4].copy_from_slice(&[b'$', b'0' + len as u8, b'\r', b'\n']);
            4
        } else {
            piece[..5].copy_from_slice(&[b'$', b'1', b'0' + (len - 10) as u8, b'\r', b'\n']);
            5
        };
        copy_short(&mut piece[head..], text);
        piece[head + len..head + len + 2].copy_from_slice(b"\r\n");
        self.buf.truncate(start + head + len + 2);
    }

    /// The head of a byte string of `n` bytes, which follow with a line end behind them.
    pub fn bulk_head(&mut self, n: usize) {
        self.header(b'$', n);
    }

    /// An integer as a byte string.
    #[inline]
    pub fn bulk_int(&mut self, n: i64) {
        self.bulk(itoa::Buffer::new().format(n).as_bytes());
    }

    /// No value.
    #[inline]
    pub fn null(&mut self) {
        match self.proto {
            Proto::V2 => self.raw(b"$-1\r\n"),
            Proto::V3 => self.raw(b"_\r\n"),
        }
    }

    /// No array.
    pub fn null_array(&mut self) {
        match self.proto {
            Proto::V2 => self.raw(b"*-1\r\n"),
            Proto::V3 => self.raw(b"_\r\n"),
        }
    }

    /// The head of an array of `n` replies, which follow.
    #[inline]
    pub fn array(&mut self, n: usize) {
        self.header(b'*', n);
    }

    /// The head of a map of `n` pairs of replies, which follow; RESP2 gets a flat array.
    pub fn map(&mut self, n: usize) {
        match self.proto {
            Proto::V2 => self.header(b'*', 2 * n),
            Proto::V3 => self.header(b'%', n),
        }
    }

    /// The head of a set of `n` replies, which follow; RESP2 gets an array.
    pub fn set(&mut self, n: usize) {
        self.header(if self.proto == Proto::V2 { b'*' } else { b'~' }, n);
    }

    /// The head of a push message of `n` replies, which follow; RESP2 gets an array.
    pub fn push(&mut self, n: usize) {
        self.header(if self.proto == Proto::V2 { b'*' } else { b'>' }, n);
    }

    /// A truth value; RESP2 gets 1 or 0.
    pub fn bool(&mut self, b: bool) {
        match self.proto {
            Proto::V2 => self.int(i64::from(b)),
            Proto::V3 => self.raw(if b { b"#t\r\n" } else { b"#f\r\n" }),
        }
    }

    /// A floating-point number in its shortest text; RESP2 gets a byte string.
    pub fn double(&mut self, value: f64) {
        let mut text = Vec::with_capacity(24);
        baton_base::double::push_double(&mut text, value);
        match self.proto {
            Proto::V2 => self.bulk(&text),
            Proto::V3 => self.line(b',', &text),
        }
    }

    /// Text with a three-letter format (`txt`, `mkd`); RESP2 gets a byte string.
    pub fn verbatim(&mut self, format: &[u8; 3], text: &[u8]) {
        match self.proto {
            Proto::V2 => self.bulk(text),
            Proto::V3 => {
                self.buf.reserve(text.len() + HEADER_BYTES_MAX + 6);
                self.header(b'=', text.len() + 4);
                self.buf.extend_from_slice(format);
                self.buf.push(b':');
                self.buf.extend_from_slice(text);
                self.buf.extend_from_slice(b"\r\n");
            }
        }
    }

    /// An integer of any size, given as its decimal text; RESP2 gets a byte string.
    pub fn big_number(&mut self, digits: &str) {
        match self.proto {
            Proto::V2 => self.bulk(digits.as_bytes()),
            Proto::V3 => self.line(b'(', digits.as_bytes()),
        }
    }

    /// Bytes that are a reply already.
    #[inline]
    pub fn raw(&mut self, reply: &[u8]) {
        self.buf.extend_from_slice(reply);
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.buf.reserve(text.len() + 3);
        self.buf.push(kind);
        self.buf.extend_from_slice(text);
        self.buf.extend_from_slice(b"\r\n");
    }

    /// Writes `<kind><n>` and a line end in one piece.
    #[inline]
    fn header(&mut self, kind: u8, n: usize) {
        if n < 10 {
            return self.raw(&[kind, b'0' + n as u8, b'\r', b'\n']);
        }
        if n < 100 {
            return self.raw(&[kind, b'0' + (n / 10) as u8, b'0' + (n % 10) as u8, b'\r', b'\n']);
        }
        self.line(kind, itoa::Buffer::new().format(n).as_bytes());
    }
}

/// Bytes of texts that are written in one piece with what stands around them.
const SHORT_BYTES: usize = 16;

/// Copies a text of [`SHORT_BYTES`] at most by copies of fixed sizes, which overlap.
#[inline]
fn copy_short(to: &mut [u8], text: &[u8]) {
    match text.len() {
        0 => {}
        len @ 1..4 => [0, len / 2, len - 1].into_iter().for_each(|at| to[at] = text[at]),
        len @ 4..8 => [0, len - 4].into_iter().for_each(|at| to[at..at + 4].copy_from_slice(&text[at..at + 4])),
        len => [0, len - 8].into_iter().for_each(|at| to[at..at + 8].copy_from_slice(&text[at..at + 8])),
    }
}

/// Bytes of the longest header: kind, 20 digits, line end.
const HEADER_BYTES_MAX: usize = 23;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl Fn(&mut Out), v2: &str, v3: &str) {
        for (proto, expected) in [(Proto::V2, v2), (Proto::V3, v3)] {
            let mut out = Out::new(proto);
            write(&mut out);
            assert_eq!(String::from_utf8_lossy(&out.buf), expected);
        }
    }

    #[test]
    fn replies_in_both_protocols() {
        let same = |write: fn(&mut Out), text: &str| check(write, text, text);
        same(|o| o.ok(), "+OK\r\n");
        same(|o| o.simple("QUEUED"), "+QUEUED\r\n");
        same(|o| o.error("ERR a\r\nb"), "-ERR a  b\r\n");
        same(|o| o.int(7), ":7\r\n");
        same(|o| o.int(-7), ":-7\r\n");
        same(|o| o.int(i64::MIN), ":-9223372036854775808\r\n");
        same(|o| o.bulk(b""), "$0\r\n\r\n");
        same(|o| o.bulk(&[b'x'; 12]), "$12\r\nxxxxxxxxxxxx\r\n");
        for len in 0..40 {
            let text: String = ('a'..='z').chain('A'..='Z').take(len).collect();
            check(|o| o.bulk(text.as_bytes()), &format!("${len}\r\n{text}\r\n"), &format!("${len}\r\n{text}\r\n"));
        }
        same(|o| o.bulk_int(100), "$3\r\n100\r\n");
        same(|o| o.array(0), "*0\r\n");
        same(|o| o.array(123), "*123\r\n");
        check(|o| o.null(), "$-1\r\n", "_\r\n");
        check(|o| o.null_array(), "*-1\r\n", "_\r\n");
        check(|o| o.map(2), "*4\r\n", "%2\r\n");
        check(|o| o.set(2), "*2\r\n", "~2\r\n");
        check(|o| o.push(3), "*3\r\n", ">3\r\n");
        check(|o| o.bool(true), ":1\r\n", "#t\r\n");
        check(|o| o.bool(false), ":0\r\n", "#f\r\n");
        check(|o| o.double(0.5), "$3\r\n0.5\r\n", ",0.5\r\n");
        check(|o| o.verbatim(b"txt", b"hi"), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n");
        check(|o| o.big_number("123"), "$3\r\n123\r\n", "(123\r\n");
    }
}
