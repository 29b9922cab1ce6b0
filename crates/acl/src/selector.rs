//! One complete set of permissions: a request is allowed by a selector only if that allows its command, all its keys, its channels
//! and its databases. Never adds up with another selector.

use baton_base::quote::split_words;

use crate::channels::ChannelPatterns;
use crate::commands::AllowedCommands;
use crate::databases::AllowedDatabases;
use crate::keys::KeyPatterns;
use crate::rule_error::RuleError;
use crate::user::Defaults;

/// A set of permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// Commands.
    pub commands: AllowedCommands,
    /// Keys.
    pub keys: KeyPatterns,
    /// Channels.
    pub channels: ChannelPatterns,
    /// Databases.
    pub databases: AllowedDatabases,
}

impl Selector {
    /// One without rules: it allows no command and no key.
    pub fn new(defaults: Defaults) -> Selector {
        let channels = if defaults.all_channels { ChannelPatterns::all() } else { ChannelPatterns::default() };
        Selector {
            commands: AllowedCommands::none(),
            keys: KeyPatterns::default(),
            channels,
            databases: AllowedDatabases::All,
        }
    }

    /// From its text between parentheses, those included.
    pub fn parse(text: &[u8], defaults: Defaults) -> Result<Selector, RuleError> {
        let inside = text.strip_prefix(b"(").and_then(|rest| rest.strip_suffix(b")")).ok_or(RuleError::Syntax)?;
        let mut selector = Selector::new(defaults);
        for rule in split_words(inside).ok_or(RuleError::Syntax)? {
            selector.apply(&rule)?;
        }
        Ok(selector)
    }

    /// Whether it allows everything, so that there is nothing to check.
    #[inline]
    pub fn is_everything(&self) -> bool {
        self.commands.is_all() && self.keys.is_all() && self.channels.is_all() && self.databases.is_all()
    }

    /// Changes it by one rule.
    pub fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"allkeys" | b"~*" => self.keys = KeyPatterns::all(),
            b"resetkeys" => self.keys = KeyPatterns::default(),
            b"allchannels" | b"&*" => self.channels = ChannelPatterns::all(),
            b"resetchannels" => self.channels = ChannelPatterns::default(),
            b"allcommands" => self.commands.set_all(true),
            b"nocommands" => self.commands.set_all(false),
            b"alldbs" => self.databases = AllowedDatabases::All,
            b"resetdbs" => self.databases = AllowedDatabases::Listed(Vec::new()),
            lower => match lower.first() {
                Some(b'~' | b'%') => self.keys.apply(rule)?,
                Some(b'&') => self.channels.apply(rule)?,
                Some(b'+' | b'-') => self.commands.apply(rule)?,
                _ => {
                    let listed = lower.strip_prefix(b"db=").ok_or(RuleError::Syntax)?;
                    self.databases = AllowedDatabases::parse(listed)?;
                }
            },
        }
        Ok(())
    }

    /// The rules that make the same permissions again, with blanks between them.
    pub fn describe(&self, out: &mut Vec<u8>) {
        let before = out.len();
        self.keys.describe(out);
        if out.len() > before {
            out.push(b' ');
        }
        if !self.channels.is_all() {
            out.extend_from_slice(b"resetchannels ");
        }
        let before = out.len();
        self.channels.describe(out);
        if out.len() > before {
            out.push(b' ');
        }
        match &self.databases {
            AllowedDatabases::All => {}
            AllowedDatabases::Listed(listed) if listed.is_empty() => out.extend_from_slice(b"resetdbs "),
            listed => {
                listed.describe(out);
                out.push(b' ');
            }
        }
        self.commands.describe(out);
    }
}
