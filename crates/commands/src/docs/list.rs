//! COMMAND COUNT, LIST, GETKEYS and GETKEYSANDFLAGS; ACL CAT; and ECHO, which needs even less.

use baton_base::glob;
use baton_resp::{Args, Out};

use super::info::write_key_flags;
use crate::fail::Fail;
use crate::flags::{Categories, Flags};
use crate::keys::{KeyPositions, key_positions};
use crate::registry;
use crate::spec::CommandSpec;

/// ECHO message.
pub(crate) fn echo(args: Args<'_>, out: &mut Out) -> Result<(), Fail> {
    out.bulk(&args[1]);
    Ok(())
}

/// COMMAND COUNT.
pub(crate) fn command_count(_args: Args<'_>, out: &mut Out) -> Result<(), Fail> {
    out.int(registry::all().len() as i64);
    Ok(())
}

/// COMMAND LIST [FILTERBY (MODULE name | ACLCAT category | PATTERN pattern)].
pub(crate) fn command_list(args: Args<'_>, out: &mut Out) -> Result<(), Fail> {
    let every = |_: &CommandSpec| true;
    match args.len() {
        2 => write_names(out, every),
        5 if args[2].eq_ignore_ascii_case(b"FILTERBY") => {
            let wanted = &args[4];
            match args[3].to_ascii_uppercase().as_slice() {
                b"MODULE" => write_names(out, |_| false),
                b"ACLCAT" => {
                    let category = Categories::of_name(wanted);
                    write_names(out, |spec| category.is_some_and(|c| spec.categories().contains(c)));
                }
                b"PATTERN" => write_names(out, |spec| glob::matches(wanted, spec.name.as_bytes(), true)),
                _ => return Err(Fail::Syntax),
            }
        }
        _ => return Err(Fail::Syntax),
    }
    Ok(())
}

/// ACL CAT [category].
pub(crate) fn acl_cat(args: Args<'_>, out: &mut Out) -> Result<(), Fail> {
    let name = match args.len() {
        2 => {
            out.array(CATEGORIES.len());
            CATEGORIES.iter().for_each(|name| out.bulk(name.as_bytes()));
            return Ok(());
        }
        3 => args.at(2),
        _ => return Err(Fail::wrong_subcommand("ACL", args.at(1))),
    };
    let Some(category) = Categories::of_name(name) else {
        return Err(Fail::Bytes([b"ERR Unknown category '", name, b"'"].concat()));
    };
    write_names(out, |spec| spec.categories().contains(category));
    Ok(())
}

/// All categories, in the order in which people are shown them.
const CATEGORIES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

fn write_names(out: &mut Out, wanted: impl Fn(&CommandSpec) -> bool) {
    let with_subcommands = registry::all().iter().flat_map(|c| std::iter::once(c).chain(c.subcommands));
    let names: Vec<&str> = with_subcommands.filter(|spec| wanted(spec)).map(|spec| spec.name).collect();
    out.array(names.len());
    for name in names {
        out.bulk(name.as_bytes());
    }
}

/// COMMAND GETKEYS command [arg ...].
pub(crate) fn command_getkeys(args: Args<'_>, out: &mut Out) -> Result<(), Fail> {
    let (request, keys) = keys_of_request(args)?;
    out.array(keys.len());
    for key in &keys {
        out.bulk(&request[key.index as usize]);
    }
    Ok(())
}

/// COMMAND GETKEYSANDFLAGS command [arg ...].
pub(crate) fn command_getkeysandflags(args: Args<'_>, out: &mut Out) -> Result<(), Fail> {
    let (request, keys) = keys_of_request(args)?;
    out.array(keys.len());
    for key in &keys {
        out.array(2);
        out.bulk(&request[key.index as usize]);
        write_key_flags(key.flags, out);
    }
    Ok(())
}

fn keys_of_request(args: Args<'_>) -> Result<(Args<'_>, KeyPositions), Fail> {
    let request = args.skip(2);
    let invalid = Fail::Text("ERR Invalid command specified");
    let Some(mut spec) = registry::lookup(request.name()) else { return Err(invalid) };
    if let (false, Some(name)) = (spec.subcommands.is_empty(), request.get(1)) {
        spec = spec.subcommand(name).ok_or(invalid)?;
    }
    if !spec.has_keys() {
        return Err(Fail::Text("ERR The command has no key arguments"));
    }
    if !spec.arity_fits(request.len()) {
        return Err(Fail::Text("ERR Invalid number of arguments specified for command"));
    }
    let optional = spec.flags.contains(Flags::NO_MANDATORY_KEYS);
    match key_positions(spec, request) {
        Ok(keys) => Ok((request, keys)),
        Err(_) if optional => Ok((request, KeyPositions::default())),
        Err(_) => Err(Fail::Text("ERR Invalid arguments specified for command")),
    }
}
