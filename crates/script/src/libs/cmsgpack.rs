//! The library `cmsgpack`: values as MessagePack.

use mlua::{Lua, LuaString, MultiValue, Result, Table, Value};

use crate::engine::native::{Answer, function, number_arg, text_arg};

/// The library's table.
pub(super) fn library(lua: &Lua) -> Result<Table> {
    let lib = lua.create_table()?;
    lib.set("_NAME", "cmsgpack")?;
    lib.set("_VERSION", "lua-cmsgpack 0.4.0")?;
    lib.set("_COPYRIGHT", "Copyright (C) 2012, Redis Ltd.")?;
    lib.set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    lib.set("pack", function(lua, |lua, args: MultiValue| pack(lua, &args))?)?;
    lib.set("unpack", function(lua, |lua, args: MultiValue| unpack(lua, &args, None, 0))?)?;
    let one = |lua: &Lua, args: MultiValue| {
        let from = if args.len() > 1 { number_arg(lua, &args, 2, "unpack_one")? as i64 } else { 0 };
        unpack(lua, &args, Some(1), from)
    };
    lib.set("unpack_one", function(lua, one)?)?;
    let some = |lua: &Lua, args: MultiValue| {
        let limit = number_arg(lua, &args, 2, "unpack_limit")? as i64;
        let from = if args.len() > 2 { number_arg(lua, &args, 3, "unpack_limit")? as i64 } else { 0 };
        unpack(lua, &args, Some(limit), from)
    };
    lib.set("unpack_limit", function(lua, some)?)?;
    Ok(lib)
}

/// How deep tables are packed; what lies deeper is packed as nil.
const PACK_DEPTH_MAX: usize = 16;
/// How deep data may be nested.
const UNPACK_DEPTH_MAX: usize = 200;

fn pack(lua: &Lua, args: &MultiValue) -> Answer<LuaString> {
    if args.is_empty() {
        return Err("bad argument #0 to 'pack' (MessagePack pack needs input.)".into());
    }
    let mut out = Vec::new();
    for value in args {
        put(&mut out, value, 0)?;
    }
    Ok(lua.create_string(out)?)
}

fn put(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<()> {
    match value {
        Value::String(text) => put_text(out, &text.as_bytes()),
        Value::Boolean(yes) => out.push(if *yes { 0xC3 } else { 0xC2 }),
        Value::Integer(n) => put_int(out, *n),
        Value::Number(n) => put_number(out, *n),
        Value::Table(table) if depth < PACK_DEPTH_MAX => put_table(out, table, depth)?,
        _ => out.push(0xC0),
    }
    Ok(())
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        len @ 0..32 => out.push(0xA0 | len as u8),
        len @ 32..0x100 => out.extend([0xD9, len as u8]),
        len => put_len(out, len, 0xDA, 0xDB),
    }
    out.extend_from_slice(text);
}

fn put_len(out: &mut Vec<u8>, len: usize, two: u8, four: u8) {
    if let Ok(len) = u16::try_from(len) {
        out.push(two);
        out.extend(len.to_be_bytes());
    } else {
        out.push(four);
        out.extend((len as u32).to_be_bytes());
    }
}

fn put_number(out: &mut Vec<u8>, n: f64) {
    const WHOLE_MAX: f64 = 9_223_372_036_854_775_808.0;
    if n.trunc() == n && (-WHOLE_MAX..WHOLE_MAX).contains(&n) {
        return put_int(out, n as i64);
    }
    let short = n as f32;
    if f64::from(short) == n {
        out.push(0xCA);
        out.extend(short.to_be_bytes());
    } else {
        out.push(0xCB);
        out.extend(n.to_be_bytes());
    }
}

fn put_int(out: &mut Vec<u8>, n: i64) {
    let mut tagged = |tag: u8, bytes: &[u8]| {
        out.push(tag);
        out.extend_from_slice(bytes);
    };
    match n {
        0..0x80 => out.push(n as u8),
        0x80..0x100 => tagged(0xCC, &[n as u8]),
        0x100..0x1_0000 => tagged(0xCD, &(n as u16).to_be_bytes()),
        0x1_0000..0x1_0000_0000 => tagged(0xCE, &(n as u32).to_be_bytes()),
        0x1_0000_0000.. => tagged(0xCF, &n.to_be_bytes()),
        -32..0 => out.push(n as u8),
        -0x80..-32 => tagged(0xD0, &[n as u8]),
        -0x8000..-0x80 => tagged(0xD1, &(n as i16).to_be_bytes()),
        -0x8000_0000..-0x8000 => tagged(0xD2, &(n as i32).to_be_bytes()),
        _ => tagged(0xD3, &n.to_be_bytes()),
    }
}

fn put_table(out: &mut Vec<u8>, table: &Table, depth: usize) -> Result<()> {
    let (mut pairs, mut highest, mut is_list) = (0usize, 0.0f64, true);
    table.for_each(|key: Value, _: Value| {
        pairs += 1;
        match number_of(&key) {
            Some(n) if n > 0.0 && n.trunc() == n => highest = highest.max(n),
            _ => is_list = false,
        }
        Ok(())
    })?;
    if is_list && highest == pairs as f64 {
        match pairs {
            0..16 => out.push(0x90 | pairs as u8),
            _ => put_len(out, pairs, 0xDC, 0xDD),
        }
        return (1..=pairs).try_for_each(|i| put(out, &table.raw_get::<Value>(i)?, depth + 1));
    }
    match pairs {
        0..16 => out.push(0x80 | pairs as u8),
        _ => put_len(out, pairs, 0xDE, 0xDF),
    }
    table.for_each(|key: Value, value: Value| {
        put(out, &key, depth + 1)?;
        put(out, &value, depth + 1)
    })
}

fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(n) => Some(*n as f64),
        Value::Number(n) => Some(*n),
        _ => None,
    }
}

/// Unpacks up to so many values from an offset on. With a limit the first result is where to go on, or -1 at the end.
fn unpack(lua: &Lua, args: &MultiValue, limit: Option<i64>, from: i64) -> Answer<MultiValue> {
    let data = text_arg(lua, args, 1, "unpack")?;
    let data = data.as_bytes();
    let invalid = |what: i64| format!("Invalid request to unpack with offset of {from} and limit of {what}.");
    if from < 0 || limit.is_some_and(|limit| limit < 0) {
        return Err(invalid(data.len() as i64).into());
    }
    if from as usize > data.len() {
        return Err(format!("Start offset {from} greater than input length {}.", data.len()).into());
    }
    let mut reader = Reader { lua, data: &data, at: from as usize };
    let mut values = Vec::new();
    let limit = limit.filter(|limit| *limit > 0).map(|limit| limit as usize);
    while reader.at < data.len() && limit.is_none_or(|limit| values.len() < limit) {
        values.push(reader.value(0)?);
    }
    if args.len() > 1 || limit.is_some() {
        let next = if reader.at == data.len() { -1.0 } else { reader.at as f64 };
        values.insert(0, Value::Number(next));
    }
    Ok(MultiValue::from_vec(values))
}

struct Reader<'a> {
    lua: &'a Lua,
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Answer<&'a [u8]> {
        let part = self.data.get(self.at..).and_then(|rest| rest.get(..len));
        let part = part.ok_or("Missing bytes in input.")?;
        self.at += len;
        Ok(part)
    }

    /// The next bytes as a number without sign.
    fn uint(&mut self, len: usize) -> Answer<u64> {
        Ok(self.take(len)?.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    /// The same with a sign.
    fn int(&mut self, len: usize) -> Answer<f64> {
        let shift = 64 - 8 * len as u32;
        Ok(((self.uint(len)? << shift) as i64 >> shift) as f64)
    }

    fn text(&mut self, len: u64) -> Answer<Value> {
        Ok(Value::String(self.lua.create_string(self.take(len as usize)?)?))
    }

    fn list(&mut self, len: u64, depth: usize) -> Answer<Value> {
        let table = self.lua.create_table()?;
        for i in 1..=len {
            let value = self.value(depth + 1)?;
            table.raw_set(i, value)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, len: u64, depth: usize) -> Answer<Value> {
        let table = self.lua.create_table()?;
        for _ in 0..len {
            let key = self.value(depth + 1)?;
            let value = self.value(depth + 1)?;
            if key.is_nil() || matches!(key, Value::Number(n) if n.is_nan()) {
                return Err("Bad data format in input.".into());
            }
            table.raw_set(key, value)?;
        }
        Ok(Value::Table(table))
    }

    fn value(&mut self, depth: usize) -> Answer<Value> {
        if depth > UNPACK_DEPTH_MAX {
            return Err("Bad data format in input.".into());
        }
        let tag = self.take(1)?[0];
        let number = |n: f64| Ok(Value::Number(n));
        match tag {
            0x00..=0x7F => number(f64::from(tag)),
            0xE0..=0xFF => number(f64::from(tag as i8)),
            0xC0 => Ok(Value::Nil),
            0xC2 | 0xC3 => Ok(Value::Boolean(tag == 0xC3)),
            0xCC..=0xCF => number(self.uint(1 << (tag - 0xCC))? as f64),
            0xD0..=0xD3 => number(self.int(1 << (tag - 0xD0))?),
            0xCA => number(f64::from(f32::from_bits(self.uint(4)? as u32))),
            0xCB => number(f64::from_bits(self.uint(8)?)),
            0xA0..=0xBF => self.text(u64::from(tag & 0x1F)),
            0xC4..=0xC6 => {
                let len = self.uint(1 << (tag - 0xC4))?;
                self.text(len)
            }
            0xD9..=0xDB => {
                let len = self.uint(1 << (tag - 0xD9))?;
                self.text(len)
            }
            0x90..=0x9F => self.list(u64::from(tag & 0x0F), depth),
            0xDC | 0xDD => {
                let len = self.uint(if tag == 0xDC { 2 } else { 4 })?;
                self.list(len, depth)
            }
            0x80..=0x8F => self.map(u64::from(tag & 0x0F), depth),
            0xDE | 0xDF => {
                let len = self.uint(if tag == 0xDE { 2 } else { 4 })?;
                self.map(len, depth)
            }
            _ => Err("Bad data format in input.".into()),
        }
    }
}
