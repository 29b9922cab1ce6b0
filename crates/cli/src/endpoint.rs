//! Where a server listens. Only the name of the place; connecting is [`Connection`](crate::Connection)'s work.

use std::fmt;
use std::path::PathBuf;

/// A TCP address or the path of a unix socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// Host name or address, and port.
    Tcp {
        /// Name, IPv4 or IPv6 address without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// A socket file.
    Unix(PathBuf),
}

impl Endpoint {
    /// A TCP endpoint.
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        Endpoint::Tcp { host: host.into(), port }
    }

    /// Reads `host:port` as redirects write it: the last colon separates, so that IPv6 addresses need no brackets.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        Some(Self::tcp(host, port.parse().ok()?))
    }

    /// The same endpoint, but with `other`'s host where this one names none: a node that does not know its own address
    /// redirects to a bare port, which means "the host that you asked".
    pub(crate) fn with_host_of(self, other: &Endpoint) -> Self {
        match (self, other) {
            (Endpoint::Tcp { host, port }, Endpoint::Tcp { host: asked, .. }) if host.is_empty() || host == "?" => {
                Endpoint::tcp(asked.clone(), port)
            }
            (this, _) => this,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp { host, port } => write!(f, "{host}:{port}"),
            Endpoint::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}
