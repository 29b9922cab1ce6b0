//! Which channels a selector allows, by patterns. Never looks at who listens.

use baton_base::glob;

use crate::keys::has_blanks;
use crate::rule_error::RuleError;

/// The channels that a selector allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelPatterns {
    is_all: bool,
    patterns: Vec<Box<[u8]>>,
}

impl ChannelPatterns {
    /// All channels.
    pub fn all() -> ChannelPatterns {
        ChannelPatterns { is_all: true, patterns: Vec::new() }
    }

    /// Whether every channel may be used.
    #[inline]
    pub fn is_all(&self) -> bool {
        self.is_all
    }

    /// Whether a channel may be used. A pattern to subscribe to may only be used as it was allowed, letter by letter:
    /// whether all that it matches is allowed is nothing that can be said of patterns in general.
    pub fn allows(&self, name: &[u8], is_pattern: bool) -> bool {
        let fits = |allowed: &[u8]| if is_pattern { *allowed == *name } else { glob::matches(allowed, name, false) };
        self.is_all || self.patterns.iter().any(|allowed| fits(allowed))
    }

    /// `&pattern`.
    pub fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        if self.is_all {
            return Err(RuleError::ChannelAfterAll);
        }
        let pattern = &rule[1..];
        if has_blanks(pattern) {
            return Err(RuleError::Syntax);
        }
        if !self.patterns.iter().any(|known| **known == *pattern) {
            self.patterns.push(pattern.into());
        }
        Ok(())
    }

    /// The patterns.
    pub fn patterns(&self) -> impl Iterator<Item = &[u8]> {
        self.patterns.iter().map(|pattern| &**pattern)
    }

    /// The rules that make the same patterns again, with blanks between them.
    pub fn describe(&self, out: &mut Vec<u8>) {
        if self.is_all {
            out.extend_from_slice(b"&*");
        }
        for (n, pattern) in self.patterns.iter().enumerate() {
            if n > 0 {
                out.push(b' ');
            }
            out.push(b'&');
            out.extend_from_slice(pattern);
        }
    }
}
