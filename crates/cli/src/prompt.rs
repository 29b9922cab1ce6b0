//! The prompt: reads lines with editing and history, prints replies, keeps going whatever the server does.

use crate::options::Options;
use crate::run::Printer;
use crate::session::Session;
use crate::subscribe;
use crate::{Error, Reply};
use baton_base::quote::split_words;
use rustyline::DefaultEditor;
use rustyline::config::Config;
use rustyline::error::ReadlineError;
use std::env;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

/// Lines kept in the history file.
const HISTORY_LINES_MAX: usize = 1000;
/// Replies that took longer than this are printed with the time they took.
const SLOW_SECONDS: f64 = 0.5;

const HELP: &str = "\
Type a command and its arguments, with quotes around what has blanks: set greeting \"good morning\"
  help <command>   what the server says about a command
  connect <host> <port>
  clear            clear the screen
  quit, exit       leave (also Ctrl-D)
History is kept in ~/.baton_cli_history; lines with passwords are not.
";

/// Runs until the person leaves. True if it ended well.
pub(crate) fn run(options: &Options, printer: &mut Printer<'_>) -> io::Result<bool> {
    let config = Config::builder().max_history_size(HISTORY_LINES_MAX).map_err(io::Error::other)?.build();
    let mut editor = DefaultEditor::with_config(config).map_err(io::Error::other)?;
    let history = env::home_dir().map(|home| home.join(".baton_cli_history"));
    if let Some(path) = &history {
        // There is none before the first time, and a history that cannot be read must not keep anybody from working.
        drop(editor.load_history(path));
    }
    let mut session = Session::new(options);
    if let Err(error) = session.connect() {
        printer.failure(&error)?;
    }
    loop {
        let line = match editor.readline(&session.prompt()) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => return Ok(true),
            Err(error) => return Err(io::Error::other(error)),
        };
        let Some(words) = split_words(line.as_bytes()) else {
            writeln!(printer.out, "Invalid argument(s)")?;
            continue;
        };
        if words.is_empty() {
            continue;
        }
        remember(&mut editor, history.as_ref(), &line, &words);
        match words[0].to_ascii_lowercase().as_slice() {
            b"quit" | b"exit" => return Ok(true),
            b"clear" if words.len() == 1 => editor.clear_screen().map_err(io::Error::other)?,
            b"help" | b"?" => help(&mut session, &words[1..], printer)?,
            b"connect" if words.len() == 3 => connect(&mut session, &words, printer)?,
            _ => execute(&mut session, &words, printer)?,
        }
    }
}

fn remember(editor: &mut DefaultEditor, history: Option<&PathBuf>, line: &str, words: &[Vec<u8>]) {
    if names_password(words) {
        return;
    }
    // A history that cannot be kept is no reason to stop.
    drop(editor.add_history_entry(line));
    if let Some(path) = history {
        drop(editor.save_history(path));
    }
}

/// Whether the line may hold a password, and so must not be written to a file.
fn names_password(words: &[Vec<u8>]) -> bool {
    let is = |i: usize, word: &str| words.get(i).is_some_and(|w| w.eq_ignore_ascii_case(word.as_bytes()));
    let any = |names: &[&str]| words.iter().any(|w| names.iter().any(|n| w.eq_ignore_ascii_case(n.as_bytes())));
    is(0, "auth")
        || (is(0, "acl") && is(1, "setuser"))
        || (is(0, "config") && is(1, "set") && any(&["requirepass", "primaryauth", "masterauth", "tls-key-file-pass"]))
        || (is(0, "hello") && any(&["auth"]))
        || (is(0, "migrate") && any(&["auth", "auth2"]))
        || (is(0, "sentinel") && any(&["auth-pass", "sentinel-pass"]))
}

fn connect(session: &mut Session, words: &[Vec<u8>], printer: &mut Printer<'_>) -> io::Result<()> {
    let endpoint = std::str::from_utf8(&words[1])
        .ok()
        .zip(std::str::from_utf8(&words[2]).ok().and_then(|port| port.parse().ok()))
        .map(|(host, port)| crate::Endpoint::tcp(host, port));
    let Some(endpoint) = endpoint else { return writeln!(printer.out, "Invalid host or port") };
    session.turn_to(endpoint);
    match session.connect() {
        Ok(_) => Ok(()),
        Err(error) => printer.failure(&error),
    }
}

fn execute(session: &mut Session, words: &[Vec<u8>], printer: &mut Printer<'_>) -> io::Result<()> {
    if subscribe::starts_stream(words) {
        return stream(session, words, printer);
    }
    let started = Instant::now();
    match session.execute(words) {
        Ok(answer) => {
            for redirect in &answer.redirects {
                printer.redirect(redirect)?;
            }
            for push in &answer.pushes {
                printer.reply(words, push)?;
            }
            printer.reply(words, &answer.reply)?;
            let seconds = started.elapsed().as_secs_f64();
            if seconds >= SLOW_SECONDS { writeln!(printer.out, "({seconds:.2}s)") } else { Ok(()) }
        }
        Err(Error::Closed) if words[0].eq_ignore_ascii_case(b"shutdown") => Ok(()),
        Err(error) => {
            printer.failure(&error)?;
            if matches!(error, Error::Closed | Error::Io(_)) {
                writeln!(printer.err, "Whether the command was executed is unknown. The next one connects again.")?;
            }
            Ok(())
        }
    }
}

fn stream(session: &mut Session, words: &[Vec<u8>], printer: &mut Printer<'_>) -> io::Result<()> {
    writeln!(printer.out, "Reading messages... (press Enter to go back to the prompt, Ctrl-C to leave)")?;
    let mut written = Ok(());
    let result = session.connect().and_then(|connection| {
        subscribe::stream(connection, words, true, |message| {
            if written.is_ok() {
                written = printer.reply(words, message);
            }
        })
    });
    session.disconnect();
    written?;
    if let Err(error @ (Error::Connect { .. } | Error::Login { .. })) = result {
        printer.failure(&error)?;
    }
    // The prompt shows whether the server is there.
    drop(session.connect());
    Ok(())
}

/// What the server says about a command, or about this prompt if none is named.
fn help(session: &mut Session, names: &[Vec<u8>], printer: &mut Printer<'_>) -> io::Result<()> {
    let Some(name) = names.first() else { return printer.out.write_all(HELP.as_bytes()) };
    let question = [b"COMMAND".to_vec(), b"DOCS".to_vec(), name.clone()];
    match session.execute(&question) {
        Ok(answer) => {
            let facts = facts(&answer.reply);
            if facts.is_empty() {
                writeln!(printer.out, "The server knows nothing about it.")?;
            }
            for (fact, text) in facts {
                writeln!(printer.out, "  {fact}: {text}")?;
            }
            Ok(())
        }
        Err(error) => printer.failure(&error),
    }
}

/// The textual facts of a `COMMAND DOCS` reply: pairs in a list or a map, depending on the protocol.
fn facts(reply: &Reply) -> Vec<(String, String)> {
    let entry = match reply {
        Reply::Map(pairs) => pairs.first().map(|(_, value)| value),
        Reply::Array(items) => items.get(1),
        _ => None,
    };
    let pairs: Vec<(&Reply, &Reply)> = match entry {
        Some(Reply::Map(pairs)) => pairs.iter().map(|(k, v)| (k, v)).collect(),
        Some(Reply::Array(items)) => items.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect(),
        _ => Vec::new(),
    };
    pairs.into_iter().filter_map(|(fact, text)| Some((fact.to_text()?, text.to_text()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_passwords_stay_out_of_the_history() {
        let names = |line: &str| names_password(&split_words(line.as_bytes()).unwrap());
        for secret in ["AUTH x", "auth u x", "acl setuser u >x", "config set a b REQUIREPASS x", "hello 3 auth u p"] {
            assert!(names(secret), "{secret}");
        }
        for open in ["get auth", "config get requirepass", "hello 3", "acl list"] {
            assert!(!names(open), "{open}");
        }
    }

    #[test]
    fn facts_are_read_in_both_protocols() {
        let bulk = |s: &str| Reply::Bulk(s.into());
        let flat = Reply::Array(vec![
            bulk("get"),
            Reply::Array(vec![bulk("summary"), bulk("Reads."), bulk("arguments"), Reply::Array(vec![])]),
        ]);
        let map = Reply::Map(vec![(bulk("get"), Reply::Map(vec![(bulk("summary"), bulk("Reads."))]))]);
        for reply in [flat, map] {
            assert_eq!(facts(&reply), [("summary".to_owned(), "Reads.".to_owned())]);
        }
        assert_eq!(facts(&Reply::Array(vec![])), []);
    }
}
