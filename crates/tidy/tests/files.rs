//! Every file says what it is for, belongs to a crate's module tree, and stays readable in one sitting.

use baton_tidy::ratchet::{self, Offenders};
use baton_tidy::report;
use baton_tidy::source::Source;
use baton_tidy::workspace::{File, TestFiles, files, root, rust_files};
use std::collections::BTreeMap;
use std::{env, fs};

/// Lines of a file without its test code.
const FILE_LINES_MAX: usize = 600;
/// Lines of a function from its `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn every_file_opens_with_what_it_is_for() {
    let silent: Vec<String> = rust_files()
        .into_iter()
        .filter(|f| !f.text.starts_with("//! ") || f.text.lines().next().is_some_and(|l| l.len() < 20))
        .map(|f| f.path)
        .collect();
    report("Open the file with `//!`: what it is for and what it must never do:", &silent);
}

#[test]
fn no_file_is_forgotten() {
    let files = rust_files();
    let declared: BTreeMap<String, Vec<String>> = files
        .iter()
        .map(|f| (f.path.clone(), Source::new(&f.text).modules().into_iter().map(|(name, _)| name).collect()))
        .collect();
    let forgotten: Vec<String> = files
        .iter()
        .filter_map(|f| parents(&f.path).map(|(name, parents)| (f, name, parents)))
        .filter(|(_, name, parents)| !parents.iter().any(|p| declared.get(p).is_some_and(|d| d.contains(name))))
        .filter(|(f, _, _)| !files.iter().any(|other| names_path(other, &f.path)))
        .map(|(f, name, parents)| format!("{}: no `mod {name};` in {}", f.path, parents.join(" or ")))
        .collect();
    report("A file that no module declares is not compiled:", &forgotten);
}

/// Whether the file declares a module with `#[path]` that lies at this path beside it.
fn names_path(file: &File, path: &str) -> bool {
    let (Some((folder, _)), Some((other, name))) = (file.path.rsplit_once('/'), path.rsplit_once('/')) else {
        return false;
    };
    folder == other && file.text.contains(&format!("#[path = \"{name}\"]"))
}

/// The module's name and the files that may declare it; `None` for the roots of crates, binaries and tests.
fn parents(path: &str) -> Option<(String, Vec<String>)> {
    let (before, inside) = path.split_once("/src/")?;
    let src = format!("{before}/src");
    let mut parts: Vec<&str> = inside.strip_suffix(".rs")?.split('/').collect();
    if parts.last() == Some(&"mod") {
        parts.pop();
    }
    let name = parts.pop()?;
    if parts.is_empty() {
        let is_root = inside == "lib.rs" || inside == "main.rs";
        return (!is_root).then(|| (name.to_owned(), vec![format!("{src}/lib.rs"), format!("{src}/main.rs")]));
    }
    if parts[0] == "bin" {
        return None;
    }
    let folder = format!("{src}/{}", parts.join("/"));
    Some((name.to_owned(), vec![format!("{folder}.rs"), format!("{folder}/mod.rs")]))
}

#[test]
fn files_and_functions_stay_short() {
    let files = files();
    let found = offenders(&files);
    let text = files.iter().find(|f| f.path == ratchet::PATH).map(|f| f.text.as_str()).unwrap_or_default();
    let mut listed = ratchet::parse(text).unwrap_or_else(|bad| panic!("{bad}"));
    if env::var_os("BATON_TIDY_SHRINK").is_some() {
        listed = ratchet::shrunk(&found, &listed);
        fs::write(root().join(ratchet::PATH), ratchet::render(&listed)).expect("the ratchet can be written");
    }
    let rule = format!("At most {FILE_LINES_MAX} lines a file and {FUNCTION_LINES_MAX} a function, test code aside:");
    report(&rule, &ratchet::compare(&found, &listed));
}

/// What is over a limit. Of several functions of one name in a file the later ones are numbered.
fn offenders(files: &[File]) -> Offenders {
    let mut found = Offenders::new();
    let tests = TestFiles::among(files);
    for file in files.iter().filter(|f| f.is_rust() && !tests.contains(&f.path)) {
        let source = Source::new(&file.text);
        let lines = source.lines_outside_tests();
        if lines > FILE_LINES_MAX {
            found.insert(file.path.clone(), lines);
        }
        for function in source.functions().into_iter().filter(|f| f.lines > FUNCTION_LINES_MAX) {
            let key = format!("{} fn {}", file.path, function.name);
            let same = found.keys().filter(|k| **k == key || k.starts_with(&format!("{key}#"))).count();
            found.insert(if same == 0 { key } else { format!("{key}#{}", same + 1) }, function.lines);
        }
    }
    found
}
