//! Log lines as values: tools and test suites wait for these texts, so they are outputs like any other. Whoever drives a
//! machine writes them.

/// How loud a line is, by the names of `loglevel`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Details for debugging.
    Debug,
    /// Chatty.
    Verbose,
    /// What an operator wants to see in production.
    Notice,
    /// Something is wrong.
    Warning,
}

/// One line for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// How loud it is.
    pub level: Level,
    /// Its text, one line.
    pub text: String,
}

impl LogLine {
    pub(crate) fn notice(text: impl Into<String>) -> Self {
        LogLine { level: Level::Notice, text: text.into() }
    }

    pub(crate) fn warning(text: impl Into<String>) -> Self {
        LogLine { level: Level::Warning, text: text.into() }
    }
}
