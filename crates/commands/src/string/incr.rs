//! Strings as numbers.

use baton_store::{Expire, Str};

use super::string_of;
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::{Extended, Parsed, int};

/// INCR key.
pub(crate) fn incr(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    add(x, 1)
}

/// DECR key.
pub(crate) fn decr(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    add(x, -1)
}

/// INCRBY key increment.
pub(crate) fn incrby(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let increment = int(&x.args[2])?;
    add(x, increment)
}

/// DECRBY key decrement.
pub(crate) fn decrby(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let increment = int(&x.args[2])?.checked_neg().ok_or(Fail::Text("ERR decrement would overflow"))?;
    add(x, increment)
}

fn add(x: &mut Exec<'_, '_>, increment: i64) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let value = match x.view.peek(&key) {
        Some(entry) => string_of(&entry)?.as_i64().ok_or(Fail::NotInteger)?,
        None => 0,
    };
    let overflow = Fail::Text("ERR increment or decrement would overflow");
    let sum = value.checked_add(increment).ok_or(overflow)?;
    x.notify_if_new(&key);
    x.view.set_int(&key, sum);
    x.notify(EventClass::STRING, "incrby", &key);
    x.out.int(sum);
    Ok(())
}

/// INCRBYFLOAT key increment.
pub(crate) fn incrbyfloat(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let value = match x.view.peek(&key) {
        Some(entry) => match string_of(&entry)? {
            Str::Int(n) => Parsed::Finite(Extended::from_i64(n)),
            Str::Bytes(text) => Extended::parse(text).ok_or(Fail::NotFloat)?,
        },
        None => Parsed::Finite(Extended::from_i64(0)),
    };
    let increment = Extended::parse(&x.args[2]).ok_or(Fail::NotFloat)?;
    let sum = match (value, increment) {
        (Parsed::Finite(a), Parsed::Finite(b)) => a.add(b),
        _ => None,
    };
    let text = sum.ok_or(Fail::Text("ERR increment would produce NaN or Infinity"))?.to_text();
    x.notify_if_new(&key);
    x.view.set_text(&key, &text, Expire::Keep);
    x.notify(EventClass::STRING, "incrbyfloat", &key);
    x.effects.replace(&[b"SET", key.bytes, &text, b"KEEPTTL"]);
    x.out.bulk(&text);
    Ok(())
}
