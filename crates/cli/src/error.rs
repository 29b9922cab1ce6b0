//! What can go wrong between this client and a server, sorted by where the fault lies. Error replies are not here:
//! they are [`Reply`](crate::Reply)s.

use crate::{Endpoint, ErrorReply, ProtocolError};
use std::fmt;
use std::io;
use std::time::Duration;

/// A connection could not be made or broke.
#[derive(Debug)]
pub enum Error {
    /// Nothing answered at this place: nothing was sent.
    Connect {
        /// Where.
        endpoint: Endpoint,
        /// Why.
        source: io::Error,
    },
    /// The server refused name, password, protocol or database while the connection was set up.
    Login {
        /// Where.
        endpoint: Endpoint,
        /// The command that was refused.
        command: &'static str,
        /// The server's words.
        reply: ErrorReply,
    },
    /// The server closed the connection.
    Closed,
    /// Reading or writing failed.
    Io(io::Error),
    /// No reply within the time allowed.
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// What came is not RESP.
    Protocol(ProtocolError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Connect { endpoint, source } => {
                write!(f, "Could not connect to Baton at {endpoint}: {}", without_code(source))
            }
            Error::Login { endpoint, command, reply } => write!(f, "{endpoint} refused {command}: {reply}"),
            Error::Closed => f.write_str("Server closed the connection"),
            Error::Io(source) => write!(f, "Connection lost: {}", without_code(source)),
            Error::TimedOut { after } => write!(f, "No reply within {} ms", after.as_millis()),
            Error::Protocol(source) => write!(f, "Protocol error: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Connect { source, .. } | Error::Io(source) => Some(source),
            Error::Protocol(source) => Some(source),
            Error::Login { .. } | Error::Closed | Error::TimedOut { .. } => None,
        }
    }
}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Error::Protocol(error)
    }
}

/// The system's words for an error, without the number that the standard library appends.
fn without_code(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// A [`ClusterClient`](crate::ClusterClient) gave up on a command.
#[derive(Debug)]
pub enum QueryError {
    /// The link broke after the command was sent, and it must not be repeated: it may or may not have been executed.
    OutcomeUnknown(Error),
    /// Every attempt that the bounds allow failed, each before the command was executed (or it is safe to repeat).
    Exhausted {
        /// How many attempts were made.
        attempts: u32,
        /// How long they took together.
        after: Duration,
        /// What the last attempt met.
        last: LastFailure,
    },
}

/// What the last attempt met.
#[derive(Debug)]
pub enum LastFailure {
    /// The link.
    Link(Error),
    /// A reply that asks to come back later, or one redirect too many.
    Refused(ErrorReply),
    /// No node is known to try.
    NoNode,
}

impl fmt::Display for LastFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LastFailure::Link(error) => error.fmt(f),
            LastFailure::Refused(reply) => reply.fmt(f),
            LastFailure::NoNode => f.write_str("no node is known"),
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueryError::OutcomeUnknown(error) => write!(f, "the command may or may not have been executed: {error}"),
            QueryError::Exhausted { attempts, after, last } => {
                write!(f, "gave up after {attempts} attempts in {} ms: {last}", after.as_millis())
            }
        }
    }
}

impl std::error::Error for QueryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            QueryError::OutcomeUnknown(error) | QueryError::Exhausted { last: LastFailure::Link(error), .. } => {
                Some(error)
            }
            QueryError::Exhausted { .. } => None,
        }
    }
}
