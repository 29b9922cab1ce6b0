//! Replies as text: for people (numbered, typed, quoted) and raw. The shapes are those of upstream's client, because
//! scripts and eyes are used to them. Only makes bytes; never prints.

use crate::Reply;
use baton_base::quote::quoted;

/// For people: `1) "a"`, `(integer) 3`, `(nil)`, `(error) ERR ...`. Ends with a line end.
pub(crate) fn pretty(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    pretty_into(reply, "", &mut out);
    out
}

/// The bytes alone, elements on lines of their own. Ends with a line end.
pub(crate) fn raw(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    raw_into(reply, &mut out);
    out.push(b'\n');
    out
}

/// Text that the server has laid out itself (`INFO` and its like): shown as it is, also to people.
pub(crate) fn laid_out(reply: &Reply) -> Option<Vec<u8>> {
    let Reply::Bulk(text) = reply else { return None };
    let mut out = text.clone();
    if !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    Some(out)
}

/// Whether a command answers with text that is laid out for people.
pub(crate) fn answers_laid_out(args: &[Vec<u8>]) -> bool {
    let word = |i: usize| args.get(i).map(|w| w.to_ascii_uppercase()).unwrap_or_default();
    match word(0).as_slice() {
        b"INFO" | b"LOLWUT" => true,
        b"CLUSTER" => matches!(word(1).as_slice(), b"NODES" | b"INFO"),
        b"CLIENT" => matches!(word(1).as_slice(), b"LIST" | b"INFO"),
        b"LATENCY" => matches!(word(1).as_slice(), b"DOCTOR" | b"GRAPH"),
        b"MEMORY" => matches!(word(1).as_slice(), b"DOCTOR" | b"MALLOC-STATS"),
        b"PROXY" => word(1) == b"INFO",
        _ => false,
    }
}

fn pretty_into(reply: &Reply, prefix: &str, out: &mut Vec<u8>) {
    match reply {
        Reply::Status(text) | Reply::Verbatim(text) => line(out, "", text),
        Reply::Error(error) => line(out, "(error) ", error.as_bytes()),
        Reply::Integer(n) => line(out, "(integer) ", n.to_string().as_bytes()),
        Reply::Double(text) => line(out, "(double) ", text),
        Reply::BigNumber(text) => line(out, "(big number) ", text),
        Reply::Boolean(value) => line(out, if *value { "(true)" } else { "(false)" }, b""),
        Reply::Nil => line(out, "(nil)", b""),
        Reply::Bulk(bytes) => line(out, "", quoted(bytes).as_bytes()),
        Reply::Array(items) | Reply::Push(items) => list(items, ')', "(empty array)", prefix, out),
        Reply::Set(items) => list(items, '~', "(empty set)", prefix, out),
        Reply::Map(pairs) => {
            if pairs.is_empty() {
                line(out, "(empty hash)", b"");
            }
            numbered(pairs, '#', prefix, out, |(key, value), inner, out| {
                pretty_into(key, inner, out);
                out.pop();
                out.extend_from_slice(b" => ");
                if matches!(value, Reply::Array(v) | Reply::Set(v) | Reply::Push(v) if !v.is_empty())
                    || matches!(value, Reply::Map(v) if !v.is_empty())
                {
                    out.push(b'\n');
                    out.extend_from_slice(inner.as_bytes());
                }
                pretty_into(value, inner, out);
            });
        }
    }
}

fn list(items: &[Reply], mark: char, empty: &str, prefix: &str, out: &mut Vec<u8>) {
    if items.is_empty() {
        line(out, empty, b"");
    }
    numbered(items, mark, prefix, out, pretty_into);
}

/// Numbers the items from 1, right-aligned; all but the first get the prefix, because the first stands behind the number
/// of the list that holds it.
fn numbered<T>(items: &[T], mark: char, prefix: &str, out: &mut Vec<u8>, each: impl Fn(&T, &str, &mut Vec<u8>)) {
    let width = items.len().to_string().len();
    let inner = format!("{prefix}{}", " ".repeat(width + 2));
    for (i, item) in items.iter().enumerate() {
        let before = if i == 0 { "" } else { prefix };
        out.extend_from_slice(format!("{before}{:>width$}{mark} ", i + 1).as_bytes());
        each(item, &inner, out);
    }
}

fn line(out: &mut Vec<u8>, label: &str, text: &[u8]) {
    out.extend_from_slice(label.as_bytes());
    out.extend_from_slice(text);
    out.push(b'\n');
}

fn raw_into(reply: &Reply, out: &mut Vec<u8>) {
    match reply {
        Reply::Nil => {}
        Reply::Integer(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Reply::Boolean(value) => out.extend_from_slice(if *value { b"(true)" } else { b"(false)" }),
        Reply::Error(error) => out.extend_from_slice(error.as_bytes()),
        Reply::Status(b) | Reply::Bulk(b) | Reply::Verbatim(b) | Reply::Double(b) | Reply::BigNumber(b) => {
            out.extend_from_slice(b);
        }
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b'\n');
                }
                raw_into(item, out);
            }
        }
        Reply::Map(pairs) => {
            for (i, (key, value)) in pairs.iter().enumerate() {
                if i > 0 {
                    out.push(b'\n');
                }
                raw_into(key, out);
                out.push(b' ');
                raw_into(value, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decoder;

    fn reply(resp: &str) -> Reply {
        let mut decoder = Decoder::new();
        decoder.feed(resp.as_bytes());
        decoder.poll().unwrap().unwrap()
    }

    fn check(resp: &str, expected_pretty: &str, expected_raw: &str) {
        assert_eq!(String::from_utf8(pretty(&reply(resp))).unwrap(), expected_pretty);
        assert_eq!(String::from_utf8(raw(&reply(resp))).unwrap(), expected_raw);
    }

    #[test]
    fn scalars() {
        check("+OK\r\n", "OK\n", "OK\n");
        check("-ERR no\r\n", "(error) ERR no\n", "ERR no\n");
        check(":7\r\n", "(integer) 7\n", "7\n");
        check("$3\r\na\"\n\r\n", "\"a\\\"\\n\"\n", "a\"\n\n");
        check("$-1\r\n", "(nil)\n", "\n");
        check(",3.141\r\n", "(double) 3.141\n", "3.141\n");
        check("#t\r\n", "(true)\n", "(true)\n");
        check("=7\r\ntxt:a\nb\r\n", "a\nb\n", "a\nb\n");
    }

    #[test]
    fn lists_are_numbered_and_nested_lists_indented() {
        let mut resp = "*11\r\n".to_owned();
        resp.push_str(&":1\r\n".repeat(9));
        resp.push_str("*2\r\n:3\r\n*2\r\n$1\r\na\r\n*0\r\n-X y\r\n");
        let expected = " 1) (integer) 1
 2) (integer) 1
 3) (integer) 1
 4) (integer) 1
 5) (integer) 1
 6) (integer) 1
 7) (integer) 1
 8) (integer) 1
 9) (integer) 1
10) 1) (integer) 3
    2) 1) \"a\"
       2) (empty array)
11) (error) X y
";
        check(&resp, expected, "1\n1\n1\n1\n1\n1\n1\n1\n1\n3\na\n\nX y\n");
    }

    #[test]
    fn maps_and_sets_have_marks_of_their_own() {
        check("%2\r\n+k\r\n:1\r\n+l\r\n*0\r\n", "1# k => (integer) 1\n2# l => (empty array)\n", "k 1\nl \n");
        check(
            "%1\r\n$1\r\nm\r\n*1\r\n%1\r\n:1\r\n:2\r\n",
            "1# \"m\" => \n   1) 1# (integer) 1 => (integer) 2\n",
            "m 1 2\n",
        );
        check("~2\r\n:1\r\n:2\r\n", "1~ (integer) 1\n2~ (integer) 2\n", "1\n2\n");
        check("%0\r\n", "(empty hash)\n", "\n");
    }
}
