//! The registry as replies: COMMAND and its subcommands, HELP of every container, ACL CAT. Reads nothing but the registry.

mod doc;
mod help;
mod info;
mod list;

pub(crate) use doc::command_docs;
pub(crate) use help::help;
pub(crate) use info::{command, command_info};
pub(crate) use list::{acl_cat, command_count, command_getkeys, command_getkeysandflags, command_list, echo};

use crate::registry;
use crate::spec::CommandSpec;

/// The command or subcommand with this full name (`object|encoding`), in any case.
pub fn by_full_name(name: &[u8]) -> Option<&'static CommandSpec> {
    match name.iter().position(|&b| b == b'|') {
        None => registry::lookup(name),
        Some(bar) => registry::lookup(&name[..bar])?.subcommand(&name[bar + 1..]),
    }
}
