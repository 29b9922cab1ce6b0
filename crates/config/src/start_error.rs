//! Why the server can't start with this configuration, in upstream's words, and where the fault stands.

use crate::VERSION;
use std::fmt;
use std::io;

/// Where a directive was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Line number from 1, counted over the file, standard input and the options of the command line put together, or
    /// within an included file.
    pub line: usize,
    /// The line without surrounding blanks.
    pub text: String,
}

/// Why the server can't start. Shows as the text for standard error; `is_log_line` tells whether it belongs in the log
/// instead.
#[derive(Debug)]
pub enum StartError {
    /// A file can't be read.
    Open {
        /// Its absolute path, or the path as an `include` gave it.
        path: String,
        /// What the operating system said.
        error: io::Error,
    },
    /// A line is wrong.
    Line {
        /// Which.
        origin: Origin,
        /// Why.
        message: String,
    },
    /// The directives contradict each other.
    Conflict(String),
}

impl StartError {
    /// A refusal of a line that only the running program could bring up, such as a folder that does not exist.
    pub fn at(origin: &Origin, message: impl Into<String>) -> Self {
        StartError::Line { origin: origin.clone(), message: message.into() }
    }

    /// Whether upstream writes this error as a log line (at warning level) rather than to standard error.
    pub fn is_log_line(&self) -> bool {
        matches!(self, StartError::Open { .. })
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Open { path, error } => {
                write!(f, "Fatal error, can't open config file '{path}': {}", system_text(error))
            }
            StartError::Line { origin, message } => {
                writeln!(f, "\n*** FATAL CONFIG FILE ERROR (Version {VERSION}) ***")?;
                writeln!(f, "Reading the configuration file, at line {}", origin.line)?;
                writeln!(f, ">>> '{}'", origin.text)?;
                writeln!(f, "{message}")
            }
            StartError::Conflict(message) => {
                writeln!(f, "\n*** FATAL CONFIG FILE ERROR (Version {VERSION}) ***")?;
                writeln!(f, "{message}")
            }
        }
    }
}

impl std::error::Error for StartError {}

/// The operating system's text for an error, without the number that the standard library adds.
fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((plain, _)) => plain.to_owned(),
        None => text,
    }
}
