//! The library `cjson`: values as JSON. What a script sets about it holds until the script ends.

mod decode;
mod encode;

use std::cell::RefCell;
use std::rc::Rc;

use mlua::{Lua, MultiValue, Result, Table, Value};

use crate::engine::native::{Answer, function, number_arg};

/// What scripts can set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) encode_depth_max: usize,
    pub(crate) decode_depth_max: usize,
    /// Significant digits of numbers.
    pub(crate) precision: usize,
    pub(crate) encode_invalid: bool,
    pub(crate) decode_invalid: bool,
    /// Arrays with holes: written as objects, or refused.
    pub(crate) sparse_convert: bool,
    /// How many times longer than its items an array may be; 0 is any.
    pub(crate) sparse_ratio: usize,
    /// Arrays up to this length may have any holes.
    pub(crate) sparse_safe: usize,
    keep_buffer: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            encode_depth_max: 1000,
            decode_depth_max: 1000,
            precision: 14,
            encode_invalid: false,
            decode_invalid: true,
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            keep_buffer: true,
        }
    }
}

/// What scripts set, to be put back when they end.
pub(crate) type Shared = Rc<RefCell<Settings>>;

/// The library's table.
pub(super) fn library(lua: &Lua, settings: &Shared) -> Result<Table> {
    let lib = lua.create_table()?;
    lib.set("_NAME", "cjson")?;
    lib.set("_VERSION", "2.1.0")?;
    lib.set("null", Value::NULL)?;
    let own = Rc::clone(settings);
    lib.set(
        "encode",
        function(lua, move |lua, args: MultiValue| {
            one(&args, "encode")?;
            encode::encode(lua, &args[0], &own.borrow())
        })?,
    )?;
    let own = Rc::clone(settings);
    lib.set(
        "decode",
        function(lua, move |lua, args: MultiValue| {
            one(&args, "decode")?;
            decode::decode(lua, &args, &own.borrow())
        })?,
    )?;
    for name in ["encode_max_depth", "decode_max_depth", "encode_number_precision"] {
        let own = Rc::clone(settings);
        lib.set(
            name,
            function(lua, move |lua, args: MultiValue| set_number(lua, &args, name, &mut own.borrow_mut()))?,
        )?;
    }
    for name in ["encode_keep_buffer", "encode_invalid_numbers", "decode_invalid_numbers"] {
        let own = Rc::clone(settings);
        lib.set(name, function(lua, move |_, args: MultiValue| set_flag(&args, name, &mut own.borrow_mut()))?)?;
    }
    let own = Rc::clone(settings);
    lib.set(
        "encode_sparse_array",
        function(lua, move |lua, args: MultiValue| set_sparse(lua, &args, &mut own.borrow_mut()))?,
    )?;
    Ok(lib)
}

fn one(args: &MultiValue, name: &str) -> Answer<()> {
    if args.len() == 1 { Ok(()) } else { Err(format!("bad argument #1 to '{name}' (expected 1 argument)").into()) }
}

/// An argument between two bounds, if there is one.
fn bounded(lua: &Lua, args: &MultiValue, nth: usize, name: &str, low: i64, high: i64) -> Answer<Option<usize>> {
    if args.get(nth - 1).is_none_or(Value::is_nil) {
        return Ok(None);
    }
    let n = number_arg(lua, args, nth, name)? as i64;
    if !(low..=high).contains(&n) {
        return Err(format!("bad argument #{nth} to '{name}' (expected integer between {low} and {high})").into());
    }
    Ok(Some(n as usize))
}

fn set_number(lua: &Lua, args: &MultiValue, name: &str, settings: &mut Settings) -> Answer<usize> {
    let (field, high) = match name {
        "encode_max_depth" => (&mut settings.encode_depth_max, i64::from(i32::MAX)),
        "decode_max_depth" => (&mut settings.decode_depth_max, i64::from(i32::MAX)),
        _ => (&mut settings.precision, 14),
    };
    if let Some(n) = bounded(lua, args, 1, name, 1, high)? {
        *field = n;
    }
    Ok(*field)
}

fn set_flag(args: &MultiValue, name: &str, settings: &mut Settings) -> Answer<bool> {
    let field = match name {
        "encode_invalid_numbers" => &mut settings.encode_invalid,
        "decode_invalid_numbers" => &mut settings.decode_invalid,
        _ => &mut settings.keep_buffer,
    };
    match args.front() {
        None | Some(Value::Nil) => {}
        Some(Value::Boolean(on)) => *field = *on,
        Some(Value::String(word)) if *word == "on" => *field = true,
        Some(Value::String(word)) if *word == "off" => *field = false,
        Some(Value::String(word)) => {
            let word = word.to_string_lossy();
            return Err(format!("bad argument #1 to '{name}' (invalid option '{word}')").into());
        }
        Some(_) => return Err(format!("bad argument #1 to '{name}' (invalid option)").into()),
    }
    Ok(*field)
}

fn set_sparse(lua: &Lua, args: &MultiValue, settings: &mut Settings) -> Answer<(bool, usize, usize)> {
    let name = "encode_sparse_array";
    if let Some(Value::Boolean(on)) = args.front() {
        settings.sparse_convert = *on;
    }
    if let Some(n) = bounded(lua, args, 2, name, 0, i64::from(i32::MAX))? {
        settings.sparse_ratio = n;
    }
    if let Some(n) = bounded(lua, args, 3, name, 0, i64::from(i32::MAX))? {
        settings.sparse_safe = n;
    }
    Ok((settings.sparse_convert, settings.sparse_ratio, settings.sparse_safe))
}
