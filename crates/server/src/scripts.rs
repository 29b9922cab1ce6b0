//! Scripts and functions of the server: what EVALSHA and FCALL find, on whichever worker. Compiled scripts are each worker's
//! own; here are texts only.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use baton_base::Mono;
use baton_resp::{Args, Proto};
use baton_script::{
    Engine, FunctionSpec, Host, Libraries, Library, LibraryText, Options, Script, ScriptCache, Sha, Version, Watch,
};
use parking_lot::{Mutex, RwLock};

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
    functions: RwLock<Arc<Libraries>>,
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
        Arc::clone(&self.functions.read())
    }

    /// Puts other libraries in the place of all. The world stands still, or nobody is served yet.
    pub fn set_functions(&self, libraries: Libraries) {
        *self.functions.write() = Arc::new(libraries);
    }

    /// Changes them, in place unless somebody looks at them. The world stands still, or nobody is served yet.
    pub fn change_functions<T>(&self, change: impl FnOnce(&mut Libraries) -> T) -> T {
        change(Arc::make_mut(&mut self.functions.write()))
    }

    /// Reads a library and finds out what it registers.
    ///
    /// # Errors
    /// The text of the refusal without its code.
    pub fn library(&self, code: &[u8], loader: &mut Loader, clock: Clock, log: &Log) -> Result<Library, Vec<u8>> {
        let text = LibraryText::parse(code)?;
        let functions = loader.functions_of(&text, clock, log)?;
        Ok(text.library(functions, self.library_ids.fetch_add(1, Ordering::Relaxed)))
    }

    /// Adds a library that was saved, in the place of one with the same name if it `replaces`.
    ///
    /// # Errors
    /// The text of the refusal without its code.
    pub fn add_saved(&self, code: &[u8], replaces: bool, clock: Clock, log: &Log) -> Result<(), Vec<u8>> {
        let library = self.library(code, &mut Loader::default(), clock, log)?;
        self.change_functions(|libraries| libraries.add(library, replaces)).map_err(|why| why.text_of_saved())
    }
}

/// A machine that finds out what libraries register; it runs nothing else. Made when it is needed, kept for the next library.
#[derive(Default)]
pub struct Loader {
    engine: Option<Engine>,
    until: Rc<Cell<Mono>>,
}

impl Loader {
    /// Memory that it takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.engine.as_ref().map_or(0, Engine::memory_bytes)
    }

    fn functions_of(&mut self, text: &LibraryText<'_>, clock: Clock, log: &Log) -> Result<Vec<FunctionSpec>, Vec<u8>> {
        self.until.set(clock.mono() + LOAD_MAX);
        if self.engine.as_ref().is_some_and(|engine| engine.memory_bytes() > LOADER_BYTES_MAX) {
            self.engine = None;
        }
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => {
                let until = Rc::clone(&self.until);
                let late = move || (clock.mono() >= until.get()).then(|| "FUNCTION LOAD timeout".to_owned());
                engine(false, Box::new(late)).map_err(|e| e.to_string().into_bytes())?
            }
        };
        self.engine.insert(engine).load(text.body, 0, &mut LoadHost { log })
    }
}

/// Above this, a loader is made anew, in bytes.
const LOADER_BYTES_MAX: usize = 4 << 20;

/// A machine for scripts, with functions that let them out of their sandbox if it is `insecure`.
///
/// # Errors
/// If there is no memory for it.
pub fn engine(insecure: bool, watch: Watch) -> Result<Engine, impl std::fmt::Display> {
    let version = Version {
        text: COMPATIBLE_VERSION.into(),
        number: version_number(COMPATIBLE_VERSION),
        old_text: REDIS_VERSION.into(),
        old_number: version_number(REDIS_VERSION),
    };
    let memory_bytes_max = usize::try_from(crate::os_memory::total_bytes()).unwrap_or(usize::MAX) / MEMORY_SHARE;
    Engine::new(&Options { version, insecure, memory_bytes_max }, watch)
}

/// A machine for scripts may take the machine's memory divided by this.
const MEMORY_SHARE: usize = 4;

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
