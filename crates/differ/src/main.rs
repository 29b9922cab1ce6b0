//! `baton-differ`: the same random commands to two servers. The real clock and the screen are used here only.

use baton_cli::Endpoint;
use baton_differ::{Options, run};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const USAGE: &str =
    "usage: baton-differ HOST:PORT HOST:PORT [--commands N] [--seed S] [--only WORD]... [--without WORD]... [--careful]
Both servers lose all their data, and must allow DEBUG (enable-debug-command yes).";

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let begun = Instant::now();
    let mut told = Instant::now();
    let found = run(&options, |summary| {
        if told.elapsed().as_secs() >= 10 {
            told = Instant::now();
            eprintln!("{} commands, {} differences", summary.commands, summary.findings().len());
        }
    });
    let summary = match found {
        Ok(summary) => summary,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    for finding in summary.findings() {
        println!("{finding}\n");
    }
    println!(
        "seed {}: {} commands ({} of them errors, {} left waiting), {} events, {} keys looked at in {} comparisons, {} carried \
         over, {} differences, {:.0} s",
        options.seed,
        summary.commands,
        summary.errors,
        summary.waited,
        summary.events,
        summary.keys,
        summary.checks,
        summary.carried,
        summary.findings().len(),
        begun.elapsed().as_secs_f64()
    );
    if summary.findings().len() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut servers = Vec::new();
    let mut careful = false;
    let (mut commands, mut seed, mut only, mut without) = (100_000, 1, Vec::new(), Vec::new());
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word}: a value is missing"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("not a number: {text}"));
        match word.as_str() {
            "--commands" => commands = number(value()?)?,
            "--seed" => seed = number(value()?)?,
            "--only" => only.push(value()?),
            "--careful" => careful = true,
            "--without" => without.push(value()?),
            _ => servers.push(Endpoint::parse(&word).ok_or_else(|| format!("not HOST:PORT: {word}"))?),
        }
    }
    let servers = servers.try_into().map_err(|_| "two servers are compared".to_owned())?;
    Ok(Options { servers, commands, seed, only, without, careful, now_s })
}
