//! Setting and removing fields.

use baton_resp::Args;
use baton_store::{Key, Missing};
use baton_values::{Hash, Limits, Str};

use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::int;
use crate::reply::ReplyText as _;

/// HSET key field value [field value ...].
pub(crate) fn hset(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let new = set(x, "hset")?;
    x.out.int(new as i64);
    Ok(())
}

/// HMSET key field value [field value ...].
pub(crate) fn hmset(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    set(x, "hmset")?;
    x.out.ok();
    Ok(())
}

/// Sets all fields of the request; gives how many are new.
fn set(x: &mut Exec<'_, '_>, name: &'static str) -> Result<u64, Fail> {
    if !x.args.len().is_multiple_of(2) {
        return Err(Fail::Arity(name));
    }
    let (key, limits, texts) = (x.key(0, 1), x.limits(), x.args.skip(2));
    x.notify_if_new(&key);
    let new = x
        .view
        .edit(&key, Missing::Create, |hash: &mut Hash| (texts.len() as u64 / 2, set_all(hash, texts, &limits)))?;
    x.notify(EventClass::HASH, "hset", &key);
    Ok(new.unwrap_or(0))
}

/// Sets fields to values; gives how many are new.
fn set_all(hash: &mut Hash, texts: Args<'_>, limits: &Limits) -> u64 {
    hash.expect(texts.iter(), limits);
    let pairs = (0..texts.len()).step_by(2);
    pairs.map(|i| u64::from(hash.set(Str::of(texts.at(i)), Str::of(texts.at(i + 1)), limits))).sum()
}

/// HSETNX key field value.
pub(crate) fn hsetnx(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (key, limits, texts) = (x.key(0, 1), x.limits(), x.args.skip(2));
    x.notify_if_new(&key);
    let new = x.view.edit(&key, Missing::Create, |hash: &mut Hash| {
        if hash.as_ref().get(Str::of(texts.at(0))).is_some() {
            return (0, 0);
        }
        (1, set_all(hash, texts, &limits))
    })?;
    let new = new.unwrap_or(0);
    if new > 0 {
        x.notify(EventClass::HASH, "hset", &key);
    }
    x.out.int(new as i64);
    Ok(())
}

/// HDEL key field [field ...].
pub(crate) fn hdel(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (key, fields) = (x.key(0, 1), x.args.skip(2));
    let removed = remove(x, &key, fields)?;
    x.out.int(removed as i64);
    Ok(())
}

/// HGETDEL key FIELDS numfields field [field ...].
pub(crate) fn hgetdel(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    if !x.args.at(2).eq_ignore_ascii_case(b"FIELDS") {
        return Err(Fail::Syntax);
    }
    let (key, fields) = (x.key(0, 1), x.args.skip(4));
    if int(x.args.at(3))? != fields.len() as i64 {
        return Err(Fail::Text("ERR numfields should be greater than 0 and match the provided number of fields"));
    }
    let out = &mut *x.out;
    // Each is removed before the next one is looked at: a field that is named twice is there only once.
    let removed = x.view.edit(&key, Missing::Skip, |hash: &mut Hash| {
        out.array(fields.len());
        let mut removed = 0;
        for field in fields.iter().map(Str::of) {
            match hash.as_ref().get(field) {
                Some(value) => out.text(value),
                None => out.null(),
            }
            removed += u64::from(hash.remove(field));
        }
        (removed, (removed, hash.is_empty()))
    })?;
    match removed {
        Some((removed, emptied)) => notify_removed(x, &key, removed, emptied),
        None => {
            x.out.array(fields.len());
            fields.iter().for_each(|_| x.out.null());
        }
    }
    Ok(())
}

/// Removes fields, and tells listeners; gives how many were there.
fn remove(x: &mut Exec<'_, '_>, key: &Key<'_>, fields: Args<'_>) -> Result<u64, Fail> {
    let removed = x.view.edit(key, Missing::Skip, |hash: &mut Hash| {
        let mut fields = fields.iter();
        let mut removed = 0;
        while !hash.is_empty()
            && let Some(field) = fields.next()
        {
            removed += u64::from(hash.remove(Str::of(field)));
        }
        (removed, (removed, hash.is_empty()))
    })?;
    let (removed, emptied) = removed.unwrap_or((0, false));
    notify_removed(x, key, removed, emptied);
    Ok(removed)
}

fn notify_removed(x: &mut Exec<'_, '_>, key: &Key<'_>, removed: u64, emptied: bool) {
    if removed > 0 {
        x.notify(EventClass::HASH, "hdel", key);
        if emptied {
            x.notify(EventClass::GENERIC, "del", key);
        }
    }
}
