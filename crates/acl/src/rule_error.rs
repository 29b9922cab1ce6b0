//! Why a rule is refused: one value for each text that operators know.

use std::fmt;

/// Why a rule is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// It is no rule.
    Syntax,
    /// It names no command and no category.
    Unknown,
    /// A key pattern behind the one that allows all.
    KeyAfterAll,
    /// A channel pattern behind the one that allows all.
    ChannelAfterAll,
    /// The password to remove is not there.
    NoSuchPassword,
    /// A hash that is none.
    BadHash,
    /// A first argument of a subcommand.
    ArgumentOfSubcommand,
    /// A database whose number is negative or beyond 32 bits.
    DatabaseOutOfRange,
}

impl RuleError {
    /// The text that operators see.
    pub fn text(self) -> &'static str {
        match self {
            RuleError::Syntax => "Syntax error",
            RuleError::Unknown => "Unknown command or category name in ACL",
            RuleError::KeyAfterAll => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. \
                 Try 'resetkeys' to start with an empty list of patterns"
            }
            RuleError::ChannelAfterAll => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any \
                 effect. Try 'resetchannels' to start with an empty list of channels"
            }
            RuleError::NoSuchPassword => "The password you are trying to remove from the user does not exist",
            RuleError::BadHash => {
                "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
            }
            RuleError::ArgumentOfSubcommand => "Allowing first-arg of a subcommand is not supported",
            RuleError::DatabaseOutOfRange => "The provided database ID is out of range",
        }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for RuleError {}
