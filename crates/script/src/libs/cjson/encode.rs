//! Values written as JSON.

use mlua::{Lua, LuaString, Table, Value};

use super::Settings;
use crate::engine::native::{Answer, type_name};
use crate::libs::number::general;

/// A value as JSON.
pub(super) fn encode(lua: &Lua, value: &Value, settings: &Settings) -> Answer<LuaString> {
    let mut writer = Writer { out: Vec::new(), settings };
    writer.value(value, 0)?;
    Ok(lua.create_string(writer.out)?)
}

struct Writer<'a> {
    out: Vec<u8>,
    settings: &'a Settings,
}

/// How deep values are followed whatever a script sets: a thread's stack is not endless.
const DEPTH_ALWAYS_MAX: usize = 4000;

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Answer<()> {
        match value {
            Value::String(text) => self.text(&text.as_bytes()),
            Value::Integer(n) => self.number(*n as f64)?,
            Value::Number(n) => self.number(*n)?,
            Value::Boolean(yes) => self.out.extend_from_slice(if *yes { b"true" } else { b"false" }),
            Value::Nil => self.out.extend_from_slice(b"null"),
            value if *value == Value::NULL => self.out.extend_from_slice(b"null"),
            Value::Table(table) => self.table(table, depth + 1)?,
            other => return Err(format!("Cannot serialise {}: type not supported", type_name(other)).into()),
        }
        Ok(())
    }

    fn number(&mut self, n: f64) -> Answer<()> {
        if !n.is_finite() && !self.settings.encode_invalid {
            return Err("Cannot serialise number: must not be NaN or Inf".into());
        }
        self.out.extend_from_slice(general(n, self.settings.precision).as_bytes());
        Ok(())
    }

    fn text(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for &b in text {
            match b {
                b'"' => self.out.extend_from_slice(b"\\\""),
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                b'/' => self.out.extend_from_slice(b"\\/"),
                8 => self.out.extend_from_slice(b"\\b"),
                12 => self.out.extend_from_slice(b"\\f"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                0..32 | 127 => self.out.extend_from_slice(format!("\\u{b:04x}").as_bytes()),
                _ => self.out.push(b),
            }
        }
        self.out.push(b'"');
    }

    fn table(&mut self, table: &Table, depth: usize) -> Answer<()> {
        if depth > self.settings.encode_depth_max.min(DEPTH_ALWAYS_MAX) {
            return Err(format!("Cannot serialise, excessive nesting ({depth})").into());
        }
        match self.array_len(table)? {
            Some(len) if len > 0 => {
                self.out.push(b'[');
                for i in 1..=len {
                    if i > 1 {
                        self.out.push(b',');
                    }
                    self.value(&table.raw_get(i)?, depth)?;
                }
                self.out.push(b']');
                Ok(())
            }
            _ => self.object(table, depth),
        }
    }

    /// How long a table is as an array; none if it is an object.
    fn array_len(&self, table: &Table) -> Answer<Option<usize>> {
        let (mut highest, mut items) = (0usize, 0usize);
        for pair in table.pairs::<Value, Value>() {
            let n = match pair?.0 {
                Value::Integer(n) => n as f64,
                Value::Number(n) => n,
                _ => return Ok(None),
            };
            if n < 1.0 || n.trunc() != n || n > u32::MAX.into() {
                return Ok(None);
            }
            highest = highest.max(n as usize);
            items += 1;
        }
        let Settings { sparse_ratio: ratio, sparse_safe: safe, sparse_convert: convert, .. } = *self.settings;
        if ratio > 0 && highest > items.saturating_mul(ratio) && highest > safe {
            return if convert { Ok(None) } else { Err("Cannot serialise table: excessively sparse array".into()) };
        }
        Ok(Some(highest))
    }

    fn object(&mut self, table: &Table, depth: usize) -> Answer<()> {
        self.out.push(b'{');
        let mut first = true;
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            match &key {
                Value::String(text) => self.text(&text.as_bytes()),
                Value::Integer(_) | Value::Number(_) => {
                    self.out.push(b'"');
                    self.value(&key, depth)?;
                    self.out.push(b'"');
                }
                _ => return Err("Cannot serialise table: table key must be a number or string".into()),
            }
            self.out.push(b':');
            self.value(&value, depth)?;
        }
        self.out.push(b'}');
        Ok(())
    }
}
