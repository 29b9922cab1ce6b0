//! How long keys have to live.

use baton_base::WallMs;

use crate::deadline::rounded_secs;
use crate::exec::Exec;
use crate::fail::Fail;

/// TTL key: seconds left, rounded.
pub(crate) fn ttl(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply(x, |at, now| rounded_secs(at.ms_since(now)))
}

/// PTTL key: milliseconds left.
pub(crate) fn pttl(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply(x, |at, now| at.ms_since(now) as i64)
}

/// EXPIRETIME key: seconds since 1970, rounded.
pub(crate) fn expiretime(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply(x, |at, _| rounded_secs(at.0))
}

/// PEXPIRETIME key: milliseconds since 1970.
pub(crate) fn pexpiretime(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    reply(x, |at, _| at.0 as i64)
}

/// Replies a function of expiry and present time; -1 if the key never expires, -2 if there is none.
fn reply(x: &mut Exec<'_, '_>, value: impl Fn(WallMs, WallMs) -> i64) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let now = x.view.now();
    let n = match x.view.peek(&key).map(|entry| entry.expire_at) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => value(at, now),
    };
    x.out.int(n);
    Ok(())
}
