//! Versions that replicas report, and the RDB version that each can read (replication 1.6).

use std::fmt;

/// A version `major.minor.patch`, each part 0..=255.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Version {
    /// First part.
    pub major: u8,
    /// Second part.
    pub minor: u8,
    /// Third part.
    pub patch: u8,
}

impl Version {
    /// The version this implementation behaves as and reports to primaries.
    pub const OWN: Version = Version::new(9, 1, 2);

    /// A version of three parts.
    pub const fn new(major: u8, minor: u8, patch: u8) -> Self {
        Version { major, minor, patch }
    }

    /// Reads exactly three parts of digits; as upstream, a part may be empty and is then 0.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = text.split(|b| *b == b'.').map(|part| {
            part.iter().try_fold(0u8, |n, d| {
                let digit = d.is_ascii_digit().then(|| d - b'0')?;
                n.checked_mul(10)?.checked_add(digit)
            })
        });
        let version = Version::new(parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A snapshot format to send.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RdbVersion {
    /// `REDIS0010`, for peers that don't say: Redis 7.0 never does, flushes its data on 11, and would ask again for ever.
    V10,
    /// `REDIS0011`, for peers between 7.2 and 8.x. Can't hold hashes with field TTLs.
    V11,
    /// `VALKEY080`, the current one.
    V80,
}

impl RdbVersion {
    /// Its number.
    pub fn number(self) -> u32 {
        match self {
            RdbVersion::V10 => 10,
            RdbVersion::V11 => 11,
            RdbVersion::V80 => 80,
        }
    }

    /// What to send to a replica that takes (or doesn't take) a payload with an end mark and reported this version. A
    /// payload with a length may be shared with others, so it is always the current format.
    pub fn for_replica(capa_eof: bool, version: Option<Version>) -> Self {
        match version {
            _ if !capa_eof => RdbVersion::V80,
            Some(v) if v >= Version::new(9, 0, 0) => RdbVersion::V80,
            Some(_) => RdbVersion::V11,
            None => RdbVersion::V10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_three_small_numbers() {
        assert_eq!(Version::parse(b"9.1.2"), Some(Version::OWN));
        assert_eq!(Version::parse(Version::OWN.to_string().as_bytes()), Some(Version::OWN));
        assert_eq!(Version::parse(b"255.255.255"), Some(Version::new(255, 255, 255)));
        for bad in ["", "9", "9.1", "9.1.2.3", "9.1.256", "9.1.x", "-1.0.0", "9.1.2 ", "9.1.2-rc1"] {
            assert_eq!(Version::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn rdb_version_by_what_the_replica_reported() {
        let v = |major, minor| Some(Version::new(major, minor, 0));
        for (eof, version, expected) in [
            (true, v(9, 0), RdbVersion::V80),
            (true, v(9, 1), RdbVersion::V80),
            (true, v(8, 1), RdbVersion::V11),
            (true, v(7, 2), RdbVersion::V11),
            (true, None, RdbVersion::V10),
            (false, None, RdbVersion::V80),
            (false, v(7, 2), RdbVersion::V80),
        ] {
            assert_eq!(RdbVersion::for_replica(eof, version), expected, "{eof} {version:?}");
        }
    }
}
