//! What a primary's lines mean: the reply to PSYNC (replication 1.4) and the line before a snapshot (replication 1.7).

use super::{Payload, Position};
use baton_base::num::parse_u64;
use baton_base::{Offset, ReplId};

/// The reply to PSYNC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PsyncReply {
    /// A snapshot follows; none if the reply does not say of what.
    FullResync(Option<Position>),
    /// The stream goes on, under this id if one is given.
    Continue(Option<ReplId>),
    /// Not now, but later.
    TryLater,
    /// An error that is not about now: the primary does not know PSYNC.
    NotSupported,
    /// Nothing of this.
    Unexpected,
}

impl PsyncReply {
    pub(super) fn read(line: &[u8]) -> Self {
        if let Some(rest) = line.strip_prefix(b"+FULLRESYNC") {
            PsyncReply::FullResync(source(rest))
        } else if let Some(rest) = line.strip_prefix(b"+CONTINUE") {
            match rest.strip_prefix(b" ").unwrap_or(rest) {
                [] => PsyncReply::Continue(None),
                id => ReplId::parse(id).map_or(PsyncReply::Unexpected, |id| PsyncReply::Continue(Some(id))),
            }
        } else if line.starts_with(b"-NOMASTERLINK") || line.starts_with(b"-LOADING") {
            PsyncReply::TryLater
        } else if line.starts_with(b"-ERR") {
            PsyncReply::NotSupported
        } else {
            PsyncReply::Unexpected
        }
    }
}

/// ` <id> <offset>`.
fn source(rest: &[u8]) -> Option<Position> {
    let rest = rest.strip_prefix(b" ")?;
    let (id, offset) = rest.split_at_checked(40)?;
    let offset = parse_u64(offset.strip_prefix(b" ")?)?;
    // Offsets are signed on the wire elsewhere, so a larger one could never be acknowledged.
    let offset = i64::try_from(offset).is_ok().then_some(Offset(offset))?;
    Some(Position { replid: ReplId::parse(id).ok()?, offset })
}

/// The line before a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Preamble {
    /// The primary is alive and not ready yet.
    Alive,
    /// The snapshot follows.
    Payload(Payload),
    /// The primary gave up.
    Aborted,
    /// Nothing of this.
    BadProtocol,
}

impl Preamble {
    pub(super) fn read(line: &[u8]) -> Self {
        let payload = match line {
            [] => return Preamble::Alive,
            [b'-', ..] => return Preamble::Aborted,
            [b'$', b'E', b'O', b'F', b':', mark @ ..] => mark.first_chunk().copied().map(Payload::Eof),
            [b'$', len @ ..] => parse_u64(len).map(Payload::Len),
            _ => None,
        };
        payload.map_or(Preamble::BadProtocol, Preamble::Payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn psync_replies() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        let replid = ReplId::parse(id.as_bytes()).unwrap();
        let position = |offset| Some(Position { replid, offset: Offset(offset) });
        for (line, expected) in [
            (format!("+FULLRESYNC {id} 0"), PsyncReply::FullResync(position(0))),
            (format!("+FULLRESYNC {id} 9223372036854775807"), PsyncReply::FullResync(position(i64::MAX as u64))),
            (format!("+FULLRESYNC {id} 9223372036854775808"), PsyncReply::FullResync(None)),
            (format!("+FULLRESYNC {id} -1"), PsyncReply::FullResync(None)),
            (format!("+FULLRESYNC {id}"), PsyncReply::FullResync(None)),
            ("+FULLRESYNC zz".into(), PsyncReply::FullResync(None)),
            ("+FULLRESYNC".into(), PsyncReply::FullResync(None)),
            ("+CONTINUE".into(), PsyncReply::Continue(None)),
            (format!("+CONTINUE {id}"), PsyncReply::Continue(Some(replid))),
            ("+CONTINUE x".into(), PsyncReply::Unexpected),
            ("-NOMASTERLINK Can't SYNC while failing over".into(), PsyncReply::TryLater),
            ("-LOADING Valkey is loading the dataset in memory".into(), PsyncReply::TryLater),
            ("-ERR unknown command 'PSYNC'".into(), PsyncReply::NotSupported),
            ("-NOAUTH Authentication required.".into(), PsyncReply::Unexpected),
            ("+GARBAGE".into(), PsyncReply::Unexpected),
        ] {
            assert_eq!(PsyncReply::read(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn preambles() {
        for (line, expected) in [
            (format!("$EOF:{}", "m".repeat(40)), Preamble::Payload(Payload::Eof([b'm'; 40]))),
            ("$EOF:short".into(), Preamble::BadProtocol),
            ("$182".into(), Preamble::Payload(Payload::Len(182))),
            ("$-1".into(), Preamble::BadProtocol),
            (String::new(), Preamble::Alive),
            ("-ERR BGSAVE failed, replication can't continue".into(), Preamble::Aborted),
            ("xxx".into(), Preamble::BadProtocol),
        ] {
            assert_eq!(Preamble::read(line.as_bytes()), expected, "{line}");
        }
    }
}
