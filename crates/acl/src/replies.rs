//! The subcommands of ACL that need nothing but the users and the log. They change nothing in place: who changes users gets new
//! ones.

use baton_base::{WallMs, num};
use baton_commands::{Fail, lookup};
use baton_resp::{Args, Out};

use crate::check::{Request, check};
use crate::log::Log;
use crate::selector::Selector;
use crate::user::{Defaults, User, gathered_rules};
use crate::users::Users;

/// ACL SETUSER name [rule ...]: the users with this one changed. If one of the rules is refused, none of them counts.
pub fn set_user(users: &Users, args: Args<'_>, defaults: Defaults) -> Result<Users, Fail> {
    let name = args.at(2);
    if !Users::is_name(name) {
        return Err(Fail::Text("ERR Usernames can't contain spaces or null characters"));
    }
    let rules = gathered_rules(args.skip(3).iter()).map_err(|word| {
        Fail::Bytes([b"ERR Unmatched parenthesis in acl selector starting at '", word, b"'."].concat())
    })?;
    let mut user = users.find(name).map_or_else(|| User::new(name, defaults), |user| User::clone(user));
    for rule in &rules {
        user.apply(rule, defaults).map_err(|error| {
            let why = error.text().as_bytes();
            Fail::Bytes([b"ERR Error in ACL SETUSER modifier '", &**rule, b"': ", why].concat())
        })?;
    }
    let mut users = users.clone();
    users.put(user);
    Ok(users)
}

/// ACL DELUSER name [name ...]: the users without these, and how many of them there were.
pub fn delete_users(users: &Users, args: Args<'_>) -> Result<(Users, usize), Fail> {
    let names = args.skip(2);
    if names.iter().any(|name| name == User::DEFAULT) {
        return Err(Fail::Text("ERR The 'default' user cannot be removed"));
    }
    let mut users = users.clone();
    let removed = names.iter().filter(|name| users.remove(name)).count();
    Ok((users, removed))
}

/// ACL GETUSER name.
pub fn write_user(user: Option<&User>, out: &mut Out) {
    let Some(user) = user else { return out.null() };
    let (own, others) = (&user.selectors()[0], &user.selectors()[1..]);
    out.map(7);
    out.bulk(b"flags");
    out.set(1 + usize::from(user.is_open()));
    out.bulk(if user.is_on() { b"on" } else { b"off" });
    if user.is_open() {
        out.bulk(b"nopass");
    }
    out.bulk(b"passwords");
    out.array(user.passwords().len());
    user.passwords().iter().for_each(|hash| out.bulk(hash.text().as_bytes()));
    write_selector(own, out);
    out.bulk(b"selectors");
    out.array(others.len());
    for selector in others {
        out.map(4);
        write_selector(selector, out);
    }
}

fn write_selector(selector: &Selector, out: &mut Out) {
    let mut field = |name: &[u8], describe: &dyn Fn(&mut Vec<u8>)| {
        let mut text = Vec::new();
        describe(&mut text);
        out.bulk(name);
        out.bulk(&text);
    };
    field(b"commands", &|text| selector.commands.describe(text));
    field(b"keys", &|text| selector.keys.describe(text));
    field(b"channels", &|text| selector.channels.describe(text));
    field(b"databases", &|text| selector.databases.describe(text));
}

/// ACL DRYRUN name command [arg ...], for a connection with this database of so many.
pub fn dry_run(users: &Users, args: Args<'_>, db: u32, databases: u32, out: &mut Out) -> Result<(), Fail> {
    let name = args.at(2);
    let user = users.find(name).ok_or_else(|| Fail::Bytes([b"ERR User '", name, b"' not found"].concat()))?;
    let args = args.skip(3);
    let unknown = || Fail::Bytes([b"ERR Command '", args.name(), b"' not found"].concat());
    let command = lookup(args.name()).ok_or_else(unknown)?;
    let spec = match args.get(1) {
        Some(name) if !command.subcommands.is_empty() => command.subcommand(name).ok_or_else(unknown)?,
        _ => command,
    };
    if !spec.arity_fits(args.len()) {
        return Err(Fail::Arity(spec.name));
    }
    let request = Request { spec, args, db, databases };
    match check(user, &request) {
        Ok(()) => out.ok(),
        Err(denied) => out.bulk(&denied.full_text(user, &request)),
    }
    Ok(())
}

/// ACL LOG [count | RESET].
pub fn log(log: &mut Log, args: Args<'_>, now: WallMs, out: &mut Out) -> Result<(), Fail> {
    let count = match args.len() {
        2 => SHOWN_BY_DEFAULT,
        3 if args.at(2).eq_ignore_ascii_case(b"reset") => {
            log.reset();
            out.ok();
            return Ok(());
        }
        3 => usize::try_from(num::parse_i64(args.at(2)).ok_or(Fail::NotInteger)?).unwrap_or(0),
        _ => return Err(Fail::wrong_subcommand("ACL", args.at(1))),
    };
    let shown = log.latest(count);
    out.array(shown.len());
    for entry in shown {
        let refused = &entry.refused;
        out.map(10);
        out.bulk(b"count");
        out.int(entry.count as i64);
        out.bulk(b"reason");
        out.bulk(refused.reason.name().as_bytes());
        out.bulk(b"context");
        out.bulk(refused.context.name().as_bytes());
        out.bulk(b"object");
        out.bulk(&refused.object);
        out.bulk(b"username");
        out.bulk(&refused.user);
        out.bulk(b"age-seconds");
        out.double(now.0.saturating_sub(entry.updated.0) as f64 / 1000.0);
        out.bulk(b"client-info");
        out.bulk(refused.client.as_bytes());
        out.bulk(b"entry-id");
        out.int(entry.id as i64);
        out.bulk(b"timestamp-created");
        out.int(entry.created.0 as i64);
        out.bulk(b"timestamp-last-updated");
        out.int(entry.updated.0 as i64);
    }
    Ok(())
}

const SHOWN_BY_DEFAULT: usize = 10;

/// How many bits ACL GENPASS [bits] asks for.
pub fn password_bits(args: Args<'_>) -> Result<usize, Fail> {
    let bits = match args.len() {
        2 => return Ok(PASSWORD_BITS),
        3 => num::parse_i64(args.at(2)).ok_or(Fail::NotInteger)?,
        _ => return Err(Fail::wrong_subcommand("ACL", args.at(1))),
    };
    usize::try_from(bits).ok().filter(|bits| (1..=PASSWORD_BITS_MAX).contains(bits)).ok_or(Fail::Text(
        "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
    ))
}

const PASSWORD_BITS: usize = 256;
const PASSWORD_BITS_MAX: usize = 4096;
