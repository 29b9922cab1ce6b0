//! Passwords, kept as their SHA-256 only. Never holds or shows what a user types.

use baton_base::hex::{self, Hex};
use sha2::{Digest, Sha256};

/// The SHA-256 of a password.
#[derive(Clone, Copy, Debug)]
pub struct PasswordHash([u8; 32]);

impl PasswordHash {
    /// Of this password.
    pub fn of(password: &[u8]) -> PasswordHash {
        PasswordHash(Sha256::digest(password).into())
    }

    /// From its text: exactly 64 lower-case hexadecimal digits.
    pub fn parse(text: &[u8]) -> Option<PasswordHash> {
        hex::array(text).filter(|_| !text.iter().any(u8::is_ascii_uppercase)).map(PasswordHash)
    }

    /// Its 64 digits.
    pub fn text(&self) -> String {
        Hex(&self.0).to_string()
    }
}

/// Takes the same time wherever two hashes differ.
impl PartialEq for PasswordHash {
    fn eq(&self, other: &PasswordHash) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

impl Eq for PasswordHash {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_read_as_they_are_written() {
        let hash = PasswordHash::of(b"passwd4");
        let text = "34344e4d60c2b6d639b7bd22e18f2b0b91bc34bf0ac5f9952744435093cfb4e6";
        assert_eq!(hash.text(), text);
        assert_eq!(PasswordHash::parse(text.as_bytes()), Some(hash));
        assert_ne!(PasswordHash::of(b"passwd"), hash);
        for bad in [&text[1..], &text.to_uppercase(), &text.replace('3', "g"), &format!("{text}0"), ""] {
            assert_eq!(PasswordHash::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
