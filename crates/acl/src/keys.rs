//! Which keys a selector allows, by patterns, each for reading, writing or both. Never looks at what is stored.

use baton_base::glob;
use baton_commands::KeyFlags;

use crate::rule_error::RuleError;

/// What may be done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Its data may be read.
    pub read: bool,
    /// Its data may be written.
    pub write: bool,
}

impl Access {
    /// Reading and writing.
    pub const BOTH: Access = Access { read: true, write: true };

    /// What a command needs for a key. One that only asks whether there is a key, or of which type, needs neither.
    pub fn of(flags: KeyFlags) -> Access {
        let writes = KeyFlags::INSERT.union(KeyFlags::DELETE).union(KeyFlags::UPDATE);
        Access { read: flags.contains(KeyFlags::ACCESS), write: flags.intersects(writes) }
    }

    fn covers(self, needed: Access) -> bool {
        (self.read || !needed.read) && (self.write || !needed.write)
    }
}

/// The keys that a selector allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPatterns {
    is_all: bool,
    patterns: Vec<(Access, Box<[u8]>)>,
}

impl KeyPatterns {
    /// All keys.
    pub fn all() -> KeyPatterns {
        KeyPatterns { is_all: true, patterns: Vec::new() }
    }

    /// Whether every key may be read and written.
    #[inline]
    pub fn is_all(&self) -> bool {
        self.is_all
    }

    /// Whether this may be done to a key.
    pub fn allows(&self, key: &[u8], needed: Access) -> bool {
        let fits =
            |(access, pattern): &(Access, Box<[u8]>)| access.covers(needed) && glob::matches(pattern, key, false);
        self.is_all || self.patterns.iter().any(fits)
    }

    /// Whether this may be done to every key: by a pattern that is nothing but a star.
    pub fn allows_every(&self, needed: Access) -> bool {
        self.is_all || self.patterns.iter().any(|(access, pattern)| access.covers(needed) && **pattern == *b"*")
    }

    /// `~pattern` or `%RW~pattern`.
    pub fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        if self.is_all {
            return Err(RuleError::KeyAfterAll);
        }
        let (access, pattern) = match rule.strip_prefix(b"%") {
            None => (Access::BOTH, &rule[1..]),
            Some(rest) => with_access(rest)?,
        };
        if has_blanks(pattern) {
            return Err(RuleError::Syntax);
        }
        match self.patterns.iter_mut().find(|(_, known)| **known == *pattern) {
            Some((known, _)) => {
                *known = Access { read: known.read || access.read, write: known.write || access.write };
            }
            None => self.patterns.push((access, pattern.into())),
        }
        Ok(())
    }

    /// The rules that make the same patterns again, with blanks between them.
    pub fn describe(&self, out: &mut Vec<u8>) {
        if self.is_all {
            out.extend_from_slice(b"~*");
        }
        for (n, (access, pattern)) in self.patterns.iter().enumerate() {
            if n > 0 {
                out.push(b' ');
            }
            let is_last = n + 1 == self.patterns.len();
            let prefix: &[u8] = match (access.read, access.write) {
                (true, false) => b"%R~",
                (false, true) => b"%W~",
                // The short form would allow all keys at once, and the patterns behind it would be refused.
                _ if **pattern == *b"*" && !is_last => b"%RW~",
                _ => b"~",
            };
            out.extend_from_slice(prefix);
            out.extend_from_slice(pattern);
        }
    }
}

/// The letters up to the tilde, and the pattern behind it. A rule that ends without a tilde has an empty pattern.
fn with_access(rest: &[u8]) -> Result<(Access, &[u8]), RuleError> {
    let tilde = rest.iter().position(|&b| b == b'~');
    let (letters, pattern) = match tilde {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, &rest[rest.len()..]),
    };
    let mut access = Access { read: false, write: false };
    for letter in letters {
        match letter.to_ascii_uppercase() {
            b'R' if !access.read => access.read = true,
            b'W' if !access.write => access.write = true,
            _ => return Err(RuleError::Syntax),
        }
    }
    if access.read || access.write { Ok((access, pattern)) } else { Err(RuleError::Syntax) }
}

/// Whether a text has blanks or zeros, which would break the line that says it.
pub(crate) fn has_blanks(text: &[u8]) -> bool {
    text.iter().any(|b| b.is_ascii_whitespace() || *b == 0x0b || *b == 0)
}
