//! When a key or a field is to expire: from the number a client sends to a time, what the
//! present time has to be like, and what follows from a time that has passed.

use baton_base::WallMs;
use baton_resp::Args;
use baton_store::{Expiry, Key, View};

use crate::event::EventClass;
use crate::exec::{Exec, LazyFree};
use crate::fail::Fail;

/// How a client states a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Seconds from now (`EX`).
    Seconds,
    /// Milliseconds from now (`PX`).
    Millis,
    /// Seconds since 1970 (`EXAT`).
    UnixSeconds,
    /// Milliseconds since 1970 (`PXAT`).
    UnixMillis,
}

impl Unit {
    /// The unit with this word in options.
    pub(crate) fn of_word(word: &[u8]) -> Option<Unit> {
        match word {
            w if w.eq_ignore_ascii_case(b"EX") => Some(Unit::Seconds),
            w if w.eq_ignore_ascii_case(b"PX") => Some(Unit::Millis),
            w if w.eq_ignore_ascii_case(b"EXAT") => Some(Unit::UnixSeconds),
            w if w.eq_ignore_ascii_case(b"PXAT") => Some(Unit::UnixMillis),
            _ => None,
        }
    }

    fn is_seconds(self) -> bool {
        matches!(self, Unit::Seconds | Unit::UnixSeconds)
    }

    fn is_relative(self) -> bool {
        matches!(self, Unit::Seconds | Unit::Millis)
    }
}

/// The time that `arg` states, for options of string commands: it has to be positive.
pub(crate) fn positive(arg: &[u8], unit: Unit, now: WallMs, command: &'static str) -> Result<WallMs, Fail> {
    let value = crate::number::int(arg)?;
    if value <= 0 {
        return Err(Fail::InvalidExpire(command));
    }
    Ok(WallMs(absolute(value, unit, now, command)?.max(0) as u64))
}

/// The time that `arg` states, for fields of hashes: it may be over already, but not negative.
pub(crate) fn not_negative(arg: &[u8], unit: Unit, now: WallMs, command: &'static str) -> Result<WallMs, Fail> {
    let value = u64::try_from(crate::number::int(arg)?).map_err(|_| Fail::InvalidExpire(command))?;
    Ok(WallMs(absolute(value as i64, unit, now, command)?.max(0) as u64))
}

/// The time that `value` states, in milliseconds since 1970; negative if it lies before.
pub(crate) fn absolute(value: i64, unit: Unit, now: WallMs, command: &'static str) -> Result<i64, Fail> {
    let invalid = Fail::InvalidExpire(command);
    let millis = if unit.is_seconds() { value.checked_mul(1000).ok_or(invalid.clone())? } else { value };
    if unit.is_relative() { millis.checked_add_unsigned(now.0).ok_or(invalid) } else { Ok(millis) }
}

/// Milliseconds as seconds, rounded.
pub(crate) fn rounded_secs(ms: u64) -> i64 {
    (ms.saturating_add(500) / 1000) as i64
}

/// Whether a key with this deadline is to be deleted at once. Only a primary may: elsewhere the deletion comes through the
/// stream (replication 3.3).
pub(crate) fn has_passed(at: WallMs, view: &View<'_>) -> bool {
    at <= view.now() && view.expiry_rule() == Expiry::Delete
}

/// Deletes a key whose deadline has passed, and says so instead of the command. Tells whether the key was there.
pub(crate) fn delete_passed(x: &mut Exec<'_, '_>, key: &Key<'_>) -> bool {
    let removed = x.view.remove(key);
    if removed {
        x.effects.deadline_passed();
        x.notify(EventClass::EXPIRED, "expired", key);
        x.effects.replace(&[LazyFree::delete_name(x.env.lazy.expire), key.bytes]);
    } else {
        x.effects.none();
    }
    removed
}

/// What the present expiry has to be like.
#[derive(Clone, Copy, Default)]
pub(crate) struct Condition {
    absent: bool,
    present: bool,
    greater: bool,
    less: bool,
}

impl Condition {
    /// The condition that these words state.
    pub(crate) fn parse(words: Args<'_>) -> Result<Condition, Fail> {
        let mut c = Condition::default();
        for word in words.iter() {
            match word.to_ascii_uppercase().as_slice() {
                b"NX" => c.absent = true,
                b"XX" => c.present = true,
                b"GT" => c.greater = true,
                b"LT" => c.less = true,
                _ => return Err(Fail::Bytes([b"ERR Unsupported option ", word].concat())),
            }
        }
        if c.absent && (c.present || c.greater || c.less) {
            return Err(Fail::Text("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if c.greater && c.less {
            return Err(Fail::Text("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(c)
    }

    /// Whether `at` may replace the present expiry. What has none lives for ever: nothing is greater, all is less.
    pub(crate) fn holds(self, present: Option<WallMs>, at: i64) -> bool {
        let present_ms = present.map(|p| p.0 as i64);
        let refused = self.absent && present.is_some()
            || self.present && present.is_none()
            || self.greater && present_ms.is_none_or(|p| at <= p)
            || self.less && present_ms.is_some_and(|p| at >= p);
        !refused
    }
}
