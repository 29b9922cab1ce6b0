//! DEBUG PROTOCOL: one value of each type of RESP, in the form of the client's version.

use baton_resp::{Out, Proto};

use crate::node::Refusal;

#[expect(clippy::approx_constant, reason = "the number that suites wait for, which only resembles a constant")]
const DOUBLE: f64 = 3.141;

/// PROTOCOL type.
pub(super) fn reply(out: &mut Out, kind: &[u8]) -> Result<(), Refusal> {
    match kind.to_ascii_lowercase().as_slice() {
        b"string" => out.bulk(b"Hello World"),
        b"integer" => out.int(12345),
        b"double" => out.double(DOUBLE),
        b"bignum" => out.big_number("1234567999999999999999999999999999999"),
        b"null" => out.null(),
        b"array" => {
            out.array(3);
            (0..3).for_each(|n| out.int(n));
        }
        b"set" => {
            out.set(3);
            (0..3).for_each(|n| out.int(n));
        }
        b"map" => {
            out.map(3);
            for n in 0..3 {
                out.int(n);
                out.bool(n == 1);
            }
        }
        b"attrib" => attribute(out),
        b"push" if out.proto == Proto::V2 => return Err("ERR RESP2 is not supported by this command".into()),
        b"push" => {
            out.bulk(b"Some real reply following the push reply");
            out.push(2);
            out.bulk(b"server-cpu-usage");
            out.int(42);
        }
        b"verbatim" => out.verbatim(b"txt", b"This is a verbatim\nstring"),
        b"true" => out.bool(true),
        b"false" => out.bool(false),
        _ => {
            return Err("ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
                .into());
        }
    }
    Ok(())
}

/// An attribute before a reply; RESP2 has none.
fn attribute(out: &mut Out) {
    if out.proto != Proto::V2 {
        out.raw(b"|1\r\n");
        out.bulk(b"key-popularity");
        out.array(2);
        out.bulk(b"key:123");
        out.int(90);
    }
    out.bulk(b"Some real reply following the attribute");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Valkey 9.1.2 answered.
    #[test]
    fn types_have_upstreams_form() {
        let shown = |kind: &str, proto| {
            let mut out = Out::new(proto);
            let refused = reply(&mut out, kind.as_bytes()).err();
            refused.map_or_else(|| String::from_utf8(out.buf).unwrap(), |r| r.0.into_owned())
        };
        let table = [
            (
                "bignum",
                "$37\r\n1234567999999999999999999999999999999\r\n",
                "(1234567999999999999999999999999999999\r\n",
            ),
            ("double", "$5\r\n3.141\r\n", ",3.141\r\n"),
            ("null", "$-1\r\n", "_\r\n"),
            ("set", "*3\r\n:0\r\n:1\r\n:2\r\n", "~3\r\n:0\r\n:1\r\n:2\r\n"),
            ("map", "*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n", "%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n"),
            (
                "attrib",
                "$39\r\nSome real reply following the attribute\r\n",
                "|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n$39\r\nSome real reply following the attribute\r\n",
            ),
            (
                "push",
                "ERR RESP2 is not supported by this command",
                "$40\r\nSome real reply following the push reply\r\n>2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n",
            ),
            ("verbatim", "$25\r\nThis is a verbatim\nstring\r\n", "=29\r\ntxt:This is a verbatim\nstring\r\n"),
            ("false", ":0\r\n", "#f\r\n"),
        ];
        for (kind, v2, v3) in table {
            assert_eq!((shown(kind, Proto::V2), shown(kind, Proto::V3)), (v2.to_owned(), v3.to_owned()), "{kind}");
        }
        assert!(shown("smell", Proto::V3).starts_with("ERR Wrong protocol type name."));
    }
}
