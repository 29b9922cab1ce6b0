//! Replays what Valkey 9.1.2 answered to thousands of CONFIG SET, in order, on one `Settings`. Each line of the data
//! file: the reply, what CONFIG GET showed afterwards for the first name, and the arguments.

use crate::memory_files::MemoryFiles;
use baton_base::quote::split_words;
use baton_config::{Id, SetContext, SetError, Settings, load, rewrite};

/// Lines where this server answers something else on purpose; the crate's documentation says why.
fn is_deliberate_difference(name: &str, value: &str) -> bool {
    let overflow_of_32_bits = ["save", "client-output-buffer-limit"].contains(&name) && value.contains("99999999999");
    let all_and_new = name == "notify-keyspace-events" && value.contains('A') && value.contains('n');
    let all_spelled_out = name == "notify-keyspace-events" && value == "KEg$lshzxetdn";
    overflow_of_32_bits || all_and_new || all_spelled_out
}

#[test]
fn every_reply_is_upstreams() {
    let context = SetContext { client_is_local: true, is_loading: false };
    let mut settings =
        load(b"save \"\"\nenable-protected-configs yes\n", &mut MemoryFiles::default()).unwrap().settings;
    let mut checked = 0;
    for (number, line) in include_str!("../data/set-9.1.2.txt").lines().enumerate() {
        let words = split_words(line.as_bytes()).expect("the data file is quoted");
        let [reply, shown, arguments @ ..] = words.as_slice() else { panic!("line {number} is short") };
        let pairs: Vec<(&[u8], &[u8])> = arguments.chunks(2).map(|p| (p[0].as_slice(), p[1].as_slice())).collect();
        let outcome = settings.set_runtime(&pairs, context).map(|_| ());
        let ours = outcome.map_or_else(|e| shortened(&e), |()| "+OK".to_owned());
        let name = String::from_utf8_lossy(pairs[0].0);
        if is_deliberate_difference(&name, &String::from_utf8_lossy(pairs[0].1)) {
            continue;
        }
        assert_eq!(ours, String::from_utf8_lossy(reply), "line {}: {line}", number + 1);
        let found = settings.get_matching(&[pairs[0].0]);
        let value = found.first().map(|(_, value)| value.clone()).unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&value), String::from_utf8_lossy(shown), "line {}: {line}", number + 1);
        checked += 1;
    }
    assert!(checked > 1500, "{checked}");
}

/// The error as the data file abbreviates it.
fn shortened(error: &SetError) -> String {
    match error {
        SetError::Argument { name, reason } => format!("~{name}: {reason}"),
        other => format!("-{other}"),
    }
}

#[test]
fn an_error_shows_as_the_whole_reply() {
    let mut settings = Settings::default();
    let mut set = |pairs: &[(&str, &str)], is_loading| {
        let context = SetContext { client_is_local: false, is_loading };
        settings.set_runtime(pairs, context).unwrap_err().to_string()
    };
    let failed = "ERR CONFIG SET failed (possibly related to argument";
    assert_eq!(
        set(&[("timeout", "x")], false),
        format!("{failed} 'timeout') - argument couldn't be parsed into an integer")
    );
    assert_eq!(set(&[("dir", "/tmp")], false), format!("{failed} 'dir') - can't set protected config"));
    assert_eq!(set(&[("databases", "4")], false), format!("{failed} 'databases') - can't set immutable config"));
    assert_eq!(set(&[("nosuch", "4")], false), "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'");
    assert_eq!(set(&[("appendonly", "yes")], true), "LOADING Valkey is loading the dataset in memory");
    assert_eq!(
        set(&[("timeout", "1"), ("hz", "-1")], false),
        format!("{failed} 'hz') - argument must be between 0 and 2147483647 inclusive")
    );
    assert_eq!(settings, Settings::default(), "a refused CONFIG SET changes nothing");
}

#[test]
fn only_what_differs_is_listed_as_changed() {
    let mut settings = Settings::default();
    let pairs = [("timeout", "0"), ("Slave-Priority", "7"), ("maxmemory", "1mb"), ("activedefrag", "yes")];
    let changed = settings.set_runtime(&pairs, SetContext::default()).unwrap();
    let names: Vec<&str> = changed.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["Slave-Priority", "maxmemory", "activedefrag"]);
    assert_eq!(changed[0].note, None);
    assert!(changed[2].note.as_ref().unwrap().contains("'activedefrag' is accepted but has no effect"));
}

/// Nobody who says five seconds means none, although that is what the default shows.
#[test]
fn a_delay_that_was_set_to_its_default_is_told_from_the_default() {
    let (name, id) = ("repl-diskless-sync-delay", Id::ReplDisklessSyncDelay);
    let mut settings = Settings::default();
    assert!(!settings.is_given(id) && settings.uint(id) == 5);
    settings.set_runtime(&[(name, "5")], SetContext::default()).unwrap();
    assert!(settings.is_given(id) && settings.uint(id) == 5);
    let text = rewrite(None, &settings);
    assert!(String::from_utf8_lossy(&text).contains("repl-diskless-sync-delay 5\n"));
    let loaded = load(&text, &mut MemoryFiles::default()).unwrap().settings;
    assert!(loaded.is_given(id), "a restart waits, too");
}

#[test]
fn names_are_shown_as_upstream_shows_them() {
    let settings = Settings::default();
    let names = |patterns: &[&str]| -> Vec<String> {
        settings.get_matching(patterns).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(&["slave-p*", "*-priority", "nosuch"]), ["replica-priority", "slave-priority"]);
    assert_eq!(names(&["SLAVEOF"]), ["SLAVEOF"]);
    assert_eq!(names(&["slaveof", "replicaof", "SLAVEOF"]), ["replicaof", "slaveof"]);
    assert_eq!(names(&["port", "PORT", "p*rt"]), ["port"]);
    assert_eq!(names(&["lua-enable-insecure-ap?"]), Vec::<String>::new());
    assert_eq!(names(&["lua-enable-insecure-api", "[p]ort", "watchdog-period"]).len(), 3);
}

#[test]
fn a_fixed_directive_of_our_own_may_be_told_what_it_is() {
    let context = SetContext { client_is_local: true, is_loading: false };
    let mut settings = Settings::default();
    assert_eq!(settings.set_runtime(&[("cluster-witness", "no"), ("worker-threads", "0")], context), Ok(Vec::new()));
    let refused = settings.set_runtime(&[("cluster-witness", "yes")], context).unwrap_err().to_string();
    assert!(refused.ends_with("can't set immutable config"), "{refused}");
    assert!(settings.set_runtime(&[("daemonize", "no")], context).is_err(), "upstream's never may");
}
