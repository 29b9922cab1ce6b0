//! A view of Rust source that is good enough for rules about names and sizes: comments and literals blanked out, test
//! code told apart, functions measured. Not a parser; where it cannot tell, it errs towards saying nothing.

use std::ops::Range;

/// One Rust file, prepared for checks.
#[derive(Clone, Debug)]
pub struct Source {
    /// The text with every byte of comments, strings and characters replaced by a blank; same length, same lines.
    pub code: String,
    /// Byte ranges that are compiled only for tests.
    tests: Vec<Range<usize>>,
}

/// A function with a body, outside test code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`, from 1.
    pub line: usize,
    /// Lines from its `fn` to its closing brace.
    pub lines: usize,
}

impl Source {
    /// Prepares a file's text.
    pub fn new(text: &str) -> Self {
        let code = mask(text);
        let tests = test_ranges(&code);
        Source { code, tests }
    }

    /// The number of the line (from 1) that holds the byte.
    pub fn line_of(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    /// Where the words stand in code outside tests. Blanks between the parts of a path don't occur in formatted code,
    /// so `std::net` is found as written.
    pub fn find(&self, words: &str) -> Vec<usize> {
        let hits = self.code.match_indices(words).map(|(at, _)| at);
        hits.filter(|&at| is_word(&self.code, at, words.len()) && !self.in_tests(at)).collect()
    }

    /// Lines of the file that are not test code.
    pub fn lines_outside_tests(&self) -> usize {
        let inside: usize = self.tests.iter().map(|r| self.code[r.clone()].matches('\n').count() + 1).sum();
        self.code.lines().count().saturating_sub(inside)
    }

    /// The functions outside tests, in the order of the file.
    pub fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for at in self.find("fn") {
            let rest = &self.code[at + 2..];
            let name: String = rest.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if name.is_empty() {
                continue;
            }
            let Some(open) = body_start(&self.code, at) else { continue };
            let end = matching_brace(&self.code, open);
            let lines = self.code[at..end].matches('\n').count() + 1;
            found.push(Function { name, line: self.line_of(at), lines });
        }
        found
    }

    /// Names of modules that are declared here, and whether only for tests.
    pub fn modules(&self) -> Vec<(String, bool)> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("mod ").filter(|(at, _)| is_word(&self.code, *at, 3)) {
            let rest = &self.code[at + 4..];
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !name.is_empty() && rest[name.len()..].trim_start().starts_with(';') {
                found.push((name, self.in_tests(at)));
            }
        }
        found
    }

    fn in_tests(&self, at: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&at))
    }
}

/// Whether the words at `at` are not part of longer ones.
pub fn is_word(text: &str, at: usize, len: usize) -> bool {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    !inside(text[..at].chars().next_back()) && !inside(text[at + len..].chars().next())
}

/// Blanks out comments and literals.
fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut i = 0;
    while i < bytes.len() {
        let end = literal_end(bytes, i);
        match end {
            Some(end) => {
                for b in &mut out[i..end] {
                    if *b != b'\n' {
                        *b = b' ';
                    }
                }
                i = end;
            }
            None => i += 1,
        }
    }
    // Only whole characters were blanked, so this cannot fail; a lossy copy would still have the same lines.
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// The end of the comment or literal that starts at `i`, if one does.
fn literal_end(b: &[u8], i: usize) -> Option<usize> {
    let until = |from: usize, stop: &[u8]| {
        b[from..].windows(stop.len()).position(|w| w == stop).map_or(b.len(), |at| from + at + stop.len())
    };
    match b[i] {
        b'/' if b.get(i + 1) == Some(&b'/') => Some(until(i, b"\n").saturating_sub(1).max(i + 2)),
        b'/' if b.get(i + 1) == Some(&b'*') => Some(block_comment_end(b, i)),
        b'"' => Some(string_end(b, i + 1)),
        b'r' if !follows_word(b, i) => raw_string_end(b, i),
        b'\'' => char_end(b, i),
        _ => None,
    }
}

fn follows_word(b: &[u8], i: usize) -> bool {
    // A `b` or `c` before `r` belongs to the literal's prefix.
    let before = if i > 0 && matches!(b[i - 1], b'b' | b'c') { i - 1 } else { i };
    before > 0 && (b[before - 1].is_ascii_alphanumeric() || b[before - 1] == b'_')
}

fn block_comment_end(b: &[u8], mut i: usize) -> usize {
    let mut depth = 0;
    while i < b.len() {
        match (b[i], b.get(i + 1)) {
            (b'/', Some(b'*')) => (depth, i) = (depth + 1, i + 2),
            (b'*', Some(b'/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i.min(b.len())
}

fn string_end(b: &[u8], mut i: usize) -> usize {
    while i < b.len() {
        match b[i] {
            b'\\' => i += 2,
            b'"' => return i + 1,
            _ => i += 1,
        }
    }
    b.len()
}

fn raw_string_end(b: &[u8], i: usize) -> Option<usize> {
    let hashes = b[i + 1..].iter().take_while(|c| **c == b'#').count();
    if b.get(i + 1 + hashes) != Some(&b'"') {
        return None;
    }
    let mut stop = vec![b'"'];
    stop.resize(1 + hashes, b'#');
    let from = i + 2 + hashes;
    Some(b[from..].windows(stop.len()).position(|w| w == stop).map_or(b.len(), |at| from + at + stop.len()))
}

/// A character literal, as against a lifetime.
fn char_end(b: &[u8], i: usize) -> Option<usize> {
    match b.get(i + 1)? {
        b'\\' => b[i + 3..].iter().position(|c| *c == b'\'').map(|at| i + 3 + at + 1),
        b'\'' => None,
        _ => {
            let len = std::str::from_utf8(&b[i + 1..b.len().min(i + 5)]).map_or_else(|e| e.valid_up_to(), str::len);
            let first = std::str::from_utf8(&b[i + 1..i + 1 + len]).ok()?.chars().next()?.len_utf8();
            (b.get(i + 1 + first) == Some(&b'\'')).then_some(i + 2 + first)
        }
    }
}

/// Ranges from a `#[cfg(test)]` (or `#[test]`-only module) to the end of the item that it belongs to.
fn test_ranges(code: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for marker in ["#[cfg(test)]", "#[cfg(all(test", "#[cfg(any(test"] {
        for (at, _) in code.match_indices(marker) {
            if found.iter().any(|r| r.contains(&at)) {
                continue;
            }
            let item = at + code[at..].find(']').map_or(0, |i| i + 1);
            let semicolon = code[item..].find(';').map_or(code.len(), |i| item + i + 1);
            let end = match code[item..].find('{').map(|i| item + i) {
                Some(brace) if brace < semicolon => matching_brace(code, brace),
                _ => semicolon,
            };
            found.push(at..end);
        }
    }
    found
}

/// The opening brace of the body of the function whose `fn` stands at `at`, or `None` if it has no body.
fn body_start(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0;
    for (i, b) in code.bytes().enumerate().skip(at) {
        match b {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b';' if depth == 0 => return None,
            b'{' if depth == 0 => return Some(i),
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    None
}

/// The end (exclusive) of the block that opens at `open`.
fn matching_brace(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (i, b) in code.bytes().enumerate().skip(open) {
        match b {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank() {
        let text = r####"let a = "Instant"; // Instant
let b = r#"Inst"ant"#; /* Instant /* nested */ Instant */ let c = '"'; let d: &'a str = b"x\"Instant";
let e = '\''; let f = br"Instant"; let r = for_r"#; Instant
"####;
        let source = Source::new(text);
        assert_eq!(source.code.len(), text.len());
        assert_eq!(source.find("Instant").len(), 0, "{}", source.code);
        assert!(Source::new("use std::time::Instant; // x\n").find("Instant").len() == 1);
        assert_eq!(Source::new("InstantLike my_Instant").find("Instant"), []);
        assert_eq!(Source::new("'é' Instant").find("Instant").len(), 1);
    }

    #[test]
    fn functions_are_measured_and_tests_left_out() {
        let text = "\
fn short() {}
trait T {
    fn declared(&self) -> [u8; 4];
    fn long(
        a: impl Fn(u8) -> u8,
    ) -> u8
    where
        u8: Copy,
    {
        if true { \"}\" } else { '{' }
    }
}
type P = fn(u8) -> u8;
#[cfg(test)]
mod tests {
    fn hidden() {
    }
}
";
        let source = Source::new(text);
        let found: Vec<(String, usize, usize)> =
            source.functions().into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(found, [("short".to_owned(), 1, 1), ("long".to_owned(), 4, 8)]);
        assert_eq!(source.lines_outside_tests(), 13);
    }

    #[test]
    fn modules_know_whether_they_are_for_tests() {
        let source = Source::new("mod a;\npub(crate) mod b;\n#[cfg(test)]\nmod c;\nmod inline { }\n");
        assert_eq!(source.modules(), [("a".to_owned(), false), ("b".to_owned(), false), ("c".to_owned(), true)]);
    }
}
