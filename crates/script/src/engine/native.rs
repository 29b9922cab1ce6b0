//! Functions of the host as scripts call them, and the errors that they raise. A host can raise nothing but opaque
//! objects; the prelude has them explained wherever a script catches one.

use std::fmt;

use mlua::{FromLuaMulti, Function, IntoLuaMulti, Lua, LuaString, MultiValue, Result, Value};

use super::PRELUDE;

/// Why a function of the host raises an error in the script.
#[derive(Debug)]
pub(crate) enum Raised {
    /// With this text, behind the place that called it.
    Text(String),
    /// As a table whose field `err` is this: code and text.
    Fault(Vec<u8>),
    /// The machine itself failed: no memory, or the script is to end.
    Machine(mlua::Error),
}

impl From<mlua::Error> for Raised {
    fn from(e: mlua::Error) -> Raised {
        Raised::Machine(e)
    }
}

impl From<&str> for Raised {
    fn from(text: &str) -> Raised {
        Raised::Text(text.into())
    }
}

impl From<String> for Raised {
    fn from(text: String) -> Raised {
        Raised::Text(text)
    }
}

/// What a native function gives.
pub(crate) type Answer<T> = std::result::Result<T, Raised>;

/// An error that stands for a table with the field `err`.
#[derive(Debug)]
pub(super) struct Fault(pub(super) Vec<u8>);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl std::error::Error for Fault {}

/// A function of the host.
pub(crate) fn function<A, R>(lua: &Lua, f: impl Fn(&Lua, A) -> Answer<R> + 'static) -> Result<Function>
where
    A: FromLuaMulti,
    R: IntoLuaMulti,
{
    lua.create_function(move |lua, args: A| spoken(lua, f(lua, args)))
}

/// An answer as the machine takes it.
pub(crate) fn spoken<R>(lua: &Lua, answer: Answer<R>) -> Result<R> {
    answer.map_err(|raised| match raised {
        Raised::Text(text) => mlua::Error::RuntimeError(place(lua, 1) + &text),
        Raised::Fault(text) => mlua::Error::external(Fault(text)),
        Raised::Machine(e) => e,
    })
}

/// `chunk:line: ` of the function at this level of the stack, as the language prefixes its own errors.
pub(super) fn place(lua: &Lua, level: usize) -> String {
    let found = lua.inspect_stack(level, |debug| {
        let source = debug.source();
        let shown = source.source.as_deref() != Some(PRELUDE) && source.what != "C";
        debug.current_line().filter(|_| shown).zip(source.short_src.map(|name| name.into_owned()))
    });
    found.flatten().map_or_else(String::new, |(line, name)| format!("{name}:{line}: "))
}

/// What an error of the host stands for: a table, or a text.
pub(super) fn explained(lua: &Lua, raised: &Value) -> Result<Value> {
    let Value::Error(e) = raised else { return Ok(raised.clone()) };
    if let Some(Fault(text)) = fault_of(e) {
        return super::to_lua::field(lua, "err", lua.create_string(text)?);
    }
    Ok(Value::String(lua.create_string(message(e))?))
}

fn fault_of(e: &mlua::Error) -> Option<&Fault> {
    match e {
        mlua::Error::CallbackError { cause, .. } => fault_of(cause),
        mlua::Error::ExternalError(e) => e.downcast_ref(),
        _ => None,
    }
}

/// What went wrong, without the machine's own words around it.
pub(super) fn message(e: &mlua::Error) -> String {
    match e {
        mlua::Error::SyntaxError { message, .. } | mlua::Error::RuntimeError(message) => message.clone(),
        mlua::Error::CallbackError { cause, .. } => message(cause),
        mlua::Error::ExternalError(e) => e.to_string(),
        other => other.to_string(),
    }
}

/// The name of a value's type as the language says it.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "number",
        Value::LightUserData(_) => "userdata",
        other => other.type_name(),
    }
}

fn mismatch(args: &MultiValue, nth: usize, function: &str, wanted: &str) -> Raised {
    let found = args.get(nth - 1).map_or("no value", type_name);
    format!("bad argument #{nth} to '{function}' ({wanted} expected, got {found})").into()
}

/// The `nth` argument (from 1) as bytes, as the language takes strings: numbers are their text.
pub(crate) fn text_arg(lua: &Lua, args: &MultiValue, nth: usize, function: &str) -> Answer<LuaString> {
    let value = args.get(nth - 1).cloned().unwrap_or(Value::Nil);
    lua.coerce_string(value)?.ok_or_else(|| mismatch(args, nth, function, "string"))
}

/// The `nth` argument (from 1) as a number, as the language takes numbers.
pub(crate) fn number_arg(lua: &Lua, args: &MultiValue, nth: usize, function: &str) -> Answer<f64> {
    let value = args.get(nth - 1).cloned().unwrap_or(Value::Nil);
    lua.coerce_number(value)?.ok_or_else(|| mismatch(args, nth, function, "number"))
}
