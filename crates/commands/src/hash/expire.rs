//! Giving fields an end, and taking it from them.

use baton_base::WallMs;
use baton_resp::Args;
use baton_store::{Key, Missing};
use baton_values::{Hash, Limits, Str};

use super::fields;
use crate::deadline::{self, Condition, Unit};
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;

/// What became of a field, as clients are told.
mod outcome {
    pub(super) const MISSING: i64 = -2;
    pub(super) const HAS_NO_END: i64 = -1;
    pub(super) const REFUSED: i64 = 0;
    pub(super) const DONE: i64 = 1;
    pub(super) const REMOVED: i64 = 2;
}

/// HEXPIRE key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...].
pub(crate) fn hexpire(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    expire_in(x, Unit::Seconds, "hexpire")
}

/// HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...].
pub(crate) fn hpexpire(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    expire_in(x, Unit::Millis, "hpexpire")
}

/// HEXPIREAT key time [NX | XX | GT | LT] FIELDS numfields field [field ...].
pub(crate) fn hexpireat(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    expire_in(x, Unit::UnixSeconds, "hexpireat")
}

/// HPEXPIREAT key time-ms [NX | XX | GT | LT] FIELDS numfields field [field ...].
pub(crate) fn hpexpireat(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    expire_in(x, Unit::UnixMillis, "hpexpireat")
}

fn expire_in(x: &mut Exec<'_, '_>, unit: Unit, command: &'static str) -> Result<(), Fail> {
    let word_at = fields::word_at(x.args, 3)?;
    let condition = Condition::parse(x.args.first(word_at).skip(3))?;
    let named = fields::named(x.args, word_at, 1)?;
    let at = deadline::not_negative(x.args.at(2), unit, x.view.now(), command)?;
    let key = x.key(0, 1);
    let change = Change { seen_at: x.view.elements_seen_at(), limits: x.limits() };
    let has_passed = deadline::has_passed(at, x.view);
    let changed = each(x, &key, named, |hash, field| {
        let Some(value) = hash.as_ref().live(change.seen_at).get(field) else { return outcome::MISSING };
        if !condition.holds(value.expire_at, at.0 as i64) {
            outcome::REFUSED
        } else if has_passed {
            hash.remove(field);
            outcome::REMOVED
        } else {
            hash.set_end(field, Some(at), &change.limits);
            outcome::DONE
        }
    })?;
    if changed.fields.is_empty() {
        return Ok(());
    }
    if has_passed {
        x.effects.count_ended_elements(changed.fields.len() as u64);
        x.effects.replace_iter([&b"HDEL"[..], key.bytes].into_iter().chain(changed.fields.iter().copied()));
    } else if unit != Unit::UnixMillis && x.effects.wanted() {
        let mut text = itoa::Buffer::new();
        let head = [&b"HPEXPIREAT"[..], key.bytes, text.format(at.0).as_bytes()];
        x.effects.replace_iter(head.into_iter().chain(x.args.skip(3).iter()));
    }
    x.notify(EventClass::HASH, if has_passed { "hexpired" } else { "hexpire" }, &key);
    if changed.emptied {
        x.notify(EventClass::GENERIC, "del", &key);
    }
    Ok(())
}

/// HPERSIST key FIELDS numfields field [field ...].
pub(crate) fn hpersist(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let named = fields::alone(x.args)?;
    let key = x.key(0, 1);
    let change = Change { seen_at: x.view.elements_seen_at(), limits: x.limits() };
    let changed = each(x, &key, named, |hash, field| {
        let value = hash.as_ref().live(change.seen_at).get(field);
        match value.map(|value| value.expire_at) {
            None => outcome::MISSING,
            Some(None) => outcome::HAS_NO_END,
            Some(Some(_)) => {
                hash.set_end(field, None, &change.limits);
                outcome::DONE
            }
        }
    })?;
    if !changed.fields.is_empty() {
        x.notify(EventClass::HASH, "hpersist", &key);
    }
    Ok(())
}

/// What a change of a field depends on.
struct Change {
    seen_at: Option<WallMs>,
    limits: Limits,
}

/// What a command changed.
struct Changed<'a> {
    /// The fields, in order.
    fields: Vec<&'a [u8]>,
    /// Whether the key went with the last of them.
    emptied: bool,
}

/// Changes field after field, and replies what became of each.
fn each<'a>(
    x: &mut Exec<'_, '_>,
    key: &Key<'_>,
    named: Args<'a>,
    mut change: impl FnMut(&mut Hash, Str<'_>) -> i64,
) -> Result<Changed<'a>, Fail> {
    let out = &mut *x.out;
    let done = x.view.edit(key, Missing::Skip, |hash: &mut Hash| {
        out.array(named.len());
        let mut fields = Vec::new();
        for field in named.iter() {
            let outcome = change(hash, Str::of(field));
            out.int(outcome);
            if outcome > outcome::REFUSED {
                fields.push(field);
            }
        }
        (fields.len() as u64, Changed { emptied: hash.is_empty(), fields })
    })?;
    Ok(done.unwrap_or_else(|| {
        x.out.array(named.len());
        named.iter().for_each(|_| x.out.int(outcome::MISSING));
        Changed { fields: Vec::new(), emptied: false }
    }))
}
