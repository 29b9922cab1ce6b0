//! Rules drawn at random: what they allow against a naive twin, and whether their text makes the same users again.

use std::collections::BTreeMap;

use baton_acl::{Defaults, Request, User, Users, check, read_users, user_lines};
use baton_commands::{CommandSpec, Flags, all};
use baton_resp::OwnedArgs;
use proptest::prelude::*;

const CATEGORIES: [&str; 8] = ["read", "write", "hash", "fast", "slow", "dangerous", "admin", "connection"];
const COMMANDS: [&str; 7] = ["get", "hset", "config", "client", "select", "ping", "acl"];
const SUBCOMMANDS: [&str; 4] = ["config|get", "config|set", "client|kill", "acl|list"];

fn command_rule() -> impl Strategy<Value = String> {
    let sign = prop_oneof![Just('+'), Just('-')];
    let what = prop_oneof![
        3 => proptest::sample::select(&CATEGORIES[..]).prop_map(|name| format!("@{name}")),
        4 => proptest::sample::select(&COMMANDS[..]).prop_map(str::to_owned),
        3 => proptest::sample::select(&SUBCOMMANDS[..]).prop_map(str::to_owned),
        1 => Just("@all".to_owned()),
    ];
    (sign, what).prop_map(|(sign, what)| format!("{sign}{what}"))
}

fn other_rule() -> impl Strategy<Value = String> {
    prop_oneof![
        "~[ab*]{0,3}",
        "%(R|W|RW|r)~[ab*]{0,3}",
        "&[ab*]{0,3}",
        "db=[0-9]{1,2}(,[0-9]{1,2}){0,2}",
        proptest::sample::select(
            &["allkeys", "resetkeys", "allchannels", "resetchannels", "alldbs", "resetdbs", "+select|1"][..]
        )
        .prop_map(str::to_owned),
    ]
}

fn selector_rule() -> impl Strategy<Value = String> {
    prop_oneof![command_rule(), other_rule()]
}

fn user_rule() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => selector_rule(),
        2 => proptest::collection::vec(selector_rule(), 0..4).prop_map(|rules| format!("({})", rules.join(" "))),
        1 => proptest::sample::select(&["on", "off", "nopass", "resetpass", ">a", ">b", "<a", "clearselectors", "reset"][..])
            .prop_map(str::to_owned),
    ]
}

fn user_of(rules: &[String]) -> User {
    let mut user = User::new(b"u", Defaults::default());
    for rule in rules {
        let before = user.clone();
        if user.apply(rule.as_bytes(), Defaults::default()).is_err() {
            assert_eq!(user, before, "a refused rule changes nothing: {rule}");
        }
    }
    user
}

/// Every command by its full name, with its subcommands.
fn specs() -> impl Iterator<Item = (&'static CommandSpec, Option<&'static CommandSpec>)> {
    all().iter().flat_map(|c| std::iter::once((c, None)).chain(c.subcommands.iter().map(move |s| (s, Some(c)))))
}

/// What rules about commands allow, by name.
fn naive(rules: &[String]) -> BTreeMap<&'static str, bool> {
    let mut allowed: BTreeMap<&'static str, bool> = specs().map(|(spec, _)| (spec.name, false)).collect();
    for rule in rules {
        let (is_allowed, what) = (rule.starts_with('+'), &rule[1..]);
        for (spec, container) in specs() {
            let is_meant = |spec: &CommandSpec| match what.strip_prefix('@') {
                Some("all") => true,
                Some(category) => spec.categories().names().any(|name| name[1..] == *category),
                None => spec.name == what,
            };
            if is_meant(spec) || container.is_some_and(is_meant) {
                allowed.insert(spec.name, is_allowed);
            }
        }
    }
    allowed
}

proptest! {
    #[test]
    fn commands_are_allowed_as_the_rules_say(rules in proptest::collection::vec(command_rule(), 0..12)) {
        let mut user = user_of(&rules);
        user.apply(b"allkeys", Defaults::default()).unwrap();
        user.apply(b"allchannels", Defaults::default()).unwrap();
        let expected = naive(&rules);
        for (spec, _) in specs() {
            let words: Vec<&str> = spec.name.split('|').chain(["1"; 8]).collect();
            let args = OwnedArgs::from_slices(&words);
            let request = Request { spec, args: args.as_args(), db: 0, databases: 16 };
            let is_free = spec.flags.contains(Flags::NO_AUTH);
            prop_assert_eq!(check(&user, &request).is_ok(), is_free || expected[spec.name], "{} {:?}", spec.name, rules);
        }
    }

    #[test]
    fn the_text_of_a_user_makes_the_same_user_again(rules in proptest::collection::vec(user_rule(), 0..12)) {
        let user = user_of(&rules);
        let mut users = Users::default();
        users.put(user);
        let text = user_lines(&users).collect::<Vec<_>>().join(&b'\n');
        let again = read_users(&text, "f", Defaults::default());
        // Rules that say the same may come to be said in another way.
        let again = again.map_err(|e| TestCaseError::fail(format!("{e}: {}", String::from_utf8_lossy(&text))))?;
        let (one, other) = (users.find(b"u").unwrap(), again.find(b"u").unwrap());
        for (spec, _) in specs() {
            for key in ["a", "b", "ab"] {
                let words: Vec<&str> = spec.name.split('|').chain([key; 8]).collect();
                let args = OwnedArgs::from_slices(&words);
                let request = Request { spec, args: args.as_args(), db: 1, databases: 16 };
                prop_assert_eq!(check(one, &request), check(other, &request), "{} {:?}", spec.name, rules);
            }
        }
    }

    #[test]
    fn any_bytes_are_a_rule_or_refused(rule in proptest::collection::vec(any::<u8>(), 0..40), file in "[ -~\n]{0,200}") {
        let mut user = User::new(b"u", Defaults::default());
        let _ = user.apply(&rule, Defaults::default());
        let _ = read_users(file.as_bytes(), "f", Defaults::default());
    }
}

#[test]
fn a_file_is_refused_with_everything_that_is_wrong_with_it() {
    let text = "user alice on allkeys\n\nusr bob\nuser\nuser bob on +foo ~a +bar\nuser bob on\nuser c ~* ~y xx +foo\n\
                user d on #zz\nuser e (~a +foo )\nuser f (~a\n user  g on\n";
    let error = read_users(text.as_bytes(), "u.acl", Defaults::default()).unwrap_err().to_string();
    assert_eq!(
        error,
        "u.acl:3 should start with user keyword followed by the username. \
         u.acl:4 should start with user keyword followed by the username. \
         u.acl:5: Error in applying operation '+foo': Unknown command or category name in ACL. \
         u.acl:5: Error in applying operation '+bar': Unknown command or category name in ACL. \
         WARNING: Duplicate user 'bob' found on line 6. \
         u.acl:7: Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. \
         Try 'resetkeys' to start with an empty list of patterns. \
         u.acl:7: Error in applying operation '+foo': Unknown command or category name in ACL. \
         u.acl:8: The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters. \
         u.acl:9: Error in applying operation '(~a +foo )': Unknown command or category name in ACL. \
         u.acl:10: Unmatched parenthesis in selector definition. \
         u.acl:11: Syntax error. \
         WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
    );
}
