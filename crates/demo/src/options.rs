//! The command line of `baton demo`. Reads no environment.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What `baton demo --help` prints.
pub(crate) const HELP: &str = "\
Usage: baton demo [options]

Starts three primaries and three replicas on free ports of this machine, writes to them, stops one primary and kills
another, and shows what the writing clients noticed. Ends by itself; needs nothing but this program.

      --keep                 Leave the cluster running at the end and say how to use and stop it
      --node-timeout <ms>    cluster-node-timeout of the servers, 200 to 15000 (default 1000)
      --help
";

/// `cluster-node-timeout` that is accepted, in milliseconds. Above it the killed primary would outlast the demonstration
/// where detection waits for it.
const NODE_TIMEOUT_MS: RangeInclusive<u64> = 200..=15_000;

/// What the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Leave the cluster running.
    pub(crate) keep: bool,
    /// `cluster-node-timeout` of the servers.
    pub(crate) node_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { keep: false, node_timeout: Duration::from_secs(1) }
    }
}

/// What the words turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    Run(Options),
    Help,
}

/// Reads the arguments. An error is one line for people.
pub(crate) fn parse(args: &[OsString]) -> Result<Parsed, String> {
    let mut options = Options::default();
    let mut words = args.iter().map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        match &*word {
            "--keep" => options.keep = true,
            "--node-timeout" => {
                let value = words.next().ok_or("option --node-timeout needs a value")?;
                let (least, most) = (NODE_TIMEOUT_MS.start(), NODE_TIMEOUT_MS.end());
                let ms = value.parse().ok().filter(|ms| NODE_TIMEOUT_MS.contains(ms));
                let ms =
                    ms.ok_or(format!("--node-timeout takes milliseconds from {least} to {most}, not '{value}'"))?;
                options.node_timeout = Duration::from_millis(ms);
            }
            "--help" | "-h" => return Ok(Parsed::Help),
            other => return Err(format!("unknown option '{other}'")),
        }
    }
    Ok(Parsed::Run(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Parsed, String> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn words_mean_options() {
        assert_eq!(parsed(&[]), Ok(Parsed::Run(Options { keep: false, node_timeout: Duration::from_secs(1) })));
        let both = Options { keep: true, node_timeout: Duration::from_millis(200) };
        assert_eq!(parsed(&["--node-timeout", "200", "--keep"]), Ok(Parsed::Run(both)));
        assert_eq!(parsed(&["--keep", "--help"]), Ok(Parsed::Help));
        for bad in [&["--node-timeout"][..], &["--node-timeout", "199"], &["--node-timeout", "1s"], &["keep"]] {
            assert!(parsed(bad).is_err(), "{bad:?}");
        }
    }
}
