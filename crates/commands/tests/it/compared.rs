//! Every command on keys is said to a real server and to ours by the differential test, or is left out for a reason.

use std::collections::BTreeSet;

use baton_commands::all;

const LANGUAGE: &str = include_str!("../../../differ/src/commands.txt");
/// What the language has no line for, and why.
const LEFT_OUT: [(&str, &str); 10] = [
    ("eval", "any line may be said so"),
    ("eval_ro", "any line may be said so"),
    ("evalsha", "any line may be said so"),
    ("evalsha_ro", "needs a digest, and runs what eval_ro runs"),
    ("fcall", "any line may be said so"),
    ("fcall_ro", "any line may be said so"),
    ("memory|usage", "values lie otherwise in memory"),
    ("migrate", "needs a third server; what it carries goes by DUMP and RESTORE"),
    ("restore-asking", "RESTORE in a cluster"),
    ("watch", "said before transactions"),
];

/// The words of every line, without its rule.
fn lines() -> impl Iterator<Item = Vec<&'static str>> {
    let is_line = |line: &&str| !line.is_empty() && !line.starts_with('#');
    LANGUAGE.lines().filter(is_line).map(|line| line.split([' ', '(', ')', '|']).skip(1).collect())
}

#[test]
fn every_command_on_keys_is_compared_with_a_real_server() {
    let is_said = |name: &str| {
        let (command, sub) = name.split_once('|').unwrap_or((name, ""));
        let says = |word: &&str, name: &str| word.eq_ignore_ascii_case(name);
        lines().any(|words| says(&words[0], command) && (sub.is_empty() || words.iter().any(|word| says(word, sub))))
    };
    let all_names = all().iter().flat_map(|spec| spec.subcommands.iter().chain([spec]));
    let named: BTreeSet<&str> = all_names.filter(|spec| spec.has_keys()).map(|spec| spec.name).collect();
    let left_out: BTreeSet<&str> = LEFT_OUT.iter().map(|(name, _)| *name).collect();
    let unsaid: BTreeSet<&str> = named.iter().copied().filter(|name| !is_said(name)).collect();
    assert_eq!(unsaid, left_out);
}
