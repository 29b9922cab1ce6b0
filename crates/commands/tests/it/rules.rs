//! What no recording can show: roles, settings, scans over many keys, and where Baton does better on purpose.

use std::collections::BTreeSet;

use crate::runner::Client;
use baton_commands::LazyFree;
use baton_resp::decode;
use baton_store::{AccessRule, Expiry};

/// Runs a line and compares the reply and effects, in transcript form, `|` between them.
fn check(client: &mut Client, line: &str, expected: &str) {
    assert_eq!(client.run_line(line).join(" | ").replace("\\r\\n", " ").replace("  ", " ").trim(), expected, "{line}");
}

#[test]
fn an_option_word_as_a_compared_value_stays() {
    let mut c = Client::new();
    c.run_line("SET k get");
    // The original drops the value here, and its replicas get a command that they can't run.
    check(&mut c, "SET k v IFEQ get GET", "< $3 get | = SET k v IFEQ get");
}

#[test]
fn a_replica_keeps_what_has_passed() {
    for rule in [Expiry::Hide, Expiry::Ignore] {
        let mut c = Client::new();
        c.run_line("SET k v");
        c.expiry = rule;
        check(&mut c, "SET a v PXAT 1", "< +OK | = SET a v PXAT 1");
        check(&mut c, "PEXPIREAT k 1", "< :1 | = PEXPIREAT k 1");
        check(&mut c, "DBSIZE", "< :2");
        let there = u8::from(rule == Expiry::Ignore);
        check(&mut c, "EXISTS k", &format!("< :{there}"));
        check(&mut c, "DBSIZE", "< :2");
    }
}

#[test]
fn deletions_say_del_where_nothing_is_freed_in_the_background() {
    let mut c = Client::new();
    c.env.lazy = LazyFree { expire: false, ..LazyFree::default() };
    c.run_line("SET k v");
    check(&mut c, "EXPIRE k -1", "< :1 | = DEL k");
    c.run_line("SET k v PX 10");
    c.direct("sleep 20");
    check(&mut c, "GET k", "< $-1 | = DEL k");
}

#[test]
fn strings_stay_below_the_configured_length() {
    let mut c = Client::new();
    c.env.bulk_bytes_max = 8;
    c.run_line("SET k 12345678");
    let error = "< -ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    check(&mut c, "APPEND k 9", error);
    check(&mut c, "SETRANGE k 8 9", error);
    check(&mut c, "SETRANGE k 7 9", "< :8 | = SETRANGE k 7 9");
    check(&mut c, "LCS k k", "< -ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
}

#[test]
fn access_times() {
    let mut c = Client::new();
    c.run_line("SET k v");
    c.direct("sleep 10000");
    check(&mut c, "OBJECT IDLETIME k", "< :10");
    check(&mut c, "TYPE k", "< +string");
    check(&mut c, "OBJECT IDLETIME k", "< :10");
    c.touch = false;
    c.run_line("GET k");
    check(&mut c, "OBJECT IDLETIME k", "< :10");
    check(&mut c, "TOUCH k", "< :1");
    check(&mut c, "OBJECT IDLETIME k", "< :0");
    c.direct("sleep 3000");
    c.touch = true;
    c.run_line("GET k");
    check(&mut c, "OBJECT IDLETIME k", "< :0");
    c.env.lfu = true;
    c.store.set_access_rule(AccessRule::Frequency { log_factor: 0, decay_minutes: 1 });
    c.run_line("SET f v");
    check(&mut c, "OBJECT FREQ f", "< :5");
    (0..3).for_each(|_| drop(c.run_line("GET f")));
    check(&mut c, "OBJECT FREQ f", "< :8");
    c.direct("sleep 120000");
    check(&mut c, "OBJECT FREQ f", "< :6");
    let error = c.run_line("OBJECT IDLETIME k").join("");
    assert!(error.starts_with("< -ERR An LFU maxmemory policy is selected, idle time not tracked."), "{error}");
}

#[test]
fn databases_are_not_swapped_in_a_cluster() {
    let mut c = Client::new();
    c.env.cluster = true;
    check(&mut c, "SWAPDB 0 1", "< -ERR SWAPDB is not allowed in cluster mode");
}

/// All names that SCAN gives, however often, until its cursor is 0 again.
fn scan_all(c: &mut Client, options: &str) -> Vec<String> {
    let (mut cursor, mut names) = ("0".to_string(), Vec::new());
    for _ in 0..100_000 {
        let reply = c.reply(&format!("SCAN {cursor} {options}"));
        let (reply, _) = decode(&reply).expect("well-formed").expect("whole");
        let parts = reply.items().expect("cursor and names");
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        cursor = text(parts[0].text().expect("a cursor"));
        names.extend(parts[1].items().expect("names").iter().map(|n| text(n.text().expect("a name"))));
        if cursor == "0" {
            return names;
        }
    }
    panic!("the scan does not end");
}

#[test]
fn a_scan_visits_every_key() {
    let mut c = Client::new();
    for i in 0..2000 {
        c.run_line(&format!("SET key:{i} {i}"));
        c.run_line(&format!("SET {{tag}}{i} {i}"));
    }
    for options in ["", "COUNT 1", "COUNT 1000", "COUNT 9223372036854775807", "TYPE string COUNT 100"] {
        let names = scan_all(&mut c, options);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 4000, "{options}");
    }
    let tagged = scan_all(&mut c, "MATCH {tag}*");
    assert_eq!(tagged.iter().collect::<BTreeSet<_>>().len(), 2000);
    assert!(tagged.iter().all(|n| n.starts_with("{tag}")));
    assert_eq!(scan_all(&mut c, "TYPE list COUNT 100").len(), 0);
    assert_eq!(scan_all(&mut c, "MATCH {none}*").len(), 0);
    let keys = c.reply("KEYS key:1*");
    assert_eq!(decode(&keys).unwrap().unwrap().0.items().unwrap().len(), 1111);
    let keys = c.reply("KEYS {tag}*");
    assert_eq!(decode(&keys).unwrap().unwrap().0.items().unwrap().len(), 2000);
}

#[test]
fn scan_and_randomkey_delete_what_is_due() {
    let mut c = Client::new();
    let prepare = |c: &mut Client| {
        c.run_line("SET a v PX 1");
        c.run_line("SET b v PX 1");
        c.direct("sleep 2");
    };
    prepare(&mut c);
    check(&mut c, "KEYS *", "< *0");
    check(&mut c, "SCAN 0 TYPE list COUNT 100000", "< *2 $1 0 *0");
    check(&mut c, "SCAN 0 MATCH x* COUNT 100000", "< *2 $1 0 *0");
    check(&mut c, "DBSIZE", "< :2");
    let mut effects = c.run_line("SCAN 0 COUNT 100000");
    effects.sort();
    assert_eq!(effects, ["< *2\\r\\n$1\\r\\n0\\r\\n*0\\r\\n", "= UNLINK a", "= UNLINK b"]);
    check(&mut c, "DBSIZE", "< :0");
    prepare(&mut c);
    let mut effects = c.run_line("RANDOMKEY");
    effects.sort();
    assert_eq!(effects, ["< $-1\\r\\n", "= UNLINK a", "= UNLINK b"]);
    prepare(&mut c);
    c.expiry = Expiry::Hide;
    check(&mut c, "SCAN 0 COUNT 100000", "< *2 $1 0 *0");
    check(&mut c, "RANDOMKEY", "< $-1");
    check(&mut c, "DBSIZE", "< :2");
}

#[test]
fn random_keys_are_all_found() {
    let mut c = Client::new();
    c.run_line("MSET a 1 b 2 c 3");
    let seen: BTreeSet<Vec<u8>> = (0..200).map(|_| c.reply("RANDOMKEY")).collect();
    assert_eq!(seen.len(), 3);
}
