//! REPLCONF as a primary reads it (replication 1.2): pairs of option and value, taken from left to right. Only reads;
//! what an option does is up to the session.

use crate::text::shown;
use crate::version::Version;
use baton_base::num::parse_i64;
use baton_base::quote::split_words;
use thiserror::Error;

/// One pair.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReplconfOption {
    /// `listening-port`: the port that INFO and ROLE show.
    ListeningPort(i64),
    /// `ip-address`: the address that they show; empty means the peer's.
    IpAddress(String),
    /// `capa`: something the replica can do; none if the name is unknown, which is ignored.
    Capa(Option<Capa>),
    /// `version`: decides the RDB version.
    Version(Version),
    /// `ack`, with `fack` if given: offsets applied and fsynced. Ends the command, without a reply. None: the number was
    /// no number.
    Ack(Option<Ack>),
    /// `getack`: the replica is to acknowledge at once. Ends the command, without a reply.
    GetAck,
    /// `rdb-only`: snapshot without a stream.
    RdbOnly(bool),
    /// `rdb-filter-only`: parts of the snapshot to include.
    RdbFilter(RdbFilter),
    /// `rdb-channel`: this connection only carries a snapshot, the stream takes another one.
    RdbChannel(bool),
    /// `set-rdb-client-id`: the client that carries the snapshot for this one.
    SetRdbClientId(i64),
    /// `set-cluster-node-id`: which cluster node the replica is, as sent.
    SetClusterNodeId(Vec<u8>),
}

/// Capabilities that are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capa {
    /// Takes a payload that ends with a mark instead of having a length.
    Eof,
    /// Understands `+CONTINUE <id>`.
    Psync2,
    /// Can take the snapshot over a second connection.
    DualChannel,
    /// Doesn't need the snapshot's checksum.
    SkipRdbChecksum,
}

/// What a replica acknowledges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack {
    /// Applied up to here; negative numbers are read, and have no effect.
    pub offset: i64,
    /// Fsynced up to here; none if not sent or no number.
    pub fsynced: Option<i64>,
}

/// Parts of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RdbFilter {
    /// The functions are included.
    pub functions: bool,
}

/// Why REPLCONF is refused; the text is what follows `-ERR `.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ReplconfError {
    /// An option without a value.
    #[error("syntax error")]
    Syntax,
    /// A value that has to be a number is none.
    #[error("value is not an integer or out of range")]
    NotAnInteger,
    /// A value that has to be 0 or 1 is another number.
    #[error("value is out of range, value must between 0 and 1")]
    NotABit,
    /// An address that nobody can have.
    #[error("REPLCONF ip-address provided by replica instance is too long: {0} bytes")]
    AddressTooLong(usize),
    /// Not `major.minor.patch`.
    #[error("Unrecognized version format: {0}")]
    BadVersion(String),
    /// A filter that is not known.
    #[error("Unsupported rdb-filter-only option: {0}")]
    UnknownFilter(String),
    /// Filters with unbalanced quotes.
    #[error("Missing rdb-filter-only values")]
    NoFilters,
    /// No client carries a snapshot under this id.
    #[error("Unrecognized RDB client id {0}")]
    UnknownRdbClient(i64),
    /// A node id outside a cluster.
    #[error("This instance has cluster support disabled")]
    NoCluster,
    /// A node id that this node does not know.
    #[error("Unknown node {0}")]
    UnknownNode(String),
    /// Any other option.
    #[error("Unrecognized REPLCONF option: {0}")]
    UnknownOption(String),
}

/// Bytes of a host name at most, as upstream stores one.
const ADDRESS_BYTES_MAX: usize = 256;

/// Reads the arguments after `REPLCONF` one pair at a time. Pairs before a bad one have already counted.
pub fn options<'a>(args: &'a [&'a [u8]]) -> impl Iterator<Item = Result<ReplconfOption, ReplconfError>> + 'a {
    let odd = !args.len().is_multiple_of(2);
    let pairs = if odd { &[] } else { args };
    let syntax = odd.then_some(Err(ReplconfError::Syntax));
    syntax.into_iter().chain(pairs.chunks_exact(2).enumerate().map(move |(i, pair)| {
        let rest = &pairs[2 * i + 2..];
        option(pair[0], pair[1], rest)
    }))
}

fn option(name: &[u8], value: &[u8], rest: &[&[u8]]) -> Result<ReplconfOption, ReplconfError> {
    use ReplconfOption as O;
    Ok(match name.to_ascii_lowercase().as_slice() {
        b"listening-port" => O::ListeningPort(parse_i64(value).ok_or(ReplconfError::NotAnInteger)?),
        b"ip-address" if value.len() < ADDRESS_BYTES_MAX => O::IpAddress(shown(value)),
        b"ip-address" => return Err(ReplconfError::AddressTooLong(value.len())),
        b"capa" => O::Capa(capa(value)),
        b"version" => O::Version(Version::parse(value).ok_or_else(|| ReplconfError::BadVersion(shown(value)))?),
        b"ack" => O::Ack(parse_i64(value).map(|offset| Ack { offset, fsynced: fsynced(rest) })),
        b"getack" => O::GetAck,
        b"rdb-only" => O::RdbOnly(bit(value)?),
        b"rdb-filter-only" => O::RdbFilter(filter(value)?),
        b"rdb-channel" => O::RdbChannel(bit(value)?),
        b"set-rdb-client-id" => O::SetRdbClientId(parse_i64(value).ok_or(ReplconfError::NotAnInteger)?),
        b"set-cluster-node-id" => O::SetClusterNodeId(value.to_vec()),
        _ => return Err(ReplconfError::UnknownOption(shown(name))),
    })
}

fn capa(name: &[u8]) -> Option<Capa> {
    match name.to_ascii_lowercase().as_slice() {
        b"eof" => Some(Capa::Eof),
        b"psync2" => Some(Capa::Psync2),
        b"dual-channel" => Some(Capa::DualChannel),
        b"skip-rdb-checksum" => Some(Capa::SkipRdbChecksum),
        _ => None,
    }
}

fn fsynced(rest: &[&[u8]]) -> Option<i64> {
    match rest {
        [name, value, ..] if name.eq_ignore_ascii_case(b"fack") => parse_i64(value),
        _ => None,
    }
}

fn bit(value: &[u8]) -> Result<bool, ReplconfError> {
    match parse_i64(value) {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        Some(_) => Err(ReplconfError::NotABit),
        None => Err(ReplconfError::NotAnInteger),
    }
}

fn filter(value: &[u8]) -> Result<RdbFilter, ReplconfError> {
    let mut filter = RdbFilter::default();
    for word in split_words(value).ok_or(ReplconfError::NoFilters)? {
        if !word.eq_ignore_ascii_case(b"functions") {
            return Err(ReplconfError::UnknownFilter(shown(&word)));
        }
        filter.functions = true;
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(line: &[&[u8]]) -> Vec<String> {
        options(line).map(|r| r.map_or_else(|e| format!("-ERR {e}"), |o| format!("{o:?}"))).collect()
    }

    /// Errors as observed on Valkey 9.1.2.
    #[test]
    fn errors() {
        let long = [b'x'; 300];
        let table: [(&[&[u8]], &str); 13] = [
            (&[b"listening-port"], "-ERR syntax error"),
            (&[b"listening-port", b"x"], "-ERR value is not an integer or out of range"),
            (&[b"ip-address", &long], "-ERR REPLCONF ip-address provided by replica instance is too long: 300 bytes"),
            (&[b"nope", b"1"], "-ERR Unrecognized REPLCONF option: nope"),
            (&[b"version", b"9.1"], "-ERR Unrecognized version format: 9.1"),
            (&[b"version", b"9.1.300"], "-ERR Unrecognized version format: 9.1.300"),
            (&[b"rdb-only", b"7"], "-ERR value is out of range, value must between 0 and 1"),
            (&[b"rdb-only", b"x"], "-ERR value is not an integer or out of range"),
            (&[b"rdb-channel", b"2"], "-ERR value is out of range, value must between 0 and 1"),
            (&[b"rdb-filter-only", b"functions xx"], "-ERR Unsupported rdb-filter-only option: xx"),
            (&[b"rdb-filter-only", b"\""], "-ERR Missing rdb-filter-only values"),
            (&[b"set-rdb-client-id", b"x"], "-ERR value is not an integer or out of range"),
            (&[b"capa", b"eof", b"capa"], "-ERR syntax error"),
        ];
        for (line, expected) in table {
            assert_eq!(read(line), [expected], "{line:?}");
        }
    }

    #[test]
    fn pairs_in_order_names_in_any_case() {
        assert!(read(&[]).is_empty());
        assert_eq!(
            read(&[b"Capa", b"EOF", b"capa", b"psync2", b"capa", b"telepathy", b"VERSION", b"9.1.2", b"bad", b"x"]),
            [
                "Capa(Some(Eof))",
                "Capa(Some(Psync2))",
                "Capa(None)",
                "Version(Version { major: 9, minor: 1, patch: 2 })",
                "-ERR Unrecognized REPLCONF option: bad",
            ]
        );
        let ack = |args: &[&[u8]]| options(args).next().unwrap().unwrap();
        assert_eq!(ack(&[b"ack", b"5", b"fack", b"4"]), ReplconfOption::Ack(Some(Ack { offset: 5, fsynced: Some(4) })));
        assert_eq!(ack(&[b"ACK", b"5"]), ReplconfOption::Ack(Some(Ack { offset: 5, fsynced: None })));
        assert_eq!(ack(&[b"ack", b"x", b"fack", b"4"]), ReplconfOption::Ack(None));
        assert_eq!(ack(&[b"rdb-filter-only", b""]), ReplconfOption::RdbFilter(RdbFilter { functions: false }));
    }

    proptest! {
        #[test]
        fn no_arguments_panic(args in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20),
            prop::sample::select(vec![&b"ack"[..], b"fack", b"capa", b"version", b"rdb-filter-only", b"9.1.2", b"1"])
                .prop_map(<[u8]>::to_vec),
        ], 0..8)) {
            let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
            for option in options(&args) {
                prop_assert!(option.is_ok() || !option.unwrap_err().to_string().contains(['\r', '\n']));
            }
        }
    }
}
