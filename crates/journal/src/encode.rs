//! Stream bytes: arrays of bulk strings, the only frames a replication stream consists of. Knows no offsets.

/// Anything that takes bytes in order: a unit's buffer, or the tail of the log itself.
pub(crate) trait Sink {
    /// Appends the bytes.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Frames that never change.
pub(crate) const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
pub(crate) const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// Writes one command as an array of bulk strings.
pub(crate) fn command<S: Sink, A: AsRef<[u8]>>(sink: &mut S, args: &[A]) {
    header(sink, b'*', args.len());
    for arg in args {
        let bytes = arg.as_ref();
        header(sink, b'$', bytes.len());
        sink.put(bytes);
        sink.put(b"\r\n");
    }
}

/// Writes `SELECT <db>`.
pub(crate) fn select<S: Sink>(sink: &mut S, db: u32) {
    let mut text = [0; DIGITS];
    let digits = decimal(u64::from(db), &mut text);
    command(sink, &[b"SELECT", digits]);
}

/// Writes `<kind><n>\r\n` with a single `put`.
fn header<S: Sink>(sink: &mut S, kind: u8, n: usize) {
    let mut line = [0; DIGITS + 3];
    let mut at = line.len() - 2;
    line[at] = b'\r';
    line[at + 1] = b'\n';
    let mut rest = n;
    loop {
        at -= 1;
        line[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    at -= 1;
    line[at] = kind;
    sink.put(&line[at..]);
}

/// The decimal text of `n`, written at the end of `text`.
fn decimal(n: u64, text: &mut [u8; DIGITS]) -> &[u8] {
    let mut at = text.len();
    let mut rest = n;
    loop {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return &text[at..];
        }
    }
}

/// Digits of the largest 64-bit number.
const DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of(args: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        command(&mut out, args);
        out
    }

    #[test]
    fn golden_frames() {
        assert_eq!(bytes_of(&[b"PING"]), b"*1\r\n$4\r\nPING\r\n");
        assert_eq!(bytes_of(&[b"SET", b"k", b""]), b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
        assert_eq!(bytes_of(&[b"MULTI"]), MULTI);
        assert_eq!(bytes_of(&[b"EXEC"]), EXEC);
        let mut out = Vec::new();
        select(&mut out, 15);
        assert_eq!(out, b"*2\r\n$6\r\nSELECT\r\n$2\r\n15\r\n");
    }

    proptest! {
        #[test]
        fn every_length_is_written_as_its_decimal(n: usize, db: u32) {
            let mut out = Vec::new();
            header(&mut out, b'$', n);
            prop_assert_eq!(out, format!("${n}\r\n").into_bytes());
            let mut text = [0; DIGITS];
            prop_assert_eq!(decimal(u64::from(db), &mut text).to_vec(), db.to_string().into_bytes());
        }
    }
}
