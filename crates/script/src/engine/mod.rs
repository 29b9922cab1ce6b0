//! The machine that runs scripts: one Lua state with the sandbox of the prelude. Scripts reach the outside only through
//! their [`Host`]; nothing that one script does is seen by the next.

mod api;
mod errors;
mod from_lua;
mod host;
mod load;
pub(crate) mod native;
mod state;
mod to_lua;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use baton_resp::{Out, Proto};
use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, LuaOptions, LuaString, MultiValue, Result, StdLib, Table, Value};

pub use api::Version;
pub use host::Host;
pub use state::{Halt, Watch};

use crate::cache::{Script, Sha};
use crate::library::{FunctionSpec, Library};
use crate::libs;
use state::State;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// The reply is written.
    Done,
    /// With an error: its code and text.
    Failed(Vec<u8>),
    /// It was ended from outside.
    Halted(Halt),
}

/// What a script is called with.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The keys that it declares.
    pub keys: &'a [&'a [u8]],
    /// Its further arguments.
    pub argv: &'a [&'a [u8]],
    /// What its chance begins with.
    pub seed: u32,
}

/// One Lua state.
pub struct Engine {
    lua: Lua,
    state: Rc<State>,
    prelude: Prelude,
    scripts: RefCell<Compiled>,
    libraries: RefCell<HashMap<u64, Functions>>,
    memory_bytes_max: usize,
    /// Held, or they could be collected while a chunk is read under them.
    _names: [LuaString; 2],
}

/// Compiled scripts: where each lies in a list of the machine. Held one by one they would take the room for references, of
/// which there are 8000, from the arguments of calls.
struct Compiled {
    places: HashMap<Sha, usize>,
    list: Table,
}

/// The functions of a library by name.
type Functions = HashMap<Box<[u8]>, Function>;

/// What the prelude gives back.
struct Prelude {
    /// The globals of scripts, behind their shield.
    globals: Table,
    /// The globals of functions as functions see them.
    function_globals: Table,
    /// The table `server` itself.
    api: Table,
    run: Function,
    call: Function,
    set_loading: Function,
}

/// Settings of a state.
#[derive(Clone, Debug)]
pub struct Options {
    /// What scripts are told about the server.
    pub version: Version,
    /// Whether functions are offered that let a script out of its sandbox.
    pub insecure: bool,
    /// Memory that a state may take, in bytes, 0 for any: a script that wants more gets an error.
    pub memory_bytes_max: usize,
}

/// Stack of a thread that runs scripts or loads libraries, in bytes: the language calls itself for the repetitions in patterns,
/// up to ten thousand at a time, and for what is called in between.
pub const STACK_BYTES: usize = 8 << 20;

/// Compiled scripts that are kept.
const COMPILED_MAX: usize = 2000;

impl Compiled {
    fn clear(&mut self) {
        self.places.clear();
        // Where there is no memory for that, the next scripts take the places of these.
        let _ = self.list.clear();
    }
}

impl Engine {
    /// A state whose scripts end when `watch` says so.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(options: &Options, watch: Watch) -> Result<Engine> {
        let libs = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::OS;
        let lua = Lua::new_with(libs, LuaOptions::new().catch_rust_panics(false))?;
        let state = Rc::new(State::new(watch));
        let native = api::natives(&lua, &state, &options.version, options.insecure)?;
        native.set("libraries", libs::all(&lua, &state.json)?)?;
        let server: Table = native.get("api")?;
        let prelude = lua.load(include_str!("prelude.lua")).set_name(PRELUDE).set_mode(ChunkMode::Text);
        type Parts = (Table, Table, Table, Function, Function, Function);
        let (outer, globals, function_globals, run, call, set_loading): Parts = prelude.call(native)?;
        lua.set_globals(outer)?;
        lua.gc_collect()?;
        state::look_now_and_then(&state, &lua)?;
        let prelude = Prelude { globals, function_globals, api: server, run, call, set_loading };
        let names = [lua.create_string(SCRIPT)?, lua.create_string(FUNCTION)?];
        let memory_bytes_max = options.memory_bytes_max;
        lua.set_memory_limit(memory_bytes_max)?;
        let scripts = RefCell::new(Compiled { places: HashMap::new(), list: lua.create_table()? });
        let libraries = RefCell::default();
        Ok(Engine { lua, state, prelude, scripts, libraries, memory_bytes_max, _names: names })
    }

    /// Whether a script can be compiled.
    ///
    /// # Errors
    /// The error for the client: code and text.
    pub fn check(&self, script: &Script) -> std::result::Result<(), Vec<u8>> {
        self.compiled(script).map(drop)
    }

    /// Forgets all compiled scripts.
    pub fn forget_scripts(&self) {
        self.scripts.borrow_mut().clear();
    }

    /// Memory that the state takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.lua.used_memory()
    }

    /// Runs a script; its reply is written to `out`.
    pub fn eval(&self, script: &Script, call: &Call<'_>, host: &mut dyn Host, out: &mut Out) -> Ran {
        let Call { keys, argv, seed } = *call;
        match self.compiled(script) {
            Ok(function) => self.outcome(seed, host, out, || {
                self.prelude.globals.raw_set("KEYS", self.list(keys)?)?;
                self.prelude.globals.raw_set("ARGV", self.list(argv)?)?;
                self.prelude.run.call(&function)
            }),
            Err(text) => Ran::Failed(text),
        }
    }

    /// Runs a function of a library; its reply is written to `out`.
    pub fn call(
        &self,
        library: &Library,
        function: &FunctionSpec,
        call: &Call<'_>,
        host: &mut dyn Host,
        out: &mut Out,
    ) -> Ran {
        let Call { keys, argv, seed } = *call;
        if !self.has_library(library.id)
            && let Err(text) = self.load(library.body(), library.id, host)
        {
            return Ran::Failed([b"ERR ", &*text].concat());
        }
        let found = self.libraries.borrow().get(&library.id).and_then(|lib| lib.get(&function.name).cloned());
        let Some(callback) = found else { return Ran::Failed(b"ERR Function not found".to_vec()) };
        self.outcome(seed, host, out, || self.prelude.call.call((&callback, self.list(keys)?, self.list(argv)?)))
    }

    /// Whether a library is compiled already.
    pub fn has_library(&self, id: u64) -> bool {
        self.libraries.borrow().contains_key(&id)
    }

    /// How many libraries are compiled.
    pub fn library_count(&self) -> usize {
        self.libraries.borrow().len()
    }

    /// Forgets the compiled libraries that are none of these.
    pub fn keep_libraries(&self, is_live: impl Fn(u64) -> bool) {
        self.libraries.borrow_mut().retain(|id, _| is_live(*id));
    }

    /// Compiles a library and runs its text, which registers its functions.
    ///
    /// # Errors
    /// The text of the refusal without its code.
    pub fn load(&self, body: &[u8], id: u64, host: &mut dyn Host) -> std::result::Result<Vec<FunctionSpec>, Vec<u8>> {
        let loaded = load::load(self, body, host)?;
        let (specs, callbacks): (Vec<_>, Vec<_>) = loaded.into_iter().unzip();
        let by_name = specs.iter().map(|spec: &FunctionSpec| spec.name.clone()).zip(callbacks).collect();
        self.libraries.borrow_mut().insert(id, by_name);
        Ok(specs)
    }

    fn compiled(&self, script: &Script) -> std::result::Result<Function, Vec<u8>> {
        let failed =
            |e: &mlua::Error| [b"ERR Error compiling script (new function): ", native::message(e).as_bytes()].concat();
        if let Some(place) = self.scripts.borrow().places.get(&script.sha) {
            return self.scripts.borrow().list.raw_get(*place).map_err(|e| failed(&e));
        }
        let chunk = self.lua.load(script.body()).set_name(SCRIPT).set_mode(ChunkMode::Text);
        let function = chunk.into_function().map_err(|e| failed(&e))?;
        let mut scripts = self.scripts.borrow_mut();
        if scripts.places.len() >= COMPILED_MAX {
            scripts.clear();
        }
        let place = scripts.places.len() + 1;
        scripts.list.raw_seti(place, &function).map_err(|e| failed(&e))?;
        scripts.places.insert(script.sha, place);
        Ok(function)
    }

    fn list(&self, items: &[&[u8]]) -> Result<Table> {
        let table = self.lua.create_table_with_capacity(items.len(), 0)?;
        for (i, item) in items.iter().enumerate() {
            table.raw_seti(i + 1, self.lua.create_string(item)?)?;
        }
        Ok(table)
    }

    /// Runs something with its host at hand, and makes of what it gives a reply or an error.
    fn outcome(&self, seed: u32, host: &mut dyn Host, out: &mut Out, run: impl FnOnce() -> Result<MultiValue>) -> Ran {
        self.state.begin(seed);
        let result = host::with(self, host, run);
        if self.memory_bytes_max > 0 && self.memory_bytes() > self.memory_bytes_max / 2 {
            // The next script would find no room before the collector comes round.
            let _ = self.lua.gc_collect();
        }
        if let Some(halt) = self.state.halt.take() {
            return Ran::Halted(halt);
        }
        let values = match result {
            Ok(values) => values,
            Err(e) => return Ran::Failed(failure(&native::message(&e))),
        };
        let value = values.get(1).cloned().unwrap_or(Value::Nil);
        if values.front() != Some(&Value::Boolean(true)) {
            return Ran::Failed(errors::told(&value));
        }
        let proto = self.state.proto.get();
        self.state.proto.set(Proto::V2);
        match from_lua::write(&value, out, proto) {
            Ok(()) => Ran::Done,
            Err(e) => Ran::Failed(failure(&native::message(&e))),
        }
    }
}

/// The error of a script that failed without saying where.
fn failure(text: &str) -> Vec<u8> {
    format!("ERR Error running script, {text}").into_bytes()
}

/// The name of the prelude's chunk: errors are never located in it.
const PRELUDE: &str = "=prelude";
/// The names of the chunks of scripts and libraries.
const SCRIPT: &str = "@user_script";
const FUNCTION: &str = "@user_function";
