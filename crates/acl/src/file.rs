//! Users as text: a line each, as ACL files and configuration files have them. Opens no file.

use std::fmt;

use crate::rule_error::RuleError;
use crate::user::{Defaults, User, gathered_rules};
use crate::users::Users;

/// Why a text is refused: everything that is wrong with it, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError(String);

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FileError {}

/// The users of an ACL file; `path` is what complaints call it. Words are parted by blanks alone: there are no quotes and no
/// comments. A default user that the file does not have is the unlimited one.
pub fn read_users(text: &[u8], path: &str, defaults: Defaults) -> Result<Users, FileError> {
    let mut users = Users::default();
    let mut seen: Vec<&[u8]> = Vec::new();
    let mut complaints = String::new();
    for (n, line) in text.split(|&b| b == b'\n').enumerate() {
        let (line, number) = (line.trim_ascii(), n + 1);
        if line.is_empty() {
            continue;
        }
        let mut words = line.split(|&b| b == b' ');
        let (Some(b"user"), Some(name)) = (words.next(), words.next()) else {
            complaints += &format!("{path}:{number} should start with user keyword followed by the username. ");
            continue;
        };
        let shown = String::from_utf8_lossy(name);
        if !Users::is_name(name) {
            complaints += &format!("'{path}:{number}: username '{shown}' contains invalid characters. ");
            continue;
        }
        if seen.contains(&name) {
            complaints += &format!("WARNING: Duplicate user '{shown}' found on line {number}. ");
            continue;
        }
        seen.push(name);
        match gathered_rules(words) {
            Err(_) => complaints += &format!("{path}:{number}: Unmatched parenthesis in selector definition. "),
            Ok(rules) => {
                let (user, bad) = user_of(name, &rules, defaults);
                bad.iter().for_each(|complaint| complaints += &format!("{path}:{number}: {complaint}. "));
                users.put(user);
            }
        }
    }
    if complaints.is_empty() {
        return Ok(users);
    }
    complaints += "WARNING: ACL errors detected, no change to the previously active ACL rules was performed";
    Err(FileError(complaints))
}

/// A user with these rules, and what is wrong with them. Unknown commands are all named; of other faults only the first, since
/// those behind it may come from it, and without the rule, which may be a password.
fn user_of(name: &[u8], rules: &[Vec<u8>], defaults: Defaults) -> (User, Vec<String>) {
    let mut user = User::new(name, defaults);
    let (mut bad, mut is_faulty) = (Vec::new(), false);
    for rule in rules {
        let rule = rule.trim_ascii();
        match user.apply(rule, defaults) {
            Ok(()) => {}
            Err(RuleError::Unknown) => {
                let rule = String::from_utf8_lossy(rule);
                bad.push(format!("Error in applying operation '{rule}': {}", RuleError::Unknown));
            }
            Err(error) if !is_faulty => {
                bad.push(error.to_string());
                is_faulty = true;
            }
            Err(_) => {}
        }
    }
    (user, bad)
}

/// The lines that make the same users again, without line ends.
pub fn user_lines(users: &Users) -> impl Iterator<Item = Vec<u8>> {
    users.iter().map(|user| [b"user ", user.name(), b" ", &user.describe()].concat())
}
