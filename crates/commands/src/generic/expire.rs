//! Setting and clearing expiries.

use baton_base::WallMs;

use crate::deadline::{self, Condition, Unit};
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::int;

/// EXPIRE key seconds [NX | XX | GT | LT].
pub(crate) fn expire(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    expire_in(x, Unit::Seconds, "expire")
}

/// PEXPIRE key milliseconds [NX | XX | GT | LT].
pub(crate) fn pexpire(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    expire_in(x, Unit::Millis, "pexpire")
}

/// EXPIREAT key time [NX | XX | GT | LT].
pub(crate) fn expireat(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    expire_in(x, Unit::UnixSeconds, "expireat")
}

/// PEXPIREAT key time-ms [NX | XX | GT | LT].
pub(crate) fn pexpireat(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    expire_in(x, Unit::UnixMillis, "pexpireat")
}

fn expire_in(x: &mut Exec<'_, '_>, unit: Unit, command: &'static str) -> Result<(), Fail> {
    let condition = Condition::parse(x.args.skip(3))?;
    let at = deadline::absolute(int(&x.args[2])?, unit, x.view.now(), command)?;
    let key = x.key(0, 1);
    let Some(present) = x.view.peek(&key).map(|entry| entry.expire_at) else {
        x.out.int(0);
        return Ok(());
    };
    if !condition.holds(present, at) {
        x.out.int(0);
        return Ok(());
    }
    let at = WallMs(at.max(0) as u64);
    if deadline::has_passed(at, x.view) {
        deadline::delete_passed(x, &key);
    } else {
        x.view.set_expire(&key, Some(at));
        x.notify(EventClass::GENERIC, "expire", &key);
        if unit != Unit::UnixMillis && x.effects.wanted() {
            let mut text = itoa::Buffer::new();
            let head = [&b"PEXPIREAT"[..], key.bytes, text.format(at.0).as_bytes()];
            x.effects.replace_iter(head.into_iter().chain(x.args.skip(3).iter()));
        }
    }
    x.out.int(1);
    Ok(())
}

/// PERSIST key.
pub(crate) fn persist(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let key = x.key(0, 1);
    let changed = x.view.set_expire(&key, None);
    if changed {
        x.notify(EventClass::GENERIC, "persist", &key);
    }
    x.out.int(i64::from(changed));
    Ok(())
}
