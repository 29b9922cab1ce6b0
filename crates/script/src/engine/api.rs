//! The table `server` (also `redis`), without `call` and `pcall`, which every run brings along.

use std::rc::Rc;

use baton_resp::Proto;
use mlua::{Lua, LuaString, MultiValue, Result, Table, Value};

use crate::cache::Sha;

use super::native::{Answer, Raised, explained, function, number_arg};
use super::state::{State, seeded};
use super::to_lua::field;
use super::{errors, host};

/// What of the table a library finds while it is loaded.
const WHILE_LOADING: [&str; 10] = [
    "log",
    "LOG_DEBUG",
    "LOG_VERBOSE",
    "LOG_NOTICE",
    "LOG_WARNING",
    "SERVER_NAME",
    "VALKEY_VERSION",
    "VALKEY_VERSION_NUM",
    "REDIS_VERSION",
    "REDIS_VERSION_NUM",
];

/// Names of the language that scripts see.
const BUILTINS: [&str; 22] = [
    "assert",
    "collectgarbage",
    "error",
    "gcinfo",
    "getmetatable",
    "ipairs",
    "load",
    "loadstring",
    "next",
    "pairs",
    "pcall",
    "rawequal",
    "rawget",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "xpcall",
    "_VERSION",
];

/// Names of the language that scripts see only where that is configured.
const UNSAFE_BUILTINS: [&str; 3] = ["getfenv", "setfenv", "newproxy"];

/// Which version of the server scripts are told.
#[derive(Clone, Debug)]
pub struct Version {
    /// As text, of the original whose commands these are.
    pub text: String,
    /// The same as a number, two hexadecimal digits a part.
    pub number: u32,
    /// The same of the older line whose scripts run unchanged.
    pub old_text: String,
    /// Its number.
    pub old_number: u32,
}

/// What the prelude gets of the host.
pub(super) fn natives(lua: &Lua, state: &Rc<State>, version: &Version, insecure: bool) -> Result<Table> {
    let native = lua.create_table()?;
    let mut builtins = BUILTINS.to_vec();
    if insecure {
        builtins.extend(UNSAFE_BUILTINS);
    }
    native.set("builtins", builtins)?;
    native.set("while_loading", WHILE_LOADING.to_vec())?;
    let ending = Rc::clone(state);
    let explain = move |lua: &Lua, raised: Value| match ending.still_ending() {
        None => match explained(lua, &raised)? {
            Value::String(text) if let Some(text) = errors::unplaced(&text.as_bytes()) => {
                Ok(Value::String(lua.create_string(text)?))
            }
            other => Ok(other),
        },
        Some(e) => Err(e),
    };
    native.set("explain", lua.create_function(explain)?)?;
    native.set("handler", lua.create_function(|lua, raised: Value| errors::located(lua, raised))?)?;
    native.set("api", table(lua, state, version)?)?;
    native.set("register_function", asked(lua, state, "register_function")?)?;
    native.set("repetitions", lua.create_function(|_, pattern: LuaString| Ok(repetitions(&pattern.as_bytes())))?)?;
    let random = Rc::clone(state);
    native.set("random", function(lua, move |lua, args: MultiValue| draw(lua, &random, &args))?)?;
    let random = Rc::clone(state);
    let seed = function(lua, move |lua, args: MultiValue| {
        random.random.set(seeded(number_arg(lua, &args, 1, "randomseed")? as i64 as u32));
        Ok(())
    });
    native.set("randomseed", seed?)?;
    Ok(native)
}

/// How many repetitions a pattern has, or more.
fn repetitions(pattern: &[u8]) -> usize {
    pattern.iter().filter(|byte| b"?*+-".contains(byte)).count()
}

/// A function that the host of the run answers.
fn asked(lua: &Lua, state: &Rc<State>, name: &'static str) -> Result<mlua::Function> {
    let state = Rc::clone(state);
    lua.create_function(move |_, args: MultiValue| host::ask(&state, name, args))
}

fn table(lua: &Lua, state: &Rc<State>, version: &Version) -> Result<Table> {
    let api = lua.create_table()?;
    for (level, name) in ["LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"].into_iter().enumerate() {
        api.set(name, level)?;
    }
    for (name, bits) in [("REPL_NONE", 0), ("REPL_AOF", 1), ("REPL_SLAVE", 2), ("REPL_REPLICA", 2), ("REPL_ALL", 3)] {
        api.set(name, bits)?;
    }
    api.set("SERVER_NAME", "valkey")?;
    api.set("VALKEY_VERSION", version.text.as_str())?;
    api.set("VALKEY_VERSION_NUM", version.number)?;
    api.set("REDIS_VERSION", version.old_text.as_str())?;
    api.set("REDIS_VERSION_NUM", version.old_number)?;
    for name in ["log", "acl_check_cmd", "set_repl"] {
        api.set(name, asked(lua, state, name)?)?;
    }
    api.set("sha1hex", function(lua, |lua, args: MultiValue| sha1hex(lua, &args))?)?;
    api.set("error_reply", function(lua, |lua, args: MultiValue| error_reply(lua, &args))?)?;
    api.set("status_reply", function(lua, |lua, args: MultiValue| status_reply(lua, &args))?)?;
    let own = Rc::clone(state);
    api.set("setresp", function(lua, move |lua, args: MultiValue| set_resp(lua, &own, &args))?)?;
    api.set("replicate_commands", function(lua, |_, _: MultiValue| Ok(true))?)?;
    api.set("breakpoint", function(lua, |_, _: MultiValue| Ok(false))?)?;
    api.set("debug", function(lua, |_, _: MultiValue| Ok(()))?)?;
    Ok(api)
}

fn sha1hex(lua: &Lua, args: &MultiValue) -> Answer<String> {
    if args.len() != 1 {
        return Err(fault("wrong number of arguments"));
    }
    let text = lua.coerce_string(args[0].clone())?;
    let sha = text.map_or_else(|| Sha::of(b""), |text| Sha::of(&text.as_bytes()));
    Ok(sha.to_string())
}

fn status_reply(lua: &Lua, args: &MultiValue) -> Answer<Value> {
    match (args.len(), args.front()) {
        (1, Some(Value::String(text))) => Ok(field(lua, "ok", text)?),
        _ => Ok(failure(lua, b"wrong number or type of arguments")?),
    }
}

fn error_reply(lua: &Lua, args: &MultiValue) -> Answer<Value> {
    match (args.len(), args.front()) {
        (1, Some(Value::String(text))) => {
            let text = text.as_bytes().to_vec();
            let dashed = if text.starts_with(b"-") { text } else { [b"-", &*text].concat() };
            Ok(failure(lua, &dashed)?)
        }
        _ => Ok(failure(lua, b"wrong number or type of arguments")?),
    }
}

/// The table that stands for an error.
pub(super) fn failure(lua: &Lua, text: &[u8]) -> Result<Value> {
    field(lua, "err", lua.create_string(coded(text))?)
}

/// Code and text of `-CODE text`, or of a text without a code.
pub(super) fn coded(text: &[u8]) -> Vec<u8> {
    let text = text.strip_suffix(b"\r\n").unwrap_or(text);
    match text.strip_prefix(b"-") {
        Some(whole) if whole.contains(&b' ') => whole.to_vec(),
        Some(bare) => [b"ERR ", bare].concat(),
        None => [b"ERR ", text].concat(),
    }
}

/// An error that is raised as such a table.
pub(super) fn fault(text: &str) -> Raised {
    Raised::Fault(coded(text.as_bytes()))
}

fn set_resp(lua: &Lua, state: &State, args: &MultiValue) -> Answer<()> {
    if args.len() != 1 {
        return Err(fault("server.setresp() requires one argument."));
    }
    match lua.coerce_number(args[0].clone())?.map(|n| n as i64) {
        Some(2) => state.proto.set(Proto::V2),
        Some(3) => state.proto.set(Proto::V3),
        _ => return Err(fault("RESP version must be 2 or 3.")),
    }
    Ok(())
}

fn draw(lua: &Lua, state: &State, args: &MultiValue) -> Answer<f64> {
    const RANGE: u32 = i32::MAX as u32;
    let share = f64::from(state.next_random() % RANGE) / f64::from(RANGE);
    let bound = |nth| number_arg(lua, args, nth, "random").map(|n| n as i64);
    let (low, high) = match args.len() {
        0 => return Ok(share),
        1 => (1, bound(1)?),
        2 => (bound(1)?, bound(2)?),
        _ => return Err("wrong number of arguments".into()),
    };
    if low > high {
        return Err(format!("bad argument #{} to 'random' (interval is empty)", args.len()).into());
    }
    Ok((share * (high as f64 - low as f64 + 1.0)).floor() + low as f64)
}
