//! Replies as Lua values: what `server.call` gives a script, by the protocol that the script chose. The bytes are our own
//! commands' replies; should they be malformed, the script sees nil rather than a panic.

use baton_base::num;
use mlua::{Lua, Result, Table, Value};

/// How deep replies are followed.
const DEPTH_MAX: usize = 64;

/// The first reply of `bytes` as a Lua value.
pub(super) fn value(lua: &Lua, bytes: &[u8]) -> Result<Value> {
    Reader { lua, bytes, at: 0 }.value(0)
}

/// A table with one field.
pub(super) fn field(lua: &Lua, name: &str, value: impl mlua::IntoLua) -> Result<Value> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(name, value)?;
    Ok(Value::Table(table))
}

struct Reader<'a> {
    lua: &'a Lua,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value> {
        let Some((kind, line)) = self.line() else { return Ok(Value::Nil) };
        if depth > DEPTH_MAX {
            return Ok(Value::Nil);
        }
        let lua = self.lua;
        match kind {
            b'+' => field(lua, "ok", lua.create_string(line)?),
            b'-' => field(lua, "err", lua.create_string(line)?),
            b':' => Ok(Value::Number(num::parse_i64(line).unwrap_or(0) as f64)),
            b'$' | b'*' if line.starts_with(b"-") => Ok(Value::Boolean(false)),
            b'$' => Ok(Value::String(lua.create_string(self.text(line))?)),
            b'*' => self.array(line, depth),
            b'_' => Ok(Value::Nil),
            b'#' => Ok(Value::Boolean(line == b"t")),
            b',' => field(lua, "double", double(line)),
            b'(' => field(lua, "big_number", lua.create_string(line)?),
            b'=' => self.verbatim(line),
            b'%' => self.map(line, depth),
            b'~' => self.set(line, depth),
            b'|' => {
                // Scripts don't see what is said about a reply.
                self.map(line, depth)?;
                self.value(depth + 1)
            }
            _ => Ok(Value::Nil),
        }
    }

    /// Kind and rest of the line that begins here.
    fn line(&mut self) -> Option<(u8, &'a [u8])> {
        let rest = self.bytes.get(self.at..)?;
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        self.at += end + 2;
        Some((*rest.first()?, rest.get(1..end)?))
    }

    /// The text whose length this line says, and its line end.
    fn text(&mut self, line: &[u8]) -> &'a [u8] {
        let text = self.bytes.get(self.at..).and_then(|rest| rest.get(..count(line))).unwrap_or_default();
        self.at += text.len() + 2;
        text
    }

    fn array(&mut self, line: &[u8], depth: usize) -> Result<Value> {
        let table = self.table(count(line), 0)?;
        for i in 1..=count(line) {
            let value = self.value(depth + 1)?;
            table.raw_seti(i, value)?;
            if self.at >= self.bytes.len() {
                break;
            }
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, line: &[u8], depth: usize) -> Result<Value> {
        let table = self.table(0, count(line))?;
        for _ in 0..count(line) {
            let key = self.value(depth + 1)?;
            let value = self.value(depth + 1)?;
            if !key.is_nil() {
                table.raw_set(key, value)?;
            }
            if self.at >= self.bytes.len() {
                break;
            }
        }
        field(self.lua, "map", table)
    }

    fn set(&mut self, line: &[u8], depth: usize) -> Result<Value> {
        let table = self.table(0, count(line))?;
        for _ in 0..count(line) {
            let key = self.value(depth + 1)?;
            if !key.is_nil() {
                table.raw_set(key, true)?;
            }
            if self.at >= self.bytes.len() {
                break;
            }
        }
        field(self.lua, "set", table)
    }

    fn verbatim(&mut self, line: &[u8]) -> Result<Value> {
        let text = self.text(line);
        let (format, text) = text.split_at_checked(4).unwrap_or((b"txt:", text));
        let table = self.lua.create_table_with_capacity(0, 2)?;
        table.raw_set("format", self.lua.create_string(&format[..3])?)?;
        table.raw_set("string", self.lua.create_string(text)?)?;
        field(self.lua, "verbatim_string", table)
    }

    /// A table with room, but no more than the bytes that are there can fill.
    fn table(&self, items: usize, pairs: usize) -> Result<Table> {
        let most = self.bytes.len().saturating_sub(self.at) / SHORTEST_BYTES + 1;
        self.lua.create_table_with_capacity(items.min(most), pairs.min(most))
    }
}

/// The shortest reply: a null of RESP3.
const SHORTEST_BYTES: usize = 3;

fn count(line: &[u8]) -> usize {
    num::parse_u64(line).and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
}

fn double(line: &[u8]) -> f64 {
    if line == b"nan" { f64::NAN } else { num::parse_f64(line).unwrap_or(0.0) }
}
