//! Compares every default with what Valkey 9.1.2 showed for CONFIG GET.

use baton_config::{Id, Settings};
use std::collections::BTreeMap;

/// Directives upstream does not have.
const OWN: [&str; 12] = [
    "worker-threads",
    "handover-on-shutdown",
    "cluster-detect-refusals",
    "cluster-detect-silence",
    "cluster-restart-wait",
    "cluster-witness",
    "cluster-write-lease",
    "write-ack-replicas",
    "write-ack-timeout",
    "metrics-port",
    "metrics-bind",
    "busy-reply-to-all",
];

#[test]
fn every_default_is_upstreams() {
    let settings = Settings::default();
    let mut visible = BTreeMap::new();
    for line in include_str!("../data/defaults-9.1.2.txt").lines() {
        let (line, hidden) = match line.strip_prefix("hidden ") {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        let directive = Id::find(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(directive.flags.hidden, hidden, "{name}");
        assert_eq!(String::from_utf8_lossy(&settings.shown(directive.id)), value, "{name}");
        if !hidden {
            visible.insert(name.to_owned(), value.as_bytes().to_vec());
        }
    }
    let mut shown: BTreeMap<_, _> = settings.get_matching(&["*"]).into_iter().collect();
    for own in OWN {
        assert!(shown.remove(own).is_some(), "{own}");
    }
    assert_eq!(shown, visible);
}
