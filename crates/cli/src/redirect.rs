//! Error replies that say where a command belongs: `MOVED`, `ASK` (cluster) and `REDIRECT` (standalone pair). Only
//! reads the text; who follows it decides what to do.

use crate::Endpoint;
use baton_base::Slot;

/// Where a refused command should go. The command was not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// The slot belongs to another node, from now on.
    Moved {
        /// The slot of the command's keys.
        slot: Slot,
        /// Its owner; the host is empty where the server does not know it.
        to: Endpoint,
    },
    /// The slot is on its way; for this one command ask there, after `ASKING`.
    Ask {
        /// The slot of the command's keys.
        slot: Slot,
        /// The importing node.
        to: Endpoint,
    },
    /// This is a replica outside a cluster; its primary is there (replication 9).
    Primary {
        /// The primary.
        to: Endpoint,
    },
}

impl Redirect {
    /// Reads an error line without its `-`.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        match words.next()? {
            kind @ ("MOVED" | "ASK") => {
                let slot = Slot::new(words.next()?.parse().ok()?)?;
                let to = Endpoint::parse(words.next()?)?;
                Some(if kind == "MOVED" { Redirect::Moved { slot, to } } else { Redirect::Ask { slot, to } })
            }
            "REDIRECT" => Some(Redirect::Primary { to: Endpoint::parse(words.next()?)? }),
            _ => None,
        }
    }

    /// The place it names.
    pub fn to(&self) -> &Endpoint {
        match self {
            Redirect::Moved { to, .. } | Redirect::Ask { to, .. } | Redirect::Primary { to } => to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_read_and_other_errors_are_not() {
        let slot = Slot::new(3999).unwrap();
        let parse = |s: &str| Redirect::parse(s.as_bytes());
        assert_eq!(
            parse("MOVED 3999 127.0.0.1:6381"),
            Some(Redirect::Moved { slot, to: Endpoint::tcp("127.0.0.1", 6381) })
        );
        assert_eq!(parse("ASK 3999 ::1:6381"), Some(Redirect::Ask { slot, to: Endpoint::tcp("::1", 6381) }));
        assert_eq!(parse("MOVED 3999 :6381").unwrap().to(), &Endpoint::tcp("", 6381));
        assert_eq!(
            parse("REDIRECT db.example:7000"),
            Some(Redirect::Primary { to: Endpoint::tcp("db.example", 7000) })
        );
        for other in ["ERR no", "MOVED", "MOVED 16384 a:1", "MOVED 1 a", "MOVED 1 a:70000", "REDIRECT", ""] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_bare_port_means_the_host_that_was_asked() {
        let asked = Endpoint::tcp("10.0.0.1", 1);
        assert_eq!(Endpoint::tcp("", 2).with_host_of(&asked), Endpoint::tcp("10.0.0.1", 2));
        assert_eq!(Endpoint::tcp("?", 2).with_host_of(&asked), Endpoint::tcp("10.0.0.1", 2));
        assert_eq!(Endpoint::tcp("b", 2).with_host_of(&asked), Endpoint::tcp("b", 2));
    }
}
