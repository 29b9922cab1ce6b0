//! The first line of a script, `#!engine name=value ...`: which language it is in, and what it says about itself. Never
//! looks behind that line.

use baton_base::quote::split_words;
use bitflags::bitflags;

bitflags! {
    /// What a script says about itself.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ScriptFlags: u8 {
        /// It writes nothing: it may run where writes are refused.
        const NO_WRITES = 1;
        /// It may run while memory is above the limit.
        const ALLOW_OOM = 1 << 1;
        /// It may run on a replica whose data are stale.
        const ALLOW_STALE = 1 << 2;
        /// It refuses to run in a cluster.
        const NO_CLUSTER = 1 << 3;
        /// It may reach keys of several slots in a cluster.
        const ALLOW_CROSS_SLOT_KEYS = 1 << 4;
    }
}

impl ScriptFlags {
    /// The flag of this name.
    pub fn of_name(name: &[u8]) -> Option<ScriptFlags> {
        Some(match name {
            b"no-writes" => ScriptFlags::NO_WRITES,
            b"allow-oom" => ScriptFlags::ALLOW_OOM,
            b"allow-stale" => ScriptFlags::ALLOW_STALE,
            b"no-cluster" => ScriptFlags::NO_CLUSTER,
            b"allow-cross-slot-keys" => ScriptFlags::ALLOW_CROSS_SLOT_KEYS,
            _ => return None,
        })
    }

    /// The names of the flags, in their order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        [
            (ScriptFlags::NO_WRITES, "no-writes"),
            (ScriptFlags::ALLOW_OOM, "allow-oom"),
            (ScriptFlags::ALLOW_STALE, "allow-stale"),
            (ScriptFlags::NO_CLUSTER, "no-cluster"),
            (ScriptFlags::ALLOW_CROSS_SLOT_KEYS, "allow-cross-slot-keys"),
        ]
        .into_iter()
        .filter(move |(flag, _)| self.contains(*flag))
        .map(|(_, name)| name)
    }
}

/// The parts of a first line that begins with `#!`, and where it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) engine: Vec<u8>,
    pub(crate) options: Vec<Vec<u8>>,
    /// What follows, from the line's own end on, so that lines keep their numbers.
    pub(crate) body: &'a [u8],
}

/// Reads the first line, whose words may be in quotes; none if the text has none that begins with `#!`.
///
/// # Errors
/// The text of the refusal, if that line or a quoted word of it does not end.
pub(crate) fn first_line(source: &[u8]) -> Result<Option<Line<'_>>, Vec<u8>> {
    if !source.starts_with(b"#!") {
        return Ok(None);
    }
    let Some(end) = source.iter().position(|b| *b == b'\n') else {
        return Err(b"Invalid script shebang".to_vec());
    };
    let words = split_words(&source[..end]).ok_or_else(|| b"Invalid engine in script shebang".to_vec())?;
    let mut words = words.into_iter();
    let engine = words.next().map(|word| word.get(2..).unwrap_or_default().to_vec()).unwrap_or_default();
    Ok(Some(Line { engine, options: words.collect(), body: &source[end..] }))
}

/// What the first line of a script for EVAL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its flags; none if it has no such line: then it may do what the caller may.
    pub flags: Option<ScriptFlags>,
    /// The source without that line.
    pub body: &'a [u8],
}

/// Reads the first line of a script for EVAL.
///
/// # Errors
/// The text of the refusal without its code.
pub fn parse_header(source: &[u8]) -> Result<Header<'_>, Vec<u8>> {
    let Some(line) = first_line(source)? else { return Ok(Header { flags: None, body: source }) };
    if !line.engine.eq_ignore_ascii_case(b"lua") {
        return Err([b"Could not find scripting engine '".as_slice(), &line.engine, b"'"].concat());
    }
    let mut flags = ScriptFlags::default();
    for option in &line.options {
        let Some(names) = option.strip_prefix(b"flags=") else {
            return Err([b"Unknown lua shebang option: ".as_slice(), option].concat());
        };
        for name in names.split(|b| *b == b',').filter(|name| !name.is_empty()) {
            let Some(flag) = ScriptFlags::of_name(name) else {
                return Err([b"Unexpected flag in script shebang: ".as_slice(), name].concat());
            };
            flags |= flag;
        }
    }
    Ok(Header { flags: Some(flags), body: line.body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_what_a_script_is() {
        let plain = parse_header(b"return 1").unwrap();
        assert_eq!((plain.flags, plain.body), (None, &b"return 1"[..]));
        let marked = parse_header(b"#!lua flags=no-writes,allow-oom\nreturn 1").unwrap();
        assert_eq!(marked.flags, Some(ScriptFlags::NO_WRITES | ScriptFlags::ALLOW_OOM));
        assert_eq!(marked.body, b"\nreturn 1");
        assert_eq!(parse_header(b"#!lua flags=\"no-writes\"\n1").unwrap().flags, Some(ScriptFlags::NO_WRITES));
        assert_eq!(parse_header(b"#!lua\n1").unwrap().flags, Some(ScriptFlags::empty()));
        for wrong in
            [&b"#!lua"[..], b"#!not-lua\n", b"#!lua name=x\n", b"#!lua flags=none\n", b"#! flags=\n", b"#!lua \"\n"]
        {
            assert!(parse_header(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }
}
