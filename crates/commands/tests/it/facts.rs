//! The registry against what the real server says about every command (`COMMAND INFO` and `COMMAND DOCS` of 9.1.2, recorded
//! line by line). Summaries and remarks are our own; everything else has to agree.

use std::collections::BTreeMap;

use baton_commands::{Run, all, by_id, count, find, lookup};
use baton_resp::{Out, OwnedArgs, Proto, Reply, decode};

/// Commands upstream does not have.
const OWN: [&str; 2] = ["client|maint_notifications", "cluster|failovers"];
pub(crate) const GOLDEN: &str = include_str!("golden/commands-9.1.2.txt");

/// Runs a command that needs only the registry.
fn ask(proto: Proto, words: &[&str]) -> Reply {
    let owned = OwnedArgs::from_slices(words);
    let mut out = Out::new(proto);
    let result = match find(owned.as_args()).map(|spec| spec.run) {
        Ok(Run::Registry(run)) => run(owned.as_args(), &mut out),
        Ok(_) => panic!("{words:?} needs more than the registry"),
        Err(fail) => Err(fail),
    };
    if let Err(fail) = result {
        fail.write(&mut out);
    }
    let (reply, used) = decode(&out.buf).expect("well-formed").expect("whole");
    assert_eq!(used, out.buf.len(), "one reply");
    reply
}

fn text(r: &Reply) -> String {
    match r {
        Reply::Int(n) => n.to_string(),
        _ => String::from_utf8_lossy(r.text().unwrap_or_else(|| panic!("{r:?} is no text"))).into_owned(),
    }
}

fn words(r: &Reply) -> String {
    r.items().expect("a list").iter().map(text).collect::<Vec<_>>().join(",")
}

fn field<'a>(r: &'a Reply, name: &str) -> Option<&'a Reply> {
    let Reply::Map(pairs) = r else { panic!("{r:?} is no map") };
    pairs.iter().find(|(k, _)| text(k) == name).map(|(_, v)| v)
}

fn optional(r: &Reply, name: &str, show: fn(&Reply) -> String) -> String {
    field(r, name).map(show).unwrap_or_default()
}

fn search(r: &Reply) -> String {
    let Some(Reply::Map(values)) = field(r, "spec") else { panic!("no spec in {r:?}") };
    let values: Vec<String> = values.iter().map(|(_, v)| text(v)).collect();
    format!("{}({})", optional(r, "type", text), values.join(" "))
}

fn key_spec(r: &Reply) -> String {
    let begin = field(r, "begin_search").map(search).unwrap();
    let find = field(r, "find_keys").map(search).unwrap();
    format!("{begin}{find}:{}", optional(r, "flags", words))
}

fn argument(r: &Reply) -> String {
    let mut out = format!("{}:{}", optional(r, "name", text), optional(r, "type", text));
    let mut add = |mark: &str, name: &str, end: &str, show: fn(&Reply) -> String| {
        if let Some(value) = field(r, name) {
            out += &format!("{mark}{}{end}", show(value));
        }
    };
    let differs = field(r, "display_text").is_some_and(|d| Some(d) != field(r, "name"));
    if differs {
        add("=", "display_text", "", text);
    }
    add("\"", "token", "\"", text);
    add("#", "key_spec_index", "", text);
    add("@", "since", "", text);
    add("!", "deprecated_since", "", text);
    add("/", "flags", "", words);
    add("[", "arguments", "]", arguments);
    out
}

fn arguments(r: &Reply) -> String {
    r.items().expect("a list").iter().map(argument).collect::<Vec<_>>().join(" ")
}

fn versions(r: &Reply) -> String {
    r.items().expect("a list").iter().map(|h| text(&h.items().expect("a pair")[0])).collect::<Vec<_>>().join(",")
}

/// The recorded form of a command, from our own replies.
fn line(info: &Reply, doc: &Reply) -> String {
    let Reply::Array(i) = info else { panic!("{info:?} is no command") };
    let keys: Vec<String> = i[8].items().unwrap().iter().map(key_spec).collect();
    [
        text(&i[0]),
        format!("arity {}", text(&i[1])),
        format!("flags {}", words(&i[2])),
        format!("range {} {} {}", text(&i[3]), text(&i[4]), text(&i[5])),
        format!("acl {}", words(&i[6])),
        format!("tips {}", words(&i[7])),
        format!("keys {}", keys.join(" ")),
        format!("group {}", optional(doc, "group", text)),
        format!("since {}", optional(doc, "since", text)),
        format!("doc_flags {}", optional(doc, "doc_flags", words)),
        format!("deprecated {}", optional(doc, "deprecated_since", text)),
        format!("replaced_by {}", optional(doc, "replaced_by", text)),
        format!("history {}", optional(doc, "history", versions)),
        format!("args {}", optional(doc, "arguments", arguments)),
    ]
    .map(|part| part.trim().to_string())
    .join(" | ")
}

/// Comma-separated sets are compared without their order; lists of subcommands are separate lines anyway.
fn normal(line: &str) -> Vec<String> {
    let sorted = |part: &str| {
        let Some((name, set)) = part.split_once(' ') else { return part.to_string() };
        let mut items: Vec<&str> = set.split(',').collect();
        items.sort_unstable();
        format!("{name} {}", items.join(","))
    };
    let unordered = |p: &str| ["flags ", "acl "].iter().any(|w| p.starts_with(w));
    line.split(" | ").map(|p| if unordered(p) { sorted(p) } else { p.to_string() }).collect()
}

#[test]
fn every_command_is_what_the_real_server_says_it_is() {
    let golden: BTreeMap<&str, &str> = GOLDEN.lines().map(|l| (l.split(" | ").next().expect("a name"), l)).collect();
    for spec in (0..count()).map(|i| by_id(baton_commands::CommandId(i as u16))) {
        let name = spec.name;
        if OWN.contains(&name) {
            assert!(!golden.contains_key(name), "{name} exists there by now");
            continue;
        }
        let info = ask(Proto::V3, &["COMMAND", "INFO", name]);
        let docs = ask(Proto::V3, &["COMMAND", "DOCS", name]);
        let ours = line(&info.items().unwrap()[0], field(&docs, name).unwrap());
        let theirs = golden.get(name).unwrap_or_else(|| panic!("{name} does not exist there"));
        assert_eq!(normal(&ours), normal(theirs), "{name}");
        assert!(!spec.summary.is_empty() && spec.summary.ends_with('.'), "{name} has a summary");
    }
}

#[test]
fn sets_are_listed_in_the_recorded_order() {
    let golden: BTreeMap<&str, Vec<&str>> =
        GOLDEN.lines().map(|l| (l.split(" | ").next().expect("a name"), l.split(" | ").collect())).collect();
    for spec in all() {
        let Some(theirs) = golden.get(spec.name) else { continue };
        let flags: Vec<String> = spec.flags.names().collect();
        assert_eq!(format!("flags {}", flags.join(",")).trim(), theirs[2], "{}", spec.name);
        let acl: Vec<String> = spec.categories().names().collect();
        assert_eq!(format!("acl {}", acl.join(",")), theirs[4], "{}", spec.name);
    }
}

#[test]
fn no_byte_is_mistaken_for_another() {
    for spec in all() {
        for at in 0..spec.name.len() {
            for byte in 0..=255u8 {
                let mut name = spec.name.as_bytes().to_vec();
                name[at] = byte;
                let known = all().iter().find(|s| s.name.as_bytes().eq_ignore_ascii_case(&name));
                assert_eq!(lookup(&name).map(|s| s.name), known.map(|s| s.name), "{name:?}");
            }
        }
    }
}

#[test]
fn names_are_found_in_any_case_and_nothing_else_is() {
    for spec in all() {
        let upper = spec.name.to_ascii_uppercase();
        assert!(std::ptr::eq(lookup(spec.name.as_bytes()).unwrap(), spec));
        assert!(std::ptr::eq(lookup(upper.as_bytes()).unwrap(), spec));
        assert!(std::ptr::eq(by_id(spec.id()), spec));
        for sub in spec.subcommands {
            let upper = sub.short_name().to_ascii_uppercase();
            assert!(std::ptr::eq(spec.subcommand(upper.as_bytes()).unwrap(), sub));
            assert!(std::ptr::eq(by_id(sub.id()), sub));
            assert!(sub.name.starts_with(&format!("{}|", spec.name)));
        }
    }
    for name in ["", "g", "gett", "ge", "lpushes", "object|encoding", "SET\0", &"x".repeat(1000)] {
        assert!(lookup(name.as_bytes()).is_none(), "{name:?}");
    }
}

fn check(request: &str, expected: &str) {
    let request: Vec<&str> = request.split(' ').collect();
    assert_eq!(show(&ask(Proto::V2, &request)), expected, "{request:?}");
}

fn show(r: &Reply) -> String {
    match r {
        Reply::Error(e) => format!("-{}", String::from_utf8_lossy(e)),
        Reply::Null => "nil".into(),
        Reply::Array(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
        other => text(other),
    }
}

#[test]
fn keys_of_requests() {
    check("COMMAND GETKEYS mset a 1 b 2", "[a b]");
    check("COMMAND GETKEYS msetex 2 a 1 b 2", "[a b]");
    check("COMMAND GETKEYS object encoding k", "[k]");
    check("COMMAND GETKEYS watch a b", "[a b]");
    check("COMMAND GETKEYSANDFLAGS set a b", "[[a [OW update]]]");
    check("COMMAND GETKEYSANDFLAGS set a b get", "[[a [RW access update]]]");
    check("COMMAND GETKEYSANDFLAGS set a b ifeq c", "[[a [OW update]]]");
    check("COMMAND GETKEYSANDFLAGS bitfield a overflow wrap get u8 0", "[[a [RO access]]]");
    check("COMMAND GETKEYSANDFLAGS bitfield a get u8 0 overflow wrap set u8 0 1", "[[a [RW access update]]]");
    check("COMMAND GETKEYSANDFLAGS copy a b", "[[a [RO access]] [b [OW update]]]");
    check("COMMAND GETKEYSANDFLAGS lcs a b", "[[a [RO access]] [b [RO access]]]");
    check("COMMAND GETKEYSANDFLAGS memory usage a", "[[a [RO]]]");
    for request in ["eval s 0", "eval s 214 k", "eval s x k", "fcall f -1 k"] {
        check(&format!("COMMAND GETKEYS {request}"), "[]");
    }
    for (request, error) in [
        ("foo", "Invalid command specified"),
        ("object foo", "Invalid command specified"),
        ("get", "Invalid number of arguments specified for command"),
        ("ping", "The command has no key arguments"),
        ("object", "The command has no key arguments"),
        ("spublish a b", "The command has no key arguments"),
        ("command getkeys", "The command has no key arguments"),
        ("msetex 3 a 1 b 2", "Invalid arguments specified for command"),
        ("msetex x a 1 b 2", "Invalid arguments specified for command"),
        ("msetex 0 a 1", "Invalid arguments specified for command"),
    ] {
        check(&format!("COMMAND GETKEYS {request}"), &format!("-ERR {error}"));
    }
}

#[test]
fn listings() {
    check("COMMAND LIST FILTERBY ACLCAT transaction", "[discard exec multi unwatch watch]");
    check(
        "COMMAND LIST FILTERBY PATTERN object*",
        "[object object|encoding object|freq object|help object|idletime object|refcount]",
    );
    check("COMMAND LIST FILTERBY ACLCAT nope", "[]");
    check("COMMAND LIST FILTERBY MODULE x", "[]");
    check("COMMAND LIST FILTERBY x", "-ERR syntax error");
    check("COMMAND LIST x", "-ERR syntax error");
    check("COMMAND INFO nope", "[nil]");
    check("COMMAND DOCS nope", "[]");
    check("COMMAND x", "-ERR unknown subcommand 'x'. Try COMMAND HELP.");
    check("COMMAND COUNT x", "-ERR wrong number of arguments for 'command|count' command");
    check("COMMAND COUNT", &all().len().to_string());
    check("ECHO hello", "hello");
    check("acl cat nope", "-ERR Unknown category 'nope'");
    check("acl cat transaction", "[discard exec multi unwatch watch]");
    let help = show(&ask(Proto::V2, &["OBJECT", "HELP"]));
    assert!(
        help.starts_with("[OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are: ENCODING <key>"),
        "{help}"
    );
    assert!(help.ends_with("HELP     Print this help.]"), "{help}");
}

#[test]
fn unknown_commands_repeat_no_more_than_128_bytes() {
    let find_error = |words: &[&str]| {
        let owned = OwnedArgs::from_slices(words);
        String::from_utf8(find(owned.as_args()).unwrap_err().text().into_owned()).unwrap()
    };
    assert_eq!(find_error(&["foo", "a", "b"]), "ERR unknown command 'foo', with args beginning with: 'a' 'b' ");
    let long = "x".repeat(200);
    let cut = "x".repeat(128);
    let expected = format!("ERR unknown command '{cut}', with args beginning with: '{cut}' ");
    assert_eq!(find_error(&[&long, &long, "z"]), expected);
    let args: Vec<String> = (0..60).map(|i| format!("arg{i}")).collect();
    let words: Vec<&str> = std::iter::once("foo").chain(args.iter().map(String::as_str)).collect();
    assert!(find_error(&words).ends_with(" 'arg16' 'ar' "));
}
