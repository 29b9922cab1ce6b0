//! What was found: one entry for each line of the language on which the servers differ, with its first example.

use baton_base::quote;
use baton_cli::Reply;
use std::collections::BTreeMap;
use std::fmt;

/// The first example of one kind of difference, and how often it came.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What differs: a line of the language, or what was compared of the data.
    pub what: String,
    /// How many times it was seen.
    pub times: u64,
    /// Which command of the run, counted from one.
    pub at: u64,
    /// The commands that led there, the newest last.
    pub story: Vec<Vec<Vec<u8>>>,
    /// What the first server says.
    pub a: String,
    /// What the second says.
    pub b: String,
}

/// All that a run found.
#[derive(Debug, Default)]
pub struct Summary {
    /// Commands compared.
    pub commands: u64,
    /// Comparisons of the whole data.
    pub checks: u64,
    /// Keys whose contents were compared in these.
    pub keys: u64,
    /// Values carried from each server to the other by DUMP and RESTORE.
    pub carried: u64,
    /// Events of changed keys compared.
    pub events: u64,
    /// Commands that were left waiting while others were said.
    pub waited: u64,
    /// Replies that were errors, on both sides alike: a language that only meets errors compares little.
    pub errors: u64,
    findings: BTreeMap<String, Finding>,
}

impl Summary {
    /// Notes a difference; `example` is only asked for the first time.
    pub(crate) fn note(&mut self, what: &str, example: impl FnOnce() -> Finding) {
        self.findings.entry(what.to_owned()).or_insert_with(example).times += 1;
    }

    /// The differences, by name.
    pub fn findings(&self) -> impl ExactSizeIterator<Item = &Finding> {
        self.findings.values()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({} times, first at command {})", self.what, self.times, self.at)?;
        for command in &self.story {
            writeln!(f, "    {}", line(command))?;
        }
        writeln!(f, "  first:  {}", self.a)?;
        write!(f, "  second: {}", self.b)
    }
}

/// A reply on one line, cut where nobody reads on.
pub(crate) fn shown(reply: &Reply) -> String {
    const LONGEST: usize = 1_000;
    let mut text = String::new();
    show(reply, &mut text);
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}... ({} characters)", &text[..at], text.len()),
        None => text,
    }
}

fn show(reply: &Reply, out: &mut String) {
    let list = |open: &str, items: &[Reply], out: &mut String| {
        out.push_str(open);
        for (n, item) in items.iter().enumerate() {
            out.push_str(if n > 0 { ", " } else { "" });
            show(item, out);
        }
        out.push(']');
    };
    match reply {
        Reply::Array(items) => list("[", items, out),
        Reply::Set(items) => list("set [", items, out),
        Reply::Map(pairs) => {
            let items: Vec<Reply> = pairs.iter().flat_map(|(k, v)| [k.clone(), v.clone()]).collect();
            list("map [", &items, out);
        }
        Reply::Status(text) => out.push_str(&String::from_utf8_lossy(text)),
        Reply::Bulk(bytes) => out.push_str(&quote::quoted(bytes)),
        other => out.push_str(&format!("{other:?}")),
    }
}

/// A command as one would type it, long words cut.
pub(crate) fn line(command: &[Vec<u8>]) -> String {
    const LONGEST: usize = 60;
    let words = command.iter().map(|word| {
        let plain = !word.is_empty() && word.iter().all(|b| b.is_ascii_graphic());
        match (plain, word.len()) {
            (_, n) if n > LONGEST => format!("<{n} bytes>"),
            (true, _) => String::from_utf8_lossy(word).into_owned(),
            (false, _) => quote::quoted(word),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
