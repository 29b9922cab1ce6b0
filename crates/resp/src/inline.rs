//! Words of an inline request. Unlike words of a configuration line, a quoted part may begin and end inside a word, and
//! only blank, tab and line ends part words (observed on 9.1.2).

use baton_base::hex;

/// Splits a line into words; none if a quote is not closed. Double quotes understand `\n \r \t \b \a \xHH`, single quotes
/// `\'`; elsewhere a backslash is a backslash.
pub(crate) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut i = 0;
    loop {
        while line.get(i).is_some_and(|&b| is_blank(b)) {
            i += 1;
        }
        if i == line.len() {
            return Some(words);
        }
        let mut word = Vec::new();
        while let Some(&b) = line.get(i).filter(|b| !is_blank(**b)) {
            i = match b {
                b'"' => double_quoted(line, i + 1, &mut word)?,
                b'\'' => single_quoted(line, i + 1, &mut word)?,
                _ => {
                    word.push(b);
                    i + 1
                }
            };
        }
        words.push(word);
    }
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// Reads up to the closing quote; gives the index after it.
fn double_quoted(line: &[u8], mut i: usize, word: &mut Vec<u8>) -> Option<usize> {
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

fn single_quoted(line: &[u8], mut i: usize, word: &mut Vec<u8>) -> Option<usize> {
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

    #[test]
    fn words_as_the_real_server_splits_them() {
        for (line, words) in [
            ("PING 'a'b", Some(vec!["PING", "ab"])),
            ("PING a\"b\"c", Some(vec!["PING", "abc"])),
            ("'PI'NG", Some(vec!["PING"])),
            ("\"\" a", Some(vec!["", "a"])),
            ("PING \"a\\x41\\n\\q\"", Some(vec!["PING", "aA\nq"])),
            ("PING \"\\xzz\"", Some(vec!["PING", "xzz"])),
            ("PING \"\\x4\"", Some(vec!["PING", "x4"])),
            ("PING 'a\\'b' 'a\\nb'", Some(vec!["PING", "a'b", "a\\nb"])),
            ("PING \\x41 a\\", Some(vec!["PING", "\\x41", "a\\"])),
            ("a\rb\tc\x0bd", Some(vec!["a", "b", "c\x0bd"])),
            ("  ", Some(vec![])),
            ("PING \"a", None),
            ("PING a'b", None),
            ("PING \"a\\", None),
        ] {
            let words = words.map(|w| w.into_iter().map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>());
            assert_eq!(split(line.as_bytes()), words, "{line:?}");
        }
    }
}
