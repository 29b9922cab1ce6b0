//! Tests of the request parser: recorded errors, limits, and requests cut into pieces.

use super::*;
use proptest::prelude::*;

const LIMITS: Limits = Limits::client(512 << 20);

#[derive(Debug, PartialEq, Eq, Clone)]
enum Seen {
    Request(Vec<Vec<u8>>),
    Fail(String),
}

/// Feeds the pieces one after another; gives all requests, and the error that ended the connection if one did.
fn feed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: &Limits) -> Vec<Seen> {
    let (mut parser, mut buf, mut seen) = (RequestParser::new(), Vec::new(), Vec::new());
    for piece in pieces {
        buf.extend_from_slice(piece);
        loop {
            let mut ranges = Vec::new();
            let consumed = match parser.next(&buf, limits, &mut ranges) {
                Step::Incomplete => {
                    assert!(ranges.is_empty(), "ranges come with the whole request");
                    break;
                }
                Step::Complete { consumed, argc } => {
                    let args = crate::Args::new(&buf, &ranges);
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
                    seen.push(Seen::Fail(String::from_utf8_lossy(&e.text()).into_owned()));
                    return seen;
                }
            };
            assert!(consumed > 0);
            buf.drain(..consumed);
        }
    }
    seen
}

fn check_with(limits: &Limits, bytes: &[u8], expected: &[&str]) {
    let text = |s: &Seen| match s {
        Seen::Request(args) => args.iter().map(|a| String::from_utf8_lossy(a)).collect::<Vec<_>>().join("|"),
        Seen::Fail(e) => format!("!{}", e.strip_prefix("ERR Protocol error: ").expect("all texts begin so")),
    };
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]);
    let whole = feed([bytes], limits);
    assert_eq!(whole.iter().map(text).collect::<Vec<_>>(), expected, "{shown:?}");
    if bytes.len() < 200 {
        assert_eq!(feed(bytes.chunks(1), limits), whole, "byte by byte: {shown:?}");
    }
}

fn check(bytes: &[u8], expected: &[&str]) {
    check_with(&LIMITS, bytes, expected);
}

#[test]
fn whole_requests() {
    check(b"*2\r\n$3\r\nGET\r\n$3\r\nfoo\r\n*1\r\n$4\r\nPING\r\n", &["GET|foo", "PING"]);
    check(b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\n\r\n\r\n\r\n", &["SET||\r\n\r\n"]);
    check(b"*-1\r\n*0\r\n*-5\r\n*-2147483649\r\n\r\n  \r\nPING\n", &["PING"]);
    check(b"SET a 'b c'\r\n\"PING\"\n\"\"\r\n", &["SET|a|b c", "PING", ""]);
    check(b"$4\r\nPING\rx\r\n", &["$4", "PING|x"]);
}

#[test]
fn errors_as_the_real_server_words_them() {
    for (bytes, error) in [
        (&b"*a\r\n"[..], "!invalid multibulk length"),
        (b"*2147483648\r\n", "!invalid multibulk length"),
        (b"*4294967297\r\n$4\r\nPING\r\n", "!invalid multibulk length"),
        (b"*-9999999999999999999\r\n", "!invalid multibulk length"),
        (b"* 1\r\n", "!invalid multibulk length"),
        (b"*+1\r\n", "!invalid multibulk length"),
        (b"*01\r\n", "!invalid multibulk length"),
        (b"*-0\r\n", "!invalid multibulk length"),
        (b"*\r\n", "!invalid multibulk length"),
        (b"*1\n$4\r\n", "!invalid multibulk length"),
        (b"*1\r\nPING\r\n", "!expected '$', got 'P'"),
        (b"*1\r\n\xff\r\n", "!expected '$', got '\u{fffd}'"),
        (b"*1\r\n$a\r\n", "!invalid bulk length"),
        (b"*1\r\n$\r\n", "!invalid bulk length"),
        (b"*1\r\n$-1\r\n", "!invalid bulk length"),
        (b"*1\r\n$04\r\n", "!invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "!invalid bulk length"),
        (b"*1\r\n$18446744073709551616\r\n", "!invalid bulk length"),
        (b"*1\r\n$4\nPING\r\n", "!invalid bulk length"),
        (b"*1\r\n$4\r\nPINGxxPING\r\n", "!invalid CRLF in request"),
        (b"*1\r\n$4\r\r\nPING\r\n", "!invalid CRLF in request"),
        (b"*a\rX", "!invalid CRLF in request"),
        (b"*1\r\n$a\rX", "!invalid CRLF in request"),
        (b"PING \"a\r\n", "!unbalanced quotes in request"),
        (b"PING a'b\r\n", "!unbalanced quotes in request"),
    ] {
        check(bytes, &[error]);
    }
}

#[test]
fn what_waits_for_more() {
    for bytes in [&b"*1\r"[..], b"*1\r\nX", b"*1\r\n$1\r\naX", b"*1\r\n$1\r\na\r", b"*a\r", b"*2147483647\r\n", b"PING"]
    {
        check(bytes, &[]);
    }
    check(b"PING\0x\r\nPING\r\n", &[]);
}

#[test]
fn lines_without_an_end() {
    let long = |head: &str, n: usize| [head.as_bytes(), &vec![b'1'; n]].concat();
    check(&long("", INLINE_BYTES_MAX), &[]);
    check(&long("", INLINE_BYTES_MAX + 1), &["!too big inline request"]);
    check(&long("*", INLINE_BYTES_MAX - 1), &[]);
    check(&long("*", INLINE_BYTES_MAX), &["!too big mbulk count string"]);
    check(&long("*1\r\n$", INLINE_BYTES_MAX - 1), &[]);
    check(&long("*1\r\n$", INLINE_BYTES_MAX), &["!too big bulk count string"]);
}

#[test]
fn limits_of_a_client_that_must_authenticate() {
    let limits = Limits::unauthenticated(512 << 20);
    check_with(&limits, b"*11\r\n", &["!unauthenticated multibulk length"]);
    check_with(&limits, b"*10\r\n", &[]);
    check_with(&limits, b"*1\r\n$16385\r\n", &["!unauthenticated bulk length"]);
    check_with(&limits, b"*1\r\n$16384\r\n", &[]);
    check_with(&limits, b"*1\r\n$536870913\r\n", &["!invalid bulk length"]);
}

#[test]
fn a_request_longer_than_its_ranges_can_say_is_refused() {
    check_with(&Limits::primary_link(), b"*1\r\n$4294967295\r\n", &["!too big request"]);
    check_with(&Limits::primary_link(), b"*1\r\n$9223372036854775807\r\n", &["!too big request"]);
}

#[test]
fn the_wanted_length_is_known_once_the_argument_began() {
    let mut parser = RequestParser::new();
    let head = b"*2\r\n$3\r\nGET\r\n$1000\r\nab";
    assert_eq!(parser.bytes_wanted(), 0);
    assert_eq!(parser.next(head, &LIMITS, &mut Vec::new()), Step::Incomplete);
    assert_eq!(parser.bytes_wanted(), head.len() - 2 + 1000 + 2);
}

/// Bytes that reach deep into the grammar: fragments of requests, now and then with a wrong byte among them.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::collection::vec(any::<u8>(), 0..12);
    let request = prop::collection::vec(word, 0..5).prop_map(|words| {
        let mut out = format!("*{}\r\n", words.len()).into_bytes();
        for w in words {
            out.extend(format!("${}\r\n", w.len()).into_bytes());
            out.extend(w);
            out.extend(b"\r\n");
        }
        out
    });
    let odd =
        prop::sample::select(vec!["*1\r\n", "$3\r\n", "PING a 'b'\r\n", "\r\n", "\"", "\n", "*x", "$-1\r\n", "\0"]);
    let part = prop_oneof![8 => request, 2 => odd.prop_map(|s| s.as_bytes().to_vec()), 1 => any::<Vec<u8>>()];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn cutting_into_pieces_changes_nothing(bytes in fragments(), cuts in prop::collection::vec(1usize..9, 1..40)) {
        let mut pieces = Vec::new();
        let (mut rest, mut sizes) = (&bytes[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(*sizes.next().expect("cycles")));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(feed(pieces, &LIMITS), feed([&bytes[..]], &LIMITS));
    }

    #[test]
    fn what_was_encoded_reads_back(words in prop::collection::vec(any::<Vec<u8>>(), 1..6)) {
        let mut out = crate::Out::new(crate::Proto::V2);
        out.array(words.len());
        for w in &words {
            out.bulk(w);
        }
        prop_assert_eq!(feed([&out.buf[..]], &LIMITS), [Seen::Request(words)]);
    }
}
