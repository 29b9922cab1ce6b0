//! The command line of the server: a configuration file first, then `--name value...`, `-` for standard input, and the
//! few options that are no directives. Options become lines that are read after the file, so that one parser
//! and one kind of error serve both.

use crate::files::{self, Files};
use crate::load::{Loaded, load};
use crate::start_error::StartError;
use baton_base::quote;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start the server.
    Start(Box<Started>),
    /// Print the version (`-v`, `--version`).
    Version,
    /// Print the usage (`-h`, `--help`).
    Help,
    /// Test the memory (`--test-memory`). `None` when the one argument, megabytes, is missing or is not alone.
    TestMemory(Option<String>),
    /// Check how the system is set up (`--check-system`).
    CheckSystem,
    /// Run as a Sentinel (`--sentinel`), which this program does not do.
    Sentinel,
}

/// A configuration to start with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Started {
    /// What it says.
    pub loaded: Loaded,
    /// Absolute path of the configuration file, for CONFIG REWRITE and INFO. None if there is none.
    pub config_file: Option<String>,
    /// Whether a part of it came from standard input.
    pub has_stdin: bool,
    /// `--clean-cluster-config`: what the node knew of its cluster is put aside first. An option only, since a directive
    /// would do it at every start.
    pub clean_cluster_config: bool,
}

const CLEAN_CLUSTER_CONFIG: &[u8] = b"--clean-cluster-config";

/// Reads the arguments after the program's name.
pub fn parse_command_line<A: AsRef<[u8]>>(args: &[A], files: &mut dyn Files) -> Result<Action, StartError> {
    let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
    match args.as_slice() {
        [b"-v" | b"--version", ..] => return Ok(Action::Version),
        [b"-h" | b"--help", ..] => return Ok(Action::Help),
        [b"--check-system", ..] => return Ok(Action::CheckSystem),
        [b"--test-memory", megabytes] => {
            return Ok(Action::TestMemory(Some(String::from_utf8_lossy(megabytes).into_owned())));
        }
        [b"--test-memory", ..] => return Ok(Action::TestMemory(None)),
        _ => {}
    }
    if args.contains(&b"--sentinel".as_slice()) {
        return Ok(Action::Sentinel);
    }
    let directives = without_clean(&args);
    let clean_cluster_config = directives.len() < args.len();
    let started = start(&directives, files)?;
    Ok(Action::Start(Box::new(Started { clean_cluster_config, ..started })))
}

/// The arguments without `--clean-cluster-config`, unless that is the value of an option.
fn without_clean<'a>(args: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut wants_value = false;
    let directive = |arg: &&&[u8]| {
        let option = !wants_value && arg.starts_with(b"--");
        let clean = option && **arg == CLEAN_CLUSTER_CONFIG;
        wants_value = option && !clean && !arg.eq_ignore_ascii_case(b"--save") && has_no_value(arg);
        !clean
    };
    args.iter().filter(directive).copied().collect()
}

fn start(args: &[&[u8]], files: &mut dyn Files) -> Result<Started, StartError> {
    let (file, mut options) = match args {
        [first, rest @ ..] if !first.starts_with(b"-") => (Some(*first).filter(|f| !f.is_empty()), rest),
        all => (None, all),
    };
    let mut has_stdin = false;
    if let [b"-", rest @ ..] = options {
        (options, has_stdin) = (rest, true);
    }
    if let [rest @ .., b"-"] = options {
        (options, has_stdin) = (rest, true);
    }
    let config_file = file.map(|path| files.absolute(&String::from_utf8_lossy(path)));
    let mut text = match &config_file {
        Some(path) => file_text(path, files)?,
        None => Vec::new(),
    };
    if has_stdin {
        let read = files.read_stdin();
        text.extend(read.map_err(|error| StartError::Open { path: "-".to_owned(), error })?);
    }
    if !options.is_empty() {
        text.push(b'\n');
        text.extend(option_lines(options));
    }
    Ok(Started { loaded: load(&text, files)?, config_file, has_stdin, clean_cluster_config: false })
}

/// The content of the file, or of all files if the path is a pattern.
fn file_text(path: &str, files: &mut dyn Files) -> Result<Vec<u8>, StartError> {
    let paths = if files::is_pattern(path) { files::expanded(files, path) } else { vec![path.to_owned()] };
    let mut text = Vec::new();
    for path in paths {
        text.extend(files.read(&path).map_err(|error| StartError::Open { path, error })?);
    }
    Ok(text)
}

/// Whether an option is a name only, rather than a name and its value in one word of the command line.
fn has_no_value(option: &[u8]) -> bool {
    quote::split_words(option).is_none_or(|words| words.len() <= 1)
}

/// Turns options into lines of a configuration file. What follows an option is its value even if it begins with `--`,
/// except after one that came with its value (`"--maxmemory 1gb"`), and after `--save`, which alone may stand without a
/// value and then means `save ""`.
fn option_lines(options: &[&[u8]]) -> Vec<u8> {
    let mut text: Vec<u8> = Vec::new();
    let mut wants_value = false;
    for (i, option) in options.iter().enumerate() {
        let name = option.strip_prefix(b"--").filter(|_| !wants_value);
        let Some(name) = name else {
            text.extend(quote::quoted(option).bytes());
            text.push(b' ');
            wants_value = false;
            continue;
        };
        if i > 0 {
            text.push(b'\n');
        }
        text.extend(name);
        text.push(b' ');
        let is_save = name.eq_ignore_ascii_case(b"save");
        if is_save && options.get(i + 1).is_none_or(|next| next.starts_with(b"--")) {
            text.extend(b"\"\"");
        }
        wants_value = !is_save && has_no_value(name);
    }
    text
}

/// The text of `--help`.
pub fn usage(program: &str) -> String {
    format!(
        "Usage: {program} [/path/to/valkey.conf] [options] [-]
       {program} - (read config from stdin)
       {program} -v or --version
       {program} -h or --help
       {program} --test-memory <megabytes>
       {program} --check-system
       {program} [/path/to/valkey.conf] [options] --clean-cluster-config (put the old cluster state aside first)

Options are directives of the configuration file with two hyphens before them:
       {program} --port 7777 --replicaof 127.0.0.1 8888
       {program} /etc/valkey/6379.conf --loglevel verbose
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(options: &[&str]) -> String {
        let options: Vec<&[u8]> = options.iter().map(|o| o.as_bytes()).collect();
        String::from_utf8(option_lines(&options)).unwrap()
    }

    #[test]
    fn options_become_lines() {
        assert_eq!(lines(&["--port", "1", "--bind", "a", "b"]), "port \"1\" \nbind \"a\" \"b\" ");
        assert_eq!(lines(&["--save", "--port", "1"]), "save \"\"\nport \"1\" ");
        assert_eq!(lines(&["--save", "", "--save"]), "save \"\" \nsave \"\"");
        assert_eq!(lines(&["--requirepass", "--x", "y"]), "requirepass \"--x\" \"y\" ");
        assert_eq!(lines(&["--maxmemory 7mb", "--loglevel 'debug'"]), "maxmemory 7mb \nloglevel 'debug' ");
        assert_eq!(lines(&["-x", "--port", "1\n"]), "\"-x\" \nport \"1\\n\" ");
    }
    #[test]
    fn the_option_without_a_value_is_no_directive() {
        let rest = |args: &[&'static str]| {
            let args: Vec<&[u8]> = args.iter().map(|a| a.as_bytes()).collect();
            without_clean(&args).iter().map(|a| String::from_utf8(a.to_vec()).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(rest(&["a.conf", "--clean-cluster-config", "--port", "1"]), ["a.conf", "--port", "1"]);
        assert_eq!(rest(&["--save", "--clean-cluster-config"]), ["--save"]);
        let password = ["--requirepass", "--clean-cluster-config"];
        assert_eq!(rest(&password), password);
    }
}
