//! Scripts and functions of the server: what EVALSHA and FCALL find, on whichever worker. Compiled scripts are each worker's
//! own; here are texts only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use baton_resp::{Args, Proto};
use baton_script::{
    Engine, FunctionSpec, Host, Libraries, Library, LibraryText, Options, Script, ScriptCache, Sha, Version, Watch,
};
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::log::{Level, Log};
use crate::node::connection::{COMPATIBLE_VERSION, REDIS_VERSION};

/// How long the text of a library may run when it is loaded.
const LOAD_MAX: Duration = Duration::from_millis(500);

/// Scripts and functions.
#[derive(Default)]
pub struct Scripts {
    cache: Mutex<ScriptCache>,
    /// Changed while the world stands still.
    functions: ArcSwap<Libraries>,
    library_ids: AtomicU64,
}

impl Scripts {
    /// The script with this text, and whether it is not known yet: then it is to be kept if it compiles.
    ///
    /// # Errors
    /// The text of the refusal without its code.
    pub fn of_text(&self, text: &[u8]) -> Result<(Arc<Script>, bool), Vec<u8>> {
        let known = self.cache.lock().find(Sha::of(text));
        match known {
            Some(script) => Ok((script, false)),
            None => Script::new(text).map(|script| (Arc::new(script), true)),
        }
    }

    /// The script with this name.
    pub fn of_sha(&self, sha: &[u8]) -> Option<Arc<Script>> {
        self.cache.lock().find(Sha::parse(sha)?)
    }

    /// Keeps a script that compiles; for good, unless it came with EVAL.
    pub fn keep(&self, script: &Arc<Script>, stays: bool) {
        self.cache.lock().add(Arc::clone(script), stays);
    }

    /// The cache itself, for questions and for SCRIPT FLUSH.
    pub fn cache(&self) -> parking_lot::MutexGuard<'_, ScriptCache> {
        self.cache.lock()
    }

    /// The libraries as they are now.
    pub fn functions(&self) -> Arc<Libraries> {
        self.functions.load_full()
    }

    /// Puts other libraries in the place of all. The world stands still, or nobody is served yet.
    pub fn set_functions(&self, libraries: Libraries) {
        self.functions.store(Arc::new(libraries));
    }

    /// Reads a library and finds out what it registers.
    ///
    /// # Errors
    /// The text of the refusal without its code.
    pub fn library(&self, code: &[u8], clock: Clock, log: &Log) -> Result<Library, Vec<u8>> {
        let text = LibraryText::parse(code)?;
        let functions = functions_of(&text, clock, log)?;
        Ok(text.library(functions, self.library_ids.fetch_add(1, Ordering::Relaxed)))
    }

    /// Adds a library that was saved or sent by another server.
    ///
    /// # Errors
    /// The text of the refusal without its code.
    pub fn add_saved(&self, code: &[u8], clock: Clock, log: &Log) -> Result<(), Vec<u8>> {
        let library = self.library(code, clock, log)?;
        let mut libraries = Libraries::clone(&self.functions.load());
        libraries.add(library, false)?;
        self.set_functions(libraries);
        Ok(())
    }
}

/// What a library registers, found by a machine that is thrown away.
fn functions_of(text: &LibraryText<'_>, clock: Clock, log: &Log) -> Result<Vec<FunctionSpec>, Vec<u8>> {
    let until = clock.mono() + LOAD_MAX;
    let late = move || (clock.mono() >= until).then(|| "FUNCTION LOAD timeout".to_owned());
    let engine = engine(Box::new(late)).map_err(|e| e.to_string().into_bytes())?;
    engine.load(text.body, 0, &mut LoadHost { log })
}

/// A machine for scripts.
///
/// # Errors
/// If there is no memory for it.
pub fn engine(watch: Watch) -> Result<Engine, impl std::fmt::Display> {
    let version = Version {
        text: COMPATIBLE_VERSION.into(),
        number: version_number(COMPATIBLE_VERSION),
        old_text: REDIS_VERSION.into(),
        old_number: version_number(REDIS_VERSION),
    };
    Engine::new(&Options { version, insecure: false }, watch)
}

fn version_number(text: &str) -> u32 {
    text.split('.').fold(0, |number, part| number << 8 | part.parse::<u32>().unwrap_or(0))
}

/// What a library reaches while it is loaded: the log.
struct LoadHost<'a> {
    log: &'a Log,
}

impl Host for LoadHost<'_> {
    fn call(&mut self, _: Args<'_>, _: Proto, _: &mut Vec<u8>) -> bool {
        true
    }

    fn log(&mut self, level: u8, text: &[u8]) {
        write_log(self.log, level, text);
    }

    fn may_call(&mut self, _: Args<'_>) -> Result<bool, Vec<u8>> {
        Ok(false)
    }

    fn set_repl(&mut self, _: u8) {}
}

/// Writes a script's words to the log.
pub fn write_log(log: &Log, level: u8, text: &[u8]) {
    let level = match level {
        0 => Level::Debug,
        1 => Level::Verbose,
        2 => Level::Notice,
        _ => Level::Warning,
    };
    log.write(level, &String::from_utf8_lossy(text));
}
