//! Words in double or single quotes, as configuration files, the configuration part of the command line and the prompt
//! write them, and bytes made readable for logs and replies.

use crate::hex;

/// Splits a line into words. Double quotes understand `\n \r \t \b \a \xHH` and any other escaped character; single
/// quotes only `\'`. Returns `None` for unbalanced quotes or a closing quote that is not followed by a blank.
pub fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut i = 0;
    loop {
        while i < line.len() && is_blank(line[i]) {
            i += 1;
        }
        if i >= line.len() || line[i] == 0 {
            return Some(words);
        }
        let mut word = Vec::new();
        while i < line.len() && !is_blank(line[i]) && line[i] != 0 {
            match line[i] {
                b'"' => i = double_quoted(line, i + 1, &mut word)?,
                b'\'' => i = single_quoted(line, i + 1, &mut word)?,
                b => {
                    word.push(b);
                    i += 1;
                    continue;
                }
            }
            if i < line.len() && !is_blank(line[i]) && line[i] != 0 {
                return None;
            }
        }
        words.push(word);
    }
}

/// The bytes between double quotes with everything unprintable escaped, as logs and `CONFIG REWRITE` show them.
pub fn quoted(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for &b in bytes {
        match b {
            b'\\' => out.push_str("\\\\"),
            b'"' => out.push_str("\\\""),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            7 => out.push_str("\\a"),
            8 => out.push_str("\\b"),
            32..=126 => out.push(char::from(b)),
            _ => out.push_str(&format!("\\x{b:02x}")),
        }
    }
    out.push('"');
    out
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Adds to a word what stands from index `i` on, behind the opening double quote, escapes resolved; gives the index behind
/// the closing one, `None` if there is none. For lines, too, that are split into words by other rules.
pub fn double_quoted(line: &[u8], mut i: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        let (byte, used) = match *line.get(i)? {
            b'"' => return Some(i + 1),
            b'\\' => escape(line.get(i + 1..)?)?,
            b => (b, 1),
        };
        word.push(byte);
        i += used;
    }
}

/// The byte that an escape stands for, and its length with the backslash; `rest` begins after the backslash.
fn escape(rest: &[u8]) -> Option<(u8, usize)> {
    Some(match *rest.first()? {
        b'x' => match rest.get(1..3).and_then(|digits| hex::byte(digits[0], digits[1])) {
            Some(byte) => (byte, 4),
            None => (b'x', 2),
        },
        b'n' => (b'\n', 2),
        b'r' => (b'\r', 2),
        b't' => (b'\t', 2),
        b'b' => (8, 2),
        b'a' => (7, 2),
        other => (other, 2),
    })
}

/// The same for single quotes, which know `\'` alone.
pub fn single_quoted(line: &[u8], mut i: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match *line.get(i)? {
            b'\'' => return Some(i + 1),
            b'\\' if line.get(i + 1) == Some(&b'\'') => {
                word.push(b'\'');
                i += 2;
            }
            b => {
                word.push(b);
                i += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(s: &str) -> Option<Vec<String>> {
        Some(split_words(s.as_bytes())?.into_iter().map(|w| String::from_utf8_lossy(&w).into_owned()).collect())
    }

    #[test]
    fn quotes_and_escapes() {
        assert_eq!(words(" set  a \"b c\" 'd\\'e' ").unwrap(), ["set", "a", "b c", "d'e"]);
        assert_eq!(split_words(b"\"\\x41\\n\\q\"").unwrap(), [b"A\nq".to_vec()]);
        assert_eq!(words("").unwrap(), Vec::<String>::new());
        assert_eq!(words("\"\"").unwrap(), [""]);
        for bad in ["\"abc", "'abc", "\"a\"b", "'a'b", "\"a\\"] {
            assert_eq!(words(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back(bytes: Vec<u8>) {
            prop_assert_eq!(split_words(quoted(&bytes).as_bytes()), Some(vec![bytes]));
        }
    }
}
