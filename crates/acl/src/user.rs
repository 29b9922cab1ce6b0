//! A user: whether and how one may become it, and what it may do then. Never knows who is connected as it.

use crate::password::PasswordHash;
use crate::rule_error::RuleError;
use crate::selector::Selector;

/// Settings that rules depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// `acl-pubsub-default allchannels`: users and selectors begin with all channels.
    pub all_channels: bool,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    name: Box<[u8]>,
    /// One may authenticate as it.
    is_on: bool,
    /// With whatever password.
    is_open: bool,
    passwords: Vec<PasswordHash>,
    /// The first is the user's own; the others are complete alternatives to it.
    selectors: Vec<Selector>,
}

impl User {
    /// The user that connections begin as.
    pub const DEFAULT: &'static [u8] = b"default";

    /// A user without rules: nobody can be it, and it may do nothing.
    pub fn new(name: &[u8], defaults: Defaults) -> User {
        User {
            name: name.into(),
            is_on: false,
            is_open: false,
            passwords: Vec::new(),
            selectors: vec![Selector::new(defaults)],
        }
    }

    /// The default user as it is where nobody said anything else: it needs no password and may do everything.
    pub fn unlimited_default() -> User {
        let mut user = User::new(User::DEFAULT, Defaults { all_channels: true });
        user.is_on = true;
        user.is_open = true;
        user.selectors[0].commands.set_all(true);
        user.selectors[0].keys = crate::keys::KeyPatterns::all();
        user
    }

    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether one may authenticate as it.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether any password will do.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether a connection that begins as this user needs no password.
    pub fn is_free_to_enter(&self) -> bool {
        self.is_on && self.is_open
    }

    /// Whether it may do everything, so that its requests need no check.
    pub fn is_unlimited(&self) -> bool {
        self.selectors.iter().any(Selector::is_everything)
    }

    /// Its passwords, in the order in which they were added.
    pub fn passwords(&self) -> &[PasswordHash] {
        &self.passwords
    }

    /// Its permissions: the user's own first, then its alternatives to them.
    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// Whether one becomes this user with this password.
    pub fn admits(&self, password: &[u8]) -> bool {
        let given = PasswordHash::of(password);
        // All are compared, so that the time does not tell which one it was.
        let known = self.passwords.iter().fold(false, |known, hash| known | (*hash == given));
        self.is_on && (self.is_open || known)
    }

    /// Changes it by one rule. A rule that is refused changes nothing.
    pub fn apply(&mut self, rule: &[u8], defaults: Defaults) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"" => {}
            b"on" => self.is_on = true,
            b"off" => self.is_on = false,
            b"nopass" => {
                self.is_open = true;
                self.passwords.clear();
            }
            b"resetpass" => {
                self.is_open = false;
                self.passwords.clear();
            }
            // Payloads are always looked at.
            b"sanitize-payload" | b"skip-sanitize-payload" => {}
            b"clearselectors" => self.selectors.truncate(1),
            b"reset" => *self = User::new(&self.name, defaults),
            [b'(', .., b')'] => self.selectors.push(Selector::parse(rule, defaults)?),
            [b'>' | b'#' | b'<' | b'!', ..] => self.apply_password(rule)?,
            _ => self.selectors[0].apply(rule)?,
        }
        Ok(())
    }

    fn apply_password(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        let (verb, text) = (rule[0], &rule[1..]);
        let hash = match verb {
            b'>' | b'<' => PasswordHash::of(text),
            _ => PasswordHash::parse(text).ok_or(RuleError::BadHash)?,
        };
        let at = self.passwords.iter().position(|known| *known == hash);
        match (verb, at) {
            (b'>' | b'#', at) => {
                if at.is_none() {
                    self.passwords.push(hash);
                }
                self.is_open = false;
            }
            (_, Some(at)) => {
                self.passwords.remove(at);
            }
            (_, None) => return Err(RuleError::NoSuchPassword),
        }
        Ok(())
    }

    /// Gives it this password and no other, or opens it for any: what `requirepass` says of the default user.
    pub fn set_only_password(&mut self, password: Option<&[u8]>) {
        self.is_open = password.is_none();
        self.passwords = password.map(PasswordHash::of).into_iter().collect();
    }

    /// The rules that make the same user again, with blanks between them.
    pub fn describe(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(if self.is_on { b"on " } else { b"off " });
        if self.is_open {
            out.extend_from_slice(b"nopass ");
        }
        for hash in &self.passwords {
            out.push(b'#');
            out.extend_from_slice(hash.text().as_bytes());
            out.push(b' ');
        }
        for (n, selector) in self.selectors.iter().enumerate() {
            if n > 0 {
                out.extend_from_slice(b" (");
            }
            selector.describe(&mut out);
            if n > 0 {
                out.push(b')');
            }
        }
        out
    }

    /// Whether the channels of this user include all that another one's selectors say by the same patterns.
    pub fn keeps_channels_of(&self, other: &User) -> bool {
        let allows = |pattern: &[u8]| self.selectors.iter().any(|s| s.channels.allows(pattern, true));
        self.selectors.iter().any(|s| s.channels.is_all())
            || other.selectors.iter().all(|s| !s.channels.is_all() && s.channels.patterns().all(allows))
    }

    /// Whether it may listen to a channel, or to a pattern.
    pub fn may_listen(&self, name: &[u8], is_pattern: bool) -> bool {
        self.selectors.iter().any(|s| s.channels.allows(name, is_pattern))
    }
}

/// Rules as they come in words: a selector may be spread over several. An error is the word with which one begins that does
/// not end.
pub fn gathered_rules<'a>(words: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Vec<u8>>, &'a [u8]> {
    let mut rules = Vec::new();
    let mut open: Option<(&[u8], Vec<u8>)> = None;
    for word in words {
        match &mut open {
            None if word.starts_with(b"(") && !word.ends_with(b")") => open = Some((word, word.to_vec())),
            None => rules.push(word.to_vec()),
            Some((_, text)) => {
                text.push(b' ');
                text.extend_from_slice(word);
                if word.ends_with(b")") {
                    rules.extend(open.take().map(|(_, text)| text));
                }
            }
        }
    }
    match open {
        None => Ok(rules),
        Some((word, _)) => Err(word),
    }
}
