//! Why the demonstration could not go on, and what a person can do about it. Only data and words.

use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

/// Why the demonstration ended early.
#[derive(Debug)]
pub(crate) enum Error {
    /// A signal asked it to end.
    Interrupted,
    /// Something that had to happen did not, in the time that it was given.
    Overdue {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
        /// What the last look met, if a server did not answer it.
        last: Option<Box<Error>>,
    },
    /// This machine refused something.
    Local {
        /// What was tried, as an infinitive.
        doing: String,
        /// Why not.
        source: io::Error,
    },
    /// Not enough ports are free.
    NoPorts,
    /// A server ended by itself.
    Died {
        /// Its port.
        port: u16,
        /// How.
        status: ExitStatus,
        /// The end of what it wrote.
        last_words: String,
    },
    /// A server refused a command.
    Refused {
        /// Its port.
        port: u16,
        /// The command.
        command: String,
        /// Its words.
        reply: String,
    },
    /// A server could not be talked to.
    Link {
        /// Its port.
        port: u16,
        /// Why not.
        source: baton_cli::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Interrupted => f.write_str("interrupted; the servers are stopped and their folder is removed"),
            Error::Overdue { what, after, last } => {
                write!(f, "waited {:.1} s in vain: {what}", after.as_secs_f64())?;
                last.as_ref().map_or(Ok(()), |last| write!(f, "; {last}"))
            }
            Error::Local { doing, source } => write!(f, "can't {doing}: {source}"),
            Error::NoPorts => f.write_str("no six free ports were found on 127.0.0.1"),
            Error::Died { port, status, last_words } => {
                write!(f, "the server on port {port} ended by itself ({status}); its last words:\n{last_words}")
            }
            Error::Refused { port, command, reply } => {
                write!(f, "the server on port {port} refused '{command}': {reply}")
            }
            Error::Link { port, source } => write!(f, "the server on port {port} can't be reached: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Local { source, .. } => Some(source),
            Error::Link { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Error {
    /// What to do next, where that is not plain from the words.
    pub(crate) fn advice(&self) -> Option<String> {
        match self {
            Error::Interrupted => None,
            Error::Overdue { .. } | Error::Link { .. } => Some(
                "On a busy machine try again when it is less so, or with a longer --node-timeout; else the logs say more."
                    .into(),
            ),
            Error::Local { .. } => Some(
                "Servers, ports on 127.0.0.1 and a folder below TMPDIR (or /tmp) are all that is needed; see that this \
                 user may have them."
                    .into(),
            ),
            Error::NoPorts => Some("Servers need a port and that port plus 10000; stop what holds them, or try again.".into()),
            Error::Died { .. } => Some("If the words name a limit or a missing right, lift it and try again.".into()),
            Error::Refused { .. } => Some("That is a fault of this program; please report it with this output.".into()),
        }
    }
}
