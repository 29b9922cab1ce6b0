//! `baton demo`: a cluster of child processes on this machine, clients that write to it, a primary that is stopped and
//! another one that is killed, and the account of what the clients noticed. Only a client of the servers that it starts:
//! must never reach into their code, and must leave nothing behind unless asked to.
//!
//! Reading order: [`run`], `tour` (what happens, in order), `cluster` and `process` (the servers), `writers` (the
//! clients), `event` (watching one primary go), and the pure parts: `topology`, `pauses`, `ledger`, `text`.

mod cluster;
mod error;
mod event;
mod ledger;
mod options;
mod patience;
mod pauses;
mod ports;
mod process;
mod screen;
mod text;
mod topology;
mod tour;
mod writers;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use error::Error;
use options::Parsed;
use patience::Patience;
use process::Program;
use screen::Screen;

/// Runs the demonstration with its arguments (without the program's own name and the word `demo`). The servers are
/// further processes of the program that is running. Success means that the cluster healed and nothing acknowledged was
/// lost.
pub fn run(args: &[OsString]) -> ExitCode {
    let options = match options::parse(args) {
        Ok(Parsed::Run(options)) => options,
        Ok(Parsed::Help) => {
            // A reader of the help that has gone needs no message about it.
            let _ = io::Write::write_all(&mut io::stdout(), options::HELP.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            let _ = io::Write::write_all(&mut io::stderr(), format!("{message}\nTry baton demo --help\n").as_bytes());
            return ExitCode::FAILURE;
        }
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    let patience = Patience::new(Arc::clone(&interrupted), tour::LONGEST);
    let mut screen = Screen::on_stdout(patience.clock());
    match start(options, &mut screen, &patience, &interrupted) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            screen.failure(&error);
            ExitCode::FAILURE
        }
    }
}

fn start(
    options: options::Options,
    screen: &mut Screen,
    patience: &Patience,
    interrupted: &Arc<AtomicBool>,
) -> Result<bool, Error> {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(interrupted))
            .map_err(|source| Error::Local { doing: "listen for signals".into(), source })?;
    }
    let path = std::env::current_exe()
        .map_err(|source| Error::Local { doing: "find the program that is running".into(), source })?;
    let program = Program { path, first_args: vec!["server".into()] };
    tour::run(program, options, screen, patience)
}
