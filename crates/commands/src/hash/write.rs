//! Setting and removing fields.

use baton_base::WallMs;
use baton_resp::Args;
use baton_store::{Key, Missing};
use baton_values::{Hash, Limits, Str};

use super::{fields, has_ended};
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
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
    let seen_at = x.view.elements_seen_at();
    x.notify_if_new(&key);
    let done = x.view.edit(&key, Missing::Create, |hash: &mut Hash| {
        (texts.len() as u64 / 2, set_all(hash, texts, seen_at, &limits))
    })?;
    let done = done.unwrap_or_default();
    x.notify_overwritten(&key, done.ended);
    x.notify(EventClass::HASH, "hset", &key);
    Ok(done.new)
}

/// How many of the fields that were set were not seen before.
#[derive(Default)]
struct Set {
    new: u64,
    /// Of these, how many were there all the same: they had ended.
    ended: u64,
}

/// Sets fields to values that stay.
fn set_all(hash: &mut Hash, texts: Args<'_>, seen_at: Option<WallMs>, limits: &Limits) -> Set {
    hash.expect(texts.iter(), limits);
    let mut done = Set::default();
    for i in (0..texts.len()).step_by(2) {
        let field = Str::of(texts.at(i));
        let ended = has_ended(hash.as_ref(), field, seen_at);
        let is_new = hash.set(field, Str::of(texts.at(i + 1)), limits);
        done.new += u64::from(is_new || ended);
        done.ended += u64::from(ended);
    }
    done
}

/// HSETNX key field value.
pub(crate) fn hsetnx(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (key, limits, texts) = (x.key(0, 1), x.limits(), x.args.skip(2));
    let seen_at = x.view.elements_seen_at();
    x.notify_if_new(&key);
    let done = x.view.edit(&key, Missing::Create, |hash: &mut Hash| {
        let has_ends = hash.as_ref().next_due().is_some();
        if hash.as_ref().live(seen_at).get(Str::of(texts.at(0))).is_some() {
            return (0, (Set::default(), has_ends));
        }
        (1, (set_all(hash, texts, seen_at, &limits), has_ends))
    })?;
    let (done, has_ends) = done.unwrap_or_default();
    if done.new > 0 {
        x.notify_overwritten(&key, done.ended);
        x.notify(EventClass::HASH, "hset", &key);
        if has_ends {
            // A replica sees ended fields, so it would not set one.
            x.effects.replace_iter([&b"HSET"[..]].into_iter().chain(x.args.skip(1).iter()));
        }
    }
    x.out.int(done.new as i64);
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
    let (key, fields) = (x.key(0, 1), fields::alone(x.args)?);
    let seen_at = x.view.elements_seen_at();
    let out = &mut *x.out;
    // Each is removed before the next one is looked at: a field that is named twice is there only once.
    let removed = x.view.edit(&key, Missing::Skip, |hash: &mut Hash| {
        out.array(fields.len());
        let mut removed = 0;
        for field in fields.iter().map(Str::of) {
            match hash.as_ref().live(seen_at).get(field) {
                Some(value) => {
                    out.text(value.text);
                    hash.remove(field);
                    removed += 1;
                }
                None => out.null(),
            }
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
    let seen_at = x.view.elements_seen_at();
    let removed = x.view.edit(key, Missing::Skip, |hash: &mut Hash| {
        let mut fields = fields.iter();
        let mut removed = 0;
        while !hash.is_empty()
            && let Some(field) = fields.next().map(Str::of)
        {
            removed += u64::from(!has_ended(hash.as_ref(), field, seen_at) && hash.remove(field));
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
