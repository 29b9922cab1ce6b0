//! Which databases a selector allows, by number. Never knows how many there are.

use baton_base::num;

use crate::rule_error::RuleError;

/// The databases that a selector allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedDatabases {
    /// All, those included that a larger `databases` would add.
    All,
    /// These, ascending and each once.
    Listed(Vec<u32>),
}

impl AllowedDatabases {
    /// Whether every database is allowed, whatever their number.
    #[inline]
    pub fn is_all(&self) -> bool {
        *self == AllowedDatabases::All
    }

    /// Whether a database may be used.
    pub fn allows(&self, db: u32) -> bool {
        match self {
            AllowedDatabases::All => true,
            AllowedDatabases::Listed(listed) => listed.binary_search(&db).is_ok(),
        }
    }

    /// What comes behind `db=`: numbers with commas between them. They replace what was listed before.
    pub fn parse(text: &[u8]) -> Result<AllowedDatabases, RuleError> {
        let mut listed = text.split(|&b| b == b',').map(number).collect::<Result<Vec<u32>, RuleError>>()?;
        listed.sort_unstable();
        listed.dedup();
        Ok(AllowedDatabases::Listed(listed))
    }

    /// The rule that allows the same again; empty if none is allowed.
    pub fn describe(&self, out: &mut Vec<u8>) {
        match self {
            AllowedDatabases::All => out.extend_from_slice(b"alldbs"),
            AllowedDatabases::Listed(listed) => {
                for (n, db) in listed.iter().enumerate() {
                    out.extend_from_slice(if n == 0 { b"db=" } else { b"," });
                    out.extend_from_slice(db.to_string().as_bytes());
                }
            }
        }
    }
}

/// A number as C reads it: blanks and a sign may stand before the digits.
fn number(word: &[u8]) -> Result<u32, RuleError> {
    let word = word.trim_ascii_start();
    let (is_negative, digits) = match word.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, word),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(RuleError::Syntax);
    }
    let significant = digits.iter().position(|&d| d != b'0').map_or(&b"0"[..], |at| &digits[at..]);
    match num::parse_u64(significant).and_then(|n| u32::try_from(n).ok()) {
        Some(n) if n <= NUMBER_MAX && !(is_negative && n > 0) => Ok(n),
        _ => Err(RuleError::DatabaseOutOfRange),
    }
}

/// The largest number of a database.
const NUMBER_MAX: u32 = i32::MAX as u32;
