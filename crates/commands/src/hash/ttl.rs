//! How long fields have to live.

use baton_base::WallMs;

use super::{fields, hash_of};
use crate::deadline::rounded_secs;
use crate::exec::Exec;
use crate::fail::Fail;

/// HTTL key FIELDS numfields field [field ...]: seconds left, rounded.
pub(crate) fn httl(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply(x, |at, now| rounded_secs(at.ms_since(now)))
}

/// HPTTL key FIELDS numfields field [field ...]: milliseconds left.
pub(crate) fn hpttl(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply(x, |at, now| at.ms_since(now) as i64)
}

/// HEXPIRETIME key FIELDS numfields field [field ...]: seconds since 1970, rounded.
pub(crate) fn hexpiretime(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply(x, |at, _| rounded_secs(at.0))
}

/// HPEXPIRETIME key FIELDS numfields field [field ...]: milliseconds since 1970.
pub(crate) fn hpexpiretime(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply(x, |at, _| at.0 as i64)
}

/// Replies a function of end and present time of each field; -1 if the field stays, -2 if there is none.
fn reply(x: &mut Exec<'_, '_>, value: impl Fn(WallMs, WallMs) -> i64) -> Result<(), Fail> {
    // Unlike elsewhere, a wrong count is a matter of syntax.
    let named =
        fields::alone(x.args).map_err(|fail| if fail == fields::COUNT_REFUSED { Fail::Syntax } else { fail })?;
    let (key, now, seen_at) = (x.key(0, 1), x.view.now(), x.view.elements_seen_at());
    let hash = x.view.read(&key, x.touch).map(|entry| hash_of(&entry)).transpose()?;
    let hash = hash.map(|hash| hash.live(seen_at));
    x.out.array(named.len());
    for field in named.iter() {
        let found = hash.and_then(|hash| hash.get(baton_values::Str::of(field)));
        x.out.int(match found.map(|value| value.expire_at) {
            None => -2,
            Some(None) => -1,
            Some(Some(at)) => value(at, now),
        });
    }
    Ok(())
}
