//! The host of a running script: what `server.call` and its kin ask for, and how they get it.

use std::cell::RefCell;

use baton_resp::{ArgRange, Args, Proto};
use mlua::{Lua, MultiValue, Result, Value};

use super::Engine;
use super::api;
use super::native::{Answer, Raised, spoken};
use super::state::{Halt, State};
use super::to_lua;

/// What a script may ask of the server.
pub trait Host {
    /// Runs a command and writes its reply, or its error, in this protocol. False if the script can't go on.
    fn call(&mut self, args: Args<'_>, proto: Proto, reply: &mut Vec<u8>) -> bool;

    /// Writes to the log, with one of four levels from 0 on.
    fn log(&mut self, level: u8, text: &[u8]);

    /// Whether the user may run this command.
    ///
    /// # Errors
    /// The text of the refusal, if there is no such command.
    fn may_call(&mut self, args: Args<'_>) -> std::result::Result<bool, Vec<u8>>;

    /// Which of its effects the script wants to be propagated: 1 is to files, 2 to replicas.
    fn set_repl(&mut self, bits: u8);
}

/// Does something while `server` reaches this host.
pub(super) fn with<T>(engine: &Engine, host: &mut dyn Host, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let host = RefCell::new(host);
    let result = engine.lua.scope(|scope| {
        let caller = |raises: bool| {
            let host = &host;
            scope.create_function(move |lua, args: MultiValue| {
                spoken(lua, call(engine, lua, &mut **host.borrow_mut(), &args, raises))
            })
        };
        engine.prelude.api.raw_set("call", caller(true)?)?;
        engine.prelude.api.raw_set("pcall", caller(false)?)?;
        let ask = scope.create_function(|lua, mut args: MultiValue| {
            let name = args.pop_front();
            let host = &mut **host.borrow_mut();
            let answer = match name.as_ref().and_then(Value::as_string) {
                Some(name) if *name == "log" => log(lua, host, &args),
                Some(name) if *name == "acl_check_cmd" => acl_check(engine, host, &args),
                Some(name) if *name == "register_function" => Err(api::fault(NOT_LOADING)),
                _ => set_repl(lua, host, &args),
            };
            spoken(lua, answer)
        })?;
        *engine.state.ask.borrow_mut() = Some(ask);
        act()
    });
    *engine.state.ask.borrow_mut() = None;
    result
}

const NOT_LOADING: &str = "server.register_function can only be called on FUNCTION LOAD command";

/// Passes on what a script asks its host for.
pub(super) fn ask(state: &State, name: &str, mut args: MultiValue) -> Result<Value> {
    let Some(ask) = state.ask.borrow().clone() else { return Ok(Value::Nil) };
    args.push_front(Value::String(ask.weak_lua().upgrade().create_string(name)?));
    ask.call(args)
}

/// `server.call` and `server.pcall`: an error is raised by the first and given by the second.
fn call(engine: &Engine, lua: &Lua, host: &mut dyn Host, values: &MultiValue, raises: bool) -> Answer<Value> {
    let refused = |text: &str| if raises { Err(api::fault(text)) } else { Ok(api::failure(lua, text.as_bytes())?) };
    if values.is_empty() {
        return refused("Please specify at least one argument for this call");
    }
    let mut args = engine.state.args.borrow_mut();
    if !take_args(values, &mut args) {
        return refused("Command arguments must be strings or integers");
    }
    let mut reply = engine.state.reply.borrow_mut();
    reply.clear();
    if !host.call(Args::new(&args.0, &args.1), engine.state.proto.get(), &mut reply) {
        return Err(Raised::Machine(engine.state.end(Halt::Abandoned)));
    }
    if raises && reply.first() == Some(&b'-') {
        return Err(Raised::Fault(api::coded(&reply)));
    }
    let value = to_lua::value(lua, &reply)?;
    reply.shrink_to(KEPT_BYTES);
    Ok(value)
}

/// Buffer memory that is kept from one call to the next, in bytes.
const KEPT_BYTES: usize = 64 * 1024;

/// Writes the arguments down; false if one is neither text nor number.
fn take_args(values: &MultiValue, (bytes, ranges): &mut (Vec<u8>, Vec<ArgRange>)) -> bool {
    bytes.clear();
    bytes.shrink_to(KEPT_BYTES);
    ranges.clear();
    for value in values {
        let start = bytes.len();
        match value {
            Value::String(text) => bytes.extend_from_slice(&text.as_bytes()),
            Value::Integer(n) => bytes.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
            Value::Number(n) => baton_base::double::push_double(bytes, *n),
            _ => return false,
        }
        let (Ok(start), Ok(len)) = (u32::try_from(start), u32::try_from(bytes.len() - start)) else { return false };
        ranges.push(ArgRange { start, len });
    }
    true
}

pub(super) fn log(lua: &Lua, host: &mut dyn Host, values: &MultiValue) -> Answer<Value> {
    if values.len() < 2 {
        return Err(api::fault("server.log() requires two arguments or more."));
    }
    let Some(level @ (Value::Integer(_) | Value::Number(_))) = values.front() else {
        return Err(api::fault("First argument must be a number (log level)."));
    };
    let level = match level {
        Value::Integer(n) => *n,
        Value::Number(n) => *n as i64,
        _ => 0,
    };
    let Some(level) = u8::try_from(level).ok().filter(|level| *level <= 3) else {
        return Err(api::fault("Invalid log level."));
    };
    let mut words = Vec::new();
    for value in values.iter().skip(1) {
        if let Some(text) = lua.coerce_string(value.clone())? {
            words.push(text.as_bytes().to_vec());
        }
    }
    host.log(level, &words.join(&b' '));
    Ok(Value::Nil)
}

fn acl_check(engine: &Engine, host: &mut dyn Host, values: &MultiValue) -> Answer<Value> {
    if values.is_empty() {
        return Err(api::fault("Please specify at least one argument for this call"));
    }
    let mut args = engine.state.args.borrow_mut();
    if !take_args(values, &mut args) {
        return Err(api::fault("Command arguments must be strings or integers"));
    }
    match host.may_call(Args::new(&args.0, &args.1)) {
        Ok(may) => Ok(Value::Boolean(may)),
        Err(text) => Err(api::fault(&String::from_utf8_lossy(&text))),
    }
}

fn set_repl(lua: &Lua, host: &mut dyn Host, values: &MultiValue) -> Answer<Value> {
    if values.len() != 1 {
        return Err(api::fault("server.set_repl() requires one argument."));
    }
    let bits = lua.coerce_number(values[0].clone())?.map(|n| n as i64);
    match bits.and_then(|bits| u8::try_from(bits).ok()).filter(|bits| *bits <= 3) {
        Some(bits) => host.set_repl(bits),
        None => {
            return Err(api::fault("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."));
        }
    }
    Ok(Value::Nil)
}
