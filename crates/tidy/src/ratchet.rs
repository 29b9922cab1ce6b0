//! The list of what is over a size limit and how far: it may only shrink. A new offender, a grown one, and one that has
//! shrunk without the list following are all findings.

use std::collections::BTreeMap;

/// What is over a limit: its key in the list and its size in lines.
pub type Offenders = BTreeMap<String, usize>;

/// Where the list lies, from the root.
pub const PATH: &str = "crates/tidy/ratchet.txt";

/// Reads the list: `<size> <key>` a line, `#` for comments.
///
/// # Errors
/// The first line that cannot be read.
pub fn parse(text: &str) -> Result<Offenders, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (size, key) = line.split_once(' ').ok_or(format!("{PATH}: bad line: {line}"))?;
            let size = size.parse().map_err(|_| format!("{PATH}: bad size: {line}"))?;
            Ok((key.to_owned(), size))
        })
        .collect()
}

/// Compares what is with what is listed.
pub fn compare(found: &Offenders, listed: &Offenders) -> Vec<String> {
    let mut findings = Vec::new();
    for (key, &size) in found {
        match listed.get(key) {
            None => findings.push(format!("{key}: {size} lines: split it by responsibility")),
            Some(&allowed) if size > allowed => {
                findings.push(format!("{key}: grew from {allowed} to {size} lines: split it instead"));
            }
            Some(&allowed) if size < allowed => {
                findings.push(format!("{key}: shrank from {allowed} to {size} lines: write that into {PATH}"));
            }
            Some(_) => {}
        }
    }
    for key in listed.keys().filter(|key| !found.contains_key(*key)) {
        findings.push(format!("{key}: within its limit now: take it out of {PATH}"));
    }
    findings
}

/// The list after everything that shrank has been written down; what is new or has grown stays as listed.
pub fn shrunk(found: &Offenders, listed: &Offenders) -> Offenders {
    listed.iter().filter_map(|(key, &allowed)| Some((key.clone(), allowed.min(*found.get(key)?)))).collect()
}

/// The list as text, with the head that explains it.
pub fn render(offenders: &Offenders) -> String {
    let mut out = String::from(
        "# What is over a size limit, with its lines: files over 600, functions over 70, test code aside.\n\
         # This list may only shrink: BATON_TIDY_SHRINK=1 cargo test -p baton-tidy writes down what shrank.\n",
    );
    for (key, size) in offenders {
        out.push_str(&format!("{size} {key}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(&str, usize)]) -> Offenders {
        entries.iter().map(|(key, size)| ((*key).to_owned(), *size)).collect()
    }

    #[test]
    fn only_shrinking_is_allowed() {
        let listed = list(&[("same", 80), ("grown", 80), ("shrunk", 80), ("gone", 80)]);
        let found = list(&[("same", 80), ("grown", 81), ("shrunk", 79), ("new", 71)]);
        let findings = compare(&found, &listed).join("\n");
        for word in ["grown: grew", "shrunk: shrank", "gone: within", "new: 71"] {
            assert!(findings.contains(word), "{word} in {findings}");
        }
        assert!(!findings.contains("same"));
        let after = shrunk(&found, &listed);
        assert_eq!(after, list(&[("same", 80), ("grown", 80), ("shrunk", 79)]));
        assert_eq!(parse(&render(&after)), Ok(after));
    }
}
