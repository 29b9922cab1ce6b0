//! DEBUG RESTART: the program begins anew in the place of this process, with the same command line. What it had open is
//! closed by that.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use baton_base::num;

use crate::node::{NOT_INTEGER, Refusal};
use crate::persist;
use crate::shared::Shared;
use crate::worker::context::Context;

const FAILED: &str = "ERR failed to restart the server. Check server logs.";

/// RESTART [milliseconds]. Only comes back if it fails.
pub(super) fn restart(cx: &mut Context<'_>, delay: Option<&[u8]>) -> Result<(), Refusal> {
    let delay_ms = match delay {
        Some(text) => num::parse_i64(text).ok_or(NOT_INTEGER)?,
        None => 0,
    };
    let delay = Duration::from_millis(u64::try_from(delay_ms).unwrap_or(0));
    cx.step_outside(|shared| {
        if shared.config_file.is_some() && crate::node::config::rewrite(shared, baton_config::Extent::Needed).is_err() {
            return Err(FAILED.into());
        }
        if let Err(e) = persist::save_for_shutdown(shared, false, false) {
            shared.log.warning(&e);
            return Err(FAILED.into());
        }
        shared.aof.complete(shared);
        std::thread::sleep(delay);
        let error = begin_anew(shared);
        shared.log.warning(&format!("Can't begin anew: {error}"));
        Err(FAILED.into())
    })
}

fn begin_anew(shared: &Shared) -> io::Error {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(e) => return e,
    };
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let name = if words.is_empty() { shared.executable.clone().into() } else { words.remove(0) };
    if let Some(path) = &shared.config_file {
        name_config_file(&mut words, path);
    }
    Command::new(program).arg0(name).args(words).exec()
}

/// The working folder has changed since the start, so the configuration file is given by its full path.
fn name_config_file(words: &mut [OsString], path: &Path) {
    let is_file = |word: &OsString| word.as_os_str() != "server" && !word.to_string_lossy().starts_with('-');
    let first = words.iter().take(2).position(is_file);
    if let Some(at) = first.filter(|at| *at == 0 || words[0].as_os_str() == "server") {
        words[at] = path.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_file_is_found_in_the_command_line() {
        let of = |line: &str| {
            let mut words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            name_config_file(&mut words, Path::new("/etc/b.conf"));
            words.iter().map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of("b.conf --port 1"), "/etc/b.conf --port 1");
        assert_eq!(of("server b.conf --port 1"), "server /etc/b.conf --port 1");
        assert_eq!(of("server --port b.conf"), "server --port b.conf");
        assert_eq!(of("--port b.conf"), "--port b.conf");
    }
}
