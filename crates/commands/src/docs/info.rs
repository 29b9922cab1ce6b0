//! COMMAND and COMMAND INFO.

use baton_resp::{Args, Out};

use super::by_full_name;
use crate::fail::Fail;
use crate::key_spec::{BeginSearch, FindKeys, KeyFlags, KeySpec};
use crate::registry;
use crate::spec::CommandSpec;

/// COMMAND: everything about every command.
pub(crate) fn command(_args: Args<'_>, out: &mut Out) -> Result<(), Fail> {
    write_all(out);
    Ok(())
}

/// COMMAND INFO [name ...]; null for a name that no command has.
pub(crate) fn command_info(args: Args<'_>, out: &mut Out) -> Result<(), Fail> {
    if args.len() == 2 {
        write_all(out);
        return Ok(());
    }
    out.array(args.len() - 2);
    for name in args.skip(2).iter() {
        match by_full_name(name) {
            Some(spec) => write_info(spec, out),
            None => out.null_array(),
        }
    }
    Ok(())
}

fn write_all(out: &mut Out) {
    out.array(registry::all().len());
    for spec in registry::all() {
        write_info(spec, out);
    }
}

fn write_info(spec: &CommandSpec, out: &mut Out) {
    let (first, last, step) = classic_range(spec);
    out.array(10);
    out.bulk(spec.name.as_bytes());
    out.int(i64::from(spec.arity));
    write_words(out, spec.flags.names().collect(), true);
    out.int(first);
    out.int(last);
    out.int(step);
    write_words(out, spec.categories().names().collect(), true);
    out.set(spec.tips.len());
    for tip in spec.tips {
        out.bulk(tip.as_bytes());
    }
    out.set(spec.keys.len());
    for keys in spec.keys {
        write_key_spec(keys, out);
    }
    out.array(spec.subcommands.len());
    for sub in spec.subcommands {
        write_info(sub, out);
    }
}

/// A set of short words, as statuses.
pub(super) fn write_words(out: &mut Out, words: Vec<String>, as_set: bool) {
    if as_set {
        out.set(words.len());
    } else {
        out.array(words.len());
    }
    for word in &words {
        out.simple(word);
    }
}

/// First key, last key and step, the way commands were described before there were key specifications; zeros where that can't
/// describe the command.
fn classic_range(spec: &CommandSpec) -> (i64, i64, i64) {
    let mut total: Option<(i64, i64, i64)> = None;
    for keys in spec.keys {
        let (BeginSearch::Index(at), FindKeys::Range { last, step, .. }) = (keys.begin, keys.find) else { continue };
        let first = i64::from(at);
        let last = if last >= 0 { first + i64::from(last) } else { i64::from(last) };
        total = match total {
            None => Some((first, last, i64::from(step))),
            // A second group that follows the first one without a gap prolongs it.
            Some((f, l, s)) if l + 1 == first => Some((f, last, s)),
            Some(_) => total,
        };
    }
    total.unwrap_or((0, 0, 0))
}

fn write_key_spec(spec: &KeySpec, out: &mut Out) {
    out.map(if spec.notes.is_empty() { 3 } else { 4 });
    if !spec.notes.is_empty() {
        out.bulk(b"notes");
        out.bulk(spec.notes.as_bytes());
    }
    out.bulk(b"flags");
    write_words(out, spec.flags.names().collect(), true);
    out.bulk(b"begin_search");
    match spec.begin {
        BeginSearch::Index(at) => write_search(out, "index", &[("index", Field::Int(i64::from(at)))]),
        BeginSearch::Keyword { word, start_from } => write_search(
            out,
            "keyword",
            &[("keyword", Field::Text(word)), ("startfrom", Field::Int(i64::from(start_from)))],
        ),
        BeginSearch::Unknown => write_search(out, "unknown", &[]),
    }
    out.bulk(b"find_keys");
    match spec.find {
        FindKeys::Range { last, step, limit } => write_search(
            out,
            "range",
            &[
                ("lastkey", Field::Int(i64::from(last))),
                ("keystep", Field::Int(i64::from(step))),
                ("limit", Field::Int(i64::from(limit))),
            ],
        ),
        FindKeys::KeyNum { count_at, first, step } => write_search(
            out,
            "keynum",
            &[
                ("keynumidx", Field::Int(i64::from(count_at))),
                ("firstkey", Field::Int(i64::from(first))),
                ("keystep", Field::Int(i64::from(step))),
            ],
        ),
        FindKeys::Unknown => write_search(out, "unknown", &[]),
    }
}

enum Field {
    Int(i64),
    Text(&'static str),
}

fn write_search(out: &mut Out, kind: &str, fields: &[(&str, Field)]) {
    out.map(2);
    out.bulk(b"type");
    out.bulk(kind.as_bytes());
    out.bulk(b"spec");
    out.map(fields.len());
    for (name, value) in fields {
        out.bulk(name.as_bytes());
        match value {
            Field::Int(n) => out.int(*n),
            Field::Text(t) => out.bulk(t.as_bytes()),
        }
    }
}

/// The flags of a key as COMMAND GETKEYSANDFLAGS replies them.
pub(super) fn write_key_flags(flags: KeyFlags, out: &mut Out) {
    write_words(out, flags.names().collect(), true);
}
