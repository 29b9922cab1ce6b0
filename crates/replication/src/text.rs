//! Bytes of peers as text for logs and errors, and commands to peers as bytes. Never trusts length or content.

/// Longest text of a peer that is repeated in a log line or an error, in bytes.
const SHOWN_BYTES_MAX: usize = 512;

/// A peer's bytes, fit for a single line: they end at a NUL, line ends become blanks, the rest must be UTF-8 or is
/// replaced.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len()).min(SHOWN_BYTES_MAX);
    String::from_utf8_lossy(&bytes[..end]).replace(['\r', '\n'], " ")
}

/// A command to a peer as an array of bulk strings.
pub fn command(args: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_peer_stays_on_its_line() {
        assert_eq!(shown(b"a\r\nb\0c"), "a  b");
        assert_eq!(shown(&[b'x'; 10_000]).len(), SHOWN_BYTES_MAX);
        assert_eq!(shown(b"\xff"), "\u{fffd}");
    }
}
