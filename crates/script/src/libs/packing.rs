//! The library `struct`: values in the binary layouts of C structures.

use mlua::{Lua, LuaString, MultiValue, Result, Table, Value};

use crate::engine::native::{Answer, Raised, function, number_arg, text_arg};

/// The library's table.
pub(super) fn library(lua: &Lua) -> Result<Table> {
    let lib = lua.create_table()?;
    lib.set("pack", function(lua, |lua, args: MultiValue| pack(lua, &args))?)?;
    lib.set("unpack", function(lua, |lua, args: MultiValue| unpack(lua, &args))?)?;
    lib.set("size", function(lua, |lua, args: MultiValue| size(lua, &args))?)?;
    Ok(lib)
}

/// Largest integer in bytes.
const INTEGER_BYTES_MAX: usize = 32;
/// What alignment is taken from `!` alone, in bytes.
const ALIGN_DEFAULT: usize = 8;
/// Longest result in bytes.
const RESULT_BYTES_MAX: usize = 512 << 20;

/// A format that is being read.
struct Format<'a> {
    rest: &'a [u8],
    function: &'static str,
    little: bool,
    align: usize,
}

/// One part of a format.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Item {
    Int {
        size: usize,
        signed: bool,
    },
    Float,
    Double,
    Text,
    Chars {
        size: usize,
    },
    Padding,
    /// Only changes how what follows is laid out.
    Mode,
}

impl<'a> Format<'a> {
    fn new(rest: &'a [u8], function: &'static str) -> Format<'a> {
        Format { rest, function, little: cfg!(target_endian = "little"), align: 1 }
    }

    fn number(&mut self, default: usize) -> Answer<usize> {
        let digits = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return Ok(default);
        }
        let text = std::str::from_utf8(&self.rest[..digits]).unwrap_or_default();
        self.rest = &self.rest[digits..];
        match text.parse::<i32>() {
            Ok(n) => Ok(n as usize),
            Err(_) => Err("integral size overflow".into()),
        }
    }

    fn integer(&mut self, signed: bool) -> Answer<Item> {
        let size = self.number(4)?;
        if size > INTEGER_BYTES_MAX {
            return Err(format!("integral size {size} is larger than limit of {INTEGER_BYTES_MAX}").into());
        }
        Ok(Item::Int { size, signed })
    }

    /// The next part; none at the end.
    fn next(&mut self) -> Answer<Option<Item>> {
        let Some((&option, rest)) = self.rest.split_first() else { return Ok(None) };
        self.rest = rest;
        let int = |size, signed| Item::Int { size, signed };
        Ok(Some(match option {
            b'b' => int(1, true),
            b'B' => int(1, false),
            b'h' => int(2, true),
            b'H' => int(2, false),
            b'l' => int(8, true),
            b'L' | b'T' => int(8, false),
            b'i' => self.integer(true)?,
            b'I' => self.integer(false)?,
            b'f' => Item::Float,
            b'd' => Item::Double,
            b's' => Item::Text,
            b'c' => Item::Chars { size: self.number(1)? },
            b'x' => Item::Padding,
            b' ' => Item::Mode,
            b'>' | b'<' => {
                self.little = option == b'<';
                Item::Mode
            }
            b'!' => {
                let align = self.number(ALIGN_DEFAULT)?;
                if !align.is_power_of_two() {
                    return Err(format!("alignment {align} is not a power of 2").into());
                }
                self.align = align;
                Item::Mode
            }
            other => {
                let (function, option) = (self.function, char::from(other));
                return Err(format!("bad argument #1 to '{function}' (invalid format option '{option}')").into());
            }
        }))
    }

    /// Bytes to skip before a part, so that it lies at a multiple of its size.
    fn padding(&self, item: Item, at: usize) -> usize {
        let size = match item {
            Item::Int { size, .. } => size,
            Item::Float => 4,
            Item::Double => 8,
            _ => return 0,
        };
        let align = size.min(self.align);
        if align < 2 { 0 } else { (align - at % align) % align }
    }
}

fn pack(lua: &Lua, args: &MultiValue) -> Answer<LuaString> {
    let text = text_arg(lua, args, 1, "pack")?;
    let text = text.as_bytes();
    let mut format = Format::new(&text, "pack");
    let mut out: Vec<u8> = Vec::new();
    let mut nth = 2;
    while let Some(item) = format.next()? {
        out.resize(out.len() + format.padding(item, out.len()), 0);
        match item {
            Item::Mode => continue,
            Item::Padding => {
                out.push(0);
                continue;
            }
            Item::Int { size, signed } => put_int(&mut out, size, signed, number(lua, args, nth)?, format.little),
            Item::Float => put(&mut out, &(number(lua, args, nth)? as f32).to_le_bytes(), format.little),
            Item::Double => put(&mut out, &number(lua, args, nth)?.to_le_bytes(), format.little),
            Item::Text => {
                out.extend_from_slice(&text_arg(lua, args, nth, "pack")?.as_bytes());
                out.push(0);
            }
            Item::Chars { size } => {
                let text = text_arg(lua, args, nth, "pack")?;
                let text = text.as_bytes();
                let size = if size == 0 { text.len() } else { size };
                match text.get(..size) {
                    Some(text) => out.extend_from_slice(text),
                    None => return Err(format!("bad argument #{} to 'pack' (string too short)", nth + 1).into()),
                }
            }
        }
        if out.len() > RESULT_BYTES_MAX {
            return Err("format result too large".into());
        }
        nth += 1;
    }
    Ok(lua.create_string(out)?)
}

/// A number to be packed; a missing one reads as nil, as upstream says it.
fn number(lua: &Lua, args: &MultiValue, nth: usize) -> Answer<f64> {
    if args.len() < nth {
        return Err(format!("bad argument #{nth} to 'pack' (number expected, got nil)").into());
    }
    number_arg(lua, args, nth, "pack")
}

fn put(out: &mut Vec<u8>, bytes: &[u8], little: bool) {
    if little { out.extend_from_slice(bytes) } else { out.extend(bytes.iter().rev()) }
}

fn put_int(out: &mut Vec<u8>, size: usize, signed: bool, value: f64, little: bool) {
    let value = if signed || value < 0.0 { value as i64 } else { value as u64 as i64 };
    let mut bytes = [if value < 0 { 0xFF } else { 0 }; INTEGER_BYTES_MAX];
    bytes[..8].copy_from_slice(&value.to_le_bytes());
    put(out, &bytes[..size], little);
}

fn unpack(lua: &Lua, args: &MultiValue) -> Answer<MultiValue> {
    let (text, data) = (text_arg(lua, args, 1, "unpack")?, text_arg(lua, args, 2, "unpack")?);
    let (text, data) = (text.as_bytes(), data.as_bytes());
    let from = if args.len() < 3 { 1 } else { number_arg(lua, args, 3, "unpack")? as i64 };
    if from < 1 {
        return Err("bad argument #3 to 'unpack' (offset must be 1 or greater)".into());
    }
    let short = || Raised::from("bad argument #2 to 'unpack' (data string too short)");
    let mut at = usize::try_from(from - 1).unwrap_or(usize::MAX);
    let mut format = Format::new(&text, "unpack");
    let mut values: Vec<Value> = Vec::new();
    while let Some(item) = format.next()? {
        at = at.saturating_add(format.padding(item, at));
        let rest = data.get(at..).ok_or_else(short)?;
        let part = |size: usize| rest.get(..size).ok_or_else(short);
        let size = match item {
            Item::Mode => continue,
            Item::Padding => part(1)?.len(),
            Item::Int { size, signed } => {
                values.push(Value::Number(read_int(part(size)?, signed, format.little)));
                size
            }
            Item::Float => {
                let bytes = ordered::<4>(part(4)?, format.little);
                values.push(Value::Number(f64::from(f32::from_le_bytes(bytes))));
                4
            }
            Item::Double => {
                values.push(Value::Number(f64::from_le_bytes(ordered::<8>(part(8)?, format.little))));
                8
            }
            Item::Chars { size } => {
                let size = if size == 0 { length_before(&mut values)? } else { size };
                values.push(Value::String(lua.create_string(part(size)?)?));
                size
            }
            Item::Text => {
                let Some(end) = rest.iter().position(|b| *b == 0) else {
                    return Err("unfinished string in data".into());
                };
                values.push(Value::String(lua.create_string(&rest[..end])?));
                end + 1
            }
        };
        at += size;
    }
    values.push(Value::Number((at + 1) as f64));
    Ok(MultiValue::from_vec(values))
}

/// The length of `c0`: the value read before it, which it replaces.
fn length_before(values: &mut Vec<Value>) -> Answer<usize> {
    match values.pop() {
        Some(Value::Number(n)) if n >= 0.0 => Ok(n as usize),
        Some(Value::Number(_)) => Err("bad argument #2 to 'unpack' (data string too short)".into()),
        _ => Err("format 'c0' needs a previous size".into()),
    }
}

fn ordered<const N: usize>(bytes: &[u8], little: bool) -> [u8; N] {
    let mut out = [0; N];
    out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    if !little {
        out.reverse();
    }
    out
}

fn read_int(bytes: &[u8], signed: bool, little: bool) -> f64 {
    let mut low: Vec<u8> = bytes.to_vec();
    if !little {
        low.reverse();
    }
    let sign = if signed && low.last().is_some_and(|b| b & 0x80 != 0) { 0xFF } else { 0 };
    low.resize(8.max(low.len()), sign);
    let word = u64::from_le_bytes(ordered::<8>(&low[..8], true));
    if signed { word as i64 as f64 } else { word as f64 }
}

fn size(lua: &Lua, args: &MultiValue) -> Answer<f64> {
    let text = text_arg(lua, args, 1, "size")?;
    let text = text.as_bytes();
    let mut format = Format::new(&text, "size");
    let mut total = 0usize;
    while let Some(item) = format.next()? {
        total += format.padding(item, total);
        total += match item {
            Item::Mode => 0,
            Item::Padding => 1,
            Item::Int { size, .. } => size,
            Item::Float => 4,
            Item::Double => 8,
            Item::Text => return Err("bad argument #1 to 'size' (option 's' has no fixed size)".into()),
            Item::Chars { size: 0 } => return Err("bad argument #1 to 'size' (option 'c0' has no fixed size)".into()),
            Item::Chars { size } => size,
        };
    }
    Ok(total as f64)
}
