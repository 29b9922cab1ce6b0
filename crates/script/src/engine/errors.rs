//! Errors that scripts end with: where they were raised, and how they read for the client.

use mlua::{Lua, Result, Value};

use super::PRELUDE;
use super::native::{explained, message, place};
use crate::libs::number::general;

/// How far up an error is looked for the script's own line.
const LEVELS_MAX: usize = 12;

/// An error that was raised, as a table with its text and the place in the script.
pub(super) fn located(lua: &Lua, raised: Value) -> Result<Value> {
    let table = match explained(lua, &raised)? {
        Value::Table(table) => table,
        other => {
            let table = lua.create_table_with_capacity(0, 3)?;
            let text = text_of(&other);
            // What the language says of a function that the prelude stands before belongs to the line that called it.
            let place = unplaced(&text).map(|_| shown_place(lua)).unwrap_or_default();
            let text = [b"ERR ", place.as_bytes(), unplaced(&text).unwrap_or(&text)].concat();
            table.raw_set("err", lua.create_string(text)?)?;
            table
        }
    };
    for level in 1..LEVELS_MAX {
        let place = lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let shown = source.source.as_deref() != Some(PRELUDE) && matches!(source.what, "Lua" | "main");
            shown.then(|| (source.source.map(|name| name.into_owned()), debug.current_line()))
        });
        match place {
            None => break,
            Some(None) => {}
            Some(Some((source, line))) => {
                table.raw_set("source", source)?;
                table.raw_set("line", line)?;
                break;
            }
        }
    }
    Ok(Value::Table(table))
}

/// A text without the place in the prelude that it begins with; none if it begins otherwise.
pub(super) fn unplaced(text: &[u8]) -> Option<&[u8]> {
    let rest = text.strip_prefix(&PRELUDE.as_bytes()[1..])?.strip_prefix(b":")?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    rest[digits..].strip_prefix(b": ").filter(|_| digits > 0)
}

/// `chunk:line: ` of the first function that is the script's own.
fn shown_place(lua: &Lua) -> String {
    (1..LEVELS_MAX).map(|level| place(lua, level)).find(|place| !place.is_empty()).unwrap_or_default()
}

/// The error for the client of what a script raised.
pub(super) fn told(value: &Value) -> Vec<u8> {
    let mut out = text_of(value);
    if let Value::Table(table) = value
        && let (Ok(Some(source)), Ok(Some(line))) =
            (table.raw_get::<Option<mlua::LuaString>>("source"), table.raw_get::<Option<i64>>("line"))
    {
        out.extend_from_slice(b" script: on ");
        out.extend_from_slice(&source.as_bytes());
        out.extend_from_slice(format!(":{line}.").as_bytes());
    }
    out
}

/// The text of an error.
pub(super) fn text_of(value: &Value) -> Vec<u8> {
    match value {
        Value::Table(table) => match table.raw_get::<Value>("err") {
            Ok(Value::String(text)) => text.as_bytes().to_vec(),
            _ => b"ERR unknown error".to_vec(),
        },
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Integer(n) => n.to_string().into_bytes(),
        Value::Number(n) => general(*n, 14).into_bytes(),
        Value::Boolean(yes) => yes.to_string().into_bytes(),
        Value::Error(e) => message(e).into_bytes(),
        other => other.type_name().as_bytes().to_vec(),
    }
}
