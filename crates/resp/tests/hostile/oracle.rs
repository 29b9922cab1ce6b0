//! What must hold for any bytes of a client or a peer: no panic, no more memory than the bytes themselves, and the same however
//! they are cut. A plain request is read a second time, as naively as the format reads.
//!
//! [`fuzz`] is the whole of a fuzz target: the test beside this file calls it with spoilt genuine bytes, `fuzz/` hands it to
//! libFuzzer.

use baton_resp::decode::BadReply;
use baton_resp::{Args, Limits, RequestParser, Step, decode};

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Request(Vec<Vec<u8>>),
    Fail(Vec<u8>),
}

/// All requests in these bytes, given in pieces, and the error that ends the connection if there is one.
fn requests(bytes: &[u8], step: usize, limits: &Limits) -> Vec<Seen> {
    let (mut parser, mut buf, mut seen) = (RequestParser::new(), Vec::new(), Vec::new());
    for piece in bytes.chunks(step) {
        buf.extend_from_slice(piece);
        loop {
            let mut ranges = Vec::new();
            let consumed = match parser.next(&buf, limits, &mut ranges) {
                Step::Incomplete => break,
                Step::Complete { consumed, argc } => {
                    let args = Args::new(&buf, &ranges);
                    assert_eq!(args.len(), argc);
                    seen.push(Seen::Request(args.iter().map(<[u8]>::to_vec).collect()));
                    consumed
                }
                Step::Inline { consumed, args } => {
                    seen.push(Seen::Request(args));
                    consumed
                }
                Step::Empty { consumed } => consumed,
                Step::Fail(e) => {
                    seen.push(Seen::Fail(e.text()));
                    return seen;
                }
            };
            assert!(consumed > 0 && consumed <= buf.len());
            buf.drain(..consumed);
        }
        assert!(parser.memory_bytes() <= 64 * bytes.len() + 1024, "an announced length costs nothing");
    }
    seen
}

/// The requests that these bytes begin with, as long as they are plain arrays of texts with lengths as they are written.
fn plain_requests(mut bytes: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some((words, rest)) = plain_request(bytes) {
        seen.push(Seen::Request(words));
        bytes = rest;
    }
    seen
}

fn plain_request(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, &[u8])> {
    let (count, mut rest) = announced(bytes, b'*')?;
    let mut words = Vec::new();
    for _ in 0..count {
        let (len, text) = announced(rest, b'$')?;
        let word = text.get(..len)?;
        rest = text.get(len..)?.strip_prefix(b"\r\n")?;
        words.push(word.to_vec());
    }
    (count > 0).then_some((words, rest))
}

/// The number behind this sign, and what follows its line.
fn announced(bytes: &[u8], sign: u8) -> Option<(usize, &[u8])> {
    let digits = bytes.strip_prefix(&[sign])?;
    let end = digits.iter().position(|b| *b == b'\r')?;
    let text = std::str::from_utf8(&digits[..end]).ok()?;
    let number: usize = text.parse().ok().filter(|n: &usize| n.to_string() == text && *n < 1 << 20)?;
    Some((number, digits[end..].strip_prefix(b"\r\n")?))
}

/// Takes the bytes as requests, and as a reply.
pub(crate) fn fuzz(bytes: &[u8]) {
    let step = 1 + bytes.iter().take(64).map(|b| usize::from(*b)).sum::<usize>() % 70;
    for limits in [Limits::client(512 << 20), Limits::unauthenticated(512 << 20), Limits::primary_link()] {
        let whole = requests(bytes, bytes.len().max(1), &limits);
        assert_eq!(requests(bytes, step, &limits), whole, "in pieces of {step}");
        if limits.authenticated {
            let plain = plain_requests(bytes);
            assert!(whole.len() >= plain.len() && whole[..plain.len()] == plain[..], "{whole:?} is not {plain:?}");
        }
    }
    let whole: Result<_, BadReply> = decode(bytes);
    if let Ok(Some((reply, length))) = &whole {
        assert!(*length > 0 && *length <= bytes.len());
        assert_eq!(decode(&bytes[..*length]).ok().flatten().map(|found| found.0).as_ref(), Some(reply));
        assert!(matches!(decode(&bytes[..length - 1]), Ok(None)), "a part of a reply is no reply");
    }
}
