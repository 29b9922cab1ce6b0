//! Glob patterns as KEYS, SCAN, PSUBSCRIBE and CONFIG GET understand them: `*`, `?`, `[abc]`, `[^a]`, `[a-z]` and `\`
//! to escape. Matching backtracks only to the latest `*`, so the worst case is the product of the lengths. A pattern that
//! uses more than [`STARS_MAX`] stars matches nothing, as with the original.

/// Most stars (or runs of them) that a match may use.
pub const STARS_MAX: usize = 1000;

/// Whether the text matches the pattern. ASCII case is ignored when `nocase`.
pub fn matches(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to resume when a later part fails: the pattern index after the latest star, and the text index it covers to.
    let mut star: Option<(usize, usize)> = None;
    let mut stars = 0;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            while pattern.get(p) == Some(&b'*') {
                p += 1;
            }
            stars += 1;
            if stars > STARS_MAX {
                return false;
            }
            if p == pattern.len() {
                return true;
            }
            star = Some((p, t));
            continue;
        }
        if let Some(next) = one(pattern, p, text[t], nocase) {
            p = next;
            t += 1;
        } else if let Some((after, covered)) = star {
            p = after;
            t = covered + 1;
            star = Some((after, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

/// Matches a single byte against the element at `p`; gives the index of the next element on success.
fn one(pattern: &[u8], p: usize, byte: u8, nocase: bool) -> Option<usize> {
    let eq = |a: u8, b: u8| if nocase { a.eq_ignore_ascii_case(&b) } else { a == b };
    match *pattern.get(p)? {
        b'?' => Some(p + 1),
        b'[' => {
            let (hit, next) = class(pattern, p + 1, byte, nocase);
            hit.then_some(next)
        }
        b'\\' if p + 1 < pattern.len() => eq(pattern[p + 1], byte).then_some(p + 2),
        c => eq(c, byte).then_some(p + 1),
    }
}

/// Evaluates a `[...]` class that starts at `p`. A class without its closing bracket ends with the pattern.
fn class(pattern: &[u8], mut p: usize, byte: u8, nocase: bool) -> (bool, usize) {
    let fold = |b: u8| if nocase { b.to_ascii_lowercase() } else { b };
    let negated = pattern.get(p) == Some(&b'^');
    if negated {
        p += 1;
    }
    let mut hit = false;
    while let Some(&c) = pattern.get(p) {
        match c {
            b']' => return (hit != negated, p + 1),
            b'\\' if p + 1 < pattern.len() => {
                hit |= fold(pattern[p + 1]) == fold(byte);
                p += 2;
            }
            _ if p + 2 < pattern.len() && pattern[p + 1] == b'-' => {
                let (a, b) = (fold(c), fold(pattern[p + 2]));
                hit |= (a.min(b)..=a.max(b)).contains(&fold(byte));
                p += 3;
            }
            _ => {
                hit |= fold(c) == fold(byte);
                p += 1;
            }
        }
    }
    (hit != negated, p)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn m(p: &str, t: &str) -> bool {
        matches(p.as_bytes(), t.as_bytes(), false)
    }

    #[test]
    fn patterns() {
        for (p, t) in [
            ("*", ""),
            ("h?llo", "hello"),
            ("h*llo", "heeello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-b]llo", "hbllo"),
            ("\\*", "*"),
            ("*a*b", "xaxb"),
            ("[z-a]", "m"),
            ("a\\", "a\\"),
            ("**x", "x"),
        ] {
            assert!(m(p, t), "{p} {t}");
        }
        for (p, t) in [("", "a"), ("h?llo", "hllo"), ("h[^e]llo", "hello"), ("\\*", "a"), ("a*b", "a"), ("[]x", "x")] {
            assert!(!m(p, t), "{p} {t}");
        }
        assert!(matches(b"FOO*", b"foobar", true));
        assert!(!matches(b"FOO*", b"foobar", false));
    }

    #[test]
    fn too_many_stars_match_nothing() {
        let text = "a".repeat(STARS_MAX + 1);
        assert!(m(&"*?".repeat(STARS_MAX), &text[..STARS_MAX]));
        assert!(!m(&"*?".repeat(STARS_MAX + 1), &text));
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!m(&pattern, &"a".repeat(5000)));
    }
}
