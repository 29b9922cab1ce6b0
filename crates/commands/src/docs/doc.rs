//! COMMAND DOCS: what a record says about its command, for people and their tools. Never used for parsing.

use baton_resp::{Args, Out};

use super::by_full_name;
use super::info::write_words;
use crate::arg::{Arg, ArgFlags, ArgKind};
use crate::fail::Fail;
use crate::registry;
use crate::spec::{CommandSpec, DocFlags};

/// COMMAND DOCS [name ...]; names that no command has are left out.
pub(crate) fn command_docs(args: Args<'_>, out: &mut Out) -> Result<(), Fail> {
    let specs: Vec<&CommandSpec> = if args.len() == 2 {
        registry::all().iter().collect()
    } else {
        args.skip(2).iter().filter_map(by_full_name).collect()
    };
    out.map(specs.len());
    for spec in specs {
        out.bulk(spec.name.as_bytes());
        write_doc(spec, out);
    }
    Ok(())
}

/// Pairs of which those with an empty text are left out.
struct Texts<'a>(&'a [(&'a str, &'a str)]);

impl Texts<'_> {
    fn count(&self) -> usize {
        self.0.iter().filter(|(_, text)| !text.is_empty()).count()
    }

    fn write(&self, out: &mut Out) {
        for (name, text) in self.0.iter().filter(|(_, text)| !text.is_empty()) {
            out.bulk(name.as_bytes());
            out.bulk(text.as_bytes());
        }
    }
}

fn write_doc(spec: &CommandSpec, out: &mut Out) {
    let head = [
        ("summary", spec.summary),
        ("since", spec.since),
        ("group", spec.group.name()),
        ("complexity", spec.complexity),
    ];
    let (head, tail) = (Texts(&head), [("deprecated_since", spec.deprecated_since), ("replaced_by", spec.replaced_by)]);
    let tail = Texts(&tail);
    let lists =
        [!spec.doc_flags.is_empty(), !spec.history.is_empty(), !spec.args.is_empty(), !spec.subcommands.is_empty()];
    out.map(head.count() + tail.count() + lists.iter().filter(|l| **l).count());
    head.write(out);
    if !spec.doc_flags.is_empty() {
        out.bulk(b"doc_flags");
        let words = [(DocFlags::DEPRECATED, "deprecated"), (DocFlags::SYSCMD, "syscmd")];
        let words = words.iter().filter(|(f, _)| spec.doc_flags.contains(*f));
        write_words(out, words.map(|(_, w)| w.to_string()).collect(), true);
    }
    tail.write(out);
    if !spec.history.is_empty() {
        out.bulk(b"history");
        out.set(spec.history.len());
        for (version, text) in spec.history {
            out.array(2);
            out.bulk(version.as_bytes());
            out.bulk(text.as_bytes());
        }
    }
    if !spec.args.is_empty() {
        out.bulk(b"arguments");
        write_args(spec.args, out);
    }
    if !spec.subcommands.is_empty() {
        out.bulk(b"subcommands");
        out.map(spec.subcommands.len());
        for sub in spec.subcommands {
            out.bulk(sub.name.as_bytes());
            write_doc(sub, out);
        }
    }
}

fn write_args(args: &[Arg], out: &mut Out) {
    out.array(args.len());
    for arg in args {
        write_arg(arg, out);
    }
}

fn write_arg(arg: &Arg, out: &mut Out) {
    // Groups have no name of their own to show.
    let shown = match arg.display {
        "" if arg.args.is_empty() => arg.name,
        display => display,
    };
    let head = [("name", arg.name), ("type", arg.kind.name()), ("display_text", shown)];
    // A word is shown even where it is the empty one.
    let is_word = arg.kind == ArgKind::PureToken || !arg.token.is_empty();
    let tail = [("summary", arg.summary), ("since", arg.since), ("deprecated_since", arg.deprecated_since)];
    let (head, tail) = (Texts(&head), Texts(&tail));
    let more = [arg.key_spec.is_some(), is_word, !arg.flags.is_empty(), !arg.args.is_empty()];
    let more = more.into_iter().filter(|there| *there).count();
    out.map(head.count() + tail.count() + more);
    head.write(out);
    if let Some(spec) = arg.key_spec {
        out.bulk(b"key_spec_index");
        out.int(i64::from(spec));
    }
    if is_word {
        out.bulk(b"token");
        out.bulk(arg.token.as_bytes());
    }
    tail.write(out);
    if !arg.flags.is_empty() {
        out.bulk(b"flags");
        let words = [
            (ArgFlags::OPTIONAL, "optional"),
            (ArgFlags::MULTIPLE, "multiple"),
            (ArgFlags::MULTIPLE_TOKEN, "multiple_token"),
        ];
        let words = words.iter().filter(|(f, _)| arg.flags.contains(*f));
        write_words(out, words.map(|(_, w)| w.to_string()).collect(), true);
    }
    if !arg.args.is_empty() {
        out.bulk(b"arguments");
        write_args(arg.args, out);
    }
}
