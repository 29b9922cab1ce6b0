//! Files, the command line, and the errors of both.

use crate::memory_files::MemoryFiles;
use baton_base::quote::split_words;
use baton_config::{Action, Id, StartError, Started, VERSION, load, parse_command_line};

/// Lines where this server answers something else on purpose; the crate's documentation says why.
const DELIBERATE: [&str; 2] = ["sentinel", "timeout \"1\"x"];

#[test]
fn every_line_is_judged_as_upstream_judges_it() {
    let head =
        format!("\n*** FATAL CONFIG FILE ERROR (Version {VERSION}) ***\nReading the configuration file, at line ");
    let mut checked = 0;
    for line in include_str!("../data/file-9.1.2.txt").lines() {
        let words = split_words(line.as_bytes()).expect("the data file is quoted");
        let [expected, text] = words.as_slice() else { panic!("{line} has two words") };
        if DELIBERATE.iter().any(|d| d.as_bytes() == text) {
            continue;
        }
        let ours = match load(text, &mut MemoryFiles::default()) {
            Ok(_) => "OK".to_owned(),
            Err(error) => error.to_string().replace(&head, "~"),
        };
        assert_eq!(ours, String::from_utf8_lossy(expected), "{line}");
        checked += 1;
    }
    assert!(checked > 600, "{checked}");
}

fn started(args: &[&str], files: &mut MemoryFiles) -> Result<Started, StartError> {
    match parse_command_line(args, files)? {
        Action::Start(started) => Ok(*started),
        other => panic!("{other:?}"),
    }
}

fn shown(args: &[&str], name: &str) -> String {
    let started = started(args, &mut MemoryFiles::default()).unwrap_or_else(|e| panic!("{args:?}: {e}"));
    String::from_utf8(started.loaded.settings.shown(Id::find(name).unwrap().id)).unwrap()
}

#[test]
fn options_set_directives() {
    for (args, name, value) in [
        (&["--save"] as &[&str], "save", ""),
        (&["--save", ""], "save", ""),
        (&["--save", "900", "1"], "save", "900 1"),
        (&["--save", "900 1 300 10"], "save", "900 1 300 10"),
        (&["--save", "900", "1", "--save", "5", "5"], "save", "900 1 5 5"),
        (&["--save", "--save", "5", "5"], "save", "5 5"),
        (&["--save", "--maxmemory", "5"], "maxmemory", "5"),
        (&["--shutdown-on-sigterm", "nosave force", "--hz", "20"], "shutdown-on-sigterm", "nosave force"),
        (&["--shutdown-on-sigterm", "nosave", "force"], "shutdown-on-sigterm", "nosave force"),
        (&["--bind", "127.0.0.1", "-::1"], "bind", "127.0.0.1 -::1"),
        (&["--bind", "--maxmemory", "5"], "bind", "--maxmemory 5"),
        (&["--dbfilename", "a b.rdb"], "dbfilename", "a b.rdb"),
        (&["--dbfilename", "\"q\""], "dbfilename", "\"q\""),
        (&["--dbfilename", "--x", "--maxmemory", "5"], "maxmemory", "5"),
        (&["--port", "7", "--"], "port", "7"),
        (&["--replicaof", "h 1"], "replicaof", "h 1"),
        (&["--replicaof", "no", "one"], "replicaof", ""),
        (&["--io-threads", "3"], "worker-threads", "0"),
        (&["--maxmemory 7mb", "--loglevel debug"], "maxmemory", "7340032"),
        (&["--io-threads-do-reads", "yes"], "io-threads", "1"),
        (&["--lua-time-limit", "6"], "busy-reply-threshold", "6"),
        (&["--hz", "100000"], "hz", "500"),
        (&["--unixsocketperm", "0777"], "unixsocketperm", "777"),
        (&["--slaveof", "h", "0010"], "replicaof", "h 10"),
        (
            &["--client-output-buffer-limit"],
            "client-output-buffer-limit",
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        ),
        (&[""], "port", "6379"),
    ] {
        assert_eq!(shown(args, name), value, "{args:?}");
    }
}

/// The line number, the line and the message of an error, as one text.
fn refusal(args: &[&str], files: &mut MemoryFiles) -> String {
    match started(args, files) {
        Err(StartError::Line { origin, message }) => format!("{}: {}: {message}", origin.line, origin.text),
        Err(other) => other.to_string(),
        Ok(_) => panic!("{args:?} is accepted"),
    }
}

#[test]
fn wrong_options_are_refused_as_upstream_refuses_them() {
    const BAD: &str = "Bad directive or wrong number of arguments";
    const COUNT: &str = "wrong number of arguments";
    for (args, expected) in [
        (&["--port=1"] as &[&str], format!("2: port=1: {BAD}")),
        (&["--port", "1", "--requirepass"], format!("3: requirepass: {COUNT}")),
        (&["--requirepass", "--maxmemory", "5mb"], format!("2: requirepass \"--maxmemory\" \"5mb\": {COUNT}")),
        (&["--port", "1", "maxmemory", "5mb"], format!("2: port \"1\" \"maxmemory\" \"5mb\": {COUNT}")),
        (&["-port", "1"], format!("2: \"-port\" \"1\": {BAD}")),
        (&["-x"], format!("2: \"-x\": {BAD}")),
        (&["--HELP"], format!("2: HELP: {BAD}")),
        (&["--port", "1", "--version"], format!("3: version: {BAD}")),
        (&["--port", "1", "--", "x"], format!("3: \"x\": {BAD}")),
        (&["--port", "1", "--", "--maxmemory", "5"], format!("3: \"--maxmemory\" \"5\": {BAD}")),
        (&["--maxmemory", "-5"], "2: maxmemory \"-5\": argument must be a memory value".to_owned()),
        (&["--save", "5 5", "x"], "2: save \"5 5\" \"x\": Invalid save parameters".to_owned()),
        (&["--maxmemory", "5", "\n6"], format!("2: maxmemory \"5\" \"\\n6\": {COUNT}")),
        (&["", "x"], format!("2: \"x\": {BAD}")),
        (
            &["nosuch.conf"],
            "Fatal error, can't open config file '/w/nosuch.conf': No such file or directory".to_owned(),
        ),
    ] {
        assert_eq!(refusal(args, &mut MemoryFiles::default()), expected, "{args:?}");
    }
}

#[test]
fn lines_are_counted_over_file_input_and_options() {
    let mut files = MemoryFiles::new(&[("/w/a.conf", "port 5\nmaxmemory 2\n"), ("/w/b.conf", "port 5")]);
    assert!(refusal(&["a.conf", "--nosuch", "1"], &mut files).starts_with("4: nosuch \"1\""));
    assert!(refusal(&["b.conf", "--nosuch", "1"], &mut files).starts_with("2: nosuch \"1\""));
    files.stdin = b"port 27\nnosuch x".to_vec();
    assert!(refusal(&["a.conf", "--maxmemory", "1", "-"], &mut files).starts_with("4: nosuch x"));
    files.stdin = b"port 27\n".to_vec();
    assert!(refusal(&["a.conf", "--nosuch", "1", "-"], &mut files).starts_with("5: nosuch \"1\""));
    assert!(refusal(&["--maxmemory", "7mb", "-", "--port", "1"], &mut files).starts_with("2: maxmemory \"7mb\" \"-\""));
    let from_stdin = started(&["-", "--maxmemory", "7mb"], &mut files).unwrap();
    assert!(from_stdin.has_stdin);
    assert_eq!(from_stdin.config_file, None);
    assert_eq!(from_stdin.loaded.settings.port(), 27);
    assert_eq!(from_stdin.loaded.settings.int(Id::MaxMemory), 7 << 20);
    let from_file = started(&["a.conf", "-"], &mut files).unwrap();
    assert_eq!(from_file.config_file.as_deref(), Some("/w/a.conf"));
    assert_eq!(from_file.loaded.settings.port(), 27);
}

#[test]
fn includes_are_read_where_they_stand() {
    let mut files = MemoryFiles::new(&[
        ("/w/main.conf", "maxmemory 1\ninclude sub/*.conf\nport 7\ninclude none*.conf\ninclude /w/h?z.conf"),
        ("/w/sub/b.conf", "maxmemory 3\n"),
        ("/w/sub/a.conf", "maxmemory 2\n"),
        ("/w/sub/.hidden.conf", "nosuch\n"),
        ("/w/hz.conf", "hz 1\n"),
        ("/w/haz.conf", "hz 77\n"),
        ("/w/wrong.conf", "port 1\n\ninclude inner.conf"),
        ("/w/inner.conf", "\n\n\nnosuch y"),
        ("/w/self.conf", "include self.conf"),
        ("/w/missing.conf", "include nosuch.conf"),
    ]);
    let settings = started(&["main.conf"], &mut files).unwrap().loaded.settings;
    assert_eq!((settings.int(Id::MaxMemory), settings.int(Id::Hz)), (3, 77));
    assert_eq!(started(&["s*/?.conf"], &mut files).unwrap().loaded.settings.int(Id::MaxMemory), 3);
    assert_eq!(refusal(&["wrong.conf"], &mut files), "4: nosuch y: Bad directive or wrong number of arguments");
    assert_eq!(refusal(&["self.conf"], &mut files), "1: include self.conf: includes are nested too deeply");
    assert_eq!(
        refusal(&["missing.conf"], &mut files),
        "Fatal error, can't open config file 'nosuch.conf': No such file or directory"
    );
}

#[test]
fn other_things_to_do_than_start() {
    for (args, action) in [
        (&["-v"] as &[&str], Action::Version),
        (&["--version", "x"], Action::Version),
        (&["-h"], Action::Help),
        (&["--help", "x"], Action::Help),
        (&["--check-system"], Action::CheckSystem),
        (&["--test-memory", "5"], Action::TestMemory(Some("5".to_owned()))),
        (&["--test-memory"], Action::TestMemory(None)),
        (&["--test-memory", "1", "2"], Action::TestMemory(None)),
        (&["x.conf", "--sentinel"], Action::Sentinel),
    ] {
        assert_eq!(parse_command_line(args, &mut MemoryFiles::default()).unwrap(), action, "{args:?}");
    }
}

#[test]
fn what_only_files_can_say_is_handed_over() {
    let text = b"rename-command get \"\"\nuser a on\nuser b off ~x\nloadmodule /m.so 1 2\nm.size 5\nslave-priority 3\n";
    let loaded = load(text, &mut MemoryFiles::default()).unwrap();
    assert_eq!(loaded.renames[0].words, [b"get".to_vec(), Vec::new()]);
    assert_eq!(loaded.users.len(), 2);
    assert_eq!(loaded.users[1].origin.line, 3);
    assert_eq!(loaded.modules[0].words.len(), 3);
    assert_eq!(loaded.module_options[0].words, [b"m.size".to_vec(), b"5".to_vec()]);
    let refusal = loaded.refusal(Id::ReplicaPriority, "no").to_string();
    assert!(refusal.ends_with("at line 6\n>>> 'slave-priority 3'\nno\n"), "{refusal}");
    let twice = load(b"user a on\nuser a off", &mut MemoryFiles::default()).unwrap_err().to_string();
    assert!(twice.contains("Error in user declaration 'a': Duplicate user found."), "{twice}");
    let conflict = load(b"cluster-enabled yes\nreplicaof h 1", &mut MemoryFiles::default()).unwrap_err().to_string();
    let head = format!("\n*** FATAL CONFIG FILE ERROR (Version {VERSION}) ***\n");
    assert_eq!(conflict, format!("{head}replicaof directive not allowed in cluster mode\n"));
}

#[test]
fn nothing_is_ignored_silently() {
    let text = b"activedefrag yes\ndynamic-hz no\nactiverehashing yes\ntimeout 5\ntls-port 7\n";
    let notes = load(text, &mut MemoryFiles::default()).unwrap().notes;
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(notes[0].contains("'dynamic-hz' is deprecated"));
    assert!(notes[1].contains("'activedefrag' is accepted but has no effect"));
    assert!(notes[2].contains("'tls-port' is accepted but has no effect"));
}
