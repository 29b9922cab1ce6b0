//! Values of fields as numbers.

use baton_base::WallMs;
use baton_store::Missing;
use baton_values::{FieldValue, Hash, Str};

use super::{has_ended, hash_of};
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::{Extended, Parsed, int};

/// HINCRBY key field increment.
pub(crate) fn hincrby(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let increment = int(x.args.at(3))?;
    let done = add(
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
    if done.has_ends {
        // What the field was depends on when this is repeated, so replicas are told what it is.
        tell(x, done.sum.to_string().as_bytes(), done.expire_at);
    }
    x.out.int(done.sum);
    Ok(())
}

/// HINCRBYFLOAT key field increment.
pub(crate) fn hincrbyfloat(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let increment = match Extended::parse(x.args.at(3)) {
        Some(Parsed::Finite(number)) => number,
        Some(Parsed::Infinite) => return Err(Fail::Text("ERR value is NaN or Infinity")),
        None => return Err(Fail::NotFloat),
    };
    let done = add(
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
    tell(x, &done.sum, done.expire_at);
    x.out.bulk(&done.sum);
    Ok(())
}

/// Writes into the stream what the field of the request is now.
fn tell(x: &mut Exec<'_, '_>, sum: &[u8], expire_at: Option<WallMs>) {
    let (key, field) = (x.args.at(1), x.args.at(2));
    match expire_at {
        None => x.effects.replace(&[b"HSET", key, field, sum]),
        Some(WallMs(at)) => {
            let mut text = itoa::Buffer::new();
            let time = text.format(at).as_bytes();
            x.effects.replace(&[b"HSETEX", key, b"PXAT", time, b"FIELDS", b"1", field, sum]);
        }
    }
}

/// What a field became.
struct Added<T> {
    sum: T,
    /// When the field ends: as before.
    expire_at: Option<WallMs>,
    /// Whether a field of the hash had an end before.
    has_ends: bool,
}

/// Sets the field of the request to what `next` makes of its value, written out by `text`; gives that.
fn add<T>(
    x: &mut Exec<'_, '_>,
    event: &'static str,
    next: impl FnOnce(Option<Str<'_>>) -> Result<T, Fail>,
    text: impl FnOnce(&T) -> Vec<u8>,
) -> Result<Added<T>, Fail> {
    let (key, limits, seen_at) = (x.key(0, 1), x.limits(), x.view.elements_seen_at());
    let field = Str::of(x.args.at(2));
    let hash = x.view.peek(&key).map(|entry| hash_of(&entry)).transpose()?;
    let (old, has_ends) = match hash {
        Some(hash) => (hash.live(seen_at).get(field), hash.next_due().is_some()),
        None => (None, false),
    };
    let expire_at = old.and_then(|value| value.expire_at);
    let sum = next(old.map(|value| value.text))?;
    x.notify_if_new(&key);
    let ended = x.view.edit(&key, Missing::Create, |hash: &mut Hash| {
        let ended = has_ended(hash.as_ref(), field, seen_at);
        hash.put(field, FieldValue { text: Str::of(&text(&sum)), expire_at }, &limits);
        (1, ended)
    })?;
    x.notify_overwritten(&key, u64::from(ended == Some(true)));
    x.notify(EventClass::HASH, event, &key);
    Ok(Added { sum, expire_at, has_ends })
}
