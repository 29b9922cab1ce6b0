//! Values of fields as numbers.

use baton_store::Missing;
use baton_values::{Hash, Str};

use super::hash_of;
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::{Extended, Parsed, int};

/// HINCRBY key field increment.
pub(crate) fn hincrby(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let increment = int(x.args.at(3))?;
    let sum = add(
        x,
        "hincrby",
        |value| {
            let value = match value {
                Some(text) => text.as_i64().ok_or(Fail::Text("ERR hash value is not an integer"))?,
                None => 0,
            };
            value.checked_add(increment).ok_or(Fail::Text("ERR increment or decrement would overflow"))
        },
        |sum| sum.to_string().into_bytes(),
    )?;
    x.out.int(sum);
    Ok(())
}

/// HINCRBYFLOAT key field increment.
pub(crate) fn hincrbyfloat(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let increment = match Extended::parse(x.args.at(3)) {
        Some(Parsed::Finite(number)) => number,
        Some(Parsed::Infinite) => return Err(Fail::Text("ERR value is NaN or Infinity")),
        None => return Err(Fail::NotFloat),
    };
    let sum = add(
        x,
        "hincrbyfloat",
        |value| {
            let value = match value {
                Some(Str::Int(n)) => Parsed::Finite(Extended::from_i64(n)),
                Some(Str::Bytes(text)) => Extended::parse(text).ok_or(Fail::Text("ERR hash value is not a float"))?,
                None => Parsed::Finite(Extended::from_i64(0)),
            };
            let sum = match value {
                Parsed::Finite(value) => value.add(increment),
                Parsed::Infinite => None,
            };
            sum.map(Extended::to_text).ok_or(Fail::Text("ERR increment would produce NaN or Infinity"))
        },
        Vec::clone,
    )?;
    // What the sum is depends on who computes it, so replicas are told.
    x.effects.replace(&[b"HSET", x.args.at(1), x.args.at(2), &sum]);
    x.out.bulk(&sum);
    Ok(())
}

/// Sets the field of the request to what `next` makes of its value, written out by `text`; gives that.
fn add<T>(
    x: &mut Exec<'_, '_>,
    event: &'static str,
    next: impl FnOnce(Option<Str<'_>>) -> Result<T, Fail>,
    text: impl FnOnce(&T) -> Vec<u8>,
) -> Result<T, Fail> {
    let (key, limits) = (x.key(0, 1), x.limits());
    let field = Str::of(x.args.at(2));
    let value = match x.view.peek(&key) {
        Some(entry) => next(hash_of(&entry)?.get(field))?,
        None => next(None)?,
    };
    x.notify_if_new(&key);
    x.view.edit(&key, Missing::Create, |hash: &mut Hash| {
        hash.set(field, Str::of(&text(&value)), &limits);
        (1, ())
    })?;
    x.notify(EventClass::HASH, event, &key);
    Ok(value)
}
