//! What loading needs from the file system, as a trait, and the expansion of wildcards in `include`. The crate itself
//! opens nothing.

use baton_base::glob;
use std::io;

/// Most paths that one pattern may stand for.
const MATCHES_MAX: usize = 4096;

/// The files a configuration is read from.
pub trait Files {
    /// The whole content of a file.
    fn read(&mut self, path: &str) -> io::Result<Vec<u8>>;
    /// Everything on standard input.
    fn read_stdin(&mut self) -> io::Result<Vec<u8>>;
    /// The names in a folder, in any order; empty if it can't be read.
    fn list(&mut self, folder: &str) -> Vec<String>;
    /// The path from the root.
    fn absolute(&self, path: &str) -> String;
}

/// Whether a path is a pattern.
pub(crate) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The existing paths that match a pattern, sorted. A wildcard matches neither a slash nor a leading dot.
pub(crate) fn expanded(files: &mut dyn Files, pattern: &str) -> Vec<String> {
    let (root, relative) = match pattern.strip_prefix('/') {
        Some(rest) => ("/", rest),
        None => ("", pattern),
    };
    let mut paths = vec![root.to_owned()];
    for part in relative.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for base in &paths {
            let folder = if base.is_empty() { "." } else { base.as_str() };
            let separator = if base.is_empty() || base.ends_with('/') { "" } else { "/" };
            if part == "." || part == ".." {
                next.push(format!("{base}{separator}{part}"));
                continue;
            }
            let mut names = files.list(folder);
            names.retain(|name| matches_part(part, name));
            names.sort();
            next.extend(names.iter().map(|name| format!("{base}{separator}{name}")));
        }
        next.truncate(MATCHES_MAX);
        paths = next;
    }
    paths
}

fn matches_part(part: &str, name: &str) -> bool {
    (part.starts_with('.') || !name.starts_with('.')) && glob::matches(part.as_bytes(), name.as_bytes(), false)
}
