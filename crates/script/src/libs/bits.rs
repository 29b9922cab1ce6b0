//! The library `bit`: operations on the low 32 bits of numbers.

use mlua::{Lua, MultiValue, Result, Table};

use crate::engine::native::{Answer, function, number_arg};

/// The library's table.
pub(super) fn library(lua: &Lua) -> Result<Table> {
    let lib = lua.create_table()?;
    let unary = |name: &'static str, apply: fn(i32) -> i32| {
        lib.set(name, function(lua, move |lua, args: MultiValue| Ok(f64::from(apply(bits(lua, &args, 1, name)?))))?)
    };
    unary("tobit", |a| a)?;
    unary("bnot", |a| !a)?;
    unary("bswap", i32::swap_bytes)?;
    for (name, apply) in
        [("band", (|a, b| a & b) as fn(i32, i32) -> i32), ("bor", |a, b| a | b), ("bxor", |a, b| a ^ b)]
    {
        let folded = move |lua: &Lua, args: MultiValue| {
            let first = bits(lua, &args, 1, name)?;
            let all = (2..=args.len()).try_fold(first, |sum, nth| Ok(apply(sum, bits(lua, &args, nth, name)?)));
            all.map(f64::from)
        };
        lib.set(name, function(lua, folded)?)?;
    }
    for (name, apply) in [
        ("lshift", (|a, n| a << n) as fn(i32, u32) -> i32),
        ("rshift", |a, n| (a as u32 >> n) as i32),
        ("arshift", |a, n| a >> n),
        ("rol", i32::rotate_left),
        ("ror", i32::rotate_right),
    ] {
        let shifted = move |lua: &Lua, args: MultiValue| {
            let (a, n) = (bits(lua, &args, 1, name)?, bits(lua, &args, 2, name)?);
            Ok(f64::from(apply(a, n as u32 & 31)))
        };
        lib.set(name, function(lua, shifted)?)?;
    }
    lib.set("tohex", function(lua, |lua, args: MultiValue| tohex(lua, &args))?)?;
    Ok(lib)
}

/// The low 32 bits of an argument; a number that is no integer is rounded to the nearest one.
fn bits(lua: &Lua, args: &MultiValue, nth: usize, function: &str) -> Answer<i32> {
    let value = number_arg(lua, args, nth, function)?.round_ties_even();
    Ok(value.rem_euclid(4_294_967_296.0) as u32 as i32)
}

fn tohex(lua: &Lua, args: &MultiValue) -> Answer<String> {
    let value = bits(lua, args, 1, "tohex")? as u32;
    let digits = if args.len() < 2 { 8 } else { bits(lua, args, 2, "tohex")? };
    let text = if digits < 0 { format!("{value:08X}") } else { format!("{value:08x}") };
    Ok(text[8 - (digits.unsigned_abs() as usize).min(8)..].to_owned())
}
