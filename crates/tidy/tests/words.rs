//! Words that must not be left in the project: markers of unfinished work, and words that tie it to the place where it
//! was written rather than to itself.

use baton_tidy::report;
use baton_tidy::source::is_word;
use baton_tidy::workspace::{File, files};

/// Put together here, so that this file does not find itself.
const MARKERS: [&str; 4] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

/// Phrases of a workplace, in lower case. A trailing blank or sign is part of the phrase.
const PHRASES: [&str; 13] = [
    concat!("this ses", "sion"),
    concat!("issue", " #"),
    concat!("helper", "-"),
    concat!("ag", "ent"),
    concat!("ag", "ents"),
    concat!("/wo", "rk/"),
    concat!("/tmp/", "bin"),
    concat!("/tmp/", "brief"),
    concat!("/home", "/"),
    concat!("/root", "/"),
    concat!("registry", ".npmjs"),
    concat!("index", ".crates.io"),
    concat!("pypi", ".org"),
];

/// Files whose words are not ours: the licence, and what tools write.
const FOREIGN: [&str; 2] = ["LICENSE", "Cargo.lock"];

fn own_files() -> Vec<File> {
    files().into_iter().filter(|f| !FOREIGN.contains(&f.path.as_str())).collect()
}

#[test]
fn no_markers_of_unfinished_work() {
    let mut found = Vec::new();
    for file in own_files() {
        for (number, line) in file.text.lines().enumerate() {
            for marker in MARKERS.iter().filter(|m| has_word(line, m)) {
                found.push(format!("{}:{}: {marker}", file.path, number + 1));
            }
        }
    }
    report("Do it now, or write it where plans are kept:", &found);
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let mut found = Vec::new();
    for file in own_files() {
        for (number, line) in file.text.lines().enumerate() {
            let line = line.to_lowercase();
            for phrase in PHRASES.iter().filter(|p| has_word(&line, p)).copied().chain(numbered_issue(&line)) {
                found.push(format!("{}:{}: \"{phrase}\"", file.path, number + 1));
            }
        }
    }
    report("Say it without the workplace:", &found);
}

/// Whether the phrase stands there; word boundaries count at its ends that are letters.
fn has_word(line: &str, phrase: &str) -> bool {
    let bounded = |at: usize| {
        let ends_in_letter = phrase.ends_with(char::is_alphanumeric);
        let starts_with_letter = phrase.starts_with(char::is_alphanumeric);
        let whole = is_word(line, at, phrase.len());
        whole || (!ends_in_letter && (!starts_with_letter || is_word(line, at, 0)))
    };
    line.match_indices(phrase).any(|(at, _)| bounded(at))
}

/// "issue" with a number after it refers to a tracker that readers may not have.
fn numbered_issue(line: &str) -> Option<&'static str> {
    let word = concat!("issue", " ");
    let numbered = |at: usize| line[at + word.len()..].starts_with(|c: char| c.is_ascii_digit());
    line.match_indices(word).any(|(at, _)| numbered(at)).then_some(concat!("issue", " N"))
}

#[test]
fn no_hosted_ci_is_assumed() {
    let hosted: Vec<String> = files().into_iter().map(|f| f.path).filter(|p| p.starts_with(".github/")).collect();
    report("The check is scripts/test, wherever it is started from:", &hosted);
}
