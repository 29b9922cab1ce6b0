//! `baton cli`: one command, or one per input line, or the prompt. The only place of this crate, with the prompt, that
//! prints.

use crate::format;
use crate::options::{HELP, Options, Output, Parsed, parse};
use crate::prompt;
use crate::session::Session;
use crate::subscribe;
use crate::{Endpoint, Error, Redirect, Reply};
use baton_base::quote::split_words;
use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

/// Runs the command-line client with its arguments (without the program's own name and the word `cli`).
pub fn run(args: &[OsString]) -> ExitCode {
    let password = ["VALKEYCLI_AUTH", "REDISCLI_AUTH"].iter().find_map(env::var_os).map(OsString::into_vec);
    let options = match parse(args, password) {
        Ok(Parsed::Run(options)) => *options,
        Ok(Parsed::Help) => return finish(io::stdout().write_all(HELP.as_bytes()).map(|()| true)),
        Ok(Parsed::Version) => {
            return finish(writeln!(io::stdout(), "baton cli {}", env!("CARGO_PKG_VERSION")).map(|()| true));
        }
        Err(message) => {
            return finish(writeln!(io::stderr(), "{message}\nTry baton cli --help").map(|()| false));
        }
    };
    let terminal = io::stdin().is_terminal();
    let pretty = match options.output {
        Output::Auto => io::stdout().is_terminal(),
        Output::Pretty => true,
        Output::Raw => false,
    };
    let mut printer = Printer { out: &mut io::stdout(), err: &mut io::stderr(), pretty };
    if options.warn_password
        && !printer.warn("Warning: Using a password with '-a' on the command line interface may not be safe.")
    {
        return ExitCode::FAILURE;
    }
    finish(if !options.command.is_empty() {
        one_command(&options, &mut io::stdin(), &mut printer)
    } else if terminal {
        prompt::run(&options, &mut printer)
    } else {
        lines(&options, &mut io::stdin().lock(), &mut printer)
    })
}

/// Where output goes and how replies look.
pub(crate) struct Printer<'a> {
    pub(crate) out: &'a mut dyn Write,
    pub(crate) err: &'a mut dyn Write,
    pub(crate) pretty: bool,
}

impl Printer<'_> {
    pub(crate) fn reply(&mut self, args: &[Vec<u8>], reply: &Reply) -> io::Result<()> {
        let laid_out = if format::answers_laid_out(args) { format::laid_out(reply) } else { None };
        let text = laid_out.unwrap_or_else(|| if self.pretty { format::pretty(reply) } else { format::raw(reply) });
        self.out.write_all(&text)?;
        self.out.flush()
    }

    /// Says what went wrong and what to do about it.
    pub(crate) fn failure(&mut self, error: &Error) -> io::Result<()> {
        self.out.flush()?;
        writeln!(self.err, "{error}")?;
        if let Some(advice) = advice(error) {
            writeln!(self.err, "{advice}")?;
        }
        Ok(())
    }

    pub(crate) fn redirect(&mut self, redirect: &Redirect) -> io::Result<()> {
        match redirect {
            Redirect::Moved { slot, to } | Redirect::Ask { slot, to } => {
                writeln!(self.out, "-> Redirected to slot [{slot}] located at {to}")
            }
            Redirect::Primary { to } => writeln!(self.out, "-> Redirected to {to}"),
        }
    }

    fn warn(&mut self, text: &str) -> bool {
        writeln!(self.err, "{text}").is_ok()
    }
}

/// What a person can do about an error, where that is not plain from its text.
fn advice(error: &Error) -> Option<String> {
    match error {
        Error::Connect { endpoint: Endpoint::Tcp { host, port }, source } => Some(match source.kind() {
            io::ErrorKind::ConnectionRefused => {
                format!(
                    "Nothing listens there. Start a server with `baton server --port {port}`, or name another with -h and -p."
                )
            }
            io::ErrorKind::TimedOut => {
                format!(
                    "{host} does not answer. Check the name, the network and firewalls, or allow more time with -t."
                )
            }
            _ => "Check the name given with -h.".to_owned(),
        }),
        Error::Connect { endpoint: Endpoint::Unix(_), .. } => {
            Some("Check the path given with -s, and that the server's `unixsocket` names it.".to_owned())
        }
        Error::Login { command: "HELLO" | "AUTH", .. } => Some("Check --user and -a.".to_owned()),
        Error::Login { command: "SELECT", .. } => Some("Check the database given with -n.".to_owned()),
        Error::Protocol(_) => {
            Some("Is this the port of a Baton, Valkey or Redis server, and does it want TLS?".to_owned())
        }
        _ => None,
    }
}

/// Sends the command of the command line. True if all went well.
fn one_command(options: &Options, input: &mut dyn Read, printer: &mut Printer<'_>) -> io::Result<bool> {
    let mut command = options.command.clone();
    if options.stdin_last {
        let mut last = Vec::new();
        input.read_to_end(&mut last)?;
        command.push(last);
    }
    execute(&mut Session::new(options), &command, options, printer)
}

/// Sends every line of the input. Goes on after errors unless they shall count; ends where the server cannot be
/// reached. True if all went well.
fn lines(options: &Options, input: &mut dyn BufRead, printer: &mut Printer<'_>) -> io::Result<bool> {
    let mut session = Session::new(options);
    if let Err(error) = session.connect() {
        printer.failure(&error)?;
        return Ok(false);
    }
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(true);
        }
        let Some(words) = split_words(&line) else {
            writeln!(printer.err, "Invalid argument(s)")?;
            if options.fail_on_error {
                return Ok(false);
            }
            continue;
        };
        if matches!(words.first().map(|w| w.to_ascii_lowercase()).as_deref(), Some(b"quit" | b"exit")) {
            return Ok(true);
        }
        if !words.is_empty() && !execute(&mut session, &words, options, printer)? {
            return Ok(false);
        }
    }
}

/// Executes and prints one command. False if the link failed, or the reply is an error and errors count.
fn execute(session: &mut Session, args: &[Vec<u8>], options: &Options, printer: &mut Printer<'_>) -> io::Result<bool> {
    if subscribe::starts_stream(args) {
        let mut written = Ok(());
        let result = session.connect().and_then(|connection| {
            subscribe::stream(connection, args, false, |message| {
                if written.is_ok() {
                    written = printer.reply(args, message);
                }
            })
        });
        written?;
        return match result {
            Ok(()) => Ok(!options.fail_on_error),
            Err(error) => printer.failure(&error).map(|()| false),
        };
    }
    match session.execute(args) {
        Ok(answer) => {
            for push in &answer.pushes {
                printer.reply(args, push)?;
            }
            if options.fail_on_error
                && let Some(error) = answer.reply.as_error()
            {
                writeln!(printer.err, "{error}")?;
                return Ok(false);
            }
            printer.reply(args, &answer.reply)?;
            Ok(true)
        }
        // The one command whose success is a closed connection.
        Err(Error::Closed) if args[0].eq_ignore_ascii_case(b"shutdown") => Ok(true),
        Err(error) => printer.failure(&error).map(|()| false),
    }
}

/// The exit code. Output that nobody takes any more (a closed pipe) is a failure without words.
fn finish(result: io::Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeServer;

    struct Ran {
        ok: bool,
        out: String,
        err: String,
    }

    fn ran(port: u16, line: &str, input: &str) -> Ran {
        let words: Vec<OsString> =
            ["-p", &port.to_string()].into_iter().chain(line.split_whitespace()).map(OsString::from).collect();
        let Parsed::Run(options) = parse(&words, None).unwrap() else { panic!("not a run: {line}") };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut printer = Printer { out: &mut out, err: &mut err, pretty: options.output == Output::Pretty };
        let mut input = input.as_bytes();
        let ok = if options.command.is_empty() {
            lines(&options, &mut input, &mut printer)
        } else {
            one_command(&options, &mut input, &mut printer)
        };
        let text = |b| String::from_utf8(b).unwrap();
        Ran { ok: ok.unwrap(), out: text(out), err: text(err) }
    }

    fn server() -> FakeServer {
        FakeServer::start(|args| match args[0].as_str() {
            "get" => Some("$2\r\nhi\r\n".into()),
            "info" => Some("$7\r\n# A\r\nb:1\r\n".replace("$7", "$8")),
            "len" => Some(format!(":{}\r\n", args[1].len())),
            "shutdown" => None,
            "subscribe" => {
                Some("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n".into())
            }
            "wrong" => Some("-WRONGTYPE no\r\n".into()),
            _ => Some("+OK\r\n".into()),
        })
    }

    #[test]
    fn one_command_prints_its_reply() {
        let server = server();
        let r = ran(server.port(), "--no-raw get k", "");
        assert_eq!((r.ok, r.out.as_str(), r.err.as_str()), (true, "\"hi\"\n", ""));
        assert_eq!(ran(server.port(), "get k", "").out, "hi\n");
        assert_eq!(ran(server.port(), "--no-raw info", "").out, "# A\r\nb:1\n");
        assert_eq!(ran(server.port(), "--no-raw -x len", "12345").out, "(integer) 5\n");
        assert!(ran(server.port(), "shutdown", "").ok);
    }

    #[test]
    fn errors_count_only_where_asked() {
        let server = server();
        let r = ran(server.port(), "wrong", "");
        assert_eq!((r.ok, r.out.as_str()), (true, "WRONGTYPE no\n"));
        let r = ran(server.port(), "-e wrong", "");
        assert_eq!((r.ok, r.out.as_str(), r.err.as_str()), (false, "", "WRONGTYPE no\n"));
    }

    #[test]
    fn lines_are_sent_one_by_one_until_quit() {
        let server = server();
        let r = ran(server.port(), "", "set a 1\n\n\"unbalanced\nwrong\nget \"a b\"\nquit\nget never\n");
        assert_eq!((r.ok, r.out.as_str(), r.err.as_str()), (true, "OK\nWRONGTYPE no\nhi\n", "Invalid argument(s)\n"));
        assert_eq!(server.seen(), ["set a 1", "wrong", "get a b"]);
    }

    #[test]
    fn what_nobody_listens_to_says_what_to_do() {
        let port = {
            let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            unused.local_addr().unwrap().port()
        };
        let r = ran(port, "ping", "");
        assert!(!r.ok);
        assert!(
            r.err.starts_with(&format!("Could not connect to Baton at 127.0.0.1:{port}: Connection refused\n")),
            "{}",
            r.err
        );
        assert!(r.err.contains(&format!("baton server --port {port}")), "{}", r.err);
    }
}
