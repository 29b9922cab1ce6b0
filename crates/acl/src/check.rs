//! The question that is asked for every request of a user who may not do everything: may it? Never changes or remembers
//! anything.

use std::cell::OnceCell;

use baton_base::num;
use baton_commands::{CommandSpec, Flags, KeyFlags, KeyPositions, key_positions};
use baton_resp::Args;

use crate::keys::Access;
use crate::log::Reason;
use crate::selector::Selector;
use crate::user::User;

/// What is to be done.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The command or subcommand.
    pub spec: &'a CommandSpec,
    /// Its arguments with the name; as many as the command takes.
    pub args: Args<'a>,
    /// The database of the connection.
    pub db: u32,
    /// How many databases there are.
    pub databases: u32,
}

/// What a user may not do. Of several selectors that refuse, the one counts that refuses the most special thing: a channel
/// before a key before the command before a database, and of two keys or channels the later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denied {
    /// Use a database: the one of the connection, one that all are needed of, or the one in this argument.
    Database(Option<u32>),
    /// Run the command.
    Command,
    /// Do this to the key in this argument.
    Key(u32),
    /// Use the channel in this argument.
    Channel(u32),
}

/// Whether a user may do this.
pub fn check(user: &User, request: &Request<'_>) -> Result<(), Denied> {
    let asked = Asked { request, keys: OnceCell::new() };
    let mut worst = Denied::Database(None);
    for selector in user.selectors() {
        match asked.of(selector) {
            Ok(()) => return Ok(()),
            Err(denied) => worst = worst.max(denied),
        }
    }
    Err(worst)
}

/// Whether a user may do this and could do it to every key that there may be, as far as it only reads: patterns of SORT name
/// keys that nobody can tell before.
pub fn reads_every_key(user: &User, request: &Request<'_>) -> bool {
    let asked = Asked { request, keys: OnceCell::new() };
    let reading = Access { read: true, write: false };
    user.selectors().iter().any(|s| s.keys.allows_every(reading) && asked.of(s).is_ok())
}

/// A request with what is only found out when somebody needs it.
struct Asked<'a> {
    request: &'a Request<'a>,
    keys: OnceCell<KeyPositions>,
}

impl Asked<'_> {
    fn of(&self, selector: &Selector) -> Result<(), Denied> {
        let Request { spec, args, .. } = *self.request;
        if !selector.commands.allows(spec, args) {
            return Err(Denied::Command);
        }
        if !selector.databases.is_all() {
            self.databases(selector)?;
        }
        if !selector.keys.is_all() {
            self.keys(selector)?;
        }
        if !selector.channels.is_all() {
            self.channels(selector)?;
        }
        Ok(())
    }

    fn databases(&self, selector: &Selector) -> Result<(), Denied> {
        let Request { spec, args, db, databases } = *self.request;
        if spec.flags.contains(Flags::ALL_DBS) && !(0..databases).all(|db| selector.databases.allows(db)) {
            return Err(Denied::Database(None));
        }
        let number = |at: &u32| {
            let n = num::parse_i64(args.at(*at as usize)).and_then(|n| u32::try_from(n).ok());
            n.filter(|n| *n < databases).map(|n| (*at, n))
        };
        let named = spec.find_dbs.map(|find| find(args)).unwrap_or_default();
        // Arguments that make no sense are the command's to refuse.
        let named: Option<Vec<(u32, u32)>> = named.iter().map(number).collect();
        if let Some((at, _)) = named.iter().flatten().find(|(_, db)| !selector.databases.allows(*db)) {
            return Err(Denied::Database(Some(*at)));
        }
        if spec.uses_own_db() && !selector.databases.allows(db) {
            return Err(Denied::Database(None));
        }
        Ok(())
    }

    fn keys(&self, selector: &Selector) -> Result<(), Denied> {
        let Request { spec, args, .. } = *self.request;
        if spec.keys.is_empty() && spec.find_keys.is_none() {
            return Ok(());
        }
        let keys = self.keys.get_or_init(|| key_positions(spec, args).unwrap_or_default());
        let is_key = |flags: KeyFlags| !flags.contains(KeyFlags::NOT_KEY);
        let allows = |at: u32, flags| selector.keys.allows(args.at(at as usize), Access::of(flags));
        match keys.iter().find(|key| is_key(key.flags) && !allows(key.index, key.flags)) {
            Some(key) => Err(Denied::Key(key.index)),
            None => Ok(()),
        }
    }

    fn channels(&self, selector: &Selector) -> Result<(), Denied> {
        let Request { spec, args, .. } = *self.request;
        let Some(channels) = spec.channels else { return Ok(()) };
        let refused = |at: &usize| !selector.channels.allows(args.at(*at), channels.are_patterns());
        match (1..=channels.count(args.len())).find(refused) {
            Some(at) => Err(Denied::Channel(at as u32)),
            None => Ok(()),
        }
    }
}

impl Denied {
    /// Its kind.
    pub fn reason(self) -> Reason {
        match self {
            Denied::Command => Reason::Command,
            Denied::Key(_) => Reason::Key,
            Denied::Channel(_) => Reason::Channel,
            Denied::Database(_) => Reason::Database,
        }
    }

    /// The text of the refusal, without the code in front of it. It repeats no key and no channel: it may be somebody else's.
    pub fn text(self, user: &User, request: &Request<'_>) -> Vec<u8> {
        match self {
            Denied::Command => self.full_text(user, request),
            Denied::Key(_) => b"No permissions to access a key".to_vec(),
            Denied::Channel(_) => b"No permissions to access a channel".to_vec(),
            Denied::Database(_) => b"No permissions to access database".to_vec(),
        }
    }

    /// The text with everything in it, for operators.
    pub fn full_text(self, user: &User, request: &Request<'_>) -> Vec<u8> {
        let arg = |at: u32| request.args.at(at as usize);
        let (verb, before, object, after): (&str, &str, &[u8], &str) = match self {
            Denied::Command => ("run the", " '", request.spec.name.as_bytes(), "' command"),
            Denied::Key(at) => ("access the", " '", arg(at), "' key"),
            Denied::Channel(at) => ("access the", " '", arg(at), "' channel"),
            Denied::Database(at) => ("access database", " ", arg(at.unwrap_or(0)), ""),
        };
        [
            b"User ",
            user.name(),
            b" has no permissions to ",
            verb.as_bytes(),
            before.as_bytes(),
            object,
            after.as_bytes(),
        ]
        .concat()
    }

    /// What was asked for, as the log shows it.
    pub fn object(self, request: &Request<'_>) -> Vec<u8> {
        match self {
            Denied::Key(at) | Denied::Channel(at) | Denied::Database(Some(at)) => request.args.at(at as usize).to_vec(),
            Denied::Command | Denied::Database(None) => request.spec.name.into(),
        }
    }
}
