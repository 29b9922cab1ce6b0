//! Loading a library of functions: running its text once, which registers them.

use std::cell::RefCell;

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, MultiValue, Table, Value};

use super::errors::text_of;
use super::native::{Answer, message, spoken};
use super::{Engine, Halt, Host, api};
use crate::header::ScriptFlags;
use crate::library::{FunctionSpec, is_name};

/// The functions that a library registers, with what runs.
type Loaded = Vec<(FunctionSpec, Function)>;

/// Compiles a library and runs its text.
pub(super) fn load(engine: &Engine, body: &[u8], host: &mut dyn Host) -> std::result::Result<Loaded, Vec<u8>> {
    let chunk = engine.lua.load(body).set_name(super::FUNCTION).set_mode(ChunkMode::Text);
    let function = chunk
        .set_environment(engine.prelude.function_globals.clone())
        .into_function()
        .map_err(|e| [b"Error compiling function: ", message(&e).as_bytes()].concat())?;
    engine.state.begin(0);
    let loaded = RefCell::new(Loaded::new());
    let host = RefCell::new(host);
    let result = engine.lua.scope(|scope| {
        let ask = scope.create_function(|lua, mut args: MultiValue| {
            let name = args.pop_front();
            let answer = match name.as_ref().and_then(Value::as_string) {
                Some(name) if *name == "register_function" => register(lua, &args, &mut loaded.borrow_mut()),
                Some(name) if *name == "log" => super::host::log(lua, &mut **host.borrow_mut(), &args),
                _ => Ok(Value::Nil),
            };
            spoken(lua, answer)
        })?;
        *engine.state.ask.borrow_mut() = Some(ask);
        engine.prelude.set_loading.call::<()>(true)?;
        engine.prelude.run.call::<MultiValue>(function)
    });
    *engine.state.ask.borrow_mut() = None;
    let told = |e: &mlua::Error| [b"Error registering functions: ", message(e).as_bytes()].concat();
    engine.prelude.set_loading.call::<()>(false).map_err(|e| told(&e))?;
    if let Some(halt) = engine.state.halt.take() {
        let why = if let Halt::Killed(text) = halt { text } else { "FUNCTION LOAD timeout".into() };
        return Err([b"Error registering functions: ", why.as_bytes()].concat());
    }
    let values = result.map_err(|e| told(&e))?;
    if values.front() != Some(&Value::Boolean(true)) {
        let text = text_of(values.get(1).unwrap_or(&Value::Nil));
        return Err([b"Error registering functions: ", &*text].concat());
    }
    check(loaded.into_inner())
}

/// Refuses names that can't be, and one name for two functions.
fn check(loaded: Loaded) -> std::result::Result<Loaded, Vec<u8>> {
    for (at, (spec, _)) in loaded.iter().enumerate() {
        if !is_name(&spec.name) {
            let text = b"Function names can only contain letters, numbers, or underscores(_) and must be at least one \
                         character long";
            return Err(text.to_vec());
        }
        if loaded[..at].iter().any(|(other, _)| other.name == spec.name) {
            return Err(b"Function already exists in the library".to_vec());
        }
    }
    Ok(loaded)
}

/// `server.register_function(name, callback)`, or with one table of named arguments.
fn register(lua: &Lua, args: &MultiValue, loaded: &mut Loaded) -> Answer<Value> {
    let (spec, callback) = match (args.len(), args.front(), args.get(1)) {
        (1, Some(Value::Table(named)), _) => registered(lua, named)?,
        (1, ..) => {
            let text = "calling server.register_function with a single argument is only applicable to Lua table \
                        (representing named arguments).";
            return Err(api::fault(text));
        }
        (2, Some(name), callback) => {
            let Some(name) = lua.coerce_string(name.clone())? else {
                return Err(api::fault("first argument to server.register_function must be a string"));
            };
            let Some(Value::Function(callback)) = callback else {
                return Err(api::fault("second argument to server.register_function must be a function"));
            };
            (FunctionSpec { name: name.as_bytes().as_ref().into(), ..FunctionSpec::default() }, callback.clone())
        }
        _ => return Err(api::fault("wrong number of arguments to server.register_function")),
    };
    loaded.push((spec, callback));
    Ok(Value::Nil)
}

fn registered(lua: &Lua, named: &Table) -> Answer<(FunctionSpec, Function)> {
    let mut spec = FunctionSpec::default();
    let mut found = (None, None);
    named.for_each(|key: Value, value: Value| {
        let wrong = take_named(lua, &key, &value, &mut spec, &mut found.1)?;
        found.0 = found.0.take().or(wrong);
        Ok(())
    })?;
    if let Some(text) = found.0 {
        return Err(api::fault(text));
    }
    if spec.name.is_empty() {
        return Err(api::fault("server.register_function must get a function name argument"));
    }
    match found.1 {
        Some(callback) => Ok((spec, callback)),
        None => Err(api::fault("server.register_function must get a callback argument")),
    }
}

/// Takes one named argument; gives what is wrong with it.
fn take_named(
    lua: &Lua,
    key: &Value,
    value: &Value,
    spec: &mut FunctionSpec,
    callback: &mut Option<Function>,
) -> mlua::Result<Option<&'static str>> {
    let Some(key) = lua.coerce_string(key.clone())? else {
        return Ok(Some("named argument key given to server.register_function is not a string"));
    };
    let text = || lua.coerce_string(value.clone()).map(|text| text.map(|text| Box::from(&*text.as_bytes())));
    let wrong = match (&*key.as_bytes(), value) {
        (b"function_name", _) => match text()? {
            Some(name) => {
                spec.name = name;
                return Ok(None);
            }
            None => "function_name argument given to server.register_function must be a string",
        },
        (b"description", _) => match text()? {
            Some(text) => {
                spec.description = Some(text);
                return Ok(None);
            }
            None => "description argument given to server.register_function must be a string",
        },
        (b"callback", Value::Function(function)) => {
            *callback = Some(function.clone());
            return Ok(None);
        }
        (b"callback", _) => "callback argument given to server.register_function must be a function",
        (b"flags", Value::Table(names)) => match flags(names) {
            Some(flags) => {
                spec.flags = flags;
                return Ok(None);
            }
            None => "unknown flag given",
        },
        (b"flags", _) => "flags argument to server.register_function must be a table representing function flags",
        _ => "unknown argument given to server.register_function",
    };
    Ok(Some(wrong))
}

fn flags(names: &Table) -> Option<ScriptFlags> {
    let mut flags = ScriptFlags::empty();
    for name in names.sequence_values::<Value>() {
        let Ok(Value::String(name)) = name else { return None };
        flags |= ScriptFlags::of_name(&name.as_bytes())?;
    }
    Some(flags)
}
