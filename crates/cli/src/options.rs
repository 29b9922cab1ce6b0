//! The command line of `baton cli`: which words mean what. Reads no environment and no file; what it needs from there
//! is handed in.

use crate::{Endpoint, Login};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

/// What `baton cli --help` prints.
pub(crate) const HELP: &str = "\
Usage: baton cli [options] [command [argument ...]]

  -h, --host <name>      Server to connect to (default 127.0.0.1)
  -p, --port <port>      Its port (default 6379)
  -s, --socket <path>    Connect to a unix socket instead
  -t, --timeout <secs>   Longest wait for the connection (default 5, fractions allowed)
  -a, --pass <password>  Password; the variables VALKEYCLI_AUTH and REDISCLI_AUTH are safer, as others can't see them
      --user <name>      User name, with a password
      --no-auth-warning  Don't warn about a password on the command line
  -n, --db <number>      Database (default 0)
  -c, --cluster          Follow redirects (MOVED, ASK, REDIRECT)
  -2 / -3                Speak RESP2 (default) or RESP3
  -x                     Take the last argument from standard input
  -e                     Exit with 1 if the server answers with an error
      --raw / --no-raw   Print replies as they are / for people (default: for people on a terminal)
      --help, --version

With a command: sends it, prints the reply and ends. Without: a prompt on a terminal, else one command per input line.
";

/// How replies are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people on a terminal, as they are otherwise.
    Auto,
    Raw,
    Pretty,
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) endpoint: Endpoint,
    pub(crate) login: Login,
    pub(crate) connect_timeout: Duration,
    /// Follow redirects.
    pub(crate) cluster: bool,
    pub(crate) output: Output,
    /// The last argument comes from standard input.
    pub(crate) stdin_last: bool,
    /// An error reply makes the exit code 1.
    pub(crate) fail_on_error: bool,
    /// A password stands on the command line and nobody asked to be spared the warning.
    pub(crate) warn_password: bool,
    /// Empty for the prompt.
    pub(crate) command: Vec<Vec<u8>>,
}

/// What the words turned out to be.
#[derive(Clone, Debug)]
pub(crate) enum Parsed {
    Run(Box<Options>),
    Help,
    Version,
}

/// Reads the command line (without the program's own name). `password` is what the environment holds. An error is one
/// line for people.
pub(crate) fn parse(args: &[OsString], password: Option<Vec<u8>>) -> Result<Parsed, String> {
    let mut host = "127.0.0.1".to_owned();
    let mut port = 6379;
    let mut socket = None;
    let mut no_warning = false;
    let mut options = Options {
        endpoint: Endpoint::tcp("", 0),
        login: Login { password, ..Login::default() },
        connect_timeout: Duration::from_secs(5),
        cluster: false,
        output: Output::Auto,
        stdin_last: false,
        fail_on_error: false,
        warn_password: false,
        command: Vec::new(),
    };
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let name = word.to_string_lossy();
        let mut value = || words.next().ok_or_else(|| format!("option {name} needs a value"));
        match &*name {
            "-h" | "--host" => host = text(value()?, &name)?,
            "-p" | "--port" => port = number(value()?, &name)?,
            "-s" | "--socket" => socket = Some(PathBuf::from(value()?)),
            "-t" | "--timeout" => options.connect_timeout = seconds(value()?, &name)?,
            "-a" | "--pass" => {
                options.login.password = Some(value()?.clone().into_vec());
                options.warn_password = true;
            }
            "--user" => options.login.user = Some(text(value()?, &name)?),
            "--no-auth-warning" => no_warning = true,
            "-n" | "--db" => options.login.database = number(value()?, &name)?,
            "-c" | "--cluster" => options.cluster = true,
            "-2" => options.login.resp3 = false,
            "-3" => options.login.resp3 = true,
            "-x" => options.stdin_last = true,
            "-e" => options.fail_on_error = true,
            "--raw" => options.output = Output::Raw,
            "--no-raw" => options.output = Output::Pretty,
            "--help" => return Ok(Parsed::Help),
            "-v" | "--version" => return Ok(Parsed::Version),
            other if other.starts_with('-') && other.len() > 1 => return Err(format!("unknown option {other}")),
            _ => {
                options.command.push(word.clone().into_vec());
                options.command.extend(words.by_ref().map(|w| w.clone().into_vec()));
            }
        }
    }
    options.endpoint = socket.map_or_else(|| Endpoint::tcp(host, port), Endpoint::Unix);
    options.warn_password &= !no_warning;
    options.login.redirect = options.cluster;
    if options.stdin_last && options.command.is_empty() {
        return Err("option -x needs a command".to_owned());
    }
    Ok(Parsed::Run(Box::new(options)))
}

fn text(value: &OsString, option: &str) -> Result<String, String> {
    value.clone().into_string().map_err(|_| format!("the value of {option} is not text"))
}

fn number<T: std::str::FromStr>(value: &OsString, option: &str) -> Result<T, String> {
    let value = text(value, option)?;
    value.parse().map_err(|_| format!("bad value for {option}: {value}"))
}

fn seconds(value: &OsString, option: &str) -> Result<Duration, String> {
    let seconds: f64 = number(value, option)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("bad value for {option}: {seconds}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, String> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        match parse(&words, None)? {
            Parsed::Run(options) => Ok(*options),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn options_stand_before_the_command() {
        let o = options("-h db -p 7000 -a pw --user joe -n 3 -c -3 -e --raw set -p -x").unwrap();
        assert_eq!(o.endpoint, Endpoint::tcp("db", 7000));
        assert_eq!((o.login.password.as_deref(), o.login.user.as_deref()), (Some(b"pw".as_slice()), Some("joe")));
        assert_eq!((o.login.database, o.login.resp3, o.login.redirect), (3, true, true));
        assert_eq!((o.cluster, o.fail_on_error, o.stdin_last, o.warn_password), (true, true, false, true));
        assert_eq!(o.output, Output::Raw);
        assert_eq!(o.command, [b"set".to_vec(), b"-p".to_vec(), b"-x".to_vec()]);
        assert_eq!(options("-s /run/baton.sock ping").unwrap().endpoint, Endpoint::Unix("/run/baton.sock".into()));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for bad in ["-p", "-p x", "-p 70000", "-t -1", "--bogus", "-x"] {
            assert!(options(bad).is_err(), "{bad}");
        }
    }
}
