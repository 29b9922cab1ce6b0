//! The list of commands on the page about compatibility: made from the registry and from what the real server lists, so that
//! the page can't claim what is not there, nor forget what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use baton_commands::all;

use crate::facts::GOLDEN;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compatibility.md");
const BEGIN: &str = "<!-- made from the registry: begin -->\n";
const END: &str = "<!-- made from the registry: end -->\n";

/// Every command of the real server with its group.
fn upstream() -> BTreeMap<&'static str, &'static str> {
    let field =
        |line: &'static str, name: &str| line.split(" | ").find_map(|field| field.strip_prefix(name)).map(str::trim);
    GOLDEN.lines().filter_map(|line| Some((line.split(" | ").next()?.trim(), field(line, "group")?))).collect()
}

fn shown(names: &BTreeSet<&str>) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{}`", name.replace('|', " ").to_uppercase())).collect();
    names.join(", ")
}

fn list() -> String {
    let upstream = upstream();
    let ours: BTreeSet<&str> =
        all().iter().flat_map(|spec| spec.subcommands.iter().chain([spec])).map(|spec| spec.name).collect();
    let missing: BTreeSet<&str> = upstream.keys().copied().filter(|name| !ours.contains(name)).collect();
    let own: BTreeSet<&str> = ours.iter().copied().filter(|name| !upstream.contains_key(name)).collect();
    let mut out = format!(
        "{} of the {} commands and subcommands of Valkey 9.1.2 are there. A command that is not answers as unknown.\n",
        upstream.len() - missing.len(),
        upstream.len()
    );
    let _ = writeln!(out, "\n| Group | There | Not there |\n|---|---|---|");
    let groups: BTreeSet<&str> = upstream.values().copied().collect();
    for group in groups {
        let names = |is_there: bool| {
            let of_group = upstream.iter().filter(|(_, of)| **of == group).map(|(name, _)| *name);
            shown(&of_group.filter(|name| missing.contains(name) != is_there).collect())
        };
        let _ = writeln!(out, "| {group} | {} | {} |", names(true), names(false));
    }
    let _ = writeln!(out, "\nOur own: {}.", shown(&own));
    out
}

#[test]
fn the_page_lists_every_command_with_its_state() {
    let page = std::fs::read_to_string(PAGE).expect("docs/compatibility.md can be read");
    let (before, rest) = page.split_once(BEGIN).expect("the page has the mark where the list begins");
    let (listed, after) = rest.split_once(END).expect("the page has the mark where the list ends");
    let list = list();
    if listed != list && std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(PAGE, [before, BEGIN, &list, END, after].concat())
            .expect("docs/compatibility.md can be written");
        return;
    }
    assert_eq!(listed, list, "run `WRITE_DOCS=1 cargo test -p baton-commands the_page_lists` and look at the change");
}
