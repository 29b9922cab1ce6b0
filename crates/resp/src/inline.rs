//! Words of an inline request. Unlike words of a configuration line, a quoted part may begin and end inside a word, and
//! only blank, tab and line ends part words (observed on 9.1.2).

use baton_base::quote::{double_quoted, single_quoted};

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
