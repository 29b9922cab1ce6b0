//! The users that a server begins with: from its ACL file, or from its configuration. A server whose users make no sense does not
//! start, because it might let in more than was meant.

use baton_acl::{Defaults, RuleError, User, Users, gathered_rules, read_users, user_lines};
use baton_config::{AclPubsubDefault, FileLine, Id, Settings, StartError as ConfigError};

use crate::log::Log;
use crate::start::StartError;
use crate::world::World;

const BOTH: &str = "with users defined in valkey.conf and at the same setting an ACL file path is invalid. This setup is very \
likely to lead to configuration errors and security holes, please define either an ACL file or declare users directly in your \
valkey.conf, but not both.";

/// The users to begin with. The working folder is the one that the configuration names.
pub fn users_at_start(settings: &Settings, lines: &[FileLine], log: &Log) -> Result<Users, StartError> {
    let fatal = |text: String| {
        log.warning(&text);
        StartError(text)
    };
    let path = settings.text(Id::AclFile);
    if !path.is_empty() && !lines.is_empty() {
        return Err(fatal(format!("Configuring Valkey {BOTH}")));
    }
    let all_channels = settings.choice::<AclPubsubDefault>() == AclPubsubDefault::AllChannels;
    let defaults = Defaults { all_channels };
    if !path.is_empty() {
        let users =
            super::change::read(path).and_then(|text| read_users(&text, path, defaults).map_err(|e| e.to_string()));
        return users.map_err(|e| fatal(format!("Aborting Valkey startup because of ACL errors: {e}")));
    }
    let mut users = Users::default();
    let password = settings.bytes(Id::RequirePass);
    if !password.is_empty() {
        users.set_default_password(Some(password));
    }
    for line in lines {
        let user = user_of(line, defaults)?.map_err(|text| {
            log.warning(&text);
            fatal("Critical error while loading ACLs. Exiting.".into())
        })?;
        if !user.is_on() {
            log.notice(&format!(
                "The user '{}' is disabled (there is no 'on' modifier in the user description). Make sure this is not a \
                 configuration error.",
                String::from_utf8_lossy(user.name())
            ));
        }
        users.put(user);
    }
    Ok(users)
}

/// The user that a line of the configuration declares. The outer error is one of the line, the inner one of what it says.
fn user_of(line: &FileLine, defaults: Defaults) -> Result<Result<User, String>, StartError> {
    let (name, rules) = (line.words[0].as_slice(), &line.words[1..]);
    let rules = gathered_rules(rules.iter().map(Vec::as_slice)).map_err(|word| {
        let word = String::from_utf8_lossy(word);
        StartError(
            ConfigError::at(&line.origin, format!("Error in user declaration '{word}': Wrong format")).to_string(),
        )
    })?;
    if !Users::is_name(name) {
        return Ok(Err("Spaces not allowed in ACL usernames".into()));
    }
    let mut user = User::new(name, defaults);
    for rule in &rules {
        if let Err(error) = user.apply(rule, defaults) {
            return Ok(Err(rule_refused(name, rule, error)));
        }
    }
    Ok(Ok(user))
}

fn rule_refused(name: &[u8], rule: &[u8], error: RuleError) -> String {
    let (name, rule) = (String::from_utf8_lossy(name), String::from_utf8_lossy(rule));
    format!("Error loading ACL rule '{rule}' for the user named '{name}': {error}")
}

/// The words of the `user` lines of a configuration file: none if users have a file of their own, or if there is only the
/// default user as it always is.
pub fn config_lines(world: &World) -> Vec<Vec<Vec<u8>>> {
    if !world.settings.text(Id::AclFile).is_empty() || *world.users == Users::default() {
        return Vec::new();
    }
    let words = |line: Vec<u8>| line.split(|&b| b == b' ').skip(1).map(<[u8]>::to_vec).collect();
    user_lines(&world.users).map(words).collect()
}
